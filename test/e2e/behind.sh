#!/bin/sh
# A manager that falls behind: what a whole fleet said while it couldn't listen, a broker that takes nothing, a disk that
# takes long for everything. It takes no more memory for it, and devices join and operators are answered meanwhile.
. "$(dirname "$0")/lib.sh"
need python3 cc

# What it may grow by while it is behind: kept, what is said to it meanwhile would take twice as much.
GROWN_KIB_MAX=32768
REPORTS=100000
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
forget_freed

main()
{
    step "two agents, on two brokers"
    start_manager --cells 2
    for n in 1 2; do
        join_agent "$n" env=lab
        start_agent "$n"
    done
    release 1 env=lab
    within 40 app_is 1 1 2 || fail "version 1 does not run everywhere"

    step "$REPORTS reports wait while the manager stands still"
    before=$(peak manager)
    stop_process manager
    python3 "$(dirname "$0")/crowd.py" "$FLEET/cells/0/sock" "$REPORTS" || fail "the broker doesn't take them"
    kill -CONT "$(pid manager)"

    step "while it hears them, a device joins and an operator deploys"
    ! heard_all || fail "it has heard all of them already"
    serve 3 2
    within 120 heard_all || fail "it has heard $(heard) of $REPORTS"
    grown "$before"

    step "a broker that stands still holds up nobody on the other one"
    before=$(peak manager)
    stop_pid "$(cat "$FLEET/cells/1/pid")"
    serve 4 3
    for v in 4 5 6 7; do release $v env=lab; done
    grown "$before"
    kill -CONT "$(cat "$FLEET/cells/1/pid")"
    within 60 app_is 7 1 2 3 4 || fail "the last version does not come everywhere"
    dunlin deploy app@6 --dry-run >"$WORK/out" # which broker an agent likes best is its id's to say
    grep -q "all links .*; about .* by each of 2 brokers" "$WORK/out" || fail "$(cat "$WORK/out")"
    kill_manager -TERM

    step "a disk on which a sync takes a fifth of a second"
    cc -shared -fPIC -o "$WORK/slow_disk.so" "$(dirname "$0")/slow_disk.c" || fail "no slow disk"
    export LD_PRELOAD="$WORK/slow_disk.so" SLOW_DISK_MS=200
    start_manager
    unset LD_PRELOAD
    within 60 online 4 || fail "not all agents come back"
    before=$(peak manager)
    answers_meanwhile join_agents "$(seq -s ' ' 5 16)" env=lab
    serve 17 8
    grown "$before"
    done_well
}

pid()
{
    cat "$WORK/$1.pid"
}

grown() # SINCE
{
    echo "grown by $(($(peak manager) - $1)) KiB"
    [ $(($(peak manager) - $1)) -lt $GROWN_KIB_MAX ] || fail "the manager has grown from $1 to $(peak manager) KiB"
}

stop_process()
{
    stop_pid "$(pid "$1")"
}

stop_pid()
{
    kill -STOP "$1"
    within 5 is_stopped "$1" || fail "process $1 does not stop"
}

is_stopped()
{
    grep -q '^State:.*stopped' "/proc/$1/status"
}

heard_all()
{
    [ "$(heard)" -ge $REPORTS ]
}

heard()
{
    dunlin status --json | jq '.counters | .forged + .malformed + .foreign'
}

# serve AGENT VERSION: one more device joins and takes the next version, which takes an operator three commands.
serve()
{
    since=$(now_ms)
    join_agent "$1" env=lab
    start_agent "$1"
    release "$2" env=lab
    within 30 app_is "$2" "$1" || fail "agent $1 does not take version $2"
    echo "served in $(($(now_ms) - since)) ms"
}

# answers_meanwhile WORDS...: while they run, the manager answers within six seconds, again and again.
answers_meanwhile()
{
    "$@" &
    working=$!
    asked=0
    while kill -0 $working 2>/dev/null; do
        since=$(now_ms)
        dunlin status >/dev/null || fail "the manager does not answer"
        [ $(($(now_ms) - since)) -lt 6000 ] || fail "the manager answers after $(($(now_ms) - since)) ms"
        asked=$((asked + 1))
    done
    wait $working || fail "$* has failed"
    [ $asked -gt 1 ] || fail "that was over too soon"
}

main
