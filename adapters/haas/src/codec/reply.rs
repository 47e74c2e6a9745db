//! One reply, and whether it answers a question.

use smol_str::SmolStr;

use crate::Address;

/// A reply's text and its comma-separated fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The whole text.
    pub text: SmolStr,
    /// Its fields, trimmed; the keyword is the first.
    pub fields: Vec<SmolStr>,
}

/// What a reply is to the question in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its answer, beyond doubt.
    Ours,
    /// An answer about some variable that does not say which.
    Unnumbered,
    /// The control's no, in its words.
    Refused(SmolStr),
    /// A lone `?`, which is the echo of ours, or a `BUSY`; each is a no if nothing follows.
    Doubt,
    /// The control's echo of a question.
    Echo,
    /// An answer to someone else, or a late one.
    Foreign,
}

impl Reply {
    /// Splits a reply.
    pub fn read(text: &str) -> Self {
        Self { text: text.into(), fields: text.split(',').map(|field| field.trim().into()).collect() }
    }

    /// Judges it as an answer to `asked`, whose replies start with one of `keywords` (its own where none are
    /// given).
    pub fn judge(&self, asked: Address, keywords: &[String]) -> Verdict {
        let first = self.fields.first().map_or("", SmolStr::as_str);
        if first == "?"
            || first == "UNKNOWN"
            || (first == "MACRO" && self.fields.iter().any(|field| field == "?"))
        {
            return match self.names() {
                _ if self.text == "?" => Verdict::Doubt,
                Some(code) if code != code_of(asked) => Verdict::Foreign,
                _ => Verdict::Refused(self.text.clone()),
            };
        }
        if is_question(first) {
            return Verdict::Echo;
        }
        if let Some(rest) = first.strip_prefix('?') {
            return Verdict::Refused(rest.trim().into());
        }
        let known = if keywords.is_empty() {
            asked.keywords().iter().any(|keyword| self.starts(keyword))
        } else {
            keywords.iter().any(|keyword| self.starts(keyword))
        };
        match (asked, self.fields.as_slice()) {
            // A control that is too busy to answer anything says so in the words of Q500, as it does to
            // others.
            (_, [_, busy])
                if !known && asked != Address::Query(500) && first == "STATUS" && busy == "BUSY" =>
            {
                Verdict::Doubt
            }
            _ if !known => Verdict::Foreign,
            (Address::Query(104), _) if self.starts("MODEL") => Verdict::Foreign,
            (Address::Query(_), _) => Verdict::Ours,
            (Address::Variable(_), [_, _]) => Verdict::Unnumbered,
            (Address::Variable(number), [_, named, _]) => match named.parse::<f64>() {
                #[expect(clippy::float_cmp, reason = "numbers of variables are whole and small")]
                Ok(named) if named == f64::from(number) => Verdict::Ours,
                _ => Verdict::Foreign,
            },
            (Address::Variable(_), _) => Verdict::Foreign,
        }
    }

    /// Whether it starts with a keyword.
    pub fn starts(&self, keyword: &str) -> bool {
        let start = self.text.get(..keyword.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(keyword))
    }

    /// Whether this answers a question for a variable without saying for which.
    pub fn is_unnumbered_variable(&self) -> bool {
        self.fields.len() == 2 && self.fields[0].eq_ignore_ascii_case("MACRO")
    }

    /// The value: the last field of a variable's reply, else field 1.
    pub fn value(&self) -> Option<&SmolStr> {
        match self.fields.as_slice() {
            [keyword, .., last] if keyword.eq_ignore_ascii_case("MACRO") => Some(last),
            [_, value, ..] => Some(value),
            _ => None,
        }
    }

    /// The Q code that a refusal names, as in `?, ?Q600`.
    fn names(&self) -> Option<u32> {
        let (_, rest) = self.text.split_once('Q')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..digits].parse().ok()
    }
}

fn code_of(address: Address) -> u32 {
    match address {
        Address::Query(code) => code.into(),
        Address::Variable(_) => 600,
    }
}

/// `?Q104`, `Q600 5021`, `?E10600 1.0`.
fn is_question(text: &str) -> bool {
    let text = text.strip_prefix('?').unwrap_or(text);
    text.strip_prefix(['Q', 'E', 'q', 'e'])
        .is_some_and(|rest| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, asked: &str) -> Verdict {
        Reply::read(text).judge(asked.parse().unwrap(), &[])
    }

    #[test]
    fn a_reply_is_told_by_its_keyword() {
        assert_eq!(judged("MODE, (MDI)", "Q104"), Verdict::Ours);
        assert_eq!(judged("MODEL, VF2", "Q104"), Verdict::Foreign);
        assert_eq!(judged("MODEL, VF2", "Q102"), Verdict::Ours);
        assert_eq!(judged("SOFTWARE VERSION, 100.24.000.1111", "Q101"), Verdict::Ours);
        assert_eq!(judged("PREV CYCLE, 00000:00:01", "Q304"), Verdict::Ours);
        assert_eq!(judged("STATUS, BUSY", "Q500"), Verdict::Ours);
        assert_eq!(judged("MACRO, 1.0", "Q500"), Verdict::Foreign);
        assert_eq!(judged("!", "Q500"), Verdict::Foreign);
    }

    #[test]
    fn a_variable_is_told_by_its_number_where_the_control_says_it() {
        assert_eq!(judged("MACRO, 5021,    -4.633600", "Q600 5021"), Verdict::Ours);
        assert_eq!(judged("MACRO, 5022,    -4.633600", "Q600 5021"), Verdict::Foreign);
        assert_eq!(judged("MACRO, -4.633600", "Q600 5021"), Verdict::Unnumbered);
        assert_eq!(judged("MACRO", "Q600 5021"), Verdict::Foreign);
    }

    #[test]
    fn a_no_is_told_from_an_echo() {
        assert_eq!(judged("?, ?Q600", "Q600 5021"), Verdict::Refused("?, ?Q600".into()));
        assert_eq!(judged("?, ?Q999", "Q600 5021"), Verdict::Foreign);
        assert_eq!(judged("MACRO, ?, Q600-1", "Q600 5021"), Verdict::Refused("MACRO, ?, Q600-1".into()));
        assert_eq!(judged("UNKNOWN", "Q104"), Verdict::Refused("UNKNOWN".into()));
        assert_eq!(judged("?", "Q104"), Verdict::Doubt);
        assert_eq!(judged("STATUS, BUSY", "Q104"), Verdict::Doubt);
        assert_eq!(judged("STATUS, BUSY", "Q600 5021"), Verdict::Doubt);
        assert_eq!(judged("?Q104", "Q104"), Verdict::Echo);
        assert_eq!(judged("Q600 5021", "Q600 5021"), Verdict::Echo);
    }

    #[test]
    fn a_points_own_keywords_count_instead() {
        let reply = Reply::read("COOLANT, 57");
        assert_eq!(reply.judge(Address::Query(700), &["COOLANT".into()]), Verdict::Ours);
        assert_eq!(reply.judge(Address::Query(700), &[]), Verdict::Foreign);
    }
}
