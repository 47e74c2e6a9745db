"""asyncua as a client of the simulated robot.

    sim_opcua.py PORT

Prints `ready`, then answers each line (`nodes`, `browse`, `moves`, `closed`) with `ok` or with what is wrong.
"""

import asyncio
import sys

from asyncua import Client, ua

ROB = "MotionDevices/ROB_1"
SYSTEM = "0:Objects/2:DeviceSet/3:MotionDeviceSystem"
OF_DI = {"ParameterSet", "SerialNumber", "Model"}


async def node(client, path):
    names = [f"{2 if name in OF_DI else 3}:{name}" for name in path.split("/")]
    return await client.nodes.root.get_child([*SYSTEM.split("/"), *names])


async def nodes(client):
    spaces = await client.get_namespace_array()
    assert spaces[2:4] == ["http://opcfoundation.org/UA/DI/", "http://opcfoundation.org/UA/Robotics/"], spaces
    for path, kind in [
        ("SafetyStates/SafetyState/ParameterSet/OperationalMode", int),
        ("SafetyStates/SafetyState/ParameterSet/EmergencyStop", bool),
        ("SafetyStates/SafetyState/ParameterSet/ProtectiveStop", bool),
        ("Controllers/Controller/TaskControls/T_ROB1/ParameterSet/TaskProgramName", str),
        ("Controllers/Controller/TaskControls/T_ROB1/ParameterSet/TaskProgramLoaded", bool),
        ("Controllers/Controller/ParameterSet/Temperature", float),
        ("Controllers/Controller/ParameterSet/TotalPowerOnTime", str),
        (f"{ROB}/SerialNumber", str),
        (f"{ROB}/Model", ua.LocalizedText),
        (f"{ROB}/ParameterSet/SpeedOverride", float),
        *[(f"{ROB}/Axes/Axis_{axis}/ParameterSet/ActualPosition", float) for axis in range(1, 7)],
        *[(f"{ROB}/Axes/Axis_{axis}/ParameterSet/ActualSpeed", float) for axis in range(1, 7)],
        *[(f"{ROB}/PowerTrains/PowerTrain_{axis}/Motor/ParameterSet/MotorTemperature", float) for axis in range(1, 7)],
        *[(f"{ROB}/PowerTrains/PowerTrain_{axis}/Motor/ParameterSet/EffectiveLoadRate", int) for axis in range(1, 7)],
    ]:
        value = await (await node(client, path)).read_value()
        assert isinstance(value, kind), (path, value)
    parts = client.get_node("ns=1;s=RAPID/T_ROB1/nParts")
    assert await parts.read_value() > 0


async def browse(client):
    names = [(await child.read_browse_name()).Name for child in await client.nodes.objects.get_children()]
    assert sorted(names) == ["DeviceSet", "RAPID", "Server"], names
    count, open_ = 0, [client.nodes.objects]
    while open_:
        children = await open_.pop().get_children()
        count += len(children)
        open_ += children
    assert count > 60, count
    assert await client.nodes.server_state.read_value() == 0


class Changes:
    def __init__(self):
        self.seen = {}

    def datachange_notification(self, node, value, data):
        self.seen.setdefault(node, []).append(value)


async def moves(client):
    axes = [await node(client, f"{ROB}/Axes/Axis_{axis}/ParameterSet/ActualPosition") for axis in (1, 2)]
    changes = Changes()
    subscription = await client.create_subscription(100, changes)
    await subscription.subscribe_data_change(axes)
    for _ in range(300):
        await asyncio.sleep(0.1)
        if all(len(changes.seen.get(axis, [])) > 10 for axis in axes):
            break
    else:
        raise AssertionError({axis: len(seen) for axis, seen in changes.seen.items()})
    await subscription.delete()


async def closed(client):
    parts = client.get_node("ns=1;s=RAPID/T_ROB1/nParts")
    try:
        await parts.write_value(ua.DataValue(ua.Variant(1, ua.VariantType.UInt32)))
    except ua.UaStatusCodeError:
        return
    raise AssertionError("it was written")


async def main():
    async with Client(f"opc.tcp://127.0.0.1:{sys.argv[1]}") as client:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                await {"nodes": nodes, "browse": browse, "moves": moves, "closed": closed}[line.strip()](client)
                print("ok", flush=True)
            except Exception as error:
                print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)


asyncio.run(main())
