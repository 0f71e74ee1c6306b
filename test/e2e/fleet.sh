#!/bin/sh
# A fleet in virtual time, from the command line: reports, plots, swarms, and what is wrong use.
. "$(dirname "$0")/lib.sh"
need dunlin-sim

# fleet WORDS...
fleet()
{
    dunlin-sim fleet "$@" 2>"$WORK/fleet.log"
}

step "the same seed makes the same run, and the line on top makes it again"
fleet --agents 60 --links flaky --seed 7 --power-cuts 500 --cell-kills 4 --json >"$WORK/one.json" || fail "it fails"
fleet --agents 60 --links flaky --seed 8 --json >"$WORK/two.json" || fail "it fails"
one=$(jq -r '.runs[0].digest' "$WORK/one.json")
[ "$one" != "$(jq -r '.runs[0].digest' "$WORK/two.json")" ] || fail "another seed makes the same"
again=$(jq -r '.runs[0].command' "$WORK/one.json")
# shellcheck disable=SC2086
[ "$($again --json 2>/dev/null | jq -r '.runs[0].digest')" = "$one" ] || fail "it is not what was: $again"

step "heartbeats are compared"
fleet --agents 100 --heartbeat 1m,15m,60m >"$WORK/table" || fail "it fails"
head -n 1 "$WORK/table" | grep -q '1m  *15m  *1h' || fail "it says $(head -n 1 "$WORK/table")"
grep -q 'run it at the end  *100  *100  *100' "$WORK/table" || fail "it says $(cat "$WORK/table")"
fleet --agents 100 --heartbeat 1m,60m --json >"$WORK/beats.json" || fail "it fails"
jq -e '.runs[0].kib_up_a_day > 5 * .runs[1].kib_up_a_day' "$WORK/beats.json" >/dev/null ||
    fail "a heartbeat a minute costs no more than one an hour"

step "links from a file, mixed by shares"
printf 'profile: hut\ndelay: 2s\nevery: 6h\nfor: 1h\nphase: all\n' >"$WORK/hut.yaml"
fleet --agents 40 --links "$WORK/hut.yaml:3,always:1" --json >"$WORK/hut.json" || fail "it fails: $(cat "$WORK/fleet.log")"
jq -e '.runs[0] | .ready == 40 and .reached_50_min > 180' "$WORK/hut.json" >/dev/null || fail "$(cat "$WORK/hut.json")"

step "plots and their data"
mkdir "$WORK/plot"
fleet --agents 40 --heartbeat 1m,1h --plot "$WORK/plot" >/dev/null || fail "$(cat "$WORK/fleet.log")"
for plot in spread load cost; do
    grep -q '</svg>' "$WORK/plot/$plot.svg" || fail "$plot.svg is none"
done
[ "$(grep -c '^[0-9]' "$WORK/plot/load.csv")" = 48 ] || fail "not an hour a line: $(cat "$WORK/plot/load.csv")"
grep . "$WORK/plot/spread.csv" | tail -n 1 | grep -q ',100.000$' || fail "$(tail -n 4 "$WORK/plot/spread.csv")"

step "what good links brought once the days were over is not what these links bring"
fleet --agents 40 --links ship >"$WORK/table" || fail "it fails"
grep -q 'all of them  *not in 1 d' "$WORK/table" || fail "it says $(cat "$WORK/table")"
fleet --agents 40 --links ship --json | jq -e '.runs[0] | .reached_100_min == null and .ready == 40' >/dev/null ||
    fail "it does not say null"

step "a swarm"
fleet --seeds 5 --seed 11 >"$WORK/swarm" || fail "it finds: $(cat "$WORK/swarm")"
grep -q '^5 seeds from 11: nothing found' "$WORK/swarm" || fail "it says: $(cat "$WORK/swarm")"
fleet --seeds 5 --seed 11 >"$WORK/same" || fail "it finds: $(cat "$WORK/same")"
grep -q "^digest" "$WORK/same" || fail "it ends without a digest"
cmp "$WORK/swarm" "$WORK/same" || fail "the same seeds are not the same"

step "wrong words"
wrong 2 'no links are called "pigeon"' dunlin-sim fleet --links pigeon
wrong 2 '"5" must be a span' dunlin-sim fleet --heartbeat 5
wrong 2 'concurrency' dunlin-sim fleet --concurrency many
wrong 2 'agents' dunlin-sim fleet --agents 0
wrong 2 'swarm' dunlin-sim fleet --swarm 0
wrong 2 'seeds' dunlin-sim fleet --seeds 0
wrong 2 "agents can't be given with --swarm or --seeds" dunlin-sim fleet --seeds 3 --agents 10
wrong 2 'unknown flag' dunlin-sim fleet --agentz 3
printf 'profile: hut\ndelay: soon\n' >"$WORK/hut.yaml"
wrong 2 'hut.yaml:2:8: delay: must be a span' dunlin-sim fleet --links "$WORK/hut.yaml"
done_well
