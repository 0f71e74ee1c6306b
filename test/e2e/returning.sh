#!/bin/bash
# Agents that were off when a gate moved come back together: no more of them are at work at a time than the deployment's
# file says, be the rollout over and the manager killed. Those that are in touch are not held up by that.
. "$(dirname "$0")/lib.sh"
need jq

AWAY="3 4 5 6 7"

# plan V [LIMIT]: version V for all, at most LIMIT of those that come back at a time.
plan()
{
    cat <<EOF
deployment: app
bundle: app@$1
placement:
  select: site=port
rollout:
  reachable_within: 1s
  returning: ${2:-2}
  stages:
    - {name: all, select: site=port}
EOF
}

# A version whose hook leaves a mark when it begins and when it ends, and waits for the file go-V between.
make_version()
{
    make_app "$1"
    make_hook "$WORK/app@$1" apply "echo \"begin \$DUNLIN_VERSION \$DUNLIN_DATA\" >>'$WORK/marks'
until [ -e '$WORK/go-$1' ]; do sleep 0.1; done
echo \"end \$DUNLIN_VERSION \$DUNLIN_DATA\" >>'$WORK/marks'"
    push_app "$1" >/dev/null || fail "version $1 is not taken"
}

# marked WORD V N: so many have left that mark.
marked()
{
    [ "$(grep -c "^$1 $2 " "$WORK/marks")" = "$3" ]
}

# most_at_once V: by the marks.
most_at_once()
{
    awk -v v="$1" '$2 == v { n += $1 == "begin" ? 1 : -1; if (n > most) most = n } END { print most + 0 }' "$WORK/marks"
}

# takes JQ VALUE: of the places of those that come back.
takes()
{
    [ "$(dunlin rollout show app --json | jq -c ".returning | $1")" = "$2" ]
}

# waits_for_place: numbers of those that say so.
waits_for_place()
{
    for n in $AWAY; do
        [ "$(dunlin why "$n" app --json | jq -r .reason)" != returning ] || echo "$n"
    done
}

# waiters N: so many say so, since those that were told that they may begin say that they do.
waiters()
{
    [ "$(waits_for_place | wc -l)" = "$1" ]
}

# ended_elsewhere: all that came back but the killed one have.
ended_elsewhere()
{
    [ "$(grep "^end 2 " "$WORK/marks" | grep -vc "agent$n/")" = 4 ]
}

step "7 agents run version 1, and 5 of them are killed"
# shellcheck disable=SC2119
start_manager
for n in 1 2 3 4 5 6 7; do join_agent "$n" site=port; done
for n in 1 2 3 4 5 6 7; do start_agent "$n"; done
touch "$WORK/marks"
for v in 1 2 3; do make_version "$v"; done
touch "$WORK/go-1"
plan 1 >"$WORK/plan"
dunlin deploy "$WORK/plan" >/dev/null || fail "version 1 is not deployed"
dunlin wait app --timeout 240s >/dev/null || fail "version 1 does not arrive: $(dunlin rollout show app)"
for n in $AWAY; do kill_agent "$n" -9; done
within 30 online 2 || fail "they are there: $(dunlin agent list)"

step "the file's key is known, and wrong values are not"
plan 2 0 >"$WORK/plan"
refused "returning: with none nobody ever gets the version" dunlin deploy "$WORK/plan"
plan 2 lots >"$WORK/plan"
refused "returning: \"lots\" is neither a number of agents" dunlin deploy "$WORK/plan"
plan 2 >"$WORK/plan"
dunlin deploy "$WORK/plan" --dry-run >/dev/null || fail "it can't be tried"
dunlin deploy "$WORK/plan" >/dev/null || fail "version 2 is not deployed"
dunlin deployment show app --json | jq -e '.rollout.returning | tostring == "2"' >/dev/null ||
    fail "$(dunlin deployment show app --json)"

step "those that are there begin together, and the rollout ends without the others"
within 30 marked begin 2 2 || fail "$(cat "$WORK/marks")"
touch "$WORK/go-2"
within 30 marked end 2 2 || fail "$(cat "$WORK/marks")"
within 30 takes . '{"places":2,"taken":0,"waiting":0}' || fail "$(dunlin rollout show app --json)"
rm "$WORK/go-2" "$WORK/marks"
touch "$WORK/marks"

step "5 come back at once: 2 begin, and 3 are told what they wait for"
for n in $AWAY; do start_agent "$n"; done
within 60 takes . '{"places":2,"taken":2,"waiting":3}' || fail "$(dunlin rollout show app --json)"
within 30 marked begin 2 2 || fail "$(cat "$WORK/marks")"
dunlin rollout show app | grep -qx "2 of 2 places for those that come back taken; 3 agents wait for one" ||
    fail "$(dunlin rollout show app)"
within 30 waiters 3 || fail "$(waits_for_place)"
n=$(waits_for_place | head -n 1)
dunlin why "$n" app | grep -qF "it comes back behind an open gate; version 2 waits for one of the 2 places for those that \
come back; 3 wait" || fail "$(dunlin why "$n" app)"

step "a manager that is killed knows who has a place"
kill_manager -9
# shellcheck disable=SC2119
start_manager
within 30 takes . '{"places":2,"taken":2,"waiting":3}' || fail "$(dunlin rollout show app --json)"
within 30 online 7 || fail "$(dunlin agent list)"
marked begin 2 2 || fail "$(cat "$WORK/marks")"

step "one that has a place is killed: it is another one's"
within 30 waiters 3 || fail "$(waits_for_place)"
for n in $AWAY; do
    waits_for_place | grep -qx "$n" || break
done
kill_agent "$n" -9
within 60 takes . '{"places":2,"taken":2,"waiting":2}' || fail "$(dunlin rollout show app --json)"
within 30 marked begin 2 3 || fail "$(cat "$WORK/marks")"

step "as they end, the others begin, and all get there"
touch "$WORK/go-2"
within 60 ended_elsewhere || fail "$(cat "$WORK/marks")"
sed -i "/agent$n\//d" "$WORK/marks" # what it had begun it ends as it likes
[ "$(most_at_once 2)" = 2 ] || fail "$(most_at_once 2) at once: $(cat "$WORK/marks")"
start_agent "$n"
within 60 app_is 2 1 2 3 4 5 6 7 || fail "$(dunlin agent list)"
within 30 takes . '{"places":2,"taken":0,"waiting":0}' || fail "$(dunlin rollout show app --json)"

step "those that are in touch are not held up"
plan 3 >"$WORK/plan"
dunlin deploy "$WORK/plan" >/dev/null || fail "version 3 is not deployed"
within 60 marked begin 3 7 || fail "$(cat "$WORK/marks"); $(dunlin rollout show app)"
touch "$WORK/go-3"
dunlin wait app --timeout 240s >/dev/null || fail "version 3 does not arrive: $(dunlin rollout show app)"

done_well
