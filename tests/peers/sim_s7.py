"""python-snap7 as a client of the simulated press.

    sim_s7.py PORT

Prints `ready`, then answers each line (`block`, `several`, `command NUMBER [TEXT-OR-COUNT]`, `errors`) with `ok` or with
what is wrong; a command with its result.
"""

import struct
import sys
import time

import snap7
from snap7.type import Area

DB = 100


def real(data, at):
    return struct.unpack_from(">f", data, at)[0]


def text(data, at):
    assert data[at] == 30, data[at]
    return data[at + 2 : at + 2 + data[at + 1]].decode("ascii")


def block(client):
    data = client.db_read(DB, 0, 172)
    assert len(data) == 172
    state, mode = struct.unpack_from(">hh", data)
    assert state in (0, 1, 3, 9) and mode == 1, (state, mode)
    assert data[4] & 1, "the safety circuit is closed"
    assert text(data, 38).startswith(text(data, 6)), "the part is named after the recipe"
    assert 20 < real(data, 94) < 401 and 15 < real(data, 102) < 80 and 4 < real(data, 110) < 8
    strokes, energy = struct.unpack_from(">I", data, 78)[0], struct.unpack_from(">I", data, 118)[0]
    assert strokes > 1_000_000 and energy > 7_000_000
    before = data
    end = time.monotonic() + 20
    while client.db_read(DB, 86, 36) == before[86:122]:
        assert time.monotonic() < end, "nothing moves"


def several(client):
    for size in (1, 2, 3, 100):
        assert len(client.db_read(DB, 40, size)) == size
    client.db_write(DB, 140, bytearray([30, 3]) + b"ABC")
    assert client.db_read(DB, 140, 5) == bytearray([30, 3]) + b"ABC"
    assert text(client.db_read(DB, 140, 32), 0) == "ABC"


def command(client, number, argument=None):
    if number == 11:
        client.db_write(DB, 140, bytearray([30, len(argument)]) + argument.encode())
    elif number == 12:
        client.db_write(DB, 136, bytearray(struct.pack(">I", int(argument))))
    client.db_write(DB, 130, bytearray(struct.pack(">h", number)))
    end = time.monotonic() + 10
    while (answer := struct.unpack(">hh", client.db_read(DB, 132, 4)))[0] != number:
        assert time.monotonic() < end, "no answer"
    client.db_write(DB, 130, bytearray(2))
    while struct.unpack(">h", client.db_read(DB, 132, 2)) != (0,):
        assert time.monotonic() < end, "the answer is not taken back"
    return f"result {answer[1]}"


def errors(client):
    for read in (
        lambda: client.db_read(7, 0, 4),
        lambda: client.db_read(DB, 170, 4),
        lambda: client.read_area(Area.MK, 0, 0, 4),
        lambda: client.db_write(DB, 171, bytearray(2)),
    ):
        try:
            read()
        except Exception:
            continue
        raise AssertionError("that should have been refused")
    block(client)


def main():
    client = snap7.client.Client()
    client.connect("127.0.0.1", 0, 1, int(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            match line.split():
                case ["block"]:
                    answer = block(client) or "ok"
                case ["several"]:
                    answer = several(client) or "ok"
                case ["command", number, *argument]:
                    answer = command(client, int(number), *argument)
                case ["errors"]:
                    answer = errors(client) or "ok"
            print(answer, flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)


main()
