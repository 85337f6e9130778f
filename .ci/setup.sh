#!/usr/bin/env bash
# Installs what the build, the tests and the demo need, with apt, and only what is missing.
#
#   .ci/setup.sh        to build and test with g++
#   .ci/setup.sh ci     in addition what .ci/run needs: clang 14 and clang-format 14
#
# With everything there it prints nothing and takes a few milliseconds. EPAXOS_SKIP_SETUP=1 skips it,
# for systems without apt.
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config
  libzmq3-dev cppzmq-dev capnproto libcapnp-dev liblmdb-dev libxxhash-dev
  libspdlog-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev
  libgtest-dev libgmock-dev libbenchmark-dev gnuplot-nox iproute2
)
case "${1:-}" in
  "") ;;
  ci) packages+=(clang-14 libclang-rt-14-dev clang-format-14) ;;
  *) echo "setup: unknown argument '$1'; the only one is 'ci'." >&2; exit 2 ;;
esac

fail() {
  echo "setup: $1" >&2
  exit 1
}

[[ -n "${EPAXOS_SKIP_SETUP:-}" ]] && exit 0

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  fail "there is no apt here. Install the equivalents of: ${packages[*]};
       then run this again with EPAXOS_SKIP_SETUP=1."
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ "$status" == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null ||
    fail "not root and no sudo; as root, run: apt-get install ${missing[*]}"
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$log" 2>&1
}

echo "setup: installing ${missing[*]}"
# A stale or unreachable index is no failure by itself: the packages may be in apt's cache.
apt_get update || echo "setup: 'apt-get update' failed; trying with the lists that are here" >&2
if ! apt_get install --no-install-recommends "${missing[@]}"; then
  tail -n 20 "$log" >&2
  fail "apt could not install the packages above. Is the network up, and is this Debian 12 or newer?"
fi
