//! Cutting tools: they wear, and are replaced.

use std::fmt::Write as _;

/// What a pocket of the magazine is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToolKit {
    /// Pocket and program number.
    pub(crate) number: u32,
    /// What kind of tool it is.
    pub(crate) id: &'static str,
    /// Place on the board.
    pub(crate) key: &'static str,
    /// Minutes of cutting that it lasts.
    pub(crate) life: f64,
    /// Power that it takes while it cuts, as a share of the spindle's.
    pub(crate) load: f64,
}

/// A tool in its pocket.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) kit: ToolKit,
    /// Minutes of cutting that are left.
    pub(crate) left: f64,
    serial: u32,
}

impl Tool {
    pub(crate) fn new(kit: ToolKit, worn: f64) -> Self {
        Self { kit, left: kit.life * (1.0 - worn), serial: 1 }
    }

    /// Cuts for `seconds`.
    pub(crate) fn wear(&mut self, seconds: f64) {
        self.left = (self.left - seconds / 60.0).max(0.0);
    }

    /// Puts a new one in its place.
    pub(crate) fn replace(&mut self) {
        self.left = self.kit.life;
        self.serial += 1;
    }

    pub(crate) fn is_worn_out(&self) -> bool {
        self.left <= 0.0
    }

    pub(crate) fn is_nearly_worn_out(&self) -> bool {
        self.left < self.kit.life * 0.1
    }

    /// The asset's id on that machine.
    pub(crate) fn asset_id(&self, machine: &str) -> String {
        format!("{machine}-{}-{}", self.kit.id, self.serial)
    }

    /// The asset: a CuttingTool of MTConnect 2.7 in one line.
    pub(crate) fn asset(&self, machine: &str, at: &str) -> String {
        let Self { kit, left, serial } = self;
        let status = if self.is_worn_out() { "EXPIRED" } else { "USED" };
        let mut xml = String::new();
        let _ = write!(
            xml,
            "<CuttingTool assetId=\"{}\" timestamp=\"{at}\" serialNumber=\"{serial}\" toolId=\"{}\">\
             <CuttingToolLifeCycle>\
             <CutterStatus><Status>{status}</Status></CutterStatus>\
             <ToolLife type=\"MINUTES\" countDirection=\"DOWN\" initial=\"{:.0}\" limit=\"0\">{left:.1}</ToolLife>\
             <ProgramToolNumber>{}</ProgramToolNumber><Location type=\"POT\">{}</Location>\
             </CuttingToolLifeCycle></CuttingTool>",
            self.asset_id(machine),
            kit.id,
            kit.life,
            kit.number,
            kit.number,
        );
        xml
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_wears_out_and_the_next_one_has_another_id() {
        let kit = ToolKit { number: 3, id: "EM10", key: "t3", life: 30.0, load: 0.5 };
        let mut tool = Tool::new(kit, 0.5);
        assert_eq!((tool.left, tool.asset_id("mill")), (15.0, "mill-EM10-1".to_owned()));
        tool.wear(14.0 * 60.0);
        assert!(tool.is_nearly_worn_out() && !tool.is_worn_out());
        tool.wear(120.0);
        assert!(tool.is_worn_out());
        tool.replace();
        assert_eq!((tool.left, tool.asset_id("mill")), (30.0, "mill-EM10-2".to_owned()));
        assert!(!tool.asset("mill", "2025-01-01T00:00:00Z").contains(['\n', '|']));
    }
}
