# shellcheck shell=bash
# What differs between the machines we run on: architecture, Debian release, package names. Sourced, never run.

# shellcheck disable=SC2034 # read by the scripts that source this file
case $(uname -m) in
  x86_64)
    readonly DEB_ARCH=amd64 NODE_ARCH=x64 QEMU=qemu-system-x86_64 QEMU_PACKAGE=qemu-system-x86
    ;;
  aarch64 | arm64)
    readonly DEB_ARCH=arm64 NODE_ARCH=arm64 QEMU=qemu-system-aarch64 QEMU_PACKAGE=qemu-system-arm
    ;;
  *)
    echo "setup: unsupported processor: $(uname -m) (x86_64 and arm64 are supported)" >&2
    exit 1
    ;;
esac

# Packages that must come from the suite printed by newer_suite, and why it is these.
# shellcheck disable=SC2034
readonly NEWER_PACKAGES=(
  "$QEMU_PACKAGE" # the virtual machine monitor; releases before 10 corrupt guests they emulate
  qemu-utils      # disk overlays
)
# shellcheck disable=SC2034
readonly PACKAGES=(
  buildah         # Dockerfile builds
  uidmap          # the same as an ordinary user
  mmdebstrap      # the base image, from Debian's packages
  e2fsprogs       # root file system images
  gcc libc6-dev make # the guest agent and the memory-difference helper
  cpio xz-utils   # the guest's initial RAM disk
  ca-certificates debian-archive-keyring
  curl            # a client that the tests put in front of the endpoint
)

release_field() { (. /etc/os-release && printf '%s' "${!1:-}"); }

# The apt suite that has QEMU >= 10 and a guest kernel >= 6.12; empty for the machine's normal one.
newer_suite() {
  if [[ $(release_field ID) == debian && $(release_field VERSION_ID) == 12 ]]; then
    echo bookworm-backports
  fi
}

# installed_version PACKAGE: its version, or nothing.
installed_versions() {
  dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p'
}

# missing_packages: what has to be installed, one a line.
missing_packages() {
  local -A have=()
  local package version
  while read -r package version; do
    have[$package]=$version
  done < <(installed_versions "${NEWER_PACKAGES[@]}" "${PACKAGES[@]}")
  for package in "${NEWER_PACKAGES[@]}"; do
    if [[ -z ${have[$package]:-} ]] || dpkg --compare-versions "${have[$package]}" lt 1:10; then
      echo "$package"
    fi
  done
  for package in "${PACKAGES[@]}"; do
    [[ -n ${have[$package]:-} ]] || echo "$package"
  done
}
