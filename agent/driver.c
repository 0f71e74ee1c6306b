#include "agent/driver.h"

#include "agent/mend.h"
#include "agent/room.h"
#include "agent/stop.h"
#include "agent/values.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"

#include <assert.h>
#include <unistd.h>

/* A sleeping machine may wake us late, but never later than this. */
#define WAIT_MS_MAX 3600000
/* Refused chunks that are told of: anybody may send rubbish, and must not fill the log with it. */
#define REFUSED_LOGGED 8
/* Descriptors that the loop watches beside the link's: to stop, the network's, and a hook's. */
#define FDS_OWN (2 + HOOK_FDS)

static int open_parts(struct driver *d, struct errmsg *em);
static void start_core(struct driver *d);
static void turn(struct driver *d, const struct pollfd link[static MQTT_FDS]);
static void heed_network(struct driver *d, cards changed);
static void wait(struct driver *d, struct pollfd link[static MQTT_FDS]);
static int wait_ms(const struct driver *d);

static void feed(struct driver *d, struct agent_event *ev, const struct store_incoming *in);
static void feed_done(struct driver *d, enum agent_action_type done, int rv);
static void perform(struct driver *d, const struct agent_action *a);
static int keep(struct driver *d, const struct store_incoming *in);
static void log_store(const struct agent_store *st, const struct store_incoming *in);

static void begin_job(struct driver *d);
static void complain(struct driver *d, const char *event, const struct errmsg *em);
static int run_now(struct driver *d, const struct job *job, struct errmsg *em);
static int switch_agent(struct driver *d, const struct job *job, const struct digest *tree,
                        struct errmsg *em);
static void lack_room(struct driver *d, int rv, struct errmsg *em);
static void begin_fetch(struct driver *d, const struct job *job);
static void stop_fetch(struct driver *d);
static void step_fetch(struct driver *d);
static void begin_hook(struct driver *d, const struct job *job);
static int start_hook(struct driver *d, struct hook_run *run, struct errmsg *em);
static void hook_failed(struct driver *d, const char *log_of, const struct errmsg *em);
static void look_after_hook(struct driver *d);
static void sweep(struct driver *d);
static bool beat(void *context);

static void on_event(void *context, struct agent_event *ev, const struct store_incoming *in);
static void on_chunk(void *context, const struct digest *name, struct span frame);
static int on_ask(void *context, const struct digest *names, size_t count);
static void on_drop(void *context, const struct digest *names, size_t count);
static void on_published(void *context, int message);

/* ---- opening and closing ---- */

int driver_open(struct driver *d, const char *dir, const struct sandbox *sandbox, struct errmsg *em)
{
    d->sandbox = *sandbox;
    d->folder.lock = -1;
    d->chunks.folder = -1;
    network_open(&d->network);
    d->stop = stop_watch(em);
    if (d->stop < 0)
        return d->stop;
    int rv = folder_find(&d->folder, dir, em);
    if (rv == 0)
        rv = folder_hold(&d->folder, em);
    if (rv == 0)
        rv = store_open(&d->store, d->folder.path, STORE_WRITE, em);
    if (rv == ERR_NOT_FOUND || (rv == 0 && !store_joined(&d->store)))
        return errmsg_set(em, ERR_NOT_FOUND,
                          "%s has not joined a fleet: run dunlin-agent join HOST TOKEN --dir %s",
                          dir, dir);
    return rv < 0 ? rv : open_parts(d, em);
}

static int open_parts(struct driver *d, struct errmsg *em)
{
    const struct fetch_link fetch_link = {.context = d, .ask = on_ask, .drop = on_drop};
    const struct link_handler handler = {
        .context = d, .event = on_event, .chunk = on_chunk, .published = on_published};
    link_init(&d->link, &d->store, d->folder.path, &handler);
    fetch_init(&d->fetch, &d->content, &fetch_link);
    d->scratch = arena_on(d->memory, sizeof d->memory);
    notes_init(&d->notes, d->folder.path, &d->store.identity);
    inventory_init(&d->inventory, &d->store, d->folder.path);
    d->upgrade.dir = d->folder.path;
    mend_deployments(d->folder.path, &d->store);
    start_core(d);
    int rv = sandbox_open_folder(&d->sandbox, d->folder.path, em);
    if (rv == 0)
        rv = chunks_open(&d->chunks, d->folder.path, em);
    return rv < 0 ? rv : content_init(&d->content, &d->chunks, em);
}

static void start_core(struct driver *d)
{
    const struct identity *id = &d->store.identity;
    struct agent_options options = {
        .number = id->number,
        .id = id->id,
        .facts = facts_digest(&id->facts),
        .seq_ceiling = d->store.seq_ceiling,
        .floor_s = d->store.floor_s,
        .now_ms = clock_monotonic_ms(),
    };
    random_bytes(&options.seed, sizeof options.seed);
    random_bytes(&options.boot, sizeof options.boot);
    options.boot |= options.boot == 0;
    agent_init(&d->core, &options);
}

void driver_close(struct driver *d)
{
    hook_kill(&d->hook);
    if (d->link.store && d->upgrade.over)
        link_part(&d->link);
    else if (d->link.store)
        link_close(&d->link);
    content_free(&d->content);
    chunks_close(&d->chunks);
    store_close(&d->store);
    folder_close(&d->folder);
    if (d->stop >= 0)
        close(d->stop);
    network_close(&d->network);
}

/* ---- the loop ---- */

bool driver_run(struct driver *d)
{
    struct pollfd fds[MQTT_FDS] = {{.fd = -1}};
    log_event(LOG_INFO, "agent-started", "version=%s number=%u id=%s dir=%s", DUNLIN_VERSION,
              d->store.identity.number, key_id_hex(&d->store.identity.id).text, d->folder.path);
    feed(d, &(struct agent_event){.type = AGENT_BOOT}, NULL);
    while (!stop_wanted(d->stop) && !d->upgrade.over) {
        turn(d, fds);
        wait(d, fds);
    }
    log_event(LOG_INFO, "agent-stopped", "number=%u", d->store.identity.number);
    return d->upgrade.over && !stop_wanted(d->stop);
}

/* Everything that is due by now. */
static void turn(struct driver *d, const struct pollfd link[static MQTT_FDS])
{
    link_service(&d->link, link);
    cards changed = network_changed(&d->network);
    if (changed)
        heed_network(d, changed);
    if (d->hook.running)
        look_after_hook(d);
    if (fetch_active(&d->fetch) && clock_monotonic_ms() >= d->fetch_due_ms)
        step_fetch(d);
    if (d->sweep && !fetch_active(&d->fetch))
        sweep(d);
    if (d->job.pending)
        begin_job(d);
    if (clock_monotonic_ms() >= inventory_due_ms(&d->inventory))
        inventory_tend(&d->inventory, &d->link, d->core.seq, clock_monotonic_ms());
    if (clock_monotonic_ms() >= notes_due_ms(&d->notes))
        notes_send(&d->notes, &d->link, clock_monotonic_ms());
    if (clock_monotonic_ms() >= d->deadline_ms)
        feed(d, &(struct agent_event){.type = AGENT_TICK}, NULL);
}

/* A connection over what is no more would only be found out by its keep-alive. */
static void heed_network(struct driver *d, cards changed)
{
    static const char words[][6] = {
        [NETWORK_OTHER] = "other", [NETWORK_SAME] = "same", [NETWORK_GONE] = "gone"};
    struct pollfd fds[MQTT_FDS];
    link_watch(&d->link, fds);
    enum network_link network = network_look(fds, MQTT_FDS, changed);
    log_event(LOG_DEBUG, "network-changed", "link=%s network=%s", d->link.up ? "up" : "down",
              words[network]);
    if (network == NETWORK_SAME)
        link_probe(&d->link);
    if (network == NETWORK_GONE) {
        log_event(LOG_INFO, "network-moved", "what=\"the fleet is reached another way now\"");
        link_break(&d->link);
        link_service(&d->link, NULL);
    }
    feed(d, &(struct agent_event){.type = AGENT_NETWORK}, NULL);
}

static void wait(struct driver *d, struct pollfd link[static MQTT_FDS])
{
    struct pollfd fds[FDS_OWN + MQTT_FDS] = {
        {.fd = d->stop, .events = POLLIN},
        {.fd = d->network.fd, .events = POLLIN},
    };
    hook_watch(&d->hook, fds + 2);
    link_watch(&d->link, fds + FDS_OWN);
    poll(fds, sizeof fds / sizeof fds[0], wait_ms(d));
    memcpy(link, fds + FDS_OWN, MQTT_FDS * sizeof fds[0]);
}

static int wait_ms(const struct driver *d)
{
    uint64_t now = clock_monotonic_ms(), due = now + WAIT_MS_MAX;
    int link = link_wait_ms(&d->link);
    if (d->job.pending || (d->sweep && !fetch_active(&d->fetch)))
        return 0;
    if (link >= 0 && now + (uint64_t)link < due)
        due = now + (uint64_t)link;
    if (d->deadline_ms < due)
        due = d->deadline_ms;
    if (fetch_active(&d->fetch) && d->fetch_due_ms < due)
        due = d->fetch_due_ms;
    if (hook_deadline(&d->hook) < due)
        due = hook_deadline(&d->hook);
    if (notes_due_ms(&d->notes) < due)
        due = notes_due_ms(&d->notes);
    if (inventory_due_ms(&d->inventory) < due)
        due = inventory_due_ms(&d->inventory);
    return due > now ? (int)(due - now) : 0;
}

/* ---- the core ---- */

/*
 * One event, and then as many AGENT_STORED as follow from it. A step's actions come before its
 * stores: they don't depend on them, and what they point to is gone once the view has changed.
 */
static void feed(struct driver *d, struct agent_event *ev, const struct store_incoming *in)
{
    for (;;) {
        ev->now_ms = clock_monotonic_ms();
        ev->wall_s = clock_wall_s();
        ev->east_s = clock_east_s(ev->wall_s);
        ev->view = &d->store.view;
        arena_reset(&d->scratch);
        agent_step(&d->core, ev, &d->scratch, &d->out);
        d->deadline_ms = d->out.deadline_ms;
        for (uint32_t i = 0; i < d->out.action_count; i++)
            perform(d, &d->out.actions[i]);
        if (d->out.store_count == 0)
            return;
        *ev = (struct agent_event){.type = AGENT_STORED, .rv = keep(d, in)};
    }
}

static void feed_done(struct driver *d, enum agent_action_type done, int rv)
{
    feed(d,
         &(struct agent_event){
             .type = AGENT_DONE,
             .done = done,
             .rv = rv,
             .health_deadline_s = d->content.manifest.health_deadline_s,
             .health_interval_s = d->content.manifest.health_interval_s,
         },
         NULL);
}

static int keep(struct driver *d, const struct store_incoming *in)
{
    struct errmsg em = {0};
    for (uint32_t i = 0; i < d->out.store_count; i++) {
        log_store(&d->out.stores[i], in);
        if (d->out.stores[i].type == AGENT_STORE_HELD)
            notes_keep(&d->notes, d->out.stores[i].held);
    }
    int rv = store_apply(&d->store, &d->out, in, &em);
    if (rv < 0)
        log_event(LOG_ERROR, "not-stored", "error=\"%s\"", em.text);
    return rv;
}

static void log_store(const struct agent_store *st, const struct store_incoming *in)
{
    const struct held *h = st->held;
    if (st->type == AGENT_STORE_HELD)
        log_event(LOG_INFO, "deployment", "name=%s phase=%s generation=%u running=%u%s%s", h->name,
                  agent_phase_name(h), h->wanted.generation, h->running.generation,
                  h->cause ? " cause=" : "", h->cause ? cause_text((enum cause)h->cause) : "");
    else if (st->type == AGENT_STORE_DROP)
        log_event(LOG_INFO, "deployment-gone", "number=%u", st->deployment);
    else if (st->type == AGENT_STORE_DOCUMENT && in)
        log_event(LOG_INFO, "document", "epoch=%u revision=%u records=%u",
                  in->document->revision.epoch, in->document->revision.number, in->document->count);
    else if (st->type == AGENT_STORE_TRUST && in)
        log_event(
            LOG_INFO, "trust", "version=%u roots=%u publishers=%u authority=%s", in->trust->version,
            in->trust->roles[TRUST_ROOTS].count, in->trust->roles[TRUST_PUBLISHERS].count,
            in->trust->authority_count ? key_id_hex(&in->trust->authorities[0]).text : "none");
    else if (st->type == AGENT_STORE_ATLAS && in)
        log_event(LOG_INFO, "atlas", "number=%u cells=%u", in->atlas->number, in->atlas->count);
    else if (st->type == AGENT_STORE_CERTIFICATE && in)
        log_event(LOG_INFO, "certificate-renewed", "bytes=%zu", in->certificate.len);
    else if (st->type == AGENT_STORE_SEQ)
        log_event(LOG_DEBUG, "numbers-reserved", "below=%u", st->seq);
    else if (st->type == AGENT_STORE_SHUT_OUT && st->shut_out_s)
        log_event(LOG_WARN, "shut-out",
                  "what=\"an operator took this agent out of the fleet, or another device seems to "
                  "be it\"");
    else if (st->type == AGENT_STORE_SHUT_OUT)
        log_event(LOG_INFO, "let-in", "what=\"this agent is of the fleet again\"");
}

static void perform(struct driver *d, const struct agent_action *a)
{
    switch (a->type) {
    case AGENT_CONNECT:
        link_connect(&d->link, a->cell, a->session, a->time);
        break;
    case AGENT_KNOCK:
        link_knock(&d->link, a->time);
        break;
    case AGENT_RENEW:
        link_renew(&d->link);
        break;
    case AGENT_SUBSCRIBE:
        link_subscribe(&d->link, a->topic, a->lanes_log2);
        break;
    case AGENT_UNSUBSCRIBE:
        link_unsubscribe(&d->link, a->topic);
        break;
    case AGENT_SEND:
        link_send(&d->link, a->status);
        break;
    case AGENT_FETCH_STOP:
        stop_fetch(d);
        break;
    case AGENT_SWEEP:
        d->sweep = true;
        break;
    case AGENT_LEAVE:
        log_event(LOG_INFO, "removed-from-fleet", "what runs stays as it is");
        link_leave(&d->link);
        break;
    case AGENT_FETCH:
    case AGENT_UNPACK:
    case AGENT_HOOK:
    case AGENT_SWITCH:
    case AGENT_DETACH:
        assert(!d->job.pending && !d->hook.running && !fetch_active(&d->fetch));
        d->job = (struct job){.pending = true,
                              .type = a->type,
                              .hook = a->hook,
                              .to = {.bundle = a->bundle, .variables = a->variables},
                              .from = {.bundle = a->previous, .variables = a->previous_variables},
                              .deployment = a->deployment};
        memcpy(d->job.name, a->name, strlen(a->name));
        break;
    }
}

/* ---- jobs ---- */

static void begin_job(struct driver *d)
{
    struct errmsg em = {0};
    struct job job = d->job;
    d->job.pending = false;
    memcpy(d->working_for, job.name, sizeof d->working_for);
    if (job.type == AGENT_FETCH) {
        begin_fetch(d, &job);
        return;
    }
    if (job.type == AGENT_HOOK) {
        begin_hook(d, &job);
        return;
    }
    int rv = run_now(d, &job, &em);
    if (rv < 0)
        complain(d, "deployment-error", &em);
    lack_room(d, rv, &em);
    if (!stop_wanted(d->stop) && !d->upgrade.over)
        feed_done(d, job.type, rv);
}

/* Said once for each reason: a disk may be full for months, and is tried every 30 s. */
static void complain(struct driver *d, const char *event, const struct errmsg *em)
{
    bool again = em->text[0] && strcmp(d->complaint.text, em->text) == 0;
    log_event(again ? LOG_DEBUG : LOG_WARN, event, "name=%s error=\"%s\"", d->working_for,
              em->text);
    d->complaint = *em;
}

static const struct held *row_of(const struct driver *d, uint32_t deployment)
{
    for (uint32_t i = 0; i < d->store.held_count; i++)
        if (d->store.held[i].deployment == deployment)
            return &d->store.held[i];
    return NULL;
}

/* Chunks that find no room say nothing of how much the whole would take. */
static void lack_room(struct driver *d, int rv, struct errmsg *em)
{
    const struct manifest *m = &d->content.manifest;
    if (rv == ERR_NO_SPACE && em->text[0] == '\0' &&
        content_peek(&d->content, &d->fetch.bundle) == 0)
        room_check(d->chunks.folder, m->bytes, m->files, em);
    const struct held *row = row_of(d, d->job.deployment);
    if (rv == ERR_NO_SPACE && row)
        notes_lack_room(&d->notes, row, em->text);
}

static int run_now(struct driver *d, const struct job *job, struct errmsg *em)
{
    const struct tree_pulse pulse = {.context = d, .beat = beat};
    const char *dir = d->folder.path;
    struct buffer values = buffer_on(d->values, sizeof d->values);
    if (job->type == AGENT_DETACH) {
        int gone = switch_agent(d, job, &(struct digest){0}, em);
        return gone ? gone : tree_detach(dir, job->name, em);
    }
    int rv = store_values(&d->store, job->to.variables, &values, em);
    if (rv < 0)
        return rv;
    if (job->type == AGENT_UNPACK)
        return tree_unpack(dir, &d->content, &job->to.bundle, span_buffer(&values), &pulse, em);
    assert(job->type == AGENT_SWITCH);
    struct digest tree = tree_name(&job->to.bundle, span_buffer(&values));
    if (!digest_is_zero(&tree) && !tree_there(dir, &tree))
        return errmsg_set(em, ERR_NOT_FOUND, "the tree of bundle %.12s is missing",
                          digest_hex(&job->to.bundle).text);
    rv = tree_switch(dir, job->name, &tree, em);
    return rv < 0 ? rv : switch_agent(d, job, &tree, em);
}

static bool is_agent(struct driver *d, const struct digest *bundle)
{
    return !digest_is_zero(bundle) && content_peek(&d->content, bundle) == 0 &&
           d->content.manifest.kind == BUNDLE_AGENT;
}

/* Where a bundle of kind agent comes or goes, the program changes with it. A tree of zero: it goes.
 * 1: another program is to go on. */
static int switch_agent(struct driver *d, const struct job *job, const struct digest *tree,
                        struct errmsg *em)
{
    const struct digest packaged = {0};
    const struct held *row = row_of(d, job->deployment);
    bool comes = !digest_is_zero(tree) && is_agent(d, &job->to.bundle);
    if (comes && row && row->phase == PHASE_APPLYING)
        return upgrade_begin(&d->upgrade, tree, &d->content.manifest, em);
    if (!comes && !is_agent(d, &job->to.bundle) && !is_agent(d, &job->from.bundle))
        return 0;
    return upgrade_undo(&d->upgrade, comes ? tree : &packaged, em);
}

/* So that a big bundle being unpacked doesn't cost the connection. */
static bool beat(void *context)
{
    struct driver *d = context;
    struct pollfd fds[MQTT_FDS];
    link_watch(&d->link, fds);
    link_service(&d->link, poll(fds, MQTT_FDS, 0) > 0 ? fds : NULL);
    if (clock_monotonic_ms() >= d->deadline_ms)
        feed(d, &(struct agent_event){.type = AGENT_TICK}, NULL);
    return !stop_wanted(d->stop);
}

static void begin_fetch(struct driver *d, const struct job *job)
{
    fetch_start(&d->fetch, &job->to.bundle, &d->store.trust);
    d->fetch_due_ms = 0;
}

static void stop_fetch(struct driver *d)
{
    if (fetch_active(&d->fetch))
        fetch_stop(&d->fetch);
    if (d->job.type == AGENT_FETCH)
        d->job.pending = false;
}

static void step_fetch(struct driver *d)
{
    struct errmsg em = {0};
    int rv = fetch_step(&d->fetch, clock_monotonic_ms(), &d->fetch_due_ms, &em);
    if (rv == 1)
        return;
    lack_room(d, rv, &em);
    if (d->fetch.came > 0)
        d->complaint.text[0] = '\0';
    if (rv < 0)
        complain(d, "fetch-failed", &em);
    if (rv == 0 && d->fetch.came > 0)
        log_event(LOG_INFO, "fetched", "name=%s bundle=%.12s came=%u content=%u", d->working_for,
                  digest_hex(&d->fetch.bundle).text, d->fetch.came, d->content.manifest.chunks);
    feed_done(d, AGENT_FETCH, rv);
}

static void begin_hook(struct driver *d, const struct job *job)
{
    struct errmsg em = {0};
    const struct manifest *m = &d->content.manifest;
    struct buffer values = buffer_on(d->values, sizeof d->values);
    struct digest previous = {0};
    notes_begin(&d->notes, job->hook, &job->to.bundle);
    int rv = content_open(&d->content, &job->to.bundle, NULL, &em);
    if (rv == 0 && !digest_is_zero(&job->from.bundle))
        rv = values_find_tree(&d->store, &job->from, &previous, &em);
    if (rv == 0)
        rv = store_values(&d->store, job->to.variables, &values, &em);
    uint32_t limit_s = m->hook_timeout_s;
    if (job->hook == HOOK_HEALTH && m->health_deadline_s > 0 && m->health_deadline_s < limit_s)
        limit_s = m->health_deadline_s;
    if (rv == 0)
        rv = start_hook(d,
                        &(struct hook_run){
                            .dir = d->folder.path,
                            .sandbox = &d->sandbox,
                            .deployment = job->name,
                            .number = job->deployment,
                            .hook = job->hook,
                            .tree = tree_name(&job->to.bundle, span_buffer(&values)),
                            .previous = previous,
                            .values = span_buffer(&values),
                            .sealed_to = &d->store.identity.sealed_to,
                            .bundle_name = m->name,
                            .version = m->version,
                            .timeout_s = limit_s,
                        },
                        &em);
    if (rv < 0)
        hook_failed(d, NULL, &em);
    if (rv <= 0)
        feed_done(d, AGENT_HOOK, rv);
}

/* A new agent has no hooks: before anything changes it is asked whether it can read what this one
 * keeps, as the user that it will run as. */
static int start_hook(struct driver *d, struct hook_run *run, struct errmsg *em)
{
    static const struct sandbox none;
    char program[FILE_PATH_MAX];
    const char *const look[] = {program, "status", "--dir", run->dir, NULL};
    if (d->content.manifest.kind != BUNDLE_AGENT)
        return hook_start(&d->hook, run, clock_monotonic_ms(), em);
    if (run->hook != HOOK_PRE_APPLY)
        return upgrade_hook(&d->upgrade, run->hook, &run->tree, d->link.reason, em);
    int rv = upgrade_prepare(&d->upgrade, &run->tree, &run->previous, program, em);
    if (rv < 0)
        return rv;
    run->instead = look;
    run->sandbox = &none;
    return hook_start(&d->hook, run, clock_monotonic_ms(), em);
}

static void hook_failed(struct driver *d, const char *log_of, const struct errmsg *em)
{
    log_event(LOG_WARN, "hook-failed", "name=%s error=\"%s\"", d->working_for, em->text);
    notes_hear(&d->notes, log_of, em->text);
}

static void look_after_hook(struct driver *d)
{
    struct errmsg em = {0};
    int rv = hook_end(&d->hook, clock_monotonic_ms(), &em);
    if (rv == 1)
        return;
    if (rv < 0)
        hook_failed(d, d->working_for, &em);
    feed_done(d, AGENT_HOOK, rv);
}

/* The bundle's chunks and the tree are needed: two names, where values stand in the tree. */
static bool need(struct driver *d, const struct target *t, struct digest *used, size_t *count)
{
    if (!t->generation)
        return true;
    used[(*count)++] = t->bundle;
    return values_find_tree(&d->store, t, &used[(*count)++], NULL) == 0;
}

static void sweep(struct driver *d)
{
    static struct digest used[4 * HELD_MAX];
    struct errmsg em = {0};
    size_t count = 0;
    bool known = true;
    d->sweep = false;
    for (uint32_t i = 0; i < d->store.held_count; i++) {
        known &= need(d, &d->store.held[i].running, used, &count);
        known &= need(d, &d->store.held[i].wanted, used, &count);
    }
    /* What can't be read may be the name of a tree that runs. */
    if (known && tree_sweep(d->folder.path, &d->content, used, count, &em) < 0)
        log_event(LOG_WARN, "sweep-failed", "error=\"%s\"", em.text);
}

/* ---- what the link and the fetch call ---- */

/* A document is asked for as proof, too, whatever the core asks for. */
static void on_event(void *context, struct agent_event *ev, const struct store_incoming *in)
{
    struct driver *d = context;
    if (ev->type == AGENT_LINK_UP || ev->type == AGENT_LINK_DOWN) {
        fetch_link_changed(&d->fetch);
        notes_link_changed(&d->notes, ev->type == AGENT_LINK_UP, clock_monotonic_ms());
        inventory_link_changed(&d->inventory, ev->type == AGENT_LINK_UP, clock_monotonic_ms());
        d->fetch_due_ms = 0;
    }
    bool document = ev->type == AGENT_DOCUMENT, ask = upgrade_hears(&d->upgrade, ev);
    feed(d, ev, in);
    if (ask)
        link_subscribe(&d->link, AGENT_TOPIC_DOCUMENT, 0);
    else if (document && !d->core.asks[AGENT_TOPIC_DOCUMENT].subscribed)
        link_unsubscribe(&d->link, AGENT_TOPIC_DOCUMENT);
}

static void on_chunk(void *context, const struct digest *name, struct span frame)
{
    struct driver *d = context;
    struct errmsg em = {0};
    uint32_t refused = d->fetch.refused;
    if (!fetch_active(&d->fetch))
        return;
    fetch_take(&d->fetch, name, frame, &em);
    d->fetch_due_ms = 0;
    if (em.text[0] != '\0')
        log_event(LOG_WARN, "chunk-not-kept", "error=\"%s\"", em.text);
    if (d->fetch.refused == refused)
        return;
    enum log_level level = refused < REFUSED_LOGGED ? LOG_WARN : LOG_DEBUG;
    log_event(level, "chunk-refused", "chunk=%.12s", digest_hex(name).text);
    feed(d, &(struct agent_event){.type = AGENT_REFUSED}, NULL);
}

static int on_ask(void *context, const struct digest *names, size_t count)
{
    return link_ask(&((struct driver *)context)->link, names, count);
}

static void on_drop(void *context, const struct digest *names, size_t count)
{
    link_drop(&((struct driver *)context)->link, names, count);
}

static void on_published(void *context, int message)
{
    struct driver *d = context;
    d->upgrade.acknowledged = true;
    notes_acknowledged(&d->notes, message);
    inventory_acknowledged(&d->inventory, message);
}
