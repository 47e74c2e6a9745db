// node-opcua as a client of the gateway's OPC UA server, driven by a test.
//
// Reads requests as JSON, one a line, from standard input, and answers each with one line: {"ok": …} or
// {"error": "<status or exception>"}. `opcua_client.py` answers the same requests.
"use strict";

const readline = require("node:readline");
const opcua = require("node-opcua-client");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { readCertificate, readPrivateKeyPEM } = require("node-opcua-crypto");
const {
  AttributeIds, BrowseDirection, ClientMonitoredItemGroup, DataType, MessageSecurityMode, MonitoringMode, NodeClass, OPCUAClient,
  SecurityPolicy, StatusCodes, TimestampsToReturn, UserTokenType, Variant, resolveNodeId,
} = opcua;

const URI = "urn:guideway:peer:javascript";
const BATCH = 500;
// Attributes that each class of node has to have (part 3, 5.9).
const COMMON = ["NodeId", "NodeClass", "BrowseName", "DisplayName"];
const MANDATORY = {
  Object: ["EventNotifier"],
  Variable: ["DataType", "ValueRank", "AccessLevel", "UserAccessLevel", "Historizing"],
  Method: ["Executable", "UserExecutable"],
  ObjectType: ["IsAbstract"],
  VariableType: ["IsAbstract", "DataType", "ValueRank"],
  ReferenceType: ["IsAbstract", "Symmetric"],
  DataType: ["IsAbstract"],
  View: ["ContainsNoLoops", "EventNotifier"],
};

/** A value as JSON. */
function plain(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return Number.isNaN(value) ? "NaN" : value;
  if (typeof value !== "object") return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, plain);
  if (value instanceof Variant) return plain(value.value);
  if (value.constructor.name === "LocalizedText") return value.text;
  if (value.constructor.name === "NodeId" || value.constructor.name === "ExpandedNodeId") return idOf(value);
  if (value.constructor.name === "QualifiedName") return value.name;
  if (value.toJSON) return value.toJSON();
  return value.toString();
}

/** As the standard writes it: without `ns=0;`. */
function idOf(node) {
  return node.toString().replace(/^ns=0;/, "");
}

function data(value) {
  return {
    value: plain(value.value ? value.value.value : null),
    status: value.statusCode.name,
    time: value.sourceTimestamp ? value.sourceTimestamp.toISOString() : null,
  };
}

class Peer {
  values_ = new Map();
  events_ = [];
  reconnections = 0;

  /** `pki` is a folder for this client's certificate manager, which makes key and certificate. */
  async manager(pki) {
    const manager = new OPCUACertificateManager({ rootFolder: pki, automaticallyAcceptUnknownCertificate: true });
    await manager.initialize();
    return manager;
  }

  /** Makes key and certificate. */
  async certificate({ pki }) {
    const clientCertificateManager = await this.manager(pki);
    const client = OPCUAClient.create({ applicationUri: URI, applicationName: "peer", clientCertificateManager });
    await client.createDefaultCertificate();
    await client.disconnect();
  }

  /** Asks a server without a session. */
  async asking(url, pki, ask) {
    const clientCertificateManager = await this.manager(pki);
    const client = OPCUAClient.create({
      applicationUri: URI, applicationName: "peer", endpointMustExist: false,
      connectionStrategy: { maxRetry: 0 }, clientCertificateManager,
    });
    await client.connect(url);
    try {
      return await ask(client);
    } finally {
      await client.disconnect();
    }
  }

  async endpoints({ url, pki }) {
    const found = await this.asking(url, pki, (client) => client.getEndpoints());
    return found.map((endpoint) => ({
      policy: endpoint.securityPolicyUri.split("#").pop(),
      mode: MessageSecurityMode[endpoint.securityMode],
      users: endpoint.userIdentityTokens.map((token) => UserTokenType[token.tokenType]).sort(),
    }));
  }

  async find_servers({ url, pki }) {
    const found = await this.asking(url, pki, (client) => client.findServers());
    return found.map((server) => server.applicationUri);
  }

  async connect({ url, policy, mode, pki, user, password, user_certificate, user_key, retry }) {
    const clientCertificateManager = await this.manager(pki);
    const client = OPCUAClient.create({
      applicationName: "peer",
      applicationUri: URI,
      endpointMustExist: false,
      clientCertificateManager,
      securityPolicy: policy ? SecurityPolicy[policy] : SecurityPolicy.None,
      securityMode: mode ? MessageSecurityMode[mode] : MessageSecurityMode.None,
      connectionStrategy: { maxRetry: retry ? 100 : 0, initialDelay: 200, maxDelay: 1000 },
      keepSessionAlive: true,
      requestedSessionTimeout: 60000,
    });
    client.on("connection_reestablished", () => { this.reconnections += 1; });
    let identity = { type: UserTokenType.Anonymous };
    if (user) {
      identity = { type: UserTokenType.UserName, userName: user, password };
    }
    if (user_certificate) {
      identity = {
        type: UserTokenType.Certificate,
        certificateData: readCertificate(user_certificate),
        privateKey: readPrivateKeyPEM(user_key),
      };
    }
    try {
      await client.connect(url);
      this.session = await client.createSession(identity);
    } catch (error) {
      await client.disconnect().catch(() => {});
      throw error;
    }
    this.client = client;
    this.values_.clear();
    this.events_ = [];
    this.subscription = undefined;
    const uris = await this.session.readNamespaceArray();
    this.machines = uris.findIndex((uri) => uri.startsWith("urn:guideway:") && uri.endsWith(":machines"));
    return { namespaces: uris };
  }

  async disconnect() {
    if (this.subscription) await this.subscription.terminate().catch(() => {});
    await this.session.close();
    await this.client.disconnect();
  }

  async references(nodes) {
    const results = await this.session.browse(nodes.map((nodeId) => ({
      nodeId, referenceTypeId: "HierarchicalReferences", includeSubtypes: true,
      browseDirection: BrowseDirection.Forward, nodeClassMask: 0, resultMask: 63,
    })));
    const all = [];
    for (let result of results) {
      if (result.statusCode.isNotGood()) throw new Error(result.statusCode.name);
      const references = [...(result.references || [])];
      while (result.continuationPoint && result.continuationPoint.length > 0) {
        result = await this.session.browseNext(result.continuationPoint, false);
        if (result.statusCode.isNotGood()) throw new Error(result.statusCode.name);
        references.push(...(result.references || []));
      }
      all.push(references);
    }
    return all;
  }

  async walk(root) {
    const seen = new Map();
    let level = [resolveNodeId(root)];
    while (level.length > 0) {
      const below = [];
      for (let at = 0; at < level.length; at += BATCH) {
        for (const references of await this.references(level.slice(at, at + BATCH))) {
          for (const reference of references) {
            const key = idOf(reference.nodeId);
            if (!seen.has(key)) {
              seen.set(key, reference);
              below.push(reference.nodeId);
            }
          }
        }
      }
      level = below;
    }
    return seen;
  }

  async readAll(wanted) {
    const values = [];
    for (let at = 0; at < wanted.length; at += BATCH) {
      values.push(...await this.session.read(wanted.slice(at, at + BATCH)));
    }
    return values;
  }

  async tree() {
    const seen = await this.walk("RootFolder");
    const faults = [];
    const wanted = [];
    let machines = 0;
    for (const [key, reference] of seen) {
      const kind = NodeClass[reference.nodeClass];
      machines += Number(reference.nodeId.namespace === this.machines);
      for (const name of [...COMMON, ...(MANDATORY[kind] || [])]) {
        wanted.push({ nodeId: reference.nodeId, attributeId: AttributeIds[name] });
      }
      if ((kind === "Object" || kind === "Variable") && !seen.has(idOf(reference.typeDefinition))) {
        faults.push(`${key}: type definition ${idOf(reference.typeDefinition)}`);
      }
    }
    const values = await this.readAll(wanted);
    values.forEach((value, index) => {
      if (value.statusCode.isNotGood()) {
        const { nodeId, attributeId } = wanted[index];
        faults.push(`${idOf(nodeId)}: ${AttributeIds[attributeId]} is ${value.statusCode.name}`);
      }
    });
    return { nodes: seen.size, machines, attributes: wanted.length, faults: faults.slice(0, 20), faulty: faults.length };
  }

  async variables() {
    const seen = await this.walk("ObjectsFolder");
    return [...seen.values()]
      .filter((it) => it.nodeId.namespace === this.machines && it.nodeClass === NodeClass.Variable)
      .map((it) => it.nodeId);
  }

  async values() {
    const nodes = await this.variables();
    const values = await this.readAll(nodes.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value })));
    const statuses = {};
    for (const value of values) statuses[value.statusCode.name] = (statuses[value.statusCode.name] || 0) + 1;
    const unstamped = nodes.filter((_, at) => values[at].statusCode.isGood() && !values[at].serverTimestamp);
    return { variables: nodes.length, statuses, unstamped: unstamped.slice(0, 5).map(idOf) };
  }

  async value({ node }) {
    return data(await this.session.read({ nodeId: node, attributeId: AttributeIds.Value }));
  }

  async subscribing(interval) {
    this.subscription ||= await this.session.createSubscription2({
      requestedPublishingInterval: interval, requestedLifetimeCount: 600, requestedMaxKeepAliveCount: 10,
      maxNotificationsPerPublish: 0, publishingEnabled: true, priority: 1,
    });
    return this.subscription;
  }

  async subscribe({ interval = 100, queue = 1000, nodes }) {
    const subscription = await this.subscribing(interval);
    const wanted = nodes ? nodes.map((node) => resolveNodeId(node)) : await this.variables();
    const bad = [];
    for (let at = 0; at < wanted.length; at += BATCH) {
      const part = wanted.slice(at, at + BATCH);
      // Listened to before the server answers: the first values come with its answer.
      const group = ClientMonitoredItemGroup.create(
        subscription,
        part.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value })),
        { samplingInterval: interval, queueSize: queue, discardOldest: true },
        TimestampsToReturn.Both,
      );
      group.on("changed", (item, value) => {
        const key = idOf(item.itemToMonitor.nodeId);
        if (!this.values_.has(key)) this.values_.set(key, []);
        this.values_.get(key).push(data(value));
      });
      await new Promise((done, failed) => {
        group.on("initialized", done);
        group.on("err", (message) => failed(new Error(message)));
      });
      for (const item of group.monitoredItems) {
        if (item.statusCode.isNotGood()) bad.push(item.statusCode.name);
      }
    }
    return { items: wanted.length, bad: bad.slice(0, 5) };
  }

  /** The fields that node-opcua's own alarm client asks for. */
  async conditions({ source = "i=2253", interval = 100 }) {
    const fields = [
      "EventId", "EventType", "SourceNode", "SourceName", "Time", "ReceiveTime", "Message", "Severity",
      "ConditionId", "ConditionName", "BranchId", "Retain", "EnabledState", "EnabledState.Id", "Quality",
      "ActiveState", "ActiveState.Id", "AckedState", "AckedState.Id",
    ];
    const filter = opcua.constructEventFilter(fields, opcua.ofType("ConditionType"));
    await this.monitorEvents(source, filter, fields, interval);
  }

  async events({ source = "i=2253" }) {
    const fields = ["EventId", "EventType", "SourceNode", "SourceName", "Time", "Message", "Severity"];
    await this.monitorEvents(source, opcua.constructEventFilter(fields), fields, 100);
  }

  async monitorEvents(source, filter, fields, interval) {
    const subscription = await this.subscribing(interval);
    const item = await subscription.monitor(
      { nodeId: resolveNodeId(source), attributeId: AttributeIds.EventNotifier },
      { samplingInterval: 0, queueSize: 0, discardOldest: false, filter },
      TimestampsToReturn.Both, MonitoringMode.Reporting,
    );
    if (item.statusCode && item.statusCode.isNotGood()) throw new Error(item.statusCode.name);
    item.on("changed", (values) => {
      // A first data change, where a server sends one, is no event.
      if (!Array.isArray(values)) return;
      const event = {};
      fields.forEach((name, index) => { event[name] = plain(values[index]); });
      this.events_.push(event);
    });
  }

  async heard_values({ node }) {
    if (node) return this.values_.get(node) || [];
    const counts = {};
    for (const [key, values] of this.values_) counts[key] = values.length;
    return counts;
  }

  async heard_events() {
    const events = this.events_;
    this.events_ = [];
    return events;
  }

  async heard_reconnections() {
    return this.reconnections;
  }

  async refresh() {
    const answer = await this.session.call({
      objectId: resolveNodeId("ConditionType"),
      methodId: resolveNodeId("ConditionType_ConditionRefresh"),
      inputArguments: [{ dataType: DataType.UInt32, value: this.subscription.subscriptionId }],
    });
    refuse(answer.statusCode);
  }

  async history({ node, count = 0, seconds = 3600 }) {
    const start = new Date(Date.now() - seconds * 1000);
    const end = new Date(Date.now() + 10000);
    const all = [];
    let continuationPoint;
    do {
      const details = new opcua.ReadRawModifiedDetails({
        isReadModified: false, startTime: start, endTime: end, numValuesPerNode: count, returnBounds: false,
      });
      const answer = await this.session.historyRead(new opcua.HistoryReadRequest({
        historyReadDetails: details, timestampsToReturn: TimestampsToReturn.Both, releaseContinuationPoints: false,
        nodesToRead: [{ nodeId: resolveNodeId(node), continuationPoint }],
      }));
      const [result] = answer.results;
      refuse(result.statusCode);
      all.push(...((result.historyData && result.historyData.dataValues) || []).map(data));
      continuationPoint = result.continuationPoint;
    } while (continuationPoint && continuationPoint.length > 0 && count === 0);
    return all;
  }

  async write({ node, value, type = "Double" }) {
    refuse(await this.session.write({
      nodeId: node, attributeId: AttributeIds.Value, value: { value: { dataType: DataType[type], value } },
    }));
  }

  async attribute({ node, name }) {
    return plain((await this.session.read({ nodeId: node, attributeId: AttributeIds[name] })).value);
  }

  /** Calls a method with arguments as [type, value]; gives all of the answer. */
  async command({ node, method, arguments: given = [] }) {
    const inputArguments = given.map(([type, value]) => ({ dataType: DataType[type], value }));
    const answer = await this.session.call({ objectId: node, methodId: method, inputArguments });
    return {
      status: answer.statusCode.name,
      arguments: (answer.inputArgumentResults || []).map((status) => status.name),
      outputs: (answer.outputArguments || []).map(plain),
    };
  }

  async call({ node, method }) {
    const answer = await this.session.call({ objectId: node, methodId: method, inputArguments: [] });
    refuse(answer.statusCode);
  }

  async exists({ node }) {
    const value = await this.session.read({ nodeId: node, attributeId: AttributeIds.BrowseName });
    return value.statusCode.isGood();
  }
}

function refuse(status) {
  if (status !== StatusCodes.Good && status.isNotGood()) throw new Error(status.name);
}

/** The status of a refusal, such as BadUserAccessDenied; else the message. */
function nameOf(error) {
  const status = error.response && error.response.responseHeader && error.response.responseHeader.serviceResult;
  if (status) return status.name;
  const named = /Bad[A-Z][A-Za-z]+/.exec(String(error.message));
  return named ? named[0] : String(error.message);
}

// Standard output belongs to the answers.
console.log = console.warn = console.info = (...words) => console.error(...words);

async function main() {
  const peer = new Peer();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: what, ...rest } = JSON.parse(line);
    let answer;
    try {
      answer = { ok: (await peer[what](rest)) ?? null };
    } catch (error) {
      answer = { error: nameOf(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

main();
