//! The device model as it is served: with its documents prepared and its selections compiled.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::refusal::Refusal;
use super::xpath::{self, Tree};
use crate::device_model::{DeviceIndex, DeviceModel};
use crate::documents::{Documents, Dressing, ProblemKind};
use crate::journal::Selection;

/// Most compiled selections that are kept for one model.
const MAX_SELECTIONS: usize = 256;

/// Which part of the model a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    /// Name, uuid or id of the device.
    pub(super) device: Option<SmolStr>,
    /// Only the Agent device, or only the others.
    pub(super) kind: Option<DeviceKind>,
    /// XPath.
    pub(super) path: Option<SmolStr>,
}

/// `deviceType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum DeviceKind {
    Agent,
    Device,
}

/// One device model and what was prepared for it.
pub(super) struct Edition {
    /// Grows by one with each model.
    pub(super) number: u64,
    pub(super) model: Arc<DeviceModel>,
    pub(super) documents: Documents,
    tree: OnceLock<Tree>,
    selections: Mutex<FxHashMap<Scope, Arc<Selection>>>,
}

impl Edition {
    pub(super) fn new(number: u64, model: Arc<DeviceModel>, dressing: Dressing) -> Self {
        Self {
            number,
            documents: Documents::new(Arc::clone(&model), dressing),
            model,
            tree: OnceLock::new(),
            selections: Mutex::default(),
        }
    }

    /// The devices of a scope, in the model's order; with `kind` or `device` never none.
    pub(super) fn devices(&self, scope: &Scope) -> Result<Vec<DeviceIndex>, Refusal> {
        let fits = |agent: bool| scope.kind.is_none_or(|kind| (kind == DeviceKind::Agent) == agent);
        let Some(called) = &scope.device else {
            let all = self.model.devices().iter().filter(|device| fits(device.is_agent));
            let all: Vec<_> = all.map(|device| device.index).collect();
            if all.is_empty() && scope.kind.is_some() {
                // A document without a device would not be valid.
                let message = "there is no device of the deviceType asked for";
                return Err(Refusal::new(ProblemKind::NoDevice, message));
            }
            return Ok(all);
        };
        let device = self.model.find_device(called).ok_or_else(|| {
            let names: Vec<&str> = self.model.devices().iter().map(|device| device.name.as_str()).collect();
            Refusal::new(
                ProblemKind::NoDevice,
                format!("there is no device '{called}'; there are: {}", shorten(&names.join(", "))),
            )
        })?;
        if fits(device.is_agent) {
            Ok(vec![device.index])
        } else {
            let message = format!("the device '{called}' is not of the deviceType asked for");
            Err(Refusal::new(ProblemKind::NoDevice, message))
        }
    }

    /// The selection of a scope, when it needs no evaluation or was compiled before.
    pub(super) fn known_selection(&self, scope: &Scope) -> Option<Arc<Selection>> {
        if *scope == Scope::default() {
            return Some(Arc::new(Selection::All));
        }
        self.selections.lock().get(scope).cloned()
    }

    /// The selection of a scope. Evaluates XPath: milliseconds, when it is new.
    pub(super) fn selection(&self, scope: &Scope) -> Result<Arc<Selection>, Refusal> {
        if let Some(known) = self.known_selection(scope) {
            return Ok(known);
        }
        let devices = self.devices(scope)?;
        let invalid = |message| Refusal::new(ProblemKind::InvalidXPath, message);
        let selection = match &scope.path {
            None => {
                let items = devices.iter().flat_map(|device| &self.model.device(*device).items);
                Selection::of(items.copied())
            }
            Some(path) => {
                let tree = self.tree.get_or_init(|| Tree::new(&self.model));
                let device = scope.device.as_ref().and_then(|_| devices.first().copied());
                let items = xpath::select(path, tree, &self.model, device).map_err(invalid)?;
                let wanted = |item: &_| devices.contains(&self.model.item(*item).device);
                let items: Vec<_> = items.into_iter().filter(wanted).collect();
                if items.is_empty() {
                    return Err(invalid("the path selects no data item".to_owned()));
                }
                Selection::of(items)
            }
        };
        let selection = Arc::new(selection);
        let mut selections = self.selections.lock();
        if selections.len() >= MAX_SELECTIONS {
            // Clients ask for few paths and for these again and again; whoever asks for hundreds
            // gains nothing from a finer order.
            selections.clear();
        }
        selections.insert(scope.clone(), Arc::clone(&selection));
        Ok(selection)
    }
}

/// At most about 500 bytes of a text.
fn shorten(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at > 500);
    end.map_or_else(|| text.to_owned(), |end| format!("{}…", &text[..end]))
}
