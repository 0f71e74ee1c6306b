# For the end-to-end tests: a manager with its brokers, and agents, as real processes that work in
# the temporary folder $WORK and on loopback. At the end, however it comes, all of them are gone.
# A test says what it does with step, ends with done_well, and stops at the first fail.
# shellcheck shell=sh
set -eu

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
BIN=${DUNLIN_BIN:-$ROOT/build/debug}
PATH=$BIN:$PATH
WORK=$(cd "$(mktemp -d "${TMPDIR:-/tmp}/dunlin-e2e.XXXXXX")" && pwd -P)
FLEET=$WORK/fleet
export DUNLIN_DIR="$FLEET"
export PYTHONDONTWRITEBYTECODE=1 # programs here share packets.py
began=$(date +%s)
steps=0
links= # --plain: without TLS
disks= # mounted by the test, to be unmounted when nobody works there any more

# ---- what a test is told ----

# take_options "NAME..." ARGUMENT...: --NAME VALUE sets $NAME.
take_options()
{
    known=" $1 "
    shift
    while [ $# -gt 1 ]; do
        case $known in *" ${1#--} "*) eval "${1#--}=\$2" ;; *) break ;; esac
        shift 2
    done
    [ $# -eq 0 ] || { echo "$(basename "$0" .sh): $1? there is$(echo "$known" | sed 's/ \([a-z]\)/ --\1/g')" >&2 && exit 2; }
}

# ---- what a test says ----

# step WORDS...: what is tried now.
step()
{
    steps=$((steps + 1))
    echo "[$(($(date +%s) - began)) s] $*"
}

# fail WORDS...: with the last lines of every log, since these are gone in a moment.
fail()
{
    exec >&2
    echo "FAILED: $*"
    for log in "$WORK"/manager.log "$FLEET"/cells/*/mosquitto.log $(logs | head -n 12); do
        [ -s "$log" ] || continue
        echo "--- ${log#"$WORK"/}"
        tail -n "${LOG_LINES:-25}" "$log"
    done
    exit 1
}

# done_well: the last line of every test. All end when they are told to, and nothing has crashed.
done_well()
{
    stop_all || fail "after SIGTERM these still run: $(pgrep -af "$WORK")"
    check_logs
    echo "passed: $(basename "$0" .sh), $steps steps, $(($(date +%s) - began)) seconds"
}

# need TOOL...: or the test can't run.
need()
{
    for tool; do
        command -v "$tool" >/dev/null || fail "$tool is missing: run setup.sh --test, and build"
    done
}

# skip WORDS...: this machine can't run the test.
skip()
{
    echo "skipped: $*"
    exit 77
}

# No assertion, no finding of a sanitizer, no lost memory.
check_logs()
{
    for log in "$WORK"/manager.log $(logs); do
        ! grep -qE "Assertion|ERROR: .*Sanitizer|runtime error:" "$log" 2>/dev/null ||
            fail "${log#"$WORK"/}: $(grep -m 1 -E "Assertion|Sanitizer|runtime error:" "$log")"
    done
}

# The agents' logs, and what commands left in files of that kind.
logs()
{
    find "$WORK" -maxdepth 1 -name '*.log' ! -name manager.log | sort
}

# ---- waiting and chance ----

now_ms()
{
    date +%s%3N
}

# within SECONDS COMMAND...: true as soon as the command is, tried ten times a second. So long it may take on a machine
# that has nothing else to do; a slow or a busy one gets four times as long, since most of what a test waits for is a
# fact, and not how soon it is one.
within()
{
    limit_s=$(($1 * 4))
    shift
    in_time "$limit_s" "$@"
}

# in_time SECONDS COMMAND...: the same where the time itself is what is tried.
in_time()
{
    until_s=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -le "$until_s" ] || return 1
        sleep 0.1
    done
}

# refused WORDS COMMAND...: the command fails, in time, and says WORDS (a grep -E expression).
refused()
{
    words=$1
    shift
    if timeout 120 "$@" >"$WORK/refused.out" 2>&1; then
        fail "'$*' succeeded, but should say: $words"
    fi
    grep -qE "$words" "$WORK/refused.out" ||
        fail "'$*' should say '$words', but says: $(cat "$WORK/refused.out")"
}

# wrong CODE WORDS COMMAND...: the command ends with CODE, prints nothing, and says one line with
# WORDS on standard error (both are grep -E expressions). It may be a function.
wrong()
{
    wrong_at_last "$@"
    [ "$(wc -l <"$WORK/wrong.err")" -eq 1 ] || fail "more than one line: $(cat "$WORK/wrong.err")"
}

# wrong_at_last CODE WORDS COMMAND...: the same for what says before what it is waiting for.
wrong_at_last()
{
    code=$1 words=$2 got=0
    shift 2
    "$@" >"$WORK/wrong.out" 2>"$WORK/wrong.err" || got=$?
    said=$(tail -n 1 "$WORK/wrong.err")
    echo "$got" | grep -qxE "$code" || fail "'$*' ends with $got instead of $code: $said"
    echo "$said" | grep -qE -e "$words" || fail "'$*' should say '$words', but says: $said"
    [ ! -s "$WORK/wrong.out" ] || fail "'$*' fails, but prints: $(cat "$WORK/wrong.out")"
    ! LC_ALL=C grep -E -m 1 -v "^dunlin(-agent|-manager|-sim)?: [^[:cntrl:]]+$" "$WORK/wrong.err" ||
        fail "'$*' says the line above"
}

# random N: sets $rnd to one of 0 … N - 1. The same $seed gives the same numbers.
random()
{
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    rnd=$((seed / 65536 % $1))
}

# nap LEAST SPREAD: sleeps so many ms, and a random part of SPREAD more.
nap()
{
    random "$2"
    sleep "$(printf '%d.%03d' $((($1 + rnd) / 1000)) $((($1 + rnd) % 1000)))"
}

# ---- the manager ----

# run_manager FLAG...: starts it, and doesn't wait.
run_manager()
{
    # shellcheck disable=SC2086
    dunlin-manager run --dir "$FLEET" $links --listen 127.0.0.1:0 --reconnect-spread 2s "$@" \
        >>"$WORK/manager.log" 2>&1 &
    echo $! >"$WORK/manager.pid"
}

# start_manager FLAG...: and waits until it answers.
start_manager()
{
    run_manager "$@"
    within 30 dunlin status || fail "the manager does not answer"
}

# kill_manager SIGNAL: returns when it is gone.
kill_manager()
{
    kill_process manager "$1"
}

# kill_brokers: all of them, with -9.
kill_brokers()
{
    # shellcheck disable=SC2046
    kill -9 $(broker_pids)
}

join_url()
{
    dunlin status --json | jq -r .join_url
}

# broker_pids: of the cells' brokers that run in this test's folder, whoever started them.
broker_pids()
{
    pgrep -f "mosquitto.*$WORK/.*/cells/" || true
}

# cell_is I STATE: by the manager's word.
cell_is()
{
    [ "$(dunlin status --json | jq -r ".cells[$1].state")" = "$2" ]
}

# run_broker NAME [FILE]: a Mosquitto that the manager does not run, in the folder of that kit, as FILE there says.
run_broker()
{
    (cd "$WORK/$1" && exec "$(PATH=$PATH:/usr/sbin command -v mosquitto)" -c "$WORK/$1/${2:-mosquitto.conf}") \
        >>"$WORK/broker-$1.log" 2>&1 &
    echo $! >"$WORK/broker-$1.pid"
}

# door_pid: of the broker where devices join.
door_pid()
{
    pgrep -f "mosquitto.*$WORK/.*/door/" || true
}

# brokers N: true when exactly so many run.
brokers()
{
    [ "$(broker_pids | wc -l)" -eq "$1" ]
}

# ---- clients that are no agents ----

# certify NAME ID [JOINED_S [NOW_S]]: $WORK/NAME.pem and NAME.key, as the manager gives them to the agent of that id.
certify()
{
    rm -rf "$WORK/keys"
    mkdir "$WORK/keys"
    cp "$FLEET"/manager.db* "$WORK/keys/"
    now=$(date +%s)
    "$BIN/test/issue_certificate" "$WORK/keys" "$2" "${3:-$now}" "${4:-$now}" "$WORK/$1" ||
        fail "no certificate for $1"
}

# as NAME: flags of a Mosquitto client that has that certificate, at the first cell.
as()
{
    echo "-h 127.0.0.1 -p $(cell_port 0) --cafile $FLEET/cells/0/ca.pem --cert $WORK/$1.pem --key $WORK/$1.key"
}

# subscribe NAME MOSQUITTO_SUB...: begins to listen in the background, and returns when its subscriptions stand.
subscribe()
{
    listening=$1
    shift
    stdbuf -oL "$@" -d >"$WORK/$listening.lines" 2>/dev/null &
    echo $! >"$WORK/$listening.pid"
    within 10 grep -q '^Subscribed' "$WORK/$listening.lines" || fail "$listening: its subscription does not stand"
}

# heard_by NAME: the lines that came since.
heard_by()
{
    grep -vE '^(Client|Subscribed) ' "$WORK/$1.lines" || true
}

# cell_port I: of the I-th cell.
cell_port()
{
    dunlin status --json | jq -r ".cells[$1].url" | sed 's/.*://'
}

# only_tls FILE...: what an agent or a broker sent begins with a record of a TLS handshake (RFC 8446, 5.1) whose first
# message is a ClientHello or a ServerHello (4), and no word of ours is in it.
only_tls()
{
    for way; do
        [ -s "$way" ] || continue
        hello=01
        [ "${way%.down}" = "$way" ] || hello=02
        begins=$(head -c 6 "$way" | od -An -tx1)
        case $hello$begins in
            "$hello 16 03 "*" $hello") ;;
            "02 15 03 "*) ;; # an alert: somebody flipped a bit of the ClientHello
            *) fail "${way#"$WORK"/} begins with$begins" ;;
        esac
        # Four letters are in some megabytes of random bytes once in 500 times, six in none.
        ! LC_ALL=C grep -aoPm 1 '\x00\x04MQTT\x04|dl1/(up|agent|cohort|chunk|trust|join|atlas)|secretword|hooks/' "$way" ||
            fail "${way#"$WORK"/} tells the words above"
    done
}

# meddle NAME LISTEN TARGET: a meddler between the two, each HOST:PORT; $WORK/NAME/N.up and .down is what it saw.
meddle()
{
    "$ROOT/test/e2e/meddler.py" "$2" "$3" "$WORK/$1" >>"$WORK/$1.log" 2>&1 &
    echo $! >"$WORK/$1.pid"
    within 10 test -d "$WORK/$1" || fail "the meddler does not start"
}

# free_port HOST: one that nobody listens on there.
free_port()
{
    python3 -c 'import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); print(s.getsockname()[1])' "$1"
}

# ---- bundles ----

# make_app V [KIB]: the folder $WORK/app@V, a bundle whose hooks write down what is done to it. Of
# its content only a file with the version differs from the others that a test makes.
# shellcheck disable=SC2016
make_app()
{
    app=$WORK/app@$1
    mkdir -p "$app/bin" "$app/etc" "$app/hooks"
    [ -f "$WORK/content" ] || head -c "$((${2:-300} * 1024))" /dev/urandom >"$WORK/content"
    cp "$WORK/content" "$app/bin/content"
    echo "$1" >"$app/etc/version"
    ln -s ../etc/version "$app/bin/version"
    (cd "$app" && sha256sum bin/content etc/version >sums)
    make_hook "$app" apply 'echo "$DUNLIN_VERSION" >>"$DUNLIN_DATA/applied"'
    make_hook "$app" health 'cd "$DUNLIN_CURRENT"
[ "$(cat bin/version)" = "$DUNLIN_VERSION" ]
sha256sum --quiet -c sums'
    make_hook "$app" remove 'touch "$DUNLIN_DATA/../../../removed"'
}

# make_hook FOLDER NAME LINES
make_hook()
{
    printf '#!/bin/sh\nset -eu\n%s\n' "$3" >"$1/hooks/$2"
    chmod +x "$1/hooks/$2"
}

# push_app V
push_app()
{
    dunlin bundle push "$WORK/app@$1" --name app --version "$1" --health-deadline 20s
}

# release V SELECTOR: a new version, pushed and deployed.
release()
{
    [ -d "$WORK/app@$1" ] || make_app "$1"
    push_app "$1" >/dev/null || fail "version $1 is not taken"
    dunlin deploy "app@$1" --as app --select "$2" >/dev/null || fail "version $1 is not deployed"
}

# ---- agents: number N works in $WORK/agentN ----

# join_agent N [LABEL...]: with a token of its own. Joined in turn, N is also the agent's number.
join_agent()
{
    joining=$1
    shift
    for label; do
        set -- "$@" --label "$label"
        shift
    done
    token=$(dunlin token create "$@") || fail "no token for agent $joining"
    dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent$joining" --timeout 120 \
        >>"$WORK/agent$joining.log" 2>&1 || fail "agent $joining does not join"
}

# join_agents "N..." [LABEL...]: two at a time, with tokens of one batch; so N is not the agent's number.
# Whatever the manager advertises, it listens at 127.0.0.1.
# shellcheck disable=SC2016
join_agents()
{
    [ -n "$1" ] || return 0
    joining=$1
    shift
    for label; do
        set -- "$@" --label "$label"
        shift
    done
    rm -f "$WORK/tokens"
    dunlin token create --count "$(echo "$joining" | wc -w)" "$@" --output "$WORK/tokens" 2>/dev/null ||
        fail "no tokens for agents $joining"
    echo "$joining" | tr -s ' ' '\n' | sed '/^$/d' | paste -d ' ' - "$WORK/tokens" |
        WORK=$WORK URL=$(join_url | sed 's/127[.0-9]*/127.0.0.1/') xargs -P 2 -L 1 sh -c 'exec dunlin-agent join "$URL" "$1" \
            --dir "$WORK/agent$0" --timeout 120 >>"$WORK/agent$0.log" 2>&1' || fail "not all agents join"
}

# start_agent N FLAG...
start_agent()
{
    starting=$1
    shift
    dunlin-agent run --dir "$WORK/agent$starting" "$@" >>"$WORK/agent$starting.log" 2>&1 &
    echo $! >"$WORK/agent$starting.pid"
}

# kill_agent N SIGNAL
kill_agent()
{
    kill_process "agent$1" "$2"
}

# agent N JQ: something of the manager's view of one agent.
agent()
{
    dunlin agent show "$1" --json | jq -r "$2"
}

# agent_has N DEPLOYMENT VERSION: by the manager's word.
agent_has()
{
    [ "$(agent "$1" ".deployments[] | select(.name == \"$2\") | .state + \" \" + .version")" = "Ready $3" ]
}

# agent_runs N DEPLOYMENT FOLDER: `current` is that folder, file by file.
agent_runs()
{
    diff -r "$WORK/agent$1/deployments/$2/current/" "$3" >/dev/null 2>&1
}

# app_is VERSION AGENT...: all of them run it, and say so.
app_is()
{
    expected=$1
    shift
    for number; do
        agent_runs "$number" app "$WORK/app@$expected" || return 1
        agent_has "$number" app "$expected" || return 1
    done
}

# applied N: which versions were applied there, in turn.
applied()
{
    paste -sd ' ' "$WORK/agent$1/deployments/app/data/applied"
}

applied_is()
{
    [ "$(applied "$1")" = "$2" ]
}

# online N: exactly so many agents are.
online()
{
    [ "$(dunlin status --json | jq .agents.online)" -eq "$1" ]
}

# ---- memory ----

# forget_freed: what was freed is free, also where a sanitizer would keep it to find mistakes.
forget_freed()
{
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1"
}

# peak NAME: most memory that the process of $WORK/NAME.pid ever had, in KiB.
peak()
{
    awk '$1 == "VmHWM:" { print $2 }' "/proc/$(cat "$WORK/$1.pid")/status"
}

# ---- the end ----

# kill_process NAME SIGNAL: the one that $WORK/NAME.pid tells of.
kill_process()
{
    [ -f "$WORK/$1.pid" ] || return 0
    pid=$(cat "$WORK/$1.pid")
    rm -f "$WORK/$1.pid"
    kill "$2" "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# Everything whose command line names $WORK: agents, managers, brokers, hooks.
ours()
{
    pgrep -f "$WORK" || true
}

none_left()
{
    [ -z "$(ours)" ]
}

# stop_all: asks every process to end, and is true when all have; a manager takes its brokers along.
stop_all()
{
    for pidfile in "$WORK"/*.pid; do
        [ -f "$pidfile" ] || continue
        kill "$(cat "$pidfile")" 2>/dev/null || true
    done
    within 20 none_left
}

leave()
{
    ended=${ended-$?}
    trap - EXIT
    # shellcheck disable=SC2046
    none_left || kill -9 $(ours) 2>/dev/null || true
    within 5 none_left || echo "still running: $(ours)" >&2
    for disk in $disks; do umount "$disk"; done
    if [ -n "${KEEP:-}" ]; then echo "kept: $WORK"; else rm -rf "$WORK"; fi
    exit "$ended"
}

trap leave EXIT
trap 'exit 130' INT TERM
need dunlin-agent dunlin dunlin-manager jq pgrep
