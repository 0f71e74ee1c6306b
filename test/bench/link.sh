#!/bin/sh
# What one idle agent costs over mutual TLS: bytes on the wire of its first connection and of one
# that resumes (TLS and MQTT, without TCP's and IP's own), memory, and processor time. The last line
# is one JSON document. It takes about a minute and a half, with the programs of the release preset.
# usage: link.sh
# shellcheck disable=SC2119
. "$(dirname "$0")/lib.sh"

IDLE_S=${IDLE_S:-60}
# Until heads have come and the first heartbeat has not.
SETTLED_S=4
between=127.0.0.2

main()
{
    step "one agent that runs a small version, behind a proxy that counts"
    start_manager --advertise "$between"
    cell=$(dunlin status --json | jq -r '.cells[0].url')
    start_proxy cell "${cell##*:}"
    url=$(join_url)
    start_proxy door "${url##*:}"
    join_agent 1
    start_agent 1
    make_app 1
    push_app 1 >/dev/null
    dunlin deploy app@1 --all >/dev/null
    within 30 app_is 1 1 || fail "the version does not arrive"

    step "a first connection: a full handshake"
    kill_agent 1 -TERM
    start_agent 1
    sleep $SETTLED_S
    first=$(bytes_of "$(newest)")

    step "the link is lost and comes back: a handshake that resumes"
    kill_process cell -KILL
    start_proxy cell "${cell##*:}"
    within 20 test -s "$WORK/cell/1.up" || fail "the agent does not come back"
    sleep $SETTLED_S
    resumed=$(bytes_of 1)

    step "$IDLE_S seconds of nothing"
    pid=$(cat "$WORK/agent1.pid")
    ticks=$(ticks_of "$pid")
    sleep "$IDLE_S"
    ticks=$(($(ticks_of "$pid") - ticks))
    jq -cn "{first_bytes: $first, resumed_bytes: $resumed, idle_s: $IDLE_S, cpu_ms: $((ticks * 1000 / $(getconf CLK_TCK))),
        pss_kib: $(memory_of "$pid" Pss), rss_kib: $(memory_of "$pid" Rss), private_kib: $(memory_of "$pid" Private_Dirty)}"
    done_well
}

start_proxy()
{
    rm -rf "${WORK:?}/$1"
    "$ROOT/test/e2e/meddler.py" "$between:$2" "127.0.0.1:$2" "$WORK/$1" >>"$WORK/$1.log" 2>&1 &
    echo $! >"$WORK/$1.pid"
    within 10 test -d "$WORK/$1" || fail "the proxy does not start"
}

newest()
{
    find "$WORK/cell" -name '*.up' -printf '%f\n' | sort -n | tail -n 1 | cut -d . -f 1
}

# Both ways, of the connection with this number.
bytes_of()
{
    cat "$WORK/cell/$1.up" "$WORK/cell/$1.down" | wc -c
}

# User and system time.
ticks_of()
{
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}

memory_of()
{
    awk -v what="$2:" '$1 == what { print $2 }' "/proc/$1/smaps_rollup"
}

main
