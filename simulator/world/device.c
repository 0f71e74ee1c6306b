#include "simulator/world/device.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void boot(void *context, uint64_t life, void *payload);
static void tick(void *context, uint64_t life, void *payload);
static void perform(struct device *d, const struct agent_action *a);
static void trace_stores(struct device *d, const struct agent_out *out, int rv);
static void forget_dropped(struct device *d, const struct agent_out *out);
static void arm_tick(struct device *d, uint64_t deadline_ms, bool settled);

struct device *device_new(struct stage *stage, struct broker *broker, const struct shelf *shelf,
                          unsigned index, const struct token *token)
{
    struct device *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->stage = stage;
    d->shelf = shelf;
    d->index = index;
    d->token = *token;
    d->off_ms = DEVICE_OFF_MS;
    d->disk.facts = (struct facts){.count = 1, .list = {{"model", "Edge Box 3"}}};
    device_link_attach(d, broker);
    return d;
}

void device_free(struct device *d)
{
    free(d);
}

const char *device_name(const struct device *d)
{
    static char texts[8][24];
    static unsigned next;
    char *text = texts[next++ % 8];
    snprintf(text, sizeof texts[0], "agent %u", d->index);
    return text;
}

uint64_t device_now_ms(const struct device *d)
{
    return d->stage->now_ms - d->start_ms;
}

/* ---- power ---- */

void device_start(struct device *d)
{
    assert(d->state == DEVICE_OFF);
    boot(d, d->life, NULL);
}

void device_cut_power(struct device *d, uint64_t off_ms)
{
    stage_trace(d->stage, "%s power cut", device_name(d));
    client_vanish(d->client);
    device_stop(d, off_ms);
}

void device_stop(struct device *d, uint64_t off_ms)
{
    d->state = DEVICE_OFF;
    d->life++;
    d->job = (struct device_job){.serial = d->job.serial + 1};
    d->asked.count = 0;
    d->sweep = false;
    memset(&d->core, 0xa5, sizeof d->core);
    memset(d->topics, 0, sizeof d->topics);
    if (off_ms != UINT64_MAX)
        stage_at(d->stage, d->stage->now_ms + off_ms, boot, d, d->life, NULL);
}

bool device_point(struct device *d)
{
    if (d->state == DEVICE_OFF)
        return true;
    if (++d->points != d->cut_at)
        return false;
    d->was_cut = true;
    device_cut_power(d, d->off_ms);
    return true;
}

/* No other device of the world draws it, nor this one again. */
static uint32_t boot_nonce(const struct device *d)
{
    return d->index << 20 | d->past.boots;
}

static void start_agent(struct device *d)
{
    agent_init(&d->core, &(struct agent_options){
                             .number = d->disk.number,
                             .id = d->disk.id,
                             .facts = facts_digest(&d->disk.facts),
                             .boot = boot_nonce(d),
                             .seq_ceiling = d->disk.seq_ceiling,
                             .floor_s = d->disk.floor_s,
                             .now_ms = device_now_ms(d),
                             .seed = rng_next(&d->stage->rng),
                         });
    d->scratch = arena_on(d->memory, sizeof d->memory);
    d->state = DEVICE_RUNNING;
    if (device_program_start(d))
        device_feed(d, &(struct agent_event){.type = AGENT_BOOT}, NULL);
}

static void boot(void *context, uint64_t life, void *payload)
{
    struct device *d = context;
    (void)payload;
    if (d->state != DEVICE_OFF || life != d->life)
        return;
    d->life++;
    d->past.boots++;
    d->left = false;
    d->start_ms = d->stage->now_ms;
    d->deadline_ms = UINT64_MAX;
    if (d->disk.number)
        start_agent(d);
    else
        device_join_start(d);
}

/* ---- the core ---- */

/* A machine whose calendar lost its battery begins with 1970 at each boot. */
static uint64_t wall_s(const struct device *d)
{
    if (d->no_calendar)
        return device_now_ms(d) / 1000;
    return (uint64_t)((int64_t)stage_wall_s(d->stage) + d->wall_off_s);
}

/* One event, and then as many AGENT_STORED as follow from it, in the order of the real driver. */
void device_feed(struct device *d, struct agent_event *ev, const struct incoming *in)
{
    struct agent_out out;
    if (d->state != DEVICE_RUNNING)
        return;
    for (;;) {
        ev->now_ms = device_now_ms(d);
        ev->wall_s = wall_s(d);
        ev->east_s = d->east_s;
        ev->view = &d->disk.view;
        arena_reset(&d->scratch);
        agent_step(&d->core, ev, &d->scratch, &out);
        assert(out.store_count <= AGENT_STORES_MAX && out.action_count <= AGENT_ACTIONS_MAX);
        arm_tick(d, out.deadline_ms, out.store_count == 0);
        for (uint32_t i = 0; i < out.action_count; i++) {
            if (device_point(d))
                return;
            perform(d, &out.actions[i]);
        }
        if (out.store_count == 0 || device_point(d))
            return;
        int rv = disk_store(&d->disk, &out, in);
        trace_stores(d, &out, rv);
        if (rv == 0)
            forget_dropped(d, &out);
        if (device_point(d))
            return;
        *ev = (struct agent_event){.type = AGENT_STORED, .rv = rv};
    }
}

/* A row that went has no past: it may come again with any generation. */
static void forget_dropped(struct device *d, const struct agent_out *out)
{
    struct device_past *past = &d->past;
    for (uint32_t i = 0; i < out->store_count; i++)
        for (uint32_t k = 0; k < past->floor_count; k++)
            if (out->stores[i].type == AGENT_STORE_DROP &&
                past->floor[k].deployment == out->stores[i].deployment)
                past->floor[k] = past->floor[--past->floor_count];
}

/* An agent that wants to be called at once, with nothing stored, would never sleep. */
static void arm_tick(struct device *d, uint64_t deadline_ms, bool settled)
{
    if (settled && deadline_ms <= device_now_ms(d))
        stage_fault(d->stage, "%s would spin: deadline %llu at %llu", device_name(d),
                    (unsigned long long)deadline_ms, (unsigned long long)device_now_ms(d));
    d->deadline_ms = deadline_ms;
    if (deadline_ms != UINT64_MAX)
        stage_at(d->stage, d->start_ms + deadline_ms, tick, d, d->life, NULL);
}

static void tick(void *context, uint64_t life, void *payload)
{
    struct device *d = context;
    (void)payload;
    if (life != d->life || device_now_ms(d) < d->deadline_ms)
        return;
    d->deadline_ms = UINT64_MAX; /* of several timers for one deadline the first one counts */
    device_feed(d, &(struct agent_event){.type = AGENT_TICK}, NULL);
}

static void perform(struct device *d, const struct agent_action *a)
{
    switch (a->type) {
    case AGENT_CONNECT:
    case AGENT_KNOCK:
    case AGENT_RENEW:
    case AGENT_SUBSCRIBE:
    case AGENT_UNSUBSCRIBE:
    case AGENT_SEND:
    case AGENT_LEAVE:
        device_link_perform(d, a);
        break;
    case AGENT_FETCH:
    case AGENT_UNPACK:
    case AGENT_HOOK:
    case AGENT_SWITCH:
    case AGENT_DETACH:
        device_work_begin(d, a);
        break;
    case AGENT_FETCH_STOP:
        device_work_stop_fetch(d);
        break;
    case AGENT_SWEEP:
        d->sweep = true;
        device_work_sweep(d);
        break;
    }
}

static void trace_held(struct device *d, const struct held *h, const char *failed)
{
    stage_trace(d->stage, "%s store held %s g%u %s%s", device_name(d), h->name,
                (unsigned)h->wanted.generation, agent_phase_name(h), failed);
}

static void trace_stores(struct device *d, const struct agent_out *out, int rv)
{
    const char *failed = rv < 0 ? " failed" : "";
    for (uint32_t i = 0; i < out->store_count; i++) {
        const struct agent_store *s = &out->stores[i];
        if (s->type == AGENT_STORE_HELD)
            trace_held(d, s->held, failed);
        else if (s->type == AGENT_STORE_DROP)
            stage_trace(d->stage, "%s store drop %u%s", device_name(d), (unsigned)s->deployment,
                        failed);
        else if (s->type == AGENT_STORE_SEQ)
            stage_trace(d->stage, "%s store numbers below %u%s", device_name(d), (unsigned)s->seq,
                        failed);
        else
            stage_trace(d->stage, "%s store %s%s", device_name(d),
                        s->type == AGENT_STORE_DOCUMENT     ? "document"
                        : s->type == AGENT_STORE_ASSIGNMENT ? "assignment"
                        : s->type == AGENT_STORE_TRUST      ? "trust"
                        : s->type == AGENT_STORE_SHUT_OUT   ? "shut out"
                                                            : "certificate",
                        failed);
    }
}
