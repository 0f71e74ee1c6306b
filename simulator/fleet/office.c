#include "simulator/fleet/parts.h"

#include "sync/message.h"

#include <assert.h>
#include <stdlib.h>

/* It is back after this; one time in eight somebody has to come first. */
#define OFF_MS 5000
#define AWAY_MS 600000
/* An answer to a join, there and back. */
#define JOIN_AGAIN_MS 10000

static int turn(struct flock *f, struct manager_event *ev, struct manager_out *out);
static void commit(struct flock *f, const struct manager_out *out);

/* ---- the process ---- */

static void build_core(struct flock *f)
{
    const struct manager_options options = {
        .limits = f->rows->limits,
        .epoch = 1,
        .cohort_secret = {.bytes = {1}},
        .policy = f->o->policy,
        .document_life_s = 30 * 86400,
    };
    struct stage stage = {0};
    f->core = calloc(1, manager_size(&options.limits));
    if (!f->core)
        abort();
    manager_init(f->core, &options);
    rows_load(f->rows, f->core, &stage);
    if (stage.fault[0] != '\0')
        flock_fault(f, "%s", stage.fault);
    free(stage.trace);
}

void office_open(struct flock *f)
{
    uint32_t agents = f->o->agents + f->o->faults.clones;
    const struct manager_limits limits = {
        .agents = agents,
        .cohorts = 2 * SCENE_STAGES * FLOCK_SITES_MAX + 8,
        .deployments = 16,
        .bundles = FLOCK_BUNDLES_MAX,
        .batches = 3 * FLOCK_SITES_MAX,
    };
    f->rows = rows_new(&limits);
    f->newest = calloc(limits.cohorts, sizeof f->newest[0]);
    f->memory = malloc(MANAGER_SCRATCH_MAX);
    if (!f->newest || !f->memory)
        abort();
    f->scratch = arena_on(f->memory, MANAGER_SCRATCH_MAX);
    f->rows->epoch = 1;
    f->rows->trust.version = 1;
    build_core(f);
    flock_at(f, f->o->tick_ms, MANAGER_TICKS, 0, 0, 0);
}

void office_close(struct flock *f)
{
    free(f->core);
    rows_free(f->rows);
    free(f->newest);
    free(f->memory);
    free(f->inbox);
    free(f->statuses);
    free(f->status_free);
}

void office_kill(struct flock *f)
{
    if (!f->core)
        return;
    f->result->counts.manager_kills++;
    f->vacant_ms = 0;
    free(f->core);
    f->core = NULL;
    uint64_t more_ms = rng_below(&f->fate, 8) ? 0 : rng_below(&f->fate, AWAY_MS);
    flock_at(f, f->queue.now_ms + OFF_MS + more_ms, MANAGER_START, 0, 0, 0);
}

/* Of a status or a will that waits in its broker. */
static uint32_t waiting_bytes(const struct flock *f, const struct happening *h)
{
    return h->kind == CELL_WILL ? WILL_BYTES : link_status_bytes(&f->statuses[h->what]);
}

/* All but the last fitted under the limit before it came. */
static void check_queues(struct flock *f)
{
    uint64_t queued[FLOCK_CELLS_MAX] = {0}, max = f->o->faults.queue_max;
    for (uint32_t i = 0; i < f->inbox_count && max > 0 && !f->calm; i++) {
        uint64_t *sum = &queued[f->inbox[i].life];
        if (*sum >= max)
            flock_fault(f, "broker %u keeps more for the manager than %u bytes",
                        (unsigned)f->inbox[i].life, (unsigned)max);
        *sum += waiting_bytes(f, &f->inbox[i]);
    }
}

/* What brokers lack, they get; and what agents said meanwhile is read. */
void office_start(struct flock *f)
{
    build_core(f);
    check_registrations(f);
    check_queues(f);
    for (uint32_t i = 0; i < f->cell_count; i++) {
        f->cells[i].current = false;
        cell_fill(f, i);
    }
    uint32_t count = f->inbox_count;
    f->inbox_count = 0;
    for (uint32_t i = 0; i < f->cell_count; i++)
        f->cells[i].queued = 0;
    for (uint32_t i = 0; i < count; i++)
        (f->inbox[i].kind == CELL_WILL ? office_will : office_report)(f, &f->inbox[i]);
}

void office_tick(struct flock *f)
{
    static struct manager_out out;
    flock_at(f, f->queue.now_ms + f->o->tick_ms, MANAGER_TICKS, 0, 0, 0);
    if (!f->core)
        return;
    turn(f, &(struct manager_event){.type = MANAGER_TICK}, &out);
    gate_look(f);
}

/* ---- one turn: step, commit ---- */

static int turn(struct flock *f, struct manager_event *ev, struct manager_out *out)
{
    static struct manager_out more;
    ev->now_s = flock_wall_s(f);
    arena_reset(&f->scratch);
    f->result->counts.manager_steps++;
    manager_step(f->core, ev, &f->scratch, out);
    commit(f, out);
    for (bool again = out->more; again; again = more.more) {
        struct manager_event go_on = {.type = MANAGER_CONTINUE, .now_s = ev->now_s};
        arena_reset(&f->scratch);
        f->result->counts.manager_steps++;
        manager_step(f->core, &go_on, &f->scratch, &more);
        commit(f, &more);
    }
    return out->rv;
}

static uint32_t paper_new(struct flock *f)
{
    uint32_t paper = f->paper_free;
    if (paper) {
        f->paper_free = f->papers[paper].size;
        return paper;
    }
    if (f->paper_count == f->paper_room) {
        f->paper_room = f->paper_room ? 2 * f->paper_room : 64;
        f->papers = realloc(f->papers, f->paper_room * sizeof f->papers[0]);
        if (!f->papers)
            abort();
    }
    if (f->paper_count == 0)
        f->papers[f->paper_count++] = (struct paper){0};
    return f->paper_count++;
}

/* A document with room for no more records than it has: nodes hold many of them. */
static void write_paper(struct flock *f, uint32_t cohort)
{
    static struct desired d;
    static uint8_t memory[DOCUMENT_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    manager_document(f->core, cohort, &d);
    check_document(f, &d);
    int rv = desired_write(&d, &body);
    assert(rv == 0);
    (void)rv;
    size_t size = offsetof(struct desired, records) + d.count * sizeof d.records[0];
    uint32_t paper = paper_new(f);
    struct desired *copy = malloc(size);
    if (!copy)
        abort();
    memcpy(copy, &d, size);
    f->papers[paper] = (struct paper){
        .holds = 1, .size = (uint32_t)body.len + PAPER_BYTES, .cohort = cohort, .desired = copy};
    paper_drop(f, f->newest[cohort]);
    f->newest[cohort] = paper;
    f->result->counts.documents++;
}

/* The copy of a device is gone, and was further than the device is: whose old numbers the operator
 * is told of is the right one. */
static void hear_alarms(struct flock *f, const struct manager_out *out)
{
    for (uint32_t i = 0; f->calm && i < out->alarm_count; i++) {
        const struct alarm *alarm = &out->alarms[i];
        if (alarm->type == ALARM_OLD_NUMBERS && alarm->answers)
            flock_at(f, f->queue.now_ms + 1000, RELEASE, f->by_number[alarm->number - 1] - 1, 0, 0);
    }
}

static void commit(struct flock *f, const struct manager_out *out)
{
    hear_alarms(f, out);
    for (uint32_t i = 0; i < out->persist_count; i++) {
        const struct persist *p = &out->persist[i];
        rows_copy(f->rows, f->core, p);
        if (p->type == PERSIST_DOCUMENT) {
            write_paper(f, p->index);
            gate_note(f, p->index);
            cell_publish(f, p->index);
        } else if (p->type == PERSIST_ASSIGNMENT) {
            f->result->counts.assignments++;
            cell_publish_slip(f, p->index);
        }
    }
    gate_check(f);
}

/* ---- what agents say ---- */

uint32_t status_keep(struct flock *f, const struct status *s)
{
    if (f->status_free_count == 0) {
        uint32_t room = f->status_room ? 2 * f->status_room : 256;
        f->statuses = realloc(f->statuses, room * sizeof f->statuses[0]);
        f->status_free = realloc(f->status_free, room * sizeof f->status_free[0]);
        if (!f->statuses || !f->status_free)
            abort();
        for (uint32_t i = room; i-- > f->status_room;)
            f->status_free[f->status_free_count++] = i;
        f->status_room = room;
    }
    uint32_t at = f->status_free[--f->status_free_count];
    f->statuses[at] = *s;
    return at;
}

void status_drop(struct flock *f, uint64_t at)
{
    f->status_free[f->status_free_count++] = (uint32_t)at;
}

static void take(struct flock *f, struct report *report, const struct key_id *id)
{
    static struct manager_out out;
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic = *id;
    ev.report.report = report;
    gate_hear(f, report_number(report));
    turn(f, &ev, &out);
    gate_hear(f, report_number(report));
}

static void count_status(struct flock *f)
{
    struct flock_hour *hour = flock_hour(f);
    f->result->counts.statuses++;
    hour->statuses++;
    if (f->queue.now_ms / 1000 != f->second) {
        f->second = f->queue.now_ms / 1000;
        f->second_count = 0;
    }
    if (++f->second_count > hour->statuses_peak)
        hour->statuses_peak = f->second_count;
}

static void drop_waiting(struct flock *f, const struct happening *h)
{
    if (h->kind == CELL_STATUS)
        status_drop(f, h->what);
}

/* It waits in its broker, or is lost there. */
static void wait_for_manager(struct flock *f, const struct happening *h)
{
    if (!cell_queues(f, h->life, waiting_bytes(f, h))) {
        drop_waiting(f, h);
        return;
    }
    if (f->inbox_count == f->inbox_room) {
        f->inbox_room = f->inbox_room ? 2 * f->inbox_room : 256;
        f->inbox = realloc(f->inbox, f->inbox_room * sizeof f->inbox[0]);
        if (!f->inbox)
            abort();
    }
    f->inbox[f->inbox_count++] = *h;
}

void office_report(struct flock *f, const struct happening *h)
{
    if (!f->core) {
        wait_for_manager(f, h);
        return;
    }
    struct report report = {.type = MESSAGE_STATUS, .status = f->statuses[h->what]};
    status_drop(f, h->what);
    take(f, &report, &f->nodes[h->who].id);
    count_status(f);
}

void office_forget(struct flock *f, uint32_t cell)
{
    uint32_t kept = 0;
    f->cells[cell].queued = 0;
    for (uint32_t i = 0; i < f->inbox_count; i++)
        if (f->inbox[i].life == cell)
            drop_waiting(f, &f->inbox[i]);
        else
            f->inbox[kept++] = f->inbox[i];
    f->inbox_count = kept;
}

void office_will(struct flock *f, const struct happening *h)
{
    const struct node *d = &f->nodes[h->who];
    if (!f->core) {
        wait_for_manager(f, h);
        return;
    }
    struct report report = {.type = MESSAGE_WILL,
                            .will = {.number = d->number, .session = (uint32_t)h->what}};
    take(f, &report, &d->id);
    f->result->counts.wills++;
}

/* ---- joins and commands ---- */

void office_join(struct flock *f, uint32_t n)
{
    static struct manager_out out;
    struct node *d = &f->nodes[n];
    uint64_t now = f->queue.now_ms;
    bool lost = !link_is_there(f, d) || !f->core || flock_strikes(f, 10);
    if (!lost) {
        struct manager_event ev = {.type = MANAGER_JOIN};
        scene_token(f, n, &ev.join.batch, &ev.join.index);
        memcpy(ev.join.key.bytes, d->id.bytes, sizeof d->id.bytes);
        ev.join.id = d->id;
        turn(f, &ev, &out);
        if (out.joined != JOINED_ACCEPTED)
            flock_fault(f, "a device may not join: %s", joined_code_text(out.joined));
    }
    /* The answer may be lost, too: the same question gets the same one. */
    if (lost || flock_strikes(f, 10)) {
        flock_at(f, now + JOIN_AGAIN_MS, NODE_JOINED, n, d->boot, 0);
        return;
    }
    f->result->counts.joins++;
    flock_at(f, now + 200, NODE_JOINED, n, d->boot, out.number);
}

int office_command(struct flock *f, const struct command *c)
{
    static struct manager_out out;
    struct manager_event ev = {.type = MANAGER_COMMAND, .command = c};
    if (!f->core)
        return ERR_TIMEOUT;
    int rv = turn(f, &ev, &out);
    bool nobody = c->type == COMMAND_RETRY && rv == ERR_BUSY; /* has failed */
    if (rv < 0 && !nobody)
        flock_fault(f, "the manager refuses: %s", out.error.text);
    return rv;
}

uint32_t cohort_of(const struct flock *f, const struct cohort_key *key)
{
    for (uint32_t i = 0; i < f->rows->cohort_count; i++)
        if (memcmp(&f->rows->cohorts[i].key, key, sizeof *key) == 0)
            return i;
    return 0;
}
