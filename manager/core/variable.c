#include "manager/core/state.h"

#include <assert.h>

/* A list that says only that a value is missing; a document keeps room for one in each record. */
#define STUB_LEN 40
#define STUBS_LEN ((size_t)RECORDS_MAX * STUB_LEN)

/* What a cohort's record asks for: the needs of both versions, merged. */
struct wanting {
    const struct needs *stable, *next; /* NULL: there is none */
    uint32_t at_stable, at_next;
};

static bool is_given(const struct turn *t, const char *name);
static const struct need *find_need(const struct needs *needs, const char *name);
static bool next_want(struct wanting *w, const char **name, uint32_t *uses);
static bool is_for(const struct manager *m, uint32_t index, const char *name, uint32_t deployment,
                   const struct labels *labels);

/* ---- which value counts ---- */

static uint64_t rank(const struct variable_row *v)
{
    return (uint64_t)v->scope << 32 | v->order;
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

/* The row whose value a cohort gets, or -1. `without` is passed over: as if it were not there. */
static int64_t resolve(const struct manager *m, const char *name, uint32_t deployment,
                       const struct labels *labels, int64_t without)
{
    int64_t best = -1;
    for (uint32_t i = 0; i < m->variable_count; i++)
        if (i != without && is_for(m, i, name, deployment, labels) &&
            (best < 0 || rank(&m->variables[i]) > rank(&m->variables[best])))
            best = i;
    return best;
}

/* The agent's own row of that name, or -1. */
static int64_t find_own(const struct manager *m, uint32_t number, const char *name)
{
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *v = &m->variables[i];
        if (v->scope == SCOPE_AGENT && v->of == number && strcmp(v->name, name) == 0)
            return i;
    }
    return -1;
}

/* How many of a cohort's agents have a value of their own. */
static uint32_t count_own(const struct manager *m, uint32_t cohort, const char *name,
                          int64_t without)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *v = &m->variables[i];
        if (v->scope != SCOPE_AGENT || i == without || strcmp(v->name, name) != 0)
            continue;
        const struct agent_row *row = manager_agent(m, v->of);
        count += agent_in_fleet(row) && row->cohort == cohort;
    }
    return count;
}

static bool has_all(const struct manager *m, uint32_t cohort, const char *name, uint32_t deployment,
                    int64_t without)
{
    const struct cohort *c = &m->cohorts[cohort];
    return resolve(m, name, deployment, &c->labels, without) >= 0 ||
           count_own(m, cohort, name, without) >= c->agents;
}

/* ---- documents and assignments ---- */

static struct span value_of(const struct manager *m, uint32_t index)
{
    return span_of(m->variable_texts[index].value, m->variables[index].len);
}

/* One variable of a list; `to` is whom a secret is sealed to. */
static void put(const struct manager *m, struct wire_writer *w, const char *name, uint32_t uses,
                int64_t index, const struct seal_secret *to)
{
    uint8_t memory[VARIABLE_VALUE_MAX + VARIABLE_SEALED_MORE];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    struct variable v = {.name = span_text(name), .uses = uses, .given = index >= 0};
    if (v.given)
        v.value = value_of(m, (uint32_t)index);
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
    struct wanting w = {.stable = &m->bundles[d->history[0].bundle].needs};
    if (!deployment_rolls(d))
        return w;
    w.next = w.stable;
    w.stable = d->rollout.stable ? &m->bundles[d->rollout.stable_bundle].needs : NULL;
    return w;
}

/* Both lists rise. */
static bool next_want(struct wanting *w, const char **name, uint32_t *uses)
{
    const struct need *a =
        w->stable && w->at_stable < w->stable->count ? &w->stable->list[w->at_stable] : NULL;
    const struct need *b =
        w->next && w->at_next < w->next->count ? &w->next->list[w->at_next] : NULL;
    int order = a && b ? strcmp(a->name, b->name) : a ? -1 : 1;
    *uses = 0;
    if (!a && !b)
        return false;
    *name = order <= 0 ? a->name : b->name;
    if (order <= 0) {
        *uses |= VARIABLE_STABLE | (a->in_template ? VARIABLE_TEMPLATE : 0);
        w->at_stable++;
    }
    if (order >= 0) {
        *uses |= VARIABLE_NEXT | (b->in_template ? VARIABLE_NEXT_TEMPLATE : 0);
        w->at_next++;
    }
    return true;
}

static int write_list(const struct manager *m, const struct cohort *c, uint32_t deployment,
                      bool valued, struct buffer *out)
{
    struct wanting w = wanting_of(m, &m->deployments[deployment]), counted = w;
    struct seal_secret to = secret_of_cohort(&m->options.secrets, &c->key);
    struct wire_writer writer = wire_writer_on(out);
    const char *name;
    uint32_t uses, count = 0;
    while (next_want(&counted, &name, &uses))
        count++;
    assert(count > 0);
    variables_begin(&writer, valued ? count : 1);
    for (uint32_t i = 0; next_want(&w, &name, &uses) && (valued || i == 0); i++)
        put(m, &writer, valued ? name : VARIABLE_NO_ROOM,
            valued ? uses : VARIABLE_STABLE | VARIABLE_NEXT,
            valued ? resolve(m, name, deployment, &c->labels, -1) : -1, &to);
    explicit_bzero(&to, sizeof to);
    return wire_end(&writer);
}

/* Where the document has no room, the record says that a value is missing, so that nothing begins.
 */
void variable_fill(const struct manager *m, const struct cohort *c, uint32_t deployment,
                   struct record *r, struct desired *out)
{
    struct wanting w = wanting_of(m, &m->deployments[deployment]);
    const char *name;
    uint32_t uses;
    r->variables_at = out->variables_len;
    r->variables_len = 0;
    if (!next_want(&w, &name, &uses))
        return;
    size_t room = sizeof out->variables - out->variables_len;
    struct buffer list =
        buffer_on(out->variables + out->variables_len, room > STUBS_LEN ? room - STUBS_LEN : 0);
    if (write_list(m, c, deployment, true, &list) < 0) {
        list.cap = room;
        int rv = write_list(m, c, deployment, false, &list);
        assert(rv == 0);
        (void)rv;
    }
    r->variables_len = (uint32_t)list.len;
    out->variables_len += r->variables_len;
}

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

int variable_own(const struct manager *m, uint32_t number, struct assignment *out)
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

/* ---- what is missing ---- */

const char *manager_missing(const struct manager *m, uint32_t number, uint32_t deployment)
{
    const struct agent_row *row = manager_agent(m, number);
    struct wanting w = wanting_of(m, &m->deployments[deployment]);
    const char *name;
    uint32_t uses;
    while (next_want(&w, &name, &uses))
        if (resolve(m, name, deployment, &m->cohorts[row->cohort].labels, -1) < 0 &&
            find_own(m, number, name) < 0)
            return name;
    return NULL;
}

static int refuse_missing(struct turn *t, const char *deployment, uint32_t bundle,
                          const struct cohort *c, const char *name)
{
    const struct bundle_row *b = &t->m->bundles[bundle];
    return REFUSE(t, ERR_REFUSED,
                  "%s: agents with labels \"%.120s\" have no value for variable %s, which %s@%s "
                  "needs: dunlin variable set %s=VALUE",
                  deployment, c->labels.text, name, b->name, b->version, name);
}

/* A secret of a selector, or of one agent, is none for the others. */
static bool is_secret(const struct manager *m, uint32_t cohort, const char *name,
                      uint32_t deployment)
{
    int64_t index = resolve(m, name, deployment, &m->cohorts[cohort].labels, -1);
    if (index >= 0 && m->variables[index].secret)
        return true;
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *v = &m->variables[i];
        if (v->scope == SCOPE_AGENT && v->secret && strcmp(v->name, name) == 0 &&
            manager_agent(m, v->of)->cohort == cohort)
            return true;
    }
    return false;
}

static int check_cohort(struct turn *t, const char *deployment, uint32_t index, uint32_t bundle,
                        uint32_t cohort)
{
    const struct needs *needs = &t->m->bundles[bundle].needs;
    for (uint32_t i = 0; i < needs->count; i++) {
        const struct need *n = &needs->list[i];
        if (!is_given(t, n->name) && !has_all(t->m, cohort, n->name, index, -1))
            return refuse_missing(t, deployment, bundle, &t->m->cohorts[cohort], n->name);
        if (n->in_template && is_secret(t->m, cohort, n->name, index))
            return REFUSE(t, ERR_REFUSED,
                          "%s: variable %s is a secret, and a template of %s@%s names it: what is "
                          "in a file can be read",
                          deployment, n->name, t->m->bundles[bundle].name,
                          t->m->bundles[bundle].version);
    }
    return 0;
}

/* Of those that are named one by one, each has to have all. */
static int check_named(struct turn *t, const char *deployment, uint32_t index, uint32_t bundle,
                       const struct roster *roster)
{
    const struct bundle_row *b = &t->m->bundles[bundle];
    for (uint32_t i = 0; i < roster->named_count; i++) {
        const struct agent_row *row = manager_agent(t->m, roster->named[i]);
        const struct labels *labels = &t->m->cohorts[row->cohort].labels;
        for (uint32_t n = 0; n < b->needs.count && agent_in_fleet(row); n++) {
            const char *name = b->needs.list[n].name;
            if (!is_given(t, name) && resolve(t->m, name, index, labels, -1) < 0 &&
                find_own(t->m, roster->named[i], name) < 0)
                return REFUSE(
                    t, ERR_REFUSED,
                    "%s: agent %u has no value for variable %s, which %s@%s needs: dunlin "
                    "variable set %s=VALUE --agent %u",
                    deployment, roster->named[i], name, b->name, b->version, name,
                    roster->named[i]);
        }
    }
    return 0;
}

/* What lies in a file can be read: no template names what is secret for anybody. */
static int check_templates(struct turn *t, const char *deployment, uint32_t bundle)
{
    const struct bundle_row *b = &t->m->bundles[bundle];
    for (uint32_t i = 0; i < t->m->variable_count; i++) {
        const struct variable_row *v = &t->m->variables[i];
        const struct need *n =
            v->scope != SCOPE_NONE && v->secret ? find_need(&b->needs, v->name) : NULL;
        if (n && n->in_template)
            return REFUSE(t, ERR_REFUSED,
                          "%s: variable %s is secret, and a template of %s@%s names it: what is "
                          "in a file can be read",
                          deployment, n->name, b->name, b->version);
    }
    return 0;
}

static const struct roster *roster_of(const struct turn *t, int64_t index)
{
    const struct command *c = t->ev->command;
    const struct roster *r = c->type == COMMAND_DEPLOY ? c->deploy.roster
                             : index >= 0              ? &t->m->deployments[index].roster
                                                       : NULL;
    return r && roster_finds(r) ? r : NULL;
}

int variable_check(struct turn *t, const char *deployment, int64_t index, const char *text,
                   uint32_t bundle)
{
    struct manager *m = t->m;
    uint32_t place = index < 0 ? m->deployment_count : (uint32_t)index;
    if (m->bundles[bundle].needs.count == 0)
        return 0;
    if (check_templates(t, deployment, bundle) < 0)
        return t->out->rv;
    const struct roster *roster = roster_of(t, index);
    struct selector selector = group_selector(m, text);
    if (roster && check_named(t, deployment, place, bundle, roster) < 0)
        return t->out->rv;
    if (roster && (roster->facts[0] || roster_is_alone(roster, &selector)))
        return 0;
    int rv = 0;
    for (uint32_t i = 0; rv == 0 && i < m->cohort_count; i++)
        if (m->cohorts[i].agents > 0 && selector_matches(&selector, &m->cohorts[i].labels))
            rv = check_cohort(t, deployment, place, bundle, i);
    return rv;
}

/* ---- commands ---- */

static const struct need *find_need(const struct needs *needs, const char *name)
{
    for (uint32_t i = 0; needs && i < needs->count; i++)
        if (strcmp(needs->list[i].name, name) == 0)
            return &needs->list[i];
    return NULL;
}

/* What a deployment needs of that name now or soon, in either version; NULL: nothing. */
static const struct need *needed_by(const struct manager *m, uint32_t index, const char *name,
                                    uint32_t *bundle)
{
    const struct deployment_row *d = &m->deployments[index];
    const struct rollout *r = &d->rollout;
    const uint32_t bundles[] = {d->history[0].bundle,
                                deployment_rolls(d) && r->stable ? r->stable_bundle
                                                                 : d->history[0].bundle,
                                r->queued ? r->queued - 1 : d->history[0].bundle};
    const struct need *found = NULL;
    for (size_t i = 0; i < sizeof bundles / sizeof bundles[0] && !d->removed; i++) {
        const struct need *n = find_need(&m->bundles[bundles[i]].needs, name);
        if (n && (!found || n->in_template)) {
            found = n;
            *bundle = bundles[i];
        }
    }
    return found;
}

/* The row that the command is about, or -1; `of` is the agent's number, or the deployment's. */
static int64_t find_row(const struct manager *m, const struct command *c, uint32_t of)
{
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *v = &m->variables[i];
        bool same = v->scope == c->variable.scope && strcmp(v->name, c->variable.name) == 0;
        bool selector = v->scope == SCOPE_SELECTOR;
        if (same && (selector ? strcmp(m->variable_texts[i].selector, c->variable.where) == 0
                              : v->of == of))
            return i;
    }
    return -1;
}

/* Agent's or deployment's number, 0 for the other scopes, or a code with the reply set. */
static int64_t find_owner(struct turn *t)
{
    const struct command *c = t->ev->command;
    struct selector selector;
    if (c->variable.scope == SCOPE_AGENT) {
        uint32_t number = manager_find_any_agent(t->m, &c->variable.agent);
        return number ? (int64_t)number : REFUSE(t, ERR_NOT_FOUND, "there is no such agent");
    }
    if (c->variable.scope == SCOPE_SELECTOR) {
        int rv = manager_selector(t->m, c->variable.where, &selector, &t->out->error);
        return rv < 0 ? fail_with(t, rv) : 0;
    }
    return 0;
}

static int check_set(struct turn *t)
{
    const struct command *c = t->ev->command;
    uint32_t bundle;
    if (!variable_name_valid(span_text(c->variable.name)))
        return REFUSE(t, ERR_USAGE,
                      "%.60s: a variable's name has lower-case letters, digits and '_', %d at "
                      "most, a letter first",
                      c->variable.name, VARIABLE_NAME_MAX);
    if (strcmp(c->variable.name, VARIABLE_NO_ROOM) == 0)
        return REFUSE(t, ERR_USAGE, "%s: this name says that a document is full, and nothing else",
                      VARIABLE_NO_ROOM);
    if (!variable_value_valid(c->variable.value))
        return REFUSE(t, ERR_USAGE, "%s: a value has at most %d bytes, and none that is zero",
                      c->variable.name, VARIABLE_VALUE_MAX);
    for (uint32_t i = 0; c->variable.secret && i < t->m->deployment_count; i++) {
        const struct need *n = needed_by(t->m, i, c->variable.name, &bundle);
        if (n && n->in_template)
            return REFUSE(t, ERR_REFUSED,
                          "%s: a template of %s@%s names it, and what is in a file can be read: "
                          "set it without --secret, or change the bundle",
                          c->variable.name, t->m->bundles[bundle].name,
                          t->m->bundles[bundle].version);
    }
    return 0;
}

/* Whose documents say something else now. Deployments are few, cohorts may be many. */
static void tell(struct turn *t, uint32_t index)
{
    struct manager *m = t->m;
    const struct variable_row *v = &m->variables[index];
    uint32_t bundle;
    bool needed = false;
    if (v->scope == SCOPE_AGENT) {
        const struct agent_row *row = manager_agent(m, v->of);
        if (agent_in_fleet(row))
            fleet_assign(t, v->of);
        return;
    }
    for (uint32_t i = 0; i < m->deployment_count && !needed; i++)
        needed = needed_by(m, i, v->name, &bundle) != NULL;
    if (!needed)
        return;
    if (v->scope == SCOPE_DEPLOYMENT)
        cohort_mark_deployment(m, &m->deployments[v->of - 1]);
    else
        cohort_mark_matching(m,
                             v->scope == SCOPE_SELECTOR ? m->variable_texts[index].selector : "");
}

static int64_t free_row(struct turn *t)
{
    struct manager *m = t->m;
    for (uint32_t i = 0; i < m->variable_count; i++)
        if (m->variables[i].scope == SCOPE_NONE)
            return i;
    if (m->variable_count == m->options.limits.variables)
        return REFUSE(t, ERR_RANGE, "there are %u variables, the most that are kept",
                      m->variable_count);
    return m->variable_count++;
}

/* Rows that a deployment can take: free ones, and its own. */
static uint32_t rows_left(const struct manager *m, const char *deployment)
{
    int64_t index = manager_find_deployment(m, deployment);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *v = &m->variables[i];
        bool own = v->scope == SCOPE_DEPLOYMENT && index + 1 == v->of;
        taken += v->scope != SCOPE_NONE && !own;
    }
    return m->options.limits.variables - taken;
}

static bool is_same(const struct manager *m, int64_t index, const struct command *c)
{
    return index >= 0 && m->variables[index].secret == c->variable.secret &&
           span_equal(value_of(m, (uint32_t)index), c->variable.value);
}

static void put_row(struct turn *t, const struct command *c, uint32_t index, uint32_t of)
{
    struct manager *m = t->m;
    struct variable_text *text = &m->variable_texts[index];
    m->variables[index] = (struct variable_row){.scope = (uint8_t)c->variable.scope,
                                                .secret = c->variable.secret,
                                                .len = (uint16_t)c->variable.value.len,
                                                .of = of,
                                                .order = ++m->variable_order,
                                                .since_s = t->ev->now_s};
    memcpy(m->variables[index].name, c->variable.name, strlen(c->variable.name));
    explicit_bzero(text, sizeof *text);
    if (c->variable.scope == SCOPE_SELECTOR)
        memcpy(text->selector, c->variable.where, strlen(c->variable.where));
    if (c->variable.value.len > 0)
        memcpy(text->value, c->variable.value.data, c->variable.value.len);
}

/* What an agent alone has must fit into its assignment. */
static bool fits(const struct manager *m, uint32_t number)
{
    struct assignment a = {.removed = false};
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->variable_count; i++)
        count += m->variables[i].scope == SCOPE_AGENT && m->variables[i].of == number;
    return count <= VARIABLES_MAX && variable_own(m, number, &a) == 0;
}

/* Where that makes more than fits, it is as before. */
static int put_fitting(struct turn *t, uint32_t index, uint32_t of)
{
    struct manager *m = t->m;
    struct variable_row row = m->variables[index];
    struct variable_text text = m->variable_texts[index];
    bool fit = true;
    put_row(t, t->ev->command, index, of);
    if (t->ev->command->variable.scope == SCOPE_AGENT && !fits(m, of)) {
        m->variables[index] = row;
        m->variable_texts[index] = text;
        fit = false;
    }
    explicit_bzero(&text, sizeof text);
    return fit ? 0
               : REFUSE(t, ERR_RANGE, "agent %u has as many variables of its own as it takes", of);
}

void variable_set(struct turn *t)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    if (check_set(t) < 0)
        return;
    int64_t of = find_owner(t);
    int64_t index = of < 0 ? of : find_row(m, c, (uint32_t)of);
    if (of < 0)
        return;
    if (is_same(m, index, c)) {
        t->out->index = (uint32_t)index;
        t->out->rv = 1;
        return;
    }
    if (index < 0)
        index = free_row(t);
    if (index < 0 || put_fitting(t, (uint32_t)index, (uint32_t)of) < 0)
        return;
    t->out->index = (uint32_t)index;
    persist(t, PERSIST_VARIABLE, t->out->index);
    tell(t, t->out->index);
}

/* Whoever has a value now has one without this row, too. */
static int check_unset(struct turn *t, uint32_t index)
{
    struct manager *m = t->m;
    const char *name = m->variables[index].name;
    for (uint32_t i = 0; i < m->deployment_count; i++) {
        uint32_t bundle;
        const struct deployment_row *d = &m->deployments[i];
        if (!needed_by(m, i, name, &bundle))
            continue;
        for (uint32_t c = 0; c < m->cohort_count; c++)
            if (m->cohorts[c].agents > 0 && cohort_is_placed(m, i, c) &&
                has_all(m, c, name, i, -1) && !has_all(m, c, name, i, index))
                return refuse_missing(t, d->name, bundle, &m->cohorts[c], name);
    }
    return 0;
}

static void drop_row(struct turn *t, uint32_t index)
{
    struct manager *m = t->m;
    m->variables[index].scope = SCOPE_NONE;
    explicit_bzero(&m->variable_texts[index], sizeof m->variable_texts[index]);
    persist(t, PERSIST_VARIABLE, index);
}

void variable_unset(struct turn *t)
{
    const struct command *c = t->ev->command;
    int64_t of = find_owner(t);
    int64_t index = of < 0 ? of : find_row(t->m, c, (uint32_t)of);
    if (of < 0)
        return;
    if (index < 0) {
        REFUSE(t, ERR_NOT_FOUND, "%.60s is not set there: see `dunlin variable list`",
               c->variable.name);
        return;
    }
    t->out->index = (uint32_t)index;
    if (check_unset(t, t->out->index) < 0)
        return;
    tell(t, t->out->index);
    drop_row(t, t->out->index);
}

/* ---- those of a deployment's file ---- */

/* What the command in hand sets counts as if it were set. */
static bool is_given(const struct turn *t, const char *name)
{
    const struct command *c = t->ev->command;
    for (uint32_t i = 0; c->type == COMMAND_DEPLOY && i < c->deploy.setting_count; i++)
        if (strcmp(c->deploy.settings[i].name, name) == 0)
            return true;
    return false;
}

int variable_check_settings(struct turn *t)
{
    const struct command *c = t->ev->command;
    if (c->deploy.setting_count > VARIABLES_NEEDED_MAX)
        return REFUSE(t, ERR_RANGE, "%s: a deployment sets at most %d variables", c->deploy.name,
                      VARIABLES_NEEDED_MAX);
    for (uint32_t i = 0; i < c->deploy.setting_count; i++) {
        const struct setting *s = &c->deploy.settings[i];
        if (!variable_name_valid(span_text(s->name)) || !variable_value_valid(span_text(s->value)))
            return REFUSE(t, ERR_USAGE,
                          "variables: %.60s: a name has lower-case letters, digits and '_', %d at "
                          "most, and a value at most %d bytes",
                          s->name, VARIABLE_NAME_MAX, VARIABLE_VALUE_MAX);
    }
    if (c->deploy.setting_count > rows_left(t->m, c->deploy.name))
        return REFUSE(t, ERR_RANGE, "%s: there are %u variables, the most that are kept",
                      c->deploy.name, t->m->options.limits.variables);
    return 0;
}

/* The value that a deployment's file has for a name, or NULL. */
static const char *setting_of(const struct command *c, const char *name)
{
    for (uint32_t i = 0; i < c->deploy.setting_count; i++)
        if (strcmp(c->deploy.settings[i].name, name) == 0)
            return c->deploy.settings[i].value;
    return NULL;
}

bool variable_differs(const struct manager *m, uint32_t deployment, const struct command *c)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < m->variable_count && c->deploy.settings; i++) {
        if (m->variables[i].scope != SCOPE_DEPLOYMENT || m->variables[i].of != deployment + 1)
            continue;
        const char *value = setting_of(c, m->variables[i].name);
        if (!value || !span_equal(span_text(value), value_of(m, i)))
            return true;
        same++;
    }
    return c->deploy.settings && same != c->deploy.setting_count;
}

/* Rows that the deployment has, by rising index; at most VARIABLES_NEEDED_MAX. */
static uint32_t rows_of(const struct manager *m, uint32_t deployment,
                        uint32_t out[static VARIABLES_NEEDED_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->variable_count && count < VARIABLES_NEEDED_MAX; i++)
        if (m->variables[i].scope == SCOPE_DEPLOYMENT && m->variables[i].of == deployment + 1)
            out[count++] = i;
    return count;
}

/* The rows that are there are written over, so that each is persisted once; those that are too many
 * go. There is room for more: variable_check_settings has looked. */
void variable_replace(struct turn *t, uint32_t deployment)
{
    const struct command *c = t->ev->command;
    uint32_t rows[VARIABLES_NEEDED_MAX];
    uint32_t had = rows_of(t->m, deployment, rows);
    for (uint32_t i = 0; i < c->deploy.setting_count; i++) {
        const struct setting *s = &c->deploy.settings[i];
        const struct command one = {
            .type = COMMAND_VARIABLE_SET,
            .variable = {.name = s->name, .value = span_text(s->value), .scope = SCOPE_DEPLOYMENT}};
        int64_t row = i < had ? rows[i] : free_row(t);
        assert(row >= 0);
        put_row(t, &one, (uint32_t)row, deployment + 1);
        persist(t, PERSIST_VARIABLE, (uint32_t)row);
    }
    for (uint32_t i = c->deploy.setting_count; i < had; i++)
        drop_row(t, rows[i]);
}

void variable_forget(struct turn *t, uint32_t deployment)
{
    uint32_t rows[VARIABLES_NEEDED_MAX];
    uint32_t count = rows_of(t->m, deployment, rows);
    for (uint32_t i = 0; i < count; i++)
        drop_row(t, rows[i]);
}

int manager_load_variable(struct manager *m, const struct variable_row *row,
                          const struct variable_text *text)
{
    struct selector selector;
    if (m->variable_count == m->options.limits.variables)
        return ERR_RANGE;
    bool owned = row->scope == SCOPE_AGENT || row->scope == SCOPE_DEPLOYMENT;
    uint32_t owners = row->scope == SCOPE_AGENT ? m->agent_count : m->deployment_count;
    bool bad = row->scope >= SCOPE_COUNT || row->len > VARIABLE_VALUE_MAX ||
               (row->scope != SCOPE_NONE && !variable_name_valid(span_text(row->name))) ||
               (owned && (row->of == 0 || row->of > owners)) ||
               selector_parse(&selector, span_text(text->selector), NULL) < 0;
    if (bad)
        return ERR_DAMAGED;
    m->variables[m->variable_count] = *row;
    m->variable_texts[m->variable_count++] = *text;
    if (row->order > m->variable_order)
        m->variable_order = row->order;
    return 0;
}

uint32_t manager_variable_count(const struct manager *m)
{
    return m->variable_count;
}

const struct variable_row *manager_variable(const struct manager *m, uint32_t index,
                                            const struct variable_text **text)
{
    assert(index < m->variable_count);
    *text = &m->variable_texts[index];
    return &m->variables[index];
}
