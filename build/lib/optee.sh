# OP-TEE's client library for programs of the normal world. Source it after common.sh and debian.sh.
# shellcheck shell=bash

# Exports OPTEE_CLIENT_EXPORT, where the crate optee-teec-sys finds usr/lib/libteec.so: the one of the environment, or
# Debian's. Sets optee_client_include to the folder of its headers, if it is Debian's.
optee_client() {
  [[ -z ${OPTEE_CLIENT_EXPORT:-} ]] || return 0
  debian_unpack trixie arm64 "$cache/optee/client" libteec2 optee-client-dev
  optee_client_include=$cache/optee/client/usr/include
  # Debian puts it into a folder named after the architecture.
  export OPTEE_CLIENT_EXPORT=$cache/optee/export
  mkdir -p "$OPTEE_CLIENT_EXPORT/usr"
  [[ -L $OPTEE_CLIENT_EXPORT/usr/lib ]] || rm -rf "$OPTEE_CLIENT_EXPORT/usr/lib"
  ln -sfn "$cache/optee/client/usr/lib/aarch64-linux-gnu" "$OPTEE_CLIENT_EXPORT/usr/lib"
}
