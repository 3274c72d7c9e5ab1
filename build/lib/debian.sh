# Packages of other Debian suites and architectures, below $cache only. Source it after common.sh.
# shellcheck shell=bash

# The machine's own Debian mirror, whatever it is: debian_mirror SUITE. A suite whose name ends in -security has its own.
debian_mirror() {
  local pick=(grep -v security) mirror
  [[ $1 == *-security ]] && pick=(grep security)
  mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | "${pick[@]}" | head -1)
  [[ -n $mirror ]] ||
    mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' /etc/apt/sources.list 2>/dev/null | "${pick[@]}" | head -1)
  [[ -n $mirror ]] || die "no Debian mirror for $1 found in /etc/apt"
  printf '%s\n' "$mirror"
}

# Sets the array debian_apt to the options of an apt that knows one suite and one architecture, and nothing of what
# the machine has installed: debian_suite SUITE ARCHITECTURE. The package lists are fetched once in twelve hours.
debian_suite() {
  local suite=$1 architecture=$2 state=$cache/debian/$1-$2 mirror
  debian_apt=(-o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$state/lists" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache"
    -o "APT::Architectures=$architecture" -o "APT::Architecture=$architecture"
    -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o APT::Sandbox::User=root)
  [[ -n $(find "$state/updated" -mmin -720 2>/dev/null) ]] && return 0
  mirror=$(debian_mirror "$suite")
  mkdir -p "$state"/lists/partial "$state"/cache/archives/partial
  local signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
  printf "%s $signed $mirror $suite main\n" deb deb-src >"$state/sources.list"
  : >"$state/status"
  apt-get "${debian_apt[@]}" update -qq >&2
  touch "$state/updated"
}

# Unpacks packages into one folder: debian_unpack SUITE ARCHITECTURE FOLDER PACKAGE...
# A folder made from the same list before is left alone. Dependencies are not followed: name what is needed.
debian_unpack() {
  local suite=$1 architecture=$2 folder=$3
  shift 3
  local made="$suite $architecture $*"
  [[ -f $folder/.packages && $(<"$folder/.packages") == "$made" ]] && return 0
  local debian_apt debs deb
  debian_suite "$suite" "$architecture"
  debs=$(mktemp -d)
  # Its own name for each process, so that two that want the same folder do not write into each other's.
  local part=$folder.part.$BASHPID
  mkdir -p "$part"
  (cd "$debs" && apt-get "${debian_apt[@]}" download -qq "$@") >&2 || die "Debian $suite has not all of: $*"
  for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$part"; done
  rm -rf "$debs" "$folder"
  printf '%s' "$made" >"$part/.packages"
  mv "$part" "$folder"
}

# Brings one program of another suite with every library that it needs, and makes a command that runs it:
# debian_program SUITE FOLDER PACKAGE PROGRAM... makes FOLDER/PROGRAM, for programs of the package's /usr/bin.
debian_program() {
  local suite=$1 folder=$2 package=$3 program loader libraries
  shift 3
  [[ -f $folder/.packages && $(<"$folder/.packages") == "$suite $package $*" ]] && return 0
  local debian_apt packages part=$folder.part.$BASHPID
  debian_suite "$suite" amd64
  # The stored state is empty, so the simulation lists the package and every dependency.
  mapfile -t packages < <(apt-get "${debian_apt[@]}" install -s --no-install-recommends "$package" | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
  ((${#packages[@]} > 1)) || die "Debian $suite has no $package for this machine"
  rm -rf "$part"
  debian_unpack "$suite" amd64 "$part/tree" "${packages[@]}"
  loader=$(cd "$part/tree" && find . -name 'ld-linux-x86-64.so.2' | head -1)
  libraries=$(cd "$part/tree" && find . -type d -path '*/lib/x86_64-linux-gnu' | sed "s|^\.|$folder/tree|" | paste -sd:)
  for program in "$@"; do
    printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' \
      "$folder/tree/$loader" "$libraries" "$folder/tree/usr/bin/$program" >"$part/$program"
    chmod +x "$part/$program"
  done
  printf '%s' "$suite $package $*" >"$part/.packages"
  rm -rf "$folder"
  mkdir -p "$(dirname "$folder")"
  mv "$part" "$folder"
}

# Unpacks a source package, patches applied: debian_source SUITE FOLDER SOURCE-PACKAGE. Needs dpkg-dev.
debian_source() {
  local suite=$1 folder=$2 source=$3
  [[ -f $folder/.source && $(<"$folder/.source") == "$suite $source" ]] && return 0
  local debian_apt part=$folder.part.$BASHPID tree
  debian_suite "$suite" arm64
  rm -rf "$part"
  mkdir -p "$part"
  (cd "$part" && apt-get "${debian_apt[@]}" source -qq "$source") >&2 || die "Debian $suite has no source package $source"
  tree=$(find "$part" -mindepth 1 -maxdepth 1 -type d)
  [[ -d $tree ]] || die "the source package $source unpacked to something else than one folder"
  printf '%s' "$suite $source" >"$tree/.source"
  rm -rf "$folder"
  mkdir -p "$(dirname "$folder")"
  mv "$tree" "$folder"
  rm -rf "$part"
}
