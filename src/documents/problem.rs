//! What went wrong with a request, and MTConnectError.

use crate::device_model::{Element, Node, SchemaVersion};

use super::version;

/// One entry of an error document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The error code.
    pub kind: ProblemKind,
    /// What is wrong, for people.
    pub message: String,
    /// The request's URI (>= 2.6).
    pub uri: Option<String>,
    /// The request: `MTConnectProbe`, `MTConnectCurrent`, `MTConnectSample`, `MTConnectAsset`, … (>= 2.6).
    pub request: Option<&'static str>,
}

/// What kind of error, with what belongs to it from 2.6 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// NO_DEVICE.
    NoDevice,
    /// OUT_OF_RANGE.
    OutOfRange {
        /// The parameter's name.
        parameter: &'static str,
        /// Its value, as given.
        value: String,
        /// The least that is allowed.
        minimum: i64,
        /// The most that is allowed.
        maximum: i64,
    },
    /// TOO_MANY.
    TooMany,
    /// INVALID_URI.
    InvalidUri,
    /// INVALID_REQUEST.
    InvalidRequest,
    /// INTERNAL_ERROR.
    InternalError,
    /// INVALID_XPATH.
    InvalidXPath,
    /// UNSUPPORTED.
    Unsupported,
    /// UNAUTHORIZED.
    Unauthorized,
    /// ASSET_NOT_FOUND.
    AssetNotFound {
        /// The id that is not there.
        asset_id: String,
    },
    /// INVALID_PARAMETER_VALUE.
    InvalidParameterValue {
        /// The parameter's name.
        parameter: String,
        /// Its value, as given.
        value: String,
        /// What type is expected, e.g. `integer`.
        expected: &'static str,
    },
    /// QUERY_ERROR.
    QueryError,
}

/// The only parameter names that the schema of typed errors knows.
const PARAMETERS: [&str; 7] = ["device", "deviceType", "path", "from", "count", "interval", "heartbeat"];

impl ProblemKind {
    /// The code of the flat form. The schemas before 2.6 do not know the last two of the standard's
    /// codes, nor INVALID_XPATH under that name; the nearest that they know is used.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NoDevice => "NO_DEVICE",
            Self::OutOfRange { .. } => "OUT_OF_RANGE",
            Self::TooMany => "TOO_MANY",
            Self::InvalidUri => "INVALID_URI",
            Self::InvalidRequest | Self::InvalidParameterValue { .. } | Self::QueryError => "INVALID_REQUEST",
            Self::InternalError => "INTERNAL_ERROR",
            Self::InvalidXPath => "INVALID_PATH",
            Self::Unsupported => "UNSUPPORTED",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::AssetNotFound { .. } => "ASSET_NOT_FOUND",
        }
    }

    /// The element of the typed form.
    fn element(&self) -> &'static str {
        match self {
            Self::NoDevice => "NoDevice",
            Self::OutOfRange { .. } => "OutOfRange",
            Self::TooMany => "TooMany",
            Self::InvalidUri => "InvalidURI",
            Self::InvalidRequest => "InvalidRequest",
            Self::InternalError => "InternalError",
            Self::InvalidXPath => "InvalidXPath",
            Self::Unsupported => "Unsupported",
            Self::Unauthorized => "Unauthorized",
            Self::AssetNotFound { .. } => "AssetNotFound",
            Self::InvalidParameterValue { parameter, .. } if PARAMETERS.contains(&parameter.as_str()) => {
                "InvalidParameterValue"
            }
            // For a parameter that the schema cannot name there is this one, without its name.
            Self::InvalidParameterValue { .. } => "InvalidQueryParameter",
            Self::QueryError => "QueryError",
        }
    }
}

impl Problem {
    /// `<Errors>` in the form of that version.
    pub(super) fn errors(problems: &[Self], schema: SchemaVersion) -> Element {
        let mut errors = Element::new("Errors");
        for (at, problem) in problems.iter().enumerate() {
            // The same thing is not said twice: an id that is not there can only stand once.
            if !problems[..at].contains(problem) {
                errors.children.push(Node::Element(problem.entry(schema)));
            }
        }
        errors
    }

    fn entry(&self, schema: SchemaVersion) -> Element {
        if schema < version::V2_6 {
            return Element::new("Error")
                .with("errorCode", self.kind.code())
                .with_text(self.message.as_str());
        }
        let mut error = Element::new(self.kind.element());
        let mut add = |child: Element| error.children.push(Node::Element(child));
        add(leaf("URI", self.uri.as_deref().unwrap_or("/")));
        if let Some(request) = self.request {
            add(leaf("Request", request));
        }
        add(leaf("ErrorMessage", &self.message));
        match &self.kind {
            ProblemKind::OutOfRange { parameter, value, minimum, maximum } => {
                // `at` and `to` are sequences like `from`, but the schema cannot name them; the
                // message does.
                let name = if PARAMETERS.contains(parameter) { parameter } else { "from" };
                let mut query = Element::new("QueryParameter").with("name", name);
                query.children.push(Node::Element(leaf("Value", value)));
                query.children.push(Node::Element(leaf("Minimum", &minimum.to_string())));
                query.children.push(Node::Element(leaf("Maximum", &maximum.to_string())));
                add(query);
            }
            ProblemKind::InvalidParameterValue { parameter, value, expected }
                if PARAMETERS.contains(&parameter.as_str()) =>
            {
                let format = match *expected {
                    "integer" => "int64",
                    "unsigned" => "uint64",
                    "boolean" => "bool",
                    other => other,
                };
                let mut query = Element::new("QueryParameter").with("name", parameter.as_str());
                query.children.push(Node::Element(leaf("Value", value)));
                query.children.push(Node::Element(leaf("Type", expected)));
                query.children.push(Node::Element(leaf("Format", format)));
                add(query);
            }
            ProblemKind::AssetNotFound { asset_id } => add(leaf("AssetId", &xml_id(asset_id))),
            _ => {}
        }
        error
    }
}

/// The schema wants an XML id, which asset ids need not be; what does not fit becomes `_`. The
/// message has the id as it was asked for.
fn xml_id(asset_id: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut id: String = asset_id.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if !id.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        id.insert(0, '_');
    }
    id
}

fn leaf(name: &str, text: &str) -> Element {
    Element::new(name).with_text(text)
}
