//! Collects what is wrong, so that all of it is told at once.

use std::path::Path;
use std::sync::Arc;

use super::element::Place;
use super::tree::attribute_place;
use super::{Element, ModelError, Position, Severity};

/// Nobody reads more, and a broken file must not fill the memory.
const MAX_FINDINGS: usize = 1000;

/// Findings of one load, with the texts they are about.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<ModelError>,
    has_errors: bool,
    texts: Vec<(Arc<Path>, Arc<str>)>,
}

impl Findings {
    /// Makes a text known, so that findings can point at attributes in it.
    pub(super) fn add_text(&mut self, file: &Arc<Path>, text: Arc<str>) {
        self.texts.push((file.clone(), text));
    }

    /// Something that keeps the model from being used. `attribute` narrows the place; it may be
    /// empty.
    pub(super) fn error(
        &mut self,
        file: &Arc<Path>,
        element: &Element,
        attribute: &str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.add(Severity::Error, file, element.place, attribute, what.into(), cure.into());
    }

    /// Something that is probably not meant.
    pub(super) fn warning(
        &mut self,
        file: &Arc<Path>,
        element: &Element,
        attribute: &str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.add(Severity::Warning, file, element.place, attribute, what.into(), cure.into());
    }

    /// A finding at a place.
    pub(super) fn push(
        &mut self,
        severity: Severity,
        file: &Arc<Path>,
        place: Place,
        what: String,
        cure: String,
    ) {
        self.add(severity, file, place, "", what, cure);
    }

    fn add(
        &mut self,
        severity: Severity,
        file: &Arc<Path>,
        place: Place,
        attribute: &str,
        what: String,
        cure: String,
    ) {
        self.has_errors |= severity == Severity::Error;
        // Errors are never left out in favour of warnings that came first.
        let most = if severity == Severity::Error { 2 * MAX_FINDINGS } else { MAX_FINDINGS };
        if self.list.len() < most {
            let text = self.texts.iter().find(|(known, _)| known == file).map(|(_, text)| text);
            let place = match text {
                Some(text) if !attribute.is_empty() => attribute_place(text, place, attribute),
                _ => place,
            };
            self.list.push(ModelError { severity, position: position(file, place), what, cure });
        }
    }

    /// The warnings, or all findings when one of them is an error; in order of their places.
    pub(super) fn finish(mut self) -> Result<Vec<ModelError>, Vec<ModelError>> {
        self.list.sort_by(|a, b| a.position.cmp(&b.position));
        if self.has_errors { Err(self.list) } else { Ok(self.list) }
    }
}

/// A place in a file.
pub(super) fn position(file: &Arc<Path>, place: Place) -> Position {
    Position { file: file.to_path_buf(), line: place.line.max(1), column: place.column.max(1) }
}
