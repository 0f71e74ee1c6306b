#!/bin/sh
# The agent's broker has been taken over by one that means no good: it talks without end, doesn't listen, drips, keeps
# silent or hangs up. The agent's memory, disk and log stay as they are, what runs goes on running, and when its own
# broker is back it takes the next version.
. "$(dirname "$0")/lib.sh"
PATH=$BIN/test:$PATH
need hostile_broker mosquitto_sub
forget_freed
# A loopback link without TLS: what TLS's side refuses, the unit tests of sync/packets and sync/mqtt show.
links=--plain

used()
{
    du -sk "$WORK/agent1" | cut -f 1
}

lines()
{
    grep -c . "$WORK/agent1.log"
}

# says WORDS: in the agent's log, since the last look.
says()
{
    tail -n "+$((seen + 1))" "$WORK/agent1.log" | grep -qE "$1"
}

# visit MODE SECONDS WORDS: a hostile broker in the place of the agent's, until the agent has noticed.
visit()
{
    step "a broker that is $1"
    seen=$(lines)
    # shellcheck disable=SC2046
    hostile_broker "$port" "$1" $(cat "$WORK/topics") >"$WORK/hostile.log" 2>&1 &
    echo $! >"$WORK/hostile.pid"
    within "$2" says "$3" || fail "$1: the agent does not say: $3"
    sleep 5
    kill_process hostile -TERM
    kill -0 "$(cat "$WORK/agent1.pid")" || fail "$1: the agent has ended"
    agent_runs 1 app "$WORK/app@1" || fail "$1: the agent runs something else"
    new=$(($(lines) - seen))
    echo "$1: peak of memory $(peak agent1) KiB, disk $(used) KiB, $new lines of log"
    [ "$(peak agent1)" -lt $((memory + 8192)) ] || fail "$1: the agent's memory grew from $memory to $(peak agent1) KiB"
    [ "$(used)" -lt $((disk + 512)) ] || fail "$1: the agent's folder grew from $disk to $(used) KiB"
    [ "$new" -lt 200 ] || fail "$1: the log grew by $new lines"
}

start_manager --keepalive 5s
join_agent 1 env=lab
start_agent 1
release 1 env=lab
within 40 app_is 1 1 || fail "version 1 does not run"
# A second version warms up what is allocated once.
make_app 0
release 0 env=lab
within 40 app_is 0 1 || fail "version 0 does not run"
release 1 env=lab
within 40 app_is 1 1 || fail "version 1 does not run again"
port=$(sed -n 's/.*link-up broker=mqtts*:\/\/127.0.0.1:\([0-9]*\).*/\1/p' "$WORK/agent1.log" | tail -n 1)
id1=$(agent 1 .id)
cohort=$(mosquitto_sub --unix "$FLEET/cells/0/sock" -i look -t "dl1/cohort/+/doc" --retained-only -C 1 -W 5 -F %t)
[ -n "$cohort" ] || fail "no cohort's topic is retained"
echo "dl1/trust/2 $cohort ${cohort%doc}0 dl1/agent/$id1/head dl1/agent/$id1/doc dl1/chunk/$(printf %064d 0) dl1/up/x other" \
    >"$WORK/topics"
memory=$(peak agent1) disk=$(used)

kill_manager -KILL
kill_brokers
visit endless 30 message-refused
visit deaf 30 message-refused
visit drip 30 "link-up|status-not-sent"
visit lure 60 "link-down.*does not answer"
visit flap 30 "link-down"

step "its own broker is back"
start_manager --keepalive 5s
release 2 env=lab
within 90 app_is 2 1 || fail "version 2 does not run"
done_well
