#!/bin/sh
# Somebody on the link publishes what they like: random, truncated and oversized bytes, forged and replayed messages,
# on every topic, retained or not. Nothing crashes, all of it is counted and dropped, and the fleet takes the next
# version all the same. What was erased or replaced on a broker comes back when that broker starts from nothing.
. "$(dirname "$0")/lib.sh"
need mosquitto_pub mosquitto_sub

# socket_of TOPIC: where who owns the manager's folder may do everything: devices join at the door.
socket_of()
{
    case $1 in
    dl1/join/* | dl1/joined/*) echo "$FLEET/door/sock" ;;
    *) echo "$FLEET/cells/0/sock" ;;
    esac
}

# publish TOPIC FILE [FLAG...]: a broker may refuse what is too large.
publish()
{
    to=$1 file=$2
    shift 2
    timeout 10 mosquitto_pub --unix "$(socket_of "$to")" -q 1 -t "$to" -f "$file" "$@" >/dev/null 2>&1 || true
}

# erase TOPIC: nothing is retained there any more.
erase()
{
    mosquitto_pub --unix "$(socket_of "$1")" -q 1 -t "$1" -r -n
}

# retained FILTER: the topics that hold something.
retained()
{
    timeout 10 mosquitto_sub --unix "$(socket_of "$1")" -t "$1" --retained-only -W 2 -F %t 2>/dev/null || true
}

# payload TOPIC FILE: what is retained there.
payload()
{
    timeout 10 mosquitto_sub --unix "$(socket_of "$1")" -t "$1" --retained-only -C 1 -W 5 -N >"$2" ||
        fail "nothing is retained on $1"
}

# listen FILTER NAME: keeps the next message on it, in $WORK/NAME, and its topic in $WORK/NAME.topic.
listen()
{
    subscribe "$2" mosquitto_sub --unix "$(socket_of "$1")" -t "$1" -q 1 -C 1 -F '%t %x'
}

heard()
{
    within 20 has_heard "$1" || fail "nothing was heard of $1"
    heard_by "$1" | cut -d ' ' -f 1 >"$WORK/$1.topic"
    heard_by "$1" | cut -d ' ' -f 2 | xxd -r -p >"$WORK/$1"
}

has_heard()
{
    heard_by "$1" | grep -q .
}

# flipped FILE: a copy whose last byte is another one.
flipped()
{
    size=$(stat -c %s "$1")
    head -c $((size - 1)) "$1" >"$1.flipped"
    tail -c 1 "$1" | tr '\000-\377' '\001-\377\000' >>"$1.flipped"
}

counter()
{
    dunlin status --json | jq ".counters.$1"
}

# rises COUNTER: since the last look at it, within a few seconds.
rises()
{
    within 5 more "$1" || fail "nothing was counted as $1"
}

more()
{
    [ "$(counter "$1")" -gt "$(jq ".$1" "$WORK/counters")" ]
}

look()
{
    dunlin status --json | jq .counters >"$WORK/counters"
}

# all_well: the same processes run as at the beginning, and nobody runs anything else.
all_well()
{
    for name in manager agent1 agent2; do
        [ "$(cat "$WORK/$name.pid")" = "$(cat "$WORK/$name.first")" ] || fail "$name was restarted"
        kill -0 "$(cat "$WORK/$name.pid")" 2>/dev/null || fail "$name is gone"
    done
    [ "$(broker_pids)" = "$(cat "$WORK/broker.first")" ] || fail "the broker was restarted"
    within 10 online 2 || fail "not all agents are online"
    for n in 1 2; do agent_runs "$n" app "$WORK/app" || fail "agent $n runs something else"; done
    check_logs
}

remember()
{
    for name in manager agent1 agent2; do cp "$WORK/$name.pid" "$WORK/$name.first"; done
    broker_pids >"$WORK/broker.first"
}

# deploys V: a new version, for everybody.
deploys()
{
    version=$1
    date +%s%N >"$WORK/app/version"
    head -c 300000 /dev/urandom >"$WORK/app/data"
    dunlin bundle push "$WORK/app" --name app --version "$version" >/dev/null 2>&1 || fail "app@$version can't be pushed"
    dunlin deploy "app@$version" --all >/dev/null || fail "app@$version can't be deployed"
}

# take AGENT...: that version.
take()
{
    for n; do
        within 40 agent_has "$n" app "$version" ||
            fail "agent $n does not take version $version: $(dunlin-agent status --dir "$WORK/agent$n")"
        agent_runs "$n" app "$WORK/app" || fail "agent $n does not run version $version"
    done
}

rolls()
{
    deploys "$1"
    shift
    take "$@"
}

# Every kind of topic, with real names and made up ones.
topics()
{
    cat "$WORK/topics"
    for name in "join/0123456789abcdef" join/x join/ "joined/0123456789abcdef" "up/$id1" "up/zz" \
        "up/00/$id1" "up/$id1/x" "up/00000000000000000000000000000000" up/ "cohort/0123456789abcdef/0" \
        "cohort/0123456789abcdef/doc" "cohort/0123456789abcdef/4097" "agent/$id1/head" "agent/$id1/doc" \
        "chunk/$(printf %064d 0)" chunk/x cell/probe cell/control cell/bulk cell/x x; do
        echo "dl1/$name"
    done
}

garbage()
{
    step "random bytes, truncated messages, and far too many bytes, on every kind of topic"
    head -c 1 /dev/urandom >"$WORK/one"
    head -c 40 /dev/urandom >"$WORK/forty"
    head -c 3000 /dev/urandom >"$WORK/some"
    head -c 307200 /dev/urandom >"$WORK/300k"
    head -c 1048576 /dev/urandom >"$WORK/1m"
    printf '\335\377\377\377\377\335\377\377\377\377' >"$WORK/arrays"
    printf '\226\003\001\306\377\377\377\377' >"$WORK/lengths"
    head -c 65536 /dev/zero | tr '\0' '\221' >"$WORK/deep"
    # With QoS 2 too, and from many at a time.
    look
    topics | sort -u >"$WORK/all-topics"
    while read -r topic; do
        for file in one forty some arrays lengths deep; do publish "$topic" "$WORK/$file" & done
        wait_for_publishers
        case $topic in dl1/chunk/* | dl1/up/* | dl1/join/* | */doc | */head | */0 | dl1/trust/*)
            publish "$topic" "$WORK/300k" && publish "$topic" "$WORK/1m"
            ;;
        esac
    done <"$WORK/all-topics"
    rises malformed
    within 10 grep -q message-refused "$WORK/agent1.log" || fail "agent 1 was not reached"
    all_well
}

# The last 6 background jobs of the caller; plain wait would wait for the fleet.
wait_for_publishers()
{
    while pgrep -f "mosquitto_pub .*$WORK" >/dev/null; do sleep 0.02; done
}

replays()
{
    step "reports and requests that were overheard: replayed, altered, in another's name"
    listen "dl1/up/$id1" status
    kill_agent 1 -TERM
    within 10 online 1 || fail "agent 1 did not say good-bye"
    heard status
    cp "$WORK/status" "$WORK/will"
    listen "dl1/up/$id1" status
    start_agent 1
    heard status
    within 20 online 2 || fail "agent 1 does not come back"
    cp "$WORK/agent1.pid" "$WORK/agent1.first"
    topic=$(cat "$WORK/status.topic")

    look && publish "$topic" "$WORK/status" && rises replayed
    look && publish "$topic" "$WORK/status" -r && rises replayed
    look && publish "$topic" "$WORK/will" && rises replayed
    look && publish "dl1/up/$id2" "$WORK/status" && rises forged
    look && publish "dl1/up/00/$id1" "$WORK/status" && sleep 0.5
    flipped "$WORK/status"
    look && publish "$topic" "$WORK/status.flipped" && rises forged
    look && head -c 20 "$WORK/status" >"$WORK/cut" && publish "$topic" "$WORK/cut" && rises malformed
    erase "$topic"
    online 2 || fail "a replay made an agent offline"

    listen "dl1/join/+" request
    join_agent 3
    heard request
    topic=$(cat "$WORK/request.topic")
    look && publish "$topic" "$WORK/request" && rises joins_again
    look && publish dl1/join/0123456789abcdef "$WORK/request" && rises forged
    flipped "$WORK/request"
    look && publish "$topic" "$WORK/request.flipped" && rises forged
    look && head -c 30 "$WORK/request" >"$WORK/cut" && publish "$topic" "$WORK/cut" && rises malformed
    [ "$(dunlin status --json | jq .agents.total)" -eq 3 ] || fail "a replay made an agent"
    dunlin agent remove 3 >/dev/null
    look && publish "$topic" "$WORK/request" && rises joins_refused
    [ "$(dunlin status --json | jq .agents.total)" -eq 2 ] || fail "a replay brought a removed agent back"
    all_well
}

# What a broker kept of before is signed, and holds for nobody who knows better: neither when a forged head makes agents
# ask for it, nor when they are started again.
older()
{
    step "documents and heads of an older version, put back by the broker"
    mkdir "$WORK/before"
    grep -E 'head$|doc$|cohort/.*/[0-9]+$' "$WORK/topics" | while read -r topic; do
        payload "$topic" "$WORK/before/$(echo "$topic" | tr / _)"
    done
    rolls newer 1 2
    grep -E 'doc$' "$WORK/topics" | while read -r topic; do
        publish "$topic" "$WORK/before/$(echo "$topic" | tr / _)" -r
    done
    printf '\226\005\001\316\377\377\377\376\316\377\377\377\376\001\000' >"$WORK/far"
    on_heads far
    sleep 1
    all_well
    for file in "$WORK"/before/*; do publish "$(basename "$file" | tr _ /)" "$file" -r; done
    for n in 1 2; do kill_agent "$n" -TERM && start_agent "$n"; done
    remember
    within 20 online 2 || fail "the agents don't come back"
    all_well
    for n in 1 2; do agent_has "$n" app newer || fail "agent $n went back"; done
}

# on_heads NAME: instead of what is retained on all heads.
on_heads()
{
    grep -E 'head$|cohort/.*/[0-9]+$' "$WORK/topics" >"$WORK/heads"
    while read -r head; do publish "$head" "$WORK/$1" -r; done <"$WORK/heads"
}

# atlas_heads N: heads that promise the atlas of that number, and nothing else that is new.
atlas_heads()
{
    printf '\226\005\001\001\001\001%b' "\\0$(printf %o "$1")" >"$WORK/promise"
    on_heads promise
}

own_heads()
{
    while read -r head; do
        case $head in dl1/cohort/*) payload "$head" "$WORK/head.now" && ! cmp -s "$WORK/head.now" "$WORK/promise" || return 1 ;; esac
    done <"$WORK/heads"
}

# A head is a hint: it may cost a look, but no work. These are [5, 1, epoch, number, trust version, atlas].
forged_heads()
{
    step "forged heads: documents of any kind that don't exist"
    printf '\226\005\001\316\377\377\377\376\316\377\377\377\376\316\377\377\377\376\000' >"$WORK/far"
    on_heads far
    sleep 1
    rolls 2 1 2
    all_well
    atlas_heads 12
    sleep 1
    # Whoever looks for an atlas that nobody publishes hears the news with its next connection.
    deploys 3
    within 10 own_heads || fail "the manager's heads don't replace forged ones"
    for n in 1 2; do kill_agent "$n" -TERM && start_agent "$n"; done
    within 20 online 2 || fail "the agents don't come back"
    take 1 2
    for n in 1 2; do cp "$WORK/agent$n.pid" "$WORK/agent$n.first"; done
    all_well
}

# The list of brokers is signed: who sends a fleet elsewhere is the manager alone.
forged_atlases()
{
    step "forged atlases: random, altered, cut, and what the manager has signed for another purpose"
    for n in 1 2; do kill_agent "$n" -TERM && start_agent "$n"; done
    remember
    within 20 online 2 || fail "the agents don't come back"
    for n in 1 2; do brokers_of "$n" >"$WORK/brokers$n"; done
    payload dl1/atlas "$WORK/atlas"
    LC_ALL=C sed 's/\x95\x0f\x01\x01/\x95\x0f\x01\x70/; s/127\.0\.0\.1/127.0.0.9/' "$WORK/atlas" >"$WORK/atlas.newer"
    [ "$(cmp -l "$WORK/atlas" "$WORK/atlas.newer" | wc -l)" -eq 2 ] || fail "no newer list of other brokers was made"
    head -c 60 "$WORK/atlas" >"$WORK/atlas.cut"
    payload "$(grep -E '^dl1/cohort/.*/doc$' "$WORK/topics" | head -n 1)" "$WORK/atlas.document"
    promised=12
    for forged in some atlas.newer atlas.cut atlas.document; do
        refused=$(atlases_refused)
        promised=$((promised + 1))
        publish dl1/atlas "$WORK/$forged" -r
        atlas_heads $promised
        within 10 refused_since "$refused" || fail "nobody looks at $forged"
    done
    all_well
    for n in 1 2; do brokers_of "$n" | cmp -s - "$WORK/brokers$n" || fail "agent $n took a forged list of brokers"; done
    publish dl1/atlas "$WORK/atlas" -r
    rolls atlas 1 2
}

# brokers_of N: all that it knows, and the number of the list that names them.
brokers_of()
{
    dunlin-agent status --dir "$WORK/agent$1" --json | jq -c '[.atlas, .brokers]'
}

atlases_refused()
{
    cat "$WORK"/agent[12].log | grep -c 'message-refused topic=atlas' || true
}

refused_since()
{
    [ "$(atlases_refused)" -gt "$1" ]
}

# Nobody can make the manager believe that a broker has what it hasn't.
forged_marks()
{
    step "forged marks: the manager goes on publishing"
    payload dl1/cell/bulk "$WORK/bulk"
    payload dl1/cell/control "$WORK/control"
    printf '\221\316\177\377\377\377' >"$WORK/plain"
    { printf '\222\316\177\377\377\377\304\014' && head -c 12 "$WORK/some"; } >"$WORK/random-mac"
    { printf '\222\316\177\377\377\377' && tail -c 14 "$WORK/control"; } >"$WORK/other-serial"
    v=3
    for forged in plain random-mac other-serial swapped; do
        publish dl1/cell/control "$WORK/$([ $forged = swapped ] && echo bulk || echo $forged)" -r
        publish dl1/cell/bulk "$WORK/$([ $forged = swapped ] && echo control || echo $forged)" -r
        kill_manager -TERM
        # shellcheck disable=SC2119
        start_manager
        v=$((v + 1))
        rolls "$v" 1 2
        within 20 same_marks_as_ours || fail "the manager leaves a forged mark"
    done
    grep -q mark-refused "$WORK/manager.log" || fail "the manager does not tell of forged marks"
    remember
}

# Marks of ours have 12 bytes of MAC behind a serial, and it's none of the forged ones.
same_marks_as_ours()
{
    payload dl1/cell/bulk "$WORK/bulk.now"
    payload dl1/cell/control "$WORK/control.now"
    for forged in plain random-mac other-serial; do
        ! cmp -s "$WORK/bulk.now" "$WORK/$forged" && ! cmp -s "$WORK/control.now" "$WORK/$forged" || return 1
    done
}

# Erased or replaced, retained messages are lacked by whoever needs them next, and nobody runs anything else for it.
# The manager doesn't look at them; a broker that starts from nothing gets all anew.
erased()
{
    step "what is retained, erased and replaced"
    retained "dl1/#" | grep -vE '^dl1/cell/' >"$WORK/topics"
    i=0
    while read -r topic; do
        i=$((i + 1))
        if [ $((i % 3)) = 0 ]; then publish "$topic" "$WORK/some" -r; else erase "$topic"; fi
    done <"$WORK/topics"
    all_well
    kill_agent 1 -TERM
    start_agent 1
    within 20 online 2 || fail "agent 1 does not come back"
    agent_runs 1 app "$WORK/app" || fail "agent 1 lost what it ran"
    join_agent 4
    start_agent 4
    within 20 online 3 || fail "agent 4 is not online"

    step "the broker starts from nothing"
    kill -9 "$(broker_pids)"
    rm -f "$FLEET"/cells/0/mosquitto.db
    within 30 brokers 1 || fail "the broker is not started again"
    version=$(dunlin deployment show app --json | jq -r .version)
    within 40 agent_has 4 app "$version" || fail "agent 4 does not get what was erased: $(dunlin-agent status --dir "$WORK/agent4")"
    within 40 online 3 || fail "not all agents are back"
    rolls next 1 2 4
}

seed=7
# shellcheck disable=SC2119
start_manager
join_agent 1 env=a
join_agent 2 env=b
start_agent 1
start_agent 2
mkdir -p "$WORK/app"
rolls 1 1 2
within 20 online 2 || fail "not all agents are online"
id1=$(agent 1 .id) id2=$(agent 2 .id)
retained "dl1/#" >"$WORK/topics"
[ "$(wc -l <"$WORK/topics")" -gt 8 ] || fail "the broker retains only: $(cat "$WORK/topics")"
remember
garbage
older
replays
forged_heads
forged_atlases
forged_marks
erased
done_well
