#include "agent/core/turn.h"

#include <assert.h>

enum step_kind { KIND_NONE, KIND_STORE, KIND_ACT };

struct step_rule {
    enum step_kind kind;
    enum phase phase;              /* KIND_STORE: what the row becomes */
    enum agent_action_type action; /* KIND_ACT */
    enum agent_hook hook;
    enum step next;   /* when it went well */
    enum cause cause; /* when it failed, and failing is for good */
};

static const struct step_rule rules[STEP_COUNT] = {
    [STEP_BEGIN] = {.kind = KIND_STORE, .phase = PHASE_DOWNLOADING, .next = STEP_FETCH},
    [STEP_FETCH] = {.kind = KIND_ACT, .action = AGENT_FETCH, .next = STEP_UNPACK},
    [STEP_UNPACK] = {.kind = KIND_ACT, .action = AGENT_UNPACK, .next = STEP_PREPARE},
    [STEP_PREPARE] = {.kind = KIND_STORE, .phase = PHASE_PREPARING, .next = STEP_PRE_APPLY},
    [STEP_PRE_APPLY] = {.kind = KIND_ACT,
                        .action = AGENT_HOOK,
                        .hook = HOOK_PRE_APPLY,
                        .next = STEP_CHANGE,
                        .cause = CAUSE_PRE_APPLY},
    [STEP_CHANGE] = {.kind = KIND_STORE, .phase = PHASE_APPLYING, .next = STEP_SWITCH},
    [STEP_SWITCH] = {.kind = KIND_ACT,
                     .action = AGENT_SWITCH,
                     .next = STEP_APPLY,
                     .cause = CAUSE_DISK},
    [STEP_APPLY] = {.kind = KIND_ACT,
                    .action = AGENT_HOOK,
                    .hook = HOOK_APPLY,
                    .next = STEP_VERIFY,
                    .cause = CAUSE_APPLY},
    [STEP_VERIFY] = {.kind = KIND_STORE, .phase = PHASE_VERIFYING, .next = STEP_HEALTH},
    [STEP_HEALTH] = {.kind = KIND_ACT,
                     .action = AGENT_HOOK,
                     .hook = HOOK_HEALTH,
                     .next = STEP_SETTLE,
                     .cause = CAUSE_HEALTH},
    [STEP_SETTLE] = {.kind = KIND_STORE, .phase = PHASE_SETTLED, .next = STEP_NONE},
    [STEP_UNDO] = {.kind = KIND_STORE, .phase = PHASE_UNDOING, .next = STEP_SWITCH_BACK},
    [STEP_SWITCH_BACK] = {.kind = KIND_ACT, .action = AGENT_SWITCH, .next = STEP_APPLY_BACK},
    [STEP_UNPACK_BACK] = {.kind = KIND_ACT, .action = AGENT_UNPACK, .next = STEP_SWITCH_BACK},
    [STEP_FORGET] = {.kind = KIND_STORE, .phase = PHASE_UNDOING, .next = STEP_SWITCH_BACK},
    [STEP_APPLY_BACK] = {.kind = KIND_ACT,
                         .action = AGENT_HOOK,
                         .hook = HOOK_APPLY,
                         .next = STEP_GIVE_UP},
    [STEP_GIVE_UP] = {.kind = KIND_STORE, .phase = PHASE_FAILED, .next = STEP_NONE},
    [STEP_LEAVE] = {.kind = KIND_STORE, .phase = PHASE_REMOVING, .next = STEP_REMOVE_HOOK},
    [STEP_REMOVE_HOOK] = {.kind = KIND_ACT,
                          .action = AGENT_HOOK,
                          .hook = HOOK_REMOVE,
                          .next = STEP_DETACH},
    [STEP_DETACH] = {.kind = KIND_ACT, .action = AGENT_DETACH, .next = STEP_DROP},
    [STEP_DROP] = {.kind = KIND_STORE, .next = STEP_NONE},
    [STEP_NOTE] = {.kind = KIND_STORE, .next = STEP_NONE},
    [STEP_ADOPT] = {.kind = KIND_STORE, .phase = PHASE_SETTLED, .next = STEP_NONE},
};

static bool wants_the_same(const struct turn *t, const struct held *row)
{
    struct target target = turn_target(t, row->deployment);
    return held_wants(row, &target) && digest_equal(&target.bundle, &row->wanted.bundle);
}

/* What the record says beside the version, for when the record is gone. */
static void obey(struct held *row, const struct record *r)
{
    row->flags = r->flags;
    row->after = r->rules.after;
}

/* Being put off is no crash: since this process began, nothing has crashed. True the first time. */
static bool count_try(struct agent *a, uint32_t deployment)
{
    for (size_t i = 0; i < AGENT_TRIED_MAX; i++)
        if (a->tried[i] == deployment)
            return false;
    a->tried[a->tried_count++ % AGENT_TRIED_MAX] = deployment;
    return true;
}

/* The row as it will be once the step's store is durable. */
static void change_row(struct turn *t, struct held *row, enum step step)
{
    struct agent *a = t->a;
    enum phase before = (enum phase)row->phase;
    if (step != STEP_NOTE)
        row->phase = (uint8_t)rules[step].phase;
    if (step == STEP_BEGIN) {
        const struct record *r = view_record(t->view, a->work);
        assert(r);
        row->deployment = a->work;
        memcpy(row->name, r->name, sizeof row->name);
        struct target target = view_target(a, t->view, r);
        row->failures = held_wants(row, &target) ? row->failures : 0;
        row->wanted = target;
        row->signer = t->view->document_signer;
        row->attempts = 0;
        row->cause = CAUSE_NONE;
        /* A removal that was begun may have taken `current` away. */
        row->moved |= before == PHASE_REMOVING && row->running.generation != 0;
    } else if (step == STEP_ADOPT) {
        row->wanted = row->running = turn_target(t, a->work);
        row->failures = 0;
    } else if (step == STEP_PREPARE) {
        bool first = count_try(a, a->work);
        row->attempts = (uint8_t)(row->attempts + (first || before == PHASE_DOWNLOADING));
    } else if (step == STEP_CHANGE) {
        row->moved = true;
    } else if (step == STEP_SETTLE) {
        row->running = row->wanted;
        row->moved = false;
    } else if (step == STEP_UNDO) {
        row->cause = a->work_cause;
    } else if (step == STEP_FORGET) {
        row->running = (struct target){0};
    } else if (step == STEP_GIVE_UP) {
        row->cause = a->work_cause ? a->work_cause : row->cause;
        row->phase = row->running.generation ? PHASE_ROLLED_BACK : PHASE_FAILED;
        row->moved = false;
        row->failures = (uint8_t)(row->failures + (row->failures < UINT8_MAX));
        row->failed_s = a->wall_s;
    } else if (step == STEP_NOTE && rules_is_ahead(a, row)) {
        row->failed_s = a->wall_s;
    }
    const struct record *r = view_record(t->view, a->work);
    if (r && strcmp(r->name, row->name) == 0)
        obey(row, r);
    if (wants_the_same(t, row))
        row->signer = t->view->document_signer;
}

static void begin_store(struct turn *t, const struct held *old, enum step step)
{
    if (step == STEP_DROP) {
        turn_store(t, AGENT_STORE_DROP)->deployment = t->a->work;
    } else {
        struct held *row = arena_alloc(t->scratch, sizeof *row);
        assert(row);
        if (old)
            *row = *old;
        change_row(t, row, step);
        turn_store(t, AGENT_STORE_HELD)->held = row;
    }
    t->a->work_storing = true;
}

/* Going back runs the old version's apply; with nothing to go back to, the failed version's remove.
 */
static void aim_action(struct agent_action *action, const struct held *row, enum step step)
{
    action->deployment = row->deployment;
    action->name = row->name;
    action->hook = rules[step].hook;
    bool settled = row->running.generation != 0;
    const struct target none = {0}, *to = &row->wanted, *from = &row->running;
    if (step == STEP_SWITCH_BACK || step == STEP_UNPACK_BACK) {
        to = &row->running;
        from = &row->wanted;
    } else if (step == STEP_APPLY_BACK) {
        action->hook = settled ? HOOK_APPLY : HOOK_REMOVE;
        to = settled ? &row->running : &row->wanted;
        from = &row->wanted;
    } else if (step == STEP_REMOVE_HOOK) {
        to = settled ? &row->running : &row->wanted;
        from = &none;
    }
    action->bundle = to->bundle;
    action->variables = to->variables;
    action->previous = from->bundle;
    action->previous_variables = from->variables;
}

/* A removal needs no hook where no tree was ever unpacked. */
static bool skipped(const struct held *row, enum step step)
{
    return step == STEP_REMOVE_HOOK && row->running.generation == 0 && !row->moved;
}

/* What was fetched is begun only when no rule has come in the way meanwhile, and no other trust
 * document: a fetch may take days, and who signed it may be revoked by now. */
static bool has_to_wait(const struct turn *t, const struct held *row, enum step step)
{
    const struct record *r = view_record(t->view, t->a->work);
    if (step != STEP_PREPARE || row->phase != PHASE_DOWNLOADING)
        return false;
    return t->a->fetched_under != t->view->trust->version ||
           (r && rules_hold(t->a, t->view, r) != CAUSE_NONE);
}

static void enter(struct turn *t, enum step step)
{
    struct agent *a = t->a;
    const struct held *row = view_held(t->view, a->work);
    assert(row || step == STEP_BEGIN || step == STEP_NONE);
    if (row && skipped(row, step))
        step = rules[step].next;
    if (row && has_to_wait(t, row, step))
        step = STEP_NONE;
    a->step = (uint8_t)step;
    a->work_due_ms = 0;
    if (step == STEP_FETCH)
        a->fetched_under = t->view->trust->version;
    if (step == STEP_NONE) {
        turn_act(t, AGENT_SWEEP);
        turn_tell(t);
        return;
    }
    if (rules[step].kind == KIND_STORE)
        begin_store(t, row, step);
    else
        aim_action(turn_act(t, rules[step].action), row, step);
}

/* This version is given up, for good: back to what was verified last. */
static void fail(struct turn *t, enum cause cause)
{
    const struct held *row = view_held(t->view, t->a->work);
    assert(row);
    t->a->work_cause = (uint8_t)cause;
    enter(t, row->moved ? STEP_UNDO : STEP_GIVE_UP);
}

/* Not for good: the row stays where it is, and it is tried again later, after the others. What
 * fills the disk may be a version that failed and that nothing names any more. */
static void put_off(struct turn *t, enum cause cause)
{
    struct agent *a = t->a;
    a->step = STEP_NONE;
    a->put_off = a->work;
    a->put_off_cause = (uint8_t)cause;
    a->retry_ms = t->ev->now_ms + AGENT_RETRY_MS;
    if (cause == CAUSE_DISK)
        turn_act(t, AGENT_SWEEP);
    turn_tell(t);
}

static bool disk_failed(int rv)
{
    return rv == ERR_NO_SPACE || rv == ERR_IO;
}

static void content_failed(struct turn *t, int rv)
{
    /* A publisher's new key may be on its way. */
    const struct ask *trust = &t->a->asks[AGENT_TOPIC_TRUST];
    if (rv == ERR_UNTRUSTED && trust->wanted && !trust->in_vain)
        put_off(t, CAUSE_UNTRUSTED);
    else if (rv == ERR_UNTRUSTED || rv == ERR_SIGNATURE)
        fail(t, CAUSE_UNTRUSTED);
    else if (rv == ERR_FORMAT || rv == ERR_RANGE || rv == ERR_REFUSED)
        fail(t, CAUSE_CONTENT);
    else
        put_off(t, disk_failed(rv) ? CAUSE_DISK : CAUSE_FETCH);
}

static void health_failed(struct turn *t)
{
    struct agent *a = t->a;
    uint64_t again = t->ev->now_ms + (uint64_t)a->health_interval_s * 1000;
    if (again >= a->health_until_ms)
        fail(t, CAUSE_HEALTH);
    else
        a->work_due_ms = again;
}

static void step_failed(struct turn *t, int rv)
{
    enum step step = (enum step)t->a->step;
    if (step == STEP_FETCH || step == STEP_UNPACK)
        content_failed(t, rv);
    else if (step == STEP_SWITCH_BACK && rv == ERR_NOT_FOUND)
        enter(t, STEP_UNPACK_BACK);
    else if (step == STEP_UNPACK_BACK && !disk_failed(rv))
        enter(t, STEP_FORGET);
    else if (step == STEP_HEALTH)
        health_failed(t);
    else if (step == STEP_SWITCH_BACK || step == STEP_UNPACK_BACK || step == STEP_DETACH ||
             rv == ERR_NO_SPACE)
        put_off(t, CAUSE_DISK);
    else if (rv == ERR_NO_MEMORY)
        put_off(t, CAUSE_NONE);
    else if (step == STEP_APPLY_BACK || step == STEP_REMOVE_HOOK)
        enter(t, rules[step].next); /* nothing is left to fall back to */
    else
        fail(t, rules[step].cause);
}

void work_done(struct turn *t)
{
    struct agent *a = t->a;
    const struct step_rule *rule = &rules[a->step];
    if (rule->kind != KIND_ACT || rule->action != t->ev->done || a->work_due_ms)
        return; /* the answer to something that was stopped */
    if (a->step == STEP_FETCH && t->ev->rv >= 0) {
        a->health_deadline_s = t->ev->health_deadline_s;
        a->health_interval_s = t->ev->health_interval_s;
    }
    if (t->ev->rv < 0)
        step_failed(t, t->ev->rv);
    else
        enter(t, rule->next);
}

void work_stored(struct turn *t)
{
    struct agent *a = t->a;
    if (!a->work_storing)
        return;
    a->work_storing = false;
    if (t->ev->rv < 0) {
        put_off(t, CAUSE_DISK);
        return;
    }
    turn_tell(t);
    if (a->step == STEP_VERIFY)
        a->health_until_ms = t->ev->now_ms + (uint64_t)a->health_deadline_s * 1000;
    if (rules[a->step].next == STEP_NONE && a->put_off == a->work)
        a->put_off = 0;
    enter(t, rules[a->step].next);
}

/* What is being fetched may no longer be what is needed most; its chunks stay, so nothing is lost.
 */
void work_reconsider(struct turn *t)
{
    if (t->a->step != STEP_FETCH)
        return;
    turn_act(t, AGENT_FETCH_STOP);
    t->a->step = STEP_NONE;
}

void work_come_back(struct turn *t)
{
    const struct record *r = view_record(t->view, t->a->work);
    if (t->a->step == STEP_FETCH && r && permit_lacks(t->a, t->view, r))
        work_reconsider(t);
}

/* ---- what a disk has lost ---- */

/* What was begun is begun again anyway, and puts `current` where it is to be. */
bool held_leads(const struct held *row)
{
    bool rests = row->phase == PHASE_SETTLED || row->phase == PHASE_ROLLED_BACK;
    bool waits = row->phase == PHASE_DOWNLOADING || row->phase == PHASE_PREPARING;
    return row->running.generation != 0 && (rests || (waits && !row->moved));
}

void held_begin_anew(struct held *row)
{
    row->moved = true;
    if (row->phase == PHASE_SETTLED) {
        row->phase = PHASE_DOWNLOADING;
        row->attempts = 0;
    } else if (row->phase == PHASE_ROLLED_BACK) {
        row->phase = PHASE_UNDOING;
    }
}

/* ---- choosing the work ---- */

/* What was begun is brought to an end, whatever the document says by then or whether there is one.
 */
static enum step go_on(const struct held *row)
{
    if (row->phase == PHASE_UNDOING)
        return STEP_SWITCH_BACK;
    bool begun = row->phase >= PHASE_PREPARING && row->phase <= PHASE_VERIFYING;
    return begun ? STEP_FETCH : STEP_NONE; /* everything from here on may be done twice */
}

/* Another deployment has this name: one that is to go (`settled` false: the name is not free yet),
 * or one that has taken it over (`settled` true). */
static bool name_is_shared(const struct turn *t, uint32_t deployment, const char *name,
                           bool settled)
{
    for (uint32_t i = 0; i < t->view->held_count; i++) {
        const struct held *other = &t->view->held[i];
        if (other->deployment == deployment || strcmp(other->name, name) != 0)
            continue;
        bool goes = turn_leaves(t, other->deployment) && !(other->flags & RECORD_KEEP);
        if (settled ? other->phase == PHASE_SETTLED : goes)
            return true;
    }
    return false;
}

/* The document has no place for it any more. */
static enum step need_to_leave(const struct turn *t, const struct held *row)
{
    if (!(row->flags & RECORD_KEEP))
        return row->phase == PHASE_REMOVING ? STEP_REMOVE_HOOK : STEP_LEAVE;
    if (row->moved)
        return row->phase == PHASE_UNDOING ? STEP_SWITCH_BACK : STEP_UNDO;
    return name_is_shared(t, row->deployment, row->name, true) ? STEP_DROP : STEP_NONE;
}

static void look_again_in(const struct turn *t, uint64_t s)
{
    struct agent *a = t->a;
    uint64_t due_ms = t->ev->now_ms + s * 1000;
    a->rules_due_ms = a->rules_due_ms && a->rules_due_ms < due_ms ? a->rules_due_ms : due_ms;
}

/* Nothing of it is begun: by an operator's word, or by a rule of the record's. Windows open at full
 * minutes; each is waited for by itself, so that it matters little when the calendar jumps. */
static bool is_held(const struct turn *t, const struct record *r)
{
    if (view_holds(t->a, t->view, r))
        return true;
    enum cause cause = rules_hold(t->a, t->view, r);
    if (cause == CAUSE_WINDOW || cause == CAUSE_CLOCK)
        look_again_in(t, 60 - t->a->wall_s % 60);
    if (cause == CAUSE_RETURNING && t->a->link == LINK_UP && !t->a->known)
        look_again_in(t, AGENT_KNOWN_MS / 1000);
    return cause != CAUSE_NONE;
}

/* What failed is tried once more. Meanwhile a window may close. */
static bool is_to_retry(const struct turn *t, const struct held *row, const struct record *r)
{
    if (!rules_retry(row, r) || is_held(t, r))
        return false;
    uint64_t left_s = rules_back_off_s(t->a, row, r);
    if (left_s > 0)
        look_again_in(t, left_s);
    if (left_s > 0 && r->rules.window.length_s > 0)
        look_again_in(t, 60 - t->a->wall_s % 60);
    return left_s == 0;
}

/* Between two tries it matters to the manager what they wait for: only back-offs are the device's
 * own time. */
static void tell_held_tries(struct turn *t)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < t->view->held_count; i++) {
        const struct held *row = &t->view->held[i];
        const struct record *r = view_record(t->view, row->deployment);
        held += r && rules_retry(row, r) && rules_hold(t->a, t->view, r) != CAUSE_NONE;
    }
    if (held != t->a->held_tries)
        turn_tell(t);
    t->a->held_tries = (uint8_t)held;
}

/* It matters when the record is gone; and a failure's date for as long as it is waited from there.
 */
static bool is_to_note(const struct turn *t, const struct held *row, const struct record *r)
{
    if (rules_retry(row, r) && rules_is_ahead(t->a, row))
        return true;
    return (row->flags ^ r->flags) & RECORD_KEEP ||
           !dependencies_equal(&row->after, &r->rules.after);
}

/* The document asks for something newer. What may have moved `current` is taken back first: a half
 * applied version must not stay while the next one is fetched, or for as long as it is paused. */
static enum step need_newer(const struct turn *t, const struct held *row, const struct record *r)
{
    if (row && row->moved)
        return row->phase == PHASE_UNDOING ? STEP_SWITCH_BACK : STEP_UNDO;
    if (is_held(t, r) || name_is_shared(t, r->deployment, r->name, false))
        return STEP_NONE;
    return STEP_BEGIN;
}

bool work_is_under_way(const struct held *row)
{
    return row && go_on(row) != STEP_NONE;
}

/* It runs already: its version was taken back meanwhile, or the manager counts from higher on. */
static bool runs_already(const struct held *row, const struct target *target)
{
    return row->phase == PHASE_SETTLED && digest_equal(&row->running.bundle, &target->bundle) &&
           row->running.variables == target->variables;
}

/* A manager that was put back from a backup gives the number of a deployment that it has forgotten
 * to another one. */
static enum step need_to_make_way(const struct held *row)
{
    if (!(row->flags & RECORD_KEEP))
        return row->phase == PHASE_REMOVING ? STEP_REMOVE_HOOK : STEP_LEAVE;
    if (row->moved)
        return row->phase == PHASE_UNDOING ? STEP_SWITCH_BACK : STEP_UNDO;
    return STEP_DROP;
}

/* What a deployment needs now: the step to begin with, or STEP_NONE. */
static enum step need(const struct turn *t, uint32_t deployment)
{
    const struct held *row = view_held(t->view, deployment);
    const struct record *r = view_record(t->view, deployment);
    struct target target = turn_target(t, deployment);
    if (t->a->link == LINK_LEFT || !view_has_document(t->view))
        return row ? go_on(row) : STEP_NONE;
    if (turn_leaves(t, deployment))
        return row ? need_to_leave(t, row) : STEP_NONE;
    if (row && strcmp(row->name, r->name) != 0)
        return need_to_make_way(row);
    /* A rollout has not come to it yet, or it lacks a value. */
    if (target.generation == 0 || view_lacks(t->view, r, &target))
        return row ? go_on(row) : STEP_NONE;
    if (row && row->wanted.generation < target.generation && runs_already(row, &target))
        return STEP_ADOPT;
    /* Another value changes what is asked for as another version does. */
    bool other_values = row && row->wanted.generation == target.generation &&
                        row->wanted.variables != target.variables;
    if (!row || row->wanted.generation < target.generation || other_values ||
        (!wants_the_same(t, row) && view_unbinds(t->view, row)))
        return need_newer(t, row, r);
    if (row->phase == PHASE_REMOVING)
        return STEP_BEGIN;
    bool withdrawn = row->wanted.generation > target.generation;
    if (row->phase == PHASE_DOWNLOADING)
        return withdrawn || is_held(t, r) ? STEP_NONE : STEP_FETCH;
    if (!withdrawn && is_to_retry(t, row, r))
        return STEP_BEGIN;
    if (go_on(row) == STEP_NONE && (is_to_note(t, row, r) || view_unbinds(t->view, row)))
        return STEP_NOTE;
    return go_on(row);
}

struct choice {
    uint32_t deployment; /* 0: none */
    enum step step;
    uint64_t urgency;
};

/* Another one that is removed as well depends on it. */
static bool is_needed_by_leaving(const struct turn *t, uint32_t deployment)
{
    for (uint32_t i = 0; i < t->view->held_count; i++) {
        const struct held *other = &t->view->held[i];
        if (dependencies_have(&other->after, deployment) && turn_leaves(t, other->deployment) &&
            !(other->flags & RECORD_KEEP))
            return true;
    }
    return false;
}

/* What is half applied before all else, since it may be an agent on trial, and that has a deadline.
 * Then removals (a new deployment may take an old one's name), of these what others depend on last;
 * then by priority. */
static uint64_t urgency_of(const struct turn *t, uint32_t deployment, enum step step)
{
    const struct record *r = view_record(t->view, deployment);
    const struct held *row = view_held(t->view, deployment);
    if (row && row->moved && work_is_under_way(row))
        return UINT64_MAX;
    if (step == STEP_LEAVE || step == STEP_REMOVE_HOOK)
        return is_needed_by_leaving(t, deployment) ? UINT64_MAX - 2 : UINT64_MAX - 1;
    return r ? r->priority : 0;
}

static struct choice choice_of(const struct turn *t, uint32_t deployment)
{
    enum step step = need(t, deployment);
    if (step == STEP_NONE)
        return (struct choice){0};
    return (struct choice){
        .deployment = deployment, .step = step, .urgency = urgency_of(t, deployment, step)};
}

/* True when `x` comes before `y`; of two equals the lower number. */
static bool comes_before(const struct choice *x, const struct choice *y)
{
    if (x->urgency != y->urgency)
        return x->urgency > y->urgency;
    return x->deployment < y->deployment;
}

/* The best of all, and the best of those whose turn comes after the one that was put off. */
struct choices {
    struct choice put_off;
    struct choice best;
    struct choice after;
};

static void consider(const struct turn *t, uint32_t deployment, struct choices *c)
{
    struct choice x = choice_of(t, deployment);
    if (!x.deployment)
        return;
    if (!c->best.deployment || comes_before(&x, &c->best))
        c->best = x;
    bool later = !c->put_off.deployment || comes_before(&c->put_off, &x);
    if (later && (!c->after.deployment || comes_before(&x, &c->after)))
        c->after = x;
}

/* Everybody has a turn: what was put off waits, and what comes after it doesn't. */
static struct choice choose(const struct turn *t)
{
    struct choices c = {.put_off = choice_of(t, t->a->put_off)};
    for (uint32_t i = 0; i < t->view->held_count; i++)
        consider(t, t->view->held[i].deployment, &c);
    for (uint32_t i = 0; i < t->view->document->count; i++)
        consider(t, t->view->document->records[i].deployment, &c);
    if (c.after.deployment || t->ev->now_ms < t->a->retry_ms)
        return c.after;
    return c.best;
}

static void begin_work(struct turn *t)
{
    struct agent *a = t->a;
    a->rules_due_ms = 0;
    tell_held_tries(t);
    struct choice choice = choose(t);
    if (!choice.deployment)
        return;
    a->work = choice.deployment;
    a->work_cause = CAUSE_NONE;
    const struct held *row = view_held(t->view, a->work);
    if (choice.step == STEP_SWITCH_BACK)
        a->work_cause = row->cause;
    if (choice.step == STEP_FETCH && row->attempts >= AGENT_ATTEMPTS_MAX)
        fail(t, CAUSE_CRASHES);
    else
        enter(t, choice.step);
}

/* A try that waits for its next health check gives way when the document by now says otherwise. */
static bool superseded(const struct turn *t)
{
    const struct agent *a = t->a;
    if (a->step != STEP_HEALTH || !a->work_due_ms)
        return false;
    enum step now = need(t, a->work);
    return now == STEP_UNDO || now == STEP_LEAVE;
}

void work_tend(struct turn *t)
{
    struct agent *a = t->a;
    if (superseded(t))
        a->step = STEP_NONE;
    if (a->step == STEP_HEALTH && a->work_due_ms && t->ev->now_ms >= a->work_due_ms)
        enter(t, STEP_HEALTH);
    bool changing =
        a->asks[AGENT_TOPIC_DOCUMENT].storing || a->asks[AGENT_TOPIC_ASSIGNMENT].storing;
    /* What is new may be signed by a new key; but work never waits for long on the word of a head.
     */
    const struct ask *trust = &a->asks[AGENT_TOPIC_TRUST];
    bool trust_first = trust->wanted && !trust->in_vain && a->link == LINK_UP;
    if (a->step == STEP_NONE && !changing && !trust_first)
        begin_work(t);
}
