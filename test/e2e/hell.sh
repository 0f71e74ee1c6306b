#!/bin/sh
# Bundles that a publisher whom the fleet trusts made to do harm: bombs, paths and links that lead out, devices, lies
# about size and number. The manager takes those whose index tells no lie; the agent refuses each with its cause, writes
# nothing elsewhere, stays small, and takes the next good version.
. "$(dirname "$0")/lib.sh"
PATH=$BIN/test:$PATH
need curl hell
forget_freed
make_app 1

# api METHOD PATH FLAG...
api()
{
    method=$1 path=$2
    shift 2
    curl -sS --fail-with-body --unix-socket "$FLEET/manager.sock" -X "$method" "http://manager$path" "$@"
}

# offer NAME: as a push does it, without its looking at the content.
offer()
{
    rm -rf "$WORK/bundle"
    hell "$1" "$FLEET/publisher.key" "$WORK/bundle" >"$WORK/digest"
    for chunk in "$WORK/bundle/chunks"/*; do
        api PUT "/v1/chunks/$(basename "$chunk")" --data-binary "@$chunk" >/dev/null || fail "$1: a chunk is not taken"
    done
    api POST /v1/bundles --data-binary "@$WORK/bundle/manifest" >"$WORK/offered" 2>&1
}

# state NAME: what the manager knows of it on the agent, with the cause.
state()
{
    agent 1 ".deployments[] | select(.name == \"$1\") | .state + \": \" + (.cause // \"\")"
}

state_is()
{
    state "$1" | grep -qE "$2"
}

# Everything in the world of this test that isn't the agent's own, or changes by itself.
world()
{
    find "$WORK" \( -path "$WORK/agent1" -o -path "$FLEET" -o -path "$WORK/bundle" -o -name '*.log' \) -prune -o -print |
        sort
    ls -la /etc/passwd /etc/shadow 2>/dev/null || true
}

used()
{
    du -sk "$WORK/agent1" | cut -f 1
}

# shellcheck disable=SC2119
start_manager
join_agent 1 env=lab
start_agent 1
release 1 env=lab
within 40 app_is 1 1 || fail "a good bundle does not run"
hell >"$WORK/cases"
: >"$WORK/offered"
touch "$WORK/digest" "$WORK/refused.out"
world >"$WORK/world.before"
memory=$(peak agent1) disk=$(used)

step "each is refused, with its cause"
tab=$(printf '\t')
while IFS="$tab" read -r name by sentence; do
    if [ "$by" = manager ]; then
        ! offer "$name" || fail "the manager takes $name"
        continue
    fi
    offer "$name" || fail "$name is not taken: $(cat "$WORK/offered")"
    dunlin deploy "hell-$name@1" --as "hell-$name" --select env=lab >/dev/null || fail "$name is not deployed"
    case $name in
    bomb) within 60 state_is "hell-$name" "^(Pending|Downloading).*disk" || fail "$name: $(state "hell-$name")" ;;
    *) within 60 state_is "hell-$name" "^Failed.*content was refused" || fail "$name: $(state "hell-$name")" ;;
    esac
    grep -F "name=hell-$name " "$WORK/agent1.log" | grep -qF "$sentence" || fail "$name: the log does not say: $sentence"
    # A status names eight deployments that are not as they should be.
    dunlin deployment remove "hell-$name" >/dev/null || fail "$name can't be removed"
done <"$WORK/cases"
[ "$(grep -c . "$WORK/cases")" -gt 20 ] || fail "there are only $(grep -c . "$WORK/cases") of them"

step "nothing has changed elsewhere, and the agent is as small as before"
world | diff "$WORK/world.before" - || fail "files came, went or changed"
[ ! -e /tmp/dunlin-hell ] || fail "an absolute name was written"
find "$WORK/agent1/bundles" -mindepth 1 -maxdepth 1 | grep -v "\.part$" >"$WORK/trees"
[ "$(grep -c . "$WORK/trees")" -eq 1 ] || fail "trees of hostile bundles are there: $(cat "$WORK/trees")"
echo "peak of memory $memory KiB before and $(peak agent1) KiB after, disk $disk KiB before and $(used) KiB after"
[ "$(peak agent1)" -lt $((memory + 16384)) ] || fail "the agent's memory grew"
[ "$(used)" -lt $((disk + 8192)) ] || fail "the agent's folder grew"

step "the next good version runs"
release 2 env=lab
within 60 app_is 2 1 || fail "version 2 does not run"
done_well
