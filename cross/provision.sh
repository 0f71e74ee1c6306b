#!/bin/sh
# Writes host and token into images, one for each device, or only their configuration files.
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016 # what is quoted there is for people
usage='usage: sh cross/provision.sh [IMAGE] --host HOST (--count N [-- FLAG ...] | --tokens FILE) [--out DIR]
Makes device-0001.img and so on of IMAGE, each with a token of its own in dunlin.conf. Without IMAGE
it writes device-0001.conf and so on, to be copied to cards as dunlin.conf.
  --host HOST    where devices join, as `dunlin status` shows it
  --count N      make N tokens: dunlin token create --count N FLAG ..., of the manager at $DUNLIN_DIR
  --tokens FILE  use these tokens, as dunlin token create --output FILE writes them: one a line, or
                 CSV, whose serial numbers are not written to the devices
  --out DIR      where to write (build/cross/devices)
  --help         this text
Each file is good for one device, and as secret as its token.'

out=$source_dir/build/cross/devices
image='' host='' count='' tokens=''

main()
{
    made=
    while [ $# -gt 0 ]; do
        case $1 in
        --host | --count | --tokens | --out)
            [ $# -ge 2 ] || fail 2 "$1 needs a value (see --help)"
            case $1 in --host) host=$2 ;; --count) count=$2 ;; --tokens) tokens=$2 ;; --out) out=$2 ;; esac
            shift
            ;;
        --) shift && break ;;
        -h | --help) echo "$usage" && exit 0 ;;
        -*) fail 2 "unknown option $1 (see --help)" ;;
        *) image=$1 ;;
        esac
        shift
    done
    [ -n "$host" ] || fail 2 "--host is missing (see --help)"
    [ -z "$image" ] || { [ -e "$image" ] && needs mcopy; } || fail 1 "$image is missing: sh cross/image.sh TARGET makes one"
    umask 077
    mkdir -p "$out"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    if [ -z "$tokens" ]; then
        [ -n "$count" ] || fail 2 "--count or --tokens is missing (see --help)"
        needs dunlin
        tokens=$work/tokens
        # What it says is of a file that is gone when this ends.
        dunlin token create --count "$count" --output "$tokens" "$@" >/dev/null 2>"$work/said" ||
            { code=$? && cat "$work/said" >&2 && exit "$code"; }
        made=$(sed -n 's/.*\(, good for .*\)/\1/p' "$work/said")
    fi
    [ -r "$tokens" ] || fail 1 "$tokens can't be read"
    token_column <"$tokens" >"$work/column"
    number=$(wc -l <"$work/column")
    [ "$number" -gt 0 ] || fail 1 "$tokens holds no tokens"
    [ -z "$count" ] || [ "$number" -eq "$count" ] || fail 1 "$tokens holds $number tokens, not $count"
    odd=$(grep -n -m 1 -v -x -E 'dlt1-[A-Za-z0-9_-]{80}' "$work/column" | cut -d : -f 1)
    [ -z "$odd" ] || fail 1 "$tokens: number $odd is no token"
    number=0
    while read -r token; do
        number=$((number + 1))
        write "$(printf '%s/device-%04d' "$out" "$number")" "$token"
    done <"$work/column"
    echo "$number devices in $out$made"
}

token_column()
{
    tr -d '\r' | awk -F , 'NR == 1 && $0 == "number,token,serial,host" { csv = 1; next } NF { print csv ? $2 : $0 }'
}

# The FAT partition begins at 1 MiB, as cross/image.sh lays it out.
write()
{
    printf 'host=%s\ntoken=%s\n' "$host" "$2" >"$work/dunlin.conf"
    if [ -n "$image" ]; then
        cp --sparse=always "$image" "$1.img"
        mcopy -o -i "$1.img@@1M" "$work/dunlin.conf" ::dunlin.conf
    else
        cp "$work/dunlin.conf" "$1.conf"
    fi
}

main "$@"
