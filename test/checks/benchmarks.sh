#!/bin/sh
# Each benchmark says what it measures when it is asked, without a run, and BENCHMARKS.md has all of them.
. "$(dirname "$0")/lib.sh"

run=test/bench/run.sh
wrong=0

fault()
{
    echo "$*"
    wrong=1
}

# refused WORDS ARGUMENT...: as wrong use, which is told.
refused()
{
    words=$1 code=0
    shift
    said=$(sh $run "$@" 2>&1) || code=$?
    { [ "$code" = 2 ] && echo "$said" | grep -qF -e "$words"; } || fault "run.sh $* ends with $code and should say '$words': $said"
}

for name in $(sh $run | cut -d ' ' -f 1); do
    what=$(sh $run | sed -n "s/^$name  *//p")
    sh $run "$name" --help | paste -sd ' ' - | grep -qF -e "$what" || fault "run.sh $name --help does not say: $what"
    grep -qF -e "| \`$name\` | $what |" BENCHMARKS.md || fault "BENCHMARKS.md lacks $name: sh test/bench/page.sh"
done
refused "there is no benchmark xyzzy" xyzzy
refused "unknown option --xyzzy" --xyzzy
exit $wrong
