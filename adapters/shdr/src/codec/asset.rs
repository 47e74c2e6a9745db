//! Lines about assets: `@ASSET@`, `@UPDATE_ASSET@`, `@REMOVE_ASSET@`, `@REMOVE_ALL_ASSETS@`.

use guideway_contract::{AssetChange, Timestamp};
use smol_str::SmolStr;

use super::Fields;
use super::value::asset_id;

/// Who an asset belongs to, and when it was said.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    /// The device as the source named it; empty for the default one.
    pub(super) device: &'a SmolStr,
    /// Its uuid, for ids that begin with `@`.
    pub(super) uuid: Option<&'a str>,
    pub(super) time: Timestamp,
}

/// Whether a key begins a line about assets.
pub(super) fn is_command(key: &str) -> bool {
    key.len() > 2 && key.starts_with('@') && key.ends_with('@')
}

/// Reads what follows the command word. `body` is the multi-line body, where there is one; else the
/// body of an asset is the rest of the line, pipes and all. An error says what is wrong.
pub(super) fn read(
    command: &str,
    fields: &mut Fields<'_>,
    body: Option<String>,
    about: About<'_>,
) -> Result<AssetChange, String> {
    let device = about.device.clone();
    let time = about.time;
    let mut id = || match fields.next() {
        Some(id) if !id.is_empty() => Ok(asset_id(&id, about.uuid)),
        _ => Err(format!("{command} without an asset id")),
    };
    if command.eq_ignore_ascii_case("@ASSET@") {
        let id = id()?;
        let asset_type = match fields.next() {
            Some(asset_type) if !asset_type.is_empty() => SmolStr::from(asset_type),
            _ => return Err(format!("asset `{id}` without a type")),
        };
        let body = match body {
            Some(body) => body,
            None => whole_body(fields).ok_or_else(|| format!("asset `{id}` without a body"))?,
        };
        if !body.trim_ascii_start().starts_with('<') {
            return Err(format!("the body of asset `{id}` is not XML"));
        }
        Ok(AssetChange::Put { device, id, asset_type, body, time })
    } else if command.eq_ignore_ascii_case("@UPDATE_ASSET@") {
        let id = id()?;
        let mut changes = Vec::new();
        while let Some(name) = fields.next() {
            if let Some(element) = name.strip_prefix('<') {
                // An XML element names itself.
                let end = element.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/');
                changes.push((SmolStr::new(&element[..end.unwrap_or(element.len())]), SmolStr::new(&name)));
            } else if let Some(value) = fields.next() {
                changes.push((SmolStr::from(name), SmolStr::from(value)));
            } else if !name.is_empty() {
                return Err(format!("update of asset `{id}`: `{name}` without a value"));
            }
        }
        if changes.is_empty() {
            return Err(format!("update of asset `{id}` without a change"));
        }
        Ok(AssetChange::Update { device, id, changes, time })
    } else if command.eq_ignore_ascii_case("@REMOVE_ASSET@") {
        Ok(AssetChange::Remove { device, id: id()?, time })
    } else if command.eq_ignore_ascii_case("@REMOVE_ALL_ASSETS@") {
        let asset_type = fields.next().map(SmolStr::from).unwrap_or_default();
        Ok(AssetChange::RemoveAll { device, asset_type, time })
    } else {
        Err(format!("`{command}` is not a command about assets"))
    }
}

/// The rest of the line; where it is one quoted field, what the quotes hold.
fn whole_body(fields: &Fields<'_>) -> Option<String> {
    let rest = fields.rest()?;
    let mut ahead = fields.clone();
    let field = ahead.next()?;
    if rest.trim_ascii_start().starts_with('"') && !field.starts_with('"') && ahead.rest().is_none() {
        return Some(field.into_owned());
    }
    Some(rest.trim_ascii().to_owned())
}
