#!/bin/sh
# Looks at what cross/build.sh made: static, stripped, hardened, without the interpreter, symbols and
# paths that should not be there.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/check.sh [--out DIR] TARGET ...
Fails when build/cross/TARGET/dunlin-agent isn't what devices should get."

# What must not be in an agent, as whole names of functions: the other half of each library, and all
# that would mean a library that nobody asked for.
foreign='ZSTD_compress.*|HUF_compress.*|ZSTDv0.*|mbedtls_rsa_.*|mbedtls_ssl_handshake_server_step|mbedtls_entropy_.*
sqlite3Fts.*|sqlite3Wal[A-Z].*|sqlite3VtabBegin|sqlite3AlterRenameTable|SSL_.*|OPENSSL_.*|EVP_.*|PEM_read.*
strftime|replaceFunc|attachFunc|fmt_fp|__addtf3|__extenddftf2|pthread_create|dlopen|dlsym|iconv_open|system|popen|scandir|__gxx_personality.*|_Unwind_RaiseException'

out=$source_dir/build/cross
wrong=0

main()
{
    [ "${1-}" != --out ] || { out=$2 && shift 2; }
    case ${1-} in
    -h | --help) echo "$usage" && exit 0 ;;
    '' | -*) echo "$usage" && exit 2 ;;
    esac
    for one; do
        choose "$one"
        agent=$out/$target/dunlin-agent
        [ -e "$agent" ] || fail 1 "$agent is missing: sh cross/build.sh $target"
        look
    done
    [ "$wrong" = 0 ] || exit 1
}

look()
{
    header=$("$triplet-readelf" -hlW "$agent")
    dynamic=$("$triplet-readelf" -dW "$agent")
    has_not "$header" 'INTERP' 'it asks for an interpreter'
    has_not "$dynamic" 'NEEDED' 'it asks for shared libraries'
    has_not "$dynamic" 'TEXTREL' 'its code is relocated, and so writable for a while'
    has "$header" 'Type: +DYN' 'it is not position independent'
    has "$header" 'GNU_RELRO' 'its relocated data stay writable'
    has "$dynamic" 'BIND_NOW|Flags: .*NOW' 'its symbols are not bound at once'
    has "$header" 'GNU_STACK .* RW ' 'its stack may be executed'
    has_not "$("$triplet-nm" "$agent" 2>&1)" ' [Tt] ' 'it is not stripped'
    names=$("$triplet-nm" "$out/$target/build/dunlin-agent" | sed 's/.* //')
    has "$names" '^__stack_chk_fail$' 'its stack is not protected'
    has "$names" '^seal_relocated$' 'nobody makes its relocated data read-only'
    for one in $foreign; do
        has_not "$names" "^($one)\$" 'it holds what it does not use'
    done
    has_not "$(strings "$agent")" "$source_dir|$cache|/build/" 'it tells where it was built'
}

has()
{
    echo "$1" | grep -qE "$2" || complain "$3"
}

has_not()
{
    found=$(echo "$1" | grep -E -m 1 "$2") || return 0
    complain "$3: $found"
}

complain()
{
    say "$target: $1"
    wrong=1
}

main "$@"
