//! Commands: templates filled with values, and the device's yes or no.

use guideway_contract::{CommandRequest, Kind, Native, Outcome, SessionEnd};
use regex::Regex;
use tokio::time::Instant;

use crate::Decimal;
use crate::codec::{Want, encode, range};
use crate::config::Encoding;
use crate::plan::Plan;
use crate::session::Session;

/// Most digits after the point.
const MOST_DIGITS: usize = 12;

/// What is sent to write a point.
#[derive(Debug)]
pub(crate) struct Template {
    before: String,
    after: String,
    digits: Option<usize>,
    want: Want,
    kind: Kind,
    encoding: Encoding,
    pub(crate) ack: Option<Regex>,
    pub(crate) nak: Option<Regex>,
}

impl Template {
    pub(crate) fn read(
        text: &str,
        want: Want,
        kind: Kind,
        encoding: Encoding,
        ack: Option<Regex>,
        nak: Option<Regex>,
    ) -> Result<Self, String> {
        let how = "write the value as `{value}`, or `{value:.3}` for three digits after the point";
        let (before, rest) =
            text.split_once("{value").ok_or_else(|| format!("`{text}` has no value: {how}"))?;
        let (format, after) = rest.split_once('}').ok_or_else(|| format!("`{text}`: {how}"))?;
        let digits = match format.strip_prefix(":.").map(str::parse::<usize>) {
            None if format.is_empty() => None,
            Some(Ok(digits)) if digits <= MOST_DIGITS => Some(digits),
            _ => return Err(format!("`{text}`: {how}")),
        };
        if after.contains("{value") {
            return Err(format!("`{text}`: the value goes in once"));
        }
        if encode(text, encoding).is_none() {
            return Err(format!("`{text}` has characters that are not of the `encoding`"));
        }
        let (before, after) = (before.to_owned(), after.to_owned());
        Ok(Self { before, after, digits, want, kind, encoding, ack, nak })
    }

    /// The bytes that write a value.
    pub(crate) fn fill(&self, value: &Native) -> Result<Vec<u8>, String> {
        let text = format!("{}{}{}", self.before, self.value(value)?, self.after);
        encode(&text, self.encoding)
            .ok_or_else(|| "the value has characters that the device does not know".into())
    }

    fn value(&self, value: &Native) -> Result<String, String> {
        let not = || Err(format!("{value} ({}) does not fit the point's type", value.kind()));
        match (self.kind, value) {
            (Kind::Bool, Native::Bool(set)) => {
                let (words, usual) =
                    if *set { (&self.want.true_words, "1") } else { (&self.want.false_words, "0") };
                Ok(words.first().map_or(usual, String::as_str).to_owned())
            }
            (Kind::Auto | Kind::Text(_) | Kind::Chars(_), Native::Text(text)) => {
                let most =
                    if let Kind::Text(most) | Kind::Chars(most) = self.kind { most as usize } else { 1_024 };
                // A line end in a value would be a command of its own to the device.
                if text.chars().any(char::is_control) {
                    return Err("the value has control characters".into());
                }
                if text.chars().count() > most {
                    return Err(format!("the value has more than {most} characters"));
                }
                Ok(text.to_string())
            }
            (Kind::Auto | Kind::F32 | Kind::F64, Native::Int(_) | Native::UInt(_) | Native::Float(_)) => {
                let number = value.number().filter(|number| number.is_finite());
                let Some(number) = number else { return not() };
                let text = match (self.digits, value) {
                    (Some(digits), _) => format!("{number:.digits$}"),
                    (None, Native::Float(_)) => number.to_string(),
                    (None, whole) => whole.to_string(),
                };
                Ok(if self.want.decimal == Decimal::Comma { text.replace('.', ",") } else { text })
            }
            (kind, Native::Int(_) | Native::UInt(_) | Native::Float(_)) => {
                let whole: Option<i128> = match value {
                    Native::Int(number) => Some((*number).into()),
                    Native::UInt(number) => Some((*number).into()),
                    Native::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                        format!("{number:.0}").parse().ok()
                    }
                    _ => None,
                };
                match (whole, range(kind)) {
                    (Some(whole), Some((least, most))) if (least..=most).contains(&whole) => {
                        Ok(whole.to_string())
                    }
                    _ => not(),
                }
            }
            _ => not(),
        }
    }
}

/// Does a command and answers it.
///
/// # Errors
/// The session is over; the command has been answered.
pub(crate) async fn serve(
    session: &mut Session<'_>,
    plan: &Plan,
    request: CommandRequest,
    outlet: &guideway_contract::Outlet,
) -> Result<(), SessionEnd> {
    let deadline = Instant::now() + request.command.timeout;
    let writes: Result<Vec<_>, String> =
        request.command.writes.iter().map(|write| plan.write(write.point, &write.value)).collect();
    let (outcome, end) = match writes {
        Err(why) => (Outcome::Refused(why), None),
        Ok(writes) => run(session, &writes, deadline, outlet).await,
    };
    // A requester that has gone away no longer needs the answer.
    let _ = request.reply.send(outcome);
    end.map_or(Ok(()), Err)
}

async fn run(
    session: &mut Session<'_>,
    writes: &[(&Template, Vec<u8>)],
    deadline: Instant,
    outlet: &guideway_contract::Outlet,
) -> (Outcome, Option<SessionEnd>) {
    let mut outcome = Outcome::Done;
    for (index, (template, bytes)) in writes.iter().enumerate() {
        if Instant::now() >= deadline {
            let why = format!("no time was left for write {}", index + 1);
            return (if index == 0 { Outcome::NotSent(why) } else { Outcome::Refused(why) }, None);
        }
        let Some(ack) = &template.ack else {
            if let Err(end) = session.connection.send(bytes, session.config.timeout).await {
                return (Outcome::Unknown(end.to_string()), Some(end));
            }
            outcome = Outcome::Unknown("it was sent; the device does not say whether it took it".into());
            continue;
        };
        match session.acknowledged(bytes, ack, template.nak.as_ref(), deadline, outlet).await {
            Ok(None) => {}
            Ok(Some(why)) => return (Outcome::Refused(format!("the device says `{why}`")), None),
            Err(end) => return (Outcome::Unknown(end.to_string()), Some(end)),
        }
    }
    (outcome, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str, kind: Kind) -> Result<Template, String> {
        Template::read(text, Want::new(kind), kind, Encoding::Ascii, None, None)
    }

    fn filled(text: &str, kind: Kind, value: impl Into<Native>) -> Result<String, String> {
        template(text, kind)?.fill(&value.into()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn values_go_where_the_template_says() {
        assert_eq!(filled("SP {value}\r\n", Kind::F64, Native::Float(12.5)), Ok("SP 12.5\r\n".into()));
        assert_eq!(filled("SP {value:.3};", Kind::F64, Native::Int(2)), Ok("SP 2.000;".into()));
        assert_eq!(filled("T{value}", Kind::Text(4), Native::text("ABC")), Ok("TABC".into()));
        assert_eq!(filled("O{value}", Kind::Bool, Native::Bool(true)), Ok("O1".into()));
        assert_eq!(filled("N{value}", Kind::U8, Native::Float(255.0)), Ok("N255".into()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (kind, value) in [
            (Kind::U8, Native::Int(256)),
            (Kind::U8, Native::Float(1.5)),
            (Kind::F64, Native::Float(f64::NAN)),
            (Kind::F64, Native::text("1")),
            (Kind::Text(2), Native::text("ABC")),
            (Kind::Text(20), Native::text("1\r\nZERO")),
            (Kind::Text(20), Native::text("20°")),
            (Kind::Bool, Native::Int(1)),
            (Kind::Fields, Native::text("a")),
        ] {
            assert!(filled("{value}\r\n", kind, value.clone()).is_err(), "{value}");
        }
        for text in ["SP", "{value", "{value:x}", "{value}{value}", "{value:.99}", "°{value}"] {
            assert!(template(text, Kind::F64).is_err(), "{text}");
        }
    }
}
