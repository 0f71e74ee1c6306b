#!/bin/sh
# Compares what was built for devices with the budgets of cross/sizes.csv: one line a target and
# measure. What is over its budget fails; what was not built is left out.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/sizes.sh [--out DIR] [--record] [TARGET ...]
Measures build/cross/TARGET/dunlin-agent, and fails when anything is over its budget.
  --out DIR   where cross/build.sh put it (build/cross)
  --record    write what was measured into cross/sizes.csv; budgets stay
  --help      this text"

out=$source_dir/build/cross
table=$cross/sizes.csv

main()
{
    record='' chosen=''
    while [ $# -gt 0 ]; do
        case $1 in
        --out) out=$2 && shift ;;
        --record) record=yes ;;
        -h | --help) echo "$usage" && exit 0 ;;
        -*) fail 2 "unknown option $1 (see --help)" ;;
        *) choose "$1" && chosen="$chosen $1" ;;
        esac
        shift
    done
    over=$(mktemp)
    frames=$(mktemp)
    trap 'rm -f "$over" "$frames"' EXIT
    for one in ${chosen:-$(target_names)}; do
        choose "$one"
        [ -e "$out/$target/dunlin-agent" ] || { say "$target: not built" && continue; }
        measure | while read -r what is; do compare "$what" "$is"; done
    done
    [ ! -s "$over" ] || fail 1 "over the budgets of cross/sizes.csv: $(paste -sd ' ' "$over")"
}

# Sections are put together as they lie in memory. A frame is one function's part of the stack: what
# is shown is the biggest of ours that is linked in.
measure()
{
    echo "binary $(stat -c %s "$out/$target/dunlin-agent")"
    "$triplet-size" -A -d "$out/$target/dunlin-agent" | awk '
        $1 == ".text" || $1 == ".init" || $1 == ".fini" || $1 ~ /^\.plt/ { text += $2; next }
        $1 ~ /^\.data|^\.got|array$|^\.dynamic|^\.sdata|^\.tdata/ { data += $2; next }
        $1 == ".bss" || $1 == ".sbss" { bss += $2; next }
        $1 ~ /^\./ { rodata += $2 }
        END { print "text", text; print "rodata", rodata; print "data", data; print "bss", bss }'
    find "$out/$target/build" -path "$out/$target/build/test" -prune -o -name '*.su' -exec cat {} + >"$frames"
    "$triplet-nm" "$out/$target/build/dunlin-agent" | awk -F '[: \t]' '
        NR == FNR { linked[$NF] = 1; next }
        linked[$4] && $5 > most { most = $5 }
        END { print "frame", most + 0 }' - "$frames"
    for memory in resident working stack; do
        [ ! -e "$out/$target/$memory" ] || echo "$memory $(cat "$out/$target/$memory")"
    done
}

compare()
{
    budget=$(awk -F , -v t="$target" -v w="$1" '$1 == t && $2 == w { print $3 }' "$table")
    [ -n "$budget" ] || fail 1 "cross/sizes.csv has no budget for $target,$1"
    printf '%-8s %-9s %8d of %8d\n' "$target" "$1" "$2" "$budget"
    [ "$2" -le "$budget" ] || echo "$target,$1" >>"$over"
    [ -z "$record" ] || sed -i "s/^$target,$1,\([0-9]*\),.*/$target,$1,\1,$2/" "$table"
}

main "$@"
