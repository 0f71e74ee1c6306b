#!/bin/sh
# Usage: same.sh TARGET. The same source gives the same program, to the byte, in whatever folder it is built.
# shellcheck source=../checks/lib.sh
. "$(dirname "$0")/../checks/lib.sh"

target=${1:-$(uname -m)}
elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT

mkdir "$elsewhere/a folder"
files '*' | tar -c -T - | tar -x -C "$elsewhere/a folder"
SOURCE_DATE_EPOCH=1767225600 sh cross/build.sh --out "$elsewhere/here" "$target"
SOURCE_DATE_EPOCH=1767225600 sh "$elsewhere/a folder/cross/build.sh" --out "$elsewhere/there" "$target"
cmp "$elsewhere/here/$target/dunlin-agent" "$elsewhere/there/$target/dunlin-agent"
