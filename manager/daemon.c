/*
 * A turn of the loop: wait, hear the cells and the API, step the core for each event, write its
 * rows into one open transaction; then commit, and only then speak. What a cell delivered is
 * acknowledged to its broker in the next turn, so a message that couldn't be committed comes again.
 */
#include "manager/daemon.h"

#include "base/clock.h"
#include "base/date.h"
#include "base/file.h"
#include "base/log.h"
#include "base/printable.h"
#include "crypto/random.h"
#include "manager/acceptance.h"
#include "manager/admins.h"
#include "manager/api.h"
#include "manager/auditor.h"
#include "manager/bench.h"
#include "manager/cells.h"
#include "manager/certificates.h"
#include "manager/door.h"
#include "manager/flood.h"
#include "manager/keyring.h"
#include "manager/reception.h"
#include "manager/root.h"
#include "manager/scribe.h"
#include "manager/spread.h"
#include "manager/succession.h"
#include "manager/vault.h"
#include "sync/message.h"
#include "sync/secret.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS 1000
/* Rows of agents that were only heard again, written in one tick: a million in four minutes, and a
 * tick's share in some milliseconds. */
#define BEHIND_PER_TICK 4096
/* Answers to devices that one commit lets go. */
#define ANSWERS_MAX 256
_Static_assert(ANSWERS_MAX <= PILE_MAX, "a turn's answers share one signature");
/* Documents are made anew in a turn for about this long; then others get theirs. */
#define TURN_MS_MAX 50
/* A document is good for a week, and made anew at half of it. */
#define DOCUMENT_LIFE_S (7 * 86400)
/* Descriptors besides the cells': signals, the API's, the door's. */
#define FDS_OWN (1 + API_FDS + DOOR_FDS)
/* Instead of a cell's number: the device came through the door. */
#define BY_DOOR SIZE_MAX

/* A good agent says one thing a second at most, and seldom more than that in a quarter of an hour.
 * What waited in a broker for a manager that was away comes at once: two days of heartbeats. */
static const struct flood_limits report_limits = {.per_minute = 64 * 60, .burst = 256};
/* What failed hooks said: a good agent has six a minute at most. */
static const struct flood_limits note_limits = {.per_minute = 12, .burst = 128};
/* Requests to join with one token, and of one agent to renew at the door. */
static const struct flood_limits request_limits = {.per_minute = 20, .burst = 20};
/* Requests with a wrong secret, or for tokens that there never were; of everybody together. */
static const struct flood_limits guess_limits = {.per_minute = 3000, .burst = 500};

/* What a device is told once the commit has succeeded. */
struct answer {
    size_t cell;
    struct topic topic;
    struct acceptance *acceptance; /* whose bytes the bench is to write; NULL: they are here */
    size_t len;
    uint8_t bytes[];
};

/* What an operator is told, however the commit ends. */
struct reply {
    daemon_reply *say;
    void *context;
    struct manager_out out;
};

struct daemon {
    char dir[FILE_PATH_MAX];
    struct daemon_options options;
    int lock;
    int signals;
    struct keyring keys;
    struct mac_key secrets; /* the vault's */
    struct ledger *ledger;
    struct depot *depot;
    struct scribe *scribe;
    struct auditor *auditor;
    struct admins *admins;
    struct door *door;
    struct cells *cells;
    struct api *api;

    struct manager *core;
    size_t core_size;
    struct arena scratch;
    uint8_t *scratch_memory;

    uint64_t now_s;
    uint64_t next_tick_ms;
    bool more;    /* the core has documents to make */
    bool spoke;   /* the API has replies to write */
    bool news;    /* rows were committed: the cells may have something to publish */
    bool reblock; /* others are blocked than the cells know */
    uint64_t blocked_changes;
    bool stop;
    bool failing;                /* the last commit failed, and that was logged */
    bool unreadable[CELL_LANES]; /* so was that this log can't be read */
    int broken;                  /* why this turn can't be committed; 0: it can */
    struct errmsg why;
    int fatal; /* the fleet could not be loaded again */

    struct bench *bench;
    struct pile pile; /* the assignments in this turn's answers to joins */
    struct answer *answers[ANSWERS_MAX];
    size_t answer_count;
    struct reply *replies;
    size_t reply_count;
    size_t reply_cap;

    uint8_t *checked; /* one bit for each serial of content: the file was whole */
    size_t checked_cap;
    struct topic topic; /* and frame: what a cell publishes next */
    uint8_t frame[CHUNK_FRAME_MAX];
    uint8_t plain[CHUNK_MAX];
    struct visit visit;
    struct report report;
    struct flood reports;        /* by agent */
    struct flood notes;          /* by agent */
    struct flood requests;       /* to join, by token */
    struct flood_bucket guesses; /* requests that nobody's secret opens */
    uint8_t written[JOINED_MAX + ENVELOPE_OVERHEAD];
    uint8_t certificate[CERTIFICATE_MAX];
};

static int start(struct daemon *d, const struct daemon_options *options, struct errmsg *em);
static void warn_of_trust(const struct daemon *d);
static int open_folder(struct daemon *d, const char *dir, struct errmsg *em);
static int take_lock(struct daemon *d, struct errmsg *em);
static int open_files(struct daemon *d, struct errmsg *em);
static int found_fleet(struct daemon *d, struct errmsg *em);
static int look_for_database(const struct daemon *d, struct errmsg *em);
static int open_core(struct daemon *d, struct errmsg *em);
static int load_core(struct daemon *d, struct errmsg *em);
static int open_outside(struct daemon *d, struct errmsg *em);
static int audit_start(struct daemon *d, struct errmsg *em);
static int open_brokers(struct daemon *d, struct errmsg *em);
static struct blocked_agent *list_blocked(const struct daemon *d, size_t *count);
static bool is_needed(void *context, const struct digest *chunk);
static void wait_for_events(struct daemon *d, struct pollfd *fds, size_t count);
static void turn(struct daemon *d, const struct pollfd *fds);
static void step(struct daemon *d, struct manager_event *ev, const struct newcomer *newcomer,
                 struct manager_out *out);
static void audit_alarms(struct daemon *d, const struct manager_out *out);
static void audit_joins(struct daemon *d, const struct manager_out *out);
static void feed_facts(struct daemon *d, uint64_t until_ms);
static void step_on(struct daemon *d, uint64_t until_ms);
static void retire_authority(struct daemon *d);
static void reblock(struct daemon *d);
static void catch_up(struct daemon *d, uint32_t max);
static void finish(struct daemon *d);
static void begin_answers(struct daemon *d);
static void recover(struct daemon *d, int rv);
static void speak(struct daemon *d, int commit_rv);
static void on_message(void *context, size_t cell, const char *topic, struct span payload);
static void on_visitor(void *context, const char *topic, struct span payload);
static bool floods(struct daemon *d, const struct key_id *id);
static void on_join(struct daemon *d, const struct join_id *id, struct span payload);
static bool asks_too_often(struct daemon *d, const struct manager_event *ev);
static bool guesses_too_often(struct daemon *d);
static bool accept_agent(struct daemon *d, const struct join_id *id, uint32_t number,
                         enum joined_code *code);
static struct acceptance *compose_acceptance(struct daemon *d, uint32_t number,
                                             const struct certificate *c);
static void fill_joined(struct daemon *d, uint32_t number, struct joined *j);
static void send_answer(struct daemon *d, const struct answer *a);
static void put_certificate(struct daemon *d, uint32_t number, const struct key_id *id,
                            struct buffer *der, enum joined_code *code);
static bool knocks_too_often(struct daemon *d, const struct key_id *id);
static void on_renewal(struct daemon *d, size_t cell, const struct topic_name *answer,
                       struct span payload);
static void queue_answer(struct daemon *d, size_t cell, const struct topic_name *topic,
                         struct span bytes);
static void queue(struct daemon *d, struct answer *a);
static void on_report(struct daemon *d, const struct key_id *id, struct span payload);
static void on_note(struct daemon *d, const struct key_id *id, struct span payload);
static void on_telling(struct daemon *d, const struct key_id *id, struct span payload);
static int on_next(void *context, size_t cell, enum cell_lane lane, uint64_t after,
                   struct cell_publication *out);
static bool concerns(const struct daemon *d, size_t cell, const char *topic);
static int next_chunk(struct daemon *d, uint64_t after, struct cell_publication *out,
                      struct errmsg *em);
static bool read_chunk(struct daemon *d, const struct bulk_row *row, struct span *frame);
static bool was_checked(struct daemon *d, uint64_t serial);
static struct manager_out *owe_reply(struct daemon *d, daemon_reply *reply, void *context);
static void audit(struct daemon *d, struct audit_entry *e);
static void keep_admin(struct daemon *d, const char *actor, const char *action,
                       const struct manager_out *out);

/* ---- start and end ---- */

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
    uint8_t hash_key[SIPHASH_KEY_LEN];
    d->options = *options;
    random_bytes(hash_key, sizeof hash_key);
    flood_init(&d->reports, &report_limits, hash_key);
    flood_init(&d->notes, &note_limits, hash_key);
    flood_init(&d->requests, &request_limits, hash_key);
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

void daemon_free(struct daemon *d)
{
    if (!d)
        return;
    if (d->cells && d->api) {
        catch_up(d, UINT32_MAX);
        finish(d);
    }
    api_free(d->api);
    door_close(d->door);
    cells_close(d->cells);
    bench_free(d->bench);
    scribe_free(d->scribe);
    admins_free(d->admins);
    auditor_free(d->auditor);
    depot_close(d->depot);
    ledger_close(d->ledger);
    if (d->core != MAP_FAILED)
        munmap(d->core, d->core_size);
    if (d->signals >= 0)
        close(d->signals);
    if (d->lock >= 0)
        close(d->lock);
    explicit_bzero(&d->secrets, sizeof d->secrets);
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
    d->auditor = auditor_new(d->ledger);
    d->admins = admins_new();
    d->bench = bench_new((unsigned)sysconf(_SC_NPROCESSORS_ONLN));
    if (!d->scribe || !d->auditor || !d->admins || !d->bench)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    rv = admins_load(d->admins, d->ledger, em);
    if (rv < 0)
        return rv;
    bool founded = ledger_setting(d->ledger, LEDGER_EPOCH) > 0;
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

static bool is_needed(void *context, const struct digest *chunk)
{
    struct daemon *d = context;
    return ledger_chunk_needed(d->ledger, chunk);
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
    return load_core(d, em);
}

static int load_core(struct daemon *d, struct errmsg *em)
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
        .document_life_s = DOCUMENT_LIFE_S,
    };
    manager_init(d->core, &options);
    d->more = true; /* a first look at every cohort */
    return ledger_load(d->ledger, d->core, em);
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
    struct door_handler visitors = {.context = d, .message = on_visitor};
    struct cells_handler agents = {.context = d, .message = on_message, .next = on_next};
    struct door_options door = {
        .dir = d->dir, .daemon = &d->options, .keys = &d->keys, .now_s = d->now_s};
    struct cells_options cells = {.dir = d->dir,
                                  .daemon = &d->options,
                                  .keys = &d->keys,
                                  .lineage = (uint64_t)ledger_setting(d->ledger, LEDGER_LINEAGE),
                                  .now_s = d->now_s};
    struct blocked_agent *blocked = list_blocked(d, &cells.blocked_count);
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
static struct blocked_agent *list_blocked(const struct daemon *d, size_t *count)
{
    struct blocked_agent *list = calloc(BLOCKED_MAX, sizeof *list);
    *count = list ? manager_blocked(d->core, list, BLOCKED_MAX) : 0;
    return list;
}

/* ---- the loop ---- */

int daemon_run(struct daemon *d, struct errmsg *em)
{
    struct pollfd fds[FDS_OWN + CELLS_FDS_EACH * DAEMON_CELLS_MAX];
    size_t count = FDS_OWN + CELLS_FDS_EACH * cells_count(d->cells);
    d->stop = false;
    while (!d->stop && d->fatal == 0) {
        fds[0] = (struct pollfd){.fd = d->signals, .events = POLLIN};
        api_watch(d->api, fds + 1);
        door_watch(d->door, fds + 1 + API_FDS);
        cells_watch(d->cells, fds + FDS_OWN);
        wait_for_events(d, fds, count);
        turn(d, fds);
    }
    log_event(LOG_INFO, "manager-stopped", "dir=%s", d->dir);
    return d->fatal == 0 ? 0 : errmsg_set(em, d->fatal, "%s", d->why.text);
}

static void wait_for_events(struct daemon *d, struct pollfd *fds, size_t count)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t until_ms = cells_deadline_ms(d->cells);
    uint64_t door_ms = door_deadline_ms(d->door);
    int api_ms = api_timeout_ms(d->api);
    if (door_ms < until_ms)
        until_ms = door_ms;
    if (d->next_tick_ms < until_ms)
        until_ms = d->next_tick_ms;
    if (api_ms >= 0 && now_ms + (uint64_t)api_ms < until_ms)
        until_ms = now_ms + (uint64_t)api_ms;
    bool busy = manager_facts_wanted(d->core) != 0 || d->more || d->spoke || d->reply_count > 0;
    int wait_ms = busy || until_ms <= now_ms ? 0 : (int)(until_ms - now_ms);
    d->spoke = false;
    if (poll(fds, (nfds_t)count, wait_ms) <= 0)
        for (size_t i = 0; i < count; i++)
            fds[i].revents = 0;
}

static void turn(struct daemon *d, const struct pollfd *fds)
{
    struct signalfd_siginfo signal;
    struct manager_out out;
    uint64_t now_ms = clock_monotonic_ms();
    bool tick = now_ms >= d->next_tick_ms;
    d->now_s = clock_wall_s();
    d->stop = fds[0].revents && read(d->signals, &signal, sizeof signal) > 0;
    door_service(d->door, fds + 1 + API_FDS, tick, now_ms);
    cells_service(d->cells, fds + FDS_OWN, tick, now_ms);
    api_service(d->api);
    if (tick) {
        d->next_tick_ms = now_ms + TICK_MS;
        step(d, &(struct manager_event){.type = MANAGER_TICK}, NULL, &out);
        retire_authority(d);
        catch_up(d, BEHIND_PER_TICK);
        if (d->reblock)
            reblock(d);
    }
    feed_facts(d, now_ms + TURN_MS_MAX);
    step_on(d, now_ms + TURN_MS_MAX);
    finish(d);
    cells_feed(d->cells, d->news || tick);
    d->news = false;
}

static void step(struct daemon *d, struct manager_event *ev, const struct newcomer *newcomer,
                 struct manager_out *out)
{
    ev->now_s = d->now_s;
    arena_reset(&d->scratch);
    manager_step(d->core, ev, &d->scratch, out);
    d->more = out->more;
    d->reblock |= manager_blocked_changes(d->core) != d->blocked_changes;
    d->blocked_changes = manager_blocked_changes(d->core);
    for (uint32_t i = 0; i < out->persist_count && d->broken == 0; i++)
        d->broken = scribe_persist(d->scribe, d->core, &out->persist[i], ev, newcomer, &d->why);
    audit_alarms(d, out);
    if (ev->type == MANAGER_JOIN)
        audit_joins(d, out);
}

static void audit_alarms(struct daemon *d, const struct manager_out *out)
{
    for (uint32_t i = 0; i < out->alarm_count && d->broken == 0; i++) {
        struct audit_entry e = {0};
        audit_alarm(&e, d->core, &out->alarms[i]);
        d->broken = auditor_add_bounded(d->auditor, &e, d->now_s, &d->why);
        if (d->broken <= 0)
            continue;
        d->broken = 0;
        log_event(LOG_WARN, "alarm", "what=%s who=%s object=\"%s\"", e.action, e.actor, e.object);
    }
}

/* An answer that is given again is nothing new. */
static void audit_joins(struct daemon *d, const struct manager_out *out)
{
    for (uint32_t i = 0; i < out->persist_count && d->broken == 0; i++)
        if (out->persist[i].type == PERSIST_AGENT)
            d->broken = auditor_join(d->auditor, d->core, out->persist[i].index, d->now_s, &d->why);
}

/* What the core asks for, from the disk. A disk that fails takes nothing off anybody. */
static void feed_facts(struct daemon *d, uint64_t until_ms)
{
    struct manager_out out;
    uint32_t number;
    while (d->broken == 0 && (number = manager_facts_wanted(d->core)) != 0) {
        struct facts facts;
        struct manager_event ev = {.type = MANAGER_FACTS, .facts = {.number = number}};
        int rv = ledger_facts(d->ledger, number, &facts, &d->why);
        if (rv < 0 && rv != ERR_NOT_FOUND && rv != ERR_DAMAGED) {
            d->broken = rv;
            return;
        }
        if (rv == 0)
            ev.facts.facts = &facts;
        step(d, &ev, NULL, &out);
        if (clock_monotonic_ms() >= until_ms)
            return;
    }
}

static void step_on(struct daemon *d, uint64_t until_ms)
{
    struct manager_out out;
    while (d->more && d->broken == 0) {
        step(d, &(struct manager_event){.type = MANAGER_CONTINUE}, NULL, &out);
        if (clock_monotonic_ms() >= until_ms)
            return;
    }
}

/* One in a turn. Keeping its secret any longer would serve nobody but thieves. */
static void retire_authority(struct daemon *d)
{
    struct audit_entry e = {.actor = "manager", .action = "authority-retire"};
    const struct elder *elder = succession_due(&d->keys, d->now_s);
    if (!elder || d->broken != 0)
        return;
    struct fleet_keys keys = *ledger_keys(d->ledger);
    audit_text(e.object, sizeof e.object, "authority %s", key_id_hex(&elder->id).text);
    succession_close(&keys, &elder->id);
    d->broken = ledger_set_keys(d->ledger, &keys, &d->why);
    if (d->broken == 0)
        d->broken = keyring_init(&d->keys, &keys);
    explicit_bzero(&keys, sizeof keys);
    audit(d, &e);
}

static void catch_up(struct daemon *d, uint32_t max)
{
    int rv = d->broken == 0 ? scribe_catch_up(d->scribe, d->core, max, &d->why) : 0;
    d->broken = rv < 0 ? rv : d->broken;
}

/* Persist, then speak. */
static void finish(struct daemon *d)
{
    int rv = d->broken;
    if (rv == 0)
        rv = scribe_settle(d->scribe, &d->why);
    if (rv == 0)
        rv = auditor_settle(d->auditor, d->core, d->now_s, &d->why);
    if (rv == 0)
        begin_answers(d);
    bool dirty = ledger_dirty(d->ledger);
    if (rv == 0)
        rv = ledger_commit(d->ledger, &d->why);
    if (rv < 0) {
        recover(d, rv);
        return;
    }
    if (dirty) {
        scribe_committed(d->scribe);
        d->news = true;
    }
    if (dirty && d->failing) {
        d->failing = false;
        log_event(LOG_INFO, "commits-work-again", "dir=%s", d->dir);
    }
    if (dirty && d->reblock)
        reblock(d);
    door_renew(d->door, d->now_s);
    cells_renew(d->cells, d->now_s);
    speak(d, 0);
}

/* They are made while the disk is waited for. One signature is for all assignments in them. */
static void begin_answers(struct daemon *d)
{
    if (pile_count(&d->pile) == 0)
        return;
    int rv = pile_sign(&d->pile, MESSAGE_ASSIGNMENT, &d->keys.signing, &d->keys.online);
    for (size_t i = 0; i < d->answer_count; i++) {
        struct acceptance *a = d->answers[i]->acceptance;
        if (a && rv < 0)
            a->rv = rv;
        else if (a)
            bench_do(d->bench, acceptance_write, a);
    }
}

/* Before the operator hears that it is done. What fails is tried again with the next tick. */
static void reblock(struct daemon *d)
{
    struct errmsg em = {.text = "out of memory"};
    size_t count;
    struct blocked_agent *blocked = list_blocked(d, &count);
    d->reblock = !blocked || cells_block(d->cells, blocked, count, d->now_s, &em) < 0;
    if (d->reblock)
        log_event(LOG_ERROR, "agents-not-blocked", "what=\"%s\"", em.text);
    free(blocked);
}

/* Nothing of this turn has happened: the core is built anew from what is on the disk, and the
 * brokers are asked to deliver again. */
static void recover(struct daemon *d, int rv)
{
    struct manager_counters counters = *manager_counters(d->core);
    if (!d->failing)
        log_event(LOG_ERROR, "commit-failed", "what=\"%s\"", d->why.text);
    d->failing = true;
    d->reblock = true; /* the cells may know what was not committed */
    ledger_rollback(d->ledger);
    scribe_rolled_back(d->scribe);
    auditor_rolled_back(d->auditor);
    cells_drop(d->cells, clock_monotonic_ms());
    madvise(d->core, d->core_size, MADV_DONTNEED); /* zeroes it */
    struct errmsg why = d->why;
    int loaded = keyring_init(&d->keys, ledger_keys(d->ledger));
    if (loaded == 0)
        loaded = load_core(d, &d->why);
    if (loaded == 0)
        loaded = admins_load(d->admins, d->ledger, &d->why);
    *manager_counters(d->core) = counters;
    d->broken = 0;
    if (loaded < 0) {
        d->fatal = loaded;
        log_event(LOG_ERROR, "load-failed", "what=\"%s\"", d->why.text);
    } else {
        d->why = why;
    }
    speak(d, rv);
}

/* A reply may not command anything, so the list stays as it is. */
static void speak(struct daemon *d, int commit_rv)
{
    bench_wait(d->bench);
    for (size_t i = 0; i < d->answer_count; i++) {
        if (commit_rv == 0)
            send_answer(d, d->answers[i]);
        acceptance_free(d->answers[i]->acceptance);
        free(d->answers[i]);
    }
    d->answer_count = 0;
    pile_clear(&d->pile);
    for (size_t i = 0; i < d->reply_count; i++) {
        struct reply *r = &d->replies[i];
        r->say(r->context, &r->out, commit_rv, &d->why);
    }
    d->spoke |= d->reply_count > 0;
    d->reply_count = 0;
}

static void send_answer(struct daemon *d, const struct answer *a)
{
    const struct acceptance *made = a->acceptance;
    struct span bytes = made ? span_of(made->bytes, made->len) : span_of(a->bytes, a->len);
    if (made && made->rv < 0)
        log_event(LOG_ERROR, "join-unanswered", "agent=%u reason=%s", made->joined.number,
                  err_name(made->rv));
    else if (a->cell == BY_DOOR)
        door_send(d->door, a->topic.text, bytes);
    else
        cells_send(d->cells, a->cell, a->topic.text, bytes);
}

/* ---- devices ---- */

static void on_message(void *context, size_t cell, const char *topic, struct span payload)
{
    struct daemon *d = context;
    struct topic_name name = topic_read(topic);
    if (name.kind == TOPIC_UP && floods(d, &name.agent))
        return;
    if (name.kind == TOPIC_UP && message_type(payload) == MESSAGE_RENEWAL)
        on_renewal(d, cell,
                   &(struct topic_name){.kind = TOPIC_AGENT_CERTIFICATE, .agent = name.agent},
                   payload);
    else if (name.kind == TOPIC_UP && message_type(payload) == MESSAGE_NOTE)
        on_note(d, &name.agent, payload);
    else if (name.kind == TOPIC_UP && message_type(payload) == MESSAGE_TELLING)
        on_telling(d, &name.agent, payload);
    else if (name.kind == TOPIC_UP)
        on_report(d, &name.agent, payload);
}

/* Before anything is looked at: what is dropped costs next to nothing. */
static bool floods(struct daemon *d, const struct key_id *id)
{
    enum flood_answer answer =
        flood_count(&d->reports, span_of(id->bytes, sizeof id->bytes), clock_monotonic_ms());
    if (answer == FLOOD_BEGIN)
        log_event(LOG_WARN, "agent-floods", "id=%s per_minute_max=%u", key_id_hex(id).text,
                  report_limits.per_minute);
    manager_counters(d->core)->flooded += answer != FLOOD_ADMIT;
    return answer != FLOOD_ADMIT;
}

/* Through the door. */
static void on_visitor(void *context, const char *topic, struct span payload)
{
    struct daemon *d = context;
    struct topic_name name = topic_read(topic);
    if (name.kind == TOPIC_JOIN && message_type(payload) == MESSAGE_RENEWAL)
        on_renewal(d, BY_DOOR, &(struct topic_name){.kind = TOPIC_JOINED, .join = name.join},
                   payload);
    else if (name.kind == TOPIC_JOIN)
        on_join(d, &name.join, payload);
}

static void on_join(struct daemon *d, const struct join_id *id, struct span payload)
{
    struct manager_event ev = {.type = MANAGER_JOIN};
    struct manager_out out;
    int rv = reception_join(&d->keys, d->core, id, payload, &d->visit, &ev);
    struct joined answer = {.code = d->visit.hint};
    if (rv < 0 || (rv == 0 ? guesses_too_often(d) : asks_too_often(d, &ev)))
        return;
    if (rv == 1) {
        step(d, &ev, &d->visit.newcomer, &out);
        answer.code = out.joined;
    }
    if (rv == 1 && answer.code == JOINED_ACCEPTED && accept_agent(d, id, out.number, &answer.code))
        return;
    struct buffer written = buffer_on(d->written, sizeof d->written);
    if (reception_answer(&d->visit, &answer, &written) == 0)
        queue_answer(d, BY_DOOR, &(struct topic_name){.kind = TOPIC_JOINED, .join = *id},
                     span_buffer(&written));
}

/*
 * A device asks a dozen times in its first minute without an answer, then less and less often. Who
 * has a token for many devices is one of many, so each device counts by itself then. It takes the
 * secret to be counted here, or anybody could keep a device out by guessing.
 */
static bool asks_too_often(struct daemon *d, const struct manager_event *ev)
{
    const struct batch_row *batch = manager_batch(d->core, ev->join.batch);
    struct {
        uint32_t batch, index;
        struct key_id device;
    } who = {.batch = ev->join.batch, .index = ev->join.index};
    if (batch->uses > 1)
        who.device = ev->join.id;
    enum flood_answer answer =
        flood_count(&d->requests, span_of(&who, sizeof who), clock_monotonic_ms());
    if (answer == FLOOD_BEGIN)
        log_event(LOG_WARN, "token-floods", "batch=%u token=%u per_minute_max=%u",
                  ev->join.batch + 1, ev->join.index + 1, request_limits.per_minute);
    manager_counters(d->core)->flooded += answer != FLOOD_ADMIT;
    return answer != FLOOD_ADMIT;
}

/* They are told so in clear, which helps those who mistyped; those who guess get no more answers
 * than that takes. */
static bool guesses_too_often(struct daemon *d)
{
    enum flood_answer answer = flood_draw(&d->guesses, &guess_limits, clock_monotonic_ms());
    if (answer == FLOOD_BEGIN)
        log_event(LOG_WARN, "tokens-guessed", "per_minute_max=%u", guess_limits.per_minute);
    return answer != FLOOD_ADMIT;
}

/* True: the answer is on its way, or can't be made, and the device asks again. Else it has another
 * code by now. */
static bool accept_agent(struct daemon *d, const struct join_id *id, uint32_t number,
                         enum joined_code *code)
{
    struct certificate c;
    struct answer *a = malloc(sizeof *a);
    *code = manager_certificate(d->core, number, &manager_agent(d->core, number)->id, d->now_s, &c);
    c.key = d->visit.join.key;
    struct acceptance *made =
        a && *code == JOINED_ACCEPTED ? compose_acceptance(d, number, &c) : NULL;
    if (!made) {
        free(a);
        return *code == JOINED_ACCEPTED;
    }
    *a = (struct answer){.cell = BY_DOOR,
                         .topic =
                             topic_make(&(struct topic_name){.kind = TOPIC_JOINED, .join = *id}),
                         .acceptance = made};
    made->id = *id;
    made->secret = d->visit.secret;
    queue(d, a);
    return true;
}

static struct acceptance *compose_acceptance(struct daemon *d, uint32_t number,
                                             const struct certificate *c)
{
    struct span trust[TRUST_WALK_MAX];
    struct assignment assignment;
    uint8_t room[ASSIGNMENT_MAX];
    struct buffer body = buffer_on(room, sizeof room);
    manager_assignment(d->core, number, d->now_s, &assignment);
    int rv = assignment_write(&assignment, &body);
    if (rv == 0)
        rv = scribe_trust(d->scribe, d->core, trust);
    struct acceptance *a =
        rv < 0 ? NULL : acceptance_new(&d->keys, trust, (uint32_t)rv, span_buffer(&body));
    if (rv < 0)
        log_event(LOG_ERROR, "join-unanswered", "agent=%u reason=%s", number, err_name(rv));
    if (!a)
        return NULL;
    a->pile = &d->pile;
    a->place = pile_add(&d->pile, span_buffer(&body));
    a->certificate = *c;
    fill_joined(d, number, &a->joined);
    return a;
}

/* The agent's own cell comes first, then those after it, as far as the answer takes them. */
static void fill_joined(struct daemon *d, uint32_t number, struct joined *j)
{
    size_t cells = cells_count(d->cells);
    j->number = number;
    j->mac = keyring_status(&d->keys, number, &manager_agent(d->core, number)->id);
    j->secret = secret_of_agent(&d->secrets, number, &manager_agent(d->core, number)->id);
    j->policy = d->options.policy;
    j->cell_count = spread_count(cells);
    for (uint32_t i = 0; i < j->cell_count; i++)
        snprintf(j->cells[i], sizeof j->cells[i], "%s",
                 cells_url(d->cells, spread_cell(cells, number, i)));
}

/* The agent's certificate as of now, for the key that it joined with. */
static void put_certificate(struct daemon *d, uint32_t number, const struct key_id *id,
                            struct buffer *der, enum joined_code *code)
{
    struct certificate c;
    struct errmsg em = {.text = ""};
    *code = manager_certificate(d->core, number, id, d->now_s, &c);
    if (*code != JOINED_ACCEPTED)
        return;
    int rv = ledger_key(d->ledger, number, &c.key, &em);
    if (rv == 0)
        rv = keyring_certificate(&d->keys, &c, der);
    if (rv == 0)
        return;
    *code = JOINED_UNKNOWN;
    log_event(LOG_ERROR, "certificate-not-made", "agent=%u error=%s what=\"%s\"", number,
              err_name(rv), em.text);
}

/* Each answer costs a signature. On cells an agent's messages are counted by their topic; here it
 * is known only now who asks. */
static bool knocks_too_often(struct daemon *d, const struct key_id *id)
{
    bool drops = flood_count(&d->requests, span_of(id->bytes, sizeof id->bytes),
                             clock_monotonic_ms()) != FLOOD_ADMIT;
    manager_counters(d->core)->flooded += drops;
    return drops;
}

/* Nothing is kept of it, so nothing has to be committed first; but all answers go one way. */
static void on_renewal(struct daemon *d, size_t cell, const struct topic_name *answer,
                       struct span payload)
{
    struct renewal r;
    struct renewed renewed;
    struct buffer certificate = buffer_on(d->certificate, sizeof d->certificate);
    struct buffer written = buffer_on(d->written, sizeof d->written);
    if (reception_renewal(&d->keys, d->core, payload, &r) < 0 ||
        (cell == BY_DOOR && knocks_too_often(d, &r.id)))
        return;
    struct mac_key key = keyring_status(&d->keys, r.number, &r.id);
    put_certificate(d, r.number, &r.id, &certificate, &renewed.code);
    renewed.certificate = span_buffer(&certificate);
    if (renewed_write(&renewed, r.nonce, &key, &written) == 0)
        queue_answer(d, cell, answer, span_buffer(&written));
}

static void queue_answer(struct daemon *d, size_t cell, const struct topic_name *topic,
                         struct span bytes)
{
    struct answer *a = malloc(sizeof *a + bytes.len);
    if (!a)
        return; /* the device asks again */
    *a = (struct answer){.cell = cell, .topic = topic_make(topic), .len = bytes.len};
    memcpy(a->bytes, bytes.data, bytes.len);
    queue(d, a);
}

/* The list being full, what is in it is committed at once. */
static void queue(struct daemon *d, struct answer *a)
{
    d->answers[d->answer_count++] = a;
    if (d->answer_count == ANSWERS_MAX)
        finish(d);
}

static void on_report(struct daemon *d, const struct key_id *id, struct span payload)
{
    struct manager_event ev = {.type = MANAGER_REPORT};
    struct manager_out out;
    if (reception_report(&d->keys, d->core, id, payload, &d->report, &ev) == 1)
        step(d, &ev, NULL, &out);
}

/* Who is for what, by facts, is looked at with the next tick. */
static void on_telling(struct daemon *d, const struct key_id *id, struct span payload)
{
    struct telling t;
    struct manager_out out;
    if (reception_telling(&d->keys, d->core, id, payload, &t) != 1)
        return;
    if (flood_count(&d->notes, span_of(id->bytes, sizeof id->bytes), clock_monotonic_ms()) !=
        FLOOD_ADMIT) {
        manager_counters(d->core)->flooded++;
        return;
    }
    int rv = d->broken == 0 ? ledger_tell(d->ledger, t.number, t.seq, &t.facts, &d->why) : 0;
    struct manager_event ev = {.type = MANAGER_FACTS,
                               .facts = {.number = t.number, .facts = &t.facts}};
    if (rv == 1)
        step(d, &ev, NULL, &out);
    else if (rv < 0)
        d->broken = rv;
}

/* What it says is durable with the turn's other rows. */
static void on_note(struct daemon *d, const struct key_id *id, struct span payload)
{
    struct note n;
    if (reception_note(&d->keys, d->core, id, payload, &n) != 1)
        return;
    if (flood_count(&d->notes, span_of(id->bytes, sizeof id->bytes), clock_monotonic_ms()) !=
        FLOOD_ADMIT) {
        manager_counters(d->core)->flooded++;
        return;
    }
    struct kept_note kept = {.generation = n.generation, .cause = n.cause, .at_s = daemon_now_s(d)};
    printable_text(n.text, kept.text);
    if (d->broken == 0)
        d->broken = ledger_note(d->ledger, n.number, n.deployment - 1, id, &kept, &d->why);
}

/* ---- what cells retain ---- */

static int on_next(void *context, size_t cell, enum cell_lane lane, uint64_t after,
                   struct cell_publication *out)
{
    struct daemon *d = context;
    struct errmsg em;
    struct control_row row;
    int rv;
    if (lane == CELL_BULK) {
        rv = next_chunk(d, after, out, &em);
    } else {
        rv = ledger_next_control(d->ledger, after, &row, &em);
        if (rv == 1)
            *out =
                (struct cell_publication){.serial = row.serial,
                                          .topic = concerns(d, cell, row.topic) ? row.topic : NULL,
                                          .payload = row.payload};
    }
    if (rv < 0 && !d->unreadable[lane])
        log_event(LOG_ERROR, "feed-failed", "what=\"%s\"", em.text);
    d->unreadable[lane] = rv < 0;
    return rv;
}

/* What is one agent's own is kept where it may come. */
static bool concerns(const struct daemon *d, size_t cell, const char *topic)
{
    struct topic_name name = topic_read(topic);
    bool own = name.kind == TOPIC_AGENT_HEAD || name.kind == TOPIC_AGENT_DOC;
    uint32_t number = own ? manager_find_any_agent(d->core, &name.agent) : 0;
    return number == 0 || cells_serves(d->cells, cell, number);
}

static int next_chunk(struct daemon *d, uint64_t after, struct cell_publication *out,
                      struct errmsg *em)
{
    struct bulk_row row;
    int rv = ledger_next_bulk(d->ledger, after, &row, em);
    if (rv <= 0)
        return rv;
    d->topic = topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = row.chunk});
    *out = (struct cell_publication){.serial = row.serial, .topic = d->topic.text};
    if (!row.erased && !read_chunk(d, &row, &out->payload))
        out->topic = NULL;
    return 1;
}

/*
 * Each file is compared with its name once, whichever cell asks first: fifty cells would pay for it
 * fifty times. A damaged one is dropped, so that a push of its bundle brings it back.
 */
static bool read_chunk(struct daemon *d, const struct bulk_row *row, struct span *frame)
{
    struct errmsg em;
    struct buffer out = buffer_on(d->frame, sizeof d->frame);
    struct buffer plain = buffer_on(d->plain, sizeof d->plain);
    int rv = was_checked(d, row->serial) ? 0 : depot_get_plain(d->depot, &row->chunk, &plain, &em);
    if (rv == 0)
        rv = depot_get(d->depot, &row->chunk, &out, &em);
    *frame = span_buffer(&out);
    if (rv == 0)
        return true;
    log_event(LOG_ERROR, "chunk-lost", "what=\"%s\"", em.text);
    if (rv == ERR_DAMAGED)
        depot_remove(d->depot, &row->chunk);
    return false;
}

/* Says whether this serial was asked for before, and remembers that it was. */
static bool was_checked(struct daemon *d, uint64_t serial)
{
    size_t byte = (size_t)(serial / 8);
    if (byte >= d->checked_cap) {
        size_t cap = byte + 4096;
        uint8_t *more = realloc(d->checked, cap);
        if (!more)
            return false;
        memset(more + d->checked_cap, 0, cap - d->checked_cap);
        d->checked = more;
        d->checked_cap = cap;
    }
    uint8_t bit = (uint8_t)(1u << serial % 8);
    bool before = d->checked[byte] & bit;
    d->checked[byte] |= bit;
    return before;
}

/* ---- for the API ---- */

const struct manager *daemon_core(const struct daemon *d)
{
    return d->core;
}

struct ledger *daemon_ledger(const struct daemon *d)
{
    return d->ledger;
}

struct depot *daemon_depot(const struct daemon *d)
{
    return d->depot;
}

uint64_t daemon_now_s(const struct daemon *d)
{
    return d->now_s;
}

uint32_t daemon_epoch(const struct daemon *d)
{
    return (uint32_t)ledger_setting(d->ledger, LEDGER_EPOCH);
}

const char *daemon_join_url(const struct daemon *d)
{
    return door_url(d->door);
}

bool daemon_is_plain(const struct daemon *d)
{
    return d->options.plain;
}

struct porter_counters daemon_porter(const struct daemon *d)
{
    return door_counters(d->door);
}

const char *daemon_api_url(const struct daemon *d)
{
    return api_url(d->api);
}

int daemon_authority_pem(const struct daemon *d, char out[static CERTIFICATE_PEM_MAX])
{
    uint8_t room[CERTIFICATE_MAX];
    struct buffer der = buffer_on(room, sizeof room);
    struct buffer pem = buffer_on(out, CERTIFICATE_PEM_MAX - 1);
    int rv = certificates_authority(&d->keys, d->now_s, &der);
    if (rv == 0)
        rv = certificate_pem(span_buffer(&der), &pem);
    out[rv < 0 ? 0 : pem.len] = '\0';
    return rv;
}

size_t daemon_cell_count(const struct daemon *d)
{
    return cells_count(d->cells);
}

struct cell_info daemon_cell_info(const struct daemon *d, size_t i)
{
    return cells_info(d->cells, i);
}

void daemon_command(struct daemon *d, const char *actor, const struct command *command,
                    daemon_reply *reply, void *context)
{
    struct manager_out *out = owe_reply(d, reply, context);
    step(d, &(struct manager_event){.type = MANAGER_COMMAND, .command = command}, NULL, out);
    if (out->rv != 0)
        return; /* it has changed nothing */
    struct audit_entry e = {0};
    audit_text(e.actor, sizeof e.actor, "%s", actor);
    audit_command(&e, d->core, command, out);
    audit(d, &e);
}

/* Without memory for a reply its connection could never be answered: that is the end. */
static struct manager_out *owe_reply(struct daemon *d, daemon_reply *reply, void *context)
{
    if (d->reply_count == d->reply_cap) {
        size_t cap = d->reply_cap ? d->reply_cap * 2 : 16;
        struct reply *more = realloc(d->replies, cap * sizeof *more);
        if (!more)
            abort();
        d->replies = more;
        d->reply_cap = cap;
    }
    struct reply *r = &d->replies[d->reply_count++];
    *r = (struct reply){.say = reply, .context = context};
    return &r->out;
}

static void audit(struct daemon *d, struct audit_entry *e)
{
    if (d->broken == 0)
        d->broken = auditor_add(d->auditor, e, d->now_s, &d->why);
}

const struct admins *daemon_admins(const struct daemon *d)
{
    return d->admins;
}

void daemon_admin_create(struct daemon *d, const char *actor, const struct admin_row *row,
                         daemon_reply *reply, void *context)
{
    struct manager_out *out = owe_reply(d, reply, context);
    out->rv = admins_create(d->admins, row, &out->index, &out->error);
    keep_admin(d, actor, "admin-create", out);
}

void daemon_admin_revoke(struct daemon *d, const char *actor, const char *name, daemon_reply *reply,
                         void *context)
{
    struct manager_out *out = owe_reply(d, reply, context);
    out->rv = admins_revoke(d->admins, name, &out->index, &out->error);
    keep_admin(d, actor, "admin-revoke", out);
}

static void keep_admin(struct daemon *d, const char *actor, const char *action,
                       const struct manager_out *out)
{
    if (out->rv != 0)
        return;
    const struct admin_row *row = admins_row(d->admins, out->index);
    struct audit_entry e = {0};
    audit_text(e.actor, sizeof e.actor, "%s", actor);
    audit_text(e.action, sizeof e.action, "%s", action);
    audit_text(e.object, sizeof e.object, "admin %s", row->name);
    audit_text(e.detail, sizeof e.detail, "role=%s expires=%s", role_name(row->role),
               date_text(row->expires_s).text);
    if (d->broken == 0)
        d->broken = ledger_admin(d->ledger, out->index, row, &d->why);
    audit(d, &e);
}

void daemon_draw_key(struct daemon *d, const char *actor, enum fleet_key which, bool stolen,
                     daemon_reply *reply, void *context)
{
    static const char *const actions[] = {
        [FLEET_ONLINE] = "online-key-draw", [FLEET_AUTHORITY] = "authority-draw"};
    struct audit_entry e = {0};
    struct fleet_keys keys = *ledger_keys(d->ledger);
    struct manager_out *out = owe_reply(d, reply, context);
    int rv = keyring_draw_heir(&keys, which, stolen);
    out->rv = rv == 1;
    if (rv == 1 || d->broken != 0)
        return;
    d->broken = rv;
    if (d->broken == 0)
        d->broken = ledger_set_keys(d->ledger, &keys, &d->why);
    if (d->broken == 0)
        d->broken = keyring_init(&d->keys, &keys);
    explicit_bzero(&keys, sizeof keys);
    struct key_id id = key_id_of(&d->keys.heirs[which].key);
    audit_text(e.actor, sizeof e.actor, "%s", actor);
    audit_text(e.action, sizeof e.action, "%s", actions[which]);
    audit_text(e.object, sizeof e.object, "key %s", key_id_hex(&id).text);
    audit_text(e.detail, sizeof e.detail, "stolen=%s", stolen ? "yes" : "no");
    audit(d, &e);
}

const struct keyring *daemon_keys(const struct daemon *d)
{
    return &d->keys;
}

bool daemon_has_root(const struct daemon *d)
{
    return root_is_here(d->dir);
}

void daemon_audit_refusal(struct daemon *d, struct audit_entry *e)
{
    int rv = d->broken == 0 ? auditor_add_bounded(d->auditor, e, d->now_s, &d->why) : 0;
    if (rv < 0)
        d->broken = rv;
}

int daemon_put_chunk(struct daemon *d, const struct digest *name, struct span frame,
                     struct errmsg *em)
{
    int rv = depot_put(d->depot, name, frame, em);
    if (rv != 0 || d->broken != 0)
        return rv;
    d->broken = ledger_chunk_again(d->ledger, name, &d->why);
    return 0;
}

struct token_batch daemon_batch(const struct daemon *d, uint32_t batch)
{
    assert(batch < manager_batch_count(d->core));
    struct token_batch b = keyring_batch(&d->keys, batch);
    struct root_pin pin = trust_pin(manager_trust(d->core));
    memcpy(b.root, pin.bytes, sizeof b.root);
    return b;
}
