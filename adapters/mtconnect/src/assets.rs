//! Assets: fetched beside the observations, one request at a time, and told when they differ from what was
//! told.

use std::collections::VecDeque;
use std::future::pending;
use std::hash::{BuildHasher as _, BuildHasherDefault};
use std::time::Duration;

use guideway_contract::{AssetChange, Counters, Fault, Outlet, Signal, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use smol_str::SmolStr;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::address::Base;
use crate::client::{Client, Failure};
use crate::codec::{Document, Element, Tree};
use crate::model::Model;

/// Assets in one listing: more than any agent keeps.
const MOST_LISTED: u64 = 4_096;
/// Changes that wait to be fetched.
const MOST_WAITING: usize = 4_096;
/// Pauses before a request that did not get through is made again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// Assets that are remembered as told.
const MOST_REMEMBERED: usize = 65_536;

/// Assets that were told: their device, and a hash of what was told.
pub(crate) type Told = FxHashMap<SmolStr, (SmolStr, u64)>;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    /// Fetch all.
    List,
    /// Fetch one, of that device.
    Fetch { id: SmolStr, device: SmolStr },
}

/// What came of it.
#[derive(Debug)]
enum Outcome {
    /// An asset, and whether it is told even when nothing is new: the agent says that it changed.
    Is { change: AssetChange, hash: u64 },
    /// All there are, by id.
    Listed(FxHashSet<SmolStr>),
    /// The asset is not there.
    Gone { id: SmolStr, device: SmolStr },
    /// It did not work, and why.
    Failed(String),
    /// The task is over.
    Done,
}

/// The assets of one session.
pub(crate) struct Assets {
    waiting: VecDeque<Task>,
    is_busy: bool,
    tasks: mpsc::Sender<Task>,
    outcomes: mpsc::Receiver<Outcome>,
    worker: AbortHandle,
}

impl Drop for Assets {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// What [`Assets::next`] found; to be given to [`Assets::take`].
pub(crate) struct Found(Option<Outcome>);

impl Assets {
    /// Begins with a listing of all assets of the followed devices.
    pub(crate) fn start(client: Client, base: Base, model: Model) -> Self {
        let (tasks, mut given) = mpsc::channel(1);
        let (done, outcomes) = mpsc::channel(16);
        let worker = tokio::spawn(async move {
            while let Some(task) = given.recv().await {
                let outcomes = insist(&client, &base, &model, &task).await;
                for outcome in outcomes.into_iter().chain([Outcome::Done]) {
                    if done.send(outcome).await.is_err() {
                        return;
                    }
                }
            }
        });
        let worker = worker.abort_handle();
        let mut assets = Self { waiting: VecDeque::new(), is_busy: false, tasks, outcomes, worker };
        assets.waiting.push_back(Task::List);
        assets.go_on();
        assets
    }

    /// Takes an ASSET_CHANGED, ASSET_ADDED or ASSET_REMOVED. What exactly is the case, the agent is asked.
    pub(crate) fn event(&mut self, id: &str, device: &str, outlet: &Outlet) {
        let task = Task::Fetch { id: id.into(), device: device.into() };
        if self.waiting.contains(&task) {
            return;
        }
        if self.waiting.len() >= MOST_WAITING {
            outlet
                .fault(Fault::Rejected, || format!("asset `{id}` changed while {MOST_WAITING} others wait"));
            return;
        }
        self.waiting.push_back(task);
        self.go_on();
    }

    /// What comes next. May be dropped before it is ready.
    pub(crate) async fn next(assets: Option<&mut Self>) -> Found {
        match assets {
            Some(assets) => Found(assets.outcomes.recv().await),
            None => pending().await,
        }
    }

    /// Tells what was found.
    pub(crate) async fn take(&mut self, found: Found, told: &mut Told, outlet: &Outlet) {
        match found.0 {
            Some(Outcome::Is { change, hash }) => {
                if let AssetChange::Put { id, device, .. } = &change {
                    if told.get(id).is_some_and(|(_, known)| *known == hash) {
                        return;
                    }
                    if told.len() < MOST_REMEMBERED || told.contains_key(id) {
                        told.insert(id.clone(), (device.clone(), hash));
                    }
                }
                Counters::add(&outlet.health().counters.assets, 1);
                outlet.send(Signal::Asset(change)).await;
            }
            Some(Outcome::Listed(there)) => {
                let gone: Vec<SmolStr> = told.keys().filter(|id| !there.contains(*id)).cloned().collect();
                for id in gone {
                    if let Some((device, _)) = told.remove(&id) {
                        remove(id, device, outlet).await;
                    }
                }
            }
            Some(Outcome::Gone { id, device }) => {
                told.remove(&id);
                remove(id, device, outlet).await;
            }
            Some(Outcome::Failed(why)) => outlet.fault(Fault::Rejected, || why),
            Some(Outcome::Done) => {
                self.is_busy = false;
                self.go_on();
            }
            // The worker ends with this only.
            None => {}
        }
    }

    fn go_on(&mut self) {
        if !self.is_busy
            && let Some(task) = self.waiting.pop_front()
        {
            self.is_busy = self.tasks.try_send(task).is_ok();
        }
    }
}

async fn remove(id: SmolStr, device: SmolStr, outlet: &Outlet) {
    Counters::add(&outlet.health().counters.assets, 1);
    outlet.send(Signal::Asset(AssetChange::Remove { device, id, time: Timestamp::now() })).await;
}

/// A request that did not get through is made again. Mostly what broke it has ended the session as well, and this
/// task with it; the next session begins with a listing of all.
async fn insist(client: &Client, base: &Base, model: &Model, task: &Task) -> Vec<Outcome> {
    for pause in PAUSES {
        match work(client, base, model, task).await {
            Err(Failure::Broken(_) | Failure::Late(_)) => tokio::time::sleep(pause).await,
            other => return told_or_failed(task, other),
        }
    }
    told_or_failed(task, work(client, base, model, task).await)
}

fn told_or_failed(task: &Task, result: Result<Vec<Outcome>, Failure>) -> Vec<Outcome> {
    let what = |failure: &Failure| match task {
        Task::List => format!("no list of assets: {failure}"),
        Task::Fetch { id, .. } => format!("asset `{id}`: {failure}"),
    };
    result.unwrap_or_else(|failure| vec![Outcome::Failed(what(&failure))])
}

async fn work(client: &Client, base: &Base, model: &Model, task: &Task) -> Result<Vec<Outcome>, Failure> {
    let gone = |id: &SmolStr, device: &SmolStr| Outcome::Gone { id: id.clone(), device: device.clone() };
    Ok(match task {
        Task::List => match client.tree(base.assets(MOST_LISTED)).await {
            Ok(Document::Assets(_, tree)) => {
                let list = list(&tree);
                let mut outcomes: Vec<Outcome> =
                    list.iter().filter_map(|asset| change(&tree, asset, model, "")).collect();
                if (list.len() as u64) < MOST_LISTED {
                    let ids = list.iter().filter(|asset| !is_removed(asset)).filter_map(|asset| id_of(asset));
                    outcomes.push(Outcome::Listed(ids.map(SmolStr::new).collect()));
                }
                outcomes
            }
            // An agent without assets, or from before there were any, has no list of them.
            Ok(_) | Err(Failure::Refused(_) | Failure::Status(_)) => Vec::new(),
            Err(failure) => return Err(failure),
        },
        Task::Fetch { id, device } => match client.tree(base.asset(id)).await {
            Ok(Document::Assets(_, tree)) => {
                let list = list(&tree);
                let found =
                    list.iter().find(|asset| id_of(asset) == Some(&**id)).filter(|asset| !is_removed(asset));
                match found.and_then(|asset| change(&tree, asset, model, device)) {
                    Some(outcome) => vec![outcome],
                    None => vec![gone(id, device)],
                }
            }
            Err(Failure::Refused(problems)) if problems.iter().any(|it| it.code == "ASSET_NOT_FOUND") => {
                vec![gone(id, device)]
            }
            Err(Failure::Status(status)) if status == 404 => vec![gone(id, device)],
            Ok(other) => vec![Outcome::Failed(format!("asset `{id}`: {} came", other.kind()))],
            Err(failure) => return Err(failure),
        },
    })
}

fn list(tree: &Tree) -> Vec<&Element> {
    tree.root.child("Assets").map(|list| list.elements().collect()).unwrap_or_default()
}

fn id_of(asset: &Element) -> Option<&str> {
    asset.attribute("assetId")
}

fn is_removed(asset: &Element) -> bool {
    asset.attribute("removed").is_some_and(|removed| removed.eq_ignore_ascii_case("true"))
}

/// The asset as it is told; `None` for those that are removed, have no id or belong to devices that are not
/// followed.
fn change(tree: &Tree, asset: &Element, model: &Model, device: &str) -> Option<Outcome> {
    let id = id_of(asset).filter(|_| !is_removed(asset))?;
    let device = match asset.attribute("deviceUuid") {
        Some(uuid) => model.followed(uuid, uuid)?.uuid.clone(),
        None if !device.is_empty() => device.into(),
        None => model.followed.first()?.uuid.clone(),
    };
    let time = asset.attribute("timestamp").and_then(Timestamp::parse);
    let body = asset.to_xml(None, &tree.namespaces);
    let hash = BuildHasherDefault::<FxHasher>::default().hash_one(&body);
    let change = AssetChange::Put {
        device,
        id: id.into(),
        asset_type: asset.local().into(),
        body,
        time: time.unwrap_or_else(Timestamp::now),
    };
    Some(Outcome::Is { change, hash })
}
