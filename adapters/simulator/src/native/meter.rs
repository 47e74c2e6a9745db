//! A three-phase meter on the shop's main line, with the registers of an Eastron SDM630.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::modbus::Bank;

/// Registers that there are; those without a meaning are zero.
const INPUTS: usize = 382;
const HOLDINGS: usize = 64;
/// Most registers in a request: 40 values.
const MOST: u16 = 80;
/// Seconds over which the demand is taken.
const DEMAND: f64 = 900.0;

/// A consumer that is switched on and off.
#[derive(Clone, Debug)]
struct Load {
    /// Watts on each phase, while it is on.
    watts: [f64; 3],
    factor: f64,
    /// How long it is on, and off, in seconds: from and to.
    on: (f64, f64),
    off: (f64, f64),
    is_on: bool,
    left: f64,
    /// How much of it is drawn now, 0 to 1: motors and furnaces need a moment.
    share: f64,
}

impl Load {
    const fn new(watts: [f64; 3], factor: f64, on: (f64, f64), off: (f64, f64)) -> Self {
        Self { watts, factor, on, off, is_on: false, left: 0.0, share: 0.0 }
    }

    fn step(&mut self, seconds: f64, rng: &mut StdRng) {
        self.left -= seconds;
        if self.left <= 0.0 {
            self.is_on = !self.is_on;
            let (from, to) = if self.is_on { self.on } else { self.off };
            self.left = rng.random_range(from..to);
        }
        let end = if self.is_on { rng.random_range(0.97..1.03) } else { 0.0 };
        self.share += (end - self.share) * (1.0 - (-seconds / 0.6).exp());
    }
}

/// The meter and what hangs on it.
#[derive(Debug)]
pub(crate) struct Meter {
    rng: StdRng,
    loads: Vec<Load>,
    /// The mains without load, and its frequency.
    volts: [f64; 3],
    hertz: f64,
    /// Kilowatt-hours, in.
    energy: f64,
    reactive_energy: f64,
    demand: f64,
    peak: f64,
    pub(crate) bank: Bank,
}

impl Meter {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bank = Bank {
            // The meter has neither: they are those of the serial server that it hangs on, outputs wired to inputs.
            coils: vec![false; 8],
            discretes: vec![false; 8],
            inputs: vec![0; INPUTS],
            holdings: vec![0; HOLDINGS],
            most: MOST,
        };
        // Demand period 60 min, system type 3 (three phases, four wires), node 1, 9600 baud.
        for (at, value) in [(2, 60.0_f32), (10, 3.0), (20, 1.0), (28, 2.0)] {
            let bits = value.to_bits();
            (bank.holdings[at], bank.holdings[at + 1]) = ((bits >> 16) as u16, bits as u16);
        }
        let loads = vec![
            // Lights and offices, never off.
            Load::new([1_900.0, 1_450.0, 1_250.0], 0.96, (1e9, 2e9), (0.1, 0.2)),
            // The compressor.
            Load::new([2_500.0; 3], 0.84, (40.0, 90.0), (60.0, 200.0)),
            // A mill's spindle.
            Load::new([2_100.0; 3], 0.78, (6.0, 20.0), (4.0, 18.0)),
            // The press's pump.
            Load::new([4_300.0; 3], 0.86, (3.0, 6.0), (5.0, 9.0)),
            // A heater between two phases.
            Load::new([0.0, 900.0, 900.0], 1.0, (20.0, 60.0), (40.0, 120.0)),
        ];
        let energy = rng.random_range(21_000.0..24_000.0);
        let mut meter = Self {
            rng,
            loads,
            volts: [231.0, 230.2, 231.6],
            hertz: 50.0,
            energy,
            reactive_energy: energy * 0.45,
            demand: 11_000.0,
            peak: 23_500.0,
            bank,
        };
        meter.step(0.0);
        meter
    }

    /// Lives for so many seconds more.
    pub(crate) fn step(&mut self, seconds: f64) {
        let (mut watts, mut vars) = ([0.0; 3], [0.0; 3]);
        for load in &mut self.loads {
            load.step(seconds, &mut self.rng);
            let angle = load.factor.acos();
            for phase in 0..3 {
                watts[phase] += load.watts[phase] * load.share;
                vars[phase] += load.watts[phase] * load.share * angle.tan();
            }
        }
        // Mains wander slowly and come back.
        let root = seconds.sqrt();
        for volts in &mut self.volts {
            *volts += (230.8 - *volts) * 0.01 * seconds + self.rng.random_range(-0.25..0.25) * root;
        }
        self.hertz += (50.0 - self.hertz) * 0.05 * seconds + self.rng.random_range(-0.012..0.012) * root;
        let total: f64 = watts.iter().sum();
        self.energy += total * seconds / 3_600_000.0;
        self.reactive_energy += vars.iter().sum::<f64>() * seconds / 3_600_000.0;
        self.demand += (total - self.demand) * (1.0 - (-seconds / DEMAND).exp());
        self.peak = self.peak.max(self.demand);
        self.show(watts, vars);
    }

    fn show(&mut self, watts: [f64; 3], vars: [f64; 3]) {
        let Self { bank, .. } = self;
        let (mut volts, mut amperes) = ([0.0; 3], [0.0; 3]);
        for phase in 0..3 {
            let apparent = watts[phase].hypot(vars[phase]);
            // The line drops a little under load.
            volts[phase] = self.volts[phase] - 0.03 * apparent / 230.0;
            amperes[phase] = apparent / volts[phase];
            let at = phase * 2;
            bank.put(at, volts[phase]);
            bank.put(6 + at, amperes[phase]);
            bank.put(12 + at, watts[phase]);
            bank.put(18 + at, apparent);
            bank.put(24 + at, vars[phase]);
            bank.put(30 + at, factor(watts[phase], apparent));
            bank.put(36 + at, factor(watts[phase], apparent).acos().to_degrees());
            bank.put(234 + at, 1.7 + 0.02 * amperes[phase]);
            bank.put(240 + at, 6.0 + 40.0 / (1.0 + amperes[phase]));
            let other = (phase + 1) % 3;
            let between = self.volts[phase].mul_add(self.volts[phase], self.volts[other].powi(2));
            bank.put(200 + at, self.volts[phase].mul_add(self.volts[other], between).sqrt());
        }
        let mean = |three: [f64; 3]| three.iter().sum::<f64>() / 3.0;
        let (power, reactive) = (mean(watts) * 3.0, mean(vars) * 3.0);
        let apparent = power.hypot(reactive);
        let [a, b, c] = amperes;
        for (at, value) in [
            (42, mean(volts)),
            (46, mean(amperes)),
            (48, mean(amperes) * 3.0),
            (52, power),
            (56, apparent),
            (60, reactive),
            (62, factor(power, apparent)),
            (66, factor(power, apparent).acos().to_degrees()),
            (70, self.hertz),
            (72, self.energy),
            (74, 0.0),
            (76, self.reactive_energy),
            (80, self.energy.hypot(self.reactive_energy)),
            (84, self.demand),
            (86, self.peak),
            (206, mean(volts) * 3.0_f64.sqrt()),
            (224, (a * a + b * b + c * c - a * b - b * c - c * a).max(0.0).sqrt()),
            (248, 1.7 + 0.02 * mean(amperes)),
            (250, 6.0 + 40.0 / (1.0 + mean(amperes))),
            (342, self.energy),
            (344, self.reactive_energy),
        ] {
            bank.put(at, value);
        }
        bank.discretes.clone_from(&bank.coils);
    }
}

/// The power factor; 1 where nothing flows.
fn factor(watts: f64, apparent: f64) -> f64 {
    if apparent > 0.0 { (watts / apparent).clamp(-1.0, 1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(meter: &Meter, at: usize) -> f64 {
        let (high, low) = (meter.bank.inputs[at], meter.bank.inputs[at + 1]);
        f64::from(f32::from_bits(u32::from(high) << 16 | u32::from(low)))
    }

    #[test]
    fn what_the_meter_shows_is_the_electricity_of_a_shop() {
        let mut meter = Meter::new(4);
        let first = value(&meter, 72);
        let (mut least, mut most, mut work) = (f64::MAX, 0.0_f64, 0.0);
        for tick in 0..36_000 {
            meter.step(0.05);
            let [v, i, p, s, q] = [0, 6, 12, 18, 24].map(|at| value(&meter, at));
            assert!((218.0..245.0).contains(&v) && i >= 0.0, "{v} V, {i} A");
            assert!((v * i - s).abs() < 0.5 && (p.hypot(q) - s).abs() < 0.5, "{p} W {q} var {s} VA");
            let total = value(&meter, 52);
            assert!((total - value(&meter, 12) - value(&meter, 14) - value(&meter, 16)).abs() < 0.1);
            assert!((49.8..50.2).contains(&value(&meter, 70)));
            assert!((380.0..425.0).contains(&value(&meter, 200)), "{}", value(&meter, 200));
            work += total * 0.05 / 3_600_000.0;
            if tick > 200 {
                (least, most) = (least.min(total), most.max(total));
            }
        }
        assert!(least > 4_000.0 && least < 7_000.0 && most > 20_000.0, "{least} to {most} W");
        assert!((value(&meter, 72) - first - work).abs() < 0.1, "energy is the sum of power");
    }

    #[test]
    fn the_same_seed_gives_the_same_readings() {
        let story = |seed| {
            let mut meter = Meter::new(seed);
            (0..500).for_each(|_| meter.step(0.05));
            meter.bank.inputs
        };
        assert!(story(1) == story(1) && story(1) != story(2));
    }
}
