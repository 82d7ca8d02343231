#!/usr/bin/env bash
# Measures the server at several sizes of the fleet and prints one table.
#   SIZES=0,1000,10000,100000   numbers of machines
#   ROUNDS=3  TIME=2            repetitions, and seconds for each rate
#   ONLY=writes,reads           parts: writes, reads, event, jobs, files, disk
#   DATA=target/bench           folder on the disk to measure; it must be a real one, not a tmpfs
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
data=${DATA:-$target/bench}
mkdir -p "$data"
kind=$(stat -f -c %T "$data")
if [ "$kind" = tmpfs ] || [ "$kind" = ramfs ]; then
    echo "Error: $data is in memory ($kind), so nothing would be durable" >&2
    echo "hint: name a folder on a disk: make bench DATA=/var/tmp/bench" >&2
    exit 1
fi
cargo build --locked --release -p gantry-app -p gantry-bench-api
echo "$(nproc) processors ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), disk $kind, Linux $(uname -r)"
exec "$target/release/bench-api" --gantry "$target/release/gantry" --data "$data" \
    --sizes "${SIZES:-0,1000,10000,100000}" --rounds "${ROUNDS:-3}" --seconds "${TIME:-2}" --only "${ONLY:-}"
