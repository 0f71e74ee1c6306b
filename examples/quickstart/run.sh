#!/bin/sh
# Dunlin in three minutes: one manager, four agents, four versions of a small service, and what happens when things
# break. Every link is mutual TLS. It works in a temporary folder and on loopback only. usage: run.sh [--keep]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
keep=no
case "${1:-}" in
--keep) keep=yes ;;
--help | -h)
    echo "usage: sh examples/quickstart/run.sh [--keep]"
    echo "  Builds Dunlin and shows it working. --keep leaves manager and agents running, and says how to play on."
    exit 0
    ;;
"") ;;
*)
    echo "run.sh: unknown argument $1: see --help" >&2
    exit 2
    ;;
esac

bin=${DUNLIN_BIN:-}
if [ -z "$bin" ]; then
    sh "$root/setup.sh"
    (cd "$root" && cmake --preset release >/dev/null &&
        cmake --build --preset release --target dunlin dunlin-manager dunlin-agent dunlin-sim)
    bin=$root/build/release
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/dunlin.XXXXXX")
fleet=$work/fleet
export DUNLIN_DIR="$fleet"
PATH=$bin:$PATH
began=$(date +%s)

say() {
    printf '\n\033[1m== %s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[01]m//g'; fi
}

show() {
    echo "\$ $*"
    "$@"
}

fail() {
    echo "FAILED: $*" >&2
    echo "--- the manager's log" >&2
    tail -n 20 "$work/manager.log" >&2 || true
    for log in "$work"/agent*.log; do
        echo "--- ${log##*/}" >&2
        tail -n 10 "$log" >&2 || true
    done
    exit 1
}

# within SECONDS COMMAND...: true as soon as the command is.
within() {
    left=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.2
    done
}

start_manager() {
    dunlin-manager run --dir "$fleet" --listen 127.0.0.1:0 --reconnect-spread 2s >>"$work/manager.log" 2>&1 &
    manager=$!
    within 20 dunlin status || fail "the manager does not answer"
}

start_agent() {
    dunlin-agent run --dir "$work/agent$1" >>"$work/agent$1.log" 2>&1 &
    eval "agent$1=\$!"
}

# end PID: at once, as a power cut would; returns when it is gone.
end() {
    kill -9 "$1"
    wait "$1" 2>/dev/null || true
}

greeting() {
    cat "$work/agent$1/deployments/app/data/state" 2>/dev/null
}

greets() {
    greeting "$1" | grep -qF "$2"
}

state_is() {
    dunlin agent show "$1" | grep -qE "app .*$2"
}

# shellcheck disable=SC2154 # agent1 … agent4 are set by start_agent
stop_all() {
    for pid in ${agent1:-} ${agent2:-} ${agent3:-} ${agent4:-} ${manager:-}; do
        kill "$pid" 2>/dev/null || true
    done
    for pidfile in "$work"/agent*/deployments/app/data/pid; do
        [ -f "$pidfile" ] && kill "$(cat "$pidfile")" 2>/dev/null
    done
    wait 2>/dev/null || true
    rm -rf "$work"
}

trap stop_all EXIT
trap 'exit 130' INT TERM

say "A manager with a broker of its own"
start_manager
show dunlin status

url=$(dunlin status --json | sed -n 's/.*"join_url": *"\([^"]*\)".*/\1/p')
say "Four devices join at $url, each with a token that works once"
for n in 1 2 3 4; do
    env=prod
    [ "$n" -eq 4 ] && env=lab
    token=$(dunlin token create --label "env=$env" --label "shop=$n")
    dunlin-agent join "$url" "$token" --dir "$work/agent$n" || fail "agent $n does not join"
    start_agent "$n"
done
if dunlin-agent join "$url" "$token" --dir "$work/thief" --timeout 60 2>"$work/thief.log"; then
    fail "a token that was used let a second device in"
fi
echo "The last token, tried again by another device:"
sed 's/^/  /' "$work/thief.log"
within 10 sh -c 'dunlin agent list | grep -c Online | grep -qx 4' || fail "not all agents are online"
show dunlin agent list

say "Version 1 of a small service goes to env=prod"
cp -R "$root/examples/bundles/greeter" "$work/greeter"
show dunlin bundle push "$work/greeter" --name greeter --version 1 --health-deadline 10s
show dunlin deploy greeter@1 --as app --select env=prod
dunlin wait app --timeout 120s || fail "version 1 does not become ready"
for n in 1 2 3; do
    within 5 greets "$n" "version 1" || fail "agent $n does not greet with version 1"
done
[ ! -e "$work/agent4/deployments/app" ] || fail "the agent in the lab has got what is for env=prod"
echo "agent 1 says: $(greeting 1)"

say "Version 2: one line of its configuration changes; the deployment is a file this time"
sed -i 's/version 1/version 2/' "$work/greeter/etc/greeter.conf"
show dunlin bundle push "$work/greeter" --name greeter --version 2 --health-deadline 10s
show dunlin deploy "$root/examples/deployments/app.yaml"
dunlin wait app --timeout 120s || fail "version 2 does not become ready"
within 5 greets 1 "version 2" || fail "agent 1 does not greet with version 2"
echo "agent 1 says: $(greeting 1)"

say "Version 3 is broken: its service does not start, so every agent goes back to version 2 by itself"
sed -i '/^greeting=/d' "$work/greeter/etc/greeter.conf"
show dunlin bundle push "$work/greeter" --name greeter --version 3 --health-deadline 3s
show dunlin deploy greeter@3 --as app --select env=prod
dunlin wait app --timeout 160s && fail "a broken version is called ready"
for n in 1 2 3; do
    within 5 state_is "$n" RolledBack || fail "agent $n does not say that it rolled back"
    within 5 greets "$n" "version 2" || fail "agent $n does not run version 2 again"
done
show dunlin deployment show app
echo "agent 1 says: $(greeting 1)"
show dunlin-agent status --dir "$work/agent1"

say "Agent 3 is cut off; the fleet moves on to version 4; it comes back and catches up"
end "$agent3"
within 20 sh -c 'dunlin agent show 3 | grep -q Offline' || fail "nobody notices that agent 3 is gone"
echo "greeting=hello from version 4" >>"$work/greeter/etc/greeter.conf"
show dunlin bundle push "$work/greeter" --name greeter --version 4 --health-deadline 10s
show dunlin deploy greeter@4 --as app --select env=prod
within 30 state_is 1 Ready || fail "agent 1 does not take version 4"
within 30 state_is 2 Ready || fail "agent 2 does not take version 4"
greets 3 "version 2" || fail "agent 3's service stopped when its agent was killed"
show dunlin agent list
start_agent 3
dunlin wait app --timeout 120s || fail "agent 3 does not catch up"
within 5 greets 3 "version 4" || fail "agent 3 does not greet with version 4"

say "The manager is killed. What runs goes on, a restarted agent still finds its documents, and nothing is lost"
end "$manager"
end "$agent2"
start_agent 2
within 5 greets 2 "version 4" || fail "agent 2 stopped working without the manager"
start_manager
within 20 sh -c 'dunlin agent list | grep -c Online | grep -qx 4' || fail "the manager forgot agents"
dunlin wait app --timeout 120s || fail "the manager forgot what is deployed"
show dunlin status
show dunlin agent list

say "All as it should be, after $(($(date +%s) - began)) seconds"
if [ "$keep" = yes ]; then
    trap - EXIT
    cat <<EOF
Everything keeps running in $work. To play on:
  export PATH="$bin:\$PATH" DUNLIN_DIR="$fleet"
  dunlin agent label 4 env=prod      # the agent in the lab gets the service, too
  dunlin deployment rollback app --to 2
  dunlin help
To end it:
  kill $manager $agent1 $agent2 $agent3 $agent4
  cat $work/agent?/deployments/app/data/pid | xargs kill; rm -rf $work
EOF
fi
