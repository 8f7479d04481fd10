#!/bin/sh
# Installs the Debian packages that the tests use as real peers. Starts no service.
#
# Exit 0: everything is there, and no test may be skipped.
# Exit 3: something is missing and cannot be had here (said why); its tests are skipped.
# Exit 1: the registry was reached, but the packages could not be installed.
set -u

missing=""
need() { # program package
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need initdb postgresql
need mariadbd mariadb-server
need nginx nginx-light
need wrk wrk
need strace strace
need faketime faketime
need ip iproute2
need openssl openssl
need softhsm2-util softhsm2
need chromium chromium
# What drives it is a Node.js of its own, which wants this library and does not bring it.
PATH="$PATH:/usr/sbin:/sbin" ldconfig -p | grep -q 'libatomic\.so\.1 ' || missing="$missing libatomic1"

if [ "$(id -u)" -ne 0 ]; then
    [ -z "$missing" ] || echo "test machine: not root, so not installed:$missing (their tests are skipped)"
    exit 3
fi
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "test machine: no apt-get, so not installed:$missing (their tests are skipped)"
    exit 3
fi
updated=yes # some other source of the machine may fail; what counts is whether ours answer
apt-get update -qq -o APT::Update::Error-Mode=any || updated=no

echo "test machine: installing$missing"
# Debian's own switch against starting services while packages are installed; ours only if new.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086  # a list of package names
if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
then
    [ "$updated" = no ] || exit 1
    echo "test machine: package registry not reached; missing:$missing (their tests are skipped)"
    exit 3
fi
if [ -d /run/systemd/system ]; then # nor shall they start at the next boot
    systemctl disable --quiet postgresql mariadb nginx 2>/dev/null || true
fi
exit 0
