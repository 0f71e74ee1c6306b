#!/bin/sh
# A device that takes longer than its deadline counts as failed, which stops the rollout; told to go on, it gives that
# device's place to the next one. Whoever gets there late is ready all the same.
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need jq

main()
{
    start_manager
    for n in 1 2 3 4; do join_agent "$n" site=a; start_agent "$n"; done
    release 1 site=a
    within 30 app_is 1 1 2 3 4 || fail "version 1 does not run"
    too_slow
    gives_way
    forgiven
    done_well
}

# Version 2 for all, one after the other, five seconds each.
plan()
{
    cat <<'EOF'
deployment: app
bundle: app@2
placement:
  select: site=a
rollout:
  max_failed: 0
  deadline: 5s
  reachable_within: 5s
  stages:
    - name: all
      select: site=a
      concurrency: 1
EOF
}

# stage_is JQ VALUE: of the only one with agents.
stage_is()
{
    [ "$(dunlin rollout show app --json | jq -r ".stages[0] | $1")" = "$2" ]
}

too_slow()
{
    step "who hangs is late after five seconds, and stops the rollout"
    make_app 2
    make_hook "$WORK/app@2" apply "case \$DUNLIN_DATA in */agent1/*) while [ -e '$WORK/hang' ]; do sleep 0.1; done ;; esac"
    push_app 2 >/dev/null || fail "version 2 is not taken"
    touch "$WORK/hang"
    kill_agent 4 -KILL
    plan >"$WORK/plan.yaml"
    dunlin deploy "$WORK/plan.yaml" >"$WORK/out" 2>&1 || fail "not deployed: $(cat "$WORK/out")"
    within 40 stage_is '"\(.state) \(.failed) \(.overdue)"' "stopped 1 1" || fail "$(dunlin rollout show app --json)"
}

gives_way()
{
    step "told to go on, the others take its place while it hangs"
    dunlin rollout resume app >/dev/null || fail "it doesn't go on"
    within 40 app_is 2 2 3 || fail "those that are well don't run version 2"
    [ "$(agent 1 '.deployments[0].state')" = Applying ] || fail "agent 1 doesn't hang: $(agent 1 .)"
}

forgiven()
{
    step "it gets there late, and is ready; the one that was off catches up"
    rm "$WORK/hang"
    start_agent 4
    within 30 stage_is .ready 4 || fail "$(dunlin rollout show app --json)"
    app_is 2 1 2 3 4 || fail "not all run version 2"
}

main
