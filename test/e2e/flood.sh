#!/bin/sh
# A device that was taken over publishes on its own topic, with its own certificate, as fast as it can, all the time: it
# is let in at a fixed rate, the rest is counted and dropped before anything is looked at, and the others take what is
# released meanwhile. What these report comes when it has passed through the broker behind the flood.
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
    # shellcheck disable=SC2046 # flags that are words
    yes "$WORK" | tr -dc 'a-z\n' | mosquitto_pub $(as agent1) -t "dl1/up/$id1" -q 0 -l >/dev/null 2>&1 &
    echo $! >"$WORK/flooder.pid"
}

others_run()
{
    agent_runs 2 app "$WORK/app@$1" && agent_runs 3 app "$WORK/app@$1"
}

# The most that the broker ever had, in MiB.
memory()
{
    awk '$1 == "VmHWM:" { print int($2 / 1024) }' "/proc/$(dunlin status --json | jq '.cells[0].pid')/status"
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

step "one device floods, in the place of its agent"
kill_agent 1 -TERM
certify agent1 "$id1"
flooder
within 30 flooded_more_than 100000 || fail "only $(counter flooded) messages were dropped"
kill -0 "$(cat "$WORK/flooder.pid")" || fail "the flooder gave up"

step "the others take the next version meanwhile"
before=$(counter flooded) used=$(processor)
make_app 2
since=$(now_ms)
release 2 env=lab
within 40 others_run 2 || fail "version 2 does not run on the others"
took_ms=$(($(now_ms) - since))
within 40 app_is 2 2 3 || fail "the manager does not hear of the others"
heard_ms=$(($(now_ms) - since))
dropped=$(($(counter flooded) - before))
echo "$dropped messages dropped, the others had it after $took_ms ms and were heard after $heard_ms ms," \
    "manager's processor $((($(processor) - used) * 10)) ms, broker's memory $(memory) MiB"
[ "$dropped" -gt 1000 ] || fail "the flood has ended before the others were done"
[ "$took_ms" -lt 40000 ] || fail "it took $took_ms ms"
[ "$(grep -c agent-floods "$WORK/manager.log")" -eq 1 ] || fail "the flood is told of more than once"
dunlin status | grep -q "^dropped .* messages of agents that say too much" || fail "dunlin status does not tell"
grep -q "agent-floods id=$id1 " "$WORK/manager.log" || fail "the log doesn't name the flooder"

step "when it ends, the device itself is heard again, with its next heartbeat"
kill "$(cat "$WORK/flooder.pid")"
rm "$WORK/flooder.pid"
start_agent 1
within 30 app_is 2 1 || fail "the device that was flooded for is not heard again"
done_well
