//! A Haas mill: the simulated machine tool, and what its control says of it.

use std::collections::BTreeMap;

use guideway_contract::Timestamp;

use crate::board::Board;
use crate::fleet::Simulated as _;
use crate::machine_tool::MachineTool;
use crate::program::{Block, Kit, MILL};
use crate::tool::ToolKit;

/// Millimetres in an inch; the control is set to inches (setting 9).
const INCH: f64 = 25.4;
/// Where G54 is in machine coordinates, in millimetres: the axes' home is the machine's zero.
const G54: [f64; 3] = [-400.0, -300.0, -200.0];
const AXES: [(&str, &str); 3] =
    [("mill_x_pos", "mill_x_load"), ("mill_y_pos", "mill_y_load"), ("mill_z_pos", "mill_z_load")];

/// A small vertical mill with a short program.
static VF2: Kit = Kit {
    machine: "vf2",
    program: "O00110",
    blocks: &[
        Block::Tool(0),
        Block::Spindle(3_200.0),
        Block::Rapid(&[-30.0, 30.0, 2.0]),
        Block::Cut(&[180.0, 30.0, -1.0], 1_500.0),
        Block::Rapid(&[180.0, 70.0, -1.0]),
        Block::Cut(&[-30.0, 70.0, -1.0], 1_500.0),
        Block::Rapid(&[-30.0, 70.0, 50.0]),
        Block::Tool(1),
        Block::Spindle(6_500.0),
        Block::Rapid(&[40.0, 30.0, 3.0]),
        Block::Cut(&[40.0, 30.0, -6.0], 400.0),
        Block::Cut(&[110.0, 30.0, -6.0], 1_100.0),
        Block::Cut(&[110.0, 70.0, -6.0], 1_100.0),
        Block::Cut(&[40.0, 70.0, -6.0], 1_100.0),
        Block::Cut(&[40.0, 30.0, -6.0], 1_100.0),
        Block::Rapid(&[40.0, 30.0, 50.0]),
        Block::Spindle(0.0),
        Block::Rapid(&[0.0, 300.0, 200.0]),
    ],
    tools: &[
        ToolKit { number: 1, id: "FACE-63", key: "vf2 T1", life: 80.0, load: 0.5 },
        ToolKit { number: 4, id: "ENDMILL-12", key: "vf2 T4", life: 30.0, load: 0.38 },
    ],
    spindle_top: 8_100.0,
    rapid: 420.0,
    loading: 15.0,
    ..MILL
};

/// A running total of seconds, and the two before it.
#[derive(Debug, Default)]
struct Laps {
    now: f64,
    last: f64,
    before: f64,
}

/// The control with its machine.
#[derive(Debug)]
pub(crate) struct HaasControl {
    machine: MachineTool,
    board: Board,
    serial: u32,
    /// Seconds since power-on, of motion and of feeding.
    powered: f64,
    motion: f64,
    feeding: f64,
    cycle: Laps,
    parts: u64,
    /// M30 counters before this run.
    counted: u64,
    tool_changes: u64,
    tool: u64,
    /// The last F and S that were read, in inches and revolutions a minute.
    f_code: f64,
    s_code: f64,
    /// The greatest axis loads since power-on, in per cent.
    most: [f64; 3],
    macros: BTreeMap<u32, f64>,
}

impl HaasControl {
    pub(crate) fn new(seed: u64) -> Self {
        let mut control = Self {
            machine: MachineTool::new(&VF2, seed),
            board: Board::default(),
            serial: 1_100_000 + u32::try_from(seed % 90_000).unwrap_or(0),
            // It was switched on some hours ago.
            powered: 11_700.0 + (seed % 50) as f64,
            motion: 7_420.0,
            feeding: 5_130.0,
            cycle: Laps { now: 0.0, last: 41.0, before: 42.0 },
            parts: 0,
            counted: 4_100,
            tool_changes: 1_250,
            tool: 0,
            f_code: 59.0,
            s_code: 3_200.0,
            most: [0.0; 3],
            macros: BTreeMap::new(),
        };
        control.look();
        control.parts = control.count("mill_parts");
        control.tool = control.count("mill_tool");
        control
    }

    /// Lives for so many seconds more.
    pub(crate) fn step(&mut self, seconds: f64) {
        self.machine.step(seconds);
        self.look();
        self.powered += seconds;
        if self.board.shown("mill_exec") == Some("ACTIVE") {
            self.motion += seconds;
            self.cycle.now += seconds;
        }
        if self.number("mill_feed") > 0.0 {
            self.feeding += seconds;
        }
        let parts = self.count("mill_parts");
        if parts != self.parts {
            self.parts = parts;
            self.cycle = Laps { now: 0.0, last: self.cycle.now, before: self.cycle.last };
        }
        let tool = self.count("mill_tool");
        if tool != self.tool {
            self.tool = tool;
            self.tool_changes += 1;
        }
        for word in self.board.shown("mill_block").unwrap_or_default().split(' ') {
            match (word.split_at_checked(1), self.f_code, self.s_code) {
                (Some(("F", rate)), ..) => self.f_code = rate.parse().unwrap_or(0.0) / INCH,
                (Some(("S", speed)), ..) => self.s_code = speed.parse().unwrap_or(0.0),
                _ => {}
            }
        }
        for (axis, (_, load)) in AXES.into_iter().enumerate() {
            self.most[axis] = self.most[axis].max(self.number(load));
        }
    }

    /// The reply to a Q command but for Q600.
    pub(crate) fn query(&self, code: u32) -> Option<String> {
        Some(match code {
            100 => format!("SERIAL NUMBER, {}", self.serial),
            101 => "SOFTWARE VERSION, 100.24.000.1111".into(),
            102 => "MODEL, VF2".into(),
            104 => "MODE, MEM".into(),
            200 => format!("TOOL CHANGES, {}", self.tool_changes),
            201 => format!("USING TOOL, {}", self.tool),
            300 => format!("P.O. TIME, {}", clock(self.powered)),
            301 => format!("C.S. TIME, {}", clock(self.motion)),
            303 => format!("LAST CYCLE, {}", clock(self.cycle.last)),
            304 => format!("PREV CYCLE, {}", clock(self.cycle.before)),
            402 => format!("M30 #1, {}", self.parts),
            403 => format!("M30 #2, {}", self.counted + self.parts),
            500 if self.board.shown("mill_exec") == Some("ACTIVE") => "STATUS, BUSY".into(),
            500 => {
                let state = match self.board.shown("mill_exec") {
                    Some("INTERRUPTED") => "ALARM ON",
                    _ => "IDLE",
                };
                format!("PROGRAM, {}, {state}, PARTS, {}", VF2.program, self.parts)
            }
            _ => return None,
        })
    }

    /// A macro or system variable; `None` for one that this control has not.
    pub(crate) fn variable(&self, number: u32) -> Option<f64> {
        let axis =
            |first: u32| AXES.get((number - first) as usize).map(|(position, _)| self.number(position));
        Some(match number {
            1_064..=1_066 => self.most[(number - 1_064) as usize],
            1_098 => self.number("mill_s_load"),
            3_020 => self.powered,
            3_021 => self.motion,
            3_022 => self.feeding,
            3_023 => self.cycle.now,
            3_024 => self.cycle.last,
            3_025 => self.cycle.before,
            3_026 => self.tool as f64,
            3_027 => self.number("mill_s_speed"),
            // Single block, block delete, optional stop.
            3_030 | 3_032 | 3_033 => 0.0,
            4_014 => 54.0,
            4_109 => self.f_code,
            4_119 => self.s_code,
            5_021..=5_023 => (axis(5_021)? + G54[(number - 5_021) as usize]) / INCH,
            5_041..=5_043 => axis(5_041)? / INCH,
            13_013 => self.number("mill_coolant_level"),
            _ if is_user(number) => self.macros.get(&number).copied().unwrap_or(0.0),
            _ => return None,
        })
    }

    /// Writes a variable; false for one that cannot be written.
    pub(crate) fn set_variable(&mut self, number: u32, value: f64) -> bool {
        if is_user(number) {
            self.macros.insert(number, value);
        }
        is_user(number)
    }

    fn look(&mut self) {
        self.machine.report(Timestamp::EPOCH, &mut self.board);
        // Nobody reads the lines.
        self.board.changes(Timestamp::EPOCH);
    }

    fn number(&self, key: &str) -> f64 {
        self.board.shown(key).and_then(|text| text.parse().ok()).unwrap_or(0.0)
    }

    fn count(&self, key: &str) -> u64 {
        self.board.shown(key).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// Variables that belong to the user.
const fn is_user(number: u32) -> bool {
    matches!(number, 100..=199 | 500..=699 | 10_000..=10_999)
}

/// Seconds as `HHHHH:MM:SS`.
fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    format!("{:05}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_an_hour_parts_are_made_and_all_that_is_told_fits_together() {
        let mut control = HaasControl::new(3);
        let (first, changes) = (control.parts, control.tool_changes);
        let (mut busy, mut idle, mut cutting) = (0, 0, 0);
        for _ in 0..72_000 {
            control.step(0.05);
            let is_busy = control.query(500).as_deref() == Some("STATUS, BUSY");
            busy += u32::from(is_busy);
            idle +=
                u32::from(control.query(500).is_some_and(|text| text.contains(", O00110, IDLE, PARTS, ")));
            cutting += u32::from(is_busy && control.variable(1_098).expect("a load") > 10.0);
            for (axis, most) in [(5_021, 30.0), (5_022, 0.0), (5_023, 0.0)] {
                let position = control.variable(axis).expect("a position");
                assert!((-30.0..=most).contains(&position), "{axis} {position}");
            }
        }
        let made = control.parts - first;
        assert!((30..120).contains(&made), "{made} parts");
        assert!(control.tool_changes - changes >= made);
        assert!(busy > 20_000 && idle > 5_000 && cutting > 5_000, "{busy} {idle} {cutting}");
        assert!((20.0..100.0).contains(&control.cycle.last), "{}", control.cycle.last);
        assert!(control.variable(1_066).expect("a load") > 10.0);
        assert_eq!(control.query(402), Some(format!("M30 #1, {}", control.parts)));
    }

    #[test]
    fn the_same_seed_gives_the_same_machine() {
        let story = |seed| {
            let mut control = HaasControl::new(seed);
            let step = |_| {
                control.step(0.05);
                (control.query(500), control.variable(5_021), control.variable(1_098))
            };
            (0..2_000).map(step).collect::<Vec<_>>()
        };
        assert!(story(5) == story(5));
        assert!(story(5) != story(6));
    }

    #[test]
    fn times_are_written_as_the_control_writes_them() {
        assert_eq!(clock(13.9), "00000:00:13");
        assert_eq!(clock(22_619_833.0), "06283:17:13");
    }
}
