#!/bin/bash
# Every verb of dunlin against a real manager, rightly and wrongly: what it prints, and its exit
# code: 0 done, 1 failed, 2 wrong use.
. "$(dirname "$0")/lib.sh"

# Usage: expect CODE WORD... : dunlin with these words ends with CODE. What it printed is in $WORK/out
# and $WORK/err; a failure is one line that begins with the program's name.
expect()
{
    local wanted=$1 code=0
    shift
    dunlin "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || code=$?
    [ "$code" = "$wanted" ] || fail "dunlin $*: exit code $code, not $wanted: $(cat "$WORK/err")"
    [ "$wanted" = 0 ] && return
    # Waiting tells how it goes on lines of its own.
    [ "$1" = wait ] && sed -i '/^[a-z]* version/d' "$WORK/err"
    [ "$(wc -l <"$WORK/err")" = 1 ] || fail "dunlin $*: not one line: $(cat "$WORK/err")"
    grep -q '^dunlin: ' "$WORK/err" || fail "dunlin $*: nameless error: $(cat "$WORK/err")"
}

# Usage: says TEXT: the last command printed it. complains TEXT: on standard error.
says()
{
    grep -qF -- "$1" "$WORK/out" || fail "not printed: $1; but: $(cat "$WORK/out")"
}

complains()
{
    grep -qF -- "$1" "$WORK/err" || fail "no word of: $1; but: $(cat "$WORK/err")"
}

# Usage: json EXPRESSION: it is true of the JSON document that the last command printed.
json()
{
    jq -es "length == 1 and (.[0] | $1)" "$WORK/out" >"$WORK/jq" 2>&1 ||
        fail "not so: $1; in: $(cat "$WORK/out")"
}

# Usage: must COMMAND...: it succeeds.
must()
{
    "$@" || fail "not so: $*"
}

# Usage: has_lines N FILE
has_lines()
{
    must test "$(wc -l <"$2")" = "$1"
}

test_help()
{
    expect 0 && says "usage: dunlin" && says "dunlin deploy app@1 --select env=prod"
    cp "$WORK/out" "$WORK/help"
    expect 0 help && must cmp "$WORK/out" "$WORK/help"
    expect 0 --help && must cmp "$WORK/out" "$WORK/help"
    expect 0 --version && says "dunlin "
    # Every verb that help lists explains itself, in both ways of asking.
    awk '/^  [a-z]+ ?[a-z]*  /{sub(/^  /, ""); sub(/  .*/, ""); print}' "$WORK/help" |
        grep -v '^dunlin' >"$WORK/verbs"
    must test "$(wc -l <"$WORK/verbs")" -ge 48
    while read -r verb; do
        # shellcheck disable=SC2086
        expect 0 help $verb
        says "usage: dunlin $verb"
        cp "$WORK/out" "$WORK/help"
        # shellcheck disable=SC2086
        expect 0 $verb --help
        must cmp "$WORK/out" "$WORK/help"
    done <"$WORK/verbs"
    expect 0 help token && says "token revoke"
}

test_wrong_words()
{
    expect 2 statsu && complains 'did you mean "status"?'
    expect 2 tokn create && complains 'did you mean "token create"?'
    expect 2 token && complains 'token create, token list, token revoke'
    expect 2 token crate && complains 'did you mean "token create"?'
    expect 2 frobnicate && complains 'dunlin help'
    expect 2 help frobnicate
    expect 2 --bogus && complains 'unknown flag --bogus'
    expect 2 status --jsno && complains 'did you mean --json?'
    expect 2 status extra && complains '"extra" is too much'
    expect 2 agent show && complains 'it takes AGENT'
    expect 2 bundle push "$WORK" --name app && complains '--version V is missing'
    expect 2 --dir x --manager http://x status && complains 'exclude each other'
    expect 2 --manager ftp://x status && complains 'unix:///PATH'
    expect 2 --dir "$(printf '%0200d' 0)" status && complains "a socket's path"
}

test_no_manager()
{
    expect 1 --dir "$WORK/none" status
    complains "no manager answers at $WORK/none/manager.sock: start it with"
    expect 1 --manager http://127.0.0.1:1 status && complains "no manager answers"
    DUNLIN_DIR=$WORK/other expect 1 status && complains "$WORK/other/manager.sock"
    expect 1 --dir "$WORK/none" wait app --timeout 5s
    expect 1 --dir "$WORK/none" token create --output "$WORK/none.txt"
    must test ! -e "$WORK/none.txt"
    must test ! -e "$WORK/none.txt.new"
}

test_empty_fleet()
{
    expect 0 status && says "dunlin-agent join" && says "no deployments yet"
    expect 0 status --json
    json '.join_url and .version and .agents == {total:0,online:0,offline:0,stale:0,waiting:0,quarantined:0,cut_off:0,cordoned:0}'
    json '.deployments == [] and (.cells | length) == 1'
    expect 0 agent list && says "no agents; for a new one"
    expect 0 agent list --json && json '.agents == []'
    expect 0 token list && says "no tokens yet"
    expect 0 bundle list && says "no bundles yet"
    expect 0 deployment list && says "no deployments yet"
    # The same manager by URL, by the environment, and with flags before the verb.
    expect 0 --manager "unix://$FLEET/manager.sock" --json status && json '.join_url'
    (DUNLIN_DIR='' && expect 0 --json --dir "$FLEET" status && json '.join_url')
}

test_tokens()
{
    expect 0 token create
    has_lines 1 "$WORK/out"
    must grep -qE '^dlt1-[A-Za-z0-9_-]+$' "$WORK/out"
    expect 0 token create --count 3 --ttl 1h --uses 2 --label env=prod region=eu --label lab=1 --json
    json '.batch == 2 and (.tokens | length) == 3 and (.tokens | unique | length) == 3'
    expect 0 token list --json
    json '.tokens[1] | .id == 2 and .count == 3 and .uses == 2 and .redeemed == 0 and
        .state == "active" and .labels == {env: "prod", region: "eu", lab: "1"}'
    expect 0 token list && says "0 of 6" && says "env=prod,lab=1,region=eu"

    expect 0 token create --count 2 --output "$WORK/tokens"
    complains "2 tokens in $WORK/tokens"
    must test ! -s "$WORK/out"
    has_lines 2 "$WORK/tokens"
    must test "$(stat -c %a "$WORK/tokens")" = 600
    cp "$WORK/tokens" "$WORK/kept"
    expect 1 token create --output "$WORK/tokens" && complains "is there already"
    must cmp "$WORK/tokens" "$WORK/kept"
    : >"$WORK/tokens" # as mktemp makes one
    expect 0 token create --count 100000 --output "$WORK/tokens" --json && json '.count == 100000'
    must test "$(sort -u "$WORK/tokens" | wc -l)" = 100000
    must test ! -e "$WORK/tokens.new"

    expect 0 token revoke 2 && expect 0 token list --json && json '.tokens[1].state == "revoked"'
    expect 1 token revoke 99 && complains "99"
    expect 2 token revoke x && complains "not a batch"
    expect 2 token create --count 0 && complains "out of range"
    expect 2 token create --count many && complains "not a whole number"
    expect 2 token create --ttl 5 && complains "not a duration"
    expect 2 token create --label && expect 2 token create --label =x && complains "--label"
    expect 2 token create --output /dev/null && complains "isn't a file"
    expect 1 token create --output "$WORK/no/where" && complains "No such file"
}

# Usage: make_tree FOLDER VERSION: a bundle of 300 files of random content, the same for all versions,
# and one that says the version.
make_tree()
{
    [ -d "$WORK/content" ] || {
        mkdir -p "$WORK/content"
        for i in $(seq 300); do head -c 20000 /dev/urandom >"$WORK/content/$i"; done
    }
    mkdir -p "$1/hooks"
    cp -r "$WORK/content" "$1/data"
    echo "$2" >"$1/version"
    printf '#!/bin/sh\ntrue\n' >"$1/hooks/apply"
    chmod +x "$1/hooks/apply"
    ln -sfn version "$1/link"
}

test_bundles()
{
    make_tree "$WORK/v1" 1
    make_tree "$WORK/v2" 2
    expect 1 bundle push "$WORK/nowhere" --name app --version 1 && complains "there is no such folder"
    must test ! -e "$FLEET/publisher.key"
    expect 0 bundle push "$WORK/v1" --name app --version 1
    says "pushed app@1: 305 files" && says " sent"
    complains "made the publisher key $FLEET/publisher.key"
    must test "$(stat -c %a "$FLEET/publisher.key")" = 600
    expect 0 bundle push "$WORK/v1" --name app --version 1 && says "was there already: app@1"
    says "0 new chunks, 0 B sent"
    must test ! -s "$WORK/err"
    expect 0 bundle push "$WORK/v2" --name app --version 2 --hook-timeout 5s --health-deadline 9s \
        --health-interval 2s --json
    json '.name == "app" and .version == "2" and .new and .files == 305 and .new_chunks > 0 and
        (.digest | length) == 64 and .chunks > 50 and .sent_bytes * 20 < .bytes'
    expect 0 bundle show app@2 --json
    json '.hook_timeout_s == 5 and .health_deadline_s == 9 and .health_interval_s == 2 and
        (.publishers | length) == 1 and .kind == "files"'
    expect 0 bundle show app@2 && says "publisher"
    expect 0 bundle list && says "app@1" && says "MiB"
    expect 0 bundle list --json && json '[.bundles[].version] == ["1", "2"]'

    # Another key, made where it is said; the fleet trusts both, once it was told to.
    expect 1 bundle push "$WORK/v1" --name other --version 1 --key "$WORK/other.key"
    complains "other.key: cannot open"
    expect 0 key create "$WORK/other.key" && says "keep $WORK/other.key secret"
    expect 1 bundle push "$WORK/v1" --name other --version 1 --key "$WORK/other.key"
    complains "does not trust publisher key"
    expect 0 key trust "$WORK/other.key.pub" && says "+ publisher"
    expect 0 bundle push "$WORK/v1" --name other --version 1 --key "$WORK/other.key" --json
    json '.new_chunks == 0 and .sent_bytes == 0 and .new'
    expect 0 bundle remove other@1 && expect 1 bundle show other@1 && complains "other@1"
    expect 1 bundle remove other@1
}

test_wrong_bundles()
{
    push() { expect "$1" bundle push "$2" --name "${3-bad}" --version "${4-1}"; }
    echo changed >"$WORK/v2/version"
    push 1 "$WORK/v2" app 2 && complains "app@2"
    push 1 "$WORK/nothing" && complains "$WORK/nothing"
    mkdir -p "$WORK/empty" && push 1 "$WORK/empty" && complains "empty"
    push 1 "$WORK/v1/version" && complains "isn't a folder"
    mkdir -p "$WORK/pipe" && mkfifo "$WORK/pipe/p" && push 1 "$WORK/pipe" && complains "pipe"
    mkdir -p "$WORK/out-link" && ln -sfn /etc/passwd "$WORK/out-link/l" && push 1 "$WORK/out-link"
    complains "lead out"
    mkdir -p "$WORK/likely/hooks" && touch "$WORK/likely/hooks/lib.sh" "$WORK/likely/hooks/pre_apply" "$WORK/likely/hooks/health.sh"
    install -m 755 /dev/null "$WORK/likely/hooks/health"
    push 0 "$WORK/likely" likely && complains "hooks/pre_apply is no hook, so no agent runs it; did you mean hooks/pre-apply?"
    must test "$(grep -c note "$WORK/err")" = 1
    push 2 "$WORK/v1" "../x" && complains 'bundle "../x"'
    push 2 "$WORK/v1" bad "1 2" && complains 'version "1 2"'
    push 2 "$WORK/v1" "" && push 2 "$WORK/v1" "$(printf 'n%.0s' {1..64})"
    echo nonsense >"$WORK/broken.key"
    expect 1 bundle push "$WORK/v1" --name bad --version 1 --key "$WORK/broken.key"
    complains "is not a key file"
    expect 2 bundle show app && complains "NAME@VERSION"
    expect 1 bundle show app@9
    expect 0 bundle list --json && json '[.bundles[] | select(.name == "bad")] == []'
}

test_deployments()
{
    expect 2 deploy app@1 && complains "--all"
    expect 2 deploy app@1 --select "" && complains "--all"
    expect 2 deploy app@1 --all --select env=prod && complains "exclude each other"
    expect 2 deploy app@1 --select 'env in prod' && complains "at character 8"
    expect 2 deploy app --all && complains "NAME@VERSION"
    expect 2 deploy app@1 --all --as "no name"
    expect 1 deploy app@9 --all && complains "app@9"
    expect 0 deploy app@1 --select env=prod --json
    json '.name == "app" and .version == "1" and .generation == 1 and .targets == 0 and .changed'
    expect 0 deploy app@1 --select env=prod && says "nothing to change"
    expect 0 rollout pause app && says "app version 1: paused" && expect 0 rollout resume app
    expect 0 deploy app@1 --as still --select 'env in (prod,test)' && expect 0 deploy app@2 --as still
    expect 0 deployment show still --json # without a word of where, it stays where it is
    json '.version == "2" and .select == "env in (prod,test)"'
    expect 0 deploy app@1 --as still --select never=1 --confirm && says "none matches now"
    expect 0 deployment remove still
    expect 0 deploy app@2 --as lab --all --priority 3 --paused --keep && says ", paused: dunlin deployment resume lab"
    expect 0 deployment list && says "env=prod" && says "every agent" && says "paused"
    # What isn't said of it stays, and who it is for is said as a whole.
    expect 0 deploy app@1 --as lab && says ", paused: dunlin deployment resume lab"
    expect 0 deploy app@2 --as lab --dry-run --json
    json '[.changes[].what] == ["bundle"]'
    expect 0 deploy app@2 --as lab --no-keep --dry-run --json && json 'any(.changes[]; .what == "keep" and .to == "false")'
    expect 0 deploy app@2 --as lab --priority 0 --dry-run --json
    json 'any(.changes[]; .what == "priority" and .from == "3" and .to == "0")'
    expect 2 deploy app@2 --as lab --keep --no-keep && complains "exclude each other"
    expect 0 deploy app@2 --as lab --all --pick 3 && expect 0 deploy app@2 --as lab && expect 0 deployment show lab --json
    json '.pick == "3"'
    expect 0 deploy app@2 --as lab --all && expect 0 deployment show lab --json && json '.pick == "all"'
    expect 0 deployment list --json && json '[.deployments[].name] == ["app", "lab"]'
    expect 0 deployment resume lab && says "lab goes on"
    expect 0 deployment pause lab --json && json '.paused'
    expect 0 deployment remove lab && expect 1 deployment show lab && complains "lab"
    for verb in pause resume rollback remove show; do
        expect 1 deployment $verb nobody && complains "nobody"
    done
    expect 1 rollout show nobody && expect 1 wait nobody
    expect 1 bundle remove app@1 && complains "app"
}

# Usage: write_file LINE...: the deployment file.
write_file()
{
    printf '%s\n' "$@" >"$WORK/app.yaml"
}

test_files()
{
    write_file 'deployment: app' 'bundle: app@2'
    expect 0 deploy "$WORK/app.yaml" && expect 0 deployment show app --json
    json '.version == "2" and .select == "env=prod" and [.history[].version] == ["2", "1"]'
    write_file 'deployment: app' 'bundle: app@1' 'placement:' '  select: "env in (prod, test)"'
    expect 0 deploy "$WORK/app.yaml" --json && json '.version == "1" and .changed'
    write_file 'deployment: app' 'bundle: app@1' 'history: 2'
    expect 0 deploy "$WORK/app.yaml" && expect 0 deployment show app --json
    json '.history_kept == 2 and [.history[].version] == ["1", "2"]'
    write_file 'deployment: app' 'bundle: app@1' 'placement: {select: env=prod, pick: 2}' 'priority: 4' 'keep: true'
    expect 0 deploy "$WORK/app.yaml"
    write_file 'deployment: app' 'bundle: app@1'
    expect 0 deployment diff app "$WORK/app.yaml" --json # without a word of where, its pick stays as well
    json '[.changes[] | "\(.what) \(.from) \(.to)"] == ["priority 4 0", "keep true false"]'
    write_file 'deployment: app' 'bundle: app@1' 'placement: {select: "env in (prod, test)"}'
    expect 0 deploy "$WORK/app.yaml" && expect 0 deployment show app --json && json '.pick == "all"'
    write_file 'deployment: fresh' 'bundle: app@2'
    expect 2 deploy "$WORK/app.yaml" && complains "deployment fresh is new"
    write_file 'deployment: app' 'bundle: app@2' 'placment: {all: true}'
    expect 2 deploy "$WORK/app.yaml" && complains "$WORK/app.yaml:3:1: unknown key"
    write_file 'deployment: app' 'bundle: app@2' 'placement: {select: "a b"}'
    expect 2 deploy "$WORK/app.yaml" && complains "$WORK/app.yaml:3:21: selector: at character 3"
    write_file 'deployment: app' 'bundle: {'
    expect 2 deploy "$WORK/app.yaml" && complains "$WORK/app.yaml:3:1: not YAML"
    expect 2 deploy "$WORK/app.yaml" --all && complains "doesn't go with a file"
    expect 1 deploy "$WORK/nowhere.yaml" && complains "nowhere.yaml"
    expect 0 deployment show app --json && json '.version == "1"'
}

test_rollouts()
{
    cp "$ROOT/examples/rollouts/three-stages.yaml" "$WORK/plan.yaml"
    expect 0 deploy "$WORK/plan.yaml" --dry-run && says "app would change, for none"
    says "rollout: stage prod: before: approval" && says "before compression" && says "  your approval"
    grep -v "^#" "$ROOT/examples/rollouts/at-night.yaml" | sed 's/app@2/app@1/' >"$WORK/night.yaml"
    expect 0 deploy "$WORK/night.yaml" --dry-run && says "WAITS FOR"
    says "window */30 9-16 * * * for 10m by +01:00"
    expect 0 deploy "$WORK/night.yaml" --dry-run --json
    json '.window == .stages[1].window and .window.zone == "device" and .window.opens == null and .window.for_s == 7200'
    json '.stages[0].window | .zone == "+01:00" and (.opens == null) == (.opens_in_s == 0)'
    sed '/stages:/,$d' "$WORK/night.yaml" >"$WORK/whole.yaml" && echo '  stages: []' >>"$WORK/whole.yaml"
    expect 0 deploy "$WORK/whole.yaml" --dry-run && says "window 0 2 * * 1-5 for 2h by the device's clock"
    expect 0 deployment diff app "$WORK/plan.yaml" && says "staging, canary, prod, rest"
    expect 0 deployment diff app "$WORK/plan.yaml" --json && json '.dry_run and (.changes | length) > 5'
    expect 2 deployment diff lab "$WORK/plan.yaml" && complains "is about deployment app, not about lab"
    expect 2 deployment diff app && complains "it takes NAME FILE.yaml"
    expect 0 deployment show app --json && json '.rollout == null and .version == "1"'
    write_file 'deployment: app' 'bundle: app@1' 'rollout: {stages: [{name: a, share: 50%}, {name: a}]}'
    expect 2 deploy "$WORK/app.yaml" && complains "$WORK/app.yaml:3:1: rollout: two stages are called a"
    expect 0 deploy --help && says "max_failed: 10%" && says "--confirm"
    for verb in approve pause resume abort retry rollback; do
        case $verb in approve) stage=prod ;; *) stage= ;; esac
        expect 1 rollout $verb nobody $stage && complains "there is no deployment nobody"
    done
    expect 2 rollout approve app && complains "it takes NAME STAGE"
    expect 1 rollout approve app prod && complains "has no stages"
    # Stages without agents are passed; the last one waits all the same.
    expect 0 deploy "$WORK/plan.yaml"
    within 10 dunlin_waits || fail "it does not come to prod"
    expect 0 rollout show app && says "stage prod waits for approval: dunlin rollout approve app prod"
    expect 1 wait app --timeout 1s && complains 'dunlin rollout show app'
    expect 0 rollout pause app && says "paused in stage prod: dunlin rollout resume app"
    expect 0 rollout resume app
    expect 0 rollout approve app prod && expect 0 wait app && says "no agents match"
    expect 0 rollout show app --watch && says "no agents match"
    expect 0 rollout rollback app --json && json '.version == "1" and .state == "done"'
    write_file 'deployment: app' 'bundle: app@1' 'placement: {select: "env in (prod, test)"}' \
        'rollout: {stages: []}'
    expect 0 deploy "$WORK/app.yaml" && expect 0 rollout show app --json && json '.staged == false'
}

dunlin_waits()
{
    dunlin rollout show app --json | jq -e '.waits_for.what == "approval"'
}

test_agents()
{
    join_agent 1 env=prod
    start_agent 1
    expect 0 wait app --timeout 240s && says "1 of 1 ready"
    must test "$(cat "$WORK/agent1/deployments/app/current/version")" = 1
    expect 0 status --json && json '.agents.total == 1 and .agents.online == 1'
    json '.deployments[0] | .targets == 1 and .ready == 1 and .pending == 0 and .failed == 0'
    expect 0 status && says "1 of 1 online" && says "1 of 1 ready"
    expect 0 agent list --json
    json '.agents[0] | .number == 1 and .state == "Online" and .labels == {env: "prod"} and
        (.deployments[0] | .name == "app" and .version == "1" and .state == "Ready")'
    id=$(jq -r '.agents[0].id' "$WORK/out")
    expect 0 agent list && says "app 1 Ready" && says "${id:0:12}"
    expect 0 agent list --select env=test && says "no agent's labels match"
    expect 0 agent list --select env=test --json && json '.agents == []'
    expect 2 agent list --select 'env in' && complains "selector"
    expect 0 agent show 1 && says "$id" && says "Ready" && says "of batch"
    expect 0 agent show n1 && says "$id" && expect 1 agent show n2077 && complains "n2077"
    expect 0 agent show "${id:0:6}" --json && json '.facts and .token.batch > 0 and .joined'
    expect 1 agent show 77 && complains "77"
    expect 2 agent show ''

    expect 0 agent label 1 lab=yes region=eu && says "env=prod,lab=yes,region=eu"
    expect 0 agent label "$id" lab- region=us --json && json '.labels == {env: "prod", region: "us"}'
    expect 2 agent label 1 && expect 2 agent label 1 lab && complains "KEY=VALUE"
    expect 2 agent label 1 "a b=c" && expect 1 agent label 77 a=b
    expect 0 wait app && expect 0 rollout show app && says "1 of 1 ready"
    expect 0 rollout show app --json && json '.stages[0].ready == 1'
    expect 0 rollout show app --watch && says "1 of 1 ready"
    expect 0 why 1 app && says "agent 1, app: it runs version 1, and all is well, as it said"
    expect 0 why "$id" app --json && json '.reason == "ready" and .running == "1" and .then == null'
    expect 0 deploy app@1 --as lab --select env=lab && expect 0 why 1 lab
    says "its label env is \"prod\", and the selector asks for env=lab"
    expect 0 deploy app@1 --as lab --select "env,site in (a,b)" && expect 0 why 1 lab
    says "its labels have no site, and the selector asks for site in (a,b)"
    expect 0 deploy app@1 --as lab --select "env except env in (prod,test),!site" && expect 0 why 1 lab
    says "the selector leaves it out: except env in (prod,test),!site"
    expect 0 deployment remove lab && expect 2 why 1
    expect 1 why 1 nobody && complains "there is no deployment nobody" && expect 1 why 77 app
    expect 1 why 1 "no name?" && complains "there is no deployment no name?"
}

# It stays as it is, also over a kill, until it is uncordoned.
test_cordon()
{
    expect 0 agent cordon 1 && says "takes nothing new"
    expect 0 agent cordon "$id" --json && json '.cordoned and .state == "Online"'
    expect 0 agent list && says "Online, cordoned" && expect 0 agent show 1 && says "agent uncordon 1"
    expect 0 status && says "1 cordoned"
    within 20 cordoned true || fail "the device does not hear of it"
    kill_agent 1 -KILL && start_agent 1
    expect 0 deploy app@2 --select env=prod
    expect 0 why 1 app && says "it is cordoned, and takes nothing new" && says "it runs version 1"
    within 20 paused || fail "the agent does not say that it waits"
    must test "$(cat "$WORK/agent1/deployments/app/current/version")" = 1
    expect 0 agent uncordon 1 && says "takes what is meant for it" && expect 0 wait app --timeout 240s
    within 20 cordoned false || fail "the device is still cordoned"
    expect 0 deploy app@1 --select env=prod && expect 0 wait app --timeout 240s
    expect 1 agent cordon 77 && complains "77"
    expect 0 audit && says "agent-uncordon"
}

cordoned()
{
    [ "$(dunlin-agent status --dir "$WORK/agent1" --json | jq .cordoned)" = "$1" ]
}

paused()
{
    [ "$(agent 1 '.deployments[0] | "\(.state) \(.version) \(.target)"')" = "Paused 1 2" ]
}

test_updates()
{
    expect 0 deploy app@2 --select env=prod --json && json '.targets == 1'
    expect 0 wait app --json && json '.version == "2" and .ready == 1 and .failed == 0'
    must test "$(cat "$WORK/agent1/deployments/app/current/version")" = 2
    expect 0 deployment rollback app && says "goes back: app@1" && expect 0 wait app
    expect 0 deployment rollback app --to 2 --json && json '.version == "2"' && expect 0 wait app
    expect 1 deployment rollback app --to 7 && complains "7"
    expect 1 bundle remove app@1 && complains "app@1 is what app would go back to"
    expect 0 deployment show app && says "Ready" && says "GENERATION"

    # A version whose hook fails: the agent keeps the one before, and says so.
    printf '#!/bin/sh\nexit 7\n' >"$WORK/v1/hooks/apply"
    expect 0 bundle push "$WORK/v1" --name app --version 3
    expect 0 deploy app@3 --select env=prod
    expect 1 wait app && complains "1 failed" && complains "dunlin deployment show app"
    expect 0 deployment show app && says "RolledBack"
    expect 0 why 1 app && says "version 3 failed there: hooks/apply failed; it runs version 2 again"
    says "hooks/apply ended with code 7" && expect 0 why 1 app --json && json '.reason == "rolled-back" and .cause'
    must test "$(cat "$WORK/agent1/deployments/app/current/version")" = 2

    kill_agent 1 -TERM
    expect 0 deploy app@1 --select env=prod
    within 20 offline || fail "nobody notices that the agent is gone"
    expect 1 wait app --timeout 1s && complains "1 pending after 1 s"
    expect 0 why 1 app && says "it is offline, heard of last" && says "goes on with version 1 then"
    expect 0 agent remove 1 && expect 0 agent show 1 && says "Removed" && says "because"
    expect 0 agent list --json && json '.agents == []'
    expect 0 agent list --all && says "Removed"
    expect 0 agent revoke 1 && says "shut out" && expect 0 agent show 1 && says "Revoked"
    expect 1 agent release 1 && complains "for good"
    expect 0 agent replace 1 && says "dlt1-"
    expect 0 agent replace 1 "$(cat "$WORK/out")" && says "takes the place of agent 1"
    expect 2 agent replace 1 dlt1-abc && complains "no token of this manager"
    expect 2 agent replace
    expect 0 deployment remove app && expect 0 deployment list && says "no deployments yet"
}

offline()
{
    [ "$(agent 1 .state)" = Offline ]
}

test_full_output()
{
    dunlin status >/dev/full 2>"$WORK/err" && fail "a full disk went unnoticed"
    complains "standard output can't be written"
}

step "help"
test_help
step "wrong words"
test_wrong_words
step "no manager"
test_no_manager
# shellcheck disable=SC2119
start_manager
step "an empty fleet"
test_empty_fleet
step "tokens"
test_tokens
step "bundles"
test_bundles
step "wrong bundles"
test_wrong_bundles
step "deployments"
test_deployments
step "deployment files"
test_files
step "rollouts"
test_rollouts
step "agents"
test_agents
step "an agent that is cordoned"
test_cordon
step "updates"
test_updates
step "a full output"
test_full_output
done_well
