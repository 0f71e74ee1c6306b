/*
 * deploy: a deployment that is new, or is to be other than it was. All is checked before anything
 * is changed.
 */
#include "manager/core/state.h"

#include <assert.h>

/* The agents that it names are there. */
static int check_named(struct turn *t)
{
    const struct command *c = t->ev->command;
    const struct roster *r = c->deploy.roster;
    if (!r || r->named_count == 0)
        return 0;
    if (c->deploy.all)
        return REFUSE(t, ERR_USAGE, "agents that are named and --all exclude each other");
    for (uint32_t i = 0; i < r->named_count; i++) {
        const struct agent_row *row = fleet_agent(t->m, r->named[i]);
        if (!row || row->flags & AGENT_REMOVED)
            return REFUSE(t, ERR_NOT_FOUND, "there is no agent %u: see `dunlin agent list`",
                          r->named[i]);
    }
    return 0;
}

/* A sorted pick is of all together, and of those that something else chooses. */
static int check_sort(struct turn *t)
{
    const struct command *c = t->ev->command;
    int64_t index = manager_find_deployment(t->m, c->deploy.name);
    const struct pick *kept = index >= 0 ? &t->m->deployments[index].pick : NULL;
    const struct pick *pick = c->deploy.pick ? c->deploy.pick : kept;
    const struct roster *r = c->deploy.roster;
    if (!r || !r->sort[0])
        return 0;
    if (r->named_count > 0)
        return REFUSE(t, ERR_USAGE, "agents that are named and sort exclude each other");
    if (!pick || pick_is_all(pick))
        return REFUSE(t, ERR_USAGE,
                      "sort: says which ones a pick takes: say how many, like pick: 3 or 10%%");
    if (pick->by[0])
        return REFUSE(
            t, ERR_USAGE,
            "sort: goes with a pick of all together, like 3 or 10%%: for the best of each "
            "%s make a deployment for each",
            pick->by);
    return 0;
}

static int check_list(struct turn *t, uint32_t deployment)
{
    const struct roster *r = t->ev->command->deploy.roster;
    if (r && !ranking_is_possible(t->m, r))
        return REFUSE(t, ERR_RANGE, "deployments are sorted by %d facts, the most that may be",
                      COLUMNS_MAX);
    if (!r || (!roster_chooses(r) && !r->tolerate[0]) || list_is_left(t->m, deployment))
        return 0;
    return REFUSE(t, ERR_RANGE, "%d deployments have lists of agents, the most that may",
                  LISTS_MAX);
}

static int check_deploy(struct turn *t)
{
    const struct command *c = t->ev->command;
    struct selector selector;
    if (command_check_name(t, "deployment's name", c->deploy.name) < 0)
        return t->out->rv;
    int rv = manager_selector(t->m, c->deploy.selector, &selector, &t->out->error);
    if (rv < 0)
        return fail_with(t, rv);
    if (check_named(t) < 0)
        return t->out->rv;
    const struct roster *r = c->deploy.roster;
    if (selector.count == 0 && !c->deploy.all && !(r && roster_finds(r)))
        return REFUSE(t, ERR_USAGE,
                      "the selector is empty: say --all if %s is meant for every agent",
                      c->deploy.name);
    if (selector.count > 0 && c->deploy.all)
        return REFUSE(t, ERR_USAGE, "--all and a selector exclude each other");
    if (c->deploy.history > HISTORY_MAX)
        return REFUSE(t, ERR_USAGE, "a history of %u versions: between 1 and %d are remembered",
                      c->deploy.history, HISTORY_MAX);
    struct plan plan = c->deploy.plan ? *c->deploy.plan : PLAN_DEFAULT;
    rv = plan_complete(&plan, &t->out->error);
    if (rv == 0 && r)
        rv = tolerations_check(r->tolerate, &t->out->error);
    if (rv == 0 && r)
        rv = fact_filter_check(r->facts, &t->out->error);
    if (rv == 0 && r)
        rv = fact_order_check(r->sort, &t->out->error);
    struct selector stage;
    for (uint32_t i = 0; rv == 0 && i < plan.count; i++)
        rv = manager_selector(t->m, plan.stages[i].selector, &stage, &t->out->error);
    if (rv == 0 && c->deploy.pick)
        rv = pick_check(c->deploy.pick, &t->out->error);
    return rv < 0 ? fail_with(t, rv) : check_sort(t);
}

/* Room on the agents, for a new deployment (0) or one with another selector. */
static int check_room(struct turn *t, uint32_t deployment)
{
    struct manager *m = t->m;
    int64_t full = cohort_overfull(m, t->ev->command->deploy.selector, deployment);
    if (full >= 0)
        return REFUSE(t, ERR_RANGE,
                      "agents with labels \"%s\" have %d deployments, the most they take",
                      m->cohorts[full].labels.text, RECORDS_MAX);
    return 0;
}

static void set_plan(struct turn *t, struct deployment_row *d)
{
    const struct plan *plan = t->ev->command->deploy.plan;
    if (!plan && d->history_count == 0)
        d->plan = PLAN_DEFAULT;
    if (!plan)
        return;
    d->plan = *plan;
    int rv = plan_complete(&d->plan, NULL);
    assert(rv == 0);
}

/* What an operator wrote, once it is completed as the one that is kept was. */
static bool same_plan(struct turn *t, const struct plan *kept, const struct plan *written)
{
    uint8_t *memory = arena_alloc(t->scratch, 2 * (size_t)PLAN_BYTES_MAX);
    assert(memory);
    struct buffer a = buffer_on(memory, PLAN_BYTES_MAX);
    struct buffer b = buffer_on(memory + PLAN_BYTES_MAX, PLAN_BYTES_MAX);
    struct plan plan = *written, was = *kept;
    plan_strip(&was);
    int rv = plan_complete(&plan, NULL);
    if (rv == 0)
        rv = plan_write(&was, &a);
    if (rv == 0)
        rv = plan_write(&plan, &b);
    assert(rv == 0);
    arena_reset(t->scratch);
    return span_equal(span_buffer(&a), span_buffer(&b));
}

/* What was set on the way is for the version that goes it: who writes the same as before, or what
 * it has come to, says nothing new. */
bool deploy_keeps_plan(struct turn *t, const struct deployment_row *d, const struct plan *written)
{
    struct plan before = d->plan, now = d->plan;
    plan_put_back(&before);
    plan_settle(&now);
    return same_plan(t, &before, written) || same_plan(t, &now, written);
}

static bool same_pick(const struct pick *a, const struct pick *b)
{
    return a->amount.value == b->amount.value && a->amount.percent == b->amount.percent &&
           a->max_skew == b->max_skew && strcmp(a->by, b->by) == 0;
}

/* Who is in stays in, as far as the new pick allows. */
static void set_pick(struct turn *t, uint32_t deployment)
{
    pick_change(t->m, deployment, t->ev->command->deploy.pick);
    pick_settle(t, deployment);
}

void deploy_fill_roster(const struct manager *m, const struct command *c, struct roster *out)
{
    static const struct roster none;
    struct selector selector = group_selector(m, c->deploy.selector);
    *out = c->deploy.roster ? *c->deploy.roster : none;
    out->alone = roster_is_alone(out, &selector);
}

/* Who has a list from its beginning says so in its first document. */
static void set_roster(struct turn *t, uint32_t deployment, bool fresh)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    deploy_fill_roster(t->m, t->ev->command, &d->roster);
    if (!roster_chooses(&d->roster))
        d->flags &= ~(uint32_t)RECORD_LISTED;
    else if (fresh)
        d->flags |= RECORD_LISTED;
    list_mean(t->m, deployment);
}

uint32_t deploy_priority(const struct deployment_row *d, const struct command *c)
{
    return c->deploy.priority_stays ? d->priority : c->deploy.priority;
}

/* What is paused stays paused until somebody resumes it. */
uint32_t deploy_flags(const struct deployment_row *d, const struct command *c)
{
    uint32_t stays = RECORD_PAUSED | RECORD_LISTED | (c->deploy.keep_stays ? RECORD_KEEP : 0u);
    uint32_t says = c->deploy.keep_stays ? RECORD_PAUSED : RECORD_PAUSED | RECORD_KEEP;
    return (c->deploy.flags & says) | (d->flags & stays);
}

static void deploy_new(struct turn *t, uint32_t bundle, const struct dependencies *after)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    if (check_room(t, 0) < 0 || check_list(t, m->deployment_count) < 0 ||
        pick_check_room(t, -1) < 0 || c->deploy.dry_run)
        return;
    uint32_t index = m->deployment_count++;
    struct deployment_row *d = &m->deployments[index];
    static const struct deployment_row none;
    *d = (struct deployment_row){
        .flags = deploy_flags(&none, c),
        .priority = deploy_priority(&none, c),
        .salt = c->deploy.salt,
        .created_s = t->ev->now_s,
        .history_kept = c->deploy.history,
        .after = *after,
    };
    memcpy(d->name, c->deploy.name, strlen(c->deploy.name));
    memcpy(d->selector, c->deploy.selector, strlen(c->deploy.selector));
    set_plan(t, d);
    set_roster(t, index, true);
    set_pick(t, index);
    m->pick_cursor += m->pick_cursor == index; /* where all were looked at, so is this one */
    variable_replace(t, index);
    generation_push(t, index, &(struct version){.bundle = bundle, .values_at = VALUES_NEWEST});
    budget_imply(m, &d->plan, d->selector);
    if (d->plan.count > 0)
        rollout_begin(t, index, &(struct generation_row){.generation = 0});
    t->out->index = index;
    persist(t, PERSIST_DEPLOYMENT, index);
    cohort_mark_deployment(m, d);
}

/* What a command asks to be other than it is. */
struct change {
    bool moved;   /* the selector */
    bool renewed; /* the bundle */
    bool planned;
    bool picked;
    bool relisted;
    bool valued;  /* what its file sets */
    bool flagged; /* the flags, the priority, or what it depends on */
    bool aged;    /* how much of the past is remembered: no agent sees it */
};

static struct change compare(struct turn *t, uint32_t index, uint32_t bundle,
                             const struct dependencies *after)
{
    const struct deployment_row *d = &t->m->deployments[index];
    struct dependencies was = dependency_list(t->m, index);
    static const struct roster none;
    const struct command *c = t->ev->command;
    const struct roster *roster = c->deploy.roster ? c->deploy.roster : &none;
    return (struct change){
        .moved = strcmp(d->selector, c->deploy.selector) != 0,
        .renewed = d->history[0].bundle != bundle,
        .planned = c->deploy.plan && !deploy_keeps_plan(t, d, c->deploy.plan),
        .relisted = !roster_equal(&d->roster, roster),
        .picked = c->deploy.pick && !same_pick(&d->pick, c->deploy.pick),
        .valued = variable_differs(t->m, index, c) || moment_is_behind(t->m, index),
        .aged = c->deploy.history && deployment_history_kept(d) != c->deploy.history,
        .flagged = d->flags != deploy_flags(d, c) || d->priority != deploy_priority(d, c) ||
                   !dependencies_equal(&was, after),
    };
}

/* A new version, or other values, while what was before is on its way. False: it goes no further,
 * or waits. */
static bool may_overtake(struct turn *t, struct deployment_row *d, const struct change *change,
                         uint32_t bundle)
{
    if (!deployment_rolls(d) || d->rollout.state == ROLLOUT_ABORTED)
        return true;
    if (d->plan.overlap == OVERLAP_REFUSE) {
        REFUSE(t, ERR_BUSY,
               "the rollout of %s is in stage %s: wait for its end, or `dunlin rollout abort %s`",
               d->name, d->plan.stages[d->rollout.stage].name, d->name);
        return false;
    }
    if (!change->renewed) /* they wait by themselves */
        return true;
    if (d->plan.overlap == OVERLAP_SUPERSEDE)
        return true;
    if (change->moved || change->planned || change->picked || change->relisted || change->flagged ||
        change->valued || change->aged) {
        REFUSE(
            t, ERR_BUSY,
            "the rollout of %s is in stage %s: what waits for its end is a version only; say the "
            "rest afterwards",
            d->name, d->plan.stages[d->rollout.stage].name);
        return false;
    }
    t->out->rv = d->rollout.queued == bundle + 1;
    if (t->ev->command->deploy.dry_run)
        return true;
    d->rollout.queued = bundle + 1;
    persist(t, PERSIST_DEPLOYMENT, t->out->index);
    return false;
}

/* A list by facts takes a while; as long everybody of the selector would be in. */
static bool widens_unlisted(const struct turn *t, uint32_t index)
{
    const struct manager *m = t->m;
    const struct command *c = t->ev->command;
    const struct deployment_row *d = &m->deployments[index];
    const struct roster *r = c->deploy.roster;
    struct selector before = group_selector(m, d->selector);
    struct selector after = group_selector(m, c->deploy.selector);
    bool listed = r && roster_chooses(r) && !roster_is_alone(r, &after);
    if (!listed || d->flags & RECORD_LISTED)
        return false;
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (m->cohorts[i].agents > 0 && selector_matches(&after, &m->cohorts[i].labels) &&
            !selector_matches(&before, &m->cohorts[i].labels))
            return true;
    return false;
}

/* It is about to be for agents that are named, and is for those of its selector until each of them
 * knows: the selector holds as long (close_list). */
static bool narrows(const struct turn *t, const struct deployment_row *d)
{
    const struct command *c = t->ev->command;
    struct selector after = group_selector(t->m, c->deploy.selector);
    const struct roster *r = c->deploy.roster;
    return r && roster_is_alone(r, &after) && !(d->flags & RECORD_LISTED);
}

/* Until its list is there, the gates that it had go on deciding; gates of a list, or of a label's
 * values, can't. */
static bool is_sorted_on_the_way(const struct turn *t, const struct deployment_row *d)
{
    const struct roster *r = t->ev->command->deploy.roster;
    return r && r->sort[0] && !d->roster.sort[0] && !pick_is_all(&d->pick) &&
           (d->flags & RECORD_LISTED || d->pick.by[0]);
}

/* False: refused, or put in a queue. */
static bool may_change(struct turn *t, uint32_t index, const struct change *change, uint32_t bundle)
{
    struct deployment_row *d = &t->m->deployments[index];
    if (change->planned && !change->renewed && deployment_rolls(d)) {
        REFUSE(t, ERR_BUSY,
               "the rollout of %s is in stage %s: its stages can't change on the way; set its pace "
               "by `dunlin rollout set`, wait for its end, or deploy another version",
               d->name, d->plan.stages[d->rollout.stage].name);
        return false;
    }
    if (change->moved && check_room(t, index + 1) < 0)
        return false;
    if ((change->moved || change->picked) && pick_check_room(t, index) < 0)
        return false;
    if (change->moved && widens_unlisted(t, index)) {
        REFUSE(t, ERR_BUSY,
               "%s: first leave the selector as it is; when its agents have a list, widen it",
               d->name);
        return false;
    }
    if (change->relisted && narrows(t, d) && t->ev->command->deploy.selector[0]) {
        REFUSE(t, ERR_BUSY, "%s: first name its agents; when they have a list, say whom to exclude",
               d->name);
        return false;
    }
    if (change->relisted && is_sorted_on_the_way(t, d)) {
        REFUSE(t, ERR_BUSY,
               "%s: picks otherwise now, and its agents would change places: let it pick all "
               "first, or make another deployment",
               d->name);
        return false;
    }
    if (change->relisted && check_list(t, index) < 0)
        return false;
    bool newer = change->renewed || change->valued;
    return !newer || may_overtake(t, d, change, bundle);
}

/* Also those that it went back from. */
static void take_values(struct turn *t, uint32_t index)
{
    struct deployment_row *d = &t->m->deployments[index];
    if (d->values_seen > d->history[0].values_at)
        d->values_seen = d->history[0].values_at;
    if (moment_is_behind(t->m, index))
        moment_take(t, index);
}

static void deploy_again(struct turn *t, uint32_t index, uint32_t bundle,
                         const struct dependencies *after)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    struct deployment_row *d = &m->deployments[index];
    struct change change = compare(t, index, bundle, after);
    t->out->index = index;
    if (!change.moved && !change.renewed && !change.planned && !change.picked && !change.relisted &&
        !change.flagged && !change.aged && !change.valued) {
        t->out->rv = 1;
        return;
    }
    if (!may_change(t, index, &change, bundle) || c->deploy.dry_run)
        return;
    if (change.aged)
        d->history_kept = c->deploy.history;
    generation_trim(d);
    if (c->deploy.settings)
        variable_replace(t, index);
    if (change.planned || change.renewed)
        set_plan(t, d);
    /* The version that everybody has went by another plan, or none. */
    if (change.planned && !deployment_rolls(d))
        d->rollout = (struct rollout){.state = d->plan.count > 0 ? ROLLOUT_DONE : ROLLOUT_NONE,
                                      .let_in = d->rollout.let_in,
                                      .span_s = d->rollout.span_s};
    if (change.renewed)
        budget_imply(m, &d->plan, c->deploy.selector);
    if (change.renewed && generation_change(t, index, bundle) < 0)
        return;
    cohort_mark_deployment(m, d);
    if (!narrows(t, d)) {
        memset(d->selector, 0, sizeof d->selector);
        memcpy(d->selector, c->deploy.selector, strlen(c->deploy.selector));
    }
    d->flags = deploy_flags(d, c);
    d->priority = deploy_priority(d, c);
    d->after = *after;
    set_roster(t, index, false);
    set_pick(t, index);
    if (change.valued && !change.renewed)
        take_values(t, index);
    persist(t, PERSIST_DEPLOYMENT, index);
    cohort_mark_deployment(m, d);
}

/* What goes far beyond what one usually means has to be said twice. */
static int check_extent(struct turn *t, int64_t index, uint32_t bundle)
{
    const struct command *c = t->ev->command;
    struct preview p = {.deployment = index, .bundle = bundle};
    p.valued = index >= 0 && variable_differs(t->m, (uint32_t)index, c);
    if (c->confirmed || c->deploy.dry_run || t->m->options.confirm_percent == 0)
        return 0;
    preview_count(t->m, c, t->scratch, &p);
    return p.confirm ? REFUSE(t, ERR_REFUSED, "%s: if this is meant, say --confirm", p.why.text)
                     : 0;
}

void deploy_run(struct turn *t)
{
    const struct command *c = t->ev->command;
    if (check_deploy(t) < 0)
        return;
    int bundle = bundle_find(t, c->deploy.bundle, c->deploy.version);
    if (bundle < 0)
        return;
    int64_t index = manager_find_deployment(t->m, c->deploy.name);
    struct dependencies after;
    if (index < 0 && t->m->deployment_count == t->m->options.limits.deployments) {
        REFUSE(t, ERR_RANGE, "%u deployments have been made, the most that are kept",
               t->m->deployment_count);
        return;
    }
    struct version version = {.bundle = (uint32_t)bundle, .values_at = VALUES_NEWEST};
    if (variable_check_settings(t) < 0 ||
        variable_check(t, c->deploy.name, index, c->deploy.selector, &version) < 0)
        return;
    if (dependency_resolve(t, index, &after) < 0)
        return;
    if (check_extent(t, index, (uint32_t)bundle) < 0)
        return;
    if (index >= 0)
        deploy_again(t, (uint32_t)index, (uint32_t)bundle, &after);
    else
        deploy_new(t, (uint32_t)bundle, &after);
}
