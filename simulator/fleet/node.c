#include "simulator/fleet/parts.h"

#include "sync/atlas.h"

#include <assert.h>
#include <stdlib.h>

/* Only the key's name counts here: nothing is signed. */
static const struct public_key online = {.bytes = {1}};

static void arm(struct flock *f, uint32_t n, uint64_t deadline_ms);
static void perform(struct flock *f, uint32_t n, const struct agent_action *a);

static uint64_t clock_ms(const struct flock *f, const struct node *d)
{
    return f->queue.now_ms - d->start_ms;
}

static struct trust the_trust;
static struct key_id the_signer;

void node_open(void)
{
    the_trust = (struct trust){.version = 1};
    trust_add(&the_trust, TRUST_ONLINE, &online);
    the_signer = key_id_of(&online);
}

void node_view(const struct flock *f, const struct node *d, struct agent_view *out)
{
    static struct desired no_document;
    static struct assignment assignment;
    const struct desired *document = &no_document;
    if (d->document)
        document = f->papers[d->document].desired;
    no_document.policy = f->o->policy;
    assignment.agent = d->id;
    assignment.revision = d->assigned;
    assignment.cohort = f->rows->cohorts[d->cohort].key;
    assignment.removed = d->removed;
    assignment.cordoned = d->cordoned;
    assignment.permit_count = d->permit != 0;
    assignment.permits[0] = (struct permit){.deployment = 1, .generation = d->permit};
    *out = (struct agent_view){
        .document = document,
        .assignment = &assignment,
        .trust = &the_trust,
        .document_signer = the_signer,
        .assignment_signer = the_signer,
        .cell_count = f->cell_count < CELLS_MAX ? f->cell_count : CELLS_MAX,
        .home_count = ATLAS_HOMES,
        .signed_s = document->issued_s,
        .held = d->held,
        .held_count = d->held_count,
    };
}

/* ---- power ---- */

void node_start(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    d->on = true;
    d->boot++;
    d->start_ms = f->queue.now_ms;
    d->due_ms = d->tick_ms = d->later_ms = UINT64_MAX;
    if (d->number == 0) {
        office_join(f, n);
        return;
    }
    agent_init(&d->core, &(struct agent_options){
                             .number = d->number,
                             .id = d->id,
                             .boot = (uint32_t)rng_next(&f->rng) | 1,
                             .seq_ceiling = d->seq_ceiling,
                             .floor_s = d->floor_s,
                             .seed = rng_next(&f->rng),
                         });
    node_feed(f, n, &(struct agent_event){.type = AGENT_BOOT});
}

void node_joined(struct flock *f, uint32_t n, uint32_t number)
{
    struct node *d = &f->nodes[n];
    const struct agent_copy *row = &f->rows->agents[number - 1];
    d->number = number;
    d->cohort = row->row.cohort;
    d->assigned = row->row.assigned;
    d->floor_s = flock_wall_s(f);
    f->by_number[number - 1] = n + 1;
    gate_join(f, n);
    f->result->counts.writes++;
    node_start(f, n);
}

void node_cut(struct flock *f, uint32_t n, uint64_t off_ms)
{
    struct node *d = &f->nodes[n];
    link_vanish(f, n);
    job_stop(f, n);
    d->on = false;
    d->boot++;
    memset(&d->core, 0xa5, sizeof d->core);
    disk_lapse(f, n);
    flock_at(f, f->queue.now_ms + off_ms, NODE_BOOT, n, d->boot, 0);
}

/* ---- the core ---- */

uint64_t node_calendar_s(const struct flock *f, const struct node *d)
{
    return (uint64_t)((int64_t)flock_wall_s(f) + d->wall_off_s);
}

/* One event, and then as many AGENT_STORED as follow from it, in the order of the real driver. */
void node_feed(struct flock *f, uint32_t n, struct agent_event *ev)
{
    static struct agent_out out;
    struct node *d = &f->nodes[n];
    struct agent_view view;
    uint16_t boot = d->boot;
    bool changed = ev->type == AGENT_DONE;
    for (bool stored = true; stored && d->on && d->boot == boot;) {
        ev->now_ms = clock_ms(f, d);
        ev->wall_s = node_calendar_s(f, d);
        node_view(f, d, &view);
        ev->view = &view;
        arena_reset(&f->agent_scratch);
        f->result->counts.agent_steps++;
        agent_step(&d->core, ev, &f->agent_scratch, &out);
        stored = out.store_count > 0;
        if (!stored)
            arm(f, n, out.deadline_ms);
        struct agent_action actions[AGENT_ACTIONS_MAX];
        uint32_t count = out.action_count;
        memcpy(actions, out.actions, count * sizeof actions[0]);
        for (uint32_t i = 0; i < count; i++)
            perform(f, n, &actions[i]);
        if (!stored)
            break;
        int rv = flock_strikes(f, f->o->faults.lost_writes) ? ERR_IO : 0;
        if (rv < 0 && rng_below(&f->fate, 2) == 0) {
            node_cut(f, n, POWER_OFF_MS); /* the write is lost with the power */
            break;
        }
        if (rv == 0)
            disk_keep(f, d, ev, &out);
        changed |= rv == 0;
        f->result->counts.writes++;
        *ev = (struct agent_event){.type = AGENT_STORED, .rv = rv};
    }
    if (changed)
        check_node(f, n);
}

static void perform(struct flock *f, uint32_t n, const struct agent_action *a)
{
    switch (a->type) {
    case AGENT_CONNECT:
    case AGENT_KNOCK:
    case AGENT_SUBSCRIBE:
    case AGENT_UNSUBSCRIBE:
    case AGENT_SEND:
    case AGENT_LEAVE:
    case AGENT_RENEW:
        link_perform(f, n, a);
        break;
    case AGENT_FETCH:
    case AGENT_UNPACK:
    case AGENT_HOOK:
    case AGENT_SWITCH:
    case AGENT_DETACH:
        job_begin(f, n, a);
        break;
    case AGENT_FETCH_STOP:
        job_stop(f, n);
        break;
    case AGENT_SWEEP:
        break;
    }
}

/* ---- time ---- */

/* A heartbeat's tick stays on its way while something earlier is waited for, and counts again then:
 * a device that is busy would fill the queue with such as nobody waits for. */
static void send_tick(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    if (d->due_ms >= d->tick_ms)
        return;
    d->later_ms = d->tick_ms;
    d->tick_ms = d->due_ms;
    flock_at(f, d->due_ms, NODE_TICK, n, d->boot, d->due_ms);
}

static void arm(struct flock *f, uint32_t n, uint64_t deadline_ms)
{
    struct node *d = &f->nodes[n];
    d->due_ms = deadline_ms == UINT64_MAX ? UINT64_MAX : d->start_ms + deadline_ms;
    if (d->due_ms <= f->queue.now_ms)
        flock_fault(f, "agent %u would spin", (unsigned)d->number);
    send_tick(f, n);
}

void node_tick(struct flock *f, uint32_t n, uint64_t at_ms)
{
    struct node *d = &f->nodes[n];
    if (at_ms != d->tick_ms)
        return;
    d->tick_ms = d->later_ms;
    d->later_ms = UINT64_MAX;
    if (at_ms < d->due_ms)
        send_tick(f, n);
    else
        node_feed(f, n, &(struct agent_event){.type = AGENT_TICK});
}
