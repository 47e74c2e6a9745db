//! MTConnect documents, in whatever form they come, and the multipart streams that carry them. Pure functions
//! of bytes.

mod element;
mod json;
mod multipart;
mod text;
mod xml;

use guideway_contract::{Shape, Timestamp};
use smol_str::SmolStr;

pub use element::{Element, Node};
pub use multipart::{Parts, boundary_of};

/// Elements within elements. No real document is deeper than 30.
const MAX_DEPTH: usize = 64;
/// Elements of one document.
const MAX_ELEMENTS: usize = 1_000_000;

/// Why bytes are no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Malformed {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// A document as elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its root.
    pub root: Element,
    /// MTConnect's namespace as the document writes it, where it does.
    pub default: Option<SmolStr>,
    /// Extensions: prefix and namespace.
    pub namespaces: Vec<(SmolStr, SmolStr)>,
}

/// What a header says; agents leave out what they do not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Which run of the agent this is; its sequence begins anew with each. Empty where it is not told.
    pub instance: SmolStr,
    /// The sequence after the last one in this document.
    pub next: Option<u64>,
    /// The first sequence that is still in the agent's buffer.
    pub first: Option<u64>,
    /// How many observations the buffer holds.
    pub buffer: Option<u64>,
    /// When the device model was last changed, as the agent writes it; empty where it is not told.
    pub model_changed: SmolStr,
    /// When the document was made, by the agent's clock.
    pub created: Option<Timestamp>,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// MTConnectDevices.
    Devices(Header, Tree),
    /// MTConnectStreams.
    Streams(Header, Streams),
    /// MTConnectAssets.
    Assets(Header, Tree),
    /// MTConnectError.
    Errors(Vec<Problem>),
}

impl Document {
    /// Its kind, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Devices(..) => "an MTConnectDevices document",
            Self::Streams(..) => "an MTConnectStreams document",
            Self::Assets(..) => "an MTConnectAssets document",
            Self::Errors(..) => "an MTConnectError document",
        }
    }
}

/// What an error document complains about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its code, such as `OUT_OF_RANGE`.
    pub code: SmolStr,
    /// Its text.
    pub text: String,
}

/// The observations of a document, in order of their sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// The devices they are of: name and uuid, either may be empty.
    pub devices: Vec<(SmolStr, SmolStr)>,
    /// The observations.
    pub observations: Vec<Observed>,
}

/// One observation as the document has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its device's place in [`Streams::devices`].
    pub device: usize,
    /// Its sequence, where it has one.
    pub sequence: Option<u64>,
    /// Everything else.
    pub element: Element,
}

/// Reads a document: XML or JSON, by its first character.
///
/// # Errors
/// What is wrong with it, for an operator.
pub fn document(bytes: &[u8]) -> Result<Document, Malformed> {
    let text = text::decode(bytes)?;
    let begin = text.trim_start_matches(['\u{FEFF}', ' ', '\t', '\r', '\n']);
    let mut tree = match begin.bytes().next() {
        Some(b'<') if is_html(begin) => {
            return Err(Malformed::new("a web page came, not an MTConnect document"));
        }
        Some(b'<') => xml::parse(begin)?,
        Some(b'{') => json::parse(begin)?,
        Some(_) => return Err(Malformed::new("neither XML nor JSON came")),
        None => return Err(Malformed::new("nothing came")),
    };
    let header = tree.root.child("Header").map(header).unwrap_or_default();
    if tree.root.is("MTConnectStreams") {
        Ok(Document::Streams(header, streams(&mut tree.root)))
    } else if tree.root.is("MTConnectDevices") {
        Ok(Document::Devices(header, tree))
    } else if tree.root.is("MTConnectAssets") {
        Ok(Document::Assets(header, tree))
    } else if tree.root.is("MTConnectError") {
        let mut problems = Vec::new();
        errors(&tree.root, &mut problems);
        Ok(Document::Errors(problems))
    } else {
        let name: String = tree.root.name.chars().take(60).collect();
        Err(Malformed::new(format!("<{name}> came, not an MTConnect document")))
    }
}

/// Reads any bytes as a document, with what is in it, and as a stream of parts; for the fuzz target.
pub fn fuzz(data: &[u8]) {
    match document(data) {
        Ok(Document::Devices(_, tree)) => {
            let _ = crate::model::found(&tree);
            if let Ok(model) = crate::model::Model::read(&tree, &[], true) {
                for device in model.followed {
                    assert!(xml::parse(&device.xml).is_ok(), "what is told is well-formed: {}", device.xml);
                }
            }
        }
        Ok(Document::Streams(_, streams)) => {
            for observed in streams.observations {
                for shape in [
                    Shape::Number,
                    Shape::Text,
                    Shape::Vector3,
                    Shape::TimeSeries,
                    Shape::DataSet,
                    Shape::Table,
                    Shape::Condition,
                    Shape::Message,
                    Shape::AssetEvent,
                ] {
                    let _ = crate::value::read(shape, &observed.element);
                }
            }
        }
        Ok(Document::Assets(_, tree)) => drop(tree.root.to_xml(None, &tree.namespaces)),
        Ok(Document::Errors(_)) | Err(_) => {}
    }
    let (boundary, size) = match data.first() {
        Some(first) if first % 2 == 0 => (Some("b".to_owned()), usize::from(*first) + 1),
        first => (None, usize::from(first.copied().unwrap_or(1)) + 1),
    };
    let mut parts = Parts::new(boundary, 4_096);
    for chunk in data.chunks(size) {
        parts.push(chunk);
        while let Ok(Some(part)) = parts.next_part() {
            let _ = document(&part);
        }
    }
}

/// Whether XML can have it as a name; with one prefix at most.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{B7}'))
    };
    match name.split_once(':') {
        Some((prefix, local)) => prefix != "xmlns" && is_part(prefix) && is_part(local),
        None => is_part(name),
    }
}

fn is_html(text: &str) -> bool {
    let begin: String = text.chars().take(15).collect::<String>().to_ascii_lowercase();
    begin.starts_with("<!doctype html") || begin.starts_with("<html")
}

fn header(element: &Element) -> Header {
    let text = |name: &str| element.attribute(name).map(SmolStr::new).unwrap_or_default();
    let number = |name: &str| element.attribute(name).and_then(|text| text.trim().parse().ok());
    Header {
        instance: text("instanceId"),
        next: number("nextSequence"),
        first: number("firstSequence"),
        buffer: number("bufferSize"),
        model_changed: text("deviceModelChangeTime"),
        created: Timestamp::parse(&text("creationTime")),
    }
}

fn streams(root: &mut Element) -> Streams {
    let mut found = Streams::default();
    devices(root, &mut found);
    // Documents are grouped by component; what happened has one order.
    found.observations.sort_by_key(|observed| observed.sequence);
    found
}

fn devices(element: &mut Element, found: &mut Streams) {
    for node in &mut element.children {
        let Node::Element(child) = node else { continue };
        if child.is("DeviceStream") {
            let text = |name: &str| child.attribute(name).map(SmolStr::new).unwrap_or_default();
            found.devices.push((text("name"), text("uuid")));
            components(child, found);
        } else if !child.is("Header") {
            devices(child, found);
        }
    }
}

fn components(element: &mut Element, found: &mut Streams) {
    for node in &mut element.children {
        let Node::Element(child) = node else { continue };
        let is_list =
            ["Samples", "Events", "Condition", "Conditions", "Alarms"].iter().any(|name| child.is(name));
        if !is_list {
            components(child, found);
            continue;
        }
        let device = found.devices.len().saturating_sub(1);
        for node in std::mem::take(&mut child.children) {
            if let Node::Element(element) = node {
                let sequence = element.attribute("sequence").and_then(|text| text.trim().parse().ok());
                found.observations.push(Observed { device, sequence, element });
            }
        }
    }
}

fn errors(element: &Element, found: &mut Vec<Problem>) {
    for child in element.elements().filter(|child| !child.is("Header")) {
        if child.is("Errors") {
            errors(child, found);
            continue;
        }
        // From 2.6 on each kind has an element of its own.
        let code = child.attribute("errorCode").map_or_else(|| shouted(child.local()), SmolStr::new);
        let text = child.child("ErrorMessage").map_or_else(|| child.text(), Element::text);
        let text = text.chars().take(200).collect();
        found.push(Problem { code, text });
    }
}

/// `OutOfRange` as `OUT_OF_RANGE`.
fn shouted(name: &str) -> SmolStr {
    let mut code = String::new();
    for character in name.chars().take(60) {
        if character.is_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.extend(character.to_uppercase());
    }
    code.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(document: &Document) -> Vec<(&str, Option<u64>)> {
        let Document::Streams(_, streams) = document else { panic!("{document:?}") };
        let of = |observed: &'_ Observed| observed.sequence;
        streams
            .observations
            .iter()
            .map(|observed| (observed.element.attribute("dataItemId").unwrap_or("?"), of(observed)))
            .collect()
    }

    #[test]
    fn observations_come_in_order_of_their_sequence() {
        let text = "<MTConnectStreams xmlns='urn:mtconnect.org:MTConnectStreams:1.3'><Header instanceId='7' \
            nextSequence='12' firstSequence='1' bufferSize='64'/><Streams><DeviceStream name='A' uuid='a'>\
            <ComponentStream><Samples><Position dataItemId='x' sequence='11'>1</Position></Samples>\
            <Events><Block dataItemId='b' sequence='9'>G0</Block></Events></ComponentStream></DeviceStream>\
            <DeviceStream name='B' uuid='b'><ComponentStream><Condition><Normal dataItemId='c' sequence='10'/>\
            </Condition></ComponentStream></DeviceStream></Streams></MTConnectStreams>";
        let document = document(text.as_bytes()).unwrap();
        assert_eq!(ids(&document), [("b", Some(9)), ("c", Some(10)), ("x", Some(11))]);
        let Document::Streams(header, streams) = document else { unreachable!() };
        assert_eq!((header.instance.as_str(), header.next, header.first), ("7", Some(12), Some(1)));
        assert_eq!(streams.observations[1].device, 1);
        assert_eq!(streams.devices[1].1, "b");
    }

    #[test]
    fn documents_of_the_first_versions_and_shouting_ones_are_read() {
        let text = "<m:MTCONNECTSTREAMS xmlns:m='urn:mtconnect.com:MTConnectStreams:0.9'><m:HEADER/><m:STREAMS>\
            <m:DEVICESTREAM NAME='A'><m:COMPONENTSTREAM><m:ALARMS><m:ALARM DATAITEMID='a' SEQUENCE='3'>Hot</m:ALARM>\
            </m:ALARMS></m:COMPONENTSTREAM></m:DEVICESTREAM></m:STREAMS></m:MTCONNECTSTREAMS>";
        let document = document(text.as_bytes()).unwrap();
        assert_eq!(ids(&document), [("a", Some(3))]);
    }

    #[test]
    fn errors_of_old_and_new_versions_have_the_same_code() {
        let old = "<MTConnectError><Header/><Errors><Error errorCode='OUT_OF_RANGE'>too old</Error></Errors></MTConnectError>";
        let oldest =
            "<MTConnectError><Header/><Error errorCode='OUT_OF_RANGE'>too old</Error></MTConnectError>";
        let new = "<MTConnectError><Header/><Errors><OutOfRange><URI>/</URI><ErrorMessage>too old</ErrorMessage>\
            </OutOfRange></Errors></MTConnectError>";
        let json = r#"{"MTConnectError":{"Header":{},"Errors":[{"Error":{"errorCode":"OUT_OF_RANGE","value":"too old"}}]}}"#;
        let json2 = r#"{"MTConnectError":{"Header":{},"Errors":{"Error":[{"errorCode":"OUT_OF_RANGE","value":"too old"}]}}}"#;
        for text in [old, oldest, new, json, json2] {
            let expected = Problem { code: "OUT_OF_RANGE".into(), text: "too old".into() };
            assert_eq!(document(text.as_bytes()), Ok(Document::Errors(vec![expected])), "{text}");
        }
    }

    #[test]
    fn documents_that_would_fill_the_memory_are_refused() {
        let elements = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert!(document(elements.as_bytes()).unwrap_err().to_string().contains("elements"));
        let values = format!("{{\"MTConnectStreams\":[{}0]}}", "0,".repeat(9 * MAX_ELEMENTS));
        assert!(document(values.as_bytes()).unwrap_err().to_string().contains("too many values"));
    }

    #[test]
    fn a_web_page_is_named_as_such() {
        let error = document(b"<!DOCTYPE html><html><body>404</body></html>").unwrap_err();
        assert!(error.to_string().contains("web page"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..400)) {
            fuzz(&data);
        }

        #[test]
        fn no_xml_like_text_panics(text in "[<>/a&;=' \"\\-\\[\\]!?:x0-9\\r\\n]{0,200}") {
            fuzz(text.as_bytes());
            fuzz(format!("--b\r\n\r\n<a>{text}</a>").as_bytes());
        }

        #[test]
        fn no_document_with_something_else_in_it_panics(
            text in "[<>/a&;=' \"x0-9:D]{0,60}",
            at in 0_usize..400,
            cut in 0_usize..40,
        ) {
            let probe = "<MTConnectDevices xmlns='urn:mtconnect.org:MTConnectDevices:2.2' xmlns:x='urn:x'><Devices>\
                <Device id='d' name='M1' uuid='u'><DataItems><DataItem id='a' type='A' category='EVENT'/></DataItems>\
                <Components><x:Axes id='q' x:y='z'/></Components></Device></Devices></MTConnectDevices>";
            let streams = "<MTConnectStreams><Header instanceId='1'/><Streams><DeviceStream name='M1' uuid='u'>\
                <ComponentStream><Events><A dataItemId='a' sequence='1' timestamp='2026-01-01T00:00:00Z'>1 2 3</A>\
                <B dataItemId='b' sequence='2'><Entry key='k'><Cell key='c'>1</Cell></Entry></B></Events>\
                </ComponentStream></DeviceStream></Streams></MTConnectStreams>";
            for document in [probe, streams] {
                let at = at.min(document.len());
                let behind = (at + cut).min(document.len());
                fuzz(format!("{}{text}{}", &document[..at], &document[behind..]).as_bytes());
            }
        }

        #[test]
        fn no_json_like_text_panics(text in "[\\{\\}\\[\\],:\"aAvlue0-9.]{0,200}") {
            fuzz(format!("{{\"MTConnectStreams\":{text}}}").as_bytes());
            let device = format!("{{\"uuid\":1,\"x:a\":2,\"DataItems\":{{{text}}}}}");
            fuzz(format!("{{\"MTConnectDevices\":{{\"Devices\":{{\"Device\":{device}}}}}}}").as_bytes());
        }

        #[test]
        fn elements_are_read_back_as_they_were_written(text in "[ -~äß€]{0,40}", value in "[ -~\\n\\t]{0,40}") {
            let mut element = Element::new("Device");
            element.set("name", &value);
            if !text.trim().is_empty() {
                element.children.push(Node::Text(text.into()));
            }
            let again = xml::parse(&element.to_xml(None, &[])).unwrap();
            prop_assert_eq!(again.root, element);
        }
    }
}
