#!/bin/sh
# Two brokers that the manager doesn't run, "on other machines": one started from a kit, which is refreshed, dies and
# forgets everything, and one that another fleet certified, to which nobody of ours says a word.
. "$(dirname "$0")/lib.sh"
need jq mosquitto_sub python3 openssl

# kit NAME: the kit of that broker, and what the command says.
kit()
{
    dunlin-manager broker-kit --dir "$2" --host foreign.example.org --host 127.0.0.3 --listen "$3" \
        --user "$(id -un)" "$WORK/$1"
}

good_kit()
{
    kit good "$FLEET" "127.0.0.3:$port"
}

# log_has FILE WORDS
log_has()
{
    grep -qE -- "$2" "$WORK/$1.log"
}

# retained: how much the good broker keeps for all agents, as one of them hears it.
retained()
{
    # shellcheck disable=SC2046
    mosquitto_sub -h 127.0.0.3 -p "$port" --cafile "$WORK/good/ca.pem" --cert "$WORK/ear.pem" --key "$WORK/ear.key" \
        --insecure --retained-only -W 3 -F '%t' -t 'dl1/cohort/+/+' -t 'dl1/chunk/+' -t 'dl1/trust/#' 2>/dev/null |
        sort -u | wc -l
}

# keeps N: so many at least.
keeps()
{
    [ "$(retained)" -ge "$1" ]
}

begins()
{
    step "brokers that aren't there yet don't stop a manager; it shows that they are down"
    front=$(free_port 127.0.0.2)
    port=$(free_port 127.0.0.3)
    elsewhere=$(free_port 127.0.0.4)
    start_manager --heartbeat 20s --cells 1 --broker "mqtts://127.0.0.2:$front" --broker "mqtts://127.0.0.4:$elsewhere"
    within 10 cell_is 0 up || fail "the manager's own broker is not up"
    for cell in 1 2; do cell_is $cell down || fail "broker $cell, which doesn't run, is not down"; done
    dunlin status | grep -q '1 of 3 up' || fail "status says: $(dunlin status)"

    step "a kit is made while the manager runs, and made again it says that nothing is new"
    good_kit | grep -q "a new mosquitto.conf" || fail "the first kit doesn't say what to do"
    good_kit | grep -q "nothing is new" || fail "the same kit again is another one"
    [ "$(find "$WORK/good" -type f ! -perm 600)" = "" ] || fail "others may read: $(ls -l "$WORK/good")"
    ! grep -rq 'BEGIN' "$WORK/good/acl" || fail "the access list is odd"

    step "the broker is started from it, and the manager finds it, over TLS alone"
    run_broker good
    meddle between "127.0.0.2:$front" "127.0.0.3:$port"
    within 15 cell_is 1 up || fail "the manager does not reach the broker: $(cat "$WORK/broker-good.log")"
    [ -s "$WORK/between/1.up" ] || fail "nothing passed"
    only_tls "$WORK"/between/*.up "$WORK"/between/*.down
}

refuses_strangers()
{
    step "a broker by another fleet's kit is refused by the manager, which says why"
    dunlin-manager run --dir "$WORK/other" --listen 127.0.0.1:0 >"$WORK/other.log" 2>&1 &
    echo $! >"$WORK/other.pid"
    within 20 test -S "$WORK/other/manager.sock" || fail "the other fleet's manager does not start"
    kit wrong "$WORK/other" "127.0.0.4:$elsewhere" >/dev/null || fail "no kit for the other fleet"
    run_broker wrong
    kill_process other -TERM
    within 10 log_has manager "cell-down url=mqtts://127.0.0.4:$elsewhere reason=.*by another fleet" ||
        fail "the manager does not say why: $(grep cell-down "$WORK/manager.log")"
    cell_is 2 down || fail "the wrong broker is up"

    step "the next start keeps the manager's own broker beside them"
    kill_manager -TERM
    start_manager --heartbeat 20s --confirm-over 100 --broker "mqtts://127.0.0.2:$front" \
        --broker "mqtts://127.0.0.4:$elsewhere"
    within 10 cell_is 0 up || fail "its own broker is not up"
    within 10 cell_is 1 up || fail "the good broker is not up"
}

serves_agents()
{
    step "agents join, and run what is deployed; who is sent to the wrong broker refuses it and goes on to the next"
    # Where an agent belongs follows from its id: there are as many as it takes to have some on both.
    agents='' good='' wrong=''
    while [ "$(echo "$good" | wc -w)" -lt 2 ] || [ -z "$wrong" ]; do
        n=$(($(echo "$agents" | wc -w) + 1))
        [ "$n" -le 40 ] || fail "nobody belongs to one of the brokers"
        join_agent "$n" env=prod
        start_agent "$n"
        agents="$agents $n"
        case $(dunlin-agent status --dir "$WORK/agent$n" --json | jq -r '.brokers[0]') in
        *:$front) good="$good $n" ;;
        *:$elsewhere) wrong="$wrong $n" ;;
        esac
    done
    release 1 env=prod
    # shellcheck disable=SC2086
    within 60 app_is 1 $agents || fail "version 1 does not come: $(dunlin agent list)"
    for n in $good; do
        log_has "agent$n" "link-up.*mqtts://127.0.0.2:$front" || fail "agent $n is not on the foreign broker"
    done
    for n in $wrong; do
        within 10 log_has "agent$n" "another fleet" || fail "agent $n does not say why: $(cat "$WORK/agent$n.log")"
    done
    only_tls "$WORK"/between/*.up "$WORK"/between/*.down
}

revokes()
{
    step "a revoked agent is kicked at once, before the broker has heard of it"
    bad=$(echo "$good" | cut -d ' ' -f 2)
    rest=$(echo "$agents" | tr ' ' '\n' | grep -vx "$bad" | tr '\n' ' ')
    id=$(agent "$bad" .id)
    kicks=$(grep -c 'link-down' "$WORK/agent$bad.log" || true)
    dunlin agent revoke "$bad" >/dev/null
    within 5 log_has manager "agent-kicked url=mqtts://127.0.0.2:$front agent=$id" || fail "it is not kicked"
    within 5 more_downs "$kicks" || fail "it stays connected"
    ! log_has "agent$bad" "it is revoked" || fail "the broker knows already"

    step "with the next kit and a SIGHUP it is refused for good, and the manager finds that out"
    good_kit | grep -q "send that Mosquitto SIGHUP" || fail "the kit doesn't say what to do"
    kill -HUP "$(cat "$WORK/good/pid")"
    within 20 log_has "agent$bad" "it is revoked" || fail "it is still let in: $(tail -n 5 "$WORK/agent$bad.log")"
    within 20 log_has manager "agent-shut-out url=mqtts://127.0.0.2:$front agent=$id" || fail "the manager kicks for ever"
    [ "$(agent "$(echo "$good" | cut -d ' ' -f 3)" .state)" = Online ] || fail "another agent suffers"
}

more_downs()
{
    [ "$(grep -c 'link-down' "$WORK/agent$bad.log")" -gt "$1" ]
}

is_refilled()
{
    step "the broker dies and loses its memory: it is filled again"
    certify ear 00000000000000000000000000000001
    held=$(retained)
    [ "$held" -gt 3 ] || fail "the broker keeps $held messages only"
    kill_process broker-good -KILL
    within 10 cell_is 1 down || fail "the manager doesn't notice"
    rm -f "$WORK/good/mosquitto.db"
    release 2 env=prod
    run_broker good
    within 20 cell_is 1 up || fail "the broker is not found again"
    # shellcheck disable=SC2086
    within 60 app_is 2 $rest || fail "version 2 does not come"
    within 20 keeps "$held" || fail "it keeps $(retained) messages instead of $held" # a version more has a chunk more
}

begins
refuses_strangers
serves_agents
revokes
is_refilled
done_well
