#!/bin/sh
# What one agent costs a device: memory, processor time, bytes on the wire (TLS and MQTT, without TCP's and IP's own)
# and bytes written to flash, while it is idle, for a deployment, and for coming back to its broker. The floor is a
# bare MQTT client, Mosquitto's own, with as many subscriptions on the same broker at the same time. The last line is
# one JSON document. It takes an hour, and four minutes more.
# usage: agent.sh [--minutes M] [--deployments N] [--agent FILE]
#   --minutes M       be idle for so long (60); an hour's and a day's figures are then multiples of it
#   --deployments N   the mean of so many (10)
#   --agent FILE      this program, as one that cross/build.sh has made, in the place of the release preset's
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"
need mosquitto_sub sqlite3 xxd

# Until heads have come and the first heartbeat has not.
SETTLED_S=4
KIB=64
# As many as one reservation of their numbers is for; a day has 96.
HEARTBEATS=128
minutes=60 deployments=10 agent=

main()
{
    take_options "minutes deployments agent" "$@"
    [ -z "$agent" ] || use_agent "$agent"
    step "one agent that runs a small version, and a bare client beside it, behind a proxy that counts"
    start_fleet
    start_bare
    memory_rows

    step "a first connection: a full handshake"
    kill_agent 1 -TERM
    start_agent 1
    sleep $SETTLED_S
    row "first connection over mutual TLS" "$(bytes_of cell "$(newest cell)")" bytes "$bare_first"

    step "the link is lost and comes back: a handshake that resumes"
    kill_process bare -KILL
    lose_link
    row "reconnect without news over mutual TLS" "$(bytes_of cell 1)" bytes

    step "$minutes minutes of nothing"
    start_bare
    be_idle

    step "$deployments deployments of $KIB KiB each"
    deploy_each

    step "$HEARTBEATS heartbeats, one a second instead of each quarter of an hour"
    beat

    step "the same link without TLS, to count MQTT's own bytes"
    stop_fleet
    links=--plain FLEET=$WORK/plain
    export DUNLIN_DIR="$FLEET"
    start_fleet
    start_bare
    kill_process bare -KILL
    lose_link
    row "reconnect without news, MQTT alone" "$(bytes_of cell 1)" bytes "$bare_first"
    publish "{agent_bytes: $(stat -Lc %s "$(command -v dunlin-agent)"), minutes: $minutes, deployments: $deployments, extrapolated: ($minutes != 60)}"
}

use_agent() # FILE
{
    mkdir "$WORK/bin"
    ln -s "$(realpath "$1")" "$WORK/bin/dunlin-agent"
    PATH=$WORK/bin:$PATH
}

# ---- the fleet ----

start_fleet()
{
    rm -rf "$WORK/agent1" "$WORK"/app@*
    start_manager --advertise "$between"
    counted cell "$(cell_port 0)"
    url=$(join_url)
    counted door "${url##*:}"
    join_agent 1 env=lab
    start_agent 1
    new_version 1
    release 1 env=lab
    within 30 app_is 1 1 || fail "the version does not arrive"
    sleep $SETTLED_S
}

stop_fleet()
{
    for name in bare agent1 door cell; do kill_process "$name" -TERM; done
    kill_manager -TERM
}

# new_version V: all of its content is new.
new_version()
{
    rm -f "$WORK/content"
    make_app "$1" $KIB
}

# A bare client with two subscriptions, as an agent has; $bare_first is what its connection costs.
start_bare()
{
    how="-p $(cell_port 0)"
    [ -n "$links" ] || { certify bare "$(head -c 16 /dev/urandom | xxd -p)" && how=$(as bare | sed 's/-h [^ ]* //'); }
    # shellcheck disable=SC2086
    mosquitto_sub -h "$between" $how -i bare -k 240 -q 1 -t dl1/cohort/bare/0 -t dl1/agent/bare >/dev/null 2>&1 &
    echo $! >"$WORK/bare.pid"
    sleep $SETTLED_S
    bare_first=$(bytes_of cell "$(newest cell)")
}

# The proxy dies with all that it carries; behind the next one the agent's is the first connection.
lose_link()
{
    counted cell "$(cell_port 0)"
    within 30 test -s "$WORK/cell/1.up" || fail "the agent does not come back"
    sleep $SETTLED_S
}

# ---- what it takes ----

memory_rows()
{
    row "memory, idle, PSS" "$(mib agent1 Pss)" MiB "$(mib bare Pss)" 32.8 KubeFleet 266 Karmada 14.8 "Greengrass lite"
    row "memory of its own, idle" "$(mib agent1 Private_Dirty)" MiB "$(mib bare Private_Dirty)"
    row "resident, libraries that others share included" "$(mib agent1 Rss)" MiB "$(mib bare Rss)"
}

mib()
{
    jq -n "$(memory "$1" "$2") / 1024"
}

be_idle()
{
    look >"$WORK/before"
    bare_ms=$(own_ms bare) bare_wire=$(bytes_of cell "$(newest cell)")
    sleep $((minutes * 60))
    bare_ms=$(($(own_ms bare) - bare_ms)) bare_wire=$(($(bytes_of cell "$(newest cell)") - bare_wire))
    look >"$WORK/after"
    kill_process bare -KILL
    hour=
    [ "$minutes" -eq 60 ] || hour=" ($minutes minutes of it, multiplied)"
    row "processor, idle" "$(took own_ms) / ($minutes * 60)" millicores "$bare_ms / ($minutes * 60)" 2.4 KubeFleet 40 Karmada
    row "bytes on the wire in an idle hour$hour" "$(took wire) * 60 / $minutes" bytes "$bare_wire * 60 / $minutes"
}

beat()
{
    kill_manager -TERM
    start_manager --advertise "$between" --heartbeat 1s
    within 30 beats_each_second || fail "no heartbeat a second"
    look >"$WORK/before"
    sleep $HEARTBEATS
    look >"$WORK/after"
    row "written to flash in a day of heartbeats" "$(took written) * 96 / $HEARTBEATS / 1024" KiB
    row "commits to its database in a day of heartbeats" "$(took commits) * 96 / $HEARTBEATS" ""
}

beats_each_second()
{
    heard=$(dunlin status --json | jq .counters.statuses)
    sleep 4
    [ "$(dunlin status --json | jq .counters.statuses)" -ge $((heard + 3)) ]
}

# The floor of a deployment: its content as it is sent, packed.
deploy_each()
{
    content=0
    for v in $(seq 2 $((deployments + 1))); do
        new_version "$v"
        content=$((content + $(dunlin bundle push "$WORK/app@$v" --name app --version "$v" --json 2>/dev/null | jq .sent_bytes)))
    done
    look >"$WORK/before"
    for v in $(seq 2 $((deployments + 1))); do
        dunlin deploy "app@$v" --as app --select env=lab >/dev/null || fail "version $v is not deployed"
        within 60 app_is "$v" 1 || fail "version $v does not arrive"
    done
    look >"$WORK/after"
    row "bytes on the wire for a deployment of $KIB KiB" "$(took wire) / $deployments" bytes "$content / $deployments"
    row "processor for a deployment" "$(took own_ms) / $deployments" ms
    row "the same of its hooks" "$(took hooks_ms) / $deployments" ms
    row "written to flash for a deployment of $KIB KiB" "$(took written) / $deployments / 1024" KiB "$KIB"
    row "commits to its database for a deployment" "$(took commits) / $deployments" ""
    row "memory after $deployments deployments, at most" "$(mib agent1 VmHWM)" MiB
}

# took WHAT: between the last two looks.
took()
{
    jq -n "$(awk -v what="$1" '$1 == what { print $2 }' "$WORK/after") - $(awk -v what="$1" '$1 == what { print $2 }' "$WORK/before")"
}

look()
{
    pid=$(cat "$WORK/agent1.pid")
    echo "own_ms $(own_ms agent1)"
    echo "hooks_ms $(awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($14 + $15) * 1000 / hz }' "/proc/$pid/stat")"
    echo "wire $(cat "$WORK"/cell/1.up "$WORK"/cell/1.down | wc -c)"
    echo "written $(awk '$1 == "write_bytes:" { print $2 }' "/proc/$pid/io")"
    # Offset 24 of the file: the file change counter (https://www.sqlite.org/fileformat.html).
    echo "commits $((0x$(xxd -s 24 -l 4 -p "$WORK/agent1/agent.db")))"
}

# own_ms NAME: processor time of the process alone, finer than its ticks.
own_ms()
{
    cat "/proc/$(cat "$WORK/$1.pid")"/task/*/schedstat | awk '{ sum += $1 } END { printf "%d", sum / 1e6 }'
}

main "$@"
