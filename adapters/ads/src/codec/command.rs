//! Commands: what requests carry, and what responses say.

use bytes::Bytes;
use smol_str::SmolStr;

use super::reader::Reader;
use super::return_code::ReturnCode;

/// Name and version of the device.
pub const READ_DEVICE_INFO: u16 = 1;
/// Bytes at an index group and offset.
pub const READ: u16 = 2;
/// Writes bytes to an index group and offset.
pub const WRITE: u16 = 3;
/// RUN, STOP, CONFIG, ….
pub const READ_STATE: u16 = 4;
/// Asks for samples of a variable.
pub const ADD_NOTIFICATION: u16 = 6;
/// Asks for no more of them.
pub const DELETE_NOTIFICATION: u16 = 7;
/// Samples, sent by the device.
pub const NOTIFICATION: u16 = 8;
/// Writes bytes and reads others at the same place.
pub const READ_WRITE: u16 = 9;

/// Index group: a handle for a symbol's name.
pub const HANDLE_BY_NAME: u32 = 0xF003;
/// Index group: the value at a handle, which is the offset.
pub const VALUE_BY_HANDLE: u32 = 0xF005;
/// Index group: gives a handle back.
pub const RELEASE_HANDLE: u32 = 0xF006;
/// Index group: a byte that changes when the symbols do.
pub const SYMBOL_VERSION: u32 = 0xF008;
/// Index group: a symbol's entry for its name.
pub const SYMBOL_BY_NAME: u32 = 0xF009;
/// Index group: all symbols' entries.
pub const SYMBOL_UPLOAD: u32 = 0xF00B;
/// Index group: how many symbols there are and their entries' bytes.
pub const SYMBOL_UPLOAD_INFO: u32 = 0xF00C;
/// Index group: a data type's entry for its name.
pub const TYPE_BY_NAME: u32 = 0xF011;
/// Index group: several reads in one; the offset is their number.
pub const SUM_READ: u32 = 0xF080;
/// Index group: several read-writes in one; the offset is their number.
pub const SUM_READ_WRITE: u32 = 0xF082;

/// A response that is not as described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a response whose length does not fit what it says")]
pub struct Malformed;

/// Why a response holds no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The device said no.
    #[error("{0}")]
    Refused(ReturnCode),
    /// It is not as described.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A length as it goes out. What is sent is planned far below 4 GiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What [`READ`] carries.
pub fn read(group: u32, offset: u32, bytes: usize) -> Vec<u8> {
    numbers(&[group, offset, length(bytes)])
}

/// What [`WRITE`] carries.
pub fn write(group: u32, offset: u32, data: &[u8]) -> Vec<u8> {
    let mut payload = numbers(&[group, offset, length(data.len())]);
    payload.extend_from_slice(data);
    payload
}

/// What [`READ_WRITE`] carries.
pub fn read_write(group: u32, offset: u32, read: usize, data: &[u8]) -> Vec<u8> {
    let mut payload = numbers(&[group, offset, length(read), length(data.len())]);
    payload.extend_from_slice(data);
    payload
}

/// What [`ADD_NOTIFICATION`] carries: samples of so many bytes, sent when the value, looked at once a cycle, has
/// changed. Cycles are in units of 100 ns, whatever the published table says.
pub fn add_notification(group: u32, offset: u32, bytes: usize, cycle: std::time::Duration) -> Vec<u8> {
    const ON_CHANGE: u32 = 4;
    let ticks = u32::try_from(cycle.as_nanos() / 100).unwrap_or(u32::MAX);
    let mut payload = numbers(&[group, offset, length(bytes), ON_CHANGE, 0, ticks]);
    payload.extend_from_slice(&[0; 16]);
    payload
}

/// What [`SUM_READ`] writes: groups, offsets and bytes.
pub fn sum_read_items(items: impl Iterator<Item = (u32, u32, usize)>) -> Vec<u8> {
    items.flat_map(|(group, offset, bytes)| numbers(&[group, offset, length(bytes)])).collect()
}

/// What [`SUM_READ_WRITE`] writes to ask one group about several names, each answer at most `room` bytes.
pub fn sum_names(group: u32, names: &[&[u8]], room: usize) -> Vec<u8> {
    let mut payload: Vec<u8> =
        names.iter().flat_map(|name| numbers(&[group, 0, length(room), length(name.len())])).collect();
    names.iter().for_each(|name| payload.extend_from_slice(name));
    payload
}

/// The result in front of every response.
///
/// # Errors
/// The device's return code, or that there is none.
pub fn read_result(payload: &[u8]) -> Result<&[u8], ResponseError> {
    let mut reader = Reader::new(payload);
    match reader.u32().ok_or(Malformed)? {
        0 => Ok(reader.rest()),
        code => Err(ResponseError::Refused(ReturnCode(code))),
    }
}

/// The data of a response to [`READ`] or [`READ_WRITE`].
///
/// # Errors
/// The device's return code, or that lengths do not agree.
pub fn read_data(payload: &Bytes) -> Result<Bytes, ResponseError> {
    let mut reader = Reader::new(read_result(payload)?);
    let bytes = reader.size().ok_or(Malformed)?;
    if reader.rest().len() != bytes {
        return Err(Malformed.into());
    }
    Ok(payload.slice(payload.len() - bytes..))
}

/// The handle in a response to [`ADD_NOTIFICATION`].
///
/// # Errors
/// The device's return code, or that there is no handle.
pub fn read_handle(payload: &[u8]) -> Result<u32, ResponseError> {
    Ok(Reader::new(read_result(payload)?).u32().ok_or(Malformed)?)
}

/// What [`READ_DEVICE_INFO`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Such as `Plc30 App`.
    pub name: SmolStr,
    /// Such as `3.1.4024`.
    pub version: SmolStr,
}

impl DeviceInfo {
    /// Reads it. Names shorter than the 16 bytes of the description are met with.
    ///
    /// # Errors
    /// The device's return code, or that it is too short.
    pub fn read(payload: &[u8]) -> Result<Self, ResponseError> {
        let mut reader = Reader::new(read_result(payload)?);
        let [major, minor] = reader.array().ok_or(Malformed)?;
        let build = reader.u16().ok_or(Malformed)?;
        let name = reader.rest().iter().take(16).take_while(|byte| **byte != 0).copied().collect::<Vec<_>>();
        Ok(Self {
            name: crate::text::latin(&name),
            version: smol_str::format_smolstr!("{major}.{minor}.{build}"),
        })
    }
}

/// The ADS state in a response to [`READ_STATE`].
///
/// # Errors
/// The device's return code, or that it is too short.
pub fn read_state(payload: &[u8]) -> Result<u16, ResponseError> {
    Ok(Reader::new(read_result(payload)?).u16().ok_or(Malformed)?)
}

/// The variables of a [`SUM_READ`]'s answer, of these sizes: each one's bytes or return code.
///
/// First come all return codes, then the data. Whether a variable that failed has room in the data differs between
/// servers, which the whole length tells.
///
/// # Errors
/// The length fits neither.
pub fn sum_read(data: &Bytes, sizes: &[usize]) -> Result<Vec<Result<Bytes, ReturnCode>>, Malformed> {
    let mut reader = Reader::new(data);
    let codes = sizes.iter().map(|_| reader.u32()).collect::<Option<Vec<_>>>().ok_or(Malformed)?;
    let has = reader.rest().len();
    let of_all: usize = sizes.iter().sum();
    let of_good: usize = sizes.iter().zip(&codes).filter(|(_, code)| **code == 0).map(|(size, _)| size).sum();
    if has != of_all && has != of_good {
        return Err(Malformed);
    }
    let mut at = data.len() - has;
    let mut found = Vec::with_capacity(sizes.len());
    for (&size, &code) in sizes.iter().zip(&codes) {
        if code == 0 {
            found.push(Ok(data.slice(at..at + size)));
            at += size;
        } else {
            found.push(Err(ReturnCode(code)));
            at += if has == of_all { size } else { 0 };
        }
    }
    Ok(found)
}

/// The answers in a [`SUM_READ_WRITE`]'s answer to so many questions.
///
/// # Errors
/// Lengths do not agree.
pub fn sum_read_write(data: &Bytes, count: usize) -> Result<Vec<Result<Bytes, ReturnCode>>, Malformed> {
    let mut reader = Reader::new(data);
    let heads = (0..count).map(|_| Some((reader.u32()?, reader.size()?))).collect::<Option<Vec<_>>>();
    let mut found = Vec::with_capacity(count);
    for (code, size) in heads.ok_or(Malformed)? {
        let at = data.len() - reader.rest().len();
        reader.take(size).ok_or(Malformed)?;
        found.push(if code == 0 { Ok(data.slice(at..at + size)) } else { Err(ReturnCode(code)) });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_failed_in_a_sum_may_or_may_not_have_room() {
        let wanted = [Ok(Bytes::from_static(&[1, 2])), Err(ReturnCode(0x710)), Ok(Bytes::from_static(&[9]))];
        let head = [0, 0, 0, 0, 0x10, 7, 0, 0, 0, 0, 0, 0];
        let with_room = [&head[..], &[1, 2, 0, 0, 0, 0, 9]].concat();
        let without = [&head[..], &[1, 2, 9]].concat();
        for data in [with_room, without] {
            assert_eq!(sum_read(&data.into(), &[2, 4, 1]).unwrap(), wanted);
        }
        let odd = [&head[..], &[1, 2, 9, 9]].concat();
        assert_eq!(sum_read(&odd.into(), &[2, 4, 1]), Err(Malformed));
    }

    #[test]
    fn data_is_as_long_as_it_says() {
        let data = |bytes: &[u8]| read_data(&Bytes::copy_from_slice(bytes));
        assert_eq!(data(&[0, 0, 0, 0, 1, 0, 0, 0, 7]), Ok(Bytes::from_static(&[7])));
        assert_eq!(data(&[0, 0, 0, 0, 2, 0, 0, 0, 7]), Err(Malformed.into()));
        assert_eq!(data(&[0, 0, 0, 0, 0, 0, 0, 0, 7]), Err(Malformed.into()));
        assert_eq!(data(&[0x10, 7, 0, 0]), Err(ResponseError::Refused(ReturnCode(0x710))));
        assert_eq!(data(&[0, 0]), Err(Malformed.into()));
    }

    #[test]
    fn a_cycle_goes_out_in_units_of_100_ns() {
        let payload = add_notification(1, 2, 4, std::time::Duration::from_millis(100));
        assert_eq!(payload.len(), 40);
        assert_eq!(payload[20..24], 1_000_000_u32.to_le_bytes());
    }
}
