#include "simulator/load/ear.h"
#include "simulator/load/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define PATIENCE_S 120
#define PATIENCE_AGENT_MS 20
#define LOOK_MS 2
/* What SQLite's log takes for a row: a page, and what names it. */
#define COMMIT_BYTES (4096 + 24)

static int open_ear(struct load *l, struct ear *e, struct errmsg *em);
static bool can_be_played(const struct load *l, enum floor_type what);
static void speak_retained(struct ear *e);
static int measure(struct load *l, struct ear *e, enum floor_type what, struct errmsg *em);
static int wait_until(struct load *l, struct ear *e, uint32_t met, uint64_t heard,
                      struct errmsg *em);

/* Between joining and connecting: the agents have no links yet, so that bare clients can be in
 * their places. With TLS only where the brokers' own sockets are at hand. */
int floors_measure(struct load *l, struct errmsg *em)
{
    struct ear ear = {0};
    if (l->options.tls && !l->boss.ours)
        return 0;
    progress_begin(&l->progress, "floors");
    uint64_t from_us = measure_now_us();
    int rv = open_ear(l, &ear, em);
    if (rv == 0)
        speak_retained(&ear);
    for (int what = 0; rv == 0 && what < FLOOR_OVER; what++)
        if (can_be_played(l, (enum floor_type)what))
            rv = measure(l, &ear, (enum floor_type)what, em);
    if (rv == 0)
        rv = team_order(&l->team, &(struct order){.type = ORDER_FLOOR, .floor = FLOOR_OVER},
                        &l->stop, em);
    if (rv == 0)
        ear_speak(&ear, EAR_NOTHING);
    ear_stop(&ear);
    progress_end(&l->progress, (double)(measure_now_us() - from_us) / 1e6);
    return rv;
}

static int open_ear(struct load *l, struct ear *e, struct errmsg *em)
{
    struct ear_options o = {.dir = l->boss.ours ? l->dir : NULL, .tls = l->options.tls};
    o.document_len =
        FLOOR_DOCUMENT_LEN + FLOOR_RECORD_LEN * script_count_spares(l->options.deployments - 1);
    json_t *status = boss_ask(&l->boss, "GET", "/v1/status", NULL, em), *cell;
    size_t i;
    json_array_foreach(json_object_get(status, "cells"), i, cell)
    {
        const char *url = json_string_value(json_object_get(cell, "url"));
        if (o.cells < EAR_CELLS_MAX && url && load_address(url, &o.at[o.cells]) == 0)
            o.cells++;
    }
    json_decref(status);
    int rv = ear_start(e, &o, em);
    uint64_t until_us = measure_now_us() + PATIENCE_S * 1000000ull;
    while (rv == 0 && e->board->ready < o.cells + (o.dir != NULL)) {
        if (l->stop || measure_now_us() > until_us)
            rv = errmsg_set(em, ERR_TIMEOUT, "the floor's listener is not let in");
        poll(NULL, 0, LOOK_MS);
    }
    return rv;
}

/* Only our own door lets an ear in; and of a small fleet nobody may fetch. */
static bool can_be_played(const struct load *l, enum floor_type what)
{
    if (what == FLOOR_JOIN)
        return l->boss.ours;
    return what != FLOOR_CONTENT || script_count_fetching(&l->script) > 0;
}

static void speak_retained(struct ear *e)
{
    ear_speak(e, EAR_DOCUMENT);
    ear_speak(e, EAR_CONTENT);
}

/* How often each client is heard. */
static unsigned says(enum floor_type what)
{
    bool hears_only = what == FLOOR_NOTICE || what == FLOOR_CONTENT;
    return what == FLOOR_RETURN ? 2 : !hears_only;
}

static int measure(struct load *l, struct ear *e, enum floor_type what, struct errmsg *em)
{
    struct snapshot from, to;
    const uint64_t said = (uint64_t)l->options.agents * says(what);
    uint64_t heard = e->board->heard, ear_us = usage_of(e->child.pid).cpu_us;
    uint32_t agents = l->options.agents;
    snapshot_take(&from, &l->boss, &l->team);
    struct order goal = {.type = ORDER_GOAL, .goal = GOAL_ECHO, .began_us = from.at_us};
    struct order play = {.type = ORDER_FLOOR, .floor = what, .at = l->door};
    /* What they were done with before is over. */
    int rv = team_order(&l->team, &play, &l->stop, em);
    if (rv == 0)
        rv = team_order(&l->team, &goal, &l->stop, em);
    if (rv == 0 && (what == FLOOR_DOCUMENT || what == FLOOR_NOTICE))
        ear_speak(e, what == FLOOR_NOTICE ? EAR_NOTICE : EAR_DOCUMENT);
    if (rv == 0)
        rv = wait_until(l, e, agents, heard + said, em);
    snapshot_take(&to, &l->boss, &l->team);
    struct measure m = {.counts = false};
    measure_between(&m, &from, &to);
    m.cost.manager_s = (double)(usage_of(e->child.pid).cpu_us - ear_us) / 1e6;
    l->floors[what] = m.cost;
    return rv;
}

static int wait_until(struct load *l, struct ear *e, uint32_t met, uint64_t heard,
                      struct errmsg *em)
{
    struct team_sum sum = {0};
    uint64_t until_us = measure_now_us() + PATIENCE_S * 1000000ull +
                        (uint64_t)l->options.agents * PATIENCE_AGENT_MS * 1000;
    while (sum.met < met || e->board->heard < heard) {
        uint64_t now_us = measure_now_us();
        team_sum(&l->team, &sum);
        progress_show(&l->progress, sum.met, met, now_us);
        int rv = team_look(&l->team, &l->stop, em);
        if (rv < 0)
            return rv;
        if (e->board->ready == 0)
            return errmsg_set(em, ERR_IO, "the floor's listener has died");
        if (now_us > until_us)
            return errmsg_set(em, ERR_TIMEOUT,
                              "the floor: %u of %u clients are done, and %llu of "
                              "their messages came",
                              sum.met, met, (unsigned long long)e->board->heard);
        poll(NULL, 0, LOOK_MS);
    }
    return 0;
}

/* ---- without brokers ---- */

static int commit_all(int fd, uint64_t count, const volatile bool *stop)
{
    static const uint8_t page[COMMIT_BYTES];
    for (uint64_t i = 0; i < count && !*stop; i++)
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) < 0)
            return ERR_IO;
    return 0;
}

int floors_commits(struct load *l, uint64_t count, struct cost *cost, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/floor", l->dir);
    if (rv < 0)
        return rv;
    uint64_t from_us = measure_now_us(), cpu_us = usage_of(getpid()).cpu_us;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || commit_all(fd, count, &l->stop) < 0)
        rv = errmsg_set(em, ERR_IO, "%s: %s", path, strerror(errno));
    cost->manager_s = (double)(usage_of(getpid()).cpu_us - cpu_us) / 1e6;
    cost->seconds = (double)(measure_now_us() - from_us) / 1e6;
    if (fd >= 0)
        close(fd);
    unlink(path);
    return rv;
}
