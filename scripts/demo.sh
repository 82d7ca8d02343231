#!/usr/bin/env bash
# Builds what is missing and runs the demo. ONCE=1 stops everything at the end; FIRMWARE is bios, uefi-pxe or uefi-http.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/artifacts.sh
flags=(--artifacts build --firmware "${FIRMWARE:-bios}")
[ "${ONCE:-0}" = 0 ] || flags+=(--once)
exec build/gantry-demo "${flags[@]}"
