#include "manager/homes.h"

#include "base/endian.h"

void homes_forget(struct homes *h)
{
    memset(h->cache, 0, sizeof h->cache);
}

uint64_t homes_stage(const struct homes *h)
{
    return (uint64_t)h->now.number * 2 + !h->moving;
}

static bool has_cell(const struct atlas *a, uint32_t number)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->cells[i].number == number)
            return true;
    return false;
}

static bool lacks_any(const struct atlas *a, const struct atlas *of)
{
    for (uint32_t i = 0; i < of->count; i++)
        if (!has_cell(a, of->cells[i].number))
            return true;
    return false;
}

/* Agents of a cell that is gone have other homes from the first stage on, and those that a new cell
 * has taken lose one in the second. */
bool homes_differ(const struct homes *h)
{
    return h->moving ? lacks_any(&h->now, &h->before) : lacks_any(&h->before, &h->now);
}

static void find(const struct atlas *a, const struct key_id *agent, uint32_t out[ATLAS_HOMES])
{
    uint32_t order[ATLAS_HOMES], count = atlas_order(a, agent, ATLAS_HOMES, order);
    for (uint32_t i = 0; i < ATLAS_HOMES; i++)
        out[i] = i < count ? a->cells[order[i]].number : 0;
}

static const struct homes_of *look(struct homes *h, const struct key_id *agent)
{
    struct homes_of *of = &h->cache[le32_read(agent->bytes) % HOMES_CACHED];
    if (of->now[0] != 0 && key_id_equal(&of->agent, agent))
        return of;
    of->agent = *agent;
    find(&h->now, agent, of->now);
    find(&h->before, agent, of->before);
    return of;
}

static bool has(const uint32_t homes[ATLAS_HOMES], uint32_t cell)
{
    for (uint32_t i = 0; i < ATLAS_HOMES; i++)
        if (homes[i] == cell)
            return true;
    return false;
}

bool homes_serve(struct homes *h, uint32_t cell, const struct key_id *agent)
{
    const struct homes_of *of = look(h, agent);
    return has(of->now, cell) || (h->moving && has(of->before, cell));
}

bool homes_served(struct homes *h, uint32_t cell, const struct key_id *agent)
{
    const struct homes_of *of = look(h, agent);
    return has(of->before, cell) || (!h->moving && has(of->now, cell));
}
