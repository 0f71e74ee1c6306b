#!/bin/sh
# A million tokens into a CSV file, ten times: the median of the seconds of each run, by the clock on the wall, beside
# those that the disk takes for as many bytes, and the bytes in the manager's database for each million, the audit log's
# among them. It fails where either is more than budgets.tsv allows. It measures the release preset's programs.
# usage: tokens.sh
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need jq sqlite3

main()
{
    runs=10
    start_manager
    before=$(stored)
    step "$runs times a million tokens"
    for run in $(seq "$runs"); do
        rm -f "$WORK/tokens.csv"
        timed seconds dunlin token create --count 1000000 --output "$WORK/tokens.csv"
        [ "$(wc -l <"$WORK/tokens.csv")" -eq 1000001 ] || fail "run $run made another number of tokens"
        timed floors dd if="$WORK/tokens.csv" of="$WORK/copy" bs=256k conv=fsync
    done
    a_million=$((($(stored) - before) / runs))
    median=$(middle seconds)
    row "a million tokens into a file, median" "$median" s "$(middle floors)"
    row "database, for each million" "$a_million" bytes
    budget "a million tokens into a file" "$median"
    budget "database, for a million tokens" "$a_million"
    publish "{tokens: 1000000, seconds: $(jq -sc sort "$WORK/seconds"), csv_bytes: $(stat -c %s "$WORK/tokens.csv")}"
}

# timed NAME COMMAND...: adds its seconds to $WORK/NAME.
timed()
{
    name=$1
    shift
    since=$(date +%s.%N)
    "$@" >/dev/null 2>"$WORK/said" || fail "$* fails: $(cat "$WORK/said")"
    echo "$since $(date +%s.%N)" | awk '{ printf "%.3f\n", $2 - $1 }' >>"$WORK/$name"
}

middle()
{
    jq -s 'sort[length / 2 | floor]' "$WORK/$1"
}

# What rows and indexes hold; the file grows by pages, so it would tell less.
stored()
{
    sqlite3 "$FLEET/manager.db" "SELECT sum(payload) FROM dbstat"
}

main
