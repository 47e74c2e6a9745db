//! Which points are answered by which question.

use std::collections::HashMap;

use guideway_contract::{Issue, Kind, Native, Period, PointId, PointSpec, point_id};

use crate::codec::{self, Want};
use crate::config::{Format, Point};
use crate::{Address, Config};

/// One question with all points that its answer serves.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) address: Address,
    /// What replies start with, where points say so; else the question's own keywords hold.
    pub(crate) keywords: Vec<String>,
}

/// A point that is read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) id: PointId,
    pub(crate) question: usize,
    pub(crate) want: Want,
    /// Keywords of the replies that are for this point; empty for all.
    pub(crate) expect: Vec<String>,
    pub(crate) period: Period,
}

/// A question of one turn, with the readers (their indices) that are due.
pub(crate) type Work = (usize, Vec<usize>);

#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) questions: Vec<Question>,
    pub(crate) readers: Vec<Reader>,
    /// Points that cannot be read, and why.
    pub(crate) bad: Vec<(PointId, String)>,
    /// Variables that commands may write.
    writable: HashMap<PointId, u32>,
}

impl Plan {
    pub(crate) fn new(points: &[PointSpec<Point>]) -> Self {
        let mut plan = Self::default();
        let mut places: HashMap<Address, usize> = HashMap::new();
        for (index, point) in points.iter().enumerate() {
            let id = point_id(index);
            let address = match (issues(point).first(), point.address.parse::<Address>()) {
                (None, Ok(address)) => address,
                (issue, parsed) => {
                    let cause = issue.map(|issue| issue.what.clone()).or(parsed.err()).unwrap_or_default();
                    plan.bad.push((id, cause));
                    continue;
                }
            };
            if let (true, Address::Variable(number)) = (point.access.writes(), address) {
                plan.writable.insert(id, number);
            }
            if !point.access.reads() {
                continue;
            }
            let question = *places.entry(address).or_insert_with(|| {
                plan.questions.push(Question { address, keywords: Vec::new() });
                plan.questions.len() - 1
            });
            let keywords = &mut plan.questions[question].keywords;
            for keyword in &point.own.expect {
                if keywords.is_empty() {
                    keywords.extend(address.keywords().iter().map(|&own| own.to_owned()));
                }
                if !keywords.contains(keyword) {
                    keywords.push(keyword.clone());
                }
            }
            plan.readers.push(Reader {
                id,
                question,
                want: Want {
                    data_type: point.data_type,
                    field: point.own.field,
                    hms: point.own.format == Some(Format::Hms),
                },
                expect: point.own.expect.clone(),
                period: point.period,
            });
        }
        plan
    }

    /// The questions of one turn, each once: those for variables, and those with a keyword of their own.
    pub(crate) fn work(&self, due: &[usize]) -> (Vec<Work>, Vec<Work>) {
        let mut all: Vec<Work> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        for &reader in due {
            let question = self.readers[reader].question;
            let place = *places.entry(question).or_insert_with(|| {
                all.push((question, Vec::new()));
                all.len() - 1
            });
            all[place].1.push(reader);
        }
        all.into_iter()
            .partition(|(question, _)| matches!(self.questions[*question].address, Address::Variable(_)))
    }

    /// The variable and the text to write for a point.
    pub(crate) fn write(&self, point: PointId, value: &Native) -> Result<(u32, String), String> {
        let variable =
            self.writable.get(&point).ok_or_else(|| format!("point {} is not writable", point.index()))?;
        Ok((*variable, codec::write(value)?))
    }
}

/// Everything wrong with a point.
pub(crate) fn issues(point: &PointSpec<Point>) -> Vec<Issue> {
    let mut issues = Vec::new();
    match point.address.parse::<Address>() {
        Err(error) => issues.push(Issue::new("addr", error)),
        Ok(Address::Query(code)) => {
            if point.access.writes() {
                issues.push(Issue::new(
                    "access",
                    format!("Q{code} can only be read; variables can be written"),
                ));
            }
            if Address::Query(code).keywords().is_empty() && point.own.expect.is_empty() {
                let what = format!(
                    "Q{code} is not known here: say with what its reply starts, as in expect = [\"MODE\"]"
                );
                issues.push(Issue::new("expect", what));
            }
        }
        Ok(Address::Variable(_)) => {}
    }
    let data_type = point.data_type;
    let known = !matches!(data_type.kind, Kind::Bcd(_) | Kind::WideText(_) | Kind::Bits(_) | Kind::Bytes(_));
    if !known || data_type.count.is_some() {
        let what = format!(
            "`{data_type}` is not spoken here; there are auto, f64, i64, u64, bool, string[N] and fields"
        );
        issues.push(Issue::new("type", what));
    }
    if point.own.expect.iter().any(|keyword| keyword.trim().is_empty()) {
        issues.push(Issue::new("expect", "a keyword is empty"));
    }
    if point.own.field.is_some_and(|field| !(-1..=63).contains(&field)) {
        issues.push(Issue::new("field", "is a number from 0 to 63, or -1 for the whole reply"));
    }
    if point.own.format.is_some() && matches!(data_type.kind, Kind::Fields | Kind::Bool) {
        issues.push(Issue::new("format", format!("`hms` gives seconds, which is no `{data_type}`")));
    }
    issues
}

/// Everything wrong with a configuration that is about to be used.
pub(crate) fn unusable(config: &Config) -> Option<String> {
    if config.address.is_empty() {
        return Some("`address` is not set: HOST, HOST:PORT or a serial line's device file".into());
    }
    config.issues().first().map(|issue| format!("`{}`: {}", issue.key, issue.what))
}

#[cfg(test)]
mod tests {
    use guideway_contract::{Access, DataType};

    use super::*;

    fn point(address: &str, data_type: &str) -> PointSpec<Point> {
        PointSpec::new(address, data_type.parse::<DataType>().unwrap(), Point::default())
    }

    #[test]
    fn each_question_is_asked_once_in_a_turn_and_variables_come_first() {
        let points = [
            point("Q500", "fields"),
            point("Q600 5021", "f64"),
            point("Q500", "string[20]"),
            point("E5021", "i32"),
            point("Q104", "string[20]"),
        ];
        let plan = Plan::new(&points);
        let (variables, queries) = plan.work(&[0, 1, 2, 3, 4]);
        assert_eq!(variables, [(1, vec![1, 3])]);
        assert_eq!(queries, [(0, vec![0, 2]), (2, vec![4])]);
    }

    #[test]
    fn what_cannot_be_read_is_bad_and_leaves_the_others_alone() {
        let mut written = point("Q104", "auto");
        written.access = Access::ReadWrite;
        let points = [
            point("Q10", "auto"),
            point("Q700", "auto"),
            point("Q104", "bits[8]"),
            written,
            point("Q100", "auto"),
        ];
        let plan = Plan::new(&points);
        assert_eq!(plan.readers.len(), 1);
        let bad: Vec<_> = plan.bad.iter().map(|(id, _)| id.index()).collect();
        assert_eq!(bad, [0, 1, 2, 3]);
        assert!(plan.bad[1].1.contains("expect"));
    }

    #[test]
    fn a_points_keywords_join_those_of_its_question() {
        let mut program = point("Q500", "auto");
        program.own.expect = vec!["PROGRAM".into()];
        let plan = Plan::new(&[program, point("Q500", "fields")]);
        assert_eq!(plan.questions[0].keywords, ["PROGRAM", "STATUS"]);
    }

    #[test]
    fn only_variables_that_a_profile_opens_are_written() {
        let mut job = point("E10600", "f64");
        job.access = Access::Write;
        let plan = Plan::new(&[job, point("Q600 5021", "f64")]);
        assert_eq!(plan.readers.len(), 1);
        assert_eq!(plan.write(point_id(0), &Native::Int(7)), Ok((10_600, "7.000000".into())));
        assert!(plan.write(point_id(1), &Native::Int(7)).is_err());
        assert!(plan.write(point_id(0), &Native::text("7")).is_err());
    }
}
