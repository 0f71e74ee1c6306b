#!/bin/sh
# Usage: boot.sh TARGET [--cuts N] [--seed S]. A device as an operator has one: an image, provisioned with a token,
# booted by an emulator, that joins over mutual TLS, takes versions, and loses its power in the middle of N of them.
# shellcheck disable=SC2015,SC2016,SC2119 # tests that must hold, and what others are to expand
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

target=${1:-aarch64}
cuts=3
seed=$(date +%s)
[ $# -eq 0 ] || shift
while [ $# -gt 0 ]; do
    case $1 in
    --cuts) cuts=$2 ;;
    --seed) seed=$2 ;;
    *) echo "boot.sh: unknown argument $1" && exit 2 ;;
    esac
    shift 2
done

built=$ROOT/build/cross/$target
case $target in
aarch64) machine='qemu-system-aarch64 -M virt -cpu cortex-a53' ;;
armv7) machine='qemu-system-arm -M virt -cpu cortex-a15' ;;
*) echo "boot.sh: no machine for $target" && exit 2 ;;
esac
[ -e "$built/dunlin.img" ] && command -v "${machine%% *}" >/dev/null || {
    echo "skipped: sh setup.sh --cross && sh cross/build.sh $target && sh cross/image.sh $target"
    exit 77
}

# What is lost is what the machine had in its memory: qemu is killed.
power_on()
{
    # shellcheck disable=SC2086
    $machine -m 256 -display none -no-reboot -serial "file:$WORK/console" -monitor none \
        -kernel "$built/vmlinuz" -initrd "$built/initramfs.img" -append 'console=ttyAMA0 quiet panic=10' \
        -drive "file=$WORK/device-0001.img,format=raw,if=none,id=card" -device virtio-blk-device,drive=card \
        -netdev user,id=net -device virtio-net-device,netdev=net >>"$WORK/qemu.log" 2>&1 &
    echo $! >"$WORK/qemu.pid"
}

power_off()
{
    kill_process qemu -9
    cat "$WORK/console" >>"$WORK/device.log"
}

has()
{
    agent_has 1 app "$1"
}

# data FILE: of the device's data partition, while it is off.
data()
{
    debugfs -R "cat $1" "$WORK/device-0001.img?offset=$((65 * 1048576))" 2>/dev/null
}

conf()
{
    mcopy -n -i "$WORK/device-0001.img@@1M" ::dunlin.conf -
}

make_version()
{
    make_app "$1"
    make_hook "$WORK/app@$1" health 'cd "$DUNLIN_CURRENT"
sed -n "s/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$PPID/status" >"$DUNLIN_DATA/resident"
[ "$(cat bin/version)" = "$DUNLIN_VERSION" ]
sha256sum -s -c sums'
    release "$1" env=test
}

start_manager --advertise 10.0.2.2
step "an image gets host and token, seed $seed"
sh "$ROOT/cross/provision.sh" "$built/dunlin.img" --host "$(join_url)" --count 1 --out "$WORK" -- --label env=test ||
    fail "it can't be provisioned"
conf | grep -q '^token=.' || fail "dunlin.conf has no token"

step "the first boot joins"
booted=$(date +%s)
power_on
within 300 online 1 || fail "it does not join: $(tail -n 20 "$WORK/console")"
step "joined $(($(date +%s) - booted)) seconds after it was switched on"
within 30 grep -q 'the token is erased' "$WORK/console" || fail "the token is not erased"

step "the first deployment"
make_version 0
within 300 has 0 || fail "version 0 does not arrive: $(dunlin deployment show app)"

step "its power is cut $cuts times in the middle of an update"
version=0
while [ "$version" -lt "$cuts" ]; do
    version=$((version + 1))
    make_version "$version"
    nap 0 4000
    power_off
    ! conf | grep -q '^token=.' || fail "the token is still on the card"
    power_on
    within 300 has "$version" || fail "after cut $version it does not converge: $(dunlin deployment show app)"
    step "cut $version after $rnd ms: it came back and runs version $version"
done

power_off
kib=$(data deployments/app/data/resident)
[ "$kib" -gt 0 ] || fail "nobody measured its memory"
echo $((kib * 1024)) >"$built/resident"
step "resident with its link over TLS: $kib KiB"
! grep -qE 'Kernel panic|Segmentation|Assertion' "$WORK/device.log" || fail "something crashed"
done_well
