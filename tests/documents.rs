//! Every kind of document in every version, checked against the published schemas.
//!
//! The schemas are not part of the project; where they or `xmllint` are missing the checks say that
//! they were skipped, but on the build machine (`CI=true`) they fail.

#[path = "documents/fixture.rs"]
mod fixture;
#[path = "documents/schemas.rs"]
mod schemas;

use fixture::{all_devices, documents, every_observation, every_type, header, model};
use guideway::device_model::SchemaVersion;
use guideway::documents::{Format, Problem, ProblemKind};
use schemas::{Checker, VERSIONS};

/// A model with all that a device can say of itself by the newest version.
const RICH: &str = include_str!("documents/rich.xml");
/// A model as one was written in 2012.
const OLD: &str = include_str!("documents/old.xml");

fn check_devices_and_streams(name: &str, xml: &str) {
    let Some(mut checker) = Checker::new() else { return };
    for version in VERSIONS {
        let model = model(xml, version);
        let documents = documents(&model);
        let observations = every_observation(&model);
        for pretty in [false, true] {
            let probe = documents.devices(
                Format::Xml,
                pretty,
                &header(),
                &all_devices(&model),
                &[("CuttingTool".into(), 2)],
            );
            checker.add(name, "Devices", version, &probe);
            let streams = documents.streams(Format::Xml, pretty, &header(), &observations);
            checker.add(name, "Streams", version, &streams);
        }
        let nothing = documents.streams(Format::Xml, false, &header(), &[]);
        checker.add("empty", "Streams", version, &nothing);
    }
    checker.check();
}

#[test]
fn every_type_of_the_vocabulary_is_valid_in_every_version() {
    check_devices_and_streams("every type", &every_type());
}

#[test]
fn a_rich_model_is_valid_in_every_version() {
    check_devices_and_streams("rich", RICH);
}

#[test]
fn an_old_model_is_valid_in_every_version() {
    check_devices_and_streams("old", OLD);
}

#[test]
fn every_error_is_valid_in_every_version() {
    let Some(mut checker) = Checker::new() else { return };
    let problem = |kind| Problem {
        kind,
        message: "it is <wrong> & bad".to_owned(),
        uri: Some("http://host:5000/sample?count=a&from=1".to_owned()),
        request: Some("MTConnectSample"),
    };
    let range = |parameter| ProblemKind::OutOfRange { parameter, value: "9".into(), minimum: 1, maximum: 8 };
    let value = |parameter: &str| ProblemKind::InvalidParameterValue {
        parameter: parameter.into(),
        value: "10abc".into(),
        expected: "integer",
    };
    let kinds = [
        ProblemKind::NoDevice,
        range("from"),
        range("at"),
        range("to"),
        ProblemKind::TooMany,
        ProblemKind::InvalidUri,
        ProblemKind::InvalidRequest,
        ProblemKind::InternalError,
        ProblemKind::InvalidXPath,
        ProblemKind::Unsupported,
        ProblemKind::Unauthorized,
        ProblemKind::AssetNotFound { asset_id: "T 9".into() },
        value("count"),
        value("removed"),
        ProblemKind::QueryError,
    ];
    for version in VERSIONS {
        let documents = documents(&model(OLD, version));
        let all: Vec<Problem> = kinds.iter().cloned().map(problem).collect();
        checker.add("all", "Error", version, &documents.error(Format::Xml, true, &header(), &all));
        for kind in &kinds {
            let bare = Problem { uri: None, request: None, ..problem(kind.clone()) };
            checker.add("one", "Error", version, &documents.error(Format::Xml, false, &header(), &[bare]));
        }
    }
    checker.check();
}

#[test]
fn an_error_says_what_was_out_of_range() {
    let documents = documents(&model(OLD, SchemaVersion::NEWEST));
    let problem = Problem {
        kind: ProblemKind::OutOfRange { parameter: "from", value: "99".into(), minimum: 1, maximum: 8 },
        message: "`from` must be from 1 to 8".into(),
        uri: Some("/sample?from=99".into()),
        request: Some("MTConnectSample"),
    };
    let text = String::from_utf8(documents.error(Format::Xml, false, &header(), &[problem])).expect("UTF-8");
    let expected = "<Errors><OutOfRange><URI>/sample?from=99</URI><Request>MTConnectSample</Request>\
        <ErrorMessage>`from` must be from 1 to 8</ErrorMessage><QueryParameter name=\"from\"><Value>99</Value>\
        <Minimum>1</Minimum><Maximum>8</Maximum></QueryParameter></OutOfRange></Errors></MTConnectError>\n";
    assert!(text.ends_with(expected), "{text}");
}
