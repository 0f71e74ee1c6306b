#!/bin/sh
# Usage: same.sh TARGET. The same source gives the same program, to the byte, in whatever folder it is built, that of the
# source or another: libraries too, which the second one makes anew, of a plain folder of tarballs.
# shellcheck source=../checks/lib.sh
. "$(dirname "$0")/../checks/lib.sh"

target=${1:-$(uname -m)}
elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
SOURCE_DATE_EPOCH=1767225600
export SOURCE_DATE_EPOCH

mkdir "$elsewhere/a folder" "$elsewhere/tarballs"
files '*' | tar -c -T - | tar -x -C "$elsewhere/a folder"
sh cross/fetch.sh
grep -vE '^(#|without |$)' cross/sources | while read -r _ _ file _; do
    cp "${XDG_CACHE_HOME:-$HOME/.cache}/dunlin/sources/$file" "$elsewhere/tarballs/"
done
sh cross/build.sh --out "$elsewhere/here" "$target"
sh "$elsewhere/a folder/cross/build.sh" --cache "$elsewhere/cache" --sources "$elsewhere/tarballs" "$target"
cmp "$elsewhere/here/$target/dunlin-agent" "$elsewhere/a folder/build/cross/$target/dunlin-agent"
