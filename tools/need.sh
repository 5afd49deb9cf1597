#!/bin/sh
# SPDX-License-Identifier: MIT
# need.sh GROUP...: see to it that the packages of these groups of tools/packages.txt are installed.
#
# Says which are missing and why, then installs them with apt-get, as root or through sudo. Where that cannot be done
# (another system, no sudo) it prints the list and fails.
set -eu

list=$(dirname "$0")/packages.txt

is_debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

installed() { is_debian && [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

machine=$(dpkg --print-architecture 2>/dev/null || uname -m)
[ "$machine" = x86_64 ] && machine=amd64

# One at a time: `make -j` asks for several groups at once, and apt-get does not wait for another one.
if [ "${HEDDLE_NEED_LOCKED:-}" != 1 ] && command -v flock >/dev/null; then
    mkdir -p build
    HEDDLE_NEED_LOCKED=1 exec flock build/need.lock "$0" "$@"
fi

missing=
reasons=
for group in "$@"; do
    while read -r of_group package reason; do
        [ "$of_group" = "$group" ] || continue
        case $package in
            *'[!'"$machine"']') continue ;;
            *'[!'*']') package=${package%%\[*} ;;
            *'['"$machine"']') package=${package%%\[*} ;;
            *'['*']') continue ;;
        esac
        case " $missing " in *" $package "*) continue ;; esac
        installed "$package" && continue
        missing="$missing $package"
        reasons="$reasons  $package: $reason
"
    done <"$list"
done
[ -n "$missing" ] || exit 0

{
    echo "These packages are needed and not installed:"
    printf '%s' "$reasons"
} >&2

if ! is_debian; then
    echo "This is no Debian system: install what they are called here, then touch build/have/GROUP for: $*" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "Neither root nor sudo: have them installed (apt-get install$missing)." >&2
    exit 1
fi

echo "Installing them with apt-get." >&2
install() {
    # shellcheck disable=SC2086 # the words of both variables are meant to come apart
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -o DPkg::Lock::Timeout=600 -qq -y --no-install-recommends $missing >&2
}
# The package lists are fetched only if those at hand do not do.
install 2>/dev/null || { $as_root apt-get update -qq >&2 && install; }
