#!/bin/sh
# Usage: debian13.sh [REGEX]. Builds and tests a copy of this checkout on Debian 13, with its newer
# libraries: mbedTLS 3.6 with TLS 1.3, msgpack-c 6, Mosquitto 2.0.21. That Debian is a folder,
# $DUNLIN_DEBIAN13 or one in /var/tmp, which takes a few minutes to make, and is kept for the next time.
. "$(dirname "$0")/lib.sh"
# shellcheck source=../enter.sh
. test/enter.sh

folder=${DUNLIN_DEBIAN13:-/var/tmp/dunlin-debian13}
tests=${1:-'^(unit|story)/|^e2e/(acl|cells|door|keys|links|offline|revoke|tokens|wire)$|^examples/quickstart$'}

main()
{
    [ "$(id -u)" = 0 ] || skip "only root can make a Debian in a folder"
    command -v debootstrap >/dev/null || skip "debootstrap is missing: apt-get install debootstrap"
    unshare -m true 2>/dev/null || skip "nothing may be mounted here"
    [ -d "$folder" ] || make_debian
    copy
    enter "$folder" sh /dunlin/test/run.sh "$tests"
}

# Half a Debian is none.
make_debian()
{
    rm -rf "$folder.new"
    debootstrap --variant=minbase trixie "$folder.new"
    mv "$folder.new" "$folder"
}

# What was built there before stays.
copy()
{
    mkdir -p "$folder/dunlin"
    find "$folder/dunlin" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
    files '*' | tar -c -T - | tar -x -C "$folder/dunlin"
}

skip()
{
    echo "skipped: $1"
    exit 77
}

main
