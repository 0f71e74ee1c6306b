# What benchmarks print, as rows of one kind: {what, value, unit, floor, published: [{value, of}]}. Newer ones print
# their rows themselves; for the others it is said here. The input is a kept document: {bench, lines: [what it printed]}.
def row($what; $value; $unit; $floor): {$what, $value, $unit, $floor, published: []};

def round_at($digits): . * pow(10; $digits) | round / pow(10; $digits);

def thousands: tostring | if length > 3 then (.[:-3] | thousands) + "," + .[-3:] else . end;

# What one agent takes of the brokers' processors, in ms, in all phases that have a floor; and of bare clients there.
def with_floors: .phases | map(select(.floor_cpu_s));
def brokers_ms: .agents as $agents | with_floors | map(.cpu_s.brokers) | add * 1000 / $agents;
def brokers_floor_ms: .agents as $agents | with_floors | map(.floor_cpu_s.brokers) | add * 1000 / $agents;

# The largest run beside the smallest: an agent's cost shall stay the same.
def growth: select(length > 1) | .[0] as $small | .[-1] as $large |
    "an agent of \($large.agents | thousands) beside one of \($small.agents | thousands): " as $beside |
    row($beside + "manager, processor"; $large.an_agent.manager_cpu_ms; "ms"; $small.an_agent.manager_cpu_ms),
    row($beside + "brokers, processor, in phases with a floor"; $large | brokers_ms; "ms"; $small | brokers_ms),
    row($beside + "the same of bare clients, which is the machine"; $large | brokers_floor_ms; "ms"; $small | brokers_floor_ms),
    row($beside + "database"; $large.an_agent.database_bytes; "bytes"; $small.an_agent.database_bytes);

# Memory and processor time of a whole run, each part apart.
def totals: .agents as $agents | (.totals // {} | to_entries[] |
        row("\(.key), processor time of the whole run, \($agents | thousands) agents"; .value.cpu_s; "s"; null),
        row("\(.key), memory at most"; .value.peak_kib / 1024; "MiB"; null)),
    (.database_bytes // empty | row("database"; . / 1048576; "MiB"; null)),
    (.database_log_bytes // empty | row("what of it is written ahead"; . / 1048576; "MiB"; null));

def of_million: last.runs | growth, (.[-1] | totals), (.[0].everything // empty | row(
        "\(.agents | thousands) agents fetch a bundle's content, each all of it, \(.bytes / 1048576 | round | thousands) MiB"; .seconds; "s"; .floor_seconds)),
    (.[-1] | .agents as $agents |
        .phases[] | row("\(.phase), \($agents | thousands) agents"; .seconds; "s"; .floor_seconds),
            if .floor_cpu_s then row("\(.phase): processors of manager and brokers"; .cpu_s | .manager + .brokers; "s";
                .floor_cpu_s | .manager + .brokers) else empty end),
    (.[-1] | .agents as $agents | (.floors.notice // empty | .seconds) as $notice | .phases[] | select(.phase == "document") |
        row("document, one to each, beside one bare publication to each"; .seconds * $agents / .count; "s"; $notice)),
    (.[] | .agents as $agents | .deployments as $deployments | .status_meanwhile | to_entries[] | select(.key != "asked") |
        row("\($deployments | thousands) deployments counted over \($agents | thousands) agents while statuses come, \(.key | rtrimstr("_ms"))";
            .value; "ms"; null)),
    (.[] | .agents as $agents | .an_agent | to_entries[] |
        row("an agent of \($agents | thousands): \(.key | gsub("_"; " "))"; .value; ""; null));

def of_kubefleet_rollout: last | .agents as $agents |
    row("\($agents | thousands) agents join, two at a time"; .join_s; "s"; null),
    row("a first version for all at once"; .first_version_s; "s"; .well.cpu_s.agents / 2),
    row("a rollout in three stages, half of each at a time"; .well.seconds; "s"; null),
    row("manager's processor time for it"; .well.cpu_s.manager; "s"; null),
    row("the same with a tenth dead and a tenth that fails"; .ill.seconds; "s"; null),
    row("the dead are back and have caught up after"; .dead_caught_up_s; "s"; null),
    row("manager, at most"; .manager_kib.peak / 1024; "MiB"; null);

def of_large: last | (.bytes / 1e9 | round_at(1)) as $gb |
    row("\($gb) GB in \(.files | thousands) files: push"; .push_s; "s"; null),
    row("from the command until a device runs it"; .take_s; "s"; null),
    (.peak_kib | to_entries[] | row("memory at most: \(.key)"; .value / 1024; "MiB"; null));

def of_placement: (map(select(.what | startswith("floor"))) | first) as $alone | .[] | select(.agents > 0) |
    row("\(.what), \(.agents | thousands) agents, \(.documents) documents"; .ms; "ms";
        if .documents > 0 then $alone.ms * .documents / $alone.documents else null end);

def of_audit: .[] | row("\(.joins_a_commit) joins a commit, with the audit log"; .cpu_us_with; "µs"; .cpu_us_without);

def of_bundles: last | row("a tree is packed"; .pack_mb_s; "MB/s"; .sha256_mb_s),
    row("again, without a change"; .pack_again_mb_s; "MB/s"; .read_mb_s),
    row("unpacked"; .unpack_mb_s; "MB/s"; .sha256_mb_s),
    row("chunks found and digested"; .chunking_sha256_mb_s; "MB/s"; .sha256_mb_s),
    row("memory, at most"; .rss_peak_kib / 1024; "MiB"; null);

# A table of the largest run's phases, in Markdown.
def tidy: if . == null then "" elif . >= 100 then round | thousands else round_at(if . >= 10 then 1 else 2 end) | tostring end;
def phases_table: .lines[-1].runs[-1] | ["phase, \(.agents | thousands) agents", "s", "a second", "p50 ms", "p90", "p99", "most", "messages", "MiB",
        "floor, s", "ratio", "CPU s: manager", "brokers", "simulator", "floor\u0027s", "ratio"],
    ([range(16)] | map("---")),
    (.phases[] | [.phase, (.seconds | tidy), (.rate_s | tidy), (.latency_ms | .p50, .p90, .p99, .max | tidy), (.messages | tidy),
        (.bytes | if . then . / 1048576 else null end | tidy), (.floor_seconds | tidy), (.ratio | tidy),
        (.cpu_s | .manager, .brokers, .simulator | tidy),
        (.floor_cpu_s | if . then .manager + .brokers else null end | tidy), (.cpu_ratio | tidy)]) | "| " + join(" | ") + " |";

def rows: .bench as $bench | .lines | [
    if (last | has("rows")) then last.rows[]
    elif $bench == "million" then of_million
    elif $bench == "kubefleet_rollout" then of_kubefleet_rollout
    elif $bench == "large" then of_large
    elif $bench == "placement" then of_placement
    elif $bench == "audit" then of_audit
    elif $bench == "bundles" then of_bundles
    else empty end];
