#!/bin/sh
# Installs the Debian packages that Dunlin is built from and runs on. It asks nothing, says what it
# is about to install, and is silent when nothing is missing; run it as often as you like.
set -eu

build='cmake ninja-build ccache gcc libc6-dev pkg-config libcurl4-openssl-dev libgnutls28-dev
libjansson-dev libmbedtls-dev libmicrohttpd-dev libmosquitto-dev libmsgpack-dev libqrencode-dev
libsqlite3-dev libyaml-dev libzstd-dev mosquitto mosquitto-clients nettle-dev'
test='clang clang-format clang-tidy codespell cppcheck curl gnuplot-nox iproute2 jq libclang-rt-dev
libcunit1-dev openssl procps python3 python3-zbar shellcheck sqlite3 xxd'
cross='busybox-static cpio debootstrap dosfstools dpkg-dev e2fsprogs fdisk gcc-aarch64-linux-gnu
gcc-arm-linux-gnueabihf gcc-riscv64-linux-gnu kmod libc6-dev-arm64-cross libc6-dev-armhf-cross
libc6-dev-riscv64-cross make mtools ovmf patch qemu-system-arm qemu-system-misc qemu-system-x86 qemu-user-static
systemd-container tcl xz-utils'

usage='usage: sh setup.sh [--test] [--cross]
Installs the Debian packages that building and running Dunlin needs.
  --test    also the packages that test/run.sh needs
  --cross   also compilers and emulators for devices, as cross/ needs them
  --help    this text'

main()
{
    wanted=$build
    for option; do
        case $option in
        --test) wanted="$wanted $test" ;;
        --cross) wanted="$wanted $cross" ;;
        -h | --help) echo "$usage" && exit 0 ;;
        *) fail 2 "unknown option $option (see sh setup.sh --help)" ;;
        esac
    done
    command -v dpkg-query >/dev/null || fail 1 "this is not Debian; install by hand: $(line "$wanted")"

    missing=$(missing_of "$wanted")
    [ -n "$missing" ] || exit 0
    as_root="env"
    [ "$(id -u)" = 0 ] || as_root=$(find_sudo) || fail 1 "I am not root and may not use sudo here. \
As root, type: apt-get update && apt-get install $missing"
    echo "setup: installing: $missing"
    install
    case " $missing " in *' mosquitto '*) quiet_broker ;; esac
    echo "setup: done"
}

missing_of()
{
    for package in $1; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
        installed) ;;
        *) echo "$package" ;;
        esac
    done | paste -sd ' ' -
}

# sudo may ask for a password on a terminal; elsewhere it must work without one.
find_sudo()
{
    command -v sudo >/dev/null || return 1
    [ -t 0 ] && echo "sudo env" && return
    sudo -n true 2>/dev/null && echo "sudo -n env"
}

# $as_root and $missing are lists of words.
# shellcheck disable=SC2086
install()
{
    apt='DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300'
    $as_root $apt update || echo "setup: apt-get update failed; trying with the lists that are here"
    $as_root $apt install --no-install-recommends $missing ||
        fail 1 "apt-get install failed; look at the lines above"
}

# Debian starts a broker of its own with the package; Dunlin's manager runs private ones instead.
quiet_broker()
{
    echo "setup: switching off the system broker on port 1883 that came with the mosquitto package"
    $as_root update-rc.d mosquitto disable >/dev/null 2>&1 || true
    $as_root invoke-rc.d mosquitto stop >/dev/null 2>&1 || true
}

line()
{
    echo "$1" | paste -sd ' ' -
}

fail()
{
    echo "setup: $2" >&2
    exit "$1"
}

main "$@"
