"""A Haas control as a client of machine data collection sees it, by the published descriptions.

haas_peer.py PORT-OR-DEVICE [numbered] [plain] [echo] [deaf-first] [mute-writes]

numbered     replies to Q600 name the variable: `MACRO, 5021, -4.633600`
plain        lines behind a prompt, without STX and ETB
echo         each question is sent back first
split-echo   so is its `?`, on a line of its own
deaf-first   the first question of each connection is not answered
mute-writes  E writes, and says nothing to it

Standard input: `set NAME VALUE` (q104, q500, v5021, delay, silent, mute-code, junk), `get v10600`, `foreign TEXT` (a
reply to someone else, now), `clients`.
"""

import os
import random
import selectors
import socket
import sys
import time

FIXED = {
    100: "SERIAL NUMBER, 1234567",
    101: "SOFTWARE VERSION, 100.24.000.1111",
    102: "MODEL, VF2SS",
    104: "MODE, (MDI)",
    200: "TOOL CHANGES, 35",
    201: "USING TOOL, 4",
    300: "P.O. TIME, 06282:17:13",
    301: "C.S. TIME, 00098:18:29",
    303: "LAST CYCLE, 00000:00:13",
    304: "PREV CYCLE, 00000:00:01",
    402: "M30 #1, 380",
    403: "M30 #2, 381",
    500: "PROGRAM, O00110, IDLE, PARTS, 4523",
}


class Control:
    def __init__(self, flags):
        self.flags = flags
        self.replies = dict(FIXED)
        self.variables = {}
        self.settings = {"delay": 0.0, "silent": 0.0, "junk": 0.0, "mute-code": 0.0}

    def value(self, number):
        # Each variable has its number as its value until it is set, so that no two are alike.
        return self.variables.get(number, number / 1000)

    def frame(self, text):
        if "plain" in self.flags:
            return f">{text}\r\n>".encode()
        return b"\x02" + text.encode() + b"\x17\r\n>"

    def answer(self, line):
        """Bytes for one question; empty for none."""
        text = line.strip()
        if not text:
            return b""
        echo = f"{text}\r\r\n".encode() if "echo" in self.flags else b""
        if "split-echo" in self.flags:
            echo = f"?\r\n>{text[1:]}\r\r\n".encode()
        if not text.startswith("?") or len(text) < 3:
            return echo + self.frame("?, BAD MESSAGE")
        kind, rest = text[1], text[2:].split()
        if kind == "E" and len(rest) == 2 and rest[0].isdigit():
            number = int(rest[0])
            if number < 10000:
                return echo + self.frame("?, BAD VARIABLE NUMBER")
            self.variables[number] = float(rest[1])
            return echo if "mute-writes" in self.flags else echo + self.frame("!")
        if kind != "Q" or not rest or not rest[0].isdigit():
            return echo + self.frame("?, BAD MESSAGE")
        code = int(rest[0])
        if code == self.settings["mute-code"]:
            return b""
        if code == 600 and len(rest) == 2 and rest[1].isdigit():
            number = int(rest[1])
            if number == 99:
                return echo + self.frame("MACRO, ?, Q600-1")
            value = "NaN" if number == 98 else f"{self.value(number):.6f}"
            middle = f" {number}," if "numbered" in self.flags else ""
            return echo + self.frame(f"MACRO,{middle} {value:>12}")
        if code in self.replies:
            return echo + self.frame(self.replies[code])
        return echo + self.frame(f"?, ?Q{code}")


class Client:
    def __init__(self, read, write, close):
        self.read, self.write, self.close = read, write, close
        self.buffer = b""
        self.questions = 0


def main():
    place, flags = sys.argv[1], set(sys.argv[2:])
    control = Control(flags)
    selector = selectors.DefaultSelector()
    clients = []
    listener = None
    if place.startswith("/"):
        device = os.open(place, os.O_RDWR | os.O_NOCTTY)
        client = Client(lambda: os.read(device, 4096), lambda data: os.write(device, data), lambda: None)
        clients.append(client)
        selector.register(device, selectors.EVENT_READ, client)
    else:
        listener = socket.create_server(("127.0.0.1", int(place)), backlog=128)
        selector.register(listener, selectors.EVENT_READ, "listener")
    selector.register(sys.stdin, selectors.EVENT_READ, "stdin")
    print("ready", flush=True)

    def drop(client, handle):
        selector.unregister(handle)
        clients.remove(client)
        client.close()

    def broadcast(data):
        if not data or control.settings["silent"]:
            return
        if control.settings["delay"]:
            time.sleep(control.settings["delay"])
        if control.settings["junk"]:
            data = bytes(random.randrange(32, 127) for _ in range(20)) + b"\r\n" + data
        for client in list(clients):
            try:
                client.write(data)
            except OSError:
                pass

    while True:
        for key, _ in selector.select():
            if key.data == "listener":
                connection, _ = listener.accept()
                # Trials of many connections need more than the two that a control takes.
                most = 2 if "two" in flags else 64
                if len(clients) >= most:
                    connection.close()
                    continue
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client = Client(lambda c=connection: c.recv(4096), connection.sendall, connection.close)
                clients.append(client)
                selector.register(connection, selectors.EVENT_READ, client)
            elif key.data == "stdin":
                line = sys.stdin.readline()
                if not line:
                    return
                words = line.strip().split(" ", 2)
                if words[0] == "set" and words[1].startswith("q"):
                    control.replies[int(words[1][1:])] = words[2]
                    print("ok", flush=True)
                elif words[0] == "set" and words[1].startswith("v"):
                    control.variables[int(words[1][1:])] = float(words[2])
                    print("ok", flush=True)
                elif words[0] == "set":
                    control.settings[words[1]] = float(words[2])
                    print("ok", flush=True)
                elif words[0] == "get":
                    print(control.value(int(words[1][1:])), flush=True)
                elif words[0] == "foreign":
                    broadcast(control.frame(line.strip().split(" ", 1)[1]))
                    print("ok", flush=True)
                elif words[0] == "clients":
                    print(len(clients), flush=True)
                else:
                    print("what?", flush=True)
            else:
                client = key.data
                try:
                    data = client.read()
                except OSError:
                    data = b""
                if not data:
                    drop(client, key.fileobj)
                    continue
                client.buffer = (client.buffer + data)[-4096:]
                while b"\n" in client.buffer:
                    question, client.buffer = client.buffer.split(b"\n", 1)
                    client.questions += 1
                    if "deaf-first" in flags and client.questions == 1:
                        continue
                    broadcast(control.answer(question.decode("ascii", "replace")))


if __name__ == "__main__":
    main()
