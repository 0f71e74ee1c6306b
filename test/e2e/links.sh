#!/bin/sh
# Links outlive what is done to their broker: a manager that is killed and comes back, a certificate that is renewed,
# and another agent that is shut out. The one that is shut out is gone at once, and comes in by no way that it knew.
# shellcheck disable=SC2046 # flags are words
. "$(dirname "$0")/lib.sh"
need mosquitto_pub mosquitto_sub openssl python3

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

# session FLAG FILE: one TLS session of agent 1, kept in FILE or resumed from it.
session()
{
    (sleep 1) | openssl s_client -connect "127.0.0.1:$port" -tls1_2 -CAfile "$ca" -cert "$WORK/agent1.pem" \
        -key "$WORK/agent1.key" "$1" "$2" 2>&1
}

# A handshake that is done while the certificate still counts, and MQTT only when told to.
sleeper()
{
    python3 - "$port" "$WORK/agent1" "$(id 1)" "$WORK/wake" <<'PY' &
import os, ssl, socket, sys, time
port, name, agent, wake = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.load_cert_chain(name + ".pem", name + ".key")
link = context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))))
open(wake + ".ready", "w").close()
while not os.path.exists(wake):
    time.sleep(0.05)
topic = ("dl1/up/%s" % agent).encode()
try:
    link.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
    link.settimeout(2)
    link.recv(4)
    publish = len(topic).to_bytes(2, "big") + topic + b"\x00\x01" + b"from-the-past"
    link.sendall(b"\x32" + bytes([len(publish)]) + publish)
    link.recv(4)
except OSError:
    pass
open(wake + ".done", "w").close()
PY
    within 10 test -f "$WORK/wake.ready" || fail "no handshake"
}

adoption()
{
    step "a manager is killed, and the next one takes over with another certificate: nobody is disconnected"
    listen 1
    listen 2
    pids=$(broker_pids) doors=$(door_pid)
    kill_manager -9
    mosquitto_pub --unix "$FLEET/cells/0/sock" -q 1 -t "dl1/up/$(id 2)" -m 'while it is away'
    start_manager --advertise fleet.example.org
    [ "$(broker_pids)" = "$pids" ] || fail "the cell was started anew"
    [ "$(door_pid)" = "$doors" ] || fail "the door was started anew"
    within 5 serves fleet.example.org || fail "the cell shows an old certificate: $(served)"
    within 10 counted malformed 1 || fail "what was said meanwhile is lost"
    undisturbed 1 adopted
    undisturbed 2 adopted
    agent_url=$(dunlin status --json | jq -r '.cells[0].url')
    [ "$agent_url" = "mqtts://fleet.example.org:$port" ] || fail "agents are told $agent_url"
}

shut_out()
{
    step "agent 1 is revoked: its link is cut, what it held is worth nothing, and others notice nothing"
    session -sess_out "$WORK/session" | grep -q 'Cipher is ECDHE' || fail "no session"
    session -sess_in "$WORK/session" | grep -q '^Reused' || fail "sessions are not resumed"
    sleeper
    mosquitto_sub --unix "$FLEET/cells/0/sock" -v -t 'dl1/up/+' >"$WORK/up.heard" &
    echo $! >"$WORK/observer.pid"
    began_ms=$(date +%s%3N)
    dunlin agent revoke 1 >/dev/null || fail "agent 1 is not revoked"
    within 5 grep -q 'agent-kicked.*agent='"$(id 1)" "$WORK/manager.log" || fail "agent 1 is not kicked"
    echo "revoked and kicked after $(($(date +%s%3N) - began_ms)) ms"
    within 5 dropped || fail "client 1 is still connected: $(cat "$WORK/client1.heard")"
    if mosquitto_pub $(as agent1) -q 1 -t "dl1/up/$(id 1)" -m again 2>/dev/null; then
        fail "agent 1 comes in again"
    fi
    ! session -sess_in "$WORK/session" | grep -q '^Reused' || fail "agent 1's old session is resumed"
    touch "$WORK/wake"
    within 10 test -f "$WORK/wake.done" || fail "the sleeper sleeps on"
    mosquitto_pub --unix "$FLEET/cells/0/sock" -q 1 -t dl1/up/last -m last
    within 5 grep -q last "$WORK/up.heard" || fail "the observer hears nothing"
    ! grep -q "$(id 1)" "$WORK/up.heard" || fail "agent 1 still says: $(cat "$WORK/up.heard")"
    hears 1 secret || true
    sleep 0.5
    ! grep -q secret "$WORK/client1.heard" || fail "agent 1 still hears"
    undisturbed 2 others
    kill_process observer -TERM
    kill_process client1 -TERM
}

# Its second try to connect came to nothing.
dropped()
{
    grep -qE 'Error|alert' "$WORK/client1.heard"
}

stays_out()
{
    step "and stays out when broker and manager are started anew"
    kill_manager -9
    kill_brokers
    start_manager
    within 20 mosquitto_pub $(as agent2) -q 1 -t "dl1/up/$(id 2)" -m x || fail "agent 2 is kept out"
    if mosquitto_pub $(as agent1) -q 1 -t "dl1/up/$(id 1)" -m x 2>/dev/null; then
        fail "agent 1 comes in again"
    fi
    kill_process client2 -TERM
}

# shellcheck disable=SC2119
start_manager
for n in 1 2; do
    join_agent "$n"
    agent "$n" .id >"$WORK/id$n"
    joined_s "$n" >"$WORK/joined$n"
done
for n in 1 2; do certify "agent$n" "$(id "$n")" "$(cat "$WORK/joined$n")"; done
port=$(cell_port 0)
ca=$FLEET/cells/0/ca.pem
adoption
shut_out
stays_out
done_well
