#!/bin/sh
# The tarball's install script, and the init script that it brings, on a system of BusyBox in a folder, as its owner uses
# them: twice, in the wrong order, after a power cut. The agent is one that does nothing.
# shellcheck disable=SC2015,SC2016 # tests that must hold, and what others are to expand
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=../enter.sh
. "$(dirname "$0")/../enter.sh"

[ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null || skip "only root can enter a folder"
command -v busybox >/dev/null || skip "busybox-static is missing"
tarball=$WORK/tarball
root=$WORK/root

inside()
{
    enter "$root" "$@"
}

service()
{
    inside /etc/init.d/S90dunlin-agent "$1"
}

# installs ARGUMENT...: what it says is in $WORK/said.
installs()
{
    sh "$tarball/install.sh" --root "$root" "$@" >"$WORK/said" || fail "it fails: $(cat "$WORK/said")"
}

# called EXPRESSION: the processes in that folder with such a command line.
called()
{
    for process in $(pgrep -f "$1"); do
        [ "$(readlink "/proc/$process/root")" != "$root" ] || echo "$process"
    done
}

# there_are N EXPRESSION: of these.
there_are()
{
    [ "$(called "$2" | wc -l)" -eq "$1" ]
}

leave_folder()
{
    ended=$?
    # shellcheck disable=SC2046
    kill -9 $(called dunlin-agent) 2>/dev/null || true
    leave
}

# runs N: it has been started so often.
runs()
{
    [ "$(wc -l <"$root/tmp/runs")" -eq "$1" ]
}

mkdir -p "$tarball" "$root/bin" "$root/dev" "$root/proc" "$root/run" "$root/tmp" "$root/var/log" "$root/etc"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
for file in join agent.conf install.sh dunlin-agent.init dunlin-agent.openrc dunlin-agent.service; do
    cp "$ROOT/cross/package/$file" "$tarball/"
done
cat >"$tarball/dunlin-agent" <<'END'
#!/bin/sh
[ "$1" = run ] && [ -e /var/lib/dunlin-agent/agent.db ] || { echo "has not joined" && exit 1; }
echo run >>/tmp/runs
trap 'exit 0' TERM
while :; do sleep 1 & wait "$!"; done
END

step "it is put where it belongs, and nowhere else"
refused 'there is no such folder' sh "$tarball/install.sh" --root "$WORK/nowhere"
[ ! -e "$WORK/nowhere" ] || fail "there is one now"
installs
grep -q 'host=… and token=…' "$WORK/said" || fail "it doesn't say how to join: $(cat "$WORK/said")"
start=$(sed -n 's/.* type: //p' "$WORK/said")
[ -x "$root/etc/init.d/S90dunlin-agent" ] || fail "no init script"

step "an agent that has not joined doesn't fill the disk with words"
head -c 1200000 /dev/zero | tr '\0' '\n' >"$root/var/log/dunlin-agent.log"
inside sh -c "$start"
trap leave_folder EXIT
within 10 grep -q 'has not joined' "$root/var/log/dunlin-agent.log" || fail "it is not started"
[ "$(stat -c %s "$root/var/log/dunlin-agent.log")" -lt 100000 ] || fail "its log grows"
: >"$root/tmp/runs"
touch "$root/var/lib/dunlin-agent/agent.db"
within 10 runs 1 || fail "it doesn't run, now that it has joined"

step "started twice, and by init as well, there is one"
service start
inside /etc/init.d/S90dunlin-agent supervise </dev/null >"$WORK/second" 2>&1 &
within 10 there_are 2 'S90dunlin-agent supervise' || fail "the second one does not wait"
there_are 1 'dunlin-agent run' && runs 1 || fail "it runs twice: $(pgrep -af 'dunlin-agent run')"
kill "$(called 'S90dunlin-agent supervise' | grep -vx "$(cat "$root/run/dunlin-agent.pid")")"
within 10 there_are 1 'S90dunlin-agent supervise' || fail "the second one stays"

step "installed again it keeps who it is, and what it says to type starts the new one"
installs
! grep -q 'token=' "$WORK/said" || fail "it has joined: $(cat "$WORK/said")"
inside sh -c "$(sed -n 's/.* type: //p' "$WORK/said")"
within 10 runs 2 || fail "it is not started again"
there_are 1 'dunlin-agent run' || fail "it runs twice"

step "what a power cut left behind keeps nobody from starting, and stops no stranger"
service stop
within 10 there_are 0 'dunlin-agent run' || fail "it is not stopped"
sleep 600 &
stranger=$!
echo $stranger >"$root/run/dunlin-agent.pid"
service stop
kill -0 $stranger || fail "it stops a stranger"
service start
within 10 runs 3 || fail "it is not started"
kill $stranger

step "removed it leaves who it is, and purged nothing"
cp "$tarball"/* "$root/tmp/"
inside sh /tmp/install.sh --remove >"$WORK/said"
within 10 there_are 0 dunlin-agent || fail "it still runs"
[ -e "$root/var/lib/dunlin-agent/agent.db" ] && [ ! -e "$root/usr/bin/dunlin-agent" ] || fail "removal is not what it says"
installs --purge
rm -rf "$root/tmp"
[ -z "$(find "$root" -name '*dunlin*')" ] || fail "purging leaves $(find "$root" -name '*dunlin*')"

step "for a system with systemd the unit's user is made, in its folder"
if useradd --help 2>&1 | grep -q -e --prefix; then
    mkdir -p "$root/usr/lib/systemd"
    cp "$root/bin/busybox" "$root/usr/lib/systemd/systemd"
    for file in passwd group shadow gshadow; do : >"$root/etc/$file"; done
    for again in first second; do installs || fail "the $again time"; done
    grep -q '^dunlin-agent:' "$root/etc/passwd" && grep -q '^dunlin-agent:' "$root/etc/group" || fail "there is no user"
    [ -e "$root/etc/systemd/system/dunlin-agent.service" ] || fail "there is no unit"
    grep -q 'systemctl restart dunlin-agent$' "$WORK/said" || fail "it doesn't say how to start it: $(cat "$WORK/said")"
else
    echo "    not tried: this machine's useradd knows no other folders"
fi
done_well
