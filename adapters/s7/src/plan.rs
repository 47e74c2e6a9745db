//! What is read together: points to blocks, blocks to requests that fit the negotiated PDU.

use crate::address::Place;
use crate::codec::job::{DATA_HEAD, ITEM, MOST_ITEMS, READ_HEAD, REPLY_HEAD, Span, WRITE_HEAD};
use crate::layout::Layout;

/// What the controller and the profile allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the longest PDU, either way.
    pub pdu: usize,
    /// Bytes that may be read for nothing between two points.
    pub max_gap: u32,
}

impl Limits {
    /// Most bytes of one item in a reply; even, so that timers and counters are not cut.
    pub const fn item(self) -> usize {
        self.pdu.saturating_sub(REPLY_HEAD + DATA_HEAD) & !1
    }

    /// Most items of a request.
    pub const fn items(self) -> usize {
        let fit = self.pdu.saturating_sub(READ_HEAD) / ITEM;
        if fit < MOST_ITEMS { fit } else { MOST_ITEMS }
    }

    /// Most bytes that one job writes.
    pub const fn write(self) -> usize {
        self.pdu.saturating_sub(WRITE_HEAD) & !1
    }
}

/// Neighbouring points that are read as one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins.
    pub place: Place,
    /// How many bytes it has.
    pub length: u32,
    /// Its points; more than one only when it fits one item.
    pub points: Vec<usize>,
}

/// One item of a request: a block, or a part of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The block's place in the plan.
    pub block: usize,
    /// From which of its bytes on.
    pub offset: u32,
    /// What is asked for.
    pub span: Span,
}

/// Requests that read blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is read.
    pub blocks: Vec<Block>,
    /// How: each request's items, parts of a block in their order.
    pub requests: Vec<Vec<Piece>>,
}

/// Blocks of these points: neighbours are merged, unless each is to be on its own.
pub fn blocks<'a>(
    points: impl IntoIterator<Item = (usize, &'a Layout)>,
    limits: Limits,
    merge: bool,
) -> Vec<Block> {
    let mut sorted: Vec<_> = points.into_iter().collect();
    sorted.sort_by_key(|(_, layout)| layout.place);
    let mut blocks: Vec<Block> = Vec::new();
    for (point, layout) in sorted {
        let place = layout.place;
        let end = place.start + layout.bytes();
        if let Some(last) = blocks.last_mut().filter(|last| {
            (last.place.area, last.place.db) == (place.area, place.db)
                && place.start <= last.place.start + last.length + limits.max_gap
        }) {
            let length = last.length.max(end - last.place.start);
            if merge && length as usize <= limits.item() {
                last.length = length;
                last.points.push(point);
                continue;
            }
        }
        blocks.push(Block { place, length: end - place.start, points: vec![point] });
    }
    blocks
}

impl Plan {
    /// The requests for these blocks, of at most `items` items each.
    pub fn new(blocks: Vec<Block>, limits: Limits, items: usize) -> Self {
        let items = items.min(limits.items()).max(1);
        let most = u32::try_from(limits.item()).unwrap_or(u32::MAX).max(2);
        let mut requests: Vec<Vec<Piece>> = Vec::new();
        let mut room = 0;
        for (block, Block { place, length, .. }) in blocks.iter().enumerate() {
            let mut offset = 0;
            while offset < *length {
                let part = most.min(length - offset);
                let place = Place { start: place.start + offset, ..*place };
                let span = Span { place, length: u16::try_from(part).unwrap_or(u16::MAX) };
                let piece = Piece { block, offset, span };
                let needed = DATA_HEAD + (part as usize).next_multiple_of(2);
                match requests.last_mut().filter(|request| request.len() < items && needed <= room) {
                    Some(request) => request.push(piece),
                    None => {
                        requests.push(vec![piece]);
                        room = limits.pdu.saturating_sub(REPLY_HEAD);
                    }
                }
                room = room.saturating_sub(needed);
                offset += part;
            }
        }
        Self { blocks, requests }
    }
}

#[cfg(test)]
mod tests {
    use guideway_contract::PointSpec;
    use proptest::prelude::*;

    use super::*;
    use crate::Point;
    use crate::codec::job;

    fn layouts(points: &[(String, &str)]) -> Vec<Layout> {
        let layout = |(address, data_type): &(String, &str)| {
            Layout::new(&PointSpec::new(address, data_type.parse().unwrap(), Point::default())).unwrap()
        };
        points.iter().map(layout).collect()
    }

    fn planned(layouts: &[Layout], limits: Limits) -> Plan {
        Plan::new(blocks(layouts.iter().enumerate(), limits, true), limits, MOST_ITEMS)
    }

    /// Bytes of a request and of its reply.
    fn sizes(request: &[Piece]) -> (usize, usize) {
        let spans: Vec<_> = request.iter().map(|piece| piece.span).collect();
        let mut reply = REPLY_HEAD;
        for (index, span) in spans.iter().enumerate() {
            reply += DATA_HEAD + usize::from(span.length);
            reply += if index + 1 < spans.len() { usize::from(span.length % 2) } else { 0 };
        }
        (job::read(1, &spans).len(), reply)
    }

    /// Each byte of each point is asked for, and no request or reply breaks a limit.
    fn hold(layouts: &[Layout], plan: &Plan, limits: Limits) {
        let mut covered = vec![0; plan.blocks.len()];
        for request in &plan.requests {
            assert!((1..=MOST_ITEMS).contains(&request.len()));
            let (asked, answered) = sizes(request);
            assert!(asked <= limits.pdu, "a request of {asked} bytes in a PDU of {}", limits.pdu);
            assert!(answered <= limits.pdu, "a reply of {answered} bytes in a PDU of {}", limits.pdu);
            for piece in request {
                assert_eq!(piece.offset, covered[piece.block], "parts in their order, without a hole");
                assert_eq!(piece.span.place.start, plan.blocks[piece.block].place.start + piece.offset);
                covered[piece.block] += u32::from(piece.span.length);
            }
        }
        let mut seen = vec![false; layouts.len()];
        for (block, covered) in plan.blocks.iter().zip(covered) {
            assert_eq!(covered, block.length);
            for &point in &block.points {
                let place = layouts[point].place;
                assert_eq!((place.area, place.db), (block.place.area, block.place.db));
                let offset = place.start - block.place.start;
                assert!(offset + layouts[point].bytes() <= block.length);
                assert!(!std::mem::replace(&mut seen[point], true), "read once");
            }
        }
        assert!(seen.into_iter().all(|seen| seen));
    }

    #[test]
    fn five_thousand_points_fit_every_usual_pdu() {
        let mut points: Vec<(String, &str)> = Vec::new();
        for index in 0..5_000_u32 {
            let data_type = ["u16", "f32", "bool[3]", "string[30]", "f32[400]"][(index % 5) as usize];
            points.push((format!("DB{}.{}", 1 + index % 3, index * 13 % 40_000), data_type));
        }
        points.push(("T7".into(), "auto[300]"));
        let layouts = layouts(&points);
        for pdu in [240, 480, 960] {
            for max_gap in [0, 32, 65_535] {
                let limits = Limits { pdu, max_gap };
                hold(&layouts, &planned(&layouts, limits), limits);
            }
        }
    }

    #[test]
    fn neighbours_within_the_gap_are_one_block() {
        let points = [("DB1.0", "u16"), ("DB1.10", "u16"), ("DB1.21", "u8"), ("DB2.22", "u8")]
            .map(|(address, data_type)| (address.to_owned(), data_type));
        let limits = Limits { pdu: 240, max_gap: 8 };
        let plan = planned(&layouts(&points), limits);
        let found: Vec<_> = plan.blocks.iter().map(|block| (block.place.start, block.length)).collect();
        assert_eq!(found, [(0, 12), (21, 1), (22, 1)]);
        assert_eq!(plan.requests.len(), 1);
    }

    #[test]
    fn small_items_are_limited_by_number_and_by_the_request() {
        let points: Vec<_> = (0..100).map(|index| (format!("DB1.{}", index * 100), "u8")).collect();
        let layouts = layouts(&points);
        for (pdu, expected) in [(240, 19), (480, 20), (960, 20)] {
            let plan = planned(&layouts, Limits { pdu, max_gap: 0 });
            assert_eq!(plan.requests[0].len(), expected, "PDU {pdu}");
        }
    }

    proptest! {
        #[test]
        fn any_points_fit_any_pdu(
            points in prop::collection::vec((0_u32..3_000, 1_u32..600), 1..60),
            pdu in 64_usize..=960,
            max_gap in 0_u32..100,
        ) {
            let layouts: Vec<_> = points
                .iter()
                .map(|(start, length)| {
                    let data_type = format!("bytes[{length}]").parse().unwrap();
                    Layout::new(&PointSpec::new(&format!("DB1.{start}"), data_type, Point::default())).unwrap()
                })
                .collect();
            let limits = Limits { pdu, max_gap };
            hold(&layouts, &planned(&layouts, limits), limits);
            let single = Plan::new(blocks(layouts.iter().enumerate(), limits, false), limits, 1);
            hold(&layouts, &single, limits);
        }
    }
}
