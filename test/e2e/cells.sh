#!/bin/sh
# Two cells: agents are spread over both, and a broker that dies is back soon, with nothing lost.
. "$(dirname "$0")/lib.sh"

main()
{
    step "agents are spread over two brokers"
    start_manager --cells 2
    brokers 2 || fail "there should be two brokers: $(broker_pids)"
    spread_agents
    within 30 online "$count" || fail "not all agents are online: $(dunlin agent list)"
    release 1 shop
    # shellcheck disable=SC2086
    within 40 app_is 1 $agents || fail "version 1 does not come everywhere"

    step "a second manager in the same folder is refused, and disturbs nothing"
    refused 'fleet' dunlin-manager run --dir "$FLEET"
    brokers 2 || fail "there should still be two brokers: $(broker_pids)"

    step "a broker that is killed is started again"
    # shellcheck disable=SC2046
    kill -9 $(broker_pids | head -n 1)
    release 2 shop
    within 30 brokers 2 || fail "the broker is not started again"
    # shellcheck disable=SC2086
    within 40 app_is 2 $agents || fail "version 2 does not come everywhere"

    step "a manager that dies together with a broker finds the other, and starts the missing one"
    # shellcheck disable=SC2046
    kill -9 $(broker_pids | tail -n 1)
    kill_manager -9
    start_manager
    within 30 brokers 2 || fail "there should be two brokers: $(broker_pids)"
    within 40 online "$count" || fail "not all agents come back: $(dunlin agent list)"
    release 3 shop
    # shellcheck disable=SC2086
    within 40 app_is 3 $agents || fail "version 3 does not come everywhere"

    step "brokers end with their manager"
    kill_manager -TERM
    within 10 brokers 0 || fail "brokers outlive a manager that was told to end: $(broker_pids)"
    [ -z "$(door_pid)" ] || fail "the door outlives a manager that was told to end"
    done_well
}

# Six agents join, and more for as long as all of them prefer the same broker: their ids are random.
spread_agents()
{
    agents=
    count=0
    : >"$WORK/homes"
    while [ "$count" -lt 6 ] || [ "$(sort -u "$WORK/homes" | wc -l)" -lt 2 ]; do
        count=$((count + 1))
        [ "$count" -le 24 ] || fail "all agents are on one broker: $(cat "$WORK/homes")"
        agents="$agents $count"
        join_agent "$count" "shop=$count"
        start_agent "$count"
        dunlin-agent status --dir "$WORK/agent$count" --json | jq -r '.brokers[0]' >>"$WORK/homes"
    done
}

main
