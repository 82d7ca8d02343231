#!/usr/bin/env bash
# Builds what the demo and the end-to-end tests run, into build/:
#
#   gantry, gantry-agent    the programs (PROFILE=debug or release; release unless told)
#   discovery/              the discovery OS: kernel and initramfs
#   loaders/                boot loaders
#   images/                 a small Debian disk image
#   generic/                the same two with the kernel that has all drivers, for GENERIC=1; compressed quickly, so larger
#                           than what users build
#
# What has not changed is not built again: cargo and `gantry image` see to that themselves.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${PROFILE:-release}
target=${CARGO_TARGET_DIR:-target}
build=build

main() {
  mkdir -p "$build"
  make --no-print-directory agent
  place "$target/x86_64-unknown-linux-musl/agent/gantry-agent" "$build/gantry-agent"
  build_gantry
  step "discovery OS" image discovery --kernel cloud --level 6 --limit 48000000 --layer ssh --agent "$build/gantry-agent" --out "$build/discovery"
  step "boot loaders" image loaders --out "$build/loaders"
  step "disk image" image debian --out "$build/images"
  [ -z "${GENERIC:-}" ] || build_generic
}

build_generic() {
  step "discovery OS, all drivers" image discovery --level 3 --limit 56000000 --agent "$build/gantry-agent" --out "$build/generic/discovery"
  step "disk image, all drivers" image debian --kernel generic --level 3 --out "$build/generic/images"
}

build_gantry() {
  case "$profile" in
    # All of it, so that the tests' build of the crates is used again instead of one with other features.
    debug) cargo build --locked --workspace --all-targets ;;
    release) cargo build --locked --release -p gantry-app -p gantry-demo-app ;;
    *) printf 'artifacts: PROFILE is %s; debug or release is meant\n' "$profile" >&2; exit 1 ;;
  esac
  place "$target/$profile/gantry" "$build/gantry"
  place "$target/$profile/gantry-demo" "$build/gantry-demo"
}

# A program that runs cannot be written to, but it can be replaced.
place() {
  cmp -s "$1" "$2" && return
  cp "$1" "$2.new"
  mv "$2.new" "$2"
}

step() {
  printf 'artifacts: %s\n' "$1" >&2
  shift
  "$build/gantry" "$@" >&2
}

main "$@"
