#include "agent/core/turn.h"

static bool is_ready(const struct agent *a, const struct agent_view *view, uint32_t deployment)
{
    const struct record *r = view_record(view, deployment);
    struct target target = r ? view_target(a, view, r) : (struct target){0};
    return r && view_runs(view, r, &target);
}

/* Asking whether something will ever come; each record is looked at once, whatever depends on what.
 */
struct asking {
    const struct agent *a;
    const struct agent_view *view;
    bool seen[RECORDS_MAX];
};

static bool some_never_come(struct asking *q, const struct dependencies *after);

/* Not before an operator does something: it is not for this device, or failed, or what it depends
 * on never comes. */
static bool never_comes(struct asking *q, uint32_t deployment)
{
    const struct record *r = view_record(q->view, deployment);
    if (!r || !record_admits(r, &q->a->id, q->a->number))
        return true;
    bool *seen = &q->seen[r - q->view->document->records];
    if (*seen)
        return false;
    *seen = true;
    struct target target = view_target(q->a, q->view, r);
    const struct held *row = view_held(q->view, deployment);
    if (target.generation == 0)
        return r->flags & RECORD_ABORTED;
    if (row && held_wants(row, &target) && row->phase != PHASE_DOWNLOADING)
        return row->phase == PHASE_FAILED || row->phase == PHASE_ROLLED_BACK;
    return some_never_come(q, &r->rules.after);
}

static bool some_never_come(struct asking *q, const struct dependencies *after)
{
    for (uint32_t i = 0; i < after->count; i++)
        if (!is_ready(q->a, q->view, after->numbers[i]) && never_comes(q, after->numbers[i]))
            return true;
    return false;
}

static enum cause hold_by_dependencies(const struct agent *a, const struct agent_view *view,
                                       const struct dependencies *after)
{
    struct asking q = {.a = a, .view = view};
    bool ready = true;
    for (uint32_t i = 0; i < after->count; i++)
        ready &= is_ready(a, view, after->numbers[i]);
    if (ready)
        return CAUSE_NONE;
    return some_never_come(&q, after) ? CAUSE_STUCK : CAUSE_AFTER;
}

enum cause rules_hold(const struct agent *a, const struct agent_view *view, const struct record *r)
{
    return hold_by_dependencies(a, view, &r->rules.after);
}
