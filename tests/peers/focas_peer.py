"""A Fanuc control written from published captures of FOCAS over Ethernet. It only answers reads; what it is asked to
write it would count (`writes`), and nothing should.

argv: port [cnc type: "31" (default), "16", ... ["long": parameters as the 31 has them]]
stdin: see `answer`.
"""

import socket
import struct
import sys
import threading

AREAS = {"G": 0, "F": 1, "Y": 2, "X": 3, "A": 4, "R": 5, "T": 6, "K": 7, "C": 8, "D": 9, "E": 12}
VACANT = struct.pack(">iHH", 0, 10, 0xFFFF)


def scaled(number, decimals):
    return struct.pack(">iHH", round(number * 10**decimals), 10, decimals)


class Cnc:
    def __init__(self, kind, long):
        self.kind, self.long = kind, long
        self.axes = 3
        self.most = 32 if kind == "31" else 8
        self.status = [1, 3, 1, 0, 0, 0, 0]
        self.positions = {4: [1.5, -125.0, 311.1657], 1: [10.5, 20.25, -30.125], 6: [0.5, 0.25, 0.125], 7: [0, 0, 0]}
        self.load = [0, -3, 33]
        self.spindle_load = [42]
        self.speed, self.feed = 1200, 350.5
        self.program, self.main, self.name, self.sequence = 3001, 3000, "SUB3001", 120
        self.alarm_bits, self.alarms = 0, []
        self.timers = [1000, 2000, 300, 4, 5]
        self.macros = {n: n / 8 for n in range(500, 600)}
        self.parameters = {6711: (3, 17), 6712: (3, 1017), 1320: (4, 500.5), 3401: (0, 0x21), 20: (1, 4)}
        self.pmc = {(area, byte): (area * 7 + byte) % 256 for area in AREAS.values() for byte in range(0, 1200)}
        self.refused = set()
        self.refuse_frames = False
        self.largest = [0, 0]
        self.questions = 0
        self.writes = 0
        self.opened = 0
        self.closed = 0

    def values(self, values):
        return b"".join(scaled(v, 4) for v in values) + VACANT * (self.most - len(values))

    def ask(self, device, function, a):
        """A code and data."""
        self.questions += 1
        if (device, function) == (2, 0x8001):
            first, last, area, kind = a[:4]
            found = [self.pmc.get((area, byte)) for byte in range(first, last + 1)]
            if kind != 0 or None in found or ("pmc", area, first) in self.refused:
                return 3, b""
            if any(("pmc", area, byte) in self.refused for byte in range(first, last + 1)):
                return 3, b""
            return 0, bytes(found)
        if device != 1:
            return 1, b""
        if function in self.refused:
            return 6, b""
        match function:
            case 0x18:
                text = (self.kind.rjust(2) + " M" + "G301" + "06.0" + f"{self.axes:02}").encode()
                return 0, struct.pack(">HH", 2, self.most) + text
            case 0x19:
                return 0, struct.pack(">7h", *self.status)
            case 0x26:
                return (0, self.values(self.positions[a[0]])) if a[0] in self.positions else (4, b"")
            case 0x56:
                return 0, b"".join(scaled(v, 0) for v in self.load) + scaled(0, 0) * (self.most - len(self.load))
            case 0x40:
                return 0, b"".join(scaled(v, 0) for v in self.spindle_load)
            case 0x25:
                return 0, scaled(self.speed, 0)
            case 0x24:
                return 0, scaled(self.feed, 1)
            case 0x1C:
                return 0, struct.pack(">ii", self.program, self.main)
            case 0xCF:
                return 0, struct.pack(">i36s", self.program, self.name.encode())
            case 0x1D:
                return 0, struct.pack(">i", self.sequence)
            case 0x1A:
                return 0, struct.pack(">I", self.alarm_bits)
            case 0x23:
                entry = lambda n, t: struct.pack(">iiii64s", n, 1, 0, len(t), t.encode())
                return 0, b"".join(entry(*alarm) for alarm in self.alarms[: a[1]])
            case 0x89:
                return 0, b"".join(name.encode().ljust(4, b"\0") for name in ("X", "Y", "Z"))
            case 0x120:
                seconds = self.timers[a[0]]
                order = ">" if self.kind == "31" else "<"
                return 0, struct.pack(order + "ii", seconds // 60, seconds % 60 * 1000)
            case 0x15:
                found = [("macro", n) in self.refused for n in range(a[0], a[1] + 1)]
                if any(found):
                    return 3, b""
                value = lambda n: scaled(self.macros[n], 3) if n in self.macros else VACANT
                return 0, b"".join(value(n) for n in range(a[0], a[1] + 1))
            case 0x8D | 0x0E:
                if (function == 0x8D) != self.long:
                    return 1, b""
                if a[0] not in self.parameters:
                    return 3, b""
                kind, value = self.parameters[a[0]]
                width = 8 if function == 0x8D else 4
                data = scaled(value, 1) if kind == 4 else struct.pack(">i", value)
                values = data.ljust(width, b"\0")[:width] + bytes(width * (self.most - 1))
                return 0, struct.pack(">IhH", a[0], a[2], kind) + values
            case 0x16 | 0x46 | 0xA8:
                self.writes += 1
        return 1, b""


class Connection(threading.Thread):
    def __init__(self, cnc, sock):
        super().__init__(daemon=True)
        self.cnc, self.sock = cnc, sock
        self.start()

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise OSError
            data += more
        return data

    def send(self, kind, payload):
        self.sock.sendall(struct.pack(">IHHH", 0xA0A0A0A0, 2, kind, len(payload)) + payload)

    def run(self):
        cnc = self.cnc
        try:
            is_open = False
            while True:
                sync, _, kind, length = struct.unpack(">IHHH", self.exactly(10))
                payload = self.exactly(length)
                if sync != 0xA0A0A0A0:
                    break
                if kind == 0x0101 and payload == b"\0\2":
                    is_open = True
                    cnc.opened += 1
                    self.send(0x0102, bytes(2))
                elif kind == 0x0201:
                    cnc.closed += 1
                    self.send(0x0202, b"")
                    break
                elif kind == 0x2101 and is_open:
                    self.answer(payload)
                else:
                    break
        except OSError:
            pass
        self.sock.close()

    def answer(self, payload):
        cnc = self.cnc
        count = struct.unpack(">H", payload[:2])[0]
        if cnc.refuse_frames and count > 1:
            self.send(0x2103, b"\0\1")
            return
        at, answers = 2, []
        for _ in range(count):
            length, device, one, function, *arguments = struct.unpack(">HHHHiiiii", payload[at : at + 28])
            assert (length, one) == (28, 1)
            at += length
            code, data = cnc.ask(device, function, arguments)
            answers.append(struct.pack(">HHHHhHHH", 16 + len(data), device, one, function, code, 0, 0, len(data)) + data)
        out = struct.pack(">H", count) + b"".join(answers)
        cnc.largest = [max(cnc.largest[0], count), max(cnc.largest[1], len(out))]
        self.send(0x2102, out)


def answer(cnc, words):
    match words:
        case ["status", *numbers]:
            cnc.status = [int(n) for n in numbers]
        case ["macro", number, value]:
            cnc.macros[int(number)] = float(value)
        case ["pmc", area, byte, value]:
            cnc.pmc[AREAS[area], int(byte)] = int(value)
        case ["alarm", number, *text]:
            cnc.alarms.append((int(number), " ".join(text)))
            cnc.alarm_bits = 1
        case ["refuse", "macro", number]:
            cnc.refused.add(("macro", int(number)))
        case ["refuse", "pmc", area, byte]:
            cnc.refused.add(("pmc", AREAS[area], int(byte)))
        case ["refuse", "function", number]:
            cnc.refused.add(int(number, 16))
        case ["refuse", "frames"]:
            cnc.refuse_frames = True
        case ["program", number, name]:
            cnc.program, cnc.name = int(number), name
        case ["largest"]:
            return f"{cnc.largest[0]} {cnc.largest[1]}"
        case ["count", name]:
            return str(getattr(cnc, name))
        case _:
            return f"what is {words}?"
    return "ok"


def main():
    kind = sys.argv[2] if len(sys.argv) > 2 else "31"
    cnc = Cnc(kind, kind == "31" or "long" in sys.argv)
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(sys.argv[1])))
    server.listen(64)

    def accept():
        while True:
            sock, _ = server.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Connection(cnc, sock)

    threading.Thread(target=accept, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        print(answer(cnc, line.split()), flush=True)


main()
