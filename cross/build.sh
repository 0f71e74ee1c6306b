#!/bin/sh
# Builds dunlin-agent for devices: fully static, for any Linux of the target's kind, and the same to
# the byte wherever it is built with the same compilers.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/build.sh [OPTION ...] TARGET ...
Builds dunlin-agent for devices: static, stripped, reproducible. Targets: $(target_names).
  --out DIR      where TARGET/dunlin-agent goes (build/cross), and beside it dunlin-agent.debug
  --cache DIR    where sources and libraries are kept (XDG_CACHE_HOME/dunlin or ~/.cache/dunlin)
  --sources DIR  take the sources from this folder of tarballs, not from Debian
  --tests        build the unit and story tests as well
  --if-cached    build only what needs no libraries to be made first, and say nothing otherwise
  --help         this text
cross/sources says what the sources are. Compilers and tools: sh setup.sh --cross."

out=$source_dir/build/cross

main()
{
    chosen='' sources='' tests='' if_cached=''
    while [ $# -gt 0 ]; do
        case $1 in
        --out | --cache | --sources)
            [ $# -ge 2 ] || fail 2 "$1 needs a folder (see --help)"
            case $1 in --out) out=$2 ;; --cache) cache=$2 ;; --sources) sources=$2 ;; esac
            shift
            ;;
        --tests) tests=yes ;;
        --if-cached) if_cached=yes ;;
        -h | --help) echo "$usage" && exit 0 ;;
        -*) fail 2 "unknown option $1 (see --help)" ;;
        *) choose "$1" && chosen="$chosen $1" ;;
        esac
        shift
    done
    [ -n "$chosen" ] || fail 2 "name a target: $(target_names)"
    needs cmake ninja gcc
    mkdir -p "$out" "$cache"
    out=$(cd "$out" && pwd)
    cache=$(cd "$cache" && pwd)
    case $cache in *[[:space:]]*) fail 2 "$cache: compilers know no folders with blanks in their names; see --cache" ;; esac
    for one in $chosen; do
        choose "$one"
        name_libraries
        [ -z "$if_cached" ] || [ -e "$device" ] || continue
        [ -e "$device" ] || make_libraries
        build
        report
    done
}

# Kept under the digest of all that they depend on.
name_libraries()
{
    needs "$triplet-gcc" "$triplet-ar"
    key=$({ "$triplet-gcc" --version && echo "${DUNLIN_HARDEN-usual}" && cd "$cross" &&
        cat lib.sh libraries.sh archive.mk fortify.h relro.c sources sqlite mbedtls.h; } | sha256sum | cut -c 1-16)
    device=$cache/devices/$target-$key
}

make_libraries()
{
    needs make patch tclsh
    sh "$cross/fetch.sh" --cache "$cache" ${sources:+--sources "$sources"}
    "$cross/libraries.sh" "$target" "$device.new" "$cache/sources"
    # What was found in the folder is named by its path.
    grep -rlI "$device.new" "$device.new/lib" "$device.new/bin/cc" | xargs sed -i "s,$device\.new,$device,g"
    mv "$device.new" "$device"
}

build()
{
    work=$out/$target/build
    [ "$(cat "$work/device" 2>/dev/null)" = "$device" ] || rm -rf "$work"
    mkdir -p "$work"
    echo "$device" >"$work/device"
    # Asserts name their files. Those of a folder around this one are named from here; ccache does so with others, too.
    from_here=$(realpath --relative-to "$work" "$source_dir")
    export CCACHE_BASEDIR=
    quietly cmake -S "$source_dir" -B "$work" -G Ninja --toolchain "$cross/toolchain.cmake" \
        -D DUNLIN_TARGET="$target" -D DUNLIN_DEVICE="$device" -D DUNLIN_WERROR=ON \
        -D CMAKE_BUILD_TYPE=Release -D CMAKE_C_FLAGS_RELEASE= \
        -D CMAKE_C_FLAGS="$(mapped "$work" build) $(mapped "$source_dir" .) $(mapped "$from_here" .) -fstack-usage"
    quietly cmake --build "$work" --target dunlin-agent
    [ -z "$tests" ] || quietly cmake --build "$work"
    "$triplet-strip" -s -R .comment -R '.note*' -o "$out/$target/dunlin-agent" "$work/dunlin-agent"
    "$triplet-objcopy" --only-keep-debug "$work/dunlin-agent" "$out/$target/dunlin-agent.debug"
}

mapped()
{
    echo "'-ffile-prefix-map=$1=$2'"
}

report()
{
    echo "$target $(stat -c %s "$out/$target/dunlin-agent") bytes, SHA-256 $(digest_of "$out/$target/dunlin-agent")"
}

quietly()
{
    log=$out/$target/build.log
    "$@" >"$log" 2>&1 || { cat "$log" >&2 && fail 1 "$target: $1 failed; that was $log"; }
}

main "$@"
