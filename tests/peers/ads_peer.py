"""An ADS controller written from Beckhoff's description of the protocol, for what pyads' test server lacks: sum
commands with a code for each item, notifications over TCP, symbol versions and online changes, symbol upload, data
types, states, and errors.

argv: port [number of DINTs G.n0, G.n1, ...]
stdin: see `answer`.
"""

import socket
import struct
import sys
import threading
import time

READ, WRITE, STATE, ADD, DELETE, NOTE, READ_WRITE = 2, 3, 4, 6, 7, 8, 9
MEMORY = 0x4040
EPOCH = 116444736000000000
STATES = {"RUN": 5, "STOP": 6, "CONFIG": 15}

# name: (type name, ADS type, flags, format, value)
SYMBOLS = {
    "GVL.bRun": ("BOOL", 33, 8, "<?", (True,)),
    "GVL.nShort": ("SINT", 16, 8, "<b", (-5,)),
    "GVL.nByte": ("BYTE", 17, 8, "<B", (250,)),
    "GVL.nInt": ("INT", 2, 8, "<h", (-1234,)),
    "GVL.nWord": ("WORD", 18, 8, "<H", (0xBEEF,)),
    "GVL.nCount": ("DINT", 3, 8, "<i", (123456,)),
    "GVL.nUdint": ("UDINT", 19, 8, "<I", (4000000000,)),
    "GVL.nLong": ("LINT", 20, 8, "<q", (-(2**40),)),
    "GVL.nLarge": ("ULINT", 21, 8, "<Q", (2**64 - 1,)),
    "GVL.fReal": ("REAL", 4, 8, "<f", (0.1,)),
    "GVL.fLong": ("LREAL", 5, 8, "<d", (0.1,)),
    "GVL.sName": ("STRING(10)", 30, 8, "<11s", ("Größe".encode("latin-1"),)),
    "GVL.wName": ("WSTRING(5)", 31, 8, "<12s", ("€uro".encode("utf-16-le"),)),
    "GVL.tCycle": ("TIME", 19, 8, "<I", (1500,)),
    "GVL.dtLast": ("DATE_AND_TIME", 19, 8, "<I", (1709274600,)),
    "GVL.eState": ("E_State", 2, 8, "<h", (3,)),
    "GVL.aLimits": ("ARRAY [0..2] OF REAL", 4, 8, "<3f", (1.0, 2.5, 3.0)),
    "GVL.aNames": ("ARRAY [1..2] OF STRING(3)", 30, 8, "<4s4s", (b"ab", b"cde")),
    "GVL.stCell": ("ST_Cell", 65, 8, "<hxxf4s", (7, 0.5, b"abc")),
    "GVL.pCell": ("POINTER TO ST_Cell", 65, 8, "<Q", (0,)),
    "GVL.nFixed": ("INT", 2, 8 | 0x20, "<h", (42,)),
    "MAIN.nStep": ("INT", 2, 8, "<h", (1,)),
}
# What device-profiles/beckhoff-twincat-cell.toml asks of a program.
for _name, _symbol in {
    "eState": ("E_CellState", 2, 8, "<h", (1,)),
    "eMode": ("E_CellMode", 2, 8, "<h", (1,)),
    "bEStopOk": ("BOOL", 33, 8, "<?", (True,)),
    "bDoorClosed": ("BOOL", 33, 8, "<?", (True,)),
    "sRecipe": ("STRING(30)", 30, 8, "<31s", (b"R-1",)),
    "nPartsGood": ("UDINT", 19, 8, "<I", (120,)),
    "nPartsBad": ("UDINT", 19, 8, "<I", (3,)),
    "tLastCycle": ("TIME", 19, 8, "<I", (4250,)),
    "fForce": ("LREAL", 5, 8, "<d", (1250.5,)),
    "fPosition": ("LREAL", 5, 8, "<d", (12.25,)),
    "fVelocity": ("LREAL", 5, 8, "<d", (80.0,)),
    "fTorque": ("LREAL", 5, 8, "<d", (41.5,)),
    "fOilTemp": ("REAL", 4, 8, "<f", (48.5,)),
    "bAxisError": ("BOOL", 33, 8, "<?", (False,)),
    "nAxisError": ("UDINT", 19, 8, "<I", (0,)),
    "aAlarms": ("ARRAY [0..3] OF WORD", 18, 8, "<4H", (0, 1, 0, 0)),
    "sCmdRecipe": ("STRING(30)", 30, 8, "<31s", (b"",)),
    "nCmdTarget": ("UDINT", 19, 8, "<I", (0,)),
    "nCommand": ("UINT", 18, 8, "<H", (0,)),
    "nAck": ("UINT", 18, 8, "<H", (0,)),
    "nResult": ("UINT", 18, 8, "<H", (0,)),
}.items():
    SYMBOLS[f"GVL_Guideway.{_name}"] = _symbol
TYPES = {
    "ST_CELL": ("ST_Cell", 12, [("nForce", "INT", 2, 0, 2), ("fTemp", "REAL", 4, 4, 4), ("sId", "STRING(3)", 4, 8, 30)]),
}


class Plc:
    def __init__(self, extra):
        self.lock = threading.RLock()
        self.version = 1
        self.state = 5
        self.route = True
        self.sums = True
        self.sum_limit = 500
        self.busy = 0
        self.largest_sum = 0
        self.largest_reply = 0
        self.counts = {}
        self.errors = {}
        self.symbols = dict(SYMBOLS)
        for index in range(extra):
            self.symbols[f"G.n{index}"] = ("DINT", 3, 8, "<i", (index * 10,))
        self.memory = {name: bytearray(struct.pack(s[3], *s[4])) for name, s in self.symbols.items()}
        self.handles = {}
        self.notes = {}
        self.next = 100
        self.base = 0
        self.clock = 0
        self.lay_out()

    def lay_out(self):
        """Gives every symbol its place."""
        self.places, at = {}, self.base
        for name, memory in self.memory.items():
            self.places[name] = at
            at += len(memory) + 4
        self.by_place = {place: name for name, place in self.places.items()}

    def find(self, name):
        for known in self.symbols:
            if known.upper() == name.upper():
                return known
        return None

    def entry(self, name):
        """A symbol's entry, also of an array's element or a structure's member."""
        known = self.find(name)
        if known:
            type_name, ads_type, flags, _, _ = self.symbols[known]
            return self.pack_entry(known, self.places[known], len(self.memory[known]), ads_type, flags, type_name)
        if name.upper() == "GVL.STCELL.FTEMP":
            return self.pack_entry(name, self.places["GVL.stCell"] + 4, 4, 4, 8, "REAL")
        if name.upper() == "GVL.ALIMITS[1]":
            return self.pack_entry(name, self.places["GVL.aLimits"] + 4, 4, 4, 8, "REAL")
        return None

    @staticmethod
    def pack_entry(name, offset, size, ads_type, flags, type_name, comment="made up"):
        texts = [text.encode("latin-1") for text in (name, type_name, comment)]
        body = struct.pack("<IIIIIHHH", MEMORY, offset, size, ads_type, flags, *map(len, texts))
        body += b"".join(text + b"\0" for text in texts) + b"\xaa" * 16
        return struct.pack("<I", len(body) + 4) + body

    @staticmethod
    def pack_type(name, type_name, size, offset, ads_type, flags, fields=()):
        texts = [name.encode(), type_name.encode(), b""]
        body = struct.pack("<IIIIIII", 1, 0, 0, size, offset, ads_type, flags)
        body += struct.pack("<HHHHH", *map(len, texts), 0, len(fields))
        body += b"".join(text + b"\0" for text in texts)
        body += b"".join(Plc.pack_type(n, t, s, o, a, 2) for n, t, s, o, a in fields)
        return struct.pack("<I", len(body) + 4) + body

    def at(self, offset):
        """The symbol at an offset and how far within it."""
        for name, place in self.places.items():
            if place <= offset < place + len(self.memory[name]):
                return name, offset - place
        return None, 0

    def get(self, group, offset, size):
        """A code and bytes."""
        if group == 0xF008:
            return 0, bytes([self.version])
        if group == 0xF005:
            name = self.handles.get(offset)
            return (0x710, b"") if name is None else (0, bytes(self.memory[name][:size]))
        if group == 0xF00C:
            table = b"".join(self.entry(name) for name in self.symbols)
            return 0, struct.pack("<II", len(self.symbols), len(table))
        if group == 0xF00F:
            return 0, (self.get(0xF00C, 0, 8)[1] + bytes(16))[:size]
        if group == 0xF00B:
            return 0, b"".join(self.entry(name) for name in self.symbols)[:size]
        if group != MEMORY:
            return 0x702, b""
        name = self.by_place.get(offset)
        skip = 0
        if name is None:
            name, skip = self.at(offset)
        if name is None:
            return 0x703, b""
        if name in self.errors:
            return self.errors[name], b""
        if skip + size > len(self.memory[name]):
            return 0x705, b""
        return 0, bytes(self.memory[name][skip : skip + size])

    def put(self, group, offset, data):
        if group == 0xF006:
            return 0 if self.handles.pop(struct.unpack("<I", data)[0], None) else 0x710
        if group == 0xF005:
            name, skip = self.handles.get(offset), 0
            if name is None:
                return 0x710
            if len(data) != len(self.memory[name]):
                return 0x705
        elif group == MEMORY:
            name, skip = self.at(offset)
            if name is None or skip + len(data) > len(self.memory[name]):
                return 0x703
        else:
            return 0x702
        if self.symbols[name][2] & 0x20:
            return 0x704
        self.memory[name][skip : skip + len(data)] = data
        if name == "GVL_Guideway.nCommand":
            self.obey(int.from_bytes(data, "little"))
        return 0

    def obey(self, command):
        """The cell's program: does a command and repeats its number."""
        memory = self.memory
        if command == 11:
            memory["GVL_Guideway.sRecipe"][:] = memory["GVL_Guideway.sCmdRecipe"]
        elif command == 13:
            memory["GVL_Guideway.nPartsGood"][:] = memory["GVL_Guideway.nPartsBad"][:] = bytes(4)
        memory["GVL_Guideway.nAck"][:] = struct.pack("<H", command)

    def ask(self, group, offset, room, data):
        """A code and bytes, for a read-write."""
        if group == 0xF003:
            name = self.find(data.rstrip(b"\0").decode("latin-1"))
            if name is None:
                return 0x710, b""
            self.next += 1
            self.handles[self.next] = name
            return 0, struct.pack("<I", self.next)
        if group == 0xF009:
            entry = self.entry(data.rstrip(b"\0").decode("latin-1"))
            if entry is None:
                return 0x710, b""
            return (0x705, b"") if len(entry) > room else (0, entry)
        if group == 0xF011:
            known = TYPES.get(data.rstrip(b"\0").decode("latin-1").upper())
            return (0x710, b"") if known is None else (0, self.pack_type(known[0], "", known[1], 0, 65, 1, known[2]))
        if not self.sums:
            return 0x701, b""
        if group == 0xF080 and self.busy:
            return self.busy, b""
        if group in (0xF080, 0xF082):
            if offset > self.sum_limit:
                return 0x705, b""
            self.largest_sum = max(self.largest_sum, offset)
        if group == 0xF080:
            items = [struct.unpack_from("<III", data, 12 * n) for n in range(offset)]
            found = [self.get(*item) for item in items]
            # An item that failed has its room in the data, as TwinCAT has it.
            values = b"".join(value if code == 0 else bytes(size) for (code, value), (_, _, size) in zip(found, items))
            return 0, b"".join(struct.pack("<I", code) for code, _ in found) + values
        if group == 0xF082:
            items = [struct.unpack_from("<IIII", data, 16 * n) for n in range(offset)]
            at, found = 16 * offset, []
            for g, o, r, w in items:
                found.append(self.ask(g, o, r, data[at : at + w]))
                at += w
            return 0, b"".join(struct.pack("<II", c, len(v)) for c, v in found) + b"".join(v for _, v in found)
        return 0x702, b""


class Connection:
    def __init__(self, plc, sock):
        self.plc, self.sock, self.send_lock = plc, sock, threading.Lock()
        self.open = True
        self.own = {}
        self.peer = None
        threading.Thread(target=self.run, daemon=True).start()
        threading.Thread(target=self.watch, daemon=True).start()

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise OSError
            data += more
        return data

    def send(self, target, source, command, flags, error, invoke, payload):
        head = target + source + struct.pack("<HHIII", command, flags, len(payload), error, invoke)
        frame = struct.pack("<HI", 0, len(head) + len(payload)) + head + payload
        self.plc.largest_reply = max(self.plc.largest_reply, len(frame))
        with self.send_lock:
            self.sock.sendall(frame)

    def run(self):
        try:
            while True:
                _, length = struct.unpack("<HI", self.exactly(6))
                body = self.exactly(length)
                if not self.plc.route:
                    break
                target, source = body[:8], body[8:16]
                command, flags, size, _, invoke = struct.unpack("<HHIII", body[16:32])
                self.peer = (source, target)
                with self.plc.lock:
                    self.plc.counts[command] = self.plc.counts.get(command, 0) + 1
                    error, payload = self.handle(struct.unpack("<H", target[6:])[0], command, body[32:])
                self.send(source, target, command, flags | 1, error, invoke, payload)
        except OSError:
            pass
        self.open = False
        self.sock.close()
        with self.plc.lock:
            for handle in self.own:
                self.plc.notes.pop(handle, None)

    def handle(self, port, command, data):
        plc = self.plc
        if port != 851:
            return 6, b""
        if command == 1:
            return 0, struct.pack("<IBBH16s", 0, 3, 1, 4024, b"Plc30 App")
        if command == READ:
            code, value = plc.get(*struct.unpack("<III", data))
            return 0, struct.pack("<I", code) + (struct.pack("<I", len(value)) + value if code == 0 else b"\0" * 4)
        if command == WRITE:
            group, offset, size = struct.unpack("<III", data[:12])
            return 0, struct.pack("<I", plc.put(group, offset, data[12 : 12 + size]))
        if command == STATE:
            return 0, struct.pack("<IHH", 0, plc.state, 0)
        if command == READ_WRITE:
            group, offset, room, size = struct.unpack("<IIII", data[:16])
            code, value = plc.ask(group, offset, room, data[16 : 16 + size])
            return 0, struct.pack("<II", code, len(value)) + value
        if command == ADD:
            group, offset, size, mode, _, cycle = struct.unpack("<IIIIII", data[:24])
            code, _ = plc.get(group, offset, size)
            if code == 0 and (mode != 4 or len(data) != 40):
                code = 0x713
            if code == 0 and len(plc.notes) >= 600:
                code = 0x716
            if code:
                return 0, struct.pack("<II", code, 0)
            plc.next += 1
            self.own[plc.next] = [group, offset, size, cycle / 1e7, 0.0, None]
            plc.notes[plc.next] = self
            return 0, struct.pack("<II", 0, plc.next)
        if command == DELETE:
            handle = struct.unpack("<I", data)[0]
            plc.notes.pop(handle, None)
            return 0, struct.pack("<I", 0 if self.own.pop(handle, None) else 0x714)
        return 8, b""

    def watch(self):
        """Looks once a cycle and sends what has changed; the first look always sends."""
        while self.open:
            time.sleep(0.005)
            samples = []
            with self.plc.lock:
                now = time.monotonic()
                for handle, note in list(self.own.items()):
                    if now < note[4] or (self.plc.state != 5):
                        continue
                    note[4] = now + note[3]
                    code, value = self.plc.get(*note[:3])
                    if code == 0 and value != note[5]:
                        note[5] = value
                        samples.append((handle, value))
                stamp = self.plc.clock or int(time.time() * 1e7) + EPOCH
            if samples and self.peer:
                body = struct.pack("<IQI", 1, stamp, len(samples))
                body += b"".join(struct.pack("<II", h, len(v)) + v for h, v in samples)
                try:
                    self.send(*self.peer, NOTE, 4, 0, 0, struct.pack("<I", len(body)) + body)
                except OSError:
                    return


def answer(plc, words):
    match words:
        case ["set", name, value]:
            fmt = plc.symbols[name][3]
            plc.memory[name][:] = struct.pack(fmt, value.encode("latin-1") if fmt.endswith("s") else eval(value))  # noqa: S307
            return "ok"
        case ["get", name]:
            values = struct.unpack(plc.symbols[name][3], bytes(plc.memory[name]))
            return str([v.rstrip(b"\0") if isinstance(v, bytes) else v for v in values])
        case ["state", word]:
            plc.state = STATES[word]
        case ["move"]:  # an online change: everything lies elsewhere, and something else lies where it was
            plc.base += 6
            plc.version = plc.version % 255 + 1
            plc.lay_out()
        case ["drop", name]:
            plc.version = plc.version % 255 + 1
            plc.memory.pop(name)
            plc.symbols.pop(name)
            plc.lay_out()
        case ["error", name, code]:
            plc.errors[name] = int(code, 16)
        case ["well", name]:
            plc.errors.pop(name)
        case ["route", word]:
            plc.route = word == "on"
        case ["busy", code]:
            plc.busy = int(code, 16)
        case ["sums", word]:
            plc.sums = word == "on"
        case ["clock", filetime]:
            plc.clock = int(filetime)
        case ["largest"]:
            return f"{plc.largest_sum} {plc.largest_reply}"
        case ["count", command]:
            return str(plc.counts.get(int(command), 0))
        case ["notifications"]:
            return str(len(plc.notes))
        case ["handles"]:
            return str(len(plc.handles))
        case ["stray"]:  # a sample that nobody on this connection asked for
            for connection in {*plc.notes.values()}:
                body = struct.pack("<IQIII", 1, EPOCH, 1, 7, 0)
                connection.send(*connection.peer, NOTE, 4, 0, 0, struct.pack("<I", len(body)) + body)
        case _:
            return f"what is {words}?"
    return "ok"


def main():
    plc = Plc(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(sys.argv[1])))
    server.listen(64)

    def accept():
        while True:
            sock, _ = server.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Connection(plc, sock)

    threading.Thread(target=accept, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        with plc.lock:
            print(answer(plc, line.split()), flush=True)


main()
