#!/bin/sh
# Files that were overwritten, cut off, emptied or lost, on the agent and on the manager: each is noticed and told of in
# one clear line, what can be had again is had again, and nobody runs or serves wrong bytes.
. "$(dirname "$0")/lib.sh"
need sqlite3

# scribble FILE FROM COUNT: overwrites so many bytes.
scribble()
{
    head -c "$3" /dev/urandom | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

size()
{
    stat -c %s "$1"
}

# each_damage FILE COMMAND...: the command is told that the file is damaged, whichever way; then it is whole again.
each_damage()
{
    file=$1
    shift
    cp "$file" "$WORK/whole"
    half=$(($(size "$file") / 2))
    for way in header middle cut; do
        case $way in
        header) scribble "$file" 0 100 ;;
        middle) scribble "$file" 1024 $((half * 2 - 2048)) ;;
        cut) truncate -s $((half + 100)) "$file" ;;
        esac
        wrong 1 "$file.*damaged" "$@"
        cp "$WORK/whole" "$file"
    done
}

# damage_chunks FOLDER: all of them, each in another way.
damage_chunks()
{
    i=0
    find "$1" -type f -path '*/??/*' | sort >"$WORK/chunks"
    [ -s "$WORK/chunks" ] || fail "$1 has no chunks"
    while read -r chunk; do
        i=$((i + 1))
        case $((i % 5)) in
        0) rm "$chunk" ;;
        1) scribble "$chunk" $(($(size "$chunk") / 2)) 1 ;;
        2) truncate -s $(($(size "$chunk") - 1)) "$chunk" ;;
        3) truncate -s 0 "$chunk" ;;
        4) head -c 300000 /dev/urandom >"$chunk" ;;
        esac
    done <"$WORK/chunks"
}

says()
{
    within 20 grep -qE "$2" "$WORK/$1.log" || fail "$1 does not say: $2"
}

# deploys V: a new version, most of it as before, for everybody.
deploys()
{
    echo "$1" >"$WORK/app/version"
    dunlin bundle push "$WORK/app" --name app --version "$1" >/dev/null 2>&1 || fail "app@$1 can't be pushed"
    dunlin deploy "app@$1" --all >/dev/null || fail "app@$1 can't be deployed"
}

# takes N V SECONDS: in that time the agent runs that version.
takes()
{
    within "$3" agent_has "$1" app "$2" ||
        fail "agent $1 does not take version $2: $(dunlin-agent status --dir "$WORK/agent$1")"
    agent_runs "$1" app "$WORK/app" || fail "agent $1 runs something else than version $2"
}

agent_database()
{
    step "an agent's database"
    kill_agent 1 -TERM
    db=$WORK/agent1/agent.db
    each_damage "$db" timeout 60 dunlin-agent run --dir "$WORK/agent1"
    each_damage "$db" dunlin-agent status --dir "$WORK/agent1"
    each_damage "$db" dunlin-agent join "$(join_url)" "$(dunlin token create)" --dir "$WORK/agent1" --timeout 5
    cp "$db" "$WORK/whole"
    head -c 6000 /dev/urandom >"$db"
    wrong 1 "$db.*damaged" timeout 60 dunlin-agent run --dir "$WORK/agent1"
    : >"$db"
    wrong 1 "has not joined a fleet" timeout 60 dunlin-agent run --dir "$WORK/agent1"
    cp "$WORK/whole" "$db"
    sqlite3 "$db" "PRAGMA user_version=99"
    wrong 1 "$db was written by a newer dunlin-agent" timeout 60 dunlin-agent run --dir "$WORK/agent1"
    cp "$WORK/whole" "$db"
    sqlite3 "$db" "DELETE FROM meta WHERE key=7"
    wrong 1 "$db.*damaged" timeout 60 dunlin-agent run --dir "$WORK/agent1"
    cp "$WORK/whole" "$db"
    [ "$(readlink "$WORK/agent1/deployments/app/current")" = "$current" ] || fail "a damaged database changed what runs"
    start_agent 1
    takes 1 1 20
}

agent_content()
{
    step "an agent's chunks: what is damaged is fetched again"
    kill_agent 1 -TERM
    damage_chunks "$WORK/agent1/chunks"
    deploys 2
    start_agent 1
    takes 1 2 60
    kill_agent 1 -TERM
    rm -r "$WORK/agent1/chunks"
    deploys 3
    start_agent 1
    takes 1 3 60

    step "an agent's trees and links: what is lost is made again"
    rm "$WORK/agent1/deployments/app/current"
    kill_agent 1 -9
    start_agent 1
    says agent1 "warn current-missing name=app .*it is back"
    takes 1 3 20
    kill_agent 1 -TERM
    rm -r "$WORK"/agent1/bundles/*
    start_agent 1
    says agent1 "warn tree-missing name=app"
    within 60 agent_runs 1 app "$WORK/app" || fail "a lost tree is not made again"
    takes 1 3 20
    kill_agent 1 -TERM
    rm -r "$WORK/agent1/deployments" "$WORK/agent1/bundles" "$WORK/agent1/chunks"
    start_agent 1
    within 60 agent_runs 1 app "$WORK/app" || fail "lost folders are not made again"
    takes 1 3 20
}

# What ran before is unpacked again from its chunks, though the manager wants the version that failed here.
agent_gone_back()
{
    step "an agent's tree, where a version has failed: what it went back to is made again"
    cp -r "$WORK/app" "$WORK/before"
    mkdir -p "$WORK/app/hooks"
    printf '#!/bin/sh\nexit 1\n' >"$WORK/app/hooks/apply"
    chmod +x "$WORK/app/hooks/apply"
    deploys bad
    within 60 says_rolled_back ||
        fail "a version that fails is not taken back: $(dunlin-agent status --dir "$WORK/agent1")"
    kill_agent 1 -TERM
    rm -r "$WORK"/agent1/bundles/*
    : >"$WORK/agent1.log"
    start_agent 1
    says agent1 "warn tree-missing name=app"
    within 20 agent_runs 1 app "$WORK/before" || fail "the tree that it went back to is not made again"
    within 20 says_rolled_back || fail "it does not say that it went back"
    rm -r "$WORK/app/hooks"
    deploys good
    takes 1 good 60
}

says_rolled_back()
{
    dunlin-agent status --dir "$WORK/agent1" | grep -q RolledBack
}

manager_database()
{
    step "the manager's database"
    kill_manager -TERM
    db=$FLEET/manager.db
    each_damage "$db" timeout 60 dunlin-manager run --dir "$FLEET"
    cp "$db" "$WORK/whole"
    page=$(sqlite3 "$db" "SELECT pageno FROM dbstat WHERE name='control' AND pagetype='leaf' LIMIT 1")
    scribble "$db" $(((page - 1) * $(sqlite3 "$db" "PRAGMA page_size"))) 1000
    wrong 1 "$db.*damaged" timeout 60 dunlin-manager run --dir "$FLEET"
    cp "$WORK/whole" "$db"
    sqlite3 "$db" "PRAGMA user_version=99"
    wrong 1 "$db has schema version 99 and this manager knows version" timeout 60 dunlin-manager run --dir "$FLEET"
    cp "$WORK/whole" "$db"
    sqlite3 "$db" "PRAGMA application_id=7"
    wrong 1 "$db is a SQLite database, but no manager's" timeout 60 dunlin-manager run --dir "$FLEET"
    cp "$WORK/whole" "$db"
    sqlite3 "$db" "UPDATE deployment SET selector='env in'"
    wrong 1 "$db.*deployments.*damaged" timeout 60 dunlin-manager run --dir "$FLEET"
    cp "$WORK/whole" "$db"
    head -c 6000 /dev/urandom >"$db"
    wrong 1 "$db.*damaged" timeout 60 dunlin-manager run --dir "$FLEET"
    # Without its database a fleet is lost; a new one must not take its place in silence.
    : >"$db"
    wrong 1 "$db is missing or empty, but a fleet was here" timeout 60 dunlin-manager run --dir "$FLEET"
    rm "$db"
    wrong 1 "$db is missing or empty, but a fleet was here" timeout 60 dunlin-manager run --dir "$FLEET"
    [ ! -s "$db" ] || fail "a new fleet was made over a lost one"
    cp "$WORK/whole" "$db"
    chmod 600 "$db"
    no_brokers_but_ours
    start_manager --heartbeat 10s
    within 20 online 1 || fail "agent 1 does not come back"
    deploys 4
    takes 1 4 30
}

no_brokers_but_ours()
{
    [ "$(broker_pids | wc -l)" -le 1 ] || fail "brokers were left: $(broker_pids)"
}

# from_nothing: the broker loses its memory, so the manager publishes everything anew.
from_nothing()
{
    kill -9 "$(broker_pids)"
    rm -f "$FLEET"/cells/0/mosquitto.db
    within 30 brokers 1 || fail "the broker is not started again"
}

manager_content()
{
    step "the manager's chunks: damaged ones are told of, never published, and back with the next push"
    kill_manager -TERM
    damage_chunks "$FLEET/chunks"
    start_manager --heartbeat 10s
    from_nothing
    says manager "error chunk-lost .*(damaged|No such file)"
    join_agent 2
    start_agent 2
    within 20 online 2 || fail "agent 2 is not online"
    sleep 2
    ! agent_has 2 app 4 || fail "agent 2 has what nobody can have given it"
    dunlin bundle push "$WORK/app" --name app --version 4 >/dev/null 2>&1 || fail "app@4 can't be pushed again"
    takes 2 4 60
    deploys 5
    takes 1 5 60
    takes 2 5 60

    step "the manager's other files"
    kill_manager -TERM
    rm -r "$FLEET/chunks"
    echo rubbish >"$FLEET/manager.lock"
    rm -f "$FLEET/manager.sock"
    echo rubbish >"$FLEET/manager.sock"
    head -c 5000 /dev/urandom >"$FLEET/cells/0/mosquitto.db"
    head -c 500 /dev/urandom >"$FLEET/cells/0/mosquitto.conf"
    start_manager --heartbeat 10s
    within 20 online 2 || fail "agents don't come back to a broker whose memory was damaged"
    deploys 6
    takes 1 6 60
    takes 2 6 60
    scribble "$FLEET/publisher.key" 0 10
    wrong 1 "publisher.key" dunlin bundle push "$WORK/app" --name app --version 7
    truncate -s 0 "$FLEET/publisher.key"
    wrong 1 "publisher.key" dunlin bundle push "$WORK/app" --name app --version 7
}

start_manager --heartbeat 10s
mkdir "$WORK/app"
for i in 1 2 3 4 5 6; do head -c 400000 /dev/urandom >"$WORK/app/data$i"; done
join_agent 1
start_agent 1
deploys 1
takes 1 1 30
current=$(readlink "$WORK/agent1/deployments/app/current")
agent_database
agent_content
agent_gone_back
manager_database
manager_content
done_well
