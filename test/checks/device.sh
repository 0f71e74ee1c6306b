#!/bin/sh
# What devices get is as it should be, and no bigger than its budget. This machine's kind is built for it, and other kinds
# that somebody has built are brought up to date, when the libraries are there already, since making them takes minutes.
. "$(dirname "$0")/lib.sh"

found=''
for target in $({ uname -m && find build/cross -mindepth 2 -maxdepth 2 -name dunlin-agent 2>/dev/null | cut -d / -f 3; } | sort -u); do
    [ -n "$(sh cross/build.sh --if-cached "$target")" ] || continue
    sh cross/check.sh "$target"
    sh cross/sizes.sh "$target"
    found=yes
done
[ -n "$found" ] || { echo "skipped: nothing is built for devices: sh setup.sh --cross && sh cross/build.sh $(uname -m)" && exit 77; }
