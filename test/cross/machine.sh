# For the tests with emulated boards: choosing one, switching it on and off, and looking at its card meanwhile.
# Whoever reads this has read ../e2e/lib.sh.
# shellcheck shell=sh disable=SC2034 # what is set here is for whoever reads this

# What is lost with the power is what the machine had in its memory: the card keeps what was written, in its order.
card='cache=writethrough'
# Most boards have no clock that goes on without power: each time they start in 1970, and a PC whose battery is empty in
# some other year.
clock='base=1970-01-01'
memory=256 # MiB
told= # to its kernel, beside what it always is
firmware=/usr/share/OVMF/OVMF_CODE_4M.fd # a PC's, as Debian's package ovmf has it

# choose_board TARGET: sets $board, $machine and $built, makes the image anew when all that it takes is here, or skips
# the test.
choose_board()
{
    target=$1
    serial=ttyAMA0
    built=$ROOT/build/cross/$target
    case $target in
    x86_64) board='qemu-system-x86_64 -M q35' machine=x86_64 serial=ttyS0 clock='base=2001-01-01' ;;
    aarch64) board='qemu-system-aarch64 -M virt -cpu cortex-a53' machine=aarch64 ;;
    armv7) board='qemu-system-arm -M virt -cpu cortex-a15' machine=armv7l ;;
    riscv64) board='qemu-system-riscv64 -M virt' machine=riscv64 serial=ttyS0 ;;
    *) echo "there is no board for $target" && exit 2 ;;
    esac
    command -v "${board%% *}" mcopy >/dev/null || skip "the emulator is missing: sh setup.sh --cross"
    [ "$target" != x86_64 ] || [ -e "$firmware" ] || skip "a PC's firmware is missing: sh setup.sh --cross"
    sh "$ROOT/cross/build.sh" --if-cached "$target" || fail "it can't be built"
    sh "$ROOT/cross/image.sh" --if-cached "$target" || fail "there is no image"
    [ -e "$built/dunlin.img" ] || skip "no image: sh cross/build.sh $target && sh cross/image.sh $target"
    initramfs=$built/initramfs.img
}

# another_agent NAME FILE: one of ../agents, made as the board's own is.
another_agent()
{
    cmake --build "$built/build" --target "$1" >"$WORK/build.out" 2>&1 || fail "no $1: $(cat "$WORK/build.out")"
    "$(cat "$built/build/device")/bin/strip" -s -R .comment -R '.note*' -o "$2" "$built/build/test/$1"
}

# watch: the machine's console will tell every few seconds how much of its agent is in memory, how much of that is its
# stack, and whether the card's FAT partition can be written to. Told late-network, its network card comes late.
watch()
{
    overlay=$WORK/overlay
    mkdir -p "$overlay/etc" "$overlay/watch"
    { cat "$ROOT/cross/board/inittab" && printf '::sysinit:/watch/network\n::respawn:/watch/memory\n'; } >"$overlay/etc/inittab"
    cat >"$overlay/watch/network" <<'END'
#!/bin/sh
grep -q late-network /proc/cmdline || exit 0
for card in /sys/class/net/eth*/device; do
    driver=$(readlink -f "$card/driver")
    card=$(basename "$(readlink -f "$card")")
    echo "$card" >"$driver/unbind"
    { sleep 4 && echo "network card comes" >/dev/console && echo "$card" >"$driver/bind"; } &
done
END
    cat >"$overlay/watch/memory" <<'END'
#!/bin/sh
exec </dev/null >/dev/console 2>/dev/null
while sleep 3; do
    agent=/proc/$(pidof dunlin-agent)
    stack=$(sed -n '/\[stack\]$/,/^Rss/s/^Rss:[^0-9]*\([0-9]*\) kB/\1/p' "$agent/smaps")
    card=$(sed -n 's,^[^ ]* /boot [^ ]* \(r[ow]\).*,\1,p' /proc/mounts)
    sed -n "s/^VmRSS:[^0-9]*\([0-9]*\) kB/agent in memory: \1 KiB, of its stack $stack KiB, card $card/p" "$agent/status"
done
END
    chmod -R 755 "$overlay/watch"
    (cd "$overlay" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -n) >"$WORK/watch.img"
    cat "$initramfs" "$WORK/watch.img" >"$WORK/initramfs.img"
    initramfs=$WORK/initramfs.img
}

# stack: how many KiB of its stack it has used so far, by what the console has told last.
stack()
{
    sed -n 's/^agent in memory: .* of its stack \([0-9]*\) KiB.*/\1/p' "$WORK/console" | tail -n 1
}

# in_memory LINES: how many KiB, by the console behind its first so many LINES; empty unless it was the same twice.
in_memory()
{
    tail -n "+$(($1 + 1))" "$WORK/console" | sed -n 's/^agent in memory: \([0-9]*\) KiB.*/\1/p' | tail -n 2 | uniq -d
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
    if [ "$target" = x86_64 ]; then
        tell_loader
        set -- -drive "if=pflash,format=raw,readonly=on,file=$firmware" -drive "if=pflash,format=raw,file=$(variables)" \
            -device ide-hd,drive=card,bootindex=0 -device e1000e,romfile= -device e1000e,romfile=,netdev=net
    else
        set -- -kernel "$built/vmlinuz" -initrd "$initramfs" -append "console=$serial quiet panic=10 $told" \
            -device virtio-blk-device,drive=card -device virtio-net-device,netdev=net
    fi
    # shellcheck disable=SC2086
    $board -m "$memory" -rtc "$clock" -display none -no-reboot -serial "file:$WORK/console" -monitor none \
        -drive "file=$WORK/device-0001.img,format=raw,if=none,id=card,$card" -netdev user,id=net "$@" >>"$WORK/qemu.log" 2>&1 &
    echo $! >"$WORK/qemu.pid"
}

# tell_loader: a PC starts from its disk alone, so what its kernel is told stands there. Its console becomes the serial one,
# as on a PC without a screen, and what watch adds is one initramfs more.
tell_loader()
{
    mcopy -n -i "$built/dunlin.img@@1M" ::loader/entries/dunlin.conf - |
        sed "s/ console=tty0//; s/^options .*/& $told/" >"$WORK/entry"
    if [ -e "$WORK/watch.img" ]; then
        echo 'initrd /watch.img' >>"$WORK/entry"
        mcopy -o -i "$WORK/device-0001.img@@1M" "$WORK/watch.img" ::
    fi
    mcopy -o -i "$WORK/device-0001.img@@1M" "$WORK/entry" ::loader/entries/dunlin.conf
}

# variables: the file of what a PC's firmware remembers; at first nothing.
variables()
{
    [ -e "$WORK/variables" ] || cp "$(echo "$firmware" | sed 's/CODE/VARS/')" "$WORK/variables"
    echo "$WORK/variables"
}

# Since it was switched on; what the manager thinks may be of before.
has_link()
{
    console_says ' link-up '
}

power_off()
{
    kill_process qemu -9
    cat "$WORK/console" >>"$WORK/device.log"
    ! grep -qE 'Kernel panic|Segmentation|Assertion|Out of memory' "$WORK/device.log" ||
        fail "something crashed: $(grep -E 'Kernel panic|Segmentation|Assertion|Out of memory' "$WORK/device.log")"
}

# patiently SECONDS COMMAND...: as within, for what a machine does. Where others keep this one busy, its emulator is given
# its time until it has had a tenth of it to compute, which is more than all takes here.
patiently()
{
    until_s=$(($(date +%s) + $1))
    enough_s=$(($(processor_s) + $1 / 10))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -le "$until_s" ] || [ "$(processor_s)" -lt "$enough_s" ] || return 1
        sleep 1
    done
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
    on_fat dunlin.conf
}

# on_fat FILE: of the partition that any computer can read.
on_fat()
{
    mcopy -n -i "$WORK/device-0001.img@@1M" "::$1" -
}

# shut_fat: it was not being written to when the power went.
shut_fat()
{
    dd if="$WORK/device-0001.img" of="$WORK/fat.img" bs=1M skip=1 count=64 conv=sparse status=none
    PATH=$PATH:/usr/sbin fsck.vfat -n "$WORK/fat.img" >"$WORK/fsck" 2>&1 || fail "the FAT partition: $(cat "$WORK/fsck")"
}

# descriptors save | break | mend: 4 KiB of the card's data partition, without which ext4 knows nothing of what lies where.
descriptors()
{
    case $1 in
    save) dd if="$WORK/device-0001.img" of="$WORK/descriptors" bs=1k skip=$((65 * 1024 + 2)) count=4 status=none ;;
    break) dd if=/dev/zero of="$WORK/device-0001.img" bs=1k seek=$((65 * 1024 + 2)) count=4 conv=notrunc status=none ;;
    mend) dd if="$WORK/descriptors" of="$WORK/device-0001.img" bs=1k seek=$((65 * 1024 + 2)) conv=notrunc status=none ;;
    esac
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
