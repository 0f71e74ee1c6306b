#include "base/clock.h"
#include "simulator/fleet/fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Fleets of a swarm. */
#define AGENTS_MAX 120
#define SWARM_RETRIES_MAX 3

static uint32_t draw(struct rng *r, uint32_t max)
{
    return (uint32_t)rng_below(r, max + 1u);
}

/* Nothing, most often; else anything up to `max`. */
static uint32_t sometimes(struct rng *r, uint32_t max)
{
    return rng_below(r, 2) ? 0 : draw(r, max);
}

static void draw_links(struct rng *r, struct flock_options *o)
{
    struct errmsg em;
    size_t names = 0;
    while (profile_name(names))
        names++;
    o->link_count = 1 + draw(r, 2);
    for (uint32_t i = 0; i < o->link_count; i++) {
        struct flock_link *l = &o->links[i];
        const char *name = profile_name(rng_below(r, names));
        l->share = 1 + draw(r, 9);
        snprintf(l->name, sizeof l->name, "%s", name);
        if (profile_find(name, &l->profile, &em) < 0)
            abort();
    }
}

/* A deadline has to be longer than all the waits before retries. */
static void draw_tries(struct rng *r, struct flock_options *o)
{
    uint32_t more_s = sometimes(r, rng_below(r, 2) ? 100 : 7200);
    o->retries = sometimes(r, SWARM_RETRIES_MAX);
    o->back_off_s = 1 + draw(r, 600);
    if (more_s > 0)
        o->deadline_s = more_s + o->back_off_s * ((1u << o->retries) - 1) + 20;
}

/* Every option that a command line has, drawn from the seed. */
static struct flock_options draw_options(uint64_t seed)
{
    struct rng r = {.state = seed};
    struct flock_options o = FLOCK_DEFAULT;
    o.seed = seed;
    o.agents = 1 + draw(&r, AGENTS_MAX - 1);
    o.run_ms = (1 + draw(&r, 2)) * 86400000ull;
    o.rest_ms = 2 * 86400000ull;
    o.cells = 1 + draw(&r, 5);
    o.sites = 1 + draw(&r, 9);
    o.bundle_bytes = (1ull + draw(&r, 4096)) << 10;
    o.deploy_ms = (3600ull + draw(&r, 43200)) * 1000;
    o.concurrency = (struct amount){.value = 1 + draw(&r, 99), .percent = rng_below(&r, 2) == 0};
    o.returning = sometimes(&r, 4);
    o.failing_per_mille = sometimes(&r, 400);
    o.policy.heartbeat_s = 60 + draw(&r, 3540);
#define FAULT_DRAW(name, field, word, most, swarm_most, ...)                                       \
    o.faults.field = sometimes(&r, swarm_most);
    FLEET_FAULTS(FAULT_DRAW)
    draw_links(&r, &o);
    o.approve_ms = sometimes(&r, 14400) * 1000ull;
    draw_tries(&r, &o);
    o.budget = sometimes(&r, 8);
    return o;
}

/* Its command comes first, so that it is there whatever becomes of this process. */
static bool fails(const struct flock_options *o, struct flock_result *r)
{
    char command[COMMAND_MAX];
    fleet_command(o, command);
    fprintf(stderr, "%s\n", command);
    flock_run(o, NULL, NULL, r);
    flock_free(r);
    return r->fault[0] != '\0';
}

/* ---- smaller, as long as it fails ---- */

static uint32_t *number_of(struct flock_options *o, size_t i)
{
#define FAULT_NUMBER(name, field, ...) &o->faults.field,
    uint32_t *const numbers[] = {&o->agents,
                                 &o->cells,
                                 &o->sites,
                                 &o->link_count,
                                 FLEET_FAULTS(FAULT_NUMBER) & o->failing_per_mille,
                                 &o->returning,
                                 &o->budget,
                                 &o->retries,
                                 &o->deadline_s};
    return i < sizeof numbers / sizeof numbers[0] ? numbers[i] : NULL;
}

/* The first four can't be none. */
static uint32_t least(size_t i)
{
    return i < 4 ? 1 : 0;
}

static bool shrink_one(struct flock_options *o, size_t i)
{
    uint32_t now = *number_of(o, i), tries[] = {least(i), now / 2, now - 1};
    for (size_t k = 0; now > least(i) && k < 3; k++) {
        struct flock_options smaller = *o;
        struct flock_result r;
        *number_of(&smaller, i) = tries[k];
        if (tries[k] < least(i) || !fails(&smaller, &r))
            continue;
        *o = smaller;
        return true;
    }
    return false;
}

void swarm_shrink(struct flock_options *o)
{
    for (bool shrunk = true; shrunk;) {
        shrunk = false;
        for (size_t i = 0; number_of(o, i); i++)
            shrunk |= shrink_one(o, i);
    }
}

static void tell(const struct flock_options *o, const struct flock_result *r)
{
    struct flock_options small = *o;
    struct flock_result again;
    char command[COMMAND_MAX];
    fleet_command(o, command);
    printf("%s\n  %s\n", r->fault, command);
    fflush(stdout);
    swarm_shrink(&small);
    fails(&small, &again);
    fleet_command(&small, command);
    printf("the smallest that still fails: %s\n  %s\n", again.fault, command);
}

int swarm_run(uint64_t first_seed, uint64_t seconds, uint64_t seeds)
{
    uint64_t happenings = 0, steps = 0, begin_ms = clock_monotonic_ms(), seed = first_seed;
    struct rng digest = {.state = 0};
    for (; (!seeds || seed - first_seed < seeds) &&
           (!seconds || clock_monotonic_ms() - begin_ms < seconds * 1000);
         seed++) {
        struct flock_options o = draw_options(seed);
        struct flock_result r;
        bool failed = fails(&o, &r);
        happenings += r.counts.happenings;
        steps += r.counts.agent_steps;
        digest.state ^= r.digest;
        digest.state = rng_next(&digest);
        if (failed) {
            tell(&o, &r);
            return 1;
        }
    }
    printf("%" PRIu64 " seeds from %" PRIu64 ": nothing found in %" PRIu64
           " happenings and %" PRIu64 " steps of agents' cores\ndigest %016" PRIx64 "\n",
           seed - first_seed, first_seed, happenings, steps, digest.state);
    return 0;
}
