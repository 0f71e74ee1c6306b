#!/bin/sh
# Being away is normal: whoever is missing, the others go on with what they have, and whoever comes
# back ends up with what is wanted now, and only with that.
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"

main()
{
    start_manager
    join_agent 1 site=a
    join_agent 2 site=a
    join_agent 3 site=b
    join_agent 4 site=a
    for n in 1 2 3; do start_agent "$n"; done

    first_boot_without_manager
    power_cut_without_anybody
    months_away
    relabelled
    broker_without_memory
    paused_and_back
    fatal_version
    removed
    done_well
}

first_boot_without_manager()
{
    step "an agent that has joined but never run finds everything on the broker, without the manager"
    release 1 site=a
    within 30 app_is 1 1 2 || fail "agents 1 and 2 don't take version 1"
    kill_manager -9
    brokers 1 || fail "the broker should outlive a killed manager"
    start_agent 4
    within 30 agent_runs 4 app "$WORK/app@1" || fail "agent 4 needs the manager"
    start_manager
    brokers 1 || fail "the manager does not take its broker over: $(broker_pids)"
    within 30 app_is 1 1 2 4 || fail "the manager does not learn what went on without it"
    [ ! -e "$WORK/agent3/deployments/app" ] || fail "agent 3 got what is for site=a"
}

power_cut_without_anybody()
{
    step "an agent that is cut off in the middle of an update ends it alone"
    make_app 2
    make_hook "$WORK/app@2" pre-apply "touch \"\$DUNLIN_DATA/preparing\"
until [ -e \"$WORK/go\" ]; do sleep 0.1; done"
    release 2 site=a
    within 30 [ -e "$WORK/agent1/deployments/app/data/preparing" ] || fail "version 2 does not begin"
    kill_agent 1 -9
    kill_manager -9
    kill_brokers
    brokers 0 || fail "a broker is still there: $(broker_pids)"
    touch "$WORK/go"
    start_agent 1
    within 30 agent_runs 1 app "$WORK/app@2" || fail "agent 1 needs somebody"
    within 10 applied_is 1 "1 2" || fail "agent 1 applied: $(applied 1)"
    within 10 says_ready 1 || fail "agent 1 does not come to an end alone"
    kill_agent 1 -9
    start_agent 1

    start_manager
    within 40 app_is 2 1 2 4 || fail "not all come back to version 2"
    applied_is 1 "1 2" || fail "agent 1 applied again what it had: $(applied 1)"
}

# By the agent's own word.
says_ready()
{
    dunlin-agent status --dir "$WORK/agent$1" --json | jq -e '.deployments[0].state == "Ready"'
}

months_away()
{
    step "an agent that was away for three versions applies only the newest"
    kill_agent 2 -9
    for version in 3 4 5; do
        release $version site=a
        within 30 app_is $version 1 4 || fail "agents 1 and 4 don't take version $version"
    done
    [ "$(agent 2 .state)" = Offline ] || fail "agent 2 is $(agent 2 .state), though it is off"
    start_agent 2
    within 30 app_is 5 2 || fail "agent 2 does not catch up"
    applied_is 2 "1 2 5" || fail "agent 2 applied: $(applied 2)"
}

relabelled()
{
    step "an agent gets what its new labels ask for, and loses it with them"
    dunlin agent label 3 site=a >/dev/null
    within 30 app_is 5 3 || fail "agent 3 does not get what is for site=a"
    dunlin agent label 3 site=b >/dev/null
    within 30 [ ! -e "$WORK/agent3/deployments/app" ] || fail "agent 3 keeps what is for site=a"
    [ -e "$WORK/agent3/removed" ] || fail "agent 3 did not run hooks/remove"
    [ "$(agent 3 '.deployments | length')" -eq 0 ] || fail "agent 3 still shows a deployment"
}

broker_without_memory()
{
    step "a broker that has lost everything is filled again"
    kill_brokers
    rm -f "$FLEET"/cells/*/mosquitto.db
    within 30 brokers 1 || fail "the broker is not started again"
    join_agent 5 site=a
    start_agent 5
    within 30 app_is 5 5 || fail "agent 5 does not find what it needs"
    within 30 online 5 || fail "not all agents come back: $(dunlin agent list)"
}

paused_and_back()
{
    step "what is paused waits; a rollback brings the version before"
    dunlin deployment pause app >/dev/null
    release 6 site=a
    within 30 shows_everywhere Paused 1 2 4 5 || fail "agents do not wait: $(dunlin agent list)"
    app_is_there 5 1 2 4 5 || fail "an agent did not wait"
    dunlin deployment resume app >/dev/null
    within 30 app_is 6 1 2 4 5 || fail "agents do not go on after the pause"
    dunlin deployment rollback app >/dev/null
    within 30 app_is 5 1 2 4 5 || fail "agents do not go back to version 5"
}

fatal_version()
{
    step "a version that takes its device down is given up after three times"
    make_app 7
    # shellcheck disable=SC2016
    make_hook "$WORK/app@7" apply 'echo "$DUNLIN_VERSION" >>"$DUNLIN_DATA/applied"
case $DUNLIN_DATA in */agent1/*) kill -9 $PPID ;; esac'
    release 7 site=a
    for _ in 1 2 3; do
        within 20 died 1 || fail "version 7 does not take agent 1 down"
        start_agent 1
    done
    within 20 shows_everywhere RolledBack 1 || fail "agent 1 is $(agent 1 '.deployments[0].state')"
    agent_runs 1 app "$WORK/app@5" || fail "agent 1 is not back at version 5"
    within 20 app_is 7 2 4 5 || fail "the other agents do not take version 7"
    release 8 site=a
    within 20 app_is 8 1 2 4 5 || fail "agent 1 does not take the next version"
}

# died N: also when nobody has waited for it yet; one that is only being started lives.
died()
{
    ! readlink "/proc/$(cat "$WORK/agent$1.pid")/exe"
}

removed()
{
    step "a removed agent keeps what it has, and is of the fleet no more"
    dunlin agent remove 5 >/dev/null
    within 20 grep -q removed-from-fleet "$WORK/agent5.log" || fail "agent 5 is not told"
    [ "$(agent 5 .state)" = Removed ] || fail "agent 5 is $(agent 5 .state)"
    agent_runs 5 app "$WORK/app@8" || fail "agent 5 lost what it had"

    step "a removed deployment goes everywhere, by its own hook"
    dunlin deployment remove app >/dev/null
    for n in 1 2 4; do
        within 30 [ ! -e "$WORK/agent$n/deployments/app" ] || fail "agent $n keeps the deployment"
        [ -e "$WORK/agent$n/removed" ] || fail "agent $n did not run hooks/remove"
    done
    within 20 nothing_deployed || fail "the manager still shows it: $(dunlin status)"
}

# shows_everywhere STATE AGENT...
shows_everywhere()
{
    state=$1
    shift
    for n; do
        [ "$(agent "$n" '.deployments[0].state')" = "$state" ] || return 1
    done
}

# app_is_there VERSION AGENT...: on disk.
app_is_there()
{
    version=$1
    shift
    for n; do
        agent_runs "$n" app "$WORK/app@$version" || return 1
    done
}

nothing_deployed()
{
    [ "$(dunlin status --json | jq '.deployments | length')" -eq 0 ]
}

main
