#!/bin/bash
# Who may say what runs: root keys that go offline, publishers of whom two of three must sign, drafts
# that go from hand to hand, rotation, revocation, and what is said to those who hold the wrong keys.
. "$(dirname "$0")/lib.sh"
need jq mosquitto

KEYS=$WORK/keys
USB=$WORK/usb

# id FILE.pub: the key's id, as the fleet lists it.
id()
{
    dunlin key list --json | jq -r --arg key "$(cut -d ' ' -f 2 "$1")" '.. | objects | select(.key == $key) | .id'
}

version()
{
    dunlin key list --json | jq .version
}

# trusts ROLE COUNT THRESHOLD
trusts()
{
    dunlin key list --json | jq -e ".$1 | .threshold == $3 and (.keys | length == $2)" >/dev/null ||
        fail "not $2 $1 with threshold $3: $(dunlin key list)"
}

agent_trusts()
{
    grep ' info trust ' "$WORK/agent$1.log" | tail -n 1 | grep -q "version=$2 "
}

# push V KEY...: signed by these.
push()
{
    pushing=$1
    shift
    [ -d "$WORK/app@$pushing" ] || make_app "$pushing"
    for key; do
        set -- "$@" --key "$KEYS/$key.key"
        shift
    done
    dunlin bundle push "$WORK/app@$pushing" --name app --version "$pushing" --health-deadline 20s "$@"
}

deploys()
{
    dunlin deploy "app@$1" --as app --select env=prod >/dev/null || fail "app@$1 is not deployed"
    within 60 runs 1 "$1" || fail "agent 1 does not run app@$1"
}

runs()
{
    [ "$(cat "$WORK/agent$1/deployments/app/current/etc/version" 2>/dev/null)" = "$2" ]
}

step "keys are made without a manager"
mkdir -p "$KEYS" "$USB"
for name in alice bob carol root2; do
    dunlin key create "$KEYS/$name.key" >"$WORK/out" </dev/null || fail "no key for $name"
    grep -qE '^key [0-9a-f]{32}: keep .* secret' "$WORK/out" || fail "odd words: $(cat "$WORK/out")"
    [ "$(stat -c %a "$KEYS/$name.key")" = 600 ] || fail "$name's key is open to others"
    [ "$(stat -c %a "$KEYS/$name.key.pub")" = 644 ] || fail "$name's public half is closed"
done
dunlin key create "$KEYS/dave.key" --json |
    jq -e '(.id | length == 32) and (.key | length == 128) and (.public_file | endswith("dave.key.pub"))' \
        >/dev/null || fail "no key for dave"
wrong 1 "is there already, and stays as it is" dunlin key create "$KEYS/alice.key"
wrong 2 "it takes FILE" dunlin key create
wrong 1 "no manager answers" dunlin key list

step "the first push trusts its publisher by the root key that is at hand"
# shellcheck disable=SC2119
start_manager
[ "$(stat -c %a "$FLEET/root.key")" = 600 ] || fail "the root key is open to others"
dunlin status --json | jq -e '.notes | length == 1 and (.[0] | contains("root key"))' >/dev/null ||
    fail "status says nothing of the root key"
push 1 alice >"$WORK/out" 2>"$WORK/err" || fail "$(cat "$WORK/err")"
grep -q "trusts publisher key .* by the root key" "$WORK/err" || fail "silent: $(cat "$WORK/err")"
trusts publishers 1 1
early=$(dunlin token create --label env=prod)
late=$(dunlin token create --label env=prod)
join_agent 1 env=prod
start_agent 1
deploys 1

step "the root key goes offline: nothing is trusted without it"
mv "$FLEET/root.key" "$USB/root.key"
dunlin status --json | jq -e '.notes == []' >/dev/null || fail "status still has notes"
wrong 1 "does not trust publisher key .*dunlin key trust" push 2 bob
before=$(version)
dunlin key trust "$KEYS/bob.key.pub" --output "$WORK/lonely.draft" >/dev/null || fail "no draft"
wrong 1 "needs the signatures of 1 of version $before's 1 root keys, and has 0" dunlin key submit "$WORK/lonely.draft"
wrong 1 "is no root key of this fleet" dunlin key trust "$KEYS/bob.key.pub" --root "$KEYS/alice.key"
wrong 1 "is not a public key" dunlin key trust "$KEYS/bob.key" --root "$USB/root.key"
wrong 1 "cannot open" dunlin key trust "$KEYS/nobody.pub" --root "$USB/root.key"
wrong 2 "write publisher, root or online" dunlin key trust "$KEYS/bob.key.pub" --as friend
wrong 1 "is a trusted publisher key already" dunlin key trust "$KEYS/alice.key.pub" --root "$USB/root.key"
wrong 1 "a key has one role" dunlin key trust "$KEYS/alice.key.pub" --as root --root "$USB/root.key"
wrong 1 "2 of 1 publisher keys can't sign" dunlin key threshold 2 --root "$USB/root.key"
wrong 1 "is the only root key" dunlin key revoke "$(dunlin key list --json | jq -r '.roots.keys[0].id')" --root "$USB/root.key"
wrong 1 "is not trusted" dunlin key revoke 00000000000000000000000000000000 --root "$USB/root.key"
[ "$(version)" = "$before" ] || fail "the wrong keys have changed something"

step "two of three publishers"
dunlin key trust "$KEYS/bob.key.pub" --root "$USB/root.key" >"$WORK/out" || fail "bob is not trusted"
grep -q "+ publisher" "$WORK/out" || fail "odd words: $(cat "$WORK/out")"
dunlin key trust "$KEYS/carol.key.pub" --threshold 2 --root "$USB/root.key" >/dev/null ||
    fail "carol is not trusted"
trusts publishers 3 2
wrong 1 "needs the signatures of 2 of the fleet's 3 publishers, and has 1: 1 more must sign it" push 2 alice
push 2 alice carol >/dev/null || fail "two publishers are not enough"
deploys 2

step "a draft of a bundle goes from hand to hand"
make_app 3
push 3 >/dev/null 2>&1 && fail "the usual key is trusted"
dunlin bundle push "$WORK/app@3" --name app --version 3 --health-deadline 20s --output "$WORK/app.draft" \
    >/dev/null || fail "no draft"
wrong 1 "needs the signatures of 2 .* and has 0" dunlin key submit "$WORK/app.draft"
dunlin key sign "$WORK/app.draft" --key "$KEYS/bob.key" >"$WORK/out" || fail "bob can't sign"
grep -q "bundle app@3, files" "$WORK/out" || fail "odd words: $(cat "$WORK/out")"
wrong 1 "has signed it already" dunlin key sign "$WORK/app.draft" --key "$KEYS/bob.key"
wrong 1 "is no publisher key of this fleet" dunlin key sign "$WORK/app.draft" --key "$KEYS/root2.key"
wrong 1 "has 1: 1 more must sign it" dunlin key submit "$WORK/app.draft"
DUNLIN_DIR=$WORK/nowhere dunlin key sign "$WORK/app.draft" --key "$KEYS/carol.key" >/dev/null ||
    fail "carol can't sign without a manager"
dunlin key submit "$WORK/app.draft" | grep -q "pushed app@3" || fail "two signatures are not enough"
deploys 3
wrong 1 "is no draft" dunlin key show "$KEYS/bob.key"
head -c -3 "$WORK/app.draft" >"$WORK/cut.draft"
wrong 1 "is no draft" dunlin key show "$WORK/cut.draft"

step "roots: a second one, both must sign, and the first one goes"
kill_agent 1 -TERM
dunlin key trust "$KEYS/root2.key.pub" --as root --threshold 2 --root "$USB/root.key" \
    --output "$WORK/roots.draft" >"$WORK/out" || fail "no draft"
grep -q "+ root" "$WORK/out" || fail "odd words: $(cat "$WORK/out")"
now=$(version)
wrong 1 "needs the signatures of 2 of version $((now + 1))'s 2 root keys, and has 1" dunlin key submit "$WORK/roots.draft"
DUNLIN_DIR=$WORK/nowhere dunlin key sign "$WORK/roots.draft" --key "$KEYS/root2.key" >"$WORK/out" ||
    fail "the second root can't sign offline"
grep -q "2 of 2 roots sign the next one" "$WORK/out" || fail "odd words: $(cat "$WORK/out")"
dunlin key submit "$WORK/roots.draft" >/dev/null || fail "the roots don't change"
trusts roots 2 2
wrong 1 "version .* of the trust document, and the fleet has version" dunlin key submit "$WORK/roots.draft"
first=$(id <(echo "x $(dunlin key list --json | jq -r '.roots.keys[].key' | grep -vF "$(cut -d ' ' -f 2 "$KEYS/root2.key.pub")")"))
dunlin key revoke "$first" --threshold 1 --root "$USB/root.key" --root "$KEYS/root2.key" >/dev/null ||
    fail "the first root does not go"
trusts roots 1 1
wrong 1 "is no root key of this fleet" dunlin key threshold 1 --root "$USB/root.key"

step "an agent that was away follows, and what a revoked publisher signs counts no more"
dunlin key revoke "$KEYS/carol.key.pub" --root "$KEYS/root2.key" >/dev/null || fail "carol stays"
trusts publishers 2 2
wrong 1 "does not trust publisher key .*dunlin key trust" push 4 alice carol
dunlin bundle push "$WORK/app@4" --name app --version 4 --output "$WORK/app.draft" --key "$KEYS/alice.key" \
    >/dev/null || fail "no draft"
DUNLIN_DIR=$WORK/nowhere dunlin key sign "$WORK/app.draft" --key "$KEYS/carol.key" >/dev/null ||
    fail "carol can't sign offline"
wrong 1 "and has 1: 1 more must sign it; not trusted: " dunlin key submit "$WORK/app.draft"
wrong 1 "devices would refuse app@3: .* and has 1: 1 more must sign it; not trusted: " \
    dunlin deploy app@3 --as again --select env=prod
push 4 alice bob >/dev/null || fail "the two that are left are not enough"
start_agent 1
deploys 4
within 10 agent_trusts 1 "$(version)" || fail "the agent is not at version $(version)"

step "the manager's online key is renewed"
old=$(dunlin key list --json | jq -r '.online.keys[0].id')
dunlin key renew --root "$KEYS/root2.key" >"$WORK/out" || fail "no new online key"
grep -q -- "- online" "$WORK/out" || fail "odd words: $(cat "$WORK/out")"
[ "$(dunlin key list --json | jq -r '.online.keys | length, .[0].id' | paste -sd ' ')" != "1 $old" ] ||
    fail "the old key stays"
dunlin status --json | jq -e '.notes == []' >/dev/null || fail "$(dunlin status)"
within 10 agent_trusts 1 "$(version)" || fail "the agent is not at version $(version)"
push 5 alice bob >/dev/null || fail "no version 5"
deploys 5
dunlin agent label 1 env=prod ring=1 >/dev/null || fail "no label"
kill_manager -KILL
# shellcheck disable=SC2119
start_manager
join_agent 2 env=prod
start_agent 2
within 60 runs 2 5 || fail "a newcomer does not run version 5"
push 6 alice bob >/dev/null || fail "no version 6"
deploys 6

step "a manager that was taken over names keys among which the root's is one: it signs none of them unseen"
dunlin-manager run --dir "$WORK/thief" --listen 127.0.0.1:0 >"$WORK/thief.log" 2>&1 &
echo $! >"$WORK/thief.pid"
within 20 test -S "$WORK/thief/manager.sock" || fail "the thief has no manager: $(cat "$WORK/thief.log")"
for kept in root2.key.pub:root dave.key.pub:publisher; do
    DUNLIN_DIR=$WORK/thief dunlin key trust "$KEYS/${kept%:*}" --as "${kept#*:}" >/dev/null || fail "the thief can't name ${kept%:*}"
done
mv "$WORK/thief/root.key" "$USB/thief.key"
wrong 1 "no root key that signs here has signed version 3" \
    env DUNLIN_DIR="$WORK/thief" dunlin key revoke "$KEYS/dave.key.pub" --root "$KEYS/root2.key"
wrong 1 "no root key that signs here has signed version 3" \
    env DUNLIN_DIR="$WORK/thief" dunlin key renew --root "$KEYS/root2.key" --output "$WORK/thief.draft"
[ ! -e "$WORK/thief.draft" ] || fail "a draft has the root's signature"
DUNLIN_DIR=$WORK/thief dunlin key threshold 1 --output "$WORK/thief.draft" >/dev/null || fail "no draft"
DUNLIN_DIR=$WORK/thief dunlin key show "$WORK/thief.draft" | grep -q "^  publisher *[0-9a-f]" ||
    fail "the thief's publisher is not shown"
kill_process thief -TERM

step "a token that waited in a drawer"
dunlin-agent join "$(join_url)" "$early" --dir "$WORK/agent3" --timeout 120 >/dev/null ||
    fail "a token from before the roots changed is worth nothing"
for k in 1 2 1 2 1 2 1 2; do
    dunlin key threshold $k --root "$KEYS/root2.key" --json | jq -e .version >/dev/null || fail "no threshold $k"
done
refused "it is another fleet's, or too old a token" \
    dunlin-agent join "$(join_url)" "$late" --dir "$WORK/agent4" --timeout 120
dunlin key trust "$KEYS/dave.key.pub" --output "$WORK/dave.draft" --json |
    jq -e '.signatures == 0 and .draft' >/dev/null || fail "no draft"
dunlin key sign "$WORK/dave.draft" --key "$KEYS/root2.key" --json | jq -e '.signatures == 1' >/dev/null ||
    fail "no signature"
dunlin key show "$WORK/dave.draft" --json | jq -e '.type == "trust" and .signatures == 1' >/dev/null ||
    fail "no draft to look at"
dunlin key submit "$WORK/dave.draft" --json | jq -e .submitted >/dev/null || fail "dave is not trusted"
within 10 agent_trusts 1 "$(version)" || fail "the agent is not at version $(version)"
dunlin audit --json | jq -e '[.audit[] | select(.action == "trust-set")] | length > 5' >/dev/null ||
    fail "the audit log has no word of it"

done_well
