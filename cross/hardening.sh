#!/bin/sh
# What each defence costs: the agent is built without one after the other, libraries and all, or only
# linked again where the linker alone sees to it.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/hardening.sh TARGET ...
Prints how many bytes of the targets' agents each defence costs. For each target, all libraries are built four times."

compiled='protector clash pie relro'
linked='now:lazy noexecstack:execstack' # and what the linker is told instead

main()
{
    case ${1-} in '' | -*) echo "$usage" && exit 2 ;; esac
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    for one; do
        choose "$one"
        measure
    done
}

measure()
{
    build
    usual=$(loaded "$work/$target/dunlin-agent")
    show all "$usual"
    for one in $linked; do
        link_with "${one#*:}"
        show "${one%:*}" $((usual - $(loaded "$work/linked")))
    done
    for one in $compiled; do
        (DUNLIN_HARDEN=$(without "$one") && export DUNLIN_HARDEN && build)
        show "$one" $((usual - $(loaded "$work/$target/dunlin-agent")))
    done
}

without()
{
    echo "$compiled $linked" | tr ' ' '\n' | cut -d : -f 1 | grep -vx "$1" | paste -sd ' ' -
}

build()
{
    sh "$cross/build.sh" --out "$work" "$target" >/dev/null
}

link_with()
{
    (cd "$work/$target/build" && sh -c "$(ninja -t commands dunlin-agent | tail -n 1 |
        sed "s# -o dunlin-agent # -Wl,-z,$1 -o $work/linked #")" &&
        "$triplet-strip" -s -R .comment -R '.note*' "$work/linked")
}

# loaded FILE: bytes of code and data, which the padding between segments doesn't blur.
loaded()
{
    "$triplet-size" -d "$1" | awk 'NR == 2 { print $1 + $2 }'
}

show()
{
    printf '%-8s %-12s %8d\n' "$target" "$1" "$2"
}

main "$@"
