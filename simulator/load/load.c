#include "simulator/load/load.h"

#include "base/limits.h"
#include "simulator/load/machine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static struct load *running; /* for the signal's handler alone */

static int open_all(struct load *l, struct errmsg *em);
static int check_limits(struct load *l, struct errmsg *em);
static int refuse_asleep(struct load *l, struct errmsg *em);
static int refuse_used(struct load *l, struct errmsg *em);
static uint32_t processors(void);
static int deal(struct load *l, struct errmsg *em);
static int choose_folder(struct load *l, struct errmsg *em);
static void hear_signals(struct load *l);
static void on_signal(int number);
static int judge(const struct load *l, int rv, struct errmsg *em);
static void close_all(struct load *l);

static uint32_t at_most(uint32_t number, uint32_t max)
{
    return number < max ? number : max;
}

int load_run(const struct load_options *options, struct errmsg *em)
{
    struct load *l = calloc(1, sizeof *l);
    if (!l)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    l->options = *options;
    l->script = (struct script){.agents = options->agents,
                                .fail_per_mille = options->fail_per_mille,
                                .fetch_per_mille = options->fetch_per_mille};
    progress_open(&l->progress);
    hear_signals(l);
    int rv = open_all(l, em);
    if (rv == 0)
        rv = phases_play(l, em);
    rv = judge(l, rv, em);
    if (l->measure_count > 0 && !l->stop)
        report_print(l); /* as far as it came */
    close_all(l);
    running = NULL;
    free(l);
    return rv;
}

static int open_all(struct load *l, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    uint32_t agents = l->options.agents;
    int rv = check_limits(l, em);
    if (rv == 0 && devices_path(path, sizeof path) < 0)
        rv = errmsg_set(em, ERR_RANGE, "the path to the cache is too long");
    progress_begin(&l->progress, "device keys");
    if (rv == 0)
        rv = devices_open(&l->devices, l->options.keys ? l->options.keys : path, agents,
                          processors(), &l->stop, em);
    if (rv == 0)
        progress_end(&l->progress, l->devices.seconds);
    l->seeds = calloc(agents, sizeof *l->seeds);
    if (rv == 0 && !l->seeds)
        rv = errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    if (rv == 0)
        rv = choose_folder(l, em);
    progress_begin(&l->progress, "manager");
    uint64_t from_us = measure_now_us();
    if (rv == 0)
        rv = refuse_asleep(l, em);
    if (rv == 0)
        rv = boss_open(&l->boss, l->dir, l->brokers, l->options.tls, &l->stop, em);
    if (rv == 0)
        rv = refuse_used(l, em);
    if (rv == 0)
        rv = deal(l, em);
    if (rv == 0)
        progress_end(&l->progress, (double)(measure_now_us() - from_us) / 1e6);
    return rv;
}

/* One that is started here would be plain, with brokers elsewhere, and its devices might come. */
static int refuse_asleep(struct load *l, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/manager.db", l->dir);
    if (rv < 0 || access(path, F_OK) < 0 || boss_answers(l->dir))
        return rv;
    return errmsg_set(em, ERR_REFUSED,
                      "%s holds a fleet whose manager does not run: give an empty folder, or start "
                      "that manager if the fleet has no agents and no deployments",
                      l->dir);
}

/* What follows deploys to all there are, confirmed. */
static int refuse_used(struct load *l, struct errmsg *em)
{
    json_t *status = boss_ask(&l->boss, "GET", "/v1/status", NULL, em);
    json_int_t agents =
        json_integer_value(json_object_get(json_object_get(status, "agents"), "total"));
    size_t deployments = json_array_size(json_object_get(status, "deployments"));
    bool answered = status != NULL;
    json_decref(status);
    if (!answered)
        return ERR_IO;
    if (agents == 0 && deployments == 0)
        return 0;
    return errmsg_set(
        em, ERR_REFUSED,
        "the fleet in %s has %lld agents and %zu deployments, and load deploys to all "
        "of them: give the folder of a manager that has none yet",
        l->dir, (long long)agents, deployments);
}

static uint32_t processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

/* Each connection is a descriptor here and one in its broker, each of which is a process as well.
 * Agents that share connections have as many brokers all the same, as far as there is one for each
 * and each process. */
static int check_limits(struct load *l, struct errmsg *em)
{
    struct rlimit files;
    const rlim_t needed = 256;
    uint32_t agents = l->options.agents, shared = l->options.connections;
    limits_raise_files();
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return errmsg_set(em, ERR_IO, "cannot see how many files may be open: %s", strerror(errno));
    rlim_t usable = files.rlim_max > WORKER_FDS_SPARE ? files.rlim_max - WORKER_FDS_SPARE : 0;
    uint32_t sockets_max = usable < TEAM_SOCKETS_MAX ? (uint32_t)usable : TEAM_SOCKETS_MAX;
    uint32_t processes = shared ? at_most(processors(), shared) : TEAM_WORKERS_MAX;
    rlim_t each = (shared ? shared + TEAM_JOINS_EACH_MAX : agents / processes) + needed;
    l->workers = l->brokers = sockets_max ? (agents + sockets_max - 1) / sockets_max : 0;
    if (shared)
        l->brokers = at_most(l->brokers, shared / processes);
    struct machine_needs needs = {.agents = agents,
                                  .connections = shared ? shared : agents,
                                  .processes = l->brokers,
                                  .tls = l->options.tls};
    if (usable >= each)
        return machine_check("/proc", &needs, em);
    return errmsg_set(
        em, ERR_REFUSED,
        "%u agents need %llu open files in each of %u processes, and %llu are "
        "allowed: run `ulimit -n %llu` first, and if that is refused, raise nofile in "
        "/etc/security/limits.conf",
        agents, (unsigned long long)each + WORKER_FDS_SPARE, processes,
        (unsigned long long)files.rlim_max, (unsigned long long)each + WORKER_FDS_SPARE);
}

/* Each process has a shared connection to each broker, of which a manager that runs already may
 * have any number. */
static int deal(struct load *l, struct errmsg *em)
{
    uint32_t shared = l->options.connections;
    if (shared == 0 && l->boss.cells < l->brokers)
        return errmsg_set(em, ERR_REFUSED,
                          "%u agents need %u brokers, and the manager in %s has %u: start it with "
                          "--cells %u, or share connections (--connections)",
                          l->options.agents, l->brokers, l->dir, l->boss.cells, l->brokers);
    if (shared == 0)
        return 0;
    if (shared < l->boss.cells)
        return errmsg_set(em, ERR_REFUSED,
                          "--connections %u: the manager has %u brokers, and each needs one",
                          shared, l->boss.cells);
    l->workers = at_most(processors(), shared / l->boss.cells);
    return 0;
}

static int choose_folder(struct load *l, struct errmsg *em)
{
    const char *temporary = getenv("TMPDIR");
    if (l->options.manager)
        return file_path(l->dir, em, "%s", l->options.manager);
    int rv = file_path(l->dir, em, "%s/dunlin-load-XXXXXX",
                       temporary && temporary[0] ? temporary : "/tmp");
    if (rv == 0 && !mkdtemp(l->dir))
        return errmsg_set(em, ERR_IO, "%s: cannot make it: %s", l->dir, strerror(errno));
    l->temporary = rv == 0;
    return rv;
}

static void hear_signals(struct load *l)
{
    struct sigaction hear = {.sa_handler = on_signal};
    running = l;
    sigaction(SIGINT, &hear, NULL);
    sigaction(SIGTERM, &hear, NULL);
    sigaction(SIGHUP, &hear, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void on_signal(int number)
{
    (void)number;
    if (running)
        running->stop = true;
}

int load_address(const char *url, struct sockaddr_in *at)
{
    char host[64];
    unsigned port;
    const char *scheme = strstr(url, "://");
    bool ours = !scheme || strncmp(url, "mqtt", 4) == 0;
    if (!ours || sscanf(scheme ? scheme + 3 : url, "%63[0-9.]:%u", host, &port) != 2)
        return ERR_FORMAT;
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &at->sin_addr) == 1 ? 0 : ERR_FORMAT;
}

/* Everything that differs is told, up to some of each worker. */
static int judge(const struct load *l, int rv, struct errmsg *em)
{
    struct team_sum sum;
    const char *text;
    team_sum(&l->team, &sum);
    for (uint32_t i = 0; (text = team_fault(&l->team, i)); i++)
        fprintf(stderr, "dunlin-sim: %s\n", text);
    for (uint32_t i = 0; i < l->faults && i < BOARD_FAULTS_MAX; i++)
        fprintf(stderr, "dunlin-sim: %s\n", l->fault[i]);
    uint32_t faults = sum.faults + l->faults;
    if (l->stop)
        return errmsg_set(em, ERR_BUSY, "stopped");
    if (rv == 0 && faults > 0)
        return errmsg_set(em, ERR_REFUSED, "%u things are not as they should be", faults);
    return rv;
}

static void close_all(struct load *l)
{
    team_close(&l->team);
    boss_close(&l->boss);
    devices_close(&l->devices);
    free(l->seeds);
    if (l->temporary)
        file_remove(l->dir, NULL);
}
