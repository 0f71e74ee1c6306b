#include "simulator/fleet/fleet.h"

#include "base/duration.h"
#include "manager/cli/args.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { DONE = 0, FAILED = 1, WRONG_USE = 2 };

/* Heartbeats that are compared in one call. */
#define RUNS_MAX 8
/* A manager of a big fleet looks around so often in virtual time. */
#define BIG_FLEET 20000
#define BIG_TICK_MS 10000

#define FLAG(flag, word, type, usual, ...)                                                         \
    {                                                                                              \
        .name = (flag), .value = (word), .kind = (type), .fallback = (usual), __VA_ARGS__          \
    }

#define FAULT_FLAG(name, field, word, most, swarm_most, text)                                      \
    FLAG(name, word, FLAG_NUMBER, "0", .max = (most), .help = (text)),

static const struct flag flags[] = {
    FLAG("agents", "N", FLAG_NUMBER, "1000", .min = 1, .max = 1u << 20, .help = "devices"),
    FLAG("seed", "S", FLAG_NUMBER, "1", .help = "the same seed and options: the same run"),
    FLAG("days", "D", FLAG_NUMBER, "1", .min = 1, .max = 365,
         .help = "of virtual time; then faults end, and the fleet comes to rest"),
    FLAG("links", "NAME[:SHARE],...", FLAG_TEXT, "always",
         .help =
             "always, cellular, satellite, ship, nightly, flaky, outage, or a file like those in "
             "simulator/fleet/links; a mix by shares"),
    FLAG("heartbeat", "SPAN,...", FLAG_TEXT, "15m", .help = "several: a run for each, compared"),
    FLAG("cells", "N", FLAG_NUMBER, "1", .min = 1, .max = FLOCK_CELLS_MAX, .help = "brokers"),
    FLAG("sites", "N", FLAG_NUMBER, "10", .min = 1, .max = FLOCK_SITES_MAX,
         .help = "there are three label sets at each"),
    FLAG("bundle", "KIB", FLAG_NUMBER, "1024", .min = 1, .max = 1u << 20, .help = "its size"),
    FLAG("deploy-at", "SPAN", FLAG_DURATION, "2h", .min = 1, .max = 86400,
         .help = "when the new version comes, in three stages"),
    FLAG("approve-after", "SPAN", FLAG_DURATION, "0s", .max = 86400,
         .help = "so long the operator waits until the last stage may begin"),
    FLAG("concurrency", "N|N%", FLAG_TEXT, "10%", .help = "of each stage"),
    FLAG("returning", "N", FLAG_NUMBER, "0", .max = 1000000,
         .help = "of devices that come back, at work at a time; 0: all"),
    FLAG("budget", "N", FLAG_NUMBER, "0", .max = 1000000,
         .help = "of devices out of Ready at a time, from the new version on; 0: all"),
    FLAG("deadline", "SPAN", FLAG_DURATION, "0s", .max = 86400,
         .help = "for a device in a rollout; 0: none"),
    FLAG("retries", "N", FLAG_NUMBER, "0", .max = RETRIES_MAX,
         .help = "of what failed on a device; where it is ill it may go well then"),
    FLAG("back-off", "SPAN", FLAG_DURATION, "5m", .min = 1, .max = 86400,
         .help = "before the first of these; each is twice as long as the one before"),
    FLAG("fail", "PERMILLE", FLAG_NUMBER, "0", .max = 1000,
         .help = "of devices, where the new version is found ill and goes back"),
    FLEET_FAULTS(FAULT_FLAG)
        FLAG("swarm", "MINUTES", FLAG_NUMBER, NULL, .min = 1, .max = 100000,
             .help = "small fleets with random options from the seed on, one after the other"),
    FLAG("seeds", "N", FLAG_NUMBER, NULL, .min = 1, .max = 1000000000, .help = "the same, so many"),
    FLAG("plot", "DIR", FLAG_TEXT, NULL,
         .help = "spread.svg, load.svg and cost.svg, by gnuplot, and their data"),
    {.name = "json", .kind = FLAG_SWITCH, .help = "one JSON document instead of text"},
    {.name = "help", .kind = FLAG_SWITCH, .help = "this text"},
};

static const struct flag_set set = {flags, sizeof flags / sizeof flags[0]};

static int run_all(const struct args *a, struct errmsg *em);
static int read_options(const struct args *a, struct flock_options *o, struct errmsg *em);
static int read_links(const char *text, struct flock_options *o, struct errmsg *em);
static size_t read_heartbeats(const char *text, uint32_t *out, size_t most, struct errmsg *em);

static void help(void)
{
    printf("dunlin-sim fleet: a fleet in virtual time\n\n"
           "usage: dunlin-sim fleet [OPTION ...]\n\n");
    static const char about[] =
        "The agents' core and the manager's, up to a million times, between links, brokers, disks "
        "and clocks that fail as they are told to. Devices join, run a first version, and get a "
        "second one in three stages. While it runs it looks whether anything is as it must never "
        "be; then faults end, and everybody has to come to rest on what it should run.";
    args_wrap(about, strlen(about), 0, stdout);
    printf("\nFlags\n");
    args_help(&set, stdout);
    printf("\nExamples\n"
           "  dunlin-sim fleet --agents 10000 --links cellular:80,satellite:20 --days 2\n"
           "  dunlin-sim fleet --agents 100000 --links nightly --heartbeat 1m,15m,60m --plot .\n"
           "  dunlin-sim fleet --swarm 10 --seed 1\n");
}

/* Its fleets are drawn, so that nothing of them can be asked for. */
static int check_swarm(const struct args *a, struct errmsg *em)
{
    for (size_t i = 0; i < set.count; i++) {
        const char *name = flags[i].name;
        bool fits = !strcmp(name, "swarm") || !strcmp(name, "seeds") || !strcmp(name, "seed");
        if (!fits && args_has(a, name))
            return errmsg_set(em, ERR_USAGE,
                              "--%s can't be given with --swarm or --seeds, whose fleets are drawn "
                              "from the seed",
                              name);
    }
    return 0;
}

int fleet_main(int argc, char *argv[])
{
    struct args a;
    struct errmsg em = {.text = ""};
    int rv = args_parse(&a, &set, 1, argc - 1, argv + 1, &em);
    if (rv == 0 && args_has(&a, "help")) {
        help();
        return DONE;
    }
    if (rv == 0 && a.word_count > 0)
        rv = errmsg_set(&em, ERR_USAGE, "\"%.60s\" is too much", a.words[0]);
    bool swarm = rv == 0 && (args_has(&a, "swarm") || args_has(&a, "seeds"));
    if (swarm)
        rv = check_swarm(&a, &em);
    if (swarm && rv == 0)
        return swarm_run(args_number(&a, "seed"), args_number(&a, "swarm") * 60,
                         args_number(&a, "seeds"));
    if (rv == 0)
        rv = run_all(&a, &em);
    if (rv < 0 && em.text[0] != '\0')
        fprintf(stderr, "dunlin-sim: %s%s\n", em.text,
                rv == ERR_USAGE ? "; see dunlin-sim fleet --help" : "");
    return rv == ERR_USAGE ? WRONG_USE : rv < 0 ? FAILED : DONE;
}

/* ---- runs ---- */

static void show_progress(void *context, uint64_t now_ms, uint64_t end_ms,
                          const struct flock_counts *c)
{
    static uint64_t shown_ms;
    (void)context;
    (void)end_ms;
    if (now_ms >= shown_ms && now_ms - shown_ms < 600000)
        return;
    shown_ms = now_ms;
    fprintf(stderr, "\r%" PRIu64 " h %02" PRIu64 " min, %" PRIu64 " million happenings ",
            now_ms / 3600000, now_ms / 60000 % 60, c->happenings / 1000000);
}

static void run_one(struct outcome *run)
{
    bool terminal = isatty(STDERR_FILENO);
    clock_t before = clock();
    struct rusage usage;
    flock_run(&run->options, terminal ? show_progress : NULL, NULL, &run->result);
    run->processor_s = (double)(clock() - before) / CLOCKS_PER_SEC;
    getrusage(RUSAGE_SELF, &usage);
    run->memory = (uint64_t)usage.ru_maxrss * 1024;
    if (terminal)
        fprintf(stderr, "\r%60s\r", "");
}

static int run_all(const struct args *a, struct errmsg *em)
{
    struct outcome runs[RUNS_MAX];
    struct flock_options o = FLOCK_DEFAULT;
    uint32_t heartbeats[RUNS_MAX];
    char command[COMMAND_MAX];
    int rv = read_options(a, &o, em);
    size_t count =
        rv < 0 ? 0 : read_heartbeats(args_text(a, "heartbeat"), heartbeats, RUNS_MAX, em);
    if (count == 0)
        return ERR_USAGE;
    for (size_t i = 0; i < count; i++) {
        runs[i] = (struct outcome){.options = o};
        runs[i].options.policy.heartbeat_s = heartbeats[i];
        fleet_command(&runs[i].options, command);
        fprintf(stderr, "%s\n", command);
        run_one(&runs[i]);
        if (runs[i].result.fault[0] == '\0')
            continue;
        fprintf(stderr, "dunlin-sim: %s\nplay it again with:\n%s\n", runs[i].result.fault, command);
        rv = ERR_DAMAGED;
    }
    if (args_has(a, "json"))
        spread_json(runs, count);
    else
        spread_print(runs, count);
    if (rv == 0 && args_has(a, "plot"))
        rv = plot_draw(runs, count, args_text(a, "plot"), em);
    for (size_t i = 0; i < count; i++)
        flock_free(&runs[i].result);
    return rv;
}

void fleet_command(const struct flock_options *o, char out[static COMMAND_MAX])
{
    char links[FLOCK_LINKS_MAX * (FLOCK_LINK_NAME_MAX + 8)] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < o->link_count; i++)
        used += (size_t)snprintf(links + used, sizeof links - used, "%s%s:%u", i ? "," : "",
                                 o->links[i].name, (unsigned)o->links[i].share);
    used = (size_t)snprintf(
        out, COMMAND_MAX,
        "dunlin-sim fleet --agents %u --seed %" PRIu64 " --days %u --links %s --heartbeat %us "
        "--cells %u --sites %u --bundle %u --deploy-at %us --concurrency %u%s "
        "--returning %u --fail %u --approve-after %us --deadline %us --retries %u "
        "--back-off %us",
        (unsigned)o->agents, o->seed, (unsigned)(o->run_ms / 86400000), links,
        (unsigned)o->policy.heartbeat_s, (unsigned)o->cells, (unsigned)o->sites,
        (unsigned)(o->bundle_bytes >> 10), (unsigned)(o->deploy_ms / 1000),
        (unsigned)o->concurrency.value, o->concurrency.percent ? "%" : "", (unsigned)o->returning,
        (unsigned)o->failing_per_mille, (unsigned)(o->approve_ms / 1000), (unsigned)o->deadline_s,
        (unsigned)o->retries, (unsigned)o->back_off_s);
    if (o->budget)
        used +=
            (size_t)snprintf(out + used, COMMAND_MAX - used, " --budget %u", (unsigned)o->budget);
#define FAULT_WORD(name, field, ...)                                                               \
    if (o->faults.field)                                                                           \
        used += (size_t)snprintf(out + used, COMMAND_MAX - used, " --%s %u", name,                 \
                                 (unsigned)o->faults.field);
    FLEET_FAULTS(FAULT_WORD)
}

/* ---- options ---- */

int fleet_read(int argc, char *argv[], struct flock_options *o, struct errmsg *em)
{
    struct args a;
    int rv = args_parse(&a, &set, 1, argc - 1, argv + 1, em);
    *o = FLOCK_DEFAULT;
    if (rv == 0)
        rv = read_options(&a, o, em);
    if (rv == 0 && read_heartbeats(args_text(&a, "heartbeat"), &o->policy.heartbeat_s, 1, em) == 0)
        rv = ERR_USAGE;
    return rv;
}

static uint32_t number(const struct args *a, const char *name)
{
    return (uint32_t)args_number(a, name);
}

static int read_options(const struct args *a, struct flock_options *o, struct errmsg *em)
{
    o->agents = number(a, "agents");
    o->seed = args_number(a, "seed");
    o->run_ms = args_number(a, "days") * 86400000;
    o->rest_ms = 2 * 86400000;
    o->cells = number(a, "cells");
    o->sites = number(a, "sites");
    o->bundle_bytes = args_number(a, "bundle") << 10;
    o->deploy_ms = args_number(a, "deploy-at") * 1000;
    o->approve_ms = args_number(a, "approve-after") * 1000;
    o->returning = number(a, "returning");
    o->budget = number(a, "budget");
    o->deadline_s = number(a, "deadline");
    o->retries = number(a, "retries");
    o->back_off_s = number(a, "back-off");
    o->failing_per_mille = number(a, "fail");
    o->tick_ms = o->agents > BIG_FLEET ? BIG_TICK_MS : 1000;
#define FAULT_READ(name, field, ...) o->faults.field = number(a, name);
    FLEET_FAULTS(FAULT_READ)
    if (!amount_read(args_text(a, "concurrency"), &o->concurrency))
        return errmsg_set(em, ERR_USAGE,
                          "--concurrency: must be a number or a percentage, such as "
                          "50 or 10%%");
    return read_links(args_text(a, "links"), o, em);
}

/* "cellular:80,satellite:20"; without a share it is 1. */
static int read_links(const char *text, struct flock_options *o, struct errmsg *em)
{
    for (o->link_count = 0; *text; o->link_count++) {
        char name[FLOCK_LINK_NAME_MAX];
        size_t len = strcspn(text, ","), name_len = strcspn(text, ":,");
        char *end = NULL;
        if (o->link_count == FLOCK_LINKS_MAX)
            return errmsg_set(em, ERR_USAGE, "--links: at most %d kinds", FLOCK_LINKS_MAX);
        snprintf(name, sizeof name, "%.*s", (int)name_len, text);
        unsigned long share = name_len < len ? strtoul(text + name_len + 1, &end, 10) : 1;
        if (share == 0 || share > 1000000 || (end && end != text + len))
            return errmsg_set(em, ERR_USAGE, "--links: the share behind \"%s:\" must be a number",
                              name);
        struct flock_link *link = &o->links[o->link_count];
        link->share = (uint32_t)share;
        snprintf(link->name, sizeof link->name, "%s", name);
        if (profile_find(name, &link->profile, em) < 0)
            return ERR_USAGE;
        text += len + (text[len] == ',');
    }
    return o->link_count ? 0 : errmsg_set(em, ERR_USAGE, "--links: has no name");
}

/* Returns how many; 0 when they are none. */
static size_t read_heartbeats(const char *text, uint32_t *out, size_t most, struct errmsg *em)
{
    for (size_t count = 0; count < most; text++) {
        char span[32];
        uint64_t seconds;
        size_t len = strcspn(text, ",");
        snprintf(span, sizeof span, "%.*s", (int)len, text);
        if (duration_read(span, &seconds) < 0 || seconds < 10 || seconds > POLICY_HEARTBEAT_S_MAX) {
            errmsg_set(em, ERR_USAGE, "--heartbeat: \"%s\" must be a span such as 15m", span);
            return 0;
        }
        out[count++] = (uint32_t)seconds;
        text += len;
        if (*text == '\0')
            return count;
    }
    errmsg_set(em, ERR_USAGE, "--heartbeat: at most %zu", most);
    return 0;
}
