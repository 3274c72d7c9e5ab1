#!/usr/bin/env python3
"""A remsim-server and a client at a modem, on a pipe; the codec is asn1tools', made from rspro.asn.
Usage: rspro_pipe.py SERVER_PORT BANK_PORT

Waits for the bank on SERVER_PORT, maps its slot 0, connects a client to it on BANK_PORT, and prints `ready`. Then each
line of standard input is answered by one of standard output: `cold` (VCC away and back) and `warm` (RST) by the answer
to reset, the hexadecimal digits of a T=0 TPDU by those of the answer; `unmap` and `map` (of the server) by `done`,
`gone` by `gone` when the link of the client is closed, `back` by the answer to reset when it has the card again."""
import os
import socket
import sys
import time

import asn1tools

CODEC = asn1tools.compile_files(os.path.join(os.path.dirname(__file__), "rspro.asn"), "ber")
CLIENT = {"id": 0, "slot": 0}
BANK = {"id": 1, "slot": 0}
UNSET = {"header": False, "final": False, "continueTx": False, "continueRx": False}
NO_FLAGS, FINAL = UNSET, {**UNSET, "final": True}
OSMO, CCM, RSPRO, PING, PONG = 0xEE, 0xFE, 0x07, 0x00, 0x01

# Captured between the real osmo-remsim-server, client-shell and IFD handler, and a bank.
CAPTURED = [
    ("connectBankReq", 1, {
        "identity": {"type": "bankd", "name": "tc-bankd", "software": "rig", "swVersion": "0"},
        "bankId": 1, "numberOfSlots": 8,
    }, "002aee07 3027 800102 810101 a21f a01d 3015 0a0102 1608 74632d62616e6b64 8003 726967 810130 020101 020108"),
    ("createMappingRes", 0, {"result": "ok"}, "0010ee07 300d 800102 810100 a205 a503 0a0100"),
    ("setAtrReq", 0, {"slot": CLIENT, "atr": b"\x3b\x00"},
     "0019ee07 3016 800102 810100 a20e aa0c 3006020100020100 04023b00"),
    ("tpduModemToCard", 0, {"from": CLIENT, "to": BANK, "flags": NO_FLAGS, "data": bytes.fromhex("00a40004023f00")},
     "0034ee07 3031 800102 810100 a229 ac27 3006020100020100 3006020101020100 300c010100010100010100010100"
     "040700a40004023f00"),
    ("tpduCardToModem", 0, {"from": BANK, "to": CLIENT, "flags": FINAL, "data": b"\x61\x15"},
     "002fee07 302c 800102 810100 a224 ad22 3006020101020100 3006020100020100 300c0101000101ff010100010100 04026115"),
]


def frame(protocol, payload):
    return len(payload).to_bytes(2, "big") + bytes([protocol]) + payload


def encode(name, value, tag=0):
    return frame(OSMO, bytes([RSPRO]) + CODEC.encode("Pdu", {"version": 2, "tag": tag, "msg": (name, value)}))


class Link:
    """One IPA connection."""

    def __init__(self, sock):
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(30)

    def take(self, count):
        got = b""
        while len(got) < count:
            more = self.sock.recv(count - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def send(self, name, value):
        self.sock.sendall(encode(name, value))

    def receive(self, expected):
        while True:
            header = self.take(3)
            payload = self.take(int.from_bytes(header[:2], "big"))
            if header[2] == CCM and payload[0] == PING:
                self.sock.sendall(frame(CCM, bytes([PONG])))
            elif header[2] == OSMO and payload[0] == RSPRO:
                pdu = CODEC.decode("Pdu", payload[1:])
                assert CODEC.encode("Pdu", pdu) == payload[1:], "the bank's bytes are not those of the module"
                name, value = pdu["msg"]
                assert name == expected, f"{name}, not {expected}: {value}"
                return value

    def ping(self):
        self.sock.sendall(frame(CCM, bytes([PING])))
        assert self.take(4) == frame(CCM, bytes([PONG])), "a PING is answered by a PONG"


def identity(kind):
    return {"type": kind, "name": "peer", "software": "asn1tools", "swVersion": asn1tools.__version__}


class Client:
    def __init__(self, port):
        self.port = port
        self.link = None

    def connect(self):
        link = Link(socket.create_connection(("127.0.0.1", self.port)))
        # As a real client begins.
        link.ping()
        link.send("connectClientReq", {"identity": identity("client"), "clientSlot": CLIENT})
        answer = link.receive("connectClientRes")
        assert answer["identity"]["type"] == "bankd"
        if answer["result"] != "ok":
            return False
        atr = link.receive("setAtrReq")
        assert atr["slot"] == CLIENT
        link.send("setAtrRes", {"result": "ok"})
        self.link, self.atr = link, atr["atr"]
        return True

    def await_card(self):
        deadline = time.monotonic() + 30
        while not self.connect():
            assert time.monotonic() < deadline, "the client gets no card"
            time.sleep(0.05)

    def contacts(self, vcc, reset):
        status = {"resetActive": reset, "vccPresent": vcc, "clkActive": vcc, "cardPresent": True}
        self.link.send("clientSlotStatusInd", {"from": CLIENT, "to": BANK, "status": status})

    def tpdu(self, data):
        self.link.send("tpduModemToCard", {"from": CLIENT, "to": BANK, "flags": NO_FLAGS, "data": data})
        answer = self.link.receive("tpduCardToModem")
        assert (answer["from"], answer["to"]) == (BANK, CLIENT)
        return answer["data"]

    def await_end(self):
        self.link.sock.settimeout(30)
        assert self.link.sock.recv(1) == b"", "the bank sends something instead of closing the link"


def main():
    for name, tag, value, captured in CAPTURED:
        assert encode(name, value, tag) == bytes.fromhex(captured.replace(" ", "")), f"{name} is not as captured"
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    server = Link(listener.accept()[0])
    bank = server.receive("connectBankReq")
    assert (bank["identity"]["type"], bank["bankId"], bank["numberOfSlots"]) == ("bankd", 1, 1), bank
    server.send("connectBankRes", {"identity": identity("server"), "result": "ok"})
    server.send("resetStateReq", {})
    assert server.receive("resetStateRes")["result"] == "ok"
    server.ping()
    mapping = {"client": CLIENT, "bank": BANK}
    for wrong, result in [({"id": 2, "slot": 0}, "illegalBankId"), ({"id": 1, "slot": 1}, "illegalSlotId")]:
        server.send("createMappingReq", {"client": CLIENT, "bank": wrong})
        assert server.receive("createMappingRes")["result"] == result
    server.send("removeMappingReq", mapping)
    assert server.receive("removeMappingRes")["result"] == "unknownSlotmap"

    client = Client(int(sys.argv[2]))
    assert not client.connect(), "there is no mapping yet"

    def create():
        server.send("createMappingReq", mapping)
        assert server.receive("createMappingRes")["result"] == "ok"

    create()
    client.await_card()
    print("ready", flush=True)
    for line in sys.stdin:
        line = line.strip()
        if line == "cold":
            for vcc, reset in [(True, False), (False, True), (True, True), (True, False)]:
                client.contacts(vcc, reset)
            answer = client.atr.hex()
        elif line == "warm":
            for reset in [True, False]:
                client.contacts(True, reset)
            answer = client.atr.hex()
        elif line == "unmap":
            server.send("removeMappingReq", mapping)
            assert server.receive("removeMappingRes")["result"] == "ok"
            answer = "done"
        elif line == "map":
            create()
            answer = "done"
        elif line == "gone":
            client.await_end()
            answer = "gone"
        elif line == "back":
            client.await_card()
            answer = client.atr.hex()
        else:
            answer = client.tpdu(bytes.fromhex(line)).hex()
        print(answer, flush=True)


main()
