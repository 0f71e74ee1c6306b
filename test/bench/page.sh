#!/bin/sh
# Makes what stands between the marks of BENCHMARKS.md and README.md, and their plots, from the results that run.sh --keep has kept.
# Budgets are in budgets.tsv: what, at most, unit, benchmark, where in its result (jq), and the cause where it is
# more, which is jq as well, so that it speaks of the very figures that stand beside it; $run is million's largest run.
# usage: page.sh
set -eu

cd "$(dirname "$0")/../.."
bench=test/bench
results=$bench/results

main()
{
    command -v gnuplot >/dev/null || { echo "page.sh: gnuplot is missing: apt-get install gnuplot-nox" >&2 && exit 1; }
    mkdir -p $results
    plot_published
    plot_million
    for page in BENCHMARKS.md README.md; do
        fill <$page >$page.new
        mv $page.new $page
    done
}

# Copies the page; after a mark comes what it asks for, up to the end mark.
fill()
{
    skip=
    while IFS= read -r line; do
        [ "$line" != '<!-- end -->' ] || skip=
        [ -n "$skip" ] || printf '%s\n' "$line"
        # shellcheck disable=SC2086
        case $line in '<!-- end -->' | '<!-- '*'(made by'* | [!\<]* | '') ;; '<!-- '*' -->') skip=yes && make_block $line ;; esac
    done
}

make_block() # <!-- KIND [NAME] -->
{
    case $2 in
    list) make_list ;;
    phases) make_phases ;;
    budgets) make_budgets ;;
    table) make_table "$3" ;;
    plot) [ ! -e "$results/$3.svg" ] || printf '\n![](%s)\n\n' "$results/$3.svg" ;;
    *) echo "page.sh: what is a $2?" >&2 && exit 1 ;;
    esac
}

make_list()
{
    echo '| name | what it measures | kept result |'
    echo '|---|---|---|'
    sh $bench/run.sh | while read -r name what; do
        echo "| \`$name\` | $what | $(kept "$(echo "$name" | tr - _)") |"
    done
}

kept() # NAME
{
    [ ! -s "$results/$1.json" ] || jq -r '.date' "$results/$1.json"
}

# Of the largest fleet.
make_phases()
{
    jq -r '"`\(.command)`, \(.date), \(.machine).\n"' $results/million.json
    jq -r -L $bench 'include "rows"; phases_table' $results/million.json
}

make_table() # NAME
{
    if [ -s "$results/$1.json" ]; then
        jq -r '"`\(.command)`, \(.date), \(.machine); load \(.load) when it began.\n"' "$results/$1.json"
        jq -c '.lines[]' "$results/$1.json" | sh $bench/table.sh --markdown "$1"
    else
        echo "Not kept yet: \`sh test/bench/run.sh $(echo "$1" | tr _ -) --keep\`."
    fi
}

# ---- budgets ----

make_budgets()
{
    echo '| what | at most | measured | | by |'
    echo '|---|---|---|---|---|'
    tab=$(printf '\t')
    while IFS=$tab read -r what most unit name where cause; do
        measured=$(look "$name" "$where") || measured=
        echo "| $what | $(number "$most") $unit | $(number "$measured")$(size_of "$name") | $(verdict "$most" "$measured" "$(cause_of "$name" "$cause")") | $(by "$name") |"
    done <$bench/budgets.tsv
}

look() # NAME JQ
{
    case $1 in
    sizes) awk -F , 'NR > 1 && $4 > 0 { print "{\"" $1 "," $2 "\": " $4 "}" }' cross/sizes.csv | jq -s "add | $2 // empty" ;;
    *) [ ! -s "$results/$1.json" ] || jq '
        (.lines[-1].runs // [] | last // {} | .phase = ([.phases // [] | .[] | {(.phase): .}] | add)) as $run
        | .date as $date | def on($of; $text): if $date == $of then "; " + $text else "" end;
        def s: if . >= 10 then round else . * 100 | round / 100 end | tostring;
        def beside: "manager \(.cpu_s.manager | s) s of processor beside \(.floor_cpu_s.manager | s), brokers \(.cpu_s.brokers | s) beside \(
            .floor_cpu_s.brokers | s), simulated agents \(.cpu_s.simulator | s) beside \(.floor_cpu_s.simulator | s)";
        def row($name): first(.lines[-1].rows[] | select(.what | startswith($name)).value);
        (try ('"$2"') catch null) // empty' "$results/$1.json" ;;
    esac
}

# A sentence that is made of the figures, or none.
cause_of() # NAME JQ
{
    [ -z "$2" ] || look "$1" "$2" | jq -r .
}

number()
{
    [ -z "$1" ] || jq -nr -L $bench "include \"rows\"; $1 | if . >= 100 then round | thousands else round_at(2) | tostring end"
}

# Of how many agents it was measured, where the budget is for a million.
# shellcheck disable=SC2016
size_of() # NAME
{
    [ "$1" != million ] || [ -z "$measured" ] || look million '"with \($run.agents | tostring | gsub("(?<=.)(?=(...)+$)"; ",")) agents"' | jq -r '" " + .'
}

verdict() # MOST MEASURED CAUSE
{
    [ -n "$2" ] || { echo "not measured yet" && return; }
    jq -nr --arg cause "$3" -L $bench "include \"rows\"; if $2 <= $1 then \"met\"
        else \"\($2 / $1 | round_at(2)) times as much\" + if \$cause != \"\" then \": \" + \$cause else \"\" end end"
}

by() # NAME
{
    case $1 in
    sizes) echo "\`sh cross/sizes.sh\`" ;;
    *) jq -r '"`\(.command)`"' "$results/$1.json" 2>/dev/null || echo "\`sh test/bench/run.sh $(echo "$1" | tr _ -)\`" ;;
    esac
}

# ---- plots ----

PLOT="set terminal svg size 1000,SIZE font 'sans,12' background 'white'
set grid xtics lc rgb '#dddddd'
set border 3
set tics nomirror"

# draw NAME HEIGHT COMMANDS: data are in $data.
draw()
{
    { echo "$PLOT" | sed "s/SIZE/$2/" && printf '%s\n' "$3"; } | gnuplot >"$results/$1.svg"
}

# Times beside published ones, each pair on a line of its own.
plot_published()
{
    data=$(mktemp)
    for name in kubefleet karmada; do
        [ -s "$results/$name.json" ] || continue
        jq -r -L $bench 'include "rows"; rows[] | select(.published != [] and (.unit == "s" or .unit == "ms")) |
            (if .unit == "ms" then 1000 else 1 end) as $of |
            "\"\(.what) (\(.published[0].of))\"\t\(.value / $of)\t\(.published[0].value / $of)"' "$results/$name.json"
    done >"$data"
    [ ! -s "$data" ] || draw published $((80 + 30 * $(wc -l <"$data"))) "
        set logscale x
        set xlabel 'seconds (others measured theirs on their own machines)'
        set lmargin at screen 0.5
        set yrange [:] reverse
        set offsets 0, 0, 0.5, 0.5
        set key above
        plot '$data' using 2:0:(\$3 - \$2):(0):ytic(1) with vectors nohead lc rgb '#aaaaaa' notitle, \
            '' using 3:0 with points pt 6 lc rgb '#cc4444' title 'published', \
            '' using 2:0 with points pt 7 lc rgb '#2266aa' title 'ours'"
    rm "$data"
}

# What an agent costs in fleets of several sizes, and each phase's time as a multiple of its floor.
plot_million()
{
    [ -s $results/million.json ] || return 0
    data=$(mktemp)
    jq -r '.lines[-1].runs[] | "\(.agents) \(.an_agent.manager_cpu_ms) \(.an_agent.brokers_cpu_ms) \(.an_agent.database_bytes)"' \
        $results/million.json >"$data"
    draw cost 360 "
        set logscale x
        set xlabel 'agents'
        set ylabel 'ms of a processor, an agent'
        set y2label 'bytes of the database, an agent'
        set yrange [0:*]
        set y2range [0:*]
        set y2tics
        set border 11
        set key above
        plot '$data' using 1:2 with linespoints pt 7 lc rgb '#2266aa' title 'manager', \
            '' using 1:3 with linespoints pt 7 lc rgb '#66aa22' title 'brokers', \
            '' using 1:4 axes x1y2 with linespoints pt 6 lc rgb '#cc4444' title 'database'"
    jq -r '.lines[-1].runs | last | .phases[] | select(.ratio) | "\"\(.phase)\"\t\(.ratio)"' $results/million.json >"$data"
    draw floors $((80 + 26 * $(wc -l <"$data"))) "
        set xlabel 'time as a multiple of the floor, in the largest run'
        set xrange [0:*]
        set yrange [:] reverse
        set offsets 0, 0, 0.5, 0.5
        set arrow from first 1.3, graph 0 to first 1.3, graph 1 nohead dt 2 lc rgb '#888888'
        unset key
        plot '$data' using (0):0:2:(0):ytic(1) with vectors nohead lw 8 lc rgb '#2266aa'"
    rm "$data"
}

main "$@"
