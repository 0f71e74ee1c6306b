#!/bin/sh
# Without TLS, on loopback only: it works as with TLS, and says loudly what it is.
. "$(dirname "$0")/lib.sh"
need mosquitto_pub

step "a plain manager says so, in its log and in status"
links=--plain
# shellcheck disable=SC2119
start_manager
grep -q 'warn links-are-plain' "$WORK/manager.log" || fail "the log does not warn"
dunlin status | grep -q 'links.*plain' || fail "status does not warn: $(dunlin status)"
[ "$(dunlin status --json | jq .plain)" = true ] || fail "status has no word of it for programs"
case $(join_url) in mqtt://127.0.0.1:*) ;; *) fail "devices join at $(join_url)" ;; esac

step "an agent joins and follows"
join_agent 1 env=a
start_agent 1
release 1 env=a
within 40 app_is 1 1 || fail "version 1 does not come"
mosquitto_pub -h 127.0.0.1 -p "$(cell_port 0)" -q 1 -t x -m "anybody may say anything here"

step "an agent that is revoked is out all the same"
dunlin agent revoke 1 >/dev/null
within 10 grep -q agent-kicked "$WORK/manager.log" || fail "the agent is not kicked"
within 10 online 0 || fail "the agent is still online"

step "it warns with each start, and the same fleet without the flag has TLS again"
kill_manager -TERM
# shellcheck disable=SC2119
start_manager
[ "$(grep -c 'warn links-are-plain' "$WORK/manager.log")" -eq 2 ] || fail "the second start does not warn"
kill_manager -TERM
links=
# shellcheck disable=SC2119
start_manager
[ "$(dunlin status --json | jq .plain)" = false ] || fail "it is plain still"
! timeout 10 mosquitto_pub -h 127.0.0.1 -p "$(cell_port 0)" -q 1 -t x -m x 2>/dev/null || fail "the port speaks plain MQTT"
done_well
