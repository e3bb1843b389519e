#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Installs the Debian packages that a set of targets needs, and nothing when they are there already.
# Called by make before it looks at any file (tests/tests.mk), and by tests/vm/vm.py.
#
#     tests/deps.sh build|test|vm|PACKAGE...
#
# A word that is no set is taken as the name of a package. Exits 1 with one plain message when
# something is missing and cannot be installed.
set -u
export LC_ALL=C

build="clang llvm libbpf-dev libelf-dev zlib1g-dev libxdp-dev xdp-tools bpftool libcriterion-dev
	node-llhttp libconfuse-dev libjansson-dev libidn2-dev libhiredis-dev libseccomp-dev libcap-ng-dev libsystemd-dev libncurses-dev media-types iproute2 curl
	libpcre2-dev libbrotli-dev libzstd-dev libcrypt-dev libmd-dev"
test="redis-server goaccess prometheus chromium chromium-driver python3-selenium zsh fish debhelper dpkg-dev fakeroot python3-pytest python3-pytest-xdist python3-scapy wrk tcpdump netcat-openbsd openssl ethtool libclang-rt-dev g++
	apache2-utils brotli zstd mandoc man-db nftables procps php-fpm gunicorn uvicorn"
# where they come from elsewhere than Debian, one package has both
command -v node >/dev/null || test+=" nodejs"
command -v npm >/dev/null || test+=" npm"
vm="qemu-system-x86 busybox-static cpio"

die() {
	printf 'deps: %s\n' "$@" >&2
	exit 1
}

wanted=
for word in "$@"; do
	case $word in
	build) wanted+=" $build" ;;
	test) wanted+=" $build $test" ;;
	vm) wanted+=" $vm" ;;
	*) wanted+=" $word" ;;
	esac
done
[ -n "$wanted" ] || die "usage: tests/deps.sh build|test|vm|PACKAGE..."

find_missing() {
	# shellcheck disable=SC2086
	dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
		awk -v wanted="$wanted" '
			$2 == "installed" { sub(/:.*/, "", $1); have[$1] = 1 }
			END { n = split(wanted, w); for (i = 1; i <= n; i++) if (!(w[i] in have)) printf " %s", w[i] }'
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
	die "this machine has no apt: install what these Debian packages hold, then use 'make all':" "$(echo $wanted)"

missing=$(find_missing)
[ -n "$missing" ] || exit 0

[ "$(id -u)" = 0 ] ||
	die "packages are missing and only root can install them; run as root:" "apt-get install$missing"

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2"

printf '  DEPS %s\n' "$missing" >&2
$apt update >"$log" 2>&1
updated=$?

unknown=
for name in $missing; do
	apt-cache policy "$name" 2>/dev/null | grep -q 'Candidate: [0-9]' || unknown+=" $name"
done
if [ -n "$unknown" ]; then
	[ $updated = 0 ] || sed 's/^/deps:   /' "$log" | tail -5 >&2
	die "apt knows no package$unknown (Debian 12 and 13 have them): is the network up, are apt's sources right?"
fi

# shellcheck disable=SC2086
$apt install -y --no-install-recommends $missing >"$log" 2>&1 || {
	sed 's/^/deps:   /' "$log" | tail -12 >&2
	die "apt-get could not install$missing (its last lines are above)"
}
missing=$(find_missing)
[ -z "$missing" ] || die "apt-get ended well, yet these are not installed:$missing"
