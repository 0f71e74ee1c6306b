#include "simulator/load/floor.h"
#include "simulator/load/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static void print_table(const struct load *l, const struct snapshot *now);
static void print_row(const struct load *l, const struct measure *m);
static void print_notice(const struct load *l);
static void print_floorless(const struct measure *m);
static void print_totals(const struct load *l, const struct snapshot *now);
static void print_json(const struct load *l, const struct snapshot *now);
static json_t *measure_json(const struct load *l, const struct measure *m);
static json_t *floors_json(const struct load *l);
static json_t *cpu_json(const struct cost *c);
static json_t *usage_json(const struct usage *u);

void report_print(const struct load *l)
{
    struct snapshot now;
    snapshot_take(&now, &l->boss, &l->team);
    if (l->options.json)
        print_json(l, &now);
    else
        print_table(l, &now);
    fflush(stdout);
}

static void add_times(struct cost *sum, const struct cost *once, double times)
{
    sum->seconds += once->seconds * times;
    sum->manager_s += once->manager_s * times;
    sum->brokers_s += once->brokers_s * times;
    sum->simulator_s += once->simulator_s * times;
}

/* The floor is as often what one round took as there were such messages for each agent, and chunks
 * for each that fetches. All zero: there is none. */
static struct cost floor_of(const struct load *l, const struct measure *m)
{
    struct cost floor = {0};
    uint64_t messages = m->floor == FLOOR_DOCUMENT ? m->documents : m->count;
    if (m->floor == FLOOR_COUNT)
        return m->own_floor;
    add_times(&floor, &l->floors[m->floor], (double)messages / l->options.agents);
    if (m->chunks > 0)
        add_times(&floor, &l->floors[FLOOR_CONTENT],
                  (double)m->chunks / FLOOR_CHUNKS / script_count_fetching(&l->script));
    return floor;
}

/* Of processor time without the simulator's, as devices have processors of their own. */
static double cpu_ratio(const struct cost *is, const struct cost *floor)
{
    return (is->manager_s + is->brokers_s) / (floor->manager_s + floor->brokers_s);
}

static const char *links(const struct load *l)
{
    return l->options.tls ? "TLS with certificates of both ends, nothing resumed" : "plain";
}

static double rate(const struct measure *m)
{
    return m->cost.seconds > 0 ? (double)m->count / m->cost.seconds : 0;
}

static double milliseconds(const struct measure *m, unsigned per_mille)
{
    return (double)(per_mille > 1000 ? m->tally.max_us : tally_at(&m->tally, per_mille)) / 1000;
}

/* ---- for people ---- */

static void print_table(const struct load *l, const struct snapshot *now)
{
    printf("%u agents, ", l->options.agents);
    if (l->options.connections)
        printf("which share %u sessions with brokers, each joined by itself, ", now->sum.trunks);
    else
        printf("each with a connection of its own, ");
    printf("in %u processes, on %u brokers\n\n", l->team.count, l->boss.cells);
    printf("%-15s %8s %8s %8s %6s %8s %8s %8s %8s %9s %9s %22s %19s %6s\n", "PHASE", "SECONDS",
           "RATE/S", "FLOOR S", "RATIO", "P50 MS", "P90 MS", "P99 MS", "MAX MS", "MESSAGES", "KIB",
           "CPU S: MAN  BROK SIMUL", "FLOOR'S", "RATIO");
    for (uint32_t i = 0; i < l->measure_count; i++)
        print_row(l, &l->measures[i]);
    print_notice(l);
    printf("The second ratio is of the manager's and the brokers' processor time.\n");
    for (uint32_t i = 0; i < l->measure_count; i++)
        print_floorless(&l->measures[i]);
    print_totals(l, now);
}

static void print_row(const struct load *l, const struct measure *m)
{
    char seconds[16] = "-", ratio[16] = "-";
    struct cost floor = floor_of(l, m);
    if (floor.seconds > 0) {
        snprintf(seconds, sizeof seconds, "%.2f", floor.seconds);
        snprintf(ratio, sizeof ratio, "%.2f", m->cost.seconds / floor.seconds);
    }
    printf("%-15s %8.2f %8.0f %8s %6s ", m->name, m->cost.seconds, rate(m), seconds, ratio);
    if (m->tally.count > 0)
        printf("%8.1f %8.1f %8.1f %8.1f", milliseconds(m, 500), milliseconds(m, 900),
               milliseconds(m, 990), milliseconds(m, 1001));
    else
        printf("%8s %8s %8s %8s", "-", "-", "-", "-");
    printf(" %9" PRIu64 " %9" PRIu64 " %10.2f %5.2f %5.2f", m->messages, m->bytes / 1024,
           m->cost.manager_s, m->cost.brokers_s, m->cost.simulator_s);
    if (floor.seconds > 0)
        printf(" %7.2f %5.2f %5.2f %6.2f", floor.manager_s, floor.brokers_s, floor.simulator_s,
               cpu_ratio(&m->cost, &floor));
    putchar('\n');
}

static void print_floorless(const struct measure *m)
{
    if (m->floorless)
        printf("No floor for \"%s\", since %s.\n", m->name, m->floorless);
}

/* Beside what a document takes, which is asked for and answered. */
static void print_notice(const struct load *l)
{
    const struct cost *floor = &l->floors[FLOOR_NOTICE];
    if (floor->seconds > 0)
        printf("%-15s %8s %8s %8.2f  bare: one publication to each agent, of a document's length, "
               "which nobody asks for or answers; CPU S %.2f %.2f %.2f\n",
               "notice", "-", "-", floor->seconds, floor->manager_s, floor->brokers_s,
               floor->simulator_s);
}

/* Of the spares. */
static uint32_t placed(const struct load *l)
{
    uint32_t spares = l->options.deployments - 1;
    return spares < SCRIPT_SPARES_MAX ? spares : SCRIPT_SPARES_MAX;
}

static void print_totals(const struct load *l, const struct snapshot *now)
{
    const struct team_sum *sum = &now->sum;
    printf("\nprocessor time  manager %.1f s, brokers %.1f s, simulator %.1f s\n",
           (double)now->manager.cpu_us / 1e6, (double)now->brokers.cpu_us / 1e6,
           (double)now->simulator.cpu_us / 1e6);
    printf("peak memory     manager %" PRIu64 " MiB, brokers %" PRIu64 " MiB, simulator %" PRIu64
           " MiB\n",
           now->manager.peak_kib / 1024, now->brokers.peak_kib / 1024,
           now->simulator.peak_kib / 1024);
    printf("database        %" PRIu64 " KiB, %" PRIu64 " bytes an agent; %" PRIu64
           " KiB of it is what is written ahead\n",
           boss_database_bytes(&l->boss) / 1024, boss_database_bytes(&l->boss) / l->options.agents,
           boss_log_bytes(&l->boss) / 1024);
    printf(
        "deployments     %u, of which %u stand on one label set each, whose devices are taken to "
        "have had them before; all counted %" PRIu64
        " times, as `dunlin status` does, while statuses came: p50 %.1f ms, p99 %.1f ms, max "
        "%.1f ms\n",
        l->options.deployments, placed(l), l->asked.count, (double)tally_at(&l->asked, 500) / 1000,
        (double)tally_at(&l->asked, 990) / 1000, (double)l->asked.max_us / 1000);
    printf("agents          %" PRIu64 " statuses, %" PRIu64 " documents, %" PRIu64
           " chunks, %" PRIu64 " requests to join repeated\n",
           sum->statuses, sum->documents, sum->chunks, sum->retries);
    printf("devices' own    %u keys made in %.1f s; %" PRIu64
           " signatures checked in %.1f s, %" PRIu64
           " remembered; each of %d checks what is its own alone\n",
           l->devices.made, l->devices.seconds, sum->checked, (double)sum->checked_us / 1e6,
           sum->remembered, MEMBER_CHECKS_EVERY);
    printf("links           %s, on this machine\n", links(l));
}

/* ---- for programs ---- */

static void print_json(const struct load *l, const struct snapshot *now)
{
    const struct team_sum *sum = &now->sum;
    bool shared = l->options.connections > 0;
    json_t *phases = json_array();
    for (uint32_t i = 0; i < l->measure_count; i++)
        json_array_append_new(phases, measure_json(l, &l->measures[i]));
    json_t *json = json_pack(
        "{s:i, s:i, s:b, s:i, s:i, s:s, s:i, s:{s:I, s:f, s:f, s:f}, s:o, s:{s:o, s:o, s:o}, s:I, "
        "s:{s:I, s:I, s:I, s:I}, s:{s:i, s:f, s:I, s:f, s:I, s:i}, s:o, s:i, s:I}",
        "agents", (int)l->options.agents, "connections",
        (int)(shared ? sum->trunks : l->options.agents), "shared", shared, "processes",
        (int)l->team.count, "brokers", (int)l->boss.cells, "links", links(l), "deployments",
        (int)l->options.deployments, "status_meanwhile", "asked", (json_int_t)l->asked.count,
        "p50_ms", (double)tally_at(&l->asked, 500) / 1000, "p99_ms",
        (double)tally_at(&l->asked, 990) / 1000, "max_ms", (double)l->asked.max_us / 1000, "phases",
        phases, "totals", "manager", usage_json(&now->manager), "brokers",
        usage_json(&now->brokers), "simulator", usage_json(&now->simulator), "database_bytes",
        (json_int_t)boss_database_bytes(&l->boss), "agents_did", "statuses",
        (json_int_t)sum->statuses, "documents", (json_int_t)sum->documents, "chunks",
        (json_int_t)sum->chunks, "joins_repeated", (json_int_t)sum->retries, "devices_own",
        "keys_made", (int)l->devices.made, "keys_s", l->devices.seconds, "signatures_checked",
        (json_int_t)sum->checked, "signatures_s", (double)sum->checked_us / 1e6,
        "signatures_remembered", (json_int_t)sum->remembered, "one_checks_of", MEMBER_CHECKS_EVERY,
        "floors", floors_json(l), "deployments_placed", (int)placed(l), "database_log_bytes",
        (json_int_t)boss_log_bytes(&l->boss));
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(json);
}

static json_t *measure_json(const struct load *l, const struct measure *m)
{
    json_t *json = json_pack("{s:s, s:I, s:f, s:f, s:f, s:I, s:I, s:I, s:o}", "phase", m->name,
                             "count", (json_int_t)m->count, "seconds", m->cost.seconds,
                             "agents_seconds", m->agents_s, "rate_s", rate(m), "messages",
                             (json_int_t)m->messages, "bytes", (json_int_t)m->bytes, "chunks",
                             (json_int_t)m->chunks, "cpu_s", cpu_json(&m->cost));
    if (m->tally.count > 0)
        json_object_set_new(json, "latency_ms",
                            json_pack("{s:f, s:f, s:f, s:f}", "p50", milliseconds(m, 500), "p90",
                                      milliseconds(m, 900), "p99", milliseconds(m, 990), "max",
                                      milliseconds(m, 1001)));
    if (m->floorless)
        json_object_set_new(json, "floorless", json_string(m->floorless));
    struct cost floor = floor_of(l, m);
    if (floor.seconds > 0) {
        json_object_set_new(json, "floor_seconds", json_real(floor.seconds));
        json_object_set_new(json, "ratio", json_real(m->cost.seconds / floor.seconds));
        json_object_set_new(json, "floor_cpu_s", cpu_json(&floor));
        json_object_set_new(json, "cpu_ratio", json_real(cpu_ratio(&m->cost, &floor)));
    }
    return json;
}

/* Each once for every agent, as far as it was measured. */
static json_t *floors_json(const struct load *l)
{
    static const char *const names[FLOOR_OVER] = {
        [FLOOR_JOIN] = "join",     [FLOOR_CONNECT] = "connect", [FLOOR_STATUS] = "status",
        [FLOOR_NOTICE] = "notice", [FLOOR_CONTENT] = "content", [FLOOR_DOCUMENT] = "document",
        [FLOOR_RETURN] = "return",
    };
    json_t *json = json_object();
    for (size_t i = 0; i < FLOOR_OVER; i++)
        if (l->floors[i].seconds > 0)
            json_object_set_new(json, names[i],
                                json_pack("{s:f, s:o}", "seconds", l->floors[i].seconds, "cpu_s",
                                          cpu_json(&l->floors[i])));
    return json;
}

static json_t *cpu_json(const struct cost *c)
{
    return json_pack("{s:f, s:f, s:f}", "manager", c->manager_s, "brokers", c->brokers_s,
                     "simulator", c->simulator_s);
}

static json_t *usage_json(const struct usage *u)
{
    return json_pack("{s:f, s:I}", "cpu_s", (double)u->cpu_us / 1e6, "peak_kib",
                     (json_int_t)u->peak_kib);
}
