//! Writes: checked as a whole before the first is sent, then one after the other.

use guideway_contract::{CommandRequest, Kind, Native, Outcome, SessionEnd, Write};
use tokio::time::Instant;

use crate::codec::cip::{self, service};
use crate::codec::value::{self, Shape};
use crate::link::broken;
use crate::session::Session;

/// One write, ready to be sent.
struct Ready {
    point: usize,
    service: u8,
    request: Vec<u8>,
}

impl Session<'_> {
    /// Serves one command. A write that left and was not answered ends the session.
    pub(crate) async fn command(&mut self, request: CommandRequest) -> Result<(), SessionEnd> {
        let CommandRequest { command, reply } = request;
        let deadline = Instant::now() + command.timeout;
        let (outcome, end) = self.write(&command.writes, deadline).await;
        // A requester that has gone away no longer needs the answer.
        let _ = reply.send(outcome);
        end.map_or(Ok(()), Err)
    }

    async fn write(&mut self, writes: &[Write], deadline: Instant) -> (Outcome, Option<SessionEnd>) {
        let mut ready = Vec::with_capacity(writes.len());
        for write in writes {
            match self.prepare(write).await {
                Ok(Ok(write)) => ready.push(write),
                Ok(Err(why)) => return (Outcome::Refused(why), None),
                Err(end) => return (Outcome::NotSent(end.to_string()), Some(end)),
            }
        }
        let all = ready.len();
        for (done, write) in ready.into_iter().enumerate() {
            if Instant::now() >= deadline {
                let why = format!("out of time after {done} of {all} writes");
                return (if done == 0 { Outcome::NotSent(why) } else { Outcome::Refused(why) }, None);
            }
            match self.link.send(write.service, &write.request).await {
                Ok(reply) if reply.status.is_success() => {}
                Ok(reply) => {
                    // The program may have changed: learn the type anew.
                    if let Ok(target) = &mut self.targets[write.point] {
                        target.forget();
                    }
                    let address = &self.points[write.point].address;
                    let why = format!("`{address}`: {}; {done} of {all} writes were done", reply.status);
                    return (Outcome::Refused(why), None);
                }
                Err(end) => {
                    return (Outcome::Unknown(format!("after {done} of {all} writes: {end}")), Some(end));
                }
            }
        }
        (Outcome::Done, None)
    }

    /// Reads a tag for its type and size, unless a read has told them already.
    async fn learn(&mut self, point: usize) -> Result<Result<(), String>, SessionEnd> {
        loop {
            let Ok(target) = &self.targets[point] else { return Ok(Err("no address".into())) };
            if target.known.is_some() {
                return Ok(Ok(()));
            }
            let reply = self.link.send(service::READ, target.request()).await?;
            let Ok(target) = &mut self.targets[point] else { return Ok(Err("no address".into())) };
            if reply.status.is_path() && target.turn() {
                continue;
            }
            if reply.status.is_partial() {
                let pieces = self.pieces(point).await?;
                if let (Ok((shape, data)), Ok(target)) = (&pieces, &mut self.targets[point]) {
                    target.known = Some((*shape, data.len()));
                }
                return Ok(pieces.map(drop));
            }
            if !reply.status.is_success() {
                return Ok(Err(reply.status.to_string()));
            }
            let (shape, data) = value::split_type(&reply.data).map_err(broken)?;
            if !(target.is_turned_by(shape) && target.turn()) {
                target.known = Some((shape, data.len()));
            }
        }
    }

    /// Learns the tag's type where no read has told it yet, and builds the request.
    async fn prepare(&mut self, write: &Write) -> Result<Result<Ready, String>, SessionEnd> {
        let point = write.point.0 as usize;
        let Some(spec) = self.points.get(point) else { return Ok(Err(format!("there is no point {point}"))) };
        let (name, address) = (&spec.name, &spec.address);
        if !spec.access.writes() {
            return Ok(Err(format!("point {name} is not writable; give it access = \"w\" or \"rw\"")));
        }
        if let Err(why) = &self.targets[point] {
            return Ok(Err(why.clone()));
        }
        if let Err(why) = self.learn(point).await? {
            return Ok(Err(format!("the type of {name} cannot be read: {why}")));
        }
        let known = self.targets[point].as_ref().ok().and_then(|target| target.known);
        // Only what is known to be a string is written as one.
        if let Some((Shape::Structure(handle), _)) = known
            && self.catalog.templates.string_room(handle).is_none()
        {
            self.describe(point).await?;
        }
        let (Some((shape, present)), Ok(target)) = (known, &self.targets[point]) else {
            return Ok(Err(format!("the type of {name} is not known")));
        };
        let (path, elements) = target.place();
        let ready = if let Some(bit) = target.bit() {
            bit_masks(shape, bit, &write.value).map(|masks| {
                let service = service::READ_MODIFY_WRITE;
                Ready { point, service, request: cip::request(service, &path, &masks) }
            })
        } else if target.data_type.kind == Kind::Bool && shape == Shape::Atomic(value::DWORD) {
            Err("a BOOL array is written bit by bit: name one element".into())
        } else {
            let room = match shape {
                Shape::Structure(handle) => self.catalog.templates.string_room(handle),
                Shape::Atomic(_) => None,
            };
            value::encode(shape, present, target.data_type, &write.value, room).map(|bytes| {
                let data = [shape.bytes(), elements.to_le_bytes().to_vec(), bytes].concat();
                let service = service::WRITE;
                Ready { point, service, request: cip::request(service, &path, &data) }
            })
        };
        let most = self.limits().request;
        Ok(ready.map_err(|why| format!("`{address}`: {why}")).and_then(|ready| {
            let bytes = ready.request.len();
            if bytes > most {
                Err(format!(
                    "`{address}`: a write of {bytes} bytes is more than the {most} that one request carries"
                ))
            } else {
                Ok(ready)
            }
        }))
    }
}

/// The masks that set or clear one bit and leave the others as they are.
fn bit_masks(shape: Shape, bit: u8, value: &Native) -> Result<Vec<u8>, String> {
    let set = match value {
        Native::Bool(set) => *set,
        Native::Int(number @ 0..=1) => *number == 1,
        _ => return Err(format!("{} `{value}` is no bit", value.kind())),
    };
    // The same checks as for reading a bit.
    let Shape::Atomic(code) = shape else { return Err("a structure has no bits; name the member".into()) };
    let size = value::size(code).unwrap_or_default();
    value::bit(shape, &[0; 8][..size], bit)?;
    let mask = 1_u64 << bit;
    let (or, and) = if set { (mask, u64::MAX) } else { (0, !mask) };
    let mut data = u16::try_from(size).unwrap_or_default().to_le_bytes().to_vec();
    data.extend_from_slice(&or.to_le_bytes()[..size]);
    data.extend_from_slice(&and.to_le_bytes()[..size]);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_is_set_or_cleared_and_no_other() {
        let dint = Shape::Atomic(0xC4);
        assert_eq!(bit_masks(dint, 9, &Native::Bool(true)), Ok(vec![4, 0, 0, 2, 0, 0, 255, 255, 255, 255]));
        assert_eq!(bit_masks(dint, 9, &Native::Int(0)), Ok(vec![4, 0, 0, 0, 0, 0, 255, 253, 255, 255]));
        assert!(bit_masks(dint, 32, &Native::Bool(true)).is_err());
        assert!(bit_masks(Shape::Atomic(0xCA), 1, &Native::Bool(true)).is_err());
        assert!(bit_masks(dint, 1, &Native::Int(2)).is_err());
    }
}
