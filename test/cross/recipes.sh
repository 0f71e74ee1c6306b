#!/bin/sh
# The recipes for Yocto and Buildroot say what is so: with the options that they give, the agent is built of a system's
# own libraries, this machine's for once, and nothing of a manager is; and all files that they install are there.
# shellcheck disable=SC2016 # what recipes expand
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

yocto=$ROOT/examples/yocto/dunlin-agent.bb
buildroot=$ROOT/examples/buildroot/dunlin-agent.mk

step "the license is the one that they name"
grep -q "md5=$(md5sum <"$ROOT/LICENSE" | cut -c 1-32)\"" "$yocto" || fail "its digest is $(md5sum <"$ROOT/LICENSE")"

step "with Yocto's options the agent is built"
options=$(sed -n 's/^EXTRA_OECMAKE = "\(.*\)"$/\1/p' "$yocto" | sed 's,\${STAGING_DIR_HOST}\${prefix},/usr,')
# shellcheck disable=SC2086
{ cmake -S "$ROOT" -B "$WORK/build" -G Ninja $options && cmake --build "$WORK/build"; } >"$WORK/built" 2>&1 ||
    fail "$(tail -n 20 "$WORK/built")"
"$WORK/build/dunlin-agent" --version >/dev/null || fail "it does not start"
[ ! -e "$WORK/build/dunlin-manager" ] || fail "there is a manager as well"

step "Buildroot's are the same"
[ "$(sed -n 's/^DUNLIN_AGENT_CONF_OPTS = \(.*\)$/\1/p' "$buildroot" | sed 's,\$(STAGING_DIR),,')" = \
    "$(echo "$options" | sed 's/-DCMAKE_BUILD_TYPE=Release //')" ] || fail "they differ: $options"

step "what they install is there"
{
    grep -oE '\$\{S\}/[^ ]+' "$yocto" | sed "s,\${S},$ROOT,"
    grep -oE '\$\{B\}/[^ ]+' "$yocto" | sed "s,\${B},$WORK/build,"
    grep -oE '\$\(@D\)/[^ ]+' "$buildroot" | sed "s,\$(@D),$ROOT,"
    grep -oE '\$\(DUNLIN_AGENT_BUILDDIR\)/[^ ]+' "$buildroot" | sed "s,\$(DUNLIN_AGENT_BUILDDIR),$WORK/build,"
} >"$WORK/files"
[ "$(wc -l <"$WORK/files")" -ge 9 ] || fail "they install only: $(cat "$WORK/files")"
while read -r file; do [ -f "$file" ] || fail "$file is missing"; done <"$WORK/files"
done_well
