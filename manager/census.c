#include "manager/census.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Agents that are counted at a time when it is done piece by piece. */
#define PIECE 32768

struct census {
    census_clock *now_us;
    uint32_t cap; /* deployments that there is room for */
    struct deployment_counts *counts;
    struct deployment_counts *next; /* agents up to number `done` */

    bool known;           /* the counts are of … */
    uint32_t deployments; /* so many */
    uint64_t counted_us;  /* as of then */
    uint64_t took_us;
    uint64_t asked_us;

    uint32_t done;
    uint32_t next_deployments;
    uint64_t begun_us;
    uint64_t spent_us;
};

struct census *census_new(census_clock *now_us)
{
    struct census *c = calloc(1, sizeof *c);
    if (c)
        c->now_us = now_us;
    return c;
}

void census_free(struct census *c)
{
    if (!c)
        return;
    free(c->counts);
    free(c->next);
    free(c);
}

/* One more than there are, so that no deployments aren't taken for no memory. */
static bool make_room(struct census *c, const struct manager *m)
{
    uint32_t wanted = manager_deployment_count(m) + 1;
    if (wanted <= c->cap)
        return true;
    uint32_t cap = wanted * 2;
    free(c->counts);
    free(c->next);
    c->counts = calloc(cap, sizeof *c->counts);
    c->next = calloc(cap, sizeof *c->next);
    c->cap = c->counts && c->next ? cap : 0;
    census_forget(c);
    return c->cap > 0;
}

void census_forget(struct census *c)
{
    c->known = false;
    c->done = 0;
}

static void begin(struct census *c, const struct manager *m)
{
    c->done = 0;
    c->begun_us = c->now_us();
    c->spent_us = 0;
    c->next_deployments = manager_deployment_count(m);
    memset(c->next, 0, c->next_deployments * sizeof *c->next);
}

/* True when all agents are counted. */
static bool count_some(struct census *c, const struct manager *m, uint32_t max)
{
    uint64_t began_us = c->now_us();
    uint32_t left = manager_agent_count(m) - c->done;
    assert(manager_deployment_count(m) <= c->cap);
    uint32_t count = left < max ? left : max;
    manager_count_some(m, c->done + 1, count, c->next);
    c->done += count;
    c->spent_us += c->now_us() - began_us;
    return count == left;
}

static void finish(struct census *c)
{
    struct deployment_counts *before = c->counts;
    c->counts = c->next;
    c->next = before;
    c->known = true;
    c->deployments = c->next_deployments;
    c->counted_us = c->begun_us;
    c->took_us = c->spent_us;
    c->done = 0;
}

/* For one `part`-th of the time for which they answer. */
static bool is_good(const struct census *c, const struct manager *m, unsigned part)
{
    uint64_t age_us = c->now_us() - c->counted_us;
    return c->known && c->took_us > CENSUS_QUICK_US &&
           c->deployments == manager_deployment_count(m) &&
           age_us < c->took_us * CENSUS_GOOD_FOR / part;
}

const struct deployment_counts *census_counts(struct census *c, const struct manager *m)
{
    c->asked_us = c->now_us();
    if (!make_room(c, m))
        return NULL;
    if (!is_good(c, m, 1)) {
        begin(c, m);
        count_some(c, m, UINT32_MAX);
        finish(c);
    }
    return c->counts;
}

bool census_go_on(struct census *c, const struct manager *m)
{
    if (!is_good(c, m, 1) || is_good(c, m, 3) || c->now_us() - c->asked_us > CENSUS_ASKED_US)
        return false;
    if (c->done == 0)
        begin(c, m);
    if (!count_some(c, m, PIECE))
        return true;
    finish(c);
    return false;
}
