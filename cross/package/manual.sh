#!/bin/sh
# Usage: PROGRAM --help | manual.sh NAME WHAT >NAME.1. A man page that says what the program itself
# says of its use, so that it can't say anything else.
set -eu
printf '.TH "%s" 1 "" "Dunlin" "Dunlin"\n.SH NAME\n%s \\- %s\n.SH DESCRIPTION\n.nf\n' \
    "$(echo "$1" | tr '[:lower:]' '[:upper:]')" "$1" "$2"
sed 's/\\/\\e/g; s/-/\\-/g; s/^\([.'"'"']\)/\\\&\1/'
echo .fi
