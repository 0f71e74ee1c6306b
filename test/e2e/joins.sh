#!/bin/sh
# Many devices join at once while the manager is killed with -9 again and again: whoever was told that it joined is an
# agent, under the number that it was told, and gets in; each token has let in one device; nobody is there twice.
# usage: joins.sh [--devices N] [--kills N]
. "$(dirname "$0")/lib.sh"

devices=24
kills=4
take_options "devices kills" "$@"

# Four at a time, each with a token of its own; what it was told stands in its log.
# shellcheck disable=SC2016
join_all()
{
    seq "$devices" | paste -d ' ' - "$WORK/tokens" | WORK=$WORK URL=$(cat "$WORK/url") xargs -P 4 -L 1 sh -c \
        'exec dunlin-agent join "$URL" "$1" --dir "$WORK/agent$0" --timeout 120 >"$WORK/agent$0.log" 2>&1'
}

# "NUMBER ID", one a line, by rising number: what devices were told, and what the manager has.
told()
{
    sed -n 's/^joined as agent \([0-9]*\) (id \([0-9a-f]*\)).*/\1 \2/p' "$WORK"/agent*.log | sort -n
}

kept()
{
    dunlin agent list --json | jq -r '.agents[] | "\(.number) \(.id)"' | sort -n
}

told_at_least()
{
    [ "$(told | wc -l)" -ge "$1" ]
}

# shellcheck disable=SC2119
start_manager
join_url >"$WORK/url"
dunlin token create --count "$devices" --output "$WORK/tokens" 2>/dev/null || fail "no tokens"

step "$devices devices join, and the manager is killed $kills times meanwhile"
join_all &
joining=$!
for kill in $(seq "$kills"); do
    within 60 told_at_least $((devices * kill / (kills + 1)))
    kill_manager -KILL
    told >"$WORK/before"
    # shellcheck disable=SC2119
    start_manager
    kept >"$WORK/after"
    lost=$(grep -vxF -f "$WORK/after" "$WORK/before" || true)
    [ -z "$lost" ] || fail "kill $kill: told that they had joined, and lost: $lost"
done
wait $joining || fail "not all devices join"

step "each is there once, as it was told"
[ "$(told | wc -l)" = "$devices" ] || fail "$(told | wc -l) of $devices were told that they had joined"
[ "$(told)" = "$(kept)" ] || fail "told: $(told); kept: $(kept)"
[ "$(dunlin token list --json | jq '[.tokens[].redeemed] | add')" = "$devices" ] || fail "$(dunlin token list)"

step "one from before the first kill, one from between and the last get in"
for n in 1 $((devices / 2)) "$devices"; do
    start_agent "$n"
done
within 30 online 3
done_well
