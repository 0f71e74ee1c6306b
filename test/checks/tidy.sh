#!/bin/sh
# clang-tidy finds nothing in any source that the debug build compiles. To see one file's findings:
# clang-tidy -p build/debug FILE. A file that was clean is looked at again when it, a header or the
# rules have changed.
. "$(dirname "$0")/lib.sh"

build=${DUNLIN_BIN:-build/debug}
clean=$build/tidy
[ -e "$build/compile_commands.json" ] || { echo "first: cmake --preset debug" && exit 1; }
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
    clang-tidy --quiet -p "$0" "$2" 2>"$noise" || { cat "$noise" && rm "$noise" && exit 1; }
    rm "$noise" && touch "$1/$(echo "$2" | tr / @)"' "$build" "$clean"
