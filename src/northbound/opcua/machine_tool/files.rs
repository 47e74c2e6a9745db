//! The node set files in the configured folder: which is which, and which of them are needed.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The standard itself, which is there anyway.
const UA: &str = "http://opcfoundation.org/UA/";
/// The model of OPC 40501-1.
pub(super) const MACHINE_TOOL: &str = "http://opcfoundation.org/UA/MachineTool/";
/// The model of OPC 40001-1.
pub(super) const MACHINERY: &str = "http://opcfoundation.org/UA/Machinery/";
/// The model of OPC 10000-100.
pub(super) const DI: &str = "http://opcfoundation.org/UA/DI/";

/// Files of the folder that are looked at.
const MOST_FILES: usize = 1_000;
/// What a file says of itself stands at its beginning.
const HEAD: u64 = 256 * 1024;

/// What a node set file says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Head {
    pub(super) path: PathBuf,
    /// The namespace of its first model.
    pub(super) uri: String,
    /// When it was published, as written.
    published: String,
    /// The models it needs.
    required: Vec<String>,
}

/// The files that the machine-tool view needs, each after those it builds on; and what is wrong,
/// with its cure. Files of other models are left alone.
pub(super) fn needed(folder: &Path) -> (Vec<Head>, Vec<String>) {
    let mut warnings = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let cure = "let `nodesets` name a folder that can be read, or leave it out";
            return (Vec::new(), vec![format!("{}: {error}; {cure}", folder.display())]);
        }
    };
    let mut paths: Vec<PathBuf> = entries
        .take(MOST_FILES)
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml")))
        .collect();
    // The same choice every time, whatever the file system's order.
    paths.sort();
    let mut heads: Vec<Head> = Vec::new();
    for path in paths {
        match read_head(&path) {
            Ok(Some(head)) => match heads.iter_mut().find(|known| known.uri == head.uri) {
                Some(known) if known.published < head.published => *known = head,
                Some(_) => {}
                None => heads.push(head),
            },
            Ok(None) => {}
            Err(what) => warnings.push(format!("{}: {what}", path.display())),
        }
    }
    let mut chosen = Vec::new();
    let mut missing = Vec::new();
    collect(MACHINE_TOOL, &heads, &mut Vec::new(), &mut chosen, &mut missing);
    for uri in missing {
        let consequence = match uri.as_str() {
            MACHINE_TOOL | MACHINERY | DI => "without it there is no machine-tool view",
            _ => "what builds on it is left out",
        };
        warnings.push(format!(
            "{}: no file of the model {uri}; {consequence}; put its NodeSet2 file there",
            folder.display()
        ));
    }
    if [MACHINE_TOOL, MACHINERY, DI].iter().any(|uri| chosen.iter().all(|head: &Head| head.uri != *uri)) {
        chosen.clear();
    }
    (chosen, warnings)
}

/// Puts the model's file into `chosen`, those that it needs before it.
fn collect(
    uri: &str,
    heads: &[Head],
    seen: &mut Vec<String>,
    chosen: &mut Vec<Head>,
    missing: &mut Vec<String>,
) {
    if uri == UA || seen.iter().any(|known| known == uri) {
        return;
    }
    seen.push(uri.to_owned());
    match heads.iter().find(|head| head.uri == uri) {
        Some(head) => {
            for required in &head.required {
                collect(required, heads, seen, chosen, missing);
            }
            chosen.push(head.clone());
        }
        None => missing.push(uri.to_owned()),
    }
}

/// What the file says of itself; `None` when it is XML of another kind.
fn read_head(path: &Path) -> Result<Option<Head>, String> {
    let file = File::open(path).map_err(|error| format!("{error}; check that it may be read"))?;
    let mut reader = Reader::from_reader(BufReader::new(file.take(HEAD)));
    let mut head = Head { path: path.to_owned(), ..Head::default() };
    let mut buffer = Vec::new();
    let mut is_nodeset = false;
    loop {
        buffer.clear();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            // A file that is no node set may look as it likes.
            Err(_) if !is_nodeset => return Ok(None),
            Err(error) => {
                return Err(format!(
                    "not XML at byte {}: {error}; get the file anew",
                    reader.error_position()
                ));
            }
        };
        match event {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                "UANodeSet" => is_nodeset = true,
                _ if !is_nodeset => return Ok(None),
                "Model" if head.uri.is_empty() => {
                    head.uri = attribute(&tag, "ModelUri");
                    head.published = attribute(&tag, "PublicationDate");
                }
                "RequiredModel" => head.required.push(attribute(&tag, "ModelUri")),
                name if name.starts_with("UA") => break,
                _ => {}
            },
            Event::End(tag) if tag.local_name().as_ref() == "Models" => break,
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(Some(head).filter(|head| is_nodeset && !head.uri.is_empty()))
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> String {
    let value = tag.try_get_attribute(name).ok().flatten();
    value.map_or_else(String::new, |value| value.value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, uri: &str, published: &str, required: &[&str]) {
        let required: String =
            required.iter().map(|uri| format!("<RequiredModel ModelUri=\"{uri}\"/>")).collect();
        let text = format!(
            "<?xml version=\"1.0\"?>\n<UANodeSet><Models><Model ModelUri=\"{uri}\" \
             PublicationDate=\"{published}\">{required}</Model></Models></UANodeSet>"
        );
        std::fs::write(folder.join(name), text).unwrap();
    }

    fn names(heads: &[Head]) -> Vec<&str> {
        heads.iter().map(|head| head.path.file_name().unwrap().to_str().unwrap()).collect()
    }

    #[test]
    fn what_is_needed_is_found_whatever_the_files_are_called_each_after_what_it_builds_on() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.xml", MACHINE_TOOL, "2024", &[UA, MACHINERY, DI]);
        write(folder.path(), "b.XML", MACHINERY, "2023", &[DI, UA]);
        write(folder.path(), "c.xml", DI, "2021", &[UA]);
        write(folder.path(), "d.xml", DI, "2022", &[UA]);
        write(folder.path(), "e.xml", "urn:another", "2022", &["urn:never"]);
        std::fs::write(folder.path().join("f.xml"), "<svg/>").unwrap();
        std::fs::write(folder.path().join("g.xml"), [0xff; 10]).unwrap();
        let (heads, warnings) = needed(folder.path());
        assert_eq!(names(&heads), ["d.xml", "b.XML", "a.xml"]);
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn a_model_that_is_missing_is_named_with_what_comes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.xml", MACHINE_TOOL, "2024", &[MACHINERY, DI, "urn:jobs"]);
        write(folder.path(), "c.xml", DI, "2021", &[UA]);
        let (heads, warnings) = needed(folder.path());
        assert!(heads.is_empty());
        assert!(
            warnings[0].contains(MACHINERY) && warnings[0].contains("no machine-tool view"),
            "{warnings:?}"
        );
        assert!(warnings[1].contains("urn:jobs") && warnings[1].contains("left out"), "{warnings:?}");
    }

    #[test]
    fn models_that_need_each_other_are_no_endless_road() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.xml", MACHINE_TOOL, "2024", &[MACHINERY]);
        write(folder.path(), "b.xml", MACHINERY, "2024", &[MACHINE_TOOL, DI]);
        write(folder.path(), "c.xml", DI, "2024", &[MACHINERY]);
        assert_eq!(needed(folder.path()).0.len(), 3);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_with_its_cure() {
        let (heads, warnings) = needed(Path::new("/nowhere/at/all"));
        assert!(heads.is_empty());
        assert!(
            warnings[0].contains("/nowhere/at/all") && warnings[0].contains("`nodesets`"),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.xml"), "<UANodeSet><Models></Model>").unwrap();
        let (_, warnings) = needed(folder.path());
        assert!(warnings[0].contains("x.xml") && warnings[0].contains("not XML"), "{warnings:?}");
    }
}
