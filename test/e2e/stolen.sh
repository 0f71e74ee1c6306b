#!/bin/sh
# Somebody has taken the manager's online key, and speaks to the agents in its name: no agent runs
# what publishers have not signed, nor goes back to what it ran before; and the roots end it.
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
PATH=$BIN/test:$PATH
need forge sqlite3 mosquitto_pub mosquitto_sub od

# say TOPIC FILE: on the fleet's broker, as whoever can reach it.
say()
{
    mosquitto_pub --unix "$FLEET/cells/0/sock" -q 1 -r -t "$1" -f "$2"
}

# speak REVISION NAME GENERATION BUNDLE: a document with the stolen key, and the head that leads to it.
speak()
{
    forge document "$WORK/stolen.key" "$cohort" "$1" 1 "$2" "$3" "$4" "$(($(date +%s) + 86400))" >"$WORK/document"
    forge head "$1" "$trust" >"$WORK/head"
    say "dl1/cohort/$cohort/doc" "$WORK/document"
    say "dl1/cohort/$cohort/0" "$WORK/head"
}

# held REVISION: the agent holds this document.
held()
{
    dunlin-agent status --dir "$WORK/agent1" --json | jq -e --arg revision "$1" \
        '.document | "\(.epoch).\(.revision)" == $revision'
}

cause_is()
{
    dunlin-agent status --dir "$WORK/agent1" --json | jq -r '.deployments[0].cause' | grep -qE "$1"
}

bundle_of()
{
    dunlin --dir "$1" bundle show "$2" --json | jq -r .digest
}

step "a fleet with one agent and two versions"
start_manager
join_agent 1 env=prod
start_agent 1
release 1 env=prod
within 30 app_is 1 1 || fail "version 1 does not arrive"
old=$(bundle_of "$FLEET" app@1)
release 2 env=prod
within 30 app_is 2 1 || fail "version 2 does not arrive"
trust=$(dunlin key list --json | jq .version)
cohort=$(mosquitto_sub --unix "$FLEET/cells/0/sock" -t 'dl1/cohort/+/doc' -C 1 -F %t -W 5 | cut -d / -f 3)

step "a thief has a bundle of his own, by a publisher of his own"
thieves=$WORK/thief
mkdir "$WORK/evil"
cp -a "$WORK/app@1/." "$WORK/evil/"
echo evil >"$WORK/evil/etc/version"
dunlin-manager run --dir "$thieves" --listen 127.0.0.1:0 >"$WORK/thief.log" 2>&1 &
echo $! >"$WORK/thief.pid"
within 30 dunlin --dir "$thieves" status || fail "the thief has no manager"
dunlin --dir "$thieves" bundle push "$WORK/evil" --name app --version 9 >/dev/null 2>&1 || fail "the thief has no bundle"
evil=$(bundle_of "$thieves" app@9)
find "$thieves/chunks" -type f | while read -r chunk; do
    say "dl1/chunk/$(basename "$chunk")" "$chunk"
done
kill_process thief -TERM

step "he takes the online key, and the agent's document is his"
printf 'dunlin-secret-key-1 %s\n' "$(sqlite3 "$FLEET/manager.db" 'SELECT lower(hex(value)) FROM meta WHERE key=2')" \
    >"$WORK/stolen.key"
speak 1.1000 app 100 "$evil"
within 30 held 1.1000 || fail "the agent does not take the thief's document: is it his key at all?"

step "but it runs nothing that the fleet's publishers have not signed"
within 30 cause_is 'not signed by a trusted publisher' || fail "$(dunlin-agent status --dir "$WORK/agent1")"
agent_runs 1 app "$WORK/app@2" || fail "the agent runs what nobody signed"
applied_is 1 "1 2" || fail "agent 1 applied: $(applied 1)"

step "nor an older generation"
speak 1.1001 app 1 "$old"
within 30 held 1.1001 || fail "the agent does not take the second document"
sleep 2
agent_runs 1 app "$WORK/app@2" || fail "the agent went back"
applied_is 1 "1 2" || fail "agent 1 applied: $(applied 1)"

step "the roots give the fleet another online key: what the thief said binds nobody any more"
dunlin key renew >/dev/null || fail "the online key is not renewed"
release 3 env=prod
within 40 app_is 3 1 || fail "the agent does not come back: $(dunlin-agent status --dir "$WORK/agent1")"
speak 1.2000 app 200 "$evil"
sleep 3
! held 1.2000 >/dev/null || fail "the stolen key still counts"
agent_runs 1 app "$WORK/app@3" || fail "the agent runs what the thief wanted"
done_well
