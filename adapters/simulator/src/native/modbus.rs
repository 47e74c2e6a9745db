//! A Modbus TCP server: functions 1 to 6, 15 and 16 on a bank of coils and registers.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::host::{host, lock, send};
use super::meter::Meter;

/// Connections at a time.
const MOST_CLIENTS: usize = 8;
/// The longest unit and PDU.
const LONGEST: usize = 254;
/// The unit that answers; 255 is what clients say that do not care.
const UNITS: [u8; 2] = [1, 255];

/// Why a request is refused: the exception codes of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exception {
    Function = 1,
    Address = 2,
    Value = 3,
    /// The gateway found nobody with that unit.
    Silent = 11,
}

/// What a device holds.
#[derive(Debug, Default)]
pub(crate) struct Bank {
    pub(crate) coils: Vec<bool>,
    pub(crate) discretes: Vec<bool>,
    pub(crate) inputs: Vec<u16>,
    pub(crate) holdings: Vec<u16>,
    /// Most registers in one request; the protocol has room for 125.
    pub(crate) most: u16,
}

impl Bank {
    /// Puts a float into two input registers, the high one first.
    pub(crate) fn put(&mut self, at: usize, value: f64) {
        let bits = (value as f32).to_bits();
        if let Some([high, low]) = self.inputs.get_mut(at..at + 2) {
            (*high, *low) = ((bits >> 16) as u16, bits as u16);
        }
    }
}

/// Serves the meter until `cancel`.
pub(crate) async fn serve(meter: Meter, listener: TcpListener, cancel: CancellationToken) {
    let meter = Arc::new(Mutex::new(meter));
    let live = |seconds| lock(&meter).step(seconds);
    host(listener, cancel, MOST_CLIENTS, live, |stream| talk(stream, meter.clone())).await;
}

/// Answers one client, until it goes or says what is no Modbus.
async fn talk(mut stream: TcpStream, meter: Arc<Mutex<Meter>>) {
    let mut header = [0; 6];
    let mut body = [0; LONGEST];
    while stream.read_exact(&mut header).await.is_ok() {
        let [t0, t1, 0, 0, l0, l1] = header else { return };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(body) = body.get_mut(..length).filter(|body| body.len() >= 2) else { return };
        if stream.read_exact(body).await.is_err() {
            return;
        }
        let (unit, pdu) = (body[0], &body[1..]);
        let reply = if UNITS.contains(&unit) {
            answer(&mut lock(&meter).bank, pdu)
        } else {
            refusal(pdu[0], Exception::Silent)
        };
        let [l0, l1] = u16::try_from(reply.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
        if !send(&mut stream, &[&[t0, t1, 0, 0, l0, l1, unit], &reply[..]].concat()).await {
            return;
        }
    }
}

fn refusal(function: u8, exception: Exception) -> Vec<u8> {
    vec![function | 0x80, exception as u8]
}

/// The reply to a request, which is not empty.
fn answer(bank: &mut Bank, pdu: &[u8]) -> Vec<u8> {
    let Some((&function, rest)) = pdu.split_first() else { return refusal(0, Exception::Function) };
    let done = match function {
        1 => read_bits(&bank.coils, rest),
        2 => read_bits(&bank.discretes, rest),
        3 => read_words(&bank.holdings, rest, bank.most),
        4 => read_words(&bank.inputs, rest, bank.most),
        5 | 6 | 15 | 16 => write(bank, function, rest),
        _ => Err(Exception::Function),
    };
    match done {
        Ok(data) => [&[function], &data[..]].concat(),
        Err(exception) => refusal(function, exception),
    }
}

fn pair(rest: &[u8]) -> Result<(usize, u16), Exception> {
    let &[a, b, c, d] = rest else { return Err(Exception::Value) };
    Ok((usize::from(u16::from_be_bytes([a, b])), u16::from_be_bytes([c, d])))
}

fn part<T>(all: &[T], start: usize, count: u16, most: u16) -> Result<&[T], Exception> {
    if count == 0 || count > most {
        return Err(Exception::Value);
    }
    all.get(start..start + usize::from(count)).ok_or(Exception::Address)
}

fn read_bits(all: &[bool], rest: &[u8]) -> Result<Vec<u8>, Exception> {
    let (start, count) = pair(rest)?;
    let bits = part(all, start, count, 2_000)?;
    let pack = |eight: &[bool]| eight.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let bytes: Vec<u8> = bits.chunks(8).map(pack).collect();
    Ok([&[u8::try_from(bytes.len()).unwrap_or(u8::MAX)], &bytes[..]].concat())
}

fn read_words(all: &[u16], rest: &[u8], most: u16) -> Result<Vec<u8>, Exception> {
    let (start, count) = pair(rest)?;
    let words = part(all, start, count, most.min(125))?;
    let mut reply = vec![u8::try_from(words.len() * 2).unwrap_or(u8::MAX)];
    reply.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    Ok(reply)
}

/// Writes all or nothing; the reply repeats the beginning of the request.
fn write(bank: &mut Bank, function: u8, rest: &[u8]) -> Result<Vec<u8>, Exception> {
    let head = rest.get(..4).ok_or(Exception::Value)?;
    let (start, count) = pair(head)?;
    match (function, &rest[4..]) {
        (5, []) if matches!(count, 0 | 0xFF00) => {
            *bank.coils.get_mut(start).ok_or(Exception::Address)? = count != 0;
        }
        (6, []) => *bank.holdings.get_mut(start).ok_or(Exception::Address)? = count,
        (15, [length, bytes @ ..])
            if usize::from(*length) == bytes.len() && usize::from(count).div_ceil(8) == bytes.len() =>
        {
            part(&bank.coils, start, count, 1_968)?;
            for (at, coil) in bank.coils[start..start + usize::from(count)].iter_mut().enumerate() {
                *coil = bytes[at / 8] >> (at % 8) & 1 == 1;
            }
        }
        (16, [length, bytes @ ..])
            if usize::from(*length) == bytes.len() && usize::from(count) * 2 == bytes.len() =>
        {
            part(&bank.holdings, start, count, 123)?;
            let words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            for (holding, word) in bank.holdings[start..].iter_mut().zip(words) {
                *holding = word;
            }
        }
        _ => return Err(Exception::Value),
    }
    Ok(head.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank() -> Bank {
        Bank {
            coils: vec![false; 10],
            discretes: vec![true, false, true],
            inputs: vec![0x1234, 0x5678, 9],
            holdings: vec![0; 200],
            most: 80,
        }
    }

    #[test]
    fn each_function_does_what_the_protocol_says() {
        let mut bank = bank();
        let mut ask = |pdu: &[u8]| answer(&mut bank, pdu);
        assert_eq!(ask(&[2, 0, 0, 0, 3]), [2, 1, 0b101]);
        assert_eq!(ask(&[4, 0, 0, 0, 2]), [4, 4, 0x12, 0x34, 0x56, 0x78]);
        assert_eq!(ask(&[5, 0, 9, 0xFF, 0]), [5, 0, 9, 0xFF, 0]);
        assert_eq!(ask(&[15, 0, 0, 0, 3, 1, 0b110]), [15, 0, 0, 0, 3]);
        assert_eq!(ask(&[1, 0, 0, 0, 10]), [1, 2, 0b110, 0b10]);
        assert_eq!(ask(&[6, 0, 1, 0xAB, 0xCD]), [6, 0, 1, 0xAB, 0xCD]);
        assert_eq!(ask(&[16, 0, 2, 0, 2, 4, 0, 1, 0, 2]), [16, 0, 2, 0, 2]);
        assert_eq!(ask(&[3, 0, 1, 0, 3]), [3, 6, 0xAB, 0xCD, 0, 1, 0, 2]);
    }

    #[test]
    fn what_cannot_be_is_an_exception_and_changes_nothing() {
        let mut bank = bank();
        let mut ask = |pdu: &[u8]| answer(&mut bank, pdu);
        assert_eq!(ask(&[7]), [0x87, 1]);
        assert_eq!(ask(&[4, 0, 2, 0, 2]), [0x84, 2]);
        assert_eq!(ask(&[4, 0xFF, 0xFF, 0, 1]), [0x84, 2]);
        assert_eq!(ask(&[3, 0, 0, 0, 81]), [0x83, 3]);
        assert_eq!(ask(&[3, 0, 0, 0, 0]), [0x83, 3]);
        assert_eq!(ask(&[5, 0, 0, 0, 1]), [0x85, 3]);
        assert_eq!(ask(&[15, 0, 8, 0, 3, 1, 7]), [0x8F, 2]);
        assert_eq!(ask(&[16, 0, 199, 0, 2, 4, 1, 1, 1, 1]), [0x90, 2]);
        assert_eq!(ask(&[16, 0, 0, 0, 2, 3, 1, 1, 1]), [0x90, 3]);
        assert!(bank.holdings.iter().all(|word| *word == 0) && bank.coils.iter().all(|coil| !coil));
    }

    proptest::proptest! {
        #[test]
        fn no_request_panics(
            function in 0_u8..20, rest in proptest::collection::vec(proptest::num::u8::ANY, 0..253)
        ) {
            let reply = answer(&mut bank(), &[&[function], &rest[..]].concat());
            proptest::prop_assert!((2..=253).contains(&reply.len()));
        }
    }
}
