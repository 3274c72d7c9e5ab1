# Python packages from PyPI, below $cache only. Source it after common.sh.
# shellcheck shell=bash

# Prints an interpreter that has the codec of profile packages that is not ours, and Debian's modules.
saip_python() {
  local venv=$cache/python packages=(pycrate==0.8.1 asn1play==8.6.1)
  if [[ ! -f $venv/.packages || $(<"$venv/.packages") != "${packages[*]}" ]]; then
    need_packages python3 python3-venv >&2
    rm -rf "$venv"
    # Debian's own, whatever comes first in PATH.
    /usr/bin/python3 -m venv --system-site-packages "$venv"
    # Without their dependencies: only the compiled ASN.1 modules and the codec run here.
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "${packages[@]}" >&2
    printf '%s' "${packages[*]}" >"$venv/.packages"
  fi
  printf '%s\n' "$venv/bin/python"
}
