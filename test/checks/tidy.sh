#!/bin/sh
# clang-tidy finds nothing in any source that the debug build compiles. With --analyze its path
# analyzer looks as well, which takes minutes: then a file that was clean is looked at again only
# when it, a header or the rules have changed. One file: clang-tidy -p build/debug FILE
# usage: tidy.sh [--analyze]
. "$(dirname "$0")/lib.sh"

build=${DUNLIN_BIN:-build/debug}
[ -e "$build/compile_commands.json" ] || { echo "first: cmake --preset debug" && exit 1; }
case ${1:-} in
--analyze) rules='' clean=$build/tidy-analyzed ;;
*) rules='-clang-analyzer-*' clean=$build/tidy ;;
esac
mkdir -p "$clean"
newest=$(files '*.h' '*/.clang-tidy' | tr '\n' '\0' | xargs -0 ls -t | head -n 1)

# The sources that aren't known to be clean.
pending()
{
    jq -r '.[].file' "$build/compile_commands.json" | sort -u | while read -r source; do
        stamp=$clean/$(echo "$source" | tr / @)
        [ -e "$stamp" ] && [ -z "$(find "$source" "$newest" -newer "$stamp")" ] || echo "$source"
    done
}

# What it writes beside its findings matters only when it fails.
# shellcheck disable=SC2016
pending | each 1 sh -c '
    noise=$1/noise.$$
    clang-tidy --quiet --checks="$2" -p "$0" "$3" 2>"$noise" ||
        { cat "$noise" && rm "$noise" && exit 1; }
    rm "$noise" && touch "$1/$(echo "$3" | tr / @)"' "$build" "$clean" "$rules"
