#!/bin/sh
# Two devices that are one agent, one with a copy of the other's storage: both are kept out until the
# operator decides. A device whose old storage is put back is told of, and nothing else.
. "$(dirname "$0")/lib.sh"
need jq

state_is()
{
    [ "$(agent "$1" .state)" = "$2" ]
}

audited()
{
    dunlin audit | grep -q "$1"
}

# copy FROM TO: the storage of an agent, as it is on the disk.
copy()
{
    rm -rf "$WORK/agent$2"
    cp -a "$WORK/agent$1" "$WORK/agent$2"
}

# release_to_all V
release_to_all()
{
    make_app "$1" 20
    push_app "$1" >/dev/null
    dunlin deploy "app@$1" --as app --all >/dev/null
}

runs_on()
{
    step "one device, restarted and cut off again and again, is one device"
    for _ in 1 2 3 4; do
        kill_agent 1 -KILL
        start_agent 1
        within 30 state_is 1 Online || fail "the agent does not come back"
        within 20 brokers 1 || fail "the broker is not started again"
        kill_brokers
    done
    within 30 online 2 || fail "the agents do not come back"
    ! audited alarm || fail "an alarm: $(dunlin audit | grep alarm)"
}

clones()
{
    step "a copy of its storage, in use at the same time"
    kill_agent 1 -KILL
    copy 1 7
    start_agent 1
    start_agent 7
    within 120 state_is 1 Quarantined || fail "the clone is not found: $(dunlin audit)"
    audited "alarm-clone" || fail "the audit log doesn't tell of the clone"
    [ "$(dunlin audit | grep -c alarm-clone)" -eq 1 ] || fail "more than one alarm"
    dunlin status | grep -q "1 quarantined" || fail "status doesn't tell of it"
    dunlin agent show 1 | grep -q "two devices" || fail "show doesn't say why"
    state_is 2 Online || fail "another agent suffers"
    before=$(dunlin status --json | jq .counters.statuses)
    release_to_all 2
    within 60 agent_has 2 app 2 || fail "the other agent gets no new version"
    [ "$(agent 1 .state)" = Quarantined ] || fail "it is heard again"
    [ "$(dunlin status --json | jq .counters.statuses)" -gt "$before" ] || fail "nobody is heard"
}

released()
{
    step "the operator turns one off, and releases the other"
    kill_agent 7 -KILL
    dunlin agent release 1 >/dev/null
    kill_agent 1 -KILL # else it asks again within an hour
    start_agent 1
    within 60 app_is 2 1 || fail "the released agent does not go on"
    within 30 state_is 1 Online || fail "it is not online"
    dunlin agent release 1 >/dev/null || fail "a second release fails"
    rm -rf "$WORK/agent7"
}

put_back()
{
    step "an old image of its storage is put back: an alarm, and no quarantine"
    kill_agent 1 -KILL
    copy 1 8
    start_agent 1
    within 30 state_is 1 Online || fail "the agent does not come back"
    for _ in 1 2 3; do
        kill_agent 1 -KILL
        start_agent 1
        within 30 state_is 1 Online
        sleep 1
    done
    kill_agent 1 -KILL
    copy 8 1
    rm -rf "$WORK/agent8"
    start_agent 1 --log debug
    within 150 audited "alarm-old-numbers" || fail "nobody is told of the old numbers"
    audited "release it" || fail "the alarm doesn't say what to do"
    ! state_is 1 Quarantined || fail "one device is taken for two"
    dunlin agent release 1 >/dev/null
    release_to_all 3
    within 60 app_is 3 1 2 || fail "the device with the old image does not go on"
    within 30 state_is 1 Online || fail "it is not heard"
}

start_manager --heartbeat 5s --keepalive 5s
for n in 1 2; do
    join_agent $n env=prod
    start_agent $n
done
release_to_all 1
within 60 app_is 1 1 2 || fail "version 1 does not come"
runs_on
clones
released
put_back
done_well
