//! BrowseNames, by the rules of OPC 30070-1.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;
use smol_str::{SmolStr, format_smolstr};

use crate::device_model::Element;

/// `TOOL_ASSET_ID` is `ToolAssetId`; `PH` is the one exception.
pub(super) fn pascal(name: &str) -> SmolStr {
    if name == "PH" {
        return SmolStr::new_static("PH");
    }
    let mut pascal = String::with_capacity(name.len());
    for word in name.split(['_', ' ']) {
        let mut letters = word.chars();
        pascal.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        pascal.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    }
    pascal.into()
}

/// A type or sub-type as MTTypeName and MTSubTypeName say it: PascalCase, an extension with its prefix.
pub(super) fn type_name(name: &str) -> SmolStr {
    match name.split_once(':') {
        Some((prefix, local)) => format_smolstr!("{prefix}:{}", pascal(local)),
        None => pascal(name),
    }
}

/// `nativeName` is `NativeName`, `x:force` is `Force`.
pub(super) fn property(attribute: &str) -> SmolStr {
    let local = local(attribute);
    let mut letters = local.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Attributes with their values; those of extensions come last, lest one takes the standard's name.
pub(super) fn attributes(element: &Element) -> impl Iterator<Item = &(SmolStr, SmolStr)> {
    let is_extension = |attribute: &&(SmolStr, SmolStr)| attribute.0.contains(':');
    let own = element.attributes.iter().filter(move |attribute| !is_extension(attribute));
    own.chain(element.attributes.iter().filter(is_extension))
}

/// What is needed to name one of several nodes with the same parent.
pub(super) struct Candidate<'n> {
    /// What the node is, such as `Path`.
    pub(super) base: SmolStr,
    /// Its `name`; empty when it has none.
    pub(super) name: &'n str,
    /// Its `id`.
    pub(super) id: &'n str,
    /// Whether the name is shown even where nothing clashes.
    pub(super) is_always_named: bool,
}

/// `Path`, or `Path[P1]` where another is also called `Path`. Where names are missing or clash as well,
/// the id stands in for them, so that no two are the same.
pub(super) fn distinct(candidates: &[Candidate<'_>]) -> Vec<SmolStr> {
    let mut bases: FxHashMap<&str, u32> = FxHashMap::default();
    for candidate in candidates {
        *bases.entry(&candidate.base).or_default() += 1;
    }
    let with = |candidate: &Candidate<'_>, what: &str| format_smolstr!("{}[{what}]", candidate.base);
    let mut names: Vec<SmolStr> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        names.push(if bases[candidate.base.as_str()] == 1 && !candidate.is_always_named {
            candidate.base.clone()
        } else if candidate.name.is_empty() {
            with(candidate, candidate.id)
        } else {
            with(candidate, candidate.name)
        });
    }
    // An id can be what another one is named, so that it takes several turns.
    loop {
        let mut seen: FxHashMap<SmolStr, usize> = FxHashMap::default();
        let mut clashing = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match seen.entry(name.clone()) {
                Entry::Occupied(first) => clashing.extend([*first.get(), index]),
                Entry::Vacant(free) => drop(free.insert(index)),
            }
        }
        let mut is_better = false;
        for index in clashing {
            let by_id = with(&candidates[index], candidates[index].id);
            is_better |= names[index] != by_id;
            names[index] = by_id;
        }
        if !is_better {
            return names;
        }
    }
}

/// Names of one parent's children that come from attributes and elements of any kind.
#[derive(Default)]
pub(super) struct Scope(Vec<SmolStr>);

impl Scope {
    /// With names that are taken from the beginning.
    pub(super) fn reserving(names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| SmolStr::new_static(name)).collect())
    }

    /// The name, or `name[2]` and so on when it is taken.
    pub(super) fn free(&mut self, name: &str) -> SmolStr {
        let mut free = SmolStr::new(name);
        let mut number = 1;
        while self.0.contains(&free) {
            number += 1;
            free = format_smolstr!("{name}[{number}]");
        }
        self.0.push(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(candidates: &[(&str, &str, &str, bool)]) -> Vec<SmolStr> {
        let candidates: Vec<_> = candidates
            .iter()
            .map(|(base, name, id, is_always_named)| Candidate {
                base: (*base).into(),
                name,
                id,
                is_always_named: *is_always_named,
            })
            .collect();
        distinct(&candidates)
    }

    #[test]
    fn words_become_pascal_case_but_for_ph() {
        for (written, expected) in [
            ("POSITION", "Position"),
            ("CONTROLLER_MODE_OVERRIDE", "ControllerModeOverride"),
            ("A_SCALE", "AScale"),
            ("PH", "PH"),
            ("x:SPINDLE_LOAD", "x:SpindleLoad"),
        ] {
            assert_eq!(type_name(written), expected);
        }
        assert_eq!(property("nativeName"), "NativeName");
        assert_eq!(property("x:force"), "Force");
    }

    #[test]
    fn names_are_shown_where_they_tell_apart_and_on_axes() {
        assert_eq!(
            names(&[
                ("Path", "P1", "a", false),
                ("Path", "P2", "b", false),
                ("Controller", "cnc", "c", false),
                ("Linear", "X", "d", true),
            ]),
            ["Path[P1]", "Path[P2]", "Controller", "Linear[X]"]
        );
    }

    #[test]
    fn ids_stand_in_for_names_that_are_missing_or_the_same() {
        assert_eq!(
            names(&[("Load", "", "a", false), ("Load", "x", "b", false), ("Load", "x", "c", false)]),
            ["Load[a]", "Load[b]", "Load[c]"]
        );
        assert_eq!(names(&[("Rotary", "", "r", true)]), ["Rotary[r]"]);
        assert_eq!(
            names(&[("Path", "b", "a", true), ("Path", "c", "b", true), ("Path", "c", "c", true)]),
            ["Path[a]", "Path[b]", "Path[c]"]
        );
    }

    #[test]
    fn what_is_taken_gets_a_number() {
        let mut scope = Scope::default();
        assert_eq!(scope.free("Name"), "Name");
        assert_eq!(scope.free("Name"), "Name[2]");
        assert_eq!(scope.free("Name"), "Name[3]");
    }
}
