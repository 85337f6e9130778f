# Sourced by the scripts of this folder: shows the stages of a run, and builds what it needs.

script=$(realpath "$0")
# The repository; the scripts run there.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

set -E  # What fails in a function is told too.
stage=""
enter() {
  stage=$1
  printf '[%4d s] %s\n' "$SECONDS" "$stage"
}
trap 'echo "$0: failed at: $stage" >&2' ERR

# help ARGUMENT...: with -h or --help among them, prints the head of the script and ends it, before
# anything is built.
help() {
  local argument
  for argument in "$@"; do
    [[ $argument == -h || $argument == --help ]] || continue
    sed -n '2,/^set /s/^# \{0,1\}//p' "$script"
    exit
  done
}

# set_up TARGET...: installs what is missing, configures, and builds these.
set_up() {
  enter "packages"
  bash .ci/setup.sh

  enter "configure"
  mkdir -p build
  cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; false; }

  enter "build (some minutes the first time)"
  cmake --build --preset release --target "$@"
}

# run COMMAND...: ends this script with it; what fails then says so itself.
run() {
  trap - ERR
  exec "$@"
}
