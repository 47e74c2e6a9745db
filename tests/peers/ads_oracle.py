"""Holds ads_peer.py against Beckhoff's own ADS library, which is in pyads: what that library understands, the peer
speaks rightly. The library knows one port only (48898).

argv: a port that is not used
stdin: `check` is answered with `ok` or with what differs
"""

import subprocess
import sys
import time
from pathlib import Path

import pyads

PEER = Path(__file__).with_name("ads_peer.py")


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)


def check():
    pyads.open_port()
    pyads.set_local_address("127.0.0.9.1.1")
    plc = pyads.Connection("127.0.0.1.1.1", 851, "127.0.0.1")
    found = {}
    with plc:
        found["device"] = plc.read_device_info()[0]
        found["state"] = plc.read_state()[0]
        found["int"] = plc.read_by_name("GVL.nInt", pyads.PLCTYPE_INT)
        found["sum"] = plc.read_list_by_name(["GVL.nCount", "G.n3"])
        array = plc.get_symbol("GVL.aLimits")
        found["array"] = (array.symbol_type, array.read())
        found["symbols"] = {s.name: s.symbol_type for s in plc.get_all_symbols()}.get("GVL.stCell")
        samples = []
        attributes = pyads.NotificationAttrib(2, cycle_time=20)

        @plc.notification(pyads.PLCTYPE_INT)
        def sample(_handle, _name, stamp, value):
            samples.append((value, stamp.year >= 2024))

        handles = plc.add_device_notification("GVL.nInt", attributes, sample)
        until(lambda: len(samples) == 1)
        plc.write_by_name("GVL.nInt", 77, pyads.PLCTYPE_INT)
        until(lambda: len(samples) == 2)
        found["samples"] = samples
        plc.del_device_notification(*handles)
        try:
            plc.read_by_name("GVL.nGone", pyads.PLCTYPE_INT)
        except pyads.ADSError as error:
            found["gone"] = error.err_code
    wanted = {
        "device": "Plc30 App",
        "state": 5,
        "int": -1234,
        "sum": {"GVL.nCount": 123456, "G.n3": 30},
        "array": ("ARRAY [0..2] OF REAL", [1.0, 2.5, 3.0]),
        "symbols": "ST_Cell",
        "samples": [(-1234, True), (77, True)],
        "gone": 0x710,
    }
    return "ok" if found == wanted else f"{found} is not {wanted}".replace("\n", " ")


def main():
    pipe = subprocess.PIPE
    peer = subprocess.Popen([sys.executable, PEER, "48898", "5"], stdin=pipe, stdout=pipe, text=True)
    peer.stdout.readline()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(check(), flush=True)
    peer.kill()


main()
