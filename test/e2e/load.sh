#!/bin/sh
# A fleet under load, small: 200 agents on real sockets live through everything, and each ends as it should. One that is
# interrupted leaves nothing, and one that is asked for too much says so.
. "$(dirname "$0")/lib.sh"
need dunlin-sim script

# load WORDS...: in a folder of this test, with its own keys.
load()
{
    TMPDIR=$WORK dunlin-sim load --keys "$WORK/keys" "$@"
}

# phase NAME JQ: something of that phase in the report.
phase()
{
    jq -r ".phases[] | select(.phase == \"$1\") | $2" "$WORK/report.json"
}

# unwilling WORDS COMMAND...: it begins, and ends with a sentence that has WORDS.
unwilling()
{
    words=$1
    shift
    ! "$@" >"$WORK/report" 2>"$WORK/load.log" || fail "'$*' succeeded, but should say: $words"
    tail -n 1 "$WORK/load.log" | grep -qE -e "^dunlin-sim: .*$words" || fail "it says: $(tail -n 1 "$WORK/load.log")"
}

step "200 agents live a whole life"
load --agents 200 --fail 50 --fetch 200 --deployments 20 --json >"$WORK/report.json" 2>"$WORK/load.log" ||
    fail "it ends with: $(tail -n 3 "$WORK/load.log")"
[ "$(jq .agents "$WORK/report.json")" -eq 200 ] || fail "the report tells of other agents"
for name in join connect deployment rollout reconnect; do
    [ "$(phase "$name" .count)" -eq 200 ] || fail "$name: $(phase "$name" .)"
    [ "$(phase "$name" '.latency_ms | .p50 > 0 and .p50 <= .p99 and .p99 <= .max')" = true ] ||
        fail "$name: $(phase "$name" .)"
done
for name in deployments join connect deployment status reconnect; do
    [ "$(phase "$name" '.floor_seconds > 0 and .ratio > 0')" = true ] || fail "$name has no floor: $(phase "$name" .)"
done
[ "$(jq '[.phases[] | select(.floor_seconds == null and .floorless == null).phase] == []' "$WORK/report.json")" = true ] ||
    fail "a phase has no floor, and doesn't say why"
[ "$(phase "restart at rest" '.seconds > 0 and .cpu_s.manager > 0')" = true ] || fail "it restarts at no rest"
[ "$(jq '.deployments_placed == 19 and .status_meanwhile.asked > 0' "$WORK/report.json")" = true ] ||
    fail "nobody asked how many have what: $(jq -c '[.deployments_placed, .status_meanwhile]' "$WORK/report.json")"
[ "$(jq '.floors.content.seconds > 0 and ([.phases[] | select(.chunks > 0).phase] - ["restart"] == ["deployment", "rollout"])' "$WORK/report.json")" = true ] ||
    fail "content is no floor of those phases alone in which it travels: $(jq -c '[.floors.content, (.phases[] | {phase, chunks})]' "$WORK/report.json")"
[ "$(jq '.floors | .notice.seconds > 0 and .notice.cpu_s.brokers < .document.cpu_s.brokers' "$WORK/report.json")" = true ] ||
    fail "one publication to each is no floor below a document's: $(jq -c .floors "$WORK/report.json")"
[ "$(jq '.agents_did.chunks' "$WORK/report.json")" -gt 20 ] || fail "nobody fetched anything"
none_left || fail "these are left: $(pgrep -af "$WORK")"
[ -z "$(find "$WORK" -name 'dunlin-load-*')" ] || fail "its folder is left"

step "on a terminal there is a bar for each phase, and a line when it is over"
TERM=xterm TMPDIR=$WORK script -qec "dunlin-sim load --agents 40 --keys $WORK/keys --deployments 1" "$WORK/terminal.log" >/dev/null 2>&1 ||
    fail "it ends with: $(tail -n 3 "$WORK/terminal.log")"
tr '\r' '\n' <"$WORK/terminal.log" >"$WORK/bars"
grep -qE '^rollout +\[#* *\] [0-9]+ of [0-9]+' "$WORK/bars" || fail "there is no bar: $(head -n 20 "$WORK/bars")"
grep -qE '\[Krollout +[0-9.]+ s' "$WORK/bars" || fail "a phase does not end with its time"
! sed -n 's/.*\[\([# ]*\)\] [0-9].*/\1/p' "$WORK/bars" | grep -qvxE '#* *' || fail "a bar has holes"

step "300 agents share seven sessions"
load --agents 300 --connections 7 --fail 50 --fetch 200 --deployments 3 --json >"$WORK/report.json" 2>"$WORK/load.log" ||
    fail "it ends with: $(tail -n 3 "$WORK/load.log")"
[ "$(jq -c '[.agents, .connections, .shared]' "$WORK/report.json")" = '[300,7,true]' ] ||
    fail "the report tells of other sessions: $(jq -c '[.agents, .connections, .shared]' "$WORK/report.json")"
for name in connect rollout reconnect; do
    [ "$(phase "$name" .count)" -eq 300 ] || fail "$name: $(phase "$name" .)"
    [ "$(phase "$name" '.floor_seconds > 0 and .ratio > 0')" = true ] || fail "$name has no floor: $(phase "$name" .)"
done

step "30 agents with TLS, floors over the same, and all content is fetched by all"
load --agents 30 --tls --deployments 1 --fetch 1000 --json >"$WORK/report.json" 2>"$WORK/load.log" ||
    fail "it ends with: $(tail -n 3 "$WORK/load.log")"
for name in join connect document status reconnect; do
    [ "$(phase "$name" '.floor_seconds > 0 and .ratio > 0')" = true ] || fail "$name has no floor: $(phase "$name" .)"
done

[ "$(jq '.agents_did.chunks >= 30 * 9' "$WORK/report.json")" = true ] ||
    fail "not all fetch half a megabyte: $(jq -c .agents_did "$WORK/report.json")"

step "stopped in the middle, it leaves nothing"
rm "$WORK/load.log" # of the run before, which came to its joins
load --agents 200 --deployments 1 >"$WORK/report" 2>"$WORK/load.log" &
pid=$!
within 60 grep -q '^join' "$WORK/load.log" || fail "it does not come to the joins"
flock -n "$WORK/keys" true || fail "it keeps the devices' keys to itself"
kill -INT "$(pgrep -P $pid dunlin-sim || echo $pid)"
wait $pid && fail "it says that all went well"
grep -q 'stopped' "$WORK/load.log" || fail "it says: $(tail -n 1 "$WORK/load.log")"
within 30 none_left || fail "these are left: $(pgrep -af "$WORK")"
[ -z "$(find "$WORK" -name 'dunlin-load-*')" ] || fail "its folder is left"

step "with a manager that runs already"
links=--plain
start_manager --join-rate 10000
load --agents 40 --deployments 3 --manager "$FLEET" >"$WORK/report" 2>"$WORK/load.log" || fail "it ends with: $(tail -n 3 "$WORK/load.log")"
dunlin status >/dev/null || fail "it has ended a manager that is not its own"
unwilling "has 40 agents and 3 deployments, .* give the folder of a manager that has none" \
    load --agents 40 --manager "$FLEET"
[ "$(dunlin deployment list --json | jq '.deployments | length')" -eq 3 ] || fail "it deployed all the same"
kill_manager -TERM
unwilling "a fleet whose manager does not run" load --agents 40 --manager "$FLEET"
brokers 0 || fail "it started that manager's brokers: $(broker_pids)"

step "one that runs with TLS says so"
rm -rf "$FLEET"
links=
start_manager --join-rate 10000
unwilling "has links with TLS: run this with --tls" load --agents 5 --deployments 1 --manager "$FLEET"
load --agents 5 --tls --deployments 1 --manager "$FLEET" >"$WORK/report" 2>"$WORK/load.log" ||
    fail "it ends with: $(tail -n 3 "$WORK/load.log")"
kill_manager -TERM

step "wrong words, and what the machine does not allow"
wrong 2 "--agents 0: give a number from 1 to 1000000" load --agents 0
wrong 2 "say how many" load
wrong 2 "30000 agents can share from 3 to 30000" load --agents 30000 --connections 2
wrong 2 "a certificate is one agent's" load --agents 10 --connections 2 --tls
# shellcheck disable=SC3045
few_files()
{
    (ulimit -n 300 && load --agents 30000)
}
wrong 1 "30000 agents need .* open files.*ulimit -n" few_files
done_well
