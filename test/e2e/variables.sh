#!/bin/sh
# A bundle with a template and hooks that need variables: it is refused as long as one has no value; values for all, for
# some and for one agent reach file and hooks; a changed one is applied again, without a new version; a secret reaches
# hooks and nothing else: its bytes are on no disk of devices, brokers or manager.
# shellcheck disable=SC2016
. "$(dirname "$0")/lib.sh"

SECRET=s3cret-5d41402abc4b2a76b9719d911017c592

# What the hooks of agent N have seen last.
seen()
{
    cat "$WORK/agent$1/deployments/app/data/seen"
}

file()
{
    cat "$WORK/agent$1/deployments/app/current/app.conf"
}

# seen_is N TEXT, file_is N TEXT
seen_is()
{
    [ "$(seen "$1" 2>/dev/null)" = "$2" ]
}

file_is()
{
    [ "$(file "$1" 2>/dev/null)" = "$2" ]
}

missing_at()
{
    dunlin why "$1" app 2>&1 | grep -q "variable $2, which it needs, has no value"
}

# Nobody but a hook may have it: neither as it is, nor in what a program writes for later.
nowhere()
{
    for folder in "$@"; do
        ! grep -rlaF "$SECRET" "$folder" || fail "the secret lies in $folder"
    done
}

# shellcheck disable=SC2119
start_manager
for n in 1 2; do
    join_agent $n "site=s$n"
    start_agent $n
done

folder=$ROOT/examples/bundles/signboard

step "a bundle says what it needs, and is not deployed as long as that has no value"
refused "no file etc/app.conf" dunlin bundle push "$folder" --name app --version 1 --template etc/app.conf
dunlin bundle push "$folder" --name app --version 1 --template app.conf --variable key >/dev/null ||
    fail "the bundle is not taken"
dunlin bundle show app@1 | grep -q 'key, name (in a template), port (in a template)' || fail "$(dunlin bundle show app@1)"
dunlin variable set port=80 >/dev/null
refused "have no value for variable key, which app@1 needs" dunlin deploy app@1 --as app --all
refused "standard input: holds no value" dunlin variable set key --secret </dev/null
printf '%s\n' "$SECRET" | dunlin variable set key --secret >/dev/null || fail "the secret is not taken"
dunlin variable set name=first --agent 1 >/dev/null
refused 'labels "site=s2" have no value for variable name' dunlin deploy app@1 --as app --all
dunlin agent list | grep -q app && fail "something moved"
dunlin variable set name=others --select 'site in (s1,s2)' >/dev/null

step "values reach the template and the hooks, the agent's own before all others"
dunlin deploy app@1 --as app --all >/dev/null || fail "app@1 is not deployed"
within 40 seen_is 1 "80 first $SECRET" || fail "agent 1 saw: $(seen 1); $(dunlin why 1 app)"
within 40 seen_is 2 "80 others $SECRET" || fail "agent 2 saw: $(seen 2); $(dunlin why 2 app)"
file_is 1 'port=80
name=first
home=${HOME}' || fail "agent 1's file: $(file 1)"

step "a changed value is applied again, to those whom it is for"
dunlin variable set port=8080 --select site=s2 >/dev/null
within 40 seen_is 2 "8080 others $SECRET" || fail "agent 2 saw: $(seen 2)"
within 40 agent_has 2 app 1 || fail "agent 2 is not Ready: $(dunlin why 2 app)"
file_is 2 'port=8080
name=others
home=${HOME}' || fail "agent 2's file: $(file 2)"
seen_is 1 "80 first $SECRET" || fail "agent 1 saw: $(seen 1)"
dunlin variable set name=second --agent 2 >/dev/null
within 40 seen_is 2 "8080 second $SECRET" || fail "agent 2 saw: $(seen 2)"

step "what somebody needs is not unset, and a secret goes into no file"
refused "have no value for variable key" dunlin variable unset key
wrong 2 "port is named twice" dunlin variable set port=1 port=2
wrong 2 "port is named twice" dunlin variable unset port port
wrong 2 "=1: write NAME=VALUE" dunlin variable set =1
wrong 2 '"i=9" is too much' dunlin variable set a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 i=9
refused "a template of app@1 names it" sh -c 'echo x | dunlin variable set port --secret'
dunlin variable unset port --select site=s2 >/dev/null || fail "port of site s2 stays"
within 40 seen_is 2 "80 second $SECRET" || fail "agent 2 saw: $(seen 2)"

step "who comes to labels without a value waits, and why says for which"
join_agent 3 site=s3
start_agent 3
within 40 missing_at 3 name || fail "$(dunlin why 3 app)"
dunlin variable set name=third --agent 3 >/dev/null
within 40 seen_is 3 "80 third $SECRET" || fail "agent 3 saw: $(seen 3); $(dunlin why 3 app)"

step "a deployment's file sets what nothing else does"
dunlin variable unset port >/dev/null 2>&1 && fail "port was unset"
cat >"$WORK/app.yaml" <<END
deployment: app
bundle: app@1
placement: {all: true}
variables:
  port: 443
END
dunlin deploy "$WORK/app.yaml" >/dev/null || fail "the file is not taken"
dunlin variable unset port >/dev/null || fail "port can't be unset, though the file has it"
within 40 seen_is 1 "443 first $SECRET" || fail "agent 1 saw: $(seen 1)"
dunlin variable list | grep -q 'port *deployment app *443' || fail "$(dunlin variable list)"

step "all of it outlives the manager, and the agents"
kill_manager -9
kill_agent 1 -9
# shellcheck disable=SC2119
start_manager
start_agent 1
dunlin variable set port=81 >/dev/null
for n in 1 2 3; do
    within 60 agent_has $n app 1 || fail "agent $n: $(dunlin why $n app)"
done
within 40 seen_is 1 "81 first $SECRET" || fail "agent 1 saw: $(seen 1)"

step "the secret is on no disk, in no list and in no log, and its key is the owner's alone"
rm -f "$WORK"/agent*/deployments/app/data/seen
sync
stop_all || fail "not everything ends: $(ours)"
nowhere "$WORK"
[ "$(stat -c %a "$FLEET/secrets.key")" = 600 ] || fail "the secrets' key can be read by others"

step "without the secrets' key, or with another one, the manager doesn't start"
not_started()
{
    if timeout 60 dunlin-manager run --dir "$FLEET" --listen 127.0.0.1:0 >"$WORK/refused" 2>&1 || ! grep -qF "$1" "$WORK/refused"; then
        fail "it starts, or doesn't say why not: $(cat "$WORK/refused")"
    fi
}
mv "$FLEET/secrets.key" "$WORK/kept.key"
not_started "secrets.key is missing"
[ ! -e "$FLEET/secrets.key" ] || fail "a new key was drawn"
cp -p "$FLEET/root.key" "$FLEET/secrets.key"
not_started "under another key than the one in secrets.key"

done_well
