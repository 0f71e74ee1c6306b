#include "simulator/fleet/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The calendar when a run begins: 2023-11-14 22:13:20 UTC. */
#define WALL_S 1700000000u
#define DAY_MS 86400000ull
#define HOUR_MS 3600000ull
/* A calendar jumps so far, either way. */
#define JUMP_S (30 * 86400)
/* A status that lingers comes so much later. */
#define LATE_MS 600000
/* Rest is looked for so often. */
#define REST_MS 10000
#define CACHE_LINE 64
#define HUGE_PAGE ((size_t)2 << 20)
/* Happenings between two looks at the progress. */
#define PROGRESS_EVERY (1u << 16)

static void happen(struct flock *f, const struct happening *h);

uint64_t flock_wall_s(const struct flock *f)
{
    return WALL_S + f->queue.now_ms / 1000;
}

void flock_at(struct flock *f, uint64_t at_ms, enum kind kind, uint32_t who, uint16_t life,
              uint64_t what)
{
    queue_add(&f->queue,
              &(struct happening){
                  .at_ms = at_ms, .what = what, .who = who, .life = life, .kind = (uint8_t)kind});
}

void flock_fault(struct flock *f, const char *fmt, ...)
{
    char *fault = f->result->fault;
    size_t cap = sizeof f->result->fault;
    if (fault[0] != '\0')
        return;
    size_t len = (size_t)snprintf(
        fault, cap, "at %llu.%03llu s: ", (unsigned long long)(f->queue.now_ms / 1000),
        (unsigned long long)(f->queue.now_ms % 1000));
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(fault + len, cap - len, fmt, ap);
    va_end(ap);
}

bool flock_strikes(struct flock *f, uint32_t per_mille)
{
    return per_mille > 0 && !f->calm && rng_below(&f->fate, 1000) < per_mille;
}

/* ---- what breaks ---- */

void flock_arm_daily(struct flock *f, enum kind kind, uint32_t who, uint32_t a_day)
{
    if (a_day == 0)
        return;
    uint64_t gap = rng_below(&f->fate, 2 * DAY_MS / a_day) + 1;
    if (f->queue.now_ms + gap < f->o->run_ms)
        flock_at(f, f->queue.now_ms + gap, kind, who, 0, 0);
}

/* Of devices; the whole fleet's misfortunes are one sequence. */
static void arm_misfortune(struct flock *f, enum kind kind, uint32_t per_mille)
{
    uint64_t a_day = ((uint64_t)f->o->agents * per_mille + 999) / 1000;
    uint32_t n = (uint32_t)rng_below(&f->fate, f->o->agents);
    flock_arm_daily(f, kind, n, (uint32_t)(a_day < DAY_MS ? a_day : DAY_MS));
}

static void jump(struct flock *f, uint32_t n)
{
    f->nodes[n].wall_off_s = (int32_t)rng_below(&f->fate, 2 * JUMP_S) - JUMP_S;
}

/* A second device with this one's disk and power. */
static void clone(struct flock *f, uint32_t at)
{
    uint32_t n = (uint32_t)rng_below(&f->fate, f->o->agents);
    struct node *d = &f->nodes[n], *twin = &f->nodes[at];
    if (d->number == 0 || d->twin != NOBODY)
        return;
    *twin = (struct node){.id = d->id, .kind = d->kind, .twin = n, .listed = NOBODY};
    disk_copy(f, twin, d);
    d->twin = at;
    link_begin(f, at);
    node_start(f, at);
}

static void arm_faults(struct flock *f)
{
    const struct flock_faults *o = &f->o->faults;
    arm_misfortune(f, NODE_CUT, o->power_cuts);
    arm_misfortune(f, NODE_JUMP, o->clock_jumps);
    arm_misfortune(f, NODE_HALVE, o->one_way);
    flock_arm_daily(f, MANAGER_KILL, 0, o->manager_kills);
    flock_arm_daily(f, CELL_KILL, (uint32_t)rng_below(&f->fate, f->cell_count), o->cell_kills);
    whim_arm(f);
    for (uint32_t i = 0; i < o->clones; i++)
        flock_at(f, f->o->run_ms / 4 + rng_below(&f->fate, f->o->run_ms / 2), CLONE,
                 f->o->agents + i, 0, 0);
    flock_at(f, f->o->run_ms, FAULTS_END, 0, 0, 0);
}

/* The operator lets a device in again. */
static void release(struct flock *f, uint32_t n)
{
    office_command(f, &(struct command){.type = COMMAND_AGENT_RELEASE, .agent = f->nodes[n].id});
}

/* Somebody finds the copy and takes it away. */
static void end_clone(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    if (d->twin == NOBODY)
        return;
    node_cut(f, n, UINT32_MAX);
    if (f->core && manager_agent(f->core, d->number)->flags & AGENT_QUARANTINED)
        release(f, n);
}

/* A manager that is down just now may come back first. */
static void end_faults(struct flock *f)
{
    if (!f->core) {
        flock_at(f, f->queue.now_ms + 1000, FAULTS_END, 0, 0, 0);
        return;
    }
    whim_calm(f);
    f->calm = true;
    f->result->days = f->result->counts;
    f->result->days_ms = f->queue.now_ms;
    for (uint32_t n = 0; n < f->node_count; n++)
        f->nodes[n].wall_off_s = 0;
    for (uint32_t n = f->o->agents; n < f->node_count; n++)
        end_clone(f, n);
    link_calm(f);
}

/* ---- a run ---- */

static void fetch_lines(const void *memory, size_t size)
{
    for (size_t at = 0; at < size; at += CACHE_LINE)
        __builtin_prefetch((const char *)memory + at, 1);
}

/* A million devices don't fit in a processor's cache, and a run would wait for memory most of the
 * time. A device comes first, and when it is there what it points to. */
static void fetch_ahead(void *context, const struct happening *h, bool now)
{
    const struct flock *f = context;
    const struct node *d = &f->nodes[h->who];
    if (h->kind <= NODE_WINDOW && now) {
        fetch_lines(d->held, d->held ? sizeof d->held[0] : 0);
    } else if (h->kind <= NODE_WINDOW) {
        fetch_lines(d, sizeof *d);
    } else if (h->kind == CELL_STATUS && f->core && !now) {
        fetch_lines(manager_agent(f->core, d->number), sizeof(struct agent_row));
        fetch_lines(&f->rows->agents[d->number - 1], sizeof f->rows->agents[0]);
    }
}

/* On big pages, which the processor finds sooner. */
static struct node *nodes_new(uint32_t count)
{
    size_t size = (count * sizeof(struct node) / HUGE_PAGE + 1) * HUGE_PAGE;
    struct node *nodes = aligned_alloc(HUGE_PAGE, size);
    if (!nodes)
        abort();
    madvise(nodes, size, MADV_HUGEPAGE); /* a hint: without it all is as before */
    memset(nodes, 0, count * sizeof nodes[0]);
    return nodes;
}

static void open_nodes(struct flock *f)
{
    uint32_t shares = 0;
    f->node_count = f->o->agents + f->o->faults.clones;
    f->nodes = nodes_new(f->node_count);
    f->by_number = calloc(f->node_count, sizeof f->by_number[0]);
    f->reached_s = malloc(f->node_count * sizeof f->reached_s[0]);
    f->dark = calloc(FLOCK_LINKS_MAX * PROFILE_REGIONS_MAX, 1);
    if (!f->by_number || !f->reached_s || !f->dark)
        abort();
    memset(f->reached_s, 0xff, f->node_count * sizeof f->reached_s[0]);
    for (uint32_t i = 0; i < f->o->link_count; i++)
        shares += f->o->links[i].share;
    for (uint32_t n = 0; n < f->node_count; n++) {
        struct node *d = &f->nodes[n];
        uint64_t draw = rng_below(&f->rng, shares);
        d->listed = d->twin = NOBODY;
        for (size_t i = 0; i < sizeof d->id.bytes; i++)
            d->id.bytes[i] = (uint8_t)rng_next(&f->rng);
        for (; draw >= f->o->links[d->kind].share; d->kind++)
            draw -= f->o->links[d->kind].share;
        if (n >= f->o->agents)
            continue;
        scene_place(f, n);
        link_begin(f, n);
        flock_at(f, 2000 + rng_below(&f->rng, f->o->join_ms), NODE_BOOT, n, 0, 0);
    }
}

/* Where the present hour is counted; what comes once faults have ended, in the place behind. */
struct flock_hour *flock_hour(struct flock *f)
{
    uint64_t hour = f->queue.now_ms / HOUR_MS;
    size_t last = f->result->hour_count;
    return &f->result->hours[f->calm || hour > last ? last : hour];
}

static void open_hours(struct flock *f)
{
    f->result->hour_count = (f->o->run_ms + HOUR_MS - 1) / HOUR_MS;
    f->result->hours = calloc(f->result->hour_count + 1, sizeof f->result->hours[0]);
    if (!f->result->hours)
        abort();
}

static struct flock *flock_open(const struct flock_options *o, struct flock_result *result)
{
    struct flock *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    *result = (struct flock_result){0};
    f->o = o;
    f->result = result;
    f->rng.state = o->seed;
    f->fate.state = ~o->seed;
    f->cell_count = o->cells;
    f->queue.soon = fetch_ahead;
    f->queue.context = f;
    f->agent_scratch = arena_on(f->agent_memory, sizeof f->agent_memory);
    open_hours(f);
    node_open();
    office_open(f);
    cell_open(f);
    gate_open(f);
    scene_open(f);
    open_nodes(f);
    link_begin_regions(f);
    arm_faults(f);
    return f;
}

static void flock_close(struct flock *f)
{
    for (uint32_t n = 0; n < f->node_count; n++)
        disk_free(f, &f->nodes[n]);
    free(f->nodes);
    free(f->by_number);
    free(f->dark);
    cell_close(f);
    gate_close(f);
    office_close(f);
    queue_free(&f->queue);
    free(f);
}

static void mix(struct flock *f, uint64_t value)
{
    struct rng rng = {.state = f->result->digest ^ value};
    f->result->digest = rng_next(&rng);
}

static int by_time(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sum_up(struct flock *f)
{
    static const unsigned marks[] = {500, 900, 990, 1000};
    struct flock_result *r = f->result;
    size_t count = 0, later = 0;
    for (uint32_t n = 0; n < f->node_count; n++) {
        uint32_t reached_s = f->reached_s[n];
        mix(f, reached_s);
        mix(f, f->nodes[n].seq_ceiling);
        later += reached_s == REACHED_LATER;
        if (reached_s < REACHED_LATER)
            f->reached_s[count++] = reached_s;
    }
    qsort(f->reached_s, count, sizeof f->reached_s[0], by_time);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t needed = ((count + later) * marks[i] + 999) / 1000;
        bool reached = needed > 0 && needed <= count;
        r->reached_ms[i] = reached ? 1000ull * f->reached_s[needed - 1] : UINT64_MAX;
    }
    r->reached_count = count;
    r->reached_s = f->reached_s;
}

void flock_run(const struct flock_options *o, flock_progress *progress, void *context,
               struct flock_result *out)
{
    struct flock *f = flock_open(o, out);
    struct happening h;
    uint32_t whom;
    uint64_t end_ms = o->run_ms + o->rest_ms, look_ms = o->run_ms + REST_MS;
    while (out->fault[0] == '\0' && queue_next(&f->queue, end_ms, &h)) {
        out->counts.happenings++;
        mix(f, h.at_ms ^ (uint64_t)h.kind << 56 ^ (uint64_t)h.who << 24 ^ h.what);
        happen(f, &h);
        if (o->meddle)
            o->meddle(f);
        if (progress && out->counts.happenings % PROGRESS_EVERY == 0)
            progress(context, h.at_ms, end_ms, &out->counts);
        if (h.at_ms < look_ms)
            continue;
        look_ms = h.at_ms + REST_MS;
        if (check_rest(f, &whom))
            continue;
        out->rested_ms = h.at_ms - o->run_ms;
        break;
    }
    if (out->fault[0] == '\0')
        check_end(f);
    sum_up(f);
    flock_close(f);
}

void flock_free(struct flock_result *r)
{
    free(r->reached_s);
    free(r->hours);
    r->reached_s = NULL;
    r->hours = NULL;
}

/* ---- what happens ---- */

static void hear_paper(struct flock *f, const struct happening *h, bool current)
{
    uint32_t paper = (uint32_t)h->what;
    if (current) {
        f->paper_read = paper;
        node_feed(
            f, h->who,
            &(struct agent_event){.type = AGENT_DOCUMENT, .document = f->papers[paper].desired});
        f->paper_read = 0;
    }
    paper_drop(f, paper);
}

static void hear_slip(struct flock *f, uint32_t n)
{
    const struct slip *slip = &f->slips[f->nodes[n].number - 1];
    const struct assignment assignment = {
        .agent = f->nodes[n].id,
        .revision = slip->revision,
        .issued_s = flock_wall_s(f),
        .cohort = f->rows->cohorts[slip->cohort].key,
        .removed = slip->removed,
        .cordoned = slip->cordoned,
        .permit_count = slip->permit != 0,
        .permits = {{.deployment = 1, .generation = slip->permit}},
    };
    node_feed(f, n, &(struct agent_event){.type = AGENT_ASSIGNMENT, .assignment = &assignment});
}

static void hear_head(struct flock *f, const struct happening *h)
{
    const struct head head = {
        .revision = {.epoch = (uint32_t)(h->what >> 32), .number = (uint32_t)h->what},
        .trust_version = 1};
    node_feed(f, h->who,
              &(struct agent_event){.type = AGENT_HEAD,
                                    .topic = h->kind == NODE_HEAD ? AGENT_TOPIC_DOCUMENT
                                                                  : AGENT_TOPIC_ASSIGNMENT,
                                    .head = &head});
}

/* What belongs to a boot or a link of before is void. */
static void happen_to_node(struct flock *f, const struct happening *h)
{
    uint32_t n = h->who;
    struct node *d = &f->nodes[n];
    bool booted = d->on && h->life == d->boot, linked = d->on && h->life == d->link;
    if (h->kind == NODE_BOOT && !d->on && h->life == d->boot)
        node_start(f, n);
    else if (h->kind == NODE_TICK && booted)
        node_tick(f, n, h->what);
    else if (h->kind == NODE_DONE && d->on && h->life == d->boot)
        job_end(f, n, (uint16_t)h->what);
    else if (h->kind == NODE_JOINED && booted && h->what)
        node_joined(f, n, (uint32_t)h->what);
    else if (h->kind == NODE_JOINED && booted)
        office_join(f, n);
    else if (h->kind == NODE_UP && linked)
        link_up(f, n);
    else if (h->kind == NODE_DOWN && linked)
        link_down(f, n, h->what == 1);
    else if (h->kind == NODE_LOSE && linked)
        link_lose(f, n);
    else if (h->kind == NODE_DOC)
        hear_paper(f, h, linked && d->connected);
    else if (h->kind == NODE_SLIP && linked && d->connected)
        hear_slip(f, n);
    else if ((h->kind == NODE_HEAD || h->kind == NODE_SLIP_HEAD) && linked && d->connected)
        hear_head(f, h);
}

static void happen_to_fleet(struct flock *f, const struct happening *h)
{
    const struct flock_faults *o = &f->o->faults;
    if (h->kind == NODE_CUT) {
        f->result->counts.power_cuts++;
        if (f->nodes[h->who].on)
            node_cut(f, h->who, POWER_OFF_MS);
        arm_misfortune(f, NODE_CUT, o->power_cuts);
    } else if (h->kind == NODE_JUMP) {
        jump(f, h->who);
        arm_misfortune(f, NODE_JUMP, o->clock_jumps);
    } else if (h->kind == NODE_HALVE) {
        link_halve(f, h->who);
        arm_misfortune(f, NODE_HALVE, o->one_way);
    } else if (h->kind == MANAGER_KILL) {
        office_kill(f);
        flock_arm_daily(f, MANAGER_KILL, 0, o->manager_kills);
    } else if (h->kind == CELL_KILL) {
        cell_kill(f, h->who);
        flock_arm_daily(f, CELL_KILL, (uint32_t)rng_below(&f->fate, f->cell_count), o->cell_kills);
    } else if (h->kind == CLONE) {
        clone(f, h->who);
    } else if (h->kind == RELEASE) {
        release(f, h->who);
    } else if (h->kind == FAULTS_END) {
        end_faults(f);
    }
}

/* A status is where the manager can take it; unless it lingers there, and others overtake it. */
static void arrive(struct flock *f, const struct happening *h)
{
    if (f->cells[h->life].dead) {
        status_drop(f, h->what);
    } else if (flock_strikes(f, f->o->faults.late)) {
        f->result->counts.late++;
        flock_at(f, h->at_ms + rng_below(&f->fate, LATE_MS), CELL_STATUS, h->who, h->life, h->what);
    } else {
        office_report(f, h);
    }
}

static void happen(struct flock *f, const struct happening *h)
{
    switch ((enum kind)h->kind) {
    case NODE_SPELL:
        link_spell(f, h->who);
        break;
    case NODE_WINDOW:
        link_window(f, h->who);
        break;
    case REGION:
        link_region(f, h->who);
        break;
    case CELL_STATUS:
        arrive(f, h);
        break;
    case CELL_WILL:
        link_will(f, h);
        break;
    case CELL_START:
        cell_start(f, h->who);
        break;
    case CELL_FILL:
        cell_fill(f, h->who);
        break;
    case MANAGER_START:
        office_start(f);
        break;
    case MANAGER_TICKS:
        office_tick(f);
        break;
    case RESUME:
        whim_resume(f);
        break;
    case UNCORDON:
        whim_uncordon(f, h->who);
        break;
    case PAUSE:
    case ABORT:
    case ROLLBACK:
    case SECOND_TRY:
    case RENEWAL:
    case PACE:
    case REMOVAL:
    case RELABEL:
    case CORDON:
        whim_happen(f, (enum kind)h->kind, h->who);
        break;
    case OPERATOR:
        scene_step(f, h->what);
        break;
    case NODE_CUT:
    case NODE_JUMP:
    case NODE_HALVE:
    case MANAGER_KILL:
    case CELL_KILL:
    case CLONE:
    case RELEASE:
    case FAULTS_END:
        happen_to_fleet(f, h);
        break;
    case NODE_BOOT:
    case NODE_TICK:
    case NODE_DONE:
    case NODE_UP:
    case NODE_DOWN:
    case NODE_HEAD:
    case NODE_SLIP_HEAD:
    case NODE_DOC:
    case NODE_SLIP:
    case NODE_JOINED:
    case NODE_LOSE:
        happen_to_node(f, h);
        break;
    case KIND_COUNT:
        break;
    }
}
