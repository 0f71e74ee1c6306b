#!/bin/sh
# The rows of benchmarks as a table: JSON documents come on standard input, as they are printed at the end.
# usage: table.sh [--markdown] <FILE
set -eu

main()
{
    if [ "${1:-}" = --markdown ]; then
        rows | sed 's/\t/ | /g; s/^/| /; s/$/ |/' | sed '1{p; s/[^|]\{1,\}/---/g}'
    else
        rows | align
    fi
}

# What is better when it is bigger has a unit that ends in "/s".
rows()
{
    jq -rs '
        def tidy: if . == null then "" elif . >= 100 then round elif . >= 10 then . * 10 | round / 10
            elif . >= 0.1 then . * 100 | round / 100 else . * 10000 | round / 10000 end | tostring;
        def digits: if length > 3 and test("^[0-9]+$") then (.[:-3] | digits) + "," + .[-3:] else . end;
        def ratio: if .floor == null or .floor == 0 or .value == 0 then null
            elif .unit | endswith("/s") then .floor / .value else .value / .floor end;
        [map(.rows[]) | .[] | [.what, ((.value | tidy | digits) + " " + .unit), (.floor | tidy | digits), (ratio | tidy),
            (.published | map((.value | tidy | digits) + " " + .of) | join(", "))]] as $lines
        | ["what", "ours", "floor", "ratio", "published"], $lines[]
        | @tsv'
}

align()
{
    awk -F '\t' '{ line[NR] = $0; for (i = 1; i <= NF; i++) if (length($i) > wide[i]) wide[i] = length($i) }
        END {
            for (n = 1; n <= NR; n++) {
                split(line[n], cell, FS)
                printf "%-*s  %*s  %*s  %*s  %s\n", wide[1], cell[1], wide[2], cell[2], wide[3], cell[3], wide[4], cell[4], cell[5]
            }
        }'
}

main "$@"
