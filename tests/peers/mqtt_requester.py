"""Somebody who asks for commands over MQTT: paho-mqtt speaks, PyJWT signs.

    mqtt_requester.py PORT [3.1.1] [id=NAME] [user=NAME password=WORD]

With an `id` the broker keeps its subscriptions, and what comes for them, while it is away.

Lines on standard input, each answered with one:

    sub FILTER              subscribes with quality of service 1, and again after each connection
    pub JSON                publishes: `topic`, `qos` (1), `retain` (false), `response` (topic), `correlation` (hexadecimal),
                            and one of `claims` (signed with `secret`), `text`, `bytes` (so many `x`)
    sign JSON               gives the signed request of `claims` and `secret`
    next SECONDS            waits for the next message that has come, and gives it as JSON, or `nothing`
"""

import json
import queue
import sys
import threading

import jwt
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT = int(sys.argv[1])
OPTIONS = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
OLD = "3.1.1" in sys.argv[2:]

messages: queue.Queue = queue.Queue()
connected = threading.Event()
subscribed = threading.Event()
filters: list = []


def on_connect(client, _data, _flags, reason, _properties):
    if reason.is_failure:
        print(f"refused: {reason}", flush=True)
        return
    for filter in filters:
        client.subscribe(filter, 1)
    connected.set()


def on_disconnect(*_):
    connected.clear()


def on_subscribe(*_):
    subscribed.set()


def on_message(_client, _data, message):
    properties = getattr(message, "properties", None)
    correlation = getattr(properties, "CorrelationData", None)
    messages.put(
        {
            "topic": message.topic,
            "payload": message.payload.decode(errors="replace"),
            "retain": message.retain,
            "qos": message.qos,
            "correlation": correlation.hex() if correlation is not None else None,
            "contentType": getattr(properties, "ContentType", None),
        }
    )


def sign(asked):
    return jwt.encode(asked["claims"], asked["secret"], algorithm="HS256")


def publish(client, asked):
    if "claims" in asked:
        payload = sign(asked)
    else:
        payload = asked.get("text", "x" * asked.get("bytes", 0))
    properties = None
    if not OLD:
        properties = Properties(PacketTypes.PUBLISH)
        if "response" in asked:
            properties.ResponseTopic = asked["response"]
        if "correlation" in asked:
            properties.CorrelationData = bytes.fromhex(asked["correlation"])
    qos, retain = asked.get("qos", 1), asked.get("retain", False)
    if not connected.wait(20):
        return "not connected"
    sent = client.publish(asked["topic"], payload, qos, retain, properties)
    sent.wait_for_publish(20)
    return "ok" if sent.is_published() else "not published"


def main():
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=OPTIONS.get("id", ""),
        protocol=mqtt.MQTTv311 if OLD else mqtt.MQTTv5,
        clean_session="id" not in OPTIONS if OLD else None,
    )
    client.on_connect, client.on_disconnect = on_connect, on_disconnect
    client.on_subscribe, client.on_message = on_subscribe, on_message
    client.reconnect_delay_set(min_delay=1, max_delay=1)
    if "user" in OPTIONS:
        client.username_pw_set(OPTIONS["user"], OPTIONS["password"])
    kept = {}
    if "id" in OPTIONS and not OLD:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        kept = {"clean_start": False, "properties": properties}
    client.connect("127.0.0.1", PORT, keepalive=30, **kept)
    client.loop_start()
    if not connected.wait(20):
        sys.exit("no connection")
    print("ready", flush=True)
    for line in sys.stdin:
        command, _, rest = line.rstrip("\n").partition(" ")
        if command == "sub":
            filters.append(rest)
            subscribed.clear()
            client.subscribe(rest, 1)
            answer = "ok" if subscribed.wait(20) else "not subscribed"
        elif command == "pub":
            answer = publish(client, json.loads(rest))
        elif command == "sign":
            answer = sign(json.loads(rest))
        elif command == "next":
            try:
                answer = json.dumps(messages.get(timeout=float(rest)))
            except queue.Empty:
                answer = "nothing"
        else:
            answer = "no such command"
        print(answer, flush=True)


main()
