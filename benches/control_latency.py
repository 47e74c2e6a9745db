"""How long a command takes, from the request to its end, through each face.

    .venv/bin/python benches/control_latency.py target/release/guideway [COMMANDS]

Starts a Modbus server (pymodbus), a broker (mosquitto) and the gateway, and asks for a relay to be switched, again and
again: over HTTP (http.client), MQTT (paho-mqtt) and OPC UA (asyncua). Each command is one write, read back from a group that is
read every 10 ms, with three rows of the audit on the disk before the end is told. Prints p50, p99 and the longest in milliseconds.
"""

import asyncio
import http.client
import json
import queue
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import jwt
import paho.mqtt.client as mqtt
from asyncua import Client, ua

ROOT = Path(__file__).resolve().parent.parent
SECRET = "0123456789abcdef0123456789abcdef"
PASSWORD = "correct horse"
PROFILE = """
schema = 1
id = "cell"
version = "1.0.0"
groups = { fast = "10ms" }
[adapter]
kind = "modbus"
[points]
relay = { addr = "coil:10", type = "bool", access = "rw", group = "fast" }
ready = { addr = "coil:11", type = "bool", group = "fast" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
relay = { at = "Systems/Electric", type = "POWER_STATE.CONTROL", value = 'relay ? "ON" : "OFF"' }
exec = { at = "Controller/Path[path]", type = "EXECUTION", value = 'ready ? "ACTIVE" : "READY"' }
[commands.relay]
risk = "setpoint"
args = { on = { type = "bool" } }
require = 'item.exec == "READY"'
write = [{ point = "relay", value = "args.on" }]
verify = { point = "relay", equals = "args.on", within = "2s" }
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def signed(number, on):
    claims = {"iss": "twin", "aud": "hall", "jti": f"r{number}", "exp": int(time.time()) + 60,
              "device": "Cell", "command": "relay", "args": {"on": on}}
    return jwt.encode(claims, SECRET, "HS256")


def told(face, times):
    times.sort()
    at = lambda part: times[min(len(times) - 1, int(len(times) * part))] * 1_000
    print(f"{face:8} {len(times):5} commands   p50 {at(0.5):7.2f} ms   p99 {at(0.99):7.2f} ms   longest {times[-1] * 1_000:7.2f} ms", flush=True)


def over_http(port, count):
    times = []
    for number in range(count):
        body = signed(f"h{number}", number % 2 == 0)
        connection = http.client.HTTPConnection("127.0.0.1", port) if number == 0 else connection
        begun = time.perf_counter()
        connection.request("POST", "/control/Cell/relay", body, {"Content-Type": "application/jose"})
        answer = json.loads(connection.getresponse().read())
        times.append(time.perf_counter() - begun)
        assert answer["state"] == "done", answer
    told("HTTP", times)


def over_mqtt(port, count):
    answers = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = lambda _client, _data, message: answers.put(json.loads(message.payload))
    # Else the client's own system holds a request back until the broker has confirmed what went before.
    client.on_socket_open = lambda _client, _data, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("guideway/hall/control/response/twin/#", 1)
    time.sleep(1)
    times = []
    for number in range(count):
        payload = signed(f"m{number}", number % 2 == 0)
        begun = time.perf_counter()
        client.publish("guideway/hall/control/request", payload, 1)
        answer = answers.get(timeout=10)
        times.append(time.perf_counter() - begun)
        assert answer["state"] == "done", answer
    client.loop_stop()
    told("MQTT", times)


async def over_opcua(port, folder, count):
    client = Client(f"opc.tcp://127.0.0.1:{port}", timeout=20)
    client.application_uri = "urn:guideway:bench"
    await client.set_security_string(f"Basic256Sha256,Sign,{folder}/client.der,{folder}/client.pem")
    client.set_user("anna")
    client.set_password(PASSWORD)
    async with client:
        commands = client.get_node("ns=3;s=cell-uuid/Commands")
        method = client.get_node("ns=3;s=cell-uuid/Commands/relay")
        times = []
        for number in range(count):
            begun = time.perf_counter()
            answer = await commands.call_method(method.nodeid, ua.Variant(number % 2 == 0, ua.VariantType.Boolean))
            times.append(time.perf_counter() - begun)
            assert answer[0] == "done", answer
    told("OPC UA", times)


def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench",
         "-addext", "subjectAltName=URI:urn:guideway:bench,DNS:localhost",
         "-addext", "keyUsage=digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment",
         "-addext", "extendedKeyUsage=clientAuth", "-keyout", f"{folder}/client.pem",
         "-outform", "DER", "-out", f"{folder}/client.der"], check=True, capture_output=True)


def main():
    guideway = Path(sys.argv[1]).resolve()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    ports = {name: free_port() for name in ("modbus", "broker", "http", "opcua")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate(folder)
        hashed = subprocess.run([guideway, "opcua", "hash"], input=f"{PASSWORD}\n", capture_output=True, text=True, check=True)
        password = hashed.stdout.strip().replace("$", "$$")
        (folder / "cell.toml").write_text(PROFILE)
        (folder / "mosquitto.conf").write_text(f"listener {ports['broker']} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        (folder / "guideway.toml").write_text(f"""
[gateway]
name = "hall"
data_dir = "data"
[mtconnect]
address = "127.0.0.1"
port = {ports['http']}
[opcua]
address = "127.0.0.1"
port = {ports['opcua']}
trust_all = true
[[opcua.users]]
name = "anna"
password = "{password}"
role = "operator"
[control]
http = true
burst = 1000
per_minute = 6000
[[control.requester]]
name = "twin"
roles = ["operator"]
secret = "{SECRET}"
[[control.permit]]
role = "operator"
devices = ["*"]
commands = ["*"]
[[control.mqtt]]
name = "bench"
url = "mqtt://127.0.0.1:{ports['broker']}"
[[device]]
name = "Cell"
uuid = "cell-uuid"
profile = "./cell.toml"
address = "127.0.0.1:{ports['modbus']}"
commands = ["relay"]
""")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        peer = subprocess.Popen([sys.executable, ROOT / "tests/peers/modbus_peer.py", str(ports["modbus"])],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert peer.stdout.readline().strip() == "ready"
        peer.stdin.write("set 1 coil 10 false false\n")
        peer.stdin.flush()
        peer.stdout.readline()
        broker = subprocess.Popen(["mosquitto", "-c", folder / "mosquitto.conf"], **quiet)
        gateway = subprocess.Popen([guideway, "run", "guideway.toml"], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            for _ in range(200):
                time.sleep(0.1)
                try:
                    health = json.load(urllib.request.urlopen(f"http://127.0.0.1:{ports['http']}/health"))
                except OSError:
                    continue
                connected = health["control"]["devices"]["Cell"]["connected"]
                if connected and health["controlMqtt"][0]["state"] == "connected":
                    break
            time.sleep(0.5)
            over_http(ports["http"], count)
            over_mqtt(ports["broker"], count)
            asyncio.run(over_opcua(ports["opcua"], folder, count))
        finally:
            for process in (gateway, broker, peer):
                process.terminate()
                process.wait()


main()
