#include "manager/core/state.h"

#include <assert.h>

/* A counting sort: where a cohort's agents begin moves on with each of them, and is where they end
 * in the end. */
static void sort_out(struct manager *m)
{
    uint32_t begin = 0;
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        m->muster_ends[i] = begin;
        begin += m->cohorts[i].agents;
    }
    assert(begin <= m->agent_count);
    for (uint32_t n = 1; n <= m->agent_count; n++) {
        const struct agent_row *row = &m->agents[n - 1];
        if (agent_in_fleet(row))
            m->mustered[m->muster_ends[row->cohort]++] = n;
    }
    m->is_mustered = true;
}

const uint32_t *muster_of(const struct manager *m, uint32_t cohort)
{
    if (!m->is_mustered)
        sort_out((struct manager *)m); /* nothing that anybody else would see */
    return m->mustered + m->muster_ends[cohort] - m->cohorts[cohort].agents;
}
