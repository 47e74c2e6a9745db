"""A Logix tag server by cm-ethernetip. Usage: eip_peer.py PORT [TAGS]

It has a tag of each type, arrays, and TAGS tags T0, T1, ... (DINT, each with its own number).
Lines on standard input: `set TAG VALUE...`, `get TAG`, `requests` (CIP requests since the last time).
"""

import asyncio
import struct
import sys

from ethernetip.cip.identity_info import IdentityInfo
from ethernetip.logix import data_types as dt
from ethernetip.logix.logix_dispatcher import LogixDispatcher
from ethernetip.logix.tag_database import TagDatabase
from ethernetip.protocol.eip_adapter import EipAdapter

FORMATS = {0xC1: "B", 0xC2: "b", 0xC3: "h", 0xC4: "i", 0xC5: "q", 0xCA: "f", 0xCB: "d", 0xD3: "I"}

TAGS = [
    ("Flag", dt.BOOL, [1]),
    ("Small", dt.SINT, [-5]),
    ("Short", dt.INT, [-1234]),
    ("Rate", dt.DINT, [1500]),
    ("Long", dt.LINT, [-(2**40)]),
    ("Temperature", dt.REAL, [72.5]),
    ("Precise", dt.LREAL, [0.1]),
    ("Counts", dt.INT, list(range(100))),
    ("Curve", dt.REAL, [index / 4 for index in range(600)]),
    ("Flags", dt.DWORD, [0x80000001, 0x00000020]),
    ("Program:Main.Cycle", dt.DINT, [77]),
]


class Counting(LogixDispatcher):
    """Counts what comes in."""

    requests = 0

    def dispatch(self, service_code, path, data):
        Counting.requests += 1
        return super().dispatch(service_code, path, data)


def put(tag, values):
    form = FORMATS[tag.tag_type]
    whole = form in "Bbhiq" + "I"
    numbers = [int(value) if whole else float(value) for value in values]
    tag.set_data(struct.pack("<" + form * len(numbers), *numbers))


def show(tag):
    form = FORMATS[tag.tag_type]
    return " ".join(str(value) for value in struct.unpack("<" + form * tag.element_count, tag.get_data()))


async def main():
    tags = TagDatabase()
    for name, kind, values in TAGS:
        put(tags.add_tag(name, kind, len(values)), values)
    for index in range(int(sys.argv[2]) if len(sys.argv) > 2 else 0):
        put(tags.add_tag(f"T{index}", dt.DINT), [index])
    identity = IdentityInfo(product_name="Guideway test")
    dispatcher = Counting(tags, identity)
    adapter = EipAdapter(dispatcher, identity)
    # Replies over a connection carry the id that the other end chose.
    manager = dispatcher.get_class(0x06).get_service(0x5B, False).handler.__self__
    adapter.connection_id_lookup = lambda ours: getattr(manager._connections.get(ours), "to_connection_id", 0)
    await adapter.listen("127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, *rest = line.split()
        if word == "set":
            put(tags.find_by_name(rest[0]), rest[1:])
            print("ok", flush=True)
        elif word == "get":
            print(show(tags.find_by_name(rest[0])), flush=True)
        elif word == "requests":
            print(Counting.requests, flush=True)
            Counting.requests = 0
        else:
            print("what?", flush=True)


asyncio.run(main())
