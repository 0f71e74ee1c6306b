#!/bin/sh
# The packages on a Debian 12 that runs, with systemd as its first process (systemd-nspawn) and a network of its own: the
# units are started, the agent joins the packaged manager and works; both come back after they were killed, after a
# restart, an upgrade and a boot; what their owner has stopped stays so; removed and purged they are gone.
# shellcheck disable=SC2015,SC2016 # tests that must hold, and what others are to expand
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=debian.sh
. "$(dirname "$0")/debian.sh"

# lay_over: what the test writes to the Debian is in memory, and gone with it.
lay_over()
{
    mkdir "$WORK/layer" "$WORK/debian"
    mount -t tmpfs tmpfs "$WORK/layer"
    disks=$WORK/layer
    mkdir "$WORK/layer/upper" "$WORK/layer/work"
    mount -t overlay -o "lowerdir=$debian,upperdir=$WORK/layer/upper,workdir=$WORK/layer/work" overlay "$WORK/debian"
    disks="$WORK/debian $WORK/layer"
    debian=$WORK/debian
}

# boot: and waits until all is started that is to be.
boot()
{
    unshare -m systemd-nspawn --quiet --directory="$debian" --boot --register=no --keep-unit --private-network \
        --console=pipe </dev/null >>"$WORK/nspawn.log" 2>&1 &
    echo $! >"$WORK/nspawn.pid"
    within 10 init_pid || fail "it does not boot: $(cat "$WORK/nspawn.log")"
    init=$(init_pid)
    within 60 is_up || fail "it is $(there systemctl is-system-running): $(there systemctl --no-pager list-units --failed)"
}

init_pid()
{
    pgrep -P "$(cat "$WORK/nspawn.pid")" -x systemd
}

is_up()
{
    [ "$(there systemctl is-system-running)" = running ]
}

# there COMMAND...: in the Debian that runs.
there()
{
    nsenter -t "$init" -m -u -i -n -p -r -C -w env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"
}

shut_down()
{
    there systemctl poweroff 2>"$WORK/poweroff" || true
    within 60 is_down || fail "it does not shut down: $(tail -n 5 "$WORK/nspawn.log")"
    wait "$(cat "$WORK/nspawn.pid")" || true
    rm "$WORK/nspawn.pid"
    init=
}

is_down()
{
    ! init_pid
}

# leave_nothing: with its first process all of them end; the groups that they were in stay.
leave_nothing()
{
    ended=$?
    [ -z "$init" ] || kill -9 "$init"
    in_time 5 take_groups_away || true
    leave
}

take_groups_away()
{
    find /sys/fs/cgroup -depth -type d \( -name supervisor -o -path '*/payload*' \) -exec rmdir {} +
}

# fleet WORDS...: the command line, there.
fleet()
{
    there dunlin --dir /var/lib/dunlin "$@"
}

fleet_online()
{
    [ "$(fleet status --json | jq .agents.online)" -eq "$1" ]
}

fleet_has()
{
    [ "$(fleet agent show 1 --json | jq -r ".deployments[] | select(.name == \"$1\") | .state + \" \" + .version")" = "Ready $2" ]
}

# tell_join HOST: where to join, with a token.
tell_join()
{
    (umask 077 && printf 'host=%s\ntoken=%s\n' "$1" "$(fleet token create)" >"$debian/var/lib/dunlin-agent/join.conf")
}

# is_in STATE: the agent's unit.
is_in()
{
    [ "$(there systemctl is-active dunlin-agent)" = "$1" ]
}

# none_runs PROGRAM
none_runs()
{
    ! pgrep --ns "$init" --nslist pid -f "/(bin|lib)/$1"
}

running_brokers()
{
    pgrep --ns "$init" --nslist pid -x mosquitto | sort -n | tr '\n' ' '
}

# main_pid UNIT: 0 where it does not run.
main_pid()
{
    there systemctl show -P MainPID "$1"
}

# is_another UNIT PID: it runs, as another process.
is_another()
{
    [ "$(there systemctl is-active "$1")" = active ] && [ "$(main_pid "$1")" != "$2" ]
}

# runs_installed UNIT: what it runs is what the package holds now.
runs_installed()
{
    there cmp -s "/proc/$(main_pid "$1")/exe" "/usr/bin/$1" && ! there readlink "/proc/$(main_pid "$1")/exe" | grep -q deleted
}

# release_there V DEPLOYMENT USER: a bundle whose health is who its hooks run as.
release_there()
{
    make_app "$1" 100
    make_hook "$WORK/app@$1" health "[ \"\$(id -un)\" = $3 ]"
    cp -a "$WORK/app@$1" "$debian/root/"
    fleet bundle push "/root/app@$1" --name app --version "$1" --health-deadline 20s >/dev/null || fail "version $1 is not taken"
    fleet deploy "app@$1" --as "$2" --all >/dev/null || fail "version $1 is not deployed"
    within 60 fleet_has "$2" "$1" || fail "version $1 does not arrive: $(fleet why 1 "$2" 2>&1)"
}

dpkg_there()
{
    there dpkg "$@" >"$WORK/dpkg" 2>&1 || fail "dpkg $*: $(cat "$WORK/dpkg")"
}

command -v systemd-nspawn >/dev/null || skip "systemd-nspawn is missing: sh setup.sh --cross"
find_debian
init=
trap leave_nothing EXIT
lay_over
prepare_debian
make 0.9.3
apt satisfy "$(dpkg-deb -f "$debian/root/dunlin-manager_0.9.3_amd64.deb" Depends)"
boot

step "the manager's package starts it"
dpkg_there -i /root/dunlin-manager_0.9.3_amd64.deb
within 30 fleet status || fail "it does not answer: $(there journalctl --no-pager -u dunlin-manager | tail -n 20)"
echo 'OPTIONS="--reconnect-spread 2s"' >"$debian/etc/dunlin/manager.conf"
there systemctl restart dunlin-manager
within 30 fleet status || fail "it does not take its options: $(there journalctl --no-pager -u dunlin-manager | tail -n 20)"

step "the agent's package has nothing to start before there is a token"
dpkg_there -i /root/dunlin-agent_0.9.3_amd64.deb
is_in inactive || fail "it is $(there systemctl is-active dunlin-agent)"

step "with one it waits for its fleet, and nothing waits for it"
tell_join 127.0.0.1:1
there systemctl --no-block start dunlin-agent
within 10 is_in activating || fail "it is $(there systemctl is-active dunlin-agent)"
there timeout 60 dpkg -i /root/dunlin-agent_0.9.3_amd64.deb >"$WORK/dpkg" 2>&1 || fail "the package waits: $(cat "$WORK/dpkg")"
within 10 is_in activating || fail "it is $(there systemctl is-active dunlin-agent)"

step "it joins"
tell_join "$(fleet status --json | jq -r .join_url)"
there systemctl restart dunlin-agent || fail "$(there journalctl --no-pager -u dunlin-agent | tail -n 20)"
within 30 fleet_online 1 || fail "it does not come online: $(there journalctl --no-pager -u dunlin-agent | tail -n 20)"
! grep -q 'dlt1-' "$debian/var/lib/dunlin-agent/join.conf" || fail "the token is still there"

step "it is shut in, and what it is given works there"
there cat "/proc/$(main_pid dunlin-agent)/status" >"$WORK/status"
for line in 'CapEff:.0*' 'CapBnd:.0*' 'NoNewPrivs:.1' 'Seccomp:.2'; do
    grep -qx "$line" "$WORK/status" || fail "not $line: $(grep "^${line%%:*}:" "$WORK/status")"
done
release_there 1 app dunlin-agent

for unit in dunlin-agent dunlin-manager; do
    step "$unit comes back when it is killed, and when it is started again"
    pid=$(main_pid "$unit") brokers=$(running_brokers)
    there sh -c "kill -9 $pid"
    within 30 is_another "$unit" "$pid" || fail "it is $(there systemctl is-active "$unit")"
    [ -n "$brokers" ] && [ "$(running_brokers)" = "$brokers" ] || fail "its brokers are others now: $(running_brokers), not $brokers"
    [ "$(there systemctl show -P NRestarts "$unit")" = 1 ] || fail "it was started $(there systemctl show -P NRestarts "$unit") times"
    within 60 fleet_online 1 || fail "its agent is away: $(there journalctl --no-pager -u "$unit" | tail -n 20)"
    pid=$(main_pid "$unit")
    there systemctl restart "$unit"
    is_another "$unit" "$pid" || fail "it is $(there systemctl is-active "$unit")"
    within 60 fleet_online 1 || fail "its agent is away: $(there journalctl --no-pager -u "$unit" | tail -n 20)"
done

step "an upgrade runs what it brings"
rm "$debian"/root/*.deb
make 0.9.4
for unit in dunlin-manager dunlin-agent; do
    pid=$(main_pid "$unit")
    dpkg_there -i "/root/${unit}_0.9.4_amd64.deb"
    within 30 is_another "$unit" "$pid" || fail "$unit is not started again"
    within 30 runs_installed "$unit" || fail "$unit is the old one"
done
within 60 fleet_online 1 || fail "the agent is away: $(there journalctl --no-pager -u dunlin-agent | tail -n 20)"
release_there 2 app dunlin-agent

step "one that its owner has disabled and stopped stays so"
there systemctl --quiet disable dunlin-agent
there systemctl stop dunlin-agent
dpkg_there -i /root/dunlin-agent_0.9.4_amd64.deb
sleep 3
is_in inactive || fail "the upgrade has started it"
there systemctl --quiet enable dunlin-agent

step "a boot starts both"
shut_down
boot
within 60 fleet_online 1 || fail "it does not come online: $(there journalctl --no-pager -u dunlin-agent | tail -n 20)"
fleet_has app 2 || fail "it has lost what it runs"

step "hooks run as another user where its owner wants it"
there useradd --system dunlin-hooks
there systemctl stop dunlin-agent
there chown -R root: /var/lib/dunlin-agent
mkdir -p "$debian/etc/systemd/system/dunlin-agent.service.d"
cp "$ROOT/cross/package/hooks-apart.conf" "$debian/etc/systemd/system/dunlin-agent.service.d/"
there systemctl daemon-reload
there systemctl start dunlin-agent
within 30 fleet_online 1 || fail "it does not come online: $(there journalctl --no-pager -u dunlin-agent | tail -n 20)"
release_there 3 apart dunlin-hooks

step "removal stops it and keeps who it is, purging takes both away"
dpkg_there -r dunlin-agent
none_runs dunlin-agent || fail "it still runs"
[ -e "$debian$identity" ] || fail "the identity is gone"
dpkg_there -P dunlin-agent
dpkg_there -P dunlin-manager
none_runs 'dunlin' || fail "they still run"
[ ! -e "$debian/var/lib/dunlin-agent" ] && [ ! -e "$debian/var/lib/dunlin" ] || fail "purging leaves something"
[ -z "$(there systemctl --no-legend --no-pager list-units --failed)" ] || fail "there are failed units: $(there systemctl --no-pager list-units --failed)"
shut_down
rm -f "$built"/packages/*0.9.[34]*
done_well
