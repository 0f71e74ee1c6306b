#include "simulator/fleet/parts.h"
#include "simulator/world/broker.h"

/* How an attempt ends where nobody answers. */
#define REFUSED_MS 1000
/* After so many attempts the back-off grows no more, and further ones in vain would tell nothing:
 * the next one lasts until there is a network. */
#define ATTEMPTS_TOLD 7
/* TCP, TLS and MQTT say hello. */
#define HELLO_TRIPS 4

static const struct profile *profile_of(const struct flock *f, const struct node *d)
{
    return f->calm ? &profile_plain : &f->o->links[d->kind].profile;
}

static uint64_t delay(struct flock *f, const struct node *d)
{
    return range_draw(&profile_of(f, d)->delay_ms, &f->rng);
}

/* ---- whether there is a network ---- */

static uint64_t phase_of(const struct flock *f, const struct node *d, const struct profile *p)
{
    uint64_t salt = p->phase == PHASE_OF_AGENT    ? (uint64_t)(d - f->nodes) + 1
                    : p->phase == PHASE_OF_REGION ? d->region + 1
                                                  : 0;
    struct rng rng = {.state = f->o->seed ^ salt << 20};
    return salt ? rng_below(&rng, p->every_ms) : 0;
}

/* Since the window opened last. */
static uint64_t into_window(const struct flock *f, const struct node *d, const struct profile *p)
{
    return (f->queue.now_ms + p->every_ms - phase_of(f, d, p)) % p->every_ms;
}

bool link_is_there(const struct flock *f, const struct node *d)
{
    const struct profile *p = profile_of(f, d);
    if (f->calm)
        return true;
    return d->spell_up && (!p->every_ms || into_window(f, d, p) < p->window_ms) &&
           !f->dark[d->kind * PROFILE_REGIONS_MAX + d->region];
}

static void arm_window(struct flock *f, uint32_t n)
{
    const struct node *d = &f->nodes[n];
    const struct profile *p = profile_of(f, d);
    uint64_t into = into_window(f, d, p);
    uint64_t rest = into < p->window_ms ? p->window_ms - into : p->every_ms - into;
    flock_at(f, f->queue.now_ms + rest, NODE_WINDOW, n, 0, 0);
}

static void arm_spell(struct flock *f, uint32_t n)
{
    const struct node *d = &f->nodes[n];
    const struct profile *p = profile_of(f, d);
    uint64_t ms = range_draw(d->spell_up ? &p->up_ms : &p->down_ms, &f->rng);
    flock_at(f, f->queue.now_ms + ms, NODE_SPELL, n, 0, 0);
}

/* Where it stands in its first spell is drawn as if it had gone on for ever. */
void link_begin(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    const struct profile *p = profile_of(f, d);
    d->spell_up = true;
    d->region = (uint32_t)rng_below(&f->rng, p->regions);
    if (p->up_ms.max > 0) {
        uint64_t up = p->up_ms.min + p->up_ms.max, down = p->down_ms.min + p->down_ms.max;
        d->spell_up = rng_below(&f->rng, up + down) < up;
        arm_spell(f, n);
    }
    if (p->every_ms > 0)
        arm_window(f, n);
}

/* ---- a link that is lost ---- */

/* Nobody says good-bye: the broker waits for one and a half keep-alive times. What the link has
 * brought by then, it hands on before the will. */
static void leave_broker(struct flock *f, uint32_t n, bool silently)
{
    struct node *d = &f->nodes[n];
    uint64_t patience = silently ? BROKER_PATIENCE_MS(f->o->policy.keepalive_s) : 0;
    if (!d->connected)
        return;
    uint64_t up_ms = f->queue.now_ms - d->start_ms - d->core.link_up_ms;
    uint64_t pings = up_ms / 1000 / f->o->policy.keepalive_s;
    f->result->counts.bytes_up += pings * PING_BYTES;
    f->result->counts.bytes_down += pings * PING_BYTES;
    d->connected = false;
    d->way = WAY_BOTH;
    cell_hear(f, n, NOBODY);
    job_link(f, n, false);
    uint64_t will_ms = f->queue.now_ms + patience;
    if (!f->cells[d->cell].dead)
        flock_at(f, will_ms > d->said_ms ? will_ms : d->said_ms, CELL_WILL, n, d->cell,
                 d->session | (uint64_t)f->cells[d->cell].deaths << 32);
}

void link_vanish(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    leave_broker(f, n, true);
    d->link++;
    d->hung = false;
}

/* The device notices at once, or, when the link is only half gone, by its keep-alive. */
void link_lose(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    uint64_t notice = 0;
    if (!d->on || (!d->connected && !d->hung && d->core.link != LINK_CONNECTING))
        return;
    bool half = rng_below(&f->rng, 1000) < profile_of(f, d)->half_per_mille;
    if (half)
        notice = rng_below(&f->rng, (uint64_t)f->o->policy.keepalive_s * 1000);
    leave_broker(f, n, half);
    d->link++;
    flock_at(f, f->queue.now_ms + notice, NODE_DOWN, n, d->link, 0);
}

static void network_came(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    if (!d->on || !d->hung)
        return;
    d->hung = false;
    flock_at(f, f->queue.now_ms, NODE_DOWN, n, d->link, 0);
}

static void network_moved(struct flock *f, uint32_t n, bool was)
{
    bool is = link_is_there(f, &f->nodes[n]);
    if (was && !is)
        link_lose(f, n);
    else if (!was && is)
        network_came(f, n);
}

/* The one end misses answers to its pings, the other one the pings. */
void link_halve(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    uint64_t patience = BROKER_PATIENCE_MS(f->o->policy.keepalive_s);
    if (!d->connected || f->calm)
        return;
    f->result->counts.one_ways++;
    d->way = rng_below(&f->fate, 2) ? WAY_UP : WAY_DOWN;
    flock_at(f, f->queue.now_ms + rng_below(&f->fate, patience), NODE_LOSE, n, d->link, 0);
}

void link_spell(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    if (f->calm)
        return;
    bool was = link_is_there(f, d);
    d->spell_up = !d->spell_up;
    arm_spell(f, n);
    network_moved(f, n, was);
}

/* It is what it is now; before, it was the other. */
void link_window(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    if (f->calm)
        return;
    arm_window(f, n);
    if (link_is_there(f, d))
        network_came(f, n);
    else
        link_lose(f, n);
}

/* ---- regions ---- */

static uint64_t outage_gap(struct flock *f, const struct profile *p)
{
    return rng_below(&f->rng, 2 * p->outage_every_ms);
}

void link_begin_regions(struct flock *f)
{
    for (uint32_t k = 0; k < f->o->link_count; k++) {
        const struct profile *p = &f->o->links[k].profile;
        for (uint32_t r = 0; p->outage_every_ms && r < p->regions; r++)
            flock_at(f, outage_gap(f, p), REGION, k * PROFILE_REGIONS_MAX + r, 0, 0);
    }
}

void link_region(struct flock *f, uint32_t at)
{
    const struct profile *p = &f->o->links[at / PROFILE_REGIONS_MAX].profile;
    if (f->calm)
        return;
    f->dark[at] = !f->dark[at];
    uint64_t ms = f->dark[at] ? range_draw(&p->outage_ms, &f->rng) : outage_gap(f, p);
    flock_at(f, f->queue.now_ms + ms, REGION, at, 0, 0);
    for (uint32_t n = 0; n < f->node_count; n++) {
        struct node *d = &f->nodes[n];
        if (d->kind != at / PROFILE_REGIONS_MAX || d->region != at % PROFILE_REGIONS_MAX)
            continue;
        if (link_is_there(f, d))
            network_came(f, n);
        else
            link_lose(f, n);
    }
}

void link_calm(struct flock *f)
{
    for (uint32_t n = 0; n < f->node_count; n++)
        network_came(f, n);
}

/* ---- connecting ---- */

/* The cell that the node wants most but `place` others. */
static uint8_t cell_at(const struct flock *f, const struct node *d, uint32_t place)
{
    uint32_t order[CELLS_MAX];
    uint32_t count = f->cell_count > 1 ? atlas_order(&f->atlas, &d->id, CELLS_MAX, order) : 0;
    return count ? (uint8_t)order[place % count] : 0;
}

static void try(struct flock *f, uint32_t n, const struct agent_action *a)
{
    struct node *d = &f->nodes[n];
    uint64_t now = f->queue.now_ms;
    leave_broker(f, n, false); /* who was abroad goes home from a link that is up */
    d->link++;
    d->cell = cell_at(f, d, a->cell);
    d->abroad = a->cell >= ATLAS_HOMES;
    if (!link_is_there(f, d)) {
        d->hung = d->core.link_failures >= ATTEMPTS_TOLD;
        if (!d->hung)
            flock_at(f, now + REFUSED_MS, NODE_DOWN, n, d->link, 0);
    } else if (f->cells[d->cell].dead) {
        flock_at(f, now + REFUSED_MS, NODE_DOWN, n, d->link, 0);
    } else {
        d->session = a->session;
        flock_at(f, now + HELLO_TRIPS * delay(f, d), NODE_UP, n, d->link, 0);
    }
}

/* Brokers keep out whom the manager's list names. */
static bool is_kept_out(const struct flock *f, const struct node *d)
{
    return (f->rows->agents[d->number - 1].row.flags & AGENT_BLOCKED) != 0;
}

void link_up(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    struct flock_counts *c = &f->result->counts;
    if (f->cells[d->cell].dead || is_kept_out(f, d)) {
        link_down(f, n, is_kept_out(f, d));
        return;
    }
    /* Two clients of one name: the broker ends the older one's link. */
    if (d->twin != NOBODY && f->nodes[d->twin].connected && f->nodes[d->twin].cell == d->cell)
        link_lose(f, d->twin);
    c->connects++;
    flock_hour(f)->connects++;
    c->bytes_up += CONNECT_BYTES;
    c->bytes_down += CONNACK_BYTES;
    d->connected = true;
    d->heard_ms = d->said_ms = f->queue.now_ms;
    node_feed(f, n, &(struct agent_event){.type = AGENT_LINK_UP});
    if (d->connected)
        job_link(f, n, true);
}

void link_down(struct flock *f, uint32_t n, bool refused)
{
    struct node *d = &f->nodes[n];
    if (d->core.link == LINK_CONNECTING || d->core.link == LINK_UP || d->core.link == LINK_KNOCKING)
        node_feed(f, n,
                  &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = refused ? ERR_REFUSED : 0});
}

void link_will(struct flock *f, const struct happening *h)
{
    const struct cell *c = &f->cells[h->life];
    if (!c->dead && c->deaths == (uint16_t)(h->what >> 32))
        office_will(f, h);
}

/* ---- what it says ---- */

static bool comes_twice(struct flock *f)
{
    bool twice = flock_strikes(f, f->o->faults.duplicates);
    f->result->counts.duplicates += twice;
    return twice;
}

uint32_t link_status_bytes(const struct status *s)
{
    return (uint32_t)(STATUS_BYTES + s->count * EXCEPTION_BYTES);
}

static void say(struct flock *f, uint32_t n, const struct status *s)
{
    struct node *d = &f->nodes[n];
    uint64_t at = f->queue.now_ms + delay(f, d);
    bool cut = flock_strikes(f, profile_of(f, d)->cuts_per_mille);
    f->result->counts.bytes_up += PUBLISH_BYTES + link_status_bytes(s);
    f->result->counts.bytes_down += PUBACK_BYTES;
    /* The order on a link is kept. One that is lost may have arrived before the link was. */
    d->said_ms = at > d->said_ms ? at : d->said_ms;
    if (d->way != WAY_DOWN && (!cut || rng_below(&f->fate, 2) == 0)) {
        flock_at(f, d->said_ms, CELL_STATUS, n, d->cell, status_keep(f, s));
        if (comes_twice(f))
            flock_at(f, d->said_ms, CELL_STATUS, n, d->cell, status_keep(f, s));
    }
    if (cut)
        link_lose(f, n);
}

void link_hear(struct flock *f, uint32_t n, enum kind kind, uint64_t what, uint32_t bytes)
{
    struct node *d = &f->nodes[n];
    uint64_t at = f->queue.now_ms + delay(f, d);
    d->heard_ms = at > d->heard_ms ? at : d->heard_ms;
    f->result->counts.bytes_down += bytes;
    flock_hour(f)->messages++;
    if (d->way == WAY_UP)
        return;
    for (int times = comes_twice(f) ? 2 : 1; times > 0; times--) {
        if (kind == NODE_DOC)
            paper_hold(f, (uint32_t)what);
        flock_at(f, d->heard_ms, kind, n, d->link, what);
    }
}

uint64_t revision_pack(struct revision r)
{
    return (uint64_t)r.epoch << 32 | r.number;
}

static void subscribe_heads(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    const struct cell *c = &f->cells[d->cell];
    uint32_t paper = c->papers[d->cohort];
    struct revision slip = f->slips[d->number - 1].revision;
    cell_hear(f, n, d->cohort);
    f->result->counts.bytes_up += SUBSCRIBE_HEADS_BYTES;
    f->result->counts.bytes_down += SUBACK_BYTES + 1;
    if (paper)
        link_hear(f, n, NODE_HEAD, revision_pack(f->papers[paper].desired->revision), HEAD_BYTES);
    if (c->current && slip.number && !d->abroad)
        link_hear(f, n, NODE_SLIP_HEAD, revision_pack(slip), SLIP_HEAD_BYTES);
}

static uint32_t subscribe_bytes(enum agent_topic topic)
{
    return topic == AGENT_TOPIC_DOCUMENT ? SUBSCRIBE_DOCUMENT_BYTES : SUBSCRIBE_SLIP_BYTES;
}

static void subscribe(struct flock *f, uint32_t n, enum agent_topic topic)
{
    struct node *d = &f->nodes[n];
    const struct cell *c = &f->cells[d->cell];
    f->result->counts.bytes_up += subscribe_bytes(topic);
    f->result->counts.bytes_down += SUBACK_BYTES;
    if (topic == AGENT_TOPIC_DOCUMENT && c->papers[d->cohort]) {
        f->result->counts.fetched++;
        link_hear(f, n, NODE_DOC, c->papers[d->cohort], f->papers[c->papers[d->cohort]].size);
    } else if (topic == AGENT_TOPIC_ASSIGNMENT && c->current && !d->abroad &&
               f->slips[d->number - 1].revision.number) {
        link_hear(f, n, NODE_SLIP, 0, SLIP_BYTES);
    }
}

void link_perform(struct flock *f, uint32_t n, const struct agent_action *a)
{
    struct node *d = &f->nodes[n];
    if (a->type == AGENT_CONNECT) {
        try(f, n, a);
    } else if (a->type == AGENT_KNOCK) {
        d->link++;
        flock_at(f, f->queue.now_ms + REFUSED_MS, NODE_DOWN, n, d->link, 1);
    } else if (a->type == AGENT_LEAVE) {
        leave_broker(f, n, false);
        d->link++;
    } else if (!d->connected || (d->way == WAY_DOWN && a->type != AGENT_SEND)) {
        return; /* the link is half gone, and the device doesn't know yet */
    } else if (a->type == AGENT_SEND) {
        say(f, n, a->status);
    } else if (a->type == AGENT_UNSUBSCRIBE) {
        f->result->counts.bytes_up += subscribe_bytes(a->topic) - 1; /* it names no QoS */
        f->result->counts.bytes_down += UNSUBACK_BYTES;
    } else if (a->type == AGENT_SUBSCRIBE && a->topic == AGENT_TOPIC_HEADS) {
        subscribe_heads(f, n);
    } else if (a->type == AGENT_SUBSCRIBE) {
        subscribe(f, n, a->topic);
    }
}
