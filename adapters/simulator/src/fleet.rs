//! The simulated machines there are.

use std::time::Duration;

use guideway_contract::Timestamp;

use crate::board::Board;
use crate::machine_tool::MachineTool;
use crate::native::{self, NativeMachine};
use crate::program::{LATHE, MILL};
use crate::robot::RobotCell;

/// What a simulated machine can do.
pub(crate) trait Simulated: Send + std::fmt::Debug {
    /// Lives for so many seconds more; at most a tenth at a time.
    fn step(&mut self, seconds: f64);
    /// Shows what it is like now.
    fn report(&mut self, now: Timestamp, board: &mut Board);
}

/// One simulated machine.
#[derive(Debug)]
pub struct Machine {
    name: &'static str,
    device_xml: &'static str,
    model: Box<dyn Simulated>,
    board: Board,
}

impl Machine {
    /// The device's name, `Mill` for instance.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its devices file: an MTConnectDevices document of version 2.7 with this one device.
    pub fn device_xml(&self) -> &'static str {
        self.device_xml
    }

    /// Lives for `time` and gives the SHDR lines for what has changed at the end of it.
    pub fn advance(&mut self, time: Duration, now: Timestamp) -> String {
        let mut left = time.as_secs_f64();
        while left > 0.0 {
            let step = left.min(0.05);
            self.model.step(step);
            left -= step;
        }
        self.model.report(now, &mut self.board);
        self.board.changes(now)
    }

    /// The SHDR lines for all that is known of it, as a client gets them when it connects.
    pub fn snapshot(&self, now: Timestamp) -> String {
        self.board.snapshot(now)
    }
}

/// A set of simulated machines.
#[derive(Debug)]
pub struct Fleet {
    /// Machines that speak SHDR, ready to be served.
    pub machines: Vec<Machine>,
    /// Machines that speak protocols of their own, ready to be served.
    pub native: Vec<NativeMachine>,
}

impl Fleet {
    /// A mill, a lathe and a robot cell, and five machines with native protocols.
    pub fn standard() -> Self {
        Self::seeded(1)
    }

    /// The same ones, with another course of events.
    pub fn seeded(seed: u64) -> Self {
        let machine = |name, device_xml, model| {
            let mut machine = Machine { name, device_xml, model, board: Board::default() };
            // From the beginning there is something to show.
            machine.advance(Duration::ZERO, Timestamp::now());
            machine
        };
        let machines = vec![
            machine(
                "Mill",
                include_str!("../devices/mill.xml"),
                Box::new(MachineTool::new(&MILL, seed)) as _,
            ),
            machine(
                "Lathe",
                include_str!("../devices/lathe.xml"),
                Box::new(MachineTool::new(&LATHE, seed.wrapping_add(1))) as _,
            ),
            machine(
                "RobotCell",
                include_str!("../devices/cell.xml"),
                Box::new(RobotCell::new(seed.wrapping_add(2))) as _,
            ),
        ];
        Self { machines, native: native::machines(seed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tick: u64) -> Timestamp {
        Timestamp::from_nanos(i64::try_from(tick).expect("small") * 50_000_000, 3)
    }

    #[test]
    fn the_same_seed_gives_the_same_lines_and_another_seed_others() {
        let lines = |seed| {
            let mut fleet = Fleet::seeded(seed);
            let mut text = String::new();
            for tick in 1..2_000 {
                for machine in &mut fleet.machines {
                    text.push_str(&machine.advance(Duration::from_millis(50), at(tick)));
                }
            }
            text
        };
        assert!(lines(7) == lines(7));
        assert!(lines(7) != lines(8));
    }

    #[test]
    fn every_key_that_is_sent_is_an_id_in_the_devices_file() {
        for mut machine in Fleet::standard().machines {
            for tick in 1..4_000 {
                machine.advance(Duration::from_millis(50), at(tick));
            }
            for key in machine.board.keys() {
                assert!(machine.device_xml.contains(&format!("id=\"{key}\"")), "{}: {key}", machine.name);
            }
            assert!(machine.device_xml.contains(&format!("name=\"{}\"", machine.name)));
            assert!(machine.device_xml.contains(">Simulated "), "it does not say that it is simulated");
        }
    }

    #[test]
    fn machines_that_work_have_something_new_to_say_most_of_the_time() {
        for mut machine in Fleet::standard().machines {
            let news = (1..6_000)
                .filter(|tick| !machine.advance(Duration::from_millis(50), at(*tick)).is_empty())
                .count();
            assert!(news > 3_000, "{}: {news} of 6000", machine.name);
        }
    }

    #[test]
    fn every_line_has_a_time_and_pairs_of_keys_and_values() {
        for mut machine in Fleet::standard().machines {
            let mut text = String::new();
            for tick in 1..8_000 {
                text.push_str(&machine.advance(Duration::from_millis(50), at(tick)));
            }
            for line in text.lines().chain(machine.snapshot(at(1)).lines()) {
                let fields: Vec<_> = line.split('|').collect();
                assert!(Timestamp::parse(fields[0]).is_some(), "{line}");
                match fields[1] {
                    "@ASSET@" => assert_eq!(fields.len(), 5, "{line}"),
                    key if key.ends_with("_message") => assert_eq!(fields.len(), 4, "{line}"),
                    _ if ["normal", "warning", "fault"].contains(&fields[2]) => {
                        assert_eq!(fields.len(), 7, "{line}");
                    }
                    _ => assert_eq!(fields.len() % 2, 1, "{line}"),
                }
            }
        }
    }

    #[test]
    fn a_stretch_of_time_shows_what_its_end_is_like() {
        let mut machine = Fleet::standard().machines.remove(0);
        let before = machine.board.shown("mill_parts").map(str::to_owned);
        machine.advance(Duration::from_secs(3_600), at(1));
        assert!(machine.board.shown("mill_parts").map(str::to_owned) > before);
    }
}
