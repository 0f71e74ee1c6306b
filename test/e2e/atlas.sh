#!/bin/sh
# Two cells become four amid a rollout, and two again: agents hear of it while they run, those that belong to the new ones
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

    step "two brokers are added while version 2 goes out"
    for n in $RUNNING; do links "$n" >"$WORK/links$n"; done
    release 2 shop
    kill_manager -9
    start_manager --cells 4 --confirm-over 100 --cell-memory 256
    # shellcheck disable=SC2086
    within 60 list_is 2 $RUNNING || fail "not all agents hear of the new brokers"
    dunlin status | grep -q "by list 2: they are on their way" || fail "the status does not tell: $(dunlin status)"
    dunlin status --json | jq -r '.cells[2, 3].url' >"$WORK/new"
    within 60 all_at_home || fail "not all agents are where the list says"
    moved=0
    for n in $RUNNING; do
        if home "$n" | is_new; then
            moved=$((moved + 1))
        else
            links "$n" | cmp -s - "$WORK/links$n" || fail "agent $n had no reason to connect again: $(links "$n")"
        fi
    done
    echo "$moved of 19 agents went to new brokers"
    # Each does with a chance of a half: all or none of them do in one of 250,000 runs.
    if [ "$moved" -lt 1 ] || [ "$moved" -gt 18 ]; then fail "that is no half of them"; fi
    # shellcheck disable=SC2086
    within 90 app_is 2 $RUNNING || fail "version 2 does not come everywhere"
    within 30 heard_at_new "$moved" || fail "the manager heard another number there: $(dunlin status --json | jq .cells)"

    step "one that was away for all of it comes back, and goes where it belongs"
    start_agent "$AWAY"
    within 30 list_is 2 "$AWAY" || fail "agent $AWAY does not hear of the new brokers"
    within 60 app_is 2 "$AWAY" || fail "version 2 does not come to agent $AWAY"
    within 30 all_at_home || fail "agent $AWAY is not where the list says"

    step "they are taken away: their agents go back, and nobody else connects again"
    for n in $AGENTS; do links "$n" >"$WORK/links$n" && home "$n" >"$WORK/home$n"; done
    kill_manager -9
    start_manager --cells 2 --confirm-over 100 --cell-memory 256
    brokers 2 || fail "there should be two brokers: $(broker_pids)"
    # shellcheck disable=SC2086
    within 90 list_is 3 $AGENTS || fail "not all agents hear that they are gone"
    release 3 shop
    # shellcheck disable=SC2086
    within 90 app_is 3 $AGENTS || fail "version 3 does not come everywhere"
    within 30 all_at_home || fail "not all agents are where the list says"
    for n in $AGENTS; do
        is_new <"$WORK/home$n" || links "$n" | cmp -s - "$WORK/links$n" ||
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

# is_new: whether the broker on standard input is one of the new ones.
is_new()
{
    grep -qxF -f "$WORK/new"
}

heard_at_new()
{
    [ "$(dunlin status --json | jq '[.cells[2, 3].agents] | add')" -eq "$1" ]
}

main
