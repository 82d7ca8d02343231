#!/bin/sh
# Compares the time of a render with Go's engine: see README.md. usage: run.sh CHECKOUT...
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root/tools/oracle" && go build -o "$work/oracle" .)
cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gantry-template --example render-times
ours=${CARGO_TARGET_DIR:-$root/target}/release/examples/render-times
# One variant of each demanding template: the one where the parameters have all kinds.
"$work/oracle" content "$@" | grep -F -f "$root/bench/render/hard.txt" | grep -E '^\{"name":"[^"]*#[1-6]"' >"$work/questions"
for round in 1 2 3; do
    "$work/oracle" time <"$work/questions" | sort >"$work/go.$round"
    "$ours" <"$work/questions" | sort >"$work/rust.$round"
done
for side in go rust; do
    sort "$work/$side."? | awk -F'\t' '!($1 in best) || $2 < best[$1] {best[$1] = $2} END {for (n in best) print n "\t" best[n]}' |
        sort >"$work/$side"
done
join -t "$(printf '\t')" "$work/go" "$work/rust" | awk -F'\t' '
    {split($1, part, "/"); sub(/#[0-9]+$/, "", $1); go[$1] += $2; rust[$1] += $3; count[$1]++}
    END {for (n in go) printf "%10.1f %10.1f %7.2f  %s\n", go[n] / count[n] / 1000, rust[n] / count[n] / 1000, go[n] / rust[n], n}' |
    sort -k3 -n | awk '
    BEGIN {print "   Go (us)  ours (us)   ratio  template"}
    {print; ratio[NR] = $3}
    END {if (NR) printf "median ratio of %d templates: %.2f\n", NR, ratio[int((NR + 1) / 2)]}'
