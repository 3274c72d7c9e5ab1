#!/usr/bin/env python3
"""Makes a CycloneDX 1.5 bill of materials of the trusted application.

    sbom.py Cargo.lock DEPENDENCIES.txt ELF

DEPENDENCIES.txt names what is linked, one "name vX.Y.Z" a line; versions and checksums come from the lock file. The
output has no time and no random number in it: the same build gives the same bytes.
"""

import hashlib
import json
import sys
import tomllib


def component(package):
    name, version = package["name"], package["version"]
    made = {"type": "library", "name": name, "version": version, "bom-ref": f"{name}@{version}"}
    if "source" in package:
        made["purl"] = f"pkg:cargo/{name}@{version}"
        made["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
    return made


def main(lock, linked, elf):
    with open(lock, "rb") as file:
        packages = {(p["name"], p["version"]): p for p in tomllib.load(file)["package"]}
    with open(linked) as file:
        wanted = [tuple(line.strip().split(" v", 1)) for line in file if line.strip()]
    missing = [key for key in wanted if key not in packages]
    if missing:
        sys.exit(f"error: linked, but not in {lock}: {missing}")
    with open(elf, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    application = next(p for p in packages.values() if p["name"] == "teuicc-ta")
    json.dump(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "application",
                    "name": "teuicc-ta",
                    "version": application["version"],
                    "bom-ref": "teuicc-ta",
                    "hashes": [{"alg": "SHA-256", "content": digest}],
                }
            },
            "components": [component(packages[key]) for key in wanted if key[0] != "teuicc-ta"],
        },
        sys.stdout,
        indent=1,
    )
    print()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
