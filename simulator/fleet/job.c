#include "simulator/fleet/parts.h"

#include <assert.h>

#define UNPACK_MS 50
#define SWITCH_MS 2
#define HOOK_MS 200
/* hooks/health of a version that fails is tried again so often, for so long. */
#define HEALTH_DEADLINE_S 60
#define HEALTH_INTERVAL_S 10

static void end(struct flock *f, uint32_t n, int rv);

static void wait(struct flock *f, uint32_t n, uint64_t ms)
{
    const struct node *d = &f->nodes[n];
    flock_at(f, f->queue.now_ms + ms, NODE_DONE, n, d->boot, d->job.serial);
}

/* ---- fetches: bytes come while there is a link, and what has come stays ---- */

static uint64_t bandwidth(const struct flock *f, const struct node *d)
{
    return f->calm ? profile_plain.bandwidth : f->o->links[d->kind].profile.bandwidth;
}

static void fetch_on(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    uint64_t ms = d->fetch_left * 1000 / bandwidth(f, d);
    d->fetch_ms = f->queue.now_ms;
    wait(f, n, ms + 1);
}

static void fetch_off(struct flock *f, struct node *d)
{
    uint64_t came = (f->queue.now_ms - d->fetch_ms) * bandwidth(f, d) / 1000;
    if (came > d->fetch_left)
        came = d->fetch_left;
    d->fetch_left -= came;
    d->fetch_ms = 0;
    d->job.serial++;
    f->result->counts.bytes_content += came;
}

static bool fetches(const struct node *d)
{
    return d->job.busy && d->job.type == AGENT_FETCH;
}

void job_link(struct flock *f, uint32_t n, bool up)
{
    struct node *d = &f->nodes[n];
    if (!fetches(d))
        return;
    if (up && d->fetch_ms == 0)
        fetch_on(f, n);
    else if (!up && d->fetch_ms != 0)
        fetch_off(f, d);
}

static void begin_fetch(struct flock *f, uint32_t n, uint8_t bundle)
{
    struct node *d = &f->nodes[n];
    bool there = bundle == UINT8_MAX || d->content >> bundle & 1;
    d->fetch_left = there ? 0 : f->o->bundle_bytes;
    d->fetch_ms = 0;
    if (d->connected || there)
        fetch_on(f, n);
}

/* ---- jobs ---- */

void job_begin(struct flock *f, uint32_t n, const struct agent_action *a)
{
    struct node *d = &f->nodes[n];
    if (d->job.busy)
        flock_fault(f, "agent %u: two jobs at a time", (unsigned)d->number);
    d->job = (struct node_job){
        .serial = (uint16_t)(d->job.serial + 1),
        .type = (uint8_t)a->type,
        .hook = (uint8_t)a->hook,
        .bundle = scene_bundle(f, &a->bundle),
        .busy = true,
        .deployment = a->deployment,
    };
    if (a->type == AGENT_FETCH)
        begin_fetch(f, n, d->job.bundle);
    else
        wait(f, n,
             a->type == AGENT_UNPACK ? UNPACK_MS
             : a->type == AGENT_HOOK ? HOOK_MS
                                     : SWITCH_MS);
}

void job_stop(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    if (fetches(d) && d->fetch_ms != 0)
        fetch_off(f, d);
    d->job = (struct node_job){.serial = (uint16_t)(d->job.serial + 1)};
}

static uint8_t *current_of(struct node *d, uint32_t deployment)
{
    for (uint32_t i = 0; i < d->held_count; i++)
        if (d->held[i].deployment == deployment)
            return &d->currents[i];
    return NULL;
}

static int switch_to(struct flock *f, struct node *d)
{
    uint8_t *current = current_of(d, d->job.deployment);
    if (d->job.bundle != UINT8_MAX && !(d->trees >> d->job.bundle & 1))
        return ERR_NOT_FOUND;
    if (!current)
        flock_fault(f, "agent %u switches what it has no row of", (unsigned)d->number);
    else
        *current = d->job.bundle;
    return 0;
}

static int end_fetch(struct flock *f, struct node *d)
{
    f->result->counts.bytes_content += d->fetch_left;
    d->fetch_left = 0;
    d->fetch_ms = 0;
    if (d->job.bundle == UINT8_MAX)
        return ERR_NOT_FOUND;
    if (flock_strikes(f, f->o->faults.rotten))
        f->result->counts.rotten++; /* nobody knows yet */
    else
        d->content |= (uint8_t)(1u << d->job.bundle);
    return 0;
}

static int unpack(struct node *d)
{
    if (d->job.bundle == UINT8_MAX || !(d->content >> d->job.bundle & 1))
        return ERR_DAMAGED;
    d->trees |= (uint8_t)(1u << d->job.bundle);
    return 0;
}

/* What the job does shows when its time is over. */
static int effect(struct flock *f, struct node *d)
{
    if (d->job.type == AGENT_FETCH)
        return end_fetch(f, d);
    if (d->job.type == AGENT_UNPACK)
        return unpack(d);
    if (d->job.type == AGENT_HOOK)
        return d->job.hook == HOOK_HEALTH && scene_fails(f, d, d->job.bundle) ? ERR_REFUSED : 0;
    if (d->job.type == AGENT_DETACH)
        d->job.bundle = UINT8_MAX;
    return switch_to(f, d);
}

void job_end(struct flock *f, uint32_t n, uint16_t serial)
{
    struct node *d = &f->nodes[n];
    if (!d->job.busy || d->job.serial != serial)
        return;
    end(f, n, effect(f, d));
}

static void end(struct flock *f, uint32_t n, int rv)
{
    struct node *d = &f->nodes[n];
    struct agent_event ev = {
        .type = AGENT_DONE,
        .rv = rv,
        .done = (enum agent_action_type)d->job.type,
        .health_deadline_s = HEALTH_DEADLINE_S,
        .health_interval_s = HEALTH_INTERVAL_S,
    };
    d->job.busy = false;
    node_feed(f, n, &ev);
}
