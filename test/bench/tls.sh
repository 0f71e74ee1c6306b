#!/bin/sh
# What TLS costs a fleet's brokers: the life of 10,000 simulated agents with certificates of their own, and no session
# resumed, beside bare clients over the same TLS. The last line is one JSON document. It takes some minutes, and a
# gigabyte of memory.
# usage: tls.sh [AGENTS]
. "$(dirname "$0")/lib.sh"

main()
{
    agents=${1:-10000}
    step "$agents agents live a whole life over mutual TLS"
    TMPDIR=$WORK dunlin-sim load --agents "$agents" --tls --json >"$WORK/tls.json" 2>"$WORK/load.log" ||
        fail "$(tail -n 3 "$WORK/load.log")"
    step "the same without TLS"
    TMPDIR=$WORK dunlin-sim load --agents "$agents" --json >"$WORK/plain.json" 2>"$WORK/load.log" ||
        fail "$(tail -n 3 "$WORK/load.log")"
    for phase in join connect document status reconnect; do tell "$phase"; done
    row "brokers' processor time for a connection" "$(each .brokers "$WORK/tls.json")" ms "$(each .brokers "$WORK/plain.json")"
    row "brokers' memory for a connection, at most" "$(memory_each "$WORK/tls.json")" bytes "$(memory_each "$WORK/plain.json")"
    publish "{agents: $agents, links: $(jq .links "$WORK/tls.json"), brokers: $(jq .brokers "$WORK/tls.json")}"
}

# tell PHASE: seconds, and processor time, with the floors of the same run.
tell()
{
    row "$1, $agents agents" "$(of "$1" .seconds)" s "$(of "$1" .floor_seconds)"
    row "$1: processors of manager and brokers" "$(of "$1" '.cpu_s | .manager + .brokers')" s \
        "$(of "$1" '.floor_cpu_s | .manager + .brokers')"
}

of() # PHASE JQ
{
    jq --arg phase "$1" "first(.phases[] | select(.phase == \$phase)) | $2" "$WORK/tls.json"
}

# In the phase in which all connect for the first time; the floor is the one of plain links.
each() # JQ FILE
{
    jq "first(.phases[] | select(.phase == \"connect\")).cpu_s$1 * 1000 / .agents" "$2"
}

memory_each() # FILE
{
    jq '.totals.brokers.peak_kib * 1024 / .agents' "$1"
}

main "$@"
