/*
 * A turn of the loop: wait, hear the cells and the API, step the core for each event, write its
 * rows into one open transaction; then commit, and only then speak. What a cell delivered is
 * acknowledged to its broker in the next turn, so a message that couldn't be committed comes again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "manager/daemon_parts.h"
#include "manager/succession.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_MS 1000
/* Rows of agents that were only heard again, written in one tick: a million in four minutes, and a
 * tick's share in some milliseconds. */
#define BEHIND_PER_TICK 4096
/* Documents are made anew in a turn for about this long; then others get theirs. */
#define TURN_MS_MAX 50
/* Descriptors besides the cells': signals, the API's, the door's. */
#define FDS_OWN (1 + API_FDS + DOOR_FDS)

static void wait_for_events(struct daemon *d, struct pollfd *fds, size_t count);
static void turn(struct daemon *d, const struct pollfd *fds);
static void audit_alarms(struct daemon *d, const struct manager_out *out);
static void audit_joins(struct daemon *d, const struct manager_out *out);
static void feed_facts(struct daemon *d, uint64_t until_ms);
static void step_on(struct daemon *d, uint64_t until_ms);
static void retire_authority(struct daemon *d);
static void tend_cells(struct daemon *d);
static void reblock(struct daemon *d);
static void begin_answers(struct daemon *d);
static void recover(struct daemon *d, int rv);
static void speak(struct daemon *d, int commit_rv);
static void send_answer(struct daemon *d, const struct answer *a);

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
    bool busy = manager_facts_wanted(d->core) != 0 || d->more || d->counts || d->feeds ||
                d->spoke || d->reply_count > 0;
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
        daemon_step(d, &(struct manager_event){.type = MANAGER_TICK}, &out);
        retire_authority(d);
        tend_cells(d);
        daemon_catch_up(d, BEHIND_PER_TICK);
        if (d->reblock)
            reblock(d);
    }
    feed_facts(d, now_ms + TURN_MS_MAX);
    step_on(d, now_ms + TURN_MS_MAX);
    daemon_finish(d);
    d->counts = census_go_on(d->census, d->core);
    d->feeds = cells_feed(d->cells, d->news || tick);
    d->news = false;
}

/* What operators ask is answered in a few exchanges, each of which would wait for a whole turn. */
void daemon_pause(void *context)
{
    struct daemon *d = context;
    api_service(d->api);
}

void daemon_step(struct daemon *d, struct manager_event *ev, struct manager_out *out)
{
    ev->now_s = d->now_s;
    arena_reset(&d->scratch);
    manager_step(d->core, ev, &d->scratch, out);
    d->more = out->more;
    d->reblock |= manager_blocked_changes(d->core) != d->blocked_changes;
    d->blocked_changes = manager_blocked_changes(d->core);
    for (uint32_t i = 0; i < out->persist_count && d->broken == 0; i++)
        d->broken = scribe_persist(d->scribe, d->core, &out->persist[i], ev, &d->why);
    audit_alarms(d, out);
    if (ev->type == MANAGER_JOIN)
        audit_joins(d, out);
}

static void audit_alarms(struct daemon *d, const struct manager_out *out)
{
    for (uint32_t i = 0; i < out->alarm_count && d->broken == 0; i++) {
        struct audit_entry e = {0};
        audit_alarm(&e, d->core, &out->alarms[i]);
        int rv = auditor_add_bounded(d->auditor, &e, d->now_s, &d->why);
        d->broken = rv < 0 ? rv : 0;
        if (rv == 0)
            manager_alarm_untold(d->core, &out->alarms[i]);
        if (rv <= 0)
            continue;
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
        daemon_step(d, &ev, &out);
        if (clock_monotonic_ms() >= until_ms)
            return;
    }
}

static void step_on(struct daemon *d, uint64_t until_ms)
{
    struct manager_out out;
    while (d->more && d->broken == 0) {
        daemon_step(d, &(struct manager_event){.type = MANAGER_CONTINUE}, &out);
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
    daemon_audit(d, &e);
}

void daemon_catch_up(struct daemon *d, uint32_t max)
{
    int rv = d->broken == 0 ? scribe_catch_up(d->scribe, d->core, max, &d->why) : 0;
    d->broken = rv < 0 ? rv : d->broken;
}

/* Persist, then speak. */
void daemon_finish(struct daemon *d)
{
    int rv = d->broken;
    if (rv == 0)
        rv = scribe_settle(d->scribe, &d->why);
    if (rv == 0)
        rv = auditor_settle(d->auditor, d->now_s, &d->why);
    if (rv == 0)
        begin_answers(d);
    bool dirty = ledger_dirty(d->ledger);
    if (rv == 0)
        rv = ledger_commit(d->ledger, &d->why);
    if (rv < 0) {
        recover(d, rv);
        return;
    }
    auditor_committed(d->auditor);
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

/* A core that was loaded anew may know of an older one. */
static void tend_cells(struct daemon *d)
{
    struct manager_out out;
    if (d->broken == 0)
        d->broken = cells_tend(d->cells, d->ledger, daemon_epoch(d), d->now_s, &d->why);
    uint32_t atlas = cells_atlas(d->cells).number;
    if (d->broken == 0 && atlas != manager_atlas(d->core))
        daemon_step(d, &(struct manager_event){.type = MANAGER_ATLAS, .atlas = atlas}, &out);
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
    struct blocked_agent *blocked = daemon_blocked(d, &count);
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
    recent_forget(d->recent);
    census_forget(d->census);
    cells_drop(d->cells, clock_monotonic_ms());
    madvise(d->core, d->core_size, MADV_DONTNEED); /* zeroes it */
    struct errmsg why = d->why;
    int loaded = keyring_init(&d->keys, ledger_keys(d->ledger));
    if (loaded == 0)
        loaded = daemon_load_core(d, &d->why);
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

/* The list being full, what is in it is committed at once. */
void daemon_answer(struct daemon *d, struct answer *a)
{
    d->answers[d->answer_count++] = a;
    if (d->answer_count == ANSWERS_MAX)
        daemon_finish(d);
}

void daemon_audit(struct daemon *d, struct audit_entry *e)
{
    if (d->broken == 0)
        d->broken = auditor_add(d->auditor, e, d->now_s, &d->why);
}
