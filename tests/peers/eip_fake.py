"""A Logix controller as 1756-PM020 and the CIP Networks Library describe it, for what cm-ethernetip does not serve:
structures with templates, fragments, limits of packets, routes, strings, program tags, refusals.

Usage: eip_fake.py PORT [small|unconnected|single|direct|old]...
  small        no Large Forward Open          unconnected  no Forward Open at all
  old          no External Access in the list of tags (Unsigned is read only, Word has none)
  single       no Multiple Service Packet     direct       no routes: an Unconnected Send is refused
Lines on standard input: `set TAG HEX`, `get TAG` (bytes in hexadecimal), `packets` (requests since the last time, and
the largest request and reply in bytes), `refuse TAG STATUS` (in hexadecimal; 0 ends it).
"""

import asyncio
import struct
import sys

SIZES = {0xC1: 1, 0xC2: 1, 0xC3: 2, 0xC4: 4, 0xC5: 8, 0xC6: 1, 0xC7: 2, 0xC8: 4, 0xC9: 8, 0xCA: 4, 0xCB: 8, 0xD3: 4}
OPTIONS = set(sys.argv[2:])
UNCONNECTED = 504


class Refusal(Exception):
    """A CIP status."""

    def __init__(self, status, extended=None):
        super().__init__(status)
        self.status, self.extended = status, extended


class Structure:
    """A user-defined type: members are (name, type, elements, offset, bit)."""

    known = {}

    def __init__(self, instance, handle, name, size, members):
        self.instance, self.handle, self.name, self.size, self.members = instance, handle, name, size, members
        Structure.known[instance] = self

    def description(self):
        table, names = b"", self.name.encode() + b";nEBEC\0"
        for name, kind, count, offset, bit in self.members:
            word = 0x8000 | kind.instance if isinstance(kind, Structure) else kind
            if count:
                word |= 0x2000
            table += struct.pack("<HHI", count or bit or 0, word, offset)
            names += name.encode() + b"\0"
        return table + names

    def words(self):
        # What is read is 23 bytes less than what is said.
        return (len(self.description()) + 23 + 3) // 4


STRING = Structure(0xFCE, 0x0FCE, "STRING", 88, [("LEN", 0xC4, 0, 0, 0), ("DATA", 0xC2, 82, 4, 0)])
STRING20 = Structure(0x201, 0xA1B2, "STRING20", 24, [("LEN", 0xC4, 0, 0, 0), ("DATA", 0xC2, 20, 4, 0)])
AXIS = Structure(
    0x202, 0x1111, "Axis", 16, [("Position", 0xCA, 0, 0, 0), ("Load", 0xC3, 0, 4, 0), ("Limits", 0xC4, 2, 8, 0)]
)
CELL = Structure(
    0x203,
    0x2222,
    "CellState",
    136,
    [
        ("State", 0xC4, 0, 0, 0),
        ("ZZZZZZZZZZCellState1", 0xC2, 0, 4, 0),
        ("Running", 0xC1, 0, 4, 0),
        ("Fault", 0xC1, 0, 4, 3),
        ("Alarms", 0xD3, 1, 8, 0),
        ("Axes", AXIS, 2, 12, 0),
        ("Recipe", STRING, 0, 44, 0),
        ("Words", 0xC3, 2, 132, 0),
    ],
)
BIG = Structure(
    0x204,
    0x3333,
    "Big",
    4000,
    [(f"AMemberWithQuiteALongName{index:04}", 0xC4, 0, 4 * index, 0) for index in range(1000)],
)
GW_CELL = Structure(
    0x205,
    0x4444,
    "GW_Cell",
    348,
    [
        ("State", 0xC4, 0, 0, 0),
        ("Mode", 0xC4, 0, 4, 0),
        ("ZZZZZZZZZZGW_Cell2", 0xC2, 0, 8, 0),
        ("EStopOk", 0xC1, 0, 8, 0),
        ("GuardClosed", 0xC1, 0, 8, 1),
        ("Recipe", STRING, 0, 12, 0),
        ("PartId", STRING, 0, 100, 0),
        ("PartsGood", 0xC4, 0, 188, 0),
        ("PartsBad", 0xC4, 0, 192, 0),
        *[
            (name, 0xCA, 0, 196 + 4 * index, 0)
            for index, name in enumerate(
                ["CycleTime", "Force", "Position", "Velocity", "Load", "OilTemp", "AirPressure", "Power"]
            )
        ],
        ("AxisFault", 0xC4, 0, 228, 0),
        ("Alarms", 0xC4, 2, 232, 0),
        ("MinorFaults", 0xC4, 0, 240, 0),
        ("CmdRecipe", STRING, 0, 244, 0),
        ("CmdTarget", 0xC4, 0, 332, 0),
        ("Command", 0xC4, 0, 336, 0),
        ("Ack", 0xC4, 0, 340, 0),
        ("Result", 0xC4, 0, 344, 0),
    ],
)


def size_of(kind):
    return kind.size if isinstance(kind, Structure) else SIZES[kind]


class Tag:
    def __init__(self, name, kind, dimensions=(), data=b"", system=False):
        self.name, self.kind, self.dimensions, self.system = name, kind, dimensions, system
        count = 1
        for size in dimensions:
            count *= size
        self.count = count
        self.data = bytearray(size_of(kind) * count)
        self.data[: len(data)] = data


def text(value, room):
    return struct.pack("<I", len(value)) + value.encode().ljust(room, b"\0")


def cell(state, running):
    data = struct.pack("<iBxxxI", state, 0b1000 | running, 0x80000002)
    data += struct.pack("<fhxxii", 1.5, 40, -10, 10) + struct.pack("<fhxxii", 2.5, -41, -20, 20)
    return data + text("PART-7", 84) + struct.pack("<hh", 5, -6)


def gw_cell():
    data = struct.pack("<iiBxxx", 1, 1, 0b11) + text("RECIPE-1", 84) + text("PART-1", 84)
    data += struct.pack("<ii8f", 120, 3, 12.5, 900.0, 10.25, 1.5, 40.0, 55.5, 6.0, 3.2)
    return data + struct.pack("<iIIi", 0, 1, 2, 0)


SCOPES = {
    "": [
        Tag("Flag", 0xC1, (), b"\x01"),
        Tag("Rate", 0xC4, (), struct.pack("<i", 1500)),
        Tag("Unsigned", 0xC9, (), b"\xff" * 8),
        Tag("Word", 0xC7, (), b"\xfe\xff"),
        Tag("Cell", CELL, (), cell(7, 1)),
        Tag("Cells", CELL, (3,), cell(1, 0) + cell(2, 1) + cell(3, 0)),
        Tag("Recipe", STRING, (), text("ABC", 84)),
        Tag("Names", STRING20, (3,), b"".join(text(name, 20) for name in ("one", "two", "three"))),
        Tag("Big", BIG, (), b"".join(struct.pack("<i", index) for index in range(1000))),
        Tag("Table", 0xC4, (4, 5), b"".join(struct.pack("<i", index) for index in range(20))),
        Tag("Curve", 0xCA, (10000,), b"".join(struct.pack("<f", index / 4) for index in range(10000))),
        Tag("Flags", 0xD3, (4,), struct.pack("<IIII", 1, 1 << 5, 0, 1 << 31)),
        Tag("Letters", 0xC2, (8,), b"PART"),
        Tag("Command", 0xC4),
        Tag("Guideway", GW_CELL, (), gw_cell()),
        Tag("__System", 0xC4, (), b"", True),
        Tag("Program:Main", 0xC4, (), b"", True),
    ],
    "program:main": [Tag("Cycle", 0xC4, (), struct.pack("<i", 77)), Tag("Local", CELL, (), cell(9, 1))],
}
SCOPES[""] += [Tag(f"D{index}", 0xC4, (), struct.pack("<i", index)) for index in range(3000)]
NAMES = {scope: {tag.name.lower(): tag for tag in tags} for scope, tags in SCOPES.items()}
REFUSED = {}
SEEN = [0, 0, 0]


def segments(path):
    """Symbolic names, classes, instances, elements and attributes in order."""
    at, found = 0, []
    while at < len(path):
        kind = path[at]
        if kind == 0x91:
            length = path[at + 1]
            found.append(("name", path[at + 2 : at + 2 + length].decode("ascii")))
            at += 2 + length + length % 2
        elif kind & 0xE0 == 0x20:
            what = {0x00: "class", 0x04: "instance", 0x08: "element", 0x10: "attribute"}[kind & 0x1C]
            width = kind & 3
            if width == 0:
                found.append((what, path[at + 1]))
                at += 2
            elif width == 1:
                found.append((what, struct.unpack_from("<H", path, at + 2)[0]))
                at += 4
            else:
                found.append((what, struct.unpack_from("<I", path, at + 2)[0]))
                at += 6
        else:
            raise Refusal(0x04)
    return found


class Place:
    """Bytes of a tag: a type, how many elements follow, where, and the bit of a BOOL in a structure."""

    def __init__(self, tag, kind, count, offset, bit=None):
        self.tag, self.kind, self.count, self.offset, self.bit = tag, kind, count, offset, bit

    def code(self):
        if isinstance(self.kind, Structure):
            return struct.pack("<HH", 0x02A0, self.kind.handle)
        return struct.pack("<H", self.kind)


def find(parts):
    parts = list(parts)
    scope = ""
    if parts[0][1].lower().startswith("program:"):
        scope = parts.pop(0)[1].lower()
    tag = NAMES.get(scope, {}).get(parts[0][1].lower()) if parts else None
    if tag is None:
        raise Refusal(0x04 if parts else 0x05, 0)
    if tag.name.lower() in REFUSED:
        raise Refusal(REFUSED[tag.name.lower()])
    place = Place(tag, tag.kind, tag.count, 0)
    dimensions, indices = list(tag.dimensions), []
    for what, value in [*parts[1:], ("end", None)]:
        if what == "element":
            indices.append(value)
            continue
        if indices:
            if len(indices) != len(dimensions) or any(i >= d for i, d in zip(indices, dimensions)):
                raise Refusal(0xFF, 0x2105)
            flat = 0
            for index, size in zip(indices, dimensions):
                flat = flat * size + index
            place.offset += flat * size_of(place.kind)
            place.count -= flat
            indices, dimensions = [], []
        if what == "name":
            if not isinstance(place.kind, Structure) or dimensions:
                raise Refusal(0x05)
            member = [m for m in place.kind.members if m[0].lower() == value.lower()]
            if not member:
                raise Refusal(0x05)
            _, kind, count, offset, bit = member[0]
            place = Place(tag, kind, count or 1, place.offset + offset, bit if kind == 0xC1 else None)
            dimensions = [count] if count else []
        elif what != "end":
            raise Refusal(0x04)
    return place


def content(place, count):
    if count < 1 or count > place.count:
        raise Refusal(0xFF, 0x2105)
    if place.bit is not None:
        return bytes([place.tag.data[place.offset] >> place.bit & 1])
    return bytes(place.tag.data[place.offset : place.offset + count * size_of(place.kind)])


def read(place, data, room):
    (count,) = struct.unpack_from("<H", data)
    return pieces(place, content(place, count), 0, room)


def read_fragmented(place, data, room):
    count, start = struct.unpack_from("<HI", data)
    whole = content(place, count)
    if start >= len(whole):
        raise Refusal(0xFF, 0x2104)
    return pieces(place, whole, start, room)


def pieces(place, whole, start, room):
    room -= 4 + len(place.code())
    if room < 1:
        raise Refusal(0x11)
    piece = whole[start : start + room]
    if start + len(piece) < len(whole):
        # Elements are not torn apart.
        each = 1 if isinstance(place.kind, Structure) else size_of(place.kind)
        piece = piece[: len(piece) // each * each]
        return 0x06, place.code() + piece
    return 0x00, place.code() + piece


def write(place, data):
    code = place.code()
    if data[: len(code)] != code:
        raise Refusal(0xFF, 0x2107)
    (count,) = struct.unpack_from("<H", data, len(code))
    value = data[len(code) + 2 :]
    if count > place.count:
        raise Refusal(0xFF, 0x2105)
    if place.bit is not None:
        mask = 1 << place.bit
        old = place.tag.data[place.offset]
        place.tag.data[place.offset] = old | mask if value[0] else old & ~mask
    else:
        length = count * size_of(place.kind)
        if len(value) < length:
            raise Refusal(0x13)
        if len(value) > length:
            raise Refusal(0x15)
        place.tag.data[place.offset : place.offset + length] = value
    return 0x00, b""


def modify(place, data):
    (size,) = struct.unpack_from("<H", data)
    if isinstance(place.kind, Structure) or size != size_of(place.kind) or len(data) != 2 + 2 * size:
        raise Refusal(0x03)
    old = int.from_bytes(place.tag.data[place.offset : place.offset + size], "little")
    new = (old | int.from_bytes(data[2 : 2 + size], "little")) & int.from_bytes(data[2 + size :], "little")
    place.tag.data[place.offset : place.offset + size] = new.to_bytes(size, "little")
    return 0x00, b""


def tag_list(scope, start, data, room):
    if scope not in SCOPES:
        raise Refusal(0x05)
    (count,) = struct.unpack_from("<H", data)
    wanted = struct.unpack_from(f"<{count}H", data, 2)
    reply = b""
    for instance, tag in enumerate(SCOPES[scope], 1):
        if instance < start:
            continue
        kind = 0x8000 | tag.kind.instance if isinstance(tag.kind, Structure) else tag.kind
        kind |= len(tag.dimensions) << 13 | (0x1000 if tag.system else 0)
        entry = struct.pack("<I", instance)
        for attribute in wanted:
            if attribute == 1:
                entry += struct.pack("<H", len(tag.name)) + tag.name.encode()
            elif attribute == 2:
                entry += struct.pack("<H", kind)
            elif attribute == 8:
                entry += struct.pack("<III", *[*tag.dimensions, 0, 0, 0][:3])
            elif attribute == 10 and "old" not in OPTIONS:
                entry += bytes([2 if tag.name == "Unsigned" else 3 if tag.name == "Word" else 0])
            else:
                raise Refusal(0x0A)
        if len(reply) + len(entry) > room - 4:
            return 0x06, reply
        reply += entry
    return 0x00, reply


def template(service, instance, data, room):
    kind = Structure.known.get(instance)
    if kind is None:
        raise Refusal(0x16)
    if service == 0x03:
        (count,) = struct.unpack_from("<H", data)
        values = {
            1: struct.pack("<H", kind.handle),
            2: struct.pack("<H", len(kind.members)),
            4: struct.pack("<I", kind.words()),
            5: struct.pack("<I", kind.size),
        }
        reply = struct.pack("<H", count)
        for attribute in struct.unpack_from(f"<{count}H", data, 2):
            reply += struct.pack("<HH", attribute, 0) + values[attribute]
        return 0x00, reply
    if service == 0x4C:
        start, length = struct.unpack_from("<IH", data)
        whole = kind.description()[start : start + length]
        if len(whole) > room - 4:
            return 0x06, whole[: room - 4]
        return 0x00, whole
    raise Refusal(0x08)


def several(data, room):
    if "single" in OPTIONS:
        raise Refusal(0x08)
    (count,) = struct.unpack_from("<H", data)
    offsets = [*struct.unpack_from(f"<{count}H", data, 2), len(data)]
    replies, failed = [], False
    used = 4 + 2 + 2 * count
    for start, end in zip(offsets, offsets[1:]):
        reply = serve(data[start:end], max(room - used, 0))
        failed |= reply[2] not in (0x00,)
        used += len(reply)
        replies.append(reply)
    if used > room:
        raise Refusal(0x11)
    table, offset = b"", 2 + 2 * count
    for reply in replies:
        table += struct.pack("<H", offset)
        offset += len(reply)
    return 0x1E if failed else 0x00, struct.pack("<H", count) + table + b"".join(replies)


def tag_service(service, parts, data, room):
    if service == 0x4C:
        return read(find(parts), data, room)
    if service == 0x52:
        return read_fragmented(find(parts), data, room)
    if service == 0x4D:
        return write(find(parts), data)
    if service == 0x4E:
        return modify(find(parts), data)
    raise Refusal(0x08)


def serve(message, room):
    """A message to the controller itself; the reply has at most `room` bytes."""
    service, words = message[0], message[1]
    path, data = message[2 : 2 + 2 * words], message[2 + 2 * words :]
    try:
        parts = segments(path)
        classes = dict(part for part in parts if part[0] != "name")
        names = [part for part in parts if part[0] in ("name", "element")]
        if classes.get("class") == 0x01:
            status, reply = 0x00, b"\x0dGuideway fake"
        elif classes.get("class") == 0x02 and service == 0x0A:
            status, reply = several(data, room)
        elif classes.get("class") == 0x6B and service == 0x55:
            scope = names[0][1].lower() if names else ""
            status, reply = tag_list(scope, classes["instance"], data, room)
        elif classes.get("class") == 0x6B and 0 < classes.get("instance", 0) <= len(SCOPES[""]):
            # A tag by its number in the list instead of its name.
            tag = SCOPES[""][classes["instance"] - 1]
            status, reply = tag_service(service, [("name", tag.name), *names], data, room)
        elif classes.get("class") == 0x6C:
            status, reply = template(service, classes["instance"], data, room)
        elif "class" in classes:
            raise Refusal(0x05)
        else:
            status, reply = tag_service(service, parts, data, room)
        return bytes([service | 0x80, 0, status, 0]) + reply
    except Refusal as refusal:
        extra = b"" if refusal.extended is None else struct.pack("<H", refusal.extended)
        return bytes([service | 0x80, 0, refusal.status, len(extra) // 2]) + extra


class Client:
    def __init__(self):
        self.session, self.connection = 0, None

    def unconnected(self, message):
        service, words = message[0], message[1]
        path, data = message[2 : 2 + 2 * words], message[2 + 2 * words :]
        if path == b"\x20\x06\x24\x01":
            if service == 0x52:
                length = struct.unpack_from("<H", data, 2)[0]
                inner = data[4 : 4 + length]
                rest = data[4 + length + length % 2 :]
                route = rest[2 : 2 + 2 * rest[0]]
                if "direct" in OPTIONS:
                    return b"\xd2\0\x01\x01" + struct.pack("<H", 0x0311)
                if route != b"\x01\x00":
                    return b"\xd2\0\x01\x01" + struct.pack("<H", 0x0312)
                return self.bounded(inner, UNCONNECTED, len(message))
            if service in (0x54, 0x5B):
                return self.forward_open(service, data)
            if service == 0x4E:
                self.connection = None
                return b"\xce\0\0\0" + data[2:10] + b"\0\0"
        return self.bounded(message, UNCONNECTED, len(message))

    def bounded(self, message, room, whole):
        if whole > room:
            return bytes([message[0] | 0x80, 0, 0x15, 0])
        reply = serve(message, room)
        SEEN[0] += 1
        SEEN[1] = max(SEEN[1], whole)
        SEEN[2] = max(SEEN[2], len(reply))
        return reply

    def forward_open(self, service, data):
        if "unconnected" in OPTIONS or ("small" in OPTIONS and service == 0x5B):
            return bytes([service | 0x80, 0, 0x08, 0])
        to_us, serial, vendor, originator = struct.unpack_from("<IHHI", data, 6)
        wide = service == 0x5B
        size = struct.unpack_from("<I" if wide else "<H", data, 26)[0] & (0xFFFF if wide else 0x1FF)
        words = data[39 if wide else 35]
        path = data[(40 if wide else 36) :]
        expected = (b"" if "direct" in OPTIONS else b"\x01\x00") + b"\x20\x02\x24\x01"
        if len(path) != 2 * words or path != expected:
            return bytes([service | 0x80, 0, 0x01, 1]) + struct.pack("<H", 0x0312)
        self.connection = (0x7000 + serial, to_us, size - 2)
        reply = struct.pack("<IIHHIIIBB", self.connection[0], to_us, serial, vendor, originator, 1, 1, 0, 0)
        return bytes([service | 0x80, 0, 0, 0]) + reply

    def packet(self, command, session, context, payload):
        """The payload of the reply, or None."""
        if command == 0x65:
            self.session = 0x1000 + id(self) % 0x1000
            return payload
        if session != self.session:
            return None
        items, at = {}, 8
        for _ in range(struct.unpack_from("<H", payload, 6)[0]):
            kind, length = struct.unpack_from("<HH", payload, at)
            items[kind] = payload[at + 4 : at + 4 + length]
            at += 4 + length
        if command == 0x6F:
            reply = self.unconnected(items[0xB2])
            return bytes(6) + struct.pack("<HHHHH", 2, 0, 0, 0xB2, len(reply)) + reply
        if command == 0x70 and self.connection:
            ours, theirs, room = self.connection
            if struct.unpack("<I", items[0xA1])[0] != ours:
                return None
            sequence, message = items[0xB1][:2], items[0xB1][2:]
            reply = sequence + self.bounded(message, room, len(message))
            return bytes(6) + struct.pack("<HHHIHH", 2, 0xA1, 4, theirs, 0xB1, len(reply)) + reply
        return None


async def client(reader, writer):
    state = Client()
    try:
        while True:
            head = await reader.readexactly(24)
            command, length, session, _, context, _ = struct.unpack("<HHIIQI", head)
            payload = await reader.readexactly(length)
            if command == 0x66:
                break
            reply = state.packet(command, session, context, payload)
            status = 0 if reply is not None else 0x64
            reply = reply or b""
            # A controller does not repeat the context of messages over a connection.
            context = 0 if command == 0x70 else context
            writer.write(struct.pack("<HHIIQI", command, len(reply), state.session, status, context, 0) + reply)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, struct.error, KeyError, IndexError):
        pass
    finally:
        writer.close()


async def main():
    await asyncio.start_server(client, "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, *rest = line.split()
        if word == "packets":
            print(*SEEN, flush=True)
            SEEN[:] = [0, 0, 0]
            continue
        tag = NAMES[""][rest[0].lower()]
        if word == "set":
            new = bytes.fromhex(rest[1])
            tag.data[: len(new)] = new
            print("ok", flush=True)
        elif word == "get":
            print(tag.data.hex(), flush=True)
        elif word == "refuse":
            status = int(rest[1], 16)
            REFUSED.pop(rest[0].lower(), None)
            if status:
                REFUSED[rest[0].lower()] = status
            print("ok", flush=True)


asyncio.run(main())
