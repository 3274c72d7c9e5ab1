# Shared by the scripts in build/. Source it; it changes to the top of the tree.
# shellcheck shell=bash
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$top"

# Where the scripts keep what they make and download. Never in the tree that git tracks.
cache=${TEUICC_CACHE:-$top/target/peers}

say() { printf '\n== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Installs the Debian packages named, if any is missing, and says which.
need_packages() {
  local missing=()
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "installing Debian packages: ${missing[*]}"
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "these Debian packages are needed: ${missing[*]}. Install them, or run this as root or with sudo on the machine."
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Runs one stage and prints how long it took: stage NAME COMMAND...
stage() {
  local name=$1 started=$SECONDS status=0
  shift
  say "$name"
  "$@" || status=$?
  printf -- '-- %s: %s s%s\n' "$name" "$((SECONDS - started))" "$( ((status)) && echo ", FAILED ($status)")"
  return "$status"
}
