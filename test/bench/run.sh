#!/bin/sh
# Runs one benchmark, set-up included, or lists what there is. Figures are worth something on a quiet
# machine only.
set -eu

usage='usage: sh test/bench/run.sh [NAME [--json] [ARGUMENT ...]]
Installs what is missing, builds the release preset, and runs the benchmark, which ends with a table
and a line of JSON. Without a NAME: which ones there are.
  --json    print nothing but that line
  --help    this text'

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
    if [ "${1:-}" = --json ]; then
        shift
        output=$(run "$name" "$@")
        echo "$output" | grep '^{' | tail -n 1
    else
        run "$name" "$@"
    fi
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
        case $file in */run.sh | */lib.sh | */table.sh) continue ;; esac
        name=$(basename "$file" | sed 's/^bench_//; s/\..*//' | tr _ -)
        printf '%-18s %s\n' "$name" "$(sentence_of "$file")"
    done
}

sentence_of()
{
    sed -n '2,6{s/^[#* ]*//; s/^bench_[a-z]*: //; p}' "$1" | tr '\n' ' ' | sed 's/[.:] .*//'
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
        output=$("build/release/test/bench_$what" "$@")
        case $output in '{"bench":'*'"rows":['*) echo "$output" | sh test/bench/table.sh ;; esac
        echo "$output"
    fi
}

main "$@"
