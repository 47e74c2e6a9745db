//! A machining centre that probes each part and reports the results by DPRNT.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One characteristic: its number, nominal size, tolerance, and how far it drifts with each part as the tool wears.
struct Feature {
    number: u32,
    nominal: f64,
    tolerance: f64,
    drift: f64,
}

const FEATURES: [Feature; 6] = [
    Feature { number: 11, nominal: 25.0, tolerance: 0.010, drift: -0.000_25 },
    Feature { number: 12, nominal: 25.0, tolerance: 0.010, drift: -0.000_25 },
    Feature { number: 13, nominal: 80.0, tolerance: 0.030, drift: 0.000_4 },
    Feature { number: 14, nominal: 40.0, tolerance: 0.020, drift: 0.000_4 },
    Feature { number: 15, nominal: 12.5, tolerance: 0.015, drift: 0.000_2 },
    Feature { number: 16, nominal: 0.0, tolerance: 0.012, drift: 0.000_1 },
];
/// Seconds from one part's last feature to the next part's first.
const BETWEEN_PARTS: f64 = 14.0;

/// The machine with its probe.
#[derive(Debug)]
pub(crate) struct ProbeStation {
    rng: StdRng,
    /// Seconds until the next result.
    left: f64,
    sequence: u32,
    part: u32,
    feature: usize,
    /// Parts since the operator last corrected the offsets.
    worn: f64,
    is_scrap: bool,
}

impl ProbeStation {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let part = rng.random_range(4_000..6_000);
        let worn = rng.random_range(0.0..20.0);
        Self { left: 1.0, sequence: rng.random_range(1..900), part, feature: 0, worn, is_scrap: false, rng }
    }

    /// Lives for so many seconds more; the line that is printed meanwhile.
    pub(crate) fn step(&mut self, seconds: f64) -> Option<String> {
        self.left -= seconds;
        if self.left > 0.0 {
            return None;
        }
        let feature = &FEATURES[self.feature];
        // Several small errors together: nearly a normal distribution.
        let error: f64 =
            (0..4).map(|_| self.rng.random_range(-0.5..0.5)).sum::<f64>() * 0.25 * feature.tolerance;
        let deviation = feature.drift * self.worn + error;
        let is_out = deviation.abs() > feature.tolerance;
        self.is_scrap |= is_out;
        let line = format!(
            "PROBE SEQ {:>5} PART {:>8} FEAT {:>4} ACT {:>9.4} NOM {:>9.4} DEV {:>9.4} STAT {}",
            self.sequence,
            self.part,
            feature.number,
            feature.nominal + deviation,
            feature.nominal,
            // No minus before a zero.
            if deviation.abs() < 0.000_05 { 0.0 } else { deviation },
            u8::from(is_out)
        );
        self.sequence = if self.sequence >= 99_999 { 1 } else { self.sequence + 1 };
        self.feature += 1;
        self.left = self.rng.random_range(2.0..4.0);
        if self.feature == FEATURES.len() {
            self.feature = 0;
            self.part += 1;
            self.worn = if std::mem::take(&mut self.is_scrap) { 0.0 } else { self.worn + 1.0 };
            self.left += BETWEEN_PARTS;
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(seed: u64, minutes: f64) -> Vec<String> {
        let mut station = ProbeStation::new(seed);
        (0..(minutes * 1_200.0) as usize).filter_map(|_| station.step(0.05)).collect()
    }

    #[test]
    fn a_line_comes_every_few_seconds_and_looks_as_the_control_prints_it() {
        let lines = lines(1, 10.0);
        assert!((80..200).contains(&lines.len()), "{}", lines.len());
        for line in &lines {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(words.len(), 15, "{line}");
            assert_eq!(
                [words[0], words[1], words[3], words[5], words[7], words[9], words[11], words[13]],
                ["PROBE", "SEQ", "PART", "FEAT", "ACT", "NOM", "DEV", "STAT"]
            );
            let number = |at: usize| words[at].parse::<f64>().expect("a number");
            assert!((number(8) - number(10) - number(12)).abs() < 0.000_15, "{line}");
        }
    }

    #[test]
    fn now_and_then_a_part_is_out_of_tolerance_and_the_next_ones_are_good_again() {
        let lines = lines(2, 600.0);
        let bad = lines.iter().filter(|line| line.ends_with("STAT 1")).count();
        assert!(bad > 0 && bad * 20 < lines.len(), "{bad} of {}", lines.len());
    }

    #[test]
    fn the_same_seed_gives_the_same_lines() {
        assert_eq!(lines(7, 5.0), lines(7, 5.0));
        assert_ne!(lines(7, 5.0), lines(8, 5.0));
    }
}
