#!/bin/sh
# Usage: network.sh. An agent whose network becomes another one, also one with the same addresses, and comes back after a
# long time without any: it notices at once, although its keep-alive and its back-off would let it wait. Both are in
# namespaces of their own.
# shellcheck disable=SC2015,SC2016 # tests that must hold, and what others are to expand
if [ -z "${DUNLIN_NETWORK:-}" ]; then
    user=-r
    [ "$(id -u)" -ne 0 ] || user=
    # shellcheck disable=SC2086
    unshare $user -n sh -c 'ip link add near type veth peer name far' 2>/dev/null ||
        { echo "skipped: this machine gives no network to test with" && exit 77; }
    # shellcheck disable=SC2086
    DUNLIN_NETWORK=mine exec unshare $user -n "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
need ip nsenter ss unshare

# site I: the I-th network, with the manager at .1 and the agent at .2.
site()
{
    ip link add "site$1" type veth peer name "eth$1" netns "$device"
    ip addr add "10.77.$1.1/24" dev "site$1"
    ip link set "site$1" up
    at_device ip link set "eth$1" up
}

at_device()
{
    nsenter -t "$device" -n "$@"
}

arrive()
{
    at_device ip addr add "10.77.$1.2/24" dev "eth$1"
    at_device ip route add default via "10.77.$1.1"
}

depart()
{
    at_device ip addr flush dev "eth$1"
}

# join: there is $WORK/joined once it has.
join()
{
    url=$(join_url)
    token=$(dunlin token create)
    (nsenter -t "$device" -n dunlin-agent join "$url" "$token" --dir "$WORK/agent1" >>"$WORK/agent1.log" 2>&1 &&
        touch "$WORK/joined") &
    echo $! >"$WORK/join.pid"
}

# run: as start_agent, over there; by its own name, so that the id is the agent's.
run()
{
    nsenter -t "$device" -n dunlin-agent run --dir "$WORK/agent1" --log debug >>"$WORK/agent1.log" 2>&1 &
    echo $! >"$WORK/agent1.pid"
}

# logged N EVENT: so often, at least.
logged()
{
    [ "$(grep -c " $2 " "$WORK/agent1.log")" -ge "$1" ]
}

# connection: the agent's own port, and how many bytes of its have arrived.
connection()
{
    at_device ss -Htni state established dst "10.77.0.1:$cell" >"$WORK/connection"
    port=$(sed -n "s/.* 10\.77\.1\.2:\([0-9]*\) .*/\1/p" "$WORK/connection")
    arrived=$(sed -n 's/.*bytes_acked:\([0-9]*\).*/\1/p' "$WORK/connection")
    [ -n "$port" ] && [ -n "$arrived" ] || fail "there is no one connection: $(cat "$WORK/connection")"
}

# draw_cable: of the first network.
draw_cable()
{
    ip link set site1 down
    within 5 no_signal || fail "the card has a signal still"
}

no_signal()
{
    at_device ip link show eth1 | grep -q NO-CARRIER
}

# costs LEAST MOST: so many bytes have left since connection, in the time that a question and another one take.
costs()
{
    before=$arrived
    sleep 21
    connection
    [ $((arrived - before)) -ge "$1" ] && [ $((arrived - before)) -le "$2" ] ||
        fail "$((arrived - before)) bytes have left: $(tail -n 5 "$WORK/agent1.log")"
}

ip link set lo up
ip addr add 10.77.0.1/32 dev lo
unshare -n sh -c 'echo ready >"$1/device" && exec tail -f "$1/device" >/dev/null' - "$WORK" &
device=$!
echo "$device" >"$WORK/device.pid"
within 5 test -e "$WORK/device" || fail "there is no second network"
for one in 1 2; do site "$one"; done

step "a device that is to join has no network for so long that it tries once a minute at most"
start_manager --listen 0.0.0.0:0 --advertise 10.77.0.1 --reconnect-spread 1h --keepalive 10m
join
sleep 40
[ ! -e "$WORK/joined" ] || fail "without a network it joins"

step "with a network at last it joins at once, with a keep-alive of ten minutes"
arrive 1
in_time 8 test -e "$WORK/joined" || fail "it waits: $(tail -n 5 "$WORK/agent1.log")"
run
within 30 online 1 || fail "it does not come online"

step "a second network beside the first is no reason to let go of the link"
at_device ip addr add 10.77.2.2/24 dev eth2
within 5 logged 1 network-changed || fail "it does not hear of the second network"
logged 1 network-moved && fail "the link is let go"

step "where the first is gone, it goes over the second at once"
at_device ip addr flush dev eth1
at_device ip route add default via 10.77.2.1
in_time 20 logged 2 link-up || fail "it waits"
logged 1 network-moved || fail "it was another reason: $(tail -n 5 "$WORK/agent1.log")"

step "no network when it starts: its back-off grows"
kill_agent 1 -TERM
depart 2
run
within 120 logged 6 link-down || fail "it does not try"

step "a network at last: it does not wait for its back-off's end"
arrive 1
in_time 20 logged 3 link-up || fail "it waits"
within 10 online 1 || fail "nobody has heard of it"

step "a network that rests costs nothing, and neither does one that is none of its concern"
cell=$(cell_port 0)
sleep 12 # its hello is said again
connection
costs 0 0
at_device ip link add bridge0 type bridge
at_device ip addr add 10.99.0.1/24 dev bridge0
at_device ip link set bridge0 up
costs 0 0

step "a card that gets a signal again, and thirty new routes: two questions of 40 bytes at most"
draw_cable
ip link set site1 up
for one in $(seq 30); do at_device ip route add "10.88.$one.0/24" via 10.77.1.1; done
costs 20 80
logged 4 link-up && fail "it has let go of a link that is well"

step "another network with the same addresses, which swallows the old connection: it is back in seconds"
draw_cable
ip rule add pref 1 ipproto tcp sport "$cell" dport "$port" blackhole
ip link set site1 up
since=$(now_ms)
in_time 25 logged 4 link-up || fail "it waits: $(tail -n 5 "$WORK/agent1.log")"
grep -q 'link-down .*over this network' "$WORK/agent1.log" || fail "it was another reason"
echo "    after $(($(now_ms) - since)) ms"

kill_process device -9
done_well
