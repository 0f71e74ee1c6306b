#!/bin/sh
# A million agents for one virtual day with a rollout in three stages, in the simulator: both cores, links, brokers and
# disks in one process that uses one processor. The last line is one JSON document. It takes five minutes.
# usage: virtual_day.sh [--agents N] [--seed S]
#   --agents N   so many (1000000)
#   --seed S     of what is drawn (1)
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need jq

agents=1000000 seed=1

main()
{
    take_options "agents seed" "$@"
    step "$agents agents for one virtual day"
    # A gigabyte that is touched here and there lies on big pages, where the kernel has such.
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 "$DUNLIN_BIN/dunlin-sim" fleet --agents "$agents" --seed "$seed" --json 2>"$WORK/command" >"$WORK/day" ||
        fail "$(cat "$WORK/command")"
    [ "$(day .ready)" -eq "$agents" ] || fail "$(day .ready) of $agents run the new version"
    row "a virtual day of $agents agents, processor time" "$(day .processor_s)" s
    row "the same, memory at most" "$(day .memory_mib)" MiB
    row "what happens, in a second of a processor" "$(day '.happenings_million * 1e6 / .processor_s')" 1/s
    row "steps of agents' cores, in a second of a processor" "$(day '.agent_steps_million * 1e6 / .processor_s')" 1/s
    publish "$(day '{agents: '"$agents"', command, digest, run: .}')"
}

day() # JQ
{
    jq "(.runs[0] | $1)" "$WORK/day"
}

main "$@"
