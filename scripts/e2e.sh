#!/usr/bin/env bash
# Builds what is missing and runs the end-to-end tests: real machines with real firmware in QEMU, two at a time.
# Arguments go to the test program, such as the name of one test.
set -euo pipefail
cd "$(dirname "$0")/.."

export PROFILE=${PROFILE:-debug} GENERIC=1
scripts/artifacts.sh
GANTRY_ARTIFACTS=$PWD/build cargo test --locked --workspace --test e2e -- --test-threads=2 "$@"
