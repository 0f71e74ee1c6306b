#!/bin/sh
# What agents for devices are made of comes in as cross/sources pins it, or not at all: what is missing and what is
# other than it should be are told by name, wherever they come from.
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

# unfetched WORDS ARGUMENT...: cross/fetch.sh fails with these words.
unfetched()
{
    words=$1
    shift
    refused "$words" sh "$ROOT/cross/fetch.sh" --cache "$WORK/cache" "$@"
}

pinned()
{
    grep -vE '^(#|without |$)' "$ROOT/cross/sources"
}

folder=$WORK/tarballs
mkdir "$folder"
file=$(pinned | awk 'NR == 1 { print $3 }')

step "what a folder lacks is named"
unfetched "$file is not in $folder" --sources "$folder"

step "what is another file is not taken"
echo another >"$folder/$file"
unfetched "$folder/$file is not what cross/sources pins: its SHA-256 is $(sha256sum <"$folder/$file" | cut -c 1-64)" \
    --sources "$folder"
[ -z "$(ls "$WORK/cache/sources")" ] || fail "it was taken: $(ls "$WORK/cache/sources")"

step "nor is it believed in the cache"
cp "$folder/$file" "$WORK/cache/sources/"
unfetched "$WORK/cache/sources/$file is not what cross/sources pins" --sources "$folder"
rm "$WORK/cache/sources/$file"

step "without a network, Debian can't be read, and a folder is the way out"
export DUNLIN_MIRROR=http://127.0.0.1:1
unfetched '(127\.0\.0\.1:1 can.t be read|is missing: ).*--(sources|cross)'

step "what is fetched in part is not taken for the whole"
if command -v dpkg-source apt-get >/dev/null && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
    mkdir "$WORK/bin"
    printf '#!/bin/sh\ncase " $* " in *" source "*) echo a part >%s && exit 1 ;; esac\n' "$file" >"$WORK/bin/apt-get"
    chmod +x "$WORK/bin/apt-get"
    (PATH=$WORK/bin:$PATH unfetched "can.t be fetched: try again" --cache "$WORK/cache")
    [ -e "$WORK/cache/fetching/$file" ] || fail "it was not fetched in part"
    [ -z "$(ls "$WORK/cache/sources")" ] || fail "it was taken: $(ls "$WORK/cache/sources")"
else
    echo "    not tried: this is no Debian"
fi

step "a cache whose name has blanks is refused before anything is built for it"
refused 'no folders with blanks' sh "$ROOT/cross/build.sh" --cache "$WORK/a cache" "$(uname -m)"

step "pins are of the form that is read"
pinned | grep -vE '^[a-z0-9-]+ [^ ]+ [a-z0-9-]+_[^ /]+\.tar\.[gx]z [0-9a-f]{64}$' >"$WORK/odd" || true
[ ! -s "$WORK/odd" ] || fail "cross/sources: $(head -n 1 "$WORK/odd")"
grep -v '^#' "$ROOT/cross/board/packages" | grep -vE '^[a-z0-9_]+ [a-z0-9.+-]+ [^ ]+ [a-z0-9-]+/[^ /%]+\.deb [0-9a-f]{64}$' >"$WORK/odd" || true
[ ! -s "$WORK/odd" ] || fail "cross/board/packages: $(head -n 1 "$WORK/odd")"
done_well
