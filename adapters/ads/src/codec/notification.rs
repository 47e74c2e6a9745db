//! Notifications: stamps with samples.

use bytes::Bytes;
use guideway_contract::Timestamp;

use super::command::Malformed;
use super::reader::Reader;

/// One value of one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which notification.
    pub handle: u32,
    /// When the controller saw it, as FILETIME.
    pub filetime: u64,
    /// The variable's bytes.
    pub data: Bytes,
}

/// FILETIME (100 ns since 1601, UTC) as an instant; `None` for years that no running controller has.
pub fn instant(filetime: u64) -> Option<Timestamp> {
    const TO_UNIX: i64 = 116_444_736_000_000_000;
    // 1990 to 2200: a controller without a battery starts at 1601 or 1970.
    const YEARS: std::ops::RangeInclusive<i64> = 122_756_256_000_000_000..=189_027_648_000_000_000;
    let ticks = i64::try_from(filetime).ok().filter(|ticks| YEARS.contains(ticks))?;
    Some(Timestamp::from_nanos((ticks - TO_UNIX) * 100, 7))
}

/// The samples of a frame, in order.
///
/// # Errors
/// Lengths and counts do not agree.
pub fn read(payload: &Bytes) -> Result<Vec<Sample>, Malformed> {
    let mut reader = Reader::new(payload);
    let length = reader.size().ok_or(Malformed)?;
    if length != reader.rest().len() {
        return Err(Malformed);
    }
    let stamps = reader.u32().ok_or(Malformed)?;
    let mut samples = Vec::new();
    for _ in 0..stamps {
        let filetime = reader.u64().ok_or(Malformed)?;
        for _ in 0..reader.u32().ok_or(Malformed)? {
            let handle = reader.u32().ok_or(Malformed)?;
            let size = reader.size().ok_or(Malformed)?;
            let at = payload.len() - reader.rest().len();
            reader.take(size).ok_or(Malformed)?;
            samples.push(Sample { handle, filetime, data: payload.slice(at..at + size) });
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(samples: &[(u32, &[u8])]) -> Vec<u8> {
        let mut body = 1_u32.to_le_bytes().to_vec();
        body.extend(133_000_000_000_000_000_u64.to_le_bytes());
        body.extend(u32::try_from(samples.len()).unwrap().to_le_bytes());
        for (handle, data) in samples {
            body.extend(handle.to_le_bytes());
            body.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
            body.extend_from_slice(data);
        }
        let mut payload = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        payload.extend(body);
        payload
    }

    #[test]
    fn samples_come_with_the_controllers_time() {
        let samples = read(&stream(&[(7, &[1, 2]), (8, &[])]).into()).unwrap();
        assert_eq!(samples[0].data[..], [1, 2]);
        assert_eq!((samples[1].handle, samples[1].data.len()), (8, 0));
        assert_eq!(instant(samples[0].filetime).unwrap().to_string(), "2022-06-18T04:26:40.0000000Z");
    }

    #[test]
    fn a_clock_that_was_never_set_tells_no_time() {
        assert_eq!(instant(0), None);
        assert_eq!(instant(116_444_736_000_000_000), None);
        assert_eq!(instant(u64::MAX), None);
    }

    #[test]
    fn counts_that_promise_more_than_there_is_are_refused() {
        let mut payload = stream(&[(7, &[1, 2])]);
        payload[4] = 0xFF;
        assert_eq!(read(&payload.into()), Err(Malformed));
    }
}
