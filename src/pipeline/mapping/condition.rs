//! Conditions of several entries that come and go: what has changed of one.

use std::sync::Arc;

use guideway_contract::{Condition, Level, Native, Value};
use smol_str::SmolStr;

use super::rule::Entry;

/// The entries of a condition that are active: code, level, text; `None` before anything is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Active(Option<Vec<(SmolStr, Level, SmolStr)>>);

impl Active {
    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// What changes when `entries` are active now: Normal for those that ended, then those that are new or say
    /// something else; a first Normal when nothing is active. Of two entries with one code the first counts.
    pub(super) fn change<'n>(
        &mut self,
        entries: &[&Entry],
        value_of: impl Fn(u32) -> Option<&'n Native> + Copy,
    ) -> Vec<Value> {
        let mut now: Vec<Condition> = Vec::with_capacity(entries.len());
        for entry in entries {
            let native_code = entry.code.fill(value_of);
            if now.iter().all(|known| known.native_code != native_code) {
                now.push(Condition {
                    level: entry.level,
                    native_code,
                    native_severity: entry.severity.clone(),
                    qualifier: entry.qualifier,
                    message: entry.text.fill(value_of),
                    condition_id: SmolStr::default(),
                });
            }
        }
        let mut changes = Vec::new();
        if self.0.is_none() && now.is_empty() {
            changes.push(Condition::normal());
        }
        let was = self.0.take().unwrap_or_default();
        let ended = was.iter().filter(|(code, ..)| now.iter().all(|active| active.native_code != *code));
        changes
            .extend(ended.map(|(code, ..)| Condition { native_code: code.clone(), ..Condition::normal() }));
        let mut known = Vec::with_capacity(now.len());
        for condition in now {
            let state = (condition.native_code.clone(), condition.level, condition.message.clone());
            if !was.contains(&state) {
                changes.push(condition);
            }
            known.push(state);
        }
        self.0 = Some(known);
        changes.into_iter().map(|condition| Value::Condition(Arc::new(condition))).collect()
    }
}

/// Looks at a value as bits.
///
/// # Errors
/// That it is none.
pub(super) fn bits(native: &Native) -> Result<impl Fn(u32) -> bool, String> {
    let bytes: Vec<u8> = match native {
        Native::Bytes(bytes) => bytes.to_vec(),
        Native::Int(word) => word.to_le_bytes().to_vec(),
        Native::UInt(word) => word.to_le_bytes().to_vec(),
        Native::Bool(set) => vec![u8::from(*set)],
        Native::List(values) if values.iter().all(|value| matches!(value, Native::Bool(_))) => {
            let packed = |chunk: &[Native]| {
                let bits = chunk.iter().enumerate();
                bits.fold(0, |byte, (at, value)| byte | u8::from(*value == Native::Bool(true)) << at)
            };
            values.chunks(8).map(packed).collect()
        }
        Native::Bad(cause) => return Err(cause.to_string()),
        other => return Err(format!("{other} is {} and no bits", other.kind())),
    };
    Ok(move |bit: u32| bytes.get(bit as usize / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1))
}
