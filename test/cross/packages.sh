#!/bin/sh
# The packages on a Debian 12 in a folder, $DUNLIN_DEBIAN12 or one in /var/tmp that is kept: installed, used, upgraded,
# removed and purged; the identity stays until it is purged. The tarball on a system of BusyBox alone.
# shellcheck disable=SC2015,SC2016,SC2119 # tests that must hold, and what others are to expand
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=debian.sh
. "$(dirname "$0")/debian.sh"

# started N: so often, by the init script of BusyBox's system.
started()
{
    [ "$(grep -c ' agent-started ' "$root/var/log/dunlin-agent.log")" -ge "$1" ]
}

# tell_join FILE: where to join, and with what.
tell_join()
{
    printf 'host=%s\ntoken=%s\n' "$(join_url)" "$(dunlin token create)" >"$1"
}

openrc()
{
    inside rc-service dunlin-agent "$1" >"$WORK/openrc" 2>&1
}

# before_start: what the agent's unit does before the agent starts, each line as the user that systemd gives it.
before_start()
{
    sed -n 's/^ExecStartPre=//p' "$debian/lib/systemd/system/dunlin-agent.service" >"$WORK/before"
    while read -r line; do
        case $line in
        +-*) inside sh -c "exec ${line#+-}" ;;
        *) inside setpriv --reuid dunlin-agent --regid dunlin-agent --clear-groups --no-new-privs --bounding-set=-all \
            sh -c "umask 077 && exec $line" ;;
        esac </dev/null || return
    done <"$WORK/before"
}

is_enabled()
{
    [ "$(inside systemctl is-enabled dunlin-agent)" = enabled ]
}

# holds TARGET ARCH: the package of another kind is for it, has its program, and a man page that tells what this says.
holds()
{
    DUNLIN_VERSION=0.9.2 sh "$ROOT/cross/package.sh" --out "$built" "$1" >"$WORK/made" || fail "$1: no packages"
    deb=$(grep '\.deb$' "$WORK/made")
    [ "$(dpkg-deb -f "$deb" Architecture)" = "$2" ] || fail "$1: it is for $(dpkg-deb -f "$deb" Architecture)"
    dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/bin/dunlin-agent | cmp - "$built/$1/dunlin-agent" || fail "$1: another program"
    dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/share/man/man1/dunlin-agent.1.gz | zcat | grep -q '^usage: dunlin\\-agent join' ||
        fail "$1: the man page says nothing"
    tar -xOzf "$built/packages/dunlin-agent-0.9.2-$1.tar.gz" "dunlin-agent-0.9.2-$1/dunlin-agent" | cmp - "$built/$1/dunlin-agent" ||
        fail "$1: the tarball has another program"
}

command -v busybox >/dev/null || skip "busybox-static is missing"
command -v systemd-analyze >/dev/null || skip "systemd is missing"
find_debian

step "the units are shut in as far as we say"
for unit in agent manager; do
    systemd-analyze security --offline=true --threshold=20 "$ROOT/cross/package/dunlin-$unit.service" >"$WORK/unit" ||
        fail "dunlin-$unit: $(tail -n 1 "$WORK/unit")"
    echo "    $(tail -n 1 "$WORK/unit")"
done

step "the agent's package goes in, and joins with what join.conf says"
prepare_debian
make 0.9.1
inside dpkg -i /root/dunlin-agent_0.9.1_amd64.deb >"$WORK/dpkg" 2>&1 || fail "$(cat "$WORK/dpkg")"
start_manager
conf=$debian/var/lib/dunlin-agent/join.conf
(umask 077 && printf 'host=%s\r\ntoken=%s\r\n' "$(join_url)" "$(dunlin token create)" >"$conf")
for again in first second; do # as systemd starts it again
    before_start >"$WORK/join.log" 2>&1 || fail "the $again time: $(cat "$WORK/join.log")"
    ! grep -q 'dlt1-' "$conf" || fail "the token is still there: $(cat "$WORK/join.log")"
done
inside dunlin-agent status | grep -q 'agent' || fail "it can't say who it is"

step "its unit gives no file away that has another name elsewhere"
mv "$conf" "$debian/root/other" && ln "$debian/root/other" "$conf" && chown root: "$conf" && chmod 644 "$conf"
before_start >"$WORK/join.log" 2>&1 || fail "$(cat "$WORK/join.log")"
[ "$(stat -c %U "$debian/root/other")" = root ] || fail "it gives away a file of root's"
rm "$debian/root/other" "$conf"

step "the man page is there"
grep -q 'dunlin-agent run' "$debian/usr/share/man/man1/dunlin-agent.1.gz" && fail "the man page is not compressed"
zcat "$debian/usr/share/man/man1/dunlin-agent.1.gz" | grep -q 'run \\-\\-help\|run \[' || fail "the man page says nothing"

step "packages for other kinds of devices hold what is built for them"
for kind in aarch64:arm64 armv7:armhf riscv64:riscv64; do
    [ ! -e "$built/${kind%:*}/dunlin-agent" ] || holds "${kind%:*}" "${kind#*:}"
done

step "an upgrade keeps identity and configuration"
before=$(sha256sum <"$debian$identity")
echo 'OPTIONS="--log warn"' >"$debian/etc/dunlin/agent.conf"
make 0.9.2
inside dpkg -i /root/dunlin-agent_0.9.2_amd64.deb >"$WORK/dpkg" 2>&1 || fail "$(cat "$WORK/dpkg")"
[ "$(inside dpkg-query -W -f '${Version}' dunlin-agent)" = 0.9.2 ] || fail "it is not upgraded"
[ "$(sha256sum <"$debian$identity")" = "$before" ] || fail "the identity has changed"
grep -q 'log warn' "$debian/etc/dunlin/agent.conf" || fail "the configuration has changed"

step "its owner says whether it is started, also of one that comes back after it was removed"
is_enabled || fail "it is not enabled"
inside dpkg -r dunlin-agent >/dev/null
inside dpkg -i /root/dunlin-agent_0.9.2_amd64.deb >"$WORK/dpkg" 2>&1 || fail "$(cat "$WORK/dpkg")"
is_enabled || fail "it is not enabled any more"
inside systemctl --quiet disable dunlin-agent
inside dpkg -i /root/dunlin-agent_0.9.2_amd64.deb >"$WORK/dpkg" 2>&1 || fail "$(cat "$WORK/dpkg")"
! is_enabled || fail "an upgrade enables it"
inside systemctl --quiet enable dunlin-agent

step "removal keeps them, purging does not"
inside dpkg -r dunlin-agent >/dev/null
[ "$(sha256sum <"$debian$identity")" = "$before" ] || fail "the identity is gone"
[ ! -e "$debian/usr/bin/dunlin-agent" ] || fail "the program is still there"
inside dpkg -P dunlin-agent >/dev/null
[ ! -e "$debian/var/lib/dunlin-agent" ] && [ ! -e "$debian/etc/dunlin" ] || fail "purging leaves something"
! inside getent passwd dunlin-agent || fail "purging leaves the user"
[ -z "$(find "$debian/etc/systemd/system" -name 'dunlin-agent*')" ] || fail "purging leaves it enabled"
inside systemctl --quiet mask dunlin-agent
inside dpkg -i /root/dunlin-agent_0.9.2_amd64.deb >"$WORK/dpkg" 2>&1 || fail "masked it can't be installed: $(cat "$WORK/dpkg")"
inside dpkg -P dunlin-agent >/dev/null
inside systemctl --quiet unmask dunlin-agent

step "the manager's package goes in with what it needs, and out"
apt install /root/dunlin-manager_0.9.2_amd64.deb
inside dunlin-manager --version | grep -q '^dunlin-manager' || fail "the manager does not start"
inside dunlin --help >/dev/null || fail "the command line does not start"
inside dpkg -P dunlin-manager >/dev/null
[ ! -e "$debian/var/lib/dunlin" ] || fail "purging leaves the fleet"

step "the tarball under OpenRC"
tar -xzf "$built"/packages/dunlin-agent-0.9.2-x86_64.tar.gz -C "$WORK"
apt remove systemd
[ -e "$debian/sbin/openrc-run" ] || apt install openrc
rm -rf "$debian/root/tarball"
mv "$WORK/dunlin-agent-0.9.2-x86_64" "$debian/root/tarball"
for state in daemons exclusive failed hotplugged inactive init.d options scheduled started starting stopping tmp wasinactive; do
    mkdir -p "$debian/run/openrc/$state" # as its boot does
done
touch "$debian/run/openrc/softlevel"
inside sh /root/tarball/install.sh >/dev/null
trap 'openrc stop; leave' EXIT
printf 'host=127.0.0.1:1\ntoken=%s\n' "$(dunlin token create)" >"$debian/var/lib/dunlin-agent/join.conf"
openrc start || fail "$(cat "$WORK/openrc")"
within 30 pgrep -f 'join 127\.0\.0\.1:1 ' || fail "it does not try to join"
openrc stop || fail "$(cat "$WORK/openrc")"
! pgrep -f 'join 127\.0\.0\.1:1 ' || fail "it still tries to join"
tell_join "$debian/var/lib/dunlin-agent/join.conf"
openrc start || fail "$(cat "$WORK/openrc")"
within 60 online 1 || fail "it is not started: $(cat "$WORK/openrc")"
kill -9 "$(pgrep -P "$(cat "$debian/run/supervise-dunlin-agent.pid")" -x dunlin-agent)"
within 60 online 0 || fail "it is still there"
within 60 online 1 || fail "it is not started again"
openrc stop || fail "$(cat "$WORK/openrc")"
trap leave EXIT
within 30 online 0 || fail "it is not stopped: $(cat "$WORK/openrc")"
inside rc-update -q add dunlin-agent
trap 'openrc stop; leave' EXIT
openrc start || fail "$(cat "$WORK/openrc")"
within 60 online 1 || fail "it does not come back: $(cat "$WORK/openrc")"
inside sh /root/tarball/install.sh --purge >"$WORK/openrc" 2>&1 || fail "it can't be purged: $(cat "$WORK/openrc")"
trap leave EXIT
within 30 online 0 || fail "purging does not stop it: $(cat "$WORK/openrc")"
[ ! -e "$debian/var/lib/dunlin-agent" ] || fail "purging leaves the identity"
[ -z "$(find "$debian/etc/runlevels" -name dunlin-agent)" ] || fail "purging leaves it enabled"
mv "$debian/root/tarball" "$WORK/dunlin-agent-0.9.2-x86_64"

step "the tarball on a system that is BusyBox"
root=$WORK/busybox
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/run" "$root/tmp" "$root/var/log"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
sh "$WORK/dunlin-agent-0.9.2-x86_64/install.sh" --root "$root" >/dev/null
[ -x "$root/etc/init.d/S90dunlin-agent" ] && "$root/usr/bin/dunlin-agent" --version >/dev/null || fail "nothing is installed"
tell_join "$root/var/lib/dunlin-agent/join.conf"
debian=$root
trap 'inside /etc/init.d/S90dunlin-agent stop; leave' EXIT
inside /etc/init.d/S90dunlin-agent start
within 60 online 1 || fail "its init script does not start it: $(cat "$root/var/log/dunlin-agent.log")"
kill -9 "$(pgrep -P "$(cat "$root/run/dunlin-agent.pid")" -x dunlin-agent)"
within 60 started 2 || fail "it is not started again"
inside /etc/init.d/S90dunlin-agent restart
within 60 started 3 || fail "its init script does not start it again: $(cat "$root/var/log/dunlin-agent.log")"
mv "$WORK/dunlin-agent-0.9.2-x86_64" "$root/tmp/tarball"
inside sh /tmp/tarball/install.sh --remove >/dev/null
trap leave EXIT
within 30 online 0 || fail "removal does not stop it: $(cat "$root/var/log/dunlin-agent.log")"
[ -e "$root/var/lib/dunlin-agent/agent.db" ] && [ ! -e "$root/usr/bin/dunlin-agent" ] || fail "removal is not what it says"
sh "$root/tmp/tarball/install.sh" --root "$root" --purge >/dev/null
[ ! -e "$root/var/lib/dunlin-agent" ] || fail "purging leaves the identity"
rm -f "$built"/packages/*0.9.[12]*
done_well
