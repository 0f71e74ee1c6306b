#!/bin/sh
# Two cells: agents are spread over both, and a broker that dies is back soon, with nothing lost.
. "$(dirname "$0")/lib.sh"

main()
{
    step "agents are spread over two brokers"
    start_manager --cells 2
    brokers 2 || fail "there should be two brokers: $(broker_pids)"
    for n in 1 2 3 4 5 6; do
        join_agent "$n" "shop=$n"
        start_agent "$n"
    done
    within 30 online 6 || fail "not all agents are online: $(dunlin agent list)"
    [ "$(homes | sort -u | wc -l)" -eq 2 ] || fail "all agents are on one broker: $(homes)"
    release 1 shop
    within 40 app_is 1 1 2 3 4 5 6 || fail "version 1 does not come everywhere"

    step "a second manager in the same folder is refused, and disturbs nothing"
    refused 'fleet' dunlin-manager run --dir "$FLEET"
    brokers 2 || fail "there should still be two brokers: $(broker_pids)"

    step "a broker that is killed is started again"
    # shellcheck disable=SC2046
    kill -9 $(broker_pids | head -n 1)
    release 2 shop
    within 30 brokers 2 || fail "the broker is not started again"
    within 40 app_is 2 1 2 3 4 5 6 || fail "version 2 does not come everywhere"

    step "a manager that dies together with a broker finds the other, and starts the missing one"
    # shellcheck disable=SC2046
    kill -9 $(broker_pids | tail -n 1)
    kill_manager -9
    start_manager
    within 30 brokers 2 || fail "there should be two brokers: $(broker_pids)"
    within 40 online 6 || fail "not all agents come back: $(dunlin agent list)"
    release 3 shop
    within 40 app_is 3 1 2 3 4 5 6 || fail "version 3 does not come everywhere"

    step "brokers end with their manager"
    kill_manager -TERM
    within 10 brokers 0 || fail "brokers outlive a manager that was told to end: $(broker_pids)"
    [ -z "$(door_pid)" ] || fail "the door outlives a manager that was told to end"
    done_well
}

# The broker that each agent prefers.
homes()
{
    for n in 1 2 3 4 5 6; do
        dunlin-agent status --dir "$WORK/agent$n" --json | jq -r '.brokers[0]'
    done
}

main
