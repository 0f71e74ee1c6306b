#!/bin/sh
# A fleet's whole life at 1,000, 10,000 and 100,000 agents: what each phase takes, beside its floor of the same run, and
# what an agent costs, which should stay the same. The last line is one JSON document. It takes half an hour and, for the
# largest, 2 GiB; with 1000000, which has to be asked for, an hour more, 16 GiB, and a machine that does nothing else.
# usage: million.sh [AGENTS ...]
. "$(dirname "$0")/lib.sh"

main()
{
    [ $# -gt 0 ] || set -- 1000 10000 100000
    for agents; do
        step "$agents agents"
        TMPDIR=$WORK dunlin-sim load --agents "$agents" --json >"$WORK/$agents.json" 2>"$WORK/load.log" ||
            fail "$(tail -n 3 "$WORK/load.log")"
    done
    for agents; do cat "$WORK/$agents.json"; done | jq -sc '{runs: map(. + {
        an_agent: {manager_cpu_ms: (.totals.manager.cpu_s * 1000 / .agents),
            brokers_cpu_ms: (.totals.brokers.cpu_s * 1000 / .agents),
            manager_bytes: (.totals.manager.peak_kib * 1024 / .agents | round),
            database_bytes: (.database_bytes / .agents | round)}})}'
    done_well >/dev/null
}

main "$@"
