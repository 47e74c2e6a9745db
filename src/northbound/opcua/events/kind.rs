//! The types of the events that this server sends.

use opcua_types::NodeId;

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// MTConditionEventType: a condition became active, changed, ended or was lost.
    Condition,
    /// MTMessageEventType: a message to the operator.
    Message,
    /// GeneralModelChangeEventType: nodes came or went, and which.
    ModelChange,
    /// BaseModelChangeEventType: so many nodes came or went that the event does not name them.
    AnyModelChange,
    /// RefreshStartEventType (part 9, 5.11.2).
    RefreshStart,
    /// RefreshEndEventType (part 9, 5.11.3).
    RefreshEnd,
    /// EventQueueOverflowEventType (part 4, 5.13.1.5).
    Overflow,
}

/// Where a type stands: `true` for a type of the companion specification, and its number there.
pub(super) type Place = (bool, u32);

impl Kind {
    /// All kinds.
    pub(super) const ALL: [Self; 7] = [
        Self::Condition,
        Self::Message,
        Self::ModelChange,
        Self::AnyModelChange,
        Self::RefreshStart,
        Self::RefreshEnd,
        Self::Overflow,
    ];

    /// The type itself, its supertype, and so on up to BaseObjectType. The standards fix them, so no
    /// type tree has to be asked (and locked) while an event is filtered.
    pub(super) const fn lineage(self) -> &'static [Place] {
        match self {
            Self::Condition => &[(true, 4326), (false, 2782), (false, 2041), (false, 58)],
            Self::Message => &[(true, 2656), (false, 2041), (false, 58)],
            Self::ModelChange => &[(false, 2133), (false, 2132), (false, 2041), (false, 58)],
            Self::AnyModelChange => &[(false, 2132), (false, 2041), (false, 58)],
            Self::RefreshStart => &[(false, 2787), (false, 2130), (false, 2041), (false, 58)],
            Self::RefreshEnd => &[(false, 2788), (false, 2130), (false, 2041), (false, 58)],
            Self::Overflow => &[(false, 3035), (false, 2041), (false, 58)],
        }
    }

    /// Whether where clauses do not hold it back: it tells the client about its own subscription.
    pub(super) const fn passes_filters(self) -> bool {
        matches!(self, Self::RefreshStart | Self::RefreshEnd | Self::Overflow)
    }

    /// The NodeId of the type; `mtconnect` is the namespace index of the companion specification.
    pub(super) fn type_id(self, mtconnect: u16) -> NodeId {
        let (companion, number) = self.lineage()[0];
        NodeId::new(if companion { mtconnect } else { 0 }, number)
    }

    /// Whether it is `namespace`;i=`number` or one of its subtypes.
    pub(super) fn is_a(self, namespace: u16, number: u32, mtconnect: u16) -> bool {
        let is =
            |&(companion, own): &Place| own == number && namespace == if companion { mtconnect } else { 0 };
        self.lineage().iter().any(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_condition_and_a_base_event_but_no_alarm() {
        assert!(Kind::Condition.is_a(2, 4326, 2));
        assert!(Kind::Condition.is_a(0, 2782, 2));
        assert!(Kind::Condition.is_a(0, 2041, 2));
        assert!(!Kind::Condition.is_a(0, 2915, 2), "AlarmConditionType");
        assert!(!Kind::Condition.is_a(0, 4326, 2), "another namespace");
        assert!(!Kind::Message.is_a(0, 2782, 2));
    }

    #[test]
    fn every_kind_has_a_type_of_its_own() {
        let ids: std::collections::HashSet<_> = Kind::ALL.iter().map(|kind| kind.type_id(2)).collect();
        assert_eq!(ids.len(), Kind::ALL.len());
    }
}
