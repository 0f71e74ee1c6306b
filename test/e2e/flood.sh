#!/bin/sh
# A device publishes on its own topic as fast as it can, all the time: it is let in at a fixed rate, the rest is counted
# and dropped before anything is looked at, and the others are served meanwhile as if nothing were.
. "$(dirname "$0")/lib.sh"
need mosquitto_pub

counter()
{
    dunlin status --json | jq ".counters.$1"
}

# Seconds of processor that the manager has used, in hundredths.
processor()
{
    echo $(($(cut -d ' ' -f 14,15 "/proc/$(cat "$WORK/manager.pid")/stat" | tr ' ' '+')))
}

# flooder: one line of 40 bytes a message, without end.
flooder()
{
    if [ -S "$FLEET/cells/0/sock" ]; then
        set -- --unix "$FLEET/cells/0/sock"
    else
        set -- -h 127.0.0.1 -p "$(join_url | sed 's/.*://')"
    fi
    yes "$WORK" | tr -dc 'a-z\n' | mosquitto_pub "$@" -t "dl1/up/$id1" -q 0 -l -i "$id1-flooder" \
        >/dev/null 2>&1 &
    echo $! >"$WORK/flooder.pid"
}

flooded_more_than()
{
    [ "$(counter flooded)" -gt "$1" ]
}

start_manager --heartbeat 5s
for n in 1 2 3; do
    join_agent "$n" env=lab
    start_agent "$n"
done
release 1 env=lab
within 40 app_is 1 1 2 3 || fail "version 1 does not run everywhere"
id1=$(agent 1 .id)

step "one device floods"
flooder
within 30 flooded_more_than 100000 || fail "only $(counter flooded) messages were dropped"
kill -0 "$(cat "$WORK/flooder.pid")" || fail "the flooder gave up"

step "the others take the next version meanwhile"
before=$(counter flooded) used=$(processor) since=$(date +%s%N)
release 2 env=lab
within 40 app_is 2 2 3 || fail "version 2 does not run on the others"
took_ms=$((($(date +%s%N) - since) / 1000000))
dropped=$(($(counter flooded) - before))
echo "$dropped messages dropped in $took_ms ms, manager's processor $((($(processor) - used) * 10)) ms"
[ "$dropped" -gt 1000 ] || fail "the flood has ended before the others were done"
[ "$took_ms" -lt 40000 ] || fail "it took $took_ms ms"
[ "$(grep -c agent-floods "$WORK/manager.log")" -eq 1 ] || fail "the flood is told of more than once"
dunlin status | grep -q "^dropped .* messages of agents that say too much" || fail "dunlin status does not tell"
grep -q "agent-floods id=$id1 " "$WORK/manager.log" || fail "the log doesn't name the flooder"

step "when it ends, the device itself is heard again, with its next heartbeat"
kill "$(cat "$WORK/flooder.pid")"
rm "$WORK/flooder.pid"
within 30 app_is 2 1 || fail "the device that was flooded for is not heard again"
done_well
