#!/bin/sh
# Fuzzes with libFuzzer. What it learns stays in build/fuzz/learnt/NOUN and serves the next run; an
# input that crashes is left in build/fuzz/crash-NOUN-… and makes the script fail.
set -eu

usage='usage: sh test/fuzz/run.sh SECONDS [NOUN...]
Builds the fuzz preset and runs each target (or those named) for so many seconds.'

case ${1-} in
-h | --help) echo "$usage" && exit 0 ;;
'' | *[!0-9]*) echo "$usage" >&2 && exit 2 ;;
esac
seconds=$1 && shift

cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || for source in test/fuzz/fuzz_*.c; do
    [ -e "$source" ] || continue
    noun=${source##*/fuzz_}
    set -- "$@" "${noun%.c}"
done

cmake --preset fuzz >/dev/null
failed=
for noun; do
    cmake --build --preset fuzz --target "fuzz_$noun"
    mkdir -p "build/fuzz/learnt/$noun"
    "build/fuzz/test/fuzz_$noun" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=131072 -print_final_stats=1 -artifact_prefix="build/fuzz/crash-$noun-" \
        "build/fuzz/learnt/$noun" "test/fuzz/corpus/$noun" || failed="$failed $noun"
done
[ -z "$failed" ] || { echo "failed:$failed" >&2 && exit 1; }
