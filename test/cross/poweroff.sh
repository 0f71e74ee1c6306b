#!/bin/sh
# Usage: poweroff.sh TARGET [--times N] [--seed S]. A device that loses its power in the middle of N updates, each at a
# random moment: it always comes back with the old version or the new one, whole, and then has the new one.
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

make_version()
{
    make_app "$1"
    make_hook "$WORK/app@$1" health 'cd "$DUNLIN_CURRENT" && [ "$(cat bin/version)" = "$DUNLIN_VERSION" ] && sha256sum -s -c sums'
    release "$1" env=test
    rm -rf "$WORK/app@$1"
}

# whole OLD NEW: the card has one of the two, with every byte. Sets $has.
whole()
{
    look_at_card
    current=deployments/app/current
    has=$(on_card $current/etc/version)
    [ "$has" = "$1" ] || [ "$has" = "$2" ] || fail "the card holds version '$has'"
    on_card $current/sums | while read -r sum file; do
        [ "$(on_card "$current/$file" | sha256sum)" = "$sum  -" ] || echo "$file"
    done >"$WORK/differs"
    [ ! -s "$WORK/differs" ] || fail "of version $has these differ: $(cat "$WORK/differs")"
}

start_manager --advertise 10.0.2.2
step "a device joins, and takes a version; seed $seed"
provision env=test
power_on
patiently 300 online 1 || fail "it does not join: $(tail -n 20 "$WORK/console")"
make_version 0
patiently 300 agent_has 1 app 0 || fail "version 0 does not arrive: $(dunlin deployment show app)"
began_ms=$(now_ms)
make_version 1
patiently 300 agent_has 1 app 1 || fail "version 1 does not arrive: $(dunlin deployment show app)"
update_ms=$(($(now_ms) - began_ms))

step "its power is cut $times times within the $update_ms ms that an update takes"
olds=0
version=1
while [ "$version" -le "$times" ]; do
    old=$version
    version=$((version + 1))
    make_version "$version"
    nap 0 "$update_ms"
    power_off
    whole "$old" "$version"
    [ "$has" -eq "$version" ] || olds=$((olds + 1))
    power_on
    patiently 300 has_link || fail "after cut $old it does not come back: $(tail -n 20 "$WORK/console")"
    patiently 300 agent_has 1 app "$version" || fail "after cut $old it does not converge: $(dunlin deployment show app)"
    step "cut $old after $rnd ms: version $has is on the card; it came back, and runs version $version"
done
power_off
whole "$version" "$version"
step "after $times cuts, $olds with the old version and $((times - olds)) with the new one, it runs the newest"
done_well
