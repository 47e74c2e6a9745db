//! Checking documents against the published schemas.

use std::path::{Path, PathBuf};
use std::process::Command;

use guideway::device_model::SchemaVersion;

/// Versions that are checked: all whose schema is at hand or has a neighbour's.
pub(crate) const VERSIONS: [SchemaVersion; 10] = [
    SchemaVersion::new(1, 3),
    SchemaVersion::new(1, 8),
    SchemaVersion::new(2, 0),
    SchemaVersion::new(2, 1),
    SchemaVersion::new(2, 2),
    SchemaVersion::new(2, 3),
    SchemaVersion::new(2, 4),
    SchemaVersion::new(2, 5),
    SchemaVersion::new(2, 6),
    SchemaVersion::new(2, 7),
];

/// The version whose schema is used for documents of that version.
fn judge(version: SchemaVersion) -> SchemaVersion {
    match (version.major, version.minor) {
        (2, 1) => SchemaVersion::new(2, 2),
        (2, 3 | 4) => SchemaVersion::new(2, 5),
        (2, 6) => SchemaVersion::new(2, 7),
        _ => version,
    }
}

/// Collects documents and has them checked together.
pub(crate) struct Checker {
    folder: tempfile::TempDir,
    schemas: PathBuf,
    documents: Vec<(String, PathBuf)>,
}

impl Checker {
    /// `None`, after saying so, where the schemas or xmllint are not there. On the build machine
    /// they have to be.
    pub(crate) fn new() -> Option<Self> {
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/mtconnect/schemas");
        let xmllint = Command::new("xmllint").arg("--version").output().is_ok();
        if !schemas.is_dir() || !xmllint {
            let missing = if xmllint { "../shared/mtconnect/schemas" } else { "xmllint (libxml2-utils)" };
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing} is not there");
            #[expect(clippy::print_stderr, reason = "a check that does not happen must not be silent")]
            {
                eprintln!("skipped: {missing} is not there");
            }
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Self { folder, schemas, documents: Vec::new() })
    }

    /// A document of a kind (`Devices`, …) and version, called `name` when it is not valid.
    pub(crate) fn add(&mut self, name: &str, kind: &str, version: SchemaVersion, document: &[u8]) {
        let judge = judge(version);
        let text = String::from_utf8(document.to_vec()).expect("documents are UTF-8");
        let urn = |version| format!("urn:mtconnect.org:MTConnect{kind}:{version}");
        let text = text.replace(&urn(version), &urn(judge));
        let path = self.folder.path().join(format!("{}.xml", self.documents.len()));
        std::fs::write(&path, text).expect("written");
        let schema = format!("MTConnect{kind}_{judge}_1.0.xsd");
        self.documents.push((format!("{name} {kind} {version}\u{0}{schema}"), path));
    }

    /// Fails with what xmllint says of the documents that are not valid.
    pub(crate) fn check(self) {
        let mut by_schema: std::collections::BTreeMap<String, Vec<(String, PathBuf)>> =
            std::collections::BTreeMap::default();
        for (name, path) in self.documents {
            let (name, schema) = name.split_once('\u{0}').expect("joined above");
            by_schema.entry(schema.to_owned()).or_default().push((name.to_owned(), path));
        }
        let mut found = String::new();
        for (schema, documents) in by_schema {
            let output = Command::new("xmllint")
                .args(["--noout", "--nonet", "--schema"])
                .arg(self.schemas.join(&schema))
                .args(documents.iter().map(|(_, path)| path))
                .output()
                .expect("xmllint runs");
            if output.status.success() {
                continue;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            for line in said.lines().filter(|line| line.contains("error :")) {
                let owner = documents.iter().find(|(_, path)| line.starts_with(&*path.to_string_lossy()));
                let name = owner.map_or("?", |(name, _)| name);
                found.push_str(&format!("{name} ({schema}): {line}\n"));
            }
        }
        assert!(found.is_empty(), "{}", found.lines().take(60).collect::<Vec<_>>().join("\n"));
    }
}
