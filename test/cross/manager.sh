#!/bin/sh
# The manager's package for arm64, unpacked, with Debian's libraries of arm64 and under qemu-user: it starts, answers its
# command line, and has a device of this machine's kind join over mutual TLS and take a version. Its brokers are this
# machine's Mosquitto.
# shellcheck disable=SC2119 # functions that may be given more
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

built=$ROOT/build/cross
emulator=qemu-aarch64-static

# program NAME: what the package has, to be found before this machine's own.
program()
{
    printf '#!/bin/sh\nexec %s -L "%s" "%s" "$@"\n' "$emulator" "$built/aarch64/manager/debian" "$WORK/root/usr/bin/$1" >"$WORK/bin/$1"
    chmod +x "$WORK/bin/$1"
}

command -v $emulator dpkg-shlibdeps >/dev/null || skip "qemu-user-static or dpkg-dev is missing: sh setup.sh --cross"
sh "$ROOT/cross/manager.sh" --if-cached aarch64 || fail "it can't be built"
[ -e "$built/aarch64/manager/dunlin-manager" ] || skip "sh cross/manager.sh aarch64"

step "the package is for arm64, and knows what it needs"
DUNLIN_VERSION=0.9.1 sh "$ROOT/cross/package.sh" --out "$built" manager-aarch64 >"$WORK/made" || fail "no package"
deb=$(cat "$WORK/made")
[ "$(dpkg-deb -f "$deb" Architecture)" = arm64 ] || fail "it is for $(dpkg-deb -f "$deb" Architecture)"
for library in libc6 libgnutls30 libmbedtls14 libmicrohttpd12 libmosquitto1 libsqlite3-0 mosquitto; do
    dpkg-deb -f "$deb" Depends | tr -d ' ' | tr , '\n' | grep -qE "^$library(\(|\$)" || fail "it does not need $library"
done
mkdir "$WORK/bin"
dpkg-deb -x "$deb" "$WORK/root"
rm "$deb"
for name in dunlin-manager dunlin; do
    [ "$(od -An -tx1 -j18 -N2 "$WORK/root/usr/bin/$name")" = ' b7 00' ] || fail "$name is of another kind"
    program $name
done
zcat "$WORK/root/usr/share/man/man1/dunlin.1.gz" | grep -q 'deployment show' || fail "the man page says nothing"
PATH=$WORK/bin:$PATH

step "it starts, and answers"
start_manager
dunlin status >"$WORK/status" || fail "it does not answer"
sed 's/^/    /' "$WORK/status"

step "a device joins, and takes a version"
join_agent 1 env=test
start_agent 1
within 60 online 1 || fail "it is not online"
release 1 env=test
within 60 app_is 1 1 || fail "version 1 does not arrive: $(dunlin why 1 app 2>&1)"

step "after a restart it knows what it knew"
kill_manager -TERM
start_manager
within 60 online 1 || fail "the device does not come back"
agent_has 1 app 1 || fail "it has forgotten what the device runs"
done_well
