#!/bin/sh
# What is left to do isn't kept in the code, and tests wait for facts, not for time.
. "$(dirname "$0")/lib.sh"

wrong=0

# Usage: refuse FILES EXPRESSION ADVICE
refuse()
{
    lines=$(files "$1" | grep -v '^test/checks/words\.sh$' | each 50 grep -nHE "$2") || true
    [ -n "$lines" ] || return 0
    printf '%s\n^ %s\n' "$lines" "$3"
    wrong=1
}

for kind in '*.[ch]' '*.sh' '*.py' '*CMakeLists.txt'; do
    refuse "$kind" '\b(TODO|FIXME|XXX|HACK)\b' 'do it now, or write it where work is planned'
done
for kind in unit story; do
    refuse "./test/$kind/*.c" '\b(u|nano)?sleep\(' 'pass the time in as an argument'
done
exit $wrong
