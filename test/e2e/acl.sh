#!/bin/sh
# A client with a certificate of its own tries every topic but its own, in both directions, other names, and other
# certificates. What a device without a certificate may do at the door is as little as it needs.
# shellcheck disable=SC2016,SC2046 # topics with dollars, and flags that are words
. "$(dirname "$0")/lib.sh"
need mosquitto_pub mosquitto_sub openssl xxd

A=aa112233445566778899aabbccddeeff
B=bb112233445566778899aabbccddeeff

# at_door: of one that has none, at the join port.
at_door()
{
    echo "-h 127.0.0.1 -p $door --cafile $ca"
}

# Every kind of topic, A's own and B's, real and made up.
topics()
{
    for id in "$A" "$B"; do
        for name in "up/00/$id" "up/aa/$id" "up/bb/$id" "up/$id" "up/aa/$id/x" "agent/$id/head" "agent/$id/doc" \
            "agent/$id/certificate" "agent/$id"; do
            echo "dl1/$name"
        done
    done
    for name in join/0123456789abcdef joined/0123456789abcdef cohort/0123456789abcdef/0 cohort/0123456789abcdef/doc \
        "chunk/$(printf %064d 0)" trust/1 atlas cell/control cell/bulk cell/probe x; do
        echo "dl1/$name"
    done
    echo x
    echo "\$SYS/broker/version"
    echo "\$SYS/x"
}

# What is heard is written down as topic and hexadecimal payload, since documents are binary.
hex()
{
    printf %s "$1" | xxd -p
}

# heard NAME TOPIC: waits for the message that is sent last, and gives the topics that came before.
heard()
{
    within 10 grep -q "^$2 $(hex last)" "$WORK/$1.heard" || fail "$1 hears nothing: $(cat "$WORK/$1.heard")"
    grep -v "^$2 " "$WORK/$1.heard" | cut -d ' ' -f 1 | sort -u || true
}

# same WORDS: what $WORK/expected and $WORK/got have is the same.
same()
{
    diff "$WORK/expected" "$WORK/got" >&2 || fail "$*"
}

# subscribed NAME TOPIC [SOCKET]: its subscriptions stand: what is sent there, at a cell unless said, comes through.
subscribed()
{
    mosquitto_pub --unix "${3:-$cell}" -q 1 -t "$2" -m begin
    grep -q "$(hex begin)" "$WORK/$1.heard"
}

# stays_refused WORDS PROGRAM...: it can't connect.
stays_refused()
{
    what=$1
    shift
    if timeout 10 "$@" -q 1 -t "dl1/up/$A" -m x >"$WORK/refused.out" 2>&1; then
        fail "$what is let in: $(cat "$WORK/refused.out")"
    fi
}

writes()
{
    step "a client publishes on every topic: only its own gets through"
    mosquitto_sub --unix "$cell" -R -F '%t %x' -t '#' -t '$SYS/x' >"$WORK/all.heard" &
    echo $! >"$WORK/observer.pid"
    within 10 subscribed all dl1/test || fail "the observer hears nothing"
    topics >"$WORK/topics"
    while read -r topic; do
        for retain in "" -r; do mosquitto_pub $(as A) -t "$topic" -m from-A $retain 2>/dev/null || true; done
        mosquitto_pub $(as A) -q 1 -t "$topic" -m from-A 2>/dev/null || true
    done <"$WORK/topics"
    # A last will is a message, too.
    mosquitto_sub $(as A) -t x --will-topic "dl1/up/$B" --will-payload will -W 1 >/dev/null 2>&1 || true
    mosquitto_pub --unix "$cell" -q 1 -t "dl1/test" -m last
    heard all dl1/test >/dev/null
    grep -E " ($(hex from-A)|$(hex will))$" "$WORK/all.heard" | cut -d ' ' -f 1 | sort -u >"$WORK/got"
    echo "dl1/up/$A" >"$WORK/expected"
    same "other topics were written than A's own"
    kill_process observer -TERM
}

reads()
{
    step "a client subscribes to everything, and hears what is for all and what is for it"
    mosquitto_sub $(as A) -F '%t %x' -t '#' -t '+/#' -t '$SYS/#' -t "dl1/agent/$B/#" -t "dl1/up/+" -t "dl1/joined/+" >"$WORK/a.heard" &
    echo $! >"$WORK/a.pid"
    within 10 subscribed a "dl1/agent/$A/begin" || fail "A hears nothing"
    while read -r topic; do
        mosquitto_pub --unix "$cell" -t "$topic" -m secret 2>/dev/null || true
        mosquitto_pub --unix "$cell" -t "$topic" -m secret -r 2>/dev/null || true
    done <"$WORK/topics"
    mosquitto_pub --unix "$cell" -q 1 -t "dl1/agent/$A/begin" -m last
    heard a "dl1/agent/$A/begin" >"$WORK/got"
    may_read | sort >"$WORK/expected"
    same "A hears other things than it should"
    kill_process a -TERM

    step "what is retained is kept from it as well"
    may_read | grep -v -e 'dl1/cohort/' -e dl1/trust/ | sort >"$WORK/expected"
    within 10 given_retained || same "A is given other retained messages than it should"
}

# given_retained: within two seconds A has got what is retained for it and for all, and nothing else.
given_retained()
{
    mosquitto_sub $(as A) -t '#' -t '$SYS/#' -t "dl1/agent/$B/#" -W 2 -F %t 2>/dev/null | sort -u |
        grep -v -e /begin -e 'dl1/cohort/.*' -e 'dl1/trust/' >"$WORK/got"
    cmp -s "$WORK/expected" "$WORK/got"
}

may_read()
{
    grep -E "^dl1/(agent/$A|cohort/|chunk/|trust/|atlas$)" "$WORK/topics"
}

names()
{
    step "its name is that in its certificate, whatever it says"
    mosquitto_sub $(as B) -t "dl1/agent/$B/x" -F '%t %x' -d >"$WORK/b.heard" 2>&1 &
    echo $! >"$WORK/b.pid"
    within 10 subscribed b "dl1/agent/$B/x" || fail "B hears nothing"
    connects=$(grep -c 'sending CONNECT' "$WORK/b.heard")
    for name in "$B" dunlin-manager "" '#' '+'; do
        mosquitto_pub $(as A) -i "$name" -q 1 -t "dl1/up/$B" -m x 2>/dev/null || true
        mosquitto_pub $(as A) -u "$name" -P x -q 1 -t "dl1/up/$B" -m x 2>/dev/null || true
        mosquitto_pub $(as A) -V mqttv5 -i "$name" -q 1 -t "dl1/up/$A" -m x 2>/dev/null || true
    done
    within 5 subscribed b "dl1/agent/$B/x" || fail "B was disconnected"
    [ "$(grep -c 'sending CONNECT' "$WORK/b.heard")" -eq "$connects" ] || fail "A ended B's session"
    [ "$(dunlin status --json | jq -r '.cells[0].state')" = up ] || fail "A ended the manager's session"
    kill_process b -TERM
}

strangers()
{
    step "no certificate, a stranger's, an expired one, a server's, old TLS, no TLS: nobody gets in"
    mosquitto_pub $(as A) -q 1 -t "dl1/up/$A" -m x || fail "A's certificate is not taken"
    stays_refused "a client without a certificate" mosquitto_pub -h 127.0.0.1 -p "$port" --cafile "$ca"
    stays_refused "a client without TLS" mosquitto_pub -h 127.0.0.1 -p "$port"
    name=$(openssl x509 -in "$ca" -noout -subject -nameopt multiline | sed -n 's/.*commonName *= //p')
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$WORK/mock.key" -out "$WORK/mock.pem" \
        -subj "/CN=$name" -days 10 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$WORK/stranger.key" -subj "/CN=$A" 2>/dev/null |
        openssl x509 -req -CA "$WORK/mock.pem" -CAkey "$WORK/mock.key" -set_serial 1 -days 10 \
            -out "$WORK/stranger.pem" 2>/dev/null
    stays_refused "a certificate by another authority of that name" mosquitto_pub $(as stranger)
    certify old "$A" $(($(date +%s) - 6000000)) $(($(date +%s) - 6000000))
    stays_refused "an expired certificate" mosquitto_pub $(as old)
    certify future "$A" $(($(date +%s) + 100000))
    stays_refused "a certificate that is not valid yet" mosquitto_pub $(as future)
    cp "$FLEET/door/cert.pem" "$WORK/server.pem"
    cp "$FLEET/door/key.pem" "$WORK/server.key"
    stays_refused "a server's certificate" mosquitto_pub $(as server)
    for version in 1 1_1; do
        ! echo | openssl s_client -connect "127.0.0.1:$port" -"tls$version" -cipher 'ALL:@SECLEVEL=0' 2>&1 |
            grep -q 'Cipher is [A-Z]' || fail "TLS $version is spoken"
    done
    echo | openssl s_client -connect "127.0.0.1:$port" -tls1_2 -CAfile "$ca" -cert "$WORK/A.pem" -key "$WORK/A.key" 2>&1 |
        grep -q 'Cipher is ECDHE-ECDSA' || fail "TLS 1.2 is not spoken"
}

at_the_door()
{
    step "at the door: requests to join go in, answers come out, and nothing else"
    jid=0123456789abcdef
    mosquitto_sub $(at_door) -F '%t %x' -t '#' -t '$SYS/#' -t 'dl1/join/+' >"$WORK/d.heard" &
    echo $! >"$WORK/d.pid"
    mosquitto_sub --unix "$FLEET/door/sock" -F '%t %x' -t '#' -t '$SYS/x' >"$WORK/inside.heard" &
    echo $! >"$WORK/inside.pid"
    within 10 subscribed d "dl1/joined/$jid" "$FLEET/door/sock" || fail "the device at the door hears nothing"
    within 10 subscribed inside dl1/test "$FLEET/door/sock" || fail "the observer inside hears nothing"
    while read -r topic; do
        mosquitto_pub $(at_door) -q 1 -t "$topic" -m from-outside 2>/dev/null || true
        mosquitto_pub $(at_door) -u "$A" -P x -q 1 -t "$topic" -m from-outside 2>/dev/null || true
        mosquitto_pub --unix "$FLEET/door/sock" -q 1 -t "$topic" -m secret
    done <"$WORK/topics"
    mosquitto_pub $(at_door) -q 1 -t "dl1/join/$jid" -r -m retained 2>/dev/null || true
    mosquitto_pub --unix "$FLEET/door/sock" -q 1 -t "dl1/joined/$jid" -m last
    within 10 grep -q "$(hex last)" "$WORK/inside.heard" || fail "nothing is heard inside"
    grep "$(hex from-outside)" "$WORK/inside.heard" | cut -d " " -f 1 | sort -u >"$WORK/got"
    echo "dl1/join/$jid" >"$WORK/expected"
    same "other things come in through the door than requests to join"
    within 10 grep -q "$(hex last)" "$WORK/d.heard" || fail "no answer comes out of the door"
    cut -d ' ' -f 1 "$WORK/d.heard" | sort -u >"$WORK/got"
    echo "dl1/joined/$jid" >"$WORK/expected"
    same "other things come out of the door than answers"
    kill_process d -TERM
    kill_process inside -TERM
}

# shellcheck disable=SC2119
start_manager
port=$(cell_port 0)
door=$(join_url | sed 's/.*://')
cell=$FLEET/cells/0/sock
ca=$FLEET/cells/0/ca.pem
certify A "$A"
certify B "$B"
writes
reads
names
strangers
at_the_door
done_well
