"""pymodbus as a client of the simulated meter.

    sim_modbus.py PORT

Prints `ready`, then answers each line (`meter`, `outputs`, `errors`) with `ok` or with what is wrong.
"""

import struct
import sys
import time

from pymodbus.client import ModbusTcpClient


def meter(client):
    def floats(start, count):
        answer = client.read_input_registers(start, count=count * 2, device_id=1)
        assert not answer.isError(), answer
        return struct.unpack(f">{count}f", struct.pack(f">{count * 2}H", *answer.registers))

    volts, amperes = floats(0, 3), floats(6, 3)
    assert all(215 < v < 245 for v in volts), volts
    assert all(0 < a < 200 for a in amperes), amperes
    block = floats(0, 40)
    assert abs(block[26] - sum(block[6:9])) < 1, "the total is the sum of the phases"
    assert 49.5 < block[35] < 50.5 and block[36] > 20_000, block[35:37]
    assert all(380 < v < 425 for v in floats(200, 3))
    floats(224, 1), floats(248, 2)
    holding = client.read_holding_registers(10, count=2, device_id=1).registers
    assert struct.unpack(">f", struct.pack(">2H", *holding)) == (3.0,), holding


def outputs(client):
    assert not client.write_coil(3, True, device_id=1).isError()
    assert not client.write_coils(5, [True, False, True], device_id=1).isError()
    coils = client.read_coils(0, count=8, device_id=1).bits[:8]
    assert coils == [False, False, False, True, False, True, False, True], coils
    end = time.monotonic() + 10
    while client.read_discrete_inputs(0, count=8, device_id=1).bits[:8] != coils:
        assert time.monotonic() < end, "inputs do not follow the outputs"
    assert not client.write_register(40, 4711, device_id=1).isError()
    assert not client.write_registers(41, [1, 2, 65535], device_id=1).isError()
    assert client.read_holding_registers(40, count=4, device_id=1).registers == [4711, 1, 2, 65535]


def errors(client):
    assert client.read_input_registers(400, count=2, device_id=1).exception_code == 2
    assert client.read_input_registers(0, count=82, device_id=1).exception_code == 3
    assert client.write_coil(8, True, device_id=1).exception_code == 2
    assert client.read_input_registers(0, count=2, device_id=9).exception_code == 11
    assert client.read_exception_status(device_id=1).exception_code == 1
    meter(client)


def main():
    client = ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]), timeout=5, retries=0)
    assert client.connect()
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            {"meter": meter, "outputs": outputs, "errors": errors}[line.strip()](client)
            print("ok", flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)


main()
