//! Event filters of clients, made fit for the library.
//!
//! The library refuses what it cannot evaluate and drops select clauses that it does not know, so that all
//! later fields of an event move. A filter arrives as an extension object, which the library decodes by
//! asking the type loaders in turn. Ours is the first. It hands on a filter that the library accepts as it
//! stands: all types are BaseEventType, and what the client asked for is behind a name in a namespace that no
//! server has. When the library asks an event for the field of that name, [`Announced`] knows what is meant.
//!
//! The where clause travels whole within that name, next to a number under which it is looked up. So nothing
//! has to be kept for the life of a monitored item that may be changed, moved to another session or never be
//! made; what is kept is a cache.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use opcua_core::sync::Mutex;
use opcua_nodes::Event;
use opcua_types::event_field::EventField;
use opcua_types::{
    AttributeId, BinaryDecodable, BinaryEncodable, ByteString, ContentFilter, ContentFilterElement, Context,
    ContextOwned, DataTypeId, DateTime, DecodingOptions, DynEncodable, ElementOperand, EncodingResult,
    EventFilter, ExtensionObject, FilterOperator, NamespaceMap, NodeId, NumericRange, ObjectId, ObjectTypeId,
    Operand, QualifiedName, SimpleAttributeOperand, TypeLoader, TypeLoaderPriority, Variant,
};

use super::clause::{Clause, Fault, Faults, Of};
use super::occurrence::Occurrence;

/// The namespace of names that only mean something between the loader and [`Announced`].
const OURS: u16 = u16::MAX;
/// The most bytes of where clauses in the cache, as they are encoded.
const MOST_CACHED: usize = 4 << 20;
/// The longest where clause in bytes; each monitored item holds its own.
const LONGEST: usize = 256 << 10;

/// Where clauses that were sent, by number.
#[derive(Default)]
pub(super) struct Clauses {
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    last: u64,
    /// With their lengths.
    clauses: BTreeMap<u64, (usize, Arc<Clause>)>,
    held: usize,
}

impl Cache {
    fn put(&mut self, number: u64, length: usize, clause: Arc<Clause>) {
        self.held += length;
        if let Some((replaced, _)) = self.clauses.insert(number, (length, clause)) {
            self.held -= replaced;
        }
        while self.held > MOST_CACHED {
            let Some((_, (length, _))) = self.clauses.pop_first() else { break };
            self.held -= length;
        }
    }
}

impl Clauses {
    /// Keeps a clause that is `length` bytes long; its number.
    fn add(&self, clause: Clause, length: usize) -> u64 {
        let mut cache = self.cache.lock();
        cache.last += 1;
        let number = cache.last;
        cache.put(number, length, Arc::new(clause));
        number
    }

    /// The clause with that number; read once more from `sent` when the cache has lost it.
    pub(super) fn get(&self, number: u64, sent: &str) -> Option<Arc<Clause>> {
        if let Some((_, clause)) = self.cache.lock().clauses.get(&number) {
            return Some(clause.clone());
        }
        let bytes = ByteString::from_base64(sent)?.value?;
        let context = unbounded();
        let filter = ContentFilter::decode(&mut bytes.as_slice(), &context.context()).ok()?;
        let clause = Arc::new(Clause::of(&filter).ok()?);
        self.cache.lock().put(number, bytes.len(), clause.clone());
        Some(clause)
    }
}

/// The context of our own encodings, which have been within the server's limits before.
fn unbounded() -> ContextOwned {
    let options = DecodingOptions {
        max_string_length: usize::MAX,
        max_byte_string_length: usize::MAX,
        max_array_length: usize::MAX,
        ..DecodingOptions::default()
    };
    ContextOwned::new_default(NamespaceMap::new(), options)
}

/// Reads event filters.
pub(super) struct Loader(pub(super) Arc<Clauses>);

impl TypeLoader for Loader {
    fn load_from_binary(
        &self,
        node_id: &NodeId,
        stream: &mut dyn Read,
        ctx: &Context<'_>,
        _length: Option<usize>,
    ) -> Option<EncodingResult<Box<dyn DynEncodable>>> {
        if *node_id != ObjectId::EventFilter_Encoding_DefaultBinary && *node_id != DataTypeId::EventFilter {
            return None;
        }
        let filter = EventFilter::decode(stream, ctx);
        Some(filter.map(|filter| Box::new(rewritten(filter, &self.0)) as Box<dyn DynEncodable>))
    }

    fn priority(&self) -> TypeLoaderPriority {
        TypeLoaderPriority::Core
    }
}

/// The filter as the library takes it.
fn rewritten(filter: EventFilter, clauses: &Clauses) -> EventFilter {
    let select_clauses = filter.select_clauses.map(|clauses| clauses.into_iter().map(selected).collect());
    let where_clause = if filter.where_clause.elements.as_ref().is_none_or(Vec::is_empty) {
        filter.where_clause
    } else {
        match Clause::of(&filter.where_clause) {
            Ok(clause) => accepted(filter.where_clause, clause, clauses),
            Err(Faults::TooLong) => ContentFilter { elements: Some(vec![refused(Some(Fault::Operator))]) },
            Err(Faults::Elements(faults)) => {
                ContentFilter { elements: Some(faults.into_iter().map(refused).collect()) }
            }
        }
    };
    EventFilter { select_clauses, where_clause }
}

/// A select clause that the library does not drop.
fn selected(clause: SimpleAttributeOperand) -> SimpleAttributeOperand {
    let of = Of::named(&clause.type_definition_id);
    let path = clause.browse_path.unwrap_or_default();
    let known =
        matches!(AttributeId::from_u32(clause.attribute_id), Ok(AttributeId::Value | AttributeId::NodeId));
    let forged = path.iter().any(|name| name.namespace_index == OURS);
    let (attribute_id, path) = match of {
        Of::None => (AttributeId::Value as u32, vec![mark("n")]),
        _ if forged || !known => (AttributeId::Value as u32, vec![mark("n")]),
        Of::Any => (clause.attribute_id, path),
        Of::Type(namespace, number) => {
            let mark = mark(&format!("t{namespace}:{number}"));
            (clause.attribute_id, std::iter::once(mark).chain(path).collect())
        }
    };
    SimpleAttributeOperand {
        type_definition_id: ObjectTypeId::BaseEventType.into(),
        browse_path: Some(path),
        attribute_id,
        index_range: clause.index_range,
    }
}

fn mark(name: &str) -> QualifiedName {
    QualifiedName::new(OURS, name)
}

/// A where clause of as many elements with as many operands each, the first of which asks for ours. So
/// the results that the client gets have the shape of what it sent.
fn accepted(sent: ContentFilter, clause: Clause, clauses: &Clauses) -> ContentFilter {
    let context = unbounded();
    let mut bytes = Vec::new();
    if sent.encode(&mut bytes, &context.context()).is_err() || bytes.len() > LONGEST {
        return ContentFilter { elements: Some(vec![refused(Some(Fault::Operand))]) };
    }
    let number = clauses.add(clause, bytes.len());
    let text = ByteString::from(bytes).as_base64();
    let sent = sent.elements.unwrap_or_default();
    let element = |(at, element): (usize, &ContentFilterElement)| {
        let count = element.filter_operands.as_ref().map_or(0, Vec::len);
        let (operator, mark) = match count {
            1 => (FilterOperator::IsNull, format!("x{number}:{text}")),
            _ => (FilterOperator::InList, format!("w{number}:{text}")),
        };
        let ours = (at == 0).then(|| {
            let clause = SimpleAttributeOperand {
                type_definition_id: ObjectTypeId::BaseEventType.into(),
                browse_path: Some(vec![QualifiedName::new(OURS, mark)]),
                attribute_id: AttributeId::Value as u32,
                index_range: NumericRange::None,
            };
            Operand::from(clause)
        });
        let literals = std::iter::repeat_with(|| Operand::literal(true));
        let operands = ours.into_iter().chain(literals).take(count).collect();
        ContentFilterElement::from((operator, operands))
    };
    ContentFilter { elements: Some(sent.iter().enumerate().map(element).collect()) }
}

/// An element that the library refuses for that fault, or finds good.
fn refused(fault: Option<Fault>) -> ContentFilterElement {
    let (filter_operator, operand) = match fault {
        None => (FilterOperator::IsNull, Some(Operand::literal(true))),
        Some(Fault::Count) => (FilterOperator::IsNull, None),
        Some(Fault::Operator) => (FilterOperator::InView, Some(Operand::literal(true))),
        Some(Fault::Operand) => (FilterOperator::IsNull, Some(ElementOperand { index: u32::MAX }.into())),
    };
    let filter_operands = operand.map(|operand| vec![ExtensionObject::from(operand)]);
    ContentFilterElement { filter_operator, filter_operands }
}

/// An event as the library sees it while it asks whether and how one monitored item wants it.
pub(super) struct Announced<'e> {
    pub(super) event: &'e Occurrence,
    pub(super) clauses: &'e Clauses,
    pub(super) mtconnect: u16,
    type_id: &'e NodeId,
    asked: RefCell<Option<(Arc<Clause>, bool)>>,
}

impl<'e> Announced<'e> {
    /// `type_id` is the NodeId of the event's type.
    pub(super) fn new(
        event: &'e Occurrence,
        type_id: &'e NodeId,
        clauses: &'e Clauses,
        mtconnect: u16,
    ) -> Self {
        Self { event, clauses, mtconnect, type_id, asked: RefCell::default() }
    }

    /// The where clause that was asked since this was made, and whether it wants the event; `None` when there
    /// is none.
    pub(super) fn asked(self) -> Option<(Arc<Clause>, bool)> {
        self.asked.into_inner()
    }

    fn ours(
        &self,
        mark: &str,
        attribute: AttributeId,
        range: &NumericRange,
        path: &[QualifiedName],
    ) -> Variant {
        let (kind, rest) = mark.split_at_checked(1).unwrap_or_default();
        let (number, rest) = rest.split_once(':').unwrap_or_default();
        match kind {
            "t" => match (number.parse(), rest.parse()) {
                (Ok(namespace), Ok(number)) if self.event.kind.is_a(namespace, number, self.mtconnect) => {
                    self.event.field(self.mtconnect, attribute, range, path)
                }
                _ => Variant::Empty,
            },
            "w" | "x" => {
                let clause = number.parse().ok().and_then(|number| self.clauses.get(number, rest));
                let Some(clause) = clause else { return Variant::Boolean(false) };
                let wanted = clause.accepts(self.event, self.mtconnect);
                self.asked.replace(Some((clause, wanted)));
                // `x` stands within IsNull.
                if kind == "x" && wanted { Variant::Empty } else { Variant::Boolean(wanted) }
            }
            _ => Variant::Empty,
        }
    }
}

impl Event for Announced<'_> {
    fn get_field(
        &self,
        _type_definition_id: &NodeId,
        attribute_id: AttributeId,
        index_range: &NumericRange,
        browse_path: &[QualifiedName],
    ) -> Variant {
        match browse_path.split_first() {
            Some((mark, path)) if mark.namespace_index == OURS => {
                self.ours(mark.name.as_ref(), attribute_id, index_range, path)
            }
            _ => self.event.field(self.mtconnect, attribute_id, index_range, browse_path),
        }
    }

    fn time(&self) -> &DateTime {
        self.event.time()
    }

    fn event_type_id(&self) -> &NodeId {
        self.type_id
    }
}

impl EventField for Announced<'_> {
    fn get_value(
        &self,
        attribute_id: AttributeId,
        index_range: &NumericRange,
        remaining_path: &[QualifiedName],
    ) -> Variant {
        self.event.field(self.mtconnect, attribute_id, index_range, remaining_path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::clause::tests::any_filter;
    use super::super::occurrence::Ids;
    use super::super::occurrence::testing::*;
    use super::*;
    use guideway_contract::Level;
    use opcua_nodes::{DefaultTypeTree, ParsedEventFilter};
    use opcua_types::{ContentFilterBuilder, EventFilterResult, StatusCode};
    use proptest::prelude::*;

    fn select(type_id: NodeId, names: &str) -> SimpleAttributeOperand {
        SimpleAttributeOperand {
            type_definition_id: type_id,
            browse_path: Some(path(names)),
            attribute_id: AttributeId::Value as u32,
            index_range: NumericRange::None,
        }
    }

    fn base(names: &str) -> SimpleAttributeOperand {
        select(ObjectTypeId::BaseEventType.into(), names)
    }

    /// The filter as it is after its way through the loader.
    fn loaded(filter: &EventFilter, clauses: &Arc<Clauses>) -> EventFilter {
        let context = unbounded();
        let bytes = filter.encode_to_vec(&context.context());
        let loader = Loader(clauses.clone());
        let id = ObjectId::EventFilter_Encoding_DefaultBinary.into();
        let loaded = loader.load_from_binary(&id, &mut bytes.as_slice(), &context.context(), None).unwrap();
        let loaded = loaded.unwrap().as_dyn_any().downcast::<EventFilter>().unwrap();
        *loaded
    }

    fn parsed(
        filter: &EventFilter,
        clauses: &Arc<Clauses>,
    ) -> (EventFilterResult, Result<ParsedEventFilter, StatusCode>) {
        // A tree that knows no event types: nothing may depend on it.
        ParsedEventFilter::new(loaded(filter, clauses), &DefaultTypeTree::new())
    }

    /// What a client with that filter gets of an event.
    fn got(filter: &EventFilter, event: &Occurrence) -> Option<Vec<Variant>> {
        let clauses = Arc::default();
        let (_, parsed) = parsed(filter, &clauses);
        let type_id = event.kind.type_id(MTCONNECT);
        let announced = Announced::new(event, &type_id, &clauses, MTCONNECT);
        let fields = parsed.unwrap().evaluate(&announced, 7, &DefaultTypeTree::new())?;
        assert_eq!(fields.client_handle, 7);
        fields.event_fields
    }

    fn everything(clauses: Vec<SimpleAttributeOperand>) -> EventFilter {
        EventFilter { select_clauses: Some(clauses), where_clause: ContentFilter::default() }
    }

    #[test]
    fn fields_keep_their_places_whatever_the_client_asks_for() {
        let event = active(&Ids::default(), Level::Fault, "401");
        let filter = everything(vec![
            base("Severity"),
            // The ConditionId, as part 9 has clients ask for it.
            SimpleAttributeOperand {
                type_definition_id: ObjectTypeId::ConditionType.into(),
                browse_path: None,
                attribute_id: AttributeId::NodeId as u32,
                index_range: NumericRange::None,
            },
            // Inherited, own, of a type that the event is not, of no type that there is, of none at all.
            select(ObjectTypeId::ConditionType.into(), "Severity"),
            select(NodeId::new(2, 4326), "2:NativeCode"),
            select(ObjectTypeId::AlarmConditionType.into(), "ActiveState/Id"),
            select(NodeId::new(9, "nothing"), "Severity"),
            select(NodeId::null(), "Retain"),
            base("NoSuchField"),
            SimpleAttributeOperand { attribute_id: AttributeId::BrowseName as u32, ..base("Severity") },
            SimpleAttributeOperand { attribute_id: 99, ..base("Severity") },
            SimpleAttributeOperand { browse_path: Some(vec![mark("w1:")]), ..base("") },
            SimpleAttributeOperand { index_range: NumericRange::Index(0), ..base("2:NativeCode") },
            base("Retain"),
        ]);
        let fields = got(&filter, &event).unwrap();
        let expected = [
            Variant::UInt16(1_000),
            Variant::from(NodeId::new(3, "d0/system#401")),
            Variant::UInt16(1_000),
            Variant::from("401"),
            Variant::Empty,
            Variant::Empty,
            Variant::Boolean(true),
            Variant::Empty,
            Variant::Empty,
            Variant::Empty,
            Variant::Empty,
            Variant::from("4"),
            Variant::Boolean(true),
        ];
        assert_eq!(fields, expected);
        let (result, _) = parsed(&filter, &Arc::default());
        assert_eq!(result.select_clause_results.unwrap(), vec![StatusCode::Good; 13]);
    }

    #[test]
    fn the_where_clause_decides_with_one_operand_or_many() {
        let event = active(&Ids::default(), Level::Fault, "401");
        let name = |names: &str| Operand::from(base(names));
        let wanted = |where_clause| {
            let filter = EventFilter { select_clauses: Some(vec![base("Severity")]), where_clause };
            got(&filter, &event).is_some()
        };
        let new = ContentFilterBuilder::new;
        let text = |text: &str| Operand::literal(text);
        assert!(wanted(new().eq(name("2:NativeCode"), text("401")).build()));
        assert!(!wanted(new().eq(name("2:NativeCode"), text("402")).build()));
        assert!(wanted(new().is_null(name("BranchId")).build()));
        assert!(!wanted(new().is_null(name("Severity")).build()));
        assert!(wanted(new().in_list(name("2:NativeCode"), vec![text("1"), text("2"), text("401")]).build()));
        assert!(!wanted(new().in_list(name("2:NativeCode"), vec![text("1"), text("2"), text("3")]).build()));
        let of_type = |id: NodeId| ContentFilter {
            elements: Some(vec![ContentFilterElement::from((
                FilterOperator::OfType,
                vec![Operand::literal(id)],
            ))]),
        };
        assert!(wanted(of_type(ObjectTypeId::ConditionType.into())));
        assert!(!wanted(of_type(ObjectTypeId::AlarmConditionType.into())));
    }

    #[test]
    fn the_results_have_the_shape_of_what_was_sent() {
        let new = ContentFilterBuilder::new;
        let codes = vec![Operand::literal("1"), Operand::literal("2"), Operand::literal("3")];
        let where_clause = new()
            .and(Operand::element(1), Operand::element(2))
            .in_list(Operand::from(base("2:NativeCode")), codes)
            .is_null(Operand::from(base("BranchId")))
            .build();
        let filter = EventFilter { select_clauses: Some(vec![base("Severity")]), where_clause };
        let (result, parsed) = parsed(&filter, &Arc::default());
        assert!(parsed.is_ok());
        let results = result.where_clause_result.element_results.unwrap();
        let operands = |at: usize| results[at].operand_status_codes.as_ref().unwrap().len();
        assert_eq!((operands(0), operands(1), operands(2)), (2, 4, 1));
        assert!(results.iter().all(|result| result.status_code.is_good()));
    }

    #[test]
    fn a_clause_that_cannot_be_evaluated_is_refused_and_the_client_told_where() {
        let element = |operator, operands: Vec<Operand>| ContentFilterElement::from((operator, operands));
        let elements = vec![
            element(FilterOperator::And, vec![Operand::element(1), Operand::element(2)]),
            element(FilterOperator::Not, vec![]),
            element(FilterOperator::InView, vec![Operand::literal(NodeId::new(0, 1_u32))]),
            element(FilterOperator::Not, vec![Operand::element(8)]),
        ];
        let where_clause = ContentFilter { elements: Some(elements) };
        let filter = EventFilter { select_clauses: Some(vec![base("Severity")]), where_clause };
        let (result, parsed) = parsed(&filter, &Arc::default());
        assert_eq!(parsed.err(), Some(StatusCode::BadEventFilterInvalid));
        let results = result.where_clause_result.element_results.unwrap();
        let codes: Vec<_> = results.iter().map(|result| result.status_code).collect();
        assert_eq!(
            codes,
            [
                StatusCode::Good,
                StatusCode::BadFilterOperandCountMismatch,
                StatusCode::BadFilterOperatorUnsupported,
                StatusCode::BadFilterOperandInvalid,
            ]
        );
    }

    #[test]
    fn a_clause_that_would_keep_the_library_busy_for_years_does_not_reach_it() {
        let shared = |next| {
            let operands = vec![Operand::element(next), Operand::element(next)];
            ContentFilterElement::from((FilterOperator::And, operands))
        };
        let elements: Vec<_> = (1..100_000_u32).map(shared).collect();
        let where_clause = ContentFilter { elements: Some(elements) };
        let filter = EventFilter { select_clauses: Some(vec![base("Severity")]), where_clause };
        let (_, parsed) = parsed(&filter, &Arc::default());
        assert_eq!(parsed.err(), Some(StatusCode::BadEventFilterInvalid));
    }

    #[test]
    fn a_clause_outlives_the_cache() {
        let event = active(&Ids::default(), Level::Fault, "401");
        let clauses = Arc::<Clauses>::default();
        let clause = |code: &str| {
            let code = Operand::literal(code);
            ContentFilterBuilder::new().eq(Operand::from(base("2:NativeCode")), code).build()
        };
        let filter = |code: &str| EventFilter { select_clauses: None, where_clause: clause(code) };
        let (_, first) = parsed(&filter("401"), &clauses);
        let long = "4".repeat(LONGEST / 2);
        for _ in 0..=2 * MOST_CACHED / LONGEST {
            loaded(&filter(&long), &clauses);
        }
        assert!(clauses.cache.lock().held <= MOST_CACHED);
        assert!(!clauses.cache.lock().clauses.contains_key(&1), "still in the cache");
        let type_id = event.kind.type_id(MTCONNECT);
        let announced = Announced::new(&event, &type_id, &clauses, MTCONNECT);
        assert!(first.unwrap().evaluate(&announced, 0, &DefaultTypeTree::new()).is_some());
        assert!(announced.asked().is_some_and(|(_, wanted)| wanted));
    }

    #[test]
    fn other_types_are_left_to_other_loaders() {
        let context = unbounded();
        let loader = Loader(Arc::default());
        let id = ObjectId::DataChangeFilter_Encoding_DefaultBinary.into();
        assert!(loader.load_from_binary(&id, &mut [].as_slice(), &context.context(), None).is_none());
        let id = ObjectId::EventFilter_Encoding_DefaultBinary.into();
        let cut = loader.load_from_binary(&id, &mut [1, 0].as_slice(), &context.context(), None).unwrap();
        assert!(cut.is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn the_library_takes_every_clause_that_we_take_and_no_other(where_clause in any_filter()) {
            let event = active(&Ids::default(), Level::Fault, "401");
            let clauses = Arc::<Clauses>::default();
            let ours = Clause::of(&where_clause);
            let filter = EventFilter { select_clauses: Some(vec![base("Severity")]), where_clause };
            let (_, parsed) = parsed(&filter, &clauses);
            prop_assert_eq!(parsed.is_ok(), ours.is_ok());
            if let (Ok(parsed), Ok(ours)) = (parsed, ours) {
                let type_id = event.kind.type_id(MTCONNECT);
                let announced = Announced::new(&event, &type_id, &clauses, MTCONNECT);
                let got = parsed.evaluate(&announced, 0, &DefaultTypeTree::new()).is_some();
                prop_assert_eq!(got, ours.accepts(&event, MTCONNECT));
                prop_assert_eq!(announced.asked().map(|(_, wanted)| wanted), Some(got));
            }
        }
    }
}
