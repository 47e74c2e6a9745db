//! Nodes and browse paths as profiles write them (OPC 10000-6, 5.3.1.11 and OPC 10000-4, A.2).

use std::collections::BTreeMap;
use std::str::FromStr as _;

use opcua_types::{
    BrowsePath, Identifier, NodeId, ObjectId, QualifiedName, ReferenceTypeId, RelativePath,
    RelativePathElement, UAString,
};

/// Most names in a path.
const MOST_STEPS: usize = 32;
/// How addresses are written.
const FORMS: &str = "write nsu=URI;s=NAME, ns=2;s=NAME, i=2258, or a path such as /Objects/2:DeviceSet";

/// A namespace, before its index on a server is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// By its index.
    Index(u16),
    /// By its URI.
    Uri(String),
}

impl Namespace {
    /// Its index among those of a server.
    ///
    /// # Errors
    /// The server has no such namespace.
    pub fn index(&self, of: &[String]) -> Result<u16, String> {
        match self {
            Self::Index(0) => Ok(0),
            Self::Index(index) if usize::from(*index) < of.len() => Ok(*index),
            Self::Index(index) => Err(format!(
                "the server has no namespace {index}: they go from 0 to {}",
                of.len().saturating_sub(1)
            )),
            Self::Uri(uri) => {
                let found = of.iter().position(|one| one == uri).and_then(|index| u16::try_from(index).ok());
                found.ok_or_else(|| {
                    let others: Vec<&str> = of.iter().skip(1).map(String::as_str).collect();
                    format!("the server has no namespace `{uri}`; it has {}", others.join(", "))
                })
            }
        }
    }
}

/// A node, before the indices of namespaces are known.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRef {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its identifier.
    pub identifier: Identifier,
}

impl NodeRef {
    /// Reads `nsu=URI;s=NAME`, `ns=2;s=NAME` or `i=2258`. `aliases` are short names for URIs.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn parse(text: &str, aliases: &BTreeMap<String, String>) -> Result<Self, String> {
        let text = text.trim();
        let (namespace, rest) = if let Some(rest) = text.strip_prefix("nsu=") {
            let (uri, rest) =
                rest.split_once(';').ok_or_else(|| format!("`{text}`: after the URI comes `;`"))?;
            (named(uri, aliases), rest)
        } else if let Some(rest) = text.strip_prefix("ns=") {
            let (index, rest) =
                rest.split_once(';').ok_or_else(|| format!("`{text}`: after the index comes `;`"))?;
            let index =
                index.parse().map_err(|_| format!("`{text}`: `{index}` is no index of a namespace"))?;
            (Namespace::Index(index), rest)
        } else {
            (Namespace::Index(0), text)
        };
        // The library's reader slices by bytes: keep it from cutting a character in two.
        let identifier = (rest.is_ascii() || rest.starts_with("s="))
            .then(|| Identifier::from_str(rest).ok())
            .flatten()
            .ok_or_else(|| format!("`{text}` is no node: {FORMS}"))?;
        Ok(Self { namespace, identifier })
    }

    /// The node on a server with these namespaces.
    ///
    /// # Errors
    /// The server has no such namespace.
    pub fn resolve(&self, namespaces: &[String]) -> Result<NodeId, String> {
        Ok(NodeId { namespace: self.namespace.index(namespaces)?, identifier: self.identifier.clone() })
    }
}

/// One name of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its namespace.
    pub namespace: Namespace,
    /// The browse name.
    pub name: String,
}

/// Where a point is.
#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// A node.
    Node(NodeRef),
    /// A path of browse names along hierarchical references.
    Path {
        /// Where it starts; the root if nothing is given.
        start: Option<NodeRef>,
        /// The names.
        steps: Vec<Step>,
    },
}

impl Address {
    /// Reads an address; `start` is where its path starts.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn parse(
        text: &str,
        start: Option<&str>,
        aliases: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let text = text.trim();
        let start = start.map(|start| NodeRef::parse(start, aliases)).transpose()?;
        match text.strip_prefix('/') {
            Some(path) => Ok(Self::Path { start, steps: steps(path, aliases)? }),
            None if start.is_some() => {
                Err(format!("`start` is for a path: `{text}` does not begin with `/`"))
            }
            None => Ok(Self::Node(NodeRef::parse(text, aliases)?)),
        }
    }

    /// The node if it needs no look-up; otherwise the path to look up.
    ///
    /// # Errors
    /// The server has no such namespace.
    pub fn resolve(&self, namespaces: &[String]) -> Result<Result<NodeId, BrowsePath>, String> {
        let (start, steps) = match self {
            Self::Node(node) => return Ok(Ok(node.resolve(namespaces)?)),
            Self::Path { start, steps } => (start, steps),
        };
        let starting_node = match start {
            Some(start) => start.resolve(namespaces)?,
            None => ObjectId::RootFolder.into(),
        };
        let elements = steps.iter().map(|step| {
            Ok(RelativePathElement {
                reference_type_id: ReferenceTypeId::HierarchicalReferences.into(),
                is_inverse: false,
                include_subtypes: true,
                target_name: QualifiedName {
                    namespace_index: step.namespace.index(namespaces)?,
                    name: UAString::from(step.name.as_str()),
                },
            })
        });
        let elements = Some(elements.collect::<Result<Vec<_>, String>>()?);
        Ok(Err(BrowsePath { starting_node, relative_path: RelativePath { elements } }))
    }
}

/// A node as an address that outlives a change of indices.
pub(crate) fn written(node: &NodeId, namespaces: &[String]) -> String {
    match (node.namespace, namespaces.get(usize::from(node.namespace))) {
        (0, _) => identifier(&node.identifier),
        (_, Some(uri)) => {
            format!("nsu={};{}", uri.replace('%', "%25").replace(';', "%3B"), identifier(&node.identifier))
        }
        (index, None) => format!("ns={index};{}", identifier(&node.identifier)),
    }
}

fn identifier(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Guid(guid) => format!("g={guid}"),
        other => other.to_string(),
    }
}

/// A URI or a short name for one; `%3B` and `%25` are `;` and `%`.
fn named(text: &str, aliases: &BTreeMap<String, String>) -> Namespace {
    let text = text.replace("%3B", ";").replace("%3b", ";").replace("%25", "%");
    Namespace::Uri(aliases.get(&text).cloned().unwrap_or(text))
}

fn steps(path: &str, aliases: &BTreeMap<String, String>) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let namespace = match rest.strip_prefix("nsu=") {
            Some(after) => {
                let (uri, after) =
                    after.split_once(';').ok_or_else(|| format!("`/{path}`: after the URI comes `;`"))?;
                rest = after;
                Some(named(uri, aliases))
            }
            None => None,
        };
        let (prefix, name, after) = name(rest);
        let (namespace, name) = match (namespace, prefix) {
            (Some(namespace), None) => (namespace, name),
            (Some(namespace), Some(prefix)) => (namespace, format!("{prefix}:{name}")),
            (None, None) => (Namespace::Index(0), name),
            (None, Some(prefix)) => {
                let namespace = match prefix.parse() {
                    Ok(index) => Namespace::Index(index),
                    Err(_) => Namespace::Uri(aliases.get(&prefix).cloned().ok_or_else(|| {
                        format!("`/{path}`: `{prefix}` is neither an index nor one of `namespaces`; `&:` is a colon")
                    })?),
                };
                (namespace, name)
            }
        };
        if name.is_empty() {
            return Err(format!("`/{path}`: a name is empty"));
        }
        steps.push(Step { namespace, name });
        if steps.len() > MOST_STEPS {
            return Err(format!("`/{path}` has more than {MOST_STEPS} names"));
        }
        match after {
            Some(after) => rest = after,
            None => return Ok(steps),
        }
    }
}

/// What stands before the first bare colon, the rest up to the next bare slash, and what follows that.
fn name(text: &str) -> (Option<String>, String, Option<&str>) {
    let (mut prefix, mut name) = (None, String::new());
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '&' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '/' => return (prefix, name, text.get(at + 1..)),
            ':' if prefix.is_none() => prefix = Some(std::mem::take(&mut name)),
            other => name.push(other),
        }
    }
    (prefix, name, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address, String> {
        let aliases = BTreeMap::from([("di".to_owned(), "http://opcfoundation.org/UA/DI/".to_owned())]);
        Address::parse(text, None, &aliases)
    }

    fn namespaces() -> Vec<String> {
        ["http://opcfoundation.org/UA/", "urn:server", "http://opcfoundation.org/UA/DI/", "odd;100%"]
            .map(str::to_owned)
            .to_vec()
    }

    fn node(text: &str) -> String {
        match read(text).unwrap().resolve(&namespaces()) {
            Ok(Ok(node)) => node.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nodes_are_named_by_index_uri_or_short_name() {
        assert_eq!(node("i=2258"), "i=2258");
        assert_eq!(node("ns=2;s=/Channel/State/progStatus"), "ns=2;s=/Channel/State/progStatus");
        assert_eq!(node("ns=2;s=\"DB\".\"x\"[3]"), "ns=2;s=\"DB\".\"x\"[3]");
        assert_eq!(node("nsu=http://opcfoundation.org/UA/DI/;i=5001"), "ns=2;i=5001");
        assert_eq!(node("nsu=di;s=Größe"), "ns=2;s=Größe");
        assert_eq!(node("nsu=odd%3B100%25;s=a;b"), "ns=3;s=a;b");
    }

    #[test]
    fn a_path_is_browse_names_with_their_namespaces() {
        let Ok(Address::Path { start: None, steps }) =
            read("/Objects/2:DeviceSet/nsu=http://x/y/;a&/b/di:c&:d")
        else {
            panic!()
        };
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["Objects", "DeviceSet", "a/b", "c:d"]);
        assert_eq!(steps[0].namespace, Namespace::Index(0));
        assert_eq!(steps[1].namespace, Namespace::Index(2));
        assert_eq!(steps[2].namespace, Namespace::Uri("http://x/y/".into()));
        assert_eq!(steps[3].namespace, Namespace::Uri("http://opcfoundation.org/UA/DI/".into()));
    }

    #[test]
    fn what_is_no_address_is_refused_with_how_to_write_it() {
        for text in [
            "",
            "x",
            "ns=2",
            "ns=x;i=1",
            "nsu=http://x",
            "i=x",
            "ns=70000;i=1",
            "/",
            "/a//b",
            "/x:y",
            "ä",
            "é=",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("temperature").unwrap_err().contains("nsu=URI;s=NAME"));
        assert!(Address::parse("i=1", Some("i=85"), &BTreeMap::new()).is_err());
    }

    #[test]
    fn a_namespace_that_the_server_has_not_is_named_with_those_it_has() {
        let cause = read("nsu=urn:other;i=1").unwrap().resolve(&namespaces()).unwrap_err();
        assert!(cause.contains("urn:other") && cause.contains("urn:server"), "{cause}");
        assert!(read("ns=9;i=1").unwrap().resolve(&namespaces()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(index in 0_u16..4, number: u32, name in "[ -~]{1,20}", numeric: bool) {
            let identifier = if numeric { Identifier::from(number) } else { Identifier::String(name.into()) };
            let node = NodeId { namespace: index, identifier };
            let text = written(&node, &namespaces());
            if !text.ends_with(' ') {
                let found = read(&text).unwrap().resolve(&namespaces()).unwrap().unwrap();
                proptest::prop_assert_eq!(found, node);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = read(&text);
            let _ = read(&format!("/{text}"));
        }
    }
}
