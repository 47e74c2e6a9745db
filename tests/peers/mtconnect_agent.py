"""A small MTConnect agent with a buffer of its own, for tests of clients.

mtconnect_agent.py PORT [--version 2.2] [--buffer 1024] [--stream MODE] [--json 1|2] [--cert FILE --key FILE]
                   [--ca FILE] [--user NAME:PASSWORD] [--token TOKEN] [--gzip] [--prefix]

Commands on standard input, one line each:
  obs JSON        {"id": …, "value": text | [numbers] | {key: value}, "level": …, "time": …, "attrs": {…}}
  burst ID N [T]  N observations of a number, counting on, T seconds apart (default 0)
  asset ID DEVICE TEXT | unasset ID
  restart         a new instanceId; the buffer and all values are gone
  model           a data item more, in the same run (deviceModelChangeTime moves on)
  device NAME     a device more, in the same run
  stream MODE     how streams are sent from now on:
                  good, nolength, short, long, wronglength, lf, split, nocontenttype, noboundary, dashes, garbage,
                  cut, single, once, html, refuse, hang, endless, header, silent, junk, plain (no chunks, odd headers)
  stat            counts of what was asked, as JSON
  next            the next sequence
"""

import argparse
import base64
import collections
import datetime
import gzip
import json
import ssl
import sys
import threading
import time
import urllib.parse
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape, quoteattr

# id: (device, category, type, element, attributes of the data item)
ITEMS = {
    "avail": ("M1", "EVENT", "AVAILABILITY", "Availability", {}),
    "x": ("M1", "SAMPLE", "POSITION", "Position",
          {"subType": "ACTUAL", "units": "MILLIMETER", "nativeUnits": "INCH", "nativeScale": "10"}),
    "exec": ("M1", "EVENT", "EXECUTION", "Execution", {}),
    "prog": ("M1", "EVENT", "PROGRAM", "Program", {}),
    "path": ("M1", "SAMPLE", "PATH_POSITION", "PathPosition", {"units": "MILLIMETER_3D"}),
    "sys": ("M1", "CONDITION", "SYSTEM", "", {}),
    "msg": ("M1", "EVENT", "MESSAGE", "Message", {}),
    "wave": ("M1", "SAMPLE", "DISPLACEMENT", "DisplacementTimeSeries",
             {"units": "MILLIMETER", "representation": "TIME_SERIES", "sampleRate": "100"}),
    "vars": ("M1", "EVENT", "VARIABLE", "VariableDataSet", {"representation": "DATA_SET"}),
    "offs": ("M1", "EVENT", "WORK_OFFSET", "WorkOffsetTable", {"representation": "TABLE"}),
    "count": ("M1", "EVENT", "PART_COUNT", "PartCount", {}),
    "chg": ("M1", "EVENT", "ASSET_CHANGED", "AssetChanged", {}),
    "rem": ("M1", "EVENT", "ASSET_REMOVED", "AssetRemoved", {}),
    "avail2": ("M2", "EVENT", "AVAILABILITY", "Availability", {}),
    "x2": ("M2", "SAMPLE", "POSITION", "Position", {"subType": "ACTUAL", "units": "MILLIMETER"}),
    "conn": ("Agent", "EVENT", "AVAILABILITY", "Availability", {}),
}
LISTS = {"SAMPLE": "Samples", "EVENT": "Events", "CONDITION": "Condition"}
CHUNK = 7


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Agent:
    def __init__(self, options):
        self.options = options
        self.changed = threading.Condition()
        self.items = dict(ITEMS)
        self.stat = collections.Counter()
        self.last = {}
        self.assets = {}
        self.model_time = "2026-01-01T00:00:00Z"
        self.instance = int(time.time() * 1000)
        with self.changed:
            self.begin()

    def begin(self):
        self.buffer = collections.deque(maxlen=self.options.buffer)
        self.next = 1
        self.state = {}
        self.log = []
        self.counter = collections.Counter()
        for name in self.items:
            self.add({"id": name, "value": "UNAVAILABLE", "level": "Unavailable"})
        for name in ("avail", "avail2", "conn"):
            if name in self.items:
                self.add({"id": name, "value": "AVAILABLE"})

    def add(self, obs):
        obs.setdefault("time", now())
        obs["sequence"] = self.next
        self.next += 1
        self.buffer.append(obs)
        self.log.append(obs)
        self.fold(self.state, obs)
        self.changed.notify_all()

    def fold(self, state, obs):
        category = self.items[obs["id"]][1]
        held = state.setdefault(obs["id"], [])
        if category == "CONDITION":
            code = obs.get("attrs", {}).get("nativeCode", "")
            level = obs["level"]
            if level == "Unavailable" or (level == "Normal" and not code):
                held[:] = [obs]
            else:
                held[:] = [it for it in held if it["level"] not in ("Normal", "Unavailable")
                           and it.get("attrs", {}).get("nativeCode", "") != code]
                if level != "Normal":
                    held.append(obs)
                elif not held:
                    held.append({**obs, "attrs": {}, "value": ""})
        elif isinstance(obs["value"], dict) and held and isinstance(held[0]["value"], dict) \
                and "resetTriggered" not in obs.get("attrs", {}):
            whole = {**held[0]["value"], **obs["value"]}
            held[:] = [{**obs, "value": {k: v for k, v in whole.items() if v is not None}}]
        elif isinstance(obs["value"], dict):
            held[:] = [{**obs, "value": {k: v for k, v in obs["value"].items() if v is not None}}]
        else:
            held[:] = [obs]

    # Documents

    def header(self, kind, form, next_sequence=None):
        first = self.buffer[0]["sequence"] if self.buffer else self.next
        fields = {"creationTime": now(), "sender": "peer", "instanceId": self.instance,
                  "version": self.options.version, "bufferSize": self.options.buffer}
        if self.options.version >= "1.7":
            fields["deviceModelChangeTime"] = self.model_time
        if kind == "Streams":
            fields.update(firstSequence=first, lastSequence=self.next - 1,
                          nextSequence=self.next if next_sequence is None else next_sequence)
        if kind in ("Devices", "Assets"):
            fields.update(assetBufferSize=1024, assetCount=len(self.assets))
        if self.options.version < "1.1" and kind == "Streams":
            fields.pop("instanceId")
            fields.pop("firstSequence")
        if form == "xml":
            return "<%sHeader%s/>" % (self.prefix(), attributes(fields))
        return fields

    def prefix(self):
        return "m:" if self.options.prefix else ""

    def document(self, kind, form, header, body):
        if form == "xml":
            urn = "urn:mtconnect.org:MTConnect%s:%s" % (kind, self.options.version)
            if self.options.version < "1.1":
                urn = "urn:mtconnect.com:MTConnect%s:0.9" % kind
            prefix = self.prefix()
            return ('<?xml version="1.0" encoding="UTF-8"?>\n<%sMTConnect%s xmlns%s="%s" xmlns:x="urn:x:1" '
                    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="%s /s.xsd">%s%s'
                    "</%sMTConnect%s>\n") % (prefix, kind, ":m" if prefix else "", urn, urn, header, body, prefix, kind)
        return json.dumps({"MTConnect" + kind: {"jsonVersion": self.options.json, "schemaVersion":
                                                self.options.version, "Header": header, **body}})

    def probe(self, form):
        names = [name for name in dict.fromkeys(it[0] for it in self.items.values())
                 if name != "Agent" or self.options.version >= "1.7"]
        if form == "json":
            return self.document("Devices", form, self.header("Devices", form), {"Devices": self.json_devices(names)})
        out = "".join(self.device(name) for name in names)
        body = "<Devices>%s</Devices>" % out
        if self.options.prefix:
            body = body.replace("</", "</m:").replace("<", "<m:").replace("<m:/m:", "</m:").replace("<m:x:", "<x:") \
                .replace("</m:x:", "</x:")
        return self.document("Devices", form, self.header("Devices", form), body)

    def device(self, name):
        kind = "Agent" if name == "Agent" else "Device"
        own = ""
        for key, (device, category, kind_of, _, more) in self.items.items():
            if device == name:
                fields = {"id": key, "category": category, "type": kind_of, **more}
                inner = '<Filters><Filter type="PERIOD">2</Filter></Filters>' if key == "x" else ""
                inner += "<ResetTrigger>DAY</ResetTrigger>" if key == "count" else ""
                own += "<DataItem%s>%s</DataItem>" % (attributes(fields), inner)
        avail, rest = own.split("</DataItem>", 1)
        return ('<%s id="%s" name="%s" uuid="uuid-%s"><Description manufacturer="A &amp; B">Mill</Description>'
                '<DataItems>%s</DataItem></DataItems><Components><Controller id="c%s" name="ctl"><DataItems>%s'
                '</DataItems></Controller><x:Extra id="e%s" name="extra"/></Components></%s>') % (
                    kind, "d" + name, name, name, avail, name, rest, name, kind) if rest else (
                    '<%s id="%s" name="%s" uuid="uuid-%s"><DataItems>%s</DataItem></DataItems></%s>') % (
                        kind, "d" + name, name, name, avail, kind)

    def json_devices(self, names):
        first = self.options.json == "1"
        devices = []
        for name in names:
            items = [{"id": key, "category": it[1], "type": it[2], **it[4]} for key, it in self.items.items()
                     if it[0] == name]
            listed = [{"DataItem": it} for it in items] if first else {"DataItem": items}
            device = {"id": "d" + name, "name": name, "uuid": "uuid-" + name, "DataItems": listed,
                      "Description": {"manufacturer": "A & B", "value": "Mill"}}
            devices.append(("Agent" if name == "Agent" else "Device", device))
        if first:
            return [{kind: device} for kind, device in devices]
        grouped = {}
        for kind, device in devices:
            grouped.setdefault(kind, []).append(device)
        return grouped

    def streams(self, observations, form, next_sequence=None):
        header = self.header("Streams", form, next_sequence)
        grouped = {}
        for obs in observations:
            device, category = self.items[obs["id"]][:2]
            grouped.setdefault(device, {}).setdefault(category, []).append(obs)
        if form == "json":
            return self.document("Streams", form, header, {"Streams": self.json_streams(grouped)})
        out = ""
        prefix = self.prefix()
        for device, lists in grouped.items():
            out += '<%sDeviceStream name="%s" uuid="uuid-%s"><%sComponentStream component="Controller" componentId="c%s">' % (
                prefix, device, device, prefix, device)
            for category, of in lists.items():
                out += "<%s%s>%s</%s%s>" % (prefix, LISTS[category], "".join(self.element(it) for it in of), prefix,
                                            LISTS[category])
            out += "</%sComponentStream></%sDeviceStream>" % (prefix, prefix)
        return self.document("Streams", form, header, "<%sStreams>%s</%sStreams>" % (prefix, out, prefix))

    def element(self, obs):
        fields = {"dataItemId": obs["id"], "sequence": obs["sequence"], "timestamp": obs["time"], **obs.get("attrs", {})}
        item = self.items[obs["id"]]
        name = obs["level"] if item[1] == "CONDITION" else item[3]
        name = self.prefix() + name
        if item[1] == "CONDITION":
            fields["type"] = item[2]
        value = obs.get("value", "")
        if isinstance(value, dict):
            fields["count"] = len(value)
            value = "".join(self.entry("Entry", key, cell) for key, cell in value.items())
        elif isinstance(value, list):
            if item[4].get("representation"):
                fields["sampleCount"] = len(value)
            value = " ".join(map(str, value))
        else:
            value = escape(value) if item[1] != "CONDITION" or value != "UNAVAILABLE" else ""
        return "<%s%s>%s</%s>" % (name, attributes(fields), value, name)

    def entry(self, name, key, cell):
        name = self.prefix() + name
        if cell is None:
            return '<%s key="%s" removed="true"/>' % (name, key)
        if isinstance(cell, dict):
            cell = "".join(self.entry("Cell", k, v) for k, v in cell.items())
        else:
            cell = escape(str(cell))
        return '<%s key="%s">%s</%s>' % (name, key, cell, name)

    def json_streams(self, grouped):
        first = self.options.json == "1"
        devices = []
        for device, lists in grouped.items():
            component = {"component": "Controller", "componentId": "c" + device}
            for category, of in lists.items():
                each = [self.json_obs(obs) for obs in of]
                if first:
                    component[LISTS[category]] = [{name: it} for name, it in each]
                else:
                    by_name = {}
                    for name, it in each:
                        by_name.setdefault(name, []).append(it)
                    component[LISTS[category]] = by_name
            if first:
                devices.append({"DeviceStream": {"name": device, "uuid": "uuid-" + device,
                                                 "ComponentStreams": [{"ComponentStream": component}]}})
            else:
                devices.append({"name": device, "uuid": "uuid-" + device, "ComponentStream": [component]})
        return devices if first else {"DeviceStream": devices}

    def json_obs(self, obs):
        item = self.items[obs["id"]]
        fields = {"dataItemId": obs["id"], "sequence": obs["sequence"], "timestamp": obs["time"], **obs.get("attrs", {})}
        value = obs.get("value", "")
        if isinstance(value, dict):
            value = {k: {"removed": True} if v is None else v for k, v in value.items()}
        elif isinstance(value, str) and item[1] == "SAMPLE":
            try:
                value = float(value)
            except ValueError:
                pass
        if isinstance(value, list) and item[4].get("representation"):
            fields["sampleCount"] = len(value)
        if item[1] != "CONDITION":
            return item[3], {**fields, "value": value}
        return obs["level"], {**fields, **({"value": value} if value and value != "UNAVAILABLE" else {})}

    def error(self, code, text, form):
        if form == "json":
            body = {"Errors": [{"Error": {"errorCode": code, "value": text}}] if self.options.json == "1"
                    else {"Error": [{"errorCode": code, "value": text}]}}
            return self.document("Error", form, self.header("Error", form), body)
        if self.options.version >= "2.6":
            name = "".join(part.capitalize() for part in code.split("_"))
            body = "<Errors><%s><ErrorMessage>%s</ErrorMessage></%s></Errors>" % (name, escape(text), name)
        else:
            body = '<Errors><Error errorCode="%s">%s</Error></Errors>' % (code, escape(text))
        return self.document("Error", "xml", "<Header/>", body)

    def asset_list(self, ids):
        out = ""
        for name in ids:
            device, text, stamp = self.assets[name]
            out += '<x:Fixture assetId="%s" timestamp="%s" deviceUuid="uuid-%s"><Note>%s</Note></x:Fixture>' % (
                name, stamp, device, escape(text))
        return self.document("Assets", "xml", self.header("Assets", "xml"), "<Assets>%s</Assets>" % out)


def attributes(fields):
    return "".join(" %s=%s" % (key, quoteattr(str(value))) for key, value in fields.items())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    disable_nagle_algorithm = True
    was_asked = False

    def log_message(self, *_):
        pass

    def do_GET(self):
        agent = self.server.agent
        agent.stat["requests"] += 1
        options = agent.options
        if options.forgetful:
            if self.was_asked:
                agent.stat["forgotten"] += 1
                self.close_connection = True
                return
            self.was_asked = True
        if options.user and self.headers.get("Authorization") != "Basic " + base64.b64encode(
                options.user.encode()).decode():
            return self.reply(401, "text/html", "<html>who are you</html>")
        if options.token and self.headers.get("Authorization") != "Bearer " + options.token:
            return self.reply(401, "text/html", "<html>who are you</html>")
        url = urllib.parse.urlsplit(self.path)
        query = {key: values[0] for key, values in urllib.parse.parse_qs(url.query).items()}
        form = "json" if "json" in self.headers.get("Accept", "") else "xml"
        if options.always:
            form = options.always
        parts = [urllib.parse.unquote(part) for part in url.path.split("/") if part]
        if parts[:1] == ["moved"]:
            return self.redirect("/" + "/".join(parts[1:]))
        if parts[:1] == ["away"]:
            return self.redirect("http://localhost.example:1/" + "/".join(parts[1:]))
        if parts[:1] == ["round"]:
            return self.redirect("/round/x")
        if parts[:1] == ["page"]:
            return self.reply(200, "text/html", "<!DOCTYPE html><html><body>It works</body></html>")
        device = None
        if parts and parts[0] in ("M1", "M2", "Agent", "uuid-M1", "uuid-M2"):
            device = parts.pop(0).removeprefix("uuid-")
        what = parts[0] if parts else "probe"
        agent.stat[what] += 1
        agent.last[what] = self.path
        if what == "probe":
            with agent.changed:
                return self.document(agent.probe(form), form)
        if what == "current" and options.bomb:
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            data = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(128)) + packer.flush()
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            return self.wfile.write(data)
        if what == "current":
            with agent.changed:
                state = agent.state
                if "at" in query and not options.plain:
                    state = {}
                    for obs in agent.log[:int(query["at"])]:
                        agent.fold(state, obs)
                    agent.stat["at"] += 1
                every = [it for held in state.values() for it in held]
                return self.document(agent.streams(chosen(agent, every, device), form), form)
        if what == "sample":
            return self.sample(agent, device, query, form)
        if what in ("asset", "assets"):
            with agent.changed:
                ids = parts[1].split(";") if len(parts) > 1 else list(agent.assets)
                if any(it not in agent.assets for it in ids):
                    return self.document(agent.error("ASSET_NOT_FOUND", "no such asset", "xml"), "xml", 404)
                return self.document(agent.asset_list(ids), "xml")
        self.document(agent.error("INVALID_URI", "no such path", form), form, 404)

    def redirect(self, where):
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def sample(self, agent, device, query, form):
        with agent.changed:
            first = agent.buffer[0]["sequence"] if agent.buffer else agent.next
            begin = int(query.get("from", first))
            if not first <= begin <= agent.next:
                text = "'from' must be in range %d to %d" % (first, agent.next)
                status = 404 if agent.options.version < "2.0" else 400
                return self.document(agent.error("OUT_OF_RANGE", text, form), form, status)
            count = int(query.get("count", 100))
            if count > agent.options.buffer:
                return self.document(agent.error("INVALID_REQUEST", "'count' is too large", form), form, 400)
            if "interval" not in query or agent.options.stream == "single":
                body, _ = window(agent, begin, count, device, form)
                return self.document(body, form)
        agent.stat["streams"] += 1
        try:
            self.stream(agent, device, query, form, begin, count)
        except (BrokenPipeError, ConnectionError, ssl.SSLError):
            pass
        self.close_connection = True

    def stream(self, agent, device, query, form, begin, count):
        mode = agent.options.stream
        if mode == "refuse":
            return self.document(agent.error("INVALID_REQUEST", "no streams here", form), form, 400)
        if mode == "html":
            return self.reply(200, "text/html", "<html><body>busy</body></html>")
        if mode == "hang":
            return time.sleep(60)
        self.send_response(200)
        kind = {"nocontenttype": "text/plain", "noboundary": "multipart/mixed",
                "dashes": 'multipart/x-mixed-replace; boundary="--bound"'}.get(
                    mode, "multipart/x-mixed-replace;boundary=bound")
        self.send_header("Content-Type", kind)
        self.chunked = mode != "plain"
        if self.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.wfile.write(b"HTTP/1.0 200 fine\nX-Odd : header\nConten\xfct-\x01: none\n"
                             b"Content-Type: multipart/x-mixed-replace; boundary=bound\n\n")
            self._headers_buffer = []
        if self.chunked:
            self.end_headers()
        if mode == "silent":
            return time.sleep(60)
        while mode == "junk":
            self.chunk(b"x" * 1000)
            time.sleep(0.02)
        end = "\n" if mode == "lf" else "\r\n"
        gap = int(query["interval"]) / 1000
        heartbeat = int(query.get("heartbeat", 10000)) / 1000
        sent = 0
        while True:
            with agent.changed:
                deadline = time.monotonic() + heartbeat
                instance = agent.instance
                while not any(it["sequence"] >= begin for it in chosen(agent, agent.buffer, device)):
                    left = deadline - time.monotonic()
                    if left <= 0 or instance != agent.instance:
                        break
                    agent.changed.wait(left)
                first = agent.buffer[0]["sequence"] if agent.buffer else agent.next
                over = first > begin
                if over:
                    body = agent.error("OUT_OF_RANGE", "you are too slow", form)
                else:
                    if begin > agent.next:
                        begin = 1
                    body, begin = window(agent, begin, count, device, form)
                mode = agent.options.stream
            data = body.encode()
            sent += 1
            if mode == "garbage":
                data = b"<MTConnectStreams><Header></MTConnectStreams>"
            if mode == "cut":
                data = data[:len(data) // 2]
            length = {"nolength": None, "short": len(data) // 2, "long": len(data) + 50, "wronglength": "many",
                      "cut": len(data) * 2}.get(mode, len(data))
            head = "%s--bound%sContent-type: %s%s" % (end, end, mime(form), end)
            if length is not None:
                head += "Content-length: %s%s" % (length, end)
            if mode == "header":
                self.chunk((head + "X-Giant: ").encode())
                for _ in range(1000):
                    self.chunk(b"x" * 1000)
                return time.sleep(60)
            if mode == "endless":
                self.chunk((head + end).encode() + data[:100])
                while True:
                    self.chunk(b"<a/>" * 20_000)
            whole = (head + end).encode() + data + end.encode()
            if mode == "split":
                for at in range(0, len(whole), CHUNK):
                    self.chunk(whole[at:at + CHUNK])
            else:
                self.chunk(whole)
            if over:
                self.chunk((end + "--bound--" + end).encode())
                return self.wfile.write(b"0\r\n\r\n")
            if mode == "once":
                return None
            time.sleep(gap)

    def chunk(self, data):
        if not self.chunked:
            return self.wfile.write(data)
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def document(self, body, form, status=200):
        self.reply(status, mime(form), body)

    def reply(self, status, kind, body):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if self.server.agent.options.gzip and "gzip" in self.headers.get("Accept-Encoding", ""):
            data = gzip.compress(data)
            self.server.agent.stat["packed"] += 1
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def mime(form):
    return "application/mtconnect+json" if form == "json" else "application/xml"


def chosen(agent, observations, device):
    return [it for it in observations if device is None or agent.items[it["id"]][0] == device]


def window(agent, begin, count, device, form):
    of = [it for it in chosen(agent, agent.buffer, device) if it["sequence"] >= begin]
    rest, of = of[count:], of[:count]
    after = of[-1]["sequence"] + 1 if rest else agent.next
    return agent.streams(of, form, after), after


def commands(agent):
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        answer = "ok"
        with agent.changed:
            if word == "obs":
                agent.add(json.loads(rest))
                answer = str(agent.next - 1)
            elif word == "burst":
                name, number, *pause = rest.split()
                for _ in range(int(number)):
                    agent.counter[name] += 1
                    agent.add({"id": name, "value": str(agent.counter[name])})
                    if pause:
                        agent.changed.wait_for(lambda: False, float(pause[0]))
                answer = str(agent.next)
            elif word == "asset":
                name, device, text = rest.split(" ", 2)
                agent.assets[name] = (device, text, now())
                agent.add({"id": "chg", "value": name, "attrs": {"assetType": "x:Fixture"}})
            elif word == "unasset":
                agent.assets.pop(rest)
                agent.add({"id": "rem", "value": rest, "attrs": {"assetType": "x:Fixture"}})
            elif word == "restart":
                agent.instance += 1
                agent.begin()
                agent.changed.notify_all()
            elif word == "model":
                name = "extra%d" % len(agent.items)
                agent.items[name] = ("M1", "EVENT", "PROGRAM", "Program", {"subType": "ACTIVE"})
                agent.model_time = now()
                agent.add({"id": name, "value": "NEW"})
                answer = name
            elif word == "device":
                agent.items["avail" + rest] = (rest, "EVENT", "AVAILABILITY", "Availability", {})
                agent.model_time = now()
                agent.add({"id": "avail" + rest, "value": "AVAILABLE"})
            elif word == "stream":
                agent.options.stream = rest
                agent.changed.notify_all()
            elif word == "stat":
                answer = json.dumps({**agent.stat, "last": agent.last})
            elif word == "next":
                answer = str(agent.next)
            else:
                answer = "what?"
        print(answer, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    for name, default in [("version", "2.2"), ("stream", "good"), ("json", "2"), ("cert", None), ("key", None),
                          ("ca", None), ("user", None), ("token", None), ("always", None)]:
        parser.add_argument("--" + name, default=default)
    parser.add_argument("--buffer", type=int, default=1024)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--prefix", action="store_true")
    parser.add_argument("--plain", action="store_true", help="current does not know `at`")
    parser.add_argument("--forgetful", action="store_true",
                        help="one answer per connection, which ends without a word when it is asked again")
    parser.add_argument("--bomb", action="store_true", help="current is 128 MiB of spaces, packed")
    options = parser.parse_args()
    agent = Agent(options)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler, bind_and_activate=False)
    server.allow_reuse_address = True
    server.request_queue_size = 256
    server.daemon_threads = True
    server.server_bind()
    server.server_activate()
    server.agent = agent
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        if options.ca:
            context.load_verify_locations(options.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    commands(agent)


main()
