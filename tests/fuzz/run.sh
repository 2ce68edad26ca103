#!/usr/bin/env bash
# Builds the libFuzzer targets with clang and runs each from its seeds in tests/fuzz/corpus, with the words of its
# format (tests/fuzz/words).
#
#   tests/fuzz/run.sh                       every target, 20 seconds each
#   tests/fuzz/run.sh --seconds 600 gguf    one target, longer; what it finds interesting stays in build/fuzz/corpus
#   tests/fuzz/run.sh --planted             builds a fault into each target and fails where it is not found
#
# An input that crashes a target is kept beside its log in build/fuzz/found and named at the end.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
seconds=${ANNEAL_FUZZ_SECONDS:-20}
planted=OFF
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
    --planted) planted=ON; shift ;;
    -h|--help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "unknown option $1; see tests/fuzz/run.sh --help" >&2; exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done
[ ${#targets[@]} -gt 0 ] || targets=(adapter config gguf safetensors schema template tokenizer)
cmake --preset fuzz -DANNEAL_PLANTED_BUG=$planted > /dev/null
cmake --build --preset fuzz --target fuzz_targets --parallel "$(nproc)"
mkdir -p build/fuzz/found
failed=()
for target in "${targets[@]}"; do
  kept=build/fuzz/corpus/$target log=build/fuzz/found/$target.log
  extra=()
  # A planted fault has to be found from the seeds alone.
  if [ $planted = ON ]; then rm -rf "build/fuzz/planted"; kept=build/fuzz/planted/$target extra=(-seed=1); fi
  mkdir -p "$kept"
  status=0
  # A parser that takes more memory than this has believed a size that a file only claims.
  build/fuzz/bin/fuzz_"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -max_len=65536 -dict="tests/fuzz/words/$target" -artifact_prefix="build/fuzz/found/$target-" -print_final_stats=1 "${extra[@]}" \
    "$kept" "tests/fuzz/corpus/$target" > "$log" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if [ $planted = ON ]; then
    if [ $status -ne 0 ] && grep -q heap-buffer-overflow "$log"; then
      echo "$target: found the planted fault"
    else
      echo "$target: did NOT find the planted fault in $seconds s, ${runs:-0} runs"; failed+=("$target")
    fi
  elif [ $status -ne 0 ]; then
    echo "$target: FAILED, see $log"; grep -m3 -E "ERROR|SUMMARY|artifact" "$log" || true; failed+=("$target")
  else
    echo "$target: ${runs:-0} runs in $seconds s without a finding"
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
