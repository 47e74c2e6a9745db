//! Requests and replies as bytes, and nothing else: no socket, no clock.
//!
//! A reply is compared with its request as far as the protocol allows, because that is all that keeps a late answer
//! from becoming a value: function, byte count, and for writes the whole echo; transaction, protocol and unit in
//! [`tcp`]; unit and checksum in [`rtu`].

pub mod rtu;
pub mod tcp;
pub mod value;

use crate::Table;

/// The most bytes of a request or reply without its frame (Modbus application protocol 1.1b3, clause 4.1).
pub const MOST_PDU: usize = 253;

/// What a unit is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Functions 1 to 4.
    Read {
        /// Where.
        table: Table,
        /// The first bit or register.
        start: u16,
        /// How many; at most [`Table::most_read`].
        count: u16,
    },
    /// Function 5.
    WriteCoil {
        /// Which coil.
        at: u16,
        /// On or off.
        on: bool,
    },
    /// Function 6.
    WriteRegister {
        /// Which register.
        at: u16,
        /// Its new value.
        word: u16,
    },
    /// Function 15.
    WriteCoils {
        /// The first coil.
        start: u16,
        /// Their new values; at most 1968.
        bits: Vec<bool>,
    },
    /// Function 16.
    WriteRegisters {
        /// The first register.
        start: u16,
        /// Their new values; at most 123.
        words: Vec<u16>,
    },
    /// Function 22: the register becomes (old AND `and`) OR (`or` AND NOT `and`), in the unit, in one step.
    MaskWrite {
        /// Which register.
        at: u16,
        /// The bits that stay.
        and: u16,
        /// What the others become.
        or: u16,
    },
}

/// What a unit answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The bytes that were read: two for each register, or eight bits in each byte, the first in the lowest bit.
    Data(&'a [u8]),
    /// It is written.
    Written,
    /// It said no; the code is that of clause 7.
    Exception(u8),
}

/// Why bytes are not the reply to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another function.
    #[error("the reply is to function {came}, not {asked}")]
    Function {
        /// What was asked.
        asked: u8,
        /// What came.
        came: u8,
    },
    /// More or fewer bytes than were asked for.
    #[error("the reply has {came} bytes where {asked} were asked for")]
    ByteCount {
        /// What was asked.
        asked: usize,
        /// What came.
        came: usize,
    },
    /// A write's echo is not what was written.
    #[error("the reply confirms another write")]
    Echo,
    /// A transaction that was not this one.
    #[error("the reply is to transaction {came}, not {asked}")]
    Transaction {
        /// What was asked.
        asked: u16,
        /// What came.
        came: u16,
    },
    /// The protocol id is not 0.
    #[error("the reply is not Modbus (protocol {0})")]
    Protocol(u16),
    /// A header whose length is none of a reply.
    #[error("the reply claims {0} bytes")]
    Length(usize),
    /// Another unit.
    #[error("the reply is of unit {came}, not {asked}")]
    Unit {
        /// Who was asked.
        asked: u8,
        /// Who answered.
        came: u8,
    },
    /// The checksum does not fit.
    #[error("the reply's checksum is wrong")]
    Checksum,
    /// Bytes after the reply that nobody asked for.
    #[error("there are {0} bytes after the reply")]
    Excess(usize),
}

impl Request {
    /// The function code.
    pub const fn function(&self) -> u8 {
        match self {
            Self::Read { table: Table::Coil, .. } => 1,
            Self::Read { table: Table::Discrete, .. } => 2,
            Self::Read { table: Table::Holding, .. } => 3,
            Self::Read { table: Table::Input, .. } => 4,
            Self::WriteCoil { .. } => 5,
            Self::WriteRegister { .. } => 6,
            Self::WriteCoils { .. } => 15,
            Self::WriteRegisters { .. } => 16,
            Self::MaskWrite { .. } => 22,
        }
    }

    /// Whether nothing changes by it, so that it may be asked again.
    pub const fn is_read(&self) -> bool {
        matches!(self, Self::Read { .. })
    }

    /// Appends the request without its frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let pair = |out: &mut Vec<u8>, first: u16, second: u16| {
            out.extend_from_slice(&first.to_be_bytes());
            out.extend_from_slice(&second.to_be_bytes());
        };
        // Longer lists than one byte of length can say are refused before they get here (`Field::write`).
        let length = |list: usize| u16::try_from(list).unwrap_or(u16::MAX);
        out.push(self.function());
        match self {
            Self::Read { start, count, .. } => pair(out, *start, *count),
            Self::WriteCoil { at, on } => pair(out, *at, if *on { 0xFF00 } else { 0 }),
            Self::WriteRegister { at, word } => pair(out, *at, *word),
            Self::WriteCoils { start, bits } => {
                pair(out, *start, length(bits.len()));
                out.push(length(bits.len().div_ceil(8)).to_be_bytes()[1]);
                out.extend(bits.chunks(8).map(|eight| {
                    eight.iter().enumerate().fold(0_u8, |byte, (bit, on)| byte | (u8::from(*on) << bit))
                }));
            }
            Self::WriteRegisters { start, words } => {
                pair(out, *start, length(words.len()));
                out.push(length(2 * words.len()).to_be_bytes()[1]);
                words.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
            }
            Self::MaskWrite { at, and, or } => {
                out.extend_from_slice(&at.to_be_bytes());
                pair(out, *and, *or);
            }
        }
    }

    /// How many bytes of data a read is answered with; 0 for a write.
    pub fn data_bytes(&self) -> usize {
        match self {
            Self::Read { table, count, .. } if table.is_bits() => usize::from(*count).div_ceil(8),
            Self::Read { count, .. } => 2 * usize::from(*count),
            _ => 0,
        }
    }

    /// How many bytes a good reply has without its frame.
    pub fn reply_bytes(&self) -> usize {
        match self {
            Self::Read { .. } => 2 + self.data_bytes(),
            Self::MaskWrite { .. } => 7,
            _ => 5,
        }
    }

    /// Reads the reply, without its frame.
    ///
    /// # Errors
    /// What shows that it answers something else.
    pub fn answer<'a>(&self, reply: &'a [u8]) -> Result<Answer<'a>, Error> {
        let asked = self.function();
        match reply {
            [came, code] if *came == asked | 0x80 => Ok(Answer::Exception(*code)),
            [came, rest @ ..] if *came == asked => self.good_answer(reply, rest),
            [came, ..] => Err(Error::Function { asked, came: *came }),
            [] => Err(Error::ByteCount { asked: self.reply_bytes(), came: 0 }),
        }
    }

    fn good_answer<'a>(&self, reply: &[u8], rest: &'a [u8]) -> Result<Answer<'a>, Error> {
        if reply.len() != self.reply_bytes() {
            return Err(Error::ByteCount { asked: self.reply_bytes(), came: reply.len() });
        }
        if self.is_read() {
            return match rest {
                [count, data @ ..] if usize::from(*count) == data.len() => Ok(Answer::Data(data)),
                _ => Err(Error::ByteCount {
                    asked: self.data_bytes(),
                    came: rest.first().copied().map_or(0, usize::from),
                }),
            };
        }
        // Writes echo what was written, the lists of functions 15 and 16 only where and how many.
        let mut echo = Vec::with_capacity(MOST_PDU);
        self.encode(&mut echo);
        if echo.get(..reply.len()) == Some(reply) { Ok(Answer::Written) } else { Err(Error::Echo) }
    }
}

/// What an exception code means, in words for an operator.
pub fn exception(code: u8) -> &'static str {
    match code {
        1 => "the unit does not have this function or table (exception 1)",
        2 => "the unit does not have this address (exception 2)",
        3 => "the unit refuses this value or number of registers (exception 3)",
        4 => "the unit failed to do it (exception 4)",
        5 => "the unit is still at it (exception 5)",
        6 => "the unit is busy (exception 6)",
        7 => "the unit cannot do it (exception 7)",
        8 => "the unit's memory is faulty (exception 8)",
        0x0A => "the gateway has no path to the unit (exception 10)",
        0x0B => "the unit does not answer its gateway (exception 11)",
        _ => "the unit answered with an exception that the standard does not have",
    }
}

/// Reads bytes as replies in every way there is; for the fuzz target.
pub fn fuzz(data: &[u8]) {
    let [choice, start, count, rest @ ..] = data else { return };
    let table = Table::ALL[usize::from(choice & 3)];
    let (start, count) = (u16::from(*start), u16::from(*count).clamp(1, 125));
    let requests = [
        Request::Read { table, start, count },
        Request::WriteCoil { at: start, on: choice & 4 == 0 },
        Request::WriteRegister { at: start, word: count },
        Request::WriteCoils { start, bits: vec![true; usize::from(count)] },
        Request::WriteRegisters { start, words: vec![count; usize::from(count.min(123))] },
        Request::MaskWrite { at: start, and: count, or: start },
    ];
    for request in &requests {
        if let Ok(Answer::Data(read)) = request.answer(rest) {
            assert_eq!(read.len(), request.data_bytes());
        }
        let _ = rtu::reply(rest, 1, request);
    }
    let _ = tcp::reply(rest, 1, 1);
    value::fuzz(*choice, rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(request: &Request) -> Vec<u8> {
        let mut out = Vec::new();
        request.encode(&mut out);
        out
    }

    #[test]
    fn requests_are_those_of_the_standards_examples() {
        // Modbus application protocol 1.1b3, clauses 6.1, 6.3, 6.5, 6.6, 6.11, 6.12 and 6.16.
        let read = |table, start, count| encoded(&Request::Read { table, start, count });
        assert_eq!(read(Table::Coil, 0x13, 0x13), [1, 0, 0x13, 0, 0x13]);
        assert_eq!(read(Table::Holding, 0x6B, 3), [3, 0, 0x6B, 0, 3]);
        assert_eq!(encoded(&Request::WriteCoil { at: 0xAC, on: true }), [5, 0, 0xAC, 0xFF, 0]);
        assert_eq!(encoded(&Request::WriteRegister { at: 1, word: 3 }), [6, 0, 1, 0, 3]);
        let bits = [1, 0, 1, 1, 0, 0, 1, 1, 1, 0].map(|bit| bit == 1).to_vec();
        assert_eq!(encoded(&Request::WriteCoils { start: 0x13, bits }), [15, 0, 0x13, 0, 10, 2, 0xCD, 1]);
        let words = vec![10, 0x0102];
        assert_eq!(encoded(&Request::WriteRegisters { start: 1, words }), [16, 0, 1, 0, 2, 4, 0, 10, 1, 2]);
        assert_eq!(encoded(&Request::MaskWrite { at: 4, and: 0xF2, or: 0x25 }), [22, 0, 4, 0, 0xF2, 0, 0x25]);
    }

    #[test]
    fn a_reply_must_have_exactly_what_was_asked_for() {
        let request = Request::Read { table: Table::Holding, start: 0, count: 2 };
        assert_eq!(request.answer(&[3, 4, 1, 2, 3, 4]), Ok(Answer::Data(&[1, 2, 3, 4])));
        assert_eq!(request.answer(&[0x83, 2]), Ok(Answer::Exception(2)));
        for wrong in [
            &[][..],
            &[3],
            &[3, 4],
            &[3, 4, 1, 2],
            &[3, 4, 1, 2, 3, 4, 5],
            &[3, 2, 1, 2, 3, 4],
            &[4, 4, 1, 2, 3, 4],
            &[0x83],
            &[0x83, 2, 0],
            &[0x84, 2],
        ] {
            assert!(request.answer(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_write_is_confirmed_only_by_its_own_echo() {
        let request = Request::WriteRegisters { start: 7, words: vec![1, 2] };
        assert_eq!(request.answer(&[16, 0, 7, 0, 2]), Ok(Answer::Written));
        assert_eq!(request.answer(&[16, 0, 7, 0, 3]), Err(Error::Echo));
        assert_eq!(request.answer(&[16, 0, 8, 0, 2]), Err(Error::Echo));
        let request = Request::WriteCoil { at: 7, on: true };
        assert_eq!(request.answer(&[5, 0, 7, 0, 0]), Err(Error::Echo));
        assert_eq!(request.answer(&[5, 0, 7, 0xFF, 0]), Ok(Answer::Written));
    }

    #[test]
    fn no_request_is_longer_than_the_protocol_allows() {
        let bits = vec![true; usize::from(Table::Coil.most_written())];
        let words = vec![0; usize::from(Table::Holding.most_written())];
        assert!(encoded(&Request::WriteCoils { start: 0, bits }).len() <= MOST_PDU);
        assert!(encoded(&Request::WriteRegisters { start: 0, words }).len() <= MOST_PDU);
        for table in Table::ALL {
            let request = Request::Read { table, start: 0, count: table.most_read() };
            assert!(request.reply_bytes() <= MOST_PDU);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&data);
        }

        #[test]
        fn what_is_sent_is_read_back(data in proptest::collection::vec(any::<u8>(), 2..=250), unit: u8, transaction: u16) {
            let data = &data[..data.len() / 2 * 2];
            let count = u16::try_from(data.len() / 2).unwrap();
            let request = Request::Read { table: Table::Input, start: 0, count };
            let mut pdu = vec![4, u8::try_from(data.len()).unwrap()];
            pdu.extend_from_slice(data);
            let mut frame = Vec::new();
            tcp::frame(transaction, unit, &pdu, &mut frame);
            for end in 0..frame.len() {
                prop_assert_eq!(tcp::reply(&frame[..end], transaction, unit), Ok(None));
            }
            let reply = tcp::reply(&frame, transaction, unit).unwrap().unwrap();
            prop_assert_eq!(request.answer(reply), Ok(Answer::Data(data)));

            let mut frame = Vec::new();
            rtu::frame(unit, &pdu, &mut frame);
            for end in 0..frame.len() {
                prop_assert_eq!(rtu::reply(&frame[..end], unit, &request), Ok(None));
            }
            let reply = rtu::reply(&frame, unit, &request).unwrap().unwrap();
            prop_assert_eq!(request.answer(reply), Ok(Answer::Data(data)));
        }
    }
}
