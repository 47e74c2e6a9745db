//! Where requests come from, and where answers may go.

use crate::northbound::mqtt::topic::push_level;

/// Longest response topic of a requester, in bytes; it is kept in the audit.
const MOST_TOPIC_BYTES: usize = 1_024;

/// The topics of a gateway below `<prefix>/control`.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    base: String,
    /// Filters of topics elsewhere to which answers may go.
    elsewhere: Vec<String>,
}

impl Topics {
    pub(super) fn new(prefix: &str, gateway: &str, elsewhere: &[String]) -> Self {
        let base = prefix.replace("{gateway}", &level(gateway)) + "/control";
        Self { base, elsewhere: elsewhere.to_owned() }
    }

    /// The topic below which all of them are.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// What is to be followed.
    pub(super) fn requests(&self) -> Vec<String> {
        vec![format!("{}/request", self.base), format!("{}/request/+/+", self.base)]
    }

    /// Where it stands whether control is on.
    pub(super) fn state(&self) -> String {
        format!("{}/state", self.base)
    }

    /// Where requests are answered of which nobody knows from whom they are.
    pub(super) fn refused(&self) -> String {
        format!("{}/refused", self.base)
    }

    /// The device and command that a request's topic names; `None` when it is no topic of requests.
    #[expect(clippy::option_option, reason = "a topic of requests may name no device")]
    pub(super) fn named<'t>(&self, topic: &'t str) -> Option<Option<(&'t str, &'t str)>> {
        let rest = topic.strip_prefix(&self.base)?.strip_prefix("/request")?;
        if rest.is_empty() {
            return Some(None);
        }
        let (device, command) = rest.strip_prefix('/')?.split_once('/')?;
        (!command.contains('/')).then_some(Some((device, command)))
    }

    /// Where the answer to a request goes: where the requester has asked for, if that is allowed, else to a topic
    /// that has the requester and the request's id in it.
    pub(super) fn answer(&self, asked: Option<&str>, requester: &str, id: &str) -> String {
        let own = format!("{}/response/{}/", self.base, level(requester));
        match asked {
            Some(asked) if self.allows(asked, &own, requester) => asked.to_owned(),
            _ => own + &level(id),
        }
    }

    /// Whether answers to this requester may go there: below their own topic, or where the configuration says. Never
    /// to anything else of control's, so that nobody can have another one's answers, requests or the switch's state
    /// made up by the gateway.
    fn allows(&self, asked: &str, own: &str, requester: &str) -> bool {
        if !is_topic(asked) {
            return false;
        }
        if asked.strip_prefix(&self.base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return asked.strip_prefix(own).is_some_and(|rest| !rest.is_empty());
        }
        let requester = level(requester);
        self.elsewhere.iter().any(|filter| matches(&filter.replace("{requester}", &requester), asked))
    }
}

/// A text as one level of a topic.
fn level(text: &str) -> String {
    let mut level = String::with_capacity(text.len());
    push_level(&mut level, text);
    level
}

fn is_topic(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= MOST_TOPIC_BYTES
        && !topic.starts_with('$')
        && !topic.contains(['+', '#'])
        && !topic.chars().any(char::is_control)
}

/// Whether it is a filter of topics that answers may be sent to: one that says at least where it begins.
pub(super) fn is_filter(filter: &str) -> bool {
    let filled = filter.replace("{requester}", "x");
    let levels: Vec<&str> = filled.split('/').collect();
    let sound = |(index, level): (usize, &&str)| match *level {
        "#" => index > 0 && index == levels.len() - 1,
        "+" => index > 0,
        text => is_topic(&format!("x{text}")) && !text.contains(['{', '}']),
    };
    !filled.is_empty()
        && filled.len() <= MOST_TOPIC_BYTES
        && !filled.starts_with('$')
        && levels.iter().enumerate().all(sound)
}

/// Whether a filter covers a topic (MQTT 5, 4.7).
fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topics(elsewhere: &[&str]) -> Topics {
        let elsewhere: Vec<String> = elsewhere.iter().map(|filter| (*filter).to_owned()).collect();
        Topics::new("plant/{gateway}", "hall 2", &elsewhere)
    }

    #[test]
    fn a_topic_of_requests_may_name_device_and_command() {
        let topics = topics(&[]);
        assert_eq!(topics.named("plant/hall 2/control/request"), Some(None));
        assert_eq!(topics.named("plant/hall 2/control/request/Mill/run"), Some(Some(("Mill", "run"))));
        for other in ["request/Mill", "request/Mill/run/x", "requests", "state", "request/"] {
            assert_eq!(topics.named(&format!("plant/hall 2/control/{other}")), None, "{other}");
        }
        assert_eq!(topics.named("plant/hall 3/control/request"), None);
    }

    #[test]
    fn an_answer_goes_where_it_was_asked_for_only_where_that_is_the_requesters() {
        let topics = topics(&["scada/answers/#", "mes/+/{requester}"]);
        let own = "plant/hall 2/control/response/mes_1/7";
        let answer = |asked| topics.answer(asked, "mes/1", "7");
        assert_eq!(answer(None), own);
        for allowed in
            ["plant/hall 2/control/response/mes_1/inbox", "scada/answers/x", "scada/answers", "mes/a/mes_1"]
        {
            assert_eq!(answer(Some(allowed)), allowed);
        }
        for forbidden in [
            "",
            "plant/hall 2/control",
            "plant/hall 2/control/state",
            "plant/hall 2/control/request",
            "plant/hall 2/control/request/Mill/run",
            "plant/hall 2/control/refused",
            "plant/hall 2/control/response/other/7",
            "plant/hall 2/control/response/mes_1/",
            "plant/hall 2/control/response/mes_1/#",
            "scada/answersx",
            "mes/a/other",
            "mes/a/mes_1/x",
            "$SYS/x",
            "elsewhere",
            "scada/answers/\u{0}",
        ] {
            assert_eq!(answer(Some(forbidden)), own, "{forbidden}");
        }
    }

    #[test]
    fn a_filter_says_where_it_begins() {
        for filter in ["a/#", "a/+/b", "a", "{requester}/a", "a/{requester}/#"] {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in ["", "#", "+/a", "a/#/b", "a#", "a/b+", "$SYS/#", "a/{device}"] {
            assert!(!is_filter(filter), "{filter}");
        }
    }

    proptest! {
        #[test]
        fn no_topic_of_control_but_ones_own_is_ever_answered_to(rest in "[a-z/+#]{0,12}", who in "[a-z/]{1,6}") {
            let topics = topics(&["plant/#", "plant/+/control/#"]);
            let own = format!("plant/hall 2/control/response/{}/", level(&who));
            let asked = format!("plant/hall 2/control{rest}");
            let answer = topics.answer(Some(&asked), &who, "1");
            prop_assert!(answer.starts_with(&own) || rest.starts_with(|c| c != '/'), "{answer}");
        }
    }
}
