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
source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh"

help "$@"
set_up epaxosd epaxosctl epaxos-bench
enter "demo"
run build/release/bin/epaxos-bench demo "$@"
