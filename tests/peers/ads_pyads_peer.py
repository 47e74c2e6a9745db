"""An ADS controller made of pyads' own test server (AdvancedHandler).

It answers device info, state, symbol info by name, read, write, read-write by handle and sum reads. It has no
notifications over TCP, no symbol version, no upload and no types; what it does not know it answers with a code here
(the library's thread would end instead).

argv: port
stdin: `set NAME VALUE`, `get NAME`
"""

import struct
import sys

from pyads import constants
from pyads.testserver import AdsTestServer, AdvancedHandler, PLCVariable
from pyads.testserver.handler import AmsResponseData

VARIABLES = [
    ("GVL.bRun", "BOOL", constants.ADST_BIT, "<?", True),
    ("GVL.nShort", "SINT", constants.ADST_INT8, "<b", -5),
    ("GVL.nInt", "INT", constants.ADST_INT16, "<h", -1234),
    ("GVL.nWord", "WORD", constants.ADST_UINT16, "<H", 0xBEEF),
    ("GVL.nCount", "DINT", constants.ADST_INT32, "<i", 123456),
    ("GVL.nLong", "LINT", constants.ADST_INT64, "<q", -(2**40)),
    ("GVL.nLarge", "ULINT", constants.ADST_UINT64, "<Q", 2**64 - 1),
    ("GVL.fReal", "REAL", constants.ADST_REAL32, "<f", 0.1),
    ("GVL.fLong", "LREAL", constants.ADST_REAL64, "<d", 0.1),
    ("GVL.sName", "STRING(10)", constants.ADST_STRING, "<11s", b"hello"),
    ("GVL.eState", "E_State", constants.ADST_INT16, "<h", 3),
    ("GVL.aReal", "ARRAY [0..2] OF REAL", constants.ADST_REAL32, "<3f", (1.0, 2.0, 3.0)),
]


class Handler(AdvancedHandler):
    def handle_request(self, request):
        try:
            return super().handle_request(request)
        except KeyError:
            state = struct.unpack("<H", request.ams_header.state_flags)[0] | 1
            group = struct.unpack("<I", request.ams_header.data[:4])[0]
            named = group in (constants.ADSIGRP_SYM_INFOBYNAMEEX, constants.ADSIGRP_SYM_HNDBYNAME)
            code = 0x710 if named else 0x702
            return AmsResponseData(struct.pack("<H", state), b"\0" * 4, struct.pack("<I", code))


def main():
    handler = Handler()
    formats = {}
    for name, type_name, ads_type, fmt, value in VARIABLES:
        values = value if isinstance(value, tuple) else (value,)
        handler.add_variable(PLCVariable(name, struct.pack(fmt, *values), ads_type, type_name))
        formats[name] = fmt
    server = AdsTestServer(handler, port=int(sys.argv[1]), logging=False)
    server.server.listen(5)
    server.start()
    print("ready", flush=True)
    for line in sys.stdin:
        word, name, *rest = line.split()
        variable = handler.get_variable_by_name(name)
        if word == "set":
            value = rest[0].encode() if formats[name].endswith("s") else eval(rest[0])  # noqa: S307 - a test's own line
            values = value if isinstance(value, tuple) else (value,)
            variable.write(struct.pack(formats[name], *values))
            print("ok", flush=True)
        else:
            values = struct.unpack(formats[name], variable.value)
            value = values if len(values) > 1 else values[0]
            print(value.rstrip(b"\0").decode() if isinstance(value, bytes) else value, flush=True)


main()
