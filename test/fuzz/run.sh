#!/bin/sh
# Fuzzes with libFuzzer. What it learns stays in build/fuzz/learnt/NOUN and serves the next run; an
# input that crashes is left in build/fuzz/crash-NOUN-… and makes the script fail.
set -eu

usage='usage: sh test/fuzz/run.sh [--keep] SECONDS [NOUN...]
Builds the fuzz preset and runs each target (or those named) for so many seconds, beside what its
corpus takes. --keep adds that to test/fuzz/hours.tsv, and small inputs that reach something new to
the corpus; without it nothing is written but below build/fuzz.'

case ${1-} in --keep) keep=1 && shift ;; *) keep= ;; esac
case ${1-} in
-h | --help) echo "$usage" && exit 0 ;;
'' | *[!0-9]*) echo "$usage" >&2 && exit 2 ;;
esac
seconds=$1 && shift

hours=test/fuzz/hours.tsv
told_bytes=4096 # at most, of an input that crashes: where a machine is thrown away, its log stays
kept_bytes=600  # at most, of an input that is kept: each test run replays it with all its neighbours

cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || for source in test/fuzz/fuzz_*.c; do
    [ -e "$source" ] || continue
    noun=${source##*/fuzz_}
    set -- "$@" "${noun%.c}"
done

# Sets processor_s: by all that this shell has waited for. A subshell has waited for nothing.
read_processor()
{
    times >build/fuzz/times
    processor_s=$(tail -n 1 build/fuzz/times | tr 'ms' '  ' | awk '{printf "%d\n", $1 * 60 + $2 + $3 * 60 + $4}')
}

run() # NOUN OPTION... FOLDER...
{
    target=build/fuzz/test/fuzz_$1 && shift
    "$target" -timeout=60 -rss_limit_mb=2048 "$@"
}

# So many seconds for what is new, and up to two more: libFuzzer counts those of the corpus as well, and whole ones.
fuzz() # NOUN
{
    began=$(date +%s)
    run "$1" -runs=0 "build/fuzz/learnt/$1" "test/fuzz/corpus/$1" 2>"build/fuzz/$1.log" || return 1
    total=$((seconds + $(date +%s) - began))
    run "$1" -max_total_time="$total" -max_len=131072 -print_final_stats=1 -artifact_prefix="build/fuzz/crash-$1-" \
        "build/fuzz/learnt/$1" "test/fuzz/corpus/$1" 2>"build/fuzz/$1.log"
}

# What the log and the input say: both are gone with the folder.
tell_crash() # NOUN
{
    tail -n 60 "build/fuzz/$1.log"
    find build/fuzz -maxdepth 1 -name "crash-$1-*" -newer build/fuzz/began -size -$((told_bytes / 512 + 1)) | while read -r input; do
        echo "$input, by base64 -d of: $(base64 -w 0 "$input")"
    done
}

keep_hours() # NOUN SECONDS RUNS: added to those it has had
{
    awk -v noun="$1" -v seconds="$2" -v runs="$3" 'BEGIN { FS = OFS = "\t" }
        $1 == noun { $2 += seconds; $3 += runs; found = 1 }
        { print }
        END { if (!found) print noun, seconds, runs }' "$hours" >"$hours.new"
    { head -n 1 "$hours.new" && tail -n +2 "$hours.new" | LC_ALL=C sort; } >"$hours"
    rm "$hours.new"
}

keep_corpus() # NOUN
{
    run "$1" -merge=1 -max_len="$kept_bytes" "test/fuzz/corpus/$1" "build/fuzz/learnt/$1" 2>/dev/null
    for input in "test/fuzz/corpus/$1"/*; do
        name=${input##*/}
        [ ${#name} -ne 40 ] || mv "$input" "${input%"${name#????????????}"}"
    done
}

cmake --preset fuzz >/dev/null
# shellcheck disable=SC2046
cmake --build --preset fuzz -j 2 --target $(printf 'fuzz_%s ' "$@")
failed=
touch build/fuzz/began
for noun; do
    echo "-- $noun"
    mkdir -p "build/fuzz/learnt/$noun"
    read_processor && before_s=$processor_s
    if fuzz "$noun"; then
        tail -n 6 "build/fuzz/$noun.log"
    else
        failed="$failed $noun"
        tell_crash "$noun"
    fi
    runs=$(awk '/^stat::number_of_executed_units/ {print $2}' "build/fuzz/$noun.log")
    read_processor
    [ -z "$keep" ] || keep_hours "$noun" $((processor_s - before_s)) "${runs:-0}"
    [ -z "$keep" ] || keep_corpus "$noun"
done
[ -z "$failed" ] || { echo "failed:$failed" >&2 && exit 1; }
