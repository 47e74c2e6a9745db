// An OPC UA server on node-opcua, with narrow operation limits: the first argument is the port, the second a folder
// for its certificates.
// Lines: `set NAME JSON`, `get NAME`.
"use strict";
// The library's remarks must not pass for answers.
console.log = console.error;
const say = (text) => process.stdout.write(`${text}\n`);
const readline = require("readline");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { OPCUAServer } = require("node-opcua-server");
const { DataType, Variant, VariantArrayType } = require("node-opcua-variant");

const port = Number(process.argv[2]);
const folder = process.argv[3];

async function main() {
    const manager = new OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: true });
    await manager.initialize();
    const server = new OPCUAServer({
        port,
        hostname: "127.0.0.1",
        serverCertificateManager: manager,
        userCertificateManager: manager,
        securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes256_Sha256_RsaPss],
        securityModes: [MessageSecurityMode.None, MessageSecurityMode.SignAndEncrypt],
        nodeset_filename: [require("node-opcua-nodesets").nodesets.standard],
        serverCapabilities: {
            operationLimits: {
                maxNodesPerRead: 40,
                maxNodesPerWrite: 5,
                maxNodesPerBrowse: 7,
                maxNodesPerTranslateBrowsePathsToNodeIds: 6,
                maxMonitoredItemsPerCall: 30,
            },
        },
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const own = space.registerNamespace("urn:guideway:peer");
    const machine = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Machine", nodeId: "s=Machine" });
    const nodes = {};
    const add = (name, dataType, value, more) => {
        nodes[name] = own.addVariable({
            componentOf: machine, browseName: name, nodeId: `s=${name}`, dataType, value: { dataType, arrayType: VariantArrayType.Scalar, value },
            minimumSamplingInterval: 50, ...more,
        });
    };
    add("Tick", "UInt32", 0);
    add("Int16", "Int16", -30000);
    add("Text", "String", "Größe 5");
    add("UInt64", "UInt64", [0, 7]);
    add("Float", "Float", 0.1);
    add("When", "DateTime", new Date("2026-11-22T10:30:00.123Z"));
    nodes.Ints = own.addVariable({
        componentOf: machine, browseName: "Ints", nodeId: "s=Ints", dataType: "Int32", valueRank: 1, arrayDimensions: [5],
        value: new Variant({ dataType: DataType.Int32, arrayType: VariantArrayType.Array, value: new Int32Array([1, 2, 3, 4, 5]) }),
    });
    for (let number = 0; number < 300; number += 1) {
        add(`N${number}`, "Double", number);
    }
    await server.start();
    let tick = 0;
    setInterval(() => {
        tick += 1;
        nodes.Tick.setValueFromSource({ dataType: DataType.UInt32, value: tick });
    }, 100);
    say("ready");
    const lines = readline.createInterface({ input: process.stdin });
    lines.on("line", (line) => {
        const [word, name, ...rest] = line.split(" ");
        if (word === "set") {
            nodes[name].setValueFromSource({ dataType: nodes[name].readValue().value.dataType, value: JSON.parse(rest.join(" ")) });
            say("ok");
        } else if (word === "get") {
            const value = nodes[name].readValue().value.value;
            say(JSON.stringify(ArrayBuffer.isView(value) ? Array.from(value) : value));
        } else {
            say(`unknown: ${line}`);
        }
    });
    lines.on("close", () => process.exit(0));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
