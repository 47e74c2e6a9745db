//! Commands: writes in order, through handles of symbols' names.

use guideway_contract::{CommandRequest, Outcome, PointId, SessionEnd, Write};
use tokio::time::Instant;

use crate::address::Address;
use crate::codec::command::{HANDLE_BY_NAME, RELEASE_HANDLE, VALUE_BY_HANDLE};
use crate::link::RequestError;
use crate::resolve::terminated;
use crate::session::Session;
use crate::slot::Place;

/// A write that is ready to go out.
struct Ready {
    name: String,
    address: Address,
    bytes: Vec<u8>,
}

/// How one write ended that did not succeed.
enum Failed {
    /// The controller said no.
    Refused(String),
    /// The session ended before anything could have been written.
    Before(SessionEnd),
    /// It ended when the value had gone out.
    After(SessionEnd),
    /// It ended when the value had been acknowledged.
    Done(SessionEnd),
}

impl Session<'_> {
    /// Does what is asked and answers it.
    pub(crate) async fn command(&mut self, request: CommandRequest) -> Result<(), SessionEnd> {
        let CommandRequest { command, reply } = request;
        let deadline = Instant::now() + command.timeout;
        let (outcome, end) = match self.prepare(&command.writes) {
            Ok(ready) => match self.unchanged().await {
                Ok(true) => self.write_all(ready, deadline).await,
                Ok(false) => (Outcome::NotSent("the PLC program has just changed; ask again".into()), None),
                Err(end) => (Outcome::NotSent(end.to_string()), Some(end)),
            },
            Err(why) => (Outcome::Refused(why), None),
        };
        self.link.set_patience(self.config.timeout);
        // A requester that has gone away no longer needs the answer.
        let _ = reply.send(outcome);
        end.map_or(Ok(()), Err)
    }

    /// Whether the program is still the one whose types the values were encoded for.
    async fn unchanged(&mut self) -> Result<bool, SessionEnd> {
        if self.version.is_some() && !self.changed {
            self.changed = self.read_version().await? != self.version;
        }
        Ok(!self.changed)
    }

    /// All writes as bytes, before any goes out.
    fn prepare(&self, writes: &[Write]) -> Result<Vec<Ready>, String> {
        if !self.runs() {
            return Err("the PLC is not in RUN".into());
        }
        writes.iter().map(|write| self.prepare_one(write.point, write)).collect()
    }

    fn prepare_one(&self, PointId(point): PointId, write: &Write) -> Result<Ready, String> {
        let slot = self.slots.get(point as usize).ok_or_else(|| format!("there is no point {point}"))?;
        let name = &slot.spec.name;
        if !slot.spec.access.writes() {
            return Err(format!("{name} is not writable: its `access` is \"r\""));
        }
        let place = slot.place.as_ref().map_err(|why| format!("{name}: {why}"))?;
        let (Place::Memory(target), Ok(address)) = (place, &slot.address) else {
            return Err(format!("{name} can only be read"));
        };
        if target.read_only {
            return Err(format!("{name} is read-only in the PLC program"));
        }
        let bytes = target.layout.encode(&write.value).map_err(|why| format!("{name}: {why}"))?;
        Ok(Ready { name: name.to_string(), address: address.clone(), bytes })
    }

    async fn write_all(&mut self, writes: Vec<Ready>, deadline: Instant) -> (Outcome, Option<SessionEnd>) {
        let count = writes.len();
        for (done, write) in writes.into_iter().enumerate() {
            let part = |what: String| {
                if done == 0 {
                    what
                } else {
                    format!("{what} (the first {done} of {count} writes were done)")
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return match done {
                    0 => {
                        (Outcome::NotSent("the command's time was over before it could go out".into()), None)
                    }
                    _ => (Outcome::Unknown(part(format!("{}: no time left", write.name))), None),
                };
            }
            self.link.set_patience(left.min(self.config.timeout));
            match self.write_one(&write).await {
                Ok(()) => {}
                Err(Failed::Refused(why)) => {
                    return (Outcome::Refused(part(format!("{}: {why}", write.name))), None);
                }
                Err(Failed::Before(end)) if done == 0 => {
                    return (Outcome::NotSent(end.to_string()), Some(end));
                }
                Err(Failed::Before(end) | Failed::After(end)) => {
                    return (Outcome::Unknown(part(format!("{}: {end}", write.name))), Some(end));
                }
                Err(Failed::Done(end)) if done + 1 == count => return (Outcome::Done, Some(end)),
                Err(Failed::Done(end)) => return (Outcome::Unknown(part(end.to_string())), Some(end)),
            }
        }
        (Outcome::Done, None)
    }

    async fn write_one(&mut self, write: &Ready) -> Result<(), Failed> {
        let (group, offset, handle) = match &write.address {
            Address::State => return Err(Failed::Refused("it can only be read".into())),
            Address::Index { group, offset } => (*group, *offset, None),
            Address::Symbol(name) => {
                let handle = self.handle(name).await?;
                (VALUE_BY_HANDLE, handle, Some(handle))
            }
        };
        let written = match self.link.write(group, offset, &write.bytes).await {
            Ok(()) => Ok(()),
            Err(RequestError::Refused(code)) => Err(Failed::Refused(code.to_string())),
            Err(RequestError::End(end)) => return Err(Failed::After(end)),
        };
        if let Some(handle) = handle
            && let Err(RequestError::End(end)) =
                self.link.write(RELEASE_HANDLE, 0, &handle.to_le_bytes()).await
        {
            return match written {
                Ok(()) => Err(Failed::Done(end)),
                Err(refused) => Err(refused),
            };
        }
        written
    }

    async fn handle(&mut self, name: &str) -> Result<u32, Failed> {
        match self.link.read_write(HANDLE_BY_NAME, 0, 4, &terminated(name)).await {
            Ok(handle) => match handle.as_ref().try_into() {
                Ok(handle) => Ok(u32::from_le_bytes(handle)),
                Err(_) => Err(Failed::Before(SessionEnd::Protocol("a handle that is no handle".into()))),
            },
            Err(RequestError::Refused(code)) => Err(Failed::Refused(code.to_string())),
            Err(RequestError::End(end)) => Err(Failed::Before(end)),
        }
    }
}
