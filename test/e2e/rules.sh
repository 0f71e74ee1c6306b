#!/bin/bash
# What devices obey by themselves, with real agents: what comes before what, windows, and tries.
. "$(dirname "$0")/lib.sh"

# push_base V: a bundle whose health is $WORK/base-works.
push_base()
{
    mkdir -p "$WORK/base@$1/hooks"
    make_hook "$WORK/base@$1" apply "echo base >>'$WORK/order'"
    make_hook "$WORK/base@$1" health "[ -e '$WORK/base-works' ]"
    make_hook "$WORK/base@$1" remove "echo base >>'$WORK/removed'"
    dunlin bundle push "$WORK/base@$1" --name base --version "$1" --health-deadline 60s \
        --health-interval 1s >/dev/null || fail "base@$1 is not taken"
}

# state N DEPLOYMENT: by the manager's word.
state()
{
    agent "$1" ".deployments[] | select(.name == \"$2\") | .state + (.cause // \"\" | if . == \"\" then . else \": \" + . end)"
}

# state_is N DEPLOYMENT STATE
state_is()
{
    [ "$(state "$1" "$2")" = "$3" ]
}

# why N REASON WORDS: dunlin why says so of app.
why()
{
    dunlin why "$1" app --json >"$WORK/why.json"
    [ "$(jq -r .reason "$WORK/why.json")" = "$2" ] || fail "the reason is $(cat "$WORK/why.json")"
    jq -r .text "$WORK/why.json" | grep -qF -- "$3" || fail "not said: $3; but: $(jq -r .text "$WORK/why.json")"
}

step "app depends on base, which takes a while on one agent and isn't placed on the other"
# shellcheck disable=SC2119
start_manager
join_agent 1 env=prod
join_agent 2 env=lab
start_agent 1
start_agent 2
push_base 1
make_app 1
make_hook "$WORK/app@1" apply "echo app >>'$WORK/order'"
make_hook "$WORK/app@1" remove "echo app >>'$WORK/removed'"
push_app 1 >/dev/null
refused "app depends on base, and there is no such deployment" \
    dunlin deploy "$ROOT/examples/rollouts/app-after-base.yaml"
dunlin deploy base@1 --select env=prod >/dev/null
dunlin deploy "$ROOT/examples/rollouts/app-after-base.yaml" >/dev/null || fail "app is not deployed"
within 20 state_is 1 app "Pending: another deployment has to be ready first" || fail "app is $(state 1 app)"
within 20 state_is 1 base Verifying || fail "base is $(state 1 base)"
why 1 dependency "version 1 depends on deployment base, which is Verifying there"
within 20 state_is 2 app "Pending: a deployment that it depends on failed, or is not for this device" ||
    fail "app is $(state 2 app)"
why 2 dependency-stuck "depends on deployment base, which is not for this agent: place that on it too"

step "base is ready, and app follows"
touch "$WORK/base-works"
within 20 agent_has 1 app 1 || fail "app does not follow"
[ "$(xargs <"$WORK/order")" = "base app" ] || fail "the order was $(xargs <"$WORK/order")"

step "a circle, and removing what others depend on, are refused"
printf 'deployment: base\nbundle: base@1\ndepends_on: [app]\n' >"$WORK/circle.yaml"
refused "these would depend on each other in a circle, and none would ever begin: base, app" \
    dunlin deploy "$WORK/circle.yaml"
refused "app depends on base: remove or change that deployment first" dunlin deployment remove base
dunlin deployment show app | grep -qE '^after +base$' || fail "it is not shown"
printf 'deployment: app\nbundle: app@1\ndepends_on: []\n' >"$WORK/free.yaml"
dunlin deployment diff app "$WORK/free.yaml" | grep -qE 'depends_on +base +-> +-' || fail "no difference is shown"

step "an agent that leaves both removes app first, also when it was off meanwhile"
kill_agent 1 -9
dunlin agent label 1 env=none >/dev/null
dunlin deploy app@1 --select env=lab >/dev/null
start_agent 1
within 30 grep -q base "$WORK/removed" || fail "they are not removed"
[ "$(xargs <"$WORK/removed")" = "app base" ] || fail "the order was $(xargs <"$WORK/removed")"

step "base goes by force, and app does without it"
dunlin deployment remove base --force >/dev/null || fail "base stays"
within 20 agent_has 2 app 1 || fail "app is still $(state 2 app)"

step "the same window is closed for an agent here, and open for one half a world away"
kill_agent 2 -TERM
join_agent 3 env=lab
TZ=HERE0 start_agent 2
TZ=THERE-12 start_agent 3
within 20 agent_has 3 app 1 || fail "agent 3 has nothing: $(state 3 app)"
make_app 2
push_app 2 >/dev/null
noon=$(TZ=THERE-12 date +%-H)
sed -e "s/0 2 [*] [*] 1-5/0 $noon * * */" -e 's/back_off: 5m/back_off: 3s/' -e '/name: canary/d' -e 's/, concurrency: 25%//' \
    "$ROOT/examples/rollouts/at-night.yaml" >"$WORK/night.yaml"
dunlin deploy "$WORK/night.yaml" >/dev/null || fail "it is not deployed"
within 30 agent_has 3 app 2 || fail "its window is not open there: $(state 3 app)"
within 20 state_is 2 app "Pending: its window is closed" || fail "its window is not closed here: $(state 2 app)"
why 2 window "version 2 waits for its window, \"0 $noon * * *\" for 2h by the device's own clock"

step "by a fixed offset it is known when it opens; and it does"
sed -e 's/zone: device/zone: UTC/' "$WORK/night.yaml" >"$WORK/utc.yaml"
refused "its stages can't change on the way" dunlin deploy "$WORK/utc.yaml"
dunlin rollout abort app >/dev/null || fail "the rollout is not aborted"
make_app 3
push_app 3 >/dev/null
sed -i 's/app@2/app@3/' "$WORK/utc.yaml"
dunlin deploy "$WORK/utc.yaml" >/dev/null || fail "the window is not changed"
within 20 state_is 2 app "Pending: its window is closed" || fail "it is $(state 2 app)"
why 2 window "by UTC: it opens at "
dunlin deployment diff app "$WORK/night.yaml" | grep -qE 'rollout: window: zone +UTC +-> +-' || fail "no difference is shown"

step "what fails is tried again by itself, and only the last failure would count"
dunlin rollout abort app >/dev/null
make_app 4
# shellcheck disable=SC2016
make_hook "$WORK/app@4" apply 'echo try >>"$DUNLIN_DATA/tries"; [ "$(wc -l <"$DUNLIN_DATA/tries")" -ge 3 ]'
push_app 4 >/dev/null
sed -e "s/0 $noon [*] [*] [*]/* * * * */" -e 's/app@3/app@4/' "$WORK/utc.yaml" >"$WORK/always.yaml"
dunlin deploy "$WORK/always.yaml" >/dev/null || fail "it is not deployed"
within 30 state_is 2 app "Pending: hooks/apply failed" || fail "it is $(state 2 app)"
why 2 retrying "; it is tried again by itself"
within 60 agent_has 2 app 4 || fail "it never goes well: $(state 2 app)"
within 60 agent_has 3 app 4 || fail "it never goes well: $(state 3 app)"
[ "$(wc -l <"$WORK/agent2/deployments/app/data/tries")" -eq 3 ] || fail "it was tried $(wc -l <"$WORK/agent2/deployments/app/data/tries") times"
done_well
