#!/bin/bash
# A budget over two deployments with real agents: never more of its group are at work than it allows, who waits is told
# why, a killed manager keeps it, and a deployment without stages goes in one because of it.
. "$(dirname "$0")/lib.sh"

# budget JQ: something of it.
budget()
{
    dunlin budget show pier --json | jq -r "$1"
}

# takes N: so many are out.
takes()
{
    [ "$(budget .out)" = "$1" ]
}

# One of two agents waits for room, to begin what no gate brings, and the other has it.
one_waits()
{
    [ "$(budget '"\(.asking) \(.out)"')" = "1 1" ]
}

# The deployments that wait for the budget: none, where the agent that is out happens to be the first of both.
waiting()
{
    for name in app base; do
        [ "$(dunlin rollout show "$name" --json | jq -r .waits_for.what)" != budget ] || echo "$name"
    done
}

# both_go_on: by that one agent.
both_go_on()
{
    for name in app base; do
        [ "$(dunlin rollout show "$name" --json | jq '.stages[0].in_flight')" = 1 ] || return 1
    done
}

is_used_up()
{
    [ -n "$(waiting)" ] || both_go_on
}

# begun NAME V: how many of the pier's agents began with that version.
begun()
{
    cat "$WORK"/agent[1-4]/deployments/"$1"/data/applied 2>/dev/null | grep -cx "$2" || true
}

# Both deployments are where they should be.
arrives()
{
    for name in app base; do
        dunlin wait "$name" --timeout 240s >/dev/null || fail "$name does not arrive"
    done
}

step "4 agents at the pier run two deployments, and 2 on the hill none"
# shellcheck disable=SC2119
start_manager
for n in 1 2 3 4; do join_agent "$n" site=pier; done
for n in 5 6; do join_agent "$n" site=hill; done
for n in 1 2 3 4 5 6; do start_agent "$n"; done
for v in 1 2 3; do
    make_app "$v"
    make_hook "$WORK/app@$v" apply "while [ -e '$WORK/hold' ]; do sleep 0.1; done
echo \"\$DUNLIN_VERSION\" >>\"\$DUNLIN_DATA/applied\""
    push_app "$v" >/dev/null || fail "version $v is not taken"
done
for name in app base; do
    dunlin deploy app@1 --as "$name" --select site=pier >"$WORK/out" || fail "$name is not deployed"
    ! grep -q budgets "$WORK/out" || fail "there is no budget, but: $(cat "$WORK/out")"
done
arrives

step "a budget is set, changed and wrongly used"
dunlin budget list | grep -q "no budgets" || fail "$(dunlin budget list)"
refused "whose agents" dunlin budget set pier --max 1
refused "how many may be out" dunlin budget set pier --select site=pier
refused "would stop everything" dunlin budget set pier --select site=pier --max 0
refused "more than all" dunlin budget set pier --select site=pier --max 101%
refused "a number of agents" dunlin budget set pier --select site=pier --max some
refused "there is no group" dunlin budget set pier --select @none --max 1
refused "there is no budget quay" dunlin budget show quay
refused "there is no budget quay" dunlin budget remove quay
dunlin budget set pier --select site=pier --max 50% | grep -qF "2 of 4 agents may be out" || fail "it isn't set"
dunlin budget set pier --select site=pier --max 1 | grep -qF "1 of 4 agents may be out" || fail "it isn't changed"
dunlin budget set pier --select site=pier --max 1 | grep -qF "nothing to change" || fail "it is changed again"

step "two deployments want to go on at the same time, and one agent of the pier does"
touch "$WORK/hold"
dunlin deploy app@2 --as app --select site=pier >"$WORK/out" || fail "no version 2"
grep -qF "it goes in one stage, as budgets let it: pier" "$WORK/out" || fail "not said: $(cat "$WORK/out")"
dunlin deploy app@2 --as base --select site=pier --dry-run --json | jq -e '.budgets == ["pier"]' >/dev/null ||
    fail "$(dunlin deploy app@2 --as base --select site=pier --dry-run --json)"
dunlin deploy app@2 --as base --select site=pier --json | jq -e '.implied and .budgets == ["pier"]' >/dev/null || fail "not said"
dunlin deploy app@2 --as base --select site=pier | grep -q "nothing to change" || fail "the same is a change"
within 30 takes 1 || fail "$(dunlin budget list)"
within 30 is_used_up || fail "nobody waits: $(dunlin rollout show app; dunlin rollout show base)"
waits=$(waiting)
dunlin budget list --json | jq -e '.budgets | length == 1 and .[0].allowed == 1 and .[0].agents == 4 and
    (.[0].deployments | length) == 1 and (.[0].holders | length) == 1' >/dev/null || fail "$(dunlin budget list --json)"
for name in $waits; do
    dunlin deployment list | grep -q "for budget pier" || fail "$(dunlin deployment list)"
    dunlin rollout show "$name" | grep -qE "waits for budget pier: 1 of at most 1 agents is out of Ready, by agent [1-4] \(" ||
        fail "$(dunlin rollout show "$name")"
    dunlin why 1 "$name" >"$WORK/out"
    dunlin why 2 "$name" >>"$WORK/out"
    grep -q "budget pier: 1 of at most 1" "$WORK/out" || fail "$(cat "$WORK/out")"
done
[ $(($(begun app 2) + $(begun base 2))) = 0 ] || fail "somebody went on in spite of its hook"

step "a manager that is killed keeps it"
kill_manager -KILL
# shellcheck disable=SC2119
start_manager
[ "$(budget '"\(.max) \(.allowed) \(.select)"')" = "1 1 site=pier" ] || fail "$(dunlin budget list)"
within 30 takes 1 || fail "$(dunlin budget list)"
for _ in $(seq 20); do
    [ "$(budget .out)" -le 1 ] || fail "$(dunlin budget show pier)"
    sleep 0.1
done

step "one by one all of them come through"
rm "$WORK/hold"
most=0
for _ in $(seq 600); do
    out=$(budget .out)
    [ "$out" -le "$most" ] || most=$out
    if dunlin status --json | jq -e '[.deployments[] | .ready == .targets and .stage == null] | all' >/dev/null; then
        break
    fi
    sleep 0.1
done
[ "$most" -le 1 ] || fail "$most were out at the same time"
arrives
within 10 takes 0 || fail "$(dunlin budget show pier)"

step "what other labels bring waits for it as well, and who waits is told what for"
touch "$WORK/hold"
dunlin agent label --select site=hill site=pier >/dev/null || fail "they stay on the hill"
within 30 one_waits || fail "$(dunlin budget show pier)"
for n in 5 6; do
    dunlin why "$n" app || true
done >"$WORK/out"
grep -q "version 2 waits for room in budget pier: 1 of at most 1 agents is out of Ready" "$WORK/out" ||
    fail "not said: $(cat "$WORK/out")"
dunlin rollout show app | grep -q "1 agent waits for room in a budget" ||
    dunlin rollout show base | grep -q "1 agent waits for room in a budget" || fail "$(dunlin rollout show app)"
rm "$WORK/hold"
for _ in $(seq 300); do
    [ "$(budget .out)" -le 1 ] || fail "$(dunlin budget show pier)"
    ! dunlin status --json | jq -e '[.deployments[] | .targets == 6 and .ready == 6] | all' >/dev/null || break
    sleep 0.1
done
arrives
within 10 takes 0 || fail "$(dunlin budget show pier)"

step "without the budget all go at once, and the log tells who said so"
dunlin budget remove pier >/dev/null || fail "it stays"
dunlin deploy app@3 --as app --select site=pier >"$WORK/out" || fail "no version 3"
! grep -q budget "$WORK/out" || fail "$(cat "$WORK/out")"
dunlin wait app --timeout 120s >/dev/null || fail "version 3 does not arrive"
dunlin audit --json | jq -e '[.audit[] | select(.object == "budget pier") | .action] | sort ==
    ["budget-remove", "budget-set", "budget-set"]' >/dev/null || fail "$(dunlin audit | tail -n 5)"

done_well
