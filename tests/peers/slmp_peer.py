"""A Mitsubishi controller by aslmp's simulator. Usage: slmp_peer.py PORT [3e|4e] [fx5u-32mt-ds|pedantic|r04cpu] [measured] [little]

`little` takes 100 words in a row and 10 one by one; `measured` is with what real controllers were seen to do wrong, such as one connection for each port.

Lines on standard input: `set DEVICE INDEX WORD...`, `get DEVICE INDEX COUNT`, `on DEVICE INDEX`, `off DEVICE INDEX`,
`bit DEVICE INDEX`, `requests` (frames received since the last time, and the longest reply in bytes).
"""

import asyncio
import sys
from dataclasses import replace

from aslmp.testing import HEALTHY, PlcSimulator, by_key
from aslmp.testing.server import Entry
from aslmp.wire.frames import FrameType


async def main():
    frame = sys.argv[2] if len(sys.argv) > 2 else "3e"
    target = sys.argv[3] if len(sys.argv) > 3 else "r04cpu"
    port = sys.argv[1]
    measured = "measured" in sys.argv
    kind = FrameType.FOUR_E if frame == "4e" else FrameType.THREE_E
    entry = Entry(name="tcp", protocol="tcp", port=int(port), frame=kind, max_connections=1 if measured else 64)
    target = by_key(target)
    if "little" in sys.argv:
        target = replace(target, limits=replace(target.limits, batch_word=100, random_points=10))
    simulator = PlcSimulator(target=target, entries=(entry,), pathology=None if measured else HEALTHY, host="127.0.0.1")
    seen = 0
    async with simulator as plc:
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            word, *rest = line.split()
            memory = plc.memory
            if word == "requests":
                records = plc.transcript[seen:]
                seen += len(records)
                sent = [len(record.data) for record in records if record.direction == "tx"]
                print(len(records) - len(sent), max(sent, default=0), flush=True)
                continue
            device, index = rest[0], int(rest[1])
            if word == "set":
                memory.write_words(device, index, [int(value, 0) & 0xFFFF for value in rest[2:]])
                print("ok", flush=True)
            elif word == "get":
                print(*memory.read_words(device, index, int(rest[2])), flush=True)
            elif word in ("on", "off"):
                memory.write_bits(device, index, [word == "on"])
                print("ok", flush=True)
            elif word == "bit":
                print(int(memory.read_bits(device, index, 1)[0]), flush=True)


asyncio.run(main())
