//! The data blocks of a controller, by its list of blocks. S7-1200 and S7-1500 do not give one out.

use guideway_contract::{DataType, Found, Kind, MOST_ELEMENTS, SessionEnd};

use crate::Config;
use crate::codec::user_data::{self, DATA_BLOCKS, Group, block_numbers, block_size, data_block};
use crate::link::{Link, broken};

/// Most parts of a list: 65,535 blocks of 4 bytes in PDUs of 240 bytes are 1,300.
const MOST_PARTS: usize = 1_500;

/// Lists the data blocks through a connection of its own.
pub(crate) async fn browse(config: &Config, address: &str) -> Result<Vec<Found>, SessionEnd> {
    if !address.is_empty() {
        return Err(SessionEnd::Protocol(
            "an S7 controller does not tell what is in a data block; look into the program".to_owned(),
        ));
    }
    let mut link = Link::open(config).await?;
    let mut numbers = block_list(&mut link, config).await?;
    numbers.sort_unstable();
    numbers.dedup();
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        let request = data_block(number);
        let (reference, pdu) = link
            .ask(config.timeout, |reference| user_data::request(reference, Group::BlockInfo, &request))
            .await?;
        let part = user_data::reply(&pdu, reference, Group::BlockInfo).map_err(broken)?;
        let size = if part.error == 0 { block_size(part.data).filter(|size| *size > 0) } else { None };
        let bytes = size.map(u32::from).filter(|size| *size <= MOST_ELEMENTS);
        found.push(Found {
            address: format!("DB{number}.DBB0").into(),
            label: format!("DB{number}"),
            note: size.map(|size| format!("{size} bytes")).unwrap_or_default(),
            data_type: Some(DataType::one(bytes.map_or(Kind::U8, Kind::Bytes))),
            units: String::new().into(),
            value: String::new(),
            writable: false,
            folder: false,
        });
    }
    Ok(found)
}

async fn block_list(link: &mut Link, config: &Config) -> Result<Vec<u16>, SessionEnd> {
    let mut numbers = Vec::new();
    let mut more = None;
    for _ in 0..MOST_PARTS {
        let (reference, pdu) = link
            .ask(config.timeout, |reference| match more {
                None => user_data::request(reference, Group::Blocks, &DATA_BLOCKS),
                Some(sequence) => user_data::next(reference, Group::Blocks, sequence),
            })
            .await?;
        let part = user_data::reply(&pdu, reference, Group::Blocks).map_err(broken)?;
        // There is no block of this kind.
        if part.error == 0xD20E {
            return Ok(numbers);
        }
        if part.error != 0 {
            return Err(SessionEnd::Protocol(format!(
                "the controller does not list its blocks (error {:#06x}); S7-1200 and S7-1500 never do",
                part.error
            )));
        }
        numbers.extend(block_numbers(part.data));
        more = part.more;
        if more.is_none() {
            return Ok(numbers);
        }
    }
    Err(SessionEnd::Protocol("the list of blocks has no end".to_owned()))
}
