#include "manager/core/state.h"

#include <assert.h>

/* Rows that one command changes: each name's row goes out of use, and another one comes into it. */
#define CHANGED_MAX (2 * VARIABLES_NEEDED_MAX)
_Static_assert(VARIABLES_SET_MAX <= VARIABLES_NEEDED_MAX &&
                   CHANGED_MAX + MANAGER_COHORTS_PER_STEP + 1 < MANAGER_PERSIST_MAX,
               "what one command changes is persisted in one step");

/* A row as it was. */
struct kept_row {
    struct variable_row row;
    struct variable_text text;
};

/* What a command has changed so far. */
struct changes {
    uint32_t count;
    uint32_t rows[CHANGED_MAX];
    uint32_t had_rows, had_order; /* before, for all to be undone */
    struct kept_row *before;      /* by place in `rows`; NULL: nothing is undone */
};

static bool is_given(const struct turn *t, const char *name);

static int64_t resolve(const struct manager *m, const char *name, uint32_t deployment,
                       const struct labels *labels, uint32_t at)
{
    struct place p = {.deployment = deployment, .labels = labels, .without = -1};
    return values_resolve(m, &p, name, at);
}

static bool is_todays(const struct variable_row *v)
{
    return v->scope != SCOPE_NONE && v->until == 0;
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
                    uint32_t at, int64_t without)
{
    const struct cohort *c = &m->cohorts[cohort];
    struct place p = {.deployment = deployment, .labels = &c->labels, .without = without};
    return values_resolve(m, &p, name, at) >= 0 || count_own(m, cohort, name, without) >= c->agents;
}

/* ---- what is missing ---- */

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
                      uint32_t deployment, uint32_t at)
{
    int64_t index = resolve(m, name, deployment, &m->cohorts[cohort].labels, at);
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

static int check_cohort(struct turn *t, const char *deployment, uint32_t index,
                        const struct version *v, uint32_t cohort)
{
    uint32_t bundle = v->bundle;
    const struct needs *needs = &t->m->bundles[bundle].needs;
    for (uint32_t i = 0; i < needs->count; i++) {
        const struct need *n = &needs->list[i];
        if (!is_given(t, n->name) && !has_all(t->m, cohort, n->name, index, v->values_at, -1))
            return refuse_missing(t, deployment, bundle, &t->m->cohorts[cohort], n->name);
        if (n->in_template && is_secret(t->m, cohort, n->name, index, v->values_at))
            return REFUSE(t, ERR_REFUSED,
                          "%s: variable %s is a secret, and a template of %s@%s names it: what is "
                          "in a file can be read",
                          deployment, n->name, t->m->bundles[bundle].name,
                          t->m->bundles[bundle].version);
    }
    return 0;
}

/* Of those that are named one by one, each has to have all. */
static int check_named(struct turn *t, const char *deployment, uint32_t index,
                       const struct version *v, const struct roster *roster)
{
    const struct bundle_row *b = &t->m->bundles[v->bundle];
    for (uint32_t i = 0; i < roster->named_count; i++) {
        const struct agent_row *row = manager_agent(t->m, roster->named[i]);
        const struct labels *labels = &t->m->cohorts[row->cohort].labels;
        for (uint32_t n = 0; n < b->needs.count && agent_in_fleet(row); n++) {
            const char *name = b->needs.list[n].name;
            if (!is_given(t, name) && resolve(t->m, name, index, labels, v->values_at) < 0 &&
                values_find_own(t->m, roster->named[i], name) < 0)
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
static int check_templates(struct turn *t, const char *deployment, const struct version *of)
{
    const struct bundle_row *b = &t->m->bundles[of->bundle];
    for (uint32_t i = 0; i < t->m->variable_count; i++) {
        const struct variable_row *v = &t->m->variables[i];
        bool counts = v->scope != SCOPE_NONE && v->secret && values_show(v, of->values_at);
        const struct need *n = counts ? values_find_need(&b->needs, v->name) : NULL;
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
                   const struct version *v)
{
    struct manager *m = t->m;
    uint32_t place = index < 0 ? m->deployment_count : (uint32_t)index;
    if (m->bundles[v->bundle].needs.count == 0)
        return 0;
    if (check_templates(t, deployment, v) < 0)
        return t->out->rv;
    const struct roster *roster = roster_of(t, index);
    struct selector selector = group_selector(m, text);
    if (roster && check_named(t, deployment, place, v, roster) < 0)
        return t->out->rv;
    if (roster && (roster->facts[0] || roster_is_alone(roster, &selector)))
        return 0;
    int rv = 0;
    for (uint32_t i = 0; rv == 0 && i < m->cohort_count; i++)
        if (m->cohorts[i].agents > 0 && selector_matches(&selector, &m->cohorts[i].labels))
            rv = check_cohort(t, deployment, place, v, i);
    return rv;
}

/* ---- commands ---- */

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
        const struct need *n = values_find_need(&m->bundles[bundles[i]].needs, name);
        if (n && (!found || n->in_template)) {
            found = n;
            *bundle = bundles[i];
        }
    }
    return found;
}

/* The row with today's value of a name that the command is about, or -1; `of` is the agent's
 * number, or the deployment's. */
static int64_t find_row(const struct manager *m, const struct command *c, const char *name,
                        uint32_t of)
{
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *v = &m->variables[i];
        bool same = is_todays(v) && v->scope == c->variable.scope && strcmp(v->name, name) == 0;
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

static int check_setting(struct turn *t, const struct setting *s)
{
    uint32_t bundle;
    if (!variable_name_valid(span_text(s->name)))
        return REFUSE(t, ERR_USAGE,
                      "%.60s: a variable's name has lower-case letters, digits and '_', %d at "
                      "most, a letter first",
                      s->name, VARIABLE_NAME_MAX);
    if (strcmp(s->name, VARIABLE_NO_ROOM) == 0)
        return REFUSE(t, ERR_USAGE, "%s: this name says that a document is full, and nothing else",
                      VARIABLE_NO_ROOM);
    if (!variable_value_valid(span_text(s->value)))
        return REFUSE(t, ERR_USAGE, "%s: a value has at most %d bytes, and none that is zero",
                      s->name, VARIABLE_VALUE_MAX);
    for (uint32_t i = 0; t->ev->command->variable.secret && i < t->m->deployment_count; i++) {
        const struct need *n = needed_by(t->m, i, s->name, &bundle);
        if (n && n->in_template)
            return REFUSE(t, ERR_REFUSED,
                          "%s: a template of %s@%s names it, and what is in a file can be read: "
                          "set it without --secret, or change the bundle",
                          s->name, t->m->bundles[bundle].name, t->m->bundles[bundle].version);
    }
    return 0;
}

static int refuse_full(struct turn *t)
{
    return REFUSE(
        t, ERR_RANGE,
        "there are %u values of variables, the most that are kept, with those of versions "
        "that deployments can go back to",
        t->m->options.limits.variables);
}

static int check_count(struct turn *t)
{
    const struct command *c = t->ev->command;
    if (c->variable.count == 0 || c->variable.count > VARIABLES_SET_MAX)
        return REFUSE(t, ERR_USAGE, "%u variables: between 1 and %d are set at a time",
                      c->variable.count, VARIABLES_SET_MAX);
    for (uint32_t i = 0; i < c->variable.count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(c->variable.settings[i].name, c->variable.settings[k].name) == 0)
                return REFUSE(t, ERR_USAGE, "%.60s is named twice", c->variable.settings[i].name);
    return 0;
}

static bool is_same(const struct turn *t, int64_t index, const struct setting *s)
{
    const struct command *c = t->ev->command;
    if (index < 0 || !span_equal(values_of(t->m, (uint32_t)index), span_text(s->value)))
        return false;
    /* At once means also where it is on its way. */
    const struct variable_row *v = &t->m->variables[index];
    return v->secret == c->variable.secret && (!c->variable.at_once || v->from == 0);
}

/* ---- changing rows ---- */

static struct changes begin_changes(const struct manager *m, struct kept_row *before)
{
    return (struct changes){
        .had_rows = m->variable_count, .had_order = m->variable_order, .before = before};
}

static void touch(struct manager *m, struct changes *c, uint32_t index)
{
    assert(c->count < CHANGED_MAX);
    if (c->before)
        c->before[c->count] =
            (struct kept_row){.row = m->variables[index], .text = m->variable_texts[index]};
    c->rows[c->count++] = index;
}

static void undo(struct manager *m, struct changes *c)
{
    while (c->count > 0) {
        struct kept_row *was = &c->before[--c->count];
        explicit_bzero(&m->variable_texts[c->rows[c->count]], sizeof was->text);
        m->variables[c->rows[c->count]] = was->row;
        m->variable_texts[c->rows[c->count]] = was->text;
        explicit_bzero(was, sizeof *was);
    }
    m->variable_count = c->had_rows;
    m->variable_order = c->had_order;
}

static void keep(struct turn *t, struct changes *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        persist(t, PERSIST_VARIABLE, c->rows[i]);
        if (c->before)
            explicit_bzero(&c->before[i], sizeof c->before[i]);
    }
    moment_stir(t->m);
}

/* -1: there is none. */
static int64_t free_row(struct manager *m)
{
    for (uint32_t i = 0; i < m->variable_count; i++)
        if (m->variables[i].scope == SCOPE_NONE)
            return i;
    bool room = m->variable_count < m->options.limits.variables;
    return room ? (int64_t)m->variable_count++ : -1;
}

/* Its value is out of use: it goes, unless some version has it still. */
static void retire(struct manager *m, struct changes *c, uint32_t index)
{
    bool needed = moment_needs(m, index);
    touch(m, c, index);
    m->variables[index].until = m->variable_order;
    if (needed)
        return;
    m->variables[index].scope = SCOPE_NONE;
    explicit_bzero(&m->variable_texts[index], sizeof m->variable_texts[index]);
}

static void put_row(struct manager *m, const struct variable_row *like, const char *where,
                    const struct setting *s, uint32_t index)
{
    struct variable_text *text = &m->variable_texts[index];
    struct variable_row *row = &m->variables[index];
    *row = *like;
    row->len = (uint16_t)strlen(s->value);
    memset(row->name, 0, sizeof row->name);
    memcpy(row->name, s->name, strlen(s->name));
    explicit_bzero(text, sizeof *text);
    memcpy(text->selector, where, strlen(where));
    memcpy(text->value, s->value, row->len);
}

/* `index` is the row with the value before, or -1. Where some version has that one still, another
 * row has the new one. False: there is no room. */
static bool put_value(struct manager *m, struct changes *c, const struct variable_row *like,
                      const char *where, const struct setting *s, int64_t index)
{
    if (index >= 0 && like->from > 0 && moment_needs(m, (uint32_t)index)) {
        touch(m, c, (uint32_t)index);
        m->variables[index].until = m->variable_order;
        index = -1;
    }
    if (index < 0)
        index = free_row(m);
    if (index < 0)
        return false;
    touch(m, c, (uint32_t)index);
    put_row(m, like, where, s, (uint32_t)index);
    return true;
}

/* What an agent alone has must fit into its assignment. */
static bool fits(const struct manager *m, uint32_t number)
{
    struct assignment a = {.removed = false};
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->variable_count; i++)
        count += m->variables[i].scope == SCOPE_AGENT && m->variables[i].of == number;
    return count <= VARIABLES_MAX && values_own(m, number, &a) == 0;
}

/* An agent's own values go by no stages, and neither does what is set at once. */
bool variable_is_at_once(const struct command *c)
{
    return c->variable.scope == SCOPE_AGENT || c->variable.at_once;
}

static int set_all(struct turn *t, uint32_t of, struct changes *changes)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    uint32_t order = ++m->variable_order;
    const struct variable_row like = {.scope = (uint8_t)c->variable.scope,
                                      .secret = c->variable.secret,
                                      .of = of,
                                      .order = order,
                                      .from = variable_is_at_once(c) ? 0 : order,
                                      .since_s = t->ev->now_s};
    const char *where = c->variable.scope == SCOPE_SELECTOR ? c->variable.where : "";
    for (uint32_t i = 0; i < c->variable.count; i++) {
        const struct setting *s = &c->variable.settings[i];
        int64_t index = find_row(m, c, s->name, of);
        if (is_same(t, index, s)) {
            t->out->index = (uint32_t)index;
            continue;
        }
        if (!put_value(m, changes, &like, where, s, index))
            return refuse_full(t);
        t->out->index = changes->rows[changes->count - 1];
    }
    if (c->variable.scope == SCOPE_AGENT && !fits(m, of))
        return REFUSE(t, ERR_RANGE, "agent %u has as many variables of its own as it takes", of);
    return 0;
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
                has_all(m, c, name, i, VALUES_NEWEST, -1) &&
                !has_all(m, c, name, i, VALUES_NEWEST, index))
                return refuse_missing(t, d->name, bundle, &m->cohorts[c], name);
    }
    return 0;
}

static int unset_all(struct turn *t, uint32_t of, struct changes *changes)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    m->variable_order++;
    for (uint32_t i = 0; i < c->variable.count; i++) {
        const char *name = c->variable.settings[i].name;
        int64_t index = find_row(m, c, name, of);
        if (index < 0)
            return REFUSE(t, ERR_NOT_FOUND, "%.60s is not set there: see `dunlin variable list`",
                          name);
        if (check_unset(t, (uint32_t)index) < 0)
            return t->out->rv;
        t->out->index = (uint32_t)index;
        retire(m, changes, (uint32_t)index);
    }
    return 0;
}

/* Whose documents or assignment say something else at once. */
static void tell(struct turn *t, uint32_t of)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    if (c->variable.scope != SCOPE_AGENT)
        cohort_mark_matching(m, c->variable.scope == SCOPE_SELECTOR ? c->variable.where : "");
    else if (agent_in_fleet(manager_agent(m, of)))
        fleet_assign(t, of);
}

/* Some deployment lets nothing new in while a rollout of it is on its way. */
static int check_overlap(struct turn *t)
{
    const struct command *c = t->ev->command;
    for (uint32_t i = 0; i < t->m->deployment_count && !variable_is_at_once(c); i++) {
        const struct deployment_row *d = &t->m->deployments[i];
        if (!d->removed && moment_is_refused(t->m, i))
            return REFUSE(t, ERR_BUSY,
                          "the rollout of %s is in stage %s, and it takes no others: wait for its "
                          "end, or `dunlin rollout abort %s`, or say --at-once",
                          d->name, d->plan.stages[d->rollout.stage].name, d->name);
    }
    return 0;
}

static int check_change(struct turn *t)
{
    const struct command *c = t->ev->command;
    if (check_count(t) < 0)
        return t->out->rv;
    for (uint32_t i = 0; c->type == COMMAND_VARIABLE_SET && i < c->variable.count; i++)
        if (check_setting(t, &c->variable.settings[i]) < 0)
            return t->out->rv;
    return 0;
}

/* All of it, or nothing: then the reply is set. */
static int change(struct turn *t, uint32_t of, struct changes *changes)
{
    bool sets = t->ev->command->type == COMMAND_VARIABLE_SET;
    int rv = sets ? set_all(t, of, changes) : unset_all(t, of, changes);
    if (rv == 0)
        rv = check_overlap(t);
    if (rv < 0 || changes->count == 0)
        undo(t->m, changes);
    return rv;
}

void variable_apply(struct turn *t, variable_look *look, void *context)
{
    const struct command *c = t->ev->command;
    if (check_change(t) < 0)
        return;
    int64_t of = find_owner(t);
    if (of < 0)
        return;
    size_t rows = (size_t)2 * c->variable.count;
    struct kept_row *before = arena_alloc(t->scratch, rows * sizeof *before);
    assert(before);
    struct changes changes = begin_changes(t->m, before);
    if (change(t, (uint32_t)of, &changes) < 0)
        return;
    t->out->rv = changes.count == 0;
    if (look)
        look(t, context);
    if (c->variable.dry_run || (t->out->rv == 0 && extent_check_values(t) < 0)) {
        undo(t->m, &changes);
        arena_reset(t->scratch);
        return;
    }
    keep(t, &changes);
    arena_reset(t->scratch);
    if (t->out->rv == 0 && variable_is_at_once(c))
        tell(t, (uint32_t)of);
}

void variable_run(struct turn *t)
{
    variable_apply(t, NULL, NULL);
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

/* The value that a deployment's file has for a name, or NULL. */
static const char *setting_of(const struct command *c, const char *name)
{
    for (uint32_t i = 0; i < c->deploy.setting_count; i++)
        if (strcmp(c->deploy.settings[i].name, name) == 0)
            return c->deploy.settings[i].value;
    return NULL;
}

static bool is_of(const struct variable_row *v, uint32_t deployment)
{
    return is_todays(v) && v->scope == SCOPE_DEPLOYMENT && v->of == deployment + 1;
}

/* The deployment's row of that name, or -1. */
static int64_t find_set(const struct manager *m, uint32_t deployment, const char *name)
{
    for (uint32_t i = 0; i < m->variable_count; i++)
        if (is_of(&m->variables[i], deployment) && strcmp(m->variables[i].name, name) == 0)
            return i;
    return -1;
}

static bool is_set_to(const struct manager *m, int64_t index, const struct setting *s)
{
    return index >= 0 && span_equal(values_of(m, (uint32_t)index), span_text(s->value));
}

/* Free rows that the file's settings take, beyond those that they set free. */
static int64_t rows_taken(const struct turn *t, int64_t deployment)
{
    const struct manager *m = t->m;
    const struct command *c = t->ev->command;
    int64_t taken = 0;
    for (uint32_t i = 0; i < c->deploy.setting_count; i++) {
        const struct setting *s = &c->deploy.settings[i];
        int64_t index = deployment < 0 ? -1 : find_set(m, (uint32_t)deployment, s->name);
        bool has = index >= 0 && (is_set_to(m, index, s) || !moment_needs(m, (uint32_t)index));
        taken += !has;
    }
    for (uint32_t i = 0; i < m->variable_count && deployment >= 0 && taken > 0; i++)
        taken -= is_of(&m->variables[i], (uint32_t)deployment) &&
                 !setting_of(c, m->variables[i].name) && !moment_needs(m, i);
    return taken;
}

static uint32_t free_rows(const struct manager *m)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < m->variable_count; i++)
        taken += m->variables[i].scope != SCOPE_NONE;
    return m->options.limits.variables - taken;
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
    int64_t taken = rows_taken(t, manager_find_deployment(t->m, c->deploy.name));
    return taken > (int64_t)free_rows(t->m) ? refuse_full(t) : 0;
}

bool variable_differs(const struct manager *m, uint32_t deployment, const struct command *c)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < m->variable_count && c->deploy.settings; i++) {
        if (!is_of(&m->variables[i], deployment))
            continue;
        const char *value = setting_of(c, m->variables[i].name);
        if (!value || !span_equal(span_text(value), values_of(m, i)))
            return true;
        same++;
    }
    return c->deploy.settings && same != c->deploy.setting_count;
}

/* There is room: variable_check_settings has looked. */
void variable_replace(struct turn *t, uint32_t deployment)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    struct changes changes = begin_changes(m, NULL);
    uint32_t order = ++m->variable_order;
    const struct variable_row like = {.scope = SCOPE_DEPLOYMENT,
                                      .of = deployment + 1,
                                      .order = order,
                                      .from = order,
                                      .since_s = t->ev->now_s};
    for (uint32_t i = 0; c->deploy.settings && i < m->variable_count; i++)
        if (is_of(&m->variables[i], deployment) && !setting_of(c, m->variables[i].name))
            retire(m, &changes, i);
    for (uint32_t i = 0; i < c->deploy.setting_count; i++) {
        const struct setting *s = &c->deploy.settings[i];
        int64_t index = find_set(m, deployment, s->name);
        if (is_set_to(m, index, s))
            continue;
        bool put = put_value(m, &changes, &like, "", s, index);
        assert(put);
        (void)put;
    }
    if (changes.count == 0)
        m->variable_order--;
    keep(t, &changes);
}

int manager_load_variable(struct manager *m, const struct variable_row *row,
                          const struct variable_text *text)
{
    struct selector selector;
    if (m->variable_count == m->options.limits.variables)
        return ERR_RANGE;
    bool owned = row->scope == SCOPE_AGENT || row->scope == SCOPE_DEPLOYMENT;
    uint32_t owners = row->scope == SCOPE_AGENT ? m->agent_count : m->deployment_count;
    bool past = row->until > 0 && (row->until <= row->from || row->scope == SCOPE_AGENT);
    bool bad = row->scope >= SCOPE_COUNT || (past && row->scope != SCOPE_NONE) ||
               row->len > VARIABLE_VALUE_MAX ||
               (row->scope != SCOPE_NONE && !variable_name_valid(span_text(row->name))) ||
               (owned && (row->of == 0 || row->of > owners)) ||
               selector_parse(&selector, span_text(text->selector), NULL) < 0;
    if (bad)
        return ERR_DAMAGED;
    m->variables[m->variable_count] = *row;
    m->variable_texts[m->variable_count++] = *text;
    moment_count(m, row->order > row->until ? row->order : row->until);
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
