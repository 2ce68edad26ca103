#!/usr/bin/env bash
# Installs what the tests need, builds everything and runs the tests.
#
#   tests/run.sh                 everything but `peer`
#   tests/run.sh unit db         only these labels (unit db golden real-data kill e2e bench browser fuzz emulation gpu peer)
#   tests/run.sh --preset asan   under a sanitizer (asan, tsan, ubsan); cuda with the CUDA kernels, for a machine that has
#                                the toolkit, and a device for the label gpu
#
# Safe to repeat. The last lines are ctest's summary; the exit code is 0 only if nothing failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
preset=dev
labels=()
while [ $# -gt 0 ]; do
  case "$1" in
    --preset) preset=${2:?--preset needs a name}; shift 2 ;;
    -h|--help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "unknown option $1; see tests/run.sh --help" >&2; exit 2 ;;
    *) labels+=("$1"); shift ;;
  esac
done

begin=$(date +%s)
deploy/packaging/install_packages.sh build test
[ "$preset" = cuda ] || echo "A CPU build: the CUDA kernels are run on the emulated device; --preset cuda builds them for a real one."
echo "== building (preset $preset, $(nproc) jobs)"
cmake --preset "$preset" > "/tmp/anneal-configure-$$.log" 2>&1 || { cat "/tmp/anneal-configure-$$.log"; exit 1; }
rm -f "/tmp/anneal-configure-$$.log"
cmake --build --preset "$preset" --parallel "$(nproc)"
built=$(date +%s)
echo "== built in $((built - begin)) s; running the tests"
selection=(--label-exclude '^peer$')
if [ ${#labels[@]} -gt 0 ]; then
  selection=(--label-regex "^($(IFS='|'; echo "${labels[*]}"))\$")
  # Asked for by name, the real data sets that take long run too.
  [[ " ${labels[*]} " != *" real-data "* ]] || export ANNEAL_REAL_DATA=all
fi
# Sleeping at barriers: spinning threads of several test programs on few cores cost far more than they save.
export OMP_WAIT_POLICY=passive
status=0
# By name, or with everything, the parsers are fuzzed by libFuzzer too; ANNEAL_FUZZ_SECONDS for each, default 20.
if [ "$preset" = dev ] && { [ ${#labels[@]} -eq 0 ] || [[ " ${labels[*]} " == *" fuzz "* ]]; }; then
  echo "== fuzzing the parsers with libFuzzer"
  tests/fuzz/run.sh || status=1
fi
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error --parallel "$(nproc)" "${selection[@]}" || status=1
echo "== tests took $(($(date +%s) - built)) s"
exit $status
