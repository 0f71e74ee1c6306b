# For what measures: the library of the end-to-end tests, with the programs of the release preset, built
# here, since processes with sanitizers measure the sanitizers. DUNLIN_RELEASE_BIN names another folder.
# shellcheck shell=sh
root=$(cd "$(dirname "$0")/../.." && pwd)
DUNLIN_BIN=${DUNLIN_RELEASE_BIN:-$root/build/release}
[ -n "${DUNLIN_RELEASE_BIN:-}" ] || (
    cd "$root"
    cmake --preset release
    cmake --build --preset release --target dunlin dunlin-agent dunlin-manager dunlin-sim issue_certificate
) >/dev/null
. "$root/test/e2e/lib.sh"

# ---- what it took ----

# cpu_s PID...: user and system time of these processes and of their children that have ended.
cpu_s()
{
    # shellcheck disable=SC2002,SC2046
    cat $(printf '/proc/%s/stat ' "$@") 2>/dev/null |
        awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); sum += $12 + $13 + $14 + $15 } END { printf "%.2f\n", sum / hz }'
}

# usage: cpu_s of the manager, its brokers, and all agents with their hooks, in three lines.
usage()
{
    cpu_s "$(cat "$WORK/manager.pid")"
    # shellcheck disable=SC2046
    cpu_s $(broker_pids) $(door_pid)
    # shellcheck disable=SC2046
    cpu_s $(cat "$WORK"/agent*.pid)
}

# memory NAME FIELD: in KiB, of the process that $WORK/NAME.pid tells of: Rss, Pss, Private_Dirty, or VmHWM, the most
# that was resident at one time.
memory()
{
    memory_of "$(cat "$WORK/$1.pid")" "$2"
}

memory_of()
{
    awk -v what="$2:" '$1 == what { print $2 }' "/proc/$1/smaps_rollup" "/proc/$1/status"
}

# counted NAME PORT: a meddler for that port of 127.0.0.1, at the address $between, which is what a manager has to
# advertise. A second one of that name takes the place of the first, which is killed.
between=127.0.0.2
counted()
{
    kill_process "$1" -KILL
    rm -rf "${WORK:?}/$1"
    meddle "$1" "$between:$2" "127.0.0.1:$2"
}

# newest NAME: the number of its newest connection.
newest()
{
    find "$WORK/$1" -name '*.up' -printf '%f\n' | sort -n | tail -n 1 | cut -d . -f 1
}

# bytes_of NAME N: both ways, of its N-th connection; TCP's and IP's own bytes don't count.
bytes_of()
{
    cat "$WORK/$1/$2.up" "$WORK/$1/$2.down" | wc -c
}

# ---- what is told of it ----

# p(90) in jq: of a list of numbers the smallest that is not below so many percent of them.
# shellcheck disable=SC2016,SC2034
PERCENTILE='def p($of): sort | .[([(length * $of / 100 | ceil), 1] | max) - 1];'

# row WHAT VALUE UNIT [FLOOR [PUBLISHED OF]...]: a line of the table. The floor was measured in the same run, and is what
# would be left if nothing of ours took any time; what is PUBLISHED is the figure of OF. null is none.
row()
{
    jq -cn --arg what "$1" --arg unit "$3" "{\$what, value: ($2), \$unit, floor: (${4:-null})}" >"$WORK/row"
    shift "$(($# > 4 ? 4 : $#))"
    jq -c '.published = [$ARGS.positional | _nwise(2) | select(length == 2) | {value: .[0] | tonumber, of: .[1]}]' "$WORK/row" --args "$@" >>"$WORK/rows"
}

# budget WHAT VALUE: it fails where that is more than budgets.tsv allows.
budget()
{
    most=$(awk -F '\t' -v what="$1" '$1 == what { print $2 }' "$root/test/bench/budgets.tsv")
    [ -n "$most" ] || fail "budgets.tsv has no line for $1"
    [ "$(jq -n "$2 <= $most")" = true ] || fail "$1: $2, and $most are allowed"
}

# publish DETAILS: the last line, which is one JSON document with the rows and DETAILS (jq); run.sh makes a table of it.
publish()
{
    jq -sc --arg bench "$(basename "$0" .sh)" "{\$bench, rows: .} + $1" "$WORK/rows" >"$WORK/published"
    done_well >/dev/null
    cat "$WORK/published"
}
