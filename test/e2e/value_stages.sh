#!/bin/sh
# Values of variables that change by a deployment's stages, with real agents: a dry run says whom it concerns; prod keeps
# the old value until somebody approves; a rollback brings the old one back; what a file sets goes the same way; and what
# is set at once passes all of it.
. "$(dirname "$0")/lib.sh"

# has N PORT: what the newest run of its hooks saw there.
has()
{
    [ "$(cat "$WORK/agent$1/deployments/app/data/port" 2>/dev/null)" = "$2" ]
}

# applied_times N: how often its hooks have run.
applied_times()
{
    wc -l <"$WORK/agent$1/deployments/app/data/applied"
}

waits_for_approval()
{
    dunlin rollout show app --json | jq -e '.stage == "prod" and .waits_for.what == "approval"' >/dev/null
}

is_done()
{
    dunlin rollout show app --json | jq -e '.state == "done"' >/dev/null
}

# says FILE WORDS
says()
{
    grep -qF -- "$2" "$1" || fail "not printed: $2; but: $(cat "$1")"
}

# file PORT: the deployment, with what it sets itself.
file()
{
    cat >"$WORK/app.yaml" <<EOF
deployment: app
bundle: app@1
placement: {all: true}
variables: {host: "$1"}
rollout:
  stages:
    - {name: staging, select: env=staging}
    - {name: prod, select: env=prod, before: {approval: true}}
EOF
    echo "$WORK/app.yaml"
}

step "three agents run version 1 with port 80"
# shellcheck disable=SC2119
start_manager
join_agent 1 env=staging
join_agent 2 env=prod
join_agent 3 env=prod
make_app 1
# shellcheck disable=SC2016
make_hook "$WORK/app@1" apply 'echo "$DUNLIN_VAR_HOST:$DUNLIN_VAR_PORT" >"$DUNLIN_DATA/port"; echo 1 >>"$DUNLIN_DATA/applied"'
dunlin bundle push "$WORK/app@1" --name app --version 1 --variable port --variable host >/dev/null || fail "no bundle"
dunlin variable set port=80 >/dev/null
for n in 1 2 3; do start_agent $n; done
dunlin deploy "$(file a)" >/dev/null || fail "not deployed"
within 40 waits_for_approval || fail "$(dunlin rollout show app)"
dunlin rollout approve app prod >/dev/null
within 40 is_done || fail "$(dunlin rollout show app)"
for n in 1 2 3; do within 20 has $n a:80 || fail "agent $n: $(dunlin why $n app)"; done

step "a dry run says whom another value concerns, in which stages, and changes nothing"
dunlin variable set port=81 --dry-run >"$WORK/out" || fail "no dry run"
says "$WORK/out" "3 of 3 agents"
says "$WORK/out" "by stages: staging 1, then prod 2"
dunlin variable set port=82 --select env=prod --dry-run --json | jq -e '.changed and
    (.deployments[0] | .name == "app" and .way == "by-stages" and .targets == 3 and .touched == 2)' >/dev/null ||
    fail "$(dunlin variable set port=82 --select env=prod --dry-run --json)"
dunlin variable set port=80 --dry-run | grep -q "so already" || fail "$(dunlin variable set port=80 --dry-run)"
dunlin variable set port=81 --agent 2 --dry-run | grep -q "alone" || fail "$(dunlin variable set port=81 --agent 2 --dry-run)"
refused "have no value for variable port" dunlin variable unset port --dry-run
dunlin variable set port=81 --at-once --dry-run | grep -q "everybody would have it at once" || fail "no dry run at once"
dunlin variable list | grep -q 'port *all *80' || fail "$(dunlin variable list)"

step "prod keeps the old value until somebody approves, over a manager that is killed"
dunlin variable set port=81 >/dev/null || fail "not set"
within 40 waits_for_approval || fail "$(dunlin rollout show app)"
has 1 a:81 || fail "agent 1: $(cat "$WORK/agent1/deployments/app/data/port")"
dunlin rollout show app >"$WORK/out"
says "$WORK/out" "app version 1 with other values of port for 3 agents"
dunlin why 2 app >"$WORK/out"
says "$WORK/out" "what comes is another value of port"
kill_manager -9
# shellcheck disable=SC2119
start_manager
within 40 waits_for_approval || fail "$(dunlin rollout show app)"
for n in 2 3; do
    has $n a:80 || fail "agent $n has it already"
    [ "$(applied_times $n)" = 1 ] || fail "agent $n applied it again"
done
dunlin rollout approve app prod >/dev/null
within 40 is_done || fail "$(dunlin rollout show app)"
for n in 1 2 3; do within 20 has $n a:81 || fail "agent $n: $(dunlin why $n app)"; done
dunlin deployment show app >"$WORK/out"
says "$WORK/out" "OTHER VALUES OF"
dunlin deployment show app --json | jq -e '[.history[] | .values] == [["port"], []]' >/dev/null ||
    fail "$(dunlin deployment show app --json)"

step "a rollback brings the old value back, and nothing else"
dunlin rollout rollback app >/dev/null || fail "no rollback"
for n in 1 2 3; do within 40 has $n a:80 || fail "agent $n: $(cat "$WORK/agent$n/deployments/app/data/port")"; done
within 40 is_done || fail "$(dunlin rollout show app)"

step "what the file sets goes by stages, and takes along what was rolled back"
dunlin deployment diff app "$(file b)" >"$WORK/out" || fail "no diff"
says "$WORK/out" "variables: host"
dunlin deploy "$(file b)" >/dev/null || fail "the file is not taken"
within 40 waits_for_approval || fail "$(dunlin rollout show app)"
has 1 b:81 || fail "agent 1: $(cat "$WORK/agent1/deployments/app/data/port")"
has 2 a:80 || fail "agent 2: $(cat "$WORK/agent2/deployments/app/data/port")"
dunlin rollout rollback app >/dev/null || fail "no rollback"
within 40 has 1 a:80 || fail "agent 1: $(cat "$WORK/agent1/deployments/app/data/port")"

step "at once is at once, and stays"
dunlin variable set port=99 --at-once >/dev/null || fail "not set"
for n in 1 2 3; do within 40 has $n a:99 || fail "agent $n: $(cat "$WORK/agent$n/deployments/app/data/port")"; done
within 40 is_done || fail "$(dunlin rollout show app)"
dunlin audit | grep -q 'at-once' || fail "the audit log doesn't say that it was at once"

step "an agent's own value is its own, at once"
dunlin variable set port=7 --agent 3 >/dev/null
within 40 has 3 a:7 || fail "agent 3: $(cat "$WORK/agent3/deployments/app/data/port")"
is_done || fail "$(dunlin rollout show app)"

done_well
