#include "agent/core/agent.h"

#include <assert.h>

/* One call of agent_step: what everything below reads and writes. */
struct turn {
    struct agent *a;
    const struct agent_event *ev;
    const struct agent_view *view;
    struct arena *scratch;
    struct agent_out *out;
};

static void on_boot(struct turn *t);
static void on_stored(struct turn *t);
static void on_link_up(struct turn *t);
static void on_link_down(struct turn *t);
static void on_head(struct turn *t);
static void on_document(struct turn *t);
static void on_assignment(struct turn *t);
static void on_trust(struct turn *t);
static void on_done(struct turn *t);
static void tend_link(struct turn *t);
static void tend_asks(struct turn *t);
static void tend_work(struct turn *t);
static void tend_status(struct turn *t);
static uint64_t next_deadline(const struct turn *t);

void agent_init(struct agent *a, const struct agent_options *o)
{
    assert(o->cell_count > 0);
    *a = (struct agent){
        .number = o->number,
        .id = o->id,
        .facts = o->facts,
        .cell_count = o->cell_count,
        .rng = {.state = o->seed},
        .seq = o->seq_ceiling ? o->seq_ceiling : 1,
        .seq_ceiling = o->seq_ceiling,
    };
}

void agent_step(struct agent *a, const struct agent_event *ev, struct arena *scratch,
                struct agent_out *out)
{
    struct turn t = {.a = a, .ev = ev, .view = ev->view, .scratch = scratch, .out = out};
    *out = (struct agent_out){.deadline_ms = UINT64_MAX};
    switch (ev->type) {
    case AGENT_BOOT:
        on_boot(&t);
        break;
    case AGENT_TICK:
        break;
    case AGENT_STORED:
        on_stored(&t);
        break;
    case AGENT_LINK_UP:
        on_link_up(&t);
        break;
    case AGENT_LINK_DOWN:
        on_link_down(&t);
        break;
    case AGENT_HEAD:
        on_head(&t);
        break;
    case AGENT_DOCUMENT:
        on_document(&t);
        break;
    case AGENT_ASSIGNMENT:
        on_assignment(&t);
        break;
    case AGENT_TRUST:
        on_trust(&t);
        break;
    case AGENT_REFUSED:
        a->counters.refused++;
        break;
    case AGENT_DONE:
        on_done(&t);
        break;
    }
    tend_link(&t);
    tend_asks(&t);
    tend_work(&t);
    tend_status(&t);
    out->deadline_ms = next_deadline(&t);
}

/* ---- small helpers ---- */

static struct agent_action *act(struct turn *t, enum agent_action_type type)
{
    assert(t->out->action_count < AGENT_ACTIONS_MAX);
    struct agent_action *action = &t->out->actions[t->out->action_count++];
    *action = (struct agent_action){.type = type};
    return action;
}

static struct agent_store *store(struct turn *t, enum agent_store_type type)
{
    assert(t->out->store_count < AGENT_STORES_MAX);
    struct agent_store *s = &t->out->stores[t->out->store_count++];
    *s = (struct agent_store){.type = type};
    return s;
}

/* Something changed that the manager should hear of soon. */
static void tell(struct turn *t)
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

static bool cohort_is_ours(const struct agent_view *view, const struct cohort_key *key)
{
    return memcmp(key, &view->assignment->cohort, sizeof *key) == 0;
}

/* The document's revision, or 0.0 as long as it is none of our cohort's: a revision counts within
 * its cohort. */
static struct revision held_revision(const struct agent_view *view)
{
    if (!cohort_is_ours(view, &view->document->cohort))
        return (struct revision){0};
    return view->document->revision;
}

static bool has_document(const struct agent_view *view)
{
    return held_revision(view).epoch != 0;
}

static const struct held *find_held(const struct agent_view *view, uint32_t deployment)
{
    for (uint32_t i = 0; i < view->held_count; i++)
        if (view->held[i].deployment == deployment)
            return &view->held[i];
    return NULL;
}

static const struct record *find_record(const struct agent_view *view, uint32_t deployment)
{
    for (uint32_t i = 0; i < view->document->count; i++)
        if (view->document->records[i].deployment == deployment)
            return &view->document->records[i];
    return NULL;
}

/* What this agent should run of a deployment; generation 0: nothing. */
static struct target wanted_target(const struct turn *t, uint32_t deployment)
{
    const struct record *r = find_record(t->view, deployment);
    return r ? record_target(r, &t->a->id, t->a->number) : (struct target){0};
}

/* ---- the link ---- */

static void on_boot(struct turn *t)
{
    struct agent *a = t->a;
    a->link = t->view->assignment->removed ? LINK_LEFT : LINK_DOWN;
    a->link_due_ms = t->ev->now_ms;
    a->lanes_log2 = t->view->assignment->lanes_log2;
    if (a->link == LINK_LEFT)
        act(t, AGENT_LEAVE);
    else
        act(t, AGENT_SWEEP);
}

static void tend_link(struct turn *t)
{
    struct agent *a = t->a;
    bool low = a->seq >= a->seq_ceiling || a->seq_ceiling - a->seq < AGENT_SEQ_BLOCK / 4;
    if (a->link == LINK_LEFT)
        return;
    if (low && a->seq_storing == 0 && t->ev->now_ms >= a->seq_retry_ms) {
        a->seq_storing = a->seq_ceiling + AGENT_SEQ_BLOCK;
        store(t, AGENT_STORE_SEQ)->seq = a->seq_storing;
    }
    if (a->link != LINK_DOWN || t->ev->now_ms < a->link_due_ms || a->seq >= a->seq_ceiling)
        return;
    a->link = LINK_CONNECTING;
    struct agent_action *action = act(t, AGENT_CONNECT);
    action->cell = a->link_failures % a->cell_count;
    action->session = a->seq;
}

static void on_link_up(struct turn *t)
{
    struct agent *a = t->a;
    a->link = LINK_UP;
    a->link_failures = 0;
    a->hello = true;
    a->dirty = true;
    a->status_due_ms = t->ev->now_ms;
    for (int i = 0; i < AGENT_TOPIC_COUNT; i++) {
        a->asks[i].subscribed = false;
        a->asks[i].due_ms = t->ev->now_ms;
    }
    /* A head may have led us to a lane where nobody publishes; the assignment is signed. */
    a->lanes_log2 = t->view->assignment->lanes_log2;
    act(t, AGENT_SUBSCRIBE)->lanes_log2 = a->lanes_log2;
}

/* Full jitter (Brooker, "Exponential Backoff And Jitter", 2015): anywhere between now and a growing
 * bound. */
static void on_link_down(struct turn *t)
{
    struct agent *a = t->a;
    uint64_t spread_ms = (uint64_t)t->view->document->policy.reconnect_spread_s * 1000;
    uint64_t bound = (uint64_t)AGENT_BACKOFF_MS << (a->link_failures < 20 ? a->link_failures : 20);
    if (bound > spread_ms)
        bound = spread_ms;
    a->link = LINK_DOWN;
    a->link_failures++;
    a->link_due_ms = t->ev->now_ms + rng_below(&a->rng, bound + 1);
    /* The broker may have seen this connection and its will: its session's number must not come
     * again. */
    if (a->seq < a->seq_ceiling)
        a->seq++;
}

/* ---- heads, and the retained messages they lead to ---- */

static void want(struct turn *t, enum agent_topic topic, struct revision revision, uint64_t due_ms)
{
    struct ask *ask = &t->a->asks[topic];
    if (ask->wanted && revision_compare(revision, ask->revision) <= 0)
        return;
    if (!ask->wanted)
        ask->due_ms = due_ms;
    ask->wanted = true;
    ask->revision = revision;
}

static void on_head(struct turn *t)
{
    struct agent *a = t->a;
    const struct head *h = t->ev->head;
    uint64_t now = t->ev->now_ms;
    if (h->trust_version > t->view->trust_version)
        want(t, AGENT_TOPIC_TRUST, (struct revision){.epoch = 1, .number = h->trust_version}, now);
    if (t->ev->topic == AGENT_TOPIC_ASSIGNMENT) {
        if (revision_compare(h->revision, t->view->assignment->revision) > 0)
            want(t, AGENT_TOPIC_ASSIGNMENT, h->revision, now);
        return;
    }
    if (h->lanes_log2 != a->lanes_log2) {
        a->lanes_log2 = h->lanes_log2;
        act(t, AGENT_SUBSCRIBE)->lanes_log2 = a->lanes_log2;
    }
    uint64_t spread_ms = (uint64_t)t->view->document->policy.fetch_spread_s * 1000;
    if (revision_compare(h->revision, held_revision(t->view)) > 0)
        want(t, AGENT_TOPIC_DOCUMENT, h->revision, now + rng_below(&a->rng, spread_ms + 1));
}

static void tend_asks(struct turn *t)
{
    for (int i = 0; i < AGENT_TOPIC_COUNT; i++) {
        struct ask *ask = &t->a->asks[i];
        if (!ask->wanted || t->a->link != LINK_UP || t->ev->now_ms < ask->due_ms)
            continue;
        if (ask->subscribed)
            act(t, AGENT_UNSUBSCRIBE)->topic = (enum agent_topic)i;
        ask->in_vain = ask->subscribed;
        act(t, AGENT_SUBSCRIBE)->topic = (enum agent_topic)i;
        ask->subscribed = true;
        ask->due_ms = t->ev->now_ms + AGENT_ASK_AGAIN_MS;
    }
}

static void on_document(struct turn *t)
{
    const struct desired *d = t->ev->document;
    if (!cohort_is_ours(t->view, &d->cohort)) {
        t->a->counters.foreign++;
        return;
    }
    int order = revision_compare(d->revision, held_revision(t->view));
    if (order < 0)
        t->a->counters.old++;
    if (order <= 0)
        return;
    store(t, AGENT_STORE_DOCUMENT);
    t->a->asks[AGENT_TOPIC_DOCUMENT].storing = true;
}

static void on_assignment(struct turn *t)
{
    const struct assignment *assignment = t->ev->assignment;
    if (!key_id_equal(&assignment->agent, &t->a->id)) {
        t->a->counters.foreign++;
        return;
    }
    int order = revision_compare(assignment->revision, t->view->assignment->revision);
    if (order < 0)
        t->a->counters.old++;
    if (order <= 0)
        return;
    store(t, AGENT_STORE_ASSIGNMENT);
    t->a->asks[AGENT_TOPIC_ASSIGNMENT].storing = true;
}

static void on_trust(struct turn *t)
{
    if (t->ev->trust_version < t->view->trust_version)
        t->a->counters.old++;
    if (t->ev->trust_version <= t->view->trust_version) {
        t->a->asks[AGENT_TOPIC_TRUST].in_vain = true;
        return;
    }
    store(t, AGENT_STORE_TRUST);
    t->a->asks[AGENT_TOPIC_TRUST].storing = true;
}

/* What came is durable (true), or could not be stored: then it is asked for again later. */
static void end_ask(struct turn *t, enum agent_topic topic);
static bool settle_ask(struct turn *t, enum agent_topic topic, struct revision now_held)
{
    struct ask *ask = &t->a->asks[topic];
    if (!ask->storing)
        return false;
    ask->storing = false;
    if (t->ev->rv < 0) {
        ask->wanted = true;
        ask->due_ms = t->ev->now_ms + AGENT_RETRY_MS;
        return false;
    }
    tell(t);
    if (!ask->wanted || revision_compare(ask->revision, now_held) <= 0)
        end_ask(t, topic);
    return true;
}

static void end_ask(struct turn *t, enum agent_topic topic)
{
    if (t->a->asks[topic].subscribed)
        act(t, AGENT_UNSUBSCRIBE)->topic = topic;
    t->a->asks[topic] = (struct ask){0};
}

/* ---- work on one deployment: a table of steps ---- */

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
};

/* The row as it will be once the step's store is durable. */
static void change_row(struct turn *t, struct held *row, enum step step)
{
    struct agent *a = t->a;
    enum phase before = (enum phase)row->phase;
    if (step != STEP_NOTE)
        row->phase = (uint8_t)rules[step].phase;
    if (step == STEP_BEGIN) {
        const struct record *r = find_record(t->view, a->work);
        assert(r);
        row->deployment = a->work;
        memcpy(row->name, r->name, sizeof row->name);
        row->wanted = record_target(r, &a->id, a->number);
        row->attempts = 0;
        row->cause = CAUSE_NONE;
        /* A removal that was begun may have taken `current` away. */
        row->moved |= before == PHASE_REMOVING && row->running.generation != 0;
    } else if (step == STEP_PREPARE) {
        /* Being put off is no crash. */
        row->attempts =
            (uint8_t)(row->attempts + (before == PHASE_DOWNLOADING || a->put_off != a->work));
    } else if (step == STEP_CHANGE) {
        row->moved = true;
    } else if (step == STEP_SETTLE) {
        row->running = row->wanted;
        row->moved = false;
    } else if (step == STEP_UNDO) {
        row->cause = a->work_cause;
    } else if (step == STEP_GIVE_UP) {
        row->cause = a->work_cause ? a->work_cause : row->cause;
        row->phase = row->running.generation ? PHASE_ROLLED_BACK : PHASE_FAILED;
        row->moved = false;
    }
    const struct record *r = find_record(t->view, a->work);
    if (r)
        row->flags = r->flags;
}

static void begin_store(struct turn *t, const struct held *old, enum step step)
{
    if (step == STEP_DROP) {
        store(t, AGENT_STORE_DROP)->deployment = t->a->work;
    } else {
        struct held *row = arena_alloc(t->scratch, sizeof *row);
        assert(row);
        if (old)
            *row = *old;
        change_row(t, row, step);
        store(t, AGENT_STORE_HELD)->held = row;
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
    action->bundle = row->wanted.bundle;
    action->previous = row->running.bundle;
    if (step == STEP_SWITCH_BACK) {
        action->bundle = row->running.bundle;
    } else if (step == STEP_APPLY_BACK) {
        bool back = row->running.generation != 0;
        action->hook = back ? HOOK_APPLY : HOOK_REMOVE;
        action->bundle = back ? row->running.bundle : row->wanted.bundle;
        action->previous = row->wanted.bundle;
    } else if (step == STEP_REMOVE_HOOK) {
        bool settled = row->running.generation != 0;
        action->bundle = settled ? row->running.bundle : row->wanted.bundle;
        action->previous = (struct digest){0};
    }
}

/* A removal needs no hook where no tree was ever unpacked. */
static bool skipped(const struct held *row, enum step step)
{
    return step == STEP_REMOVE_HOOK && row->running.generation == 0 && !row->moved;
}

static void enter(struct turn *t, enum step step)
{
    struct agent *a = t->a;
    const struct held *row = find_held(t->view, a->work);
    assert(row || step == STEP_BEGIN || step == STEP_NONE);
    if (row && skipped(row, step))
        step = rules[step].next;
    a->step = (uint8_t)step;
    a->work_due_ms = 0;
    if (step == STEP_NONE) {
        act(t, AGENT_SWEEP);
        tell(t);
        return;
    }
    if (rules[step].kind == KIND_STORE)
        begin_store(t, row, step);
    else
        aim_action(act(t, rules[step].action), row, step);
}

/* This version is given up, for good: back to what was verified last. */
static void fail(struct turn *t, enum cause cause)
{
    const struct held *row = find_held(t->view, t->a->work);
    assert(row);
    t->a->work_cause = (uint8_t)cause;
    enter(t, row->moved ? STEP_UNDO : STEP_GIVE_UP);
}

/* Not for good: the row stays where it is, and it is tried again later, after the others. */
static void put_off(struct turn *t, enum cause cause)
{
    struct agent *a = t->a;
    a->step = STEP_NONE;
    a->put_off = a->work;
    a->put_off_cause = (uint8_t)cause;
    a->retry_ms = t->ev->now_ms + AGENT_RETRY_MS;
    tell(t);
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
        put_off(t, rv == ERR_NO_SPACE || rv == ERR_IO ? CAUSE_DISK : CAUSE_FETCH);
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
    else if (step == STEP_HEALTH)
        health_failed(t);
    else if (step == STEP_SWITCH_BACK || step == STEP_DETACH || rv == ERR_NO_SPACE)
        put_off(t, CAUSE_DISK);
    else if (step == STEP_APPLY_BACK || step == STEP_REMOVE_HOOK)
        enter(t, rules[step].next); /* nothing is left to fall back to */
    else
        fail(t, rules[step].cause);
}

static void on_done(struct turn *t)
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

static void work_stored(struct turn *t)
{
    struct agent *a = t->a;
    if (!a->work_storing)
        return;
    a->work_storing = false;
    if (t->ev->rv < 0) {
        put_off(t, CAUSE_DISK);
        return;
    }
    tell(t);
    if (a->step == STEP_VERIFY)
        a->health_until_ms = t->ev->now_ms + (uint64_t)a->health_deadline_s * 1000;
    if (rules[a->step].next == STEP_NONE && a->put_off == a->work)
        a->put_off = 0;
    enter(t, rules[a->step].next);
}

static void seq_stored(struct turn *t)
{
    struct agent *a = t->a;
    if (a->seq_storing && t->ev->rv >= 0)
        a->seq_ceiling = a->seq_storing;
    else if (a->seq_storing)
        a->seq_retry_ms = t->ev->now_ms + AGENT_RETRY_MS;
    a->seq_storing = 0;
}

/* The agent has been given other labels, or has been taken out of the fleet. */
static void assignment_stored(struct turn *t)
{
    struct agent *a = t->a;
    if (t->view->assignment->removed) {
        a->link = LINK_LEFT;
        act(t, AGENT_LEAVE);
        return;
    }
    a->lanes_log2 = t->view->assignment->lanes_log2;
    act(t, AGENT_SUBSCRIBE)->lanes_log2 = a->lanes_log2;
    if (!has_document(t->view))
        end_ask(t, AGENT_TOPIC_DOCUMENT);
}

/* What is being fetched may no longer be what is needed most; its chunks stay, so nothing is lost.
 */
static void reconsider_fetch(struct turn *t)
{
    if (t->a->step != STEP_FETCH)
        return;
    act(t, AGENT_FETCH_STOP);
    t->a->step = STEP_NONE;
}

static void on_stored(struct turn *t)
{
    seq_stored(t);
    work_stored(t);
    bool trust = settle_ask(t, AGENT_TOPIC_TRUST,
                            (struct revision){.epoch = 1, .number = t->view->trust_version});
    bool document = settle_ask(t, AGENT_TOPIC_DOCUMENT, held_revision(t->view));
    bool assignment = settle_ask(t, AGENT_TOPIC_ASSIGNMENT, t->view->assignment->revision);
    if (assignment)
        assignment_stored(t);
    if (document || assignment)
        reconsider_fetch(t);
    if (document || assignment || trust)
        t->a->put_off = 0; /* what was missing may be there now */
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
        bool goes =
            wanted_target(t, other->deployment).generation == 0 && !(other->flags & RECORD_KEEP);
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

/* The document asks for something newer. What may have moved `current` is taken back first: a half
 * applied version must not stay while the next one is fetched, or for as long as it is paused. */
static enum step need_newer(const struct turn *t, const struct held *row, const struct record *r)
{
    if (row && row->moved)
        return row->phase == PHASE_UNDOING ? STEP_SWITCH_BACK : STEP_UNDO;
    if (r->flags & RECORD_PAUSED || name_is_shared(t, r->deployment, r->name, false))
        return STEP_NONE;
    return STEP_BEGIN;
}

/* What a deployment needs now: the step to begin with, or STEP_NONE. */
static enum step need(const struct turn *t, uint32_t deployment)
{
    const struct held *row = find_held(t->view, deployment);
    const struct record *r = find_record(t->view, deployment);
    struct target target = wanted_target(t, deployment);
    if (t->a->link == LINK_LEFT || !has_document(t->view))
        return row ? go_on(row) : STEP_NONE;
    if (target.generation == 0)
        return row ? need_to_leave(t, row) : STEP_NONE;
    if (!row || row->wanted.generation < target.generation)
        return need_newer(t, row, r);
    if (row->phase == PHASE_REMOVING)
        return STEP_BEGIN;
    if (row->phase == PHASE_DOWNLOADING)
        return r->flags & RECORD_PAUSED ? STEP_NONE : STEP_FETCH;
    if (go_on(row) == STEP_NONE && (row->flags ^ r->flags) & RECORD_KEEP)
        return STEP_NOTE;
    return go_on(row);
}

struct choice {
    uint32_t deployment; /* 0: none */
    enum step step;
    uint64_t urgency;
};

/* Removals first (a new deployment may take an old one's name), then by priority. */
static struct choice choice_of(const struct turn *t, uint32_t deployment)
{
    enum step step = need(t, deployment);
    if (step == STEP_NONE)
        return (struct choice){0};
    const struct record *r = find_record(t->view, deployment);
    bool leaves = step == STEP_LEAVE || step == STEP_REMOVE_HOOK;
    return (struct choice){.deployment = deployment,
                           .step = step,
                           .urgency = leaves ? UINT64_MAX
                                      : r    ? r->priority
                                             : 0};
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
    struct choice choice = choose(t);
    if (!choice.deployment)
        return;
    a->work = choice.deployment;
    a->work_cause = CAUSE_NONE;
    const struct held *row = find_held(t->view, a->work);
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

static void tend_work(struct turn *t)
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

/* ---- telling the manager ---- */

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

/* True, and described, when this record is not Ready here. */
static bool record_exception(const struct agent *a, const struct agent_view *view,
                             const struct record *r, struct exception *e)
{
    struct target target = record_target(r, &a->id, a->number);
    const struct held *row = find_held(view, r->deployment);
    if (target.generation == 0)
        return false;
    *e = (struct exception){.deployment = r->deployment, .generation = target.generation};
    e->running = row ? row->running.generation : 0;
    e->cause = a->put_off == r->deployment ? a->put_off_cause : CAUSE_NONE;
    if (!row || row->wanted.generation != target.generation) {
        e->state = r->flags & RECORD_PAUSED ? STATE_PAUSED : STATE_PENDING;
        return true;
    }
    e->state = (uint8_t)agent_state_of(row);
    if (e->cause == CAUSE_NONE)
        e->cause = row->cause;
    return e->state != STATE_READY;
}

static bool removal_exception(const struct agent *a, const struct agent_view *view,
                              const struct held *row, struct exception *e)
{
    for (uint32_t i = 0; i < view->document->count; i++) {
        const struct record *r = &view->document->records[i];
        if (r->deployment == row->deployment && record_target(r, &a->id, a->number).generation != 0)
            return false;
    }
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

void agent_status(const struct agent *a, const struct agent_view *view, struct status *s)
{
    *s = (struct status){
        .number = a->number,
        .seq = a->seq,
        .document = held_revision(view),
        .assignment = view->assignment->revision,
        .facts = a->facts,
        .flags = (uint8_t)((a->hello ? STATUS_HELLO : 0) | (a->stale ? STATUS_STALE : 0)),
    };
    if (!has_document(view))
        return;
    struct exception e;
    for (uint32_t i = 0; i < view->document->count; i++)
        if (record_exception(a, view, &view->document->records[i], &e))
            add_exception(s, &e);
    for (uint32_t i = 0; i < view->held_count; i++)
        if (removal_exception(a, view, &view->held[i], &e))
            add_exception(s, &e);
}

/* A heartbeat falls into the last quarter of its time, so that a storm of reconnects does not stay
 * in step. */
static uint64_t next_heartbeat(const struct turn *t)
{
    uint64_t period_ms = (uint64_t)t->view->document->policy.heartbeat_s * 1000;
    return t->ev->now_ms + period_ms - rng_below(&t->a->rng, period_ms / 4 + 1);
}

static void tend_status(struct turn *t)
{
    struct agent *a = t->a;
    uint64_t not_after_s = t->view->document->not_after_s;
    bool stale = has_document(t->view) && t->ev->wall_s > not_after_s;
    if (stale != a->stale) {
        a->stale = stale;
        tell(t);
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
    act(t, AGENT_SEND)->status = s;
    a->seq++;
    a->hello = false;
    a->dirty = false;
    a->status_sent_ms = t->ev->now_ms;
    a->heartbeat_due_ms = next_heartbeat(t);
}

/* ---- when to be called again ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_deadline(const struct turn *t)
{
    const struct agent *a = t->a;
    uint64_t d = UINT64_MAX;
    bool mute = a->seq >= a->seq_ceiling; /* nothing can be said before a number is reserved */
    if (mute && a->link != LINK_LEFT)
        d = earlier(d, a->seq_retry_ms);
    if (a->link == LINK_DOWN && !mute)
        d = earlier(d, a->link_due_ms);
    if (a->link == LINK_UP && !mute) {
        d = earlier(d, a->heartbeat_due_ms);
        if (a->dirty)
            d = earlier(d, a->status_due_ms);
    }
    if (a->link == LINK_UP) {
        for (int i = 0; i < AGENT_TOPIC_COUNT; i++)
            if (a->asks[i].wanted)
                d = earlier(d, a->asks[i].due_ms);
    }
    if (a->step == STEP_HEALTH && a->work_due_ms)
        d = earlier(d, a->work_due_ms);
    if (a->put_off && t->ev->now_ms < a->retry_ms)
        d = earlier(d, a->retry_ms);
    return d;
}
