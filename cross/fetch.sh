#!/bin/sh
# Brings the tarballs that cross/sources names into the cache, and believes none whose digest is
# another. They come from Debian's mirrors, or from a folder of tarballs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

usage='usage: sh cross/fetch.sh [--cache DIR] [--sources DIR]
Brings the pinned sources into the cache. It does nothing when they are there.
  --cache DIR    where they are kept (XDG_CACHE_HOME/dunlin or ~/.cache/dunlin)
  --sources DIR  take them from this folder of tarballs, not from Debian
  --help         this text
DUNLIN_MIRROR names another mirror than http://deb.debian.org.'

hint='or see --sources'

main()
{
    folder=''
    while [ $# -gt 0 ]; do
        case $1 in
        --cache) cache=$2 && shift ;;
        --sources) folder=$2 && shift ;;
        -h | --help) echo "$usage" && exit 0 ;;
        *) fail 2 "unknown argument $1 (see --help)" ;;
        esac
        shift
    done
    mkdir -p "$cache/sources"
    cache=$(cd "$cache" && pwd)
    pinned | while read -r package version file digest; do
        [ -e "$cache/sources/$file" ] || get "$package" "$version" "$file" "$digest"
        check "$cache/sources/$file" "$digest"
    done
}

pinned()
{
    grep -vE '^(#|without |$)' "$cross/sources"
}

get()
{
    if [ -n "$folder" ]; then
        [ -e "$folder/$3" ] || fail 1 "$3 is not in $folder: put it there, as cross/sources names it"
        check "$folder/$3" "$4"
        cp "$folder/$3" "$cache/sources/$3.new"
        mv "$cache/sources/$3.new" "$cache/sources/$3"
    else
        from_debian "$1" "$2"
        [ -e "$cache/sources/$3" ] || fail 1 "Debian has $1 $2 no more as it was; get $3 from \
https://snapshot.debian.org/package/$1/$2/ and name its folder with --sources"
    fi
}

check()
{
    is=$(digest_of "$1")
    [ "$is" = "$2" ] || fail 1 "$1 is not what cross/sources pins: its SHA-256 is $is, not $2. \
Remove it and try again; if that is no help, whoever it came from has another file"
}

# apt may fetch another revision than the one that was asked for: the digests tell. What an interrupted run has left it
# goes on with, in a folder of its own: among the sources there is only what is whole.
from_debian()
{
    needs dpkg-source
    open_apt "$cache/apt" deb-src "$(dpkg --print-architecture)"
    say "fetching $1 $2"
    mkdir -p "$cache/fetching"
    (cd "$cache/fetching" && own apt-get -qq source --download-only "$1=$2" >/dev/null) ||
        fail 1 "$1 $2 can't be fetched: try again. Where Debian has it no more, get its files from \
https://snapshot.debian.org/package/$1/$2/ and name their folder with --sources"
    mv "$cache/fetching"/* "$cache/sources/"
}

main "$@"
