//! The face: follows the REQUESTs, asks control, and tells the RESPONSEs.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{ItemIndex, Observation, Timestamp, Value};
use smol_str::{SmolStr, format_smolstr};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::ROLE;
use super::followed::Followed;
use super::responder::{Responder, Word};
use crate::control::{self, Claim, Control, Requester, State};
use crate::device_model::{DeviceModel, SharedModel};
use crate::journal::{Journal, Recorded, Selection};

/// How often it is looked whether machines are ready: interlocks change without a word to this face.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long after its arrival a REQUEST is acted on.
const VALID: Duration = Duration::from_secs(60);
/// Observations of REQUESTs that are read at a time.
const AT_ONCE: usize = 256;
/// Between two readings of a journal that does not rest.
const PAUSE: Duration = Duration::from_millis(5);

/// An interface that a machine answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What the profile calls it.
    pub key: SmolStr,
    /// The uuid of the machine's device.
    pub device: SmolStr,
    /// The command that is carried out.
    pub command: SmolStr,
    /// The type of REQUEST and RESPONSE.
    pub item_type: SmolStr,
    /// The REQUEST that it follows: `DEVICE:DATAITEM`.
    pub request: SmolStr,
    /// The id of its RESPONSE.
    pub response: SmolStr,
    /// The id of its INTERFACE_STATE.
    pub state: SmolStr,
}

/// What the face needs of the gateway.
#[derive(Clone)]
pub struct Context {
    /// Where requests go.
    pub control: Control,
    /// Where REQUESTs come from.
    pub journal: Journal,
    /// What data items there are.
    pub model: SharedModel,
}

/// The interfaces of all machines.
pub struct Face {
    context: Context,
    units: Vec<Unit>,
    /// The model that the REQUESTs were last looked for in.
    model: Option<Arc<DeviceModel>>,
    wanted: Selection,
    /// Where to read on.
    next: u64,
    /// Commands that run, each with its interface.
    ends: JoinSet<(usize, bool)>,
}

/// One interface.
struct Unit {
    interface: Interface,
    responder: Responder,
    followed: Option<Followed>,
    /// What is in the journal was taken up to here.
    seen: u64,
    is_ready: bool,
    told: Option<Word>,
    told_state: Option<bool>,
}

impl Face {
    /// The face for these interfaces. Does nothing until it is [run](Self::run).
    pub fn new(interfaces: Vec<Interface>, context: Context) -> Self {
        let units = interfaces.into_iter().map(|interface| Unit {
            interface,
            responder: Responder::default(),
            followed: None,
            seen: 0,
            is_ready: false,
            told: None,
            told_state: None,
        });
        Self {
            units: units.collect(),
            next: context.journal.bounds().next,
            context,
            model: None,
            wanted: Selection::of([]),
            ends: JoinSet::new(),
        }
    }

    /// Answers requests until `cancel`. To be started once control runs.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut changes = self.context.journal.changes();
        let mut switch = self.context.control.switch();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Some(ended) = self.ends.join_next(), if !self.ends.is_empty() => {
                    if let Ok((index, done)) = ended {
                        self.ended(index, done).await;
                    }
                }
                changed = switch.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.look().await;
                }
                _ = look.tick() => {
                    self.follow().await;
                    self.look().await;
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.read().await;
                    // What comes meanwhile is read together.
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Looks for the REQUESTs, where the device model is another one.
    async fn follow(&mut self) {
        let model = self.context.model.load_full();
        if self.model.as_ref().is_some_and(|known| Arc::ptr_eq(known, &model)) {
            return;
        }
        for index in 0..self.units.len() {
            let unit = &self.units[index];
            let Interface { request, item_type, .. } = &unit.interface;
            let found = Followed::find(&model, request, item_type);
            let before = unit.followed.clone();
            if let Err(missing) = &found
                && (before.is_some() || self.model.is_none())
            {
                let interface = unit.interface.key.as_str();
                tracing::warn!(interface, request = %request, "there is no such REQUEST yet: {}", missing.what);
            }
            let found = found.ok();
            if found == before {
                continue;
            }
            self.units[index].followed.clone_from(&found);
            if let Some(followed) = found {
                self.take_up(index, &followed, &model).await;
            }
        }
        self.wanted = Selection::of(self.units.iter().filter_map(|unit| Some(unit.followed.as_ref()?.item)));
        self.model = Some(model);
    }

    /// Takes up what the journal knows of an interface.
    async fn take_up(&mut self, index: usize, followed: &Followed, model: &DeviceModel) {
        let journal = &self.context.journal;
        let unit = &mut self.units[index];
        let response = model.find_item(&unit.interface.response).map(|item| item.index);
        let last_of = |item: ItemIndex, limit: usize| -> Vec<Recorded> {
            let bounds = journal.bounds();
            if bounds.first >= bounds.next {
                return Vec::new();
            }
            let found = journal.read_back(bounds.next - 1, limit, &Selection::of([item]));
            let mut found = found.map(|(found, _)| found).unwrap_or_default();
            found.reverse();
            found
        };
        let found = last_of(followed.item, AT_ONCE);
        let requests: Vec<(u64, &str)> =
            found.iter().filter_map(|(sequence, seen)| Some((*sequence, word(seen)?))).collect();
        let answer = response.map(|item| last_of(item, 16)).unwrap_or_default();
        let answer = answer.iter().rev().find_map(|(at, seen)| Some((*at, Word::parse(word(seen)?)?)));
        unit.seen = found.last().map_or(0, |(sequence, _)| *sequence);
        let open = unit.responder.restore(&requests, answer);
        let arrived =
            found.iter().find(|(sequence, _)| Some(*sequence) == open).map(|(_, seen)| seen.arrival());
        if let (Some(sequence), Some(arrived)) = (open, arrived) {
            self.submit(index, sequence, arrived);
        }
    }

    /// Reads what REQUESTs have said since.
    async fn read(&mut self) {
        loop {
            let read = self.context.journal.read(self.next, None, AT_ONCE, &self.wanted);
            let (found, next) = match read {
                Ok(read) => read,
                Err(gone) => {
                    tracing::warn!("REQUESTs may have been missed: the buffer is too small for this gateway");
                    self.missed(gone.bounds.next);
                    return self.look().await;
                }
            };
            let is_all = found.len() < AT_ONCE;
            self.next = next;
            for (sequence, observation) in found {
                for index in 0..self.units.len() {
                    self.request(index, sequence, &observation).await;
                }
            }
            if is_all {
                return;
            }
        }
    }

    /// What a REQUEST says, for one interface.
    async fn request(&mut self, index: usize, sequence: u64, observation: &Observation) {
        let unit = &mut self.units[index];
        let is_mine = unit.followed.as_ref().is_some_and(|followed| followed.item == observation.item);
        let Some(word) = word(observation).filter(|_| is_mine && sequence > unit.seen) else { return };
        unit.seen = sequence;
        if unit.responder.request(word) {
            // One that cannot be carried out is put to control all the same, which says why not.
            let is_ready = self.is_ready(index);
            self.units[index].is_ready = is_ready;
            if is_ready {
                self.tell(index, Word::Active).await;
            }
            self.submit(index, sequence, observation.arrival());
        } else {
            self.look_at(index).await;
        }
    }

    /// Puts a request to control. The same REQUEST always has the same id, so that it never acts twice.
    fn submit(&mut self, index: usize, sequence: u64, arrived: Timestamp) {
        let Unit { interface, followed, .. } = &self.units[index];
        let Some(followed) = followed else { return };
        let valid = VALID.min(self.context.control.options().max_validity);
        let valid = i64::try_from(valid.as_nanos()).unwrap_or(i64::MAX);
        let claim = Claim {
            id: format_smolstr!("interface-{}-{sequence}", self.context.journal.instance_id()),
            device: interface.device.clone(),
            command: interface.command.clone(),
            arguments: serde_json::Map::new(),
            requester: requester(followed),
            expires: Timestamp::from_nanos(arrived.nanos().saturating_add(valid), 9),
            dry_run: false,
            reply_to: None,
        };
        let end = self.context.control.submit(claim);
        self.ends.spawn(async move {
            let done = end.await.is_ok_and(|end| end.state == State::Done);
            (index, done)
        });
    }

    async fn ended(&mut self, index: usize, done: bool) {
        if !self.units[index].responder.is_running() {
            return;
        }
        let word = self.units[index].responder.ended(done);
        self.tell(index, word).await;
        self.look_at(index).await;
    }

    /// Words were missed: goes on with what the REQUESTs say now.
    fn missed(&mut self, next: u64) {
        self.next = next;
        let Ok(now) = self.context.journal.snapshot_of(None, &self.wanted) else { return };
        for unit in &mut self.units {
            let Some(followed) = &unit.followed else { continue };
            unit.seen = next.saturating_sub(1);
            if let crate::journal::ItemState::Latest((_, observation)) = now.get(followed.item) {
                unit.responder.missed(word(observation));
            }
        }
    }

    /// Looks at every machine, and tells what is new.
    async fn look(&mut self) {
        for index in 0..self.units.len() {
            self.look_at(index).await;
        }
    }

    /// Looks at one machine. INTERFACE_STATE is told before RESPONSE, for RESPONSE means nothing while it is DISABLED.
    async fn look_at(&mut self, index: usize) {
        self.units[index].is_ready = self.is_ready(index);
        let is_enabled = self.is_enabled(&self.units[index].interface.device);
        if self.units[index].told_state.replace(is_enabled) != Some(is_enabled) {
            let said = if is_enabled { "ENABLED" } else { "DISABLED" };
            let state = self.units[index].interface.state.clone();
            self.context.control.note(&state, Value::text(said)).await;
        }
        self.tell_word(index).await;
    }

    /// Whether control is on and the machine connected.
    fn is_enabled(&self, device: &SmolStr) -> bool {
        let control = &self.context.control;
        control.switch().borrow().on && control.is_up(device)
    }

    /// Whether a request would be carried out now.
    fn is_ready(&self, index: usize) -> bool {
        let Unit { interface, followed, .. } = &self.units[index];
        let Interface { device, command, .. } = interface;
        let control = &self.context.control;
        followed.as_ref().is_some_and(|followed| {
            control.permits(&requester(followed), device, command) && control.is_ready(device, command)
        })
    }

    /// Tells what the RESPONSE says now, if that is new.
    async fn tell_word(&mut self, index: usize) {
        let unit = &self.units[index];
        let word = unit.responder.word(unit.is_ready);
        // ACTIVE is told when it begins; what is not carried out goes to FAIL without it.
        if word != Word::Active {
            self.tell(index, word).await;
        }
    }

    async fn tell(&mut self, index: usize, word: Word) {
        let unit = &mut self.units[index];
        if unit.told.replace(word) == Some(word) {
            return;
        }
        let response = unit.interface.response.clone();
        self.context.control.note(&response, Value::text(word.as_str())).await;
    }
}

/// What a data item says; nothing while it is UNAVAILABLE.
fn word(observation: &Observation) -> Option<&str> {
    match observation.value.plain() {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Who asks: the device whose REQUEST it is. Roles that somebody of that name has elsewhere are not its own.
fn requester(followed: &Followed) -> Requester {
    Requester { name: followed.requester.clone(), face: control::Face::Interface, roles: vec![ROLE.into()] }
}
