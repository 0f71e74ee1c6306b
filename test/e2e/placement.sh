#!/bin/bash
# Whom a deployment is for, with real agents: by name, by group, in spite of taints; a pick that passes cordoned ones by;
# and a manager that is killed after each of these knows them all again.
. "$(dirname "$0")/lib.sh"

# runs NAME AGENT...: all of them have a tree of the deployment.
runs()
{
    what=$1
    shift
    for number; do
        [ -e "$WORK/agent$number/deployments/$what/current" ] || return 1
    done
}

# runs_not NAME AGENT...: none of them has.
runs_not()
{
    what=$1
    shift
    for number; do
        [ ! -e "$WORK/agent$number/deployments/$what/current" ] || return 1
    done
}

# only NAME AGENT...: these have it, all others have not, and the manager counts as many as Ready.
only()
{
    whom=$1
    shift
    others=$(printf '%s\n' 1 2 3 4 5 6 | grep -vxF "$(printf '%s\n' "$@")")
    # shellcheck disable=SC2086
    runs "$whom" "$@" && runs_not "$whom" $others &&
        [ "$(dunlin deployment show "$whom" --json | jq -r '"\(.targets) \(.ready)"')" = "$# $#" ]
}

# killed: the manager, and it is back.
killed()
{
    kill_manager -KILL
    # shellcheck disable=SC2119
    start_manager
}

# why AGENT NAME REASON: the reason's name is that.
why()
{
    [ "$(dunlin why "$1" "$2" --json | jq -r .reason)" = "$3" ] || fail "$(dunlin why "$1" "$2" --json)"
}

step "6 agents in two places"
# shellcheck disable=SC2119
start_manager
for n in 1 2 3; do join_agent "$n" site=harbour; done
for n in 4 5 6; do join_agent "$n" site=pier; done
for n in 1 2 3 4 5 6; do start_agent "$n"; done
make_app 1
push_app 1 >/dev/null || fail "no bundle"

step "a deployment is for those that are named, and for no others"
id=$(agent 5 .id)
refused "exclude each other" dunlin deploy app@1 --as named --agents 1 --all
refused "no agent 77" dunlin deploy app@1 --as named --agents 77
dunlin deploy app@1 --as named --agents "2,$id" >"$WORK/out" || fail "it is not taken"
grep -qF "for 2 agents" "$WORK/out" || fail "$(cat "$WORK/out")"
within 30 only named 2 5 || fail "$(dunlin deployment show named)"
why 1 named not-named
cat >"$WORK/named.yaml" <<END
deployment: named
bundle: app@1
placement:
  agents: [2, 3]
END
dunlin deploy "$WORK/named.yaml" --dry-run --json | jq -e '.targets == 2 and .joining == 1 and .leaving == 1' >/dev/null ||
    fail "$(dunlin deploy "$WORK/named.yaml" --dry-run --json)"
dunlin deployment diff named "$WORK/named.yaml" --json |
    jq -e '[.changes[] | "\(.what): \(.from) \(.to)"] == ["agents: 2, 5 2, 3"]' >/dev/null ||
    fail "$(dunlin deployment diff named "$WORK/named.yaml")"
dunlin deploy "$WORK/named.yaml" >/dev/null || fail "the file is not taken"
within 30 only named 2 3 || fail "$(dunlin deployment show named)"
killed
dunlin deploy "$WORK/named.yaml" | grep -qF "nothing to change" || fail "it has forgotten whom it is for"
only named 2 3 || fail "a restart has changed it"

step "names come on top of a selector, and what is excluded is out by name as well"
cat >"$WORK/both.yaml" <<END
deployment: both
bundle: app@1
placement:
  select: site=pier
  agents: [2, 4]
END
dunlin deploy "$WORK/both.yaml" >/dev/null || fail "not both"
within 30 only both 2 4 5 6 || fail "$(dunlin deployment show both)"
dunlin deployment show both | grep -q "where  *site=pier, and 2 agents by name" || fail "$(dunlin deployment show both)"
why 1 both not-selected
echo "  exclude: site=harbour" >>"$WORK/both.yaml"
dunlin deploy "$WORK/both.yaml" >/dev/null || fail "nothing can be excluded"
within 30 only both 4 5 6 || fail "$(dunlin deployment show both)"
killed
only both 4 5 6 || fail "a restart has changed it"
dunlin deployment remove both >/dev/null

step "it is for a selector, and then for some of them by name, who don't notice"
before=$(cat "$WORK/agent2/deployments/named/data/applied")
dunlin deploy app@1 --as named --select site=harbour >/dev/null || fail "no selector instead of names"
within 30 only named 1 2 3 || fail "$(dunlin deployment show named)"
dunlin deploy app@1 --as named --agents 1,2 >/dev/null || fail "no names instead of a selector"
within 30 only named 1 2 || fail "$(dunlin deployment show named)"
[ "$(cat "$WORK/agent2/deployments/named/data/applied")" = "$before" ] || fail "who stays has been disturbed"

step "a group is what it selects now"
refused "no group quay" dunlin deploy app@1 --as grouped --select @quay
dunlin group create quay --select site=harbour >/dev/null || fail "no group"
dunlin group create water --select '@quay | site=pier' >/dev/null || fail "no group of a group"
for group in @quay '!@quay'; do # of the first is 1, of the other 4
    dunlin deploy app@1 --as moored --select "$group" >/dev/null
    number=$([ "$group" = @quay ] && echo 4 || echo 1)
    is=$([ "$group" = @quay ] && echo "is not of" || echo "is of")
    dunlin why "$number" moored | grep -qF "it $is group quay, and the selector asks for $group" ||
        fail "$(dunlin why "$number" moored)"
done
dunlin deployment remove moored --confirm >/dev/null
refused "part of itself" dunlin group create quay --select @water
dunlin deploy app@1 --as grouped --select @quay >/dev/null || fail "it can't be deployed to"
within 30 only grouped 1 2 3 || fail "$(dunlin deployment show grouped)"
dunlin group create quay --select site=pier >/dev/null || fail "it can't be changed"
within 30 only grouped 4 5 6 || fail "$(dunlin deployment show grouped)"
killed
[ "$(dunlin group list --json | jq -r '.groups | map("\(.name) \(.agents) \(.deployments)") | join(",")')" = "quay 3 1,water 3 0" ] ||
    fail "$(dunlin group list)"
[ "$(dunlin agent list --select '!@quay' --json | jq '.agents | length')" = 3 ] || fail "agents aren't found by group"
refused "deployment grouped selects by" dunlin group remove quay
dunlin deployment remove grouped >/dev/null
for group in water quay; do
    dunlin group remove "$group" >/dev/null || fail "a group that nothing names can't be removed"
done

step "a taint lets nothing come, or takes off what is there"
dunlin deploy app@1 --as base --all >/dev/null || fail "no base"
within 30 only base 1 2 3 4 5 6 || fail "$(dunlin deployment show base)"
refused "no taint" dunlin agent taint 4 gpu
refused "agent untaint" dunlin agent taint 4 gpu-
dunlin agent taint 4 gpu=yes:NoSchedule >"$WORK/out" || fail "no taint"
grep -qF "gpu=yes:NoSchedule" "$WORK/out" || fail "$(cat "$WORK/out")"
refused "named would have no agents any more: 2 take it off: if this is meant, say --confirm" \
    dunlin agent taint --select site=harbour storm:NoExecute
only base 1 2 3 4 5 6 || fail "what is refused has taken something off"
[ "$(dunlin agent taint --select site=harbour storm:NoExecute --confirm --json | jq .agents)" = 3 ] || fail "no taints by selector"
within 30 only base 4 5 6 || fail "$(dunlin deployment show base)"
dunlin deploy app@1 --as late --all >/dev/null
dunlin deploy app@1 --as hardy --all --tolerate 'gpu,storm:NoExecute' >/dev/null
dunlin deploy app@1 --as hardy --all --tolerate gpu --dry-run --json |
    jq -e '[.changes[] | "\(.what): \(.from) \(.to)"] == ["tolerate: gpu,storm:NoExecute gpu"]' >/dev/null ||
    fail "$(dunlin deploy app@1 --as hardy --all --tolerate gpu --dry-run)"
within 30 only late 5 6 || fail "$(dunlin deployment show late)"
within 30 only hardy 1 2 3 4 5 6 || fail "$(dunlin deployment show hardy)"
why 4 late tainted
why 1 base tainted
killed
only late 5 6 || fail "a restart has changed what may come"
only base 4 5 6 || fail "a restart has changed what may stay"
dunlin agent show 4 | grep -qF "gpu=yes:NoSchedule" || fail "$(dunlin agent show 4)"
dunlin agent untaint 4 gpu >/dev/null || fail "no untaint"
dunlin agent untaint --select site=harbour storm >/dev/null || fail "no untaint by selector"
within 30 only late 1 2 3 4 5 6 || fail "$(dunlin deployment show late)"
within 30 only base 1 2 3 4 5 6 || fail "$(dunlin deployment show base)"
dunlin audit --json | grep -q agent-taint || fail "no word of taints in the audit log"

step "facts choose, also those that change later"
refused "is no number" dunlin deploy app@1 --as big --facts 'cpus>many'
dunlin deploy app@1 --as big --facts 'cpus>0,disk_free>1Mi' >/dev/null || fail "facts are not taken"
within 30 only big 1 2 3 4 5 6 || fail "$(dunlin deployment show big)"
dunlin deploy app@1 --as big --all --facts 'cpus>0,arch=none' --confirm >/dev/null
within 30 runs_not big 1 2 3 4 5 6 || fail "$(dunlin deployment show big)"
why 1 big not-named
dunlin why 1 big | grep -q 'tells of itself that arch is "[^"]*", and the deployment asks for arch=none$' ||
    fail "$(dunlin why 1 big)"
join_fact()
{
    token=$(dunlin token create) || fail "no token"
    dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent7" --timeout 120 --fact kernel=old \
        --fact "colour=$(printf '\302\23331mred')" >>"$WORK/agent7.log" 2>&1 || fail "agent 7 does not join"
}
join_fact
dunlin deploy app@1 --as big --facts 'kernel=old' >/dev/null
[ "$(dunlin deployment show big --json | jq .targets)" = 1 ] || fail "$(dunlin deployment show big)"
start_agent 7
fresh()
{
    [ "$(agent 7 .facts.kernel)" = "$(uname -r)" ] && [ "$(dunlin deployment show big --json | jq .targets)" = 0 ]
}
within 30 fresh || fail "$(dunlin agent show 7)"
killed
fresh || fail "what was told later is lost"
dunlin deploy app@1 --as big --facts 'colour=none' --confirm >/dev/null || fail "it can't be placed by another fact"
dunlin why 7 big >"$WORK/out"
grep -q 'tells of itself that colour is "?31mred"' "$WORK/out" || fail "$(cat "$WORK/out")"
! LC_ALL=C grep -q "$(printf '\302\233')" "$WORK/out" || fail "a device steers the terminal: $(od -c "$WORK/out")"
dunlin agent remove 7 >/dev/null

step "a pick takes those with the most of a fact, and keeps them"
refused "is no fact" dunlin deploy app@1 --as most --all --pick 1 --sort 'a b'
refused "say how many" dunlin deploy app@1 --as most --all --sort=-rank
refused "pick of all together" dunlin deploy app@1 --as most --all --pick '1 of each site' --sort=-rank
for n in 8 9; do
    dunlin-agent join "$(join_url)" "$(dunlin token create --label site=ranked)" --dir "$WORK/agent$n" --timeout 120 \
        --fact "rank=$n" >>"$WORK/agent$n.log" 2>&1 || fail "agent $n does not join"
done
dunlin deploy app@1 --as most --select 'site in (pier,ranked)' --facts 'cpus>=1,!rnak' --pick 2 --sort=-rank >/dev/null ||
    fail "no sorted pick"
picked()
{
    [ "$(dunlin deployment show most --json | jq -r '.agents | map(.number) | sort | map(tostring) | join(" ")')" = "$*" ]
}
within 20 picked 8 9 || fail "$(dunlin deployment show most)"
dunlin deployment show most | grep -q "sorted by  *-rank" || fail "$(dunlin deployment show most)"
why 4 most not-picked
dunlin why 4 most | grep -qF "it has told no number as that" || fail "$(dunlin why 4 most)"
dunlin deploy app@1 --as most --select 'site in (pier,ranked)' --facts 'cpus>=1,!rnak' --pick 3 --sort=-rank --dry-run --json |
    jq -e '.targets == 3 and .joining == 1 and .leaving == 0' >/dev/null || fail "a dry run counts otherwise"
dunlin agent remove 9 >/dev/null
other() { [ "$(dunlin deployment show most --json | jq '.agents | map(.number) | length == 2 and index(8) != null')" = true ]; }
within 20 other || fail "$(dunlin deployment show most)"
killed
other || fail "a restart has changed who is in"
dunlin agent remove 8 >/dev/null
dunlin deployment remove most >/dev/null

step "a pick passes cordoned ones by"
for n in 1 2 3 4; do dunlin agent cordon "$n" >/dev/null; done
dunlin deploy app@1 --as few --all --pick 2 >/dev/null
within 30 only few 5 6 || fail "$(dunlin deployment show few)"
dunlin deploy app@1 --as few --all --pick 1 --dry-run --json | jq -e '.targets == 1 and .leaving == 1' >/dev/null ||
    fail "$(dunlin deploy app@1 --as few --all --pick 1 --dry-run --json)"
done_well
