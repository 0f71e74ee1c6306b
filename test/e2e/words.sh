#!/bin/sh
# A hook fails, and its last words come to whoever asks why: cleaned, once, also when neither brokers nor the agent
# outlive the failure.
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need jq

main()
{
    start_manager
    join_agent 1 site=a
    start_agent 1
    release 1 site=a
    within 30 app_is 1 1 || fail "version 1 does not run"
    words_come
    words_outlive_a_cut
    words_go
    done_well
}

# failing V LINES: version V, whose health hook runs these and fails.
failing()
{
    make_app "$1"
    make_hook "$WORK/app@$1" health "$2
exit 3"
    dunlin bundle push "$WORK/app@$1" --name app --version "$1" --health-deadline 1s >/dev/null ||
        fail "app@$1 is not taken"
    dunlin deploy "app@$1" --as app --select site=a >/dev/null || fail "app@$1 is not deployed"
}

why_says()
{
    dunlin why 1 app >"$WORK/why.out" && grep -qE "$1" "$WORK/why.out"
}

owed()
{
    find "$WORK/agent1/notes" -type f 2>/dev/null | wc -l
}

nothing_owed()
{
    [ "$(owed)" -eq 0 ]
}

# shellcheck disable=SC2016
words_come()
{
    step "what the hook said last, and how it ended, without anything that steers a terminal"
    failing 2 'seq 1 2000; printf "\\033[31mno port\\033[0m\\tgr\\303\\274n \\377 \\033]0;title\\a\\n"'
    within 30 why_says "no port grün \? \?\]0;title\?" || fail "why says: $(cat "$WORK/why.out")"
    why_says "hooks/health ended with code 3" || fail "why says: $(cat "$WORK/why.out")"
    why_says "^    2000$" || fail "why says: $(cat "$WORK/why.out")"
    ! why_says "^    1$" || fail "why says all of it: $(cat "$WORK/why.out")"
    ! LC_ALL=C grep -q "[[:cntrl:]]" "$WORK/why.out" || fail "why says: $(cat -v "$WORK/why.out")"
    dunlin agent show 1 | grep -q "no port" || fail "agent show says: $(dunlin agent show 1)"
    dunlin agent show 1 --json | jq -e '.deployments[0].output.text | length <= 1024 and contains("no port")' >/dev/null ||
        fail "agent show: $(dunlin agent show 1 --json)"
    dunlin why 1 app --json | jq -e '.output.text | contains("no port")' >/dev/null || fail "why has no output"
    within 20 nothing_owed || fail "it still owes $(owed) notes"
}

# shellcheck disable=SC2016
words_outlive_a_cut()
{
    step "it fails while no broker is there, and the agent is killed before one comes back"
    failing 3 "touch \"$WORK/begun\"; until [ -e \"$WORK/go\" ]; do sleep 0.1; done; echo nobody hears this"
    within 30 [ -e "$WORK/begun" ] || fail "version 3 does not begin"
    kill_manager -9
    kill_brokers
    touch "$WORK/go"
    within 30 [ -e "$WORK/agent1/notes/1" ] || fail "nothing is kept of what it said"
    within 30 grep -q "phase=RolledBack generation=3" "$WORK/agent1.log" || fail "version 3 is not given up"
    kill_agent 1 -9
    start_manager
    start_agent 1
    within 40 why_says "nobody hears this" || fail "why says: $(cat "$WORK/why.out")"
    kill_manager -9
    start_manager
    why_says "nobody hears this" || fail "the manager has forgotten: $(cat "$WORK/why.out")"
    within 20 nothing_owed || fail "it still owes $(owed) notes"
}

words_go()
{
    step "a version that works has no failed hook's words"
    release 4 site=a
    within 30 app_is 4 1 || fail "version 4 does not run: $(dunlin why 1 app)"
    ! why_says "nobody hears" || fail "why says: $(cat "$WORK/why.out")"
}

main
