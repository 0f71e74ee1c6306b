#!/bin/sh
# A million tokens into a CSV file, ten times: seconds of each run, by the clock on the wall, and the
# bytes in the manager's database for each million, the audit log's among them. The last line is one
# JSON document. It measures the release preset's programs.
# usage: tokens.sh
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need sqlite3

main()
{
    runs=10
    start_manager
    before=$(stored)
    step "$runs times a million tokens"
    : >"$WORK/seconds"
    for run in $(seq "$runs"); do
        since=$(date +%s.%N)
        dunlin token create --count 1000000 --output "$WORK/tokens.csv" 2>/dev/null
        echo "$since $(date +%s.%N)" | awk '{ printf "%.3f\n", $2 - $1 }' >>"$WORK/seconds"
        [ "$(wc -l <"$WORK/tokens.csv")" -eq 1000001 ] || fail "run $run made another number of tokens"
    done
    after=$(stored)
    jq -sc "{tokens: 1000000, median_s: sort[length / 2 | floor], fastest_s: min, slowest_s: max,
        database_bytes: $(((after - before) / runs)), csv_bytes: $(stat -c %s "$WORK/tokens.csv")}" \
        "$WORK/seconds"
    done_well >/dev/null
}

# What rows and indexes hold; the file grows by pages, so it would tell less.
stored()
{
    sqlite3 "$FLEET/manager.db" "SELECT sum(payload) FROM dbstat"
}

main
