//! The rows: what is asked, what answers it, and the tests that show it.

use serde::Deserialize;

const ROWS: &str = include_str!("rows.toml");

/// The file of the rows is wrong. It is part of the program, and a test reads it.
#[derive(Debug, thiserror::Error)]
#[error("src/coverage/rows.toml: {0}")]
pub struct RowsError(#[from] toml::de::Error);

/// A functional entity or a requirement.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Short and unique: `P1`, `FE-actuation`.
    pub id: String,
    /// Part of the standard and what in it: `Part 4, proximity network`. Rows of one part stand together.
    pub part: String,
    /// What is asked, in our words.
    pub title: String,
    /// False for what is the business of another entity: such a row has no result, ever.
    #[serde(default = "applies")]
    pub applicable: bool,
    /// Files and folders of this project that answer it.
    #[serde(default)]
    pub implemented: Vec<String>,
    /// Tests that show it, as the test runner names them: `guideway::machines a_test`. A star at
    /// the end stands for any rest.
    #[serde(default)]
    pub tests: Vec<String>,
    /// What is missing, or what no test shows. Empty: nothing that we know of.
    #[serde(default)]
    pub gap: String,
    /// Why a row does not apply, and what we give to the entity whose business it is.
    #[serde(default)]
    pub note: String,
}

const fn applies() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

/// All rows, in the order of the file.
///
/// # Errors
/// When the file that was compiled in is no table of rows.
pub fn rows() -> Result<Vec<Row>, RowsError> {
    Ok(toml::from_str::<File>(ROWS)?.row)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;

    /// Every functional entity and requirement that concerns us, and those of others that are named.
    const ASKED: [&str; 70] = [
        "FE-data-collecting",
        "FE-data-pre-processing",
        "FE-collection-identification",
        "FE-controlling",
        "FE-actuation",
        "FE-control-identification",
        "FE-data-assurance",
        "FE-security-support",
        "FE-data-translation",
        "OME-identifier",
        "OME-characteristics",
        "OME-schedule",
        "OME-status",
        "OME-location",
        "OME-report",
        "OME-relationship",
        "P1",
        "P2",
        "P3",
        "P4",
        "P5",
        "P6",
        "A1",
        "A2",
        "A3",
        "A4",
        "A5",
        "A6",
        "A7",
        "A8",
        "A9",
        "U1",
        "U2",
        "S1",
        "REQ-accuracy",
        "REQ-acquisition",
        "REQ-integrity",
        "REQ-extensibility",
        "REQ-granularity",
        "REQ-identification",
        "REQ-synchronization",
        "REQ-simulation",
        "REQ-hierarchical-modelling",
        "DT-ome-uuid",
        "DT-gateway-instance",
        "DT-model-hash",
        "DT-part-serial",
        "DT-program",
        "DT-tool",
        "DT-job",
        "DT-material-lot",
        "DT-inspection",
        "DT-links",
        "DT-composition",
        "SC-1",
        "SC-2",
        "SC-3",
        "CORE-synchronization",
        "CORE-presentation",
        "CORE-digital-modelling",
        "CORE-simulation",
        "CORE-analytic-service",
        "CORE-reporting",
        "CORE-application-support",
        "CORE-interoperability-support",
        "CORE-access-control",
        "CORE-plug-and-play-support",
        "CORE-peer-interface",
        "USER-user-interface",
        "OME-itself",
    ];

    #[test]
    fn there_is_one_row_for_everything_that_is_asked_and_none_besides() {
        let rows = rows().unwrap();
        let ids: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids.len(), rows.len(), "an id stands twice");
        let asked: HashSet<&str> = ASKED.into_iter().collect();
        assert_eq!(asked.difference(&ids).collect::<Vec<_>>(), Vec::<&&str>::new(), "no row");
        assert_eq!(ids.difference(&asked).collect::<Vec<_>>(), Vec::<&&str>::new(), "nobody asked");
    }

    #[test]
    fn what_is_said_to_implement_a_row_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for row in rows().unwrap() {
            for path in &row.implemented {
                assert!(root.join(path).exists(), "{}: there is no {path}", row.id);
            }
        }
    }

    #[test]
    fn a_row_that_applies_has_tests_or_says_what_is_missing() {
        for row in rows().unwrap().iter().filter(|row| row.applicable) {
            assert!(!row.tests.is_empty() || !row.gap.is_empty(), "{}", row.id);
            assert!(row.tests.is_empty() || !row.implemented.is_empty(), "{}: tests of nothing", row.id);
        }
    }

    #[test]
    fn a_row_of_another_entity_claims_nothing_and_says_whose_it_is() {
        let rows = rows().unwrap();
        let foreign: Vec<_> = rows.iter().filter(|row| !row.applicable).collect();
        assert!(!foreign.is_empty());
        for row in foreign {
            assert!(row.tests.is_empty() && row.implemented.is_empty() && row.gap.is_empty(), "{}", row.id);
            assert!(!row.note.is_empty(), "{}", row.id);
        }
    }

    #[test]
    fn tests_are_named_by_binary_and_name_and_rows_of_a_part_stand_together() {
        let mut parts: Vec<String> = Vec::new();
        for row in rows().unwrap() {
            for test in &row.tests {
                let (binary, name) = test.split_once(' ').unwrap_or_default();
                let star = name.trim_end_matches('*');
                // All tests of the library, or of nothing, would be too many.
                let narrow = !star.is_empty() || name == "*" && binary.contains("::");
                assert!(binary.starts_with("guideway") && narrow, "{}: {test}", row.id);
                assert!(!star.contains([' ', '*']) && name.len() <= star.len() + 1, "{}: {test}", row.id);
            }
            if parts.last() != Some(&row.part) {
                assert!(!parts.contains(&row.part), "{}: {} stands in two places", row.id, row.part);
                parts.push(row.part);
            }
        }
    }
}
