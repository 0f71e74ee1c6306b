#!/bin/sh
# A broker turns hostile under a fleet at work: with its own key it loses, holds back, repeats, swaps, alters and ages
# messages in both directions, brings those of others, and says that all is well. Meanwhile no agent goes back, takes
# what is another's or runs anything else than what was released, the manager believes of no agent what that one hasn't
# done, and nobody crashes, grows or is suspected.
# When an honest broker has taken its place, the whole fleet comes to what was asked for last.
# usage: turncoat.sh [--seed S] [--seeds N]
# A seed says what becomes of the n-th message of a connection; N are tried, from S on.
. "$(dirname "$0")/lib.sh"
need jq python3
forget_freed # before anything is started

AGENTS="1 2 3"
APART=3    # it has labels and a deployment of its own
RELEASES=3 # while the broker is hostile
seed=1
seeds=1

main()
{
    take_options "seed seeds" "$@"
    begins
    last=$((seed + seeds - 1))
    while [ "$seed" -le "$last" ]; do
        is_taken_over
        misbehaves
        is_honest_again
        seed=$((seed + 1))
    done
    done_well
}

begins()
{
    step "a fleet on a broker that somebody else runs"
    port=$(free_port 127.0.0.1)
    behind=$(free_port 127.0.0.1)
    start_manager --heartbeat 1s --keepalive 5s --broker "mqtts://127.0.0.1:$port"
    dunlin-manager broker-kit --dir "$FLEET" --host 127.0.0.1 --listen "127.0.0.1:$port" --user "$(id -un)" "$WORK/kit" \
        >/dev/null || fail "there is no kit"
    # What its new master makes of it: the same memory, and no rules.
    sed '/^listener/,$d' "$WORK/kit/mosquitto.conf" >"$WORK/kit/taken.conf"
    printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$behind" >>"$WORK/kit/taken.conf"
    run_broker kit
    within 15 cell_is 0 up || fail "the manager does not reach the broker"
    for n in $AGENTS; do
        # shellcheck disable=SC2046 # none, or one
        join_agent "$n" env=lab $([ "$n" -ne "$APART" ] || echo seat=window)
        start_agent "$n"
    done
    version=1
    release 1 env=lab
    dunlin deploy app@1 --as view --select seat=window >/dev/null || fail "nothing is deployed for agent $APART alone"
    within 40 agent_runs "$APART" view "$WORK/app@1" || fail "agent $APART has no view"
    within 40 all_have || fail "version 1 does not run"
    for name in $(everybody); do cp "$WORK/$name.pid" "$WORK/$name.first"; done
}

everybody()
{
    echo manager
    for n in $AGENTS; do echo "agent$n"; done
}

all_have()
{
    # shellcheck disable=SC2086
    app_is "$version" $AGENTS
}

# Nobody notices: it has the key, and what the broker had.
is_taken_over()
{
    step "seed $seed: the broker is taken over"
    for n in $AGENTS; do links_of "$n" >"$WORK/agent$n.links"; done
    kill_process broker-kit -TERM
    run_broker kit taken.conf
    "$ROOT/test/e2e/turncoat.py" "127.0.0.1:$port" "$WORK/kit" "127.0.0.1:$behind" "$seed" \
        >"$WORK/turncoat.log" 2>&1 &
    echo $! >"$WORK/turncoat.pid"
    within 20 cell_is 0 up || fail "the manager is not there: $(cat "$WORK/turncoat.log")"
    for n in $AGENTS; do
        within 20 is_back "$n" || fail "agent $n is not there: $(cat "$WORK/turncoat.log")"
    done
    measure
}

# links_of N: how many it has had.
links_of()
{
    grep -c link-up "$WORK/agent$1.log" || true
}

is_back()
{
    [ "$(links_of "$1")" -gt "$(cat "$WORK/agent$1.links")" ]
}

measure()
{
    for name in $(everybody); do peak "$name" >"$WORK/$name.peak"; done
    for n in $AGENTS; do folder "$n" >"$WORK/agent$n.folder"; done
    wc -l "$WORK"/*.log | tail -n 1 | tr -dc 0-9 >"$WORK/lines"
}

# folder N: its size in KiB.
folder()
{
    du -sk "$WORK/agent$1" | cut -f 1
}

misbehaves()
{
    step "it does what it likes, while $RELEASES versions are released"
    kill -USR1 "$(cat "$WORK/turncoat.pid")"
    dunlin status --json | jq .counters >"$WORK/counters"
    end=$((version + RELEASES))
    while [ "$version" -lt "$end" ]; do
        version=$((version + 1))
        release "$version" env=lab
        # All get another assignment, and that of the last one is newer than theirs.
        for n in $AGENTS "$APART"; do
            dunlin agent cordon "$n" >/dev/null
            dunlin agent uncordon "$n" >/dev/null
        done
        for _ in 1 2 3 4; do
            sleep 0.3
            for n in $AGENTS; do is_true "$n"; done
        done
    done
    kill_process turncoat -TERM
    kill_process broker-kit -KILL
    has_misbehaved
    for n in $AGENTS; do
        within 5 runs_ours "$n" || fail "agent $n runs what nobody released"
        echo "agent $n applied $(applied "$n")"
    done
    is_well
}

# is_true N: agent N has applied what the manager says that it runs, and neither has gone back; and it holds nothing
# that is older than what it held, nor what is another agent's.
is_true()
{
    holds=$WORK/agent$1.holds
    own='[]'
    [ "$1" -ne "$APART" ] || own='["window","view"]'
    dunlin-agent status --dir "$WORK/agent$1" --json >"$holds" || fail "agent $1 says nothing of itself"
    jq -e --argjson own "$own" \
        '[.labels.seat // empty, (.deployments[].name | select(. == "view"))] == $own' "$holds" >/dev/null ||
        fail "agent $1 has what isn't its own, or lacks what is: $(cat "$holds")"
    numbers='[[.document.epoch, .document.revision], .trust.version, .atlas]'
    [ ! -f "$holds.before" ] || jq -e -s "map($numbers) | transpose | all(.[0] <= .[1])" "$holds.before" "$holds" \
        >/dev/null || fail "agent $1 held $(jq -c "$numbers" "$holds.before"), and now $(jq -c "$numbers" "$holds")"
    mv "$holds" "$holds.before"
    told=$(agent "$1" '.deployments[] | select(.name == "app") | .version')
    history=$WORK/agent$1/deployments/app/data/applied
    sort -n -u -c "$history" 2>/dev/null || fail "agent $1 went back: $(applied "$1")"
    [ -n "$told" ] || return 0 # the manager doesn't know
    grep -qx "$told" "$history" || fail "agent $1 runs $told by the manager's word, and has applied $(applied "$1")"
    [ "$told" -ge "$(cat "$WORK/told$1" 2>/dev/null || echo 0)" ] ||
        fail "the manager took agent $1 to run $(cat "$WORK/told$1"), and now $told"
    echo "$told" >"$WORK/told$1"
}

# runs_ours N: one of the versions that there are, file by file.
runs_ours()
{
    agent_runs "$1" app "$WORK/app@$(cat "$WORK/agent$1/deployments/app/current/etc/version")"
}

# It has done everything both to the manager's messages and to the agents', and the manager has noticed.
has_misbehaved()
{
    ! grep -q Traceback "$WORK/turncoat.log" || fail "it fell over: $(cat "$WORK/turncoat.log")"
    paste -sd , "$WORK/turncoat.log"
    for whim in passed lost held repeated swapped old crossed altered; do
        grep -qE "$whim [1-9]" "$WORK/turncoat.log" || fail "nothing was $whim"
    done
    for counter in replayed forged malformed; do
        echo "the manager counted $(($(dunlin status --json | jq ".counters.$counter") - $(jq ".$counter" "$WORK/counters"))) as $counter"
    done
    # Each status counts once, whatever becomes of it.
    believed=$(($(dunlin status --json | jq .counters.statuses) - $(jq .statuses "$WORK/counters")))
    told=$(sed -n 's/^told //p' "$WORK/turncoat.log")
    echo "the manager believed $believed of $told different ones"
    [ "$believed" -le "$told" ] || fail "the manager believed $believed statuses, and was told $told"
    [ "$(dunlin status --json | jq .counters.replayed)" -gt "$(jq .replayed "$WORK/counters")" ] ||
        fail "no old report was counted"
}

# The same processes as at the beginning, as large as before, and in nobody's disgrace.
is_well()
{
    for name in $(everybody); do
        kill -0 "$(cat "$WORK/$name.first")" 2>/dev/null || fail "$name is gone"
        room=8192
        [ "$name" != manager ] || room=32768
        [ "$(peak "$name")" -lt $(($(cat "$WORK/$name.peak") + room)) ] ||
            fail "$name grew from $(cat "$WORK/$name.peak") to $(peak "$name") KiB"
    done
    for n in $AGENTS; do
        [ "$(folder "$n")" -lt $(($(cat "$WORK/agent$n.folder") + 4096)) ] ||
            fail "the folder of agent $n grew from $(cat "$WORK/agent$n.folder") to $(folder "$n") KiB"
    done
    [ "$(dunlin status --json | jq .agents.quarantined)" -eq 0 ] || fail "an honest agent is suspected: $(dunlin audit)"
    # That old reports come again is told, and true.
    ! dunlin audit --action alarm | grep alarm- | grep -v alarm-old-numbers || fail "there is an alarm: $(dunlin audit)"
    lines=$(wc -l "$WORK"/*.log | tail -n 1 | tr -dc 0-9)
    [ "$lines" -lt $(($(cat "$WORK/lines") + 2000)) ] || fail "the logs grew by $((lines - $(cat "$WORK/lines"))) lines"
    check_logs
}

# What the hostile one retains is worth nothing, so the honest one begins with nothing.
is_honest_again()
{
    step "an honest one takes its place: all come to version $version, and to the next one"
    rm -f "$WORK/kit/mosquitto.db"
    since_ms=$(now_ms)
    run_broker kit
    within 30 all_have || fail "version $version does not run everywhere: $(dunlin agent list)"
    echo "the fleet had version $version after $(($(now_ms) - since_ms)) ms"
    version=$((version + 1))
    release "$version" env=lab
    within 30 all_have || fail "version $version does not run everywhere: $(dunlin agent list)"
    for n in $AGENTS; do is_true "$n"; done
    is_well
}

main "$@"
