#!/bin/sh
# A bundle of 2 GiB with a hundred thousand small files goes through push, manager, broker and one
# agent, and nobody's memory grows with it but the broker's, which retains the content. The last
# line is one JSON document. It needs 10 GB of disk, and the programs of the release preset.
# usage: large.sh
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"

main()
{
    step "100,000 small files, and 64 of 32 MiB"
    make_tree
    start_manager
    join_agent 1
    start_agent 1

    step "push"
    since=$(date +%s)
    dunlin bundle push "$WORK/tree" --name large --version 1 --json >"$WORK/push.json" 2>/dev/null &
    watch_peak $!
    wait $! || fail "the push is not taken"
    push_s=$(($(date +%s) - since))

    step "one agent takes it"
    since=$(date +%s)
    dunlin deploy large@1 --all >/dev/null
    dunlin wait large --timeout 30m >/dev/null 2>&1 || fail "it does not arrive: $(dunlin status)"
    take_s=$(($(date +%s) - since))
    agent_runs 1 large "$WORK/tree" || fail "what arrived is not what was pushed"

    jq -c "{files, bytes, chunks, push_s: $push_s, take_s: $take_s, peak_kib: {push: $peak,
        manager: $(peak_of "$(cat "$WORK/manager.pid")"), agent: $(peak_of "$(cat "$WORK/agent1.pid")"),
        broker: $(peak_of "$(broker_pids)")}}" "$WORK/push.json"
    done_well
}

make_tree()
{
    for folder in $(seq 100); do
        mkdir -p "$WORK/tree/$folder"
        seq "$folder" 1000000 | head -n 100000 | split -l 100 -a 3 - "$WORK/tree/$folder/file-"
    done
    for file in $(seq 64); do
        head -c 33554432 /dev/urandom >"$WORK/tree/random-$file"
    done
}

# In KiB, the most that was resident at one time.
peak_of()
{
    awk '$1 == "VmHWM:" { print $2 }' "/proc/$1/status" 2>/dev/null
}

# watch_peak PID: sets $peak when the process has ended.
watch_peak()
{
    peak=0
    while now=$(peak_of "$1") && [ -n "$now" ]; do
        peak=$now
        sleep 0.2
    done
}

main
