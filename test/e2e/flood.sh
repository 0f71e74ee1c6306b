#!/bin/sh
# A device that was taken over publishes on its own topic, with its own certificate, as fast as it can, all the time: it
# is let in at a fixed rate, the rest is counted and dropped before anything is looked at, and when there is more and
# more of that it is cut off within seconds, however often it connects again. The others take what is released meanwhile,
# and are heard as soon as what the broker has of the flood has passed. Operators see it, and let it in again.
. "$(dirname "$0")/lib.sh"
need mosquitto_pub

counter()
{
    dunlin status --json | jq ".counters.$1"
}

# flooder: one line of 40 bytes a message, without end, on a new connection every few seconds.
flooder()
{
    while kill -0 $$ && [ -f "$WORK/flooding" ]; do
        # shellcheck disable=SC2046 # flags that are words
        yes "$WORK" | tr -dc 'a-z\n' | timeout 4 mosquitto_pub $(as agent1) -t "dl1/up/$id1" -q 0 -l >/dev/null 2>&1 &
        echo $! >"$WORK/flooder.pid"
        wait $! || sleep 0.1
    done
}

stop_flooder()
{
    rm "$WORK/flooding"
    kill_process flooder -TERM
    wait "$flooding" || true
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

log_has()
{
    grep -q "$1" "$WORK/manager.log"
}

state_is()
{
    [ "$(agent "$1" .state)" = "$2" ]
}

is_cut_off_times()
{
    [ "$(grep -c agent-cut-off "$WORK/manager.log")" -eq "$1" ]
}

# Nothing of the flood has come for a second.
flood_is_over()
{
    before=$(counter flooded)
    sleep 1
    [ "$(counter flooded)" -eq "$before" ]
}

start_manager --heartbeat 5s
for n in 1 2 3; do
    join_agent "$n" env=lab
    start_agent "$n"
done
release 1 env=lab
within 40 app_is 1 1 2 3 || fail "version 1 does not run everywhere"
id1=$(agent 1 .id)

step "one device floods, in the place of its agent, and is cut off"
kill_agent 1 -TERM
certify agent1 "$id1"
touch "$WORK/flooding"
flooder &
flooding=$!
since=$(now_ms)
within 30 log_has "agent-cut-off id=$id1 agent=1 until=20" || fail "it is not cut off"
cut_ms=$(($(now_ms) - since))
dropped=$(counter flooded)

step "the others take the next version, and are heard"
make_app 2
since=$(now_ms)
release 2 env=lab
within 40 others_run 2 || fail "version 2 does not run on the others"
took_ms=$(($(now_ms) - since))
within 40 app_is 2 2 3 || fail "the manager does not hear of the others"
heard_ms=$(($(now_ms) - since))
echo "cut off $cut_ms ms after its start and $dropped messages; the others had the next version after $took_ms ms and" \
    "were heard after $heard_ms ms, broker's memory $(memory) MiB"
[ "$dropped" -gt 32768 ] || fail "it is cut off after $dropped messages"

step "what the broker had of the flood passes, and no more of it comes, though the flooder goes on"
within 60 flood_is_over || fail "the flood does not end"
kill -0 "$flooding" || fail "the flooder gave up"
[ "$(grep -c agent-floods "$WORK/manager.log")" -eq 1 ] || fail "the flood is told of more than once"
is_cut_off_times 1 || fail "it is cut off more than once"

step "operators see it"
state_is 1 CutOff || fail "its state is $(agent 1 .state)"
state_is 2 Online || fail "another agent suffers"
dunlin status | grep -q "^agents .*1 cut off" || fail "dunlin status doesn't tell: $(dunlin status)"
dunlin status | grep -q "^dropped .* messages of agents that say too much" || fail "dunlin status does not tell"
dunlin status | grep -q "alarm-flood" || fail "dunlin status shows no alarm"
dunlin agent show 1 | grep -q "because.*cut off until 20" || fail "show doesn't say why"
dunlin why 1 app | grep -q "cut off until 20.*dunlin agent release 1" || fail "dunlin why: $(dunlin why 1 app)"
dunlin audit --action alarm | grep -q "alarm-flood.*cut off until 20" || fail "audit: $(dunlin audit)"

step "a manager that starts lets it in, and cuts it off again"
kill_process manager -KILL
start_manager --heartbeat 5s
within 30 is_cut_off_times 2 || fail "it is not cut off again"
within 60 flood_is_over || fail "the flood does not end"

step "when the device is well again, an operator lets it in, and it is heard"
stop_flooder
dunlin agent release 1 | grep -q "let in again" || fail "it is not let in"
state_is 1 Offline || fail "its state is $(agent 1 .state)"
start_agent 1
within 30 app_is 2 1 || fail "the device that was flooded for is not heard again"
state_is 1 Online || fail "its state is $(agent 1 .state)"
dunlin agent release 1 >/dev/null || fail "a second release fails"
done_well
