"""An OPC UA server on asyncua: argv is the port, then words that say what it is to offer.

plain (default)  no security, anonymous and the user `operator` with the password `secret`
secure           Basic256Sha256, Aes128, Aes256 too; argv[3] is the folder for its certificate
shifted          one more namespace in front of the peer's own, so that its index is another
fanuc, sinumerik, abb   the nodes of these machines, see opcua_machines.py

Lines: `set NAME LITERAL`, `get NAME`, `status NAME CODE`, `add NAME LITERAL`, `remove NAME`, `calls`, `sessions`.
"""

import ast
import asyncio
import logging
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

from asyncua import Server, ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field
from asyncua.crypto.permission_rules import SimpleRoleRuleset
from asyncua.server.user_managers import UserManager
from asyncua.crypto.permission_rules import User, UserRole

logging.basicConfig(level=logging.CRITICAL)
URI = "urn:guideway:peer"
T = ua.VariantType
TIME = datetime(2026, 11, 22, 10, 30, 0, 123456, tzinfo=timezone.utc)

SCALARS = {
    "Boolean": (True, T.Boolean),
    "SByte": (-8, T.SByte),
    "Byte": (200, T.Byte),
    "Int16": (-30000, T.Int16),
    "UInt16": (60000, T.UInt16),
    "Int32": (-2000000000, T.Int32),
    "UInt32": (4000000000, T.UInt32),
    "Int64": (-9000000000000000000, T.Int64),
    "UInt64": (18000000000000000000, T.UInt64),
    "Float": (0.1, T.Float),
    "Double": (1.0e-300, T.Double),
    "String": ("Größe 5", T.String),
    "DateTime": (TIME, T.DateTime),
    "Guid": (uuid.UUID("12345678-1234-5678-1234-567812345678"), T.Guid),
    "ByteString": (b"\x00\x01\xff", T.ByteString),
    "XmlElement": (ua.XmlElement("<a/>"), T.XmlElement),
    "NodeId": (ua.NodeId("x", 2), T.NodeId),
    "QualifiedName": (ua.QualifiedName("name", 2), T.QualifiedName),
    "LocalizedText": (ua.LocalizedText("Hallo", "de"), T.LocalizedText),
    "StatusCode": (ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown), T.StatusCode),
    "Ints": ([1, 2, 3, 4, 5], T.Int32),
    "Texts": (["a", "b"], T.String),
    "Empty": ([], T.Double),
    "Matrix": ([[1, 2, 3], [4, 5, 6]], T.Int32),
}


class Users(UserManager):
    def get_user(self, iserver, username=None, password=None, certificate=None):
        if username is None:
            return User(role=UserRole.Admin)
        if username == "operator" and password == "secret":
            return User(role=UserRole.Admin)
        return None


class Peer:
    def __init__(self, port, words):
        self.port, self.words = port, words
        self.nodes, self.kinds, self.calls = {}, {}, []

    async def start(self):
        server = self.server = Server(user_manager=Users())
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}/peer")
        await server.set_application_uri("urn:guideway:peer:server")
        policies = [ua.SecurityPolicyType.NoSecurity]
        if "secure" in self.words:
            await self.certificate(Path(self.words[1]))
            policies += [
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Basic256Sha256_Sign,
                ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
                ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
        server.set_security_policy(policies, permission_ruleset=SimpleRoleRuleset())
        server.set_identity_tokens([ua.AnonymousIdentityToken, ua.UserNameIdentityToken, ua.X509IdentityToken])
        if "shifted" in self.words:
            await server.register_namespace("urn:guideway:in-front")
        self.ns = await server.register_namespace(URI)
        machine = {"fanuc", "sinumerik", "abb"} & set(self.words)
        if machine:
            import opcua_machines

            await opcua_machines.build(self, machine.pop())
        else:
            await self.space()
        await server.start()
        self.ticking = asyncio.create_task(self.tick())

    async def certificate(self, folder):
        from asyncua.crypto.cert_gen import setup_self_signed_certificate
        from cryptography.x509.oid import ExtendedKeyUsageOID

        folder.mkdir(parents=True, exist_ok=True)
        key, cert = folder / "key.pem", folder / "cert.der"
        if not cert.exists():
            await setup_self_signed_certificate(
                key, cert, "urn:guideway:peer:server", "some-other-host",
                [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH],
                {"countryName": "DE", "commonName": "Peer", "organizationName": "Peer"},
            )
        await self.server.load_certificate(str(cert))
        await self.server.load_private_key(str(key))

    async def variable(self, parent, name, value, kind, node=None, data_type=None):
        node = node or ua.NodeId(name, self.ns)
        variable = await parent.add_variable(node, ua.QualifiedName(name.split("/")[-1], self.ns), value, kind, data_type)
        self.nodes[name], self.kinds[name] = variable, kind
        return variable

    async def space(self):
        server, ns = self.server, self.ns
        machine = self.machine = await server.nodes.objects.add_object(ua.NodeId("Machine", ns), ua.QualifiedName("Machine", ns))
        for name, (value, kind) in SCALARS.items():
            variable = await self.variable(machine, name, value, kind)
            await variable.set_writable()
        await self.variable(machine, "ReadOnly", 1, T.Int32)
        await self.variable(machine, "Tick", 0, T.UInt32)
        speed = await self.variable(machine, "Speed", 1500.0, T.Double)
        await speed.write_attribute(
            ua.AttributeIds.Description, ua.DataValue(ua.LocalizedText("Speed of the spindle", "en"))
        )
        units = ua.EUInformation(
            NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact", UnitId=5394509,
            DisplayName=ua.LocalizedText("rpm"), Description=ua.LocalizedText("revolutions per minute"),
        )
        await speed.add_property(ua.NodeId(0, 0), ua.QualifiedName("EngineeringUnits", 0), units)
        await self.variable(machine, "Unsure", 5, T.Int32)
        await self.mark("Unsure", ua.StatusCodes.UncertainLastUsableValue)
        await self.variable(machine, "Broken", 5, T.Int32)
        await self.mark("Broken", ua.StatusCodes.BadDeviceFailure)
        mode = await new_enum(server, ns, "Mode", ["Manual", "Automatic"])
        point = await new_struct(server, ns, "Point", [
            new_struct_field("X", T.Double), new_struct_field("Y", T.Double), new_struct_field("Label", T.String, optional=True),
        ])
        await server.load_data_type_definitions()
        pose = await new_struct(server, ns, "Pose", [
            new_struct_field("Position", point[0]), new_struct_field("Path", point[0], array=True),
            new_struct_field("Mode", mode),
        ])
        await server.load_data_type_definitions()
        await self.variable(machine, "Mode", ua.Mode.Automatic, T.Int32, data_type=mode.nodeid)
        value = ua.Pose(
            Position=ua.Point(X=1.5, Y=2.5, Label="here"),
            Path=[ua.Point(X=3.0, Y=4.0), ua.Point(X=5.0, Y=6.0, Label="end")],
            Mode=ua.Mode.Automatic,
        )
        await self.variable(machine, "Pose", value, T.ExtensionObject, data_type=pose[0].nodeid)
        await self.variable(machine, "Points", [ua.Point(X=1.0, Y=2.0), ua.Point(X=3.0, Y=4.0)], T.ExtensionObject, data_type=point[0].nodeid)
        await machine.add_method(ua.NodeId("Add", ns), ua.QualifiedName("Add", ns), self.add_up,
                                 [T.Int32, T.Int32], [T.Int32])
        await machine.add_method(ua.NodeId("Start", ns), ua.QualifiedName("Start", ns), self.start_program,
                                 [T.String], [])
        many = await machine.add_object(ua.NodeId("Many", ns), ua.QualifiedName("Many", ns))
        count = next((int(word[5:]) for word in self.words if word.startswith("many=")), 0)
        for number in range(count):
            await self.variable(many, f"N{number}", float(number), T.Double)

    def add_up(self, parent, one, other):
        self.calls.append((one.Value, other.Value))
        return [ua.Variant(one.Value + other.Value, T.Int32)]

    def start_program(self, parent, name):
        if name.Value == "":
            return ua.StatusCode(ua.StatusCodes.BadInvalidArgument)
        self.calls.append(name.Value)
        return []

    async def mark(self, name, status):
        value = (await self.nodes[name].read_data_value(raise_on_bad_status=False)).Value
        await self.server.write_attribute_value(
            self.nodes[name].nodeid, ua.DataValue(value, ua.StatusCode(status), TIME, datetime.now(timezone.utc))
        )

    async def tick(self):
        number = 0
        while True:
            await asyncio.sleep(0.1)
            number += 1
            if "Tick" in self.nodes:
                await self.nodes["Tick"].write_value(number, self.kinds["Tick"])

    async def obey(self, line):
        word, _, rest = line.partition(" ")
        name, _, literal = rest.partition(" ")
        if word == "set":
            kind = self.kinds[name]
            value = ua.Variant(ast.literal_eval(literal), kind)
            data = ua.DataValue(value, ua.StatusCode(0), TIME, datetime.now(timezone.utc))
            await self.server.write_attribute_value(self.nodes[name].nodeid, data)
            return "ok"
        if word == "get":
            value = await self.nodes[name].read_value()
            return value.isoformat() if isinstance(value, datetime) else repr(value)
        if word == "status":
            await self.mark(name, getattr(ua.StatusCodes, literal))
            return "ok"
        if word == "add":
            value = ast.literal_eval(literal)
            await self.variable(self.machine, name, value, T.Double)
            return "ok"
        if word == "remove":
            await self.server.delete_nodes([self.nodes.pop(name)])
            return "ok"
        if word == "calls":
            return repr(self.calls)
        if word == "sessions":
            return str(len(self.server.iserver.external_sessions) if hasattr(self.server.iserver, "external_sessions") else -1)
        return f"unknown: {line}"


async def main():
    peer = Peer(int(sys.argv[1]), sys.argv[2:])
    await peer.start()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = await peer.obey(line.strip())
        except Exception as error:
            answer = f"error: {error!r}"
        print(answer.replace("\n", " "), flush=True)
    # Nobody waits for a goodbye.
    sys.stdout.flush()
    import os

    os._exit(0)


asyncio.run(main())
