//! Live observations of an agent, a line each.

use super::http::{self, Address, Parts};
use super::reading::{Cell, Entries, Value};
use super::streams;

/// Follows the agent at `url` from now on and gives `line` each observation: sequence, time, device and item, value.
/// Ends when the agent ends the stream.
///
/// # Errors
/// Why it cannot be followed.
pub async fn tap(url: &str, path: Option<&str>, mut line: impl FnMut(&str)) -> Result<(), String> {
    let address = Address::parse(url)?;
    let filter = path.map(|path| format!("&path={}", encoded(path))).unwrap_or_default();
    let current = http::get(&address, &format!("/current?{}", filter.trim_start_matches('&'))).await?;
    let current = streams::read(&current.whole().await?)?;
    let target = format!("/sample?interval=0&heartbeat=5000&count=10000&from={}{filter}", current.next);
    let mut parts = Parts::new(http::get(&address, &target).await?);
    while let Some(part) = parts.next().await? {
        for (item, reading) in streams::read(&part)?.readings {
            let time = guideway_contract::Timestamp::from_nanos(reading.time, 3);
            let sequence = reading.sequence.map(|sequence| sequence.to_string()).unwrap_or_default();
            line(&format!("{sequence:>10}  {time}  {item}  {}", shown(&reading.value)));
        }
    }
    Ok(())
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Unavailable => "UNAVAILABLE".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Numbers(numbers) => numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Value::Series { rate, values } => format!("{} samples at {rate} Hz", values.len()),
        Value::Change { entries, reset } => {
            format!("{}{}", if *reset { "(reset) " } else { "" }, listed(entries))
        }
        Value::Whole(entries) => listed(entries),
        Value::Condition(condition) => {
            format!("{:?} {} {}", condition.level, condition.native_code, condition.message)
        }
        Value::Message { native_code, text } => format!("{native_code} {text}"),
        Value::Asset { asset_type, asset_id } => format!("{asset_type} {asset_id}"),
        Value::Unfit => "(no value in this form)".to_owned(),
        Value::Strange(what) => what.clone(),
    }
}

fn listed(entries: &Entries) -> String {
    let entry = |(key, cell): (&smol_str::SmolStr, &Cell)| match cell {
        Cell::Removed => format!("{key} (gone)"),
        Cell::Plain(text) => format!("{key}={text}"),
        Cell::Row(row) => {
            let cells: Vec<String> = row.iter().map(|(key, text)| format!("{key}={text}")).collect();
            format!("{key}={{{}}}", cells.join(" "))
        }
    };
    entries.iter().map(entry).collect::<Vec<_>>().join(" ")
}
