# For the tests of packages: a Debian 12 in a folder, $DUNLIN_DEBIAN12 or one in /var/tmp that is kept, and our packages for
# it. Whoever reads this has read ../e2e/lib.sh.
# shellcheck shell=sh disable=SC2015,SC2034
# shellcheck source=../enter.sh
. "$(dirname "$0")/../enter.sh"

debian=${DUNLIN_DEBIAN12:-/var/tmp/dunlin-debian12}
built=$ROOT/build/cross
identity=/var/lib/dunlin-agent/agent.db

# find_debian: makes it where there is none, or skips the test; what earlier tests left of us is taken away.
find_debian()
{
    [ "$(id -u)" = 0 ] || skip "only root can make a Debian in a folder"
    command -v debootstrap >/dev/null || skip "debootstrap is missing"
    unshare -m true 2>/dev/null || skip "nothing may be mounted here"
    [ -e "$built/x86_64/dunlin-agent" ] && [ -e "$ROOT/build/release/dunlin-manager" ] ||
        skip "sh cross/build.sh x86_64 && cmake --preset release && cmake --build --preset release"
    [ -e "$debian/etc/debian_version" ] || debootstrap --variant=minbase bookworm "$debian" >"$WORK/debootstrap.out" || fail "no Debian"
}

# prepare_debian: with systemd, and without us.
prepare_debian()
{
    inside dpkg --purge dunlin-agent dunlin-manager >/dev/null 2>&1 || true
    rm -f "$debian"/root/*.deb
    apt update
    [ -e "$debian/bin/systemctl" ] || apt install systemd
}

# inside COMMAND...
inside()
{
    enter "$debian" "$@"
}

# apt ARGUMENT...: Debian's packages, in its folder.
apt()
{
    inside env DEBIAN_FRONTEND=noninteractive apt-get -qq --no-install-recommends "$@" >"$WORK/apt" 2>&1 || fail "$(tail -n 20 "$WORK/apt")"
}

# make VERSION: the packages, as that version.
make()
{
    DUNLIN_VERSION=$1 sh "$ROOT/cross/package.sh" --out "$built" x86_64 manager >"$WORK/made" || fail "no packages: $(cat "$WORK/made")"
    grep '\.deb$' "$WORK/made" | xargs -I % cp % "$debian/root/"
}
