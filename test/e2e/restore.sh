#!/bin/sh
# Backups of a manager at work, and managers that are put back from them while the fleet went on.
. "$(dirname "$0")/lib.sh"
need jq

# mode PATH: its permissions.
mode()
{
    stat -c %a "$1"
}

epoch()
{
    dunlin status --json | jq .epoch
}

epoch_is()
{
    [ "$(epoch)" -eq "$1" ]
}

unknown_agents()
{
    [ "$(dunlin status --json | jq '.orphans | length')" -eq "$1" ]
}

labels_are()
{
    [ "$(agent "$1" '.labels | tostring')" = "$2" ]
}

# put_back FLAG...: the manager is lost; another one begins in its place from the backup.
put_back()
{
    kill_manager -TERM
    within 20 brokers 0 || fail "brokers outlive their manager"
    lost=$(mktemp -d "$WORK/lost.XXXXXX")
    mv "$FLEET" "$lost"
    dunlin-manager restore --dir "$FLEET" "$@" "$WORK/backup" >"$WORK/restored" 2>&1 ||
        fail "no restore: $(cat "$WORK/restored")"
    cp "$lost"/fleet/publisher.key* "$FLEET" # which is in no backup
    start_manager --heartbeat 20s
}

backups()
{
    step "a backup, while the manager works and a bundle is pushed"
    refused "there is no manager's database" dunlin-manager backup --dir "$WORK/nowhere" "$WORK/backup"
    refused "say --dir DIR" dunlin-manager backup "$WORK/backup"
    refused "is no option" dunlin-manager backup --dir "$FLEET" --keep-tokens "$WORK/backup"
    make_app 9 20000
    push_app 9 >"$WORK/push.out" 2>&1 &
    pushing=$!
    for i in 1 2 3; do
        dunlin-manager backup --dir "$FLEET" "$WORK/backup.$i" >"$WORK/said" ||
            fail "no backup while something is pushed"
        ! grep -q missing "$WORK/said" || fail "backup $i lacks chunks: $(cat "$WORK/said")"
    done
    wait $pushing || fail "the push failed: $(cat "$WORK/push.out")"
    dunlin-manager backup --dir "$FLEET" "$WORK/backup" >"$WORK/said" || fail "no backup"
    grep -q "secret keys" "$WORK/said" || fail "no word of keys: $(cat "$WORK/said")"
    refused "is there already" dunlin-manager backup --dir "$FLEET" "$WORK/backup"
    [ "$(mode "$WORK/backup") $(mode "$WORK/backup/manager.db")" = "700 600" ] ||
        fail "others can read the backup"
    [ ! -e "$WORK/backup.unfinished" ] || fail "something is left of making it"
    [ "$(mode "$WORK/backup/secrets.key")" = 600 ] || fail "what opens the variables' secrets is not in it"
    [ -z "$(find "$WORK/backup" \( -name '*.key' ! -name secrets.key \) -o -name '*.db-*')" ] || fail "too much in it"
    [ "$(find "$WORK/backup/chunks" -type f | wc -l)" -gt 10 ] || fail "no chunks in it"
    find "$WORK/backup" -type f | sort | xargs sha256sum >"$WORK/sums"
}

go_on()
{
    step "the fleet goes on: a version, labels, a deployment, a device"
    release 2 "env in (prod, lab)"
    dunlin agent label 2 env=lab >/dev/null
    dunlin deploy app@2 --as web --all >/dev/null
    join_agent 4 env=prod
    start_agent 4
    within 60 app_is 2 1 2 3 4 || fail "version 2 does not come"
    within 60 agent_has 4 web 2 || fail "the second deployment does not come"
}

restores()
{
    step "the manager is lost, and put back from the backup"
    refused "is not empty" dunlin-manager restore --dir "$FLEET" "$WORK/backup"
    refused "there is no manager's database" dunlin-manager restore --dir "$WORK/new" "$WORK"
    [ ! -e "$WORK/new" ] || fail "a failed restore leaves something"
    put_back
    for words in "in epoch 2" "batches are revoked" "revoked, replaced or quarantined"; do
        grep -q "$words" "$WORK/restored" || fail "not said: $words; but: $(cat "$WORK/restored")"
    done
    [ "$(mode "$FLEET") $(mode "$FLEET/manager.db")" = "700 600" ] || fail "others can read it"
    within 90 app_is 1 1 2 3 || fail "the agents do not go back to version 1"
    within 60 labels_are 2 '{"env":"prod"}' || fail "agent 2 keeps its newer labels"
    within 60 test ! -e "$WORK/agent2/deployments/web" || fail "a forgotten deployment stays"
    [ "$(epoch)" -eq 2 ] || fail "the epoch is $(epoch)"
    within 60 unknown_agents 1 || fail "the device that joined later is not named"
    dunlin status | grep -q "must join again" || fail "status says nothing of unknown devices"
    dunlin audit --verify >/dev/null || fail "the audit log is broken"
    dunlin audit | grep -q fleet-restore || fail "the audit log doesn't tell of the restore"
    sha256sum --quiet -c "$WORK/sums" || fail "the restore changed the backup"
}

old_tokens()
{
    step "a token from before the backup is worth nothing, one by choice"
    refused "revoked" dunlin-agent join "$(join_url)" "$spare" --dir "$WORK/late" --timeout 60
    kill_agent 4 -TERM
    rm -rf "$WORK/agent4"
    join_agent 4 env=prod
    start_agent 4
    within 60 app_is 1 4 || fail "who joined again runs nothing"
}

restores_again()
{
    step "the same backup once more, after the fleet went on under the first restore"
    release 3 "env in (prod, lab)"
    dunlin agent label 3 env=lab >/dev/null
    within 60 app_is 3 1 2 3 || fail "version 3 does not come"
    put_back --keep-tokens
    within 120 app_is 1 1 2 3 || fail "the agents do not go back again"
    within 60 labels_are 3 '{"env":"prod"}' || fail "agent 3 keeps its newer labels"
    within 60 epoch_is 3 || fail "agents know epoch 2, but this manager's is $(epoch)"
    dunlin audit | grep -q alarm-epoch-moved || fail "nobody is told that the epoch moved"
    dunlin-agent join "$(join_url)" "$spare" --dir "$WORK/late" --timeout 120 >/dev/null ||
        fail "a token that was kept is worth nothing"
    release 4 env=prod
    within 60 app_is 4 1 2 3 || fail "version 4 does not come"
}

start_manager --heartbeat 20s
for n in 1 2 3; do
    join_agent $n env=prod
    start_agent $n
done
make_app 1 1000
release 1 env=prod
within 60 app_is 1 1 2 3 || fail "version 1 does not come"
spare=$(dunlin token create --label env=prod)
backups
go_on
restores
old_tokens
restores_again
done_well
