/*
 * story: the beginnings and ends that stories share. A story's sentence is its test's name.
 */
#ifndef DUNLIN_TEST_STORY_STORY_H
#define DUNLIN_TEST_STORY_STORY_H

#include "simulator/world/world.h"
#include "test/suite.h"

/* Longer than any back-off, heartbeat and retry: what isn't at rest by then never will be. */
#define STORY_MS_MAX 900000
/* A loop over cut points ends by itself when nothing is left to cut; this is for when it doesn't.
 */
#define STORY_POINTS_MAX 1000

static inline void story_push(struct world *w, const char *name, const char *version)
{
    CU_ASSERT_TRUE(world_push(w, &(struct script){.name = name, .version = version}) >= 0);
}

/* Everybody comes to rest. */
static inline bool story_rest(struct world *w)
{
    return world_run_until(w, world_at_rest, NULL, STORY_MS_MAX);
}

/* One agent with the label env=prod that runs app@v1; v2 has been pushed as `next` says. */
static inline struct world *story_app_v1(struct device **d, const struct script *next)
{
    struct world *w = world_new(NULL);
    *d = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    if (next)
        CU_ASSERT_EQUAL(world_push(w, next), 0);
    return w;
}

/* Nothing happened that never may, as far as the checks after every event can see. */
static inline void story_end(struct world *w)
{
    if (world_fault(w)[0] != '\0')
        fputs(world_trace(w), stderr);
    CU_ASSERT_STRING_EQUAL(world_fault(w), "");
    world_free(w);
}

/* The same, in a loop: says which point it was. */
static inline void story_end_at(struct world *w, uint64_t point, bool good)
{
    if (!good || world_fault(w)[0] != '\0')
        fprintf(stderr, "at point %llu: %s\n%s\n", (unsigned long long)point, world_fault(w),
                world_trace(w));
    CU_ASSERT_TRUE(good);
    story_end(w);
}

/* Tells a story with something wrong at each point, until there is none that far. How many there
 * were, and one. */
static inline uint64_t story_points(bool (*tell)(uint64_t point))
{
    uint64_t n = 1;
    while (tell(n) && n < STORY_POINTS_MAX)
        n++;
    return n;
}

/*
 * A device that was off comes back to all that happened meanwhile, and its power goes at its point
 * `cut`, or its broker loses message `lose`; 0: neither. It must come to rest with app@v2 and this
 * version of the trust document. The story ends with it; false: the point was beyond its end.
 */
static inline bool story_come_back(struct world *w, struct device *d, uint64_t cut, uint64_t lose,
                                   uint32_t trust_version)
{
    d->cut_at = cut ? d->points + cut : 0;
    broker_lose(w->broker, lose, true);
    device_start(d);
    world_run(w, 1000);
    bool good = story_rest(w) && world_runs(d, "app", "v2") &&
                d->disk.trust.version == trust_version &&
                world_state(w, d, "app", NULL) == STATE_READY;
    bool hit = cut ? d->was_cut : broker_lost(w->broker);
    story_end_at(w, cut + lose, good);
    return hit;
}

#endif
