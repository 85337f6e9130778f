#!/usr/bin/env bash
# Installs what is missing, builds, and shows EPaxos beside Raft and Multi-Paxos with the best leader
# each, at five places from California to London whose delays are emulated on this machine. Then one
# replica dies, the same for all: who needs a leader stops until another is elected. It prints the
# latency at every site beside what is possible, and writes a report with figures.
#
#   bench/demo.sh                     two minutes once it is built; out/demo has the report
#   bench/demo.sh --conflicts 100     more arguments go to `epaxos-bench wan`; once it is built,
#                                     `build/release/bin/epaxos-bench wan --help` lists them
#   bench/demo.sh --local             five replicas side by side instead, on disk: what a command
#                                     costs, and a replica that is killed and comes back; more
#                                     arguments go to `epaxos-bench demo`
#
# The first build takes some minutes.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh"

help "$@"
set_up epaxosd epaxosctl epaxos-bench
if [[ ${1:-} == --local ]]; then
  enter "five replicas side by side"
  run build/release/bin/epaxos-bench demo "${@:2}"
fi
enter "five sites, three protocols (less than two minutes)"
run build/release/bin/epaxos-bench wan --mode emulated --topology nsdi21-5 --clients 20 \
  --warm-up 3s --duration 25s --fault 'at 15s kill OR' --latency-before-faults --out out/demo "$@"
