//! Alarms: entries of a condition.

/// How bad an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Warning,
    Fault,
}

impl Severity {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// An alarm that is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    /// HIGH, LOW or empty.
    pub(crate) qualifier: &'static str,
    pub(crate) text: String,
}

impl Alarm {
    pub(crate) fn new(
        severity: Severity,
        code: &'static str,
        qualifier: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self { severity, code, qualifier, text: text.into() }
    }
}
