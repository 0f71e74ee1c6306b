#!/bin/sh
# An agent that is root runs hooks as nobody: two deployments are rolled out, each keeps its data for itself, a hook
# that tries to read or end the agent can't, one that talks without end is cut short, and all of it is removed again.
# shellcheck disable=SC2016
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || skip "only root can run hooks as another user"
chmod 711 "$WORK"

# make_bundle NAME V LINES: its apply hook.
# shellcheck disable=SC2016
make_bundle()
{
    folder=$WORK/$1@$2
    mkdir -p "$folder/hooks"
    echo "$2" >"$folder/version"
    make_hook "$folder" apply "id -u >\"\$DUNLIN_DATA/user\"
echo \"\$DUNLIN_VERSION\" >>\"\$DUNLIN_DATA/applied\"
$3"
    make_hook "$folder" health '[ "$(cat "$DUNLIN_CURRENT/version")" = "$DUNLIN_VERSION" ]'
    dunlin bundle push "$folder" --name "$1" --version "$2" >/dev/null || fail "$1@$2 is not taken"
    dunlin deploy "$1@$2" --as "$1" --all >/dev/null || fail "$1@$2 is not deployed"
    within 40 agent_has 1 "$1" "$2" || fail "$1@$2 does not run: $(dunlin why 1 "$1" 2>&1; said "$1")"
}

data()
{
    cat "$WORK/agent1/deployments/$1/data/$2"
}

said()
{
    cat "$WORK/agent1/deployments/$1/log/"*.log
}

gone()
{
    [ ! -e "$WORK/agent1/deployments/$1" ]
}

# shellcheck disable=SC2119
start_manager
join_agent 1
start_agent 1 --hook-user nobody --hook-limit files=64

step "two deployments, each with a hook that runs as nobody"
make_bundle one 1 'echo mine >"$DUNLIN_DATA/secret"; ulimit -n'
make_bundle two 1 'echo yours >"$DUNLIN_DATA/secret"'
for name in one two; do
    [ "$(data $name user)" = "$(id -u nobody)" ] || fail "the hook of $name ran as user $(data $name user)"
done
[ "$(said one)" = 64 ] || fail "the limit does not hold: $(said one)"

step "the next version finds the data of the last one, and nothing else"
# shellcheck disable=SC2016
make_bundle one 2 '[ "$(cat "$DUNLIN_DATA/secret")" = mine ]
cd "$DUNLIN_DATA/../../.."
! cat agent.db agent.lock 2>/dev/null
! ls chunks 2>/dev/null
! cat deployments/two/data/secret 2>/dev/null
! kill $PPID 2>/dev/null
! touch "$DUNLIN_TREE/x" "$DUNLIN_DATA/../x" deployments/x 2>/dev/null'
[ "$(data one applied | paste -sd ' ')" = "1 2" ] || fail "the data of one are: $(data one applied)"
[ -z "$(said one)" ] || fail "the hook could: $(said one)"
kill -0 "$(cat "$WORK/agent1.pid")" || fail "the agent was ended by a hook"

step "a hook that talks without end, and a daemon that goes on when the agent is gone"
# shellcheck disable=SC2016
make_bundle two 2 'setsid sh -c "echo \$\$ >\"$DUNLIN_DATA/pid\"; while sleep 0.1; do echo still here; date +%s%N >\"$DUNLIN_DATA/alive\"; done" &
head -c 20000000 /dev/zero | tr "\\0" x'
[ "$(said two | wc -c)" -lt 300000 ] || fail "$(said two | wc -c) bytes were kept"
alive=$(data two alive)
alive_still()
{
    [ "$(data two alive)" != "$alive" ]
}
within 5 alive_still || fail "the daemon ended with its hook"
kill_agent 1 -KILL
alive=$(data two alive)
within 5 alive_still || fail "the daemon ended with the agent"

step "removed, with everything that nobody left there"
start_agent 1 --hook-user nobody
dunlin deployment remove one >/dev/null
within 40 gone one || fail "the folder of one is still there"
kill -KILL "$(data two pid)" || fail "the daemon was gone"
dunlin deployment remove two >/dev/null
within 40 gone two || fail "the folder of two is still there"

step "an agent that isn't root, one that lacks a right of root's, and a folder that nobody can reach"
kill_agent 1 -TERM
wrong_at_last 1 "lacks one of root's rights" setpriv --bounding-set -setpcap \
    dunlin-agent run --dir "$WORK/agent1" --hook-user nobody
chmod 700 "$WORK"
wrong_at_last 1 "a folder above it is closed" dunlin-agent run --dir "$WORK/agent1" --hook-user nobody
wrong 2 "no such user" dunlin-agent run --dir "$WORK/agent1" --hook-user nobody-of-this-name
wrong 2 "write cpu=SECONDS" dunlin-agent run --dir "$WORK/agent1" --hook-limit cpu=much
done_well
