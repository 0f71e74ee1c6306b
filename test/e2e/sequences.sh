#!/bin/bash
# What operators do one after the other in odd orders: aborting what is late, retrying what is paused, going back to what
# was removed, saying things twice. Each has one end, and says so.
. "$(dirname "$0")/lib.sh"
need jq

DEADLINE_S=10 # within which who is well takes a version, also on a slow machine

# rollout JQ: something of it.
rollout()
{
    dunlin rollout show app --json | jq -r "$1"
}

rollout_is()
{
    [ "$(rollout "$1")" = "$2" ]
}

# counts STAGE: members, ready, failed and late ones.
counts()
{
    rollout ".stages[] | select(.name == \"$1\") | \"\(.members) \(.ready) \(.failed) \(.overdue)\""
}

counts_are()
{
    [ "$(counts "$1")" = "$2" ]
}

# says WORDS: $WORK/out holds them.
says()
{
    grep -qF -- "$1" "$WORK/out" || fail "not printed: $1; but: $(cat "$WORK/out")"
}

# push V: who has a file $WORK/hang-N takes that long to apply it, and fails where there is $WORK/fail-N.
push()
{
    make_app "$1"
    # shellcheck disable=SC2016
    make_hook "$WORK/app@$1" apply 'n=${DUNLIN_DATA#*/agent}; n=${n%%/*}
echo "$DUNLIN_VERSION" >>"$DUNLIN_DATA/applied"
while [ -e "'"$WORK"'/hang-$n" ]; do sleep 0.1; done
[ ! -e "'"$WORK"'/fail-$n" ]'
    push_app "$1" >/dev/null || fail "version $1 is not taken"
}

# plan V LINE...: canary, then prod, one after the other; and these lines of the rollout.
plan()
{
    printf 'deployment: app\nbundle: app@%s\nplacement: {select: site=a}\nrollout:\n  reachable_within: 5s\n' "$1"
    shift
    stages='stages: [{name: canary, select: env=canary}, {name: prod, select: env=prod, concurrency: 1'
    case ${1:-} in before:*) stages="$stages, $1"; shift ;; esac
    printf '  %s\n' "$stages}]" "$@"
}

deploy()
{
    plan "$@" >"$WORK/plan.yaml"
    dunlin deploy "$WORK/plan.yaml" >"$WORK/out" 2>&1 || fail "not deployed: $(cat "$WORK/out")"
}

arrives()
{
    within 60 rollout_is .state "done" || fail "version $1 doesn't arrive: $(rollout .)"
    within 20 app_is "$1" 1 2 3 4 || fail "not all run version $1: $(rollout .)"
}

# Nobody is let in beside agent 2, which is out already: if it is the first in the order, it is let in itself.
held()
{
    rollout_is .waits_for.what budget || rollout_is '"\(.stage) \(.stages[1].in_flight) \(.waits_for.what)"' "prod 1 agents"
}

# in_none V AGENT...: none of them has begun it.
in_none()
{
    begun=$1
    shift
    for number; do
        ! grep -qx "$begun" "$WORK/agent$number/deployments/app/data/applied" || return 1
    done
}

step "one canary and three of prod run version 1"
# shellcheck disable=SC2119
start_manager
join_agent 1 site=a env=canary
for n in 2 3 4; do join_agent "$n" site=a env=prod; done
for n in 1 2 3 4; do start_agent "$n"; done
for v in 1 2 3 4 5 6 7 8 9; do push "$v"; done
deploy 1
arrives 1

step "aborted while an agent is late: it counts as failed until it gets there, and nobody else begins"
touch "$WORK/hang-1"
deploy 2 "deadline: ${DEADLINE_S}s"
within 30 rollout_is '"\(.state) \(.stages[0].overdue)"' "stopped 1" || fail "$(rollout .)"
dunlin rollout abort app >/dev/null || fail "no abort"
counts_are canary "1 0 1 1" || fail "$(rollout .)"
dunlin why 1 app >"$WORK/out"
says "counts as failed until it is ready"
rm "$WORK/hang-1"
within 20 counts_are canary "1 1 0 0" || fail "$(rollout .)"
rollout_is .state aborted || fail "$(rollout .)"
refused "was aborted" dunlin rollout retry app
refused "was aborted, which no resume undoes: \`dunlin rollout rollback app\`" dunlin rollout resume app
refused "was aborted" dunlin deployment resume app
refused "was aborted" dunlin rollout approve app prod
in_none 2 2 3 4 || fail "somebody else began version 2"
dunlin rollout abort app >"$WORK/out" || fail "a second abort is refused"
dunlin rollout rollback app >/dev/null || fail "no rollback"
arrives 1

step "retried while it is paused: it stays paused, and goes on with the new try when it is resumed"
touch "$WORK/fail-1"
deploy 3
within 30 rollout_is .state stopped || fail "$(rollout .)"
dunlin rollout pause app >/dev/null || fail "no pause"
dunlin rollout retry app >/dev/null || fail "no retry"
rollout_is '"\(.state) \(.paused)"' "paused true" || fail "$(rollout .)"
rm "$WORK/fail-1"
dunlin rollout pause app >/dev/null || fail "a second pause is refused"
dunlin rollout resume app >/dev/null || fail "it can't be resumed"
arrives 3

step "superseded while it waits: the new version waits as long, and nobody gets the old one"
deploy 4 "before: {wait: 1h}"
within 30 rollout_is '"\(.stage) \(.waits_for.what)"' "prod time" || fail "$(rollout .)"
refused "doesn't wait for approval now" dunlin rollout approve app prod
deploy 5 "before: {wait: 1h}"
within 30 rollout_is '"\(.version) \(.stage) \(.waits_for.what)"' "5 prod time" || fail "$(rollout .)"
app_is 5 1 || fail "the canary doesn't run version 5"
dunlin rollout abort app >/dev/null || fail "no abort"
deploy 6
arrives 6
in_none 4 2 3 4 || fail "somebody began version 4"
in_none 5 2 3 4 || fail "somebody began version 5"

step "what was removed can't be gone back to; what can is said"
dunlin bundle remove app@4 --force >/dev/null || fail "app@4 stays"
refused "app has no version 4 in its history" dunlin rollout rollback app --to 4
refused "app has no version 99 in its history" dunlin rollout rollback app --to 99
dunlin rollout rollback app --to 3 >/dev/null || fail "no way back to version 3"
arrives 3

step "who failed moves to a stage that is over: it is no failure of the stage that it left"
touch "$WORK/fail-2"
deploy 7
within 40 rollout_is '"\(.state) \(.stage)"' "stopped prod" || fail "$(rollout .)"
dunlin agent label 2 env=canary >/dev/null || fail "no label"
within 20 counts_are canary "2 1 1 0" || fail "$(rollout .)"
dunlin rollout resume app >/dev/null || fail "it doesn't go on"
within 40 rollout_is .state "done" || fail "$(rollout .)"
counts_are prod "2 2 0 0" || fail "$(rollout .)"
rollout_is .next "the rollout of version 7 is over; 1 of 4 agents failed: dunlin rollout retry app" || fail "$(rollout .)"
rm "$WORK/fail-2"
dunlin rollout pause app >/dev/null || fail "no pause"
dunlin rollout retry app >/dev/null || fail "no retry"
dunlin rollout show app >"$WORK/out" && says "app version 7 again for 4 agents"
refused "there is nobody to retry" dunlin rollout retry app
dunlin rollout resume app >/dev/null || fail "it doesn't go on"
arrives 7
refused "there is nobody to retry" dunlin rollout retry app
dunlin agent label 2 env=prod >/dev/null || fail "no label"
within 20 app_is 7 2 || fail "another label changed what it runs"

step "approved twice, it is approved once"
deploy 8 "before: {approval: true}, after: {approval: true}"
within 30 rollout_is '"\(.stage) \(.waits_for.what)"' "prod approval" || fail "$(rollout .)"
dunlin rollout approve app prod >/dev/null || fail "no approval"
# By now it may have begun.
dunlin rollout approve app prod >"$WORK/out" 2>&1 || says "doesn't wait for approval now"
within 60 rollout_is '"\(.stages[1].ready) \(.waits_for.what)"' "3 approval" || fail "$(rollout .)"
dunlin rollout approve app prod >/dev/null || fail "no approval of its end"
arrives 8

step "a version that waits for the end of another one doesn't come when that is aborted, and that is said"
deploy 7 "before: {approval: true}" "new_version: queue"
within 30 rollout_is '"\(.stage) \(.waits_for.what)"' "prod approval" || fail "$(rollout .)"
dunlin deploy app@6 >"$WORK/out" && says "version 6 comes when the rollout of 7 is over: stage prod waits for approval"
dunlin rollout show app >"$WORK/out" && says ", then version 6"
dunlin rollout abort app >"$WORK/out" && says "version 6, which waited for it, doesn't come by itself any more"
rollout_is .queued null || fail "$(rollout .)"
dunlin rollout rollback app >/dev/null || fail "no rollback"
arrives 8

step "who holds a budget is hung: with the budget removed it goes on, and cordoned it is no member"
dunlin budget set prod --select env=prod --max 1 >/dev/null || fail "no budget"
touch "$WORK/hang-2"
dunlin deploy app@8 --as other --select env=prod >/dev/null || fail "other is not deployed"
within 40 test -e "$WORK/agent2/deployments/other/data/applied" || fail "agent 2 is not let in"
deploy 9
within 30 held || fail "$(rollout .)"
in_none 9 3 4 || fail "somebody began version 9 beside the budget"
dunlin budget remove prod >/dev/null || fail "the budget stays"
within 20 rollout_is .waits_for.what agents || fail "it doesn't go on: $(rollout .)"
dunlin agent cordon 2 >/dev/null || fail "not cordoned"
within 40 rollout_is .state "done" || fail "it waits for one that is cordoned: $(rollout .)"
app_is 9 3 4 || fail "not both run version 9: $(rollout .)"
counts_are prod "2 2 0 0" || fail "$(rollout .)"
rm "$WORK/hang-2"
dunlin agent uncordon 2 >/dev/null || fail "still cordoned"
arrives 9

step "removed while it is stopped and an agent hangs, it comes again under its name"
push 10
touch "$WORK/hang-1"
deploy 10 "deadline: ${DEADLINE_S}s"
within 30 rollout_is '"\(.state) \(.stages[0].overdue)"' "stopped 1" || fail "$(rollout .)"
dunlin deployment remove app >/dev/null || fail "it is not removed"
dunlin deploy app@9 --as app --select site=a >/dev/null || fail "it doesn't come again"
rm "$WORK/hang-1"
within 60 app_is 9 1 2 3 4 || fail "$(dunlin deployment show app)"

step "who is late and is taken out of the fleet is waited for and counted no more"
touch "$WORK/hang-1"
deploy 10 "deadline: ${DEADLINE_S}s"
within 30 rollout_is '"\(.state) \(.stages[0].overdue)"' "stopped 1" || fail "$(rollout .)"
dunlin agent remove 1 >/dev/null || fail "agent 1 is not removed"
counts_are canary "0 0 0 0" || fail "$(rollout .)"
rm "$WORK/hang-1"
dunlin rollout resume app >/dev/null || fail "it doesn't go on"
within 60 app_is 10 2 3 4 || fail "$(rollout .)"
done_well
