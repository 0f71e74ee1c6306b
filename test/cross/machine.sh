# For the tests with emulated boards: choosing one, switching it on and off, and looking at its card meanwhile.
# Whoever reads this has read ../e2e/lib.sh.
# shellcheck shell=sh

# What is lost with the power is what the machine had in its memory: the card keeps what was written, in its order.
card='cache=writethrough'
memory=256 # MiB

# choose_board TARGET: sets $board and $built, makes the image anew when all that it takes is here, or skips the test.
choose_board()
{
    target=$1
    built=$ROOT/build/cross/$target
    case $target in
    aarch64) board='qemu-system-aarch64 -M virt -cpu cortex-a53' ;;
    armv7) board='qemu-system-arm -M virt -cpu cortex-a15' ;;
    *) echo "there is no board for $target" && exit 2 ;;
    esac
    command -v "${board%% *}" mcopy >/dev/null || skip_board "the emulator is missing: sh setup.sh --cross"
    sh "$ROOT/cross/build.sh" --if-cached "$target" || fail "it can't be built"
    sh "$ROOT/cross/image.sh" --if-cached "$target" || fail "there is no image"
    [ -e "$built/dunlin.img" ] || skip_board "no image: sh cross/build.sh $target && sh cross/image.sh $target"
}

skip_board()
{
    echo "skipped: $1"
    exit 77
}

# provision LABEL: $WORK/device-0001.img, with host and a token.
provision()
{
    sh "$ROOT/cross/provision.sh" "$built/dunlin.img" --host "$(join_url)" --count 1 --out "$WORK" -- --label "$1" ||
        fail "it can't be provisioned"
    conf | grep -q '^token=.' || fail "dunlin.conf has no token"
}

power_on()
{
    : >"$WORK/console"
    # shellcheck disable=SC2086
    $board -m "$memory" -display none -no-reboot -serial "file:$WORK/console" -monitor none \
        -kernel "$built/vmlinuz" -initrd "$built/initramfs.img" -append 'console=ttyAMA0 quiet panic=10' \
        -drive "file=$WORK/device-0001.img,format=raw,if=none,id=card,$card" -device virtio-blk-device,drive=card \
        -netdev user,id=net -device virtio-net-device,netdev=net >>"$WORK/qemu.log" 2>&1 &
    echo $! >"$WORK/qemu.pid"
}

power_off()
{
    kill_process qemu -9
    cat "$WORK/console" >>"$WORK/device.log"
    ! grep -qE 'Kernel panic|Segmentation|Assertion|Out of memory' "$WORK/device.log" ||
        fail "something crashed: $(grep -E 'Kernel panic|Segmentation|Assertion|Out of memory' "$WORK/device.log")"
}

# processor_s: what the emulator has taken so far; with a processor to itself, the machine would have taken as long.
processor_s()
{
    awk '{ print int(($14 + $15) / 100) }' "/proc/$(cat "$WORK/qemu.pid")/stat"
}

console_says()
{
    grep -q "$1" "$WORK/console"
}

conf()
{
    mcopy -n -i "$WORK/device-0001.img@@1M" ::dunlin.conf -
}

# look_at_card: a copy of its data partition, with what the journal holds put in its place, as the next boot does.
look_at_card()
{
    rm -f "$WORK/card.img"
    dd if="$WORK/device-0001.img" of="$WORK/card.img" bs=1M skip=65 conv=sparse status=none
    e2fsck -p "$WORK/card.img" >"$WORK/fsck" 2>&1 || [ $? -eq 1 ] ||
        fail "the data partition is broken: $(cat "$WORK/fsck")"
}

# on_card FILE: of the data partition, as look_at_card found it.
on_card()
{
    debugfs -R "cat $1" "$WORK/card.img" 2>/dev/null
}
