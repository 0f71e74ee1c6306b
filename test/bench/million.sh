#!/bin/sh
# A fleet's whole life at 10,000, 100,000 and a million agents: what each phase takes, beside its floor of the same run,
# and what an agent costs, which should stay the same. The last line is one JSON document with the report of each run. It
# takes two hours on two processors, nearly all of it for the million, and for that 17 GiB, and a machine that does
# nothing else; other sizes may be given, and the first two alone take a quarter of an hour and 2 GiB. In the smallest
# fleet all agents besides fetch a bundle's content for real. A million connections are more than Linux gives memory to
# by itself: as root this raises net.ipv4.tcp_mem for as long as it runs, else it says what to set.
# usage: million.sh [AGENTS ...]
. "$(dirname "$0")/lib.sh"

main()
{
    [ $# -gt 0 ] || set -- 10000 100000 1000000
    make_room "$@"
    step "$1 agents fetch everything"
    load "$1" --fetch 1000 --deployments 1 >"$WORK/everything.json"
    for agents; do
        step "$agents agents"
        load "$agents" >"$WORK/$agents.json"
    done
    for agents; do cat "$WORK/$agents.json"; done | jq -sc --slurpfile everything "$WORK/everything.json" '{runs: map(. + {
        an_agent: {manager_cpu_ms: (.totals.manager.cpu_s * 1000 / .agents),
            brokers_cpu_ms: (.totals.brokers.cpu_s * 1000 / .agents),
            manager_bytes: (.totals.manager.peak_kib * 1024 / .agents | round),
            database_bytes: (.database_bytes / .agents | round)}})}
        | .runs[0].everything = ($everything[0] | .agents as $agents | .phases[]
            | select(.phase == "deployment") | {agents: $agents, seconds, floor_seconds, bytes, cpu_s})'
    done_well >/dev/null
}

# Two pages a connection, as dunlin-sim asks for.
make_room() # AGENTS...
{
    most=$(printf '%s\n' "$@" | sort -n | tail -n 1)
    needed=$((most * 2 + 20000))
    before=$(cat /proc/sys/net/ipv4/tcp_mem)
    wanted="$needed $needed $((needed * 3 / 2))"
    [ "$(echo "$before" | cut -f 2)" -lt "$needed" ] || return 0
    [ -w /proc/sys/net/ipv4/tcp_mem ] || fail "$most agents take: sysctl -w net.ipv4.tcp_mem=\"$wanted\""
    trap 'ended=$?; echo "$before" >/proc/sys/net/ipv4/tcp_mem; leave' EXIT
    echo "$wanted" >/proc/sys/net/ipv4/tcp_mem
}

load() # AGENTS OPTION...
{
    TMPDIR=$WORK dunlin-sim load --json --agents "$@" 2>"$WORK/load.log" || fail "$(tail -n 3 "$WORK/load.log")"
}

main "$@"
