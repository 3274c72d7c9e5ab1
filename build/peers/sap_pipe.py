#!/usr/bin/env python3
"""A SAP client on a pipe, written from the tables of the SIM Access Profile alone.
Usage: sap_pipe.py [--osmocom] pty|unix:PATH|tcp:HOST:PORT

`pty` opens a pseudo terminal and prints the name of its other end, where the server is then to be started. Prints `ready`
when it has connected. Then each line of standard input is answered by one of standard output: `cold` (power off and on)
and `warm` (reset) by the answer to reset, the hexadecimal digits of a T=0 TPDU by those of the answer; `every` (all other
requests and their results) by `done`, `removed` and `inserted` by `done` when the card is, `part` by `done` after a
graceful disconnection. --osmocom: pads as osmocom-bb does, reads only what is padded so, and takes what it reads at once for
one message."""
import os
import select
import socket
import sys
import time
import tty

(CONNECT_REQ, CONNECT_RESP, DISCONNECT_REQ, DISCONNECT_RESP, DISCONNECT_IND, APDU_REQ, APDU_RESP, ATR_REQ, ATR_RESP,
 OFF_REQ, OFF_RESP, ON_REQ, ON_RESP, RESET_REQ, RESET_RESP, READER_REQ, READER_RESP, STATUS_IND, ERROR_RESP,
 PROTOCOL_REQ, PROTOCOL_RESP) = range(0x15)
(MAX_SIZE, CONNECTION, RESULT, DISCONNECTION, COMMAND, RESPONSE, ATR, READER, CHANGE, PROTOCOL) = range(10)
COMMAND_7816 = 0x10
NO_PARAMETERS = {}


class Wire:
    """Bytes both ways, over a descriptor."""

    def __init__(self, descriptor, osmocom):
        self.descriptor = descriptor
        self.osmocom = osmocom
        self.got = b""

    def take(self, count):
        deadline = time.monotonic() + 30
        while len(self.got) < count:
            ready, _, _ = select.select([self.descriptor], [], [], deadline - time.monotonic())
            assert ready, "the server does not answer"
            try:
                more = os.read(self.descriptor, 4096)
            except OSError:
                # A pseudo terminal whose other end is not open yet.
                time.sleep(0.05)
                continue
            if not more:
                raise EOFError
            self.got += more
        taken, self.got = self.got[:count], self.got[count:]
        return taken

    def padding(self, length):
        return 4 - length % 4 if self.osmocom else -length % 4

    def send(self, message, parameters=NO_PARAMETERS):
        data = bytes([message, len(parameters), 0, 0])
        for parameter, value in parameters.items():
            data += bytes([parameter, 0]) + len(value).to_bytes(2, "big") + value + bytes(self.padding(len(value)))
        os.write(self.descriptor, data)

    def receive(self):
        message, count, *reserved = self.take(4)
        assert reserved == [0, 0]
        parameters = {}
        for _ in range(count):
            parameter, reserved, *length = self.take(4)
            length = int.from_bytes(bytes(length), "big")
            assert reserved == 0
            parameters[parameter] = self.take(length)
            padding = self.take(self.padding(length))
            assert padding == bytes(len(padding)), "padding is zero"
        assert not (self.osmocom and self.got), f"behind message {message:02x} in one read: {self.got.hex()}"
        return message, parameters


class Client:
    def __init__(self, wire):
        self.wire = wire

    def ask(self, request, response, parameters=NO_PARAMETERS):
        self.wire.send(request, parameters)
        message, answer = self.wire.receive()
        assert message == response, f"message {message:02x}, not {response:02x}: {answer}"
        return answer

    def connect(self):
        size = lambda number: {MAX_SIZE: number.to_bytes(2, "big")}
        too_large = self.ask(CONNECT_REQ, CONNECT_RESP, size(0xFFFF))
        assert too_large[CONNECTION] == b"\x02" and int.from_bytes(too_large[MAX_SIZE], "big") >= 276
        assert self.ask(CONNECT_REQ, CONNECT_RESP, size(100)) == {CONNECTION: b"\x03"}
        assert self.ask(CONNECT_REQ, CONNECT_RESP, size(276)) == {CONNECTION: b"\0"}
        self.indication(STATUS_IND, {CHANGE: b"\x01"})

    def indication(self, message, parameters):
        got = self.wire.receive()
        assert got == (message, parameters), got

    def atr(self):
        answer = self.ask(ATR_REQ, ATR_RESP)
        assert answer[RESULT] == b"\0"
        return answer[ATR]

    def result(self, request, response, expected=0, parameters=NO_PARAMETERS):
        answer = self.ask(request, response, parameters)
        assert answer == {RESULT: bytes([expected])}, answer

    def cold(self):
        self.result(OFF_REQ, OFF_RESP)
        self.result(ON_REQ, ON_RESP)
        return self.atr()

    def warm(self):
        self.result(RESET_REQ, RESET_RESP)
        return self.atr()

    def tpdu(self, data, parameter=COMMAND):
        answer = self.ask(APDU_REQ, APDU_RESP, {parameter: data})
        assert answer[RESULT] == b"\0", answer
        return answer[RESPONSE]

    def every(self):
        self.result(PROTOCOL_REQ, PROTOCOL_RESP, 0, {PROTOCOL: b"\0"})
        self.result(PROTOCOL_REQ, PROTOCOL_RESP, 7, {PROTOCOL: b"\x01"})
        assert self.ask(READER_REQ, READER_RESP) == {RESULT: b"\0", READER: b"\xd0"}
        self.result(ON_REQ, ON_RESP, 5)
        self.result(OFF_REQ, OFF_RESP)
        self.result(OFF_REQ, OFF_RESP, 3)
        self.result(RESET_REQ, RESET_RESP, 3)
        self.result(ATR_REQ, ATR_RESP, 3)
        self.result(APDU_REQ, APDU_RESP, 3, {COMMAND: bytes.fromhex("00a40004023f00")})
        self.result(ON_REQ, ON_RESP)
        assert self.tpdu(bytes.fromhex("00a40004023f00"), COMMAND_7816)[:1] == b"\x61"
        assert self.ask(CONNECT_REQ, ERROR_RESP, {MAX_SIZE: b"\x01\x2c"}) == {}
        assert self.ask(APDU_REQ, ERROR_RESP) == {}
        # A response, and what is no message at all.
        assert self.ask(ATR_RESP, ERROR_RESP) == {}
        assert self.ask(0x77, ERROR_RESP) == {}
        assert self.atr()

    def part(self):
        assert self.ask(DISCONNECT_REQ, DISCONNECT_RESP) == {}


def descriptor(place):
    kind, _, rest = place.partition(":")
    if kind == "pty":
        ours, theirs = os.openpty()
        tty.setraw(ours)
        print(os.ttyname(theirs), flush=True)
        return ours, theirs
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(rest)
    else:
        host, _, port = rest.rpartition(":")
        sock = socket.create_connection((host, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock.detach(), None


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--osmocom"]
    # The other end of a pseudo terminal stays open, for it is gone with its last user.
    ours, _theirs = descriptor(arguments[0])
    if arguments[0] == "pty":
        sys.stdin.readline()
    client = Client(Wire(ours, "--osmocom" in sys.argv))
    client.connect()
    print("ready", flush=True)
    for line in sys.stdin:
        line = line.strip()
        if line in ("cold", "warm"):
            answer = getattr(client, line)().hex()
        elif line in ("every", "part"):
            getattr(client, line)()
            answer = "done"
        elif line in ("removed", "inserted"):
            client.indication(STATUS_IND, {CHANGE: b"\x03" if line == "removed" else b"\x04"})
            answer = "done"
        else:
            answer = client.tpdu(bytes.fromhex(line)).hex()
        print(answer, flush=True)


main()
