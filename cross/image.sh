#!/bin/sh
# Makes an image to be written to a card or disk: Debian's kernel, BusyBox and the agent, a small FAT
# partition that any computer can write dunlin.conf to, and a partition for what the device keeps.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/image.sh [OPTION ...] TARGET
Makes build/cross/TARGET/dunlin.img of what cross/build.sh made; targets: x86_64 aarch64 armv7 riscv64.
  --out DIR    where TARGET/dunlin-agent is (build/cross)
  --cache DIR  where Debian's packages are kept (XDG_CACHE_HOME/dunlin or ~/.cache/dunlin)
  --size MIB   of the data partition (128)
  --if-cached  only when everything is there already, and say nothing otherwise
  --help       this text"

out=$source_dir/build/cross
size_mib=128
boot_mib=64
mirror=${DUNLIN_MIRROR:-http://deb.debian.org}

# What is needed to find a disk, a card and a network, beside what the kernel has: on anything, on boards, on PCs.
modules='virtio_mmio virtio_pci virtio_blk virtio_net virtio_rng ext4 vfat nls_cp437 nls_ascii nls_iso8859-1 mmc_block
usb-storage r8152'
board_modules='sdhci-iproc bcm2835 sdhci-of-dwcmshc dw_mmc-rockchip sunxi-mmc smsc95xx lan78xx genet dwmac-sun8i dwmac-rk
bcm2835_wdt sunxi_wdt dw_wdt rtc-ds1307'
pc_modules='ahci ata_piix nvme vmd sd_mod uas xhci_pci ehci_pci sdhci_pci sdhci_acpi e1000 e1000e igb igc ixgbe r8169
realtek tg3 virtio_scsi vmw_pvscsi vmxnet3 hv_storvsc hv_netvsc'

main()
{
    target='' if_cached=''
    while [ $# -gt 0 ]; do
        case $1 in
        --out | --cache | --size)
            [ $# -ge 2 ] || fail 2 "$1 needs a value (see --help)"
            case $1 in --out) out=$2 ;; --cache) cache=$2 ;; --size) size_mib=$2 ;; esac
            shift
            ;;
        --if-cached) if_cached=yes ;;
        -h | --help) echo "$usage" && exit 0 ;;
        -*) fail 2 "unknown option $1 (see --help)" ;;
        *) choose "$1" ;;
        esac
        shift
    done
    [ -n "$target" ] || fail 2 "name a target (see --help)"
    case $size_mib in '' | 0* | *[!0-9]*) fail 2 "--size $size_mib: give a number of MiB" ;; esac
    choose_kind
    grep -q "^$target " "$cross/board/packages" || fail 2 "there is no kernel for $target in cross/board/packages"
    agent=$out/$target/dunlin-agent
    [ -z "$if_cached" ] || { [ -e "$agent" ] && has_packages; } || exit 0
    [ -e "$agent" ] || fail 1 "$agent is missing: sh cross/build.sh $target"
    PATH=$PATH:/usr/sbin:/sbin
    needs cpio depmod modprobe mkfs.vfat mke2fs mcopy sfdisk dpkg-deb curl xz
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$source_dir" log -1 --format=%ct 2>/dev/null || echo 1767225600)}
    export SOURCE_DATE_EPOCH
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    unpack_debian
    fill_root
    pack_root
    fill_boot
    put_together
    echo "$out/$target/dunlin.img $(stat -c %s "$out/$target/dunlin.img") bytes, SHA-256 $(digest_of "$out/$target/dunlin.img")"
}

# What UEFI starts from may be a FAT16 on what can be taken out; on a disk that is built in it asks for a FAT32.
choose_kind()
{
    case $target in
    x86_64) kind=pc more_modules=$pc_modules fat=32 ;;
    *) kind=board more_modules=$board_modules fat=16 ;;
    esac
}

unpack_debian()
{
    mkdir -p "$cache/board" "$work/debian"
    grep "^$target " "$cross/board/packages" | while read -r _ package version file digest; do
        deb=$cache/board/$(basename "$file")
        [ -e "$deb" ] || fetch "$package" "$version" "$file"
        is=$(digest_of "$deb")
        [ "$is" = "$digest" ] || fail 1 "$deb is not what cross/board/packages pins: its SHA-256 is $is"
        dpkg-deb -x "$deb" "$work/debian"
    done
    # Debian 13 has them elsewhere, and compressed.
    [ ! -e "$work/debian/usr/lib/modules" ] || { mkdir -p "$work/debian/lib" && mv "$work/debian/usr/lib/modules" "$work/debian/lib/"; }
    kernel=$(ls "$work/debian/lib/modules")
    depmod -b "$work/debian" "$kernel"
}

has_packages()
{
    grep "^$target " "$cross/board/packages" | while read -r _ _ _ file _; do
        [ -e "$cache/board/$(basename "$file")" ] || exit 1
    done
}

# fetch PACKAGE VERSION FILE: where it is from, the FILE's folder says.
fetch()
{
    deb_name=$(basename "$3")
    for archive in debian/pool debian-security/pool/updates; do
        url=$mirror/$archive/main/$(echo "$3" | cut -c 1)/$3
        curl -fsSL -o "$cache/board/$deb_name.new" "$url" 2>"$work/curl" && mv "$cache/board/$deb_name.new" "$cache/board/$deb_name" && return
    done
    fail 1 "Debian has no $1 $2 any more ($(cat "$work/curl")); get $deb_name from https://snapshot.debian.org/ and put it into $cache/board"
}

# The whole system lives in memory, and nothing of it is written to.
fill_root()
{
    root=$work/root
    mkdir -p "$root/bin" "$root/sbin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/run" "$root/boot" \
        "$root/usr/bin" "$root/usr/lib/dunlin" "$root/var/lib/dunlin-agent" "$root/lib" "$root/etc"
    find "$work/debian" -path '*bin/busybox' -exec cp {} "$root/bin/busybox" \;
    ln -s busybox "$root/bin/sh"
    ln -s ../bin/busybox "$root/sbin/modprobe"
    ln -s bin/busybox "$root/init"
    cp "$agent" "$root/usr/bin/dunlin-agent"
    cp "$cross/package/join" "$root/usr/lib/dunlin/join"
    cp "$cross/board/start" "$cross/board/disks" "$cross/board/serve" "$cross/board/network" \
        "$cross/board/lease" "$root/usr/lib/dunlin/"
    cp "$cross/board/inittab" "$root/etc/inittab"
    printf 'PRETTY_NAME="Dunlin device"\n' >"$root/etc/os-release"
    printf 'root:x:0:0:root:/:/bin/sh\nhooks:x:1000:1000:hooks:/tmp:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nhooks:x:1000:\n' >"$root/etc/group"
    chmod 755 "$root"/usr/lib/dunlin/* "$root/usr/bin/dunlin-agent" "$root/bin/busybox"
    for module in $modules $more_modules; do
        modprobe -d "$work/debian" -S "$kernel" --show-depends "$module" 2>/dev/null || true
    done | sed -n 's,^insmod .*\(/lib/modules/[^ ]*\).*,\1,p' | sort -u | while read -r file; do
        mkdir -p "$root/$(dirname "$file")"
        case $file in *.xz) xz -d "$work/debian/$file" && file=${file%.xz} ;; esac
        "$triplet-strip" --strip-debug -o "$root/$file" "$work/debian/$file"
    done
    cp "$work/debian/lib/modules/$kernel"/modules.order "$work/debian/lib/modules/$kernel"/modules.builtin* "$root/lib/modules/$kernel/"
    depmod -b "$root" "$kernel"
    rm -f "$root/lib/modules/$kernel"/*.bin
}

pack_root()
{
    find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    (cd "$root" && find . | sort | cpio --quiet --reproducible -o -H newc -R 0:0 | gzip -9n) >"$work/initramfs.img"
}

fill_boot()
{
    mkdir -p "$work/boot"
    cp "$work"/debian/boot/vmlinu[xz]-"$kernel" "$work/boot/vmlinuz"
    cp "$work/initramfs.img" "$cross/board/dunlin.conf" "$work/boot/"
    "add_loaders_of_$kind"
    for file in vmlinuz initramfs.img; do # an emulator may just be reading the last ones
        cp "$work/boot/$file" "$out/$target/$file.new"
        mv "$out/$target/$file.new" "$out/$target/$file"
    done
}

# U-Boot reads extlinux.conf, the Raspberry Pi's firmware config.txt.
add_loaders_of_board()
{
    mkdir "$work/boot/extlinux"
    cp "$cross/board/extlinux.conf" "$work/boot/extlinux/"
    cp "$cross/board/cmdline.txt" "$work/boot/"
    { cat "$cross/board/config.txt" && echo "arm_64bit=$([ "$target" = aarch64 ] && echo 1 || echo 0)"; } >"$work/boot/config.txt"
}

# UEFI starts what has this name on any disk: systemd-boot, which reads what the kernel is told from a file of its own.
add_loaders_of_pc()
{
    mkdir -p "$work/boot/EFI/BOOT" "$work/boot/loader/entries"
    cp "$work/debian/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$work/boot/EFI/BOOT/BOOTX64.EFI"
    cp "$cross/board/systemd-boot.conf" "$work/boot/loader/entries/dunlin.conf"
}

# Behind a gap of 1 MiB: FAT, data. What remains of a card is free for A/B systems of tomorrow.
put_together()
{
    image=$out/$target/dunlin.img
    rm -f "$image.new"
    truncate -s $(((1 + boot_mib + size_mib) * 1048576)) "$image.new"
    printf 'label-id: 0xd0711a1e\nstart=1MiB, size=%sMiB, type=c, bootable\nstart=%sMiB, size=%sMiB, type=83\n' \
        "$boot_mib" $((1 + boot_mib)) "$size_mib" | sfdisk -q "$image.new" >/dev/null
    truncate -s ${boot_mib}M "$work/boot.fat"
    mkfs.vfat --invariant -F "$fat" -i d0711a1e -n DUNLIN "$work/boot.fat" >/dev/null
    find "$work/boot" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
    (cd "$work/boot" && mcopy -s -m -i "$work/boot.fat" ./* ::)
    truncate -s "${size_mib}M" "$work/data.ext4"
    mke2fs -q -t ext4 -L dunlin-data -m 1 -U d0711a1e-0000-4000-8000-000000000001 \
        -E hash_seed=d0711a1e-0000-4000-8000-000000000002,lazy_itable_init=0 -O ^metadata_csum_seed "$work/data.ext4"
    dd if="$work/boot.fat" of="$image.new" bs=1M seek=1 conv=notrunc,sparse status=none
    dd if="$work/data.ext4" of="$image.new" bs=1M seek=$((1 + boot_mib)) conv=notrunc,sparse status=none
    mv "$image.new" "$image"
}

main "$@"
