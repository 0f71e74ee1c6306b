# For the scripts of this folder: what targets there are, where things are kept, and how to fail.
# What is set here is for the scripts that read this.
# shellcheck shell=sh disable=SC2034
set -eu
cross=$(cd "$(dirname "$0")" && pwd)
source_dir=$(dirname "$cross")
script=$(basename "$0")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dunlin
LC_ALL=C
export LC_ALL

# Target, GNU triplet, Debian's name of the architecture, and what the compiler is told beside.
# Helpers for atomic operations that choose at run time need a glibc. Pages are as big as boards have
# them, 16 KiB on a Raspberry Pi 5, not 64 KiB: that would be 45 KB of nothing in the file.
# riscv64's functions keep registers by calling what all of them share, as ARM's do by one instruction.
targets='x86_64 x86_64-linux-gnu amd64
aarch64 aarch64-linux-gnu arm64 -mno-outline-atomics -Wl,-z,max-page-size=16384
armv7 arm-linux-gnueabihf armhf -march=armv7-a+fp -mthumb -Wl,-z,max-page-size=4096
riscv64 riscv64-linux-gnu riscv64 -msave-restore'

# Sets target, triplet, arch and machine.
choose()
{
    target=$1
    row=$(echo "$targets" | grep "^$target ") || fail 2 "there is no target $target; there are: $(target_names)"
    triplet=$(echo "$row" | cut -d ' ' -f 2)
    arch=$(echo "$row" | cut -d ' ' -f 3)
    machine=$(echo "$row" | cut -s -d ' ' -f 4-)
}

target_names()
{
    echo "$targets" | cut -d ' ' -f 1 | paste -sd ' ' -
}

needs()
{
    for command; do
        command -v "$command" >/dev/null || fail 1 "$command is missing: sh setup.sh --cross installs it"
    done
}

digest_of()
{
    sha256sum "$1" | cut -d ' ' -f 1
}

say()
{
    echo "$script: $*" >&2
}

fail()
{
    echo "$script: $2" >&2
    exit "$1"
}
