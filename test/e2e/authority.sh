#!/bin/bash
# The fleet's certificate authority is replaced, first as planned, then since its key was stolen: nobody has to go to
# a device, however long it was away, and what the thief's key certified counts no more.
# shellcheck disable=SC2046,SC2119 # flags are words
. "$(dirname "$0")/lib.sh"
need mosquitto mosquitto_pub sqlite3 xxd

authority()
{
    dunlin key list --json | jq -r '.authorities | join(" ")'
}

# secret: of the authority, as the database has it.
secret()
{
    sqlite3 "$FLEET/manager.db" 'SELECT lower(hex(value)) FROM meta WHERE key=5'
}

# wiped SECRET: it is in no file of the manager's.
wiped()
{
    for file in "$FLEET"/manager.db*; do
        ! xxd -p "$file" | tr -d '\n' | grep -q "$1" || return 1
    done
}

# trusts N: the agent has learned of the authority of today, and has a certificate by it.
trusts()
{
    dunlin-agent status --dir "$WORK/agent$1" --json | jq -e --arg authority "$(authority)" \
        '(.trust.authorities == [$authority]) and (.certificate.outdated | not)'
}

# said N WORDS: the agent's log has them.
said()
{
    grep -q "$2" "$WORK/agent$1.log"
}

# links N: how often its link came up.
links()
{
    grep -c ' info link-up ' "$WORK/agent$1.log"
}

# admits NAME: the first cell takes that certificate.
admits()
{
    mosquitto_pub $(as "$1") -q 1 -t "dl1/up/00/$(cat "$WORK/$1.id")" -m x
}

refuses()
{
    ! admits "$1" 2>"$WORK/refuses" && grep -qiE "unknown ca|certificate|connection was lost|protocol error" "$WORK/refuses"
}

# certify_old NAME: a certificate by the authority of now, for an id that nobody has.
certify_old()
{
    head -c 16 /dev/urandom | xxd -p >"$WORK/$1.id"
    certify "$1" "$(cat "$WORK/$1.id")"
}

note()
{
    dunlin status --json | jq -e --arg words "$1" '.notes | any(contains($words))' >/dev/null
}

# remote NAME: that operator's credentials are good.
remote()
{
    dunlin --manager "$(dunlin status --json | jq -r .api)" --credentials "$WORK/$1.json" status
}

online_is()
{
    within 30 online "$1" || fail "not $1 agents online: $(dunlin agent list)"
}

step "a fleet of three, one of which is away; a token in a drawer; an operator afar"
start_manager --api 127.0.0.1:0
first=$(authority)
first_secret=$(secret)
early=$(dunlin token create --ttl 240h)
late=$(dunlin token create --ttl 240h)
dunlin admin create early --role viewer --output "$WORK/early.json" 2>/dev/null || fail "no credentials"
for n in 1 2 3; do
    join_agent $n
    start_agent $n
done
online_is 3
kill_agent 3 -TERM
certify_old first
admits first || fail "a certificate of the fleet is not taken"
cp -r "$FLEET/cells/0" "$WORK/first-cell"
wrong 2 "write online or authority" dunlin key renew friend

step "planned: the new authority takes over, and nobody loses a link"
dunlin key renew authority --output "$WORK/authority.draft" >"$WORK/out" || fail "no draft"
[ "$(authority)" = "$first" ] || fail "a draft has changed something"
kill_manager -KILL
start_manager --api 127.0.0.1:0
dunlin key submit "$WORK/authority.draft" >/dev/null || fail "the new authority is not taken"
second=$(authority)
[ "$second" != "$first" ] || fail "the authority stays"
grep -q -- "+ authority $second" "$WORK/out" || fail "odd words: $(cat "$WORK/out")"
grep -q -- "- authority $first" "$WORK/out" || fail "odd words: $(cat "$WORK/out")"
second_secret=$(secret)
for n in 1 2; do
    within 30 trusts $n || fail "agent $n: $(dunlin-agent status --dir "$WORK/agent$n")"
    [ "$(links $n)" -eq 1 ] || fail "agent $n lost its link"
done
dunlin key list | grep -qE "former +$first +admits until" || fail "$(dunlin key list)"
note "former authority" || fail "status says nothing of it: $(dunlin status)"
certify_old second
admits first || fail "the old authority's certificates count no more"
admits second || fail "the new authority's certificates don't count"
remote early >/dev/null || fail "credentials of before are worth nothing"

step "who was away, and who has an old token, find the way"
start_agent 3
online_is 3
within 30 trusts 3 || fail "agent 3: $(dunlin-agent status --dir "$WORK/agent3")"
dunlin-agent join "$(join_url)" "$early" --dir "$WORK/agent4" --timeout 120 >/dev/null || fail "the old token is worth nothing"
start_agent 4
online_is 4

step "a manager that was killed has the new authority, and goes on"
kill_manager -KILL
start_manager --api 127.0.0.1:0
[ "$(authority) $(secret)" = "$second $second_secret" ] || fail "another authority"
online_is 4

step "stolen: what the old authority certified counts no more, and its secret is gone"
kill_agent 3 -TERM
cp -r "$FLEET/cells/0" "$WORK/second-cell"
dunlin key renew authority --stolen >"$WORK/out" || fail "no new authority"
third=$(authority)
[ "$third" != "$second" ] || fail "the authority stays"
within 10 wiped "$first_secret" || fail "the first authority's secret is still there"
within 10 wiped "$second_secret" || fail "the second authority's secret is still there"
! wiped "$(secret)" || fail "the third authority's secret is not found, so the others prove nothing"
certify_old third
within 10 admits third || fail "the new authority's certificates don't count"
refuses first || fail "the first authority's certificates count: $(cat "$WORK/refuses")"
refuses second || fail "the second authority's certificates count: $(cat "$WORK/refuses")"
for n in 1 2 4; do
    within 30 trusts $n || fail "agent $n: $(dunlin-agent status --dir "$WORK/agent$n")"
    said $n 'door .*certificate="renewed"' || fail "agent $n did not renew at the door"
done
dunlin audit --json | jq -e '[.audit[] | select(.action == "authority-draw") | .detail] == ["stolen=no", "stolen=yes"]' >/dev/null ||
    fail "the audit log has no word of it"

step "who was away, and who has an old token, find the way over both"
start_agent 3
online_is 4
within 30 trusts 3 || fail "agent 3: $(dunlin-agent status --dir "$WORK/agent3")"
dunlin-agent join "$(join_url)" "$late" --dir "$WORK/agent5" --timeout 120 >/dev/null || fail "the old token is worth nothing"

step "operators need new credentials"
wrong 1 "not the manager that the credentials are for" remote early
note "credentials trust the stolen authority" || fail "status says nothing of it: $(dunlin status)"
dunlin admin create late --role viewer --output "$WORK/late.json" 2>/dev/null || fail "no credentials"
remote late >/dev/null || fail "the new credentials are worth nothing"
dunlin admin revoke early >/dev/null || fail "the old credentials stay"

step "a backup has all of it"
dunlin-manager backup --dir "$FLEET" "$WORK/backup" >/dev/null || fail "no backup"
[ "$(sqlite3 "$WORK/backup/manager.db" 'SELECT count(*) FROM elder')" -eq 2 ] || fail "the backup knows no elders"

step "the thief runs a broker in place of ours: no agent that followed goes there"
port=$(cell_port 0)
kill_manager -TERM
for thief in first second; do
    (cd "$WORK/$thief-cell" && printf 'user %s\nlistener %s 127.0.0.1\nallow_anonymous true\ncertfile cert.pem\nkeyfile key.pem\n' "$(id -un)" "$port" >thief.conf &&
        exec mosquitto -c thief.conf >"$WORK/$thief-thief.log" 2>&1) &
    echo $! >"$WORK/thief.pid"
    before=$(grep -c "by another fleet" "$WORK/agent1.log" || true)
    # The agent tells of each reason once: another one comes between.
    within 30 sh -c "[ \$(grep -c 'by another fleet' '$WORK/agent1.log') -gt $before ]" || fail "agent 1 does not refuse the $thief thief"
    kill_process thief -KILL
    within 30 sh -c "tail -n 1 '$WORK/agent1.log' | grep -q refused" || fail "agent 1 finds a broker"
done
start_manager
online_is 4

done_well
