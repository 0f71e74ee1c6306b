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
  --out DIR      where to write (build/cross/devices); nothing is replaced there
  --help         this text
Each file is good for one device, and as secret as its token.'

out=$source_dir/build/cross/devices
image='' host='' count='' tokens='' made=''

main()
{
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
        *)
            [ -z "$image" ] || fail 2 "$image and $1: name one image"
            image=$1
            ;;
        esac
        shift
    done
    [ -n "$host" ] || fail 2 "--host is missing (see --help)"
    [ -n "$count$tokens" ] || fail 2 "--count or --tokens is missing (see --help)"
    [ -z "$tokens" ] || [ $# -eq 0 ] || fail 2 "$1 is for tokens that --count makes, and --tokens names made ones"
    [ -z "$image" ] || look_at_image
    umask 077
    mkdir -p "$out"
    refuse_to_replace
    work=$(mktemp -d)
    file=$work/none
    trap 'rm -rf "$work" "$file.new"' EXIT
    trap 'exit 130' HUP INT TERM
    [ -n "$tokens" ] || make_tokens "$@"
    read_tokens
    write_devices
    echo "$number devices in $out$made"
}

look_at_image()
{
    [ -e "$image" ] || fail 1 "$image is missing: sh cross/image.sh TARGET makes one"
    needs mcopy
    mcopy -n -i "$image@@1M" ::dunlin.conf - >/dev/null 2>&1 ||
        fail 1 "$image has no dunlin.conf on a FAT partition, as images by cross/image.sh have"
}

# A token of before may be on a card already, or written nowhere else.
refuse_to_replace()
{
    for other in "$out"/device-[0-9]*.img "$out"/device-[0-9]*.conf; do
        [ ! -e "$other" ] || fail 1 "$other is there already, and may hold the only copy of its token: \
name another folder with --out, or remove what was made before"
    done
}

# make_tokens FLAG...: what is said of them is of a file that is gone when this ends.
make_tokens()
{
    needs dunlin
    tokens=$work/tokens
    dunlin token create --count "$count" --output "$tokens" "$@" >/dev/null 2>"$work/said" ||
        { code=$? && cat "$work/said" >&2 && exit "$code"; }
    made=$(sed -n 's/.*\(, good for .*\)/\1/p' "$work/said")
}

# Into $work/column, and how many there are into $number.
read_tokens()
{
    [ -r "$tokens" ] || fail 1 "$tokens can't be read"
    token_column <"$tokens" >"$work/column"
    number=$(wc -l <"$work/column")
    [ "$number" -gt 0 ] || fail 1 "$tokens holds no tokens"
    [ -z "$count" ] || [ "$number" -eq "$count" ] || fail 1 "$tokens holds $number tokens, not $count"
    odd=$(grep -n -m 1 -v -x -E 'dlt1-[A-Za-z0-9_-]{80}' "$work/column" | cut -d : -f 1)
    [ -z "$odd" ] || fail 1 "$tokens: number $odd is no token"
}

token_column()
{
    tr -d '\r' | awk -F , 'NR == 1 && $0 == "number,token,serial,host" { csv = 1; next } NF { print csv ? $2 : $0 }'
}

# Each is whole or isn't there: one without its token would be a device that never joins.
write_devices()
{
    ready=0
    while read -r token; do
        file=$(printf '%s/device-%04d.' "$out" $((ready + 1)))$([ -n "$image" ] && echo img || echo conf)
        { write "$token" && mv "$file.new" "$file"; } ||
            fail 1 "$file can't be written; $ready of $number devices are made, and as they should be"
        ready=$((ready + 1))
    done <"$work/column"
}

# The FAT partition begins at 1 MiB, as cross/image.sh lays it out.
write()
{
    printf 'host=%s\ntoken=%s\n' "$host" "$1" >"$work/dunlin.conf" || return
    if [ -n "$image" ]; then
        cp --sparse=always "$image" "$file.new" && mcopy -o -i "$file.new@@1M" "$work/dunlin.conf" ::dunlin.conf
    else
        cp "$work/dunlin.conf" "$file.new"
    fi
}

main "$@"
