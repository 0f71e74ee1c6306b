#!/bin/sh
# The table of parsers in SECURITY.md is whole: each fuzz target has a row and a corpus, and each row a target, limits
# that are there, and a unit test. And each route of the API has a seed.
# shellcheck disable=SC2016 # backquotes that are text
. "$(dirname "$0")/lib.sh"

wrong=0
rows=$(sed -n '/^### Parsers/,/^## /s/^| `\([a-z_]*\)` |.*/\1/p' SECURITY.md)

# complain WORDS...
complain()
{
    echo "$*"
    wrong=1
}

for source in test/fuzz/fuzz_*.c; do
    noun=${source##*/fuzz_}
    noun=${noun%.c}
    echo "$rows" | grep -qx "$noun" || complain "SECURITY.md: no parser has a row \`$noun\`, as $source does"
    [ -n "$(ls "test/fuzz/corpus/$noun" 2>/dev/null)" ] || complain "$source: nothing is in test/fuzz/corpus/$noun"
done
for noun in $rows; do
    row=$(grep "^| \`$noun\` |" SECURITY.md)
    [ -f "test/fuzz/fuzz_$noun.c" ] || complain "SECURITY.md: \`$noun\` has no test/fuzz/fuzz_$noun.c"
    test=$(echo "$row" | sed -n 's,.*`unit/\(test_[a-z_]*\)`.*,\1,p')
    [ -f "test/unit/$test.c" ] || complain "SECURITY.md: \`$noun\` has no unit test"
    for limit in $(echo "$row" | grep -oE '`[A-Z_]+`' | tr -d '`'); do
        files '*.h' | each 50 grep -hE "define $limit( |$)" | grep -q . || complain "SECURITY.md: \`$noun\`: no $limit"
    done
done
sed -n 's/^ *{"\([A-Z]*\)", "\([^"]*\)", ROLE_.*/\1 \2/p' manager/api.c | while read -r method path; do
    grep -qlaxF "$method $path" test/fuzz/corpus/api/* || echo "$method $path has no seed in test/fuzz/corpus/api"
done | grep . && wrong=1
exit $wrong
