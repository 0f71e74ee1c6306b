#!/bin/bash
# A third of the agents come and go while a new version goes through three stages: killed and started
# again, stopped and continued, or behind a harbour whose link to the world is cut. By the agents' own
# words and the manager's, the rollout ends, nobody fails, no more are at work at a time than may be,
# and everybody runs the new version.
# usage: tide.sh [--agents N] [--seed S]
# More than 50 are processes of the release preset.
agents=24 seed=1
while [ $# -gt 0 ]; do
    case $1 in
    --agents) agents=$2 ;;
    --seed) seed=$2 ;;
    *) echo "usage: tide.sh [--agents N] [--seed S]" >&2 && exit 2 ;;
    esac
    shift 2
done
if [ "$agents" -gt 50 ]; then
    . "$(dirname "$0")/../bench/lib.sh"
else
    . "$(dirname "$0")/lib.sh"
fi
need python3

PLAN=$ROOT/examples/rollouts/three-stages.yaml
STAGES=(staging canary prod)
# At work at a time, percent of a stage.
AT_WORK=25
# A version's hooks/apply works so long, so that agents are at work at the same time.
WORK_S=1
# Who is away, or here, stays so about this long: longer than the keep-alive needs to notice, and than
# an agent needs to take the version.
TURN_MS=6000
# A version that is at work at the third sudden end of its agent is given up.
KILLS_MAX=2

stage_of() # N
{
    if [ "$1" -le $((agents / 6)) ]; then
        echo staging
    elif [ "$1" -le $((agents / 3)) ]; then
        echo canary
    else
        echo prod
    fi
}

# Every third one comes and goes: killed, stopped, or at one of two harbours.
way_of() # N
{
    local ways=(killed stopped harbour1 killed stopped harbour2)
    if [ $(($1 % 3)) -eq 0 ]; then
        echo "${ways[$1 / 3 % 6]}"
    else
        echo steady
    fi
}

# those WAY [STAGE]: the agents of that way, in that stage or in all.
those()
{
    local n
    for ((n = 1; n <= agents; n++)); do
        [ "$(way_of $n)" != "$1" ] || [ "$(stage_of $n)" != "${2:-$(stage_of $n)}" ] || echo $n
    done
}

# ---- a fleet of which some live at harbours ----

# join_all WAY...: these, with the cells' address that the manager tells now.
join_all()
{
    local way stage
    for stage in "${STAGES[@]}"; do
        join_agents "$(for way; do those "$way" "$stage"; done)" "env=$stage"
    done
}

# An agent at a harbour knows its cell by the harbour's address, where a proxy stands.
build_harbour() # NAME ADDRESS
{
    start_manager --keepalive 5s --advertise "$2"
    join_all "$1"
    kill_manager -TERM
    harbours[$1]=$2
}

open_harbour() # NAME
{
    rm -rf "${WORK:?}/$1"
    meddle "$1" "${harbours[$1]}:$port" "127.0.0.1:$port"
}

# ---- what the hooks write down ----

# Each work begins and ends with a line in $WORK/works: nanoseconds, begin or end, data folder.
make_version() # V
{
    make_app "$1"
    make_hook "$WORK/app@$1" pre-apply "echo \"\$(date +%s%N) begin \$DUNLIN_DATA\" >>'$WORK/works'"
    make_hook "$WORK/app@$1" apply "sleep $WORK_S"
    make_hook "$WORK/app@$1" health "cd \"\$DUNLIN_CURRENT\"
sha256sum --quiet -c sums
echo \"\$(date +%s%N) end \$DUNLIN_DATA\" >>'$WORK/works'"
    dunlin bundle push "$WORK/app@$1" --name app --version "$1" --health-deadline 5m >/dev/null ||
        fail "version $1 is not taken"
}

# works N...: the lines of these agents, in the order of time.
works()
{
    sort -n "$WORK/works" | sed -E 's,/.*/agent([0-9]+)/.*,\1,' |
        awk 'NR == FNR { those[$1]; next } $3 in those' <(printf '%s\n' "$@") -
}

# ---- the tide ----

# turn N|HARBOUR: who is here goes, who is away comes back. Each going is a line in $WORK/goings.
turn()
{
    local way=$1
    [[ $1 = harbour* ]] || way=$(way_of "$1")
    if [ -n "${away[$1]:-}" ]; then
        come_back "$way" "$1"
        unset "away[$1]"
    elif [ "$way" != killed ] || [ "${goings[$1]:-0}" -lt $KILLS_MAX ]; then
        away[$1]=$way
        goings[$1]=$((${goings[$1]:-0} + 1))
        go "$way" "$1"
        echo "$way" >>"$WORK/goings"
    fi
}

go() # WAY N
{
    case $1 in
    killed) kill_agent "$2" -KILL ;;
    stopped) kill -STOP "$(cat "$WORK/agent$2.pid")" ;;
    harbour*) cut_off "$1" ;;
    esac
}

# Once the link falls silent, and once it ends at once.
cut_off() # HARBOUR
{
    if [ $((${goings[$1]} % 2)) -eq 1 ]; then
        kill -STOP "$(cat "$WORK/$1.pid")"
    else
        kill_process "$1" -KILL
    fi
}

come_back() # WAY N
{
    case $1 in
    killed) start_agent "$2" ;;
    stopped) kill -CONT "$(cat "$WORK/agent$2.pid")" ;;
    harbour*)
        if [ -e "$WORK/$1.pid" ]; then
            kill -CONT "$(cat "$WORK/$1.pid")"
        else
            open_harbour "$1"
        fi
        ;;
    esac
}

# tide: those whose time has come turn, one after the other in a circle; now and then one stays as it is.
tide()
{
    local now_ms
    now_ms=$(date +%s%3N)
    while [ "$turn_ms" -le "$now_ms" ]; do
        turn_ms=$((turn_ms + TURN_MS / ${#goers[@]}))
        at=$(((at + 1) % ${#goers[@]}))
        random 4
        [ "$rnd" -eq 0 ] || turn "${goers[$at]}"
    done
}

# ---- watching ----

# slots MEMBERS: how many of so many may be at work.
slots()
{
    echo $((($1 * AT_WORK + 99) / 100))
}

# look: the rollout as it is now: sets $state, and $asks, what it waits for; each look is a line in
# $WORK/looks. It is not stopped, nobody has failed, and no stage has more at work than may be.
look()
{
    dunlin rollout show app --json >"$WORK/look" || fail "the manager does not answer"
    jq -r "(if .state | IN(\"running\", \"waiting\", \"done\") | not then \"stopped\"
        elif any(.stages[]; .failed > 0) then \"failed\"
        elif any(.stages[]; .in_flight > (.members * $AT_WORK + 99) / 100) then \"too-many\"
        else \"well\" end) as \$verdict | \"\(\$verdict) \(.state) \(.waits_for.what) \(.stage) \([.stages[] |
            \"\(.ready)/\(.in_flight)/\(.returning)/\(.away)\"] | join(\" \"))\"" "$WORK/look" >>"$WORK/looks"
    read -r verdict state asks _ < <(tail -n 1 "$WORK/looks")
    [ "$verdict" = well ] || fail "$verdict: $(cat "$WORK/look")"
}

# roll: looks while the tide goes on, approves what is to be approved, until the rollout is done.
roll()
{
    local end_s=$(($(date +%s) + 600))
    until look && [ "$state" = "done" ]; do
        [ "$(date +%s)" -lt $end_s ] || fail "it does not end: $(tail -n 5 "$WORK/looks")"
        [ "$asks" != approval ] || dunlin rollout approve app prod >/dev/null || fail "it can't be approved"
        tide
        nap 50 50
    done
}

# ---- what the hooks tell ----

# An agent that lost its link although nobody cut it was none that the manager could count on.
steady_in() # STAGE
{
    local n
    for n in $(those steady "$1"); do
        [ "$(grep -c " link-up " "$WORK/agent$n.log")" -ne 1 ] || echo "$n"
    done
}

# judge STAGE: sets $most, who were at work at one time of those that were always there, and $first and
# $last, when anybody began there, and when the last of those ended.
judge()
{
    local steady
    steady=$(steady_in "$1")
    [ $((2 * $(echo "$steady" | wc -l))) -ge "$(those steady "$1" | wc -l)" ] ||
        fail "most agents of $1 lost their links by themselves"
    # shellcheck disable=SC2086
    works $steady >"$WORK/steady"
    for n in $steady; do
        [ "$(awk -v n="$n" '$3 == n { printf "%s ", $2 }' "$WORK/steady")" = "begin end " ] ||
            fail "agent $n did not do its work once: $(grep " $n\$" "$WORK/steady")"
    done
    most=$(awk '{ now += $2 == "begin" ? 1 : -1; if (now > most) most = now } END { print most + 0 }' "$WORK/steady")
    last=$(tail -n 1 "$WORK/steady" | cut -d ' ' -f 1)
    # shellcheck disable=SC2046
    first=$(works $(in_stage "$1") | head -n 1 | cut -d ' ' -f 1)
}

in_stage() # STAGE
{
    for ((n = 1; n <= agents; n++)); do
        [ "$(stage_of $n)" != "$1" ] || echo $n
    done
}

judge_all()
{
    local stage before=0
    for stage in "${STAGES[@]}"; do
        judge "$stage"
        may=$(slots "$(in_stage "$stage" | wc -l)")
        [ "$most" -le "$may" ] || fail "$most of $stage were at work at one time, of at most $may"
        [ "$most" -gt 0 ] || fail "none of $stage was at work"
        [ "$first" -gt "$before" ] || fail "$stage began before the stage before it was over"
        before=$last
        step "$stage: at most $most at work at a time of those that were always there, of $may that may be"
    done
}

runs_everywhere() # V
{
    local n
    for ((n = 1; n <= agents; n++)); do
        agent_runs $n app "$WORK/app@$1" || return 1
        dunlin-agent status --dir "$WORK/agent$n" --json |
            jq -e ".deployments[0] | .state == \"Ready\" and .running == \"$1\"" >/dev/null || return 1
    done
}

all_ready()
{
    [ "$(dunlin deployment show app --json | jq .ready)" -eq "$agents" ]
}

# ---- the test ----

declare -A harbours away goings
at=0
step "$agents agents run version 1, some of them at two harbours (--seed $seed)"
build_harbour harbour1 127.0.0.2
build_harbour harbour2 127.0.0.3
start_manager --keepalive 5s
port=$(cell_port 0)
join_all steady killed stopped
open_harbour harbour1
open_harbour harbour2
for ((n = 1; n <= agents; n++)); do start_agent $n; done
within 120 online "$agents" || fail "not all agents are online: $(dunlin status)"
make_version 1
dunlin deploy app@1 --as app --select env --confirm >/dev/null || fail "version 1 is not deployed"
dunlin wait app --timeout 900s >/dev/null 2>&1 || fail "version 1 does not arrive: $(dunlin status)"

step "the tide goes out, and version 2 rolls out while it goes on"
# shellcheck disable=SC2207
goers=($(those killed) $(those stopped) harbour1 harbour2)
turn_ms=$(($(date +%s%3N) - TURN_MS))
tide
rm "$WORK/works"
make_version 2
sed "s/concurrency: 50%/concurrency: $AT_WORK%/; s/max_failed: 0/max_failed: 0\n  reachable_within: 2s/" \
    "$PLAN" >"$WORK/plan.yaml"
dunlin deploy "$WORK/plan.yaml" --confirm >/dev/null || fail "the plan is not taken"
roll
step "it is done, after $(wc -l <"$WORK/looks") looks and $(wc -l <"$WORK/goings") goings: $(sort "$WORK/goings" |
    uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }'); ${#away[@]} are away now"
[ "$(wc -l <"$WORK/goings")" -ge $((agents / 8)) ] || fail "hardly anybody went away"
! dunlin audit | grep -q "too many agents failed" || fail "it was stopped"
judge_all

step "who is away comes back, and all run version 2"
for name in "${!away[@]}"; do turn "$name"; done
within 120 online "$agents" || fail "not all agents come back: $(dunlin status)"
within 120 runs_everywhere 2 || fail "not all run version 2: $(dunlin deployment show app)"
within 30 all_ready || fail "the manager does not know: $(dunlin deployment show app)"
look
done_well
