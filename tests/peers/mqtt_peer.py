"""mosquitto as a peer of the `mqtt` adapter.

    mqtt_peer.py PORT [tick] [TEXT=VALUE ...]

`tick` publishes a count to `tick` every 20 ms. `conf=FILE` adds a file to the configuration (it replaces
`allow_anonymous`), `tls=FOLDER` makes the listener an encrypted one with ca.pem, server.pem and server.key of that
folder, `user=NAME` and `password=WORD` are who this script itself is to the broker.

Commands, each answered with one line:
    pub QOS RETAIN TOPIC PAYLOAD   publishes (RETAIN 0 or 1; the payload is the rest of the line, `\\n` a line end)
    file QOS RETAIN TOPIC FILE     publishes what a file holds
    flood QOS COUNT TOPIC          publishes 0 to COUNT - 1, waits until the broker has all
    spread RETAIN COUNT TOPIC      publishes 0 to COUNT - 1 to TOPIC/0, TOPIC/1, …
    get TOPIC                      the last payload published to it, with its QoS: `1 payload`, or `nothing`
    wait TOPIC PAYLOAD             waits until that was published to it
"""

import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PORT = sys.argv[1]
WORDS = sys.argv[2:]
OPTIONS = dict(word.split("=", 1) for word in WORDS if "=" in word)


def die_with_parent():
    """A broker must not outlive a peer that is killed."""
    ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL)


def program(name):
    path = os.path.join("/usr/sbin", name)
    return path if os.path.exists(path) else name


def configuration(folder):
    lines = [
        f"listener {PORT} 127.0.0.1",
        # Another user would lose the parent's signal, and could not read the certificates.
        f"user {getpass.getuser()}",
        "set_tcp_nodelay true",
        "max_queued_messages 1000000",
        "log_dest stderr",
        "log_type error",
        "sys_interval 0",
    ]
    if "tls" in OPTIONS:
        files = OPTIONS["tls"]
        lines += [f"cafile {files}/ca.pem", f"certfile {files}/server.pem", f"keyfile {files}/server.key"]
    if "conf" in OPTIONS:
        with open(OPTIONS["conf"], encoding="utf-8") as more:
            lines += more.read().splitlines()
    else:
        lines.append("allow_anonymous true")
    path = os.path.join(folder, "mosquitto.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def client(name, *arguments, **more):
    common = ["-h", "127.0.0.1", "-p", PORT]
    if "tls" in OPTIONS:
        files = OPTIONS["tls"]
        common += ["--cafile", f"{files}/ca.pem", "--cert", f"{files}/client.pem", "--key", f"{files}/client.key"]
        common += ["--insecure"]
    if "user" in OPTIONS:
        common += ["-u", OPTIONS["user"], "-P", OPTIONS["password"]]
    return subprocess.Popen([name, *common, *arguments], preexec_fn=die_with_parent, **more)


def publish(qos, retain, topic, payload):
    flags = ["-q", qos, "-t", topic, "-s"] + (["-r"] if retain == "1" else [])
    process = client("mosquitto_pub", *flags, stdin=subprocess.PIPE)
    process.communicate(payload)
    return "ok" if process.returncode == 0 else f"mosquitto_pub says {process.returncode}"


def flood(qos, count, topic):
    # One mosquitto_pub loses count when its packet ids begin anew, at 65,536.
    for start in range(0, int(count), 20_000):
        process = client("mosquitto_pub", "-q", qos, "-t", topic, "-l", stdin=subprocess.PIPE)
        numbers = range(start, min(start + 20_000, int(count)))
        process.communicate("".join(f"{number}\n" for number in numbers).encode())
        if process.returncode != 0:
            return f"mosquitto_pub says {process.returncode}"
    return "ok"


def spread(retain, count, topic):
    """Publishes at quality 0 to TOPIC/0, TOPIC/1, …: one connection, packets written by hand."""

    def packet(kind, body):
        length, size = b"", len(body)
        while True:
            size, rest = divmod(size, 128)
            length += bytes([rest | (128 if size else 0)])
            if not size:
                return bytes([kind]) + length + body

    def text(word):
        return len(word).to_bytes(2, "big") + word.encode()

    with socket.create_connection(("127.0.0.1", int(PORT)), 10) as broker:
        broker.sendall(packet(0x10, text("MQTT") + b"\x04\x02\x00\x3c" + text("spread")))
        if broker.recv(4) != b"\x20\x02\x00\x00":
            return "refused"
        kind = 0x31 if retain == "1" else 0x30
        for number in range(int(count)):
            broker.sendall(packet(kind, text(f"{topic}/{number}") + str(number).encode()))
        # A ping's answer comes after everything before it was taken.
        broker.sendall(b"\xc0\x00")
        answer = broker.recv(2)
        broker.sendall(b"\xe0\x00")
    return "ok" if answer == b"\xd0\x00" else "no answer"


def tick():
    process = client("mosquitto_pub", "-q", "1", "-t", "tick", "-l", stdin=subprocess.PIPE)
    number = 0
    while True:
        process.stdin.write(f"{number}\n".encode())
        process.stdin.flush()
        number += 1
        time.sleep(0.02)


SEEN = {}
CHANGED = threading.Condition()


def watch():
    process = client("mosquitto_sub", "-q", "2", "-t", "#", "-F", "%t %q %p", stdout=subprocess.PIPE)
    for line in process.stdout:
        topic, rest = line.decode(errors="replace").rstrip("\n").split(" ", 1)
        with CHANGED:
            SEEN[topic] = rest
            CHANGED.notify_all()


def wait_for(topic, payload):
    deadline = time.monotonic() + 10
    with CHANGED:
        while SEEN.get(topic, "")[2:] != payload:
            if not CHANGED.wait(deadline - time.monotonic()):
                return f"it is {SEEN.get(topic, 'nothing')}"
    return "ok"


def answer(line):
    command, _, rest = line.partition(" ")
    if command == "pub":
        qos, retain, topic, payload = rest.split(" ", 3)
        return publish(qos, retain, topic, payload.replace("\\n", "\n").encode())
    if command == "file":
        qos, retain, topic, path = rest.split(" ", 3)
        with open(path, "rb") as file:
            return publish(qos, retain, topic, file.read())
    if command == "flood":
        return flood(*rest.split(" ", 2))
    if command == "spread":
        return spread(*rest.split(" ", 2))
    if command == "get":
        with CHANGED:
            return SEEN.get(rest, "nothing")
    if command == "wait":
        return wait_for(*rest.split(" ", 1))
    return "no such command"


def main():
    folder = tempfile.mkdtemp(prefix="mqtt-peer-")
    broker = subprocess.Popen([program("mosquitto"), "-c", configuration(folder)], preexec_fn=die_with_parent)
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", int(PORT)), 1).close()
            break
        except OSError:
            if broker.poll() is not None:
                sys.exit(f"mosquitto ended with {broker.returncode}")
            time.sleep(0.02)
    # It is read; a peer that is killed could not take it away.
    shutil.rmtree(folder)
    if "quiet" not in WORDS:
        threading.Thread(target=watch, daemon=True).start()
        while "peer/ready" not in SEEN:
            publish("0", "0", "peer/ready", b"1")
    if "tick" in WORDS:
        threading.Thread(target=tick, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        print(answer(line.rstrip("\n")), flush=True)
    broker.kill()


main()
