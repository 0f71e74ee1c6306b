#!/bin/sh
# What each defence costs: the agent is built without one after the other, libraries and all, or only
# linked again where the linker alone sees to it.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/hardening.sh TARGET
Prints how many bytes of a target's agent each of its defences costs. Three times, all libraries are built."

compiled='protector clash pie'
linked='relro:norelro now:lazy noexecstack:execstack' # and what the linker is told instead

# loaded FILE: bytes of code and data, which the padding between segments doesn't blur.
loaded()
{
    "$triplet-size" -d "$1" | awk 'NR == 2 { print $1 + $2 }'
}

show()
{
    printf '%-12s %8d\n' "$1" "$2"
}

without()
{
    echo "$compiled $linked" | tr ' ' '\n' | cut -d : -f 1 | grep -vx "$1" | paste -sd ' ' -
}

case ${1-} in '' | -*) echo "$usage" && exit 2 ;; esac
choose "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sh "$cross/build.sh" --out "$work" "$target" >/dev/null
usual=$(loaded "$work/$target/dunlin-agent")
show all "$usual"
for one in $linked; do
    instead=${one#*:} one=${one%:*}
    (cd "$work/$target/build" && sh -c "$(ninja -t commands dunlin-agent | tail -n 1 |
        sed "s# -o dunlin-agent # -Wl,-z,$instead -o $work/$one #")" && "$triplet-strip" -s -R .comment -R '.note*' "$work/$one")
    show "$one" $((usual - $(loaded "$work/$one")))
done
for one in $compiled; do
    DUNLIN_HARDEN=$(without "$one") sh "$cross/build.sh" --out "$work" "$target" >/dev/null
    show "$one" $((usual - $(loaded "$work/$target/dunlin-agent")))
done
