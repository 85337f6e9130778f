#!/usr/bin/env bash
# Installs what is missing, builds, and measures EPaxos, Raft and Multi-Paxos under one load.
#
#   bench/compare.sh                  all of it, about 20 minutes
#   bench/compare.sh --quick          a part of it, about a minute
#   bench/compare.sh --kill           what clients notice when a replica is killed
#   bench/compare.sh --etcd           etcd beside them, where it is installed
#   bench/compare.sh --csv out.csv    arguments go to `epaxos-bench compare`; once it is built,
#                                     `build/release/bin/epaxos-bench compare --help` lists them
#
# The first build takes some minutes.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh"

help "$@"
set_up epaxos-bench
enter "compare"
run build/release/bin/epaxos-bench compare "$@"
