/*
 * tainter: who is tainted, and what that keeps off. A tainted agent is a reserved one: it takes
 * only what its assignment lists, so a taint costs one message, whatever is deployed later.
 */
#include "manager/core/state.h"

#include <assert.h>

static uint64_t bit_of(uint32_t index)
{
    return (uint64_t)1 << index;
}

uint64_t taint_covered(const struct manager *m, const char *tolerations)
{
    uint64_t covered = 0;
    for (uint32_t i = 0; tolerations[0] && i < TAINTS_MAX; i++)
        if (m->taints[i].key[0] && tolerations_cover(tolerations, &m->taints[i]))
            covered |= bit_of(i);
    return covered;
}

uint64_t taint_tolerated(const struct manager *m, const struct roster *r)
{
    return taint_covered(m, r->tolerate);
}

static uint64_t executing(const struct manager *m)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < TAINTS_MAX; i++)
        if (m->taints[i].effect == TAINT_NO_EXECUTE)
            mask |= bit_of(i);
    return mask;
}

bool taint_allows(const struct manager *m, uint64_t tolerated, uint32_t number, bool in)
{
    if (!(m->agents[number - 1].flags & AGENT_TAINTED))
        return true;
    uint64_t against = m->agent_taints[number - 1] & ~tolerated;
    return against == 0 || (in && !(against & executing(m)));
}

const struct taint *taint_against(const struct manager *m, const struct roster *r, uint32_t number)
{
    uint64_t against = m->agents[number - 1].flags & AGENT_TAINTED
                           ? m->agent_taints[number - 1] & ~taint_tolerated(m, r)
                           : 0;
    for (uint32_t i = 0; i < TAINTS_MAX; i++)
        if (against & bit_of(i))
            return &m->taints[i];
    return NULL;
}

/* ---- kinds ---- */

static int64_t find(const struct manager *m, const struct taint *taint)
{
    for (uint32_t i = 0; i < TAINTS_MAX; i++)
        if (m->taints[i].key[0] && taint_equal(&m->taints[i], taint))
            return i;
    return -1;
}

uint64_t taint_expelling(const struct manager *m, const char *set, const struct roster *r)
{
    uint64_t kinds = 0;
    struct taint taint;
    for (size_t len; *set; set += len + (set[len] == ',')) {
        len = strcspn(set, ",");
        if (taint_parse(span_of(set, len), &taint, NULL) < 0 || taint.effect != TAINT_NO_EXECUTE ||
            tolerations_cover(r->tolerate, &taint))
            continue;
        int64_t index = find(m, &taint);
        kinds |= index >= 0 ? bit_of((uint32_t)index) : UINT64_MAX;
    }
    return kinds;
}

/* One more kind, in a place that no agent needs any more; or a code with the reply set. */
static int64_t find_or_add(struct turn *t, const struct taint *taint, uint64_t wanted)
{
    struct manager *m = t->m;
    int64_t found = find(m, taint);
    for (uint32_t i = 0; found < 0 && i < TAINTS_MAX; i++) {
        if (m->taint_agents[i] > 0 || wanted & bit_of(i))
            continue;
        m->taints[i] = *taint;
        persist(t, PERSIST_TAINT, i);
        return i;
    }
    if (found < 0)
        return REFUSE(t, ERR_RANGE, "there are %d different taints, the most that may", TAINTS_MAX);
    return found;
}

static void set_taints(struct manager *m, uint32_t number, uint64_t taints)
{
    struct agent_row *row = &m->agents[number - 1];
    uint64_t before = row->flags & AGENT_TAINTED ? m->agent_taints[number - 1] : 0;
    for (uint32_t i = 0; i < TAINTS_MAX; i++)
        m->taint_agents[i] += (uint32_t)(taints >> i & 1) - (uint32_t)(before >> i & 1);
    m->agent_taints[number - 1] = taints;
    row->flags =
        (uint16_t)(taints ? row->flags | AGENT_TAINTED : row->flags & ~(unsigned)AGENT_TAINTED);
    list_note_tainted(m, number, taints != 0);
}

void taint_forget(struct manager *m, uint32_t number)
{
    if (m->agents[number - 1].flags & AGENT_TAINTED)
        set_taints(m, number, 0);
}

/* ---- what operators say ---- */

/* The taints that the agent is to have; false: refused. */
static bool read_taints(struct turn *t, uint32_t number, uint64_t *out)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    const char *at = c->taint.set;
    uint64_t taints = m->agents[number - 1].flags & AGENT_TAINTED ? m->agent_taints[number - 1] : 0;
    int rv = tolerations_check(c->taint.unset, &t->out->error);
    for (uint32_t i = 0; rv == 0 && i < TAINTS_MAX; i++)
        if (taints & bit_of(i) && tolerations_cover(c->taint.unset, &m->taints[i]))
            taints &= ~bit_of(i);
    while (rv == 0 && *at) {
        struct taint taint;
        size_t len = strcspn(at, ",");
        rv = taint_parse(span_of(at, len), &taint, &t->out->error);
        int64_t index = rv == 0 ? find_or_add(t, &taint, taints) : rv;
        at += len + (at[len] == ',');
        rv = index < 0 ? (int)index : 0;
        taints |= index >= 0 ? bit_of((uint32_t)index) : 0;
    }
    *out = taints;
    return rv == 0 || fail_with(t, rv) == 0;
}

/* What it has now and may keep, it is told; the rest goes with the same word. */
static void keep_some(struct manager *m, uint32_t number, const struct agent_deployment *has,
                      size_t count)
{
    bool tainted = m->agents[number - 1].flags & AGENT_TAINTED;
    list_clear_plain(m, number);
    for (size_t i = 0; i < count; i++) {
        const struct deployment_row *d = &m->deployments[has[i].deployment];
        bool stays = taint_allows(m, taint_tolerated(m, &d->roster), number, true);
        if (!(d->flags & RECORD_LISTED) && !tainted)
            continue;
        list_put(m, has[i].deployment, number, stays);
        if (!stays)
            flight_leave_one(m, has[i].deployment, number);
    }
}

static bool has_lists(const struct manager *m, const struct agent_deployment *has, size_t count)
{
    uint32_t lacking = 0;
    for (size_t i = 0; i < count; i++)
        lacking += list_find(m, has[i].deployment) == NULL;
    return lacking <= list_left(m);
}

void taint_set(struct turn *t, uint32_t number)
{
    struct manager *m = t->m;
    struct agent_row *row = &m->agents[number - 1];
    struct agent_deployment has[RECORDS_MAX];
    uint64_t taints, before = row->flags & AGENT_TAINTED ? m->agent_taints[number - 1] : 0;
    if (row->flags & AGENT_WAITING) {
        REFUSE(t, ERR_BUSY, "agent %u waits to be let in: dunlin agent approve %u", number, number);
        return;
    }
    if (!read_taints(t, number, &taints))
        return;
    t->out->rv = taints == before;
    size_t count = manager_agent_deployments(m, number, has);
    if (t->out->rv == 1)
        return;
    if (taints && !has_lists(m, has, count)) {
        REFUSE(t, ERR_RANGE, "%d deployments have lists of agents, the most that may", LISTS_MAX);
        return;
    }
    set_taints(m, number, taints);
    keep_some(m, number, has, count);
    m->stirred = true;
    list_begin(m);
    /* Of what it didn't tolerate it never spoke: its silence doesn't count any more. */
    if (taints)
        fleet_tell(t, number);
    else
        fleet_assign(t, number);
}

/* ---- loading, and queries ---- */

int manager_load_taint(struct manager *m, uint32_t index, const struct taint *taint)
{
    if (index >= TAINTS_MAX || taint->effect >= TAINT_EFFECT_COUNT)
        return ERR_DAMAGED;
    m->taints[index] = *taint;
    return 0;
}

void taint_load(struct manager *m, uint32_t number, uint64_t taints)
{
    struct agent_row *row = &m->agents[number - 1];
    bool tainted = row->flags & AGENT_TAINTED;
    row->flags &= (uint16_t)~AGENT_TAINTED; /* not counted yet */
    if (tainted)
        set_taints(m, number, taints);
}

const struct taint *manager_taint(const struct manager *m, uint32_t index)
{
    assert(index < TAINTS_MAX);
    return &m->taints[index];
}

uint64_t manager_agent_taints(const struct manager *m, uint32_t number)
{
    return manager_agent(m, number)->flags & AGENT_TAINTED ? m->agent_taints[number - 1] : 0;
}
