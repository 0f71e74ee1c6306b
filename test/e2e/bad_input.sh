#!/bin/sh
# Wrong input of every kind, from a mistyped token to a YAML file with tabs: each gets one clear line on standard
# error and the right exit code (1 failed, 2 wrong use), and changes nothing.
. "$(dirname "$0")/lib.sh"
need mosquitto mosquitto_pub python3 setpriv

# picture: what operators see, without what moves by itself.
picture()
{
    dunlin status --json | jq -S 'del(.counters, .alarms, .joins)'
    dunlin agent list --json | jq -S '.agents[] | del(.last_seen)'
    for what in bundle deployment token; do dunlin $what list --json; done | jq -S .
    curl -s --unix-socket "$FLEET/manager.sock" http://manager/v1/trust
}

# unchanged WORDS...: nothing that operators see is different from the last picture.
unchanged()
{
    picture >"$WORK/picture.now"
    diff "$WORK/picture" "$WORK/picture.now" >&2 || fail "$* changed something"
}

# url_of PORT
url_of()
{
    echo "mqtt://127.0.0.1:$1"
}

# listener GREETING: a server that says GREETING to everyone, or nothing; its port is in $port.
listener()
{
    rm -f "$WORK/port"
    python3 - "$WORK/port" "$1" <<'PY' &
import os, socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".new", "w") as f:
    f.write(str(s.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
s.settimeout(100)
kept = []
while True:
    c, _ = s.accept()
    kept.append(c)
    if sys.argv[2]:
        c.sendall(sys.argv[2].encode())
PY
    echo $! >"$WORK/listener.$!.pid"
    within 10 test -f "$WORK/port" || fail "no listener"
    port=$(cat "$WORK/port")
}

join()
{
    dunlin-agent join "$1" "$2" --dir "$WORK/new" --timeout "${3:-60}"
}

new_token()
{
    dunlin token create "$@"
}

# flip TEXT N: the text with another letter as its N-th.
flip()
{
    old=$(echo "$1" | cut -c "$2")
    new=A && [ "$old" != A ] || new=B
    echo "$(echo "$1" | cut -c "-$(($2 - 1))")$new$(echo "$1" | cut -c "$(($2 + 1))-")"
}

# A folder that can be pushed, at $1.
good_folder()
{
    mkdir -p "$1/sub"
    echo "content of $1" >"$1/file"
    echo more >"$1/sub/other"
}

push()
{
    dunlin bundle push "$1" --name "${2:-odd}" --version "${3:-1}"
}

has_expired()
{
    dunlin token list --json | jq -e '.tokens[] | select(.state == "expired")'
}

repeat()
{
    printf "%$2s" '' | sed "s,.,$1,g"
}

# ---- what is tried ----

tokens()
{
    step "tokens: mistyped, truncated, used, expired, revoked, of another fleet"
    url=$(join_url)
    good=$(new_token)
    expired=$(new_token --ttl 1s)
    revoked=$(new_token)
    batch=$(dunlin token list --json | jq '.tokens | length')
    dunlin token revoke "$batch" >/dev/null
    DUNLIN_DIR=$WORK/other dunlin-manager run --dir "$WORK/other" --plain --listen 127.0.0.1:0 >"$WORK/other.log" 2>&1 &
    echo $! >"$WORK/other.pid"
    within 30 dunlin status --dir "$WORK/other" || fail "the other manager does not answer"
    other=$(dunlin token create --dir "$WORK/other")
    within 5 has_expired || fail "the second token does not expire"
    picture >"$WORK/picture"

    wrong 1 "not a Dunlin token" join "$url" ""
    wrong 1 "not a Dunlin token" join "$url" "hello"
    wrong 1 "token is truncated: [0-9]+ of [0-9]+" join "$url" "$(echo "$good" | cut -c -40)"
    wrong 1 "token is too long" join "$url" "${good}x"
    wrong 1 "token is mistyped: its check sum differs" join "$url" "$(flip "$good" 30)"
    wrong 1 "token is mistyped: character 20 " join "$url" "$(echo "$good" | sed 's/./%/20')"
    wrong 1 "refused: the token has expired" join "$url" "$expired"
    wrong 1 "refused: the token has been revoked" join "$url" "$revoked"
    wrong 1 "refused: the token has been used" join "$url" "$(cat "$WORK/token1")"
    wrong_at_last 1 "not joined within 6 s: .*another fleet" join "$url" "$other" 6
    unchanged "a bad token"
    [ "$(dunlin status --json | jq -c '.alarms | [.last_day, .last[0].action]')" = '[1,"alarm-token-reused"]' ] ||
        fail "no alarm for a used token"
    dunlin status | grep -q "alarm-token-reused: batch 1, token 1" || fail "the status shows no alarm"
    [ ! -e "$WORK/new/agent.db" ] || ! dunlin-agent status --dir "$WORK/new" >/dev/null 2>&1 ||
        fail "a device joined with a bad token"
    kill_process other -TERM
}

# what a join without an answer says in the meantime is no error: its last line is.
brokers_that_are_none()
{
    step "brokers: unreachable, silent, no broker at all, a broker without a manager"
    token=$(new_token)
    picture >"$WORK/picture"
    wrong_at_last 1 "not joined within 4 s: can't reach mqtt://127.0.0.1:1: " join "$(url_of 1)" "$token" 4
    listener ""
    wrong 1 "not joined within 4 s: no greeting from $(url_of "$port"): is that an MQTT broker" \
        join "$(url_of "$port")" "$token" 4
    listener "$(repeat "HTTP/1.1 400 Bad Request " 20)"
    wrong_at_last 1 "not joined within 4 s: can't reach $(url_of "$port"): " join "$(url_of "$port")" "$token" 4
    port=$(free_port 127.0.0.1)
    printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$WORK/lonely.conf"
    mosquitto -c "$WORK/lonely.conf" >"$WORK/lonely.log" 2>&1 &
    echo $! >"$WORK/lonely.pid"
    within 10 mosquitto_pub -p "$port" -t x -n || fail "no lonely broker"
    wrong_at_last 1 "not joined within 8 s: .*no answer from the manager" join "$(url_of "$port")" "$token" 8
    for url in "" http://127.0.0.1 mqtt:// mqtt://:1883 mqtt://host:0 mqtt://host:65536 mqtt://host:1x \
        mqtt://10.1.2.3 mqtts://host:0 "mqtt://$(repeat h 300)"; do
        wrong 2 "URL|mqtts?://|port must be|longer than" join "$url" "$token"
    done
    unchanged "a bad broker"
}

folders()
{
    step "folders: joined already, in use, not joined, no folder"
    url=$(join_url)
    token=$(new_token)
    picture >"$WORK/picture"
    again=$(dunlin-agent join "$url" "$(cat "$WORK/token1")" --dir "$WORK/agent1" --timeout 60) ||
        fail "the same key and token again are refused"
    echo "$again" | grep -q "joined as agent 1 " || fail "joined again as another agent: $again"
    wrong 1 "joined already, as agent 1, with another token; use another DIR" \
        dunlin-agent join "$url" "$token" --dir "$WORK/agent1" --timeout 60
    start_agent 1
    within 20 agent_has 1 app 1 || fail "agent 1 does not get the bundle"
    picture >"$WORK/picture"
    again=$(dunlin-agent join "$url" "$(cat "$WORK/token1")" --dir "$WORK/agent1" --timeout 60) ||
        fail "the same token again is refused while the agent runs"
    wrong 1 "another dunlin-agent works in .*/agent1; stop it first" dunlin-agent run --dir "$WORK/agent1"
    wrong 1 "has not joined a fleet: run dunlin-agent join" dunlin-agent run --dir "$WORK"
    wrong 1 "has not joined a fleet: run dunlin-agent join" dunlin-agent status --dir "$WORK"
    wrong 1 "No such file|no folder|not joined" dunlin-agent run --dir "$WORK/nowhere"
    echo text >"$WORK/text"
    wrong 1 "$WORK/text" dunlin-agent join "$url" "$token" --dir "$WORK/text" --timeout 60
    wrong 1 "$WORK/text" dunlin-agent run --dir "$WORK/text"
    wrong 1 "$WORK/text" dunlin-manager run --dir "$WORK/text"
    wrong 1 "another manager \(pid [0-9]+\) runs on $FLEET" dunlin-manager run --dir "$FLEET" --listen 127.0.0.1:0
    wrong 1 "no manager answers at $WORK/nowhere/manager.sock: start it with" dunlin status --dir "$WORK/nowhere"
    unchanged "a bad folder"
}

paths()
{
    step "bundles: paths that are none, and folders with what no bundle may hold"
    picture >"$WORK/picture"
    b=$WORK/odd
    mkdir "$WORK/empty"
    wrong 1 "$WORK/nowhere: there is no such folder" push "$WORK/nowhere"
    wrong 1 "$WORK/empty: is empty" push "$WORK/empty"
    wrong 1 "$WORK/text: isn't a folder" push "$WORK/text"
    wrong 1 "no such folder|needs|empty" push ""

    good_folder "$b"
    mkfifo "$b/pipe"
    wrong 1 "odd/pipe: is a (pipe|fifo|named pipe)" push "$b"
    rm "$b/pipe"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$b/sock"
    wrong 1 "odd/sock: is a socket" push "$b"
    rm "$b/sock"
    if mknod "$b/null" c 1 3 2>/dev/null; then
        wrong 1 "odd/null: is a .*device" push "$b"
        rm "$b/null"
    fi
    for target in /etc/passwd ../secret sub/../../secret sub/../file .. sub/..; do
        ln -s "$target" "$b/link"
        wrong 1 "odd/link: is a link to $target, which may lead out" push "$b"
        rm "$b/link"
    done
    ln -s ../../up "$b/sub/link"
    wrong 1 "odd/sub/link: is a link to ../../up, which may lead out" push "$b"
    rm "$b/sub/link"
    for mode in 4755 2755 1755; do
        chmod "$mode" "$b/file"
        wrong 1 "odd/file: has a setuid, setgid or sticky bit" push "$b"
    done
    chmod 644 "$b/file"
    mkdir "$b/hooks"
    touch "$b/hooks/apply"
    wrong 1 "odd/hooks/apply is not executable, .*: chmod [+]x it" push "$b"
    rm -r "$b/hooks"

    newline=$(printf 'a\nb')
    bell=$(printf 'a\001b\007')
    for name in "$newline" "$bell"; do
        touch "$b/$name"
        wrong 1 "odd/a[?]b.?: its name has a control character; rename it" push "$b"
        rm "$b/$name"
    done
    deep=$b/$(repeat d/ 70)
    mkdir -p "$deep"
    wrong 1 "lies more than [0-9]+ levels deep|path is longer" push "$b"
    rm -r "$b/d"
    name=$(repeat n 250)
    mkdir -p "$b/$name/$name/$name/$name/$name"
    wrong 1 "odd/n+: its path is longer than 1023 bytes" push "$b"
    rm -r "${b:?}/$name"

    # Without the rights that let root read everything.
    plain="setpriv --bounding-set=-dac_override,-dac_read_search"
    $plain true 2>/dev/null || plain=""
    if [ -n "$plain" ] || [ "$(id -u)" != 0 ]; then
        chmod 000 "$b/file"
        # shellcheck disable=SC2086
        wrong 1 "odd/file: can't be read: Permission denied" $plain dunlin bundle push "$b" --name odd --version 1
        chmod 644 "$b/file"
        chmod 000 "$b/sub"
        # shellcheck disable=SC2086
        wrong 1 "odd/sub: can't be read: Permission denied" $plain dunlin bundle push "$b" --name odd --version 1
        chmod 755 "$b/sub"
    fi
    chmod 400 "$b/sub"
    wrong 1 "odd/sub: (its owner may not|can't be read)" push "$b"
    chmod 755 "$b/sub"
    unchanged "a bad folder"

    echo fine >"$b/naïve – 日本 🐟.txt"
    echo fine >"$b/$(repeat n 250)"
    ln -s sub/other "$b/inside"
    push "$b" >/dev/null || fail "names in UTF-8, long names or links inside are refused"
}

names()
{
    step "names, versions and what they name"
    picture >"$WORK/picture"
    long=$(repeat x 64)
    for name in "" / . .. a/b ../a "a b" a@b ä .hidden "$long" "$newline" -- -dash; do
        wrong 2 "name" dunlin bundle push "$WORK/app" "--name=$name" --version 1
        wrong 2 "name" dunlin bundle push "$WORK/app" --name app "--version=$name"
        wrong 2 "name" dunlin deploy app@1 --all "--as=$name"
    done
    wrong 1 "app@1 exists with other content: a version never changes, choose a new one" push "$WORK/odd" app 1
    wrong 2 "write NAME@VERSION" dunlin deploy app --all
    mkdir "$WORK/here" "$WORK/here/app" # the folder that it was pushed from is no file
    (cd "$WORK/here" && wrong 2 "write NAME@VERSION" dunlin deploy app --all)
    wrong 2 "write NAME@VERSION" dunlin deploy @1 --all
    wrong 2 "name" dunlin deploy app@1@2 --all
    wrong 1 "there is no bundle app@9" dunlin deploy app@9 --all
    wrong 1 "there is no bundle none@1" dunlin deploy none@1 --all
    wrong 1 "there is no bundle app@9" dunlin bundle show app@9
    wrong 1 "there is no bundle app@9" dunlin bundle remove app@9
    wrong 2 "write NAME@VERSION" dunlin bundle show app
    wrong 1 "app@1 is deployed by app" dunlin bundle remove app@1
    wrong 1 "app has no earlier version to go back to" dunlin deployment rollback app
    wrong 1 "app has no version 9 in its history" dunlin deployment rollback app --to 9
    for verb in show pause resume rollback remove; do
        wrong 1 "there is no deployment none" dunlin deployment $verb none
    done
    wrong 1 "there is no deployment none" dunlin rollout show none
    wrong 1 "there is no deployment none" dunlin wait none --timeout 1s
    for who in ../1 .. a/b ""; do
        wrong 2 "no name that anything here can have" dunlin agent show "$who"
        wrong 2 "no name that anything here can have" dunlin deployment remove "$who"
    done
    for who in 99 0 nobody ffff "a b" "$(repeat f 32)" "$long"; do
        wrong 1 "there is no agent " dunlin agent show "$who"
        wrong 1 "there is no agent " dunlin agent remove "$who"
    done
    wrong 1 "there is no agent 99" dunlin agent label 99 a=b
    for batch in 0 99 x -1 99999999999999999999; do
        wrong "[12]" "batch|flag" dunlin token revoke "$batch"
    done
    [ "$(push "$WORK/app" app 1 2>&1 | grep -c "was there already")" = 1 ] || fail "the same content again is no success"
    unchanged "a bad name"
}

selectors()
{
    step "selectors and labels, with the place of the fault"
    picture >"$WORK/picture"
    while IFS='|' read -r selector words; do
        wrong 2 "$words" dunlin deploy app@1 --as other --select "$selector"
        wrong 2 "$words" dunlin agent list --select "$selector"
    done <<'LIST'
env=prod,|ends after character 9
env=prod,,a|character 10
=prod|character 1
env in prod|character 8: expected '\('
env in (prod|expected ',' or '\)'
env in ()|character 9: expected a label value, not '\)'
env not in (a)|character 5
env=pr%od|character
env prod|character 5
!|ends after character 1
!env=prod|character 5
env=prod) |character 9
env!prod|expected '='
-env=a|character 1: expected a label key
LIST
    wrong 2 "selector is .* characters long" dunlin deploy app@1 --as other --select "a=$(repeat b 2000)"
    wrong 2 "empty|--all" dunlin deploy app@1 --as other --select ""
    wrong 2 "empty|--all" dunlin deploy app@1 --as other --select "  "
    wrong 2 "--all" dunlin deploy app@1 --as other
    wrong 2 "--all" dunlin deploy app@1 --as other --select a=b --all
    for label in =x "a b=c" "-a=b" "a=b c" "a=-" "/a=b" "a/=b" "$(repeat k 64)=v" "k=$(repeat v 64)"; do
        wrong 2 "label|character" dunlin token create --label="$label"
        wrong 2 "label|character|flag" dunlin agent label 1 -- "$label"
    done
    wrong 2 "label|KEY=VALUE" dunlin token create --label
    wrong 2 "KEY=VALUE" dunlin agent label 1 word
    wrong 2 "KEY=VALUE|flag" dunlin agent label 1 -- -
    unchanged "a bad selector"
}

# yaml PLACE WORDS TEXT: a deployment file with that text is refused at LINE:COLUMN.
yaml()
{
    printf '%b' "$3" >"$WORK/d.yaml"
    wrong 2 "d.yaml:$1: .*($2)" dunlin deploy "$WORK/d.yaml"
}

files()
{
    step "deployment files, with line and column"
    picture >"$WORK/picture"
    head='deployment: other\nbundle: app@1\n'
    yaml 3:1 'unknown key "placemnt"; did you mean "placement"' "${head}placemnt: {all: true}\n"
    yaml 4:3 'unknown key "selector"' "${head}placement:\n  selector: env=prod\n"
    yaml 3:12 "mapping" "${head}placement: [all]\n"
    yaml 3:18 "true or false" "${head}placement: {all: yes}\n"
    yaml 3:18 "true or false" "${head}placement: {all: \"true\"}\n"
    yaml 4:11 "expected '='|character 5" "${head}placement:\n  select: env prod\n"
    yaml 4:17 "expected a label key" "${head}placement:\n  select: [a=b, =d]\n"
    yaml 4:9 "is none of: all, 3" "${head}placement:\n  pick: some\n"
    yaml 4:9 "more than all" "${head}placement:\n  pick: 500%\n"
    yaml 3:1 "says no agents" "${head}placement: {}\n"
    yaml 3:1 "exclude each other" "${head}placement: {all: true, select: a=b}\n"
    yaml 3:11 "whole number" "${head}priority: high\n"
    yaml 3:11 "from 0 to" "${head}priority: 99999999999\n"
    yaml 3:10 "from 1 to 50" "${head}history: 0\n"
    yaml 3:10 "whole number" "${head}history: ten\n"
    yaml 3:11 "single value" "${head}priority: {a: 1}\n"
    yaml 3:10 '"stages" is missing' "${head}rollout: {}\n"
    yaml 3:11 'did you mean "max_failed"' "${head}rollout: {max_fail: 1, stages: []}\n"
    yaml 4:13 "no time; write it with a unit" "${head}rollout:\n  deadline: 30\n  stages: []\n"
    yaml 5:30 "neither a number of agents" "${head}rollout:\n  stages:\n    - {name: a, concurrency: some}\n"
    yaml 5:31 "no time; write it with a unit" "${head}rollout:\n  stages:\n    - {name: a, after: {wait: 30}}\n"
    yaml 3:1 "two stages are called a" "${head}rollout: {stages: [{name: a, share: 1}, {name: a}]}\n"
    yaml 3:1 "twice" "${head}bundle: app@1\n"
    yaml 1:13 "name" 'deployment: ../x\nbundle: app@1\nplacement: {all: true}\n'
    yaml 2:9 "NAME@VERSION" 'deployment: other\nbundle: app\nplacement: {all: true}\n'
    yaml 1:1 '"bundle" is missing' 'deployment: other\nplacement: {all: true}\n'
    yaml 3:1 "not YAML" "${head}\tplacement: {all: true}\n"
    yaml 4:1 "not YAML" "${head}placement:\n\tall: true\n"
    yaml '[34]:[0-9]+' "not YAML" "${head}placement: {all: true\n"
    yaml '[0-9]+:[0-9]+' "not YAML" "${head}name: \0377\0376\n"
    yaml '[0-9]+:[0-9]+' "second document" "${head}placement: {all: true}\n---\n${head}"
    yaml 1:1 "mapping" '- a\n- b\n'
    yaml '[0-9]+:[0-9]+' "empty" ''
    yaml '[0-9]+:[0-9]+' "." "${head}placement: &a {all: *a}\n"
    head -c 100000 /dev/urandom >"$WORK/d.yaml"
    wrong "[12]" "d.yaml" dunlin deploy "$WORK/d.yaml"
    head -c 2000000 /dev/zero | tr '\0' '[' >"$WORK/d.yaml"
    wrong "[12]" "d.yaml" dunlin deploy "$WORK/d.yaml"
    wrong "[12]" "nowhere.yaml" dunlin deploy "$WORK/nowhere.yaml"
    mkdir "$WORK/folder.yaml"
    wrong "[12]" "folder.yaml" dunlin deploy "$WORK/folder.yaml"
    printf '%b' "${head}placement: {all: true}\n" >"$WORK/d.yaml"
    wrong 2 "doesn't go with a file" dunlin deploy "$WORK/d.yaml" --all
    printf '%b' "deployment: other\nbundle: app@9\nplacement: {all: true}\n" >"$WORK/d.yaml"
    wrong 1 "there is no bundle app@9" dunlin deploy "$WORK/d.yaml"
    printf '%b' "$head" >"$WORK/d.yaml"
    wrong 2 "deployment other is new, so say where it goes" dunlin deploy "$WORK/d.yaml"
    unchanged "a bad deployment file"
}

command_lines()
{
    step "verbs, flags, numbers and durations that are none"
    picture >"$WORK/picture"
    wrong 2 'unknown verb "statsu"; did you mean "status"' dunlin statsu
    wrong 2 'unknown verb "buget"; did you mean "budget"' dunlin buget
    wrong 2 'unknown verb "xyzzy"' dunlin xyzzy
    wrong 2 "token what\? There is: token create, token list, token revoke" dunlin token
    wrong 2 'unknown verb "token crate"; did you mean "token create"' dunlin token crate
    wrong 2 'unknown verb' dunlin ""
    wrong 2 'unknown flag --cuont; did you mean --count' dunlin token create --cuont 3
    wrong 2 'unknown flag --frob' dunlin --frob status
    wrong 2 'unknown flag' dunlin status -x
    wrong 2 'takes no value' dunlin status --json=yes
    for count in x -1 0 "" 1.5 "1 " 0x10 99999999999999999999; do
        wrong 2 "count" dunlin token create "--count=$count"
        wrong 2 "uses" dunlin token create "--uses=$count"
    done
    for time in x 5 "" 5x 1h30 -1s 1.5h 99999999999999999999s 0s 200000d "5 m"; do
        wrong 2 "ttl" dunlin token create "--ttl=$time"
        wrong 2 "health-deadline" dunlin bundle push "$WORK/app" --name app --version 1 "--health-deadline=$time"
    done
    wrong 2 "count needs a value" dunlin token create --count
    wrong 2 "given twice" dunlin token create --count 1 --count 2
    wrong 2 "too much" dunlin status extra
    wrong 2 "token revoke.*it takes ID" dunlin token revoke
    wrong 2 "takes PATH" dunlin bundle push --name app --version 1
    wrong 2 "name NAME is missing" dunlin bundle push "$WORK/app"
    wrong 2 "version V is missing" dunlin bundle push "$WORK/app" --name app
    wrong 2 "takes AGENT" dunlin agent show
    wrong 2 "priority" dunlin deploy app@1 --all --priority -1
    wrong 2 "exclude each other" dunlin status --dir "$FLEET" --manager http://127.0.0.1:1
    wrong 2 "write https://" dunlin status --manager ftp://x
    wrong 1 "no manager answers at http://127.0.0.1:1" dunlin status --manager http://127.0.0.1:1
    wrong 2 "needs a folder" dunlin status --dir=
    wrong 2 "socket's path" dunlin status --dir "/$(repeat d 200)"
    wrong 1 "nowhere/tokens.txt|nowhere" dunlin token create --output "$WORK/nowhere/tokens.txt"

    for program in dunlin dunlin-agent dunlin-manager; do
        wrong 2 "f\?rob.?2" $program "$(printf 'f\nrob\0332')"
    done
    wrong 2 "is no command" dunlin-agent frob
    wrong 2 "is no flag of join" dunlin-agent join a b --frob
    wrong 2 "something is missing" dunlin-agent join
    wrong 2 "too much" dunlin-agent run extra
    for time in 0 x -1 5h 99999999999; do
        wrong 2 "timeout" dunlin-agent join mqtt://127.0.0.1 t --timeout "$time"
    done
    wrong 2 "needs a value" dunlin-agent run --dir
    wrong 2 "log" dunlin-agent run --log loud
    wrong 2 "fact" dunlin-agent join mqtt://127.0.0.1 t --fact novalue
    wrong 2 "fact" dunlin-agent join mqtt://127.0.0.1 t --fact "a key=v"
    wrong 2 "fact" dunlin-agent join mqtt://127.0.0.1 t --fact "$(repeat k 40)=v"

    wrong 2 "frob" dunlin-manager frob
    wrong 2 "frob" dunlin-manager run --frob
    for cells in x 0 -1 100000; do
        wrong 2 "cells" dunlin-manager run --dir "$WORK/third" --cells "$cells"
    done
    for listen in "" x:y 127.0.0.1:99999 127.0.0.1:-1 :; do
        wrong 2 "listen" dunlin-manager run --dir "$WORK/third" "--listen=$listen"
    done
    for broker in x http://127.0.0.1 mqtt://; do
        wrong 2 "broker|URL|mqtt://" dunlin-manager run --dir "$WORK/third" --plain --broker "$broker"
    done
    for broker in mqtt://192.0.2.1 mqtts://127.0.0.1 unix:///tmp/sock mqtt://127.0.0.1.example.org; do
        wrong 2 "loopback" dunlin-manager run --dir "$WORK/third" --plain --broker "$broker"
    done
    wrong 2 "mqtts://" dunlin-manager run --dir "$WORK/third" --broker mqtt://127.0.0.1
    wrong 2 "twice" dunlin-manager run --dir "$WORK/third" --broker mqtts://x --broker mqtts://x
    wrong 2 "--dir needs a value" dunlin-manager backup "$WORK/third" --dir
    wrong 2 "--host" dunlin-manager broker-kit --dir "$FLEET" "$WORK/third"
    wrong 2 "--host" dunlin-manager broker-kit --dir "$FLEET" --host "a b" "$WORK/third"
    wrong 2 "frob" dunlin-manager broker-kit --frob
    wrong 1 "no manager's database" dunlin-manager broker-kit --dir "$WORK/none" --host x "$WORK/third"
    for listen in localhost 0.0.0.0 192.0.2.1 127.0.0.1.example.org '[2001:db8::1]:8883'; do
        wrong 2 "loopback" dunlin-manager run --dir "$WORK/third" --plain --listen "$listen" --advertise x
    done
    for rate in 0 x -1 100001; do
        wrong 2 "join-rate" dunlin-manager run --dir "$WORK/third" "--join-rate=$rate"
    done
    wrong 2 "write viewer, operator or admin" dunlin admin create x --role frob
    [ ! -e "$WORK/third" ] || fail "wrong use made a folder"
    unchanged "a bad command line"
    ! dunlin-manager run --dir "$WORK/third" --listen 192.0.2.1 >"$WORK/out" 2>&1 || fail "it listens elsewhere"
    grep -q "192.0.2.1, which is no address of this machine" "$WORK/out" || fail "$(cat "$WORK/out")"
}

# mode FILE MODE
mode()
{
    [ "$(stat -c %a "$1")" = "$2" ] || fail "$1 has mode $(stat -c %a "$1") instead of $2"
}

permissions()
{
    step "secrets are for their owner only"
    for file in "$FLEET"/manager.db* "$FLEET"/manager.sock "$FLEET"/publisher.key "$WORK"/agent1/agent.db*; do
        mode "$file" 600
    done
    mode "$FLEET" 700
    for folder in "$FLEET/door" "$FLEET/cells/0"; do mode "$folder" 700; done
    mode "$WORK/agent1" 700
    dunlin token create --output "$WORK/tokens.txt" 2>/dev/null
    mode "$WORK/tokens.txt" 600
    # Tokens and keys may be read in no file that others can read, and in no log.
    ! grep -rqF "$(cat "$WORK/tokens.txt")" "$FLEET" "$WORK"/*.log || fail "a token is kept in clear"
    if [ "$(id -u)" = 0 ]; then
        chmod 755 "$WORK"
        wrong 1 "permission denied; run as the user that runs the manager" \
            setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/dunlin" status
        chmod 700 "$WORK"
    fi
}

umask 022
# shellcheck disable=SC2119
start_manager
new_token >"$WORK/token1"
dunlin-agent join "$(join_url)" "$(cat "$WORK/token1")" --dir "$WORK/agent1" --timeout 120 >>"$WORK/agent1.log" 2>&1 ||
    fail "agent 1 does not join"
good_folder "$WORK/app"
push "$WORK/app" app 1 >/dev/null 2>&1 || fail "the bundle can't be pushed"
dunlin deploy app@1 --all >/dev/null
tokens
brokers_that_are_none
folders
paths
names
selectors
files
command_lines
permissions
within 5 agent_has 1 app 1 || fail "agent 1 has lost what it ran"
done_well
