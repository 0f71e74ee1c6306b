#!/bin/sh
# A third cell is added amid a rollout, and taken away again: agents hear of it while they run, those that belong to it
# go there spread over a while, and nobody else's link is touched. One that was away finds its way.
. "$(dirname "$0")/lib.sh"

AGENTS="1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"
RUNNING="1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19"
AWAY=20

main()
{
    step "twenty agents on two brokers; one of them goes away"
    start_manager --cells 2 --confirm-over 100 --cell-memory 256
    for n in $AGENTS; do
        join_agent "$n" "shop=$n"
        start_agent "$n"
    done
    within 60 online 20 || fail "not all agents are online: $(dunlin agent list)"
    # shellcheck disable=SC2086
    list_is 1 $AGENTS || fail "agents joined by another list than the first"
    release 1 shop
    # shellcheck disable=SC2086
    within 90 app_is 1 $AGENTS || fail "version 1 does not come everywhere"
    kill_agent "$AWAY" -TERM

    step "a third broker is added while version 2 goes out"
    for n in $RUNNING; do links "$n" >"$WORK/links$n"; done
    release 2 shop
    kill_manager -9
    start_manager --cells 3 --confirm-over 100 --cell-memory 256
    # shellcheck disable=SC2086
    within 60 list_is 2 $RUNNING || fail "not all agents hear of the third broker"
    dunlin status | grep -q "by list 2: they are on their way" || fail "the status does not tell: $(dunlin status)"
    third=$(dunlin status --json | jq -r '.cells[2].url')
    within 60 all_at_home || fail "not all agents are where the list says"
    moved=0
    for n in $RUNNING; do
        if [ "$(home "$n")" = "$third" ]; then
            moved=$((moved + 1))
        else
            links "$n" | cmp -s - "$WORK/links$n" || fail "agent $n had no reason to connect again: $(links "$n")"
        fi
    done
    echo "$moved of 19 agents went to the third broker"
    if [ "$moved" -lt 1 ] || [ "$moved" -gt 14 ]; then fail "that is no third of them"; fi
    # shellcheck disable=SC2086
    within 90 app_is 2 $RUNNING || fail "version 2 does not come everywhere"
    within 30 heard_at_third "$moved" || fail "the manager heard another number there: $(dunlin status --json | jq .cells)"

    step "one that was away for all of it comes back, and goes where it belongs"
    start_agent "$AWAY"
    within 30 list_is 2 "$AWAY" || fail "agent $AWAY does not hear of the third broker"
    within 60 app_is 2 "$AWAY" || fail "version 2 does not come to agent $AWAY"
    within 30 all_at_home || fail "agent $AWAY is not where the list says"

    step "the third is taken away: its agents go back, and nobody else connects again"
    for n in $AGENTS; do links "$n" >"$WORK/links$n" && home "$n" >"$WORK/home$n"; done
    kill_manager -9
    start_manager --cells 2 --confirm-over 100 --cell-memory 256
    brokers 2 || fail "there should be two brokers: $(broker_pids)"
    # shellcheck disable=SC2086
    within 90 list_is 3 $AGENTS || fail "not all agents hear that it is gone"
    release 3 shop
    # shellcheck disable=SC2086
    within 90 app_is 3 $AGENTS || fail "version 3 does not come everywhere"
    within 30 all_at_home || fail "not all agents are where the list says"
    for n in $AGENTS; do
        [ "$(cat "$WORK/home$n")" = "$third" ] || links "$n" | cmp -s - "$WORK/links$n" ||
            fail "agent $n had no reason to connect again: $(links "$n")"
    done

    step "the list outlives both ends"
    kill_agent 1 -9
    kill_manager -TERM
    start_manager --confirm-over 100 --cell-memory 256
    start_agent 1
    within 60 online 20 || fail "not all agents come back: $(dunlin agent list)"
    # shellcheck disable=SC2086
    list_is 3 $AGENTS || fail "the list is another one than before"
    dunlin agent label 1 "shop=first" >/dev/null || fail "agent 1 can't be relabelled"
    release 4 shop=first
    within 60 app_is 4 1 || fail "agent 1 does not hear what is its own"
    done_well
}

# list_is NUMBER AGENT...: all of them have that list of brokers.
list_is()
{
    number=$1
    shift
    for n; do
        [ "$(dunlin-agent status --dir "$WORK/agent$n" --json | jq .atlas)" -eq "$number" ] || return 1
    done
}

# home N: the broker that agent N prefers.
home()
{
    dunlin-agent status --dir "$WORK/agent$1" --json | jq -r '.brokers[0]'
}

# links N: the brokers that it connected to, in turn.
links()
{
    sed -n 's/.*link-up broker=\([^ ]*\).*/\1/p' "$WORK/agent$1.log"
}

all_at_home()
{
    for n in $AGENTS; do
        [ -f "$WORK/agent$n.pid" ] || continue
        [ "$(links "$n" | tail -n 1)" = "$(home "$n")" ] || return 1
    done
}

heard_at_third()
{
    [ "$(dunlin status --json | jq '.cells[2].agents')" -eq "$1" ]
}

main
