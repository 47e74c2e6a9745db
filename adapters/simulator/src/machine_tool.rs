//! A machine tool: axes, a spindle, tools, coolant, a door, and an operator who minds it.

use guideway_contract::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::alarm::{Alarm, Severity};
use crate::board::Board;
use crate::fleet::Simulated;
use crate::motion::{Line, Rotor};
use crate::program::{Block, Kit};
use crate::thermal::Body;
use crate::tool::Tool;

/// Millimetres in a full bar.
const BAR: f64 = 3_000.0;
/// Degrees Celsius at which the spindle gives a warning, and at which it is cool again.
const HOT: (f64, f64) = (62.0, 58.0);

/// What the machine is doing.
#[derive(Clone, Debug)]
enum Phase {
    /// The operator changes the part; seconds that are left.
    Loading(f64),
    /// The program runs at this block.
    Running(usize, Work),
    /// Something is wrong; seconds until the operator has cleared it.
    Stopped(f64),
}

/// What the current block is doing.
#[derive(Clone, Debug)]
enum Work {
    Fresh,
    Moving(Line, f64, bool),
    Waiting(f64),
}

#[derive(Debug)]
pub(crate) struct MachineTool {
    kit: &'static Kit,
    rng: StdRng,
    phase: Phase,
    position: Vec<f64>,
    velocity: Vec<f64>,
    feed: f64,
    spindle: Rotor,
    spindle_load: f64,
    heat: Body,
    is_hot: bool,
    tools: Vec<Tool>,
    tool: usize,
    /// Tools whose asset has changed.
    stale_assets: Vec<bool>,
    coolant: f64,
    bar: f64,
    door_open: bool,
    parts: u32,
    scrap: u32,
    /// Percent.
    feed_override: f64,
    until_override: f64,
    /// Seconds for the part at hand, and for the last one.
    cycle: (f64, f64),
    servo: Option<Alarm>,
    message: Option<(&'static str, String)>,
    uncertain: f64,
}

impl MachineTool {
    pub(crate) fn new(kit: &'static Kit, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let tools: Vec<_> =
            kit.tools.iter().map(|tool| Tool::new(*tool, rng.random_range(0.0..0.8))).collect();
        let mut heat = Body::new(420.0, 48.0);
        heat.temperature += rng.random_range(0.0..10.0);
        Self {
            kit,
            phase: Phase::Loading(rng.random_range(1.0..4.0)),
            position: kit.home.to_vec(),
            velocity: vec![0.0; kit.home.len()],
            feed: 0.0,
            spindle: Rotor::default(),
            spindle_load: 0.0,
            heat,
            is_hot: false,
            stale_assets: vec![true; tools.len()],
            tools,
            tool: 0,
            coolant: rng.random_range(40.0..95.0),
            bar: if kit.bar > 0.0 { rng.random_range(0.3..1.0) * BAR } else { 0.0 },
            door_open: false,
            parts: rng.random_range(10..400),
            scrap: 0,
            feed_override: 100.0,
            until_override: 40.0,
            cycle: (0.0, 0.0),
            servo: None,
            message: None,
            uncertain: 0.0,
            rng,
        }
    }

    fn execution(&self) -> &'static str {
        match &self.phase {
            Phase::Loading(_) => "READY",
            Phase::Running(..) => "ACTIVE",
            Phase::Stopped(_) => "INTERRUPTED",
        }
    }

    /// Whether the phase lets the door be open; it opens only once the spindle stands.
    fn wants_door_open(&self) -> bool {
        match self.phase {
            // The operator needs a moment to close it.
            Phase::Loading(left) => left > 1.5 && (self.kit.bar == 0.0 || self.bar < self.kit.bar),
            Phase::Running(..) => false,
            Phase::Stopped(left) => left > 3.0,
        }
    }

    fn load_part(&mut self, left: f64) -> Phase {
        if left > 0.0 {
            return Phase::Loading(left);
        }
        if self.kit.bar > 0.0 {
            if self.bar < self.kit.bar {
                self.bar = BAR;
                self.message = Some(("2001", "NEW BAR LOADED".into()));
            }
            self.bar -= self.kit.bar;
        }
        for (tool, stale) in self.tools.iter_mut().zip(&mut self.stale_assets) {
            if tool.is_worn_out() {
                tool.replace();
                *stale = true;
            }
        }
        if self.coolant < 15.0 {
            self.coolant = 95.0;
            self.message = Some(("2002", "COOLANT REFILLED".into()));
        }
        self.cycle.0 = 0.0;
        Phase::Running(0, Work::Fresh)
    }

    fn next_part(&mut self) -> Phase {
        self.parts += 1;
        self.cycle.1 = self.cycle.0;
        // Now and then the operator is elsewhere.
        let extra = if self.rng.random_bool(0.08) { self.rng.random_range(20.0..60.0) } else { 0.0 };
        Phase::Loading(self.kit.loading * self.rng.random_range(0.8..1.3) + extra)
    }

    fn stop(&mut self, alarm: Alarm) -> Phase {
        self.servo = Some(alarm);
        self.scrap += 1;
        Phase::Stopped(self.rng.random_range(8.0..25.0))
    }

    fn run(&mut self, block: usize, work: Work, seconds: f64) -> Phase {
        let kit = self.kit;
        self.cycle.0 += seconds;
        let Some(now) = kit.blocks.get(block) else { return self.next_part() };
        match (now, work) {
            (Block::Tool(place), Work::Fresh) => {
                self.spindle.target = 0.0;
                self.tool = (*place).min(self.tools.len().saturating_sub(1));
                Phase::Running(block, Work::Waiting(3.2))
            }
            (Block::Spindle(speed), Work::Fresh) => {
                self.spindle.target = *speed;
                Phase::Running(block, Work::Waiting(0.1))
            }
            (Block::Dwell(wait), Work::Fresh) => Phase::Running(block, Work::Waiting(*wait)),
            (Block::Rapid(to), Work::Fresh) => {
                let line = Line::along(&self.position, to, kit.acceleration);
                Phase::Running(block, Work::Moving(line, kit.rapid, false))
            }
            (Block::Cut(to, rate), Work::Fresh) => {
                if self.rng.random_bool(0.000_4) {
                    let text = format!("SERVO OVERLOAD AXIS {}", 1 + block % kit.home.len());
                    return self.stop(Alarm::new(Severity::Fault, "SV0414", "HIGH", text));
                }
                let line = Line::along(&self.position, to, kit.acceleration);
                Phase::Running(block, Work::Moving(line, rate / 60.0, true))
            }
            (_, Work::Moving(mut line, rate, cuts)) => {
                let share =
                    if cuts { self.feed_override / 100.0 } else { self.feed_override.min(100.0) / 100.0 };
                line.advance(seconds, rate * share);
                for axis in 0..self.position.len() {
                    self.position[axis] = line.position(axis);
                    self.velocity[axis] = line.velocity_of(axis);
                }
                self.feed = line.velocity();
                if cuts && let Some(tool) = self.tools.get_mut(self.tool) {
                    tool.wear(seconds);
                    self.stale_assets[self.tool] |= tool.is_worn_out();
                }
                if line.has_arrived() {
                    self.feed = 0.0;
                    self.velocity.fill(0.0);
                    return Phase::Running(block + 1, Work::Fresh);
                }
                Phase::Running(block, Work::Moving(line, rate, cuts))
            }
            (_, Work::Waiting(left)) if left > seconds => {
                Phase::Running(block, Work::Waiting(left - seconds))
            }
            (Block::Spindle(_), Work::Waiting(_)) if !self.spindle.is_at_target() => {
                Phase::Running(block, Work::Waiting(0.0))
            }
            (Block::Tool(_), Work::Waiting(_)) => {
                self.stale_assets[self.tool] = true;
                Phase::Running(block + 1, Work::Fresh)
            }
            (_, Work::Waiting(_)) => Phase::Running(block + 1, Work::Fresh),
        }
    }

    fn is_cutting(&self) -> bool {
        matches!(self.phase, Phase::Running(_, Work::Moving(_, _, true)))
    }

    fn drive_spindle(&mut self, seconds: f64) {
        let kit = self.kit;
        if !matches!(self.phase, Phase::Running(..)) || self.door_open {
            self.spindle.target = 0.0;
        }
        let effort = self.spindle.advance(seconds, kit.spindle_rate);
        let share = self.spindle.speed / kit.spindle_top;
        let cutting = match self.tools.get(self.tool) {
            Some(tool) if self.is_cutting() => {
                // A blunt tool needs more power.
                let blunt = 1.0 + 0.35 * (1.0 - tool.left / tool.kit.life).max(0.0);
                tool.kit.load * blunt * (self.feed_override / 100.0) * self.rng.random_range(0.96..1.04)
            }
            _ => 0.0,
        };
        let load = 0.06 * share + cutting + 0.8 * effort;
        // What is shown is smoothed by the drive over some 0.2 s.
        self.spindle_load += (load - self.spindle_load) * (1.0 - (-seconds / 0.2).exp());
        self.heat.advance(seconds, 0.45 * share + 0.9 * self.spindle_load);
        self.is_hot = self.heat.temperature > if self.is_hot { HOT.1 } else { HOT.0 };
    }

    fn axis_load(&self, axis: usize) -> f64 {
        // The vertical axis of a mill carries the head.
        let weight = if axis == 2 { 14.0 } else { 4.0 };
        let friction = 22.0 * (self.velocity[axis].abs() / self.kit.rapid);
        let cutting = if self.is_cutting() && self.velocity[axis].abs() > 0.01 { 16.0 } else { 0.0 };
        weight + friction + cutting + self.uncertain
    }

    fn alarms(&self) -> [(&'static str, Vec<Alarm>); 4] {
        let keys = &self.kit.keys;
        let mut heat = Vec::new();
        if self.is_hot {
            heat.push(Alarm::new(Severity::Warning, "3010", "HIGH", "SPINDLE BEARING WARM"));
        }
        let mut coolant = Vec::new();
        if self.coolant < 20.0 {
            coolant.push(Alarm::new(Severity::Warning, "3020", "LOW", "COOLANT LEVEL LOW"));
        }
        let mut system = Vec::new();
        for tool in &self.tools {
            let text = |what: &str| format!("TOOL {} {what}", tool.kit.number);
            let code = ["3101", "3102", "3103"][(tool.kit.number as usize + 2) % 3];
            if tool.is_worn_out() {
                system.push(Alarm::new(Severity::Fault, code, "", text("LIFE OVER")));
            } else if tool.is_nearly_worn_out() {
                system.push(Alarm::new(Severity::Warning, code, "", text("LIFE NEARLY OVER")));
            }
        }
        let servo = self.servo.iter().cloned().collect();
        [(keys.heat, heat), (keys.coolant_low, coolant), (keys.system, system), (keys.servo, servo)]
    }

    fn power(&self) -> f64 {
        let axes: f64 = self.velocity.iter().map(|v| 0.4 * v.abs() / self.kit.rapid).sum();
        0.9 + self.kit.power * self.spindle_load + axes
    }
}

impl Simulated for MachineTool {
    fn step(&mut self, seconds: f64) {
        let phase = std::mem::replace(&mut self.phase, Phase::Stopped(0.0));
        self.phase = match phase {
            Phase::Loading(left) => self.load_part(left - seconds),
            // A block's work waits while the door closes, and while the spindle of a tool change stops.
            Phase::Running(block, work) if self.door_open => Phase::Running(block, work),
            Phase::Running(block, Work::Waiting(left))
                if matches!(self.kit.blocks.get(block), Some(Block::Tool(_))) && !self.spindle.stands() =>
            {
                self.cycle.0 += seconds;
                Phase::Running(block, Work::Waiting(left))
            }
            Phase::Running(block, work) => self.run(block, work, seconds),
            Phase::Stopped(left) if left > seconds => Phase::Stopped(left - seconds),
            Phase::Stopped(_) => {
                self.servo = None;
                Phase::Loading(self.kit.loading)
            }
        };
        if !matches!(self.phase, Phase::Running(_, Work::Moving(..))) {
            self.feed = 0.0;
            self.velocity.fill(0.0);
        }
        self.drive_spindle(seconds);
        self.door_open = self.wants_door_open() && self.spindle.stands();
        if self.is_cutting() {
            self.coolant = (self.coolant - 0.012 * seconds).max(0.0);
        }
        self.until_override -= seconds;
        if self.until_override < 0.0 {
            self.until_override = self.rng.random_range(45.0..180.0);
            self.feed_override = f64::from(self.rng.random_range(8..=12_u32)) * 10.0;
        }
        self.uncertain = self.rng.random_range(-0.6..0.6);
    }

    fn report(&mut self, now: Timestamp, board: &mut Board) {
        let (kit, keys) = (self.kit, &self.kit.keys);
        board.show(keys.available, "AVAILABLE");
        board.show(keys.stop, "ARMED");
        board.show(keys.mode, "AUTOMATIC");
        board.show(keys.execution, self.execution());
        board.show(keys.program, kit.program);
        let (line, text) = match &self.phase {
            Phase::Running(block, _) => (10 * (block + 1), kit.blocks.get(*block).map_or("M30".into(), code)),
            _ => (0, String::new()),
        };
        board.show(keys.line, line.to_string());
        board.show(keys.block, text);
        board.show(keys.parts, self.parts.to_string());
        let tool = &self.tools[self.tool];
        board.show(keys.tool, tool.kit.number.to_string());
        board.show(keys.tool_asset, tool.asset_id(kit.machine));
        board.number(keys.feed_override, self.feed_override, 0);
        board.number(keys.feed, self.feed * 60.0, 1);
        for (axis, (position, load)) in keys.axes.iter().enumerate() {
            board.number(position, self.position[axis], 4);
            board.number(load, self.axis_load(axis), 0);
        }
        let point = match *self.position {
            [x, y, z] => [x, y, z],
            [x, z] => [x, 0.0, z],
            _ => [0.0; 3],
        };
        board.vector(keys.point, point);
        board.number(keys.speed, self.spindle.speed, 0);
        board.number(keys.load, self.spindle_load * 100.0, 0);
        board.number(keys.temperature, self.heat.temperature, 1);
        board.show(keys.door, if self.door_open { "OPEN" } else { "CLOSED" });
        board.number(keys.coolant, self.coolant, 1);
        board.number(keys.power, self.power(), 2);
        if let Some(chuck) = keys.chuck {
            board.show(chuck, if matches!(self.phase, Phase::Loading(_)) { "OPEN" } else { "CLOSED" });
        }
        if let Some(bar) = keys.bar {
            board.number(bar, self.bar, 0);
        }
        let variables = [
            ("PARTS", self.parts.to_string()),
            ("SCRAP", self.scrap.to_string()),
            ("CYCLE_SECONDS", format!("{:.1}", self.cycle.1)),
        ];
        board.set(keys.variables, variables.map(|(key, value)| (key.to_owned(), value)).to_vec());
        for (key, alarms) in self.alarms() {
            board.condition(key, &alarms);
        }
        if let Some((code, text)) = self.message.take() {
            board.message(keys.message, code, &text);
        }
        for (tool, stale) in self.tools.iter().zip(&mut self.stale_assets) {
            if std::mem::take(stale) {
                let xml = tool.asset(kit.machine, &now.to_string());
                board.asset(tool.kit.key, &tool.asset_id(kit.machine), "CuttingTool", &xml);
            }
        }
    }
}

/// A block as a control shows it.
fn code(block: &Block) -> String {
    let point = |to: &[f64]| {
        let names: &[&str] = if to.len() == 2 { &["X", "Z"] } else { &["X", "Y", "Z"] };
        names.iter().zip(to).map(|(name, at)| format!(" {name}{at}")).collect::<String>()
    };
    match block {
        Block::Tool(place) => format!("T{} M6", place + 1),
        Block::Spindle(speed) if *speed > 0.0 => format!("S{speed} M3"),
        Block::Spindle(_) => "M5".into(),
        Block::Rapid(to) => format!("G0{}", point(to)),
        Block::Cut(to, rate) => format!("G1{} F{rate}", point(to)),
        Block::Dwell(seconds) => format!("G4 P{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{LATHE, MILL};

    const TICK: f64 = 0.05;

    /// Runs for so many minutes, looking at the machine after each step.
    fn run(kit: &'static Kit, seed: u64, minutes: f64, mut look: impl FnMut(&MachineTool, &MachineTool)) {
        let mut machine = MachineTool::new(kit, seed);
        for _ in 0..(minutes * 60.0 / TICK) as usize {
            let before = machine.snapshot();
            machine.step(TICK);
            look(&before, &machine);
        }
    }

    impl MachineTool {
        fn snapshot(&self) -> Self {
            Self {
                kit: self.kit,
                rng: self.rng.clone(),
                phase: self.phase.clone(),
                position: self.position.clone(),
                velocity: self.velocity.clone(),
                heat: self.heat.clone(),
                spindle: self.spindle.clone(),
                tools: self.tools.clone(),
                stale_assets: self.stale_assets.clone(),
                servo: self.servo.clone(),
                message: self.message.clone(),
                ..*self
            }
        }
    }

    #[test]
    fn the_spindle_stands_and_no_axis_moves_while_the_door_is_open() {
        for kit in [&MILL, &LATHE] {
            let mut opened = 0;
            run(kit, 3, 90.0, |before, after| {
                opened += usize::from(after.door_open && !before.door_open);
                if after.door_open {
                    assert!(after.spindle.stands());
                    assert!(after.velocity.iter().all(|velocity| *velocity == 0.0));
                    assert_ne!(after.execution(), "ACTIVE");
                }
            });
            assert!(opened > 0, "{}: the door never opened", kit.machine);
        }
    }

    #[test]
    fn axes_keep_to_their_speed_and_never_jump_while_a_program_runs() {
        for kit in [&MILL, &LATHE] {
            run(kit, 5, 30.0, |before, after| {
                if after.execution() != "ACTIVE" {
                    return;
                }
                for axis in 0..kit.home.len() {
                    let moved = (after.position[axis] - before.position[axis]).abs();
                    assert!(moved <= kit.rapid * TICK + 1e-6, "{moved} mm in one step");
                }
            });
        }
    }

    #[test]
    fn the_spindle_changes_its_speed_no_faster_than_it_can_and_stays_below_its_top() {
        for kit in [&MILL, &LATHE] {
            run(kit, 6, 20.0, |before, after| {
                let change = (after.spindle.speed - before.spindle.speed).abs();
                assert!(change <= kit.spindle_rate * TICK + 1e-6);
                assert!((0.0..=kit.spindle_top).contains(&after.spindle.speed));
            });
        }
    }

    #[test]
    fn a_tool_is_changed_only_while_the_spindle_slows_down_or_stands_and_cuts_only_while_it_turns() {
        run(&MILL, 7, 30.0, |before, after| {
            if before.tool != after.tool {
                assert_eq!(after.spindle.target, 0.0);
            }
            if after.is_cutting() {
                assert!(after.spindle.speed > 500.0);
            }
        });
    }

    #[test]
    fn parts_are_made_and_the_temperature_follows_slowly() {
        for kit in [&MILL, &LATHE] {
            let (mut parts, mut hottest) = ((u32::MAX, 0), 0.0_f64);
            run(kit, 8, 60.0, |before, after| {
                parts = (parts.0.min(before.parts), after.parts);
                assert!((after.heat.temperature - before.heat.temperature).abs() < 0.05);
                hottest = hottest.max(after.heat.temperature);
                assert!(after.parts - before.parts <= 1);
            });
            let made = parts.1 - parts.0;
            assert!((20..200).contains(&made), "{}: {made} parts in an hour", kit.machine);
            assert!((30.0..80.0).contains(&hottest), "{}: {hottest}", kit.machine);
        }
    }

    #[test]
    fn in_a_day_there_are_warnings_and_faults_and_all_are_cleared() {
        let (mut warned, mut failed, mut cleared) = (false, false, false);
        run(&LATHE, 9, 16.0 * 60.0, |before, after| {
            let active =
                |machine: &MachineTool| machine.alarms().into_iter().flat_map(|(_, all)| all).count();
            let (was, is) = (active(before), active(after));
            cleared |= is < was;
            if is > 0 {
                let all: Vec<_> = after.alarms().into_iter().flat_map(|(_, all)| all).collect();
                warned |= all.iter().any(|alarm| alarm.severity == Severity::Warning);
                failed |= all.iter().any(|alarm| alarm.severity == Severity::Fault);
            }
        });
        assert!(warned && failed && cleared, "{warned} {failed} {cleared}");
    }
}
