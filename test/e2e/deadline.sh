#!/bin/sh
# A device that takes longer than its deadline counts as failed, which stops the rollout; told to go on, it gives that
# device's place to the next one. Whoever gets there late is ready all the same; until then it counts as failed, also
# when its stage and its rollout are over, and for a manager that was killed. What a device waits for by a rule is no
# time of its own.
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need jq

DEADLINE_S=10 # within which who is well takes a version, also on a slow machine

main()
{
    start_manager
    for n in 1 2 3 4; do join_agent "$n" site=a; start_agent "$n"; done
    release 1 site=a
    within 30 app_is 1 1 2 3 4 || fail "version 1 does not run"
    too_slow
    gives_way
    stays_failed
    forgiven
    waits_for_base
    tries_in_time
    done_well
}

# plan V LINE...: version V for all, one after the other; and these lines of the rollout.
plan()
{
    printf 'deployment: app\nbundle: app@%s\nplacement: {select: site=a}\nrollout:\n' "$1"
    shift
    printf '  %s\n' "reachable_within: 5s" "stages: [{name: all, select: site=a, concurrency: 1}]" "$@"
}

# stage_is JQ VALUE: of the only one with agents.
stage_is()
{
    [ "$(dunlin rollout show app --json | jq -r ".stages[0] | $1")" = "$2" ]
}

# late_is N: so many of the stage are late, in JSON and in the table; and one of them is agent 1, who is told so.
late_is()
{
    stage_is '"\(.failed) \(.overdue) \(.returning)"' "$1 $1 0" || return 1
    dunlin rollout show app | grep -qE "^all .* $1, $1 overdue" || return 1
    dunlin why 1 app | grep -q 'It takes longer than the '$DEADLINE_S's it has, and counts as failed until it is ready' &&
        [ "$(dunlin why 1 app --json | jq .overdue)" = true ]
}

# hanging V AGENT...: a version whose apply hangs on these as long as there is a file.
hanging()
{
    make_app "$1"
    hangs=$1
    shift
    cases=$(printf '*/agent%s/*|' "$@")
    make_hook "$WORK/app@$hangs" apply \
        "case \$DUNLIN_DATA in ${cases%|}) while [ -e '$WORK/hang' ]; do sleep 0.1; done ;; esac"
    push_app "$hangs" >/dev/null || fail "version $hangs is not taken"
    touch "$WORK/hang"
}

deploy_plan()
{
    plan "$@" >"$WORK/plan.yaml"
    dunlin deploy "$WORK/plan.yaml" >"$WORK/out" 2>&1 || fail "not deployed: $(cat "$WORK/out")"
}

# rollout_is STATE
rollout_is()
{
    [ "$(dunlin rollout show app --json | jq -r .state)" = "$1" ]
}

too_slow()
{
    step "who hangs is late after its deadline, and stops the rollout"
    hanging 2 1
    kill_agent 4 -KILL
    deploy_plan 2 "deadline: ${DEADLINE_S}s"
    within 40 stage_is '"\(.state) \(.failed) \(.overdue)"' "stopped 1 1" || fail "$(dunlin rollout show app --json)"
    late_is 1 || fail "$(dunlin rollout show app) $(dunlin why 1 app)"
}

gives_way()
{
    step "told to go on, the others take its place while it hangs"
    dunlin rollout resume app >/dev/null || fail "it doesn't go on"
    within 40 app_is 2 2 3 || fail "those that are well don't run version 2"
    [ "$(agent 1 '.deployments[0].state')" = Applying ] || fail "agent 1 doesn't hang: $(agent 1 .)"
}

stays_failed()
{
    step "its rollout is over, and it counts as failed all the same, also for a manager that is killed"
    within 40 rollout_is "done" || fail "$(dunlin rollout show app --json)"
    late_is 1 || fail "$(dunlin rollout show app) $(dunlin why 1 app)"
    kill_manager -KILL
    start_manager
    within 20 late_is 1 || fail "$(dunlin rollout show app) $(dunlin why 1 app)"
}

forgiven()
{
    step "it gets there late, and is ready; the one that was off catches up"
    rm "$WORK/hang"
    start_agent 4
    within 30 stage_is '"\(.ready) \(.failed)"' "4 0" || fail "$(dunlin rollout show app --json)"
    app_is 2 1 2 3 4 || fail "not all run version 2"
    [ "$(dunlin why 1 app --json | jq .overdue)" = false ] || fail "it is still late: $(dunlin why 1 app)"
}

waits_for_base()
{
    step "who waits for another deployment is late for nothing; when that is ready, its time begins"
    mkdir -p "$WORK/base@1/hooks"
    make_hook "$WORK/base@1" health "[ -e '$WORK/base-works' ]"
    dunlin bundle push "$WORK/base@1" --name base --version 1 --health-deadline 120s --health-interval 1s >/dev/null ||
        fail "base is not taken"
    dunlin deploy base@1 --select site=a >/dev/null || fail "base is not deployed"
    hanging 3 1 2 3 4
    { plan 3 "deadline: ${DEADLINE_S}s"; echo 'depends_on: [base]'; } >"$WORK/plan.yaml"
    dunlin deploy "$WORK/plan.yaml" >"$WORK/out" 2>&1 || fail "not deployed: $(cat "$WORK/out")"
    within 20 stage_is .in_flight 1 || fail "nobody is let in: $(dunlin rollout show app --json)"
    waited=$(date +%s)
    until [ "$(date +%s)" -ge $((waited + 2 * DEADLINE_S)) ]; do
        stage_is '"\(.state) \(.failed)"' "running 0" || fail "it is late: $(dunlin rollout show app --json)"
    done
    touch "$WORK/base-works"
    within 40 stage_is '"\(.state) \(.overdue)"' "stopped 1" || fail "$(dunlin rollout show app --json)"
    rm "$WORK/hang"
    dunlin rollout retry app >/dev/null || fail "not tried again"
    within 60 stage_is .ready 4 || fail "$(dunlin rollout show app --json)"
}

tries_in_time()
{
    step "tries that could never fit are refused; all tries together have one deadline"
    make_app 4
    make_hook "$WORK/app@4" apply "echo try >>'$WORK/tries'; [ \$(wc -l <'$WORK/tries') -ge 2 ]
while [ -e '$WORK/hang-again' ]; do sleep 0.1; done"
    push_app 4 >/dev/null || fail "version 4 is not taken"
    plan 4 "deadline: 5s" "retries: 2" "back_off: 2s" >"$WORK/plan.yaml"
    dunlin deploy "$WORK/plan.yaml" >"$WORK/out" 2>&1 && fail "deployed: $(cat "$WORK/out")"
    grep -qF 'deadline: 5s are for all tries together, and 2 retries alone wait 6s (back_off: 2s)' "$WORK/out" ||
        fail "it says: $(cat "$WORK/out")"
    touch "$WORK/hang-again"
    deploy_plan 4 "deadline: 20s" "retries: 2" "back_off: 1s"
    within 40 stage_is '"\(.state) \(.overdue)"' "stopped 1" || fail "$(dunlin rollout show app --json)"
    [ "$(wc -l <"$WORK/tries")" = 2 ] || fail "there were $(wc -l <"$WORK/tries") tries"
    rm "$WORK/hang-again"
    dunlin rollout resume app >/dev/null || fail "it doesn't go on"
    within 60 stage_is '"\(.ready) \(.overdue)"' "4 0" || fail "$(dunlin rollout show app --json)"
}

main
