#!/bin/sh
# Tokens from the operator's command to the device that joined: files for a factory, QR codes, serial
# numbers, approval, alarms, races for leaked tokens, and what is said about wrong ones.
# usage: tokens.sh [--races N]
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need curl python3 mosquitto_pub mosquitto_sub xxd

# join N TOKEN FLAG...: device N, with a time limit; its words go to $WORK/joinN.log.
join()
{
    device=$1 token=$2
    shift 2
    dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent$device" --timeout 120 "$@" \
        >>"$WORK/join$device.log" 2>&1
}

said()
{
    grep -q "$2" "$WORK/join$1.log"
}

# mistake WORDS COMMAND...: wrong use, which makes no tokens.
mistake()
{
    batches=$(dunlin token list --json | jq '.tokens | length')
    words=$1
    shift
    wrong 2 "$words" dunlin token create "$@"
    [ "$(dunlin token list --json | jq '.tokens | length')" = "$batches" ] || fail "$* makes tokens"
}

files()
{
    step "CSV: a line is all that a device needs"
    dunlin token create --count 300 --ttl 7d --output "$WORK/tokens.csv" 2>"$WORK/said"
    grep -q "300 tokens in $WORK/tokens.csv, good for 7 days (batch 1)" "$WORK/said" || fail "$(cat "$WORK/said")"
    [ "$(stat -c %a "$WORK/tokens.csv")" = 600 ] || fail "others can read the tokens"
    [ "$(head -n 1 "$WORK/tokens.csv")" = "number,token,serial,host" ] || fail "the header is another"
    [ "$(sed 1d "$WORK/tokens.csv" | cut -d , -f 1 | paste -sd ' ')" = "$(seq 300 | paste -sd ' ')" ] ||
        fail "the numbers are others"
    [ "$(sed 1d "$WORK/tokens.csv" | cut -d , -f 2 | sort -u | grep -cxE 'dlt1-[A-Za-z0-9_-]{80}')" = 300 ] ||
        fail "not 300 different tokens"
    line=$(sed -n 151p "$WORK/tokens.csv")
    host=${line##*,}
    token=$(echo "$line" | cut -d , -f 2)
    dunlin-agent join "$host" "$token" --dir "$WORK/agent1" --timeout 120 >"$WORK/join1.log" 2>&1 ||
        fail "line 151 does not do: $line"
    [ "$(agent 1 '.token | [.batch, .index] | join(" ")')" = "1 149" ] || fail "it joined with another token"

    step "text and JSON have the same tokens"
    dunlin token create --count 5000 --format text >"$WORK/text"
    [ "$(grep -cxE 'dlt1-[A-Za-z0-9_-]{80}' "$WORK/text")" = 5000 ] || fail "text holds something else"
    dunlin token create --count 5000 --json | jq -e '.batch == 3 and (.tokens | length == 5000) and .host' \
        >/dev/null || fail "JSON holds something else"
    dunlin token create --count 2 --format csv | head -n 1 | grep -qx number,token,serial,host ||
        fail "--format csv makes no CSV"
    dunlin token create --count 2 --format text --output "$WORK/plain.csv" 2>/dev/null
    [ "$(wc -l <"$WORK/plain.csv")" = 2 ] || fail "--format text does not count for FILE.csv"
    dunlin token create --count 2 --json --output "$WORK/two.csv" | jq -e '.count == 2' >/dev/null ||
        fail "no summary of the file"
}

codes()
{
    step "a QR code, as a camera sees it"
    dunlin token create --qr >"$WORK/qr"
    text=$(tail -n 1 "$WORK/qr")
    [ "$("$ROOT/test/e2e/read_qr.py" <"$WORK/qr")" = "$text" ] || fail "the code says something else"
    [ "$(wc -l <"$WORK/qr")" -lt 30 ] || fail "the code fits no terminal"
    dunlin-agent join "$text" --dir "$WORK/agent2" --timeout 120 >"$WORK/join2.log" 2>&1 ||
        fail "what the code says does not do: $text"
    wrong 1 "token is mistyped" dunlin-agent join "$(flip "$text")" --dir "$WORK/none"
    wrong 1 "no invitation" dunlin-agent join "dunlin:nothing" --dir "$WORK/none"
}

# flip TEXT: with another character in the middle of its token.
flip()
{
    echo "$1" | sed -E 's/_(.{29})$/A\1/; t; s/.(.{29})$/_\1/'
}

serials()
{
    step "a token for each serial number, and none kept for it"
    printf 'SN-1\r\n\n  SN-2 \nSN,3\n' >"$WORK/serials"
    dunlin token create --serials "$WORK/serials" --output "$WORK/bound.csv" 2>/dev/null
    [ "$(sed 1d "$WORK/bound.csv" | cut -d , -f 3- | sed 's/,[^,]*$//' | paste -sd ' ')" = 'SN-1 SN-2 "SN,3"' ] ||
        fail "the serial numbers are others: $(cat "$WORK/bound.csv")"
    first=$(sed -n 2p "$WORK/bound.csv" | cut -d , -f 2)
    second=$(sed -n 3p "$WORK/bound.csv" | cut -d , -f 2)
    ! join 3 "$first" --serial SN-2 || fail "a token does for another serial number"
    said 3 "refused: the token is for a device with another serial number" || fail "$(cat "$WORK/join3.log")"
    join 3 "$first" --serial SN-1 || fail "the right device is refused: $(cat "$WORK/join3.log")"
    [ "$(agent 3 .facts.serial)" = SN-1 ] || fail "the serial number is no fact"
    join 4 "$second" --serial=SN-2 || fail "the second device is refused"
    one=$(dunlin token create --serial "weird ~!\"# one")
    join 5 "$one" --serial "weird ~!\"# one" || fail "a serial number with all characters is refused"
    dunlin token list | grep -qE "active +3 .* serial" || fail "the list does not say that they are bound"

    step "ten thousand serial numbers take three requests"
    seq -f 'S%09.0f' 10000 >"$WORK/many"
    dunlin token create --serials "$WORK/many" --format csv >"$WORK/many.csv"
    [ "$(sed 1d "$WORK/many.csv" | cut -d , -f 3 | cmp - "$WORK/many" && echo same)" = same ] || fail "they differ"
    last=$(tail -n 1 "$WORK/many.csv" | cut -d , -f 2)
    join 6 "$last" --serial S000010000 || fail "the last one is refused: $(cat "$WORK/join6.log")"
}

approval()
{
    step "a device waits for an operator, whoever restarts meanwhile"
    token=$(dunlin token create --approve --label env=new)
    join 7 "$token" --timeout 240 &
    waiting=$!
    within 20 said 7 "has to approve this device: .dunlin agent approve" || fail "it does not wait"
    ! grep -aqs "[d]${token#d}" /proc/[0-9]*/cmdline || fail "who lists processes meanwhile reads the token"
    id=$(sed -n 's/.*dunlin agent approve \([0-9a-f]*\).*/\1/p' "$WORK/join7.log" | head -n 1)
    [ "$(agent "$id" .state)" = Waiting ] || fail "it is not shown as waiting"
    [ "$(dunlin status --json | jq -c '.agents | [.total, .waiting]')" = '[6,1]' ] || fail "it counts already"
    dunlin status | grep -q "1 waiting to be approved" || fail "the status does not tell of it"
    kill_manager -9
    start_manager
    dunlin agent label "$id" env=lab >/dev/null
    [ "$(dunlin agent approve "$id")" = "agent 7 is in the fleet" ] || fail "it is not approved"
    wait "$waiting" || fail "it is not told: $(cat "$WORK/join7.log")"
    said 7 "joined as agent 7 .*labels env=lab" || fail "$(cat "$WORK/join7.log")"
    dunlin agent approve 7 >/dev/null || fail "approving twice is an error"

    step "an operator refuses one for good"
    token=$(dunlin token create --approve)
    join 8 "$token" --timeout 240 &
    waiting=$!
    within 20 said 8 "has to approve" || fail "it does not wait"
    dunlin agent remove 8 >/dev/null
    ! wait "$waiting" || fail "a refused device joins"
    said 8 "refused: the token has been revoked" || fail "$(cat "$WORK/join8.log")"
    wrong 1 "there is no agent 8" dunlin agent approve 8
    wrong 1 "there is no agent ffffff" dunlin agent approve ffffff
}

# How many alarms about tokens there were, also those that no log has any more.
alarms()
{
    curl -sS --unix-socket "$FLEET/manager.sock" http://manager/metrics |
        sed -n 's/^dunlin_alarms_total{alarm="token-reused"} //p'
}

# told N: the newest alarm is about this token, counted from 1, of batch $batch; or the log has no place for it, and one
# more than $counted is only counted. A thief with many tokens can't fill the log.
told()
{
    now=$(dunlin status --json | jq -r '.alarms.last[] | select(.action == "alarm-token-reused") | "\(.only_counted) \(.object)"')
    last=$counted
    counted=${now%% *}
    [ "${now#* }" = "batch $batch, token $1" ] || [ "$counted" -eq $((last + 1)) ]
}

# How many alarms of $batch the log knows: its entries, and those that they say were only counted.
logged()
{
    dunlin audit --action alarm-token-reused --json | jq --arg batch "batch $batch," \
        '[.audit[] | select(.object | startswith($batch)) | 1, (.detail | scan("[0-9]+") | tonumber)] | add // 0'
}

# race: two new devices with one token, at the same time.
race()
{
    rm -rf "$WORK/agent20" "$WORK/agent21" "$WORK/join20.log" "$WORK/join21.log"
    join 20 "$1" &
    one=$!
    join 21 "$1" &
    two=$!
    won=0
    wait "$one" && won=$((won + 1))
    wait "$two" && won=$((won + 1))
    [ "$won" -eq 1 ] || fail "$won devices joined with one token"
    cat "$WORK/join20.log" "$WORK/join21.log" | grep -q "refused: the token has been used by another device" ||
        fail "the loser is told something else"
}

races()
{
    runs=$1
    step "$runs races of two devices for one token"
    dunlin token create --count "$runs" --output "$WORK/leaked" 2>/dev/null
    batch=$(dunlin token list --json | jq '.tokens[-1].id')
    before=$(alarms)
    number=0 counted=0
    while read -r token; do
        number=$((number + 1))
        race "$token"
        [ "$(alarms)" -eq "$((before + number))" ] || fail "race $number: $(($(alarms) - before)) alarms in all"
        told "$number" || fail "race $number: the status does not tell of it: $now"
    done <"$WORK/leaked"
    [ "$(logged)" -eq $((runs - counted)) ] || fail "the audit log knows of $(logged), and $counted are only counted"
}

# knock FLAG...: publishes at the door, as anybody may.
knock()
{
    mosquitto_pub -h 127.0.0.1 -p "$(join_url | sed 's/.*://')" --cafile "$FLEET/cells/0/ca.pem" -q 1 "$@"
}

# listen NAME: hears the answers that come to anybody from now on, for 8 s.
listen()
{
    subscribe "$1" mosquitto_sub --unix "$FLEET/door/sock" -q 1 -t 'dl1/joined/#' -W 8 -F '%x'
    listener=$(cat "$WORK/$1.pid")
}

counter()
{
    dunlin status --json | jq ".counters.$1"
}

limits()
{
    step "who guesses gets few answers, and keeps nobody out"
    token=$(dunlin token create --count 2 | tail -n 1)
    batch=$(dunlin token list --json | jq '.tokens[-1].id')
    forged=$(counter forged)
    listen guesses
    # 8,400 requests for that very token, index 1 of its batch, without its secret: more than these go by no connection.
    printf '\227\001\001%b\001\240\304\014aaaaaaaaaaaa\304\040aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb\n' \
        "$(printf '\\%04o' "$batch")" >"$WORK/guess"
    yes "$(cat "$WORK/guess")" | head -n 700 >"$WORK/wrong"
    for _ in $(seq 12); do knock -t dl1/join/0123456789abcdef -l <"$WORK/wrong" || fail "a guesser is cut off"; done
    join 10 "$token" --timeout 120 || fail "guesses keep a device out: $(cat "$WORK/join10.log")"
    # The door drops some of so many.
    within 30 more_forged "$((forged + 5000))" || fail "$(counter forged) counted"
    wait "$listener" || true
    [ "$(heard_by guesses | wc -l)" -lt 2500 ] || fail "$(heard_by guesses | wc -l) answers"
    [ "$(grep -c tokens-guessed "$WORK/manager.log")" -eq 1 ] || fail "the log does not tell of it once"

    step "a request that is replayed gets few answers as well"
    overhear 11
    flooded=$(counter flooded)
    listen replays
    knock -t "$topic" -f "$WORK/payload" --repeat 100
    wait "$listener" || true
    [ "$(heard_by replays | wc -l)" -le 25 ] || fail "$(heard_by replays | wc -l) answers to one request"
    [ "$(counter flooded)" -ge "$((flooded + 75))" ] || fail "$(counter flooded) counted as flooded"
    [ "$(dunlin status --json | jq .alarms.last_day)" = "$(grep -c ' alarm ' "$WORK/manager.log")" ] ||
        fail "a replay raises an alarm"
}

# overhear N: device N joins with $token, and somebody inside keeps its request, and the topic of it.
overhear()
{
    token=$(dunlin token create)
    subscribe request mosquitto_sub --unix "$FLEET/door/sock" -q 1 -t 'dl1/join/#' -C 1 -F '%t %x'
    listener=$(cat "$WORK/request.pid")
    join "$1" "$token" || fail "the device does not join"
    wait "$listener"
    topic=$(heard_by request | cut -d ' ' -f 1)
    heard_by request | cut -d ' ' -f 2 | xxd -r -p >"$WORK/payload"
}

copies()
{
    step "thieves who ask with a copy of its token keep the device from nothing"
    overhear 12
    flooded=$(counter flooded)
    url=$(join_url) thieves=
    for n in $(seq 30 59); do
        dunlin-agent join "$url" "$token" --dir "$WORK/agent$n" --timeout 240 >>"$WORK/join$n.log" 2>&1 &
        thieves="$thieves $!"
    done
    within 30 more_flooded "$flooded" || fail "the thieves still get their answers"
    subscribe answer mosquitto_sub --unix "$FLEET/door/sock" -q 1 -t "dl1/joined/${topic##*/}" -C 1 -W 20 -F '%x'
    listener=$(cat "$WORK/answer.pid")
    knock -t "$topic" -f "$WORK/payload"
    wait "$listener" || fail "the device asks again, and gets no answer"
    # shellcheck disable=SC2086 # those that got one have ended
    kill $thieves 2>/dev/null || true
    for thief in $thieves; do ! wait "$thief" || fail "a thief joins"; done
}

more_flooded()
{
    [ "$(counter flooded)" -gt "$1" ]
}

more_forged()
{
    [ "$(counter forged)" -ge "$1" ]
}

mistakes()
{
    step "wrong words"
    mistake "count and --serial exclude" --count 2 --serial x
    mistake "serial and --serials exclude" --serial x --serials "$WORK/serials"
    mistake "qr shows one token" --qr --count 2
    mistake "qr and --output exclude" --qr --output "$WORK/x"
    mistake "qr and --json exclude" --qr --json
    mistake "format pdf: write text or csv" --format pdf
    mistake "format and --json exclude" --format csv --json
    mistake "serial: \" x\": a serial number has 1 to 63 characters" --serial " x"
    mistake "serial needs a value|serial number has 1 to 63" --serial ""
    mistake "serial number has 1 to 63" --serial "$(printf '%064d' 0)"
    wrong 1 "$WORK/nowhere: can't be read: No such file" dunlin token create --serials "$WORK/nowhere"
    : >"$WORK/empty"
    wrong 1 "$WORK/empty: there is no serial number in it" dunlin token create --serials "$WORK/empty"
    printf 'good\nb\303\244d\n' >"$WORK/bad"
    wrong 1 "$WORK/bad: line 2: .*a serial number has 1 to 63" dunlin token create --serials "$WORK/bad"
    wrong 2 "serial .*: write 1 to 63 characters" dunlin-agent join x y --serial "$(printf '%064d' 0)"
    wrong 2 "serial .*: write 1 to 63 characters" dunlin-agent join x y --serial " a"
    refused "isn't bound to serial numbers" sh -c "curl -sS --fail-with-body --unix-socket '$FLEET/manager.sock' \
        'http://m/v1/tokens/1/serials?first=0' --data-binary 'x
'"
}

everybody_waits()
{
    step "run --approve: every device waits"
    kill_manager -TERM
    start_manager --approve
    token=$(dunlin token create)
    join 9 "$token" --timeout 240 &
    waiting=$!
    within 20 said 9 "has to approve" || fail "it does not wait"
    number=$(dunlin agent list --json | jq '.agents[] | select(.state == "Waiting") | .number')
    dunlin agent approve "$number" >/dev/null
    wait "$waiting" || fail "it does not join: $(cat "$WORK/join9.log")"
}

[ "${1:---races}" = --races ] || fail "usage: tokens.sh [--races N]"
start_manager
files
codes
serials
approval
races "${2:-10}"
limits
copies
mistakes
everybody_waits
done_well
