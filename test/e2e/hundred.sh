#!/bin/sh
# A hundred agents on one machine take a bundle of 20 MB; then one file of it changes, and hardly
# anything travels. The last line is one JSON document with what was measured.
# usage: hundred.sh [--agents N]
# shellcheck disable=SC2119
. "$(dirname "$0")/../bench/lib.sh"

agents=100

main()
{
    [ "${1:-}" != --agents ] || agents=$2
    make_bundle
    start_manager
    step "$agents agents join, $(du -sm "$WORK/big" | cut -f 1) MB in $(find "$WORK/big" -type f | wc -l) files"
    began_ms=$(now_ms)
    join_everyone
    join_ms=$(($(now_ms) - began_ms))

    step "version 1 goes to everyone"
    sent_1=$(push 1 .sent_bytes)
    take 1
    ms_1=$took_ms bytes_1=$came

    step "version 2 has one file changed"
    head -c 30000 /dev/urandom >"$WORK/big/data/150"
    sent_2=$(push 2 .sent_bytes)
    take 2
    ms_2=$took_ms bytes_2=$came
    [ $((sent_2 * 20)) -lt "$sent_1" ] || fail "the second push sent $sent_2 of $sent_1 bytes"
    [ $((bytes_2 * 20)) -lt "$bytes_1" ] || fail "an agent got $bytes_2, after $bytes_1 bytes"

    step "version 3 is the same"
    [ "$(push 3 .new_chunks)" -le 2 ] || fail "the third push sent content: $(cat "$WORK/push.json")"

    report
    done_well
}

# 300 files: a third is random, two thirds are text.
make_bundle()
{
    mkdir -p "$WORK/big/data"
    for file in $(seq 300); do
        if [ $((file % 3)) -eq 0 ]; then
            head -c 70000 /dev/urandom
        else
            seq "$file" 7 100000 | head -c 70000
        fi >"$WORK/big/data/$file"
    done
}

join_everyone()
{
    join_agents "$(seq "$agents")" fleet=hundred
    for n in $(seq "$agents"); do start_agent "$n"; done
    within 60 online "$agents" || fail "not all agents are online: $(dunlin status)"
}

# push VERSION JQ: says what the push's answer has there.
push()
{
    dunlin bundle push "$WORK/big" --name big --version "$1" --json >"$WORK/push.json" ||
        fail "version $1 is not taken"
    jq "$2" "$WORK/push.json"
}

# take VERSION: deploys it and waits; sets $took_ms, and $came: the bytes of new chunks that agent 1
# has got.
take()
{
    touch "$WORK/mark"
    began_ms=$(now_ms)
    dunlin deploy "big@$1" --as big --all --confirm >/dev/null || fail "version $1 is not deployed"
    dunlin wait big --timeout 900s >/dev/null 2>&1 || fail "not everyone takes it: $(dunlin status)"
    took_ms=$(($(now_ms) - began_ms))
    came=$(bytes "$WORK/agent1/chunks" -newer "$WORK/mark")
    each=0
    while [ $each -lt "$agents" ]; do
        each=$((each + 1))
        agent_runs $each big "$WORK/big" || fail "agent $each does not have version $1"
    done
}

# bytes FOLDER TEST...: in all files of it for which find's TEST holds.
bytes()
{
    find "$@" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }'
}

report()
{
    jq -cn "{agents: $agents, join_s: ($join_ms / 1000),
        bundle_bytes: $(bytes "$WORK/big"),
        first: {converge_s: ($ms_1 / 1000), sent_bytes: $sent_1, agent_bytes: $bytes_1},
        second: {converge_s: ($ms_2 / 1000), sent_bytes: $sent_2, agent_bytes: $bytes_2},
        agent_kib: {rss: $(memory agent1 Rss), pss: $(memory agent1 Pss),
            private: $(memory agent1 Private_Dirty)},
        manager_kib: {rss: $(memory manager Rss), pss: $(memory manager Pss)}}"
}

main "$@"
