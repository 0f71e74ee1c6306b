#include "agent/core/turn.h"

#include <assert.h>

static void on_boot(struct turn *t);
static void on_stored(struct turn *t);
static void on_link_up(struct turn *t);
static void on_link_down(struct turn *t);
static void on_network(struct turn *t);
static void on_head(struct turn *t);
static void on_document(struct turn *t);
static void on_assignment(struct turn *t);
static void on_trust(struct turn *t);
static void on_atlas(struct turn *t);
static void tend_link(struct turn *t);
static void tend_lane(struct turn *t);
static void tend_asks(struct turn *t);
static void end_ask(struct turn *t, enum agent_topic topic);
static uint64_t next_deadline(const struct turn *t);

void agent_init(struct agent *a, const struct agent_options *o)
{
    assert(o->boot != 0);
    *a = (struct agent){
        .number = o->number,
        .id = o->id,
        .facts = o->facts,
        .boot = o->boot,
        .rng = {.state = o->seed},
        .wall = wall_start(o->floor_s, o->now_ms),
        .seq = o->seq_ceiling ? o->seq_ceiling : 1,
        .seq_ceiling = o->seq_ceiling,
        .move_due_ms = UINT64_MAX,
    };
}

/* What rules go by in this step, and in what is said of them afterwards. */
static void look_at_the_clock(struct turn *t)
{
    struct agent *a = t->a;
    a->wall_s = turn_wall_s(t);
    a->east_s = t->ev->east_s;
    a->knows_time = t->ev->wall_s + AGENT_CLOCK_SLACK_S >= wall_floor_s(&a->wall, t->ev->now_ms);
    a->known = a->link == LINK_UP && t->ev->now_ms >= a->link_up_ms + AGENT_KNOWN_MS;
}

void agent_step(struct agent *a, const struct agent_event *ev, struct arena *scratch,
                struct agent_out *out)
{
    struct turn t = {.a = a, .ev = ev, .view = ev->view, .scratch = scratch, .out = out};
    *out = (struct agent_out){.deadline_ms = UINT64_MAX};
    wall_learn(&a->wall, ev->view->rooted_s, ev->now_ms);
    wall_learn_online(&a->wall, ev->view->signed_s, ev->view->rooted_s, ev->wall_s, ev->now_ms);
    look_at_the_clock(&t);
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
    case AGENT_NETWORK:
        on_network(&t);
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
    case AGENT_ATLAS:
        on_atlas(&t);
        break;
    case AGENT_CERTIFICATE:
        renewal_take(&t);
        break;
    case AGENT_SHUT_OUT:
        renewal_shut_out(&t);
        break;
    case AGENT_REFUSED:
        a->counters.refused++;
        break;
    case AGENT_DONE:
        work_done(&t);
        break;
    }
    tend_link(&t);
    tend_asks(&t);
    renewal_tend(&t);
    work_tend(&t);
    report_tend(&t);
    tend_lane(&t);
    out->deadline_ms = next_deadline(&t);
}

/* ---- the link ---- */

static void on_boot(struct turn *t)
{
    struct agent *a = t->a;
    a->link = t->view->assignment->removed ? LINK_LEFT : LINK_DOWN;
    a->link_due_ms = t->ev->now_ms;
    if (a->link == LINK_LEFT)
        turn_act(t, AGENT_LEAVE);
    else
        turn_act(t, AGENT_SWEEP);
}

static void tend_link(struct turn *t)
{
    struct agent *a = t->a;
    bool low = a->seq >= a->seq_ceiling || a->seq_ceiling - a->seq < AGENT_SEQ_BLOCK / 4;
    if (a->link == LINK_LEFT)
        return;
    if (low && a->seq_storing == 0 && t->ev->now_ms >= a->seq_retry_ms) {
        a->seq_storing = a->seq_ceiling + AGENT_SEQ_BLOCK;
        struct agent_store *store = turn_store(t, AGENT_STORE_SEQ);
        store->seq = a->seq_storing;
        store->floor_s = wall_floor_s(&a->wall, t->ev->now_ms);
    }
    if (a->seq >= a->seq_ceiling)
        return;
    bool leaves = berth_leaves(t);
    if (!leaves && (a->link != LINK_DOWN || t->ev->now_ms < a->link_due_ms))
        return;
    a->knocked = !leaves && renewal_by_door(t);
    if (a->knocked) {
        a->link = LINK_KNOCKING;
        turn_act(t, AGENT_KNOCK)->time = turn_time(t);
        return;
    }
    a->link = LINK_CONNECTING;
    a->cell = (uint8_t)berth_next(t);
    struct agent_action *action = turn_act(t, AGENT_CONNECT);
    action->cell = a->cell;
    action->session = a->seq;
    action->time = turn_time(t);
}

/* [topic-4] Lane 0 is always there: for whoever has no document of its cohort, and for whoever has
 * heard nothing for so long that lanes may have been given up. */
static uint8_t lanes_log2(const struct turn *t)
{
    bool counts = view_has_document(t->view) && !t->a->stale;
    return counts ? t->view->document->lanes_log2 : 0;
}

static void hear_heads(struct turn *t)
{
    t->a->lanes_log2 = lanes_log2(t);
    turn_act(t, AGENT_SUBSCRIBE)->lanes_log2 = t->a->lanes_log2;
}

/* Each agent moves with the document that says so, so that all of them do as spread as they take
 * it. What the other lane retains, it holds already. */
static void tend_lane(struct turn *t)
{
    if (t->a->link == LINK_UP && t->a->lanes_log2 != lanes_log2(t))
        hear_heads(t);
}

static void on_link_up(struct turn *t)
{
    struct agent *a = t->a;
    a->link = LINK_UP;
    a->link_up_ms = t->ev->now_ms;
    renewal_let_in(t);
    a->hello = true;
    a->dirty = true;
    a->status_due_ms = t->ev->now_ms;
    for (int i = 0; i < AGENT_TOPIC_COUNT; i++) {
        a->asks[i].subscribed = a->asks[i].told = false;
        a->asks[i].due_ms = t->ev->now_ms;
    }
    hear_heads(t);
    berth_link_up(t);
    permit_link_up(t);
    work_come_back(t);
}

/* Full jitter (Brooker, "Exponential Backoff And Jitter", 2015): anywhere between now and a growing
 * bound. Who loses a steady link may be one of all agents of a broker that died, and comes back
 * within the whole spread. */
static uint64_t back_off_bound(const struct turn *t, bool steady)
{
    const struct agent *a = t->a;
    uint64_t spread_ms = (uint64_t)t->view->document->policy.reconnect_spread_s * 1000;
    uint64_t bound = (uint64_t)AGENT_BACKOFF_MS << (a->link_failures < 20 ? a->link_failures : 20);
    if (a->link == LINK_KNOCKING && t->ev->rv == ERR_REFUSED)
        return AGENT_REFUSED_MS;
    return bound < spread_ms && !steady ? bound : spread_ms;
}

static void on_link_down(struct turn *t)
{
    struct agent *a = t->a;
    bool was_up = a->link == LINK_UP;
    bool steady = was_up && t->ev->now_ms - a->link_up_ms >= AGENT_STEADY_MS;
    if (steady)
        a->link_failures = 0;
    uint64_t bound = back_off_bound(t, steady);
    a->certificate_refused = a->link == LINK_CONNECTING && t->ev->rv == ERR_REFUSED;
    a->link = LINK_DOWN;
    a->link_failures++;
    berth_link_down(t);
    a->link_due_ms = t->ev->now_ms + rng_below(&a->rng, bound + 1);
    /* The broker may have seen this connection and its will: its session's number must not come
     * again. */
    if (a->seq < a->seq_ceiling)
        a->seq++;
    if (was_up && t->ev->rv == ERR_TIMEOUT)
        on_network(t);
}

/* What failed before says nothing of this network. A name may still be without a server to ask, and
 * the route that matters may come next: so the back-off begins anew. */
static void on_network(struct turn *t)
{
    struct agent *a = t->a;
    uint64_t due_ms = t->ev->now_ms + rng_below(&a->rng, AGENT_NETWORK_MS + 1);
    if (a->link != LINK_DOWN)
        return;
    a->link_failures = 0;
    if (due_ms < a->link_due_ms)
        a->link_due_ms = due_ms;
}

/* ---- heads, and the retained messages they lead to ---- */

static void want(struct turn *t, enum agent_topic topic, struct revision revision, uint64_t due_ms)
{
    struct ask *ask = &t->a->asks[topic];
    int order = ask->wanted ? revision_compare(revision, ask->revision) : 1;
    ask->told |= order >= 0;
    if (order <= 0)
        return;
    if (!ask->wanted)
        ask->due_ms = due_ms;
    ask->wanted = true;
    ask->revision = revision;
}

/* A second of an agent's that is late comes soon: these are spread by their coming. */
static void want_atlas(struct turn *t, uint32_t number)
{
    struct agent *a = t->a;
    struct ask *ask = &a->asks[AGENT_TOPIC_ATLAS];
    bool late = berth_is_late(t, number);
    uint64_t spread_ms = (uint64_t)t->view->document->policy.fetch_spread_s * 1000;
    if (late && spread_ms > AGENT_NETWORK_MS)
        spread_ms = AGENT_NETWORK_MS;
    uint64_t due_ms = t->ev->now_ms + rng_below(&a->rng, spread_ms + 1);
    want(t, AGENT_TOPIC_ATLAS, (struct revision){.epoch = 1, .number = number}, due_ms);
    if (late && !a->late && due_ms < ask->due_ms)
        ask->due_ms = due_ms;
    a->late |= late;
}

/* What is newer than the held document is newer than what of it still binds: then nobody need look
 * up who signed that. */
static bool is_newer_document(const struct turn *t, struct revision r)
{
    return revision_compare(r, view_revision(t->view)) > 0 ||
           revision_compare(r, view_document_floor(t->view)) > 0;
}

static void on_head(struct turn *t)
{
    struct agent *a = t->a;
    const struct head *h = t->ev->head;
    uint64_t now = t->ev->now_ms;
    if (h->trust_version > t->view->trust->version)
        want(t, AGENT_TOPIC_TRUST, (struct revision){.epoch = 1, .number = h->trust_version}, now);
    if (h->atlas > view_atlas_floor(t->view))
        want_atlas(t, h->atlas);
    if (t->ev->topic == AGENT_TOPIC_ASSIGNMENT) {
        a->own_head = h->revision;
        if (revision_compare(h->revision, view_assignment_floor(t->view)) > 0)
            want(t, AGENT_TOPIC_ASSIGNMENT, h->revision, now);
        return;
    }
    permit_head(t);
    uint64_t spread_ms = (uint64_t)t->view->document->policy.fetch_spread_s * 1000;
    if (is_newer_document(t, h->revision))
        want(t, AGENT_TOPIC_DOCUMENT, h->revision, now + rng_below(&a->rng, spread_ms + 1));
}

/* [assignment-6] A document may count on an assignment that came before it: that one comes first,
 * unless the broker has none, whatever a head said. And where it is retained nobody is sure of, the
 * atlas tells. */
static bool has_to_wait(const struct turn *t, int topic)
{
    const struct ask *assignment = &t->a->asks[AGENT_TOPIC_ASSIGNMENT];
    return topic == AGENT_TOPIC_DOCUMENT &&
           ((assignment->wanted && !assignment->in_vain) || berth_holds_up(t->a, t->view));
}

/* [head-2] What was told on another connection, perhaps by a liar, this broker was asked for: were
 * it asked again and again, a lie of one would cost all others a fetch after the other. */
static bool is_hearsay(const struct ask *ask)
{
    return ask->subscribed && !ask->told && !ask->storing;
}

/* The assignment before the document, which may have to wait for it. Of what is given up, the heads
 * that come once more know better. */
static void tend_asks(struct turn *t)
{
    bool gives_up = false;
    for (int i = AGENT_TOPIC_COUNT - 1; i >= 0; i--) {
        struct ask *ask = &t->a->asks[i];
        if (!ask->wanted || t->a->link != LINK_UP || t->ev->now_ms < ask->due_ms ||
            has_to_wait(t, i))
            continue;
        if (is_hearsay(ask)) {
            end_ask(t, (enum agent_topic)i);
            gives_up = true;
            continue;
        }
        if (ask->subscribed)
            turn_act(t, AGENT_UNSUBSCRIBE)->topic = (enum agent_topic)i;
        ask->in_vain = ask->subscribed;
        turn_act(t, AGENT_SUBSCRIBE)->topic = (enum agent_topic)i;
        ask->subscribed = true;
        ask->due_ms = t->ev->now_ms + AGENT_ASK_AGAIN_MS;
    }
    if (gives_up)
        hear_heads(t);
}

static void on_document(struct turn *t)
{
    const struct desired *d = t->ev->document;
    if (!view_is_ours(t->view, &d->cohort)) {
        t->a->counters.foreign++;
        return;
    }
    if (!is_newer_document(t, d->revision)) {
        t->a->counters.old += revision_compare(d->revision, view_document_floor(t->view)) < 0;
        return;
    }
    if (has_to_wait(t, AGENT_TOPIC_DOCUMENT)) {
        want(t, AGENT_TOPIC_DOCUMENT, d->revision, t->ev->now_ms);
        t->a->asks[AGENT_TOPIC_DOCUMENT].due_ms = t->ev->now_ms;
        return;
    }
    permit_document(t);
    turn_store(t, AGENT_STORE_DOCUMENT);
    t->a->asks[AGENT_TOPIC_DOCUMENT].storing = true;
}

static void on_assignment(struct turn *t)
{
    const struct assignment *assignment = t->ev->assignment;
    if (!key_id_equal(&assignment->agent, &t->a->id)) {
        t->a->counters.foreign++;
        return;
    }
    int order = revision_compare(assignment->revision, view_assignment_floor(t->view));
    if (order < 0)
        t->a->counters.old++;
    if (order <= 0)
        return;
    permit_assignment(t);
    turn_store(t, AGENT_STORE_ASSIGNMENT);
    t->a->asks[AGENT_TOPIC_ASSIGNMENT].storing = true;
}

static void on_trust(struct turn *t)
{
    if (t->ev->trust_version < t->view->trust->version)
        t->a->counters.old++;
    if (t->ev->trust_version <= t->view->trust->version) {
        t->a->asks[AGENT_TOPIC_TRUST].in_vain = true;
        return;
    }
    turn_store(t, AGENT_STORE_TRUST);
    t->a->asks[AGENT_TOPIC_TRUST].storing = true;
}

static void on_atlas(struct turn *t)
{
    uint32_t floor = view_atlas_floor(t->view);
    if (t->ev->atlas < floor)
        t->a->counters.old++;
    if (t->ev->atlas <= floor)
        return;
    berth_take(t);
    turn_store(t, AGENT_STORE_ATLAS);
    t->a->asks[AGENT_TOPIC_ATLAS].storing = true;
}

/* What came is durable (true), or could not be stored: then it is asked for again later. */
static void walk_on(struct turn *t, struct ask *ask);
static bool settle_ask(struct turn *t, enum agent_topic topic, struct revision now_held)
{
    struct ask *ask = &t->a->asks[topic];
    if (!ask->storing)
        return false;
    ask->storing = false;
    if (t->ev->rv < 0) {
        ask->wanted = true;
        ask->due_ms = t->ev->now_ms + AGENT_RETRY_MS;
        permit_forget(t->a); /* what is remembered is about the document that didn't come */
        return false;
    }
    if (topic != AGENT_TOPIC_ATLAS)
        turn_tell(t);
    if (!ask->wanted || revision_compare(ask->revision, now_held) <= 0)
        end_ask(t, topic);
    else if (topic == AGENT_TOPIC_TRUST)
        walk_on(t, ask);
    return true;
}

/* [trust-4] Each version has a topic of its own: the next one is asked for. */
static void walk_on(struct turn *t, struct ask *ask)
{
    if (ask->subscribed)
        turn_act(t, AGENT_UNSUBSCRIBE)->topic = AGENT_TOPIC_TRUST;
    ask->subscribed = false;
    ask->in_vain = false;
    ask->due_ms = t->ev->now_ms;
}

static void end_ask(struct turn *t, enum agent_topic topic)
{
    if (t->a->asks[topic].subscribed)
        turn_act(t, AGENT_UNSUBSCRIBE)->topic = topic;
    t->a->asks[topic] = (struct ask){0};
}

/* ---- what the last step asked to store is durable, or isn't ---- */

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
        turn_act(t, AGENT_LEAVE);
        return;
    }
    a->own_came = true;
    hear_heads(t);
    if (!view_has_document(t->view)) {
        end_ask(t, AGENT_TOPIC_DOCUMENT);
        permit_move(a);
    }
}

/* What came too early, signed by a key that we had not heard of, was refused. */
static void ask_again(struct turn *t, enum agent_topic topic)
{
    struct ask *ask = &t->a->asks[topic];
    if (ask->wanted && ask->subscribed && !ask->storing)
        ask->due_ms = t->ev->now_ms;
}

/* [trust-6] What is held by a revoked key stays in force until the heads, which come once more,
 * lead to the same by another key. */
static void trust_stored(struct turn *t)
{
    struct agent *a = t->a;
    const struct agent_view *view = t->view;
    if (a->asks[AGENT_TOPIC_TRUST].wanted)
        return; /* on the way */
    renewal_reconsider(t);
    ask_again(t, AGENT_TOPIC_DOCUMENT);
    ask_again(t, AGENT_TOPIC_ASSIGNMENT);
    ask_again(t, AGENT_TOPIC_ATLAS);
    if (!trust_knows(view->trust, TRUST_ONLINE, &view->document_signer) ||
        !trust_knows(view->trust, TRUST_ONLINE, &view->assignment_signer) ||
        view_atlas_floor(view) < view->atlas)
        hear_heads(t);
}

static void on_stored(struct turn *t)
{
    seq_stored(t);
    work_stored(t);
    bool trust = settle_ask(t, AGENT_TOPIC_TRUST,
                            (struct revision){.epoch = 1, .number = t->view->trust->version});
    bool document = settle_ask(t, AGENT_TOPIC_DOCUMENT, view_revision(t->view));
    bool assignment = settle_ask(t, AGENT_TOPIC_ASSIGNMENT, t->view->assignment->revision);
    bool atlas =
        settle_ask(t, AGENT_TOPIC_ATLAS, (struct revision){.epoch = 1, .number = t->view->atlas});
    if (assignment)
        assignment_stored(t);
    if (trust)
        trust_stored(t);
    if (atlas)
        berth_stored(t);
    if (document || assignment)
        work_reconsider(t);
    if (document || assignment || trust)
        t->a->put_off = 0; /* what was missing may be there now */
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
            if (a->asks[i].wanted && !has_to_wait(t, i))
                d = earlier(d, a->asks[i].due_ms);
    }
    if (a->link == LINK_UP && !mute)
        d = earlier(d, a->move_due_ms);
    d = earlier(d, renewal_due_ms(t));
    if (a->step == STEP_HEALTH && a->work_due_ms)
        d = earlier(d, a->work_due_ms);
    /* When it has come, and a trust document is waited for, that is what is next. */
    if (a->step == STEP_NONE && t->ev->now_ms < a->rules_due_ms)
        d = earlier(d, a->rules_due_ms);
    if (a->put_off && t->ev->now_ms < a->retry_ms)
        d = earlier(d, a->retry_ms);
    return d;
}
