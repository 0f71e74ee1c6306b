#!/bin/sh
# The agent updates itself by bundles: one that is well takes over in the same process and stays; one that crashes, one
# that hangs, one that finds no broker, one that can't read what the old one kept and one for another machine give way
# to the old one, each with its cause. Killed with -9 at random points, the agent is always the old or the new one.
# usage: self_update.sh [--kills N] [--seed S]
. "$(dirname "$0")/lib.sh"

kills=25
seed=1
arch=$(uname -m)

main()
{
    take_options "kills seed" "$@"
    echo "self_update.sh --kills $kills --seed $seed"
    # shellcheck disable=SC2119
    start_manager
    join_agent 1 site=one
    join_agent 2 site=two
    serve 1 --log debug
    serve 2
    update
    fail_in_many_ways
    kill_often
    damage
    leave_it
    done_well
}

# serve N FLAG...: as an init system does, which starts the agent again whenever it ends.
serve()
{
    serving=$1
    shift
    cat >"$WORK/serve$serving" <<END
trap 'kill \$child; wait \$child; exit' TERM
while :; do
    "$BIN/dunlin-agent" run --dir="$WORK/agent$serving" $* &
    child=\$!
    echo \$child >"$WORK/child$serving"
    wait \$child
    sleep 0.3
done
END
    sh "$WORK/serve$serving" >>"$WORK/agent$serving.log" 2>&1 &
    echo $! >"$WORK/agent$serving.pid"
}

# agent_bundle V PROGRAM [HEALTH_DEADLINE [HOOK_TIMEOUT]]: PROGRAM as the agent's version V.
agent_bundle()
{
    folder=$WORK/programs@$1
    mkdir -p "$folder/$arch"
    cp "$2" "$folder/$arch/dunlin-agent"
    dunlin bundle push "$folder" --kind agent --name agent --version "$1" --hook-timeout "${4:-10s}" \
        --health-deadline "${3:-20s}" >/dev/null || fail "agent@$1 is not taken"
}

# shellcheck disable=SC2016
# program V LINES: a program of that name that says what it can, and does LINES when it is to run.
program()
{
    printf '#!/bin/sh\n[ "$1" = run ] || exit 0\n%s\n' "$2" >"$WORK/program-$1"
    chmod +x "$WORK/program-$1"
}

deploy_agent()
{
    dunlin deploy "agent@$1" --as agent --select "$2" >/dev/null || fail "agent@$1 is not deployed"
}

# says N VERSION: the manager knows that this program runs there.
says()
{
    [ "$(agent "$1" .facts.agent)" = "$2" ]
}

# runs N V: the program of that bundle runs there.
runs()
{
    readlink "/proc/$(cat "$WORK/child$1")/exe" | grep -q "$WORK/agent$1/bundles/.*/$arch/dunlin-agent" &&
        cmp -s "/proc/$(cat "$WORK/child$1")/exe" "$WORK/programs@$2/$arch/dunlin-agent"
}

# rolled_back N
rolled_back()
{
    [ "$(agent "$1" '.deployments[] | select(.name == "agent") | .state')" = RolledBack ]
}

# fails_so V WORDS: agent 1 gives that version up, says why, and is as before.
fails_so()
{
    deploy_agent "$1" site=one
    within 60 rolled_back 1 || fail "agent@$1 is not given up: $(dunlin why 1 agent 2>&1)"
    within 20 explained "$2" || fail "agent@$1: $(dunlin why 1 agent 2>&1) instead of $2"
    within 20 runs 1 2 || fail "after agent@$1 the old agent is not back"
    within 20 online 2 || fail "after agent@$1 the old agent is not online"
    [ "$(ls "$WORK/agent1/agent")" = current ] || fail "$(ls "$WORK/agent1/agent") is left"
}

explained()
{
    dunlin why 1 agent 2>&1 | grep -qE "$1"
}

update()
{
    step "a new agent takes over in the same process"
    agent_bundle 2 "$BIN/test/agent_next"
    within 20 says 1 0.1.0 || fail "the packaged agent does not say its version"
    before=$(cat "$WORK/child1")
    deploy_agent 2 site=one
    within 60 agent_has 1 agent 2 || fail "no update: $(dunlin why 1 agent 2>&1)"
    [ "$(cat "$WORK/child1")" = "$before" ] || fail "the agent was started anew"
    runs 1 2 || fail "another program runs: $(readlink "/proc/$before/exe")"
    within 20 says 1 0.1.0-next || fail "the new agent does not say its version"
    says 2 0.1.0 || fail "agent 2 is not meant"
    [ "$(agent 1 .state)" = Online ] || fail "agent 1 is $(agent 1 .state)"
    step "another deployment is placed by which agent runs"
    make_app 1
    push_app 1 >/dev/null
    printf 'deployment: app\nbundle: app@1\nplacement: {all: true, facts: agent=0.1.0-next}\n' >"$WORK/app.yaml"
    dunlin deploy "$WORK/app.yaml" >/dev/null || fail "app is not deployed"
    within 30 agent_has 1 app 1 || fail "the new agent does not get it: $(dunlin why 1 app 2>&1)"
    [ ! -e "$WORK/agent2/deployments/app" ] || fail "the old agent gets it, too"
    step "it is the agent after a restart, too, and passes over what a newer one would keep"
    python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript("INSERT INTO meta VALUES(99, 1)")' \
        "$WORK/agent1/agent.db" || fail "nothing can be added"
    kill -9 "$before"
    within 20 runs 1 2 || fail "the new agent does not come back"
    within 20 online 2 || fail "it is not online"
}

fail_in_many_ways()
{
    step "one for another machine is not begun"
    cp "$BIN/test/agent_next" "$WORK/foreign"
    printf '\276\276' | dd of="$WORK/foreign" bs=1 seek=18 conv=notrunc 2>/dev/null
    agent_bundle foreign "$WORK/foreign"
    fails_so foreign 'hooks/pre-apply failed.*|Exec format error'

    step "one that is not for this kind of machine at all"
    mkdir -p "$WORK/other/vax"
    cp "$BIN/test/agent_next" "$WORK/other/vax/dunlin-agent"
    dunlin bundle push "$WORK/other" --kind agent --name agent --version other >/dev/null
    fails_so other "no $arch/dunlin-agent"

    step "one that can't read what the old one kept"
    printf '#!/bin/sh\necho "agent.db is of another age" >&2\nexit 1\n' >"$WORK/program-blind"
    chmod +x "$WORK/program-blind"
    agent_bundle blind "$WORK/program-blind"
    fails_so blind 'agent.db is of another age'
    explained 'dunlin-agent status ended with code 1' || fail "blind: $(dunlin why 1 agent 2>&1)"

    step "one that crashes at once"
    # shellcheck disable=SC2016
    program crash 'kill -SEGV $$'
    agent_bundle crash "$WORK/program-crash"
    fails_so crash 'started 3 times'

    step "one that hangs"
    program hang 'exec sleep 1000'
    agent_bundle hang "$WORK/program-hang" 2s 1s
    fails_so hang 'started 3 times'

    step "one that finds no broker"
    agent_bundle mute "$BIN/test/agent_mute" 10s
    fails_so mute 'reached no broker'

    step "what is no agent is not pushed"
    mkdir -p "$WORK/empty/$arch"
    wrong 1 'has no agent in it' dunlin bundle push "$WORK/empty" --kind agent --name agent --version e
    cp "$BIN/test/agent_next" "$WORK/empty/$arch/dunlin-agent"
    chmod -x "$WORK/empty/$arch/dunlin-agent"
    wrong 1 'chmod \+x' dunlin bundle push "$WORK/empty" --kind agent --name agent --version e
    wrong 2 '--kind engine: write files or agent' \
        dunlin bundle push "$WORK/empty" --kind engine --name agent --version e
}

# Each round is one update, killed at some points of it.
kill_often()
{
    step "$kills kills at random points"
    killed=0 round=10 given_up=0
    while [ "$killed" -lt "$kills" ]; do
        round=$((round + 1))
        agent_bundle "$round" "$BIN/test/agent_next"
        deploy_agent "$round" fleet!=none
        random 4
        for _ in $(seq "$rnd"); do
            nap 100 1500
            random 2
            victim=$((rnd + 1))
            kill -9 "$(cat "$WORK/child$victim")" 2>/dev/null || true
            killed=$((killed + 1))
        done
        within 60 ended || fail "version $round has no end: $(dunlin why 1 agent 2>&1; dunlin why 2 agent 2>&1)"
        within 20 online 2 || fail "not all are back after version $round"
    done
    settle
    echo "{\"kills\": $killed, \"versions\": $((round - 10)), \"given_up\": $given_up}"
}

# Both run what was asked for, or gave it up, since they went down in its middle too often.
ended()
{
    for each in 1 2; do
        state=$(agent $each '.deployments[] | select(.name == "agent") | .state')
        [ "$state" != RolledBack ] && [ "$state" != Failed ] || given_up=$((given_up + 1))
        case $state in Ready | RolledBack | Failed) ;; *) return 1 ;; esac
    done
    [ "$(agent 1 '.deployments[] | select(.name == "agent") | .version')" = "$round" ]
}

settle()
{
    agent_bundle last "$BIN/test/agent_next"
    deploy_agent last fleet!=none
    for each in 1 2; do
        within 60 agent_has $each agent last || fail "agent $each: $(dunlin why $each agent 2>&1)"
        within 20 runs $each last || fail "agent $each runs something else"
        within 20 says $each 0.1.0-next || fail "agent $each says $(agent $each .facts.agent)"
    done
}

damage()
{
    step "a program that is not whole any more is not started, and comes back"
    whole=$(readlink "/proc/$(cat "$WORK/child2")/exe")
    cp "$whole" "$WORK/rot"
    printf 'rot' | dd of="$WORK/rot" bs=1 seek=5000 conv=notrunc 2>/dev/null
    mv "$WORK/rot" "$whole"
    kill -9 "$(cat "$WORK/child2")"
    within 20 grep -q program-unfit "$WORK/agent2.log" || fail "nobody has noticed"
    within 60 runs 2 last || fail "it does not come back: $(dunlin why 2 agent 2>&1)"
    within 20 agent_has 2 agent last || fail "it is not ready: $(dunlin why 2 agent 2>&1)"
}

leave_it()
{
    step "without the deployment, the packaged agent is back"
    dunlin deployment remove agent >/dev/null
    within 40 says 1 0.1.0 || fail "agent 1 says $(agent 1 .facts.agent)"
    within 40 says 2 0.1.0 || fail "agent 2 says $(agent 2 .facts.agent)"
    [ "$(ls "$WORK/agent1/agent")" = "" ] || fail "$(ls "$WORK/agent1/agent") is left"
    within 20 test ! -e "$WORK/agent1/deployments/agent" || fail "its folder is left"
}

main "$@"
