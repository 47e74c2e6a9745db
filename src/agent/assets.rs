//! Asset documents on their way from a source to the journal.

use guideway_contract::Timestamp;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, Writer};
use smol_str::SmolStr;

use crate::journal::Asset;

/// How large one asset may be.
const MOST_BYTES: usize = 16 << 20;

/// Why an asset was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssetError {
    /// It is not an XML element.
    #[error("asset `{id}` is not well-formed XML: {cause}")]
    Malformed {
        /// Which.
        id: SmolStr,
        /// What the reader said.
        cause: String,
    },
    /// It is larger than the cap.
    #[error("asset `{id}` has {size} bytes; {MOST_BYTES} are allowed")]
    TooLarge {
        /// Which.
        id: SmolStr,
        /// How large.
        size: usize,
    },
}

/// Makes an asset of an element: checks that it is one whole element, and sets its `assetId`,
/// `timestamp` and `deviceUuid`.
pub(crate) fn take(
    id: &str,
    asset_type: &str,
    device_uuid: &str,
    time: Timestamp,
    body: &str,
) -> Result<Asset, AssetError> {
    if body.len() > MOST_BYTES {
        return Err(AssetError::TooLarge { id: id.into(), size: body.len() });
    }
    let time_text = time.to_string();
    let set: [(&str, Option<&str>); 4] = [
        ("assetId", Some(id)),
        ("timestamp", Some(&time_text)),
        ("deviceUuid", Some(device_uuid)),
        ("removed", None),
    ];
    let (name, body) =
        rewrite(body, &set, &[]).map_err(|cause| AssetError::Malformed { id: id.into(), cause })?;
    let local = name.rsplit_once(':').map_or(name.as_str(), |(_, local)| local);
    Ok(Asset {
        id: id.into(),
        asset_type: if asset_type.is_empty() { local.into() } else { asset_type.into() },
        device_uuid: device_uuid.into(),
        time,
        removed: false,
        body: body.into(),
    })
}

/// The asset with parts changed (SHDR `@UPDATE_ASSET@`): a name stands for the text of the
/// element, or the value of the attribute, that is called so anywhere in the document.
pub(crate) fn update(
    asset: &Asset,
    changes: &[(SmolStr, SmolStr)],
    time: Timestamp,
) -> Result<Asset, AssetError> {
    let time_text = time.to_string();
    let set = [("timestamp", Some(time_text.as_str())), ("removed", None)];
    let (_, body) = rewrite(&asset.body, &set, changes)
        .map_err(|cause| AssetError::Malformed { id: asset.id.clone(), cause })?;
    Ok(Asset { time, removed: false, body: body.into(), ..asset.clone() })
}

/// Copies one element, setting (or, with `None`, dropping) attributes of its root and making
/// `changes` by name: text takes the place of an element's content or an attribute's value, an
/// element takes the place of an element. Gives the root's name and the new text.
fn rewrite(
    body: &str,
    root: &[(&str, Option<&str>)],
    changes: &[(SmolStr, SmolStr)],
) -> Result<(String, String), String> {
    let mut reader = Reader::from_str(body.trim());
    reader.config_mut().check_end_names = true;
    let mut writer = Writer::new(Vec::with_capacity(body.len() + 128));
    let mut root_name = String::new();
    let mut depth = 0_usize;
    let mut finished = false;
    // The element whose content is being left out, by depth, and whether its end goes too.
    let mut replacing: Option<(usize, bool)> = None;
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let skipped = replacing.is_some();
        match event {
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) if depth == 0 => {}
            Event::DocType(_) => return Err("a document type is not allowed here".into()),
            Event::Start(_) | Event::Empty(_) if finished => return Err("more than one element".into()),
            Event::Start(start) => {
                if depth >= 256 {
                    return Err("elements are nested more than 256 deep".into());
                }
                depth += 1;
                if depth == 1 {
                    root_name = name_of(&start);
                }
                if skipped {
                    continue;
                }
                match change_of(&start, changes).filter(|_| depth > 1) {
                    Some(text) => {
                        let whole = substitute(&mut writer, &start, text, changes)?;
                        replacing = Some((depth, whole));
                    }
                    None => {
                        let changed = edit(&start, if depth == 1 { root } else { &[] }, changes)?;
                        write(&mut writer, Event::Start(changed))?;
                    }
                }
            }
            Event::Empty(start) => {
                if depth == 0 {
                    root_name = name_of(&start);
                    finished = true;
                }
                if skipped {
                    continue;
                }
                match change_of(&start, changes).filter(|_| depth > 0) {
                    Some(text) => {
                        if !substitute(&mut writer, &start, text, changes)? {
                            write(&mut writer, Event::End(start.to_end()))?;
                        }
                    }
                    None => {
                        let changed = edit(&start, if depth == 0 { root } else { &[] }, changes)?;
                        write(&mut writer, Event::Empty(changed))?;
                    }
                }
            }
            Event::End(end) => {
                match replacing {
                    Some((at, whole)) if at == depth => {
                        replacing = None;
                        if !whole {
                            write(&mut writer, Event::End(end))?;
                        }
                    }
                    Some(_) => {}
                    None => write(&mut writer, Event::End(end))?,
                }
                depth = depth.saturating_sub(1);
                finished = depth == 0;
            }
            Event::Text(text) if depth == 0 => {
                if !text.chars().all(|c| c.is_ascii_whitespace()) {
                    return Err("text outside of the element".into());
                }
            }
            _ if skipped => {}
            other => write(&mut writer, other)?,
        }
    }
    if !finished {
        return Err("the element does not end".into());
    }
    let text = String::from_utf8(writer.into_inner()).map_err(|error| error.to_string())?;
    Ok((root_name, text))
}

/// Writes what takes an element's place; whether that was a whole element, end included.
fn substitute(
    writer: &mut Writer<Vec<u8>>,
    start: &BytesStart<'_>,
    text: &str,
    changes: &[(SmolStr, SmolStr)],
) -> Result<bool, String> {
    if text.trim_start().starts_with('<') {
        let (name, element) = rewrite(text, &[], &[])?;
        if name != name_of(start) {
            return Err(format!("`{name}` cannot take the place of `{}`", name_of(start)));
        }
        writer.get_mut().extend_from_slice(element.as_bytes());
        return Ok(true);
    }
    write(writer, Event::Start(edit(start, &[], changes)?))?;
    write(writer, Event::Text(quick_xml::events::BytesText::new(text)))?;
    Ok(false)
}

fn write(writer: &mut Writer<Vec<u8>>, event: Event<'_>) -> Result<(), String> {
    writer.write_event(event).map_err(|error| error.to_string())
}

fn name_of(start: &BytesStart<'_>) -> String {
    start.name().as_ref().to_owned()
}

fn change_of<'c>(start: &BytesStart<'_>, changes: &'c [(SmolStr, SmolStr)]) -> Option<&'c str> {
    let name = start.name();
    changes.iter().find(|(key, _)| *key == name.as_ref()).map(|(_, value)| value.as_str())
}

fn edit(
    start: &BytesStart<'_>,
    set: &[(&str, Option<&str>)],
    changes: &[(SmolStr, SmolStr)],
) -> Result<BytesStart<'static>, String> {
    let mut edited = BytesStart::new(name_of(start));
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let key = attribute.key.as_ref();
        if set.iter().any(|(name, _)| *name == key) {
            continue;
        }
        match changes.iter().find(|(name, _)| name == key) {
            Some((_, value)) => edited.push_attribute((key, value.as_str())),
            None => edited.push_attribute(attribute),
        }
    }
    for (name, value) in set {
        if let Some(value) = value {
            edited.push_attribute((*name, *value));
        }
    }
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOL: &str = "<CuttingTool serialNumber='1' toolId='T1'><CuttingToolLifeCycle>\
        <ToolLife type='MINUTES'>10</ToolLife><Location type='POT'/></CuttingToolLifeCycle></CuttingTool>";

    fn time() -> Timestamp {
        Timestamp::parse("2026-01-02T03:04:05.5Z").unwrap()
    }

    #[test]
    fn an_asset_gets_its_id_time_and_device() {
        let asset = take("A<1", "CuttingTool", "mill", time(), TOOL).unwrap();
        assert!(asset.body.starts_with(
            "<CuttingTool serialNumber=\"1\" toolId=\"T1\" assetId=\"A&lt;1\" \
             timestamp=\"2026-01-02T03:04:05.5Z\" deviceUuid=\"mill\">"
        ));
        assert!(asset.body.ends_with("</CuttingTool>"));
    }

    #[test]
    fn what_is_not_one_whole_element_is_refused() {
        for body in
            ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a/>x", "<!DOCTYPE a><a/>", "<a b='1' b='2'/>"]
        {
            assert!(take("1", "", "mill", time(), body).is_err(), "{body}");
        }
    }

    #[test]
    fn an_update_changes_the_text_of_an_element_and_the_value_of_an_attribute() {
        let asset = take("1", "", "mill", time(), TOOL).unwrap();
        let changes = [("ToolLife".into(), "9 < 10".into()), ("toolId".into(), "T2".into())];
        let updated = update(&asset, &changes, time()).unwrap();
        assert!(updated.body.contains("<ToolLife type=\"MINUTES\">9 &lt; 10</ToolLife>"), "{}", updated.body);
        assert!(updated.body.contains("toolId=\"T2\""));
        assert_eq!(updated.asset_type, "CuttingTool");
    }

    #[test]
    fn an_update_puts_an_element_in_the_place_of_an_element() {
        let asset = take("1", "", "mill", time(), TOOL).unwrap();
        let cycle = "<ToolLife type='PART_COUNT'>1</ToolLife>";
        let updated = update(&asset, &[("ToolLife".into(), cycle.into())], time()).unwrap();
        assert!(
            updated.body.contains("<ToolLife type=\"PART_COUNT\">1</ToolLife><Location"),
            "{}",
            updated.body
        );
        let wrong = [("ToolLife".into(), "<Other/>".into())];
        assert!(update(&asset, &wrong, time()).is_err());
        let open = [("ToolLife".into(), "<ToolLife>".into())];
        assert!(update(&asset, &open, time()).is_err());
    }
}
