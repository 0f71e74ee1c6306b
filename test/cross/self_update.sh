#!/bin/sh
# Usage: self_update.sh TARGET [--times N] [--seed S]. The agent of a device updates itself, and loses its power in the
# middle of N such updates, each at a random moment: it always comes back as the old agent or the new one, and is the
# new one then. One that can't do its work gives way to the old one by itself, also across a power cut.
# shellcheck disable=SC2015,SC2016,SC2119 # tests that must hold, and what others are to expand
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=machine.sh
. "$(dirname "$0")/machine.sh"

times=3
seed=$(date +%s)
choose_board "${1:-aarch64}"
[ $# -eq 0 ] || shift
take_options "times seed" "$@"

# stamp V: agent_next as $WORK/program-V, which says that it is 0.1.0-V, of four digits.
stamp()
{
    LC_ALL=C sed "s/0\.1\.0-next/0.1.0-$1/g" "$WORK/next" >"$WORK/program-$1"
    chmod +x "$WORK/program-$1"
}

# deploy V [HEALTH_DEADLINE]: $WORK/program-V becomes what the device's agent is to be.
deploy()
{
    folder=$WORK/programs@$1
    mkdir -p "$folder/$machine"
    cp "$WORK/program-$1" "$folder/$machine/dunlin-agent"
    dunlin bundle push "$folder" --kind agent --name agent --version "$1" --health-deadline "${2:-600s}" >/dev/null ||
        fail "agent@$1 is not taken"
    dunlin deploy "agent@$1" --as agent --select env=test >/dev/null || fail "agent@$1 is not deployed"
}

# is V: by the manager's word, that program runs there and the device has come to rest with it.
is()
{
    [ "$(agent 1 .facts.agent)" = "0.1.0-$1" ] && online 1
}

has_become()
{
    agent_has 1 agent "$1" && is "$1"
}

gives_up()
{
    [ "$(agent 1 '.deployments[] | select(.name == "agent") | .target + " " + .state')" = "$1 RolledBack" ]
}

# record SLOT: of that record on the card, the digest of its program, which must be there to the byte.
record()
{
    on_card "agent/$1" >"$WORK/record"
    [ -s "$WORK/record" ] || return 0
    read -r tree digest _ <"$WORK/record"
    [ "$(on_card "bundles/$tree/$machine/dunlin-agent" | sha256sum)" = "$digest  -" ] ||
        fail "agent/$1 names a program that is not whole"
    echo "$digest"
}

# version_of DIGEST OLD NEW: which of the two it is.
version_of()
{
    for version_is in "$2" "$3"; do
        [ "$(sha256sum <"$WORK/program-$version_is")" != "$1  -" ] || echo "$version_is"
    done
}

# whole OLD NEW: what is proven on the card is one of the two, and what is on trial can only be the new one. Sets $has.
whole()
{
    look_at_card
    proven=$(record current)
    has=$(version_of "$proven" "$1" "$2")
    [ -n "$has" ] || fail "what is proven on the card is neither $1 nor $2: '$proven'"
    for slot in try-0 try-1 try-2 try-3; do
        trial=$(record $slot)
        [ -z "$trial" ] || [ "$(version_of "$trial" "$2" "$2")" ] || fail "$slot is neither's: '$trial'"
    done
}

# rolls_back V OLD WORDS: nothing is lost by that version, nothing stays of it, and the manager is told why, which the
# old agent sends a moment after it has come back.
rolls_back()
{
    patiently 600 gives_up "$1" || fail "agent@$1 is not given up: $(dunlin why 1 agent 2>&1)"
    patiently 300 is "$2" || fail "after agent@$1 it is no more what it was, but $(agent 1 .facts.agent)"
    patiently 60 explained "$3" || fail "agent@$1: $(dunlin why 1 agent 2>&1) instead of $3"
    step "it is $2 again: $(dunlin why 1 agent 2>&1 | grep -m 1 -E "$3")"
}

explained()
{
    dunlin why 1 agent 2>&1 | grep -qE "$1"
}

another_agent agent_next "$WORK/next"
another_agent agent_mute "$WORK/program-mute"
start_manager --advertise 10.0.2.2
step "a device joins, and its agent updates itself; seed $seed"
provision env=test
power_on
patiently 300 online 1 || fail "it does not join: $(tail -n 20 "$WORK/console")"
stamp 1000
deploy 1000
patiently 300 has_become 1000 || fail "it does not update itself: $(dunlin why 1 agent 2>&1)"
began_ms=$(now_ms)
stamp 1001
deploy 1001
patiently 300 has_become 1001 || fail "it does not update itself again: $(dunlin why 1 agent 2>&1)"
update_ms=$(($(now_ms) - began_ms))

step "its power is cut $times times within the $update_ms ms that an update takes"
olds=0
version=1001
while [ "$version" -le $((1000 + times)) ]; do
    old=$version
    version=$((version + 1))
    stamp "$version"
    deploy "$version"
    nap 0 "$update_ms"
    power_off
    whole "$old" "$version"
    [ "$has" = "$version" ] || olds=$((olds + 1))
    power_on
    patiently 300 has_link || fail "after cut $((old - 1000)) it does not come back: $(tail -n 20 "$WORK/console")"
    patiently 300 has_become "$version" || fail "after cut $((old - 1000)) it is $(agent 1 .facts.agent): $(dunlin why 1 agent 2>&1)"
    step "cut $((old - 1000)) after $rnd ms: $has was proven; it came back, and is $version"
done
step "after $times cuts, $olds with the old agent and $((times - olds)) with the new one, it is the newest"

step "a new one that ends at once"
printf '#!/bin/sh\n[ "$1" = run ] || exit 0\nexit 1\n' >"$WORK/program-ends"
chmod +x "$WORK/program-ends"
deploy ends
rolls_back ends "$version" 'started 3 times'

step "a new one that finds no broker, and whose power is cut in the middle of its trial"
deploy mute 60s
patiently 120 console_says 'built to find no broker' || fail "it is not tried"
nap 0 30000
power_off
whole "$version" mute
[ "$has" = "$version" ] || fail "what finds no broker was proven"
power_on
rolls_back mute "$version" 'reached no broker'
has_link || fail "it does not come back: $(tail -n 20 "$WORK/console")"
power_off
whole "$version" "$version"
done_well
