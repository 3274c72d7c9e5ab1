# Runs tests of host/daemon/tests/peers, which share a machine with programs that are not ours. Source it after common.sh.
# shellcheck shell=bash

# What every such test needs, and what those need that have a reader.
peer_packages=(iproute2 util-linux ca-certificates)
pcsc_packages=("${peer_packages[@]}" pcscd vsmartcard-vpcd opensc pcsc-tools)

# Runs the tests of one module in a network and process space of their own: vpcd listens on every address there is,
# another pcscd may be running, and whatever happens, no process is left behind.
#
#   peer_tests MODULE TESTS PUBLISHED    how many tests there are, and how many of them want TEUICC_TESTDATA
peer_tests() {
  local module=$1 tests=$2 published=$3 log status=0 skipped
  # Built outside, where the network is.
  cargo test --quiet --package teuicc-daemon --test peers --no-run
  local alone=(unshare --net --mount --pid --fork --kill-child)
  if ((EUID != 0)); then
    alone+=(--map-root-user)
    "${alone[@]}" true 2>/dev/null ||
      die "this machine lets only root make namespaces: run this as root, or allow them (sysctl kernel.unprivileged_userns_clone=1)"
  fi
  log=$(mktemp)
  # /run is empty inside: pcscd's socket is there.
  # Without exec: cargo as the first process of its space would have to collect everybody else.
  TEUICC_PEERS=1 TEUICC_PEER_MODULE=$module "${alone[@]}" bash -euc '
    ip link set lo up
    mount -t tmpfs tmpfs /run
    mkdir /run/pcscd
    cargo test --quiet --offline --package teuicc-daemon --test peers -- --nocapture --test-threads=1 "$TEUICC_PEER_MODULE::"
  ' 2>&1 | tee "$log" || status=$?
  skipped=$(grep -c 'skipped:' "$log" || true)
  local passed
  passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$log")
  rm -f "$log"
  ((status == 0)) || die "$module: tests failed"
  [[ $passed == "$tests" ]] || die "$module: $tests tests should have run, not ${passed:-0}"
  # A test that did not run is no success.
  if [[ -n ${TEUICC_TESTDATA:-} ]]; then
    published=0
  elif ((published)); then
    echo "TEUICC_TESTDATA is not set: what needs published material was not tried"
  fi
  ((skipped == published)) || die "$module: tests were skipped"
}
