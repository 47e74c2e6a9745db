//! A robot cell: a six-axis robot takes parts from one conveyor and fills pallets on another.

use guideway_contract::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::alarm::{Alarm, Severity};
use crate::board::Board;
use crate::fleet::Simulated;
use crate::motion::Line;
use crate::thermal::Body;

const JOINTS: usize = 6;
/// Angle, speed, torque and temperature of each joint.
const KEYS: [[&str; 4]; JOINTS] = [
    ["cell_j1_angle", "cell_j1_speed", "cell_j1_torque", "cell_j1_temp"],
    ["cell_j2_angle", "cell_j2_speed", "cell_j2_torque", "cell_j2_temp"],
    ["cell_j3_angle", "cell_j3_speed", "cell_j3_torque", "cell_j3_temp"],
    ["cell_j4_angle", "cell_j4_speed", "cell_j4_torque", "cell_j4_temp"],
    ["cell_j5_angle", "cell_j5_speed", "cell_j5_torque", "cell_j5_temp"],
    ["cell_j6_angle", "cell_j6_speed", "cell_j6_torque", "cell_j6_temp"],
];
/// Degrees a second, and that squared, of the slowest joint.
const SPEED: f64 = 140.0;
const ACCELERATION: f64 = 420.0;
/// Newton metres at full effort.
const TORQUE: [f64; JOINTS] = [420.0, 400.0, 240.0, 60.0, 45.0, 25.0];
/// Kilograms of one part.
const PART: f64 = 3.4;
/// Places on a pallet.
const PLACES: usize = 8;
const HOME: [f64; JOINTS] = [0.0, 60.0, -70.0, 0.0, 45.0, 0.0];
const OVER_PICK: [f64; JOINTS] = [-80.0, 35.0, -55.0, 0.0, 70.0, -80.0];
const PICK: [f64; JOINTS] = [-80.0, 18.0, -48.0, 0.0, 80.0, -80.0];

/// One thing after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Wait,
    OverPick,
    Pick,
    Grip,
    Lift,
    OverPlace,
    Place,
    Release,
    Back,
}

#[derive(Debug)]
pub(crate) struct RobotCell {
    rng: StdRng,
    stage: Stage,
    line: Option<Line>,
    /// Seconds that the stage still waits, where it waits.
    left: f64,
    joints: [f64; JOINTS],
    speeds: [f64; JOINTS],
    efforts: [f64; JOINTS],
    heat: [Body; JOINTS],
    gripped: bool,
    pallet: [bool; PLACES],
    parts: u32,
    /// Seconds for which someone is inside, and until someone goes in.
    visit: f64,
    until_visit: f64,
    alarm: Option<(Alarm, f64)>,
    message: Option<(&'static str, &'static str)>,
}

impl RobotCell {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let until_visit = rng.random_range(60.0..150.0);
        Self {
            stage: Stage::Wait,
            line: None,
            left: 1.0,
            joints: HOME,
            speeds: [0.0; JOINTS],
            efforts: [0.0; JOINTS],
            heat: std::array::from_fn(|joint| Body::new(600.0 + 60.0 * joint as f64, 38.0)),
            gripped: false,
            pallet: [false; PLACES],
            parts: rng.random_range(100..900),
            visit: 0.0,
            until_visit,
            alarm: None,
            message: None,
            rng,
        }
    }

    fn gate_open(&self) -> bool {
        self.visit > 0.0
    }

    fn is_stopped(&self) -> bool {
        self.gate_open() || self.alarm.is_some()
    }

    fn execution(&self) -> &'static str {
        match self.stage {
            _ if self.is_stopped() => "INTERRUPTED",
            Stage::Wait => "READY",
            _ => "ACTIVE",
        }
    }

    fn place(&self, above: bool) -> [f64; JOINTS] {
        let next = self.pallet.iter().position(|taken| !taken).unwrap_or(0);
        let (row, column) = (next / 4, next % 4);
        let lower = if above { 16.0 } else { 0.0 };
        let base = 70.0 + 8.0 * column as f64;
        [base, 20.0 + 10.0 * row as f64 + lower, -50.0 - lower * 0.4, 0.0, 78.0 - lower, base]
    }

    /// Where the stage goes, or how long it waits.
    fn begin(&mut self) {
        let target = match self.stage {
            Stage::OverPick | Stage::Lift => OVER_PICK,
            Stage::Pick => PICK,
            Stage::OverPlace => self.place(true),
            Stage::Place => self.place(false),
            Stage::Back => HOME,
            Stage::Wait => {
                self.left = self.rng.random_range(0.3..3.0);
                return;
            }
            Stage::Grip | Stage::Release => {
                self.left = 0.4;
                return;
            }
        };
        self.line = Some(Line::in_step(&self.joints, &target, ACCELERATION));
    }

    fn end(&mut self) {
        self.stage = match self.stage {
            Stage::Wait => Stage::OverPick,
            Stage::OverPick => Stage::Pick,
            Stage::Pick => Stage::Grip,
            Stage::Grip => {
                if self.rng.random_bool(0.004) {
                    let alarm = Alarm::new(Severity::Fault, "SRVO-050", "", "COLLISION DETECT");
                    self.alarm = Some((alarm, self.rng.random_range(10.0..20.0)));
                }
                self.gripped = true;
                Stage::Lift
            }
            Stage::Lift => Stage::OverPlace,
            Stage::OverPlace => Stage::Place,
            Stage::Place => Stage::Release,
            Stage::Release => {
                self.gripped = false;
                self.parts += 1;
                if let Some(place) = self.pallet.iter_mut().find(|taken| !**taken) {
                    *place = true;
                }
                Stage::Back
            }
            Stage::Back => {
                if self.pallet.iter().all(|taken| *taken) {
                    self.pallet = [false; PLACES];
                    self.message = Some(("210", "PALLET FULL, NEXT PALLET"));
                }
                Stage::Wait
            }
        };
        self.begin();
    }

    fn advance(&mut self, seconds: f64) {
        let before = self.speeds;
        if let Some(line) = &mut self.line {
            // An open gate brakes the arm in place; the move goes on afterwards.
            let limit = if self.visit > 0.0 || self.alarm.is_some() { 0.0 } else { SPEED };
            line.advance(seconds, limit);
            for joint in 0..JOINTS {
                self.joints[joint] = line.position(joint);
                self.speeds[joint] = line.velocity_of(joint);
            }
            if line.has_arrived() {
                self.line = None;
                self.speeds = [0.0; JOINTS];
                self.end();
            }
        } else if !self.is_stopped() {
            self.left -= seconds;
            if self.left <= 0.0 {
                self.end();
            }
        }
        let weight = if self.gripped { 1.0 } else { 0.6 };
        for (joint, before) in before.into_iter().enumerate() {
            let acceleration = (self.speeds[joint] - before).abs() / seconds.max(1e-6) / ACCELERATION;
            // Shoulder and elbow hold the arm up.
            let holding = match joint {
                1 => 0.35 * self.joints[1].to_radians().cos().abs(),
                2 => 0.3 * (self.joints[1] + self.joints[2]).to_radians().cos().abs(),
                _ => 0.03,
            };
            self.efforts[joint] = (holding * weight + 0.45 * acceleration.min(1.2)).min(1.0);
            self.heat[joint].advance(seconds, self.efforts[joint]);
        }
    }

    /// The tool centre point: base, shoulder and elbow of a vertical arm. Millimetres.
    fn point(&self) -> [f64; 3] {
        let [base, shoulder, elbow, ..] = self.joints.map(f64::to_radians);
        let (reach, height) = (
            600.0 * shoulder.cos() + 640.0 * (shoulder + elbow).cos(),
            450.0 + 600.0 * shoulder.sin() + 640.0 * (shoulder + elbow).sin(),
        );
        [reach * base.cos(), reach * base.sin(), height]
    }
}

impl Simulated for RobotCell {
    fn step(&mut self, seconds: f64) {
        if let Some((_, left)) = &mut self.alarm {
            *left -= seconds;
            if *left <= 0.0 {
                self.alarm = None;
            }
        }
        self.visit = (self.visit - seconds).max(0.0);
        self.until_visit -= seconds;
        if self.until_visit < 0.0 {
            self.visit = self.rng.random_range(8.0..20.0);
            self.until_visit = self.rng.random_range(180.0..600.0);
        }
        self.advance(seconds);
    }

    fn report(&mut self, _now: Timestamp, board: &mut Board) {
        board.show("cell_avail", "AVAILABLE");
        board.show("cell_estop", "ARMED");
        board.show("cell_mode", "AUTOMATIC");
        board.show("cell_exec", self.execution());
        board.show("cell_program", "PALLETIZE");
        board.show("cell_parts", self.parts.to_string());
        for (joint, [angle, speed, torque, temperature]) in KEYS.into_iter().enumerate() {
            board.number(angle, self.joints[joint], 3);
            board.number(speed, self.speeds[joint], 1);
            board.number(torque, self.efforts[joint] * TORQUE[joint], 0);
            board.number(temperature, self.heat[joint].temperature, 1);
        }
        board.vector("cell_point", self.point());
        board.show("cell_grip", if self.gripped { "ACTIVE" } else { "INACTIVE" });
        board.number("cell_payload", if self.gripped { PART } else { 0.0 }, 1);
        board.show("cell_gate_state", if self.gate_open() { "OPEN" } else { "CLOSED" });
        let place =
            |(place, taken): (usize, &bool)| (format!("P{}", place + 1), u8::from(*taken).to_string());
        board.set("cell_pallet", self.pallet.iter().enumerate().map(place).collect());
        let fault: Vec<_> = self.alarm.iter().map(|(alarm, _)| alarm.clone()).collect();
        board.condition("cell_servo", &fault);
        let mut system = Vec::new();
        if self.gate_open() {
            system.push(Alarm::new(Severity::Warning, "SYST-009", "", "SAFETY GATE OPEN"));
        }
        board.condition("cell_system", &system);
        if let Some((code, text)) = self.message.take() {
            board.message("cell_message", code, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: f64 = 0.05;

    #[test]
    fn behind_an_open_gate_the_arm_brakes_and_stands() {
        let (mut cell, mut open_for, mut opened) = (RobotCell::new(4), 0.0, 0);
        for _ in 0..(40.0 * 60.0 / TICK) as usize {
            cell.step(TICK);
            open_for = if cell.gate_open() { open_for + TICK } else { 0.0 };
            // From full speed it needs a third of a second.
            if open_for > SPEED / ACCELERATION + 2.0 * TICK {
                opened += 1;
                assert!(cell.speeds.iter().all(|speed| speed.abs() < 1e-6), "{:?}", cell.speeds);
                assert_eq!(cell.execution(), "INTERRUPTED");
            }
        }
        assert!(opened > 0, "nobody went in");
    }

    #[test]
    fn joints_keep_to_their_speed_and_a_part_is_counted_when_it_is_put_down() {
        let mut cell = RobotCell::new(5);
        let first = cell.parts;
        for _ in 0..(30.0 * 60.0 / TICK) as usize {
            let (before, was_gripped, parts) = (cell.joints, cell.gripped, cell.parts);
            cell.step(TICK);
            for (was, is) in before.iter().zip(&cell.joints) {
                assert!((is - was).abs() <= SPEED * TICK + 1e-6);
            }
            if cell.parts != parts {
                assert!(was_gripped && !cell.gripped);
            }
        }
        let made = cell.parts - first;
        assert!((60..400).contains(&made), "{made} parts in half an hour");
    }

    #[test]
    fn the_arm_stays_above_the_floor_and_within_its_reach() {
        let mut cell = RobotCell::new(6);
        for _ in 0..20_000 {
            cell.step(TICK);
            let [x, y, z] = cell.point();
            assert!(z > 0.0, "{z}");
            assert!((x * x + y * y).sqrt() <= 1_241.0);
        }
    }
}
