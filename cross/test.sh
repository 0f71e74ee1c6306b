#!/bin/sh
# Runs the unit and story tests as devices would: with musl and the libraries of cross/, under
# qemu-user where this machine is of another kind.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/test.sh TARGET [REGEX]
Builds and runs the unit and story tests of a target, or those whose names match.
What needs the manager's drivers is left out: it never runs on a device."

case ${1-} in
-h | --help) echo "$usage" && exit 0 ;;
'' | -*) echo "$usage" && exit 2 ;;
esac
choose "$1"
sh "$cross/build.sh" --tests "$target"
grep -h -o 'qemu-[a-z0-9_]*-static' "$source_dir/build/cross/$target/build/test/CTestTestfile.cmake" | sort -u |
    while read -r emulator; do needs "$emulator"; done
exec ctest --test-dir "$source_dir/build/cross/$target/build" -j 2 --output-on-failure --no-tests=error -R "${2-.}"
