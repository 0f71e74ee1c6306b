#include "simulator/world/device.h"

/* From the end of a process to the next one: by an init system, and when it hands over itself. */
#define AGAIN_MS 1000
#define OVER_MS 5
/* What bundles say a hook may take. */
#define HOOK_MS 60000

static const struct bundle *agent_of(const struct device *d, const struct digest *bundle)
{
    const struct bundle *b = shelf_find(d->shelf, bundle);
    return b && b->script.agent ? b : NULL;
}

/* As the packaged program does it: a start is taken from the trial before it begins. */
static void choose(struct device *d)
{
    struct disk *disk = &d->disk;
    d->program = disk->proven;
    if (digest_is_zero(&disk->trial) || disk->starts_left == 0)
        return;
    disk->starts_left--;
    d->program = disk->trial;
}

bool device_program_start(struct device *d)
{
    choose(d);
    const struct bundle *b = agent_of(d, &d->program);
    d->proof = false;
    if (digest_is_zero(&d->program))
        return true;
    stage_trace(d->stage, "%s starts %s", device_name(d), shelf_title(d->shelf, &d->program));
    if (!digests_has(&d->disk.trees, &d->program))
        stage_fault(d->stage, "%s starts an agent that isn't there", device_name(d));
    if (b && b->script.hangs)
        device_stop(d, HOOK_MS + 2 * (uint64_t)b->script.deadline_s * 1000);
    else if (b && b->script.crashes)
        device_stop(d, AGAIN_MS);
    return d->state != DEVICE_OFF;
}

bool device_program_concerns(const struct device *d)
{
    return agent_of(d, &d->job.bundle) || agent_of(d, &d->job.previous);
}

/* What began it goes on in another process. */
static int hand_over(struct device *d)
{
    client_close(d->client);
    device_stop(d, OVER_MS);
    return 0;
}

static int try_it(struct device *d)
{
    struct disk *disk = &d->disk;
    bool spent = digest_equal(&disk->trial, &d->job.bundle) && disk->starts_left == 0;
    if (digest_equal(&d->program, &d->job.bundle) || spent)
        return 0;
    int rv = disk_write(disk);
    if (rv < 0)
        return rv;
    disk->trial = d->job.bundle;
    disk->starts_left = DEVICE_STARTS_MAX;
    return device_point(d) ? 0 : hand_over(d);
}

static int go_back(struct device *d, const struct digest *to)
{
    struct disk *disk = &d->disk;
    int rv = digest_equal(&disk->proven, to) ? 0 : disk_write(disk);
    if (rv < 0)
        return rv;
    disk->proven = *to;
    if (device_point(d))
        return 0;
    disk->trial = (struct digest){0};
    return device_point(d) || digest_equal(&d->program, to) ? 0 : hand_over(d);
}

int device_program_switch(struct device *d)
{
    const struct held *row = disk_held(&d->disk, d->core.work);
    const struct digest packaged = {0};
    bool comes = d->job.type == AGENT_SWITCH && agent_of(d, &d->job.bundle);
    if (comes && row && row->phase == PHASE_APPLYING)
        return try_it(d);
    return go_back(d, comes ? &d->job.bundle : &packaged);
}

int device_program_hook(struct device *d)
{
    bool runs = digest_equal(&d->program, &d->job.bundle);
    if (d->job.hook == HOOK_APPLY)
        return runs ? 0 : ERR_REFUSED;
    if (d->job.hook != HOOK_HEALTH)
        return 0;
    if (!runs || (!d->proof && !digest_equal(&d->program, &d->disk.proven)))
        return ERR_REFUSED;
    d->disk.proven = d->program;
    d->disk.trial = (struct digest){0};
    return 0;
}

bool device_program_mute(const struct device *d)
{
    const struct bundle *b = agent_of(d, &d->program);
    return b && b->script.mute;
}
