/*
 * How a manager comes up: its folder, its files, the core from the files, then brokers and the API,
 * which are let in last. And how it goes down, the other way round.
 */
#include "base/clock.h"
#include "base/log.h"
#include "manager/daemon_parts.h"
#include "manager/root.h"
#include "manager/vault.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* A document is good for a week, and made anew at half of it. */
#define DOCUMENT_LIFE_S (7 * 86400)
/* Subscribers of one topic on one broker. Mosquitto pays for each of them when one comes or goes:
 * `sh test/bench/run.sh lanes` shows how much. */
#define LANE_AGENTS_MAX 1000
/* For operators' requests when the manager ends. */
#define LAST_TURNS 4

static int start(struct daemon *d, const struct daemon_options *options, struct errmsg *em);
static void warn_of_trust(const struct daemon *d);
static int open_folder(struct daemon *d, const char *dir, struct errmsg *em);
static int take_lock(struct daemon *d, struct errmsg *em);
static int open_files(struct daemon *d, struct errmsg *em);
static int found_fleet(struct daemon *d, struct errmsg *em);
static int look_for_database(const struct daemon *d, struct errmsg *em);
static int open_core(struct daemon *d, struct errmsg *em);
static int open_outside(struct daemon *d, struct errmsg *em);
static int audit_start(struct daemon *d, struct errmsg *em);
static int open_brokers(struct daemon *d, struct errmsg *em);
static bool is_needed(void *context, const struct digest *chunk);

struct daemon *daemon_new(const struct daemon_options *options, struct errmsg *em)
{
    struct daemon *d = calloc(1, sizeof *d);
    if (!d) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    d->lock = -1;
    d->signals = -1;
    d->core = MAP_FAILED;
    if (start(d, options, em) < 0) {
        daemon_free(d);
        return NULL;
    }
    warn_of_trust(d);
    log_event(LOG_INFO, "manager-started", "dir=%s join_url=%s cells=%zu agents=%u", d->dir,
              daemon_join_url(d), cells_count(d->cells), manager_agent_count(d->core));
    return d;
}

/* It goes on: what it says is worth something again when a trust document names its keys. */
static void warn_of_trust(const struct daemon *d)
{
    const struct trust *t = manager_trust(d->core);
    struct key_id online = key_id_of(&d->keys.online);
    struct key_id authority = d->keys.authority_id;
    if (!trust_has(t, TRUST_ONLINE, &d->keys.online))
        log_event(LOG_WARN, "not-trusted", "what=\"online key\" key=%s document=%u",
                  key_id_hex(&online).text, t->version);
    if (!trust_has_authority(t, &authority))
        log_event(LOG_WARN, "not-trusted", "what=\"certificate authority\" key=%s document=%u",
                  key_id_hex(&authority).text, t->version);
}

static int start(struct daemon *d, const struct daemon_options *options, struct errmsg *em)
{
    d->options = *options;
    daemon_limit_devices(d);
    d->now_s = clock_wall_s();
    int rv = open_folder(d, options->dir, em);
    if (rv == 0)
        rv = take_lock(d, em);
    if (rv == 0)
        rv = open_files(d, em);
    if (rv == 0)
        rv = open_core(d, em);
    if (rv == 0)
        rv = open_outside(d, em);
    return rv;
}

/* Who has asked for something hears what came of it: a request that is on its way takes as many
 * turns to come in, to be heard, and to be answered. */
static void answer_all(struct daemon *d)
{
    for (int turn = 0; turn < LAST_TURNS; turn++) {
        daemon_finish(d);
        api_service(d->api);
    }
    daemon_finish(d);
}

void daemon_free(struct daemon *d)
{
    if (!d)
        return;
    if (d->cells && d->api) {
        daemon_catch_up(d, UINT32_MAX);
        if (d->broken == 0)
            d->broken = auditor_keep(d->auditor, d->now_s, &d->why);
        if (d->fatal == 0)
            answer_all(d);
        else
            daemon_finish(d);
    }
    api_free(d->api);
    door_close(d->door);
    cells_close(d->cells);
    bench_free(d->bench);
    scribe_free(d->scribe);
    recent_free(d->recent);
    admins_free(d->admins);
    census_free(d->census);
    auditor_free(d->auditor);
    depot_close(d->depot);
    ledger_close(d->ledger);
    if (d->core != MAP_FAILED)
        munmap(d->core, d->core_size);
    if (d->signals >= 0)
        close(d->signals);
    if (d->lock >= 0)
        close(d->lock);
    explicit_bzero(&d->keys, sizeof d->keys);
    explicit_bzero(&d->secrets, sizeof d->secrets);
    explicit_bzero(&d->visit, sizeof d->visit);
    free(d->scratch_memory);
    free(d->replies);
    free(d->checked);
    free(d);
}

/* Brokers are started in folders of their own, so the path must hold from everywhere. */
static int open_folder(struct daemon *d, const char *dir, struct errmsg *em)
{
    int rv = file_make_folder(dir, 0700, em);
    if (rv < 0)
        return rv;
    char *path = realpath(dir, NULL);
    if (!path)
        return errmsg_set(em, ERR_IO, "%s: cannot find its full path: %s", dir, strerror(errno));
    rv = file_path(d->dir, em, "%s", path);
    free(path);
    return rv;
}

/* The lock's file says who holds it. */
static int take_lock(struct daemon *d, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    uint8_t text[32] = {0};
    struct buffer holder = buffer_on(text, sizeof text - 1);
    int rv = file_path(path, em, "%s/manager.lock", d->dir);
    if (rv < 0)
        return rv;
    d->lock = file_lock(path, em);
    if (d->lock == ERR_BUSY && file_read(path, &holder, NULL) == 0)
        return errmsg_set(em, ERR_BUSY, "another manager (pid %d) runs on %s", atoi((char *)text),
                          d->dir);
    if (d->lock < 0)
        return d->lock;
    if (ftruncate(d->lock, 0) < 0 || dprintf(d->lock, "%d\n", (int)getpid()) < 0)
        return errmsg_set(em, file_error(errno), "%s: cannot write it: %s", path, strerror(errno));
    return 0;
}

static int open_files(struct daemon *d, struct errmsg *em)
{
    struct fleet_keys fresh;
    int rv = look_for_database(d, em);
    if (rv < 0)
        return rv;
    struct depot_keep keep = {.context = d, .needed = is_needed};
    if (keyring_draw(&fresh) < 0)
        return errmsg_set(em, ERR_CRYPTO, "cannot make the fleet's keys");
    d->ledger = ledger_open(d->dir, &fresh, em);
    explicit_bzero(&fresh, sizeof fresh);
    if (!d->ledger)
        return ERR_IO;
    if (keyring_init(&d->keys, ledger_keys(d->ledger)) < 0)
        return errmsg_set(em, ERR_DAMAGED, "%s/manager.db: the fleet's signing key is damaged",
                          d->dir);
    d->depot = depot_open(d->dir, &keep, em);
    if (!d->depot)
        return ERR_IO;
    d->scribe = scribe_new(&d->keys, d->ledger, d->depot);
    d->recent = recent_new(d->ledger);
    d->auditor = auditor_new(d->ledger);
    d->admins = admins_new();
    d->census = census_new(clock_monotonic_us);
    d->bench = bench_new((unsigned)sysconf(_SC_NPROCESSORS_ONLN));
    if (!d->scribe || !d->recent || !d->auditor || !d->admins || !d->census || !d->bench)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    rv = admins_load(d->admins, d->ledger, em);
    if (rv < 0)
        return rv;
    bool founded = ledger_setting(d->ledger, LEDGER_EPOCH) > 0;
    rv = founded ? 0 : ledger_checked(d->ledger, em);
    if (rv == 0)
        rv = vault_open(d->dir, !founded, &d->secrets, em);
    if (rv == 0)
        rv = ledger_unlock(d->ledger, &d->secrets, !founded, em);
    if (rv < 0)
        return rv;
    return founded ? 0 : found_fleet(d, em);
}

/* Once in a fleet's life: its epoch, and whom it trusts. */
static int found_fleet(struct daemon *d, struct errmsg *em)
{
    uint8_t memory[TRUST_MAX + ENVELOPE_OVERHEAD];
    struct buffer envelope = buffer_on(memory, sizeof memory);
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_TRUST, .version = 1});
    struct audit_entry e = {.actor = "manager", .action = "fleet-create"};
    struct key_id authority = d->keys.authority_id;
    audit_text(e.object, sizeof e.object, "authority %s", key_id_hex(&authority).text);
    int rv = root_found(d->dir, &d->keys, d->now_s, &envelope, em);
    if (rv == 0)
        rv = ledger_publish(d->ledger, topic.text, span_buffer(&envelope), em);
    if (rv == 0)
        rv = ledger_trust(d->ledger, 1, em);
    if (rv == 0)
        rv = ledger_set(d->ledger, LEDGER_EPOCH, 1, em);
    if (rv == 0)
        rv = ledger_set(d->ledger, LEDGER_LINEAGE, keyring_lineage(), em);
    return rv < 0 ? rv : auditor_add(d->auditor, &e, d->now_s, em);
}

/* The database is made, keys and all, before the content's folder. Where that one is alone, a fleet
 * was lost: new keys would be worth nothing to its agents. */
static int look_for_database(const struct daemon *d, struct errmsg *em)
{
    char path[FILE_PATH_MAX], chunks[FILE_PATH_MAX];
    struct stat st;
    int rv = file_path(path, em, "%s/manager.db", d->dir);
    if (rv == 0)
        rv = file_path(chunks, em, "%s/chunks", d->dir);
    if (rv < 0 || (stat(path, &st) == 0 && st.st_size > 0) || access(chunks, F_OK) < 0)
        return rv;
    return errmsg_set(em, ERR_DAMAGED,
                      "%s is missing or empty, but a fleet was here: put the file back from a "
                      "backup, or choose another folder for a new fleet",
                      path);
}

/* On damaged pages everything may be. */
static bool is_needed(void *context, const struct digest *chunk)
{
    struct daemon *d = context;
    return ledger_checked(d->ledger, NULL) < 0 || ledger_chunk_needed(d->ledger, chunk);
}

/* Room for the whole fleet's limit is only promised; memory comes with what is touched. */
static int open_core(struct daemon *d, struct errmsg *em)
{
    struct manager_limits limits = MANAGER_LIMITS_DEFAULT;
    d->core_size = manager_size(&limits);
    d->core = mmap(NULL, d->core_size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    d->scratch_memory = malloc(MANAGER_SCRATCH_MAX);
    if (d->core == MAP_FAILED || !d->scratch_memory)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    d->scratch = arena_on(d->scratch_memory, MANAGER_SCRATCH_MAX);
    return daemon_load_core(d, em);
}

int daemon_load_core(struct daemon *d, struct errmsg *em)
{
    struct manager_options options = {
        .limits = MANAGER_LIMITS_DEFAULT,
        .epoch = daemon_epoch(d),
        .restored_s = (uint64_t)ledger_setting(d->ledger, LEDGER_RESTORED),
        .restored_epoch = (uint32_t)ledger_setting(d->ledger, LEDGER_RESTORED_EPOCH),
        .restored_base = (uint32_t)ledger_setting(d->ledger, LEDGER_RESTORED_BASE),
        .approve = d->options.approve,
        .confirm_percent = d->options.confirm_percent,
        .cohort_secret = d->keys.cohorts,
        .secrets = d->secrets,
        .policy = d->options.policy,
        .atlas = (uint32_t)ledger_setting(d->ledger, LEDGER_ATLAS),
        .document_life_s = DOCUMENT_LIFE_S,
        .lane_agents_max = LANE_AGENTS_MAX * (uint32_t)cells_wanted(&d->options, d->ledger),
    };
    manager_init(d->core, &options);
    d->more = true; /* a first look at every cohort */
    int rv = ledger_load(d->ledger, d->core, em);
    return rv < 0 ? rv : auditor_resume(d->auditor, d->core, d->now_s, em);
}

static int open_outside(struct daemon *d, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    d->signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    if (d->signals < 0)
        return errmsg_set(em, ERR_IO, "cannot hear signals: %s", strerror(errno));
    int rv = open_brokers(d, em);
    if (rv == 0)
        rv = audit_start(d, em);
    if (rv == 0)
        rv = ledger_commit(d->ledger, em);
    if (rv == 0)
        rv = file_path(path, em, "%s/manager.sock", d->dir);
    if (rv < 0)
        return rv;
    const struct api_options api = {.socket_path = path,
                                    .keys = &d->keys,
                                    .host = d->options.api_host,
                                    .port = d->options.api_port,
                                    .advertise = d->options.advertise,
                                    .listen = d->options.host};
    d->api = api_new(d, &api, em);
    return d->api ? 0 : ERR_IO;
}

/* Whoever starts it says how safe it is. */
static int audit_start(struct daemon *d, struct errmsg *em)
{
    const struct daemon_options *o = &d->options;
    struct audit_entry e = {.actor = "manager", .action = "manager-start"};
    audit_text(e.object, sizeof e.object, "version %s", DUNLIN_VERSION);
    if (o->api_host[0])
        audit_text(e.detail, sizeof e.detail, "links=%s listen=%s api=%s:%d",
                   o->plain ? "plain" : "tls", o->host, o->api_host, o->api_port);
    else
        audit_text(e.detail, sizeof e.detail, "links=%s listen=%s", o->plain ? "plain" : "tls",
                   o->host);
    return auditor_add(d->auditor, &e, d->now_s, em);
}

/* The door's port is taken first: it is told to people. */
static int open_brokers(struct daemon *d, struct errmsg *em)
{
    struct door_handler visitors = {.context = d, .message = daemon_hear_visitor};
    struct cells_handler agents = {
        .context = d, .message = daemon_hear_agent, .next = daemon_retained, .pause = daemon_pause};
    struct door_options door = {
        .dir = d->dir, .daemon = &d->options, .keys = &d->keys, .now_s = d->now_s};
    struct cells_options cells = {.dir = d->dir,
                                  .daemon = &d->options,
                                  .keys = &d->keys,
                                  .lineage = (uint64_t)ledger_setting(d->ledger, LEDGER_LINEAGE),
                                  .epoch = daemon_epoch(d),
                                  .now_s = d->now_s};
    struct blocked_agent *blocked = daemon_blocked(d, &cells.blocked_count);
    if (!blocked)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    cells.blocked = blocked;
    d->door = door_open(&door, d->ledger, &visitors, em);
    if (d->door)
        d->cells = cells_open(&cells, d->ledger, &agents, em);
    free(blocked);
    return d->cells ? 0 : ERR_IO;
}

/* On the heap. */
struct blocked_agent *daemon_blocked(const struct daemon *d, size_t *count)
{
    struct blocked_agent *list = calloc(BLOCKED_MAX, sizeof *list);
    *count = list ? manager_blocked(d->core, list, BLOCKED_MAX) : 0;
    return list;
}
