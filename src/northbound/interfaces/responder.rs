//! One interface as a machine of states: words of REQUEST in, words of RESPONSE out.

/// What a RESPONSE says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    NotReady,
    Ready,
    Active,
    Complete,
    Fail,
}

impl Word {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NotReady => "NOT_READY",
            Self::Ready => "READY",
            Self::Active => "ACTIVE",
            Self::Complete => "COMPLETE",
            Self::Fail => "FAIL",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let all = [Self::NotReady, Self::Ready, Self::Active, Self::Complete, Self::Fail];
        all.into_iter().find(|word| word.as_str() == text)
    }
}

/// Where an interface stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Idle,
    /// A command runs, of the REQUEST with that sequence; whether it was taken back and put again meanwhile.
    Running { again: bool },
    /// It has ended so, and the REQUEST still stands.
    Over(Word),
}

/// The state of one interface.
///
/// A request is a change of REQUEST to ACTIVE from another word that was seen. UNAVAILABLE is no word: a requester whose
/// connection flaps while its REQUEST is ACTIVE asks once, and so does one that was ACTIVE already when the gateway
/// first heard of it, namely not at all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Responder {
    /// Whether REQUEST is ACTIVE; `None` before any word of it.
    is_asked: Option<bool>,
    standing: Standing,
}

impl Responder {
    /// REQUEST says something else. Whether the command is to be carried out now.
    pub(super) fn request(&mut self, word: &str) -> bool {
        let active = word == "ACTIVE";
        let was = self.is_asked.replace(active);
        match self.standing {
            Standing::Idle if active && was == Some(false) => {
                self.standing = Standing::Running { again: false };
                return true;
            }
            Standing::Running { .. } if active && was == Some(false) => {
                // The machine is still at what was asked before: the end of that is no answer to this.
                self.standing = Standing::Running { again: true };
            }
            Standing::Over(_) if !active => self.standing = Standing::Idle,
            _ => {}
        }
        false
    }

    /// The command has ended. What RESPONSE has to say of it.
    pub(super) fn ended(&mut self, done: bool) -> Word {
        let again = self.standing == Standing::Running { again: true };
        let word = if done && !again { Word::Complete } else { Word::Fail };
        // Where the REQUEST was taken back meanwhile, it is said and over.
        self.standing = if self.is_asked == Some(true) { Standing::Over(word) } else { Standing::Idle };
        word
    }

    /// What RESPONSE says as things stand. `is_ready`: a request would be carried out now.
    pub(super) fn word(&self, is_ready: bool) -> Word {
        match self.standing {
            Standing::Running { .. } => Word::Active,
            Standing::Over(word) => word,
            // One that is ACTIVE and is not acted on has to be taken back first.
            Standing::Idle if is_ready && self.is_asked != Some(true) => Word::Ready,
            Standing::Idle => Word::NotReady,
        }
    }

    /// Whether a command runs.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.standing, Standing::Running { .. })
    }

    /// Takes up what the journal knows: words of REQUEST (without UNAVAILABLE) with their sequences, oldest first, and
    /// the last word of RESPONSE. The sequence of a request that an earlier run has begun, or has not come to: it is
    /// put to control again, which knows whether it has acted.
    pub(super) fn restore(&mut self, requests: &[(u64, &str)], response: Option<(u64, Word)>) -> Option<u64> {
        let is_active = |word: &str| word == "ACTIVE";
        self.is_asked = requests.last().map(|(_, word)| is_active(word));
        if self.is_asked != Some(true) {
            return None;
        }
        let begin =
            requests.iter().rposition(|(_, word)| !is_active(word)).map(|before| requests[before + 1].0);
        match (begin, response) {
            // It has its answer.
            (Some(begin), Some((at, word @ (Word::Complete | Word::Fail)))) if at > begin => {
                self.standing = Standing::Over(word);
                None
            }
            // It was seen, and not acted on.
            (Some(begin), Some((at, Word::Ready | Word::NotReady))) if at > begin => None,
            (Some(begin), _) => {
                self.standing = Standing::Running { again: false };
                Some(begin)
            }
            // Its beginning is not in the buffer any more, and with it its name.
            (None, Some((_, word @ (Word::Complete | Word::Fail)))) => {
                self.standing = Standing::Over(word);
                None
            }
            (None, Some((_, Word::Active))) => {
                self.standing = Standing::Over(Word::Fail);
                None
            }
            (None, _) => None,
        }
    }

    /// Words of REQUEST were missed: only what it says now is known.
    pub(super) fn missed(&mut self, now: Option<&str>) {
        if let Some(word) = now {
            self.is_asked = Some(word == "ACTIVE");
            if word != "ACTIVE" && matches!(self.standing, Standing::Over(_)) {
                self.standing = Standing::Idle;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Responder {
        let mut responder = Responder::default();
        assert!(!responder.request("READY"));
        assert_eq!((responder.word(true), responder.word(false)), (Word::Ready, Word::NotReady));
        responder
    }

    #[test]
    fn a_request_is_answered_and_has_to_be_taken_back() {
        for (done, word) in [(true, Word::Complete), (false, Word::Fail)] {
            let mut responder = ready();
            assert!(responder.request("ACTIVE"));
            assert_eq!(responder.word(true), Word::Active);
            assert!(!responder.request("ACTIVE"));
            assert_eq!((responder.ended(done), responder.word(true)), (word, word));
            assert!(!responder.request("ACTIVE"));
            assert_eq!(responder.word(true), word);
            assert!(!responder.request("NOT_READY"));
            assert_eq!(responder.word(true), Word::Ready);
            assert!(responder.request("ACTIVE"));
        }
    }

    #[test]
    fn one_that_was_there_before_the_gateway_is_not_acted_on() {
        let mut responder = Responder::default();
        assert!(!responder.request("ACTIVE"));
        assert_eq!(responder.word(true), Word::NotReady);
        assert!(!responder.request("FAIL"));
        assert_eq!(responder.word(true), Word::Ready);
    }

    #[test]
    fn one_that_is_put_again_while_the_machine_is_at_it_fails() {
        let mut responder = ready();
        assert!(responder.request("ACTIVE"));
        responder.request("READY");
        assert_eq!(responder.word(true), Word::Active);
        assert!(!responder.request("ACTIVE"));
        assert_eq!((responder.ended(true), responder.word(true)), (Word::Fail, Word::Fail));
    }

    #[test]
    fn one_that_is_taken_back_while_the_machine_is_at_it_is_told_its_end_all_the_same() {
        let mut responder = ready();
        assert!(responder.request("ACTIVE"));
        responder.request("NOT_READY");
        assert_eq!((responder.ended(true), responder.word(true)), (Word::Complete, Word::Ready));
    }

    #[test]
    fn after_a_restart_a_request_is_put_again_only_when_it_has_no_answer() {
        let requests = [(3, "ACTIVE"), (5, "READY"), (8, "ACTIVE"), (9, "ACTIVE")];
        for (response, again, word) in [
            (None, Some(8), Word::Active),
            (Some((7, Word::Complete)), Some(8), Word::Active),
            (Some((10, Word::Active)), Some(8), Word::Active),
            (Some((10, Word::Complete)), None, Word::Complete),
            (Some((10, Word::Fail)), None, Word::Fail),
            (Some((10, Word::NotReady)), None, Word::NotReady),
        ] {
            let mut responder = Responder::default();
            assert_eq!(responder.restore(&requests, response), again, "{response:?}");
            assert_eq!(responder.word(true), word, "{response:?}");
        }
        // Nothing says when it began.
        for (response, word) in [
            (None, Word::NotReady),
            (Some((1, Word::Ready)), Word::NotReady),
            (Some((1, Word::Active)), Word::Fail),
            (Some((1, Word::Complete)), Word::Complete),
        ] {
            let mut responder = Responder::default();
            assert_eq!(responder.restore(&[(3, "ACTIVE")], response), None);
            assert_eq!(responder.word(true), word, "{response:?}");
        }
        let mut responder = Responder::default();
        assert_eq!(responder.restore(&[(3, "READY")], Some((2, Word::Complete))), None);
        assert_eq!(responder.word(true), Word::Ready);
    }
}
