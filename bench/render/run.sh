#!/usr/bin/env bash
# The time of one render by Go's text/template with Sprig and by ours, for the most demanding templates of the public content
# (hard.txt), and the ratio. See README.md. usage: run.sh CHECKOUT...
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${ROUNDS:-5}

die() { printf 'bench-render: %s\n' "$*" >&2; exit 1; }

[ $# -gt 0 ] || die "name checkouts of content packs: make bench-render CHECKOUTS='…/provision-content …/provision-plugins'"
for checkout in "$@"; do [ -d "$checkout" ] || die "$checkout is no folder"; done
command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || die "no go found: the other side of the comparison is Go's own engine"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root/tools/oracle" && go build -o "$work/oracle" .)
cargo build --release --quiet --locked --manifest-path "$root/Cargo.toml" -p gantry-template --example render-times
ours=${CARGO_TARGET_DIR:-$root/target}/release/examples/render-times

"$work/oracle" hard "$root/bench/render/hard.txt" "$@" >"$work/questions"
[ -s "$work/questions" ] || die "none of the templates of hard.txt is in $*"
for _ in $(seq "$rounds"); do
  # In turns, so that a machine that changes its speed treats both alike.
  "$work/oracle" time <"$work/questions" >>"$work/go"
  "$ours" <"$work/questions" >>"$work/ours"
done

awk -F'\t' -v rounds="$rounds" '
  FNR == NR { if (!($1 in go) || $2 < go[$1]) go[$1] = $2; next }
  !($1 in ours) || $2 < ours[$1] { ours[$1] = $2 }
  END { for (name in go) if (name in ours) printf "%10.1f %10.1f %7.2f  %s\n", go[name] / 1000, ours[name] / 1000, go[name] / ours[name], name }
' "$work/go" "$work/ours" | sort -k3 -n | awk '
  BEGIN { print "   Go (µs)  ours (µs)   ratio  template (best of the rounds)" }
  { print; ratio[NR] = $3 }
  END { if (NR) printf "median ratio of %d templates: %.2f\n", NR, (ratio[int((NR + 1) / 2)] + ratio[int(NR / 2) + 1]) / 2 }'
