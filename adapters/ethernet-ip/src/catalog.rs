//! What the controller says of itself: its tags, and the members of its structures.

use std::collections::HashMap;

use guideway_contract::{DataType, Found, Kind, SessionEnd};

use crate::Config;
use crate::address::Address;
use crate::codec::cip::{Status, service};
use crate::codec::symbols::{self, ExternalAccess, Symbol, SymbolType};
use crate::codec::template::{self, Template, Templates};
use crate::codec::value::Shape;
use crate::link::{Link, broken};

/// The most tags of one program or of the controller that are listed.
const MOST_TAGS: usize = 100_000;
/// The most structures that are described in one session.
const MOST_TEMPLATES: usize = 1_000;

/// The tags of each program listed so far, and the structures described so far.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// Structures.
    pub(crate) templates: Templates,
    /// Types of tags by lower-case name; of the controller's tags under the empty name.
    tags: HashMap<String, HashMap<String, SymbolType>>,
}

impl Catalog {
    /// Describes the structure of the tag in `address`, and all in it.
    pub(crate) async fn describe(
        &mut self,
        link: &mut Link,
        address: &Address,
    ) -> Result<Result<(), String>, SessionEnd> {
        let program = address.program();
        let scope = program.unwrap_or_default().to_ascii_lowercase();
        if !self.tags.contains_key(&scope) {
            let symbols = match list(link, program).await? {
                Ok(symbols) => symbols,
                Err(status) => return Ok(Err(format!("the controller does not list its tags: {status}"))),
            };
            let tags =
                symbols.into_iter().map(|symbol| (symbol.name.to_ascii_lowercase(), symbol.kind)).collect();
            self.tags.insert(scope.clone(), tags);
        }
        let tag = address.tag().unwrap_or_default();
        let kind = self.tags.get(&scope).and_then(|tags| tags.get(&tag.to_ascii_lowercase()));
        match kind.and_then(|kind| kind.template()) {
            Some(instance) => self.load(link, instance).await,
            None => Ok(Err(format!("the controller does not list `{tag}` as a structure"))),
        }
    }

    /// Reads a template and all that are nested in it.
    async fn load(&mut self, link: &mut Link, instance: u16) -> Result<Result<(), String>, SessionEnd> {
        let mut wanted = vec![instance];
        while let Some(instance) = wanted.pop() {
            if self.templates.get(instance).is_some() {
                continue;
            }
            if self.templates.len() >= MOST_TEMPLATES {
                return Ok(Err("there are too many structures".into()));
            }
            match read_template(link, instance).await? {
                Ok(template) => {
                    wanted.extend(template.nested());
                    self.templates.add(instance, template);
                }
                Err(status) => {
                    return Ok(Err(format!("the controller does not describe its structure: {status}")));
                }
            }
        }
        Ok(Ok(()))
    }
}

/// All tags of a program, or of the controller.
async fn list(link: &mut Link, program: Option<&str>) -> Result<Result<Vec<Symbol>, Status>, SessionEnd> {
    let mut symbols: Vec<Symbol> = Vec::new();
    let mut next = 0;
    let mut with_access = true;
    loop {
        let path = symbols::page_path(program, next);
        let wanted: &[u8] = if with_access { &symbols::ATTRIBUTES_WITH_ACCESS } else { &symbols::ATTRIBUTES };
        let reply = link.call(service::INSTANCE_ATTRIBUTES, &path, wanted).await?;
        if symbols.is_empty() && with_access && !reply.status.is_success() && !reply.status.is_partial() {
            // Controllers before version 18 do not know External Access.
            with_access = false;
            continue;
        }
        if !reply.status.is_success() && !reply.status.is_partial() {
            return Ok(Err(reply.status));
        }
        let page = symbols::page(&reply.data, with_access).map_err(broken)?;
        // Pages overlap by one tag: servers differ in whether the instance asked for belongs to its page.
        let fresh: Vec<Symbol> = page
            .into_iter()
            .filter(|symbol| symbols.last().is_none_or(|last| symbol.instance > last.instance))
            .collect();
        let Some(last) = fresh.last() else { return Ok(Ok(symbols)) };
        next = last.instance;
        symbols.extend(fresh);
        if reply.status.is_success() {
            return Ok(Ok(symbols));
        }
        if symbols.len() > MOST_TAGS {
            return Err(SessionEnd::Protocol(format!("the controller lists more than {MOST_TAGS} tags")));
        }
    }
}

async fn read_template(link: &mut Link, instance: u16) -> Result<Result<Template, Status>, SessionEnd> {
    let mut path = vec![0x20, 0x6C, 0x25, 0];
    path.extend_from_slice(&instance.to_le_bytes());
    let reply = link.call(service::GET_ATTRIBUTE_LIST, &path, &template::ATTRIBUTES).await?;
    if !reply.status.is_success() {
        return Ok(Err(reply.status));
    }
    let attributes = template::attributes(&reply.data).map_err(broken)?;
    let whole = attributes.definition_bytes() as usize;
    let mut definition = Vec::new();
    while definition.len() < whole {
        let offset = u32::try_from(definition.len()).unwrap_or(u32::MAX);
        let rest = u16::try_from(whole - definition.len()).unwrap_or(u16::MAX);
        let data = [&offset.to_le_bytes()[..], &rest.to_le_bytes()].concat();
        let reply = link.call(service::READ, &path, &data).await?;
        if !reply.status.is_success() && !reply.status.is_partial() {
            return Ok(Err(reply.status));
        }
        if reply.data.is_empty() {
            break;
        }
        definition.extend_from_slice(&reply.data);
        if reply.status.is_success() {
            break;
        }
    }
    template::parse(&attributes, &definition).map(Ok).map_err(broken)
}

/// What is below `address`: nothing for the controller, a program, or a tag that is a structure.
pub(crate) async fn browse(config: &Config, address: &str) -> Result<Vec<Found>, SessionEnd> {
    let mut link = Link::open(config).await?;
    let found = below(&mut link, address.trim()).await;
    link.close().await;
    found
}

async fn below(link: &mut Link, address: &str) -> Result<Vec<Found>, SessionEnd> {
    let refused = |what: String| SessionEnd::Protocol(what);
    let program = address.strip_prefix("Program:").filter(|rest| !rest.contains('.')).map(|_| address);
    if address.is_empty() || program.is_some() {
        let symbols =
            list(link, program).await?.map_err(|status| refused(format!("no list of tags: {status}")))?;
        let prefix = program.map_or_else(String::new, |program| format!("{program}."));
        let mut found: Vec<Found> = Vec::new();
        for symbol in &symbols {
            if symbol.is_program() && program.is_none() {
                found.push(folder(&symbol.name, &symbol.name, "program"));
            } else if symbol.is_shown() {
                let dimensions =
                    symbol.dimensions.iter().copied().filter(|size| *size > 0).collect::<Vec<_>>();
                let whole = format!("{prefix}{}", symbol.name);
                let mut one = tag(link, &whole, &symbol.name, symbol.kind, &dimensions).await?;
                let note = match symbol.access {
                    Some(ExternalAccess::ReadOnly) => ", read only",
                    Some(ExternalAccess::None) => ", no External Access",
                    _ => "",
                };
                one.writable &= note.is_empty();
                one.note.push_str(note);
                found.push(one);
            }
        }
        return Ok(found);
    }
    let parsed: Address = address.parse().map_err(refused)?;
    let mut catalog = Catalog::default();
    catalog.describe(link, &parsed).await?.map_err(refused)?;
    let scope = parsed.program().unwrap_or_default().to_ascii_lowercase();
    let name = parsed.tag().unwrap_or_default().to_ascii_lowercase();
    let outer = catalog.tags.get(&scope).and_then(|tags| tags.get(&name)).and_then(|kind| kind.template());
    let mut template = outer.and_then(|instance| catalog.templates.get(instance));
    for step in parsed.steps.iter().skip(usize::from(parsed.program().is_some()) + 1) {
        let inner = template.and_then(|outer| {
            let member = outer.members.iter().find(|member| member.name.eq_ignore_ascii_case(&step.name))?;
            member.kind.template()
        });
        template = inner.and_then(|instance| catalog.templates.get(instance));
    }
    let template = template.ok_or_else(|| refused(format!("`{address}` is no structure")))?;
    let members = template.members.clone();
    let mut found = Vec::new();
    for member in members {
        let dimensions = if member.kind.dimensions() > 0 { vec![u32::from(member.info)] } else { Vec::new() };
        found.push(
            tag(link, &format!("{address}.{}", member.name), &member.name, member.kind, &dimensions).await?,
        );
    }
    Ok(found)
}

fn folder(address: &str, label: &str, note: &str) -> Found {
    Found {
        address: address.into(),
        label: label.into(),
        note: note.into(),
        data_type: None,
        units: "".into(),
        value: String::new(),
        writable: false,
        folder: true,
    }
}

async fn tag(
    link: &mut Link,
    address: &str,
    label: &str,
    kind: SymbolType,
    dimensions: &[u32],
) -> Result<Found, SessionEnd> {
    let sizes: Vec<String> = dimensions.iter().map(u32::to_string).collect();
    let count = dimensions.iter().try_fold(1_u32, |all, size| all.checked_mul(*size)).unwrap_or(u32::MAX);
    let count = Some(count).filter(|_| !dimensions.is_empty());
    let brackets = if sizes.is_empty() { String::new() } else { format!("[{}]", sizes.join(",")) };
    if let Some(instance) = kind.template() {
        let template = read_template(link, instance).await?;
        let name = template.as_ref().map_or("structure", |template| template.name.as_str());
        let is_text = template
            .as_ref()
            .is_ok_and(|template| template.is_string() || template.handle == template::STRING);
        let mut found = folder(address, label, &format!("{name}{brackets}"));
        if is_text {
            let room =
                template.map_or(
                    82,
                    |template| if template.size == 88 { 82 } else { template.size.saturating_sub(4) },
                );
            found.folder = false;
            found.writable = count.is_none();
            found.data_type = Some(DataType { kind: Kind::Text(room.clamp(1, 65_536)), count });
        }
        return Ok(found);
    }
    let code = kind.atomic().unwrap_or_default();
    let (element, count) = match code {
        0xC1 => (Kind::Bool, count),
        0xC2 => (Kind::I8, count),
        0xC3 => (Kind::I16, count),
        0xC4 => (Kind::I32, count),
        0xC5 => (Kind::I64, count),
        0xC6 | 0xD1 => (Kind::U8, count),
        0xC7 | 0xD2 => (Kind::U16, count),
        0xC8 => (Kind::U32, count),
        0xC9 | 0xD4 => (Kind::U64, count),
        0xCA => (Kind::F32, count),
        0xCB => (Kind::F64, count),
        // BOOL arrays are listed in words of 32.
        0xD3 => (Kind::Bool, count.map(|words| words.saturating_mul(32))),
        _ => (Kind::Auto, count),
    };
    let mut found = folder(address, label, &format!("{}{brackets}", Shape::Atomic(code).name()));
    found.folder = false;
    found.writable = true;
    found.data_type = Some(DataType { kind: element, count });
    Ok(found)
}
