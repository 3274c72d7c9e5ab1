#!/usr/bin/env python3
"""Reads the frames that `cargo run -p teuicc-modem-bridge --example qmi-frames` recorded, and checks them with libqmi and
libmbim, neither of them ours: every frame is read by them, what they read is what the table says, and what they write
of the same content are the same bytes. With --proxy the frames went through libqmi's proxy.
Usage: qmi_frames.py [--proxy] FRAMES"""
import ctypes
import struct
import sys

glib = ctypes.CDLL("libglib-2.0.so.0")
qmi = ctypes.CDLL("libqmi-glib.so.5")
mbim = ctypes.CDLL("libmbim-glib.so.4")

POINTER, SIZE = ctypes.c_void_p, ctypes.c_size_t


def function(library, name, result, *arguments):
    f = getattr(library, name)
    f.restype, f.argtypes = result, arguments
    return f


array_new = function(glib, "g_byte_array_new", POINTER)
array_append = function(glib, "g_byte_array_append", POINTER, POINTER, ctypes.c_char_p, ctypes.c_uint)
message_from_raw = function(qmi, "qmi_message_new_from_raw", POINTER, POINTER, POINTER)
message_new = function(
    qmi, "qmi_message_new", POINTER, ctypes.c_uint, ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint16
)
message_service = function(qmi, "qmi_message_get_service", ctypes.c_uint, POINTER)
message_client = function(qmi, "qmi_message_get_client_id", ctypes.c_uint8, POINTER)
message_transaction = function(qmi, "qmi_message_get_transaction_id", ctypes.c_uint16, POINTER)
message_id = function(qmi, "qmi_message_get_message_id", ctypes.c_uint16, POINTER)
message_is_request = function(qmi, "qmi_message_is_request", ctypes.c_int, POINTER)
message_is_response = function(qmi, "qmi_message_is_response", ctypes.c_int, POINTER)
message_is_indication = function(qmi, "qmi_message_is_indication", ctypes.c_int, POINTER)
message_tlv = function(qmi, "qmi_message_get_raw_tlv", ctypes.POINTER(ctypes.c_uint8), POINTER, ctypes.c_uint8,
                       ctypes.POINTER(ctypes.c_uint16))
message_add_tlv = function(qmi, "qmi_message_add_raw_tlv", ctypes.c_int, POINTER, ctypes.c_uint8, ctypes.c_char_p,
                           SIZE, POINTER)
message_raw = function(qmi, "qmi_message_get_raw", ctypes.POINTER(ctypes.c_uint8), POINTER, ctypes.POINTER(SIZE),
                       POINTER)
message_text = function(qmi, "qmi_message_get_printable_full", ctypes.c_char_p, POINTER, POINTER, ctypes.c_char_p)

mbim_new = function(mbim, "mbim_message_new", POINTER, ctypes.c_char_p, ctypes.c_uint32)
mbim_type = function(mbim, "mbim_message_get_message_type", ctypes.c_uint, POINTER)
mbim_transaction = function(mbim, "mbim_message_get_transaction_id", ctypes.c_uint32, POINTER)
mbim_text = function(mbim, "mbim_message_get_printable_full", ctypes.c_char_p, POINTER, ctypes.c_uint8,
                     ctypes.c_uint8, ctypes.c_char_p, ctypes.c_int, POINTER)
mbim_command_service = function(mbim, "mbim_message_command_get_service", ctypes.c_uint, POINTER)
mbim_command_cid = function(mbim, "mbim_message_command_get_cid", ctypes.c_uint32, POINTER)
mbim_command_kind = function(mbim, "mbim_message_command_get_command_type", ctypes.c_uint, POINTER)
mbim_command_buffer = function(mbim, "mbim_message_command_get_raw_information_buffer",
                               ctypes.POINTER(ctypes.c_uint8), POINTER, ctypes.POINTER(ctypes.c_uint32))
mbim_open_new = function(mbim, "mbim_message_open_new", POINTER, ctypes.c_uint32, ctypes.c_uint32)
mbim_close_new = function(mbim, "mbim_message_close_new", POINTER, ctypes.c_uint32)
mbim_command_new = function(mbim, "mbim_message_command_new", POINTER, ctypes.c_uint32, ctypes.c_uint,
                            ctypes.c_uint32, ctypes.c_uint)
mbim_command_append = function(mbim, "mbim_message_command_append", None, POINTER, ctypes.c_char_p, ctypes.c_uint32)
mbim_raw = function(mbim, "mbim_message_get_raw", ctypes.POINTER(ctypes.c_uint8), POINTER,
                    ctypes.POINTER(ctypes.c_uint32), POINTER)

# The published table: message number, then the lengths of the fields that may be there (None: any).
UIM_REMOTE = 0x32
REQUESTS = {
    0x21: {0x01: 8, 0x10: None, 0x12: 4},
    0x22: {0x01: 2, 0x02: 4, 0x03: 4, 0x10: 8, 0x11: None},
}
INDICATIONS = {
    0x22: {0x01: 4, 0x02: 4, 0x03: None},
    0x23: {0x01: 4},
    0x24: {0x01: 4},
    0x25: {0x01: 4, 0x10: 4, 0x11: 4},
    0x26: {0x01: 4, 0x10: 4},
    0x27: {0x01: 4},
}
# What libqmi calls the messages of its control service.
CONTROL = {0x21: "Get Version Info", 0x22: "Allocate CID", 0x23: "Release CID", 0x27: "Sync"}


def check(condition, what):
    if not condition:
        sys.exit(f"error: {what}")


def raw_of(pointer, length):
    return bytes(pointer[: length.value])


def fields(message):
    found = {}
    for kind in range(256):
        length = ctypes.c_uint16()
        value = message_tlv(message, kind, ctypes.byref(length))
        if value:
            found[kind] = bytes(value[: length.value])
    return found


def qmux(frame, from_host):
    """Checks one QMUX frame; what it is, as text."""
    array = array_append(array_new(), frame, len(frame))
    message = message_from_raw(array, None)
    check(message, f"libqmi does not read {frame.hex()}")
    service, client, number = message_service(message), message_client(message), message_id(message)
    found = fields(message)
    # The fields are all there is, in this order or another.
    header = 12 if service == 0 else 13
    check(len(frame) == header + sum(3 + len(value) for value in found.values()), f"libqmi sees not all of {frame.hex()}")
    kinds = [message_is_request(message), message_is_response(message), message_is_indication(message)]
    kind = ["request", "response", "indication"][kinds.index(1)]
    check(sum(kinds) == 1 and (kind == "request") == from_host, f"a {kind} from the wrong side: {frame.hex()}")
    if from_host:
        ours = message_new(service, client, message_transaction(message), number)
        for field in sorted(found):
            check(message_add_tlv(ours, field, found[field], len(found[field]), None), "libqmi takes no field")
        length = SIZE()
        written = raw_of(message_raw(ours, ctypes.byref(length), None), length)
        check(written == frame, f"libqmi writes {written.hex()}\nwhere we wrote {frame.hex()}")
    if service == 0:
        text = message_text(message, None, b"").decode()
        check(CONTROL.get(number, "-") in text, f"libqmi has another name for {number:04X}: {text}")
        if number == 0x22 and from_host:
            check(found == {0x01: bytes([UIM_REMOTE])}, "the client of another service")
        return f"control {kind} {CONTROL[number]}"
    check(service == UIM_REMOTE, f"service {service}")
    if kind == "response":
        check(len(found.get(0x02, b"")) == 4, "a response without a result")
        return f"response {number:02X}"
    table = (REQUESTS if kind == "request" else INDICATIONS).get(number)
    check(table is not None, f"{kind} {number:02X} is not in the table")
    for field, value in found.items():
        check(field in table and table[field] in (None, len(value)), f"{kind} {number:02X}: field {field:02X} {value.hex()}")
    if kind == "request" and number == 0x21:
        event, slot = struct.unpack("<II", found[0x01])
        check(slot in (1, 2, 3) and event <= 6, "an event's fields")
        check((0x10 in found) == (event in (2, 5)) and (0x12 in found) == (event == 4), f"the fields of event {event}")
        if 0x10 in found:
            check(found[0x10][0] == len(found[0x10]) - 1 <= 32, "the length of an ATR")
        return f"event {event}"
    if kind == "request":
        if struct.unpack("<H", found[0x01])[0] == 0:
            total, offset = struct.unpack("<II", found[0x10])
            length = struct.unpack("<H", found[0x11][:2])[0]
            check(length == len(found[0x11]) - 2 <= 1024 and offset + length <= total, "a segment's length")
        return "answer"
    if number == 0x22:
        check(struct.unpack("<H", found[0x03][:2])[0] == len(found[0x03]) - 2 <= 261, "a command's length")
    return f"indication {number:02X}"


def mbim_message(raw):
    """Checks one MBIM message that the host wrote; the QMUX frame in it."""
    message = mbim_new(raw, len(raw))
    check(mbim_text(message, 1, 0, b"", 0, None), f"libmbim does not read {raw.hex()}")
    kind, transaction = mbim_type(message), mbim_transaction(message)
    frame = None
    if kind == 1:
        ours = mbim_open_new(transaction, 4096)
    elif kind == 2:
        ours = mbim_close_new(transaction)
    else:
        check(kind == 3, f"MBIM message {kind} from the host")
        length = ctypes.c_uint32()
        frame = raw_of(mbim_command_buffer(message, ctypes.byref(length)), length)
        check((mbim_command_cid(message), mbim_command_kind(message)) == (1, 1), "another MBIM command")
        # libmbim knows the service by its UUID; whatever it calls it, it writes the same one.
        ours = mbim_command_new(transaction, mbim_command_service(message), 1, 1)
        mbim_command_append(ours, frame, len(frame))
    length = ctypes.c_uint32()
    written = raw_of(mbim_raw(ours, ctypes.byref(length), None), length)
    check(written == raw, f"libmbim writes {written.hex()}\nwhere we wrote {raw.hex()}")
    return frame


def main():
    counts = {}
    story = []
    proxy = sys.argv[1] == "--proxy"
    for line in open(sys.argv[-1]):
        side, channel, text = line.split()
        raw = bytes.fromhex(text)
        if channel == "mbim":
            raw = mbim_message(raw)
            counts["mbim"] = counts.get("mbim", 0) + 1
            if raw is None:
                continue
        what = qmux(raw, side == "host")
        counts[what] = counts.get(what, 0) + 1
        if what.startswith(("control request", "event")):
            story.append(what.removeprefix("control request "))
    begin = ["Sync", "Get Version Info", "Allocate CID", "event 1", "event 5"]
    middle = ["event 3", "event 2", "event 5", "event 5"]
    end = ["event 3", "event 0", "Release CID"]
    # Through the proxy nobody else's clients are forgotten.
    expected = begin[1:] + middle + end if proxy else 2 * (begin + middle + end)
    check(story == expected, f"another sequence: {story}")
    for needed in ["answer", "indication 22", "indication 23", "response 21", "response 22"] + ["mbim"] * (not proxy):
        check(counts.get(needed), f"no {needed} among {counts}")
    print(f"{sum(counts.values())} frames are read and written alike")


main()
