/*
 * values: what versions get, as documents and assignments carry it: for each name that a version
 * needs, the value of the moment whose values it has. It knows nothing of how they came to be set.
 */
#include "manager/core/state.h"

#include <assert.h>

/* A list that says only that a value is missing; a document keeps room for one in each record. */
#define STUB_LEN 40
#define STUBS_LEN ((size_t)RECORDS_MAX * STUB_LEN)

/* What a cohort's record asks for: the needs of both versions, merged, and both moments. */
struct wanting {
    const struct needs *stable, *next; /* NULL: there is none */
    uint32_t stable_values, next_values;
    uint32_t at_stable, at_next;
};

/* One name of it, and what for in each version; 0: that one doesn't need it. */
struct want {
    const char *name;
    uint32_t stable, next; /* enum variable_use */
};

/* ---- which value counts ---- */

static uint64_t rank(const struct variable_row *v)
{
    return (uint64_t)v->scope << 32 | v->order;
}

bool values_show(const struct variable_row *v, uint32_t at)
{
    if (at == VALUES_NEWEST)
        return v->until == 0;
    return v->from <= at && (v->until == 0 || v->until > at);
}

static bool is_for(const struct manager *m, uint32_t index, const char *name, uint32_t deployment,
                   const struct labels *labels)
{
    const struct variable_row *v = &m->variables[index];
    if (v->scope == SCOPE_NONE || v->scope == SCOPE_AGENT || strcmp(v->name, name) != 0)
        return false;
    if (v->scope == SCOPE_DEPLOYMENT)
        return v->of == deployment + 1;
    if (v->scope == SCOPE_ALL)
        return true;
    struct selector selector = group_selector(m, m->variable_texts[index].selector);
    return selector_matches(&selector, labels);
}

static int64_t resolve(const struct manager *m, const struct place *p, const char *name,
                       uint32_t at)
{
    int64_t best = -1;
    for (uint32_t i = 0; i < m->variable_count; i++)
        if (i != p->without && values_show(&m->variables[i], at) &&
            is_for(m, i, name, p->deployment, p->labels) &&
            (best < 0 || rank(&m->variables[i]) > rank(&m->variables[best])))
            best = i;
    return best;
}

/* Labels that nobody had then may have got their value since. */
int64_t values_resolve(const struct manager *m, const struct place *p, const char *name,
                       uint32_t at)
{
    int64_t index = resolve(m, p, name, at);
    return index >= 0 || at == VALUES_NEWEST ? index : resolve(m, p, name, VALUES_NEWEST);
}

struct span values_of(const struct manager *m, uint32_t index)
{
    return span_of(m->variable_texts[index].value, m->variables[index].len);
}

bool values_equal(const struct manager *m, int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a == b;
    return m->variables[a].secret == m->variables[b].secret &&
           span_equal(values_of(m, (uint32_t)a), values_of(m, (uint32_t)b));
}

const struct need *values_find_need(const struct needs *needs, const char *name)
{
    for (uint32_t i = 0; i < needs->count; i++)
        if (strcmp(needs->list[i].name, name) == 0)
            return &needs->list[i];
    return NULL;
}

/* ---- documents ---- */

/* One variable of a list; `to` is whom a secret is sealed to. */
static void put(const struct manager *m, struct wire_writer *w, const char *name, uint32_t uses,
                int64_t index, const struct seal_secret *to)
{
    uint8_t memory[VARIABLE_VALUE_MAX + VARIABLE_SEALED_MORE];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    struct variable v = {.name = span_text(name), .uses = uses, .given = index >= 0};
    if (v.given)
        v.value = values_of(m, (uint32_t)index);
    if (v.given && m->variables[index].secret) {
        int rv = secret_seal(&m->options.secrets, to, v.name, v.value, &sealed);
        assert(rv == 0);
        (void)rv;
        v.uses |= VARIABLE_SECRET;
        v.value = span_buffer(&sealed);
    }
    variables_put(w, &v);
}

static struct wanting wanting_of(const struct manager *m, const struct deployment_row *d)
{
    const struct needs *newest = &m->bundles[d->history[0].bundle].needs;
    uint32_t newest_values = d->history[0].values_at;
    if (!deployment_rolls(d))
        return (struct wanting){.stable = newest, .stable_values = newest_values};
    struct wanting w = {
        .next = newest, .next_values = newest_values, .stable_values = d->rollout.stable_values};
    if (d->rollout.stable)
        w.stable = &m->bundles[d->rollout.stable_bundle].needs;
    return w;
}

/* Both lists rise. */
static bool next_want(struct wanting *w, struct want *out)
{
    const struct need *a =
        w->stable && w->at_stable < w->stable->count ? &w->stable->list[w->at_stable] : NULL;
    const struct need *b =
        w->next && w->at_next < w->next->count ? &w->next->list[w->at_next] : NULL;
    int order = a && b ? strcmp(a->name, b->name) : a ? -1 : 1;
    *out = (struct want){.name = NULL};
    if (!a && !b)
        return false;
    out->name = order <= 0 ? a->name : b->name;
    if (order <= 0) {
        out->stable = VARIABLE_STABLE | (a->in_template ? VARIABLE_TEMPLATE : 0);
        w->at_stable++;
    }
    if (order >= 0) {
        out->next = VARIABLE_NEXT | (b->in_template ? VARIABLE_NEXT_TEMPLATE : 0);
        w->at_next++;
    }
    return true;
}

/* Once where both versions get the same, else once for each. Returns how often; without a writer it
 * only counts. */
static uint32_t put_want(const struct manager *m, struct wire_writer *w, const struct place *p,
                         const struct wanting *of, const struct want *want,
                         const struct seal_secret *to)
{
    int64_t stable = want->stable ? values_resolve(m, p, want->name, of->stable_values) : -1;
    int64_t next = want->next ? values_resolve(m, p, want->name, of->next_values) : -1;
    bool both = want->stable && want->next;
    bool once = !both || values_equal(m, stable, next);
    if (w && once)
        put(m, w, want->name, want->stable | want->next, want->stable ? stable : next, to);
    if (w && !once) {
        put(m, w, want->name, want->stable, stable, to);
        put(m, w, want->name, want->next, next, to);
    }
    return once ? 1 : 2;
}

static int write_list(const struct manager *m, const struct cohort *c, uint32_t deployment,
                      struct buffer *out)
{
    struct place p = {.deployment = deployment, .labels = &c->labels, .without = -1};
    struct wanting w = wanting_of(m, &m->deployments[deployment]), counted = w;
    struct seal_secret to = secret_of_cohort(&m->options.secrets, &c->key);
    struct wire_writer writer = wire_writer_on(out);
    struct want want;
    uint32_t count = 0;
    while (next_want(&counted, &want))
        count += put_want(m, NULL, &p, &w, &want, NULL);
    assert(count > 0);
    variables_begin(&writer, count);
    while (next_want(&w, &want))
        put_want(m, &writer, &p, &w, &want, &to);
    explicit_bzero(&to, sizeof to);
    return wire_end(&writer);
}

static int write_stub(struct buffer *out)
{
    struct wire_writer writer = wire_writer_on(out);
    variables_begin(&writer, 1);
    variables_put(&writer, &(struct variable){.name = span_text(VARIABLE_NO_ROOM),
                                              .uses = VARIABLE_STABLE | VARIABLE_NEXT});
    return wire_end(&writer);
}

/* Where the document has no room, the record says that a value is missing, so that nothing begins.
 */
void values_fill(const struct manager *m, const struct cohort *c, uint32_t deployment,
                 struct record *r, struct desired *out)
{
    struct wanting w = wanting_of(m, &m->deployments[deployment]);
    struct want want;
    r->variables_at = out->variables_len;
    r->variables_len = 0;
    if (!next_want(&w, &want))
        return;
    size_t room = sizeof out->variables - out->variables_len;
    struct buffer list =
        buffer_on(out->variables + out->variables_len, room > STUBS_LEN ? room - STUBS_LEN : 0);
    if (write_list(m, c, deployment, &list) < 0) {
        list = buffer_on(out->variables + out->variables_len, room);
        int rv = write_stub(&list);
        assert(rv == 0);
        (void)rv;
    }
    r->variables_len = (uint32_t)list.len;
    out->variables_len += r->variables_len;
}

/* ---- assignments ---- */

/* By rising name. */
static uint32_t own_rows(const struct manager *m, uint32_t number,
                         uint32_t out[static VARIABLES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->variable_count && count < VARIABLES_MAX; i++) {
        if (m->variables[i].scope != SCOPE_AGENT || m->variables[i].of != number)
            continue;
        uint32_t at = count++;
        for (; at > 0 && strcmp(m->variables[out[at - 1]].name, m->variables[i].name) > 0; at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return count;
}

int values_own(const struct manager *m, uint32_t number, struct assignment *out)
{
    uint32_t rows[VARIABLES_MAX], count = own_rows(m, number, rows);
    const struct agent_row *row = manager_agent(m, number);
    struct seal_secret to = secret_of_agent(&m->options.secrets, number, &row->id);
    struct buffer list = buffer_on(out->variables, sizeof out->variables);
    struct wire_writer w = wire_writer_on(&list);
    variables_begin(&w, count);
    for (uint32_t i = 0; i < count; i++)
        put(m, &w, m->variables[rows[i]].name, 0, rows[i], &to);
    explicit_bzero(&to, sizeof to);
    int rv = wire_end(&w);
    out->variables_len = rv == 0 && count > 0 ? (uint32_t)list.len : 0;
    secret_cohort_seal(&m->options.secrets, &out->cohort, number, &row->id, out->cohort_secret);
    return rv;
}

int64_t values_find_own(const struct manager *m, uint32_t number, const char *name)
{
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *v = &m->variables[i];
        if (v->scope == SCOPE_AGENT && v->of == number && strcmp(v->name, name) == 0)
            return i;
    }
    return -1;
}

const char *manager_missing(const struct manager *m, uint32_t number, uint32_t deployment)
{
    const struct cohort *c = &m->cohorts[manager_agent(m, number)->cohort];
    struct place p = {.deployment = deployment, .labels = &c->labels, .without = -1};
    struct wanting w = wanting_of(m, &m->deployments[deployment]);
    struct want want;
    while (next_want(&w, &want)) {
        bool lacks = (want.stable && values_resolve(m, &p, want.name, w.stable_values) < 0) ||
                     (want.next && values_resolve(m, &p, want.name, w.next_values) < 0);
        if (lacks && values_find_own(m, number, want.name) < 0)
            return want.name;
    }
    return NULL;
}
