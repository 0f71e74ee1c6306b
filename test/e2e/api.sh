#!/bin/bash
# The HTTP API as programs see it: every path rightly and wrongly, by curl on the manager's socket.
. "$(dirname "$0")/lib.sh"
need curl sha256sum xxd

# Usage: call METHOD PATH [CURL'S ARGUMENT...]: the answer is in $WORK/out, its status in $status.
call()
{
    local method=$1 path=$2
    shift 2
    status=$(curl -sS --max-time 60 --unix-socket "$FLEET/manager.sock" -o "$WORK/out" \
        -D "$WORK/headers" -w '%{http_code}' --path-as-is -X "$method" "$@" "http://dunlin$path") ||
        fail "curl $method $path: exit code $?"
}

# Usage: gives STATUS EXPRESSION METHOD PATH [CURL'S ARGUMENT...]: the answer has this status, and
# the jq expression is true of its JSON.
gives()
{
    local wanted=$1 expression=$2
    shift 2
    call "$@"
    [ "$status" = "$wanted" ] || fail "$*: status $status, not $wanted: $(head -c 500 "$WORK/out")"
    jq -es "length == 1 and (.[0] | $expression)" "$WORK/out" >"$WORK/jq" 2>&1 ||
        fail "$*: not so: $expression; in: $(head -c 500 "$WORK/out")"
}

# Usage: denies STATUS WORDS METHOD PATH [CURL'S ARGUMENT...]: one sentence with these words.
denies()
{
    local wanted=$1 words=$2
    shift 2
    gives "$wanted" 'keys == ["error"] and (.error | length > 0)' "$@"
    jq -r .error "$WORK/out" | grep -qF -- "$words" || fail "$*: no word of '$words': $(cat "$WORK/out")"
}

zeros()
{
    head -c "$1" /dev/zero
}

digest()
{
    sha256sum "$1" | cut -d ' ' -f 1
}

test_paths()
{
    [ "$(stat -c %a "$FLEET/manager.sock")" = 600 ] || fail "the socket is open to others"
    denies 404 "no such path" GET /
    denies 404 "no such path" GET /v1
    denies 404 "no such path" GET /v1/agents/
    denies 404 "no such path" GET /v1/agents/1/2
    denies 404 "no such path" GET "/v1/agents/$(printf '%0300d' 0)"
    denies 404 "no such path" GET /v1/chunks/../../manager.db
    denies 404 "no such path" GET /v1/chunks/..%2f..%2fmanager.db
    denies 405 "not with this method" PUT /v1/status
    denies 405 "not with this method" BREW /v1/tokens
    denies 413 "at most 0 bytes" GET /v1/status -d x
}

test_status()
{
    gives 200 '.agents == {total: 2, online: 1, offline: 1, stale: 0, waiting: 0, quarantined: 0, cut_off: 0, cordoned: 0}' GET /v1/status
    gives 200 '.version and .join_url and .epoch == 1 and .deployments == [] and .cohorts >= 1' \
        GET /v1/status
    gives 200 '.cells | length == 1 and .[0].state == "up" and .[0].pid > 1' GET /v1/status
    gives 200 '.counters | .joins == 2 and .forged == 0' GET /v1/status
}

test_agents()
{
    gives 200 '.agents | length == 2 and .[0].number == 1 and .[1].labels == {env: "prod"}' \
        GET /v1/agents
    gives 200 '.agents | map(.number) == [2]' GET '/v1/agents?select=env%3Dprod'
    gives 200 '.agents == []' GET '/v1/agents?select=env+in+(a,b)'
    denies 400 "" GET '/v1/agents?select=env+in+('
    denies 400 "" GET "/v1/agents?select=$(printf 'a%.0s' {1..600})"
    local id
    gives 200 '.number == 1 and .state == "Online" and .token == {batch: 1, index: 0} and
        (.facts | length > 0) and (.joined | test("^20..-..-..T..:..:..Z$"))' GET /v1/agents/1
    id=$(jq -r .id "$WORK/out")
    gives 200 '.number == 1' GET "/v1/agents/$id"
    gives 200 '.number == 1' GET "/v1/agents/${id:0:10}"
    gives 200 '.number == 1' GET "/v1/agents/$(echo "${id:0:10}" | tr a-f A-F)"
    local short=${id:0:3}
    [[ $short = *[a-f]* ]] || short=fff # digits alone may be a number
    for wrong in 0 3 abc "$short" "${id}0" 99999999999 %ff -1 "' OR 1=1" '..' '%2e%2e'; do
        denies 404 "there is no agent" GET "/v1/agents/${wrong// /%20}"
    done
    gives 200 '.labels == {env: "dev", site: "x"}' PATCH "/v1/agents/$id" \
        -d '{"set": "env=dev,site=x"}'
    gives 200 '.labels == {site: "x"}' PATCH /v1/agents/1 -d '{"unset": "env"}'
    gives 200 '.labels == {}' PATCH /v1/agents/1 -d '{"set": null, "unset": "site"}'
    denies 400 "'set' must be a text" PATCH /v1/agents/1 -d '{"set": {"env": "dev"}}'
    denies 400 "no field 'labels'" PATCH /v1/agents/1 -d '{"labels": "env=dev"}'
    denies 400 "" PATCH /v1/agents/1 -d '{"set": "no label"}'
    denies 404 "there is no agent 9" PATCH /v1/agents/9 -d '{"set": "a=b"}'
}

test_wrong_bodies()
{
    denies 400 "line 1" POST /v1/tokens -d '{"count": 1'
    denies 400 "must be a JSON object" POST /v1/tokens -d '[1]'
    denies 400 "is no JSON" POST /v1/tokens -d 'count=1'
    denies 400 "is no JSON" POST /v1/tokens -d '{"count": 1, "count": 2}'
    denies 400 "is no JSON" POST /v1/tokens --data-binary $'{"labels": "\xff"}'
    denies 400 "is no JSON" POST /v1/tokens -d '{"labels": "a\u0000b"}'
    zeros 60000 | tr '\0' '[' >"$WORK/deep"
    denies 400 "is no JSON" POST /v1/tokens --data-binary "@$WORK/deep"
    zeros 65537 >"$WORK/large"
    denies 413 "at most 65536 bytes" POST /v1/tokens --data-binary "@$WORK/large"
    zeros 3000000 >"$WORK/large"
    denies 413 "at most 65536 bytes" POST /v1/tokens --data-binary "@$WORK/large"
    denies 400 "'count' must be a whole number" POST /v1/tokens -d '{"count": "1"}'
    denies 400 "'count' must be a whole number" POST /v1/tokens -d '{"count": 1.5}'
    denies 400 "'count' must be a whole number" POST /v1/tokens -d '{"count": -1}'
    denies 400 "'count' must be a whole number" POST /v1/tokens -d '{"count": 99999999999}'
    denies 400 "is no JSON" POST /v1/tokens -d '{"count": 99999999999999999999}'
    denies 400 "'labels' must be a text" POST /v1/tokens -d '{"labels": 7}'
    denies 400 "no field 'amount'" POST /v1/tokens -d '{"amount": 7}'
}

test_tokens()
{
    call POST /v1/tokens
    [ "$status $(grep -c '^dlt1-' "$WORK/out")" = "200 1" ] || fail "no token: $status"
    local batch
    batch=$(tr -d '\r' <"$WORK/headers" | awk 'tolower($1) == "dunlin-batch:" {print $2}')
    gives 200 ".tokens | map(select(.id == $batch)) == [{id: $batch, count: 1, uses: 1, redeemed: 0,
        expires: .[-1].expires, state: \"active\", bound: false, approve: false, labels: {}}]" GET /v1/tokens
    gives 200 '. == {}' DELETE "/v1/tokens/$batch"
    gives 200 ".tokens | map(select(.id == $batch).state) == [\"revoked\"]" GET /v1/tokens
    gives 200 '.tokens[0] | .state == "used up" and .redeemed == 1' GET /v1/tokens
    call POST /v1/tokens -d '{"count": 20000, "ttl_s": 0, "uses": 3, "labels": "env=prod"}'
    [ "$(sort -u "$WORK/out" | grep -c '^dlt1-[A-Za-z0-9_-]*$')" = 20000 ] || fail "not 20000 tokens"
    gives 200 '.tokens[-1] | .state == "expired" and .labels == {env: "prod"} and .uses == 3' \
        GET /v1/tokens
    for wrong in 0 99 x -1 4294967297 ' 1' 1x; do
        denies 404 "there is no token batch" DELETE "/v1/tokens/${wrong// /%20}"
    done
    call POST /v1/tokens -d '{"count": 3, "bound": true, "approve": true}'
    [ "$status $(wc -c <"$WORK/out")" = "200 0" ] || fail "bound tokens without serial numbers: $(cat "$WORK/out")"
    batch=$(tr -d '\r' <"$WORK/headers" | awk 'tolower($1) == "dunlin-batch:" {print $2}')
    gives 200 '.tokens[-1] | .bound and .approve' GET /v1/tokens
    call POST "/v1/tokens/$batch/serials?first=1" --data-binary $'SN-1\nSN-2\n'
    [ "$status $(grep -c '^dlt1-' "$WORK/out")" = "200 2" ] || fail "no bound tokens: $(cat "$WORK/out")"
    denies 400 "2 from number 3 on" POST "/v1/tokens/$batch/serials?first=2" --data-binary $'SN-1\nSN-2\n'
    denies 400 "1 from number 1000000000 on" POST "/v1/tokens/$batch/serials?first=999999999" --data-binary $'x\n'
    denies 400 "'first' must be a number" POST "/v1/tokens/$batch/serials?first=9999999999" --data-binary $'x\n'
    denies 400 "0 from number 1 on" POST "/v1/tokens/$batch/serials" --data-binary 'x'
    denies 400 "line 2 holds no serial number" POST "/v1/tokens/$batch/serials" --data-binary $'x\n y\n'
    denies 404 "there is no token batch" POST /v1/tokens/99/serials --data-binary $'x\n'
    denies 409 "isn't bound" POST /v1/tokens/1/serials --data-binary $'x\n'
    denies 413 "at most 262144 bytes" POST "/v1/tokens/$batch/serials" --data-binary "@$WORK/large"
    denies 400 "0 tokens" POST /v1/tokens -d '{"count": 0}'
    denies 400 "0 uses" POST /v1/tokens -d '{"uses": 0}'
    denies 400 "" POST /v1/tokens -d '{"labels": "=x"}'
    denies 400 "'ttl_s'" POST /v1/tokens -d '{"ttl_s": 999999999}'
}

test_chunks()
{
    local name other
    head -c 1000 /dev/urandom >"$WORK/plain"
    { zeros 1 && cat "$WORK/plain"; } >"$WORK/chunk"
    name=$(digest "$WORK/plain")
    other=$(digest "$WORK/chunk")
    { echo "$name" && echo "$other"; } | tr -d '\n' | sed 's/../\\x&/g' >"$WORK/escaped"
    printf '%b' "$(cat "$WORK/escaped")" >"$WORK/names"
    call POST /v1/chunks/missing --data-binary "@$WORK/names"
    cmp "$WORK/out" "$WORK/names" || fail "both are missing"
    denies 404 "$name" GET "/v1/chunks/$name"
    gives 201 '. == {}' PUT "/v1/chunks/$name" --data-binary "@$WORK/chunk"
    gives 200 '. == {}' PUT "/v1/chunks/$name" --data-binary "@$WORK/chunk"
    call GET "/v1/chunks/$name"
    cmp "$WORK/out" "$WORK/chunk" || fail "the chunk came back differently"
    call POST /v1/chunks/missing --data-binary "@$WORK/names"
    [ "$(od -An -v -tx1 "$WORK/out" | tr -d ' \n')" = "$other" ] || fail "one is missing"
    call POST /v1/chunks/missing
    [ "$status $(wc -c <"$WORK/out")" = "200 0" ] || fail "of nothing, something is missing"
    denies 400 "another digest" PUT "/v1/chunks/$other" --data-binary "@$WORK/chunk"
    denies 400 "no frame" PUT "/v1/chunks/$name" --data-binary "@$WORK/plain"
    denies 400 "no frame" PUT "/v1/chunks/$name"
    denies 400 "is no digest" PUT "/v1/chunks/${name}0" --data-binary "@$WORK/chunk"
    denies 400 "is no digest" GET /v1/chunks/x
    denies 400 "must be digests" POST /v1/chunks/missing -d abc
    zeros 131073 >"$WORK/large"
    denies 413 "at most 131072 bytes" POST /v1/chunks/missing --data-binary "@$WORK/large"
    zeros 262146 >"$WORK/large"
    denies 413 "at most 262145 bytes" PUT "/v1/chunks/$name" --data-binary "@$WORK/large"
}

test_trust()
{
    gives 200 '.version == 1 and .publishers == {"threshold": 1, "keys": []} and .roots.threshold == 1 and
        (.roots.keys | length == 1 and (.[0].id | length == 32) and (.[0].key | length == 128)) and
        (.online.keys | length == 1) and (.authorities | length == 1) and (.issued | endswith("Z"))' \
        GET /v1/trust
    jq -r .document "$WORK/out" | xxd -r -p >"$WORK/trust"
    denies 400 "no signed trust document" POST /v1/trust
    denies 400 "no signed trust document" POST /v1/trust -d '{}'
    denies 409 "version 1 of the trust document, and the fleet has version 1" POST /v1/trust \
        --data-binary "@$WORK/trust"
    zeros 10000 >"$WORK/large"
    denies 413 "at most 3496 bytes" POST /v1/trust --data-binary "@$WORK/large"
}

# Usage: altered FILE N: its bytes, of which the N-th from the end is another one.
altered()
{
    head -c "-$2" "$1"
    tail -c "$2" "$1" | head -c 1 | tr '\000-\377' '\001-\377\000'
    tail -c "$(($2 - 1))" "$1"
}

# The command line packs and signs; what it pushed is then looked at, and pushed again by hand.
test_bundles()
{
    local name manifest part
    make_app 1
    push_app 1 >/dev/null || fail "version 1 is not taken"
    gives 200 '.version == 2 and (.publishers.keys | length == 1)' GET /v1/trust
    gives 200 '.bundles | length == 1 and (.[0] | .name == "app" and .version == "1" and
        .kind == "files" and .bytes > 300000 and .files > 5 and .chunks > 1)' GET /v1/bundles
    gives 200 '.hook_timeout_s == 60 and .health_deadline_s == 20 and (.publishers | length == 1)' \
        GET /v1/bundles/app@1
    name=$(jq -r .digest "$WORK/out")
    manifest=$WORK/manifest
    call GET "/v1/chunks/$name"
    tail -c +2 "$WORK/out" >"$manifest"
    [ "$(digest "$manifest")" = "$name" ] || fail "the manifest is not under its digest"
    gives 200 ".digest == \"$name\" and .new == false" POST /v1/bundles --data-binary "@$manifest"

    denies 400 "no signed manifest" POST /v1/bundles
    denies 400 "no signed manifest" POST /v1/bundles -d '{"name": "app"}'
    head -c -1 "$manifest" >"$WORK/cut"
    denies 400 "no signed manifest" POST /v1/bundles --data-binary "@$WORK/cut"
    altered "$manifest" 1 >"$WORK/forged"
    denies 400 "does not hold" POST /v1/bundles --data-binary "@$WORK/forged"
    altered "$manifest" 70 >"$WORK/foreign"
    denies 403 "does not trust" POST /v1/bundles --data-binary "@$WORK/foreign"
    zeros 65537 >"$WORK/large"
    denies 413 "at most 65536 bytes" POST /v1/bundles --data-binary "@$WORK/large"

    # Without one of its chunks a bundle is not taken, whichever it is.
    find "$FLEET/chunks" -type f -size +1k ! -name "$name" | while read -r part; do
        mv "$part" "$WORK/part"
        denies 409 "missing" POST /v1/bundles --data-binary "@$manifest"
        mv "$WORK/part" "$part"
    done

    for wrong in app@2 App@1 @ app@ @1 app@1@1 app%401%20 %ff@%ff '%27@%22'; do
        denies 404 "there is no bundle" GET "/v1/bundles/$wrong"
        denies 404 "there is no bundle" DELETE "/v1/bundles/$wrong"
    done
    denies 400 "write NAME@VERSION" GET /v1/bundles/app
    denies 400 "write NAME@VERSION" DELETE /v1/bundles/app
}

test_deployments()
{
    denies 400 "'name' is missing" POST /v1/deployments -d '{"bundle": "app@1", "all": true}'
    denies 400 "'bundle' is missing" POST /v1/deployments -d '{"name": "app", "all": true}'
    denies 400 "NAME@VERSION" POST /v1/deployments -d '{"name": "app", "bundle": "app", "all": true}'
    denies 400 "'all' must be true or false" POST /v1/deployments \
        -d '{"name": "app", "bundle": "app@1", "all": 1}'
    denies 400 "empty" POST /v1/deployments -d '{"name": "app", "bundle": "app@1"}'
    denies 400 "exclude each other" POST /v1/deployments \
        -d '{"name": "app", "bundle": "app@1", "all": true, "select": "env"}'
    denies 400 "" POST /v1/deployments -d '{"name": "app", "bundle": "app@1", "select": "env in"}'
    denies 400 "" POST /v1/deployments -d '{"name": "a/b \u00e9", "bundle": "app@1", "all": true}'
    denies 404 "there is no bundle" POST /v1/deployments \
        -d '{"name": "app", "bundle": "app@9", "all": true}'
    gives 200 '. == {name: "app", version: "1", queued: null, generation: 1, targets: 2, paused: false,
        changed: true}' \
        POST /v1/deployments -d '{"name": "app", "bundle": "app@1", "select": null, "all": true}'
    gives 200 '.generation == 1 and .changed == false' \
        POST /v1/deployments -d '{"name": "app", "bundle": "app@1", "all": true, "keep": false}'
    within 30 agent_has 1 app 1 || fail "the agent does not get it"
    gives 200 '.deployments | length == 1 and (.[0] | .name == "app" and .bundle == "app@1" and
        .targets == 2 and .ready == 1 and .pending == 1 and .failed == 0 and .paused == false and
        .select == "" and .generation == 1 and .created and .states.Ready == 1)' GET /v1/deployments
    gives 200 '.deployments[0].ready == 1' GET /v1/status
    gives 200 '.agents | map([.number, .state, .version, .target]) ==
        [[2, "Pending", "", "1"], [1, "Ready", "1", "1"]]' GET /v1/deployments/app
    gives 200 '.more == 0 and (.history | map([.generation, .version]) == [[1, "1"]])' \
        GET /v1/deployments/app
    gives 200 '.version == "1" and .targets == 2 and .staged == false and .state == "running" and
        .waits_for == null and .stages == [{name: "all", state: "running", members: 2, ready: 1,
        pending: 1, failed: 0}]' GET /v1/rollouts/app
    denies 409 "is deployed by app" DELETE /v1/bundles/app@1
}

test_changes()
{
    make_app 2
    push_app 2 >/dev/null || fail "version 2 is not taken"
    gives 200 '.paused == true' POST /v1/deployments/app/pause
    gives 200 '.paused == true' POST /v1/deployments/app/pause -d '{}'
    gives 200 '.generation == 2 and .changed == true' \
        POST /v1/deployments -d '{"name": "app", "bundle": "app@2", "all": true}'
    gives 200 '.states.Paused == 2 and .paused' GET /v1/deployments/app
    gives 200 '.paused == false and .version == "2"' POST /v1/deployments/app/resume
    within 30 agent_has 1 app 2 || fail "the agent does not get version 2"
    gives 200 '.version == "1" and .generation == 3' POST /v1/deployments/app/rollback
    gives 200 '.version == "2" and .generation == 4' POST /v1/deployments/app/rollback -d '{"to": "2"}'
    denies 404 "no version 7" POST /v1/deployments/app/rollback -d '{"to": "7"}'
    denies 400 "'to' must be a text" POST /v1/deployments/app/rollback -d '{"to": 1}'
    denies 400 "no field 'to'" POST /v1/deployments/app/pause -d '{"to": "1"}'
    gives 200 '.history | map(.version) == ["2", "1", "2", "1"]' GET /v1/deployments/app
    for wrong in App app%2f %ff '%27%22' "$(printf 'a%.0s' {1..100})"; do
        for verb in pause resume rollback; do
            denies 404 "there is no" POST "/v1/deployments/$wrong/$verb"
        done
        denies 404 "there is no" GET "/v1/deployments/$wrong"
        denies 404 "there is no" GET "/v1/rollouts/$wrong"
        denies 404 "there is no" DELETE "/v1/deployments/$wrong"
    done
}

# with_plan JSON: the body of a deployment with that rollout.
with_plan()
{
    printf '{"name": "app", "bundle": "app@2", "all": true, "rollout": %s}' "$1"
}

test_rollouts()
{
    while IFS='|' read -r plan words; do
        denies 400 "$words" POST /v1/deployments -d "$(with_plan "$plan")"
    done <<-END
	7|rollout: a rollout must be an object
	{}|the field 'stages' is missing in a rollout
	{"stages": [], "max_fialed": 1}|there is no field 'max_fialed' in a rollout
	{"stages": [{"name": "a", "share": "5%"}, {"nome": "b"}]}|stage 2: there is no field 'nome' in a stage
	{"stages": [{"name": "a", "concurrency": "0%"}]}|stage 1: concurrency: with none nobody
	{"stages": [{"name": "a", "before": {"approval": 1}}]}|before: approval: must be true or false
	{"stages": [{"name": "a", "after": {"wait": "soon"}}]}|after: wait: "soon" is no time
	{"stages": [{"name": "a"}, {"name": "b"}]}|stage a takes every agent: none is left for b
	{"stages": [], "quorum": "0%"}|quorum: "0%" is no share
	{"stages": [{"name": "a"}], "rate": 100}|rate: "100" is no rate
	{"stages": [{"name": "a", "rate": "1/5s"}]}|stage a: rate: 5s is shorter than a minute
	{"stages": [{"name": "a"}], "start": "tomorrow"}|start: "tomorrow" is no moment
	END
    denies 400 "'dry_run' must be true or false" POST /v1/deployments \
        -d '{"name": "app", "bundle": "app@2", "all": true, "dry_run": 1}'
    denies 404 "there is no bundle app@9" POST /v1/deployments \
        -d '{"name": "app", "bundle": "app@9", "all": true, "dry_run": true}'
    local plan='{"max_failed": 1, "stages": [{"name": "first", "share": 1, "before": {"approval": true}}]}'
    gives 200 '.dry_run and .changed and .targets == 2 and .touched == 0 and .confirm == null and
        (.stages | map({name, members}) == [{name: "first", members: 1}, {name: "rest", members: 1}]) and
        (.changes | map(select(.what == "rollout: stages")) == [{what: "rollout: stages", from: "none",
        to: "first, rest"}])' POST /v1/deployments -d "$(with_plan "$plan" | sed 's/}$/, "dry_run": true}/')"
    gives 200 '.rollout == null and .rollout_state == null' GET /v1/deployments/app
    gives 200 '.changed' POST /v1/deployments -d "$(with_plan "$plan")"
    gives 200 '.rollout == {max_failed: "1", stages: [{name: "first", share: "1", before: {approval: true}},
        {name: "rest"}]} and .rollout_state == "done" and .stage == null' GET /v1/deployments/app
    gives 200 '.staged and .state == "done" and .stage == null and .waits_for == null' GET /v1/rollouts/app
    denies 409 "is over" POST /v1/rollouts/app/approve -d '{"stage": "first"}'
    gives 200 '.version == "1"' POST /v1/deployments \
        -d '{"name": "app", "bundle": "app@1", "all": true, "rollout": null}'
    gives 200 '.state == "waiting" and .stage == "first" and .from == "2" and .version == "1" and
        .waits_for.what == "approval" and .waits_for.until == null and
        (.next == "stage first waits for approval: dunlin rollout approve app first") and
        (.stages | map([.state, .members, .expected]) == [["waits", 1, true], ["pending", 1, true]])' GET /v1/rollouts/app
    dunlin rollout show app | grep -qE "^first +waits +1 expected " || fail "not told how many: $(dunlin rollout show app)"
    gives 200 '.notes | map(select(startswith("rollout of app: stage first waits"))) | length == 1' GET /v1/status
    call GET /metrics
    grep -qxF 'dunlin_rollouts{state="waiting"} 1' "$WORK/out" || fail "no metric of rollouts"
    grep -qxF 'dunlin_deployment_held_agents{deployment="app"} 2' "$WORK/out" || fail "no metric of who is held"
    denies 400 "'stage' is missing" POST /v1/rollouts/app/approve
    denies 400 "'stage' must be a text" POST /v1/rollouts/app/approve -d '{"stage": 1}'
    denies 404 "no stage last" POST /v1/rollouts/app/approve -d '{"stage": "last"}'
    denies 409 "rest comes later" POST /v1/rollouts/app/approve -d '{"stage": "rest"}'
    denies 400 "no field 'stage'" POST /v1/rollouts/app/abort -d '{"stage": "first"}'
    denies 409 "stages can't change on the way" POST /v1/deployments -d "$(with_plan '{"stages": []}' | sed s/app@2/app@1/)"
    gives 200 '.state == "paused" and .paused' POST /v1/rollouts/app/pause
    gives 200 '.state == "waiting" and .paused == false' POST /v1/rollouts/app/resume
    local set=/v1/rollouts/app/set
    gives 200 '.set == [{stage: null, rate: "50/1h", max_failed: "2"}]' POST $set -d '{"rate": "50/1h", "max_failed": 2}'
    gives 200 '.set == [{stage: null, rate: "50/1h"}]' POST $set -d '{"max_failed": "1", "stage": null}'
    gives 200 '.set[1] == {stage: "first", concurrency: "1"} and .stages[0].concurrency == "1"' \
        POST $set -d '{"stage": "first", "concurrency": 1}'
    gives 200 '.start == "2036-01-01T00:00:00Z"' POST $set -d '{"start": "2036-01-01T01:00:00+01:00"}'
    gives 200 '.start == null and (.set | length) == 2' POST $set -d '{"start": "now"}'
    gives 200 '.set[0] == {stage: null, rate: "50/1h", returning: "10%", quorum: "90%", deadline: "1h"} and
        .returning.places == 1' POST $set -d '{"returning": "10%", "quorum": "90%", "deadline": "1h"}'
    gives 200 '.set[0] == {stage: null, rate: "50/1h"}' \
        POST $set -d '{"returning": "none", "quorum": "100%", "deadline": "none"}'
    denies 400 'quorum: "90" is no share' POST $set -d '{"quorum": 90}'
    denies 400 'deadline: "60" is no time' POST $set -d '{"deadline": 60}'
    denies 400 "say what to set" POST $set
    denies 400 'rate: "fast" is no rate' POST $set -d '{"rate": "fast"}'
    denies 400 "rate: must be a text" POST $set -d '{"rate": []}'
    denies 400 "5s is shorter than a minute" POST $set -d '{"rate": "1/5s"}'
    denies 400 "concurrency: is of one stage: say which" POST $set -d '{"concurrency": 1}'
    denies 400 "start: is of the whole rollout" POST $set -d '{"stage": "first", "start": "now"}'
    denies 404 "no stage last" POST $set -d '{"stage": "last", "rate": "none"}'
    gives 200 '.waits_for.what != "approval"' POST /v1/rollouts/app/approve -d '{"stage": "first"}'
    gives 200 '.state == "aborted"' POST /v1/rollouts/app/abort
    denies 409 "was aborted" POST /v1/rollouts/app/retry
    denies 409 "was aborted" POST $set -d '{"rate": "none"}'
    denies 404 "no version 7" POST /v1/rollouts/app/rollback -d '{"to": "7"}'
    denies 409 "was aborted" POST /v1/rollouts/app/resume
    gives 200 '.version == "2" and .state == "done"' POST /v1/rollouts/app/rollback
    denies 409 "there is nobody to retry" POST /v1/rollouts/app/retry
    gives 200 '.changed' POST /v1/deployments -d "$(with_plan '{"stages": []}')"
    gives 200 '.staged == false' GET /v1/rollouts/app
    for verb in approve abort retry set pause resume rollback; do
        local body='{}'
        [ "$verb" = approve ] && body='{"stage": "a"}'
        denies 404 "there is no deployment" POST "/v1/rollouts/nobody/$verb" -d "$body"
    done
    call GET /v1/audit
    for action in rollout-approve rollout-abort rollout-set; do
        grep -q "\"$action\"" "$WORK/out" || fail "the audit log has no $action"
    done
}

test_metrics()
{
    call GET /metrics
    for line in 'dunlin_agents{state="Online"} 1' 'dunlin_agents{state="Stale"} 0' \
        'dunlin_deployment_agents{deployment="app",state="Failed"} 0' 'dunlin_joins_total 2' \
        'dunlin_cell_up{cell="0"} 1' 'dunlin_epoch 1'; do
        grep -qxF "$line" "$WORK/out" || fail "no line '$line' in: $(cat "$WORK/out")"
    done
    ! grep -vE '^(# (HELP|TYPE) .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9]+)$' "$WORK/out" ||
        fail "the line above is no metric"
}

# Clients that are slow, go away or come in numbers are nobody else's trouble.
test_clients()
{
    local slow=()
    for _ in 1 2 3; do
        curl -s --unix-socket "$FLEET/manager.sock" -o /dev/null --limit-rate 100 -X POST \
            -T "$WORK/deep" http://dunlin/v1/tokens &
        slow+=($!)
    done
    for _ in 1 2 3; do
        curl -sN --unix-socket "$FLEET/manager.sock" -d '{"count": 200000}' \
            http://dunlin/v1/tokens 2>/dev/null | head -c 1000 >/dev/null || true
    done
    gives 200 '.version' GET /v1/status
    local pids=()
    for i in $(seq 20); do
        curl -sS --max-time 60 --unix-socket "$FLEET/manager.sock" -d '{"count": 7}' \
            http://dunlin/v1/tokens >"$WORK/tokens$i" &
        pids+=($!)
    done
    wait "${pids[@]}"
    [ "$(cat "$WORK"/tokens* | sort -u | wc -l)" = 140 ] || fail "not 140 different tokens"
    kill "${slow[@]}" 2>/dev/null || true
}

test_removal()
{
    gives 200 '. == {}' DELETE /v1/deployments/app
    denies 404 "there is no deployment" GET /v1/deployments/app
    gives 200 '. == {}' DELETE /v1/bundles/app@1
    gives 200 '.bundles | map(.version) == ["2"]' GET /v1/bundles
    gives 200 '. == {}' DELETE /v1/agents/2
    gives 200 '.state == "Removed" and .reason' GET /v1/agents/2
    denies 404 "there is no agent" DELETE /v1/agents/2
    gives 200 '.agents | map(.number) == [1]' GET /v1/agents
    gives 200 '.agents | map(.number) == [1, 2]' GET "/v1/agents?all=1"
}

# Who is shut out, and whose place another device may take.
test_membership()
{
    gives 200 '. == {}' POST /v1/agents/2/revoke -d '{}'
    gives 200 '. == {}' POST /v1/agents/2/revoke -d '{}'
    gives 200 '.state == "Revoked" and .reason' GET /v1/agents/2
    denies 409 "for good" POST /v1/agents/2/release -d '{}'
    gives 200 '. == {}' POST /v1/agents/1/release -d '{}'
    denies 404 "there is no agent 9" POST /v1/agents/9/revoke -d '{}'
    denies 400 "no token of this manager" POST /v1/agents/2/replace -d '{"token": "dlt1-abc"}'
    call POST /v1/agents/2/replace -d '{"ttl_s": 60}'
    token=$(jq -r .token "$WORK/out")
    gives 200 '.number == 1' POST /v1/agents/1/replace -d "{\"token\": \"$token\"}"
    call GET /v1/audit
    grep -q '"agent-replace"' "$WORK/out" || fail "the audit log doesn't tell who replaces whom"
}

# What was answered was committed before: it is there after a kill.
test_kill()
{
    call POST /v1/tokens -d '{"labels": "last=one"}'
    kill_manager -KILL
    [ -S "$FLEET/manager.sock" ] || fail "the socket of a killed manager is gone"
    # shellcheck disable=SC2119
    start_manager
    gives 200 '.tokens[-1].labels == {last: "one"}' GET /v1/tokens
    kill_manager -TERM
    [ ! -e "$FLEET/manager.sock" ] || fail "the socket stays behind"
}

# shellcheck disable=SC2119
start_manager
join_agent 1
start_agent 1
join_agent 2 env=prod
within 20 online 1 || fail "the agent is not online"
for test in paths status agents wrong_bodies tokens chunks trust bundles deployments changes \
    rollouts metrics clients removal membership kill; do
    step "$test"
    "test_$test"
done
done_well
