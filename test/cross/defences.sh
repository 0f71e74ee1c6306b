#!/bin/sh
# Usage: defences.sh [TARGET]. Mistakes end a program that is built as agents for devices are, and would go unnoticed
# in one that is not.
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

# make PROGRAM [OPTION ...]
make()
{
    program=$1
    shift
    "$(cat "$ROOT/build/cross/$target/build/device")/bin/cc" "$@" -o "$WORK/$program" "$ROOT/test/cross/defences.c"
}

# killed PROGRAM MISTAKE: a signal ends it.
killed()
{
    code=0
    # shellcheck disable=SC2086
    ($emulator "$WORK/$1" "$2") >/dev/null 2>&1 || code=$?
    [ "$code" -gt 128 ]
}

target=${1:-$(uname -m)}
emulator=
[ "$target" = "$(uname -m)" ] || emulator=qemu-$(echo "$target" | sed 's/armv7/arm/')-static
sh "$ROOT/cross/build.sh" --if-cached "$target" >"$WORK/built" || fail "it can't be built"
[ -s "$WORK/built" ] || skip "sh cross/build.sh $target"
step "$target"
make defended
make bare -D DUNLIN_CROSS_FORTIFY_H -fno-stack-protector -Wl,-z,norelro,-z,execstack
for mistake in copy print smash redirect execute; do
    killed defended $mistake || fail "$mistake goes unnoticed, and ends with $code"
    ! killed bare $mistake || fail "$mistake ends also what is not defended, with $code"
done
for right in keep nothing; do
    ! killed defended $right || fail "$right is no mistake, and ends with $code"
done
done_well
