#!/bin/sh
# Links outlive what is done to their broker: a manager that is killed and comes back, a certificate that is renewed.
# shellcheck disable=SC2046 # flags are words
. "$(dirname "$0")/lib.sh"
need mosquitto_pub mosquitto_sub openssl

# listen N: a client with the certificate of agent N, which hears what is for it.
listen()
{
    mosquitto_sub $(as "agent$1") -d -v -t "dl1/agent/$(id "$1")/test" >"$WORK/client$1.heard" 2>&1 &
    echo $! >"$WORK/client$1.pid"
    within 10 hears "$1" "hello" || fail "client $1 hears nothing: $(cat "$WORK/client$1.heard")"
}

# hears N WORD: it does when WORD is sent to it.
hears()
{
    mosquitto_pub --unix "$FLEET/cells/0/sock" -q 1 -t "dl1/agent/$(id "$1")/test" -m "$2"
    grep -q "/test $2" "$WORK/client$1.heard"
}

id()
{
    cat "$WORK/id$1"
}

# undisturbed N WORD: its one connection still stands.
undisturbed()
{
    within 5 hears "$1" "$2" || fail "client $1 does not hear $2: $(cat "$WORK/client$1.heard")"
    [ "$(grep -c 'sending CONNECT' "$WORK/client$1.heard")" -eq 1 ] || fail "client $1 was disconnected"
}

# served: the names in the certificate that the cell shows.
served()
{
    echo | openssl s_client -connect "127.0.0.1:$port" 2>/dev/null | openssl x509 -noout -ext subjectAltName
}

serves()
{
    served | grep -q "$1"
}

counter()
{
    dunlin status --json | jq ".counters.$1"
}

# counted NAME N
counted()
{
    [ "$(counter "$1")" -eq "$2" ]
}

# joined_s N: when it joined.
joined_s()
{
    date -d "$(agent "$1" .joined)" +%s
}

adoption()
{
    step "a manager is killed, and the next one takes over with another certificate: nobody is disconnected"
    listen 1
    listen 2
    pids=$(broker_pids) doors=$(door_pid)
    kill_manager -9
    mosquitto_pub --unix "$FLEET/cells/0/sock" -q 1 -t "dl1/up/$(id 2 | cut -c 1-2)/$(id 2)" -m 'while it is away'
    start_tls_manager --advertise fleet.example.org
    [ "$(broker_pids)" = "$pids" ] || fail "the cell was started anew"
    [ "$(door_pid)" = "$doors" ] || fail "the door was started anew"
    within 5 serves fleet.example.org || fail "the cell shows an old certificate: $(served)"
    within 10 counted malformed 1 || fail "what was said meanwhile is lost"
    undisturbed 1 adopted
    undisturbed 2 adopted
    agent_url=$(dunlin status --json | jq -r '.cells[0].url')
    [ "$agent_url" = "mqtts://fleet.example.org:$port" ] || fail "agents are told $agent_url"
}

# shellcheck disable=SC2119
start_manager
for n in 1 2; do
    join_agent "$n"
    agent "$n" .id >"$WORK/id$n"
    joined_s "$n" >"$WORK/joined$n"
done
kill_manager -TERM
# shellcheck disable=SC2119
start_tls_manager
for n in 1 2; do certify "agent$n" "$(id "$n")" "$(cat "$WORK/joined$n")"; done
port=$(cell_port 0)
adoption
done_well
