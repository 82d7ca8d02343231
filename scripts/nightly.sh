#!/usr/bin/env bash
# What takes too long for every change: each fuzz target for FUZZ_SECONDS (60), the crash test of the store with
# GANTRY_CRASH_ROUNDS (100) rounds, and images built anew: the same bytes again, every tool complete, booted. What a fuzzer finds lies in crates/*/fuzz/artifacts; its corpus is kept between runs.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
rounds=${GANTRY_CRASH_ROUNDS:-100}

main() {
  seed_templates
  fuzz netboot dhcp tftp engine
  fuzz template parse render
  echo "nightly: store, $rounds crash rounds"
  GANTRY_CRASH_ROUNDS=$rounds cargo test --locked -p gantry-store --test it crash::
  echo "nightly: images, built twice, looked into, and booted"
  cargo test --locked -p gantry-image --test it -- --ignored --test-threads=1
  echo "nightly: all passed"
}

# fuzz CRATE TARGET...: builds and runs each target; the first finding ends the script.
fuzz() {
  local crate=$1 target
  shift
  for target in "$@"; do
    echo "nightly: fuzzing $crate $target for $seconds s"
    # Only libFuzzer's last words are wanted of a run that finds nothing.
    local log
    log=$(mktemp)
    if ! (cd "crates/$crate/fuzz" && cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -rss_limit_mb=2048 \
      -timeout=20 -max_len=4096 -print_final_stats=1) >"$log" 2>&1; then
      cat "$log"
      rm -f "$log"
      echo "nightly: $crate $target failed" >&2
      exit 1
    fi
    grep -E '^(Done|stat::number_of_executed_units|stat::peak_rss_mb)' "$log" || true
    rm -f "$log"
  done
}

# The recorded cases are where the template targets start from.
seed_templates() {
  local target folder
  for target in parse render; do
    folder=crates/template/fuzz/corpus/$target
    mkdir -p "$folder"
    cat crates/template/tests/cases/{language,printf,sprig,objects}.txt | grep -v -e '^#' -e '^$' |
      awk -v folder="$folder" '{ gsub("⏎", "\n"); file = sprintf("%s/case-%04d", folder, NR); printf "%s", $0 > file; close(file) }'
  done
}

main "$@"
