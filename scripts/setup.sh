#!/usr/bin/env bash
# Installs what Gantry's build, demo and tests need on Debian 12.
#
#   scripts/setup.sh build     compilers and Rust targets
#   scripts/setup.sh demo      build + machines, firmware, loaders, image tools   (the default)
#   scripts/setup.sh test      demo + the real peers that the tests talk to
#   scripts/setup.sh nightly   demo + the fuzzer (cargo-fuzz, which needs a nightly toolchain of Rust)
#
# Packages come from wherever this host's apt is configured to fetch them. Root is needed for apt-get alone: with all
# packages present nothing here asks for it. Rust itself is a prerequisite that is checked, not installed; the parts of it
# that rustup's minimal profile leaves out are added.
set -euo pipefail
cd "$(dirname "$0")/.."

need_rust=1.95

build_packages=(build-essential pkg-config ca-certificates musl-tools)
demo_packages=(
  qemu-system-x86 qemu-utils ovmf ipxe ipxe-qemu pxelinux syslinux-common    # machines, firmware, loaders
  mmdebstrap fakeroot dosfstools mtools e2fsprogs xfsprogs gdisk             # images
  grub-pc-bin grub-efi-amd64-bin zstd xz-utils kmod uidmap iproute2
)
test_packages=(tftp-hpa atftp curl jq tshark openssh-client shellcheck busybox cpio procps python3)

main() {
  local wanted=("${build_packages[@]}")
  case "${1:-demo}" in
    build) ;;
    demo) wanted+=("${demo_packages[@]}") ;;
    test) wanted+=("${demo_packages[@]}" "${test_packages[@]}") ;;
    nightly) wanted+=("${demo_packages[@]}") ;;
    *) die "unknown set '$1': build, demo, test or nightly" ;;
  esac
  require_rust
  install_missing "${wanted[@]}"
  add_targets
  if [ "${1:-}" = test ]; then
    component fmt rustfmt
    component clippy clippy
  fi
  [ "${1:-}" != nightly ] || add_fuzzer
}

die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

require_rust() {
  local program have
  for program in cargo rustc; do
    command -v "$program" >/dev/null ||
      die "there is no $program in PATH: Rust $need_rust or newer is needed, and Debian 12 packages an older one." \
        "Install it with rustup (https://rustup.rs); if that is done: . ~/.cargo/env"
  done
  have=$(rustc --version | awk '{print $2}') || die "rustc does not run: Rust $need_rust or newer is needed (rustup default stable)"
  [ "$(printf '%s\n%s\n' "$need_rust" "${have%%-*}" | sort -V | head -n1)" = "$need_rust" ] ||
    die "Rust $have ($(command -v rustc)) is too old: at least $need_rust is needed. With rustup (https://rustup.rs): rustup update stable"
}

install_missing() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || die "there is no apt-get here: Gantry is built on Debian 12, with ${missing[*]}"
  echo "setup: installing ${missing[*]}"
  if ! { refresh_lists && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null; }; then
    die "the packages could not be installed. As root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  fi
}

# A fresh machine may be looking for updates by itself. apt-get waits for the lock of the packages, if told to, but not for that of
# the lists; 300 s for each. It may succeed with a warning, e.g. of a source that did not answer.
refresh_lists() {
  local said try done=1
  for try in {1..100}; do
    said=$(LC_ALL=C as_root apt-get update -qq 2>&1) && done=0 && break
    [[ $said == *"Could not get lock"* ]] || break
    [ "$try" -gt 1 ] || echo "setup: another program uses apt; waiting up to 300 s for it" >&2
    sleep 3
  done
  [ -z "$said" ] || printf '%s\n' "$said" >&2
  return "$done"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "setup: this is not root, and there is no sudo" >&2
    return 1
  fi
}

# The agent is linked statically so that it runs in any initramfs and any installed system.
add_targets() {
  rustc --print target-list | grep -x x86_64-unknown-linux-musl >/dev/null || die "this rustc does not know x86_64-unknown-linux-musl"
  [ -d "$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-musl" ] && return
  command -v rustup >/dev/null || die "the Rust target x86_64-unknown-linux-musl is missing and there is no rustup to add it"
  rustup target add x86_64-unknown-linux-musl
}

# component COMMAND NAME: the command of cargo, which rustup's minimal profile leaves out.
component() {
  cargo "$1" --version >/dev/null 2>&1 && return
  command -v rustup >/dev/null || die "cargo $1 is missing and there is no rustup to add $2"
  rustup component add "$2" || die "cargo $1 is missing, and rustup could not add it: rustup component add $2"
}

# libFuzzer's instrumentation is not in the stable compiler.
add_fuzzer() {
  cargo +nightly --version >/dev/null 2>&1 ||
    die "no nightly toolchain of Rust found, which the fuzzer needs: rustup toolchain install nightly --profile minimal"
  cargo fuzz --version >/dev/null 2>&1 && return
  echo "setup: installing cargo-fuzz"
  cargo install --locked --quiet cargo-fuzz
}

main "$@"
