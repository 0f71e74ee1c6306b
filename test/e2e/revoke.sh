#!/bin/sh
# An agent is revoked while it is connected: at once it is off its broker, nothing is kept for it, and
# it never comes back. Another device takes its place, with all that it ran.
. "$(dirname "$0")/lib.sh"
need jq mosquitto_sub openssl

state_is()
{
    [ "$(agent "$1" .state)" = "$2" ]
}

# kept ID: how many messages the broker keeps for this agent alone.
kept()
{
    mosquitto_sub --unix "$FLEET/cells/0/sock" --retained-only -W 2 -F '%t' -t "dl1/agent/$1/#" 2>/dev/null |
        grep -c . || true
}

kept_are()
{
    [ "$(kept "$1")" -eq "$2" ]
}

# revoked_serials: how many the list of the first cell has.
revoked_serials()
{
    openssl crl -in "$FLEET/cells/0/crl.pem" -noout -text | grep -c 'Serial Number' || true
}

# device N FILTER: what the agent's own status says.
device()
{
    dunlin-agent status --dir "$WORK/agent$1" --json | jq -r "$2"
}

knows_it_is_out()
{
    [ "$(device "$1" .shut_out)" != null ]
}

agent_log_has()
{
    grep -q "$2" "$WORK/agent$1.log"
}

revokes()
{
    step "a connected agent is revoked"
    id=$(agent 1 .id)
    dunlin agent label 1 place=roof >/dev/null
    within 20 kept_are "$id" 2 || fail "nothing is kept for the agent"
    serials=$(revoked_serials)
    dunlin agent revoke 1 | grep -q "shut out for good" || fail "it doesn't say so"
    began_ms=$(date +%s%3N)
    within 10 agent_log_has 1 "link-down" || fail "it stays connected"
    took_ms=$(($(date +%s%3N) - began_ms))
    echo "the broker ended its connection within $took_ms ms of the answer"
    within 30 agent_log_has 1 "it is revoked" || fail "it is let in again"
    within 60 agent_log_has 1 'renewal-refused reason="this agent is shut out of its fleet"' ||
        fail "it is not told that its certificate is over: $(grep renewal "$WORK/agent1.log")"
    within 10 knows_it_is_out 1 || fail "its own status doesn't say that it is shut out"
    dunlin-agent status --dir "$WORK/agent1" | grep -q "shut out of its fleet since 20" ||
        fail "its own status doesn't tell people"
    [ "$(device 2 .shut_out)" = null ] || fail "another agent takes itself for shut out"
    [ "$(revoked_serials)" -gt "$serials" ] || fail "its certificate is not on the list"
    within 10 kept_are "$id" 0 || fail "something is still kept for it"
    [ "$(dunlin status --json | jq .agents.total)" -eq 1 ] || fail "it still counts"
    state_is 2 Online || fail "another agent suffers"
    dunlin agent list | grep -q Revoked && fail "it is still listed"
    dunlin agent list --all | grep -q Revoked || fail "nobody can see that it is revoked"
    dunlin agent show 1 | grep -q "because.*revoked it" || fail "show doesn't say why"
    dunlin audit | grep -q agent-revoke || fail "the audit log doesn't tell of it"
}

stays_out()
{
    step "it stays out, also after restarts of itself and of the manager"
    kill_agent 1 -TERM
    : >"$WORK/agent1.log"
    start_agent 1
    within 30 agent_log_has 1 "it is revoked" || fail "it is let in after a restart"
    kill_manager -TERM
    start_manager --heartbeat 20s
    within 30 online 1 || fail "the other agent does not come back"
    kill_agent 1 -TERM
    : >"$WORK/agent1.log"
    start_agent 1
    within 30 agent_log_has 1 "it is revoked" || fail "it is let in after a restart of the manager"
    ! grep -q link-up "$WORK/agent1.log" || fail "it was connected"
    refused "for good" dunlin agent release 1
}

replaced()
{
    step "another device takes its place"
    token=$(dunlin agent replace 1)
    dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent3" --timeout 120 >"$WORK/agent3.log" 2>&1 ||
        fail "the successor does not join"
    grep -q "joined as agent 1 " "$WORK/agent3.log" || fail "it has another number"
    start_agent 3
    within 60 agent_has 1 app 1 || fail "it does not run what the old one ran"
    agent_runs 3 app "$WORK/app@1" || fail "its files are others"
    [ "$(agent 1 '.labels | tostring')" = '{"env":"prod","place":"roof"}' ] || fail "it has other labels"
    [ "$(agent 1 .id)" != "$id" ] || fail "it has the old identity"
    state_is 1 Online || fail "it is not online"
    [ "$(dunlin status --json | jq .agents.total)" -eq 2 ] || fail "it doesn't count"
    kill_agent 1 -TERM
    : >"$WORK/agent1.log"
    start_agent 1
    within 30 agent_log_has 1 "it is revoked" || fail "the old device is let in again"
    refused "used" dunlin-agent join "$(join_url)" "$token" --dir "$WORK/thief" --timeout 60
}

swapped()
{
    step "a working device is swapped for another, by a token from the drawer"
    token=$(dunlin token create)
    dunlin agent replace 2 "$token" | grep -q "takes the place of agent 2" || fail "it doesn't say so"
    state_is 2 Online || fail "the old one is out before the new one is in"
    dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent4" --timeout 120 >"$WORK/agent4.log" 2>&1 ||
        fail "the successor does not join"
    start_agent 4
    within 30 agent_log_has 2 "it is revoked" || fail "the old one is still let in"
    within 60 agent_has 2 app 1 || fail "the new one does not run what the old one ran"
    [ "$(dunlin status --json | jq .agents.total)" -eq 2 ] || fail "there are more agents than places"
}

start_manager --heartbeat 20s
for n in 1 2; do
    join_agent $n env=prod
    start_agent $n
done
make_app 1
release 1 env=prod
within 60 app_is 1 1 2 || fail "version 1 does not come"
revokes
stays_out
replaced
swapped
done_well
