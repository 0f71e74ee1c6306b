#include "sync/gate.h"

#include "base/siphash.h"

uint64_t gate_hash(uint64_t salt, uint32_t deployment, uint32_t number)
{
    return siphash_pair(salt, deployment, number, 0);
}

bool gate_is_open(const struct gate *g)
{
    return g->threshold == UINT64_MAX && g->enrolled_before == UINT32_MAX;
}

bool gate_passes(const struct gate *g, uint64_t hash, uint32_t number)
{
    bool enrolled = g->enrolled_before == UINT32_MAX || number < g->enrolled_before;
    return enrolled && hash <= g->threshold;
}
