#!/bin/sh
# Builds manager and command line for Debian 12 on machines of another kind: with a compiler that is Debian's, and
# Debian's libraries for that kind in a folder. It needs no root, and no package of that kind is installed here.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

usage="usage: sh cross/manager.sh [OPTION ...] TARGET
Builds build/cross/TARGET/manager/dunlin-manager and dunlin, with shared libraries as Debian 12 has them.
  --out DIR    where TARGET/manager goes (build/cross)
  --cache DIR  where Debian's packages are kept (XDG_CACHE_HOME/dunlin or ~/.cache/dunlin)
  --if-cached  only when the libraries are there already, and say nothing otherwise
  --help       this text
Only aarch64 is tried; compilers and tools: sh setup.sh --cross."

out=$source_dir/build/cross
hint=''

main()
{
    target='' if_cached=''
    while [ $# -gt 0 ]; do
        case $1 in
        --out) out=$2 && shift ;;
        --cache) cache=$2 && shift ;;
        --if-cached) if_cached=yes ;;
        -h | --help) echo "$usage" && exit 0 ;;
        -*) fail 2 "unknown option $1 (see --help)" ;;
        *) choose "$1" ;;
        esac
        shift
    done
    [ -n "$target" ] || fail 2 "name a target (see --help)"
    mkdir -p "$out/$target/manager" "$cache"
    out=$(cd "$out" && pwd)
    wanted=$(libraries)
    debian=$(cd "$cache" && pwd)/debian/$arch-$(echo "$wanted" | sha256sum | cut -c 1-16)
    [ -z "$if_cached" ] || [ -e "$debian" ] || exit 0
    needs cmake ninja pkg-config "$triplet-gcc"
    [ -e "$debian" ] || fill_debian
    build
    echo "$target $(cd "$out/$target/manager" && stat -c '%n %s bytes,' dunlin-manager dunlin | paste -sd ' ' -) for Debian 12"
}

# What setup.sh installs for this machine's kind.
libraries()
{
    sed -n "/^build=/,/'\$/p" "$source_dir/setup.sh" | grep -oE '[a-z0-9-]+-dev' | paste -sd ' ' -
}

# Beside what the packages hold: what dpkg-shlibdeps has to know of them, as if all were one package.
fill_debian()
{
    needs dpkg-deb
    say "$target: Debian's libraries"
    open_apt "$cache/debian/apt-$arch" deb "$arch"
    # shellcheck disable=SC2086
    own apt-get -qq --no-install-recommends --download-only install $wanted >/dev/null ||
        fail 1 "Debian's packages for $arch can't be fetched"
    rm -rf "$debian.new"
    mkdir -p "$debian.new/DEBIAN"
    for file in "$apt"/archives/*.deb; do
        dpkg-deb -x "$file" "$debian.new"
        for what in shlibs symbols; do
            dpkg-deb --ctrl-tarfile "$file" | tar -xO "./$what" >>"$debian.new/DEBIAN/$what" 2>/dev/null || true
        done
    done
    # Links from the root would lead out of the folder.
    find "$debian.new" -type l -lname '/*' -printf '%p %l\n' | while read -r link file; do
        ln -snfr "$debian.new$file" "$link"
    done
    rm -rf "$apt/archives"
    mv "$debian.new" "$debian"
}

build()
{
    work=$out/$target/manager/build
    ln -snf "$debian" "$out/$target/manager/debian"
    quietly cmake -S "$source_dir" -B "$work" -G Ninja --toolchain "$cross/debian.cmake" -D DUNLIN_TARGET="$target" \
        -D DUNLIN_TRIPLET="$triplet" -D DUNLIN_DEBIAN="$debian" -D DUNLIN_WERROR=ON -D CMAKE_BUILD_TYPE=Release \
        -D BUILD_TESTING=OFF -D CMAKE_C_FLAGS="'-ffile-prefix-map=$work=build' '-ffile-prefix-map=$source_dir=.'"
    quietly cmake --build "$work" --target dunlin-manager dunlin
    cp "$work/dunlin-manager" "$work/dunlin" "$out/$target/manager/"
}

quietly()
{
    log=$out/$target/manager/build.log
    "$@" >"$log" 2>&1 || { cat "$log" >&2 && fail 1 "$target: $1 failed; that was $log"; }
}

main "$@"
