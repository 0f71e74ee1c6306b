#!/bin/sh
# Disks that are full, of an agent and of the manager: both say so and go on with what needs no room; nothing that was
# acknowledged is lost, nothing half remains, and once there is room again everything comes to its end.
if ! mount_works=$(unshare -m true 2>&1) && [ -z "${DISK_FULL_INSIDE:-}" ]; then
    if ! unshare -Urm true 2>/dev/null; then
        echo "skipped: no small disk can be mounted here: $mount_works"
        exit 77
    fi
    DISK_FULL_INSIDE=yes exec unshare -Urm "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
need mount umount

# small_disk FOLDER SIZE: a disk of its own, which leave unmounts.
small_disk()
{
    mkdir "$1"
    mount -t tmpfs -o "size=$2,mode=700" tmpfs "$1" || fail "no disk can be mounted"
    disks="$disks $1"
}

full="disk is full|No space left|make room"

# fill FOLDER [KIB]: leaves so much room there.
fill()
{
    cat /dev/zero >"$1/fill" 2>/dev/null || true
    truncate -s "-${2:-0}K" "$1/fill"
}

empty()
{
    rm "$1/fill"
}

# random_app KIB: $WORK/app has that much that nobody has seen yet.
random_app()
{
    mkdir -p "$WORK/app"
    head -c "$(($1 * 1024))" /dev/urandom >"$WORK/app/data"
}

push()
{
    dunlin bundle push "$WORK/$1" --name "$1" --version "$2"
}

deploys()
{
    push "$1" "$2" >/dev/null 2>&1 || fail "$1@$2 can't be pushed"
    dunlin deploy "$1@$2" --all >/dev/null || fail "$1@$2 can't be deployed"
}

# takes N NAME V SECONDS
takes()
{
    within "$4" agent_has "$1" "$2" "$3" ||
        fail "agent $1 does not take $2@$3: $(dunlin-agent status --dir "$WORK/agent$1")"
    agent_runs "$1" "$2" "$WORK/$2" || fail "agent $1 runs something else than $2@$3"
}

# tells N NAME WORDS: by the manager's word, why it is not ready.
tells()
{
    agent "$1" ".deployments[] | select(.name == \"$2\") | .cause" | grep -q "$3"
}

picture()
{
    dunlin status --json | jq -S 'del(.counters, .cells, .joins)'
    dunlin agent list --json | jq -S '.agents[] | del(.last_seen)'
    for what in bundle deployment token variable; do dunlin $what list --json; done | jq -S .
}

unchanged()
{
    picture >"$WORK/picture.now"
    diff "$WORK/picture" "$WORK/picture.now" >&2 || fail "$* changed something"
}

# why_says AGENT DEPLOYMENT WORDS
why_says()
{
    dunlin why "$1" "$2" >"$WORK/why.out" && grep -qE "$3" "$WORK/why.out"
}

agent_disk()
{
    step "an agent's disk is full: it says so, keeps running what it has, and takes the rest later"
    fill "$WORK/agent1" 700
    random_app 3000
    deploys app 2
    within 30 tells 1 app "disk is full" || fail "agent 1 does not tell why: $(dunlin-agent status --dir "$WORK/agent1")"
    within 20 why_says 1 app "2 MiB are needed, and of 0 MiB free" || fail "why says: $(dunlin why 1 app)"
    online 1 || fail "agent 1 is offline because of its disk"
    [ "$(cat "$WORK/agent1/deployments/app/current/version")" = 1 ] || fail "agent 1 lost what it ran"
    agent_has 1 tiny 1 || fail "another deployment suffers"
    dunlin-agent status --dir "$WORK/agent1" | grep -qE "app .*1 .*" || fail "its status does not show the version that runs"
    sleep 32
    [ "$(grep -c " fetch-failed " "$WORK/agent1.log")" -eq 1 ] || fail "its log says so with each try: $(grep -c " fetch-failed " "$WORK/agent1.log")"
    empty "$WORK/agent1"
    takes 1 app 2 70

    step "the same, and it is stopped and started in the meantime"
    fill "$WORK/agent1"
    random_app 2000
    deploys app 3
    echo 2 >"$WORK/tiny/version"
    sleep 3
    kill_agent 1 -9
    start_agent 1
    within 20 online 1 || fail "agent 1 does not start on a full disk"
    deploys tiny 2
    sleep 3
    cmp -s "$WORK/agent1/deployments/tiny/current/version" "$WORK/tiny.version" || fail "agent 1 lost what it ran"
    empty "$WORK/agent1"
    takes 1 app 3 70
    takes 1 tiny 2 70

    step "a device whose disk is full does not join, and says why"
    small_disk "$WORK/agent9" 64k
    fill "$WORK/agent9"
    token=$(dunlin token create)
    wrong 1 "disk is full|No space left" dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent9" --timeout 5
    empty "$WORK/agent9"
}

# The database has a little room of its own: until that is used up, small things still succeed, for good.
use_up()
{
    for i in $(seq 500); do
        dunlin token create --label "a$i=$(printf %060d "$i")" >/dev/null 2>&1 || return 0
    done
    fail "the database of a full disk takes everything"
}

manager_push()
{
    step "the manager's disk is full while an operator works"
    picture >"$WORK/picture"
    random_app 3000
    for room in 1000 0; do
        fill "$FLEET" $room
        wrong 1 "$full" push app 4
        unchanged "a push to a full disk"
        [ $room = 0 ] || empty "$FLEET"
    done
    use_up
    picture >"$WORK/picture"
    wrong 1 "$full" dunlin token create
    wrong 1 "$full" dunlin agent label 1 a=b
    wrong 1 "$full" dunlin deploy app@1 --as other --all
    for flag in --agent=1 --at-once; do wrong 1 "$full" dunlin variable set port=80 $flag; done
    wrong 1 "$full" dunlin deployment pause app
    wrong 1 "$full" dunlin deployment rollback app
    wrong 1 "$full" dunlin deployment remove tiny
    wrong 1 "$full" dunlin agent remove 1
    unchanged "a full disk"
}

manager_join()
{
    step "the manager's disk is full while a device joins: it gets in when there is room"
    empty "$FLEET"
    token=$(dunlin token create)
    fill "$FLEET"
    use_up
    picture >"$WORK/picture"
    dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent2" --timeout 240 >>"$WORK/agent2.log" 2>&1 &
    joining=$!
    sleep 4
    kill -0 "$joining" || fail "the device gave up"
    unchanged "a join on a full disk"
    # What agents report meanwhile is heard later.
    kill_agent 1 -TERM
    start_agent 1
    sleep 2
    empty "$FLEET"
    wait "$joining" || fail "the device does not get in: $(cat "$WORK/agent2.log")"
    [ "$(dunlin status --json | jq .agents.total)" -eq 2 ] || fail "there are not two agents"
    start_agent 2
    within 30 online 2 || fail "not both agents are online"
    push app 4 >/dev/null 2>&1 || fail "app@4 can't be pushed when there is room"
    dunlin deploy app@4 --all >/dev/null
    takes 1 app 4 60
    takes 2 app 4 60
}

works_or_has_ended()
{
    dunlin status || ! kill -0 "$(cat "$WORK/manager.pid")"
}

manager_restart()
{
    step "the manager is killed and started on a full disk: nothing acknowledged is lost"
    fill "$FLEET"
    use_up
    picture >"$WORK/picture"
    for signal in -9 -TERM; do
        kill_manager $signal
        run_manager --heartbeat 10s
        within 20 works_or_has_ended || fail "the manager neither works nor ends"
        if ! kill -0 "$(cat "$WORK/manager.pid")" 2>/dev/null; then
            tail -n 1 "$WORK/manager.log" | grep -qE "$full" ||
                fail "the manager does not say why it doesn't start: $(tail -n 1 "$WORK/manager.log")"
        fi
    done
    kill_manager -9
    empty "$FLEET"
    start_manager --heartbeat 10s
    within 30 online 2 || fail "not both agents are back"
    unchanged "a restart on a full disk"
    random_app 500
    deploys app 5
    takes 1 app 5 60
    takes 2 app 5 60
}

small_disk "$FLEET" 40m
small_disk "$WORK/agent1" 14m
mkdir "$WORK/tiny"
echo 1 >"$WORK/tiny/version"
cp "$WORK/tiny/version" "$WORK/tiny.version"
random_app 1000
echo 1 >"$WORK/app/version"
start_manager --heartbeat 10s
join_agent 1
start_agent 1
deploys tiny 1
deploys app 1
takes 1 tiny 1 20
takes 1 app 1 20
agent_disk
manager_push
manager_join
manager_restart
done_well
