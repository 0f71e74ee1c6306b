#!/bin/bash
# KubeFleet's scenario with a thousand agents as processes on this machine: three stages, half of each at
# a time, approval before prod; then the same with a tenth of the agents dead from the start and a tenth
# whose health check fails, and what becomes of the dead when they come back. It prints a trace of both,
# and one JSON document. It takes ten minutes or so, with the programs of the release preset.
# usage: kubefleet_rollout.sh [--agents N]
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"

PLAN=$ROOT/examples/rollouts/three-stages.yaml
STAGES=(staging canary prod)
# Between two looks at the rollout; between two lines of the trace while a stage goes on.
LOOK_S=0.25
LINE_MS=3000

agents=1000
take_options "agents" "$@"

main()
{
    step "$agents agents join, two at a time"
    ulimit -n "$(ulimit -Hn)"
    start_manager
    since_ms=$(now_ms)
    join_everyone
    join_ms=$(($(now_ms) - since_ms))
    for ((n = 1; n <= agents; n++)); do start_agent $n; done
    within 900 online "$agents" || fail "not all agents are online: $(dunlin status)"
    online_ms=$(($(now_ms) - since_ms))

    step "version 1 goes to everybody at once"
    make_version 1
    since_ms=$(now_ms)
    dunlin deploy app@1 --as app --select env --confirm >/dev/null || fail "version 1 is not deployed"
    dunlin wait app --timeout 30m >/dev/null 2>&1 || fail "version 1 does not arrive: $(dunlin status)"
    first_ms=$(($(now_ms) - since_ms))

    step "version 2 in three stages, by ${PLAN#"$ROOT"/}"
    roll_out well 2 cat
    [ "$(counts "")" = "$agents ready, 0 failed, 0 away" ] || fail "at the end: $(counts "")"

    dead=$(tenth 3) sick=$(tenth 7)
    step "version 3, with $(echo "$dead" | wc -l) agents dead and $(echo "$sick" | wc -l) whose health check will fail; max_failed: 20%"
    for n in $dead; do kill_agent "$n" -KILL; done
    for n in $sick; do touch "$WORK/agent$n/sick"; done
    within 60 online $((agents - $(echo "$dead" | wc -l))) || fail "the dead are not missed: $(dunlin status)"
    roll_out ill 3 sed 's/max_failed: 0/max_failed: 20%\n  reachable_within: 5s/'
    left=$((agents - $(echo "$dead" | wc -l) - $(echo "$sick" | wc -l)))
    [ "$(counts "")" = "$left ready, $(echo "$sick" | wc -l) failed, $(echo "$dead" | wc -l) away" ] ||
        fail "at the end: $(counts "")"

    step "the dead come back, and catch up by themselves"
    since_ms=$(now_ms)
    for n in $dead; do start_agent "$n"; done
    within 600 nobody_is_away || fail "they do not catch up: $(counts "")"
    back_ms=$(($(now_ms) - since_ms))
    echo "$(counts "") after $((back_ms / 1000)) s"

    report
    done_well
}

# ---- the fleet ----

# N's stage: a twentieth is staging, three twentieths are canaries.
stage_of()
{
    case $(($1 % 20)) in
    0) echo staging ;;
    1 | 2 | 3) echo canary ;;
    *) echo prod ;;
    esac
}

join_everyone()
{
    local stage
    for ((n = 1; n <= agents; n++)); do
        echo $n >>"$WORK/in-$(stage_of $n)"
    done
    for stage in "${STAGES[@]}"; do
        join_agents "$(cat "$WORK/in-$stage")" "env=$stage"
    done
}

# tenth K: of each stage every tenth one.
tenth()
{
    local stage
    for stage in "${STAGES[@]}"; do
        awk -v k="$1" 'NR % 10 == k' "$WORK/in-$stage"
    done
}

# Who is sick fails the health check of version 3.
make_version()
{
    make_app "$1" 64
    [ "$1" -lt 3 ] ||
        make_hook "$WORK/app@$1" health "[ ! -e \"\$DUNLIN_DATA/../../../sick\" ]"
    dunlin bundle push "$WORK/app@$1" --name app --version "$1" --health-deadline 5s >/dev/null 2>&1 ||
        fail "version $1 is not taken"
}

# ---- a rollout ----

# roll_out NAME V EDIT...: what EDIT makes of the plan, from its beginning to its end. $WORK/NAME.looks
# has all looks, and $WORK/NAME.json what it took.
roll_out()
{
    local name=$1 version=$2
    shift 2
    make_version "$version"
    "$@" <"$PLAN" | sed "s/app@2/app@$version/" >"$WORK/plan.yaml"
    usage >"$WORK/before"
    since_ms=$(now_ms) line_ms=0 shown=
    dunlin deploy "$WORK/plan.yaml" --confirm >/dev/null || fail "the plan is not taken"
    line SECONDS STAGE STATE "${STAGES[@]}" FAILED "AT WORK" RETURNING
    until look "$name" && [ "$state" = "done" ]; do
        case $state in stopped | aborted) fail "the rollout is $state: $(cat "$WORK/look")" ;; esac
        [ "$asks" != approval ] || approve
        sleep "$LOOK_S"
    done
    usage >"$WORK/after"
    summary "$WORK/$name.looks" >"$WORK/$name.json"
    within_bounds "$WORK/$name.json"
}

# look NAME: sets $state and $asks, what the rollout waits for, and prints a line when a stage is another
# or the last line was some time ago.
look()
{
    local stage counts
    dunlin rollout show app --json >"$WORK/look" || fail "the manager does not answer"
    at_ms=$(($(now_ms) - since_ms))
    jq -c --argjson ms $at_ms '{ms: $ms, state, stage, stages}' "$WORK/look" >>"$WORK/$1.looks"
    read -r state asks stage counts < <(jq -r '[.stages[] | select(.members > 0)] as $of |
        [.state, .waits_for.what // "-", .stage // "-", ($of[] | "\(.ready)/\(.members)"),
        ($of | map(.failed), map(.in_flight), map(.returning) | add)] | join(" ")' "$WORK/look")
    [ "$shown" != "$stage $state" ] || [ $((at_ms - line_ms)) -ge $LINE_MS ] || return 0
    shown="$stage $state" line_ms=$at_ms
    # shellcheck disable=SC2086
    line "$(tenths)" "$stage" "$state" $counts
}

line() # WORD...
{
    printf '%8s  %-8s %-8s %10s %9s %9s %8s %8s %10s\n' "$@"
}

tenths()
{
    echo "$((at_ms / 1000)).$((at_ms % 1000 / 100))"
}

approve()
{
    dunlin rollout approve app prod >/dev/null || fail "prod can't be approved"
    printf '%8s  $ dunlin rollout approve app prod\n' "$(tenths)"
}

# counts: over all stages.
counts()
{
    dunlin rollout show app --json | jq -r '"\([.stages[].ready] | add) ready, \([.stages[].failed] | add) failed, \([.stages[] |
        .members - .ready - .failed] | add) away"'
}

nobody_is_away()
{
    counts | grep -q " 0 away"
}

# ---- what it took ----

# A stage begins when the rollout is seen in it for the first time, and ends when it is seen done.
summary()
{
    jq -sc --argjson cpu "$(paste "$WORK/before" "$WORK/after" |
        awk '{ printf "%s%.2f", (NR > 1 ? "," : "["), $2 - $1 } END { print "]" }')" '
        . as $looks | {seconds: (last.ms / 1000), cpu_s: {manager: $cpu[0], brokers: $cpu[1], agents: $cpu[2]},
        stages: [last.stages[] | select(.members > 0) | .name as $name | {name, members, ready, failed,
            begin_s: (first($looks[] | select(.stage == $name)).ms / 1000),
            end_s: (first($looks[] | select(.stages[] | .name == $name and .state == "done")).ms / 1000),
            at_work_max: ([$looks[].stages[] | select(.name == $name) | .in_flight] | max)}]}' "$1"
}

# within_bounds FILE: in no look were more of a stage at work than half of it, as the plan says.
within_bounds()
{
    local more
    more=$(jq -r '.stages[] | select(.at_work_max > (.members / 2 | ceil)) |
        "stage \(.name): \(.at_work_max) of \(.members) at work"' "$1")
    [ -z "$more" ] || fail "more than half at a time: $more"
}

report()
{
    jq -cn --slurpfile well "$WORK/well.json" --slurpfile ill "$WORK/ill.json" "{agents: $agents,
        join_s: ($join_ms / 1000), online_s: ($online_ms / 1000), first_version_s: ($first_ms / 1000),
        well: \$well[0], ill: \$ill[0], dead_caught_up_s: ($back_ms / 1000),
        manager_kib: {rss: $(memory manager Rss), pss: $(memory manager Pss), peak: $(memory manager VmHWM)}}"
}

main
