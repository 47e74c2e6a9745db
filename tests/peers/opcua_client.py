"""asyncua as a client of the gateway's OPC UA server, driven by a test.

Reads requests as JSON, one a line, from standard input, and answers each with one line: {"ok": …} or
{"error": "<status or exception>"}. `opcua_client.js` answers the same requests.
"""

import asyncio
import json
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone

from asyncua import Client, Server, ua
from asyncua.crypto import security_policies
from asyncua.crypto.cert_gen import setup_self_signed_certificate

BATCH = 500
HIERARCHICAL = ua.NodeId(ua.ObjectIds.HierarchicalReferences)
# Attributes that each class of node has to have (part 3, 5.9).
COMMON = [ua.AttributeIds.NodeId, ua.AttributeIds.NodeClass, ua.AttributeIds.BrowseName, ua.AttributeIds.DisplayName]
MANDATORY = {
    ua.NodeClass.Object: [ua.AttributeIds.EventNotifier],
    ua.NodeClass.Variable: [
        ua.AttributeIds.DataType,
        ua.AttributeIds.ValueRank,
        ua.AttributeIds.AccessLevel,
        ua.AttributeIds.UserAccessLevel,
        ua.AttributeIds.Historizing,
    ],
    ua.NodeClass.Method: [ua.AttributeIds.Executable, ua.AttributeIds.UserExecutable],
    ua.NodeClass.ObjectType: [ua.AttributeIds.IsAbstract],
    ua.NodeClass.VariableType: [ua.AttributeIds.IsAbstract, ua.AttributeIds.DataType, ua.AttributeIds.ValueRank],
    ua.NodeClass.ReferenceType: [ua.AttributeIds.IsAbstract, ua.AttributeIds.Symmetric],
    ua.NodeClass.DataType: [ua.AttributeIds.IsAbstract],
    ua.NodeClass.View: [ua.AttributeIds.ContainsNoLoops, ua.AttributeIds.EventNotifier],
}


def plain(value):
    """A value as JSON."""
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, float):
        return value if value == value else "NaN"
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, (ua.NodeId, ua.QualifiedName)):
        return value.to_string()
    if isinstance(value, ua.Variant):
        return plain(value.Value)
    if hasattr(value, "__dataclass_fields__"):
        fields = {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
        fields.pop("TypeId", None)
        fields.pop("Encoding", None)
        return fields
    return str(value)


def data(value):
    return {
        "value": plain(value.Value.Value if value.Value is not None else None),
        "status": value.StatusCode.name if value.StatusCode is not None else "Good",
        "time": plain(value.SourceTimestamp),
    }


class Heard:
    """What the subscriptions brought."""

    def __init__(self):
        self.values = {}
        self.events = []
        self.statuses = []

    def datachange_notification(self, node, value, notification):
        read = data(notification.monitored_item.Value)
        self.values.setdefault(node.nodeid.to_string(), []).append(read)

    def event_notification(self, event):
        fields = {name: plain(value) for name, value in event.get_event_props_as_fields_dict().items()}
        self.events.append(fields)

    def status_change_notification(self, status):
        self.statuses.append(str(status))


class Peer:
    def __init__(self):
        self.client = None
        self.heard = Heard()
        self.subscription = None
        self.machines = None

    async def certificate(self, to, key, uri="urn:guideway:peer:python"):
        """Makes a key and a self-signed certificate."""
        from pathlib import Path

        from cryptography.x509.oid import ExtendedKeyUsageOID

        await setup_self_signed_certificate(
            Path(key), Path(to), uri, "localhost", [ExtendedKeyUsageOID.CLIENT_AUTH], {"commonName": "peer"}
        )

    async def endpoints(self, url):
        found = await Client(url).connect_and_get_server_endpoints()
        return [
            {
                "policy": endpoint.SecurityPolicyUri.rsplit("#")[-1],
                "mode": endpoint.SecurityMode.name.rstrip("_"),
                "users": sorted(token.TokenType.name for token in endpoint.UserIdentityTokens),
            }
            for endpoint in found
        ]

    async def find_servers(self, url):
        return [server.ApplicationUri for server in await Client(url).connect_and_find_servers()]

    async def discovery(self, url):
        """Becomes a discovery server; what registers there, `find_servers` tells."""
        self.server = Server()
        await self.server.init()
        self.server.set_endpoint(url)
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self.server.start()

    async def connect(
        self, url, policy=None, mode=None, certificate=None, key=None, user=None, password=None, user_certificate=None, user_key=None
    ):
        client = Client(url, timeout=20)
        client.application_uri = "urn:guideway:peer:python"
        if policy:
            name = "SecurityPolicy" + policy.replace("_", "")
            await client.set_security(
                getattr(security_policies, name), certificate, key, mode=ua.MessageSecurityMode[mode]
            )
        if user:
            client.set_user(user)
            client.set_password(password)
        if user_certificate:
            await client.load_client_certificate(user_certificate)
            await client.load_private_key(user_key)
        try:
            await client.connect()
        except Exception:
            # What was begun is ended without waiting for an answer.
            client.uaclient.disconnect_socket()
            raise
        self.client = client
        self.heard = Heard()
        self.subscription = None
        uris = await client.get_namespace_array()
        self.machines = next(i for i, uri in enumerate(uris) if uri.startswith("urn:guideway:") and uri.endswith(":machines"))
        return {"namespaces": uris}

    async def disconnect(self):
        client, self.client = self.client, None
        await client.disconnect()

    async def references(self, nodes, reference, direction=ua.BrowseDirection.Forward):
        """References of each node, all of them."""
        parameters = ua.BrowseParameters()
        parameters.View.Timestamp = ua.get_win_epoch()
        parameters.RequestedMaxReferencesPerNode = 100
        for node in nodes:
            wanted = ua.BrowseDescription()
            wanted.NodeId = node
            wanted.ReferenceTypeId = reference
            wanted.IncludeSubtypes = True
            wanted.BrowseDirection = direction
            wanted.NodeClassMask = 0
            wanted.ResultMask = ua.BrowseResultMask.All
            parameters.NodesToBrowse.append(wanted)
        results = await self.client.uaclient.browse(parameters)
        found = []
        for result in results:
            result.StatusCode.check()
            references = list(result.References or [])
            point = result.ContinuationPoint
            while point:
                more = ua.BrowseNextParameters()
                more.ContinuationPoints = [point]
                [result] = await self.client.uaclient.browse_next(more)
                result.StatusCode.check()
                references.extend(result.References or [])
                point = result.ContinuationPoint
            found.append(references)
        return found

    async def read(self, wanted):
        """Attributes, as [(node, attribute)]."""
        values = []
        for at in range(0, len(wanted), BATCH):
            parameters = ua.ReadParameters()
            parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            for node, attribute in wanted[at : at + BATCH]:
                one = ua.ReadValueId()
                one.NodeId = node
                one.AttributeId = attribute
                parameters.NodesToRead.append(one)
            values.extend(await self.client.uaclient.read(parameters))
        return values

    async def walk(self, root):
        """Every node below, by id, with its class and type."""
        seen = {}
        level = [root]
        while level:
            below = []
            for at in range(0, len(level), BATCH):
                for references in await self.references(level[at : at + BATCH], HIERARCHICAL):
                    for reference in references:
                        key = reference.NodeId.to_string()
                        if key not in seen:
                            seen[key] = reference
                            below.append(reference.NodeId)
            level = below
        return seen

    async def tree(self):
        """Walks the whole address space and reads every attribute that has to be there."""
        seen = await self.walk(ua.NodeId(ua.ObjectIds.RootFolder))
        faults, wanted = [], []
        for key, reference in seen.items():
            kind = reference.NodeClass_ if hasattr(reference, "NodeClass_") else reference.NodeClass
            for attribute in COMMON + MANDATORY.get(kind, []):
                wanted.append((reference.NodeId, attribute))
            if kind in (ua.NodeClass.Object, ua.NodeClass.Variable):
                definition = reference.TypeDefinition
                if definition.is_null() or definition.to_string() not in seen:
                    faults.append(f"{key}: type definition {definition.to_string()}")
        for (node, attribute), value in zip(wanted, await self.read(wanted)):
            if not value.StatusCode.is_good():
                faults.append(f"{node.to_string()}: {attribute.name} is {value.StatusCode.name}")
        own = sum(1 for reference in seen.values() if reference.NodeId.NamespaceIndex == self.machines)
        return {"nodes": len(seen), "machines": own, "attributes": len(wanted), "faults": faults[:20], "faulty": len(faults)}

    async def types(self):
        """Loads the definitions of the data types, by which values are decoded from here on."""
        return sorted(await self.client.load_data_type_definitions())

    async def variables(self):
        seen = await self.walk(ua.NodeId(ua.ObjectIds.ObjectsFolder))
        return [
            reference.NodeId
            for reference in seen.values()
            if reference.NodeId.NamespaceIndex == self.machines and reference.NodeClass == ua.NodeClass.Variable
        ]

    async def values(self):
        """Reads every variable of the machines."""
        nodes = await self.variables()
        values = await self.read([(node, ua.AttributeIds.Value) for node in nodes])
        statuses = Counter(value.StatusCode.name for value in values)
        unstamped = [
            node.to_string() for node, value in zip(nodes, values)
            if value.StatusCode.is_good() and value.ServerTimestamp is None
        ]
        return {"variables": len(nodes), "statuses": statuses, "unstamped": unstamped[:5]}

    async def value(self, node):
        [value] = await self.read([(ua.NodeId.from_string(node), ua.AttributeIds.Value)])
        return data(value)

    async def subscribe(self, interval=100, queue=1000, nodes=None):
        """Monitors data items; without `nodes` all variables of the machines."""
        if self.subscription is None:
            self.subscription = await self.client.create_subscription(interval, self.heard)
        wanted = [ua.NodeId.from_string(node) for node in nodes] if nodes else await self.variables()
        handles = []
        for at in range(0, len(wanted), BATCH):
            part = [self.client.get_node(node) for node in wanted[at : at + BATCH]]
            handles += await self.subscription.subscribe_data_change(part, queuesize=queue, sampling_interval=interval)
        bad = [str(handle) for handle in handles if isinstance(handle, ua.StatusCode)]
        return {"items": len(wanted), "bad": bad[:5]}

    async def events(self, source="i=2253"):
        """Subscribes to events as asyncua does by default."""
        if self.subscription is None:
            self.subscription = await self.client.create_subscription(100, self.heard)
        await self.subscription.subscribe_events(ua.NodeId.from_string(source))

    async def conditions(self, source="i=2253", interval=100):
        """Subscribes to the events of conditions, as asyncua does by default."""
        if self.subscription is None:
            self.subscription = await self.client.create_subscription(interval, self.heard)
        await self.subscription.subscribe_events(
            ua.NodeId.from_string(source), evtypes=ua.NodeId(ua.ObjectIds.ConditionType)
        )

    async def heard_values(self, node=None):
        if node:
            return self.heard.values.get(node, [])
        return {node: len(values) for node, values in self.heard.values.items()}

    async def heard_events(self):
        events, self.heard.events = self.heard.events, []
        return events

    async def refresh(self):
        condition = self.client.get_node(ua.NodeId(ua.ObjectIds.ConditionType))
        method = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)
        number = ua.Variant(self.subscription.subscription_id, ua.VariantType.UInt32)
        await condition.call_method(method, number)

    async def history(self, node, count=0, seconds=3600):
        now = datetime.now(timezone.utc)
        values = await self.client.get_node(node).read_raw_history(
            now - timedelta(seconds=seconds), now + timedelta(seconds=10), numvalues=count, return_bounds=False
        )
        return [data(value) for value in values]

    async def write(self, node, value, type="Double"):
        # As asyncua writes by itself: with the present time as SourceTimestamp.
        await self.client.get_node(node).write_value(ua.Variant(value, ua.VariantType[type]))

    async def attribute(self, node, name):
        [value] = await self.read([(ua.NodeId.from_string(node), ua.AttributeIds[name])])
        return data(value)["value"]

    async def command(self, node, method, arguments=()):
        """Calls a method with arguments as [type, value]; gives all of the answer."""
        request = ua.CallMethodRequest()
        request.ObjectId = ua.NodeId.from_string(node)
        request.MethodId = ua.NodeId.from_string(method)
        request.InputArguments = [ua.Variant(value, ua.VariantType[kind]) for kind, value in arguments]
        [answer] = await self.client.uaclient.call([request])
        return {
            "status": answer.StatusCode.name,
            "arguments": [status.name for status in answer.InputArgumentResults or []],
            "outputs": [plain(value) for value in answer.OutputArguments or []],
        }

    async def begin(self, **request):
        """Calls a method without waiting for its answer, which `ended` gives."""
        self.begun = asyncio.create_task(self.command(**request))

    async def ended(self):
        return await self.begun if self.begun.done() else None

    async def call(self, node, method):
        await self.client.get_node(node).call_method(ua.NodeId.from_string(method))

    async def exists(self, node):
        [value] = await self.read([(ua.NodeId.from_string(node), ua.AttributeIds.BrowseName)])
        return value.StatusCode.is_good()


def name_of(error):
    """The status of a refusal, such as BadUserAccessDenied; else the exception."""
    code = getattr(error, "code", None)
    if code is not None:
        return ua.status_codes.get_name_and_doc(code)[0]
    return f"{type(error).__name__}: {error}"


async def main():
    peer = Peer()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = {"ok": await getattr(peer, request.pop("do"))(**request)}
        except Exception as error:
            answer = {"error": name_of(error)}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
