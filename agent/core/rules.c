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
    if (!r || !view_admits(q->a, q->view, r))
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
        return (row->phase == PHASE_FAILED || row->phase == PHASE_ROLLED_BACK) &&
               !rules_retry(row, r);
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

static enum cause hold_by_window(const struct agent *a, const struct window *w)
{
    if (w->length_s == 0)
        return CAUSE_NONE;
    if (!a->knows_time)
        return CAUSE_CLOCK;
    return window_is_open(w, a->wall_s, a->east_s) ? CAUSE_NONE : CAUSE_WINDOW;
}

/* Who can't begin anyway asks for no permit, which others could use. */
enum cause rules_hold(const struct agent *a, const struct agent_view *view, const struct record *r)
{
    enum cause cause = hold_by_dependencies(a, view, &r->rules.after);
    if (cause == CAUSE_NONE)
        cause = hold_by_window(a, &r->rules.window);
    if (cause == CAUSE_NONE && permit_lacks(a, view, r))
        cause = CAUSE_RETURNING;
    return cause;
}

/* ---- trying again ---- */

/* What a hook or the disk spoiled may go well another time. Content that is refused stays so, and
 * what takes the device down has had its tries. */
bool rules_retry(const struct held *row, const struct record *r)
{
    bool failed = row->phase == PHASE_FAILED || row->phase == PHASE_ROLLED_BACK;
    bool by_chance = row->cause == CAUSE_PRE_APPLY || row->cause == CAUSE_APPLY ||
                     row->cause == CAUSE_HEALTH || row->cause == CAUSE_DISK;
    return failed && by_chance && row->failures <= r->rules.retries && row->failures > 0 &&
           !(r->flags & RECORD_ABORTED);
}

bool rules_is_ahead(const struct agent *a, const struct held *row)
{
    return a->knows_time && row->failures > 0 && row->failed_s > a->wall_s;
}

/* Where the calendar was put back since, or lost, it is the whole back-off once more. */
uint64_t rules_back_off_s(const struct agent *a, const struct held *row, const struct record *r)
{
    uint64_t whole_s = (uint64_t)r->rules.back_off_s << (row->failures - 1);
    whole_s = whole_s < BACK_OFF_S_MAX ? whole_s : BACK_OFF_S_MAX;
    uint64_t due_s = row->failed_s + whole_s;
    uint64_t left_s = due_s > a->wall_s ? due_s - a->wall_s : 0;
    return left_s < whole_s ? left_s : whole_s;
}
