#!/bin/sh
# Every shell script is clean by shellcheck and may be executed.
. "$(dirname "$0")/lib.sh"

scripts=$({ files '*.sh' && files './.ci/*'; files '*/hooks/*'; } | sort -u)
echo "$scripts" | each 10 shellcheck -x -P SCRIPTDIR -P .

for script in $scripts; do
    case $script in */lib.sh) continue ;; esac
    [ -x "$script" ] || { echo "$script: not executable (chmod +x $script)" && exit 1; }
done
