#include "manager/core/state.h"

#include <assert.h>

static const char *find_text(const void *context, struct span name);
static int64_t find(const struct manager *m, struct span name);

void group_open(struct manager *m)
{
    m->book = (struct selector_book){.context = m, .find = find_text};
}

static const char *find_text(const void *context, struct span name)
{
    const struct manager *m = context;
    int64_t index = find(m, name);
    return index >= 0 ? m->groups[index].selector : NULL;
}

static int64_t find(const struct manager *m, struct span name)
{
    for (uint32_t i = 0; i < m->group_count; i++)
        if (name.len > 0 && span_equal(span_text(m->groups[i].name), name))
            return i;
    return ERR_NOT_FOUND;
}

int manager_selector(const struct manager *m, const char *text, struct selector *s,
                     struct errmsg *em)
{
    uint32_t at = 0;
    struct span name;
    int rv = selector_parse(s, span_text(text), em);
    s->book = &m->book;
    while (rv == 0 && selector_next_group(s, &at, &name))
        if (find(m, name) < 0)
            rv = errmsg_set(em, ERR_NOT_FOUND, "there is no group %.*s: see `dunlin group list`",
                            (int)(name.len < NAME_MAX_LEN ? name.len : NAME_MAX_LEN),
                            (const char *)name.data);
    return rv;
}

struct selector group_selector(const struct manager *m, const char *text)
{
    struct selector s;
    int rv = selector_parse(&s, span_text(text), NULL);
    assert(rv == 0);
    s.book = &m->book;
    return s;
}

/* ---- who names whom ---- */

static bool names(const char *text, const char *group)
{
    struct selector s;
    uint32_t at = 0;
    struct span name;
    if (selector_parse(&s, span_text(text), NULL) < 0)
        return false;
    while (selector_next_group(&s, &at, &name))
        if (span_equal(name, span_text(group)))
            return true;
    return false;
}

/* A selector leads to the group, be it by way of others; or goes too deep to be followed. */
static bool leads_to(const struct manager *m, const char *text, const char *group, uint32_t depth)
{
    struct selector s;
    uint32_t at = 0;
    struct span name;
    if (depth == SELECTOR_DEPTH_MAX || selector_parse(&s, span_text(text), NULL) < 0)
        return true;
    while (selector_next_group(&s, &at, &name)) {
        int64_t index = find(m, name);
        if (span_equal(name, span_text(group)) ||
            (index >= 0 && leads_to(m, m->groups[index].selector, group, depth + 1)))
            return true;
    }
    return false;
}

static bool is_in_plan(const struct plan *p, const char *group)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (names(p->stages[i].selector, group))
            return true;
    return false;
}

static const struct deployment_row *user_of(const struct manager *m, const char *group)
{
    for (uint32_t i = 0; i < m->deployment_count; i++) {
        const struct deployment_row *d = &m->deployments[i];
        if (!d->removed && (names(d->selector, group) || is_in_plan(&d->plan, group)))
            return d;
    }
    return NULL;
}

/* ---- what operators say ---- */

/* Wherever it is said, other agents may be meant by now. */
static void changed(struct turn *t, uint32_t index)
{
    t->out->index = index;
    t->m->stirred = true;
    persist(t, PERSIST_GROUP, index);
    budget_place_all(t->m);
    cohort_mark_all(t->m);
}

static int check(struct turn *t, const char *name, const char *text)
{
    struct selector s;
    int rv = manager_selector(t->m, text, &s, &t->out->error);
    if (!name_valid(span_text(name)) || !label_key_valid(span_text(name)))
        return REFUSE(
            t, ERR_USAGE,
            "%.64s: a group's name is 1 to %d letters, digits, '.', '_' or '-', the first "
            "and the last a letter or digit",
            name[0] ? name : "\"\"", NAME_MAX_LEN);
    if (rv < 0)
        return fail_with(t, rv);
    if (s.count == 0)
        return REFUSE(t, ERR_USAGE, "the selector is empty: a group of everybody needs no name");
    if (leads_to(t->m, text, name, 1))
        return REFUSE(t, ERR_USAGE,
                      "group %s would be part of itself, or of more than %d others, one in the "
                      "other",
                      name, SELECTOR_DEPTH_MAX);
    return 0;
}

static int64_t place_for(const struct manager *m, const char *name)
{
    int64_t index = find(m, span_text(name));
    for (uint32_t i = 0; index < 0 && i < m->group_count; i++)
        if (!m->groups[i].name[0])
            index = i;
    return index < 0 ? m->group_count : index;
}

/* Which agents a group selects, of each cohort that some are in. */
static void mark_selected(const struct manager *m, const char *text, uint8_t *cohorts, uint8_t bit)
{
    struct selector s = group_selector(m, text);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (m->cohorts[i].agents > 0 && selector_matches(&s, &m->cohorts[i].labels))
            cohorts[i] ^= bit;
}

/* The cohort that would have more records than agents take, since the group in `row` selects it or
 * not any more: others may say "!@NAME". -1: none. */
static int64_t find_crowd(struct turn *t, const struct group_row *row, const struct group_row *old)
{
    struct manager *m = t->m;
    uint8_t *changed = arena_alloc(t->scratch, m->cohort_count + 1);
    int64_t full = -1;
    assert(changed);
    if (old->name[0])
        mark_selected(m, old->selector, changed, 1);
    mark_selected(m, row->selector, changed, 1);
    for (uint32_t i = 0; i < m->cohort_count && full < 0; i++)
        if (changed[i] && cohort_records(m, &m->cohorts[i].labels, 0) > RECORDS_MAX)
            full = i;
    arena_reset(t->scratch);
    return full;
}

void group_set(struct turn *t)
{
    struct manager *m = t->m;
    const char *name = t->ev->command->group.name, *text = t->ev->command->group.selector;
    if (check(t, name, text) < 0)
        return;
    int64_t index = place_for(m, name);
    if (index == SAVED_GROUPS_MAX) {
        REFUSE(t, ERR_RANGE, "there are %d groups, the most that are kept", SAVED_GROUPS_MAX);
        return;
    }
    struct group_row *row = &m->groups[index];
    t->out->index = (uint32_t)index;
    t->out->rv = strcmp(row->name, name) == 0 && strcmp(row->selector, text) == 0;
    if (t->out->rv == 1)
        return;
    struct group_row old = *row;
    *row = (struct group_row){0};
    memcpy(row->name, name, strlen(name));
    memcpy(row->selector, text, strlen(text));
    int64_t full = find_crowd(t, row, &old);
    if (full >= 0) {
        *row = old;
        REFUSE(t, ERR_RANGE,
               "agents with labels \"%s\" would have more than %d deployments, the most they take",
               m->cohorts[full].labels.text, RECORDS_MAX);
        return;
    }
    if (extent_check_group(t, row, &old) < 0) {
        *row = old;
        return;
    }
    m->group_count += index == m->group_count;
    changed(t, (uint32_t)index);
}

/* Nothing else names it. */
static int check_unnamed(struct turn *t, const char *name)
{
    struct manager *m = t->m;
    const struct deployment_row *user = user_of(m, name);
    if (user)
        return REFUSE(t, ERR_BUSY, "group %s is what deployment %s selects by: change that first",
                      name, user->name);
    for (uint32_t i = 0; i < m->variable_count; i++)
        if (m->variables[i].scope == SCOPE_SELECTOR && names(m->variable_texts[i].selector, name))
            return REFUSE(t, ERR_BUSY, "group %s has variable %s: unset that first", name,
                          m->variables[i].name);
    for (uint32_t i = 0; i < m->budget_count; i++)
        if (m->budgets[i].name[0] && names(m->budgets[i].selector, name))
            return REFUSE(t, ERR_BUSY, "group %s is what budget %s is about: change that first",
                          name, m->budgets[i].name);
    for (uint32_t i = 0; i < m->group_count; i++)
        if (names(m->groups[i].selector, name))
            return REFUSE(t, ERR_BUSY, "group %s is part of group %s: change that first", name,
                          m->groups[i].name);
    return 0;
}

void group_remove(struct turn *t)
{
    const char *name = t->ev->command->group.name;
    int64_t index = find(t->m, span_text(name));
    if (index < 0) {
        REFUSE(t, ERR_NOT_FOUND, "there is no group %.64s: see `dunlin group list`", name);
        return;
    }
    if (check_unnamed(t, name) < 0)
        return;
    t->m->groups[index] = (struct group_row){0};
    changed(t, (uint32_t)index);
}

/* ---- loading, and queries ---- */

int manager_load_group(struct manager *m, const struct group_row *row)
{
    struct selector s;
    if (m->group_count == SAVED_GROUPS_MAX)
        return ERR_RANGE;
    if (selector_parse(&s, span_text(row->selector), NULL) < 0)
        return ERR_DAMAGED;
    m->groups[m->group_count++] = *row;
    return 0;
}

uint32_t manager_group_count(const struct manager *m)
{
    return m->group_count;
}

const struct group_row *manager_group(const struct manager *m, uint32_t index)
{
    assert(index < m->group_count);
    return &m->groups[index];
}

int64_t manager_find_group(const struct manager *m, const char *name)
{
    return find(m, span_text(name));
}

struct group_use manager_group_use(const struct manager *m, uint32_t index)
{
    const struct group_row *row = manager_group(m, index);
    struct selector s = group_selector(m, row->selector);
    struct group_use use = {0};
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (selector_matches(&s, &m->cohorts[i].labels))
            use.agents += m->cohorts[i].agents;
    for (uint32_t i = 0; i < m->deployment_count; i++) {
        const struct deployment_row *d = &m->deployments[i];
        use.deployments +=
            !d->removed && (names(d->selector, row->name) || is_in_plan(&d->plan, row->name));
    }
    return use;
}
