"""A Modbus server for tests, spoken by pymodbus.

    modbus_peer.py PORT|DEVICE [units=1,2] [rtu] [mask=no]

A port serves Modbus TCP (RTU frames with `rtu`), a device file serves RTU. With `mask=no` there is no function 22. Each unit has the registers and bits 0 to
9999 of each table: register n of unit u holds (7 n + u) mod 65536, bit n is set when n + u is divisible by 3.

Lines on standard input, each answered with one:

    set UNIT TABLE START VALUE...   get UNIT TABLE START COUNT
    bad UNIT TABLE ADDRESS          its address does not exist (exception 2)
    fail UNIT CODE                  every request is answered with this exception; 0 = no more
    refuse UNIT CODE                every request that writes is answered with this exception; 0 = no more
    dead UNIT | alive UNIT          it answers nothing; it answers again
    requests                        how many requests have come
    most                            the largest number of registers or bits that one request read
    writes                          how many requests have come that write
    swallow UNIT | spit UNIT        it does what is written and answers nothing; it answers again
    gulp UNIT N                     the same, from the Nth write that comes from now on
    lag UNIT MS                     what is written is done at once and answered so much later
    written UNIT ADDRESS            every value that was written to that holding register, in order
    echo UNIT FROM TO MS            what is written to holding register FROM stands in TO a while later
    mute UNIT                       no echo any more
    follow UNIT COIL TO ON OFF MS   when the coil is written, ON or OFF stands in holding register TO a while later
"""

import asyncio
import logging
import sys

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

logging.disable(logging.CRITICAL)

SIZE = 10_000
READ = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
TABLE = {function: table for table, function in READ.items()}
TABLE |= {5: "coil", 15: "coil", 6: "holding", 16: "holding", 22: "holding"}

options = dict(option.split("=") for option in sys.argv[2:] if "=" in option)
bad: set = set()
failing: dict = {}
refusing: dict = {}
dead: set = set()
swallowing: set = set()
gulping: dict = {}
lags: dict = {}
log: dict = {}
echoes: dict = {}
followers: dict = {}
tasks: set = set()
servers: list = []
seen = {"requests": 0, "most": 0, "writes": 0}


def action(unit):
    async def act(function, _start, address, count, _registers, values):
        seen["requests"] += 1
        if values is None and function in (3, 4):
            seen["most"] = max(seen["most"], count)
        if values is not None:
            seen["writes"] += 1
        if unit in dead:
            await asyncio.Event().wait()
        if unit in failing:
            return failing[unit]
        if values is not None and unit in refusing:
            return refusing[unit]
        if function == 22 and options.get("mask") == "no":
            return ExcCodes.ILLEGAL_FUNCTION
        if any((unit, TABLE[function], address + at) in bad for at in range(count)):
            return ExcCodes.ILLEGAL_ADDRESS
        if values is not None:
            for at, value in enumerate(values if function in (6, 16) else []):
                log.setdefault((unit, address + at), []).append(value)
            if unit in gulping:
                gulping[unit] -= 1
                if gulping[unit] <= 0:
                    swallowing.add(unit)
                    gulping.pop(unit)
            source, target, pause = echoes.get(unit, (None, None, 0))
            if function in (6, 16) and source is not None and address <= source < address + len(values):
                task = asyncio.create_task(later(unit, target, values[source - address], pause))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            coil, target, on, off, pause = followers.get(unit, (None, None, 0, 0, 0))
            if function in (5, 15) and coil is not None and address <= coil < address + len(values):
                task = asyncio.create_task(later(unit, target, on if values[coil - address] else off, pause))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if unit in swallowing:
                await put(unit, TABLE[function], address, values)
                await asyncio.Event().wait()
            if unit in lags:
                await put(unit, TABLE[function], address, values)
                await asyncio.sleep(lags[unit] / 1000)
        return None

    return act


async def put(unit, table, address, values):
    runtime = servers[0].context.devices[unit]
    runtime.action, act = None, runtime.action
    await runtime.async_setValues(READ[table], address, values)
    runtime.action = act


async def later(unit, target, value, pause):
    await asyncio.sleep(pause / 1000)
    await put(unit, "holding", target, [value])


def device(unit):
    registers = [(7 * at + unit) % 65_536 for at in range(SIZE)]
    bits = [(at + unit) % 3 == 0 for at in range(SIZE)]
    return SimDevice(
        id=unit,
        simdata=(
            [SimData(0, values=bits[:], datatype=DataType.BITS)],
            [SimData(0, values=bits[:], datatype=DataType.BITS)],
            [SimData(0, values=registers[:], datatype=DataType.REGISTERS)],
            [SimData(0, values=registers[:], datatype=DataType.REGISTERS)],
        ),
        action=action(unit),
    )


async def answer(server, words):
    match words:
        case ["set", unit, table, start, *values]:
            values = [value == "true" if table in ("coil", "discrete") else int(value) for value in values]
            await put(int(unit), table, int(start), values)
            return "ok"
        case ["get", unit, table, start, count]:
            runtime = server.context.devices[int(unit)]
            runtime.action, act = None, runtime.action
            values = await runtime.async_getValues(READ[table], int(start), int(count))
            runtime.action = act
            return " ".join(str(value).lower() for value in values)
        case ["bad", unit, table, address]:
            bad.add((int(unit), table, int(address)))
            return "ok"
        case ["refuse", unit, code]:
            refusing.pop(int(unit), None)
            if int(code):
                refusing[int(unit)] = ExcCodes(int(code))
            return "ok"
        case ["fail", unit, code]:
            failing.pop(int(unit), None)
            if int(code):
                failing[int(unit)] = ExcCodes(int(code))
            return "ok"
        case ["dead", unit]:
            dead.add(int(unit))
            return "ok"
        case ["alive", unit]:
            dead.discard(int(unit))
            return "ok"
        case ["requests"]:
            return str(seen["requests"])
        case ["writes"]:
            return str(seen["writes"])
        case ["swallow", unit]:
            swallowing.add(int(unit))
            return "ok"
        case ["spit", unit]:
            swallowing.discard(int(unit))
            gulping.pop(int(unit), None)
            return "ok"
        case ["gulp", unit, number]:
            gulping[int(unit)] = int(number)
            return "ok"
        case ["lag", unit, pause]:
            lags.pop(int(unit), None)
            if int(pause):
                lags[int(unit)] = int(pause)
            return "ok"
        case ["written", unit, address]:
            return " ".join(str(value) for value in log.get((int(unit), int(address)), [])) or "nothing"
        case ["echo", unit, source, target, pause]:
            echoes[int(unit)] = (int(source), int(target), int(pause))
            return "ok"
        case ["mute", unit]:
            echoes.pop(int(unit), None)
            return "ok"
        case ["follow", unit, *numbers]:
            followers[int(unit)] = tuple(int(number) for number in numbers)
            return "ok"
        case ["most"]:
            return str(seen["most"])
    return "unknown"


async def main():
    place = sys.argv[1]
    units = [device(int(unit)) for unit in options.get("units", "1").split(",")]
    if place.startswith("/"):
        server = ModbusSerialServer(units, framer=FramerType.RTU, port=place, baudrate=115_200, parity="N")
    else:
        framer = FramerType.RTU if "rtu" in sys.argv else FramerType.SOCKET
        server = ModbusTcpServer(units, framer=framer, address=("127.0.0.1", int(place)))
    servers.append(server)
    await server.serve_forever(background=True)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(await answer(server, line.split()), flush=True)
    await server.shutdown()


asyncio.run(main())
