#!/bin/bash
# The API on TCP as friends and strangers meet it: roles, tokens, TLS, and clients that mean harm.
. "$(dirname "$0")/lib.sh"
need curl openssl python3

# Usage: credentials NAME ROLE [FLAG...]
credentials()
{
    local name=$1 role=$2
    shift 2
    dunlin admin create "$name" --role "$role" --output "$WORK/$name.json" "$@" 2>/dev/null ||
        fail "no credentials for $name"
}

# Usage: call CURL'S ARGUMENTS... PATH: as whoever $token proves, from the address $from. The answer is
# in $WORK/out, its status in $status.
call()
{
    local path=${*: -1}
    status=$(curl -sS --max-time 60 --cacert "$WORK/ca.pem" --interface "$from" -o "$WORK/out" \
        -w '%{http_code}' --path-as-is ${token:+-H "Authorization: Bearer $token"} \
        "${@:1:$#-1}" "$url$path" 2>"$WORK/curl.err") || status="curl $?"
}

# Usage: gives STATUS WORDS CURL'S ARGUMENTS... PATH
gives()
{
    local wanted=$1 words=$2
    shift 2
    call "$@"
    [ "$status" = "$wanted" ] ||
        fail "$*: $status instead of $wanted: $(head -c 300 "$WORK/out" "$WORK/curl.err")"
    grep -qF -- "$words" "$WORK/out" || fail "$*: no word of '$words' in: $(head -c 300 "$WORK/out")"
}

token_of()
{
    jq -r .token "$WORK/$1.json"
}

# The table as the manager has it: METHOD PATH ROLE.
routes()
{
    sed -nE 's,^    \{"([A-Z]+)"\, "([^"]+)"\, ROLE_([A-Z]+)\,.*,\1 \2 \3,p' "$ROOT/manager/api.c"
}

rank()
{
    case $1 in
    viewer | VIEWER) echo 1 ;;
    operator | OPERATOR) echo 2 ;;
    admin | ADMIN) echo 3 ;;
    *) fail "no role: $1" ;;
    esac
}

test_roles()
{
    local tried=0 method path role name
    routes >"$WORK/routes"
    [ "$(wc -l <"$WORK/routes")" -eq "$(grep -c '^    {"[A-Z]' "$ROOT/manager/api.c")" ] ||
        fail "some routes have no role"
    while read -r method path role; do
        for name in viewer operator admin; do
            # From an address of its own: a fast machine would else open more connections than one may.
            token=$(token_of "$name") from=127.6.0.$(rank "$name")
            call -X "$method" "${path//\*/none}"
            if [ "$(rank "$name")" -ge "$(rank "$role")" ]; then
                case $status in
                2?? | 400 | 404 | 409) ;;
                *) fail "$name may $method $path, but: $status $(head -c 300 "$WORK/out")" ;;
                esac
            else
                [ "$status" = 403 ] || fail "$name may not $method $path, but: $status"
                grep -q "takes the role ${role,,}" "$WORK/out" || fail "$method $path: $(cat "$WORK/out")"
            fi
            tried=$((tried + 1))
        done
        # Strangers come from everywhere.
        from=127.$((tried / 250 + 1)).$((tried % 250)).1 token='' 
        gives 401 "needs the token of an admin" -X "$method" "${path//\*/none}"
        from=127.0.0.1
    done <"$WORK/routes"
    [ "$tried" -ge 90 ] || fail "only $tried"
}

test_command_line()
{
    dunlin --credentials "$WORK/viewer.json" status >/dev/null || fail "a viewer sees no status"
    DUNLIN_CREDENTIALS=$WORK/viewer.json dunlin agent list >/dev/null || fail "not by environment"
    wrong 1 "takes the role operator, and you have the role viewer" \
        dunlin --credentials "$WORK/viewer.json" agent label 1 a=b
    make_app 1
    push_app 1 2>/dev/null # by the owner, who has the key trusted
    dunlin --credentials "$WORK/operator.json" deploy app@1 --as app --select env=prod >/dev/null ||
        fail "an operator deploys nothing"
    make_app 2
    dunlin --credentials "$WORK/operator.json" bundle push "$WORK/app@2" --name app --version 2 \
        --key "$FLEET/publisher.key" >/dev/null 2>&1 || fail "an operator pushes nothing"
    dunlin --credentials "$WORK/operator.json" deploy app@2 --as app --select env=prod >/dev/null ||
        fail "an operator deploys no second version"
    dunlin --credentials "$WORK/operator.json" agent label 1 region=eu >/dev/null || fail "no label"
    wrong 1 "takes the role admin" dunlin --credentials "$WORK/operator.json" token create
    dunlin --credentials "$WORK/admin.json" token create >/dev/null || fail "an admin makes no token"
    wrong 2 "exclude each other" dunlin --credentials "$WORK/admin.json" --dir "$FLEET" status
    chmod 640 "$WORK/admin.json"
    wrong 1 "chmod 600" dunlin --credentials "$WORK/admin.json" status
    chmod 600 "$WORK/admin.json"
    dunlin audit --json >"$WORK/audit"
    for line in 'admin:operator deploy deployment app' \
        'admin:operator bundle-add bundle app@2' 'admin:operator agent-label' \
        'admin:admin token-create' 'admin:viewer refused-role PATCH /v1/agents/*' \
        'local:[^ ]* admin-create admin operator'; do
        jq -r '.audit[] | [.actor, .action, .object] | join(" ")' "$WORK/audit" |
            grep -q "^$line" || fail "no '$line' in: $(dunlin audit)"
    done
}

test_bad_tokens()
{
    local good
    good=$(token_of viewer)
    from=127.3.0.1
    for bad in x dla1- "${good}0" "${good%?}" "${good/dla1/dla2}" "dla1-$(printf '0%.0s' {1..64})"; do
        token=$bad
        gives 401 "error" /v1/status
    done
    token=''
    gives 401 "needs the token" -H "Authorization: Basic eDp5" /v1/status
    gives 401 "needs the token" -H "Authorization: $good" /v1/status
    gives 401 "needs the token" "/v1/status?token=$good"
    credentials short viewer --ttl 1s
    credentials gone admin
    from=127.3.0.2 token=$(token_of gone)
    gives 200 admins /v1/admins
    dunlin admin revoke gone >/dev/null
    gives 401 "were revoked" /v1/admins
    wrong 1 "were revoked" dunlin --credentials "$WORK/gone.json" status
    within 5 expired || fail "it never expires"
    wrong 1 "have expired" dunlin --credentials "$WORK/short.json" status
    dunlin admin list --json | jq -e '.admins | map(select(.name == "gone").state) == ["revoked"]' \
        >/dev/null || fail "no revoked one in: $(dunlin admin list)"
    wrong 1 "no admin nobody" dunlin admin revoke nobody
    wrong 2 "viewer, operator or admin" dunlin admin create x --role king
    wrong 2 "a name has" dunlin admin create 'a b' --role viewer
    wrong 1 "has a credential that works" dunlin admin create admin --role viewer
    ! strings -a "$FLEET/manager.db" "$FLEET/manager.db-wal" 2>/dev/null | grep -qF "$good" ||
        fail "the database has the token"
    from=127.0.0.1
}

expired()
{
    dunlin admin list --json | jq -e '.admins[] | select(.name == "short").state == "expired"'
}

# Whoever guesses is not listened to for a while; the others are.
test_guessing()
{
    from=127.4.0.1 token=$(token_of admin)
    within 20 is_shut_out || fail "a guesser is heard: $status"
    from=127.4.0.2
    gives 200 version /v1/status
    from=127.4.0.1
    within 10 is_heard || fail "an address is never forgiven"
    [ "$(dunlin audit | grep -c 'address:127.4.0.1 .* unknown')" -le 2 ] || fail "a line for each guess"
    from=127.0.0.1
}

# After forty guesses not even the right token counts, or the address isn't let in at all.
is_shut_out()
{
    curl -sS --max-time 60 --cacert "$WORK/ca.pem" --interface "$from" -o /dev/null \
        -w '%{http_code}\n' -H "Authorization: Bearer dla1-$(printf '0%.0s' {1..64})" \
        "$url/v1/status?[1-40]" >"$WORK/guesses" 2>/dev/null || true
    [ "$(grep -c 401 "$WORK/guesses")" -lt 30 ] || fail "many guesses: $(sort "$WORK/guesses" | uniq -c)"
    call /v1/status
    [ "$status" = 429 ] || [ "${status% *}" = curl ]
}

is_heard()
{
    call /v1/status
    [ "$status" = 200 ]
}

test_tls()
{
    local port=${url##*:}
    [ "$(curl -s --max-time 5 "http://127.0.0.1:$port/v1/status" | wc -c)" = 0 ] ||
        fail "plain HTTP is answered"
    token=''
    call --tlsv1.0 --tls-max 1.1 --ciphers 'DEFAULT@SECLEVEL=0' /v1/status
    [ "$status" = "curl 35" ] || fail "TLS 1.1: $status"
    for version in 1.2 1.3; do
        token=$(token_of viewer)
        gives 200 version --tlsv$version --tls-max $version /v1/status
    done
    for weak in AES128-SHA ECDHE-ECDSA-AES128-SHA; do
        call --tls-max 1.2 --ciphers "$weak@SECLEVEL=0" /v1/status
        [ "$status" = "curl 35" ] || fail "cipher $weak: $status"
    done
    openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | openssl x509 -out "$WORK/cert.pem"
    openssl verify -CAfile "$WORK/ca.pem" -purpose sslserver "$WORK/cert.pem" >/dev/null ||
        fail "the certificate is not the authority's"
    openssl x509 -in "$WORK/cert.pem" -noout -checkend $((29 * 86400)) >/dev/null || fail "it ends soon"
    ! openssl x509 -in "$WORK/cert.pem" -noout -checkend $((92 * 86400)) >/dev/null || fail "it never ends"
    for name in localhost 127.0.0.1; do
        openssl x509 -in "$WORK/cert.pem" -noout -ext subjectAltName | grep -q "$name" || fail "no name $name"
    done
}

# A credentials file that belongs to another fleet, another name, nobody.
test_wrong_managers()
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=Dunlin" \
        -keyout "$WORK/other.key" -out "$WORK/other.pem" 2>/dev/null
    jq --rawfile ca "$WORK/other.pem" '.ca = $ca' "$WORK/viewer.json" >"$WORK/other.json"
    jq '.url |= sub("127.0.0.1"; "127.0.0.2")' "$WORK/viewer.json" >"$WORK/renamed.json"
    jq 'del(.token)' "$WORK/viewer.json" >"$WORK/useless.json"
    chmod 600 "$WORK"/*.json
    wrong 1 "this is not the manager that the credentials are for" \
        dunlin --credentials "$WORK/other.json" status
    wrong 1 "no manager answers|for another name" dunlin --credentials "$WORK/renamed.json" status
    wrong 1 "these are no credentials" dunlin --credentials "$WORK/useless.json" status
    wrong 1 "can't be read" dunlin --credentials "$WORK/nothing.json" status
    wrong 2 "say who asks" dunlin --manager "$url" status
    for address in http://example.org http://127.0.0.1.example.org http://localhost.example.org; do
        wrong 2 "only https:// is safe" dunlin --manager "$address" --credentials "$WORK/viewer.json" status
    done
    wrong 2 "write https://" dunlin --manager http://localhost:x@example.org status
}

# Usage: held KIND SOURCE COUNT: so many connections that say a byte a second: of a TLS greeting, or of
# a request within TLS. It ends when all of them were cut.
held()
{
    python3 - "${url##*:}" "$1" "$2" "$3" <<'PYTHON'
import socket, ssl, sys, time
port, kind, source, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
hello = bytes.fromhex("16030102000100 01fc0303") + bytes(500)
request = b"GET /v1/status HTTP/1.1\r\nX: " + b"y" * 500
context = ssl._create_unverified_context()
held = []
for i in range(count):
    s = socket.socket()
    s.bind((source, 0))
    s.settimeout(3)
    try:
        s.connect(("127.0.0.1", port))
        held.append(context.wrap_socket(s) if kind == "request" else s)
    except OSError:
        pass
for byte in request if kind == "request" else hello:
    for s in list(held):
        try:
            s.send(bytes([byte]))
        except OSError:
            held.remove(s)
    if not held:
        break
    time.sleep(1)
PYTHON
}

# Usage: quick COMMAND...: it is answered long before the first of those that hold places is cut off.
quick()
{
    local began_ms
    began_ms=$(now_ms)
    "$@" >/dev/null || return 1
    [ $(($(now_ms) - began_ms)) -lt 5000 ]
}

# Half-open connections take all places that there are, but not the owner's socket's; and they go.
test_slow_clients()
{
    local pids=() i
    token=$(token_of viewer) from=127.0.0.1
    for i in 1 2 3 4 5; do
        held "$([ "$i" -gt 2 ] && echo hello || echo request)" "127.5.0.$i" 40 &
        pids+=($!)
    done
    within 10 is_full || fail "they don't take all places"
    for i in 1 2 3 4 5; do
        quick dunlin status || fail "slow strangers hold the owner up"
    done
    within 30 is_heard || fail "strangers are never sent away"
    quick dunlin --credentials "$WORK/viewer.json" status || fail "still slow"
    within 60 gone "${pids[@]}" || fail "some strangers stay"
}

is_full()
{
    ! timeout 5 dunlin --credentials "$WORK/viewer.json" status
}

gone()
{
    ! kill -0 "$@"
}

# Noise, and handshakes without an end.
test_noise()
{
    local i
    for i in $(seq 8); do
        head -c 5000 /dev/urandom | timeout 5 python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 3)
s.sendall(sys.stdin.buffer.read())
s.settimeout(2)
try: s.recv(100)
except OSError: pass' "${url##*:}" 2>/dev/null || true
    done
    token=$(token_of viewer)
    for i in $(seq 30); do
        curl -s --max-time 0.05 --cacert "$WORK/ca.pem" -H "Authorization: Bearer $token" \
            "$url/v1/audit" >/dev/null || true
    done
    within 15 is_heard || fail "after noise nobody is heard"
    quick dunlin status || fail "slow after noise"
}

# All of it is still there after a kill, and nothing was lost from the log.
test_kill()
{
    kill_manager -KILL
    start_manager --advertise localhost --api "127.0.0.1:${url##*:}"
    dunlin --credentials "$WORK/viewer.json" status >/dev/null || fail "the credentials are lost"
    wrong 1 "were revoked" dunlin --credentials "$WORK/gone.json" status
    dunlin audit --verify >/dev/null || fail "the audit log is broken"
    dunlin --credentials "$WORK/viewer.json" audit --verify >/dev/null || fail "a viewer can't verify"
    kill_manager -TERM
    start_manager
    wrong 1 "run it with --api" dunlin admin create late --role viewer
}

start_manager --advertise localhost --api 127.0.0.1:0
join_agent 1 env=prod
for role in viewer operator admin; do
    credentials $role $role
    [ "$(stat -c %a "$WORK/$role.json")" = 600 ] || fail "others may read credentials"
done
jq -r .ca "$WORK/viewer.json" >"$WORK/ca.pem"
url=$(jq -r .url "$WORK/viewer.json") from=127.0.0.1
case $url in
https://127.0.0.1:*[1-9]*) ;;
*) fail "the credentials name $url, and not where the API listens" ;;
esac
for test in roles command_line bad_tokens guessing tls wrong_managers slow_clients noise kill; do
    step "$test"
    "test_$test"
done
done_well
