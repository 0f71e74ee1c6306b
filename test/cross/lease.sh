#!/bin/sh
# What a device's image does with an address that a network gives it: one that only lasts longer is not taken away for a
# moment, another one takes its place, and so do routers. In a network of its own.
if [ -z "${DUNLIN_NETWORK:-}" ]; then
    user=-r
    [ "$(id -u)" -ne 0 ] || user=
    # shellcheck disable=SC2086
    unshare $user -n -m sh -c 'mount -t sysfs sys /sys && ip link add near type veth peer name far' 2>/dev/null ||
        { echo "skipped: this machine gives no network to test with" && exit 77; }
    # shellcheck disable=SC2086
    DUNLIN_NETWORK=mine exec unshare $user -n -m "$0" "$@"
fi
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
need ip unshare

# lease WHAT NAME=VALUE...: as udhcpc calls it.
lease()
{
    what=$1
    shift
    env interface=near mask=24 ip= router= dns= "$@" sh "$ROOT/cross/board/lease" "$what"
}

# addresses: of the network card.
addresses()
{
    ip -f inet addr show dev near | sed -n 's/^ *inet \([^ ]*\) .*/\1/p' | paste -sd ' ' -
}

routers()
{
    ip route show default | sed -n 's/^default via \([^ ]*\) .*/\1/p' | paste -sd ' ' -
}

# told ADDRESS: it comes anew until it is told.
told()
{
    ip link set lo down
    ip link set lo up
    grep -qF "$1" "$WORK/changes"
}

mount -t sysfs sys /sys
ip link add near type veth peer name far
ip link set far up

step "a network gives an address and a router"
lease deconfig
lease bound ip=10.77.5.2 router='10.77.5.1 10.77.5.9'
[ "$(addresses)" = 10.77.5.2/24 ] || fail "it has $(addresses)"
[ "$(routers)" = 10.77.5.1 ] || fail "its router is $(routers)"

step "as it lasts longer, nothing that hangs on it goes"
ip route add 192.0.2.0/24 via 10.77.5.7
ip monitor address route >"$WORK/changes" &
echo $! >"$WORK/monitor.pid"
within 5 told 127.0.0.1 || fail "nobody tells what changes"
lease renew ip=10.77.5.2 router=10.77.5.1
ip route add 198.51.100.0/24 via 10.77.5.8
within 5 grep -q '198\.51\.100' "$WORK/changes" || fail "nobody tells what changes any more"
sed -i '/198\.51\.100/d' "$WORK/changes"
! grep -qE '10\.77|192\.0' "$WORK/changes" || fail "this changes: $(cat "$WORK/changes")"
ip route show 192.0.2.0/24 | grep -q 10.77.5.7 || fail "a route is gone"
kill_process monitor -TERM

step "another address and router take their place, and no router none"
lease renew ip=10.77.5.22 router=10.77.5.1
[ "$(addresses)" = 10.77.5.22/24 ] || fail "it has $(addresses)"
[ "$(routers)" = 10.77.5.1 ] || fail "its router is $(routers)"
lease renew ip=10.77.5.22 router=10.77.5.3
[ "$(routers)" = 10.77.5.3 ] || fail "its router is $(routers)"
lease renew ip=10.77.5.22
[ -z "$(routers)" ] || fail "its router is $(routers)"

step "a router need not be a neighbour"
lease bound ip=10.77.6.2 mask=32 router=10.77.5.1
[ "$(addresses)" = 10.77.6.2/32 ] || [ "$(addresses)" = 10.77.6.2 ] || fail "it has $(addresses)"
[ "$(routers)" = 10.77.5.1 ] || fail "its router is $(routers)"

step "without a lease there is neither"
lease deconfig
[ -z "$(addresses)$(routers)" ] || fail "it still has $(addresses) and $(routers)"
done_well
