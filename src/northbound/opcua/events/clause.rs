//! Where clauses, evaluated by ourselves (part 4, 7.7).
//!
//! The library's own evaluation compares only numbers and Booleans, follows shared elements once for every
//! path to them (a chain of 60 elements can keep it busy for years) and recurses as deep as a client likes.
//! Here every element is evaluated once, children first.

use std::borrow::Cow;

use opcua_types::{
    AttributeId, ContentFilter, ContentFilterElement, FilterOperator, NodeId, NumericRange, ObjectTypeId,
    QualifiedName, SimpleAttributeOperand, Variant,
};

use super::occurrence::Occurrence;
use super::operator;

/// The longest where clause, in elements.
const MOST_ELEMENTS: usize = 1_000;
/// The most operands of all elements of a where clause together.
const MOST_OPERANDS: usize = 20_000;

/// A field of an event as a client names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// The events that have it.
    pub(super) of: Of,
    pub(super) path: Vec<QualifiedName>,
    pub(super) attribute: AttributeId,
    pub(super) range: NumericRange,
}

/// The events that a client wants a field of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Events of any type.
    Any,
    /// Events of the type with that namespace index and number, and of its subtypes.
    Type(u16, u32),
    /// Events of a type that this server does not have.
    None,
}

impl Of {
    /// By the type that the client names. For BaseEventType the type does not matter (part 4, 7.7.4.5);
    /// some clients leave it out.
    pub(super) fn named(id: &NodeId) -> Self {
        match id.as_u32() {
            _ if id.is_null() || *id == ObjectTypeId::BaseEventType => Self::Any,
            Some(number) => Self::Type(id.namespace, number),
            // The types of our events have numbers.
            None => Self::None,
        }
    }

    /// Whether the event is one of them.
    pub(super) fn has(self, event: &Occurrence, mtconnect: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Type(namespace, number) => event.kind.is_a(namespace, number, mtconnect),
            Self::None => false,
        }
    }
}

impl Field {
    fn of(operand: &SimpleAttributeOperand) -> Option<Self> {
        Some(Self {
            of: Of::named(&operand.type_definition_id),
            path: operand.browse_path.clone().unwrap_or_default(),
            attribute: AttributeId::from_u32(operand.attribute_id).ok()?,
            range: operand.index_range.clone(),
        })
    }

    fn value(&self, event: &Occurrence, mtconnect: u16) -> Variant {
        if !self.of.has(event, mtconnect) {
            return Variant::Empty;
        }
        event.field(mtconnect, self.attribute, &self.range, &self.path)
    }
}

/// What is wrong with an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another number of operands.
    Count,
    /// InView and RelatedTo, which events have not.
    Operator,
    /// An operand of an unknown kind, or one that leads nowhere or back to the element.
    Operand,
}

/// What is wrong with a where clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Faults {
    /// It is too long to be looked at.
    TooLong,
    /// By element.
    Elements(Vec<Option<Fault>>),
}

#[derive(Clone, Debug)]
enum Operand {
    Element(usize),
    Literal(Variant),
    Field(Field),
}

#[derive(Clone, Debug)]
struct Element {
    operator: FilterOperator,
    operands: Vec<Operand>,
}

/// A where clause that can be evaluated: no loops, all operands there.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    elements: Vec<Element>,
    /// The elements that the first one is made of, each after those it is made of itself; the first element
    /// is the last here.
    order: Vec<usize>,
}

impl Clause {
    /// The clause that a client sent; one without elements is never TRUE.
    pub(super) fn of(filter: &ContentFilter) -> Result<Self, Faults> {
        let sent = filter.elements.as_deref().unwrap_or_default();
        let operands = |element: &ContentFilterElement| element.filter_operands.as_ref().map_or(0, Vec::len);
        if sent.len() > MOST_ELEMENTS || sent.iter().map(operands).sum::<usize>() > MOST_OPERANDS {
            return Err(Faults::TooLong);
        }
        let parsed: Vec<_> = sent.iter().map(|element| Element::of(element, sent.len())).collect();
        let mut faults: Vec<_> = parsed.iter().map(|element| element.as_ref().err().copied()).collect();
        if faults.iter().any(Option::is_some) {
            return Err(Faults::Elements(faults));
        }
        let elements: Vec<_> = parsed.into_iter().flatten().collect();
        match order(&elements) {
            Ok(order) => Ok(Self { elements, order }),
            Err(looped) => {
                if let Some(fault) = faults.get_mut(looped) {
                    *fault = Some(Fault::Operand);
                }
                Err(Faults::Elements(faults))
            }
        }
    }

    /// Whether the event is one that the client wants: only if the clause is TRUE, not if it is null.
    pub(super) fn accepts(&self, event: &Occurrence, mtconnect: u16) -> bool {
        event.kind.passes_filters() || self.value(event, mtconnect) == Variant::Boolean(true)
    }

    fn value(&self, event: &Occurrence, mtconnect: u16) -> Variant {
        let mut values = vec![Variant::Empty; self.elements.len()];
        for &at in &self.order {
            values[at] = self.elements[at].value(&values, event, mtconnect);
        }
        values.into_iter().next().unwrap_or_default()
    }
}

impl Element {
    fn of(sent: &ContentFilterElement, elements: usize) -> Result<Self, Fault> {
        use FilterOperator as Op;
        let operands = sent.filter_operands.as_deref().unwrap_or_default();
        let operator = sent.filter_operator;
        let fits = match operator {
            Op::InView | Op::RelatedTo => return Err(Fault::Operator),
            Op::IsNull | Op::Not | Op::OfType => operands.len() == 1,
            Op::Between => operands.len() == 3,
            Op::InList => operands.len() >= 2,
            _ => operands.len() == 2,
        };
        if !fits {
            return Err(Fault::Count);
        }
        let operand = |sent: &opcua_types::ExtensionObject| {
            let operand = match opcua_types::Operand::try_from(sent.clone()).ok()? {
                opcua_types::Operand::ElementOperand(operand) => {
                    Operand::Element(usize::try_from(operand.index).ok().filter(|at| *at < elements)?)
                }
                opcua_types::Operand::LiteralOperand(operand) => Operand::Literal(operand.value),
                opcua_types::Operand::SimpleAttributeOperand(operand) => Operand::Field(Field::of(&operand)?),
                // For queries only (part 4, 7.7.4.4).
                opcua_types::Operand::AttributeOperand(_) => return None,
            };
            Some(operand)
        };
        let operands: Option<Vec<_>> = operands.iter().map(operand).collect();
        Ok(Self { operator, operands: operands.ok_or(Fault::Operand)? })
    }

    fn value(&self, values: &[Variant], event: &Occurrence, mtconnect: u16) -> Variant {
        use FilterOperator as Op;
        use std::cmp::Ordering::{Equal, Greater, Less};

        let operand = |at: usize| match &self.operands[at] {
            Operand::Element(element) => Cow::Borrowed(&values[*element]),
            Operand::Literal(value) => Cow::Borrowed(value),
            Operand::Field(field) => Cow::Owned(field.value(event, mtconnect)),
        };
        let ordered = |left: usize, right: usize| operator::order(&operand(left), &operand(right));
        let is = |is: bool| Variant::Boolean(is);
        match self.operator {
            Op::Equals => is(operator::equal(&operand(0), &operand(1))),
            Op::IsNull => is(operator::is_null(&operand(0))),
            Op::GreaterThan => is(ordered(0, 1) == Some(Greater)),
            Op::LessThan => is(ordered(0, 1) == Some(Less)),
            Op::GreaterThanOrEqual => is(matches!(ordered(0, 1), Some(Greater | Equal))),
            Op::LessThanOrEqual => is(matches!(ordered(0, 1), Some(Less | Equal))),
            Op::Like => is(operator::is_like(&operand(0), &operand(1))),
            Op::Not => operator::truth(operator::is_true(&operand(0)).map(|is| !is)),
            Op::Between => {
                let value = operand(0);
                is(matches!(operator::order(&value, &operand(1)), Some(Greater | Equal))
                    && matches!(operator::order(&value, &operand(2)), Some(Less | Equal)))
            }
            Op::InList => {
                let value = operand(0);
                is((1..self.operands.len()).any(|at| operator::equal(&value, &operand(at))))
            }
            Op::And => {
                operator::truth(operator::and(operator::is_true(&operand(0)), operator::is_true(&operand(1))))
            }
            Op::Or => {
                operator::truth(operator::or(operator::is_true(&operand(0)), operator::is_true(&operand(1))))
            }
            Op::Cast => operator::cast(&operand(0), &operand(1)),
            Op::BitwiseAnd => operator::bits(&operand(0), &operand(1), false),
            Op::BitwiseOr => operator::bits(&operand(0), &operand(1), true),
            Op::OfType => is(operator::as_node_id(&operand(0)).is_some_and(|id| match id.as_u32() {
                Some(number) => event.kind.is_a(id.namespace, number, mtconnect),
                None => false,
            })),
            // Refused when the clause was read.
            Op::InView | Op::RelatedTo => Variant::Empty,
        }
    }

    fn children(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.operands.iter().filter_map(|operand| match operand {
            Operand::Element(at) => Some(*at),
            _ => None,
        })
    }
}

/// The order of [`Clause`]; or an element that is made of itself.
fn order(elements: &[Element]) -> Result<Vec<usize>, usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        /// Its children are being looked at.
        Open,
        Yes,
    }
    let mut seen = vec![Seen::No; elements.len()];
    let mut order = Vec::with_capacity(elements.len());
    let mut stack = Vec::from_iter((!elements.is_empty()).then_some(0));
    while let Some(&at) = stack.last() {
        match seen[at] {
            Seen::No => {
                seen[at] = Seen::Open;
                for child in elements[at].children() {
                    match seen[child] {
                        Seen::Open => return Err(at),
                        Seen::No => stack.push(child),
                        Seen::Yes => {}
                    }
                }
            }
            Seen::Open => {
                seen[at] = Seen::Yes;
                order.push(at);
                stack.pop();
            }
            // Pushed twice before it was looked at.
            Seen::Yes => {
                stack.pop();
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::kind::Kind;
    use super::super::occurrence::Ids;
    use super::super::occurrence::testing::*;
    use super::*;
    use guideway_contract::Level;
    use opcua_types::{
        ContentFilterBuilder as Filter, DataTypeId, ElementOperand, ExtensionObject, LocalizedText,
        Operand as Sent,
    };
    use proptest::prelude::*;

    fn at(path: &str) -> Sent {
        of(NodeId::from(ObjectTypeId::BaseEventType), path)
    }

    fn of(id: NodeId, path: &str) -> Sent {
        let browse_path = Some(super::super::occurrence::testing::path(path));
        let attribute_id = AttributeId::Value as u32;
        SimpleAttributeOperand { type_definition_id: id, browse_path, attribute_id, ..Default::default() }
            .into()
    }

    fn it(value: impl Into<Variant>) -> Sent {
        Sent::literal(value.into())
    }

    fn type_id(namespace: u16, number: u32) -> Sent {
        it(NodeId::new(namespace, number))
    }

    /// What a clause says of a Fault with the code 401.
    fn truth_of(filter: Filter) -> Variant {
        let event = active(&Ids::default(), Level::Fault, "401");
        Clause::of(&filter.build()).unwrap().value(&event, MTCONNECT)
    }

    #[test]
    fn operators_compare_fields_of_every_type() {
        let (yes, no) = (Variant::Boolean(true), Variant::Boolean(false));
        let source = NodeId::new(3, "d0/system");
        let cases: Vec<(&str, Filter, &Variant)> = vec![
            ("NodeId =", Filter::new().eq(at("SourceNode"), it(source)), &yes),
            ("NodeId = other", Filter::new().eq(at("SourceNode"), it(NodeId::new(3, "d0/x"))), &no),
            ("String =", Filter::new().eq(at("2:NativeCode"), it("401")), &yes),
            ("Text =", Filter::new().eq(at("2:ActiveState"), it(LocalizedText::new("", "Active"))), &yes),
            ("Text like", Filter::new().like(at("Message"), it("%temp%")), &yes),
            ("number like", Filter::new().like(at("Severity"), it("10__")), &no),
            ("null like", Filter::new().like(at("Nothing"), it("%")), &no),
            (">=", Filter::new().gte(at("Severity"), it(1_000_u16)), &yes),
            ("> Int32", Filter::new().gt(at("Severity"), it(999_i32)), &yes),
            ("< Double", Filter::new().lt(at("Severity"), it(1_000.5)), &yes),
            ("<=", Filter::new().lte(at("Severity"), it(999_u16)), &no),
            ("between", Filter::new().between(at("Severity"), it(500_u16), it(1_000_u16)), &yes),
            ("between not", Filter::new().between(at("Severity"), it(1_u16), it(999_u16)), &no),
            ("in list", Filter::new().in_list(at("2:NativeCode"), vec![it("1"), it("401")]), &yes),
            ("in list not", Filter::new().in_list(at("2:NativeCode"), vec![it("1"), it("2")]), &no),
            ("null", Filter::new().is_null(at("BranchId")), &yes),
            ("null field", Filter::new().is_null(at("AckedState")), &yes),
            ("not null", Filter::new().is_null(at("EventId")), &no),
            ("null =", Filter::new().eq(at("AckedState/Id"), it(true)), &no),
            ("Boolean =", Filter::new().eq(at("Retain"), it(true)), &yes),
            ("nested", Filter::new().eq(at("EnabledState/Id"), it(true)), &yes),
            ("enum", Filter::new().eq(at("2:MTSeverity"), it(0_i32)), &yes),
            ("own type", Filter::new().eq(of(NodeId::new(2, 4326), "2:NativeCode"), it("401")), &yes),
            ("supertype", Filter::new().eq(of(NodeId::new(0, 2782), "Severity"), it(1_000_u16)), &yes),
            ("alarm", Filter::new().eq(of(NodeId::new(0, 2915), "Severity"), it(1_000_u16)), &no),
            ("type of text", Filter::new().eq(of(NodeId::new(2, "x"), "Severity"), it(1_000_u16)), &no),
        ];
        for (name, filter, expected) in cases {
            assert_eq!(truth_of(filter), *expected, "{name}");
        }
    }

    #[test]
    fn elements_are_combined() {
        let (yes, no) = (Variant::Boolean(true), Variant::Boolean(false));
        let element = Sent::element;
        let severity = |filter: Filter| filter.gte(at("Severity"), it(500_u16));
        let code = |filter: Filter, code: &str| filter.eq(at("2:NativeCode"), it(code));
        let null = |filter: Filter| filter.not(at("AckedState/Id"));
        assert_eq!(truth_of(code(severity(Filter::new().and(element(1), element(2))), "401")), yes);
        assert_eq!(truth_of(code(severity(Filter::new().and(element(1), element(2))), "1")), no);
        assert_eq!(truth_of(code(severity(Filter::new().or(element(1), element(2))), "1")), yes);
        assert_eq!(truth_of(code(Filter::new().not(element(1)), "1")), yes);
        assert_eq!(truth_of(null(Filter::new().not(element(1)))), Variant::Empty);
        assert_eq!(truth_of(null(severity(Filter::new().and(element(1), element(2))))), Variant::Empty);
        assert_eq!(truth_of(null(severity(Filter::new().or(element(2), element(1))))), yes);
        let shared = Filter::new().and(element(1), element(2)).not(element(2)).eq(at("Retain"), it(false));
        assert_eq!(truth_of(shared), no);
    }

    fn raw(operator: FilterOperator, operands: Vec<Sent>) -> ContentFilterElement {
        ContentFilterElement::from((operator, operands))
    }

    fn clause(elements: Vec<ContentFilterElement>) -> Result<Clause, Faults> {
        Clause::of(&ContentFilter { elements: Some(elements) })
    }

    #[test]
    fn types_casts_and_bits_are_operators_too() {
        use FilterOperator as Op;
        let event = active(&Ids::default(), Level::Fault, "401");
        let value = |elements| clause(elements).unwrap().value(&event, MTCONNECT);
        for (namespace, number, is) in
            [(2, 4326, true), (0, 2782, true), (0, 2041, true), (0, 2915, false), (2, 2656, false)]
        {
            let of_type = vec![raw(Op::OfType, vec![type_id(namespace, number)])];
            assert_eq!(value(of_type), Variant::Boolean(is), "{namespace}:{number}");
        }
        let double = it(NodeId::from(DataTypeId::Double));
        assert_eq!(value(vec![raw(Op::Cast, vec![at("Severity"), double])]), Variant::Double(1_000.0));
        let masked = vec![
            raw(Op::Equals, vec![Sent::element(1), it(8_u16)]),
            raw(Op::BitwiseAnd, vec![at("Severity"), it(8_u16)]),
        ];
        assert_eq!(value(masked), Variant::Boolean(true));
        let or = vec![raw(Op::BitwiseOr, vec![at("Severity"), it(7_u16)])];
        assert_eq!(value(or), Variant::UInt16(1_007));
    }

    #[test]
    fn a_list_of_all_event_types_is_passed_by_an_event_of_one_of_them() {
        // What asyncua sends unless it is told otherwise: EventType in a list of every type it knows.
        let types = (2041..2155_u32).map(|number| type_id(0, number)).chain([type_id(2, 4326)]);
        let filter = Filter::new().in_list(at("EventType"), types.collect());
        assert_eq!(truth_of(filter), Variant::Boolean(true));
    }

    #[test]
    fn what_tells_of_the_subscription_itself_passes_every_clause() {
        let never = Clause::of(&Filter::new().eq(it(1_u16), it(2_u16)).build()).unwrap();
        let ids = Ids::default();
        for kind in [Kind::RefreshStart, Kind::RefreshEnd, Kind::Overflow] {
            assert!(never.accepts(&Occurrence::notice(&ids, kind), MTCONNECT), "{kind:?}");
        }
        assert!(!never.accepts(&active(&ids, Level::Fault, "1"), MTCONNECT));
    }

    #[test]
    fn a_clause_with_faults_is_refused_element_by_element() {
        use FilterOperator as Op;
        let fine = || raw(Op::Equals, vec![it(1_u16), it(1_u16)]);
        let faults = |elements| match clause(elements) {
            Err(Faults::Elements(faults)) => faults,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            faults(vec![
                fine(),
                raw(Op::Equals, vec![it(1_u16)]),
                raw(Op::InView, vec![it(1_u16)]),
                raw(Op::Not, vec![Sent::element(9)]),
                ContentFilterElement { filter_operator: Op::Not, filter_operands: None },
                ContentFilterElement {
                    filter_operator: Op::Not,
                    filter_operands: Some(vec![ExtensionObject::null()]),
                },
            ]),
            [
                None,
                Some(Fault::Count),
                Some(Fault::Operator),
                Some(Fault::Operand),
                Some(Fault::Count),
                Some(Fault::Operand)
            ]
        );
        let itself = vec![raw(Op::Not, vec![Sent::element(0)])];
        assert_eq!(faults(itself), [Some(Fault::Operand)]);
        let looped = vec![
            raw(Op::And, vec![Sent::element(1), Sent::element(2)]),
            fine(),
            raw(Op::Not, vec![Sent::element(3)]),
            raw(Op::Not, vec![Sent::element(2)]),
        ];
        assert_eq!(faults(looped), [None, None, None, Some(Fault::Operand)]);
        let many = vec![fine(); MOST_ELEMENTS + 1];
        assert_eq!(clause(many).err(), Some(Faults::TooLong));
    }

    #[test]
    fn a_deep_clause_with_many_paths_is_evaluated_at_once() {
        use FilterOperator as Op;
        let mut elements: Vec<_> = (1..MOST_ELEMENTS as u32)
            .map(|next| raw(Op::And, vec![Sent::element(next), Sent::element(next)]))
            .collect();
        elements.push(raw(Op::Equals, vec![it(1_u16), it(1_u16)]));
        let event = active(&Ids::default(), Level::Fault, "401");
        assert!(clause(elements).unwrap().accepts(&event, MTCONNECT));
    }

    #[test]
    fn elements_that_the_first_is_not_made_of_do_not_count() {
        use FilterOperator as Op;
        let event = active(&Ids::default(), Level::Fault, "401");
        let apart =
            vec![raw(Op::Equals, vec![it(1_u16), it(1_u16)]), raw(Op::Equals, vec![it(1_u16), it(2_u16)])];
        assert!(clause(apart).unwrap().accepts(&event, MTCONNECT));
    }

    pub(in super::super) fn any_value() -> impl Strategy<Value = Variant> {
        prop_oneof![
            Just(Variant::Empty),
            any::<bool>().prop_map(Variant::Boolean),
            any::<i8>().prop_map(Variant::SByte),
            any::<u8>().prop_map(Variant::Byte),
            any::<i16>().prop_map(Variant::Int16),
            any::<u32>().prop_map(Variant::UInt32),
            any::<i64>().prop_map(Variant::Int64),
            any::<u64>().prop_map(Variant::UInt64),
            any::<f32>().prop_map(Variant::Float),
            any::<f64>().prop_map(Variant::Double),
            ".{0,8}".prop_map(|text: String| Variant::from(text)),
            "[0-9a-fA-F%_\\\\\\[\\]:.-]{0,12}".prop_map(|text: String| Variant::from(text)),
            ".{0,8}".prop_map(|text: String| Variant::from(LocalizedText::from(text.as_str()))),
            (0..3_u16, 0..30_u32)
                .prop_map(|(namespace, number)| Variant::from(NodeId::new(namespace, number))),
            proptest::collection::vec(any::<i32>(), 0..4).prop_map(Variant::from),
            any::<u32>().prop_map(|bits| Variant::StatusCode(bits.into())),
            Just(Variant::Variant(Box::new(Variant::UInt16(500)))),
        ]
    }

    fn any_operand() -> impl Strategy<Value = Sent> {
        let names = prop_oneof![
            Just("Severity"),
            Just("EventType"),
            Just("Message"),
            Just("2:NativeCode"),
            Just("Time"),
            Just("ConditionSubClassId"),
            Just("")
        ];
        let ranges = prop_oneof![
            Just(NumericRange::None),
            (0..5_u32).prop_map(NumericRange::Index),
            (0..3_u32, 3..9_u32).prop_map(|(low, high)| NumericRange::Range(low, high)),
        ];
        prop_oneof![
            (0..12_u32).prop_map(|index| ElementOperand { index }.into()),
            any_value().prop_map(it),
            (names, ranges, 0..30_u32).prop_map(|(path, index_range, attribute_id)| {
                let browse_path = Some(super::super::occurrence::testing::path(path));
                SimpleAttributeOperand {
                    type_definition_id: NodeId::new(0, 2041_u32),
                    browse_path,
                    attribute_id,
                    index_range,
                }
                .into()
            }),
        ]
    }

    pub(in super::super) fn any_filter() -> impl Strategy<Value = ContentFilter> {
        let operators = (0..18_i32).prop_map(|operator| FilterOperator::try_from(operator).unwrap());
        let element = (operators, proptest::collection::vec(any_operand(), 0..4))
            .prop_map(|(operator, operands)| raw(operator, operands));
        proptest::collection::vec(element, 1..12)
            .prop_map(|elements| ContentFilter { elements: Some(elements) })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_clause_panics_or_hangs(filter in any_filter()) {
            let event = active(&Ids::default(), Level::Fault, "401");
            if let Ok(clause) = Clause::of(&filter) {
                clause.accepts(&event, MTCONNECT);
            }
        }

        #[test]
        fn no_operator_panics(left in any_value(), right in any_value()) {
            operator::equal(&left, &right);
            operator::is_like(&left, &right);
            operator::bits(&left, &right, true);
            for number in 0..30_u32 {
                operator::cast(&left, &Variant::from(NodeId::new(0, number)));
            }
            let turned = operator::order(&right, &left).map(std::cmp::Ordering::reverse);
            prop_assert_eq!(operator::order(&left, &right), turned);
        }
    }
}
