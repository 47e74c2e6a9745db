//! Which registers are read together.
//!
//! Points with one period, unit and table that lie near each other share a request. A unit that refuses one address
//! refuses the whole request, so a refused batch is halved until the bad point is alone; then what is left is joined
//! again, as far as a join has not itself been refused (what lies between two points may not exist either).

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::Period;
use tokio::time::Instant;

use crate::codec::Request;
use crate::field::Field;
use crate::{Config, Table};

/// How long a refused point is left alone.
const RETRY: Duration = Duration::from_secs(60);

/// Points that one request reads.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) unit: u8,
    pub(crate) table: Table,
    pub(crate) start: u16,
    pub(crate) count: u16,
    /// Indices of fields, by where they start.
    pub(crate) fields: Vec<usize>,
    /// Why it is not read, and until when.
    pub(crate) bad: Option<(Arc<str>, Instant)>,
    /// Turns in a row that the unit was busy.
    pub(crate) busy: u32,
    /// Where in `fields` smaller batches were joined again.
    joints: Vec<usize>,
}

impl Batch {
    fn of(fields: &[Field], chosen: &[usize]) -> Option<Self> {
        let first = fields.get(*chosen.first()?)?;
        let end = chosen.iter().map(|at| fields[*at].end()).max()?;
        Some(Self {
            unit: first.unit,
            table: first.table,
            start: first.start,
            count: u16::try_from(end - u32::from(first.start)).unwrap_or(u16::MAX),
            fields: chosen.to_vec(),
            bad: None,
            busy: 0,
            joints: Vec::new(),
        })
    }

    fn end(&self) -> u32 {
        u32::from(self.start) + u32::from(self.count)
    }

    /// The request that reads it.
    pub(crate) fn request(&self) -> Request {
        Request::Read { table: self.table, start: self.start, count: self.count }
    }

    /// Leaves it alone for a while.
    pub(crate) fn refuse(&mut self, cause: Arc<str>) {
        self.bad = Some((cause, Instant::now() + RETRY));
    }

    /// Why it is not read now.
    pub(crate) fn refused(&self) -> Option<&Arc<str>> {
        self.bad.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(cause, _)| cause)
    }
}

/// Batches that are due together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) period: Period,
    pub(crate) batches: Vec<Batch>,
    /// Where a join was refused: unit, table, and the start of what came behind.
    seams: Vec<(u8, Table, u16)>,
}

/// All batches of a session.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) groups: Vec<Group>,
    max_registers: u16,
    max_coils: u16,
    max_gap: u16,
}

impl Plan {
    /// Batches for these fields.
    pub(crate) fn new(fields: &[Field], config: &Config) -> Self {
        let mut order: Vec<(Period, usize)> =
            fields.iter().enumerate().filter_map(|(at, field)| Some((field.period?, at))).collect();
        order.sort_by_key(|(period, at)| {
            let field = &fields[*at];
            (*period, field.unit, field.table, field.start, field.span)
        });
        let mut plan = Self {
            groups: Vec::new(),
            max_registers: config.max_registers.clamp(1, 125),
            max_coils: config.max_coils.clamp(1, 2000),
            max_gap: config.max_gap,
        };
        for of_period in order.chunk_by(|a, b| a.0 == b.0) {
            let chosen: Vec<usize> = of_period.iter().map(|(_, at)| *at).collect();
            let mut batches: Vec<Batch> = Vec::new();
            for at in chosen {
                let Some(next) = Batch::of(fields, &[at]) else { continue };
                match batches.last_mut() {
                    Some(last) if plan.fits(last, &next) => append(last, &next),
                    _ => batches.push(next),
                }
            }
            plan.groups.push(Group { period: of_period[0].0, batches, seams: Vec::new() });
        }
        plan
    }

    /// Whether `next`, which does not start before `last`, can be read with it.
    fn fits(&self, last: &Batch, next: &Batch) -> bool {
        let most = if last.table.is_bits() { self.max_coils } else { self.max_registers };
        let end = last.end().max(next.end());
        (last.unit, last.table) == (next.unit, next.table)
            && u32::from(next.start) <= last.end() + u32::from(self.max_gap)
            && end - u32::from(last.start) <= u32::from(most)
    }

    /// Puts two or more smaller batches in the place of a refused one; false if it has one point only.
    pub(crate) fn split(&mut self, group: usize, at: usize, fields: &[Field]) -> bool {
        let group = &mut self.groups[group];
        let batch = &group.batches[at];
        if batch.fields.len() < 2 {
            return false;
        }
        let cuts = if batch.joints.is_empty() { vec![batch.fields.len() / 2] } else { batch.joints.clone() };
        let is_seam = !batch.joints.is_empty();
        let mut rest = batch.fields.as_slice();
        let mut parts = Vec::with_capacity(cuts.len() + 1);
        let mut before = 0;
        for cut in cuts {
            let (part, behind) = rest.split_at((cut - before).min(rest.len()));
            parts.extend(Batch::of(fields, part));
            (rest, before) = (behind, cut);
        }
        parts.extend(Batch::of(fields, rest));
        if is_seam {
            group.seams.extend(parts.iter().skip(1).map(|part| (part.unit, part.table, part.start)));
        }
        group.batches.splice(at..=at, parts);
        true
    }

    /// Joins what was split, but for bad points and refused joins.
    pub(crate) fn join(&mut self, group: usize) {
        let batches = std::mem::take(&mut self.groups[group].batches);
        let mut joined: Vec<Batch> = Vec::with_capacity(batches.len());
        for next in batches {
            let seam = (next.unit, next.table, next.start);
            match joined.last_mut() {
                Some(last)
                    if last.bad.is_none()
                        && next.bad.is_none()
                        && self.fits(last, &next)
                        && !self.groups[group].seams.contains(&seam) =>
                {
                    let length = last.fields.len();
                    last.joints.push(length);
                    last.joints.extend(next.joints.iter().map(|joint| joint + length));
                    append(last, &next);
                }
                _ => joined.push(next),
            }
        }
        self.groups[group].batches = joined;
    }
}

fn append(last: &mut Batch, next: &Batch) {
    let end = last.end().max(next.end());
    last.count = u16::try_from(end - u32::from(last.start)).unwrap_or(u16::MAX);
    last.fields.extend_from_slice(&next.fields);
}

#[cfg(test)]
mod tests {
    use guideway_contract::{DataType, PointSpec};
    use proptest::prelude::*;

    use super::*;
    use crate::Point;

    fn fields(points: &[(&str, &str)], config: &Config) -> Vec<Field> {
        let specs: Vec<_> = points
            .iter()
            .map(|(address, kind)| {
                PointSpec::new(address, kind.parse::<DataType>().unwrap(), Point::default())
            })
            .collect();
        let (fields, broken) = crate::field::fields(config, &specs);
        assert_eq!(broken, []);
        fields
    }

    fn ranges(plan: &Plan) -> Vec<(u16, u16)> {
        plan.groups
            .iter()
            .flat_map(|group| group.batches.iter().map(|batch| (batch.start, batch.count)))
            .collect()
    }

    #[test]
    fn near_points_share_a_request_and_far_ones_do_not() {
        let config = Config::default();
        let fields = fields(
            &[("input:20", "u16"), ("input:0", "f32"), ("input:10", "u16"), ("holding:0", "u16")],
            &config,
        );
        assert_eq!(ranges(&Plan::new(&fields, &config)), [(0, 11), (20, 1), (0, 1)]);
        let wide = Config { max_gap: 9, ..config };
        assert_eq!(ranges(&Plan::new(&fields, &wide)), [(0, 21), (0, 1)]);
    }

    #[test]
    fn points_that_overlap_are_read_once() {
        let config = Config::default();
        let fields = fields(&[("input:0", "u32"), ("input:1", "u16"), ("input:0.3", "bool")], &config);
        assert_eq!(ranges(&Plan::new(&fields, &config)), [(0, 2)]);
    }

    #[test]
    fn a_bad_point_ends_alone_and_the_others_in_two_requests() {
        let config = Config::default();
        let addresses: Vec<String> = (0..101).map(|at| format!("holding:{at}")).collect();
        let points: Vec<_> = addresses.iter().map(|address| (address.as_str(), "u16")).collect();
        let fields = fields(&points, &config);
        let mut plan = Plan::new(&fields, &config);
        let asked = turn(&mut plan, &fields, |batch| !(batch.start..batch.start + batch.count).contains(&37));
        assert!(asked < 20, "{asked} requests to find one bad point");
        assert_eq!(ranges(&plan), [(0, 37), (37, 1), (38, 63)]);
        assert_eq!(turn(&mut plan, &fields, |batch| batch.start != 37), 2);
    }

    #[test]
    fn a_hole_that_cannot_be_read_is_found_once_and_then_left_out() {
        let config = Config::default();
        let addresses: Vec<String> = (0..40).chain(44..80).map(|at| format!("holding:{at}")).collect();
        let points: Vec<_> = addresses.iter().map(|address| (address.as_str(), "u16")).collect();
        let fields = fields(&points, &config);
        let mut plan = Plan::new(&fields, &config);
        let exists = |batch: &Batch| batch.end() <= 42 || batch.start > 42;
        for _ in 0..3 {
            turn(&mut plan, &fields, exists);
        }
        let before = ranges(&plan);
        assert!(turn(&mut plan, &fields, exists) <= 8);
        assert_eq!(ranges(&plan), before);
    }

    /// Reads as a session does; how many requests it took.
    fn turn(plan: &mut Plan, fields: &[Field], answers: impl Fn(&Batch) -> bool) -> usize {
        let (mut at, mut asked, mut changed) = (0, 0, false);
        while at < plan.groups[0].batches.len() {
            let batch = &mut plan.groups[0].batches[at];
            if batch.bad.is_some() {
                at += 1;
                continue;
            }
            asked += 1;
            if answers(batch) {
                at += 1;
            } else if batch.fields.len() == 1 {
                batch.bad = Some(("bad".into(), Instant::now() + RETRY));
            } else {
                changed = plan.split(0, at, fields);
            }
        }
        if changed {
            plan.join(0);
        }
        asked
    }

    proptest! {
        #[test]
        fn no_request_exceeds_the_limits_and_every_point_is_read_once(
            places in proptest::collection::vec((0..4_usize, 0..3_000_u16, 0..4_usize), 1..200),
            max_registers in 4..=125_u16, max_coils in 64..=2000_u16, max_gap in 0..40_u16,
        ) {
            let config = Config { max_registers, max_coils, max_gap, ..Config::default() };
            let points: Vec<(String, &str)> = places.into_iter().map(|(table, start, kind)| {
                let table = Table::ALL[table];
                let kinds = if table.is_bits() { ["bool", "bool[7]", "bits[64]", "bool"] } else { ["u16", "f32", "f64", "string[7]"] };
                (format!("{}:{start}", table.word()), kinds[kind])
            }).collect();
            let points: Vec<_> = points.iter().map(|(address, kind)| (address.as_str(), *kind)).collect();
            let fields = fields(&points, &config);
            let mut plan = Plan::new(&fields, &config);
            for round in 0..2 {
                let mut read: Vec<usize> = Vec::new();
                for batch in &plan.groups[0].batches {
                    let most = if batch.table.is_bits() { max_coils } else { max_registers };
                    prop_assert!(batch.count <= most);
                    for at in &batch.fields {
                        prop_assert!(fields[*at].start >= batch.start && fields[*at].end() <= batch.end());
                        prop_assert_eq!(fields[*at].table, batch.table);
                    }
                    read.extend(&batch.fields);
                }
                read.sort_unstable();
                prop_assert_eq!(read, (0..fields.len()).collect::<Vec<_>>());
                if round == 0 {
                    turn(&mut plan, &fields, |batch| batch.count % 3 > 0);
                }
            }
        }
    }
}
