//! What is asked of a server: requests cut to its limits, with the answers matched to the questions.

use guideway_contract::{Counters, Health, SessionEnd};
use opcua_types::{
    AttributeId, BrowseDescription, BrowseDirection, BrowsePath, BrowseResultMask, ByteString,
    CallMethodRequest, CallMethodResult, DataValue, NodeId, ReadValueId, ReferenceDescription,
    ReferenceTypeId, StatusCode, TimestampsToReturn, VariableId, Variant, WriteValue,
};

use crate::codec::structure::Shapes;
use crate::config::Config;
use crate::link::{Failure, Link};
use crate::plan::{Limits, requests};

/// Most references of one node.
const MOST_REFERENCES: usize = 20_000;
/// Most namespaces of a server.
const MOST_NAMESPACES: usize = 10_000;

/// A server in session.
pub(crate) struct Server {
    pub(crate) link: Link,
    pub(crate) namespaces: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) shapes: Shapes,
}

impl Server {
    /// Asks a server that is connected what it has to say of itself.
    pub(crate) async fn meet(link: Link, config: &Config) -> Result<Self, SessionEnd> {
        let limits = Limits::new(config.max_nodes);
        let mut server = Self { link, namespaces: Vec::new(), limits, shapes: Shapes::default() };
        let table = value(VariableId::Server_NamespaceArray.into());
        let answer = server.read(&[table], None).await?;
        let Some(Variant::Array(uris)) = answer.into_iter().next().and_then(|answer| answer.value) else {
            return Err(SessionEnd::Protocol("the server does not tell its namespaces".into()));
        };
        let uris = uris.values.into_iter().take(MOST_NAMESPACES);
        server.namespaces = uris
            .map(|uri| if let Variant::String(uri) = uri { uri.to_string() } else { String::new() })
            .collect();
        let limits: Vec<ReadValueId> =
            Limits::NODES.iter().map(|node| value(NodeId::new(0, *node))).collect();
        let said = server.read(&limits, None).await?;
        server.limits.learn(said.into_iter().map(|said| match said.value {
            Some(Variant::UInt32(limit)) => Some(limit),
            _ => None,
        }));
        Ok(server)
    }

    /// Reads attributes; one answer to each question. What a server refuses to read together is read apart.
    pub(crate) async fn read(
        &mut self,
        questions: &[ReadValueId],
        health: Option<&Health>,
    ) -> Result<Vec<DataValue>, SessionEnd> {
        let mut answers = Vec::with_capacity(questions.len());
        let mut open: Vec<std::ops::Range<usize>> = requests(questions.len(), self.limits.read).collect();
        open.reverse();
        while let Some(range) = open.pop() {
            let asked = &questions[range.clone()];
            match self.link.within(self.link.session().read(asked, TimestampsToReturn::Both, 0.0)).await {
                Ok(read) if read.len() == asked.len() => {
                    if let Some(health) = health {
                        Counters::add(&health.counters.frames, 1);
                    }
                    answers.extend(read);
                }
                Ok(read) => return Err(mismatch("values", asked.len(), read.len())),
                Err(error) => match self.link.failure(&error) {
                    Failure::Over(end) => return Err(end),
                    Failure::Request(status) if asked.len() == 1 => {
                        answers.push(DataValue { status: Some(bad(status)), ..DataValue::null() });
                    }
                    Failure::Request(status) => {
                        let half = asked.len() / 2;
                        if is_too_many(status) {
                            self.limits.read = half;
                        }
                        open.push(range.start + half..range.end);
                        open.push(range.start..range.start + half);
                    }
                },
            }
        }
        Ok(answers)
    }

    /// Looks paths up; the node at the end of each, or why there is none.
    pub(crate) async fn translate(
        &mut self,
        paths: &[BrowsePath],
    ) -> Result<Vec<Result<NodeId, StatusCode>>, SessionEnd> {
        let mut found = Vec::with_capacity(paths.len());
        for range in requests(paths.len(), self.limits.translate) {
            let asked = &paths[range];
            match self.link.within(self.link.session().translate_browse_paths_to_node_ids(asked)).await {
                Ok(results) if results.len() == asked.len() => {
                    found.extend(results.into_iter().map(|result| {
                        if result.status_code.is_bad() {
                            return Err(result.status_code);
                        }
                        // A path that ends half-way (in another server) is none of ours.
                        let target = result.targets.unwrap_or_default().into_iter().find(|target| {
                            target.remaining_path_index == u32::MAX && target.target_id.server_index == 0
                        });
                        target.map(|target| target.target_id.node_id).ok_or(StatusCode::BadNoMatch)
                    }));
                }
                Ok(results) => return Err(mismatch("nodes", asked.len(), results.len())),
                Err(error) => match self.link.failure(&error) {
                    Failure::Over(end) => return Err(end),
                    Failure::Request(status) => found.extend(asked.iter().map(|_| Err(bad(status)))),
                },
            }
        }
        Ok(found)
    }

    /// What each node refers to. `most` limits the references of each node; 0 takes all.
    pub(crate) async fn browse(
        &mut self,
        questions: &[BrowseDescription],
        most: u32,
    ) -> Result<Vec<Result<Vec<ReferenceDescription>, StatusCode>>, SessionEnd> {
        let mut found = Vec::with_capacity(questions.len());
        for range in requests(questions.len(), self.limits.browse) {
            let asked = &questions[range];
            let results = match self.link.within(self.link.session().browse(asked, most, None)).await {
                Ok(results) if results.len() == asked.len() => results,
                Ok(results) => return Err(mismatch("lists of references", asked.len(), results.len())),
                Err(error) => match self.link.failure(&error) {
                    Failure::Over(end) => return Err(end),
                    Failure::Request(status) => {
                        found.extend(asked.iter().map(|_| Err(bad(status))));
                        continue;
                    }
                },
            };
            for result in results {
                if result.status_code.is_bad() {
                    found.push(Err(result.status_code));
                    continue;
                }
                let mut references = result.references.unwrap_or_default();
                let mut more = result.continuation_point;
                while !more.is_null_or_empty() {
                    let release = most > 0 || references.len() >= MOST_REFERENCES;
                    more = self.next(&more, release, &mut references).await?;
                }
                found.push(Ok(references));
            }
        }
        Ok(found)
    }

    async fn next(
        &mut self,
        from: &ByteString,
        release: bool,
        references: &mut Vec<ReferenceDescription>,
    ) -> Result<ByteString, SessionEnd> {
        match self.link.within(self.link.session().browse_next(release, std::slice::from_ref(from))).await {
            Ok(_) if release => Ok(ByteString::null()),
            Ok(results) => {
                let Some(result) = results.into_iter().next() else { return Err(mismatch("lists", 1, 0)) };
                let got = result.references.unwrap_or_default();
                // A server that gives nothing but a way to go on would never end.
                let more = if got.is_empty() { ByteString::null() } else { result.continuation_point };
                references.extend(got);
                Ok(more)
            }
            Err(error) => match self.link.failure(&error) {
                Failure::Over(end) => Err(end),
                Failure::Request(_) => Ok(ByteString::null()),
            },
        }
    }

    /// Writes one value.
    pub(crate) async fn write(&mut self, value: WriteValue) -> Result<StatusCode, Failure> {
        match self.link.within(self.link.session().write(&[value])).await {
            Ok(results) if results.len() == 1 => Ok(results[0]),
            Ok(results) => Err(Failure::Over(mismatch("results", 1, results.len()))),
            Err(error) => Err(self.link.failure(&error)),
        }
    }

    /// Calls one method.
    pub(crate) async fn call(&mut self, request: CallMethodRequest) -> Result<CallMethodResult, Failure> {
        match self.link.within(self.link.session().call(vec![request])).await {
            Ok(mut results) if results.len() == 1 => {
                results.pop().ok_or_else(|| Failure::Over(mismatch("results", 1, 0)))
            }
            Ok(results) => Err(Failure::Over(mismatch("results", 1, results.len()))),
            Err(error) => Err(self.link.failure(&error)),
        }
    }
}

/// The value of a node.
pub(crate) fn value(node: NodeId) -> ReadValueId {
    attribute(node, AttributeId::Value)
}

/// An attribute of a node.
pub(crate) fn attribute(node: NodeId, attribute: AttributeId) -> ReadValueId {
    ReadValueId { node_id: node, attribute_id: attribute as u32, ..ReadValueId::default() }
}

/// The nodes that a node refers to by references of that type and its subtypes.
pub(crate) fn references(node: NodeId, by: ReferenceTypeId, direction: BrowseDirection) -> BrowseDescription {
    BrowseDescription {
        node_id: node,
        browse_direction: direction,
        reference_type_id: by.into(),
        include_subtypes: true,
        node_class_mask: 0,
        result_mask: BrowseResultMask::All as u32,
    }
}

/// Whether a request is to be made smaller.
pub(crate) fn is_too_many(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BadTooManyOperations
            | StatusCode::BadRequestTooLarge
            | StatusCode::BadResponseTooLarge
            | StatusCode::BadEncodingLimitsExceeded
            | StatusCode::BadTcpMessageTooLarge
    )
}

/// A fault that is no bad status would pass for a good one.
pub(crate) fn bad(status: StatusCode) -> StatusCode {
    if status.is_bad() { status } else { StatusCode::BadUnexpectedError }
}

fn mismatch(what: &str, asked: usize, got: usize) -> SessionEnd {
    SessionEnd::Protocol(format!("{got} {what} for {asked} that were asked for"))
}
