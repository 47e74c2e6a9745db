//! What a machine shows: its values as SHDR writes them, and which of them changed.

use std::fmt::Write as _;

use guideway_contract::Timestamp;

use crate::alarm::Alarm;

/// All values of one machine, in the order in which they were first shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    slots: Vec<(&'static str, Slot)>,
    /// The lines since the last call of [`Board::changes`], without their times.
    lines: Vec<String>,
    /// Simple values that changed, `|key|value…`; they share one line.
    simple: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Slot {
    Simple(String),
    Set(Vec<(String, String)>),
    Condition(Vec<Alarm>),
    /// Id, type and the XML; removed assets are not kept.
    Asset(String, String),
}

impl Board {
    /// A value by itself. `|` and line ends have no place in it.
    pub(crate) fn show(&mut self, key: &'static str, value: impl Into<String>) {
        let slot = Slot::Simple(value.into());
        if self.put(key, &slot)
            && let Slot::Simple(value) = slot
        {
            let _ = write!(self.simple, "|{key}|{value}");
        }
    }

    /// A number with so many digits behind the point.
    pub(crate) fn number(&mut self, key: &'static str, number: f64, digits: usize) {
        // No minus before a zero.
        let number = if number.abs() < 0.5 * 0.1_f64.powi(digits as i32) { 0.0 } else { number };
        self.show(key, format!("{number:.digits$}"));
    }

    /// Three numbers.
    pub(crate) fn vector(&mut self, key: &'static str, [x, y, z]: [f64; 3]) {
        self.show(key, format!("{:.3} {:.3} {:.3}", x + 0.0, y + 0.0, z + 0.0));
    }

    /// A data set; only the keys that changed are sent.
    pub(crate) fn set(&mut self, key: &'static str, entries: Vec<(String, String)>) {
        let old = self.slots.iter().find(|(other, _)| *other == key).map(|(_, slot)| slot);
        let changed: Vec<_> = match old {
            Some(Slot::Set(old)) => entries.iter().filter(|entry| !old.contains(entry)).cloned().collect(),
            _ => entries.clone(),
        };
        if !changed.is_empty() {
            self.lines.push(set_line(key, &changed));
            self.put(key, &Slot::Set(entries));
        }
    }

    /// All entries of a condition that are active.
    pub(crate) fn condition(&mut self, key: &'static str, alarms: &[Alarm]) {
        let old = match self.slots.iter().find(|(other, _)| *other == key) {
            Some((_, Slot::Condition(old))) => Some(old.clone()),
            _ => None,
        };
        if old.as_deref() == Some(alarms) {
            return;
        }
        if alarms.is_empty() {
            self.lines.push(normal_line(key, ""));
        }
        for gone in old.iter().flatten().filter(|old| alarms.iter().all(|alarm| alarm.code != old.code)) {
            if !alarms.is_empty() {
                self.lines.push(normal_line(key, gone.code));
            }
        }
        for alarm in alarms.iter().filter(|alarm| old.iter().flatten().all(|old| old != *alarm)) {
            self.lines.push(alarm_line(key, alarm));
        }
        self.put(key, &Slot::Condition(alarms.to_vec()));
    }

    /// A message to the operator: said once, not kept.
    pub(crate) fn message(&mut self, key: &'static str, code: &str, text: &str) {
        self.lines.push(format!("|{key}|{code}|{text}"));
    }

    /// An asset that is new or has changed. `key` is only its place on the board.
    pub(crate) fn asset(&mut self, key: &'static str, id: &str, asset_type: &str, xml: &str) {
        let line = format!("|@ASSET@|{id}|{asset_type}|{xml}");
        if self.put(key, &Slot::Asset(id.to_owned(), line.clone())) {
            self.lines.push(line);
        }
    }

    /// The lines for what changed since the last call.
    pub(crate) fn changes(&mut self, now: Timestamp) -> String {
        let mut text = String::new();
        if !self.simple.is_empty() {
            let _ = writeln!(text, "{now}{}", self.simple);
            self.simple.clear();
        }
        for line in self.lines.drain(..) {
            let _ = writeln!(text, "{now}{line}");
        }
        text
    }

    /// The lines for everything there is, for a client that has just come.
    pub(crate) fn snapshot(&self, now: Timestamp) -> String {
        let mut values = String::new();
        let simple = self.slots.iter().filter_map(|(key, slot)| match slot {
            Slot::Simple(value) => Some((key, value)),
            _ => None,
        });
        for (key, value) in simple {
            let _ = write!(values, "|{key}|{value}");
        }
        let mut text = if values.is_empty() { String::new() } else { format!("{now}{values}\n") };
        for (key, slot) in &self.slots {
            match slot {
                Slot::Simple(_) => {}
                Slot::Set(entries) => {
                    let _ = writeln!(text, "{now}{}", set_line(key, entries));
                }
                Slot::Condition(alarms) if alarms.is_empty() => {
                    let _ = writeln!(text, "{now}{}", normal_line(key, ""));
                }
                Slot::Condition(alarms) => {
                    for alarm in alarms {
                        let _ = writeln!(text, "{now}{}", alarm_line(key, alarm));
                    }
                }
                Slot::Asset(_, line) => {
                    let _ = writeln!(text, "{now}{line}");
                }
            }
        }
        text
    }

    /// What is shown for a key, for controls that answer questions and for tests.
    pub(crate) fn shown(&self, key: &str) -> Option<&str> {
        self.slots.iter().find(|(other, _)| *other == key).and_then(|(_, slot)| match slot {
            Slot::Simple(value) => Some(value.as_str()),
            _ => None,
        })
    }

    /// Every key that was ever shown.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.slots.iter().filter(|(_, slot)| !matches!(slot, Slot::Asset(..))).map(|(key, _)| *key)
    }

    /// Keeps the slot; says whether it is another than before.
    fn put(&mut self, key: &'static str, slot: &Slot) -> bool {
        match self.slots.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) if old == slot => false,
            Some((_, old)) => {
                old.clone_from(slot);
                true
            }
            None => {
                self.slots.push((key, slot.clone()));
                true
            }
        }
    }
}

fn set_line(key: &str, entries: &[(String, String)]) -> String {
    let entries: Vec<_> = entries.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("|{key}|{}", entries.join(" "))
}

fn normal_line(key: &str, code: &str) -> String {
    format!("|{key}|normal|{code}|||")
}

fn alarm_line(key: &str, alarm: &Alarm) -> String {
    format!("|{key}|{}|{}||{}|{}", alarm.severity.as_str(), alarm.code, alarm.qualifier, alarm.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Severity;

    const NOW: Timestamp = Timestamp::EPOCH;
    const TIME: &str = "1970-01-01T00:00:00Z";

    #[test]
    fn only_what_changed_is_sent_and_a_snapshot_has_everything() {
        let mut board = Board::default();
        board.show("a", "1");
        board.number("b", -0.000_1, 2);
        assert_eq!(board.changes(NOW), format!("{TIME}|a|1|b|0.00\n"));
        board.show("a", "1");
        board.number("b", 2.5, 2);
        assert_eq!(board.changes(NOW), format!("{TIME}|b|2.50\n"));
        assert_eq!(board.changes(NOW), "");
        assert_eq!(board.snapshot(NOW), format!("{TIME}|a|1|b|2.50\n"));
    }

    #[test]
    fn alarms_come_and_go_one_by_one_and_the_last_leaves_a_normal() {
        let mut board = Board::default();
        let low = Alarm::new(Severity::Warning, "L1", "LOW", "level low");
        let empty = Alarm::new(Severity::Fault, "L2", "LOW", "empty");
        board.condition("c", &[]);
        assert_eq!(board.changes(NOW), format!("{TIME}|c|normal||||\n"));
        board.condition("c", &[low.clone(), empty]);
        let both = format!("{TIME}|c|warning|L1||LOW|level low\n{TIME}|c|fault|L2||LOW|empty\n");
        assert_eq!(board.changes(NOW), both);
        assert_eq!(board.snapshot(NOW), both);
        board.condition("c", &[low]);
        assert_eq!(board.changes(NOW), format!("{TIME}|c|normal|L2|||\n"));
        board.condition("c", &[]);
        assert_eq!(board.changes(NOW), format!("{TIME}|c|normal||||\n"));
        board.condition("c", &[]);
        assert_eq!(board.changes(NOW), "");
    }

    #[test]
    fn of_a_data_set_the_changed_keys_are_sent() {
        let mut board = Board::default();
        let entries = |b: &str| vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), b.to_owned())];
        board.set("v", entries("2"));
        assert_eq!(board.changes(NOW), format!("{TIME}|v|A=1 B=2\n"));
        board.set("v", entries("3"));
        assert_eq!(board.changes(NOW), format!("{TIME}|v|B=3\n"));
        assert!(board.snapshot(NOW).contains("|v|A=1 B=3\n"));
    }

    #[test]
    fn a_message_is_said_once_and_an_asset_is_kept() {
        let mut board = Board::default();
        board.message("m", "7", "refill");
        board.asset("T1", "id-1", "CuttingTool", "<CuttingTool/>");
        let asset = format!("{TIME}|@ASSET@|id-1|CuttingTool|<CuttingTool/>\n");
        assert_eq!(board.changes(NOW), format!("{TIME}|m|7|refill\n{asset}"));
        board.asset("T1", "id-1", "CuttingTool", "<CuttingTool/>");
        assert_eq!(board.changes(NOW), "");
        assert_eq!(board.snapshot(NOW), asset);
    }
}
