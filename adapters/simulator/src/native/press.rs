//! A hydraulic press cell: its machine, and the program of its controller, which keeps the block `Guideway`.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::motion::Line;
use crate::thermal::Body;

/// Number of the data block.
pub(crate) const DB: u16 = 100;
/// Its length in bytes.
const LENGTH: usize = 172;

/// Millimetres above the bed: the open press, where it slows down, and where the die is closed.
const OPEN: f64 = 400.0;
const SLOW: f64 = 60.0;
const CLOSED: f64 = 22.0;
/// Millimetres a second.
const FAST_SPEED: f64 = 240.0;
const PRESS_SPEED: f64 = 18.0;
const UP_SPEED: f64 = 210.0;
const ACCELERATION: f64 = 900.0;
/// The part is touched so far above the closed die.
const TOUCH: f64 = 24.0;
/// Seconds after which the program sees a command.
const SCAN: f64 = 0.1;
/// Alarms that stop the press, by their bits.
const CURTAIN: u32 = 2;
const TOO_STRONG: u32 = 4;
const NOT_EJECTED: u32 = 10;
const GUARD: u32 = 1;
/// Warnings.
const OIL_WARM: u32 = 32;
const AIR_LOW: u32 = 34;
const BLANKS_LOW: u32 = 37;

/// What the cell is doing.
#[derive(Clone, Debug)]
enum Phase {
    /// The operator brings blanks; seconds that are left.
    Idle(f64),
    Running(Stage),
    /// The order is done.
    Done(f64),
    /// An alarm, and seconds until it is cleared.
    Stopped(u32, f64),
}

/// One part's way through the press.
#[derive(Clone, Debug)]
enum Stage {
    Load(f64),
    Down(Line),
    Press(Line),
    Dwell(f64),
    Up(Line),
    Eject(f64),
}

/// The cell and its controller.
#[derive(Debug)]
pub(crate) struct Press {
    rng: StdRng,
    phase: Phase,
    position: f64,
    velocity: f64,
    force: f64,
    peak: f64,
    cycle: f64,
    last_cycle: f64,
    recipe: String,
    serial: u32,
    /// Parts of this order, and how many are wanted.
    order: u32,
    target: u32,
    good: u32,
    bad: u32,
    strokes: u32,
    oil: Body,
    air: f64,
    power: f64,
    /// Watt-hours.
    energy: f64,
    /// Seconds for which a command has been there.
    waiting: f64,
    /// The controller's block. Clients read and write it as they like; the program writes its part in each cycle.
    pub(crate) block: Vec<u8>,
}

impl Press {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut oil = Body::new(500.0, 36.0);
        oil.temperature += rng.random_range(8.0..18.0);
        let mut press = Self {
            phase: Phase::Idle(rng.random_range(4.0..8.0)),
            position: OPEN,
            velocity: 0.0,
            force: 0.0,
            peak: 0.0,
            cycle: 0.0,
            last_cycle: 0.0,
            recipe: "BRACKET-07".into(),
            serial: rng.random_range(1_000..9_000),
            order: 0,
            target: 20,
            good: rng.random_range(100..400),
            bad: rng.random_range(0..9),
            strokes: rng.random_range(1_200_000..1_400_000),
            oil,
            air: 6.1,
            power: 0.0,
            energy: f64::from(rng.random_range(8_000_000..9_000_000_u32)),
            waiting: 0.0,
            block: vec![0; LENGTH],
            rng,
        };
        // Both strings' greatest length, so that a client finds strings from the start.
        press.text(140, "");
        press.show();
        press
    }

    /// Lives for so many seconds more.
    pub(crate) fn step(&mut self, seconds: f64) {
        self.velocity = 0.0;
        let phase = std::mem::replace(&mut self.phase, Phase::Idle(0.0));
        self.phase = match phase {
            Phase::Idle(left) if left > seconds => Phase::Idle(left - seconds),
            Phase::Idle(_) => {
                self.order = 0;
                self.begin()
            }
            Phase::Running(stage) => {
                self.cycle += seconds;
                self.run(stage, seconds)
            }
            Phase::Done(left) if left > seconds => Phase::Done(left - seconds),
            Phase::Done(_) => Phase::Idle(self.rng.random_range(25.0..45.0)),
            Phase::Stopped(alarm, left) if left > seconds => Phase::Stopped(alarm, left - seconds),
            Phase::Stopped(..) => {
                self.position = OPEN;
                self.begin()
            }
        };
        if !matches!(self.phase, Phase::Running(_)) {
            self.force = 0.0;
        }
        let is_pump = self.is_pump_on();
        let work = (self.force / 600.0).min(1.2);
        self.oil.advance(seconds, if is_pump { 0.55 + work } else { 0.1 });
        let effort = self.velocity.abs() / FAST_SPEED;
        self.power = 1.2 + if is_pump { 3.6 + 9.0 * effort + 18.0 * work } else { 0.0 };
        self.power *= self.rng.random_range(0.985..1.015);
        self.energy += self.power * seconds / 3.6;
        self.air += (6.1 - self.air) * 0.02 * seconds + self.rng.random_range(-0.08..0.08) * seconds.sqrt();
        self.obey(seconds);
        self.show();
    }

    fn begin(&mut self) -> Phase {
        self.cycle = 0.0;
        Phase::Running(Stage::Load(self.rng.random_range(1.3..2.2)))
    }

    fn way(&self, to: f64) -> Line {
        Line::along(&[self.position], &[to], ACCELERATION)
    }

    fn travel(&mut self, line: &mut Line, seconds: f64, limit: f64) -> bool {
        line.advance(seconds, limit);
        self.position = line.position(0);
        self.velocity = line.velocity_of(0);
        line.has_arrived()
    }

    /// Kilonewtons that the recipe's part needs.
    fn nominal_force(&self) -> f64 {
        250.0 + f64::from(self.recipe.bytes().map(u32::from).sum::<u32>() % 40) * 9.0
    }

    fn run(&mut self, stage: Stage, seconds: f64) -> Phase {
        let stage = match stage {
            Stage::Load(left) if left > seconds => Stage::Load(left - seconds),
            Stage::Load(_) if self.rng.random_bool(0.006) => return self.stop(CURTAIN),
            Stage::Load(_) => {
                self.serial += 1;
                self.peak = 0.0;
                Stage::Down(self.way(SLOW))
            }
            Stage::Down(mut line) => match self.travel(&mut line, seconds, FAST_SPEED) {
                true => Stage::Press(self.way(CLOSED)),
                false => Stage::Down(line),
            },
            Stage::Press(mut line) => {
                let has_arrived = self.travel(&mut line, seconds, PRESS_SPEED);
                let depth = ((CLOSED + TOUCH - self.position) / TOUCH).clamp(0.0, 1.0);
                self.force = self.nominal_force() * depth.powf(1.6) * self.rng.random_range(0.985..1.015);
                self.peak = self.peak.max(self.force);
                match has_arrived {
                    true => Stage::Dwell(0.6),
                    false => Stage::Press(line),
                }
            }
            Stage::Dwell(left) if left > seconds => Stage::Dwell(left - seconds),
            Stage::Dwell(_) if self.rng.random_bool(0.003) => {
                self.bad += 1;
                return self.stop(TOO_STRONG);
            }
            Stage::Dwell(_) => {
                self.force = 0.0;
                self.strokes += 1;
                Stage::Up(self.way(OPEN))
            }
            Stage::Up(mut line) => match self.travel(&mut line, seconds, UP_SPEED) {
                true => Stage::Eject(0.7),
                false => Stage::Up(line),
            },
            Stage::Eject(left) if left > seconds => Stage::Eject(left - seconds),
            Stage::Eject(_) if self.rng.random_bool(0.004) => return self.stop(NOT_EJECTED),
            Stage::Eject(_) => {
                self.last_cycle = self.cycle;
                self.order += 1;
                *(if self.rng.random_bool(0.03) { &mut self.bad } else { &mut self.good }) += 1;
                if self.order >= self.target {
                    return Phase::Done(6.0);
                }
                return self.begin();
            }
        };
        Phase::Running(stage)
    }

    fn stop(&mut self, alarm: u32) -> Phase {
        Phase::Stopped(alarm, self.rng.random_range(9.0..22.0))
    }

    fn is_pump_on(&self) -> bool {
        matches!(self.phase, Phase::Running(_) | Phase::Idle(..=3.0))
    }

    /// The guard is open while the operator brings blanks or clears an alarm.
    fn is_guard_open(&self) -> bool {
        match self.phase {
            Phase::Idle(left) => left > 5.0,
            Phase::Stopped(_, left) => left > 3.0,
            _ => false,
        }
    }

    /// The handshake: a command is done once, answered, and the answer taken back when the command is.
    fn obey(&mut self, seconds: f64) {
        let (command, answered) = (self.int(130), self.int(132) != 0);
        if command == 0 {
            self.waiting = 0.0;
            self.put(132, &[0; 4]);
            return;
        }
        self.waiting += seconds;
        if answered || self.waiting < SCAN {
            return;
        }
        let result = self.perform(command);
        self.put(134, &result.to_be_bytes());
        self.put(132, &command.to_be_bytes());
    }

    /// Does a command: 0, or why not.
    fn perform(&mut self, command: i16) -> i16 {
        const RUNS: i16 = 1;
        const BAD_ARGUMENT: i16 = 2;
        const NO_SUCH_COMMAND: i16 = 99;
        let runs = matches!(self.phase, Phase::Running(_));
        match command {
            11 | 13 if runs => return RUNS,
            11 => {
                let length = usize::from(self.block[141]).min(30);
                let name = &self.block[142..142 + length];
                let fits = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-');
                if name.is_empty() || !name.iter().all(fits) {
                    return BAD_ARGUMENT;
                }
                self.recipe = String::from_utf8_lossy(name).into_owned();
            }
            12 => match u32::from_be_bytes([136, 137, 138, 139].map(|at| self.block[at])) {
                parts @ 1..=1_000_000 => self.target = parts,
                _ => return BAD_ARGUMENT,
            },
            13 => (self.good, self.bad) = (0, 0),
            _ => return NO_SUCH_COMMAND,
        }
        0
    }

    fn alarms(&self) -> u64 {
        let mut bits = 0;
        let mut set = |bit: u32, is_on: bool| bits |= u64::from(is_on) << bit;
        if let Phase::Stopped(alarm, _) = self.phase {
            set(alarm, true);
            // Whoever reaches in opens the guard.
            set(GUARD, self.is_guard_open());
        }
        set(OIL_WARM, self.oil.temperature > 55.0);
        set(AIR_LOW, self.air < 5.6);
        set(BLANKS_LOW, self.order + 3 > self.target && matches!(self.phase, Phase::Running(_)));
        bits
    }

    /// Writes the program's part of the block.
    fn show(&mut self) {
        let state: i16 = match self.phase {
            Phase::Idle(_) => 0,
            Phase::Running(_) => 1,
            Phase::Done(_) => 3,
            Phase::Stopped(..) => 9,
        };
        let is_pump = self.is_pump_on();
        let pressure = if is_pump { 38.0 + self.force * 0.42 } else { 2.0 };
        self.put(0, &state.to_be_bytes());
        self.put(2, &1_i16.to_be_bytes());
        let bits = 1 | u8::from(!self.is_guard_open()) << 1 | u8::from(is_pump) << 2;
        self.put(4, &[bits]);
        self.text(6, &self.recipe.clone());
        self.text(38, &format!("{}-{:06}", &self.recipe, self.serial));
        for (at, count) in [(70, self.good), (74, self.bad), (78, self.strokes)] {
            self.put(at, &count.to_be_bytes());
        }
        self.put(82, &((self.last_cycle * 1_000.0) as i32).to_be_bytes());
        for (at, real) in [
            (86, self.force),
            (90, self.peak),
            (94, self.position),
            (98, self.velocity),
            (102, self.oil.temperature),
            (106, pressure),
            (110, self.air),
            (114, self.power),
        ] {
            self.put(at, &(real as f32).to_be_bytes());
        }
        self.put(118, &(self.energy as u32).to_be_bytes());
        // Bit n is bit n % 8 of byte n / 8.
        self.put(122, &self.alarms().to_le_bytes());
    }

    fn int(&self, at: usize) -> i16 {
        i16::from_be_bytes([self.block[at], self.block[at + 1]])
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A String[30]: its greatest length, its length, its characters.
    fn text(&mut self, at: usize, text: &str) {
        let text = &text.as_bytes()[..text.len().min(30)];
        self.put(at, &[30, text.len() as u8]);
        self.put(at + 2, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: f64 = 0.05;

    fn real(press: &Press, at: usize) -> f64 {
        f32::from_be_bytes([0, 1, 2, 3].map(|byte| press.block[at + byte])).into()
    }

    fn count(press: &Press, at: usize) -> u32 {
        u32::from_be_bytes([0, 1, 2, 3].map(|byte| press.block[at + byte]))
    }

    #[test]
    fn in_two_hours_parts_are_pressed_and_alarms_come_and_go() {
        let mut press = Press::new(11);
        let (good, mut states, mut strongest, mut alarmed) = (count(&press, 70), [0; 10], 0.0_f64, 0);
        for _ in 0..144_000 {
            let before = real(&press, 94);
            press.step(TICK);
            let (state, position) = (press.int(0) as usize, real(&press, 94));
            states[state] += 1;
            if state == 1 && states[9] == 0 {
                assert!((position - before).abs() <= FAST_SPEED * TICK + 1e-3);
            }
            assert!((CLOSED - 0.01..=OPEN + 0.01).contains(&position), "{position}");
            assert_eq!(state == 9, press.block[122..126].iter().any(|byte| *byte != 0));
            strongest = strongest.max(real(&press, 86));
            alarmed += u32::from(press.block[122..130].iter().any(|byte| *byte != 0));
        }
        let made = count(&press, 70) - good;
        assert!((400..1_000).contains(&made), "{made}");
        for state in [0, 1, 3, 9] {
            assert!(states[state] > 100, "state {state}: {states:?}");
        }
        assert!((250.0..650.0).contains(&strongest), "{strongest} kN");
        assert!(alarmed > 0);
        assert!((30.0..75.0).contains(&real(&press, 102)), "{} degrees", real(&press, 102));
    }

    fn command(press: &mut Press, number: i16) -> (i16, i16) {
        press.put(130, &number.to_be_bytes());
        (0..10).for_each(|_| press.step(TICK));
        let answer = (press.int(132), press.int(134));
        press.put(130, &[0, 0]);
        press.step(TICK);
        assert_eq!((press.int(132), press.int(134)), (0, 0), "the answer is taken back");
        answer
    }

    #[test]
    fn commands_are_done_once_answered_and_refused_where_they_do_not_fit() {
        let mut press = Press::new(12);
        press.phase = Phase::Idle(20.0);
        press.text(140, "HINGE-22");
        assert_eq!(command(&mut press, 11), (11, 0));
        assert_eq!(&press.block[6..16], b"\x1e\x08HINGE-22");
        press.text(140, "no such");
        assert_eq!(command(&mut press, 11), (11, 2));
        press.put(136, &7_u32.to_be_bytes());
        assert_eq!((command(&mut press, 12), press.target), ((12, 0), 7));
        press.put(136, &[0; 4]);
        assert_eq!((command(&mut press, 12), press.target), ((12, 2), 7));
        assert_eq!((command(&mut press, 13), press.good + press.bad), ((13, 0), 0));
        assert_eq!(command(&mut press, 55), (55, 99));
        press.phase = Phase::Running(Stage::Load(1e9));
        assert_eq!(command(&mut press, 13), (13, 1));
    }

    #[test]
    fn the_same_seed_gives_the_same_course() {
        let story = |seed| {
            let mut press = Press::new(seed);
            (0..4_000).for_each(|_| press.step(TICK));
            press.block
        };
        assert!(story(1) == story(1) && story(1) != story(2));
    }
}
