#!/bin/sh
# A bundle of very many files: a device takes it without growing, and gives it back whole when the next version comes.
# With as many as a bundle may hold, a million (full/many_files), one more is refused before anything is sent.
# usage: many_files.sh [--files N]
. "$(dirname "$0")/lib.sh"
need python3
forget_freed

MOST=10000
[ "${1:-}" = --files ] && MOST=$2

# entries DIR: files, folders and links in it.
entries()
{
    find "$1" -mindepth 1 | wc -l
}

# fill DIR COUNT: makes so many entries, a thousand files a folder.
fill()
{
    python3 - "$1" "$2" <<'PYTHON'
import os, sys
folder, left = sys.argv[1], int(sys.argv[2])
while left > 0:
    part = os.path.join(folder, "%07d" % left)
    os.mkdir(part)
    left -= 1
    for n in range(min(left, 1000)):
        open(os.path.join(part, "%03d" % n), "w").close()
    left -= min(left, 1000)
PYTHON
}

# shellcheck disable=SC2119
start_manager
join_agent 1 env=lab
start_agent 1
release 1 env=lab
within 40 app_is 1 1 || fail "a small bundle does not run"
small=$(peak agent1) before=$(entries "$WORK/agent1")

step "$MOST files, folders and links are pushed"
make_app 2
mkdir "$WORK/app@2/many"
fill "$WORK/app@2/many" $((MOST - $(entries "$WORK/app@2")))
[ "$(entries "$WORK/app@2")" = "$MOST" ] || fail "$(entries "$WORK/app@2") were made"
push_app 2 || fail "they are not taken"

step "a device takes them in, and stays small"
dunlin deploy app@2 --as app >/dev/null || fail "not deployed"
dunlin wait app --timeout 1500s >/dev/null || fail "it does not run: $(dunlin why 1 app)"
app_is 2 1 || fail "something else runs"
now=$(entries "$WORK/agent1")
[ "$now" -gt "$MOST" ] || fail "only $now entries are there"
grown=$(($(peak agent1) - small))
[ "$grown" -lt 4096 ] || fail "it needed $grown KiB more for them"

step "and gives them back when the next version comes"
release 3 env=lab
dunlin wait app --timeout 1500s >/dev/null || fail "version 3 does not run: $(dunlin why 1 app)"
cleared()
{
    [ "$(entries "$WORK/agent1")" -lt $((before + 1000)) ]
}
within 60 cleared || fail "$(entries "$WORK/agent1") entries are left of $before"

[ "$MOST" = 1000000 ] || exit 0
step "one more is refused before anything is sent"
mv "$WORK/app@2" "$WORK/app@4"
touch "$WORK/app@4/many/more"
! push_app 4 >"$WORK/out" 2>&1 || fail "one more is taken"
grep -q "a bundle holds at most 1000000 files, folders and links" "$WORK/out" || fail "$(cat "$WORK/out")"
