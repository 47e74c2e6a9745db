"""Devices that speak text: an MT-SICS scale that is asked, and anything that sends by itself.

serial_peer.py PORT-OR-DEVICE [connect]

A port is listened at, or connected to with `connect`; a device file is a serial line. Questions are answered as by a scale of
the MT-SICS standard, with a few registers more:

    SI          S S     100.00 g      (S I when not stable, S + when overloaded)
    I4          I4 A "1234567"
    R n         R n VALUE             (VALUE is n / 1000 until set; R 99 is refused: `R 99 L`)
    SP x        SP A, or SP L where x is no number from 0 to 1000
    QP x        takes the same and says nothing
    P           as many lines as were set as `print`, with | between
    others      ES

Standard input: `send TEXT` (escapes as in Python), `set NAME VALUE` (weight, unit, state, r5, silent, mute, delay), `get NAME`
(setpoint, clients, lines), `hangup`, `dial`.
"""

import os
import selectors
import socket
import sys
import time


class Scale:
    def __init__(self):
        self.values = {"weight": "100.00", "unit": "g", "state": "S", "setpoint": "none", "silent": "0", "delay": "0"}
        self.values["mute"] = "none"
        self.values["print"] = "GROSS 1.5 kg|TARE 0.5 kg|NET 1.0 kg"
        self.lines = 0

    def answer(self, line):
        self.lines += 1
        word, _, rest = line.strip().partition(" ")
        if word == self.values["mute"]:
            return None
        if word == "SI":
            if self.values["state"] in "+-":
                return f"S {self.values['state']}"
            return f"S {self.values['state']} {self.values['weight']:>10} {self.values['unit']}"
        if word == "P":
            return self.values["print"].replace("|", "\r\n")
        if word == "I4":
            return 'I4 A "1234567"'
        if word == "R" and rest.isdigit():
            if rest == "99":
                return "R 99 L"
            return f"R {rest} {self.values.get('r' + rest, int(rest) / 1000)}"
        if word in ("SP", "QP"):
            try:
                good = 0 <= float(rest) <= 1000
            except ValueError:
                good = False
            if good:
                self.values["setpoint"] = rest
            if word == "QP":
                return None
            return "SP A" if good else "SP L"
        return "ES"


def main():
    place, connect = sys.argv[1], "connect" in sys.argv[2:]
    scale = Scale()
    selector = selectors.DefaultSelector()
    clients = {}
    if place.startswith("/"):
        device = os.open(place, os.O_RDWR | os.O_NOCTTY)
        clients[device] = [b"", lambda: os.read(device, 4096), lambda data: os.write(device, data)]
        selector.register(device, selectors.EVENT_READ, "client")

    def add(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        clients[connection] = [b"", lambda: connection.recv(4096), connection.sendall]
        selector.register(connection, selectors.EVENT_READ, "client")

    def dial():
        for _ in range(500):
            try:
                add(socket.create_connection(("127.0.0.1", int(place))))
                return
            except OSError:
                time.sleep(0.01)

    def drop(handle):
        selector.unregister(handle)
        del clients[handle]
        if not isinstance(handle, int):
            handle.close()

    def send(handle, data):
        try:
            clients[handle][2](data)
        except OSError:
            drop(handle)

    if not place.startswith("/") and not connect:
        listener = socket.create_server(("127.0.0.1", int(place)), backlog=128)
        selector.register(listener, selectors.EVENT_READ, "listener")
    if connect:
        dial()
    selector.register(sys.stdin, selectors.EVENT_READ, "stdin")
    print("ready", flush=True)

    while True:
        for key, _ in selector.select():
            if key.data == "listener":
                add(listener.accept()[0])
            elif key.data == "stdin":
                line = sys.stdin.readline()
                if not line:
                    return
                line = line.rstrip("\n")
                word, _, rest = line.partition(" ")
                answer = "ok"
                if word == "send":
                    data = rest.encode("latin-1").decode("unicode_escape").encode("latin-1")
                    for handle in list(clients):
                        send(handle, data)
                elif word == "set":
                    name, _, value = rest.partition(" ")
                    scale.values[name] = value
                elif word == "get" and rest == "clients":
                    answer = len(clients)
                elif word == "get" and rest == "lines":
                    answer = scale.lines
                elif word == "get":
                    answer = scale.values.get(rest, "none")
                elif word == "hangup":
                    for handle in list(clients):
                        drop(handle)
                elif word == "dial":
                    dial()
                else:
                    answer = "what?"
                print(answer, flush=True)
            elif key.fileobj in clients:
                client = clients[key.fileobj]
                try:
                    data = client[1]()
                except OSError:
                    data = b""
                if not data:
                    drop(key.fileobj)
                    continue
                client[0] = (client[0] + data.replace(b"\r", b"\n"))[-4096:]
                while b"\n" in client[0]:
                    question, client[0] = client[0].split(b"\n", 1)
                    if not question.strip():
                        continue
                    answer = scale.answer(question.decode("ascii", "replace"))
                    if answer is None or scale.values["silent"] == "1":
                        continue
                    if float(scale.values["delay"]):
                        time.sleep(float(scale.values["delay"]))
                    send(key.fileobj, f"{answer}\r\n".encode())
                    if key.fileobj not in clients:
                        break


if __name__ == "__main__":
    main()
