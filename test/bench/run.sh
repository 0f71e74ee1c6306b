#!/bin/sh
# Runs one benchmark, set-up included, or lists what there is. Figures are worth something on a quiet
# machine only.
set -eu

usage='usage: sh test/bench/run.sh [NAME [--json | --keep] [ARGUMENT ...]]
Installs what is missing, builds the release preset, and runs the benchmark, which ends with a table
and a line of JSON. Without a NAME: which ones there are.
  --json    print nothing but that line
  --keep    keep what it printed as test/bench/results/NAME.json, for page.sh
  --help    this text; behind a NAME: what that one measures, and its arguments'

main()
{
    cd "$(dirname "$0")/../.."
    case ${1:-} in
    "") list && exit 0 ;;
    -h | --help) echo "$usage" && exit 0 ;;
    -*) echo "test/bench/run.sh: unknown option $1 (see --help)" >&2 && exit 2 ;;
    esac
    name=$(echo "$1" | tr - _)
    shift
    [ -f "$(file_of "$name")" ] || {
        echo "test/bench/run.sh: there is no benchmark $name; there is:" >&2
        list >&2
        exit 2
    }
    case ${1:-} in -h | --help) about "$(file_of "$name")" && exit 0 ;; esac
    how=
    case ${1:-} in --json | --keep) how=$1 && shift ;; esac
    work=$(mktemp -d)
    load=$(cut -d ' ' -f 1 /proc/loadavg)
    trap 'rm -rf "$work"' EXIT
    { run "$name" "$@" || echo $? >"$work/failed"; } | tee "$work/output" | sift
    [ ! -s "$work/failed" ] || exit "$(cat "$work/failed")"
    [ "$how" != --keep ] || keep "$name" "$@"
    [ "$how" = --json ] || sh test/bench/table.sh "$name" <"$work/output"
    grep '^{' "$work/output" | tail -n 1
}

# What comes before the table.
sift()
{
    if [ "$how" = --json ]; then cat >/dev/null; else grep --line-buffered -v '^{' || true; fi
}

keep() # NAME ARGUMENT...
{
    file=test/bench/results/$1.json
    command="sh test/bench/run.sh $(echo "$1" | tr _ -)"
    shift
    command="$command${1:+ $*}"
    mkdir -p test/bench/results
    grep '^{' "$work/output" | jq -s --arg bench "$name" --arg command "$command" --arg machine "$(machine)" \
        --arg date "$(date -u +%Y-%m-%d)" --argjson load "$load" '{$bench, $command, $date, $machine, $load, lines: .}' >"$file"
    echo "kept: $file"
}

machine()
{
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    gib=$(awk '$1 == "MemTotal:" { printf "%.0f", $2 / 1048576 }' /proc/meminfo)
    echo "$(nproc) processors${model:+ ($model)}, $gib GiB, Linux $(uname -r | cut -d - -f 1)"
}

# Shell scripts, and programs bench_NAME.c.
file_of()
{
    if [ -f "test/bench/$1.sh" ]; then
        echo "test/bench/$1.sh"
    else
        echo "test/bench/bench_$1.c"
    fi
}

# Each with the first sentence of what it says of itself.
list()
{
    for file in test/bench/*.sh test/bench/bench_*.c; do
        case $file in */run.sh | */lib.sh | */table.sh | */page.sh) continue ;; esac
        name=$(basename "$file" | sed 's/^bench_//; s/\..*//' | tr _ -)
        printf '%-18s %s\n' "$name" "$(sentence_of "$file")"
    done
}

sentence_of()
{
    sed -n '2,6{s/^[#* ]*//; s/^bench_[a-z]*: //; p}' "$1" | tr '\n' ' ' | sed 's/[.:] .*//'
}

# What a benchmark says of itself: the comment that it begins with.
about()
{
    sed -n '/^#!/d; /^\/\*/d; /^# shellcheck/d; /^\(#\| \*\)\( \|$\)/!q; s/^\(#\| \*\) \{0,1\}//; p' "$1"
}

run()
{
    what=$1
    shift
    sh setup.sh --test >&2
    if [ -f "test/bench/$what.sh" ]; then
        "test/bench/$what.sh" "$@"
    else
        cmake --preset release >&2
        cmake --build --preset release --target "bench_$what" >&2
        "build/release/test/bench_$what" "$@"
    fi
}

main "$@"
