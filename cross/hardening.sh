#!/bin/sh
# What each defence costs: the agent is built without one after the other, libraries and all.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/hardening.sh TARGET
Prints how many bytes of a target's agent each of its defences costs. It takes a build of all libraries for each."

all='protector clash pie relro now noexecstack'

case ${1-} in '' | -*) echo "$usage" && exit 2 ;; esac
choose "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# loaded DEFENCES: bytes of code and data, which the padding between segments doesn't blur.
loaded()
{
    DUNLIN_HARDEN=$1 sh "$cross/build.sh" --out "$work" "$target" >/dev/null
    "$triplet-size" -d "$work/$target/dunlin-agent" | awk 'NR == 2 { print $1 + $2 }'
}

full=$(loaded "$all")
printf '%-12s %8d\n' all "$full"
for one in $all; do
    printf '%-12s %8d\n' "$one" $((full - $(loaded "$(echo "$all" | tr ' ' '\n' | grep -vx "$one" | paste -sd ' ' -)")))
done
