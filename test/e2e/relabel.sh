#!/bin/sh
# Labels of all agents that a selector matches, by one command: what they get with it reaches those that are connected,
# under one signature for all, and nobody else; the audit log has each; it survives a kill right after the answer.
. "$(dirname "$0")/lib.sh"
need python3 script

AGENTS=12 # two of them run

# Each joins as site=a or site=b, by turns.
join_all()
{
    for n in $(seq $AGENTS); do
        join_agent "$n" "site=$([ $((n % 2)) = 1 ] && echo a || echo b)"
    done
}

# matching SELECTOR: how many there are.
matching()
{
    dunlin agent list --select "$1" --json | jq '.agents | length'
}

# How many different ones stand under what is retained for single agents, each with its one signer before it.
signatures()
{
    sqlite3 "$WORK/fleet/manager.db" "SELECT hex(payload) FROM control WHERE substr(topic, 1, 1) = x'02'" |
        grep -o '9192C410[0-9A-F]\{32\}C440[0-9A-F]\{128\}' | sort -u | wc -l
}

# shellcheck disable=SC2119
start_manager
join_all
start_agent 1
start_agent 2

step "those that the selector matches get the labels, and what they stand for"
make_app 1
push_app 1
dunlin deploy app@1 --as app --select ring=2 >/dev/null || fail "no deployment"
dunlin agent label --select site=a ring=2 | grep -qx "$((AGENTS / 2)) agents have other labels now" || fail "not half of them"
within 60 agent_has 1 app 1
[ "$(matching ring=2) $(matching site=a,ring=2)" = "$((AGENTS / 2)) $((AGENTS / 2))" ] || fail "others have it"
[ "$(agent 2 ".deployments | length")" = 0 ] || fail "agent 2 has it, too"

step "one signature is for all of them, but for the first, whose cohort is new"
[ "$(signatures)" -le 2 ] || fail "$(signatures) signatures for $((AGENTS / 2)) assignments"

step "a second time changes nothing, and a mistake nothing either"
dunlin agent label --select site=a ring=2 --json | jq -e '.changed == 0' >/dev/null || fail "changed again"
dunlin agent label --select site=none ring=2 --json | jq -e '.changed == 0' >/dev/null || fail "changed nobody's"
wrong 2 "selector" dunlin agent label --select 'site in' ring=2
wrong 2 "KEY=VALUE" dunlin agent label --select site=a
wrong 2 "label" dunlin agent label --select site=a -- 'ri ng=2'
[ "$(dunlin audit --json | jq '[.audit[] | select(.action == "agent-label")] | length')" = $((AGENTS / 2)) ] || fail "the audit log has others"

step "what was answered is there after a kill"
refused "app would have no agents any more: $((AGENTS / 2)) take it off: if this is meant, say --confirm" \
    dunlin agent label --select ring=2 ring- zone=z
dunlin agent label --select ring=2 ring- zone=z --confirm >/dev/null || fail "no labels"
kill_manager -KILL
# shellcheck disable=SC2119
start_manager
[ "$(matching zone=z) $(matching ring=2)" = "$((AGENTS / 2)) 0" ] || fail "labels are lost"

step "a page that fails says how many agents were before, and a terminal sees them come"
"$ROOT/test/e2e/pages.py" "$WORK/pages.sock" 2>"$WORK/pages.log" &
pages=$!
within 10 test -S "$WORK/pages.sock" || fail "nobody listens: $(cat "$WORK/pages.log")"
label_all="dunlin --manager unix://$WORK/pages.sock agent label --select site=a ring=3"
# shellcheck disable=SC2086
refused "2000 agents are changed, and then: no room is left" $label_all
TERM=xterm script -qec "$label_all" "$WORK/terminal.log" >/dev/null 2>&1 || true
kill "$pages"
grep -q "1000 agents so far" "$WORK/terminal.log" || fail "no word on the way: $(cat "$WORK/terminal.log")"
done_well
