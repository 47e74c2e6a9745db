//! An S7 controller's side of ISO-on-TCP (RFC 1006): connect, set up, read and write variables.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::host::{host, lock, send};
use super::press::{DB, Press};

/// Connections at a time.
const MOST_CLIENTS: usize = 8;
/// The largest PDU that is granted, and the smallest.
const PDU: (u16, u16) = (112, 960);
/// The longest frame that is taken.
const LONGEST: usize = 1_024;
const MOST_ITEMS: usize = 20;

/// Return codes of single items.
const DONE: u8 = 0xFF;
const BAD_ADDRESS: u8 = 0x05;
const BAD_TYPE: u8 = 0x06;
const BAD_SIZE: u8 = 0x07;
const NO_OBJECT: u8 = 0x0A;

/// Serves the press's controller until `cancel`.
pub(crate) async fn serve(press: Press, listener: TcpListener, cancel: CancellationToken) {
    let press = Arc::new(Mutex::new(press));
    let live = |seconds| lock(&press).step(seconds);
    host(listener, cancel, MOST_CLIENTS, live, |stream| talk(stream, press.clone())).await;
}

/// Answers one client, until it goes or says what is not allowed.
async fn talk(mut stream: TcpStream, press: Arc<Mutex<Press>>) {
    let mut header = [0; 4];
    let mut body = [0; LONGEST];
    let mut peer = Peer::default();
    while stream.read_exact(&mut header).await.is_ok() {
        let [3, _, l0, l1] = header else { return };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(body) = length.checked_sub(header.len()).and_then(|length| body.get_mut(..length)) else {
            return;
        };
        if stream.read_exact(body).await.is_err() {
            return;
        }
        let Some(cotp) = peer.answer(&mut lock(&press).block, body) else { return };
        let [l0, l1] = be(header.len() + cotp.len());
        if !send(&mut stream, &[&[3, 0, l0, l1], &cotp[..]].concat()).await {
            return;
        }
    }
}

/// How far a client has come.
#[derive(Debug, Default)]
struct Peer {
    is_connected: bool,
    /// The PDU size, once it is agreed on.
    pdu: Option<usize>,
}

impl Peer {
    /// The frame that answers a frame; `None` ends the connection.
    fn answer(&mut self, block: &mut [u8], cotp: &[u8]) -> Option<Vec<u8>> {
        match cotp {
            // Connection request: our reference, its reference, class, parameters.
            [length, 0xE0, _, _, r0, r1, class, parameters @ ..]
                if usize::from(*length) == cotp.len() - 1 && !self.is_connected =>
            {
                self.is_connected = true;
                if !is_cpu(parameters) {
                    // Disconnect request: address unknown.
                    return Some(vec![6, 0x80, *r0, *r1, 0, 1, 3]);
                }
                Some([&[*length, 0xD0, *r0, *r1, 0, 1, *class], parameters].concat())
            }
            // Data, all in one frame.
            [2, 0xF0, last, pdu @ ..] if last & 0x80 != 0 && self.is_connected => {
                Some([&[2, 0xF0, 0x80], &self.job(block, pdu)?[..]].concat())
            }
            _ => None,
        }
    }

    fn job(&mut self, block: &mut [u8], pdu: &[u8]) -> Option<Vec<u8>> {
        let &[0x32, kind, _, _, r0, r1, p0, p1, d0, d1, ref rest @ ..] = pdu else { return None };
        let size = |high, low| usize::from(u16::from_be_bytes([high, low]));
        let (parameters, data) = rest.split_at_checked(size(p0, p1))?;
        if data.len() != size(d0, d1) || self.pdu.is_some_and(|most| pdu.len() > most) {
            return None;
        }
        let reference = [r0, r1];
        if kind == 7 {
            return user_data(reference, parameters);
        }
        let done = match (kind, parameters) {
            (1, &[0xF0, _, _, _, _, _, s0, s1]) => {
                let granted = u16::from_be_bytes([s0, s1]).clamp(PDU.0, PDU.1);
                self.pdu = Some(granted.into());
                let [g0, g1] = granted.to_be_bytes();
                return Some(reply(reference, &[0xF0, 0, 0, 1, 0, 1, g0, g1], &[]));
            }
            // Nothing before the size is agreed on.
            _ if self.pdu.is_none() => return None,
            (1, [4, count, items @ ..]) if is_whole(*count, items) => read(block, items),
            (1, [5, count, items @ ..]) if is_whole(*count, items) => write(block, items, data)?,
            _ => return Some(refusal(reference, [0x81, 0x04])),
        };
        let reply = reply(reference, &parameters[..2], &done);
        Some(if self.pdu.is_some_and(|most| reply.len() > most) {
            refusal(reference, [0x85, 0x00])
        } else {
            reply
        })
    }
}

/// Whether the called TSAP is the CPU's: rack 0, slot 1 (or 0, which an S7-1500 takes for the same).
fn is_cpu(mut parameters: &[u8]) -> bool {
    while let [code, length, rest @ ..] = parameters {
        let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else { return false };
        if *code == 0xC2 {
            return matches!(value, [1..=3, 0 | 1]);
        }
        parameters = rest;
    }
    false
}

fn be(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn reply(reference: [u8; 2], parameters: &[u8], data: &[u8]) -> Vec<u8> {
    let head = [&[0x32, 3, 0, 0], &reference[..], &be(parameters.len()), &be(data.len()), &[0, 0]].concat();
    [&head, parameters, data].concat()
}

fn refusal([r0, r1]: [u8; 2], [class, code]: [u8; 2]) -> Vec<u8> {
    vec![0x32, 2, 0, 0, r0, r1, 0, 0, 0, 0, class, code]
}

/// Lists, clocks and diagnostics are not given out, as on S7-1200 and S7-1500 for the most part.
fn user_data([r0, r1]: [u8; 2], parameters: &[u8]) -> Option<Vec<u8>> {
    let &[0, 1, 0x12, _, _, group, function, sequence, ..] = parameters else { return None };
    let head = [0x32, 7, 0, 0, r0, r1, 0, 12, 0, 4];
    let group = group & 0x0F | 0x80;
    Some(
        [&head[..], &[0, 1, 0x12, 8, 0x12, group, function, sequence, 0, 0, 0x81, 0x04, 0x0A, 0, 0, 0]]
            .concat(),
    )
}

fn is_whole(count: u8, items: &[u8]) -> bool {
    (1..=MOST_ITEMS).contains(&usize::from(count)) && items.len() == usize::from(count) * 12
}

/// Where an item is.
enum Place {
    Bit(usize, u8),
    Bytes(usize, usize),
}

fn place(block: &[u8], item: &[u8]) -> Result<Place, u8> {
    let &[0x12, 10, 0x10, transport, c0, c1, n0, n1, area, a2, a1, a0] = item else { return Err(BAD_TYPE) };
    if area != 0x84 || u16::from_be_bytes([n0, n1]) != DB {
        return Err(NO_OBJECT);
    }
    let count = usize::from(u16::from_be_bytes([c0, c1]));
    let address = u32::from_be_bytes([0, a2, a1, a0]);
    let (start, bit) = ((address / 8) as usize, (address % 8) as u8);
    let size = match transport {
        1 if count == 1 => {
            return if start < block.len() { Ok(Place::Bit(start, bit)) } else { Err(BAD_ADDRESS) };
        }
        2 | 3 => 1,
        4 | 5 => 2,
        6..=8 => 4,
        _ => return Err(BAD_TYPE),
    };
    let end = start + size * count;
    if count == 0 || bit != 0 || end > block.len() {
        return Err(BAD_ADDRESS);
    }
    Ok(Place::Bytes(start, end))
}

fn read(block: &[u8], items: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    for item in items.chunks_exact(12) {
        if data.len() % 2 == 1 {
            data.push(0);
        }
        match place(block, item) {
            Ok(Place::Bit(start, bit)) => data.extend([DONE, 3, 0, 1, block[start] >> bit & 1]),
            Ok(Place::Bytes(start, end)) => {
                data.extend([DONE, 4]);
                data.extend(be((end - start) * 8));
                data.extend(&block[start..end]);
            }
            Err(code) => data.extend([code, 0, 0, 0]),
        }
    }
    data
}

/// A return code for each item; `None` when the data is not there.
fn write(block: &mut [u8], items: &[u8], mut data: &[u8]) -> Option<Vec<u8>> {
    let mut codes = Vec::new();
    for item in items.chunks_exact(12) {
        let &[_, transport, l0, l1, ref rest @ ..] = data else { return None };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        // Bits, bytes and words tell their length in bits, reals and octets in bytes.
        let length = if matches!(transport, 3..=5) { length.div_ceil(8) } else { length };
        let (value, rest) = rest.split_at_checked(length)?;
        data = if length % 2 == 1 { rest.get(1..).unwrap_or_default() } else { rest };
        codes.push(match (place(block, item), value) {
            (Ok(Place::Bit(start, bit)), [value]) => {
                block[start] = block[start] & !(1 << bit) | (value & 1) << bit;
                DONE
            }
            (Ok(Place::Bytes(start, end)), value) if value.len() == end - start => {
                block[start..end].copy_from_slice(value);
                DONE
            }
            (Ok(_), _) => BAD_SIZE,
            (Err(code), _) => code,
        });
    }
    Some(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: [u8; 18] = [17, 0xE0, 0, 0, 0, 7, 0, 0xC0, 1, 10, 0xC1, 2, 1, 0, 0xC2, 2, 1, 1];
    const DATA: [u8; 3] = [2, 0xF0, 0x80];

    fn peer(block: &mut [u8], pdu: u16) -> Peer {
        let mut peer = Peer::default();
        assert_eq!(peer.answer(block, &CONNECT).expect("an answer")[1..4], [0xD0, 0, 7]);
        let [s0, s1] = pdu.to_be_bytes();
        let setup = [&DATA[..], &[0x32, 1, 0, 0, 0, 1, 0, 8, 0, 0, 0xF0, 0, 0, 1, 0, 1, s0, s1]].concat();
        assert!(peer.answer(block, &setup).is_some());
        peer
    }

    fn job(parameters: &[u8], data: &[u8]) -> Vec<u8> {
        let head = [&[0x32, 1, 0, 0, 0, 9], &be(parameters.len())[..], &be(data.len())].concat();
        [&DATA[..], &head, parameters, data].concat()
    }

    fn item(transport: u8, count: u16, db: u16, bits: u32) -> Vec<u8> {
        let [_, address @ ..] = bits.to_be_bytes();
        [&[0x12, 10, 0x10, transport][..], &count.to_be_bytes(), &db.to_be_bytes(), &[0x84], &address]
            .concat()
    }

    #[test]
    fn items_are_read_and_bad_ones_leave_the_others_good() {
        let mut block: Vec<u8> = (0..172).collect();
        let mut peer = peer(&mut block, 480);
        let items =
            [item(2, 3, 100, 16), item(1, 1, 100, 9), item(4, 1, 100, 171 * 8), item(2, 1, 7, 0)].concat();
        let answer = peer.answer(&mut block, &job(&[&[4, 4], &items[..]].concat(), &[])).expect("an answer");
        let data = &answer[3 + 14..];
        assert_eq!(data, [255, 4, 0, 24, 2, 3, 4, 0, 255, 3, 0, 1, 0, 0, 5, 0, 0, 0, 10, 0, 0, 0]);
    }

    #[test]
    fn bits_and_bytes_are_written_where_they_belong() {
        let mut block = vec![0; 172];
        let mut peer = peer(&mut block, 480);
        let items = [item(1, 1, 100, 4 * 8 + 1), item(2, 2, 100, 130 * 8), item(2, 2, 100, 172 * 8)].concat();
        let data = [0, 3, 0, 1, 1, 0, 0, 4, 0, 16, 0, 11, 0, 4, 0, 16, 9, 9];
        let answer =
            peer.answer(&mut block, &job(&[&[5, 3], &items[..]].concat(), &data)).expect("an answer");
        assert_eq!(answer[3 + 14..], [255, 255, 5]);
        assert_eq!((block[4], &block[130..132]), (2, &[0, 11][..]));
    }

    #[test]
    fn a_reply_that_is_longer_than_agreed_is_refused_and_another_slot_is_nobody() {
        let mut block = vec![0; 172];
        let mut small = peer(&mut block, 112);
        let answer = small.answer(&mut block, &job(&[&[4, 1], &item(2, 150, 100, 0)[..]].concat(), &[]));
        assert_eq!(answer.expect("an answer")[13..], [0x85, 0]);
        let mut connect = CONNECT;
        connect[17] = 2;
        assert_eq!(Peer::default().answer(&mut block, &connect).expect("an answer")[1], 0x80);
    }

    proptest::proptest! {
        #[test]
        fn no_frame_panics(
            kind in 0_usize..4, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)
        ) {
            let mut block = vec![0; 172];
            let mut peer = peer(&mut block, 240);
            let start: &[u8] = [
                &[],
                &[2, 0xF0, 0x80][..],
                &[2, 0xF0, 0x80, 0x32, 1, 0, 0, 0, 1, 0, 14, 0, 0, 4, 1, 0x12, 10, 0x10],
                &[2, 0xF0, 0x80, 0x32, 1, 0, 0, 0, 1, 0, 14, 0, 6, 5, 1, 0x12, 10, 0x10, 2, 0, 2, 0, 100, 0x84],
            ][kind];
            let answer = peer.answer(&mut block, &[start, &bytes].concat());
            proptest::prop_assert!(answer.is_none_or(|answer| answer.len() <= 243));
        }
    }
}
