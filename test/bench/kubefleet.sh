#!/bin/bash
# The steps of KubeFleet's performance report (early 2026), one by one: agents in ten resource groups and three
# environments; placements that pick a tenth of them each; the manager restarted; rollouts in three stages. Every agent
# is a process of its own, over mutual TLS, and all of them work on this one machine, where KubeFleet's had eighty of
# 16 processors: so the floor beside each figure is the processor time that agents and brokers took meanwhile, spread
# evenly over the processors here. The last line is one JSON document. It takes 40 minutes or so.
# usage: kubefleet.sh [--agents N] [--placements N] [--rollouts N] [--tries N]
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"

REPORT=KubeFleet
GROUP_COUNT=10
# Between two looks at what is waited for: one deployment, or a list of all, which is work for the manager.
LOOK_S=0.05
LIST_S=0.5
# Rollouts that the manager moves at a time (ROLLOUTS_MAX of manager/core/manager.h).
AT_ONCE_MAX=64

agents=1000 placements=1000 rollouts=100 tries=10

main()
{
    take_options "agents placements rollouts tries" "$@"
    [ $((rollouts > tries ? rollouts : tries)) -le "$placements" ] ||
        { echo "kubefleet: more rollouts or tries than placements" >&2 && exit 2; }
    step "$agents agents join, two at a time"
    ulimit -n "$(ulimit -Hn)"
    start_manager
    join_everyone
    within 900 online "$agents" || fail "not all agents are online: $(dunlin status)"
    idle=$(sizes)

    step "a placement that picks a tenth of them, $tries times"
    try_each first place_and_remove
    tell first "a placement that picks a tenth of the agents, p90" 20

    step "$placements placements"
    push_many 1 $(seq "$placements")
    measured all place_all
    tell all "$placements placements of a tenth each, all at once, measured once"
    full=$(sizes)

    step "the manager is restarted, with its brokers, $tries times"
    try_each answer restart_all
    tell answered "restart of either kind, until the manager answers, p90"
    tell answer "restart with brokers, until all links are back, p90" 675

    step "the manager is killed and comes back to its brokers, $tries times"
    try_each adopt restart_alone
    tell adopt "restart of the manager alone, p90" 675

    step "one more placement, $tries times"
    try_each more place_and_remove
    tell more "one more placement beside all these, p90" 21

    step "a rollout in three stages, half of each at a time, $tries times"
    push_many 2 $(seq "$tries")
    try_each rollout roll_out
    tell rollout "a rollout in three stages, half of each at a time, p90" 96

    step "$rollouts rollouts at once, and a placement meanwhile, $tries times"
    push_many 3 $(seq "$rollouts")
    measured rollouts roll_out_all
    tell together "$rollouts rollouts at once, once: p90 of them$(waiting)" 135
    tell meanwhile "a placement meanwhile, p90" 30

    busy=$(sizes)
    tell_sizes
    publish "{agents: $agents, placements: $placements, rollouts: $rollouts, tries: $tries,
        meanwhile_in_time: $in_time, idle: $idle, full: $full, busy: $busy, took: $(took)}"
}

# Of rollouts at once: more than so many aren't begun until one of these is done.
waiting()
{
    [ "$rollouts" -le $AT_ONCE_MAX ] || echo ", $((rollouts - AT_ONCE_MAX)) of which wait for a place"
}

# ---- the fleet ----

# Of the first to the last: a fifth is staging, three tenths are canaries.
environment_of()
{
    if [ $(($1 * 10)) -le $((agents * 2)) ]; then
        echo staging
    elif [ $(($1 * 2)) -le "$agents" ]; then
        echo canary
    else
        echo prod
    fi
}

join_everyone()
{
    local n members group environment
    for ((n = 1; n <= agents; n++)); do
        echo "$n $((n % GROUP_COUNT)) $(environment_of $n)"
    done >"$WORK/members"
    while read -r group environment; do
        members=$(awk -v g="$group" -v e="$environment" '$2 == g && $3 == e { print $1 }' "$WORK/members")
        join_agents "$members" "resource-group=$group" "env=$environment"
    done < <(cut -d ' ' -f 2- "$WORK/members" | sort -u)
    for ((n = 1; n <= agents; n++)); do start_agent $n; done
}

# ---- measuring ----

# measured STEP COMMAND...: $WORK/STEP.ms gets the time it took, or what the command has written into $WORK/STEP.part;
# $WORK/STEP.cpu the processor time of manager, brokers and agents. Whoever was started anew counts from there.
measured()
{
    local name=$1 before since_ms
    shift
    before=$(usage)
    since_ms=$(now_ms)
    "$@"
    [ -s "$WORK/$name.part" ] || echo $(($(now_ms) - since_ms)) >"$WORK/$name.part"
    cat "$WORK/$name.part" >>"$WORK/$name.ms"
    rm "$WORK/$name.part"
    paste <(echo "$before") <(usage) | awk '{ printf "%.2f ", $2 - ($1 > $2 ? 0 : $1) } END { print "" }' >>"$WORK/$name.cpu"
}

# try_each STEP COMMAND: as often as is asked for; the command hears which try it is.
try_each()
{
    local try
    for ((try = 1; try <= tries; try++)); do
        measured "$1" "$2" "$try" "$1"
    done
}

# tell STEP WHAT [PUBLISHED_S]
tell()
{
    local floor=null published=
    [ -z "${3:-}" ] || published="$3 $REPORT"
    [ ! -s "$WORK/$1.cpu" ] || floor=$(awk -v cpus="$(nproc)" '{ sum += $2 + $3 } END { print sum / NR / cpus }' "$WORK/$1.cpu")
    # shellcheck disable=SC2086
    row "$2" "$(jq -s "$PERCENTILE p(90) / 1000" "$WORK/$1.ms")" s "$floor" $published
}

# took: every time that was measured, in ms, and processor time of manager, brokers and agents, in s.
took()
{
    local file name
    for file in "$WORK"/*.ms; do
        name=$(basename "$file" .ms)
        jq -sc --arg name "$name" '{($name): {ms: .}}' "$file"
        [ ! -s "$WORK/$name.cpu" ] || awk -v name="$name" '{ m += $1; b += $2; a += $3 }
            END { printf "{\"%s\": {\"cpu_s\": {\"manager\": %.2f, \"brokers\": %.2f, \"agents\": %.2f}}}\n", name, m, b, a }' \
            "$WORK/$name.cpu"
    done | jq -sc 'reduce .[] as $step ({}; . * $step)'
}

sizes()
{
    # shellcheck disable=SC2046
    jq -cn "{manager_kib: {resident: $(memory manager Rss), pss: $(memory manager Pss), peak: $(memory manager VmHWM)},
        brokers_kib: $(for process in $(broker_pids) $(door_pid); do memory_of "$process" Pss; done | jq -s add),
        agent_kib: {pss: $(memory agent1 Pss), private: $(memory agent1 Private_Dirty)},
        stored_kib: $(du -sk "$FLEET" | cut -f 1), database_kib: $(du -ck "$FLEET"/manager.db* | tail -n 1 | cut -f 1)}"
}

tell_sizes()
{
    row "memory of the manager, at most" "$(jq -n "[$full, $busy] | map(.manager_kib.peak) | max / 1024 | round")" MiB null 11200 $REPORT
    row "memory of manager and brokers, at the end" "$(jq -n "($busy.manager_kib.pss + $busy.brokers_kib) / 1024 | round")" MiB
    row "all that is stored, content too" "$(jq -n "$busy.stored_kib / 1024 | round")" MiB null 1600 $REPORT
    row "memory of one agent with $((placements / GROUP_COUNT)) placements, PSS" "$(jq -n "$full.agent_kib.pss / 1024")" MiB
}

# ---- placements ----

# make_version NAME V: what KubeFleet's placements have, a namespace, a map of 1 KB and a deployment of nothing. It has
# no hooks: theirs run nothing either.
make_version()
{
    mkdir -p "$WORK/version"
    printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n' "$1" >"$WORK/version/namespace.yaml"
    printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s}\nspec: {replicas: 0}\n' "$1" >"$WORK/version/deployment.yaml"
    { echo "version: $2" && head -c 768 /dev/urandom | base64 -w 0; } >"$WORK/version/config.yaml"
    dunlin bundle push "$WORK/version" --name "$1" --version "$2" >/dev/null 2>&1 || fail "$1@$2 is not taken"
}

# push_many V N...: version V of these placements' bundles.
push_many()
{
    local version=$1 n
    shift
    for n; do make_version "p$n" "$version"; done
}

place() # NAME GROUP
{
    dunlin deploy "$1@1" --as "$1" --select "resource-group=$2" --confirm >/dev/null || fail "$1 is not deployed"
}

# place_and_remove TRY STEP: the time until all that it picks have it; then it goes again.
place_and_remove()
{
    local name=$2$1 since_ms
    make_version "$name" 1
    since_ms=$(now_ms)
    place "$name" $(($1 % GROUP_COUNT))
    await "$name"
    echo $(($(now_ms) - since_ms)) >"$WORK/$2.part"
    dunlin deployment remove "$name" >/dev/null || fail "$name is not removed"
}

# await NAME: until all have it; a rollout, until it is done.
await()
{
    until dunlin rollout show "$1" --json | jq -e '.state == "done"' >/dev/null; do
        sleep "$LOOK_S"
    done
}

place_all()
{
    local n
    for ((n = 1; n <= placements; n++)); do place "p$n" $((n % GROUP_COUNT)); done
    within 3600 slowly all_are_ready || fail "not all placements are complete: $(dunlin deployment list | head)"
}

# slowly COMMAND...: when it is false, so after a while.
slowly()
{
    "$@" || { sleep "$LIST_S" && return 1; }
}

# The ones that stay, on whom they pick.
all_are_ready()
{
    dunlin deployment list --json | jq -e --argjson n "$placements" \
        '[.deployments[] | select(.name | test("^p[0-9]"))] | length == $n and all(.targets > 0 and .ready == .targets)'
}

# ---- restarts ----

restart_all()
{
    kill_manager -TERM
    come_back "$2"
}

restart_alone()
{
    kill_manager -KILL
    come_back "$2"
}

# come_back STEP: the time from the manager's start.
come_back()
{
    local since_ms
    since_ms=$(now_ms)
    run_manager
    until dunlin status >/dev/null 2>&1; do sleep "$LOOK_S"; done
    echo $(($(now_ms) - since_ms)) >>"$WORK/answered.ms"
    within 900 links_are_back || fail "not all links are back: $(dunlin status | head)"
    within 900 online "$agents" || fail "not all agents come back: $(dunlin status | head)"
    within 900 all_are_ready || fail "placements are lost: $(dunlin deployment list | head)"
    echo $(($(now_ms) - since_ms)) >"$WORK/$1.part"
}

# What the manager remembers of who is online is not enough.
links_are_back()
{
    [ "$(find "/proc/$(broker_pids)/fd" -lname 'socket:*' | wc -l)" -ge "$agents" ]
}

# ---- rollouts ----

start_rollout() # NAME V
{
    printf 'deployment: %s\nbundle: %s@%s\nrollout:\n  stages:\n' "$1" "$1" "$2"
    for environment in staging canary prod; do
        printf '    - {name: %s, select: env=%s, concurrency: 50%%}\n' "$environment" "$environment"
    done
}

roll_out() # TRY
{
    start_rollout "p$1" 2 >"$WORK/plan.yaml"
    dunlin deploy "$WORK/plan.yaml" --confirm >/dev/null || fail "the rollout of p$1 does not begin"
    await "p$1"
}

# Each one's time is from its own start. Placements are tried as long as rollouts go on.
roll_out_all()
{
    local n try
    rm -f "$WORK"/started.*
    in_time=0
    for ((n = 1; n <= rollouts; n++)); do
        start_rollout "p$n" 3 >"$WORK/plan.yaml"
        now_ms >"$WORK/started.p$n"
        dunlin deploy "$WORK/plan.yaml" --confirm >/dev/null || fail "the rollout of p$n does not begin"
    done
    watch_rollouts &
    echo $! >"$WORK/watch.pid"
    for ((try = 1; try <= tries; try++)); do
        [ ! -e "$WORK/over" ] || break
        place_and_remove $try meanwhile
        cat "$WORK/meanwhile.part" >>"$WORK/meanwhile.ms"
        rm "$WORK/meanwhile.part"
        [ -e "$WORK/over" ] || in_time=$try
    done
    wait "$(cat "$WORK/watch.pid")"
    rm "$WORK/watch.pid"
}

# $WORK/together.ms gets a line for each that is done.
watch_rollouts()
{
    local name at_ms
    until [ -z "$(find "$WORK" -maxdepth 1 -name 'started.*' -print -quit)" ]; do
        dunlin deployment list --json >"$WORK/listed"
        at_ms=$(now_ms)
        for name in $(jq -r '.deployments[] | select(.rollout_state == "done") | .name' "$WORK/listed"); do
            [ -e "$WORK/started.$name" ] || continue
            echo $((at_ms - $(cat "$WORK/started.$name"))) >>"$WORK/together.ms"
            rm "$WORK/started.$name"
        done
        sleep "$LIST_S"
    done
    touch "$WORK/over"
}

main "$@"
