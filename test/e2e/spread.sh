#!/bin/sh
# A policy that spreads what a new document costs is obeyed by real agents.
# shellcheck disable=SC2086 # agents' numbers are many words
. "$(dirname "$0")/lib.sh"

AGENTS="1 2 3 4 5 6 7 8"

# between_ms EVENT: from the first agent's newest line of that to the last one's.
between_ms()
{
    for n in $AGENTS; do
        line=$(grep " info $1" "$WORK/agent$n.log" | tail -n 1 | cut -d ' ' -f 1)
        date -d "$line" +%s%3N
    done | sort -n | sed -n '1p;$p' | paste -sd ' ' - | { read -r first last && echo $((last - first)); }
}

start_manager --fetch-spread 5s
for n in $AGENTS; do join_agent "$n" site=a && start_agent "$n"; done
within 20 online 8 || fail "not all agents are online"

step "a new document is fetched over five seconds"
release 1 site=a
within 20 app_is 1 $AGENTS || fail "the version does not arrive"
# All of eight within half a second: once in a million times.
[ "$(between_ms document)" -gt 500 ] || fail "all fetch within $(between_ms document) ms"
done_well
