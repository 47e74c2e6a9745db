//! Which questions are asked together, and which points each answers.

use guideway_contract::DataType;

use crate::address::Address;
use crate::codec::Query;
use crate::codec::answer::pmc_bytes;

/// The most bytes of one response: what fits one Ethernet frame.
pub const MOST_REPLY: usize = 1_400;
/// The most bytes of PMC or macro data in one answer.
const MOST_DATA: usize = 256;

/// A point that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its place in the session's points.
    pub slot: usize,
    /// What it is.
    pub address: Address,
    /// How much of it.
    pub data_type: DataType,
    /// It is asked for by itself: together with its neighbours it was refused.
    pub alone: bool,
}

/// A question with the points that its answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub query: Query,
    /// The points: which, and where in the answer's data their own start.
    pub parts: Vec<(usize, usize)>,
    /// At most so many bytes come back.
    pub reply: usize,
}

/// Memory whose neighbours can be read together: PMC bytes of an area, macro variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Macro,
    Pmc(u8),
}

/// A stretch of it.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    family: Family,
    first: u32,
    count: u32,
    slot: usize,
    alone: bool,
}

/// How many macro variables or PMC bytes a point takes; `None` where its type does not fit.
pub fn units(address: Address, data_type: DataType) -> Option<u16> {
    match address {
        Address::Macro(_) => u16::try_from(data_type.elements()).ok().filter(|count| *count <= 32),
        Address::Pmc(_, _, Some(_)) => Some(1),
        Address::Pmc(_, _, None) => pmc_bytes(data_type),
        _ => Some(1),
    }
}

/// The questions for these points: each asked once, neighbours together over gaps of at most `max_gap`.
pub fn questions(wanted: &[Wanted], max_gap: u16, long_parameters: bool) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    let mut stretches = Vec::new();
    for point in wanted {
        let Some(count) = units(point.address, point.data_type) else { continue };
        let (family, first) = match point.address {
            Address::Macro(first) => (Family::Macro, first),
            Address::Pmc(area, first, _) => (Family::Pmc(area), u32::from(first)),
            address => {
                let query = address.query(1, long_parameters);
                match questions.iter_mut().find(|question| question.query == query) {
                    Some(question) => question.parts.push((point.slot, 0)),
                    None => questions.push(Question {
                        query,
                        parts: vec![(point.slot, 0)],
                        reply: 16 + expected(address),
                    }),
                }
                continue;
            }
        };
        stretches.push(Stretch {
            family,
            first,
            count: u32::from(count),
            slot: point.slot,
            alone: point.alone,
        });
    }
    stretches.sort_by_key(|stretch| (stretch.alone, stretch.family, stretch.first));
    let mut open: Vec<Stretch> = Vec::new();
    for stretch in stretches {
        let joins =
            open.first().zip(open.iter().map(|s| s.first + s.count).max()).is_some_and(|(head, end)| {
                let whole = (stretch.first + stretch.count).saturating_sub(head.first) as usize;
                head.family == stretch.family
                    && !head.alone
                    && !stretch.alone
                    && stretch.first <= end + u32::from(max_gap)
                    && whole * width(head.family) <= MOST_DATA
            });
        if !joins {
            questions.extend(closed(&open));
            open.clear();
        }
        open.push(stretch);
    }
    questions.extend(closed(&open));
    questions
}

const fn width(family: Family) -> usize {
    match family {
        Family::Macro => 8,
        Family::Pmc(_) => 1,
    }
}

fn closed(stretches: &[Stretch]) -> Option<Question> {
    let head = stretches.first()?;
    let end = stretches.iter().map(|stretch| stretch.first + stretch.count).max()?;
    let count = u16::try_from(end - head.first).ok()?;
    let query = match head.family {
        Family::Macro => Query::macros(head.first, count),
        Family::Pmc(area) => Query::pmc(area, u16::try_from(head.first).ok()?, count),
    };
    let width = width(head.family);
    let parts = stretches.iter().map(|stretch| (stretch.slot, (stretch.first - head.first) as usize * width));
    Some(Question { query, parts: parts.collect(), reply: 16 + usize::from(count) * width })
}

/// At most so many bytes of data answer it: 32 axes or spindles, ten alarms.
const fn expected(address: Address) -> usize {
    match address {
        Address::Position(..) | Address::AxisLoad(_) | Address::SpindleLoad(_) => 256,
        Address::Parameter(..) => 264,
        Address::AlarmList | Address::AlarmCount | Address::AlarmText => 800,
        Address::Axes => 128,
        _ => 64,
    }
}

/// Questions in requests of at most `most`, with responses of at most [`MOST_REPLY`] bytes.
pub fn requests(questions: Vec<Question>, most: usize) -> Vec<Vec<Question>> {
    let mut requests: Vec<Vec<Question>> = Vec::new();
    let mut bytes = 0;
    for question in questions {
        let reply = question.reply;
        match requests.last_mut() {
            Some(request) if request.len() < most && 12 + bytes + reply <= MOST_REPLY => {
                request.push(question);
            }
            _ => {
                requests.push(vec![question]);
                bytes = 0;
            }
        }
        bytes += reply;
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(slot: usize, address: &str, data_type: &str) -> Wanted {
        Wanted {
            slot,
            address: address.parse().unwrap(),
            data_type: data_type.parse().unwrap(),
            alone: false,
        }
    }

    #[test]
    fn points_of_one_answer_are_asked_once_and_neighbours_together() {
        let points = [
            wanted(0, "position.machine.1", "auto"),
            wanted(1, "position.machine.2", "auto"),
            wanted(2, "position.absolute.1", "auto"),
            wanted(3, "pmc:R110", "u16"),
            wanted(4, "pmc:R100.3", "auto"),
            wanted(5, "pmc:R130", "u8"),
            wanted(6, "pmc:D110", "u8"),
            wanted(7, "macro:502", "auto"),
            wanted(8, "macro:500", "auto"),
            Wanted { alone: true, ..wanted(9, "macro:501", "auto") },
        ];
        let found = questions(&points, 10, true);
        let parts: Vec<_> = found.iter().map(|question| question.parts.clone()).collect();
        let wanted = [
            vec![(0, 0), (1, 0)],
            vec![(2, 0)],
            vec![(8, 0), (7, 16)],
            vec![(4, 0), (3, 10)],
            vec![(5, 0)],
            vec![(6, 0)],
            vec![(9, 0)],
        ];
        assert_eq!(parts, wanted);
        assert_eq!(found[3].query, Query::pmc(5, 100, 12));
    }

    proptest! {
        #[test]
        fn no_request_exceeds_the_limits_and_nothing_is_left_out(
            bytes in prop::collection::vec(0_u16..3_000, 0..300), most in 1_usize..=10,
        ) {
            let mut points: Vec<_> =
                bytes.iter().enumerate().map(|(slot, byte)| wanted(slot, &format!("pmc:D{byte}"), "u32")).collect();
            points.extend((0..40).map(|n| wanted(1_000 + n, &format!("param:{n}"), "auto")));
            points.push(wanted(2_000, "alarm.text", "auto"));
            let requests = requests(questions(&points, 8, false), most);
            for request in &requests {
                prop_assert!((1..=most).contains(&request.len()));
                prop_assert!(12 + request.iter().map(|question| question.reply).sum::<usize>() <= MOST_REPLY);
                for question in request.iter().filter(|question| question.query.device == 2) {
                    prop_assert!(question.reply <= 16 + MOST_DATA);
                    prop_assert!(question.parts.iter().all(|(_, at)| at + 4 + 16 <= question.reply));
                }
            }
            let parts = requests.concat().into_iter().flat_map(|question| question.parts);
            let mut slots: Vec<_> = parts.map(|(slot, _)| slot).collect();
            slots.sort_unstable();
            let mut all: Vec<_> = points.iter().map(|point| point.slot).collect();
            all.sort_unstable();
            prop_assert_eq!(slots, all);
        }
    }
}
