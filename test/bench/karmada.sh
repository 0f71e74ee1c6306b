#!/bin/bash
# What Karmada's test report measures of its own: how long one more member takes to register, and how long it takes
# from a command to the moment when it is carried out on a member. Here a registration is the whole life of a new
# device: the join with a token, its certificate, and the first link over mutual TLS, until the manager calls it
# online. Carried out is a version when `current` names its tree. The floors: a bare MQTT client that connects over
# mutual TLS, speaks and goes; and one that waits for a message in the place of each agent. The last line is one JSON
# document. It takes two minutes or so.
# usage: karmada.sh [--agents N] [--tries N]
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need mosquitto_pub mosquitto_sub xxd

LOOK_S=0.01
agents=100 tries=5

main()
{
    take_options "agents tries" "$@"
    start_manager
    step "$agents devices register, one after the other"
    dunlin token create --count "$agents" --label env=lab --output "$WORK/tokens" 2>/dev/null || fail "no tokens"
    # shellcheck disable=SC2046
    set -- $(cat "$WORK/tokens")
    for ((n = 1; n <= agents; n++)); do register $n "$1" && shift; done

    step "the floor: as many bare clients come, speak and go"
    certify_all
    for ((n = 1; n <= agents; n++)); do come_and_go $n; done

    step "$tries commands, each for all $agents"
    for ((v = 1; v <= tries; v++)); do carry_out $v; done

    step "the floor: as many messages to as many bare clients"
    wait_bare
    for ((v = 1; v <= tries; v++)); do send_bare $v; done

    tell registered "registration until online" 5356 6125 6904
    tell applied "from command to applied" 612 881 989
    publish "{agents: $agents, tries: $tries}"
}

tell() # NAME WHAT PUBLISHED_P50 P90 P99
{
    local percent name=$1 what=$2
    shift 2
    for percent in 50 90 99; do
        row "$what, p$percent" "$(percentile "$name" $percent)" ms "$(percentile "${name}_bare" $percent)" "$1" Karmada
        shift
    done
}

percentile() # NAME PERCENT
{
    jq -s "$PERCENTILE p($2)" "$WORK/$1.ms"
}

# ---- registration ----

register() # N TOKEN
{
    local since_ms
    since_ms=$(now_ms)
    dunlin-agent join "$(join_url)" "$2" --dir "$WORK/agent$1" >"$WORK/agent$1.log" 2>&1 || fail "$1 does not join"
    start_agent "$1"
    until [ "$(agent "$1" .state)" = Online ]; do sleep "$LOOK_S"; done
    echo $(($(now_ms) - since_ms)) >>"$WORK/registered.ms"
}

# Each with a certificate of its own: who comes under another one's name throws that one out.
certify_all()
{
    for ((n = 1; n <= agents; n++)); do certify "bare$n" "$(head -c 16 /dev/urandom | xxd -p)"; done
}

come_and_go() # N
{
    local since_ms
    since_ms=$(now_ms)
    # shellcheck disable=SC2046
    mosquitto_pub $(as "bare$1") -q 1 -t dl1/up/bare -m x
    echo $(($(now_ms) - since_ms)) >>"$WORK/registered_bare.ms"
}

# ---- commands ----

carry_out() # V
{
    local since_ns
    rm -f "$WORK/content"
    make_app "$1" 1
    rm -r "$WORK/app@$1/hooks"
    dunlin bundle push "$WORK/app@$1" --name app --version "$1" >/dev/null 2>&1 || fail "version $1 is not taken"
    since_ns=$(date +%s%N)
    dunlin deploy "app@$1" --as app --all --confirm >/dev/null || fail "version $1 is not deployed"
    dunlin wait app --timeout 300s >/dev/null 2>&1 || fail "version $1 does not arrive: $(dunlin status)"
    # When the link was made, by the file system.
    find "$WORK"/agent*/deployments/app/current -printf '%T@\n' |
        awk -v since="$since_ns" '{ printf "%.1f\n", ($1 * 1e9 - since) / 1e6 }' >>"$WORK/applied.ms"
}

wait_bare()
{
    for ((n = 1; n <= agents; n++)); do
        # shellcheck disable=SC2046
        mosquitto_sub $(as "bare$n") -q 1 -t dl1/cohort/bare/0 -F '%U' >>"$WORK/heard$n" 2>"$WORK/bare.log" &
        echo $! >"$WORK/bare$n.pid"
    done
    within 60 send_and_hear || fail "the bare clients do not hear"
}

# They are there when each has heard one.
send_and_hear()
{
    say || return 1
    sleep "$LOOK_S"
    for ((n = 1; n <= agents; n++)); do [ -s "$WORK/heard$n" ] || return 1; done
}

say()
{
    mosquitto_pub --unix "$FLEET/cells/0/sock" -q 1 -t dl1/cohort/bare/0 -m x
}

send_bare()
{
    local n since_ns
    for ((n = 1; n <= agents; n++)); do : >"$WORK/heard$n"; done
    since_ns=$(date +%s%N)
    say
    within 30 all_heard || fail "not all bare clients hear"
    cat "$WORK"/heard* | awk -v since="$since_ns" '{ printf "%.1f\n", ($1 * 1e9 - since) / 1e6 }' >>"$WORK/applied_bare.ms"
}

all_heard()
{
    [ "$(cat "$WORK"/heard* | wc -l)" -eq "$agents" ]
}

main "$@"
