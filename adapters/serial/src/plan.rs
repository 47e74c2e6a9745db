//! Which points take what from which frames, what is asked, and what is written.

use std::collections::{HashMap, HashSet};

use guideway_contract::{Issue, Kind, Native, Period, PointId, PointSpec, RawReading, Timestamp, point_id};
use regex::Regex;

use crate::Config;
use crate::address::{Address, pattern};
use crate::codec::{Want, encode, pick, read};
use crate::point::Point;
use crate::write::Template;

/// A question, and the text of it for messages.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
    /// The shortest period of its points.
    pub(crate) period: Period,
}

#[derive(Debug)]
struct Reader {
    id: PointId,
    name: String,
    address: Address,
    matches: Option<Regex>,
    want: Want,
    question: Option<usize>,
}

#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) questions: Vec<Question>,
    readers: Vec<Reader>,
    /// Points that cannot be read, and why.
    pub(crate) bad: Vec<(PointId, String)>,
    writable: HashMap<PointId, Template>,
}

/// What points took from a frame.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) readings: Vec<RawReading>,
    /// Which of them are points of the question asked.
    pub(crate) answers: Vec<PointId>,
    /// What could not be read, for the fault counter.
    pub(crate) rejected: Option<String>,
}

impl Plan {
    pub(crate) fn new(config: &Config, points: &[PointSpec<Point>]) -> Self {
        let mut plan = Self::default();
        let mut asked: HashMap<&str, usize> = HashMap::new();
        for (index, point) in points.iter().enumerate() {
            let id = point_id(index);
            let parts = parts(config, point);
            let (address, matches, template) = match (issues(config, point).first(), parts) {
                (None, Ok(parts)) => parts,
                (issue, parts) => {
                    let cause = issue.map(|issue| issue.what.clone());
                    plan.bad.push((id, cause.or(parts.err().map(|issue| issue.what)).unwrap_or_default()));
                    continue;
                }
            };
            if let (true, Some(template)) = (point.access.writes(), template) {
                plan.writable.insert(id, template);
            }
            if !point.access.reads() {
                continue;
            }
            let question = (!point.own.query.is_empty()).then(|| {
                *asked.entry(&point.own.query).or_insert_with(|| {
                    let bytes = encode(&point.own.query, config.encoding).unwrap_or_default();
                    let text = point.own.query.trim().escape_default().to_string();
                    plan.questions.push(Question { text, bytes, period: point.period });
                    plan.questions.len() - 1
                })
            });
            if let Some(question) = question {
                let period = &mut plan.questions[question].period;
                *period = match (*period, point.period) {
                    (Period::Every(one), Period::Every(other)) => Period::Every(one.min(other)),
                    (Period::Every(every), Period::Once) | (Period::Once, Period::Every(every)) => {
                        Period::Every(every)
                    }
                    (Period::Once, Period::Once) => Period::Once,
                };
            }
            plan.readers.push(Reader {
                id,
                name: point.name.to_string(),
                address,
                matches,
                want: want(config, point),
                question,
            });
        }
        plan
    }

    /// What the points take from a frame: those of the question `asked`, and those that listen; where none of
    /// the question takes it, those that listen only.
    pub(crate) fn take(&self, text: &str, asked: Option<usize>, at: Timestamp) -> Taken {
        let mut taken = Taken::default();
        for reader in &self.readers {
            if reader.question.is_some() && reader.question != asked {
                continue;
            }
            if reader.matches.as_ref().is_some_and(|matches| !matches.is_match(text)) {
                continue;
            }
            let Some(part) = pick(&reader.address, &reader.want, text) else { continue };
            if reader.question.is_some() {
                taken.answers.push(reader.id);
            }
            taken.readings.push(match part.and_then(|part| read(&reader.want, part)) {
                Ok(value) => RawReading::good(reader.id, value, at),
                Err(cause) => {
                    taken.rejected.get_or_insert_with(|| format!("point {}: {cause}", reader.name));
                    RawReading::bad(reader.id, cause, at)
                }
            });
        }
        taken
    }

    /// The points that wait for an answer to a question.
    pub(crate) fn waiting(&self, question: usize) -> HashSet<PointId> {
        self.readers
            .iter()
            .filter(|reader| reader.question == Some(question))
            .map(|reader| reader.id)
            .collect()
    }

    /// A point's bad readings for a question that is not answered.
    pub(crate) fn unanswered(&self, question: usize, cause: &str, at: Timestamp) -> Vec<RawReading> {
        let readers = self.readers.iter().filter(|reader| reader.question == Some(question));
        readers.map(|reader| RawReading::bad(reader.id, cause, at)).collect()
    }

    /// The template for a point, and the bytes that write a value.
    pub(crate) fn write(&self, point: PointId, value: &Native) -> Result<(&Template, Vec<u8>), String> {
        let template =
            self.writable.get(&point).ok_or_else(|| format!("point {} is not writable", point.index()))?;
        Ok((template, template.fill(value)?))
    }
}

fn want(config: &Config, point: &PointSpec<Point>) -> Want {
    let lower = |words: &[String]| words.iter().map(|word| word.to_lowercase()).collect();
    Want {
        kind: point.data_type.kind,
        separator: point.own.separator.clone().unwrap_or_else(|| config.separator.clone()),
        decimal: point.own.decimal.unwrap_or(config.decimal),
        strip_units: point.own.strip_units,
        radix: point.own.radix.unwrap_or(10).clamp(2, 36),
        true_words: lower(&point.own.true_words),
        false_words: lower(&point.own.false_words),
    }
}

type Parts = (Address, Option<Regex>, Option<Template>);

fn parts(config: &Config, point: &PointSpec<Point>) -> Result<Parts, Issue> {
    let decimal = point.own.decimal.unwrap_or(config.decimal);
    let address = match Address::read(&point.address, decimal) {
        // A point that is only written takes nothing.
        Err(_) if !point.access.reads() => Address::Line,
        read => read.map_err(|what| Issue::new("addr", what))?,
    };
    let compile = |key, text: &Option<String>| {
        text.as_deref().map(pattern).transpose().map_err(|what| Issue::new(key, what))
    };
    let matches = compile("match", &point.own.matches)?;
    let (ack, nak) = (compile("ack", &point.own.ack)?, compile("nak", &point.own.nak)?);
    let template = match point.own.write.as_str() {
        "" => None,
        text => Some(
            Template::read(text, want(config, point), point.data_type.kind, config.encoding, ack, nak)
                .map_err(|what| Issue::new("write", what))?,
        ),
    };
    Ok((address, matches, template))
}

/// Everything wrong with a point.
pub(crate) fn issues(config: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
    let mut issues: Vec<Issue> = parts(config, point).err().into_iter().collect();
    let own = &point.own;
    let data_type = point.data_type;
    let known = !matches!(data_type.kind, Kind::Bcd(_) | Kind::WideText(_) | Kind::Bits(_) | Kind::Bytes(_));
    if !known || data_type.count.is_some() {
        let what = format!(
            "`{data_type}` is not spoken here; there are auto, f64, i64, u64, bool, string[N] and fields"
        );
        issues.push(Issue::new("type", what));
    }
    if point.access.writes() && own.write.is_empty() {
        issues.push(Issue::new("write", "say what is sent, as in write = \"SP {value}\\r\\n\""));
    }
    if !own.query.is_empty() && encode(&own.query, config.encoding).is_none() {
        issues.push(Issue::new("query", "has characters that are not of the `encoding`"));
    }
    if own.separator.as_deref() == Some("") {
        issues.push(Issue::new(
            "separator",
            "is empty; leave it out for commas, semicolons or blanks, as the text has them",
        ));
    }
    if own.radix.is_some_and(|radix| !(2..=36).contains(&radix)) {
        issues.push(Issue::new("radix", "is from 2 to 36"));
    }
    if own.true_words.is_empty() != own.false_words.is_empty() {
        issues.push(Issue::new("true_words", "give both `true_words` and `false_words`, or neither"));
    }
    issues
}

#[cfg(test)]
mod tests {
    use guideway_contract::{Access, DataType};

    use super::*;

    fn point(address: &str, data_type: &str, own: Point) -> PointSpec<Point> {
        PointSpec::new(address, data_type.parse::<DataType>().unwrap(), own)
    }

    fn asking(query: &str, matches: &str) -> Point {
        Point { query: query.into(), matches: Some(matches.into()), ..Point::default() }
    }

    #[test]
    fn a_frame_goes_to_the_points_that_asked_or_listen() {
        let points = [
            point("field:2", "f64", asking("SI\r\n", "^S [SD]")),
            point("field:1", "string[1]", asking("SI\r\n", "^S [SD]")),
            point("field:2", "string[20]", asking("I4\r\n", "^I4")),
            point("line", "string[20]", Point { matches: Some("^BTN".into()), ..Point::default() }),
        ];
        let plan = Plan::new(&Config::default(), &points);
        assert_eq!(plan.questions.len(), 2);
        let ids = |text: &str, asked| {
            let taken = plan.take(text, asked, Timestamp::EPOCH);
            (
                !taken.answers.is_empty(),
                taken.readings.iter().map(|reading| reading.point.0).collect::<Vec<_>>(),
            )
        };
        assert_eq!(ids("S S 100.00 g", Some(0)), (true, vec![0, 1]));
        assert_eq!(ids("S S 100.00 g", Some(1)), (false, vec![]));
        assert_eq!(ids("S S 100.00 g", None), (false, vec![]));
        assert_eq!(ids("BTN 1", Some(0)), (false, vec![3]));
    }

    #[test]
    fn what_cannot_be_read_is_bad_and_leaves_the_others_alone() {
        let points = [
            point("column:3", "auto", Point::default()),
            point("line", "bits[8]", Point::default()),
            point("line", "auto", Point { matches: Some("(".into()), ..Point::default() }),
            PointSpec { access: Access::Write, ..point("", "f64", Point::default()) },
            point(
                "line",
                "auto",
                Point { separator: Some(String::new()), radix: Some(1), ..Point::default() },
            ),
            point("line", "bool", Point { true_words: vec!["go".into()], ..Point::default() }),
            point("line", "auto", Point::default()),
        ];
        let plan = Plan::new(&Config::default(), &points);
        assert_eq!(plan.bad.iter().map(|(id, _)| id.index()).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(plan.take("x", None, Timestamp::EPOCH).readings.len(), 1);
    }

    #[test]
    fn a_chosen_frame_without_the_field_is_bad_and_another_frame_is_nothing() {
        let points = [
            point("field:2", "f64", Point { matches: Some("^ST".into()), ..Point::default() }),
            point("key:DEV", "f64", Point::default()),
        ];
        let plan = Plan::new(&Config::default(), &points);
        let taken = plan.take("ST,GS", None, Timestamp::EPOCH);
        assert!(taken.readings[0].value.is_bad() && taken.rejected.is_some());
        assert!(plan.take("PROBE,ACT=1", None, Timestamp::EPOCH).readings.is_empty());
        assert!(plan.take("PROBE,DEV=x", None, Timestamp::EPOCH).readings[0].value.is_bad());
    }
}
