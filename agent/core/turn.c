#include "agent/core/turn.h"

#include <assert.h>

struct agent_action *turn_act(struct turn *t, enum agent_action_type type)
{
    assert(t->out->action_count < AGENT_ACTIONS_MAX);
    struct agent_action *action = &t->out->actions[t->out->action_count++];
    *action = (struct agent_action){.type = type};
    return action;
}

struct agent_store *turn_store(struct turn *t, enum agent_store_type type)
{
    assert(t->out->store_count < AGENT_STORES_MAX);
    struct agent_store *s = &t->out->stores[t->out->store_count++];
    *s = (struct agent_store){.type = type};
    return s;
}

uint64_t turn_wall_s(const struct turn *t)
{
    return wall_guess_s(&t->a->wall, t->ev->wall_s, t->ev->now_ms);
}

struct agent_time turn_time(const struct turn *t)
{
    return (struct agent_time){
        .wall_s = turn_wall_s(t),
        .is_floor = wall_is_floor(&t->a->wall, t->ev->wall_s, t->ev->now_ms),
    };
}

/* Something changed that the manager should hear of soon. */
void turn_tell(struct turn *t)
{
    struct agent *a = t->a;
    if (a->dirty)
        return;
    a->dirty = true;
    uint64_t earliest = a->status_sent_ms + AGENT_STATUS_GAP_MS;
    a->status_due_ms = t->ev->now_ms + AGENT_STATUS_SETTLE_MS;
    if (a->status_sent_ms && a->status_due_ms < earliest)
        a->status_due_ms = earliest;
}

bool view_is_ours(const struct agent_view *view, const struct cohort_key *key)
{
    return memcmp(key, &view->assignment->cohort, sizeof *key) == 0;
}

/* The document's revision, or 0.0 as long as it is none of our cohort's: a revision counts within
 * its cohort. */
struct revision view_revision(const struct agent_view *view)
{
    if (!view_is_ours(view, &view->document->cohort))
        return (struct revision){0};
    return view->document->revision;
}

struct revision view_document_floor(const struct agent_view *view)
{
    if (!trust_knows(view->trust, TRUST_ONLINE, &view->document_signer))
        return (struct revision){0};
    return view_revision(view);
}

struct revision view_assignment_floor(const struct agent_view *view)
{
    if (!trust_knows(view->trust, TRUST_ONLINE, &view->assignment_signer))
        return (struct revision){0};
    return view->assignment->revision;
}

uint32_t view_atlas_floor(const struct agent_view *view)
{
    bool binds = view->atlas && trust_knows(view->trust, TRUST_ONLINE, &view->atlas_signer);
    return binds ? view->atlas : 0;
}

bool view_has_document(const struct agent_view *view)
{
    return view_revision(view).epoch != 0;
}

const struct held *view_held(const struct agent_view *view, uint32_t deployment)
{
    for (uint32_t i = 0; i < view->held_count; i++)
        if (view->held[i].deployment == deployment)
            return &view->held[i];
    return NULL;
}

const struct record *view_record(const struct agent_view *view, uint32_t deployment)
{
    for (uint32_t i = 0; i < view->document->count; i++)
        if (view->document->records[i].deployment == deployment)
            return &view->document->records[i];
    return NULL;
}

struct target turn_target(const struct turn *t, uint32_t deployment)
{
    const struct record *r = view_record(t->view, deployment);
    return r ? view_target(t->a, t->view, r) : (struct target){0};
}

bool view_admits(const struct agent *a, const struct agent_view *view, const struct record *r)
{
    const struct assignment *mine = view->assignment;
    if ((r->flags & RECORD_LISTED || mine->reserved) && !assignment_lists(mine, r->deployment))
        return false;
    return record_admits(r, a->number);
}

struct target view_target(const struct agent *a, const struct agent_view *view,
                          const struct record *r)
{
    if (!view_admits(a, view, r))
        return (struct target){0};
    struct target target = record_target(r, a->number);
    const struct held *row = view_held(view, r->deployment);
    bool next = r->next.generation != 0 && target.generation == r->next.generation;
    bool begun =
        row && row->wanted.generation >= r->next.generation && row->phase != PHASE_DOWNLOADING;
    if (r->flags & RECORD_ABORTED && next && !begun)
        target = r->stable;
    if (target.generation != 0)
        target.variables =
            variables_digest(record_variables(view->document, r), record_version(r, &target),
                             assignment_variables(view->assignment));
    return target;
}

bool view_lacks(const struct agent_view *view, const struct record *r, const struct target *target)
{
    return !variables_whole(record_variables(view->document, r), record_version(r, target),
                            assignment_variables(view->assignment), NULL);
}

bool held_wants(const struct held *row, const struct target *target)
{
    return row->wanted.generation == target->generation &&
           row->wanted.variables == target->variables;
}

int agent_values(const struct agent_view *view, const struct held *row, variable_change *change,
                 void *context, struct buffer *out)
{
    const struct record *r = view_record(view, row->deployment);
    struct span list = r ? record_variables(view->document, r) : SPAN_NONE;
    return variables_resolve(list, r ? record_version(r, &row->wanted) : VARIABLE_STABLE,
                             assignment_variables(view->assignment), change, context, out);
}

bool view_unbinds(const struct agent_view *view, const struct held *row)
{
    return !key_id_equal(&row->signer, &view->document_signer) &&
           !trust_knows(view->trust, TRUST_ONLINE, &row->signer) &&
           trust_knows(view->trust, TRUST_ONLINE, &view->document_signer);
}

bool view_holds(const struct agent *a, const struct agent_view *view, const struct record *r)
{
    if (view->assignment->cordoned || r->flags & RECORD_PAUSED)
        return true;
    return r->flags & RECORD_STOPPED && r->next.generation != 0 &&
           view_target(a, view, r).generation == r->next.generation;
}

/* It was about to run something else, or did not succeed; what it runs is what it should. */
static bool runs_as_before(const struct held *row, const struct target *target)
{
    bool at_rest = row->phase == PHASE_DOWNLOADING || row->phase == PHASE_ROLLED_BACK;
    return at_rest && !row->moved && row->running.generation == target->generation &&
           row->running.variables == target->variables;
}

bool view_runs(const struct agent_view *view, const struct record *r, const struct target *target)
{
    const struct held *row = view_held(view, r->deployment);
    if (!row || target->generation == 0)
        return false;
    if (view_lacks(view, r, target))
        return false;
    if (held_wants(row, target))
        return row->phase == PHASE_SETTLED;
    return runs_as_before(row, target);
}

bool turn_leaves(const struct turn *t, uint32_t deployment)
{
    const struct record *r = view_record(t->view, deployment);
    return !r || !view_admits(t->a, t->view, r);
}
