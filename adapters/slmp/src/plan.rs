//! Which words are read with which request: neighbours together, over small gaps; what is scattered one by one.

use crate::address::{Device, Place};
use crate::config::Config;

/// What one request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Words in a row.
    pub(crate) words: u32,
    /// Words one by one; 0 for none.
    pub(crate) random: usize,
    /// Words between two points that are read over.
    pub(crate) gap: u32,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self { words: config.max_words.into(), random: config.max_random.into(), gap: config.max_gap.into() }
    }
}

/// Words in a row, and the points that lie in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) device: &'static Device,
    /// The first.
    pub(crate) word: u32,
    /// How many. More than a request may be only for a point that is larger itself.
    pub(crate) words: u32,
    pub(crate) points: Vec<usize>,
}

impl Block {
    /// The one of a single point.
    pub(crate) fn of(point: usize, place: &Place) -> Self {
        Self { device: place.device, word: place.word, words: place.words, points: vec![point] }
    }
}

/// One request, or as many as a large point needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// Words in a row.
    Block(Block),
    /// Words one by one.
    Random(Vec<Block>),
}

/// Up to so many words a block is small enough to be read one by one.
const SMALL: u32 = 4;

/// Plans the reading of points.
pub(crate) fn plan<'a>(points: impl IntoIterator<Item = (usize, &'a Place)>, limits: Limits) -> Vec<Batch> {
    let mut points: Vec<(usize, &Place)> = points.into_iter().collect();
    points.sort_by_key(|(point, place)| (place.device.code, place.word, *point));
    // A point that is larger than a request would stand in the way of its neighbours.
    let (own, points): (Vec<_>, Vec<_>) =
        points.into_iter().partition(|(_, place)| place.words > limits.words);
    let mut blocks: Vec<Block> = Vec::new();
    for (point, place) in points {
        if let Some(last) = blocks.last_mut()
            && last.device == place.device
        {
            let end = last.word + last.words;
            let whole = end.max(place.word + place.words) - last.word;
            if place.word <= end.saturating_add(limits.gap) && whole <= limits.words {
                last.words = whole;
                last.points.push(point);
                continue;
            }
        }
        blocks.push(Block::of(point, place));
    }
    blocks.extend(own.into_iter().map(|(point, place)| Block::of(point, place)));
    let is_small = |block: &Block| block.device.random && block.words <= SMALL;
    let (small, large): (Vec<Block>, Vec<Block>) = blocks.into_iter().partition(is_small);
    let mut batches: Vec<Batch> = large.into_iter().map(Batch::Block).collect();
    let mut together: Vec<Block> = Vec::new();
    let mut used = 0;
    for block in small {
        let words = block.words as usize;
        if used + words > limits.random {
            close(&mut batches, &mut together);
            used = 0;
        }
        if words > limits.random {
            batches.push(Batch::Block(block));
        } else {
            used += words;
            together.push(block);
        }
    }
    close(&mut batches, &mut together);
    batches
}

fn close(batches: &mut Vec<Batch>, together: &mut Vec<Block>) {
    let mut blocks = std::mem::take(together);
    match blocks.len() {
        0 => {}
        1 => batches.extend(blocks.pop().map(Batch::Block)),
        _ => batches.push(Batch::Random(blocks)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Series;

    const LIMITS: Limits = Limits { words: 960, random: 96, gap: 8 };

    fn places(texts: &[(&str, &str)]) -> Vec<Place> {
        let place =
            |(text, kind): &(&str, &str)| Place::parse(text, kind.parse().unwrap(), Series::IqR).unwrap();
        texts.iter().map(place).collect()
    }

    fn planned(texts: &[(&str, &str)], limits: Limits) -> Vec<(String, Vec<usize>)> {
        let places = places(texts);
        let show = |block: &Block| format!("{}{}+{}", block.device.name, block.word, block.words);
        plan(places.iter().enumerate(), limits)
            .into_iter()
            .map(|batch| match batch {
                Batch::Block(block) => (show(&block), block.points),
                Batch::Random(blocks) => (
                    blocks.iter().map(show).collect::<Vec<_>>().join(" "),
                    blocks.into_iter().flat_map(|block| block.points).collect(),
                ),
            })
            .collect()
    }

    #[test]
    fn neighbours_are_read_together_over_small_gaps() {
        let points = [("D10", "u16"), ("D0", "f32[3]"), ("D18", "u16"), ("D100", "u16[5]")];
        assert_eq!(planned(&points, LIMITS), [("D0+19".into(), vec![1, 0, 2]), ("D100+5".into(), vec![3])]);
    }

    #[test]
    fn scattered_words_are_read_one_by_one_but_for_contacts() {
        let points = [("D10", "u16"), ("D900", "u16"), ("M0", "bool"), ("W100", "u32"), ("TS5", "bool")];
        let batches = planned(&points, LIMITS);
        assert_eq!(
            batches,
            [("TS0+1".into(), vec![4]), ("M0+1 D10+1 D900+1 W256+2".into(), vec![2, 0, 1, 3])]
        );
        assert_eq!(planned(&points, Limits { random: 0, ..LIMITS }).len(), 5);
    }

    #[test]
    fn a_point_within_another_costs_nothing() {
        let points = [("D0", "u16[50]"), ("D3", "u16"), ("D3.1", "bool")];
        assert_eq!(planned(&points, LIMITS), [("D0+50".into(), vec![0, 1, 2])]);
    }

    proptest::proptest! {
        #[test]
        fn no_request_exceeds_a_limit_and_each_point_is_read_whole(
            points in proptest::collection::vec((0_u32..20_000, 1_u32..2_000, proptest::bool::ANY), 0..200),
            random in 0_usize..97,
        ) {
            let limits = Limits { random, ..LIMITS };
            let texts: Vec<(String, String)> = points
                .iter()
                .map(|(number, count, is_bit)| match is_bit {
                    true => (format!("M{number}"), format!("bool[{count}]")),
                    false => (format!("D{number}"), format!("u16[{count}]")),
                })
                .collect();
            let texts: Vec<(&str, &str)> = texts.iter().map(|(text, kind)| (text.as_str(), kind.as_str())).collect();
            let places = places(&texts);
            let mut seen = Vec::new();
            for batch in plan(places.iter().enumerate(), limits) {
                let blocks = match batch {
                    Batch::Block(block) => {
                        proptest::prop_assert!(block.words <= 960 || block.points.len() == 1);
                        vec![block]
                    }
                    Batch::Random(blocks) => {
                        proptest::prop_assert!(blocks.iter().map(|block| block.words as usize).sum::<usize>() <= random);
                        blocks
                    }
                };
                for block in blocks {
                    for &point in &block.points {
                        let place = &places[point];
                        proptest::prop_assert!(block.word <= place.word);
                        proptest::prop_assert!(place.word + place.words <= block.word + block.words);
                        proptest::prop_assert_eq!(block.device, place.device);
                    }
                    seen.extend(block.points);
                }
            }
            seen.sort_unstable();
            proptest::prop_assert_eq!(seen, (0..places.len()).collect::<Vec<_>>());
        }
    }
}
