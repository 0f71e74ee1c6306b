#!/bin/sh
# One source knocks at the join port without end: it is refused, and a device from elsewhere joins all the same. The
# door's broker dies and comes back, and another manager keeps the port that devices were told.
. "$(dirname "$0")/lib.sh"
need curl python3

# knock SOURCE COUNT: opens so many connections, holds what is let in until no more are closed, and says how many these
# were, and after how many seconds.
knock()
{
    python3 - "$1" "$2" "$port" "$WORK/knocking" <<'PY'
import os, select, socket, sys, time
source, count, port, sign = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
began = time.monotonic()
links = [socket.create_connection(("127.0.0.1", port), 5, (source, 0)) for _ in range(count)]
open(sign, "w").close()
closed = -1
while closed != (now := len(select.select(links, [], [], 0)[0])) or now == 0:
    closed = now
    time.sleep(2)
print(count - closed, int(time.monotonic() - began) + 1)
PY
}

joins()
{
    dunlin status --json | jq ".joins.$1"
}

step "one source knocks 400 times: it gets in as often as was said, and a device elsewhere joins meanwhile"
start_manager --join-rate 4
port=$(join_url | sed 's/.*://')
knock 127.0.0.3 400 >"$WORK/let-in" &
echo $! >"$WORK/knocker.pid"
within 20 test -f "$WORK/knocking" || fail "nobody knocks"
join_agent 1
wait "$(cat "$WORK/knocker.pid")" || fail "the knocker fails"
rm "$WORK/knocker.pid"
read -r let_in seconds <"$WORK/let-in"
[ "$let_in" -ge 40 ] || fail "a burst of 40 should be let in, but only $let_in were"
[ "$let_in" -le $((40 + 4 * seconds)) ] ||
    fail "after a burst of 40, 4 a second should be let in, but $let_in were within $seconds s"
[ "$(joins refused_by_source)" -ge $((400 - let_in)) ] || fail "the refused are not counted: $(dunlin status --json | jq .joins)"

curl -s --unix-socket "$FLEET/manager.sock" http://manager/metrics | grep -q '^dunlin_join_connections_total{result="refused_by_source"} [1-9]' ||
    fail "the refused are in no metric"

step "the door's broker dies, and devices join again soon"
kill -9 "$(door_pid)"
join_agent 2
[ -n "$(door_pid)" ] || fail "the door's broker is not started again"

step "the next manager keeps the port"
url=$(join_url)
kill_manager -9
# shellcheck disable=SC2119
start_manager
[ "$(join_url)" = "$url" ] || fail "the join port was $url and is now $(join_url)"
join_agent 3
done_well
