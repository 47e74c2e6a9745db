//! Writes: checked as a whole before the first is sent, then one after the other.

use guideway_contract::{CommandRequest, Kind, Outcome, PointSpec, SessionEnd, Write};
use tokio::time::Instant;

use crate::address::Place;
use crate::codec::{frame, frame::command, value};
use crate::config::Point;
use crate::session::{Places, Session};

/// One write, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
struct Ready {
    point: usize,
    command: (u16, u16),
    data: Vec<u8>,
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
        let words = self.limits().words;
        let ready = writes.iter().map(|write| prepare(write, self.points, self.places, words));
        let ready = match ready.collect::<Result<Vec<_>, _>>() {
            Ok(ready) => ready,
            Err(why) => return (Outcome::Refused(why), None),
        };
        let all = ready.len();
        for (done, write) in ready.into_iter().enumerate() {
            if Instant::now() >= deadline {
                let why = format!("out of time after {done} of {all} writes");
                return (if done == 0 { Outcome::NotSent(why) } else { Outcome::Refused(why) }, None);
            }
            match self.link.call(write.command, &write.data).await {
                Ok(Ok(_)) => {}
                Ok(Err(code)) => {
                    let address = &self.points[write.point].address;
                    return (
                        Outcome::Refused(format!("`{address}`: {code}; {done} of {all} writes were done")),
                        None,
                    );
                }
                Err(end) => {
                    return (Outcome::Unknown(format!("after {done} of {all} writes: {end}")), Some(end));
                }
            }
        }
        (Outcome::Done, None)
    }
}

fn prepare(write: &Write, points: &[PointSpec<Point>], places: &Places, words: u32) -> Result<Ready, String> {
    let point = write.point.index();
    let (Some(spec), Some(place)) = (points.get(point), places.get(point)) else {
        return Err(format!("there is no point {point}"));
    };
    let place = place.as_ref().map_err(Clone::clone)?;
    if !spec.access.writes() {
        return Err(format!("point {} is not writable; give it access = \"w\" or \"rw\"", spec.name));
    }
    check(place).map_err(|why| format!("`{}`: {why}", spec.address))?;
    let bytes =
        value::encode(place.data_type, &write.value).map_err(|why| format!("`{}`: {why}", spec.address))?;
    if place.words > words {
        return Err(format!(
            "`{}`: {} words are more than the {words} that one request carries",
            spec.address, place.words
        ));
    }
    if place.data_type.kind == Kind::Bool {
        let count = u16::try_from(bytes.len()).map_err(|error| error.to_string())?;
        let mut data = frame::block(place.first_bit(), place.device.code, count);
        // Two points in a byte, the first in its upper half.
        let pair =
            |pair: &[u8]| pair.first().map_or(0, |bit| bit << 4) | pair.get(1).copied().unwrap_or_default();
        data.extend(bytes.chunks(2).map(pair));
        return Ok(Ready { point, command: command::WRITE_BITS, data });
    }
    let count = u16::try_from(bytes.len() / 2).map_err(|error| error.to_string())?;
    let mut data = frame::block(place.number(), place.device.code, count);
    data.extend_from_slice(&bytes);
    Ok(Ready { point, command: command::WRITE, data })
}

/// Whether a place can be written at all.
///
/// # Errors
/// Why not, and what to write instead.
pub(crate) fn check(place: &Place) -> Result<(), &'static str> {
    let kind = place.data_type.kind;
    if kind == Kind::Bool && !place.device.is_bit {
        return Err("SLMP writes no single bit of a word: write the whole word, or use a relay such as M");
    }
    if kind != Kind::Bool && place.bit != 0 {
        return Err("words in relays are written from a multiple of 16 on");
    }
    if matches!(kind, Kind::I8 | Kind::U8 | Kind::Bcd(_) | Kind::Bits(_) | Kind::Bytes(_)) {
        return Err("points of this type are only read; write whole words");
    }
    if matches!(kind, Kind::Text(length) | Kind::Chars(length) if length % 2 == 1)
        && place.data_type.count.is_some()
    {
        return Err("texts in arrays are written with an even length only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use guideway_contract::{Access, Native, PointId};

    use super::*;
    use crate::config::Series;

    fn ready(address: &str, data_type: &str, value: Native) -> Result<Ready, String> {
        let data_type = data_type.parse().unwrap();
        let point =
            PointSpec { access: Access::ReadWrite, ..PointSpec::new(address, data_type, Point::default()) };
        let places = vec![Place::parse(address, data_type, Series::IqR)];
        prepare(&Write { point: PointId(0), value }, &[point], &places, 960)
    }

    #[test]
    fn words_bits_and_texts_are_written_as_the_manual_prints_them() {
        let words = ready("D100", "u16", Native::Int(0x1234)).unwrap();
        assert_eq!((words.command, words.data), ((0x1401, 0), vec![100, 0, 0, 0xA8, 1, 0, 0x34, 0x12]));
        let bits = Native::List([true, false, true].map(Native::Bool).into());
        let bits = ready("M100", "bool[3]", bits).unwrap();
        assert_eq!((bits.command, bits.data), ((0x1401, 1), vec![100, 0, 0, 0x90, 3, 0, 0x10, 0x10]));
        let text = ready("D0", "string[3]", Native::text("AB")).unwrap();
        assert_eq!(text.data, [0, 0, 0, 0xA8, 2, 0, b'A', b'B', 0, 0]);
        let relays = ready("M16", "u16", Native::Int(1)).unwrap();
        assert_eq!(relays.data, [16, 0, 0, 0x90, 1, 0, 1, 0]);
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_it_is_sent() {
        assert!(ready("D100.3", "bool", Native::Bool(true)).unwrap_err().contains("single bit"));
        assert!(ready("M3", "u16", Native::Int(1)).unwrap_err().contains("multiple of 16"));
        assert!(ready("D0", "u16", Native::Int(-1)).is_err());
        assert!(ready("D0", "u8", Native::Int(1)).is_err());
        assert!(
            ready("D0", "u16[961]", Native::List(vec![Native::Int(1); 961].into()))
                .unwrap_err()
                .contains("960")
        );
        assert!(ready("nothing", "u16", Native::Int(1)).is_err());
    }
}
