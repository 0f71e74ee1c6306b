#!/bin/sh
# What devices get is as it should be, and no bigger than its budget. This machine's kind is built
# for it when the libraries are there already, since making them takes minutes; other kinds are looked
# at when somebody has built them.
. "$(dirname "$0")/lib.sh"

sh cross/build.sh --if-cached "$(uname -m)"
found=''
for agent in build/cross/*/dunlin-agent; do
    [ -e "$agent" ] || continue
    target=$(basename "$(dirname "$agent")")
    sh cross/check.sh "$target"
    sh cross/sizes.sh "$target"
    found=yes
done
[ -n "$found" ] || { echo "skipped: nothing is built for devices: sh setup.sh --cross && sh cross/build.sh $(uname -m)" && exit 77; }
