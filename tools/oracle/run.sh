#!/usr/bin/env bash
# Compares the template engine with Go's: the recorded cases, every template of the checkouts of content packs that are named,
# and COUNT (1000000) random templates in chunks of 100,000 from SEED (1) on. The first chunk with a difference that has no
# reason ends the run, with its questions and answers kept. usage: run.sh [CHECKOUT...]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
count=${COUNT:-1000000}
seed=${SEED:-1}
chunk=100000
cases=$root/crates/template/tests/cases

die() { printf 'oracle: %s\n' "$*" >&2; exit 1; }

command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || die "no go found: the oracle is Go's own engine"
for checkout in "$@"; do [ -d "$checkout" ] || die "$checkout is no folder"; done

# The local time zone of templates is UTC on both sides.
export TZ=UTC
work=$(mktemp -d)
oracle=$work/oracle
(cd "$root/tools/oracle" && go build -o "$oracle" .)
cargo build --release --quiet --locked --manifest-path "$root/Cargo.toml" -p gantry-template --example render-lines
ours=${CARGO_TARGET_DIR:-$root/target}/release/examples/render-lines

# compare NAME: answers the questions in $work/questions on both sides.
compare() {
  "$oracle" render <"$work/questions" >"$work/want"
  "$ours" <"$work/questions" >"$work/got"
  "$oracle" compare "$work/questions" "$work/want" "$work/got" >"$work/differences" ||
    { cut -c1-2000 "$work/differences" | head -40; die "$1: see $work/differences"; }
  printf '%s: ' "$1"
  paste -sd ';' "$work/differences"
}

for name in language printf sprig examples objects; do
  if [ "$name" = objects ]; then set_of=(record-objects); else set_of=(record "$cases/data.json"); fi
  "$oracle" "${set_of[@]}" "$cases/$name.txt" | cmp - "$cases/$name.golden" || die "$name.golden is not what this Go answers"
done
echo "recorded cases: as this Go answers"

if [ $# -gt 0 ]; then
  "$oracle" content "$@" >"$work/questions"
  compare content
fi
for ((done = 0; done < count; done += chunk, seed++)); do
  "$oracle" generate -n $((count - done < chunk ? count - done : chunk)) -seed "$seed" >"$work/questions"
  compare "random, seed $seed"
done
rm -rf "$work"
