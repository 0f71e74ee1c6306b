#!/bin/sh
# The static agent of this machine's kind, with real brokers and no more than 32 MiB for itself and its hooks each: it
# joins, takes versions, and what of it is in memory when it has nothing to do is kept for cross/sizes.sh.
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

built=$ROOT/build/cross/$(uname -m)
sh "$ROOT/cross/build.sh" --if-cached "$(uname -m)" || fail "it can't be built"
[ -e "$built/dunlin-agent" ] || skip "sh cross/build.sh $(uname -m)"
PATH=$built:$PATH

in_memory()
{
    echo $(($(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(cat "$WORK/agent1.pid")/status") * 1024))
}

# Whatever was once used of a stack stays in memory.
of_its_stack()
{
    echo $(($(sed -n '/\[stack\]$/,/^Rss/s/^Rss:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(cat "$WORK/agent1.pid")/smaps") * 1024))
}

# sealed: the page where relocated data begin can't be written to, now that it has started.
sealed()
{
    maps=/proc/$(cat "$WORK/agent1.pid")/maps
    first=0x$(grep -m 1 'dunlin-agent$' "$maps" | cut -d - -f 1)
    at=$((first + $(readelf -lW "$built/dunlin-agent" | awk '$1 == "GNU_RELRO" { print $3 }')))
    while read -r range rights _; do
        [ $((0x${range%-*})) -gt "$at" ] || [ $((0x${range#*-})) -le "$at" ] || [ "$rights" != r--p ] || return 0
    done <"$maps"
    return 1
}

start_manager "$@"
step "it joins over mutual TLS"
join_agent 1 env=test
# shellcheck disable=SC3045 # dash and every shell that we know have it
(ulimit -v 32768 && exec dunlin-agent run --dir "$WORK/agent1" >>"$WORK/agent1.log" 2>&1) &
echo $! >"$WORK/agent1.pid"
within 30 online 1 || fail "it does not come online"
sealed || fail "its relocated data can be written to: $(cat "/proc/$(cat "$WORK/agent1.pid")/maps")"
sleep 5
bytes=$(in_memory)
step "$bytes bytes are in memory when it has nothing to do"
echo "$bytes" >"$built/resident"

step "it takes a version and its successor"
for version in 1 2; do
    release "$version" env=test
    within 60 app_is "$version" 1 || fail "version $version does not arrive"
done
bytes=$(in_memory)
step "$bytes bytes are after it has worked"
echo "$bytes" >"$built/working"
bytes=$(of_its_stack)
step "$bytes bytes of its stack have been used"
echo "$bytes" >"$built/stack"
done_well
