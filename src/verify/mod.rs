//! Whether all faces of a running gateway say the same.
//!
//! It watches a gateway from outside, as any client would: the MTConnect agent over HTTP, the OPC UA
//! server, and what is published over MQTT. For every data item it compares the sequences of (value,
//! source time, availability). Nothing here uses the faces' own code: what a face should have said is
//! worked out from what the master said (HTTP where it is among the URLs, else MQTT).

mod compare;
mod expect;
mod http;
mod mqtt;
mod opcua;
mod payload;
mod reading;
mod rest;
mod streams;
mod tap;
mod tape;

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

pub use compare::{Comparison, Difference};
pub use mqtt::MqttLogin;
pub use opcua::OpcUaLogin;
pub use reading::Item;
pub use tap::tap;

use mqtt::Mqtt;
use opcua::OpcUa;
use payload::Layout;
use rest::Rest;
use tape::{SharedTape, Tape};

/// Sends `content` to `target` (an absolute path) below `url` (`http://host[:port][/prefix]`): the status of the
/// answer and its body, whatever the status.
///
/// # Errors
/// Why there is no answer.
pub async fn post(
    url: &str,
    target: &str,
    content_type: &str,
    content: &str,
) -> Result<(u16, Vec<u8>), String> {
    http::post(&http::Address::parse(url)?, target, content_type, content).await
}

/// What is watched, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http://…`, `opc.tcp://…`, `mqtt://…` or `mqtts://…`; at most one HTTP.
    pub urls: Vec<String>,
    /// How long everything is watched.
    pub time: Duration,
    /// Ends earlier when so many observations have come.
    pub observations: usize,
    /// How long a face may take to say what others have said already.
    pub patience: Duration,
    /// How to get at OPC UA servers.
    pub opcua: OpcUaLogin,
    /// How to get at brokers.
    pub mqtt: MqttLogin,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There have to be two.
    #[error("give at least two URLs of one gateway: http://…, opc.tcp://…, mqtt://…")]
    TooFew,
    /// A URL, or how many of its kind.
    #[error("{0}")]
    Url(String),
    /// A face cannot be watched.
    #[error("{url}: {why}")]
    Face {
        /// Which.
        url: String,
        /// Why, and what helps.
        why: String,
    },
    /// It was to end before everything was watched.
    #[error("stopped before anything was compared")]
    Stopped,
    /// Only one face says anything.
    #[error("{0}")]
    NothingToCompare(String),
}

/// How far it is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// This face is being connected to.
    Connecting(String),
    /// Everything is being watched from here on.
    Watching {
        /// How many faces.
        faces: usize,
    },
    /// Observations so far, and the time that is left.
    Seen {
        /// By the master.
        observations: usize,
        /// Until the comparison.
        left: Duration,
    },
    /// Waiting for slower faces.
    Settling,
}

/// How one face compares.
#[derive(Clone, Debug)]
pub struct Row {
    /// URL, and the layout in MQTT.
    pub face: String,
    /// What came out.
    pub comparison: Comparison,
    /// Values that the server itself said it had lost: too many at once for the queues of this client.
    pub lost: u64,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Report {
    /// What everything was compared with.
    pub master: String,
    /// Its data items.
    pub items: usize,
    /// Its observations of the time that was compared.
    pub observations: usize,
    /// The others.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether all said the same, and nothing was lost.
    pub fn is_equal(&self) -> bool {
        self.rows.iter().all(|row| row.comparison.differences.is_empty() && row.lost == 0)
    }
}

/// The faces, each with its URL.
#[derive(Default)]
struct Faces {
    rest: Option<(String, Rest)>,
    opcua: Vec<(String, OpcUa)>,
    mqtt: Vec<(String, Mqtt)>,
}

/// Watches, compares, and says what came out. With `enough` it compares what it has seen so far.
pub async fn run(
    options: &Options,
    enough: &CancellationToken,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, Error> {
    if options.urls.len() < 2 {
        return Err(Error::TooFew);
    }
    let begun = async {
        let faces = connect(options, progress).await?;
        faces.first_values(options.patience).await?;
        Ok(faces)
    };
    let faces = tokio::select! {
        faces = begun => faces?,
        () = enough.cancelled() => return Err(Error::Stopped),
    };
    let report = faces.watch(options, enough, progress).await;
    for (_, face) in &faces.opcua {
        face.close().await;
    }
    report
}

async fn connect(options: &Options, progress: &(dyn Fn(Progress) + Sync)) -> Result<Faces, Error> {
    let mut faces = Faces::default();
    // HTTP first: it tells which journal it is, and the state that everything begins with.
    let mut urls: Vec<&String> = options.urls.iter().collect();
    urls.sort_by_key(|url| !url.starts_with("http"));
    for url in urls {
        progress(Progress::Connecting(url.clone()));
        let failed = |why| Error::Face { url: url.clone(), why };
        match url.split("://").next() {
            Some("http" | "https") if faces.rest.is_some() => {
                return Err(Error::Url(
                    "only one HTTP URL can be given: the others are compared with it".into(),
                ));
            }
            Some("http" | "https") => {
                let address = http::Address::parse(url).map_err(Error::Url)?;
                let watched = Rest::watch(address, opcua::blank()).await.map_err(failed)?;
                faces.rest = Some((url.clone(), watched));
            }
            Some("opc.tcp") => {
                let watched = OpcUa::watch(url, &options.opcua, opcua::blank()).await.map_err(failed)?;
                faces.opcua.push((url.clone(), watched));
            }
            Some("mqtt" | "mqtts") => {
                let instance = faces.rest.as_ref().map(|(_, rest)| rest.instance);
                let watched = Mqtt::watch(url, &options.mqtt, instance).await.map_err(failed)?;
                faces.mqtt.push((url.clone(), watched));
            }
            _ => {
                return Err(Error::Url(format!(
                    "`{url}`: write http://…, opc.tcp://…, mqtt://… or mqtts://…"
                )));
            }
        }
    }
    Ok(faces)
}

impl Faces {
    async fn watch(
        &self,
        options: &Options,
        enough: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, Error> {
        let from = self.next_sequence().await?;
        let count = usize::from(self.rest.is_some()) + self.opcua.len() + self.mqtt.len();
        progress(Progress::Watching { faces: count });
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            self.broken()?;
            let observations = self.master().map_or(0, |(_, tape)| tape.lock().readings);
            let left = options.time.saturating_sub(begun.elapsed());
            progress(Progress::Seen { observations, left });
            if left.is_zero() || observations >= options.observations || enough.is_cancelled() {
                break;
            }
        }
        progress(Progress::Settling);
        let to = self.next_sequence().await?;
        let deadline = Instant::now() + options.patience;
        loop {
            self.broken()?;
            let report = self.compare(from..to);
            let late = Instant::now() >= deadline;
            match report {
                Ok(report) if report.is_equal() || late => return Ok(report),
                Err(error) if late => return Err(error),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Waits until every OPC UA item has told the value that it has.
    async fn first_values(&self, patience: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + patience.max(Duration::from_secs(5));
        for (url, face) in &self.opcua {
            while !face.waiting().is_empty() && Instant::now() < deadline {
                self.broken()?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let silent = face.waiting();
            if !silent.is_empty() {
                let first: Vec<String> = silent.iter().take(5).map(ToString::to_string).collect();
                let why = format!(
                    "{} items have not told their value in time, such as {}",
                    silent.len(),
                    first.join(", ")
                );
                return Err(Error::Face { url: url.clone(), why });
            }
        }
        if self.rest.is_none() {
            // What is on its way belongs to what was there before.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// The sequence that the next observation gets, as far as is known.
    async fn next_sequence(&self) -> Result<u64, Error> {
        match &self.rest {
            Some((url, rest)) => {
                rest.next_sequence().await.map_err(|why| Error::Face { url: url.clone(), why })
            }
            None => Ok(self.master().map_or(0, |(_, tape)| tape.lock().next)),
        }
    }

    /// What everything is compared with: HTTP, else the first layout of the first broker.
    fn master(&self) -> Option<(String, SharedTape)> {
        if let Some((url, rest)) = &self.rest {
            return Some((url.clone(), rest.tape().clone()));
        }
        let (url, mqtt) = self.mqtt.first()?;
        let layouts = mqtt.layouts.lock();
        layouts.first_key_value().map(|(layout, tape)| (named(url, *layout), tape.clone()))
    }

    fn broken(&self) -> Result<(), Error> {
        let tapes = self.rest.iter().map(|(url, rest)| (url, rest.tape()));
        let tapes = tapes.chain(self.opcua.iter().map(|(url, face)| (url, face.tape())));
        for (url, tape) in tapes {
            if let Some(why) = tape.lock().broken.clone() {
                return Err(Error::Face { url: url.clone(), why });
            }
        }
        for (url, mqtt) in &self.mqtt {
            if let Some(why) = mqtt.broken.lock().clone() {
                return Err(Error::Face { url: url.clone(), why });
            }
        }
        match self.opcua.iter().find(|(_, face)| face.is_lost()) {
            Some((url, _)) => Err(Error::Face {
                url: url.clone(),
                why: "the connection was lost; was the gateway stopped?".into(),
            }),
            None => Ok(()),
        }
    }

    fn compare(&self, stretch: Range<u64>) -> Result<Report, Error> {
        if let Some((url, rest)) = &self.rest {
            let told = rest.tape().lock().next;
            if told < stretch.end {
                let why = format!("its stream has come to sequence {told} of {} only", stretch.end);
                return Err(Error::Face { url: url.clone(), why: why + "; give it more --patience" });
            }
        }
        let (name, master) = self.master().ok_or_else(|| {
            let topics =
                "no observation in a layout that can be read (entity, uns, mtconnect) came over MQTT";
            Error::NothingToCompare(format!("{topics}; does the gateway publish there?"))
        })?;
        let master = master.lock();
        let mut rows = Vec::new();
        for (url, face) in &self.opcua {
            let tape = face.tape().lock();
            let comparison = compare::by_order(&master, &tape, &face.shapes, &stretch, self.rest.is_some());
            rows.push(Row { face: url.clone(), comparison, lost: tape.lost });
        }
        for (url, mqtt) in &self.mqtt {
            let layouts = mqtt.layouts.lock();
            if layouts.is_empty() {
                let why = "no observation of this gateway came in a layout that can be read (entity, uns, \
                           mtconnect); does it publish there, and did anything change meanwhile?";
                return Err(Error::NothingToCompare(format!("{url}: {why}")));
            }
            for (layout, tape) in layouts.iter() {
                let face = named(url, *layout);
                if face != name {
                    rows.push(row(face, &master, &tape.lock(), &stretch));
                }
            }
        }
        if rows.is_empty() {
            return Err(Error::NothingToCompare(format!("only {name} said anything")));
        }
        let within = |sequence: Option<u64>| sequence.is_some_and(|it| stretch.contains(&it));
        let all = master.items.values().flatten();
        let observations = all.filter(|reading| within(reading.sequence)).count();
        Ok(Report { master: name, items: master.items.len(), observations, rows })
    }
}

fn row(face: String, master: &Tape, tape: &Tape, stretch: &Range<u64>) -> Row {
    let comparison = compare::by_sequence(master, tape, stretch);
    Row { face, comparison, lost: tape.lost }
}

fn named(url: &str, layout: Layout) -> String {
    format!("{url} ({layout})")
}
