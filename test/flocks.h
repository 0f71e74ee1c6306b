/*
 * flocks: fleets in virtual time as stories run them: so many devices on links of this kind. What
 * breaks, and what an operator does, is the test's.
 */
#ifndef DUNLIN_TEST_FLOCKS_H
#define DUNLIN_TEST_FLOCKS_H

#include "simulator/fleet/flock.h"
#include "test/suite.h"

#include <stdio.h>
#include <stdlib.h>

static inline void add_links(struct flock_options *o, const char *name, uint32_t share)
{
    struct errmsg em;
    struct flock_link *l = &o->links[o->link_count++];
    l->share = share;
    snprintf(l->name, sizeof l->name, "%s", name);
    CU_ASSERT_EQUAL_FATAL(profile_find(name, &l->profile, &em), 0);
}

static inline struct flock_options fleet_of(uint32_t agents, const char *links)
{
    struct flock_options o = FLOCK_DEFAULT;
    o.agents = agents;
    add_links(&o, links, 1);
    return o;
}

/* What is wrong stands in the result's `fault`. */
static inline struct flock_result run_anyway(const struct flock_options *o)
{
    struct flock_result r;
    flock_run(o, NULL, NULL, &r);
    flock_free(&r);
    return r;
}

/* And nothing may be. */
static inline struct flock_result run(const struct flock_options *o)
{
    struct flock_result r = run_anyway(o);
    if (r.fault[0] != '\0')
        fprintf(stderr, "seed %u: %s\n", (unsigned)o->seed, r.fault);
    CU_ASSERT_STRING_EQUAL(r.fault, "");
    return r;
}

#endif
