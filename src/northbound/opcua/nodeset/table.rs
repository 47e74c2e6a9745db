//! Tables: node sets as text, one line a node, in a form of our own.
//!
//! A table begins with `guideway node set 1`. Lines follow whose fields are separated by tabs:
//!
//! - `uri`, a namespace: the first such line is index 0, the second index 1, and so on;
//! - `model`, namespace, version, date: a model that the table defines;
//! - `requires`, namespace, version, date: what the last `model` builds on;
//! - a node: class and id, BrowseName, references, then its attributes, each in a field of its own.
//!
//! The class is `O` Object, `V` Variable, `M` Method, `T` ObjectType, `W` VariableType, `R` ReferenceType, `D`
//! DataType or `N` View, and the id stands right behind it: `V1:2063`. A BrowseName is `Name` or `1:Name`; one
//! that begins like an index has its own index before it.
//!
//! References are separated by blanks. A letter says the type, a small one from this node to the other, a
//! capital one from the other to this node: `P1:2059` is "property of 1:2059".
//! `c` HasComponent, `p` HasProperty, `o` Organizes, `s` HasSubtype, `t` HasTypeDefinition, `m` HasModellingRule,
//! `e` HasEncoding, `d` HasDescription, `n` HasNotifier, `g` GeneratesEvent, `f` FromState, `k` ToState. Another
//! type is written `>` or, in the other direction, `<`, then its id, `/` and the target: `>117/2927`.
//! Each reference stands once, on either of its nodes: the address space knows both directions.
//!
//! Attributes, where they are not the default: `=` DisplayName (else the name without its index), `?`
//! Description, `d` DataType (24), `r` ValueRank (-1), `a` ArrayDimensions (`0x0`), `l` AccessLevel (1), `h`
//! Historizing, `i` MinimumSamplingInterval, `v` Value, `x` IsAbstract, `y` Symmetric, `n` InverseName, `e`
//! EventNotifier (0), `z` not Executable, `u` ContainsNoLoops, and the definitions of data types: `E` of an
//! enumeration (`E0"NAME","NEXT"`: values count up where none stands), `S` of a structure, `U` of a union.
//! Fields of structures: DataType id, name, then `r`, `a` as above, `m` and MaxStringLength, `o` optional, `w`
//! subtypes allowed: `S12"AssetId",12"Text"o`.
//!
//! Literals are those of [`literal`](super::literal).

use std::fmt::Write as _;

use opcua_nodes::ImportedReference;
use opcua_types::{EnumField, LocalizedText, NodeId, QualifiedName, StructureField, UAString};
use rustc_hash::FxHashSet;
use smol_str::SmolStr;

use super::error::NodesetError;
use super::file::{Class, Definition, File, Model, Node, Required, Variable};
use super::literal::{Cursor, Fault, write_dimensions, write_id, write_string, write_text, write_value};

const HEAD: &str = "guideway node set 1";

/// Letters of reference types, and their ids in namespace 0.
const LETTERS: [(u8, u32); 12] = [
    (b'c', 47),
    (b'p', 46),
    (b'o', 35),
    (b's', 45),
    (b't', 40),
    (b'm', 37),
    (b'e', 38),
    (b'd', 39),
    (b'n', 48),
    (b'g', 41),
    (b'f', 51),
    (b'k', 52),
];

impl File {
    /// Reads a table.
    pub fn from_table(text: &str) -> Result<Self, NodesetError> {
        let mut file = Self::default();
        for (index, line) in text.lines().enumerate() {
            let read = if index == 0 {
                if line == HEAD { Ok(()) } else { Err(format!("a table begins with `{HEAD}`")) }
            } else {
                file.add_line(line)
            };
            read.map_err(|what| NodesetError::Text { place: String::new(), line: index + 1, what })?;
        }
        Ok(file)
    }

    fn add_line(&mut self, line: &str) -> Result<(), Fault> {
        let mut fields = line.split('\t');
        let first = fields.next().unwrap_or_default();
        let mut next = || SmolStr::new(fields.next().unwrap_or_default());
        match first {
            "uri" => self.uris.push(next()),
            "model" => {
                self.models.push(Model {
                    uri: next(),
                    version: next(),
                    published: next(),
                    required: Vec::new(),
                });
            }
            "requires" => {
                let required = Required { uri: next(), version: next(), published: next() };
                let model = self.models.last_mut().ok_or("`requires` before any `model`")?;
                model.required.push(required);
            }
            _ => {
                let node = node(line)?;
                self.check(&node)?;
                self.nodes.push(node);
            }
        }
        Ok(())
    }

    /// Every namespace index of a node set is one that it names.
    pub(super) fn check(&self, node: &Node) -> Result<(), Fault> {
        let count = self.uris.len();
        let known = |index: u16| {
            if usize::from(index) < count {
                Ok(())
            } else {
                Err(format!("namespace index {index}, but the file names only {count} namespaces"))
            }
        };
        known(node.id.namespace)?;
        known(node.name.namespace_index)?;
        for reference in &node.references {
            known(reference.target_id.namespace)?;
            known(reference.type_id.namespace)?;
            if reference.target_id == node.id {
                return Err(format!("a reference of {} to itself", node.id));
            }
        }
        match &node.class {
            Class::Variable(variable) | Class::VariableType { variable, .. } => {
                known(variable.data_type.namespace)
            }
            Class::DataType { definition: Some(Definition::Structure { fields, .. }), .. } => {
                fields.iter().try_for_each(|field| known(field.data_type.namespace))
            }
            _ => Ok(()),
        }
    }

    /// Writes the table. Left out are what a client needs no more or may not have: byte strings (the type
    /// dictionaries, which DataTypeDefinition has replaced), descriptions (prose, optional in every class), and
    /// the second of two mentions of one reference.
    pub fn to_table(&self) -> String {
        let mut out = format!("{HEAD}\n");
        for uri in &self.uris {
            let _ = writeln!(out, "uri\t{uri}");
        }
        for model in &self.models {
            let _ = writeln!(out, "model\t{}\t{}\t{}", model.uri, model.version, model.published);
            for required in &model.required {
                let _ =
                    writeln!(out, "requires\t{}\t{}\t{}", required.uri, required.version, required.published);
            }
        }
        let mut seen = FxHashSet::default();
        // The inverse one is kept, as the node that it is read with then says where it belongs.
        for node in &self.nodes {
            for reference in node.references.iter().filter(|reference| !reference.is_forward) {
                seen.insert((&reference.target_id, &reference.type_id, &node.id));
            }
        }
        for node in &self.nodes {
            write_node(&mut out, node, |reference| {
                !reference.is_forward || !seen.contains(&(&node.id, &reference.type_id, &reference.target_id))
            });
        }
        out
    }
}

fn node(line: &str) -> Result<Node, Fault> {
    let mut fields = line.split('\t');
    let mut head = Cursor::new(fields.next().unwrap_or_default());
    let letter = head.take()?;
    let id = head.id()?;
    if !head.is_done() {
        return Err(head.expected("the end of the id"));
    }
    let name = browse_name(fields.next().ok_or("a node without a BrowseName")?);
    let mut node = Node {
        id,
        display_name: LocalizedText { locale: UAString::null(), text: name.name.clone() },
        name,
        description: None,
        references: references(fields.next().unwrap_or_default())?,
        class: match letter {
            b'O' => Class::Object { event_notifier: 0 },
            b'V' => Class::Variable(Variable::default()),
            b'M' => Class::Method { executable: true },
            b'T' => Class::ObjectType { is_abstract: false },
            b'W' => Class::VariableType { is_abstract: false, variable: Variable::default() },
            b'R' => Class::ReferenceType { is_abstract: false, symmetric: false, inverse_name: None },
            b'D' => Class::DataType { is_abstract: false, definition: None },
            b'N' => Class::View { event_notifier: 0, contains_no_loops: false },
            other => return Err(format!("`{}` is not the letter of a class", char::from(other))),
        },
    };
    for field in fields {
        let mut cursor = Cursor::new(field);
        attribute(&mut node, &mut cursor)?;
        if !cursor.is_done() {
            return Err(cursor.expected("the end of the field"));
        }
    }
    Ok(node)
}

/// `Name` or `1:Name`.
pub(super) fn browse_name(text: &str) -> QualifiedName {
    let split = text.split_once(':').and_then(|(index, name)| {
        let is_index = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        Some((is_index.then(|| index.parse().ok())??, name))
    });
    let (namespace_index, name) = split.unwrap_or((0, text));
    QualifiedName { namespace_index, name: name.into() }
}

fn references(field: &str) -> Result<Vec<ImportedReference>, Fault> {
    let read = |text: &str| {
        let mut cursor = Cursor::new(text);
        let letter = cursor.take()?;
        let (type_id, is_forward) = if matches!(letter, b'<' | b'>') {
            let type_id = cursor.id()?;
            cursor.need(b'/')?;
            (type_id, letter == b'>')
        } else {
            let small = letter.to_ascii_lowercase();
            let found = LETTERS.iter().find(|(known, _)| *known == small);
            let (_, number) = found.ok_or_else(|| format!("`{}` is no reference", char::from(letter)))?;
            (NodeId::new(0, *number), letter == small)
        };
        let target_id = cursor.id()?;
        if !cursor.is_done() {
            return Err(cursor.expected("the end of the reference"));
        }
        Ok(ImportedReference { target_id, type_id, is_forward })
    };
    // String ids may have blanks in them.
    let mut rest = field;
    let mut references = Vec::new();
    while !rest.is_empty() {
        let mut quoted = false;
        let mut escaped = false;
        let end = rest.bytes().position(|byte| {
            let is_end = byte == b' ' && !quoted;
            quoted ^= byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            is_end
        });
        let (reference, after) = rest.split_at(end.unwrap_or(rest.len()));
        references.push(read(reference)?);
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    Ok(references)
}

fn attribute(node: &mut Node, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let letter = cursor.take()?;
    match (letter, &mut node.class) {
        (b'=', _) => node.display_name = cursor.text()?,
        (b'?', _) => node.description = Some(cursor.text()?),
        (b'e', Class::Object { event_notifier } | Class::View { event_notifier, .. }) => {
            *event_notifier = cursor.number()?;
        }
        (b'u', Class::View { contains_no_loops, .. }) => *contains_no_loops = true,
        (b'z', Class::Method { executable }) => *executable = false,
        (
            b'x',
            Class::ObjectType { is_abstract }
            | Class::VariableType { is_abstract, .. }
            | Class::ReferenceType { is_abstract, .. }
            | Class::DataType { is_abstract, .. },
        ) => *is_abstract = true,
        (b'y', Class::ReferenceType { symmetric, .. }) => *symmetric = true,
        (b'n', Class::ReferenceType { inverse_name, .. }) => *inverse_name = Some(cursor.text()?),
        (b'E' | b'S' | b'U', Class::DataType { definition, .. }) => {
            *definition = Some(definition_of(letter, cursor)?);
        }
        (_, Class::Variable(variable) | Class::VariableType { variable, .. }) => match letter {
            b'd' => variable.data_type = cursor.id()?,
            b'r' => variable.rank = cursor.number()?,
            b'a' => variable.dimensions = Some(cursor.dimensions()?),
            b'l' => variable.access_level = cursor.number()?,
            b'h' => variable.historizing = true,
            b'i' => variable.minimum_sampling_interval = Some(cursor.float()?),
            b'v' => variable.value = Some(cursor.value()?),
            _ => return Err(no_attribute(letter)),
        },
        _ => return Err(no_attribute(letter)),
    }
    Ok(())
}

fn no_attribute(letter: u8) -> Fault {
    format!("`{}` is not an attribute of this class", char::from(letter))
}

fn definition_of(letter: u8, cursor: &mut Cursor<'_>) -> Result<Definition, Fault> {
    if letter == b'E' {
        let mut fields: Vec<EnumField> = Vec::new();
        while !cursor.is_done() {
            if !fields.is_empty() {
                cursor.need(b',')?;
            }
            let value = if cursor.peek() == Some(b'"') {
                fields.last().map_or(0, |before| before.value.saturating_add(1))
            } else {
                cursor.number()?
            };
            let name = cursor.string()?;
            let display_name =
                if cursor.eat(b'=') { cursor.text()? } else { LocalizedText::from(name.as_str()) };
            fields.push(EnumField {
                value,
                display_name,
                description: LocalizedText::null(),
                name: name.into(),
            });
        }
        return Ok(Definition::Enum(fields));
    }
    let mut fields: Vec<StructureField> = Vec::new();
    let mut subtyped = false;
    while !cursor.is_done() {
        if !fields.is_empty() {
            cursor.need(b',')?;
        }
        let mut field = StructureField {
            data_type: cursor.id()?,
            name: cursor.string()?.into(),
            description: LocalizedText::null(),
            value_rank: if cursor.eat(b'r') { cursor.number()? } else { -1 },
            array_dimensions: if cursor.eat(b'a') { Some(cursor.dimensions()?) } else { None },
            max_string_length: if cursor.eat(b'm') { cursor.number()? } else { 0 },
            is_optional: cursor.eat(b'o'),
        };
        if cursor.eat(b'w') {
            subtyped = true;
            field.is_optional = true;
        }
        fields.push(field);
    }
    Ok(Definition::Structure { union: letter == b'U', subtyped, fields })
}

fn write_node(out: &mut String, node: &Node, keep: impl Fn(&ImportedReference) -> bool) {
    out.push(match &node.class {
        Class::Object { .. } => 'O',
        Class::Variable(_) => 'V',
        Class::Method { .. } => 'M',
        Class::ObjectType { .. } => 'T',
        Class::VariableType { .. } => 'W',
        Class::ReferenceType { .. } => 'R',
        Class::DataType { .. } => 'D',
        Class::View { .. } => 'N',
    });
    write_id(out, &node.id);
    out.push('\t');
    let name = node.name.name.as_ref();
    if node.name.namespace_index != 0 || browse_name(name).namespace_index != 0 || name.starts_with("0:") {
        let _ = write!(out, "{}:", node.name.namespace_index);
    }
    out.push_str(name);
    out.push('\t');
    let mut is_first = true;
    for reference in node.references.iter().filter(|reference| keep(reference)) {
        if !std::mem::take(&mut is_first) {
            out.push(' ');
        }
        write_reference(out, reference);
    }
    if !node.display_name.locale.is_empty() || node.display_name.text != node.name.name {
        out.push_str("\t=");
        write_text(out, &node.display_name);
    }
    write_attributes(out, &node.class);
    out.push('\n');
}

fn write_reference(out: &mut String, reference: &ImportedReference) {
    let letter = LETTERS.iter().find(|(_, id)| reference.type_id == NodeId::new(0, *id));
    match letter {
        Some((letter, _)) if reference.is_forward => out.push(char::from(*letter)),
        Some((letter, _)) => out.push(char::from(letter.to_ascii_uppercase())),
        None => {
            out.push(if reference.is_forward { '>' } else { '<' });
            write_id(out, &reference.type_id);
            out.push('/');
        }
    }
    write_id(out, &reference.target_id);
}

fn write_attributes(out: &mut String, class: &Class) {
    let _ = match class {
        Class::Object { event_notifier: 0 } | Class::Method { executable: true } => Ok(()),
        Class::Object { event_notifier } => write!(out, "\te{event_notifier}"),
        Class::View { event_notifier, contains_no_loops } => {
            let loops = if *contains_no_loops { "\tu" } else { "" };
            write!(out, "\te{event_notifier}{loops}")
        }
        Class::Method { executable: false } => write!(out, "\tz"),
        Class::Variable(variable) => {
            write_variable(out, variable);
            Ok(())
        }
        Class::VariableType { is_abstract, variable } => {
            write_abstract(out, *is_abstract);
            write_variable(out, variable);
            Ok(())
        }
        Class::ObjectType { is_abstract } => {
            write_abstract(out, *is_abstract);
            Ok(())
        }
        Class::ReferenceType { is_abstract, symmetric, inverse_name } => {
            write_abstract(out, *is_abstract);
            if *symmetric {
                out.push_str("\ty");
            }
            if let Some(name) = inverse_name {
                out.push_str("\tn");
                write_text(out, name);
            }
            Ok(())
        }
        Class::DataType { is_abstract, definition } => {
            write_abstract(out, *is_abstract);
            if let Some(definition) = definition {
                write_definition(out, definition);
            }
            Ok(())
        }
    };
}

fn write_abstract(out: &mut String, is_abstract: bool) {
    if is_abstract {
        out.push_str("\tx");
    }
}

fn write_variable(out: &mut String, variable: &Variable) {
    if variable.data_type != NodeId::new(0, 24) {
        out.push_str("\td");
        write_id(out, &variable.data_type);
    }
    if variable.rank != -1 {
        let _ = write!(out, "\tr{}", variable.rank);
    }
    if let Some(dimensions) = variable.dimensions.as_ref().filter(|list| !list.is_empty()) {
        out.push_str("\ta");
        write_dimensions(out, dimensions);
    }
    if variable.access_level != 1 {
        let _ = write!(out, "\tl{}", variable.access_level);
    }
    if variable.historizing {
        out.push_str("\th");
    }
    if let Some(interval) = variable.minimum_sampling_interval {
        let _ = write!(out, "\ti{interval}");
    }
    if let Some(value) = &variable.value
        && !matches!(value, opcua_types::Variant::ByteString(_))
    {
        let length = out.len();
        out.push_str("\tv");
        if !write_value(out, value) {
            out.truncate(length);
        }
    }
}

fn write_definition(out: &mut String, definition: &Definition) {
    match definition {
        Definition::Enum(fields) => {
            out.push_str("\tE");
            let mut next = 0;
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if field.value != next {
                    let _ = write!(out, "{}", field.value);
                }
                next = field.value.saturating_add(1);
                write_string(out, field.name.as_ref());
                if field.display_name != LocalizedText::from(field.name.as_ref()) {
                    out.push('=');
                    write_text(out, &field.display_name);
                }
            }
        }
        Definition::Structure { union, subtyped, fields } => {
            out.push_str(if *union { "\tU" } else { "\tS" });
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_id(out, &field.data_type);
                write_string(out, field.name.as_ref());
                if field.value_rank != -1 {
                    let _ = write!(out, "r{}", field.value_rank);
                }
                if let Some(dimensions) = field.array_dimensions.as_ref().filter(|list| !list.is_empty()) {
                    out.push('a');
                    write_dimensions(out, dimensions);
                }
                if field.max_string_length != 0 {
                    let _ = write!(out, "m{}", field.max_string_length);
                }
                if field.is_optional {
                    out.push(if *subtyped { 'w' } else { 'o' });
                }
            }
        }
    }
}
