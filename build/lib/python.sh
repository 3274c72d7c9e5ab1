# Python packages from PyPI, below $cache only. Source it after common.sh.
# shellcheck shell=bash

# Prints an interpreter that has these packages, without their dependencies, and Debian's modules:
# python_with FOLDER PACKAGE==VERSION...
python_with() {
  local venv=$1 packages=("${@:2}")
  if [[ ! -f $venv/.packages || $(<"$venv/.packages") != "${packages[*]}" ]]; then
    need_packages python3 python3-venv >&2
    rm -rf "$venv"
    # Debian's own, whatever comes first in PATH.
    /usr/bin/python3 -m venv --system-site-packages "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "${packages[@]}" >&2
    printf '%s' "${packages[*]}" >"$venv/.packages"
  fi
  printf '%s\n' "$venv/bin/python"
}

# The codec of profile packages that is not ours: only the compiled ASN.1 modules and the codec run.
saip_python() {
  python_with "$cache/python" pycrate==0.8.1 asn1play==8.6.1
}

# A codec that is made from an ASN.1 module.
asn1_python() {
  python_with "$cache/asn1" asn1tools==0.169.0 bitstruct==8.24.0 diskcache==5.6.3 pyparsing==3.3.3
}
