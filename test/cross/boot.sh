#!/bin/sh
# Usage: boot.sh TARGET [--memory MIB] [--record FILE]. A device as an operator has one: an image, provisioned with a
# token, booted by an emulator, that joins over mutual TLS and takes a version and its successor, without knowing what
# time it is; what of its agent is in memory then is kept for cross/sizes.sh, unless --memory names another size than
# boards have here, or resident.sh measures machines of this kind.
# shellcheck disable=SC2015,SC2016 # tests that must hold, and what others are to expand
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=machine.sh
. "$(dirname "$0")/machine.sh"

record=
usual=$memory
choose_board "${1:-aarch64}"
[ $# -eq 0 ] || shift
take_options "memory record" "$@"
kept=$built
{ [ "$memory" = "$usual" ] && [ "$target" != "$(uname -m)" ]; } || kept=$WORK

# What a person would have typed and seen; the test's own paths are left out.
show()
{
    printf '$ %s\n' "$1" >>"$WORK/session"
    sed "s,$WORK/*,,g; s,$ROOT/,,g" >>"$WORK/session"
}

at_rest()
{
    [ -n "$(in_memory "$lines")" ]
}

# make_version V: its health hook writes down what it finds there.
make_version()
{
    make_app "$1"
    make_hook "$WORK/app@$1" health 'sed -n "s/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$PPID/status" >"$DUNLIN_DATA/resident"
sed -n "s/^MemTotal:[^0-9]*\([0-9]*\) kB/\1/p" /proc/meminfo >"$DUNLIN_DATA/total"
date +%Y >"$DUNLIN_DATA/year"
sync
cd "$DUNLIN_CURRENT" && sha256sum -s -c sums'
}

start_manager --advertise 10.0.2.2
step "an image gets host and token"
provision env=test
conf | sed 's/^token=.*/token=…/' |
    show "cross/provision.sh dunlin.img --host $(join_url) --count 1 -- --label env=test; mtype -i device-0001.img@@1M ::dunlin.conf"
[ "$target" = x86_64 ] || on_fat config.txt | grep -qx "arm_64bit=$([ "$target" = aarch64 ] && echo 1 || echo 0)" ||
    fail "config.txt is for another processor"
watch
# A person has given it another name; other tests leave it as it is.
mlabel -i "$WORK/device-0001.img@@1M" ::"MY CARD" || fail "its FAT partition has no other label"

step "a device that can't use its data partition keeps its token; its network card comes late"
descriptors save
descriptors break
told=late-network
power_on
patiently 240 console_says 'without its data partition' || fail "it does not say so: $(tail -n 20 "$WORK/console")"
patiently 60 console_says 'lease of .* obtained' || fail "it has no network: $(tail -n 20 "$WORK/console")"
console_says 'network card comes' || fail "its network card has been there all the time"
power_off
conf | grep -q 'dlt1-' || fail "the token is gone"
[ "$(dunlin agent list --json | jq '.agents | length')" -eq 0 ] || fail "it has joined: $(dunlin agent list)"
descriptors mend
told=

step "the first boot joins"
booted=$(date +%s)
power_on
patiently 240 online 1 || fail "it does not join: $(tail -n 20 "$WORK/console")"
took_s=$(processor_s)
patiently 30 console_says 'the token is erased' || fail "the token is not erased"
step "joined: $(($(date +%s) - booted)) s after power-on, $took_s s of processor, $(sed -n 's/^dunlin: up for //p' "$WORK/console") by its own clock"
[ "$took_s" -le 30 ] || fail "with a processor to itself it would have taken $took_s s, not 30 at most"
grep -aE '^(udhcpc: lease|join:|dunlin:)' "$WORK/console" | tr -d '\r' | show "dd if=device-0001.img of=/dev/sdX bs=1M   # and switched on"
dunlin agent list | show "dunlin agent list"

step "it has nothing to do"
lines=$(wc -l <"$WORK/console")
patiently 120 at_rest || fail "nobody measures its memory: $(tail -n 5 "$WORK/console")"
idle=$(in_memory "$lines")
echo $((idle * 1024)) >"$kept/resident"
grep -a '^agent in memory' "$WORK/console" | tail -n 1 | grep -q 'card ro' || fail "the card can be written to: $(tail -n 1 "$WORK/console")"
step "$idle KiB of the agent are in memory"

step "the first deployment"
make_version 0
release 0 env=test
patiently 120 agent_has 1 app 0 || fail "version 0 does not arrive: $(dunlin deployment show app)"
dunlin deployment show app | show "dunlin bundle push app --name app --version 0 && dunlin deploy app@0 --select env=test && dunlin deployment show app"

step "and its successor"
make_version 1
release 1 env=test
patiently 120 agent_has 1 app 1 || fail "version 1 does not arrive: $(dunlin deployment show app)"

lines=$(wc -l <"$WORK/console")
patiently 120 at_rest || fail "nobody measures its memory any more: $(tail -n 5 "$WORK/console")"
step "$(stack) KiB of its stack have been used"
echo $(($(stack) * 1024)) >"$kept/stack"

power_off
! conf | grep -q 'dlt1-' || fail "the token is still on the card"
shut_fat
look_at_card
[ "$(on_card deployments/app/current/etc/version)" = 1 ] || fail "the card holds another version"
[ "base=$(on_card deployments/app/data/year)-01-01" = "$clock" ] || fail "it knows that it is the year $(on_card deployments/app/data/year)"
kib=$(on_card deployments/app/data/resident)
[ "$kib" -gt 0 ] || fail "nobody measured its memory"
echo $((kib * 1024)) >"$kept/working"
step "the agent takes $kib KiB of the $(on_card deployments/app/data/total) KiB that a machine of $memory MiB has"
[ -z "$record" ] || cp "$WORK/session" "$record"
done_well
