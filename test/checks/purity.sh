#!/bin/sh
# Cores and formats are pure: no clock, file, socket, heap or randomness. Their objects, compiled
# without sanitizers, may need only each other, string functions, and what their library offers.
. "$(dirname "$0")/lib.sh"

# These touch the outside world; nothing pure may call them.
drivers='base/clock.c base/file.c base/limits.c base/log.c base/query.c crypto/random.c crypto/sign_key.c
crypto/tls.c sync/bridge.c sync/mqtt.c sync/resolve.c bundles/chunk.c bundles/pack.c bundles/unpack.c'
# Functions of memory and text only. Their relatives that allocate or look at the locale are absent.
text='explicit_bzero|mem(chr|cmp|cpy|move|set|mem)|str(n?cmp|n?len|n?cpy|chr|rchr|str|spn|cspn|to(ul|ull|l|ll))|'\
'v?snprintf|bsearch|inet_pton|__(stack_chk_fail|assert_fail|isoc99_sscanf|errno_location)|'\
'_GLOBAL_OFFSET_TABLE_'
# What the crypto and sync folders get from their libraries, and the cores may not call.
libraries='mbedtls_|msgpack_|nettle_|__gmpz_'

objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

pure_sources()
{
    files './base/*.c' './crypto/*.c' './sync/*.c' './bundles/*.c' './*/core/*.c' |
        grep -vxF "$(echo "$drivers" | tr ' ' '\n')"
}

compile()
{
    # shellcheck disable=SC2016
    pure_sources | each 1 sh -c 'gcc -std=c17 -O1 -D_GNU_SOURCE -I. -c "$1" \
        -o "$0/$(echo "$1" | tr / @).o"' "$objects"
}

# Usage: check PATTERN ALLOWED: the objects that match need nothing but pure symbols and ALLOWED.
check()
{
    for object in "$objects"/$1; do
        [ -e "$object" ] || continue
        nm -u "$object" | awk '{print $2}' | grep -vxE "$2" | grep -vxF -f "$objects/pure" |
            sed "s,^,$(basename "$object" .o | tr @ /): calls ,"
    done
}

compile
nm --defined-only -g "$objects"/*.o | awk 'NF == 3 {print $3}' >"$objects/pure"
impure=$(check '*@core@*.o' "$text"; check 'base@*.o' "$text"
    check 'bundles@*.o' "$text"
    check 'crypto@*.o' "$text|($libraries).*"; check 'sync@*.o' "$text|($libraries).*")
[ -z "$impure" ] || { echo "$impure" && exit 1; }
