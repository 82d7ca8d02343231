#!/usr/bin/env bash
# Builds what is missing and runs the demo. ONCE=1 stops everything at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/artifacts.sh
flags=(--artifacts build)
[ "${ONCE:-0}" = 0 ] || flags+=(--once)
exec build/gantry-demo "${flags[@]}"
