"""Address spaces of machines for opcua_peer.py, built by hand from what their makers and OPC 40502 and 40010 publish."""

from datetime import datetime, timezone

from asyncua import ua

T = ua.VariantType
CNC = "http://opcfoundation.org/UA/CNC"
DI = "http://opcfoundation.org/UA/DI/"
ROB = "http://opcfoundation.org/UA/Robotics/"


async def build(peer, machine):
    await {"sinumerik": sinumerik, "fanuc": fanuc, "abb": abb}[machine](peer)


async def sinumerik(peer):
    """NC variables as string nodes of the namespace SinumerikVarProvider, one channel, three axes, a spindle."""
    ns = await peer.server.register_namespace("SinumerikVarProvider")
    top = await peer.server.nodes.objects.add_object(ua.NodeId("Sinumerik", ns), ua.QualifiedName("Sinumerik", ns))
    variables = {
        "/Bag/State/opMode[u1]": (2, T.UInt16),
        "/Channel/State/progStatus[u1]": (3, T.UInt16),
        "/Channel/State/chanStatus[u1]": (1, T.UInt16),
        "/Channel/State/chanAlarm[u1]": (0, T.UInt16),
        "/Channel/ProgramInfo/progName[u1]": ("_N_BORE_SPF", T.String),
        "/Channel/ProgramInfo/workPandProgName[u1]": ("/_N_WKS_DIR/_N_FLANGE_WPD/_N_FLANGE_MPF", T.String),
        "/Channel/ProgramInfo/msg[u1]": ("", T.String),
        "/Channel/State/actTNumber[u1]": (12, T.Int32),
        "/Channel/State/actParts[u1]": (41.0, T.Double),
        "/Channel/State/reqParts[u1]": (100.0, T.Double),
        "/Channel/State/totalParts[u1]": (1041.0, T.Double),
        "/Channel/State/actProgNetTime[u1]": (61.5, T.Double),
        "/Channel/ChannelDiagnose/cuttingTime[u1]": (5000.0, T.Double),
        "/Channel/State/actFeedRateIpo[u1]": (1200.0, T.Double),
        "/Channel/State/cmdFeedRateIpo[u1]": (1500.0, T.Double),
        "/Channel/State/feedRateIpoOvr[u1]": (80.0, T.Double),
        "/Channel/State/rapFeedRateOvr[u1]": (100.0, T.Double),
        "/Channel/Spindle/actSpeed[u1,1]": (8000.0, T.Double),
        "/Channel/Spindle/cmdSpeed[u1,1]": (8000.0, T.Double),
        "/Channel/Spindle/speedOvr[u1,1]": (100.0, T.Double),
        "/Channel/Spindle/driveLoad[u1,1]": (35.0, T.Double),
        "/Nck/State/numAlarms": (0, T.UInt16),
        "/Nck/TopPrioAlarm/alarmNo": (0, T.UInt32),
        "/Plc/DB10.DBX106.1": (False, T.Boolean),
        "/Nck/Configuration/nckVersion": (940000.0, T.Double),
    }
    for row in (1, 2, 3):
        variables[f"/Channel/MachineAxis/actToolBasePos[u1,{row}]"] = (10.5 * row, T.Double)
        variables[f"/Channel/MachineAxis/toolBaseDistToGo[u1,{row}]"] = (1.0, T.Double)
        variables[f"/Channel/MachineAxis/aaLoad[u1,{row}]"] = (20.0, T.Double)
    for name, (value, kind) in variables.items():
        node = await top.add_variable(ua.NodeId(name, ns), ua.QualifiedName(name.split("/")[-1], ns), value, kind)
        peer.nodes[name], peer.kinds[name] = node, kind


class Tree:
    """Objects and variables by paths of browse names, each made when it is first needed."""

    def __init__(self, peer, root):
        self.peer, self.nodes = peer, {(): root}

    async def object(self, path):
        if path not in self.nodes:
            parent = await self.object(path[:-1])
            ns, name = path[-1]
            self.nodes[path] = await parent.add_object(ua.NodeId(0, ns), ua.QualifiedName(name, ns))
        return self.nodes[path]

    async def variable(self, path, value, kind):
        parent = await self.object(path[:-1])
        ns, name = path[-1]
        node = await parent.add_variable(ua.NodeId(0, ns), ua.QualifiedName(name, ns), value, kind)
        key = "/".join(name for _, name in path)
        self.nodes[path], self.peer.nodes[key], self.peer.kinds[key] = node, node, kind


async def fanuc(peer):
    """OPC 40502: CncInterface with a channel, three axes and a spindle."""
    ns = await peer.server.register_namespace(CNC)
    tree = Tree(peer, peer.server.nodes.objects)

    async def put(path, value, kind):
        await tree.variable(tuple((ns, name) for name in ["CncInterface", *path.split("/")]), value, kind)

    await put("VendorName", "FANUC", T.String)
    await put("VendorRevision", "01.0", T.String)
    for name, value, kind in [
        ("ActOperationMode", 2, T.Int32), ("ActProgramStatus", 1, T.Int32), ("ActStatus", 0, T.Int32),
        ("FeedHold", False, T.Boolean), ("BlockMode", False, T.Boolean), ("ActMainProgramName", "O1000", T.String),
        ("ActProgramName", "O2000", T.String), ("ActProgramBlock", "N10 G1 X10. F500.", T.String), ("ToolId", 7, T.UInt32),
        ("ActFeedrate", 500.0, T.Double), ("CmdFeedrate", 500.0, T.Double), ("ActOverride", 100.0, T.Double),
    ]:
        await put(f"CncChannelList/Channel1/{name}", value, kind)
    for number, axis in enumerate("XYZ"):
        # A position is a variable with its parts below it.
        await put(f"CncAxisList/{axis}/PosDirect", 12.5 * number, T.Double)
        await put(f"CncAxisList/{axis}/PosDirect/ActPos", 12.5 * number, T.Double)
        await put(f"CncAxisList/{axis}/ActStatus", 1, T.Int32)
        await put(f"CncAxisList/{axis}/ActLoad", 15.0, T.Double)
    for name, value, kind in [
        ("ActSpeed", 3000.0, T.Double), ("CmdSpeed", 3000.0, T.Double), ("ActOverride", 100.0, T.Double),
        ("ActLoad", 22.0, T.Double), ("ActTurnDirection", 1, T.Int32),
    ]:
        await put(f"CncSpindleList/S1/{name}", value, kind)


async def abb(peer):
    """OPC 40010-1: a motion device system with a six-axis robot, a controller and a safety state."""
    di = await peer.server.register_namespace(DI)
    rob = await peer.server.register_namespace(ROB)
    tree = Tree(peer, peer.server.nodes.objects)
    of_di = {"DeviceSet", "ParameterSet", "SerialNumber", "Model", "Manufacturer", "ProductCode"}

    async def put(path, value, kind):
        names = ["DeviceSet", "MotionDeviceSystem", *path.split("/")]
        await tree.variable(tuple((di if name in of_di else rob, name) for name in names), value, kind)

    for name, value, kind in [
        ("OperationalMode", 3, T.Int32), ("EmergencyStop", False, T.Boolean), ("ProtectiveStop", False, T.Boolean),
    ]:
        await put(f"SafetyStates/SafetyState/ParameterSet/{name}", value, kind)
    for name, value, kind in [
        ("TaskProgramName", "PickPlace", T.String), ("TaskProgramLoaded", True, T.Boolean), ("ExecutionMode", 1, T.Int32),
    ]:
        await put(f"Controllers/Controller/TaskControls/T_ROB1/ParameterSet/{name}", value, kind)
    for name, value, kind in [
        ("Temperature", 41.0, T.Double), ("TotalPowerOnTime", "P10DT2H", T.String),
        ("StartUpTime", datetime(2026, 11, 1, 6, 0, tzinfo=timezone.utc), T.DateTime),
    ]:
        await put(f"Controllers/Controller/ParameterSet/{name}", value, kind)
    robot = "MotionDevices/ROB_1"
    await put(f"{robot}/SerialNumber", "1200-501234", T.String)
    await put(f"{robot}/Model", ua.LocalizedText("IRB 1200-5/0.9"), T.LocalizedText)
    for name, value, kind in [("SpeedOverride", 100.0, T.Double), ("OnPath", True, T.Boolean), ("InControl", True, T.Boolean)]:
        await put(f"{robot}/ParameterSet/{name}", value, kind)
    for axis in range(1, 7):
        await put(f"{robot}/Axes/Axis_{axis}/ParameterSet/ActualPosition", 10.0 * axis, T.Double)
        await put(f"{robot}/Axes/Axis_{axis}/ParameterSet/ActualSpeed", 0.5 * axis, T.Double)
        await put(f"{robot}/PowerTrains/PowerTrain_{axis}/Motor/ParameterSet/MotorTemperature", 50.0, T.Double)
        await put(f"{robot}/PowerTrains/PowerTrain_{axis}/Motor/ParameterSet/EffectiveLoadRate", 30, T.UInt16)
