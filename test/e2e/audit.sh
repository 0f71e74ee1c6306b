#!/bin/bash
# The audit log as operators see it: every change with who made it, nothing that can be changed
# without being noticed, and alarms that nobody overlooks.
. "$(dirname "$0")/lib.sh"
need sqlite3

# Usage: tells ACTOR ACTION OBJECT: there is exactly one such entry (jq's regular expressions).
tells()
{
    [ "$(entries "$@")" = 1 ] ||
        fail "not one entry '$1 $2 $3' in: $(dunlin audit)"
}

entries()
{
    dunlin audit --json | jq --arg a "^$1\$" --arg b "^$2\$" --arg c "^$3\$" \
        '[.audit[] | select((.actor | test($a)) and (.action | test($b)) and (.object | test($c)))] | length'
}

sql()
{
    sqlite3 "$FLEET/manager.db" ".timeout 5000" "$@"
}

me="local:$(id -un)\\($(id -u)\\)"

step "Everything that changes something is told of, with who did it"
# shellcheck disable=SC2119
start_manager
tells manager fleet-create 'authority [0-9a-f]{32}'
join_agent 1 env=prod
start_agent 1
tells "$me" token-create 'batch 1'
tells 'device:[0-9a-f]{12}' join 'agent 1 \([0-9a-f]{12}\)'
make_app 1
push_app 1 2>/dev/null || fail "no push"
tells "$me" bundle-add bundle\ app@1
dunlin deploy app@1 --as app --select env=prod >/dev/null
tells "$me" deploy 'deployment app'
dunlin deployment pause app >/dev/null
dunlin deployment resume app >/dev/null
tells "$me" pause 'deployment app'
tells "$me" resume 'deployment app'
within 20 app_is 1 1 || fail "the agent does not get it"
dunlin agent label 1 region=eu >/dev/null
tells "$me" agent-label 'agent 1 .*'
dunlin token revoke 1 >/dev/null
tells "$me" token-revoke 'batch 1'

step "What changes nothing is not"
before=$(dunlin audit | wc -l)
dunlin status >/dev/null
dunlin agent list >/dev/null
dunlin token revoke 1 >/dev/null
refused "no deployment" dunlin deployment pause nothing
[ "$(dunlin audit | wc -l)" = "$before" ] || fail "more entries: $(dunlin audit)"

step "A used token with another key is an alarm: in the log, and in status"
dunlin status | grep -q '^alarms' && fail "an alarm before anything happened"
token=$(dunlin token create)
dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent2" >/dev/null
refused "used" dunlin-agent join "$(join_url)" "$token" --dir "$WORK/thief"
tells manager alarm-token-reused 'batch 2, token 1'
[ "$(dunlin status --json | jq -c '.alarms | [.last_day, .last[0].action]')" = '[1,"alarm-token-reused"]' ] ||
    fail "no alarm in: $(dunlin status --json)"
dunlin status | grep -q 'alarm-token-reused: batch 2, token 1' || fail "no alarm in: $(dunlin status)"
for _ in 1 2 3; do
    refused "used" dunlin-agent join "$(join_url)" "$token" --dir "$WORK/thief"
done
tells manager alarm-token-reused 'batch 2, token 1'

step "The chain goes on over kills"
kill_manager -KILL
# shellcheck disable=SC2119
start_manager
dunlin token create >/dev/null
dunlin audit --verify >"$WORK/verified" || fail "the log doesn't verify"
grep -qxE '[0-9a-f]{64}' "$WORK/verified" || fail "no digest in: $(cat "$WORK/verified")"
count=$(dunlin audit --json | jq '.audit | length')
grep -q "^entries 1 to $count are" "$WORK/verified" || fail "not $count: $(cat "$WORK/verified")"

step "--since leaves older entries out"
[ "$(dunlin audit --since 1h | wc -l)" = "$count" ] || fail "an hour doesn't hold all"
[ "$(dunlin audit --since 2000-01-01 | wc -l)" = "$count" ] || fail "this century doesn't hold all"
[ "$(dunlin audit --since 2100-01-01 --json)" = '{"audit":[]}' ] || fail "the next century holds some"
wrong 2 "give a time like" dunlin audit --since yesterday
wrong 2 "leave --since and --action away" dunlin audit --since 1h --verify

step "--action leaves others out"
[ "$(dunlin audit --action alarm --json | jq -c '[.audit[].action]')" = '["alarm-token-reused"]' ] ||
    fail "other entries: $(dunlin audit --action alarm)"
[ "$(dunlin audit --action token-create | wc -l)" = 3 ] || fail "not 3: $(dunlin audit --action token-create)"
[ "$(dunlin audit --action nothing)" = "there is nothing of this kind in this time" ] || fail "there is something"
wrong 2 "leave --since and --action away" dunlin audit --action alarm --verify

step "The database refuses to change or forget an entry"
for statement in "UPDATE audit SET actor='nobody' WHERE n=3" "DELETE FROM audit WHERE n=3" \
    "DELETE FROM audit" "REPLACE INTO audit SELECT 3,time,'x',action,object,detail,chain FROM audit WHERE n=3" \
    "INSERT INTO audit SELECT 99999,time,actor,action,object,detail,chain FROM audit WHERE n=3"; do
    refused "only grows" sqlite3 "$FLEET/manager.db" "$statement"
done
dunlin audit --verify >/dev/null || fail "the log doesn't verify any more"

step "What is changed by force is found, and named"
sql "DROP TRIGGER audit_update; DROP TRIGGER audit_delete; DROP TRIGGER audit_order;
CREATE TABLE kept AS SELECT * FROM audit WHERE n=4"
for change in "actor='local:nobody(1)'" "time=time-3600" "action='pause'" "object='batch 7'" \
    "detail='tokens=2'" "chain=zeroblob(32)"; do
    sql "UPDATE audit SET $change WHERE n=4"
    wrong 1 "entry 4 of the audit log is not what was written" dunlin audit --verify
    sql "DELETE FROM audit WHERE n=4; INSERT INTO audit SELECT * FROM kept"
    dunlin audit --verify >/dev/null || fail "it is as it was, but doesn't verify"
done
sql "DELETE FROM audit WHERE n=5"
wrong 1 "entry 5 of the audit log is missing" dunlin audit --verify

# alarm ACTION OBJECT: as if the manager had raised it now.
alarm()
{
    sql "INSERT INTO audit SELECT max(n)+1,strftime('%s'),'manager','$1','$2','',zeroblob(32) FROM audit"
}

step "Status shows the newest alarm of each kind: many of one hide no other"
alarm alarm-clone "agent 1"
for number in 2 3 4 5 6 7 8 9; do
    alarm alarm-token-reused "batch 2, token $number"
done
[ "$(dunlin status --json | jq -c '.alarms | [.last_day, (.last[] | .action, .object, .count, .only_counted)]')" = \
    '[10,"alarm-token-reused","batch 2, token 9",9,0,"alarm-clone","agent 1",1,0]' ] || fail "$(dunlin status --json)"
dunlin status >"$WORK/status"
for line in "alarms +10 in the last day: dunlin audit --since 1d --action alarm$" \
    "alarm-token-reused: batch 2, token 9, by manager, .*; 8 more$" "alarm-clone: agent 1, by manager, [^;]*$"; do
    grep -qE "$line" "$WORK/status" || fail "no line '$line' in: $(cat "$WORK/status")"
done
[ "$(dunlin audit --since 1d --action alarm | wc -l)" = 10 ] || fail "what status says to ask for has not all of them"
done_well
