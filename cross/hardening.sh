#!/bin/sh
# What each defence costs: the agent is built without one after the other, libraries and all, or only
# linked again where that is enough.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/hardening.sh TARGET ...
Prints how many bytes of the targets' agents each defence costs. For each target, all libraries are built four times,
and kept with the others: they are in \$XDG_CACHE_HOME/dunlin/devices or ~/.cache/dunlin/devices."

compiled='protector clash fortify pie'
linked='relro now noexecstack'

main()
{
    case ${1-} in
    -h | --help) echo "$usage" && exit 0 ;;
    '' | -*) echo "$usage" && exit 2 ;;
    esac
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
        link_without "$one"
        show "$one" $((usual - $(loaded "$work/linked")))
    done
    for one in $compiled; do
        (DUNLIN_HARDEN=$(without "$one") && export DUNLIN_HARDEN && build)
        show "$one" $((usual - $(loaded "$work/$target/dunlin-agent")))
    done
}

without()
{
    echo "$compiled $linked" | tr ' ' '\n' | grep -vx "$1" | paste -sd ' ' -
}

build()
{
    sh "$cross/build.sh" --out "$work" "$target" >/dev/null
}

# By a compiler that tells the linker something else.
link_without()
{
    device=$(cat "$work/$target/build/device")
    case $1 in
    now) other='s/-z,now/-z,lazy/' ;;
    noexecstack) other='s/-z,noexecstack/-z,execstack/' ;;
    relro) other="s/-z,relro/-z,norelro/; s,$device/lib/musl.specs,$work/specs," ;;
    esac
    sed "s, $device/lib/relro\.o,," "$device/lib/musl.specs" >"$work/specs"
    sed "$other" "$device/bin/cc" >"$work/cc"
    ! cmp -s "$work/cc" "$device/bin/cc" || fail 1 "$target is not linked with $1"
    chmod +x "$work/cc"
    (cd "$work/$target/build" && sh -c "$(ninja -t commands dunlin-agent | tail -n 1 |
        sed "s#$device/bin/cc#$work/cc#; s# -o dunlin-agent # -o $work/linked #")" &&
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
