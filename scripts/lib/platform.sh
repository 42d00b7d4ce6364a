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
  netavark        # buildah's, which its package only recommends; newer releases ask for it even without networks
  uidmap          # the same as an ordinary user
  mmdebstrap      # the base image, from Debian's packages
  e2fsprogs       # root file system images
  gcc libc6-dev make # the guest agent and the host's helpers
  cpio xz-utils   # the guest's initial RAM disk
  ca-certificates debian-archive-keyring
  curl            # a client that the tests put in front of the endpoint
)
# Unmodified clients that the tests speak to microVMs with. Without one, its tests are skipped and named.
# shellcheck disable=SC2034
readonly TEST_PACKAGES=(
  chromium libnss3-tools # a browser, and the tool that makes it trust a certificate authority
  nghttp2-client         # nghttp and h2load: HTTP/2 by other people
  redis-tools postgresql # its client, and its server for the tests of the store
  strace                 # shows in which order files are written and synced
  awscli                 # an AWS CLI 2, which follows logs
  python3-venv           # for boto3 and a newer AWS CLI: scripts/python-clients
)

release_field() { (. /etc/os-release && printf '%s' "${!1:-}"); }

# The apt suite that has QEMU >= 10 and a guest kernel >= 6.12; empty for the machine's normal one.
newer_suite() {
  if [[ $(release_field ID) == debian && $(release_field VERSION_ID) == 12 ]]; then
    echo bookworm-backports
  fi
}

# installed_versions PACKAGE…: name and version of those that are installed, one a line.
installed_versions() {
  # A name that it has never heard of makes it fail.
  { dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\n' "$@" 2>/dev/null || true; } |
    sed -n 's/^installed //p'
}

# not_installed PACKAGE…: those that are not, one a line.
not_installed() {
  local have package
  have=$(installed_versions "$@" | cut --delimiter=' ' --fields=1)
  for package; do
    grep --quiet --line-regexp --fixed-strings -- "$package" <<<"$have" || echo "$package"
  done
}

# missing_packages: what has to be installed, one a line.
missing_packages() {
  local -A have=()
  local package version
  while read -r package version; do
    have[$package]=$version
  done < <(installed_versions "${NEWER_PACKAGES[@]}")
  for package in "${NEWER_PACKAGES[@]}"; do
    if [[ -z ${have[$package]:-} ]] || dpkg --compare-versions "${have[$package]}" lt 1:10; then
      echo "$package"
    fi
  done
  not_installed "${PACKAGES[@]}"
}

# missing_test_packages: those of TEST_PACKAGES that are not installed, one a line.
missing_test_packages() {
  not_installed "${TEST_PACKAGES[@]}"
}
