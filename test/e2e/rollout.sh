#!/bin/bash
# A new version stage by stage with real agents: approval before the last stage, a version that fails
# and stops it, a retry, an abort, a rollback, and a manager that is killed in the middle.
. "$(dirname "$0")/lib.sh"
need jq script

PLAN=$ROOT/examples/rollouts/three-stages.yaml
STAGING=(1 2)
CANARY=(3 4)
PROD=(5 6 7 8)

# rollout JQ: something of it.
rollout()
{
    dunlin rollout show app --json | jq -r "$1"
}

# rollout_is JQ VALUE: that it is so.
rollout_is()
{
    [ "$(rollout "$1")" = "$2" ]
}

# waits_in STAGE FOR: it does.
waits_in()
{
    rollout_is '.stage + " " + .waits_for.what' "$1 $2"
}

# counts STAGE: members, ready and failed ones.
counts()
{
    rollout ".stages[] | select(.name == \"$1\") | \"\(.members) \(.ready) \(.failed)\""
}

# version V: the plan with that version, in a file.
version()
{
    sed "s/app@2/app@$1/" "$PLAN" >"$WORK/app@$1.yaml"
    echo "$WORK/app@$1.yaml"
}

# breakable V: its hook fails while there is $WORK/broken.
breakable()
{
    make_app "$1"
    make_hook "$WORK/app@$1" apply "[ ! -e '$WORK/broken' ]; echo \"\$DUNLIN_VERSION\" >>\"\$DUNLIN_DATA/applied\""
    push_app "$1" >/dev/null || fail "version $1 is not taken"
}

# none_has V AGENT...: none of them ever ran it.
none_has()
{
    has=$1
    shift
    for number; do
        ! grep -qx "$has" "$WORK/agent$number/deployments/app/data/applied" || return 1
    done
}

# says WORDS: $WORK/out holds them.
says()
{
    grep -qF -- "$1" "$WORK/out" || fail "not printed: $1; but: $(cat "$WORK/out")"
}

step "8 agents run version 1, without stages"
# shellcheck disable=SC2119
start_manager
for n in "${STAGING[@]}"; do join_agent "$n" env=staging; done
for n in "${CANARY[@]}"; do join_agent "$n" env=canary; done
for n in "${PROD[@]}"; do join_agent "$n" env=prod; done
for n in "${STAGING[@]}" "${CANARY[@]}" "${PROD[@]}"; do start_agent "$n"; done
release 1 "env in (staging, canary, prod)"
dunlin wait app --timeout 120s >/dev/null || fail "version 1 does not arrive"
rollout_is '.staged' false || fail "a deployment without a plan is staged"
refused "has no stages" dunlin rollout approve app prod
refused "has no stages" dunlin rollout abort app

step "what the file would change is shown, and nothing is changed"
make_app 2 && push_app 2 >/dev/null
dunlin deploy "$PLAN" --dry-run >"$WORK/out" || fail "no dry run"
says "app would change, for 8 of 8 agents"
says "app@1"
says "rollout: stage prod: before: approval"
says "staging, canary, prod"
says " compressed, lists of chunks included"
says "not known yet"
grep -q '^prod .*  your approval$' "$WORK/out" || fail "it does not say what prod waits for: $(cat "$WORK/out")"
dunlin deploy "$PLAN" --dry-run --json | jq -e '.targets == 8 and .touched == 8 and .leaving == 0 and
    (.stages | map(.members)) == [2, 2, 4, 0] and .confirm == null and
    (.stages | map(.before.approval)) == [false, false, true, false] and .window == null and
    .stages[1].after == {approval: false, wait_s: 2} and
    (.transfer | .chunks - .held_chunks | . == 1 or . == 2) and .transfer.fetch_bytes < .transfer.packed_bytes and
    (.stages | map(.fetch_bytes)) == (.transfer.fetch_bytes | [2 * ., 2 * ., 4 * ., 0]) and
    .transfer.all_bytes == 8 * .transfer.fetch_bytes and .away == null' >/dev/null || fail "$(dunlin deploy "$PLAN" --dry-run --json)"
dunlin deployment diff app "$PLAN" >"$WORK/out" && says "rollout: stages"
rollout_is '.version + " \(.staged)"' "1 false" || fail "a dry run has changed something"

step "version 2 goes through staging and canary, and waits for approval before prod"
dunlin deploy "$PLAN" >/dev/null || fail "the plan is not taken"
dunlin rollout show app --watch >"$WORK/watched.log" 2>&1 &
watcher=$!
TERM=xterm script -qec "stty cols 100; dunlin rollout show app --watch" "$WORK/terminal.log" >/dev/null 2>&1 &
terminal=$!
within 30 waits_in prod approval || fail "it does not come to prod: $(rollout .)"
app_is 2 "${STAGING[@]}" "${CANARY[@]}" || fail "who is let in does not run version 2"
none_has 2 "${PROD[@]}" || fail "prod has begun without approval"
rollout_is '[.stages[].state] | join(" ")' "done done waits pending" || fail "$(rollout .stages)"
rollout_is '.from' 1 || fail "it does not say from where"
dunlin rollout show app >"$WORK/out" && says "stage prod waits for approval: dunlin rollout approve app prod"
dunlin status >"$WORK/out" && says "rollout of app: stage prod waits for approval"
dunlin why "${PROD[0]}" app >"$WORK/out" && says "it waits for its turn in stage prod of the rollout of version 2"
says "dunlin rollout approve app prod"
dunlin deployment list >"$WORK/out" && says "4 of 8 ready, 4 pending"
says "stage prod waiting"
make_app 9 && push_app 9 >/dev/null
dunlin deploy "$(version 9)" --dry-run >"$WORK/out" || fail "a version on the way keeps another from being tried"
says "version 2 is on its way, in stage prod: this one would "
refused "is over" dunlin rollout approve app staging
refused "no stage nowhere" dunlin rollout approve app nowhere

step "the manager is killed while it waits, and waits on; paused it stays paused"
dunlin rollout pause app >/dev/null
dunlin rollout approve app prod >/dev/null || fail "the approval is refused"
kill_manager -KILL
# shellcheck disable=SC2119
start_manager
rollout_is '.state + " " + .stage + " \(.paused)"' "paused prod true" || fail "$(rollout .)"
none_has 2 "${PROD[@]}" || fail "prod has begun while it was paused"
dunlin rollout resume app >"$WORK/out" || fail "it can't be resumed"
dunlin wait app --timeout 120s >"$WORK/out" 2>&1 || fail "it is not done: $(cat "$WORK/out")"
says "8 of 8 ready"
app_is 2 "${PROD[@]}" || fail "prod does not run version 2"
wait "$watcher" || fail "watching failed: $(cat "$WORK/watched.log")"
grep -q "8 of 8 ready" "$WORK/watched.log" || fail "watched: $(cat "$WORK/watched.log")"
wait "$terminal" || fail "watching on a terminal failed: $(cat "$WORK/terminal.log")"
# Without its colours and movements. 40 signs are a bar.
sed 's/\x1b\[[0-9;]*[A-Za-z]//g; s/\r//g' "$WORK/terminal.log" >"$WORK/out"
says "stage prod waits for approval: dunlin rollout approve app prod"
says "prod     [........................................]  0/4 waits"
says "canary   [########################################]  2/2 done"
says "prod     [########################################]  4/4 done"
grep -qE '^[0-9.]+ agents a minute' "$WORK/out" || fail "no rate on a terminal: $(cat "$WORK/out")"
rollout_is '[.stages[].state] | unique | join(" ")' "done" || fail "$(rollout .stages)"
[ "$(counts prod)" = "4 4 0" ] || fail "$(rollout .stages)"

step "version 3 fails in staging, and goes no further"
breakable 3
dunlin deploy "$(version 3)" --dry-run >"$WORK/out" && says ", as the last time"
touch "$WORK/broken"
dunlin deploy "$(version 3)" >/dev/null
refused "1 failed; the rollout is stopped in stage staging" dunlin wait app --timeout 100s
within 5 rollout_is .state stopped || fail "it is not stopped"
! dunlin rollout show app --watch --json >"$WORK/out" 2>/dev/null || fail "watched with --json, a stopped one ends well"
jq -e '.state == "stopped"' "$WORK/out" >/dev/null || fail "no document: $(cat "$WORK/out")"
none_has 3 "${STAGING[@]}" "${CANARY[@]}" "${PROD[@]}" || fail "somebody runs it"
dunlin why "${PROD[0]}" app >"$WORK/out" && says "stage staging is stopped" && says "it runs version 2"
dunlin status >"$WORK/out" && says "rollout of app: stage staging is stopped"
dunlin audit >"$WORK/out" && says "too many agents failed in stage staging"
[ "$(counts staging)" = "2 0 1" ] || fail "more than one of staging began: $(rollout .stages)"

step "with the cause mended it is retried, and stops in prod when it is aborted there"
rm "$WORK/broken"
dunlin rollout retry app >/dev/null || fail "no retry"
within 30 waits_in prod approval || fail "the retry does not come to prod: $(rollout .)"
app_is 3 "${STAGING[@]}" "${CANARY[@]}" || fail "who is let in does not run version 3"
dunlin rollout abort app >"$WORK/out" || fail "no abort"
says "nobody else gets it"
refused "was aborted in stage prod" dunlin wait app
refused "was aborted" dunlin rollout approve app prod
app_is 2 "${PROD[@]}" || fail "prod runs something else than version 2"
dunlin why "${PROD[0]}" app >"$WORK/out" && says "version 3 was aborted before it came to it; it runs version 2"

step "rolled back, everybody runs version 2"
dunlin rollout rollback app >/dev/null || fail "no rollback"
dunlin wait app --timeout 120s >/dev/null || fail "it is not rolled back: $(rollout .)"
app_is 2 "${STAGING[@]}" "${CANARY[@]}" "${PROD[@]}" || fail "somebody does not run version 2"

step "an agent that is away stops nothing; the manager is killed in the middle of a stage"
kill_agent 2 -KILL
breakable 4
sed 's/max_failed: 0/reachable_within: 1s/' "$(version 4)" >"$WORK/away.yaml"
within 20 online 7 || fail "agent 2 is not missed"
dunlin deploy "$WORK/away.yaml" >/dev/null
within 20 rollout_is .stage canary || fail "it does not leave staging: $(rollout .)"
kill_manager -KILL
# shellcheck disable=SC2119
start_manager
within 30 waits_in prod approval || fail "it does not go on: $(rollout .)"
dunlin rollout approve app prod >/dev/null
dunlin wait app --timeout 120s >/dev/null || fail "it is not done: $(rollout .)"
[ "$(counts staging)" = "2 1 0" ] || fail "$(rollout .stages)"
start_agent 2
within 30 app_is 4 "${STAGING[@]}" "${CANARY[@]}" "${PROD[@]}" || fail "who comes back does not catch up"

step "a stage whose agents are all away says so, and goes on when its time is over"
for n in "${STAGING[@]}"; do kill_agent "$n" -KILL; done
breakable 5
sed 's/max_failed: 0/reachable_within: 1s\n  wait_for_first: 15s/' "$(version 5)" >"$WORK/first.yaml"
within 20 online 6 || fail "agents 1 and 2 are not missed"
dunlin deploy "$WORK/first.yaml" >/dev/null
within 10 waits_in staging reach || fail "it does not wait: $(rollout .)"
dunlin rollout show app >"$WORK/out"
says "stage staging waits for its first agent that is ready, and none is in reach, for another "
# The list tells what the manager saw when it looked last, up to a second ago.
listed_as_waiting()
{
    dunlin deployment list | grep -q "stage staging waiting"
}
within 10 listed_as_waiting || fail "the list does not tell: $(dunlin deployment list)"
within 30 waits_in prod approval || fail "it does not go on: $(rollout .)"
[ "$(counts staging)" = "2 0 0" ] || fail "$(rollout .stages)"
dunlin rollout approve app prod >/dev/null
dunlin wait app --timeout 120s >/dev/null || fail "it is not done: $(rollout .)"
dunlin rollout show app >"$WORK/out" && says "version 5 is over; who is away gets it on coming back"
for n in "${STAGING[@]}"; do start_agent "$n"; done
within 30 app_is 5 "${STAGING[@]}" || fail "who comes back does not catch up"

step "what is paused when it is over says so"
dunlin rollout pause app >"$WORK/out" && says "version 5 is over, and app is paused: dunlin rollout resume app"
dunlin rollout show app >"$WORK/out" && says "version 5 is over, and app is paused"
refused "nobody has failed by version 5 of app: there is nobody to retry" dunlin rollout retry app
dunlin rollout show app >"$WORK/out" && says "version 5 is over, and app is paused"
dunlin rollout resume app >"$WORK/out" || fail "it can't be resumed"
! grep -q paused "$WORK/out" || fail "it is resumed, and says: $(cat "$WORK/out")"
dunlin wait app --timeout 120s >/dev/null || fail "it is not done: $(rollout .)"

step "no more are let in than the rate says, also when the manager is killed"
breakable 6
sed 's|max_failed: 0|rate: 1/1h|' "$(version 6)" >"$WORK/rate.yaml"
dunlin deploy "$WORK/rate.yaml" --dry-run >"$WORK/out" && says "at least 1h, which it waits"
dunlin deploy "$WORK/rate.yaml" >/dev/null || fail "no rate is taken"
# whys: why each of staging runs what it runs.
whys()
{
    for number in "${STAGING[@]}"; do dunlin why "$number" app --json | jq -r .reason; done | sort | xargs
}
one_is_held()
{
    waits_in staging rate && [ "$(whys)" = "rate ready" ]
}
within 30 one_is_held || fail "it is not held: $(whys), $(rollout .)"
kill_manager -KILL
# shellcheck disable=SC2119
start_manager
within 30 one_is_held || fail "it is not held any more: $(whys), $(rollout .)"
dunlin rollout show app >"$WORK/out" && says "stage staging is held by rate 1/1h until "
for number in "${STAGING[@]}"; do dunlin why "$number" app; done >"$WORK/out"
says "it waits for its turn in stage staging of the rollout of version 6, held by rate 1/1h until "

step "what is set on the way holds, also when the manager is killed, until the next version"
dunlin rollout set app --rate none >"$WORK/out" || fail "no rate is set"
says "set on the way: rate none"
kill_manager -KILL
# shellcheck disable=SC2119
start_manager
within 30 waits_in prod approval || fail "it does not go on: $(rollout .)"
rollout_is '.set | tojson' '[{"stage":null,"rate":"none"}]' || fail "forgotten: $(rollout .set)"
dunlin rollout set app --stage prod --concurrency 1 --max-failed 25% >/dev/null || fail "nothing is set of a stage"
dunlin rollout show app >"$WORK/out" && says "set on the way: rate none; stage prod: max_failed 25%, concurrency 1"
dunlin deploy "$WORK/rate.yaml" --json | jq -e '.changed | not' >/dev/null || fail "the file that is followed is taken for another one"
refused "has begun" dunlin rollout set app --start now
refused "staging is over" dunlin rollout set app --stage staging --rate 1/1h
dunlin audit >"$WORK/out" && says "stage=prod max_failed=25% concurrency=1"
dunlin rollout set app --returning 2 --quorum 90% --deadline 1h >"$WORK/out" || fail "nothing more is set of the whole"
says "set on the way: rate none, returning 2, quorum 90%, deadline 1h; stage prod: "
refused "returning: is of the whole rollout" dunlin rollout set app --stage prod --returning 3
dunlin rollout set app --returning none --quorum 100% --deadline none >"$WORK/out" || fail "it is not taken back"
! grep -q deadline "$WORK/out" || fail "what is as in the file is said: $(cat "$WORK/out")"
dunlin audit >"$WORK/out" && says "returning=2 quorum=90% deadline=1h"

step "a rollout that starts tomorrow waits, and can be aborted"
breakable 7
tomorrow=$(date -u -d tomorrow +%FT02:00:00Z)
sed "s|start: .*|start: $tomorrow|; s|app@2|app@7|" "$ROOT/examples/rollouts/campaign.yaml" >"$WORK/campaign.yaml"
dunlin deploy "$WORK/campaign.yaml" --dry-run >"$WORK/out" || fail "no campaign"
says "rollout: stage canary: max_failed"
says "at $tomorrow, in "
sed "s|max_failed: 0|start: $tomorrow|" "$(version 7)" >"$WORK/start.yaml"
dunlin deploy "$WORK/start.yaml" --dry-run >"$WORK/out" && says "at $tomorrow, in "
dunlin deploy "$WORK/start.yaml" >/dev/null || fail "no start is taken"
within 10 waits_in staging time || fail "it does not wait: $(rollout .)"
rollout_is '.start + " " + .waits_for.until' "$tomorrow $tomorrow" || fail "$(rollout .)"
dunlin rollout show app >"$WORK/out" && says "stage staging begins at $tomorrow, in "
dunlin why 1 app >"$WORK/out" && says "stage staging begins at $tomorrow, in "
later=$(date -u -d "2 days" +%FT02:00:00Z)
dunlin rollout set app --start "$later" >"$WORK/out" || fail "no later start is taken"
says "stage staging begins at $later, in "
says "set on the way: start $later"
dunlin rollout abort app >/dev/null || fail "no abort before it starts"
none_has 7 "${STAGING[@]}" "${CANARY[@]}" "${PROD[@]}" || fail "somebody runs it"
dunlin rollout rollback app --to 5 >/dev/null || fail "no rollback"
dunlin wait app --timeout 120s >/dev/null || fail "it does not go back: $(rollout .)"

step "what leaves a deployment without agents takes --confirm"
sed 's/env in (staging, canary, prod)/env=nowhere/' "$(version 4)" >"$WORK/nowhere.yaml"
refused "no agents any more: 8 take it off: if this is meant, say --confirm" dunlin deploy "$WORK/nowhere.yaml"
dunlin deploy "$WORK/nowhere.yaml" --dry-run >"$WORK/out"
says "it takes --confirm"
says "8 agents: 1 2 3 4 5 6 7 8"
dunlin deploy "$WORK/nowhere.yaml" --dry-run --json |
    jq -e '.leaving_agents == [1, 2, 3, 4, 5, 6, 7, 8] and .joining_agents == []' >/dev/null || fail "not named"
dunlin deploy "$WORK/nowhere.yaml" --confirm >/dev/null || fail "not even when it is confirmed"
within 20 test -e "$WORK/agent8/removed" || fail "the agents keep it"

step "exactly so many are picked, who leaves is replaced, and who is in stays in"
# has_probe AGENT...: those of them that run it.
has_probe()
{
    for number; do
        [ ! -e "$WORK/agent$number/deployments/probe/current" ] || printf '%s ' "$number"
    done
}
ready_are()
{
    [ "$(dunlin deployment show probe --json | jq -r '"\(.targets) \(.ready)"')" = "$1 $1" ]
}
picked_are()
{
    [ "$(has_probe 1 2 3 4 5 6 7 8 | wc -w)" = "$1" ] && ready_are "$1"
}
dunlin deploy app@4 --as probe --select 'env=prod | env=canary except env=staging' --pick 3 >/dev/null
within 20 picked_are 3 || fail "picked: $(has_probe 1 2 3 4 5 6 7 8)"
[ "$(dunlin deployment show probe --json | jq -r .pick)" = 3 ] || fail "the pick is not shown"
dunlin deploy app@4 --as probe --select 'env=prod | env=canary except env=staging' --pick '2 of each env' >/dev/null
within 20 picked_are 4 || fail "picked: $(has_probe 1 2 3 4 5 6 7 8)"
dunlin deploy app@4 --as probe --all --pick 5 >/dev/null
within 20 picked_are 5 || fail "picked: $(has_probe 1 2 3 4 5 6 7 8)"
first=$(has_probe 1 2 3 4 5 6 7 8)
out=${first%% *}
dunlin agent remove "$out" >/dev/null || fail "agent $out is not removed"
within 20 ready_are 5 || fail "who left is not replaced: $(dunlin deployment show probe)"
for number in $first; do
    [ "$number" = "$out" ] || [ -n "$(has_probe "$number")" ] || fail "agent $number was pushed out"
done
done_well
