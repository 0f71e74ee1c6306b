#!/bin/sh
# One manager with 52 cells: agents are spread over them, and a cell that dies while the manager is away moves its own
# agents alone: the others keep the very connections that they have.
. "$(dirname "$0")/lib.sh"
need ss

cells=52
agents="1 2 3 4 5 6 7 8 9 10"

main()
{
    step "a manager starts $cells brokers, and agents are spread over them"
    run_manager --cells $cells
    within 120 dunlin status || fail "the manager does not answer"
    within 30 brokers $cells || fail "there should be $cells brokers: $(broker_pids | wc -l)"
    within 30 all_up || fail "not all cells are up: $(dunlin status --json | jq -c '[.cells[].state]')"
    join_agents "$agents"
    for n in $agents; do start_agent "$n"; done
    within 30 online 10 || fail "not all agents are online: $(dunlin agent list)"
    # Less than once in 500,000 runs ten random ids have so few of 52 brokers.
    [ "$(ports | sort -u | wc -l)" -ge 5 ] || fail "ten agents share few brokers: $(ports)"

    step "a document reaches all of them"
    release 1 '!nothing'
    # shellcheck disable=SC2086
    within 40 app_is 1 $agents || fail "version 1 does not come everywhere"

    step "a cell dies while the manager is away: its agents go on elsewhere"
    port=$(port_of 1)
    for n in $agents; do links_of "$n" >"$WORK/links$n"; done
    kill_manager -9
    kill -9 "$(listener "$port")"
    for n in $agents; do
        ! grep -q ":$port\$" "$WORK/links$n" || within 20 elsewhere "$n" || fail "agent $n is nowhere, or on a dead cell"
    done

    step "and nobody else has moved"
    for n in $agents; do
        grep -q ":$port\$" "$WORK/links$n" || links_of "$n" | cmp -s - "$WORK/links$n" ||
            fail "agent $n had $(cat "$WORK/links$n") and has $(links_of "$n")"
    done

    step "the manager comes back to all cells, starts the one that is missing, and knows where all are"
    start_manager --cells $cells
    within 30 brokers $cells || fail "there should be $cells brokers: $(broker_pids | wc -l)"
    within 30 online 10 || fail "not all agents are online: $(dunlin agent list)"
    release 2 '!nothing'
    # shellcheck disable=SC2086
    within 40 app_is 2 $agents || fail "version 2 does not come everywhere"
    done_well
}

all_up()
{
    [ "$(dunlin status --json | jq '[.cells[] | select(.state == "up")] | length')" -eq $cells ]
}

# links_of N: the agent's connection, as FROM TO.
links_of()
{
    ss -Htnp state established | grep "pid=$(cat "$WORK/agent$1.pid")," | awk '{ print $3, $4 }' | sort
}

port_of() # N
{
    links_of "$1" | sed 's/.*://'
}

ports()
{
    for n in $agents; do port_of "$n"; done
}

listener() # PORT
{
    ss -Htlnp "sport = :$1" | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1
}

# It has a connection again, and not where the dead one was.
elsewhere()
{
    links_of "$1" >"$WORK/links"
    [ -s "$WORK/links" ] && ! grep -q ":$port\$" "$WORK/links"
}

main
