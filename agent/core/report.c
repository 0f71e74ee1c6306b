#include "agent/core/turn.h"

#include <assert.h>

const char *agent_phase_name(const struct held *h)
{
    static const char names[PHASE_COUNT][12] = {
        [PHASE_DOWNLOADING] = "Downloading", [PHASE_PREPARING] = "Preparing",
        [PHASE_APPLYING] = "Applying",       [PHASE_VERIFYING] = "Verifying",
        [PHASE_SETTLED] = "Settled",         [PHASE_UNDOING] = "Undoing",
        [PHASE_ROLLED_BACK] = "RolledBack",  [PHASE_FAILED] = "Failed",
        [PHASE_REMOVING] = "Removing",
    };
    assert(h->phase < PHASE_COUNT);
    return names[h->phase];
}

enum deployment_state agent_state_of(const struct held *h)
{
    static const enum deployment_state states[PHASE_COUNT] = {
        [PHASE_DOWNLOADING] = STATE_DOWNLOADING, [PHASE_PREPARING] = STATE_APPLYING,
        [PHASE_APPLYING] = STATE_APPLYING,       [PHASE_VERIFYING] = STATE_VERIFYING,
        [PHASE_SETTLED] = STATE_READY,           [PHASE_UNDOING] = STATE_APPLYING,
        [PHASE_ROLLED_BACK] = STATE_ROLLED_BACK, [PHASE_FAILED] = STATE_FAILED,
        [PHASE_REMOVING] = STATE_REMOVING,
    };
    assert(h->phase < PHASE_COUNT);
    return states[h->phase];
}

/* What is under way there is no rule's any more, nor an operator's. */
static bool is_begun(const struct agent *a, const struct record *r, const struct held *row,
                     bool wanted)
{
    bool tried = wanted && row->phase != PHASE_DOWNLOADING && !rules_retry(row, r);
    return tried || (a->step != STEP_NONE && a->work == r->deployment);
}

static void judge(const struct agent *a, const struct agent_view *view, const struct record *r,
                  const struct target *target, struct exception *e)
{
    const struct held *row = view_held(view, r->deployment);
    bool wanted = row && held_wants(row, target);
    bool again = wanted && rules_retry(row, r);
    bool begun = is_begun(a, r, row, wanted), held = !begun && view_holds(a, view, r);
    if (view_runs(view, r, target)) {
        e->state = STATE_READY;
        return;
    }
    enum cause rule = begun || held ? CAUSE_NONE : rules_hold(a, view, r);
    e->cause = (uint8_t)(again && rule == CAUSE_NONE ? row->cause : rule);
    e->state = again && held ? STATE_PAUSED : STATE_PENDING;
    if (e->cause != CAUSE_NONE)
        return;
    e->cause = a->put_off == r->deployment ? a->put_off_cause : CAUSE_NONE;
    if (!work_is_under_way(row) && view_lacks(view, r, target)) {
        e->cause = CAUSE_VARIABLE;
    } else if (held) {
        e->state = STATE_PAUSED;
    } else if (wanted) {
        e->state = (uint8_t)agent_state_of(row);
        if (e->cause == CAUSE_NONE)
            e->cause = row->cause;
    }
}

/* What it has begun, or runs, of a version that no gate lets it in to at present. */
static bool unasked_exception(const struct held *row, struct exception *e)
{
    if (!row || row->phase == PHASE_DOWNLOADING || row->phase == PHASE_REMOVING)
        return false;
    *e = (struct exception){.deployment = row->deployment,
                            .generation = row->wanted.generation,
                            .running = row->running.generation,
                            .state = (uint8_t)agent_state_of(row),
                            .cause = row->cause};
    return true;
}

/* False where the record asks for nothing, and nothing is there. */
static bool record_exception(const struct agent *a, const struct agent_view *view,
                             const struct record *r, struct exception *e)
{
    struct target target = view_target(a, view, r);
    const struct held *row = view_held(view, r->deployment);
    if (!view_admits(a, view, r))
        return false;
    if (target.generation == 0)
        return unasked_exception(row, e);
    *e = (struct exception){.deployment = r->deployment, .generation = target.generation};
    e->running = row ? row->running.generation : 0;
    judge(a, view, r, &target, e);
    return true;
}

/* [status-9] What a gate or a list decides, the manager is told by name. */
static bool is_gated(const struct record *r, const struct exception *e)
{
    bool next = r->next.generation != 0 && e->generation == r->next.generation;
    return next || r->stable.generation == 0 || r->flags & (RECORD_ABORTED | RECORD_LISTED) ||
           !gate_is_open(&r->gate);
}

static bool removal_exception(const struct agent *a, const struct agent_view *view,
                              const struct held *row, struct exception *e)
{
    const struct record *r = view_record(view, row->deployment);
    if (r && view_admits(a, view, r))
        return false;
    *e = (struct exception){.deployment = row->deployment,
                            .running = row->running.generation,
                            .state = STATE_REMOVING,
                            .cause = a->put_off == row->deployment ? a->put_off_cause : row->cause};
    return !(row->flags & RECORD_KEEP);
}

static void add_exception(struct status *s, const struct exception *e)
{
    if (s->count < EXCEPTIONS_MAX)
        s->exceptions[s->count++] = *e;
    else
        s->flags |= STATUS_TRUNCATED;
}

/* Where there is room: who isn't named is taken to be on the way. What is rolled out comes first,
 * since somebody waits for it. */
static void add_gated(const struct agent *a, const struct agent_view *view, bool rolls,
                      struct status *s)
{
    struct exception e;
    for (uint32_t i = 0; i < view->document->count && s->count < EXCEPTIONS_MAX; i++) {
        const struct record *r = &view->document->records[i];
        if ((r->next.generation != 0) == rolls && record_exception(a, view, r, &e) &&
            e.state == STATE_READY && is_gated(r, &e))
            s->exceptions[s->count++] = e;
    }
}

/* Those that ask for a permit come first: nothing happens with them unless it is heard. */
static void add_unready(const struct agent *a, const struct agent_view *view, bool asking,
                        struct status *s)
{
    struct exception e;
    for (uint32_t i = 0; i < view->document->count; i++) {
        const struct record *r = &view->document->records[i];
        if (asking && r->rules.asks_after_s == 0)
            continue;
        if (record_exception(a, view, r, &e) && e.state != STATE_READY &&
            (e.cause == CAUSE_RETURNING) == asking)
            add_exception(s, &e);
    }
}

void agent_status(const struct agent *a, const struct agent_view *view, struct status *s)
{
    *s = (struct status){
        .number = a->number,
        .seq = a->seq,
        .boot = a->boot,
        .document = view_revision(view),
        .assignment = view->assignment->revision,
        .facts = a->hello ? a->facts : 0,
        .flags = (uint8_t)((a->hello ? STATUS_HELLO : 0) | (a->stale ? STATUS_STALE : 0)),
    };
    if (!view_has_document(view))
        return;
    struct exception e;
    add_unready(a, view, true, s);
    add_unready(a, view, false, s);
    for (uint32_t i = 0; i < view->held_count; i++)
        if (removal_exception(a, view, &view->held[i], &e))
            add_exception(s, &e);
    add_gated(a, view, true, s);
    add_gated(a, view, false, s);
}

/* A heartbeat falls into the last quarter of its time, so that a storm of reconnects does not stay
 * in step; the first one of a connection comes early. */
static uint64_t next_heartbeat(const struct turn *t, bool hello)
{
    uint64_t period_ms = (uint64_t)t->view->document->policy.heartbeat_s * 1000;
    if (hello && period_ms > 2 * AGENT_HELLO_AGAIN_MS)
        return t->ev->now_ms + AGENT_HELLO_AGAIN_MS + rng_below(&t->a->rng, AGENT_HELLO_AGAIN_MS);
    return t->ev->now_ms + period_ms - rng_below(&t->a->rng, period_ms / 4 + 1);
}

void report_tend(struct turn *t)
{
    struct agent *a = t->a;
    uint64_t not_after_s = t->view->document->not_after_s;
    bool stale = view_has_document(t->view) && turn_wall_s(t) > not_after_s;
    if (stale != a->stale) {
        a->stale = stale;
        turn_tell(t);
    }
    if (a->link != LINK_UP || a->seq >= a->seq_ceiling)
        return;
    bool due = a->dirty && t->ev->now_ms >= a->status_due_ms;
    bool beat = t->ev->now_ms >= a->heartbeat_due_ms;
    /* What is being stored is about to change the answer: AGENT_STORED comes at once. */
    if ((!due && !beat) || t->out->store_count > 0)
        return;
    struct status *s = arena_alloc(t->scratch, sizeof *s);
    assert(s);
    agent_status(a, t->view, s);
    turn_act(t, AGENT_SEND)->status = s;
    a->heartbeat_due_ms = next_heartbeat(t, a->hello);
    a->seq++;
    a->hello = false;
    a->dirty = false;
    a->status_sent_ms = t->ev->now_ms;
}
