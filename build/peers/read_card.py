#!/usr/bin/env python3
"""Reads every file of a profile from a card with pyscard, and compares it with what the profile package says, decoded
with pycrate and asn1play's PE_Definitions. None of these is ours, and nothing here asks our code for anything.

Usage: read_card.py [--search] READER PACKAGE

What the package and its templates say is held against the card: which files there are, under which FID, SFI and AID,
their structure and size, their access rule, and each byte of their content. Whether a file may be read is worked out from
its rule in EF.ARR, and tried twice: as the card comes out of its reset, and with every PIN and administrative code of the
package presented. With --search, every other FID that a file of a directory may have is looked for in vain. Prints what
differs, then a line of figures; the exit status is 1 if anything differs."""
import sys
from dataclasses import dataclass, field

from smartcard.CardConnection import CardConnection
from smartcard.System import readers

from saip_dump import elements, load_definitions

MF, CURRENT_ADF = b"\x3f\x00", b"\x7f\xff"
# Where the DF of each template is created: below the MF, as an ADF, or in the ADF before it.
BELOW_MF = {"mf", "cd", "telecom"}
APPLICATIONS = {"usim", "isim", "csim"}
# GBA and MBMS: an eUICC without these services leaves their files out (docs/limits.md).
OPTIONAL = {"ef-gbabp", "ef-gbanl", "ef-nafkca", "ef-msk", "ef-muk"}
# Read by the USIM itself, and not there for anybody else (TS 31.102 section 4.4.11.8 and service 125).
HIDDEN = {"ef-suci-calc-info-usim"}
# Services of EF.UST that a card may not offer although the profile does: VGCS and VBS security, GBA, MBMS security.
CLEARED_SERVICES = {64, 65, 68, 69}
# What a template says of its files: FID, number of records, their length or the size, short EF identifier, record of
# EF.ARR, content with its last byte (or, with a +, all of it) repeated to the end (SAIP annex A). Those of USIM and
# ISIM are made even if the element does not name them. Content that stands in no table is FF.
TEMPLATES = {
    "usim": """
        6F08 0 33 08 5 07FF
        6F09 0 33 09 5 07FF
        6F31 0 1 12 2 0A
        6F3B 20 26 - 8 FF
        6F3C 10 176 - 5 00FF
        6F42 1 38 - 5 FF
        6F43 0 2 - 5 FF
        6F5B 0 6 0F 5 F00000F00000
        6F5C 0 3 10 2 FF
        6F73 0 14 0C 5 FFFFFFFFFFFFFFFFFFFF0000FF01
        6F7B 0 12 0D 5 FF
        6F7E 0 11 0B 5 FFFFFFFFFFFFFF0000FF01
        6FAD 0 4 03 10 00000002
        6FC4 0 128 - 5 FF
        6FE3 0 18 1E 5 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFF000001
        6FE4 1 80 18 5 FF""",
    "isim": """
        6FAD 0 3 03 10 00""",
    "opt-usim": """
        6F60 0 40 0A 5 FFFFFF0000+
        6F61 0 40 11 2 FFFFFF0000+
        6F62 0 5 13 2 FFFFFF0000+""",
    "gsm-access": """
        4F20 0 9 01 5 FFFFFFFFFFFFFFFF07
        4F52 0 9 02 5 FFFFFFFFFFFFFFFF07""",
    "df-5gs": """
        4F01 0 20 01 5 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000001
        4F02 0 20 02 5 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000001
        4F0A 0 4 0A 2 F0FF""",
}
READ, INSTRUCTIONS = 0x01, 0x84


@dataclass
class File:
    name: str
    path: tuple  # from the MF, or below the ADF, whose AID it begins with
    descriptor: bytes = None  # as the package has it: file descriptor byte, data coding, record length
    size: int = None
    sfi: bytes = None
    aid: bytes = None
    rule: bytes = None
    pins: bytes = None
    pattern: bytes = None
    repeats: bool = False
    link: tuple = None
    known: dict = field(default_factory=dict)  # offset: byte
    cursor: int = 0

    @property
    def is_directory(self):
        if self.descriptor is None:
            return not self.name.startswith("ef-")
        return self.descriptor[0] & 0x3F == 0x38

    @property
    def is_tlv(self):
        return self.descriptor is not None and self.descriptor[0] & 0x3F == 0x39

    @property
    def record_length(self):
        records = self.descriptor is not None and len(self.descriptor) > 3 and self.descriptor[0] & 7 in (2, 6)
        return self.descriptor[3] if records else None

    def put(self, content):
        for byte in content:
            self.known[self.cursor] = byte
            self.cursor += 1

    def expected(self, size):
        """The content of the file, of `size` bytes."""
        content = dict.fromkeys(range(size), 0xFF)
        if self.pattern:
            unit = self.record_length or size
            for offset in range(size):
                at = offset % unit
                if self.repeats:
                    content[offset] = self.pattern[at % len(self.pattern)]
                else:
                    content[offset] = self.pattern[min(at, len(self.pattern) - 1)]
        content.update(self.known)
        return content


class Package:
    """The files of a profile package, and its codes."""

    def __init__(self, raw):
        self.files = {}
        self.codes = []  # (directory, key reference, value, enabled)
        self.aliases = {}  # temporary FID of an ADF: its AID
        # The ADF of the elements, and the directory that codes belong to.
        self.application = self.owner = ()
        element_type = load_definitions().ProfileElement
        for element in elements(raw):
            element_type.from_ber(element)
            name, value = element_type.get_val()
            if "templateID" in value:
                fields = [(k, v) for k, v in value.items() if k != "templateID" and not k.lower().endswith("header")]
                self.by_template(name, self.templated(name, fields))
            elif name == "genericFileManagement":
                for commands in value["fileManagementCMD"]:
                    self.manage(commands)
            elif name == "pinCodes" and value["pinCodes"][0] == "pinconfig":
                for pin in value["pinCodes"][1]:
                    enabled = bool(pin.get("pinAttributes", 7) & 1)
                    self.codes.append((self.owner, pin["keyReference"], pin["pinValue"], enabled))
        for file in self.files.values():
            self.follow(file)

    def templated(self, name, fields):
        """The files of an element with a template. The directory that its last file is in."""
        directory = () if name in BELOW_MF | APPLICATIONS else self.application
        first = None
        for item, steps in fields:
            fcp = next((step for kind, step in steps if kind == "fileDescriptor"), {})
            if item == "mf":
                path = directory = self.application = ()
            elif item.startswith("adf-"):
                path = directory = self.application = (fcp["dfName"],)
                self.aliases[fcp["fileID"]] = fcp["dfName"]
            elif item.startswith("df-"):
                # Below the first directory of the element, if there was one.
                path = directory = (directory if first is None else first) + (fcp["fileID"],)
                first = path if first is None else first
            elif "fileID" in fcp:
                path = directory + (fcp["fileID"],)
            elif any(kind == "doNotCreate" for kind, _ in steps):
                continue
            else:
                raise SystemExit(f"{name}/{item}: no FID, which this program does not know from a template")
            file = self.files[path] = File(item, path)
            for kind, value in steps:
                self.step(file, kind, value)
            if name in BELOW_MF | APPLICATIONS and item == fields[0][0]:
                self.owner = path
        return directory

    def follow(self, file):
        """Gives a link the content of its target."""
        target = file
        while target.link:
            target = self.files[self.resolve(target.link, file.path)]
        if target is not file:
            file.descriptor, file.size = target.descriptor, target.size
            file.pattern, file.repeats, file.known = target.pattern, target.repeats, target.known

    def by_template(self, name, directory):
        """What a template adds to the files of its element: whole files, or what they leave open."""
        for row in TEMPLATES.get(name, "").split("\n")[1:]:
            fid, records, length, sfi, rule, content = row.split()
            records, length = int(records), int(length)
            path = directory + (bytes.fromhex(fid),)
            if path not in self.files and name not in APPLICATIONS:
                continue
            file = self.files.setdefault(path, File("ef-of-template", path))
            if file.descriptor is None:
                file.descriptor = bytes([0x42, 0x21, 0, length]) if records else b"\x41\x21"
            if file.size is None and not file.link:
                file.size = (records or 1) * length
            if file.pattern is None and not file.link:
                file.pattern, file.repeats = bytes.fromhex(content.rstrip("+")), content.endswith("+")
            if file.sfi is None and sfi != "-":
                file.sfi = bytes([int(sfi, 16) << 3])
            if file.rule is None:
                file.rule = b"\x6f\x06" + bytes([int(rule)])

    def resolve(self, path, base=()):
        """A path of FIDs, whose first one may be the temporary FID of an ADF."""
        head, rest = path[:1], path[1:]
        if head and head[0] in self.aliases:
            return (self.aliases[head[0]],) + rest
        # From the MF; or, if there is no such file, from the application.
        if path in self.files or not base:
            return path
        return base[:1] + path

    def step(self, file, kind, value):
        if kind in ("fileDescriptor", "createFCP"):
            self.describe(file, value)
        elif kind == "fillFileOffset":
            file.cursor += value
        elif kind == "fillFileContent":
            file.put(value)

    def describe(self, file, fcp):
        file.descriptor = fcp.get("fileDescriptor")
        file.size = int.from_bytes(fcp["efFileSize"], "big") if "efFileSize" in fcp else None
        file.sfi, file.aid = fcp.get("shortEFID"), fcp.get("dfName")
        file.rule, file.pins = fcp.get("securityAttributesReferenced"), fcp.get("pinStatusTemplateDO")
        information = fcp.get("proprietaryEFInfo", {})
        file.repeats = "repeatPattern" in information
        file.pattern = information.get("repeatPattern", information.get("fillPattern"))
        link = fcp.get("linkPath")
        file.link = tuple(link[i : i + 2] for i in range(0, len(link), 2)) if link else None

    def manage(self, commands):
        directory, file = (), None
        for kind, value in commands:
            if kind == "filePath":
                path = tuple(value[i : i + 2] for i in range(0, len(value), 2))
                directory = self.resolve(tuple(fid for fid in path if fid != MF))
                continue
            if kind == "createFCP":
                path = directory + (value["fileID"],)
                if "dfName" in value:
                    path = (value["dfName"],)
                    self.aliases[value["fileID"]] = value["dfName"]
                file = self.files[path] = File("gfm", path)
            self.step(file, kind, value)
            if file.is_directory:
                directory = file.path

    def conditions(self, file):
        """Who may read a file: sets of key references, one of which must be satisfied wholly. None if the package does
        not say."""
        rule = file.rule
        if rule is None:
            return None
        fid, record = (rule[:2], rule[2]) if len(rule) == 3 else (None, rule[0])
        directory = file.path if file.is_directory else file.path[:-1]
        while True:
            arr = self.files.get(directory + ((fid or (b"\x6f\x06" if directory else b"\x2f\x06")),))
            if arr is not None:
                break
            if not directory:
                raise SystemExit(f"{show(file.path)}: its EF.ARR is not in the package")
            directory = directory[:-1]
        length = arr.record_length
        content = arr.expected(arr.size or length * record)
        start = (record - 1) * length
        return readers_by_rule(bytes(content.get(start + i, 0xFF) for i in range(length)))


def objects(data):
    """BER-TLV objects with one-byte tags, up to filler bytes."""
    at = 0
    while at + 1 < len(data) and data[at] != 0xFF:
        tag, length = data[at], data[at + 1]
        at += 2
        if length == 0x81:
            length = data[at]
            at += 1
        yield tag, data[at : at + length]
        at += length


def alternatives(tag, value):
    """Sets of key references that satisfy a security condition (ISO 7816-4 table of SC_DO)."""
    if tag == 0x90:
        return [frozenset()]
    if tag == 0x97:
        return []
    if tag == 0xA4:
        return [frozenset(dict(objects(value))[0x83])]
    if tag == 0xA0:
        return [way for inner in objects(value) for way in alternatives(*inner)]
    if tag == 0xAF:
        ways = [frozenset()]
        for inner in objects(value):
            ways = [way | more for way in ways for more in alternatives(*inner)]
        return ways
    raise SystemExit(f"security condition {tag:02X} is not known to this program")


def readers_by_rule(record):
    """Who may READ by an access rule in expanded format (TS 102 221 section 9.2.4)."""
    ways, of_reading = [], False
    for tag, value in objects(record):
        if tag == 0x80:
            of_reading = bool(value[0] & READ)
        elif tag == INSTRUCTIONS:
            of_reading = False
        elif of_reading:
            ways += alternatives(tag, value)
    return ways


def may_clear(offset, package, card):
    """Whether a byte of EF.UST differs only by services that the card may leave out."""
    cleared = {8 * offset + bit + 1 for bit in range(8) if (package & ~card) >> bit & 1}
    return not card & ~package and cleared <= CLEARED_SERVICES


def show(path):
    return "/".join(part.hex().upper() for part in path) or "3F00"


class Card:
    def __init__(self, name):
        found = [reader for reader in readers() if str(reader) == name]
        if not found:
            raise SystemExit(f"no reader {name!r}, but {[str(reader) for reader in readers()]}")
        self.connection = found[0].createConnection()
        self.connection.connect(CardConnection.T0_protocol)
        self.commands = 0

    def send(self, command):
        self.commands += 1
        data, sw1, sw2 = self.connection.transmit(list(command))
        data = bytes(data)
        while sw1 == 0x61:
            more, sw1, sw2 = self.connection.transmit([0x00, 0xC0, 0x00, 0x00, sw2])
            data += bytes(more)
        if sw1 == 0x6C:
            data, sw1, sw2 = self.connection.transmit(list(command[:4]) + [sw2])
            data = bytes(data)
        return data, sw1 << 8 | sw2

    def select(self, path):
        """The FCP of a file, and the status word."""
        if path and len(path[0]) > 2:
            data, status = self.send(bytes([0x00, 0xA4, 0x04, 0x04, len(path[0])]) + path[0])
            if len(path) == 1 or status != 0x9000:
                return data, status
            path = (CURRENT_ADF,) + path[1:]
        if not path:
            return self.send(bytes([0x00, 0xA4, 0x00, 0x04, 0x02]) + MF)
        joined = b"".join(path)
        return self.send(bytes([0x00, 0xA4, 0x08, 0x04, len(joined)]) + joined)

    def verify(self, reference, value):
        return self.send(bytes([0x00, 0x20, 0x00, reference, len(value)]) + value)[1]

    def read(self, fcp):
        """The content of the selected EF, whose FCP this is, and the status word."""
        descriptor, content = fcp[0x82], b""
        if descriptor[0] & 7 in (2, 6):
            for number in range(1, descriptor[4] + 1):
                data, status = self.send(bytes([0x00, 0xB2, number, 0x04, descriptor[3]]))
                content += data
                if status != 0x9000:
                    return b"", status
            return content, 0x9000
        size = int.from_bytes(fcp[0x80], "big")
        while len(content) < size:
            at = len(content)
            data, status = self.send(bytes([0x00, 0xB0, at >> 8, at & 0xFF, min(size - at, 0xFF)]))
            content += data
            if status != 0x9000 or not data:
                return b"", status
        return content, 0x9000


class Comparison:
    def __init__(self, card, package):
        self.card, self.package = card, package
        self.differences = []
        self.figures = dict.fromkeys(["files", "bytes"], 0)
        self.read = set()

    def differ(self, file, what):
        self.differences.append(f"{show(file.path)} ({file.name}): {what}")

    def equal(self, file, what, card, package):
        if card != package:
            text = lambda value: value.hex().upper() if isinstance(value, bytes) else value
            self.differ(file, f"{what} is {text(card)} on the card, {text(package)} in the package")

    def run(self, search):
        missing = set()
        for file in self.package.files.values():
            data, status = self.card.select(file.path)
            if file.name in HIDDEN or status == 0x6A82 and file.name in OPTIONAL:
                self.equal(file, "SELECT", status, 0x6A82)
                missing.add(file.path)
                continue
            if status != 0x9000 or data[0] != 0x62:
                self.differ(file, f"SELECT is answered {status:04X}")
                missing.add(file.path)
                continue
            self.figures["files"] += 1
            self.header(file, dict(objects(dict(objects(data))[0x62])))
        present = [file for file in self.package.files.values() if file.path not in missing]
        # Twice: as after a reset, and with every code of the package.
        opened = {reference for _, reference, _, enabled in self.package.codes if not enabled}
        self.contents(present, lambda _: opened)
        known = {}
        for directory, reference, value, enabled in self.package.codes:
            # Local codes belong to a directory, global ones to the card (TS 102 221 section 9.5).
            known.setdefault(directory if reference & 0x80 else (), {})[reference] = (value, enabled)
        for owner, codes in known.items():
            self.card.select(owner)
            for reference, (value, enabled) in codes.items():
                status = self.card.verify(reference, value)
                if status != (0x9000 if enabled else 0x6984):
                    self.differences.append(f"VERIFY PIN {reference:02X} of {show(owner)} is answered {status:04X}")
        self.contents(present, lambda file: {*known.get((), {}), *known.get(file.path[:1], {})})
        if search:
            self.search({file.path for file in present}, present)

    def header(self, file, fcp):
        directory, descriptor = file.is_directory, fcp[0x82]
        self.equal(file, "being a directory", descriptor[0] & 0x3F == 0x38, directory)
        if file.descriptor is not None:
            self.equal(file, "file descriptor", descriptor[:2], file.descriptor[:2])
        if file.record_length is not None:
            self.equal(file, "record length", int.from_bytes(descriptor[2:4], "big"), file.record_length)
            size = int.from_bytes(fcp[0x80], "big")
            self.equal(file, "number of records times their length", descriptor[4] * file.record_length, size)
        # That of a BER-TLV file is what its objects take (TS 102 221 section 11.1.1.4.1).
        if file.size is not None and not directory and not file.is_tlv:
            self.equal(file, "size", int.from_bytes(fcp[0x80], "big"), file.size)
        if not (file.path and len(file.path[0]) > 2 and len(file.path) == 1):
            self.equal(file, "FID", fcp[0x83], file.path[-1] if file.path else MF)
        if file.aid is not None:
            self.equal(file, "AID", fcp.get(0x84), file.aid)
        if file.sfi is not None:
            self.equal(file, "SFI", fcp.get(0x88), file.sfi)
        if file.rule is not None:
            self.equal(file, "access rule", fcp.get(0x8B), file.rule)
        self.equal(file, "life cycle status", fcp.get(0x8A), b"\x05")
        if file.pins is not None:
            keys = b"".join(value for tag, value in objects(fcp[0xC6]) if tag == 0x83)
            self.equal(file, "key references of the PIN status template", keys, file.pins)

    def contents(self, present, satisfied):
        for file in present:
            if file.is_directory or file.is_tlv or file.path in self.read:
                continue
            data, _ = self.card.select(file.path)
            fcp = dict(objects(dict(objects(data))[0x62]))
            content, status = self.card.read(fcp)
            ways = self.package.conditions(file)
            if ways is not None:
                allowed = any(way <= satisfied(file) for way in ways)
                self.equal(file, "READ", f"{status:04X}", "9000" if allowed else "6982")
            if status != 0x9000:
                continue
            self.read.add(file.path)
            expected = file.expected(len(content))
            if expected and max(expected) >= len(content):
                self.differ(file, f"the package fills {max(expected) + 1} bytes, the card has {len(content)}")
                continue
            wrong = [offset for offset, byte in sorted(expected.items()) if content[offset] != byte]
            if file.name == "ef-ust":
                wrong = [offset for offset in wrong if not may_clear(offset, expected[offset], content[offset])]
            if wrong:
                at = wrong[0]
                self.differ(file, f"{len(wrong)} bytes differ, from {at} on: {content[at : at + 16].hex()} on the card")
            self.figures["bytes"] += len(content)

    def search(self, paths, present):
        """Looks for files that the package does not have, in every directory and under every FID that files have."""
        for directory in present:
            if not directory.is_directory:
                continue
            if not directory.path:
                highs = (0x2F, 0x7F)
            elif directory.path[-1][0] == 0x5F:
                highs = (0x4F, 0x5F)
            else:
                highs = (0x6F, 0x5F, 0x7F)
            for fid in (bytes([high, low]) for high in highs for low in range(0x100)):
                path = directory.path + (fid,)
                if path in paths or fid == CURRENT_ADF:
                    continue
                _, status = self.card.select(path)
                if status != 0x6A82:
                    self.differ(File("none", path), f"is not in the package, but answers {status:04X}")


def main():
    *options, name, package = sys.argv[1:]
    comparison = Comparison(Card(name), Package(open(package, "rb").read()))
    comparison.run("--search" in options)
    for difference in comparison.differences:
        print(difference)
    figures = comparison.figures
    unread = sum(not f.is_directory and not f.is_tlv for f in comparison.package.files.values()) - len(comparison.read)
    print(
        f"{figures['files']} files of the package, {len(comparison.read)} EFs read, {unread} not; {figures['bytes']} bytes; "
        f"{comparison.card.commands} commands, {len(comparison.differences)} differences"
    )
    sys.exit(bool(comparison.differences))


main()
