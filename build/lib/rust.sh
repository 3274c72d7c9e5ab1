# A Rust compiler that builds for arm64. Source it after common.sh and debian.sh.
# shellcheck shell=bash

arm64=aarch64-unknown-linux-gnu

# Exports RUSTC, a compiler that has the arm64 standard library, and the linker for it: the installed one where it has
# the target (`rustup target add aarch64-unknown-linux-gnu`), else Debian's, unpacked below $cache.
rust_arm64() {
  need_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross binutils
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
  local rustc=${RUSTC:-rustc}
  [[ -d $("$rustc" --print sysroot)/lib/rustlib/$arm64/lib ]] && return 0
  debian_rust
  export RUSTC=$cache/rust-arm64/rustc
}

# Debian keeps one Rust current in its stable suites, for browsers: rustc-web.
debian_rust() {
  local tree=$cache/rust-arm64 suite=bookworm-security debian_apt std libraries
  [[ -x $tree/rustc ]] && return 0
  debian_suite "$suite" amd64
  std=$(apt-cache "${debian_apt[@]}" depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p')
  libraries=$(apt-cache "${debian_apt[@]}" depends "$std" | sed -n 's/.*Depends: \(libllvm[0-9]*\)$/\1/p')
  need_packages libxml2 libz3-4 libedit2 libzstd1 zlib1g libtinfo6 libffi8
  debian_unpack "$suite" amd64 "$tree/tree" rustc-web libstd-rust-web-dev "$std" "$libraries"
  debian_unpack "$suite" arm64 "$tree/arm64" libstd-rust-web-dev
  cp -r "$tree/arm64/usr/lib/rustlib/$arm64" "$tree/tree/usr/lib/rustlib/"
  cat >"$tree/rustc" <<RUN
#!/bin/sh
LD_LIBRARY_PATH="$tree/tree/usr/lib/x86_64-linux-gnu" exec "$tree/tree/usr/bin/rustc" "\$@"
RUN
  chmod +x "$tree/rustc"
}
