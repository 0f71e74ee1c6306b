#!/bin/sh
# A batch of tokens becomes as many images or configuration files, each with one of its own; what a device finds there
# turns it into an agent once, and is erased.
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

provision()
{
    sh "$ROOT/cross/provision.sh" "$@"
}

# unprovisioned WORDS ARGUMENT...: it fails with these words.
unprovisioned()
{
    words=$1
    shift
    refused "$words" sh "$ROOT/cross/provision.sh" "$@"
}

tokens_of()
{
    sed -n 's/^token=//p' "$@"
}

# shellcheck disable=SC2119
start_manager
host=$(join_url)

step "three configuration files, for their owner only"
provision --host "$host" --count 3 --out "$WORK/conf" -- --label env=test >"$WORK/said" 2>&1 || fail "it can't be provisioned"
[ "$(sed 's/(batch [0-9]*)/(batch N)/' "$WORK/said")" = "3 devices in $WORK/conf, good for 24 h (batch N)" ] || fail "$(cat "$WORK/said")"
[ "$(tokens_of "$WORK"/conf/device-000[123].conf | sort -u | wc -l)" -eq 3 ] || fail "they share tokens"
[ "$(stat -c %a "$WORK"/conf/*.conf | sort -u)" = 600 ] || fail "others can read them"

step "each makes one agent, and forgets its token"
for one in 1 2 3; do
    conf=$WORK/conf/device-000$one.conf
    token=$(tokens_of "$conf")
    cp "$conf" "$WORK/before"
    for again in first second; do
        sh "$ROOT/cross/package/join" "$conf" "$WORK/agent$one" >>"$WORK/agent$one.log" 2>&1 ||
            fail "device $one, $again time: $(cat "$WORK/agent$one.log")"
    done
    ! grep -q "$token" "$conf" || fail "its token is still there"
    [ "$(sed 's/^\(token=\) *$/\1/' "$conf")" = "$(sed 's/^\(token=\).*/\1/' "$WORK/before")" ] || fail "more is erased: $(cat "$conf")"
    [ "$(stat -c %s "$conf")" -eq "$(stat -c %s "$WORK/before")" ] || fail "it was not erased in its place"
done
[ "$(dunlin agent list --select env=test --json | jq '.agents | length')" -eq 3 ] || fail "not three: $(dunlin agent list)"

step "one that has joined goes on, whatever is written there, and a blank one does not"
joins()
{
    sh "$ROOT/cross/package/join" "$WORK/written" "$@" 2>"$WORK/said"
}
for written in "host=$host token=$(dunlin token create)" 'token=dlt1-nothing' 'host=127.0.0.1:1 token=x'; do
    echo "$written" | tr ' ' '\n' >"$WORK/written"
    [ "$(joins "$WORK/agent1" echo runs)" = runs ] || fail "$written: it stops: $(cat "$WORK/said")"
    grep -q 'joined already and goes on' "$WORK/said" || fail "$written: it says nothing: $(cat "$WORK/said")"
    grep -q '^token=[^ ]' "$WORK/written" || fail "$written: what was not used is gone"
done
! joins "$WORK/agent4" echo runs >"$WORK/ran" || fail "it goes on without an identity"
[ ! -s "$WORK/ran" ] || fail "it runs without an identity"

step "it is read whatever wrote it, and what can't be read is told"
token=$(dunlin token create)
printf '\357\273\277token="%s" \r\n# host=elsewhere\r\n\thost = "%s"\r\n' "$token" "$host" >"$WORK/written"
[ "$(joins "$WORK/agent5" echo runs | tail -n 1)" = runs ] || fail "as Windows writes it: $(cat "$WORK/said")"
[ "$(sed 's/ *$//' "$WORK/written" | od -An -c | tr -d ' \n')" = \
    "$(printf '\357\273\277token=\n# host=elsewhere\r\n\thost = "%s"\r\n' "$host" | od -An -c | tr -d ' \n')" ] ||
    fail "its token is still there, or more is gone: $(od -An -c "$WORK/written")"
[ "$(joins "$WORK/agent5" echo runs)" = runs ] || fail "the next time: $(cat "$WORK/said")"
for written in 'host=\ntoken=\n' '\377\376h\0o\0s\0t\0=\0x\0\n\0t\0o\0k\0e\0n\0=\0y\0'; do
    # shellcheck disable=SC2059
    printf "$written" >"$WORK/written"
    ! joins "$WORK/agent6" echo runs >"$WORK/ran" || fail "$written: it goes on without an identity"
    grep -q 'written names no token, at least not in plain text' "$WORK/said" || fail "$written: it says: $(cat "$WORK/said")"
done

step "it says what it lacks"
unprovisioned 'host is missing' --count 1
unprovisioned 'count or --tokens is missing' --host "$host"
unprovisioned 'count many: not a whole number' --host "$host" --count many --out "$WORK/of-others"
unprovisioned 'card\.img is missing' "$WORK/card.img" --host "$host" --count 1
dunlin token create --count 2 --output "$WORK/tokens" >/dev/null 2>&1 || fail "no tokens"
unprovisioned 'holds 2 tokens, not 3' --host "$host" --tokens "$WORK/tokens" --count 3 --out "$WORK/of-others"
unprovisioned 'b\.img: name one image' a.img b.img --host "$host" --count 1
unprovisioned 'label is for tokens that --count makes' --host "$host" --tokens "$WORK/tokens" -- --label env=test

step "what was made before is not replaced, and no tokens are made for nothing"
batches=$(dunlin token list --json | jq '.tokens | length')
cp -R "$WORK/conf" "$WORK/kept"
for what in "--count 1" "--tokens $WORK/tokens"; do
    # shellcheck disable=SC2086
    unprovisioned 'conf/device-0001\.conf is there already.* --out' --host "$host" $what --out "$WORK/conf"
done
diff -r "$WORK/conf" "$WORK/kept" || fail "it is not as it was"
head -c 2M /dev/zero >"$WORK/zeros.img"
unprovisioned '(zeros\.img has no dunlin\.conf|mcopy is missing)' "$WORK/zeros.img" --host "$host" --count 1 --out "$WORK/zeros"
[ "$(dunlin token list --json | jq '.tokens | length')" -eq "$batches" ] || fail "tokens were made: $(dunlin token list)"

step "a device that can't be written is told by its name, and those before it are whole"
mkdir "$WORK/blocked"
ln -s /dev/full "$WORK/blocked/device-0002.conf.new"
unprovisioned 'blocked/device-0002\.conf can.t be written; 1 of 2 devices are made' --host "$host" --tokens "$WORK/tokens" --out "$WORK/blocked"
[ "$(tokens_of "$WORK/blocked/device-0001.conf")" = "$(head -n 1 "$WORK/tokens")" ] || fail "the first one is not whole"
[ "$(ls "$WORK/blocked")" = device-0001.conf ] || fail "something is left: $(ls "$WORK/blocked")"

step "tokens come in both forms, and nothing else does"
dunlin token create --count 2 --output "$WORK/made.csv" >/dev/null 2>&1 || fail "no tokens"
sed 1d "$WORK/made.csv" | cut -d , -f 2 >"$WORK/column"
provision --host "$host" --tokens "$WORK/made.csv" --count 2 --out "$WORK/of-csv" >/dev/null || fail "CSV is not taken"
tokens_of "$WORK"/of-csv/device-000[12].conf | cmp - "$WORK/column" || fail "these are other tokens"
printf %s "$(cat "$WORK/tokens")" >"$WORK/unended"
provision --host "$host" --tokens "$WORK/unended" --out "$WORK/of-unended" >/dev/null || fail "a line without an end is not taken"
tokens_of "$WORK"/of-unended/device-000[12].conf | cmp - "$WORK/tokens" || fail "the last token is lost"
sed '2s/.$//' "$WORK/tokens" >"$WORK/short"
unprovisioned 'number 2 is no token' --host "$host" --tokens "$WORK/short" --out "$WORK/of-others"
dunlin token create --json >"$WORK/made.json" || fail "no tokens"
unprovisioned 'number 1 is no token' --host "$host" --tokens "$WORK/made.json" --out "$WORK/of-others"
head -n 1 "$WORK/made.csv" >"$WORK/header.csv"
unprovisioned 'holds no tokens' --host "$host" --tokens "$WORK/header.csv" --out "$WORK/of-others"
[ -z "$(ls "$WORK/of-others")" ] || fail "devices are made of that: $(ls "$WORK/of-others")"

step "two images, of tokens that were made before"
if command -v mformat >/dev/null; then
    truncate -s 3M "$WORK/card.img"
    mformat -i "$WORK/card.img@@1M" -T 4096 -v DUNLIN ::
    mcopy -i "$WORK/card.img@@1M" "$ROOT/cross/board/dunlin.conf" ::
    mkdir "$WORK/a folder"
    cp "$WORK/card.img" "$WORK/a folder/the card.img"
    provision "$WORK/a folder/the card.img" --host "$host" --tokens "$WORK/tokens" --out "$WORK/a folder/cards" >/dev/null || fail "no images"
    for one in 1 2; do
        mtype -i "$WORK/a folder/cards/device-000$one.img@@1M" ::dunlin.conf
    done | tokens_of | cmp - "$WORK/tokens" || fail "these are other tokens"
    [ "$(ls "$WORK/a folder/cards")" = "$(printf 'device-0001.img\ndevice-0002.img')" ] || fail "there is more: $(ls "$WORK/a folder/cards")"
else
    echo "    not tried: mtools is missing: sh setup.sh --cross"
fi
done_well
