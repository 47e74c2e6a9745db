//! Finds the message that makes a broker close the connection.
//!
//! MQTT 3.1.1 has no way to refuse a message but to close the connection, and some brokers do the
//! same with MQTT 5. Such a message would come first after each reconnect and block the destination
//! for ever.

/// Lost connections at one sequence before messages are sent one at a time.
const ALONE_AFTER: u32 = 3;
/// Lost connections at one sequence, the message being the only one on its way, before it is given
/// up. At the longest pause of the back-off this is more than a minute.
const REFUSED_AFTER: u32 = 12;

/// How often the connection was lost with the same message being the oldest on its way.
#[derive(Debug)]
pub(super) struct Suspicion<K> {
    suspect: Option<K>,
    losses: u32,
}

impl<K> Default for Suspicion<K> {
    fn default() -> Self {
        Self { suspect: None, losses: 0 }
    }
}

impl<K: PartialEq> Suspicion<K> {
    /// The connection was lost and `oldest` was not acknowledged. True when that message is to be
    /// given up.
    pub(super) fn lost(&mut self, oldest: K) -> bool {
        if self.suspect.as_ref() != Some(&oldest) {
            *self = Self { suspect: Some(oldest), losses: 0 };
        }
        self.losses += 1;
        if self.losses < REFUSED_AFTER {
            return false;
        }
        *self = Self::default();
        true
    }

    /// Whether messages are to be sent one at a time, to be sure which one it is.
    pub(super) fn is_alone(&self) -> bool {
        self.losses >= ALONE_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_sent_alone_and_then_given_up() {
        let mut suspicion = Suspicion::default();
        assert!(!suspicion.is_alone());
        let outcomes: Vec<bool> = (0..12).map(|_| suspicion.lost(7)).collect();
        assert_eq!(outcomes.iter().position(|given_up| *given_up), Some(11));
        assert!(!suspicion.is_alone());
    }

    #[test]
    fn progress_clears_the_suspicion() {
        let mut suspicion = Suspicion::default();
        for _ in 0..11 {
            assert!(!suspicion.lost(7));
        }
        assert!(suspicion.is_alone());
        assert!(!suspicion.lost(8));
        assert!(!suspicion.is_alone());
        assert!(!suspicion.lost(7));
    }
}
