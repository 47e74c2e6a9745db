"""python-snap7's server as an S7 controller, driven by a test.

    s7_peer.py PORT

DB1 (2,000 bytes), DB2 (60,000 bytes), DB3 (100 bytes), M, I, Q, T and C exist; DB2 holds its own byte numbers. Prints
`ready`, then answers each line: `set AREA BYTE HEX` writes and gives `ok`, `get AREA BYTE COUNT` gives hexadecimal,
`drop AREA` takes an area away, `make AREA SIZE` gives it (back), zeroed. AREA is DB1, M, I, Q, T, C. `writes` gives how
many requests have come that write, `echo AREA FROM COUNT TO MS` has what stands at FROM after a write stand at TO a while
later.

What it is not: its server writes whole bytes where a bit is to be written, and answers single items only in write jobs.
Bits are tried with s7_peer.js, the real Snap7.
"""

import sys
import threading

import snap7
from snap7.server import EVC_DATA_WRITE
from snap7.type import SrvArea

AREAS = {"M": SrvArea.MK, "I": SrvArea.PE, "Q": SrvArea.PA, "T": SrvArea.TM, "C": SrvArea.CT}
memory = {}
echoes = []
writes = 0


def place(name):
    return (SrvArea.DB, int(name[2:])) if name.startswith("DB") else (AREAS[name], 0)


def make(server, name, data):
    memory[name] = data
    server.register_area(*place(name), data)


def copy(area, start, count, target):
    memory[area][target : target + count] = memory[area][start : start + count]


def written(event):
    global writes
    if event.EvtCode == EVC_DATA_WRITE:
        writes += 1
        for area, start, count, target, pause in echoes:
            threading.Timer(pause / 1000, copy, (area, start, count, target)).start()


def main():
    server = snap7.server.Server(log=False)
    for name, size in {"DB1": 2_000, "DB3": 100, "M": 256, "I": 256, "Q": 256, "T": 128, "C": 128}.items():
        make(server, name, bytearray(size))
    make(server, "DB2", bytearray(byte * 7 % 251 for byte in range(60_000)))
    server.set_events_callback(written)
    server.start_to("127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["set", area, byte, data]:
                data = bytes.fromhex(data)
                start = int(byte)
                memory[area][start : start + len(data)] = data
                answer = "ok"
            case ["get", area, byte, count]:
                answer = memory[area][int(byte) : int(byte) + int(count)].hex()
            case ["drop", area]:
                server.unregister_area(*place(area))
                answer = "ok"
            case ["make", area, size]:
                make(server, area, bytearray(int(size)))
                answer = "ok"
            case ["writes"]:
                answer = str(writes)
            case ["echo", area, *numbers]:
                echoes.append((area, *(int(number) for number in numbers)))
                answer = "ok"
            case _:
                answer = "unknown"
        print(answer, flush=True)


main()
