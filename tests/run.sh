#!/usr/bin/env bash
# Builds the release preset and runs its tests: unit, scenario, simulation smoke and process tests.
#
#   tests/run.sh                 everything but what is labelled nightly
#   tests/run.sh -R Quorum       arguments go to ctest
#
# ctest's summary ends the output, and its verdict is the exit status. With CI set, warnings are
# errors.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

begin=$SECONDS
stage=""
enter() {
  stage=$1
  printf '[%4d s] %s\n' $((SECONDS - begin)) "$stage"
}
trap 'echo "tests/run.sh: failed at: $stage" >&2' ERR

enter "packages"
bash .ci/setup.sh

enter "configure"
werror=()
[[ -n "${CI:-}" ]] && werror=(-DEPAXOS_WERROR=ON)
mkdir -p build
cmake --preset release "${werror[@]}" >build/configure.log 2>&1 ||
  { cat build/configure.log; false; }

enter "build"
cmake --build --preset release --target tests_all

enter "test"
trap - ERR
exec ctest --test-dir build/release --parallel 6 --output-on-failure --no-tests=error \
  --label-exclude nightly "$@" </dev/null
