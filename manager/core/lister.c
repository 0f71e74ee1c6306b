/*
 * lister: keeps the lists of deployments as they should be: who is on one has it named in its
 * assignment. It tells those that come and go, and nobody else.
 */
#include "manager/core/state.h"

/* What of a step is left to others: documents, rollouts and picks. */
#define PERSIST_LEFT (MANAGER_COHORTS_PER_STEP + 6)
/* One agent's row, status and assignment. */
#define PERSIST_EACH 3

/* One list being looked at. */
struct listing {
    struct turn *t;
    struct manager *m;
    uint32_t index;
    struct deployment_row *d;
    struct list *list;
    struct selector selector;
};

/* ---- bits ---- */

static bool get_bit(const uint8_t *bits, uint32_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

static void set_bit(uint8_t *bits, uint32_t i, bool on)
{
    uint8_t bit = (uint8_t)(1u << i % 8);
    bits[i / 8] = (uint8_t)(on ? bits[i / 8] | bit : bits[i / 8] & ~bit);
}

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
    return list && get_bit(list->in, number);
}

bool list_covers(const struct manager *m, uint32_t deployment, uint32_t cohort)
{
    const struct list *list = list_find(m, deployment);
    return list && get_bit(list->cohorts, cohort);
}

bool list_admits(const struct manager *m, uint32_t deployment, uint32_t number)
{
    return !(m->deployments[deployment].flags & RECORD_LISTED) || list_has(m, deployment, number);
}

void list_mean(struct manager *m, uint32_t deployment)
{
    const struct roster *r = &m->deployments[deployment].roster;
    struct list *list = roster_chooses(r) ? take(m, deployment) : list_find(m, deployment);
    if (!list)
        return;
    memset(list->meant, 0, m->options.limits.agents / 8 + 1);
    for (uint32_t i = 0; i < r->named_count; i++)
        if (r->named[i] <= m->options.limits.agents)
            set_bit(list->meant, r->named[i], true);
    list_begin(m);
}

int manager_load_list(struct manager *m, uint32_t number, uint32_t deployment)
{
    if (number < 1 || number > m->agent_count || deployment - 1 >= m->deployment_count)
        return ERR_DAMAGED;
    if (m->deployments[deployment - 1].removed)
        return 0;
    struct list *list = take(m, deployment - 1);
    if (!list)
        return ERR_RANGE;
    set_bit(list->in, number, true);
    set_bit(list->cohorts, m->agents[number - 1].cohort, true);
    return 0;
}

uint32_t manager_lists(const struct manager *m, uint32_t number, uint32_t out[static RECORDS_MAX])
{
    uint32_t count = 0;
    if (!agent_in_fleet(manager_agent(m, number)))
        return 0;
    for (uint32_t i = 0; i < LISTS_MAX && count < RECORDS_MAX; i++) {
        if (!m->lists[i].deployment || !get_bit(m->lists[i].in, number))
            continue;
        uint32_t at = count++;
        for (; at > 0 && out[at - 1] > m->lists[i].deployment; at--)
            out[at] = out[at - 1];
        out[at] = m->lists[i].deployment;
    }
    return count;
}

/* ---- who comes and who goes ---- */

/* A list that chooses nobody by itself (the deployment is for all that its selector matches, by
 * now) is left as it is: to be on it does no harm. */
static bool belongs(const struct listing *l, uint32_t number)
{
    const struct agent_row *row = &l->m->agents[number - 1];
    if (!agent_in_fleet(row) || l->d->removed)
        return false;
    if (!roster_chooses(&l->d->roster))
        return get_bit(l->list->in, number);
    return get_bit(l->list->meant, number) &&
           selector_matches(&l->selector, &l->m->cohorts[row->cohort].labels);
}

/* Its cohort's document needs the record. */
static void cover(struct manager *m, struct list *list, uint32_t cohort)
{
    if (get_bit(list->cohorts, cohort))
        return;
    set_bit(list->cohorts, cohort, true);
    cohort_mark(m, cohort);
}

void list_move(struct manager *m, uint32_t number, uint32_t cohort)
{
    for (uint32_t i = 0; i < LISTS_MAX; i++)
        if (m->lists[i].deployment && get_bit(m->lists[i].in, number))
            cover(m, &m->lists[i], cohort);
}

/* The assignment goes out before the document that counts on it. */
static void look_at(const struct listing *l, uint32_t number)
{
    bool is = get_bit(l->list->in, number), should = belongs(l, number);
    if (should)
        cover(l->m, l->list, l->m->agents[number - 1].cohort);
    if (is == should)
        return;
    set_bit(l->list->in, number, should);
    rollout_let_go(l->m, number);
    l->m->stirred = true;
    lookout_hear(l->m);
    if (agent_in_fleet(&l->m->agents[number - 1]))
        fleet_tell(l->t, number);
}

/* Everybody on it has been told: from now on documents say that there is a list. */
static void close_list(const struct listing *l)
{
    if (!roster_chooses(&l->d->roster) || l->d->flags & RECORD_LISTED)
        return;
    l->d->flags |= RECORD_LISTED;
    persist(l->t, PERSIST_DEPLOYMENT, l->index);
    cohort_mark_all(l->m);
}

static bool is_full(const struct turn *t)
{
    return t->out->persist_count + PERSIST_EACH + PERSIST_LEFT > MANAGER_PERSIST_MAX;
}

/* False: the step is full. */
static bool look_through(const struct listing *l)
{
    struct manager *m = l->m;
    for (; m->list_number <= m->agent_count; m->list_number++) {
        uint32_t n = m->list_number;
        if (!(l->list->in[n / 8] | l->list->meant[n / 8])) {
            m->list_number |= 7; /* none of these eight */
            continue;
        }
        if (is_full(l->t))
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
    if (t->m->stirred)
        list_begin(t->m);
    list_tend(t);
}

bool list_waits(const struct manager *m)
{
    return m->list_cursor < LISTS_MAX;
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
        l.selector = group_selector(m, l.d->selector);
        if (is_full(t) || !look_through(&l))
            return;
    }
}
