//! Validity of documents against the standard's schemas.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Validates a document with xmllint against the schema of its own kind and version. Elements of
/// other namespaces have to stand where the standard's may, and to have the same attributes.
pub fn assert_valid(shared: &Path, document: &str) {
    let (kind, version) = kind_and_version(document);
    let schema = shared.join(format!("mtconnect/schemas/{kind}_{version}_1.0.xsd"));
    assert!(schema.exists(), "there is no schema {}", schema.display());
    let folder = tempfile::tempdir().unwrap();
    let schema = with_extensions(document, &schema.canonicalize().unwrap(), folder.path());
    let mut child = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .arg(&schema)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xmllint is installed (scripts/test installs it)");
    let mut input = child.stdin.take().unwrap();
    let text = document.to_owned();
    let feeder = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let first: String = document.chars().take(600).collect();
    assert!(
        output.status.success(),
        "not valid:\n{}\n{first}…",
        said.chars().take(2_000).collect::<String>()
    );
}

fn kind_and_version(document: &str) -> (&str, &str) {
    let urn = document.split("urn:mtconnect.org:").nth(1).expect("an MTConnect document");
    let end = urn.find(['"', '\'', ' ']).unwrap();
    urn[..end].split_once(':').unwrap()
}

/// The schema itself, or one that imports it and a declaration of each extension element that
/// stands among samples or events.
fn with_extensions(document: &str, schema: &Path, folder: &Path) -> std::path::PathBuf {
    let tree = roxmltree::Document::parse(document).unwrap();
    let standard = tree.root_element().tag_name().namespace().unwrap();
    let mut extensions = BTreeSet::new();
    for node in tree.descendants().filter(roxmltree::Node::is_element) {
        let namespace = node.tag_name().namespace().unwrap_or_default();
        let base = match node.parent().map(|parent| parent.tag_name().name()) {
            Some("Samples") => "Sample",
            Some("Events") => "Event",
            _ => continue,
        };
        if namespace != standard {
            extensions.insert((namespace, node.tag_name().name(), base));
        }
    }
    if extensions.is_empty() {
        return schema.to_owned();
    }
    let location = schema.display();
    let namespaces: BTreeSet<&str> = extensions.iter().map(|(namespace, ..)| *namespace).collect();
    let mut driver = format!(
        "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'>\
         <xs:import namespace='{standard}' schemaLocation='{location}'/>"
    );
    for (number, namespace) in namespaces.into_iter().enumerate() {
        let mut text = format!(
            "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:mt='{standard}' \
             targetNamespace='{namespace}'><xs:import namespace='{standard}' schemaLocation='{location}'/>"
        );
        for (_, name, base) in extensions.iter().filter(|(of, ..)| *of == namespace) {
            write!(
                text,
                "<xs:element name='{name}' substitutionGroup='mt:{base}'><xs:complexType><xs:simpleContent>\
                <xs:extension base='mt:{base}Type'/></xs:simpleContent></xs:complexType></xs:element>"
            )
            .unwrap();
        }
        text.push_str("</xs:schema>");
        let path = folder.join(format!("extension-{number}.xsd"));
        std::fs::write(&path, text).unwrap();
        write!(driver, "<xs:import namespace='{namespace}' schemaLocation='{}'/>", path.display()).unwrap();
    }
    driver.push_str("</xs:schema>");
    let path = folder.join("driver.xsd");
    std::fs::write(&path, driver).unwrap();
    path
}
