//! Lines that begin with `*`: what the source says about itself.

/// What a `*` line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// `* PONG <ms>`; the text behind it.
    Pong(&'a str),
    /// `* name: value`, by its name as the standard writes it.
    Known(&'static str, &'a str),
    /// A name that nobody knows.
    Unknown(&'a str),
    /// Nothing that needs an answer: a PING of the other side.
    Nothing,
    /// Neither a heartbeat nor `name: value`.
    Malformed,
}

const NAMES: [&str; 16] = [
    "conversionRequired",
    "relativeTime",
    "realTime",
    "device",
    "shdrVersion",
    "uuid",
    "manufacturer",
    "station",
    "serialNumber",
    "description",
    "nativeName",
    "calibration",
    "deviceModel",
    "adapterVersion",
    "mtconnectVersion",
    "message",
];

/// Reads a line that begins with `*`.
pub(super) fn read(line: &str) -> Command<'_> {
    let text = line.strip_prefix('*').unwrap_or(line).trim_ascii();
    if let Some((word, rest)) = text.split_at_checked(4)
        && (rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace()))
    {
        if word.eq_ignore_ascii_case("PONG") {
            return Command::Pong(rest.trim_ascii());
        }
        if word.eq_ignore_ascii_case("PING") {
            return Command::Nothing;
        }
    }
    let Some((name, value)) = text.split_once(':') else {
        return Command::Malformed;
    };
    let name = name.trim_ascii_end();
    match NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(known) => Command::Known(known, value.trim_ascii_start()),
        None => Command::Unknown(name),
    }
}

/// `yes` and `true` are true, as are their capitals; everything else is not.
pub(super) fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("yes") || value.eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_in_any_letter_case_and_with_any_space() {
        assert_eq!(read("* manufacturer: ACME: Inc"), Command::Known("manufacturer", "ACME: Inc"));
        assert_eq!(read("*SHDRVERSION :2"), Command::Known("shdrVersion", "2"));
        assert_eq!(read("*   device:"), Command::Known("device", ""));
        assert_eq!(read("* colour: red"), Command::Unknown("colour"));
        assert_eq!(read("* hello"), Command::Malformed);
        assert_eq!(read("*"), Command::Malformed);
    }

    #[test]
    fn a_pong_tells_its_interval() {
        assert_eq!(read("* PONG 10000"), Command::Pong("10000"));
        assert_eq!(read("*pong"), Command::Pong(""));
        assert_eq!(read("* PING"), Command::Nothing);
        assert_eq!(read("* PONGO"), Command::Malformed);
    }
}
