//! A gateway's MTConnect face: the state, then everything that follows.

use super::http::{self, Address, Parts};
use super::streams::{self, Document};
use super::tape::SharedTape;

/// Most observations in one part of the stream.
const COUNT: u32 = 10_000;

/// The face, being watched.
pub(super) struct Rest {
    address: Address,
    /// The `instanceId` of the journal.
    pub(super) instance: u64,
    tape: SharedTape,
    follower: tokio::task::JoinHandle<()>,
}

impl Rest {
    /// Reads the state and follows what comes behind it.
    pub(super) async fn watch(address: Address, tape: SharedTape) -> Result<Self, String> {
        let begin = current(&address).await?;
        {
            let mut tape = tape.lock();
            for (item, reading) in begin.readings {
                tape.put(item, reading);
            }
            tape.next = begin.next;
        }
        let (next, instance) = (begin.next, begin.instance);
        let target = format!("/sample?from={next}&count={COUNT}&interval=50&heartbeat=1000");
        let body = http::get(&address, &target).await?;
        if !body.content_type.starts_with("multipart/") {
            return Err(format!("{target} is no stream but {}", body.content_type));
        }
        let written = tape.clone();
        let follower = tokio::spawn(async move {
            if let Err(why) = follow(Parts::new(body), instance, &written).await {
                written.lock().broken = Some(why);
            }
        });
        Ok(Self { address, instance, tape, follower })
    }

    /// The sequence that the next observation gets, right now.
    pub(super) async fn next_sequence(&self) -> Result<u64, String> {
        let now = current(&self.address).await?;
        if now.instance != self.instance {
            return Err("the journal was begun anew meanwhile; start again".into());
        }
        Ok(now.next)
    }

    /// What it said so far.
    pub(super) fn tape(&self) -> &SharedTape {
        &self.tape
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

async fn current(address: &Address) -> Result<Document, String> {
    let body = http::get(address, "/current").await?;
    streams::read(&body.whole().await?)
}

async fn follow(mut parts: Parts, instance: u64, tape: &SharedTape) -> Result<(), String> {
    loop {
        let part = parts.next().await?.ok_or("the gateway ended the stream; was it stopped?")?;
        let part = streams::read(&part)?;
        if part.instance != instance {
            return Err("the journal was begun anew meanwhile; start again".into());
        }
        let mut tape = tape.lock();
        for (item, reading) in part.readings {
            tape.put(item, reading);
        }
        tape.next = part.next;
    }
}
