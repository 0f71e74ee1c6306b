#!/bin/sh
# Agents, manager, brokers, joins and pushes are killed with -9 at random points while versions
# follow each other. Whenever the killing stops, the whole fleet must come to what was asked for
# last, with nothing lost, doubled or half done.
# usage: kills.sh [--kills N] [--cells N] [--seed S]
# The same seed, which is 1 unless another is given, kills the same things after the same pauses.
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"

AGENTS=6
ROUND=40 # kills between two looks at everything
kills=200
cells=2
seed=1

main()
{
    take_options "kills cells seed" "$@"
    echo "kills.sh --kills $kills --cells $cells --seed $seed"
    start_manager --cells "$cells"
    join_all
    version=1
    release 1 fleet=e2e
    killed=0
    while [ "$killed" -lt "$kills" ]; do
        round
        settle
        look
    done
    echo "{\"kills\": $killed, \"agent\": $k_agent, \"manager\": $k_manager, \"broker\": $k_broker," \
        "\"join\": $k_join, \"push\": $k_push, \"versions\": $version, \"given_up\": $given_up}"
    done_well
}

k_agent=0 k_manager=0 k_broker=0 k_join=0 k_push=0 # how many of each were killed
given_up=0                                         # versions that an agent gave up, see redeploy
joined=0                                           # agents so far

# ---- killing ----

# The next ROUND kills. Each version lives for some of them, so that every step of an update is met.
round()
{
    step "kills from $((killed + 1)) on, version $version"
    enough=$((killed + ROUND))
    [ $enough -le "$kills" ] || enough=$kills
    join_under_fire
    push_under_fire
    while [ "$killed" -lt "$enough" ]; do
        random 3
        [ "$rnd" -gt 0 ] || next_version
        strike
        random $AGENTS
        check_whole $((rnd + 1))
        nap 150 600
    done
}

# check_whole N: at any moment, what `current` names is complete, also while it changes.
check_whole()
{
    [ -L "$WORK/agent$1/deployments/app/current" ] || return 0
    names=$(readlink "$WORK/agent$1/deployments/app/current")
    (cd "$WORK/agent$1/deployments/app/$names" && sha256sum --quiet -c sums) >"$WORK/whole.out" 2>&1 ||
        [ "$(readlink "$WORK/agent$1/deployments/app/current")" != "$names" ] ||
        fail "agent $1 has half a version: $(cat "$WORK/whole.out")"
}

# Most often an agent; now and then several at once.
strike()
{
    random 10
    case $rnd in
    0 | 1) strike_manager ;;
    2 | 3) strike_broker ;;
    4) strike_manager && strike_broker ;;
    5) strike_agent && strike_agent && strike_manager ;;
    *) strike_agent ;;
    esac
}

strike_agent()
{
    random $AGENTS
    victim=$((rnd + 1))
    kill_agent $victim -9
    start_agent $victim
    count agent
}

strike_manager()
{
    kill_manager -9
    run_manager
    count manager
}

# The manager starts it again, unless it is being killed itself. Now and then its disk is lost, too.
strike_broker()
{
    random "$cells"
    victim=$(broker_pids | tail -n +$((rnd + 1)) | head -n 1)
    [ -n "$victim" ] || return 0
    kill -9 "$victim" 2>/dev/null || return 0
    count broker
    random 4
    [ "$rnd" -gt 0 ] || rm -f "$FLEET"/cells/*/mosquitto.db
}

# count KIND: joins and pushes come on top of the kills that were asked for.
count()
{
    case $1 in agent | manager | broker) killed=$((killed + 1)) ;; esac
    eval "k_$1=\$((k_$1 + 1))"
}

# ---- what goes on meanwhile ----

join_all()
{
    while [ $joined -lt $AGENTS ]; do
        joined=$((joined + 1))
        join_agent $joined fleet=e2e "shop=$joined"
        start_agent $joined
    done
}

# The operator goes on, with a version of which half is new, and that takes its time.
next_version()
{
    version=$((version + 1))
    make_slow_app $version
    within 20 push_app $version || fail "version $version is not taken"
    deploy
}

make_slow_app()
{
    make_app "$1"
    head -c 1000000 /dev/urandom >"$WORK/app@$1/bin/more"
    (cd "$WORK/app@$1" && sha256sum bin/* >>sums)
    random 4
    make_hook "$WORK/app@$1" pre-apply "sleep 0.$rnd"
    # shellcheck disable=SC2016
    make_hook "$WORK/app@$1" apply "sleep 0.$rnd; "'echo "$DUNLIN_VERSION" >>"$DUNLIN_DATA/applied"'
}

# What a command that failed has done is open until the next one.
deploy()
{
    if timeout 10 dunlin deploy "app@$version" --as app --select fleet=e2e >"$WORK/deploy.out" 2>&1
    then
        promised=$version
    fi
}

# One device more, whose join is killed again and again, and the manager meanwhile, too.
join_under_fire()
{
    within 20 dunlin status || fail "the manager does not come back"
    within 10 fresh_token "shop=$((joined + 1))" || fail "no token"
    url=$(join_url)
    joined=$((joined + 1))
    new=$WORK/agent$joined
    for try in 1 2 3; do
        dunlin-agent join "$url" "$(cat "$WORK/token")" --dir "$new" >>"$new.log" 2>&1 &
        echo $! >"$WORK/join.pid"
        nap 0 300
        [ $try -ne 2 ] || strike_manager
        kill_process join -9
        count join
    done
    timeout 60 dunlin-agent join "$url" "$(cat "$WORK/token")" --dir "$new" >>"$new.log" 2>&1 ||
        fail "agent $joined does not join"
    start_agent $joined
}

fresh_token()
{
    dunlin token create --label fleet=e2e --label "$1" >"$WORK/token"
}

# The same bundle, pushed until it is there; what was sent before counts.
push_under_fire()
{
    version=$((version + 1))
    make_slow_app $version
    for try in 1 2 3; do
        push_app $version >"$WORK/push.out" 2>&1 &
        echo $! >"$WORK/push.pid"
        nap 0 250
        [ $try -ne 2 ] || strike_manager
        kill_process push -9
        count push
    done
    within 20 push_app $version || fail "version $version is not taken after its pushes were killed"
    deploy
}

# ---- the killing has stopped ----

settle()
{
    within 30 dunlin status || fail "the manager does not come back"
    check_promise
    quiet=$(date +%s)
    version=$((version + 1))
    make_slow_app $version
    release $version fleet=e2e
    within 60 all_have_it || redeploy
}

# What an agent was killed three times in the middle of, it gives up, as it should. Then the operator
# has to ask once more.
redeploy()
{
    dunlin deployment show app --json >"$WORK/show.json"
    grep -q "went down too often" "$WORK/show.json" || fail "the fleet does not converge: $(dunlin agent list)"
    given_up=$((given_up + 1))
    version=$((version + 1))
    release $version fleet=e2e
    within 60 all_have_it || fail "the fleet does not converge: $(dunlin agent list)"
}

# What was acknowledged is never lost: the version is that one, or one that was asked for later.
check_promise()
{
    now=$(dunlin deployment list --json | jq -r '.deployments[] | select(.name == "app").version')
    [ "$now" -ge "${promised:-1}" ] || fail "version $promised was acknowledged, but it is $now"
}

all_have_it()
{
    [ "$(dunlin status --json | jq -c '.agents.online, (.deployments[0] | .ready, .version)' |
        paste -sd ' ')" = "$joined $joined \"$version\"" ]
}

# ---- everything is as it should be ----

look()
{
    step "all $joined agents run version $version, after $(($(date +%s) - quiet)) seconds of quiet"
    check_agents
    check_devices
    within 20 brokers "$cells" || fail "there should be $cells brokers: $(broker_pids)"
    check_tokens
    check_logs
}

# The table: as many agents as joined, each with its own number and labels.
check_agents()
{
    dunlin agent list --json >"$WORK/list.json"
    jq -e --argjson joined $joined '.agents | length == $joined and
        (map(.number) | sort) == [range(1; $joined + 1)] and (map(.id) | unique | length) == $joined and
        all(.state == "Online" and .labels.fleet == "e2e" and .labels.shop == "\(.number)")' \
        "$WORK/list.json" >/dev/null || fail "agents are not as they were: $(cat "$WORK/list.json")"
    jq -r '.agents[] | "\(.number) \(.id)"' "$WORK/list.json" | sort -n >"$WORK/ids"
    [ ! -f "$WORK/ids.before" ] || head -n "$(wc -l <"$WORK/ids.before")" "$WORK/ids" |
        cmp -s - "$WORK/ids.before" || fail "an agent's number has changed: $(cat "$WORK/ids")"
    mv "$WORK/ids" "$WORK/ids.before"
}

# The devices: each runs exactly what was pushed, and its hook was the last to write.
check_devices()
{
    each=0
    while [ $each -lt $joined ]; do
        each=$((each + 1))
        agent_runs $each app "$WORK/app@$version" || fail "agent $each: \
$(diff -r "$WORK/agent$each/deployments/app/current/" "$WORK/app@$version" 2>&1 | head -n 5)"
        tail -n 1 "$WORK/agent$each/deployments/app/data/applied" | grep -qx $version ||
            fail "agent $each applied last: $(applied $each)"
    done
}

# A token lets one device in, however often it was tried; and never another one.
check_tokens()
{
    dunlin token list --json | jq -e --argjson joined $joined \
        '([.tokens[].redeemed] | add) == $joined and all(.tokens[]; .redeemed <= .uses * .count)' \
        >/dev/null || fail "tokens: $(dunlin token list)"
    rm -rf "$WORK/thief"
    refused 'used' dunlin-agent join "$(join_url)" "$(cat "$WORK/token")" --dir "$WORK/thief" --timeout 60
}

main "$@"
