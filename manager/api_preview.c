#include "manager/api_preview.h"
#include "manager/api_json.h"
#include "manager/common/plan_json.h"
#include "manager/core/preview.h"
#include "manager/overlap.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* "NAME@VERSION" */
#define BUNDLE_TEXT_MAX (2 * NAME_MAX_LEN + 2)
#define DEPENDENCIES_TEXT_MAX (DEPENDENCIES_MAX * (NAME_MAX_LEN + 2) + 1)
/* Agents that a line names, by number, and room for as many: "4294967295, " */
#define NAMED_SHOWN 20
#define NAMED_TEXT_MAX ((NAMED_SHOWN + 1) * 12 + 32)

static json_t *preview_json(struct request *r, const struct command *c, const struct preview *p);
static json_t *changes_json(const struct manager *m, const struct command *c,
                            const struct preview *p);
static void append_change(json_t *list, const char *what, const char *from, const char *to);
static void add_change(json_t *list, const char *what, const char *from, const char *to);
static const char *whom_text(const char *selector, const struct roster *r);
static void add_named(json_t *list, const struct roster *from, const struct roster *to);
static void add_dependencies(json_t *list, const struct manager *m, const struct preview *p);
static void add_plan(json_t *list, const struct plan *from, const struct plan *to);
static void add_settings(json_t *list, const struct manager *m, const struct command *c,
                         int64_t deployment);
static json_t *stages_json(const struct manager *m, const struct preview *p,
                           const struct overlap *o, uint64_t now_s);
static json_t *window_json(const struct schedule *s, uint64_t now_s);
static json_t *transfer_json(struct request *r, const struct preview *p, const struct overlap *o);
static uint64_t fetched(const struct overlap *o, uint64_t agents, uint64_t joining);
static void add_agents(json_t *json, const struct manager *m, const struct command *c,
                       const struct preview *p, struct arena *scratch);
static json_t *absence_json(const struct absence *a);
static json_t *on_its_way_json(const struct manager *m, const struct preview *p);
static json_t *budgets_json(const struct manager *m, const struct command *c,
                            const struct preview *p);
static void name_bundle(const struct bundle_row *b, char out[static BUNDLE_TEXT_MAX]);

void api_preview(struct request *r, const struct command *c)
{
    /* The core's accessor is made for looking; a dry run changes nothing. */
    struct manager *m = (struct manager *)daemon_core(r->daemon);
    struct arena scratch = arena_on(r->tools->scratch, sizeof r->tools->scratch);
    struct preview *p = malloc(sizeof *p);
    struct errmsg em = {.text = ""};
    int rv = p ? manager_preview(m, c, daemon_now_s(r->daemon), &scratch, p, &em) : ERR_NO_MEMORY;
    if (rv < 0) {
        request_reply_failure(r, rv, &em);
    } else {
        json_t *json = preview_json(r, c, p);
        add_agents(json, m, c, p, &scratch);
        request_reply(r, MHD_HTTP_OK, json);
    }
    free(p);
}

static json_t *numbers_json(const uint32_t *numbers, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    return list;
}

/* The first of those that it would come to, and that would lose it. */
static void add_agents(json_t *json, const struct manager *m, const struct command *c,
                       const struct preview *p, struct arena *scratch)
{
    struct preview_agents agents;
    preview_name(m, c, p, scratch, &agents);
    json_object_set_new(json, "joining_agents", numbers_json(agents.joining, agents.joining_count));
    json_object_set_new(json, "leaving_agents", numbers_json(agents.leaving, agents.leaving_count));
}

static json_t *preview_json(struct request *r, const struct command *c, const struct preview *p)
{
    const struct manager *m = daemon_core(r->daemon);
    const struct bundle_row *new = manager_bundle(m, p->bundle), *old = NULL;
    char bundle[BUNDLE_TEXT_MAX];
    struct overlap o;
    name_bundle(new, bundle);
    if (p->deployment >= 0)
        old = api_deployment_bundle(m, (uint32_t)p->deployment);
    bool read = overlap_count(daemon_depot(r->daemon), old ? &old->digest : NULL, &new->digest, &o,
                              NULL) == 0;
    uint64_t now_s = daemon_now_s(r->daemon);
    uint64_t start_s = p->plan.start_s > now_s ? p->plan.start_s : 0;
    return json_pack(
        "{s:s, s:b, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:s?, s:o, s:I, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o}",
        "name", c->deploy.name, "dry_run", true, "bundle", bundle, "new", p->deployment < 0,
        "changed", p->changes, "fleet", (json_int_t)p->fleet, "targets", (json_int_t)p->targets,
        "joining", (json_int_t)p->joining, "leaving", (json_int_t)p->leaving, "touched",
        (json_int_t)p->touched, "confirm", p->confirm ? p->why.text : NULL, "start",
        api_json_time(start_s), "starts_in_s", (json_int_t)(start_s ? start_s - now_s : 0),
        "window", window_json(&p->plan.window, now_s), "changes", changes_json(m, c, p), "stages",
        stages_json(m, p, read ? &o : NULL, now_s), "away", absence_json(&p->absence), "transfer",
        read ? transfer_json(r, p, &o) : json_null(), "on_its_way", on_its_way_json(m, p),
        "budgets", budgets_json(m, c, p));
}

/* The version that a rollout brings now, and whether the new one waits for its end. Where it may
 * neither wait nor overtake, the command was refused. */
static json_t *on_its_way_json(const struct manager *m, const struct preview *p)
{
    if (p->deployment < 0)
        return json_null();
    const struct deployment_row *d = manager_deployment(m, (uint32_t)p->deployment);
    bool rolls = deployment_rolls(d) && d->rollout.state != ROLLOUT_ABORTED;
    if (!rolls || d->history[0].bundle == p->bundle)
        return json_null();
    return json_pack(
        "{s:s, s:s, s:b}", "version", api_deployment_bundle(m, (uint32_t)p->deployment)->version,
        "stage", d->plan.stages[d->rollout.stage].name, "waits", d->plan.overlap == OVERLAP_QUEUE);
}

static bool share_agents(const struct manager *m, const struct selector *a,
                         const struct selector *b)
{
    bool some = false;
    for (uint32_t i = 0; i < manager_cohort_count(m) && !some; i++) {
        const struct cohort *c = manager_cohort(m, i);
        some = c->agents > 0 && selector_matches(a, &c->labels) && selector_matches(b, &c->labels);
    }
    return some;
}

/* Those that some of its agents are under: the stages keep to them. */
static json_t *budgets_json(const struct manager *m, const struct command *c,
                            const struct preview *p)
{
    json_t *list = json_array();
    struct selector whom, budget;
    if (p->plan.count == 0 || manager_selector(m, c->deploy.selector, &whom, NULL) < 0)
        return list;
    for (uint32_t i = 0; i < manager_budget_count(m); i++) {
        const struct budget_row *row = manager_budget(m, i);
        if (row->name[0] && manager_selector(m, row->selector, &budget, NULL) == 0 &&
            share_agents(m, &whom, &budget))
            json_array_append_new(list, json_string(row->name));
    }
    return list;
}

/* Line by line what there is now and what there would be. */
static json_t *changes_json(const struct manager *m, const struct command *c,
                            const struct preview *p)
{
    static const struct deployment_row none;
    static const struct plan no_plan = PLAN_DEFAULT;
    bool new = p->deployment < 0;
    const struct deployment_row *d = new ? &none : manager_deployment(m, (uint32_t)p->deployment);
    char from[BUNDLE_TEXT_MAX] = "", to[BUNDLE_TEXT_MAX], number[2][16];
    json_t *list = json_array();
    name_bundle(manager_bundle(m, p->bundle), to);
    if (!new)
        name_bundle(manager_bundle(m, d->history[0].bundle), from);
    add_change(list, "bundle", from, to);
    add_change(list, "select", new ? "" : whom_text(d->selector, &d->roster),
               whom_text(c->deploy.selector, c->deploy.roster));
    add_named(list, &d->roster, c->deploy.roster);
    char picks[2][PICK_TEXT_MAX];
    pick_text(&d->pick, picks[0]);
    pick_text(c->deploy.pick ? c->deploy.pick : &d->pick, picks[1]);
    add_change(list, "pick", picks[0], picks[1]);
    add_change(list, "facts", d->roster.facts, c->deploy.roster->facts);
    add_change(list, "sort", d->roster.sort, c->deploy.roster->sort);
    add_change(list, "tolerate", d->roster.tolerate, c->deploy.roster->tolerate);
    snprintf(number[0], sizeof number[0], "%u", d->priority);
    snprintf(number[1], sizeof number[1], "%u", p->priority);
    add_change(list, "priority", number[0], number[1]);
    snprintf(number[0], sizeof number[0], "%u", deployment_history_kept(d));
    snprintf(number[1], sizeof number[1], "%u",
             c->deploy.history ? c->deploy.history : deployment_history_kept(d));
    add_change(list, "history", number[0], number[1]);
    /* What is paused stays paused. */
    if (c->deploy.flags & RECORD_PAUSED && !(d->flags & RECORD_PAUSED))
        add_change(list, "paused", "false", "true");
    add_change(list, "keep", d->flags & RECORD_KEEP ? "true" : "false", p->keep ? "true" : "false");
    add_dependencies(list, m, p);
    add_settings(list, m, c, p->deployment);
    add_plan(list, new ? &no_plan : &d->plan, &p->plan);
    return list;
}

/* "" of one that is for those that are named, and for no others. */
static const char *whom_text(const char *selector, const struct roster *r)
{
    bool alone = r->named_count > 0 && !r->facts[0];
    return selector[0] || alone ? selector : "every agent";
}

/* "3, 7, 12 and 980 more" */
static void write_named(const struct roster *r, char out[static NAMED_TEXT_MAX])
{
    size_t used = 0;
    *out = '\0';
    for (uint32_t i = 0; i < r->named_count && i < NAMED_SHOWN; i++)
        used += (size_t)snprintf(out + used, NAMED_TEXT_MAX - used, "%s%" PRIu32, i ? ", " : "",
                                 r->named[i]);
    if (r->named_count > NAMED_SHOWN)
        snprintf(out + used, NAMED_TEXT_MAX - used, " and %" PRIu32 " more",
                 r->named_count - NAMED_SHOWN);
}

/* Also where only those differ that neither line has room for. */
static void add_named(json_t *list, const struct roster *from, const struct roster *to)
{
    char before[NAMED_TEXT_MAX], after[NAMED_TEXT_MAX];
    if (from->named_count == to->named_count &&
        memcmp(from->named, to->named, from->named_count * sizeof from->named[0]) == 0)
        return;
    write_named(from, before);
    write_named(to, after);
    append_change(list, "agents", before, after);
}

/* "base, driver" */
static void add_name(char text[static DEPENDENCIES_TEXT_MAX], const char *name)
{
    size_t used = strlen(text);
    snprintf(text + used, DEPENDENCIES_TEXT_MAX - used, "%s%s", used ? ", " : "", name);
}

/* In the order of their numbers, as they are kept. */
static void add_dependencies(json_t *list, const struct manager *m, const struct preview *p)
{
    char from[DEPENDENCIES_TEXT_MAX] = "", to[DEPENDENCIES_TEXT_MAX] = "";
    struct dependencies before = {0};
    if (p->deployment >= 0)
        before = manager_dependencies(m, (uint32_t)p->deployment);
    for (uint32_t i = 0; i < before.count; i++)
        add_name(from, manager_deployment(m, before.numbers[i] - 1)->name);
    for (uint32_t i = 0; i < p->after.count; i++)
        add_name(to, manager_deployment(m, p->after.numbers[i] - 1)->name);
    add_change(list, "depends_on", from, to);
}

/* "": nothing was said of it. */
static void append_change(json_t *list, const char *what, const char *from, const char *to)
{
    json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "what", what, "from",
                                          *from ? api_json_text(from) : json_null(), "to",
                                          *to ? api_json_text(to) : json_null()));
}

static void add_change(json_t *list, const char *what, const char *from, const char *to)
{
    if (strcmp(from, to) != 0)
        append_change(list, what, from, to);
}

static void add_setting(json_t *list, const char *name, const char *from, const char *to)
{
    char what[VARIABLE_NAME_MAX + 16];
    snprintf(what, sizeof what, "variables: %.*s", VARIABLE_NAME_MAX, name);
    add_change(list, what, from, to);
}

/* The value of a row that the deployment's file set, which is no secret; NULL: it is another's. */
static const char *set_now(const struct manager *m, int64_t deployment, uint32_t index,
                           const struct variable_row **row, char out[static VARIABLE_VALUE_MAX + 1])
{
    const struct variable_text *text;
    *row = manager_variable(m, index, &text);
    if ((*row)->scope != SCOPE_DEPLOYMENT || (*row)->until != 0 || (*row)->of != deployment + 1)
        return NULL;
    memcpy(out, text->value, (*row)->len);
    out[(*row)->len] = '\0';
    return out;
}

static void add_settings(json_t *list, const struct manager *m, const struct command *c,
                         int64_t deployment)
{
    char value[VARIABLE_VALUE_MAX + 1];
    const struct variable_row *row;
    bool known[VARIABLES_NEEDED_MAX] = {false};
    for (uint32_t i = 0; c->deploy.settings && i < manager_variable_count(m); i++) {
        const char *from = set_now(m, deployment, i, &row, value), *to = "";
        if (!from)
            continue;
        for (uint32_t k = 0; k < c->deploy.setting_count; k++) {
            if (strcmp(c->deploy.settings[k].name, row->name) != 0)
                continue;
            to = c->deploy.settings[k].value;
            known[k] = true;
        }
        add_setting(list, row->name, from, to);
    }
    for (uint32_t k = 0; c->deploy.settings && k < c->deploy.setting_count; k++)
        if (!known[k])
            add_setting(list, c->deploy.settings[k].name, "", c->deploy.settings[k].value);
}

static void add_plan(json_t *list, const struct plan *from, const struct plan *to)
{
    json_t *before = plan_to_lines(from), *after = plan_to_lines(to), *value;
    const char *name;
    json_object_foreach(after, name, value)
    {
        const char *old = json_string_value(json_object_get(before, name));
        char what[NAME_MAX_LEN + 64];
        snprintf(what, sizeof what, "rollout: %s", name);
        add_change(list, what, old ? old : "", json_string_value(value));
    }
    json_object_foreach(before, name, value)
    {
        char what[NAME_MAX_LEN + 64];
        snprintf(what, sizeof what, "rollout: %s", name);
        if (!json_object_get(after, name))
            add_change(list, what, json_string_value(value), "");
    }
    json_decref(before);
    json_decref(after);
}

/* How long this stage last took, of this deployment; 0: that is not known. */
static uint32_t took(const struct manager *m, const struct preview *p, uint32_t stage)
{
    if (p->deployment < 0)
        return 0;
    const struct deployment_row *d = manager_deployment(m, (uint32_t)p->deployment);
    bool same = stage < d->plan.count &&
                strcmp(d->plan.stages[stage].name, p->plan.stages[stage].name) == 0;
    return same ? d->rollout.took_s[stage] : 0;
}

static json_t *threshold_json(const struct threshold *t)
{
    return json_pack("{s:b, s:I}", "approval", t->approval, "wait_s", (json_int_t)t->wait_s);
}

/* Null: none. When it opens next is known where all devices go by one clock. */
static json_t *window_json(const struct schedule *s, uint64_t now_s)
{
    char zone[ZONE_TEXT_MAX];
    struct window window;
    if (!s->cron[0])
        return json_null();
    int rv = schedule_compile(s, &window, NULL);
    assert(rv == 0);
    bool waits = s->zoned && !window_is_open(&window, now_s, 0);
    uint64_t opens_s = waits ? window_opens_s(&window, now_s, 0) : 0;
    schedule_zone_text(s, zone);
    return json_pack("{s:s, s:I, s:s, s:o, s:I}", "cron", s->cron, "for_s", (json_int_t)s->length_s,
                     "zone", zone, "opens", api_json_time(opens_s), "opens_in_s",
                     (json_int_t)(opens_s ? opens_s - now_s : 0));
}

static json_t *stages_json(const struct manager *m, const struct preview *p,
                           const struct overlap *o, uint64_t now_s)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < p->plan.count; i++) {
        const struct plan_stage *s = &p->plan.stages[i];
        json_t *fetch =
            o ? json_integer((json_int_t)fetched(o, p->stages[i], p->joining_in[i])) : json_null();
        uint64_t rate_s = rate_takes_s(plan_rate(&p->plan, i), p->stages[i]);
        json_t *stage = json_pack(
            "{s:s, s:I, s:I, s:I, s:b, s:o, s:o, s:o, s:o}", "name", s->name, "members",
            (json_int_t)p->stages[i], "waits_s", (json_int_t)s->before.wait_s + s->after.wait_s,
            "rate_s", (json_int_t)rate_s, "approval", s->before.approval || s->after.approval,
            "before", threshold_json(&s->before), "after", threshold_json(&s->after), "window",
            window_json(s->window.cron[0] ? &s->window : &p->plan.window, now_s), "fetch_bytes",
            fetch);
        if (took(m, p, i) > 0)
            json_object_set_new(stage, "took_s", json_integer(took(m, p, i)));
        json_array_append_new(list, stage);
    }
    return list;
}

/* What goes over the links: those that run what is asked for now fetch what that one lacks. */
static uint64_t fetched(const struct overlap *o, uint64_t agents, uint64_t joining)
{
    return joining * o->packed + (agents - joining) * (o->packed - o->held_packed);
}

static json_t *absence_json(const struct absence *a)
{
    if (a->agents == 0)
        return json_null();
    return json_pack("{s:I, s:I, s:I}", "agents", (json_int_t)a->agents, "half_s",
                     (json_int_t)a->half_s, "most_s", (json_int_t)a->most_s);
}

/* What the bundle brings, and how much of it an agent has that runs what is asked for now. An
 * agent's id decides as if by chance which cell it likes best ([atlas-3]), and who loses that one
 * goes to another: what each cell sends is an estimate. */
static json_t *transfer_json(struct request *r, const struct preview *p, const struct overlap *o)
{
    const struct manager *m = daemon_core(r->daemon);
    char from[BUNDLE_TEXT_MAX] = "";
    uint64_t all = p->changes ? fetched(o, p->targets, p->joining) : 0;
    size_t cells = daemon_cell_count(r->daemon);
    if (p->deployment >= 0)
        name_bundle(api_deployment_bundle(m, (uint32_t)p->deployment), from);
    return json_pack("{s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "from",
                     *from ? from : NULL, "bytes", (json_int_t)o->bytes, "chunks",
                     (json_int_t)o->chunks, "held_bytes", (json_int_t)o->held_bytes, "held_chunks",
                     (json_int_t)o->held_chunks, "packed_bytes", (json_int_t)o->packed,
                     "fetch_bytes", (json_int_t)(o->packed - o->held_packed), "all_bytes",
                     (json_int_t)all, "cells", (json_int_t)cells, "cell_bytes",
                     (json_int_t)(cells ? all / cells : 0));
}

static void name_bundle(const struct bundle_row *b, char out[static BUNDLE_TEXT_MAX])
{
    snprintf(out, BUNDLE_TEXT_MAX, "%s@%s", b->name, b->version);
}
