#!/bin/sh
# An agent with a valid certificate takes as much of its broker's memory as it can get. It gets what the cell may have,
# at the worst; the machine keeps the rest, others are served, and when it is revoked, all of that is free again.
# shellcheck disable=SC2046 # flags that are words
. "$(dirname "$0")/lib.sh"
need mosquitto_pub mosquitto_sub python3

MEMORY_MIB=96
# With what Mosquitto doesn't count: OpenSSL's memory, and holes between long and short pieces.
MOST_MIB=$((2 * MEMORY_MIB + 32))

# memory FIELD: of the broker in MiB: VmRSS now, VmHWM at its most.
memory()
{
    awk -v field="$1:" '$1 == field { print int($2 / 1024) }' "/proc/$(broker_pids)/status"
}

# gorges WHAT SECONDS: prints how often it was cut off.
gorges()
{
    "$ROOT/test/e2e/glutton.py" "$port" "$WORK/agent1" "$id1" "$1" "$2"
}

stays_bounded()
{
    most=$(memory VmHWM)
    echo "the broker took at most $most MiB of $MEMORY_MIB"
    [ "$most" -lt $MOST_MIB ] || fail "the broker took $most MiB"
    [ "$(broker_pids)" = "$broker" ] || fail "the broker was started anew"
}

start_manager --heartbeat 5s --cell-memory $MEMORY_MIB
for n in 1 2 3; do
    join_agent $n env=lab
done
start_agent 2
make_app 1 8192
release 1 env=lab
within 60 app_is 1 2 || fail "version 1 does not run"
id1=$(agent 1 .id)
port=$(cell_port 0) broker=$(broker_pids)
certify agent1 "$id1"

step "it retains messages on every topic that it can think of: one is kept"
before=$(memory VmRSS)
gorges retains 10 >/dev/null
after=$(memory VmRSS)
echo "the broker has $((after - before)) MiB more"
[ $((after - before)) -lt 8 ] || fail "it keeps $((after - before)) MiB"
kept=$(mosquitto_sub --unix "$FLEET/cells/0/sock" --retained-only -W 2 -F %t -t 'dl1/up/#' || true)
[ "$kept" = "dl1/up/$id1" ] || fail "these are kept: $kept"

step "it subscribes to all content and does not read: it is cut off, and others are served"
gorges subscribes 30 >"$WORK/cuts" &
gorging=$!
start_agent 3
within 60 app_is 1 3 || fail "another agent gets no content meanwhile"
wait $gorging
[ "$(cat "$WORK/cuts")" -gt 0 ] || fail "it was never cut off"
stays_bounded

step "it subscribes to more topics than there are, in a session that is kept: the broker is full, the machine is not"
gorges collects 20 >"$WORK/cuts"
[ "$(cat "$WORK/cuts")" -gt 0 ] || fail "it was never cut off"
stays_bounded

step "it is revoked: what it held is free, and the fleet goes on"
dunlin agent revoke 1 >/dev/null
make_app 2
release 2 env=lab
within 90 app_is 2 2 3 || fail "version 2 does not come"
stays_bounded
done_well
