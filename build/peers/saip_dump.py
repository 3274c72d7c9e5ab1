#!/usr/bin/env python3
"""Decodes a profile package with pycrate and asn1play's compiled PE_Definitions, neither of them ours, and prints
what `cargo run -p teuicc-saip --example saip-dump` prints. Usage: saip_dump.py PACKAGE"""
import importlib.util
import sys

VERSION = "v3_3_1"


def load_definitions():
    # By path: importing the package itself would pull in its command line tool's dependencies.
    root = importlib.util.find_spec("asn1_play").submodule_search_locations[0]
    path = f"{root}/generated_code/asn1/TCA/eUICC_Profile_Package/{VERSION}/python_gen/epp/epp.py"
    spec = importlib.util.spec_from_file_location("epp", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PEDefinitions


def elements(package):
    at = 0
    while at < len(package):
        i = at + (2 if package[at] & 0x1F == 0x1F else 1)
        length = package[i]
        i += 1
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(package[i : i + count], "big")
            i += count
        yield package[at : i + length]
        at = i + length


def oid(arcs):
    return ".".join(str(arc) for arc in arcs)


def file_line(name, steps):
    fids, sizes, fill, skip = [], [], 0, 0
    for kind, value in steps:
        if kind == "fileDescriptor":
            fids.append(value["fileID"].hex().upper() if "fileID" in value else "-")
            sizes.append(str(int.from_bytes(value["efFileSize"], "big")) if "efFileSize" in value else "-")
        elif kind == "fillFileOffset":
            skip += value
        elif kind == "fillFileContent":
            fill += len(value)
    join = lambda items: ",".join(items) or "-"
    return f"  file {name} steps={len(steps)} fid={join(fids)} size={join(sizes)} fill={fill} skip={skip}"


def main():
    element_type = load_definitions().ProfileElement
    for raw in elements(open(sys.argv[1], "rb").read()):
        element_type.from_ber(raw)
        name, value = element_type.get_val()
        header = next((v for k, v in value.items() if k.lower().endswith("header")), {}) if name != "header" else {}
        print(
            f"pe {name} id={header.get('identification', '-')} mandated={int('mandated' in header)} len={len(raw)}"
        )
        if "templateID" not in value:
            continue
        print(f"  template {oid(value['templateID'])}")
        for field, steps in value.items():
            if field != "templateID" and not field.lower().endswith("header"):
                print(file_line(field, steps))


if __name__ == "__main__":
    main()
