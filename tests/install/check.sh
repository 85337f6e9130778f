#!/usr/bin/env bash
# Installs a build into a directory of its own, and builds the examples against that alone: once
# through find_package(epaxos), once through pkg-config. What comes out runs. Called by ctest.
#
#   tests/install/check.sh BUILD_DIRECTORY COMPILER
set -euo pipefail
build=$1
compiler=$2
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

fail() {
  echo "install check: $1" >&2
  exit 1
}

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
prefix="$directory/a prefix"
consumer=$directory/consumer

cmake --install "$build" --prefix "$prefix" >/dev/null

headers=$prefix/include/epaxos
[[ -d $headers ]] || fail "no headers in $headers"
private=$(grep -rlE '#include ([<"](zmq|lmdb|capnp/|kj/|toml)|"[^"]*\.capnp\.h")' "$headers" || true)
[[ -z $private ]] || fail "public headers that need a third-party library: $private"

# A copy, so that nothing of the source tree is beside it.
cp -r "$source/examples" "$consumer"
cmake -S "$consumer" -B "$consumer/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix" >"$directory/log" 2>&1 &&
  cmake --build "$consumer/build" >>"$directory/log" 2>&1 ||
  { cat "$directory/log"; fail "the examples do not build with find_package(epaxos)"; }
"$consumer/build/counter" || fail "the counter built with find_package(epaxos) does not run"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name epaxos.pc)")
export PKG_CONFIG_PATH
pkg-config --exists --print-errors epaxos || fail "pkg-config does not find epaxos"
# What pkg-config prints is meant for a shell: a space in a path comes with a backslash.
eval "flags=($(pkg-config --cflags --libs epaxos))"
"$compiler" -std=c++20 "$consumer/counter.cc" "${flags[@]}" -o "$consumer/by_pkg_config" ||
  fail "the examples do not build with pkg-config"
"$consumer/by_pkg_config" || fail "the counter built with pkg-config does not run"
echo "install check: $(find "$headers" -name '*.h' | wc -l) headers; both ways build and run"
