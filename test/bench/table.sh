#!/bin/sh
# What benchmark NAME has printed, as a table; what is better when it is bigger has a unit that ends in "/s".
# usage: table.sh [--markdown] NAME <OUTPUT
set -eu

main()
{
    markdown=
    [ "$1" != --markdown ] || { markdown=yes && shift; }
    grep '^{' | jq -sr -L "$(dirname "$0")" --arg bench "$1" 'include "rows";
        def tidy: if . == null then "" elif . >= 100 then round | thousands else round_at(if . >= 10 then 1 elif . >= 0.1 then
            2 else 4 end) | tostring end;
        def ratio: if .floor == null or .floor == 0 or .value == 0 then null
            elif .unit | endswith("/s") then .floor / .value else .value / .floor end;
        {$bench, lines: .} | rows | select(length > 0) |
        ["what", "ours", "floor", "ratio", "published"],
        (.[] | [.what, ((.value | tidy) + " " + .unit), (.floor | tidy), (ratio | tidy),
            (.published | map((.value | tidy) + " " + .of) | join(", "))]) | @tsv' | lay_out
}

lay_out()
{
    if [ "$markdown" ]; then
        sed 's/\t/ | /g; s/^/| /; s/$/ |/; 1{p; s/[^|]\{1,\}/---/g}'
    else
        awk -F '\t' '{ line[NR] = $0; for (i = 1; i <= NF; i++) if (length($i) > wide[i]) wide[i] = length($i) }
            END {
                for (n = 1; n <= NR; n++) {
                    split(line[n], cell, FS)
                    printf "%-*s  %*s  %*s  %*s  %s\n", wide[1], cell[1], wide[2], cell[2], wide[3], cell[3], wide[4],
                        cell[4], cell[5]
                }
            }'
    fi
}

main "$@"
