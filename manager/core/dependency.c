#include "manager/core/state.h"

#include <assert.h>
#include <stdio.h>

/* Deployments along a circle that a sentence names. */
#define CIRCLE_SHOWN 6

/* A walk along dependencies. Both by number; 0 is none. */
struct walk {
    const struct manager *m;
    uint32_t *came_from; /* by number: which one depends on it, on the way here */
    uint32_t *queue;
    uint32_t count;
};

static const char *name_of(const struct manager *m, uint32_t number)
{
    return m->deployments[number - 1].name;
}

/* What was removed holds up nobody. */
static bool counts(const struct manager *m, uint32_t number)
{
    return !m->deployments[number - 1].removed;
}

struct dependencies dependency_list(const struct manager *m, uint32_t deployment)
{
    const struct dependencies *kept = &m->deployments[deployment].after;
    struct dependencies list = {0};
    for (uint32_t i = 0; i < kept->count; i++)
        if (counts(m, kept->numbers[i]))
            list.numbers[list.count++] = kept->numbers[i];
    return list;
}

const struct deployment_row *dependency_user(const struct manager *m, uint32_t deployment)
{
    for (uint32_t i = 0; i < m->deployment_count; i++)
        if (counts(m, i + 1) && dependencies_have(&m->deployments[i].after, deployment + 1))
            return &m->deployments[i];
    return NULL;
}

void dependency_mark_users(struct manager *m, uint32_t deployment)
{
    for (uint32_t i = 0; i < m->deployment_count; i++)
        if (counts(m, i + 1) && dependencies_have(&m->deployments[i].after, deployment + 1))
            cohort_mark_deployment(m, &m->deployments[i]);
}

static void follow(struct walk *w, const struct dependencies *after, uint32_t from)
{
    for (uint32_t i = 0; i < after->count; i++) {
        uint32_t number = after->numbers[i];
        if (w->came_from[number] != 0 || !counts(w->m, number))
            continue;
        w->came_from[number] = from;
        w->queue[w->count++] = number;
    }
}

/* From the deployment that comes after these, on to another one, or back to itself. */
static bool leads_to(struct walk *w, uint32_t from, const struct dependencies *after, uint32_t to)
{
    follow(w, after, from);
    for (uint32_t at = 0; at < w->count && w->came_from[to] == 0; at++)
        follow(w, &w->m->deployments[w->queue[at] - 1].after, w->queue[at]);
    return w->came_from[to] != 0;
}

int64_t dependency_waiter(const struct manager *m, uint32_t deployment, struct arena *scratch)
{
    size_t bytes = (m->deployment_count + 1) * sizeof(uint32_t);
    struct walk w = {
        .m = m, .came_from = arena_alloc(scratch, bytes), .queue = arena_alloc(scratch, bytes)};
    assert(w.came_from && w.queue);
    for (uint32_t i = 0; i < ROLLOUTS_MAX; i++) {
        uint32_t number = m->flights[i].deployment;
        if (!number || number == deployment + 1)
            continue;
        memset(w.came_from, 0, bytes);
        w.count = 0;
        if (leads_to(&w, number, &m->deployments[number - 1].after, deployment + 1))
            return number - 1;
    }
    return -1;
}

/* ---- what an operator wrote ---- */

static void insert(struct dependencies *d, uint32_t number)
{
    uint32_t at = d->count++;
    for (; at > 0 && d->numbers[at - 1] > number; at--)
        d->numbers[at] = d->numbers[at - 1];
    d->numbers[at] = number;
}

static int add(struct turn *t, const char *name, struct dependencies *out)
{
    const char *own = t->ev->command->deploy.name;
    int64_t index = manager_find_deployment(t->m, name);
    if (strcmp(name, own) == 0)
        return REFUSE(t, ERR_USAGE, "%s can't depend on itself", own);
    if (index < 0)
        return REFUSE(t, ERR_NOT_FOUND,
                      "%s depends on %.64s, and there is no such deployment: deploy that one first",
                      own, name);
    if (dependencies_have(out, (uint32_t)index + 1))
        return REFUSE(t, ERR_USAGE, "%s is said to depend on %s twice", own, name);
    insert(out, (uint32_t)index + 1);
    return 0;
}

static int refuse_circle(struct turn *t, const struct walk *w, uint32_t number)
{
    char way[(CIRCLE_SHOWN + 1) * (NAME_MAX_LEN + 3)];
    uint32_t at = w->came_from[number];
    int used = snprintf(way, sizeof way, "%s", name_of(w->m, number));
    for (int i = 0; i < CIRCLE_SHOWN && at != number; i++, at = w->came_from[at])
        used += snprintf(way + used, sizeof way - (size_t)used, ", %s", name_of(w->m, at));
    return REFUSE(t, ERR_USAGE,
                  "these would depend on each other in a circle, and none would ever begin: %s%s",
                  way, at == number ? "" : ", …");
}

/* Only what is about to change can close a circle: there was none before. */
static int check_circle(struct turn *t, uint32_t number, const struct dependencies *after)
{
    size_t bytes = (t->m->deployment_count + 1) * sizeof(uint32_t);
    struct walk w = {.m = t->m,
                     .came_from = arena_alloc(t->scratch, bytes),
                     .queue = arena_alloc(t->scratch, bytes)};
    assert(w.came_from && w.queue);
    memset(w.came_from, 0, bytes);
    int rv = leads_to(&w, number, after, number) ? refuse_circle(t, &w, number) : 0;
    arena_reset(t->scratch);
    return rv;
}

int dependency_resolve(struct turn *t, int64_t index, struct dependencies *out)
{
    const struct dependency_names *names = t->ev->command->deploy.after;
    *out = (struct dependencies){0};
    if (!names && index >= 0)
        *out = dependency_list(t->m, (uint32_t)index);
    for (uint32_t i = 0; names && i < names->count; i++)
        if (add(t, names->names[i], out) < 0)
            return t->out->rv;
    return index >= 0 ? check_circle(t, (uint32_t)index + 1, out) : 0;
}
