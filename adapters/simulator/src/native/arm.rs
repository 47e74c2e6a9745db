//! The robot of the simulated cell, as a controller shows it by OPC UA for Robotics (OPC 40010-1).

use guideway_contract::Timestamp;
use opcua_types::{DateTime, LocalizedText, Variant};

use super::opcua::Leaf;
use crate::board::Board;
use crate::fleet::Simulated as _;
use crate::robot::RobotCell;

const JOINTS: u8 = 6;
/// Newton metres of each joint at full effort.
const TORQUE: [f64; 6] = [420.0, 400.0, 240.0, 60.0, 45.0, 25.0];

/// The robot and its controller.
#[derive(Debug)]
pub(crate) struct Arm {
    cell: RobotCell,
    board: Board,
    started: DateTime,
    /// Seconds since it was switched on.
    powered: f64,
}

impl Arm {
    pub(crate) fn new(seed: u64) -> Self {
        let mut arm = Self {
            cell: RobotCell::new(seed),
            board: Board::default(),
            started: DateTime::now(),
            powered: 41.0 * 3_600.0,
        };
        arm.step(0.0);
        arm
    }

    /// Lives for so many seconds more.
    pub(crate) fn step(&mut self, seconds: f64) {
        self.cell.step(seconds);
        self.powered += seconds;
        self.cell.report(Timestamp::EPOCH, &mut self.board);
        // Nobody reads the lines.
        self.board.changes(Timestamp::EPOCH);
    }

    /// All variables with their values now; always the same ones in the same order.
    pub(crate) fn leaves(&self) -> Vec<Leaf> {
        let is = |key, value| self.board.shown(key) == Some(value);
        let number =
            |key: &str| self.board.shown(key).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let (robot, controller) = ("MotionDevices/ROB_1", "Controllers/Controller");
        let safety = "SafetyStates/SafetyState/ParameterSet";
        let is_stopped = is("cell_exec", "INTERRUPTED");
        let task = format!("{controller}/TaskControls/T_ROB1/ParameterSet");
        let hours = self.powered as u64 / 3_600;
        let mut leaves = vec![
            Leaf::new(format!("{safety}/OperationalMode"), 3_i32),
            Leaf::new(format!("{safety}/EmergencyStop"), false),
            Leaf::new(format!("{safety}/ProtectiveStop"), is_stopped),
            Leaf::new(format!("{task}/TaskProgramName"), Variant::from("Palletize")),
            Leaf::new(format!("{task}/TaskProgramLoaded"), true),
            Leaf::new(format!("{task}/ExecutionMode"), 1_i32),
            Leaf::new(format!("{controller}/ParameterSet/Temperature"), 34.0 + 0.2 * number("cell_j1_temp")),
            Leaf::new(
                format!("{controller}/ParameterSet/TotalPowerOnTime"),
                Variant::from(format!("P{}DT{}H", hours / 24, hours % 24).as_str()),
            ),
            Leaf::new(format!("{controller}/ParameterSet/StartUpTime"), self.started),
            Leaf::new(format!("{robot}/SerialNumber"), Variant::from("1200-501234")),
            Leaf::new(format!("{robot}/Model"), LocalizedText::from("IRB 1200-5/0.9")),
            Leaf::new(format!("{robot}/ParameterSet/SpeedOverride"), 100.0),
            Leaf::new(format!("{robot}/ParameterSet/OnPath"), !is_stopped),
            Leaf::new(format!("{robot}/ParameterSet/InControl"), is("cell_exec", "ACTIVE")),
            Leaf::named("RAPID/T_ROB1/nParts", number("cell_parts") as u32),
        ];
        for (joint, most) in (1..=JOINTS).zip(TORQUE) {
            let axis = format!("{robot}/Axes/Axis_{joint}/ParameterSet");
            let motor = format!("{robot}/PowerTrains/PowerTrain_{joint}/Motor/ParameterSet");
            let of_joint = |what: &str| number(&format!("cell_j{joint}_{what}"));
            let load = (100.0 * of_joint("torque") / most).clamp(0.0, 100.0);
            leaves.extend([
                Leaf::new(format!("{axis}/ActualPosition"), of_joint("angle")),
                Leaf::new(format!("{axis}/ActualSpeed"), of_joint("speed")),
                Leaf::new(format!("{motor}/MotorTemperature"), of_joint("temp")),
                Leaf::new(format!("{motor}/EffectiveLoadRate"), load as u16),
            ]);
        }
        leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_robot_moves_and_its_variables_stay_the_same_ones() {
        let mut arm = Arm::new(5);
        let names = |leaves: &[Leaf]| leaves.iter().map(|leaf| leaf.path.clone()).collect::<Vec<_>>();
        let first = arm.leaves();
        let at = |leaves: &[Leaf], name: &str| {
            leaves
                .iter()
                .find(|leaf| leaf.path.ends_with(name))
                .map(|leaf| leaf.value.clone())
                .expect("there")
        };
        let (mut positions, mut stops) = (std::collections::HashSet::new(), 0);
        for _ in 0..20_000 {
            arm.step(0.05);
            let leaves = arm.leaves();
            positions.insert(format!("{:?}", at(&leaves, "Axis_1/ParameterSet/ActualPosition")));
            stops += u32::from(at(&leaves, "ProtectiveStop") == Variant::Boolean(true));
        }
        assert_eq!(names(&first), names(&arm.leaves()));
        assert!(positions.len() > 100 && stops > 0, "{} {stops}", positions.len());
        assert_ne!(at(&first, "nParts"), at(&arm.leaves(), "nParts"));
    }
}
