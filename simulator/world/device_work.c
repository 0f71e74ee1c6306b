#include "simulator/world/device.h"
#include "simulator/world/notary.h"

#include <stdio.h>

#define UNPACK_MS 50
#define SWITCH_MS 2

static void look_at_fetch(struct device *d);
static int look_at_manifest(struct device *d, const struct bundle *b);
static bool want_chunk(struct device *d, const struct digest *name);
static void lose_patience(void *context, uint64_t serial, void *payload);
static void end_job(struct device *d, int rv);
static void effect(void *context, uint64_t serial, void *payload);
static int unpack(struct device *d);
static int switch_current(struct device *d);
static int detach(struct device *d);
static int end_hook(struct device *d);
static void start_hook(struct device *d);

static struct topic chunk_topic(const struct digest *name)
{
    return topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = *name});
}

void device_work_begin(struct device *d, const struct agent_action *a)
{
    if (d->job.busy)
        stage_fault(d->stage, "%s: two jobs at a time", device_name(d));
    d->job = (struct device_job){
        .serial = d->job.serial + 1,
        .busy = true,
        .type = a->type,
        .hook = a->hook,
        .bundle = a->bundle,
        .previous = a->previous,
    };
    snprintf(d->job.name, sizeof d->job.name, "%s", a->name);
    uint64_t takes_ms = a->type == AGENT_UNPACK ? UNPACK_MS : SWITCH_MS;
    if (a->type == AGENT_FETCH) {
        stage_trace(d->stage, "%s fetch %s", device_name(d), shelf_title(d->shelf, &a->bundle));
        d->heard_ms = d->stage->now_ms;
        stage_at(d->stage, d->stage->now_ms + DEVICE_FETCH_PATIENCE_MS, lose_patience, d,
                 d->job.serial, NULL);
        takes_ms = 1;
    } else if (a->type == AGENT_HOOK) {
        const struct bundle *b = shelf_find(d->shelf, &a->bundle);
        takes_ms = b ? b->script.hook_ms : 1;
        start_hook(d);
    }
    stage_at(d->stage, d->stage->now_ms + takes_ms, effect, d, d->job.serial, NULL);
}

/* The job's time is over: what it does shows, and then the core hears. */
static void effect(void *context, uint64_t serial, void *payload)
{
    struct device *d = context;
    int rv = 0;
    (void)payload;
    if (!d->job.busy || serial != d->job.serial || device_point(d))
        return;
    if (d->job.type == AGENT_FETCH) {
        look_at_fetch(d);
        return;
    }
    if (d->job.type == AGENT_UNPACK)
        rv = unpack(d);
    else if (d->job.type == AGENT_SWITCH)
        rv = switch_current(d);
    else if (d->job.type == AGENT_DETACH)
        rv = detach(d);
    else
        rv = end_hook(d);
    end_job(d, rv);
}

static void end_job(struct device *d, int rv)
{
    const struct bundle *b = shelf_find(d->shelf, &d->job.bundle);
    if (device_point(d))
        return;
    d->job.busy = false;
    device_feed(d,
                &(struct agent_event){
                    .type = AGENT_DONE,
                    .done = d->job.type,
                    .rv = rv,
                    .health_deadline_s = b ? b->script.deadline_s : 0,
                    .health_interval_s = b ? b->script.interval_s : 0,
                },
                NULL);
    device_work_sweep(d);
}

/* ---- content ---- */

static bool fetching(const struct device *d)
{
    return d->state == DEVICE_RUNNING && d->job.busy && d->job.type == AGENT_FETCH;
}

static void drop_questions(struct device *d)
{
    for (uint32_t i = 0; i < d->asked.count; i++)
        client_unsubscribe(d->client, chunk_topic(&d->asked.list[i]).text);
    d->asked.count = 0;
}

static void end_fetch(struct device *d, int rv)
{
    drop_questions(d);
    end_job(d, rv);
}

void device_work_stop_fetch(struct device *d)
{
    drop_questions(d);
    if (fetching(d))
        d->job.busy = false;
}

void device_work_link_up(struct device *d)
{
    d->asked.count = 0;
    d->heard_ms = d->stage->now_ms;
    if (fetching(d))
        look_at_fetch(d);
}

/* Asks for what is missing, or ends. */
static void look_at_fetch(struct device *d)
{
    const struct bundle *b = shelf_find(d->shelf, &d->job.bundle);
    bool missing = want_chunk(d, &d->job.bundle);
    int rv = missing ? 0 : look_at_manifest(d, b);
    for (uint32_t i = 0; !missing && rv == 0 && i < b->chunk_count; i++)
        missing |= want_chunk(d, &b->chunks[i].name);
    if (!missing)
        end_fetch(d, rv);
}

/* The publisher's signature is checked each time, against the keys that are trusted now. */
static int look_at_manifest(struct device *d, const struct bundle *b)
{
    static struct manifest m;
    struct span body;
    struct span bytes = span_of(b->manifest.bytes + 1, b->manifest.len - 1);
    int rv = notary_open(&d->disk.trust, TRUST_PUBLISHERS, MESSAGE_MANIFEST, bytes, &body);
    return rv < 0 ? rv : manifest_read(body, &m);
}

/* True when it isn't here yet. */
static bool want_chunk(struct device *d, const struct digest *name)
{
    if (digests_has(&d->disk.chunks, name))
        return false;
    if (client_is_up(d->client) && !digests_has(&d->asked, name)) {
        digests_add(&d->asked, name);
        client_subscribe(d->client, chunk_topic(name).text);
    }
    return true;
}

void device_work_chunk(struct device *d, const struct digest *name, struct span frame)
{
    struct digest digest = digest_of(span_of(frame.data + 1, frame.len - 1));
    if (!fetching(d) || !digests_has(&d->asked, name))
        return;
    if (frame.data[0] != 0 || !digest_equal(&digest, name)) {
        device_feed(d, &(struct agent_event){.type = AGENT_REFUSED}, NULL);
        return;
    }
    int rv = disk_write(&d->disk);
    if (rv < 0) {
        end_fetch(d, rv);
        return;
    }
    digests_add(&d->disk.chunks, name);
    client_unsubscribe(d->client, chunk_topic(name).text);
    d->heard_ms = d->stage->now_ms;
    if (!device_point(d))
        look_at_fetch(d);
}

/* Without a link nothing is expected. */
static void lose_patience(void *context, uint64_t serial, void *payload)
{
    struct device *d = context;
    (void)payload;
    if (!fetching(d) || serial != d->job.serial)
        return;
    uint64_t due = d->heard_ms + DEVICE_FETCH_PATIENCE_MS;
    if (!client_is_up(d->client))
        due = d->stage->now_ms + DEVICE_FETCH_PATIENCE_MS;
    if (d->stage->now_ms < due) {
        stage_at(d->stage, due, lose_patience, d, serial, NULL);
        return;
    }
    end_fetch(d, ERR_TIMEOUT);
}

/* ---- trees ---- */

static int unpack(struct device *d)
{
    const struct bundle *b = shelf_find(d->shelf, &d->job.bundle);
    if (digests_has(&d->disk.trees, &d->job.bundle))
        return 0;
    bool complete = b && digests_has(&d->disk.chunks, &b->digest);
    for (uint32_t i = 0; complete && i < b->chunk_count; i++)
        complete = digests_has(&d->disk.chunks, &b->chunks[i].name);
    if (!complete)
        return ERR_NOT_FOUND;
    int rv = disk_write(&d->disk);
    if (rv == 0)
        digests_add(&d->disk.trees, &d->job.bundle);
    return rv;
}

static int switch_current(struct device *d)
{
    bool none = digest_is_zero(&d->job.bundle);
    if (!none && !digests_has(&d->disk.trees, &d->job.bundle))
        return ERR_NOT_FOUND;
    int rv = disk_write(&d->disk);
    if (rv < 0)
        return rv;
    disk_switch(&d->disk, d->job.name, &d->job.bundle);
    stage_trace(d->stage, "%s current %s %s", device_name(d), d->job.name,
                shelf_title(d->shelf, &d->job.bundle));
    return device_program_concerns(d) ? device_program_switch(d) : 0;
}

static int detach(struct device *d)
{
    int rv = device_program_concerns(d) ? device_program_switch(d) : 0;
    if (rv == 0 && d->state == DEVICE_OFF)
        return 0;
    if (rv == 0)
        rv = disk_write(&d->disk);
    if (rv < 0)
        return rv;
    disk_switch(&d->disk, d->job.name, &(struct digest){0});
    stage_trace(d->stage, "%s detach %s", device_name(d), d->job.name);
    return 0;
}

static bool is_row_bundle(const struct disk *disk, const struct digest *bundle)
{
    for (uint32_t i = 0; i < disk->held_count; i++) {
        const struct held *h = &disk->held[i];
        if ((h->running.generation && digest_equal(&h->running.bundle, bundle)) ||
            (h->wanted.generation && digest_equal(&h->wanted.bundle, bundle)))
            return true;
    }
    return false;
}

static bool is_row_chunk(const struct device *d, const struct digest *chunk)
{
    for (uint32_t i = 0; i < d->shelf->count; i++) {
        const struct bundle *b = &d->shelf->bundles[i];
        bool part = digest_equal(&b->digest, chunk);
        for (uint32_t k = 0; k < b->chunk_count; k++)
            part |= digest_equal(&b->chunks[k].name, chunk);
        if (part && is_row_bundle(&d->disk, &b->digest))
            return true;
    }
    return false;
}

/* As asked for by the core: what no row names goes. A harder broom than the real one, which also
 * leaves what a `current` names. */
void device_work_sweep(struct device *d)
{
    if (!d->sweep || d->state != DEVICE_RUNNING || d->job.busy)
        return;
    d->sweep = false;
    for (uint32_t i = d->disk.trees.count; i-- > 0;)
        if (!is_row_bundle(&d->disk, &d->disk.trees.list[i]))
            digests_remove_at(&d->disk.trees, i);
    for (uint32_t i = d->disk.chunks.count; i-- > 0;)
        if (!is_row_chunk(d, &d->disk.chunks.list[i]))
            digests_remove_at(&d->disk.chunks, i);
}

/* ---- hooks ---- */

static void start_hook(struct device *d)
{
    static const char *const names[HOOK_COUNT] = {
        [HOOK_PRE_APPLY] = "pre-apply",
        [HOOK_APPLY] = "apply",
        [HOOK_HEALTH] = "health",
        [HOOK_REMOVE] = "remove",
    };
    const struct device_job *job = &d->job;
    d->past.hooks_run++;
    stage_trace(d->stage, "%s hook %s %s %s", device_name(d), names[job->hook], job->name,
                shelf_title(d->shelf, &job->bundle));
    if (!digests_has(&d->disk.trees, &job->bundle))
        stage_fault(d->stage, "%s runs hooks/%s of a tree that isn't there: %s", device_name(d),
                    names[job->hook], shelf_title(d->shelf, &job->bundle));
    if (job->hook == HOOK_APPLY)
        d->health_tries = 0;
}

static int end_hook(struct device *d)
{
    const struct bundle *b = shelf_find(d->shelf, &d->job.bundle);
    if (!b)
        return ERR_NOT_FOUND;
    if (b->script.agent)
        return device_program_hook(d);
    if (d->job.hook == HOOK_APPLY && b->script.crashes) {
        device_cut_power(d, d->off_ms);
        return ERR_IO;
    }
    if (d->job.hook == HOOK_HEALTH && ++d->health_tries < b->script.health_tries)
        return ERR_REFUSED;
    return b->script.fails & (1u << d->job.hook) ? ERR_REFUSED : 0;
}
