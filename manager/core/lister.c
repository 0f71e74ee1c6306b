/*
 * lister: keeps the lists of deployments as they should be: who is on one has it named in its
 * assignment. It tells those that come and go, and nobody else.
 */
#include "base/bits.h"
#include "manager/core/state.h"

#include <assert.h>

/* Agents that one step looks at. */
#define LOOKS_PER_STEP 65536

/* One list being looked at. */
struct listing {
    struct turn *t;
    struct manager *m;
    uint32_t index;
    struct deployment_row *d;
    struct list *list;
    struct selector selector;
    uint64_t tolerated;
    struct whom whom, present; /* of one that is sorted */
};

/* ---- lists ---- */

struct list *list_find(const struct manager *m, uint32_t deployment)
{
    uint16_t place = m->list_places[deployment];
    return place ? (struct list *)&m->lists[place - 1] : NULL;
}

bool list_is_left(const struct manager *m, uint32_t deployment)
{
    for (uint32_t i = 0; i < LISTS_MAX; i++)
        if (m->lists[i].deployment == 0 || m->lists[i].deployment == deployment + 1)
            return true;
    return false;
}

static struct list *take(struct manager *m, uint32_t deployment)
{
    uint32_t place = 0;
    struct list *list = list_find(m, deployment);
    if (list)
        return list;
    while (place < LISTS_MAX && m->lists[place].deployment)
        place++;
    if (place == LISTS_MAX)
        return NULL;
    list = &m->lists[place];
    size_t agents = m->options.limits.agents / 8 + 1;
    list->deployment = deployment + 1;
    list->in = m->list_bits + place * 2 * agents;
    list->meant = list->in + agents;
    list->cohorts = m->list_cohorts + place * (m->options.limits.cohorts / 8 + 1);
    m->list_places[deployment] = (uint16_t)(place + 1);
    return list;
}

void list_drop(struct manager *m, uint32_t deployment)
{
    struct list *list = list_find(m, deployment);
    if (!list)
        return;
    memset(list->in, 0, 2 * (m->options.limits.agents / 8 + 1));
    memset(list->cohorts, 0, m->options.limits.cohorts / 8 + 1);
    list->deployment = 0;
    m->list_places[deployment] = 0;
}

bool list_has(const struct manager *m, uint32_t deployment, uint32_t number)
{
    const struct list *list = list_find(m, deployment);
    return list && bits_have(list->in, number);
}

bool list_covers(const struct manager *m, uint32_t deployment, uint32_t cohort)
{
    const struct list *list = list_find(m, deployment);
    return list && bits_have(list->cohorts, cohort);
}

bool list_admits(const struct manager *m, uint32_t deployment, uint32_t number)
{
    bool open = !(m->deployments[deployment].flags & RECORD_LISTED) &&
                !(m->agents[number - 1].flags & AGENT_TAINTED);
    return open || list_has(m, deployment, number);
}

void list_mean(struct manager *m, uint32_t deployment)
{
    const struct roster *r = &m->deployments[deployment].roster;
    bool needed = roster_chooses(r) || r->tolerate[0];
    struct list *list = needed ? take(m, deployment) : list_find(m, deployment);
    if (!list)
        return;
    memset(list->meant, 0, m->options.limits.agents / 8 + 1);
    list->looked = false;
    ranking_mean(m, r);
    if (roster_asks(r))
        inquiry_begin(m);
    for (uint32_t i = 0; i < r->named_count; i++)
        if (r->named[i] <= m->options.limits.agents)
            bits_set(list->meant, r->named[i], true);
    list_begin(m);
}

int manager_load_lists(struct manager *m, uint32_t number, uint64_t taints, const uint32_t *lists,
                       uint32_t count)
{
    if (number < 1 || number > m->agent_count)
        return ERR_DAMAGED;
    taint_load(m, number, taints);
    for (uint32_t i = 0; i < count; i++) {
        if (lists[i] - 1 >= m->deployment_count) /* 0 wraps */
            return ERR_DAMAGED;
        if (m->deployments[lists[i] - 1].removed)
            continue;
        if (!take(m, lists[i] - 1))
            return ERR_RANGE;
        list_put(m, lists[i] - 1, number, true);
    }
    return 0;
}

void list_fits(struct manager *m, uint32_t deployment, uint32_t number, bool fits)
{
    bool named = roster_names(&m->deployments[deployment].roster, number);
    bits_set(list_find(m, deployment)->meant, number, fits || named);
}

bool list_means(const struct manager *m, uint32_t deployment, uint32_t number)
{
    const struct list *list = list_find(m, deployment);
    return list && bits_have(list->meant, number);
}

uint32_t list_left(const struct manager *m)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < LISTS_MAX; i++)
        left += m->lists[i].deployment == 0;
    return left;
}

void list_put(struct manager *m, uint32_t deployment, uint32_t number, bool on)
{
    struct list *list = take(m, deployment);
    assert(list);
    bits_set(list->in, number, on);
    if (on)
        bits_set(list->cohorts, m->agents[number - 1].cohort, true);
}

void list_clear_plain(struct manager *m, uint32_t number)
{
    for (uint32_t i = 0; i < LISTS_MAX; i++) {
        uint32_t deployment = m->lists[i].deployment;
        if (deployment && !(m->deployments[deployment - 1].flags & RECORD_LISTED))
            bits_set(m->lists[i].in, number, false);
    }
}

void list_note_tainted(struct manager *m, uint32_t number, bool tainted)
{
    bits_set(m->tainted, number, tainted);
}

uint32_t manager_lists(const struct manager *m, uint32_t number, uint32_t out[static RECORDS_MAX])
{
    uint32_t count = 0;
    if (!agent_in_fleet(manager_agent(m, number)))
        return 0;
    for (uint32_t i = 0; i < LISTS_MAX && count < RECORDS_MAX; i++) {
        if (!m->lists[i].deployment || !bits_have(m->lists[i].in, number))
            continue;
        uint32_t at = count++;
        for (; at > 0 && out[at - 1] > m->lists[i].deployment; at--)
            out[at] = out[at - 1];
        out[at] = m->lists[i].deployment;
    }
    return count;
}

/* ---- who comes and who goes ---- */

static bool is_meant(const struct listing *l, uint32_t number)
{
    const struct labels *labels = &l->m->cohorts[l->m->agents[number - 1].cohort].labels;
    const struct roster *r = &l->d->roster;
    if (r->named_count > 0 && roster_names(r, number))
        return !selector_excludes(&l->selector, labels);
    return !r->alone && selector_matches(&l->selector, labels) &&
           (!r->facts[0] || bits_have(l->list->meant, number));
}

/* Of what is for all that its selector matches, lists say who may have it in spite of a taint; for
 * the others it makes no difference to be on one. */
static bool belongs(const struct listing *l, uint32_t number)
{
    const struct agent_row *row = &l->m->agents[number - 1];
    bool is = bits_have(l->list->in, number), chooses = roster_chooses(&l->d->roster);
    if (!agent_in_fleet(row) || l->d->removed)
        return false;
    if (l->d->roster.sort[0])
        return ranking_has(&l->list->ranking, &l->whom, &l->present, number);
    if (!chooses && !(row->flags & AGENT_TAINTED))
        return is;
    return is_meant(l, number) && taint_allows(l->m, l->tolerated, number, is);
}

/* Its cohort's document needs the record. */
static void cover(struct manager *m, struct list *list, uint32_t cohort)
{
    if (bits_have(list->cohorts, cohort))
        return;
    bits_set(list->cohorts, cohort, true);
    cohort_mark(m, cohort);
}

void list_move(struct manager *m, uint32_t number, uint32_t cohort)
{
    for (uint32_t i = 0; i < LISTS_MAX; i++)
        if (m->lists[i].deployment && bits_have(m->lists[i].in, number))
            cover(m, &m->lists[i], cohort);
}

/* The assignment goes out before the document that counts on it. */
static void look_at(const struct listing *l, uint32_t number)
{
    bool is = bits_have(l->list->in, number), should = belongs(l, number);
    if (should)
        cover(l->m, l->list, l->m->agents[number - 1].cohort);
    if (is == should)
        return;
    bits_set(l->list->in, number, should);
    flight_leave_one(l->m, l->index, number);
    l->m->stirred = true;
    lookout_hear(l->m);
    if (!agent_in_fleet(&l->m->agents[number - 1]))
        return;
    /* Of what is for all, agents don't say by name that they have it: until it has heard, none of
     * its silence counts. */
    if (should && !(l->d->flags & RECORD_LISTED))
        fleet_assign(l->t, number);
    else
        fleet_tell(l->t, number);
}

/* Everybody on it has been told: from now on documents say that there is a list. Who is named and
 * wasn't for it before comes now: as long as documents said nothing, the selector of before held.
 */
static void close_list(const struct listing *l)
{
    l->list->looked = true;
    if (!roster_chooses(&l->d->roster) || l->d->flags & RECORD_LISTED)
        return;
    l->d->flags |= RECORD_LISTED;
    if (l->d->roster.sort[0])
        pick_keep(l->m, l->index, &(struct picked){0});
    if (l->d->roster.alone) {
        memset(l->d->selector, 0, sizeof l->d->selector);
        l->list->looked = false;
        l->m->stirred = true;
    }
    persist(l->t, PERSIST_DEPLOYMENT, l->index);
    cohort_mark_all(l->m);
}

/* False: the step is full. */
static bool look_through(const struct listing *l)
{
    struct manager *m = l->m;
    const struct roster *r = &l->d->roster;
    bool asks_tainted = !roster_chooses(r) && l->tolerated;
    bool comes = !r->sort[0] || l->list->ranking.come.some || !(l->d->flags & RECORD_LISTED);
    bool asks_all = roster_chooses(r) && !r->alone && !r->facts[0] && comes;
    uint32_t end = m->list_number + LOOKS_PER_STEP;
    for (; m->list_number <= m->agent_count; m->list_number++) {
        uint32_t n = m->list_number;
        uint8_t candidates = l->list->in[n / 8] | l->list->meant[n / 8];
        if (!candidates && !asks_all && !(asks_tainted && m->tainted[n / 8])) {
            m->list_number |= 7; /* none of these eight */
            continue;
        }
        if (persist_is_full(l->t) || n >= end)
            return false;
        look_at(l, n);
    }
    close_list(l);
    return true;
}

void list_begin(struct manager *m)
{
    m->list_cursor = 0;
    m->list_number = 1;
}

void list_tick(struct turn *t)
{
    struct manager *m = t->m;
    m->lists_stirred |= m->stirred;
    if (m->lists_stirred && !list_waits(m)) {
        m->lists_stirred = false;
        list_begin(m);
    }
    list_tend(t);
}

bool list_is_unready(const struct manager *m, uint32_t deployment)
{
    const struct list *list = list_find(m, deployment);
    return list && (!list->looked ||
                    (roster_asks(&m->deployments[deployment].roster) && inquiry_is_open(m)));
}

bool list_waits(const struct manager *m)
{
    return m->list_cursor < LISTS_MAX;
}

/* Once, as the look at it begins: who is told on the way must not change what it comes to. */
static void rank(struct listing *l)
{
    l->whom = whom_would(l->m, l->d, l->index, l->t->scratch);
    l->present = whom_is(l->m, l->index, l->t->scratch);
    if (l->m->list_number == 1)
        l->list->ranking = ranking_settle(&l->whom, &l->present, &l->d->pick, l->t->scratch);
}

void list_tend(struct turn *t)
{
    struct manager *m = t->m;
    for (; list_waits(m); m->list_cursor++, m->list_number = 1) {
        struct list *list = &m->lists[m->list_cursor];
        if (list->deployment == 0)
            continue;
        struct listing l = {.t = t, .m = m, .index = list->deployment - 1, .list = list};
        l.d = &m->deployments[l.index];
        if (roster_asks(&l.d->roster) && inquiry_is_open(m))
            continue;
        if (l.d->roster.sort[0])
            rank(&l);
        l.selector = group_selector(m, l.d->selector);
        l.tolerated = taint_tolerated(m, &l.d->roster);
        bool done = !persist_is_full(t) && look_through(&l);
        arena_reset(t->scratch);
        if (!done)
            return;
    }
}
