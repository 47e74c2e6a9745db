//! The panic switch: while one of its files is there, nothing is carried out.

use std::path::{Path, PathBuf};

use guideway_contract::Timestamp;
use parking_lot::Mutex;
use smol_str::SmolStr;

use super::Switch;
use super::switch::{self, Written};

/// Looks at the files each time that it is asked, so that whoever makes one is obeyed at once.
pub(super) struct Guard {
    /// In the data directory.
    own: Option<PathBuf>,
    /// Somebody else's: never touched.
    other: Option<PathBuf>,
    /// What keeps control off whatever the files say.
    fixed: Option<Switch>,
    state: Mutex<State>,
}

struct State {
    /// Without a data directory: switched off in memory only.
    off: Option<Switch>,
    on: Switch,
    /// What was found last.
    last_on: bool,
    last_off: Option<Switch>,
    stopping: Option<Switch>,
}

impl Guard {
    pub(super) fn new(
        data_dir: Option<&Path>,
        other: Option<PathBuf>,
        fixed: Option<(&str, String)>,
    ) -> Self {
        let now = Timestamp::now();
        let on = Switch { on: true, by: SmolStr::new("start"), reason: String::new(), since: now };
        let fixed = fixed.map(|(by, reason)| Switch { on: false, by: by.into(), reason, since: now });
        let state = State { off: None, on, last_on: true, last_off: None, stopping: None };
        Self { own: data_dir.map(switch::path_in), other, fixed, state: Mutex::new(state) }
    }

    /// How it stands now.
    pub(super) fn look(&self) -> Switch {
        if let Some(fixed) = &self.fixed {
            return fixed.clone();
        }
        let mut state = self.state.lock();
        match &state.stopping {
            Some(stopping) => stopping.clone(),
            None => self.read(&mut state),
        }
    }

    /// How it stands for a command that runs: a stop of the gateway lets it come to its end.
    pub(super) fn look_on(&self) -> Switch {
        if let Some(fixed) = &self.fixed {
            return fixed.clone();
        }
        self.read(&mut self.state.lock())
    }

    /// What the files say. They are read under the lock: who reads before somebody switches must not tell it afterwards.
    fn read(&self, state: &mut State) -> Switch {
        let written = [&self.own, &self.other].into_iter().flatten().find_map(|path| switch::read(path));
        let off = written.map(|written| Switch {
            on: false,
            by: written.by,
            reason: written.reason,
            since: written.time,
        });
        if let Some(off) = off.or_else(|| state.off.clone()) {
            state.last_on = false;
            // A file that cannot be read does not say since when.
            let is_known = |known: &&Switch| (&known.by, &known.reason) == (&off.by, &off.reason);
            let known = state.last_off.as_ref().filter(is_known).cloned();
            return state.last_off.insert(known.unwrap_or(off)).clone();
        }
        state.last_off = None;
        if !std::mem::replace(&mut state.last_on, true) && state.on.since.nanos() < Timestamp::now().nanos() {
            // Somebody took the file away.
            if state.on.by == "start" {
                state.on.by = SmolStr::new("file");
            }
            state.on.since = Timestamp::now();
        }
        state.on.clone()
    }

    /// The gateway stops: nothing is begun any more, and nothing is remembered of it.
    pub(super) fn stop(&self) {
        let reason = "the gateway is stopping".to_owned();
        self.state.lock().stopping =
            Some(Switch { on: false, by: "stop".into(), reason, since: Timestamp::now() });
    }

    /// Switches.
    pub(super) fn set(&self, on: bool, by: &str, reason: &str) -> std::io::Result<()> {
        let now = Timestamp::now();
        let switched = Switch { on, by: by.into(), reason: reason.to_owned(), since: now };
        let mut state = self.state.lock();
        if on {
            if let Some(path) = &self.own {
                switch::remove(path)?;
            }
            (state.off, state.on, state.last_on) = (None, switched, true);
        } else {
            // Off at once, even if the disk does not take it.
            state.off = Some(switched);
            if let Some(path) = &self.own {
                switch::write(path, &Written { by: by.into(), reason: reason.to_owned(), time: now })?;
                state.off = None;
            }
        }
        Ok(())
    }
}
