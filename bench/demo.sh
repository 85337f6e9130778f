#!/usr/bin/env bash
# Installs what is missing, builds, starts five replicas with a client each, kills one and starts it
# again, and prints tables.
#
#   bench/demo.sh                     what the README shows
#   bench/demo.sh --no-kill           without the kills; --kill 0,50 with others
#   bench/demo.sh --durability none   arguments go to `epaxos-bench demo`; once it is built,
#                                     `build/release/bin/epaxos-bench demo --help` lists them
#
# The first build takes some minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for argument in "$@"; do
  case $argument in
    -h | --help)
      sed -n '2,/^set /s/^# \{0,1\}//p' bench/demo.sh
      exit
      ;;
  esac
done

stage=""
enter() {
  stage=$1
  printf '[%4d s] %s\n' "$SECONDS" "$stage"
}
trap 'echo "bench/demo.sh: failed at: $stage" >&2' ERR

enter "packages"
bash .ci/setup.sh

enter "configure"
mkdir -p build
cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; false; }

enter "build (some minutes the first time)"
cmake --build --preset release --target epaxosd epaxosctl epaxos-bench

enter "demo"
trap - ERR
exec build/release/bin/epaxos-bench demo "$@"
