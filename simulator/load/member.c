#include "simulator/load/crowd.h"

#include <assert.h>
#include <stdlib.h>

static struct agent_view *view_of(struct member *m);
static void add_document(struct agent_view *view, const struct lore_document *d);
static void store(struct member *m, const struct agent_out *out, const struct incoming *in);
static void store_one(struct member *m, const struct agent_store *s, const struct incoming *in);
static void store_held(struct member *m, const struct held *h);
static void drop_held(struct member *m, uint32_t deployment);
static void perform(struct crowd *c, struct member *m, const struct agent_action *a);
static void end_jobs(struct crowd *c, struct member *m);
static int outcome(const struct crowd *c, const struct member *m);
static void arm(struct crowd *c, struct member *m);
static uint64_t ping_due_ms(const struct member *m);

void member_init(struct crowd *c, struct member *m, uint32_t index)
{
    m->index = index;
    m->id = key_id_of(&crowd_seed(c, m)->key.public);
    m->checks = crowd_agent(c, m) % MEMBER_CHECKS_EVERY == 0;
}

void member_free(struct crowd *c, struct member *m)
{
    line_cut(&c->hub, &m->line);
    fetch_stop(c, m);
    free(m->certificate);
    free(m->held);
    m->certificate = NULL;
    m->held = NULL;
}

void member_start(struct crowd *c, struct member *m)
{
    struct agent_options o = {
        .number = m->number,
        .id = m->id,
        .boot = (uint32_t)rng_next(&c->rng) | 1,
        .seq_ceiling = m->seq_ceiling,
        .floor_s = m->floor_s,
        .now_ms = c->now_ms,
        .seed = rng_next(&c->rng),
    };
    m->state = MEMBER_RUNNING;
    agent_init(&m->core, &o);
    member_feed(c, m, &(struct agent_event){.type = AGENT_BOOT}, NULL);
}

void member_cut(struct crowd *c, struct member *m)
{
    if (seat_cut(c, m))
        member_down(c, m);
}

void member_wake(struct crowd *c, struct member *m)
{
    if (m->state == MEMBER_JOINING) {
        member_join_wake(c, m);
        return;
    }
    fetch_wake(c, m);
    member_feed(c, m, &(struct agent_event){.type = AGENT_TICK}, NULL);
    if (c->now_ms < ping_due_ms(m))
        return; /* what it says is as good as a ping */
    m->spoke_ms = c->now_ms;
    line_ping(&c->hub, &m->line);
    arm(c, m);
}

/* Half of the keep-alive, as clients do; trunks need none. */
static uint64_t ping_due_ms(const struct member *m)
{
    uint64_t keepalive_s = view_of((struct member *)m)->document->policy.keepalive_s;
    return m->line.state == LINE_UP ? m->spoke_ms + keepalive_s * 500 : UINT64_MAX;
}

/* ---- its connection ---- */

void member_connect(struct crowd *c, struct member *m)
{
    m->since_us = c->now_us;
    seat_connect(c, m);
}

void member_opened(struct crowd *c, struct member *m)
{
    if (m->bare)
        floor_opened(c, m);
    else if (m->state == MEMBER_JOINING)
        member_join_opened(c, m);
    else
        member_link_greet(c, m);
    m->spoke_ms = c->now_ms;
}

void member_packet(struct crowd *c, struct member *m, const struct packet *p)
{
    if (p->type == PACKET_CONNACK && m->cell != CROWD_DOOR)
        crowd_greeted(c, m); /* the door has few places: who is there counts until it goes */
    if (p->type == PACKET_CONNACK && p->code != 0)
        member_cut(c, m);
    else if (m->bare)
        floor_packet(c, m, p);
    else if (m->state == MEMBER_JOINING)
        member_join_packet(c, m, p);
    else if (m->state == MEMBER_RUNNING)
        member_link_packet(c, m, p);
    crowd_look(c, m);
}

void member_down(struct crowd *c, struct member *m)
{
    crowd_greeted(c, m);
    if (m->bare)
        floor_down(c, m);
    else if (m->state == MEMBER_JOINING)
        member_join_down(c, m);
    else if (m->state == MEMBER_RUNNING)
        member_feed(c, m, &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = ERR_IO}, NULL);
}

/* ---- the core ---- */

/* One event, and then as many AGENT_STORED as follow from it, in the order of the real driver. */
void member_feed(struct crowd *c, struct member *m, struct agent_event *ev,
                 const struct incoming *in)
{
    struct agent_out out;
    for (;;) {
        ev->now_ms = c->now_ms;
        ev->wall_s = c->wall_s;
        ev->view = view_of(m);
        arena_reset(&c->scratch);
        agent_step(&m->core, ev, &c->scratch, &out);
        for (uint32_t i = 0; i < out.action_count; i++)
            perform(c, m, &out.actions[i]);
        if (out.store_count == 0)
            break;
        store(m, &out, in);
        *ev = (struct agent_event){.type = AGENT_STORED};
    }
    m->due_ms = out.deadline_ms;
    arm(c, m);
    end_jobs(c, m);
    crowd_look(c, m);
}

static void arm(struct crowd *c, struct member *m)
{
    uint64_t ping_ms = ping_due_ms(m), fetch_ms = fetch_due_ms(m);
    uint64_t due_ms = ping_ms < fetch_ms ? ping_ms : fetch_ms;
    crowd_arm(c, m, m->due_ms < due_ms ? m->due_ms : due_ms);
}

/* What the core looks at is put together for each step: kept for each agent it would be thirty
 * times as much. */
static struct agent_view *view_of(struct member *m)
{
    static struct desired none = {.policy = POLICY_DEFAULT};
    static struct agent_view view;
    struct assignment *a = &m->place->assignment;
    a->agent = m->id;
    a->revision = m->assigned;
    a->issued_s = m->assigned_s;
    a->removed = m->removed;
    a->cordoned = m->cordoned;
    const struct desired *document = m->document ? &m->document->document : &none;
    uint64_t signed_s = m->assigned_s > document->issued_s ? m->assigned_s : document->issued_s;
    view = (struct agent_view){
        .document = document,
        .assignment = a,
        .trust = &m->trust->trust,
        .assignment_signer = m->assignment_signer,
        .cell_count = m->cell_count,
        .home_count = m->cell_count,
        .atlas = m->atlas,
        .atlas_signer = m->assignment_signer,
        .rooted_s = m->trust->trust.issued_s,
        .signed_s = signed_s,
        .certificate_from_s = m->certificate_from_s,
        .certificate_until_s = m->certificate_until_s,
        .held = m->held,
        .held_count = m->held_count,
    };
    if (m->document)
        add_document(&view, m->document);
    return &view;
}

static void add_document(struct agent_view *view, const struct lore_document *d)
{
    static struct held rows[HELD_MAX];
    view->document_signer = d->signer;
    if (d->spare_count == 0)
        return;
    view->held_count = spare_merge(d->spares, d->spare_count, view->held, view->held_count, rows);
    view->held = rows;
}

static void store(struct member *m, const struct agent_out *out, const struct incoming *in)
{
    for (uint32_t i = 0; i < out->store_count; i++)
        store_one(m, &out->stores[i], in);
}

static void store_one(struct member *m, const struct agent_store *s, const struct incoming *in)
{
    switch (s->type) {
    case AGENT_STORE_HELD:
        store_held(m, s->held);
        break;
    case AGENT_STORE_DROP:
        drop_held(m, s->deployment);
        break;
    case AGENT_STORE_DOCUMENT:
        in->document->holders++;
        lore_release(m->document);
        m->document = in->document;
        break;
    case AGENT_STORE_ASSIGNMENT:
        m->place = in->place;
        m->assigned = in->assignment->revision;
        m->assigned_s = in->assignment->issued_s;
        m->removed = in->assignment->removed;
        m->cordoned = in->assignment->cordoned;
        m->assignment_signer = in->signer;
        break;
    case AGENT_STORE_SEQ:
        m->seq_ceiling = s->seq;
        m->floor_s = s->floor_s;
        break;
    case AGENT_STORE_TRUST:
        m->trust = in->trust;
        break;
    case AGENT_STORE_ATLAS: /* none of these comes in a run */
    case AGENT_STORE_CERTIFICATE:
    case AGENT_STORE_SHUT_OUT:
        break;
    }
}

static uint32_t held_at(const struct member *m, uint32_t deployment)
{
    uint32_t at = 0;
    while (at < m->held_count && m->held[at].deployment < deployment)
        at++;
    return at;
}

static void store_held(struct member *m, const struct held *h)
{
    uint32_t at = held_at(m, h->deployment);
    if (at == m->held_count || m->held[at].deployment != h->deployment) {
        struct held *more = realloc(m->held, (m->held_count + 1) * sizeof *more);
        if (!more)
            abort();
        m->held = more;
        memmove(&more[at + 1], &more[at], (m->held_count - at) * sizeof *more);
        m->held_count++;
    }
    m->held[at] = *h;
}

static void drop_held(struct member *m, uint32_t deployment)
{
    uint32_t at = held_at(m, deployment);
    if (at == m->held_count || m->held[at].deployment != deployment)
        return;
    m->held_count--;
    memmove(&m->held[at], &m->held[at + 1], (m->held_count - at) * sizeof m->held[0]);
}

static void perform(struct crowd *c, struct member *m, const struct agent_action *a)
{
    switch (a->type) {
    case AGENT_CONNECT:
        m->session = a->session;
        crowd_want(c, m, m->cells[a->cell]);
        break;
    case AGENT_SUBSCRIBE:
    case AGENT_UNSUBSCRIBE:
    case AGENT_SEND:
        member_link_perform(c, m, a);
        break;
    case AGENT_FETCH:
    case AGENT_UNPACK:
    case AGENT_HOOK:
    case AGENT_SWITCH:
    case AGENT_DETACH:
        assert(!m->job.busy);
        m->job = (struct member_job){
            .busy = true, .type = (uint8_t)a->type, .hook = (uint8_t)a->hook, .bundle = a->bundle};
        break;
    case AGENT_FETCH_STOP:
        m->job.busy = false;
        fetch_stop(c, m);
        break;
    case AGENT_KNOCK: /* not with certificates as fresh as these */
    case AGENT_RENEW:
    case AGENT_LEAVE:
        crowd_fault(c, m, "it wants to knock, renew or leave");
        break;
    case AGENT_SWEEP:
        break;
    }
}

/* Each job's end may begin the next one. Content that is fetched for real comes later. */
static void end_jobs(struct crowd *c, struct member *m)
{
    if (!m->job.busy || m->fetch)
        return;
    if (m->job.type == AGENT_FETCH && script_fetches(&c->options.script, crowd_agent(c, m))) {
        fetch_begin(c, m);
        arm(c, m);
        return;
    }
    m->job.busy = false;
    member_feed(c, m,
                &(struct agent_event){.type = AGENT_DONE,
                                      .done = (enum agent_action_type)m->job.type,
                                      .rv = outcome(c, m)},
                NULL);
}

/* Health checks fail of the second version, on those that the script says. */
static int outcome(const struct crowd *c, const struct member *m)
{
    bool health = m->job.type == AGENT_HOOK && m->job.hook == HOOK_HEALTH;
    bool second = m->held_count > 0 && m->held[0].running.generation != 0;
    return health && second && script_fails(&c->options.script, crowd_agent(c, m)) ? ERR_REFUSED
                                                                                   : 0;
}
