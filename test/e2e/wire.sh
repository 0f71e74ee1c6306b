#!/bin/sh
# Whoever stands between agents and brokers sees TLS and nothing else, and can do no more than delay:
# what is changed, cut off or held back comes to nothing.
. "$(dirname "$0")/lib.sh"
need python3

# Devices are told 127.0.0.2, where the meddler listens; the fleet itself is at 127.0.0.1.
between=127.0.0.2

# port_of cell|door
port_of()
{
    case $1 in cell) cell_port 0 ;; door) join_url | sed 's/.*://' ;; esac
}

# order NAME WORDS: what the meddler does to connections from now on; none: nothing.
order()
{
    name=$1
    shift
    echo "$*" >"$WORK/$name/orders"
}

# links_down: how often the agent has lost one so far.
links_down()
{
    grep -c link-down "$WORK/agent1.log" || true
}

more_links_down()
{
    [ "$(links_down)" -gt "$1" ]
}

step "a fleet on TLS, with a meddler in front of cell and door"
start_manager --advertise "$between"
for seen in cell door; do
    meddle "$seen" "$between:$(port_of "$seen")" "127.0.0.1:$(port_of "$seen")"
done
join_agent 1 env=secretword
start_agent 1
within 20 online 1 || fail "the agent does not come online"
make_app 1
release 1 env=secretword
within 30 app_is 1 1 || fail "version 1 does not arrive"

step "it saw TLS and nothing else"
for seen in cell door; do
    [ -s "$WORK/$seen/1.up" ] || fail "the meddler in front of the $seen saw nothing"
done
only_tls "$WORK"/cell/*.up "$WORK"/door/*.up "$WORK"/cell/*.down "$WORK"/door/*.down

step "with bits flipped under way, links break and nothing wrong arrives"
order cell flip 12
kill_agent 1 -9
broken=$(links_down)
start_agent 1
release 2 env=secretword
within 30 more_links_down "$broken" || fail "no link ever broke"
agent_runs 1 app "$WORK/app@1" || agent_runs 1 app "$WORK/app@2" || fail "half a version runs"
order cell
within 60 app_is 2 1 || fail "version 2 does not arrive when the meddler is gone"

step "links that end after half a megabyte still get two megabytes across, chunk by chunk"
order cell cut 500000
kill_agent 1 -9
start_agent 1
echo something new | cat - "$WORK/content" >"$WORK/content.new" && mv "$WORK/content.new" "$WORK/content"
head -c 2000000 /dev/urandom >>"$WORK/content"
release 3 env=secretword
within 90 agent_runs 1 app "$WORK/app@3" || fail "version 3 does not arrive in pieces"
order cell
within 30 app_is 3 1 || fail "nobody hears of version 3"

step "a link that takes everything and gives nothing is given up"
order cell hold
kill_agent 1 -9
start_agent 1
within 40 grep -qE 'link-down.*(answer|time|stall)' "$WORK/agent1.log" || fail "the agent waits for ever"
order cell
within 40 online 1 || fail "the agent does not come back"

step "what passed in all that was TLS"
only_tls "$WORK"/cell/*.up "$WORK"/door/*.up "$WORK"/cell/*.down "$WORK"/door/*.down
done_well
