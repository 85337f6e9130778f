#!/usr/bin/env bash
# What takes longer than a merge should wait.
#
#   tests/nightly.sh                      all stages, some hours
#   tests/nightly.sh --list               the stages, with their estimates
#   tests/nightly.sh seeds fuzz           only these
#   tests/nightly.sh --seconds 120 seeds  with another budget for each stage that searches
#   tests/nightly.sh --first 1000 seeds   from this seed on, not from one that the date gives
#
# Prints where it is and when it expects to end; a failed stage does not stop the later ones.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Name, minutes it takes on two cores, and what it does. Searching stages take their budget.
plan="
long     65  the cases named Nightly* (100,000 power cuts are one), and the process tests ten times
seeds    60  epaxos-sim over new seeds, short and long runs, until the budget is used up
asan     30  every test under AddressSanitizer and UndefinedBehaviorSanitizer
tsan     30  every test that starts threads or processes under ThreadSanitizer
fuzz     80  each fuzzer for ten minutes, or for its share of the budget
"
budget_seconds=
readonly seeds_seconds=3600 fuzzer_seconds=600
first_seed=$(($(date +%s) / 60 * 1000))

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/tsan.supp

build() {  # preset, targets
  local preset=$1
  shift
  mkdir -p build
  cmake --preset "$preset" >"build/configure-$preset.log" 2>&1 ||
    { cat "build/configure-$preset.log"; return 1; }
  cmake --build --preset "$preset" ${1:+--target "$@"}
}

tests() {  # preset, arguments of ctest
  local preset=$1
  shift
  ctest --test-dir "build/$preset" --parallel 2 --output-on-failure --no-tests=error "$@"
}

stage_long() {
  build release || return
  # There may be no case named Nightly* yet.
  ctest --test-dir build/release --label-regex '^nightly$' --output-on-failure &&
    tests release --label-regex '^process$' --repeat until-fail:10
}

# Seeds that nobody has tried: half of the time short runs, half of it long ones, which must also have
# reached every part of the protocol. What was run is noted in out/ledger.txt (docs/testing.md 3).
stage_seeds() {
  build release epaxos-sim || return
  mkdir -p out
  local profile
  for profile in smoke nightly; do
    build/release/bin/epaxos-sim --profile "$profile" --jobs "$(nproc)" --shrink \
      --seeds "$first_seed..$((first_seed + 1000000000))" \
      --seconds $((${budget_seconds:-$seeds_seconds} / 2)) \
      --ledger out/ledger.txt || return 1
  done
}

stage_asan() { build asan && tests asan --label-exclude '^nightly$'; }

stage_tsan() {
  build tsan && tests tsan --label-regex 'threads|process'
}

stage_fuzz() {
  local fuzzers=(tests/fuzz/*_fuzz.cc) fuzzer name
  if [[ ! -e ${fuzzers[0]} ]]; then
    echo "there is nothing in tests/fuzz yet"
    return 0
  fi
  build fuzz fuzzers || return
  local share=$fuzzer_seconds
  [[ -z $budget_seconds ]] || share=$((budget_seconds / ${#fuzzers[@]}))
  for fuzzer in "${fuzzers[@]}"; do
    name=$(basename "$fuzzer" .cc)
    echo "$name: $share s"
    mkdir -p "out/fuzz/$name"
    local known=()
    [[ -d tests/fuzz/corpus/$name ]] && known=("tests/fuzz/corpus/$name")
    # Finds are kept beside the corpus; the run that shows one again is printed by the fuzzer.
    build/fuzz/bin/"$name" -max_total_time="$share" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
      -print_final_stats=1 -artifact_prefix="out/fuzz/$name-" "out/fuzz/$name" "${known[@]}" ||
      return 1
  done
}

names=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    --list) sed '1d;$d' <<<"$plan"; exit 0 ;;
    --seconds) budget_seconds=${2:?--seconds needs a number}; shift ;;
    --first) first_seed=${2:?--first needs a number}; shift ;;
    *)
      grep -q "^$1 " <<<"$plan" ||
        { echo "tests/nightly.sh: no stage '$1'; see --list" >&2; exit 2; }
      names+=("$1")
      ;;
  esac
  shift
done
[[ ${#names[@]} -gt 0 ]] || mapfile -t names < <(awk 'NF { print $1 }' <<<"$plan")

minutes_of() {
  if [[ ($1 == seeds || $1 == fuzz) && -n $budget_seconds ]]; then
    echo $((budget_seconds / 60 + 2))
  else
    awk -v name="$1" '$1 == name { print $2 }' <<<"$plan"
  fi
}

bash .ci/setup.sh ci || exit 1
failed=()
for i in "${!names[@]}"; do
  left=0
  for name in "${names[@]:i}"; do left=$((left + $(minutes_of "$name"))); done
  printf '\n=== %s (%d of %d), %d min so far, about %d min left\n' \
    "${names[i]}" $((i + 1)) ${#names[@]} $((SECONDS / 60)) "$left"
  "stage_${names[i]}" </dev/null || failed+=("${names[i]}")
done

printf '\n%d passed, %d failed%s\n' $((${#names[@]} - ${#failed[@]})) ${#failed[@]} \
  "${failed:+: ${failed[*]}}"
[[ ${#failed[@]} -eq 0 ]]
