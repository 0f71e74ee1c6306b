#include "simulator/fleet/parts.h"

#include <stdlib.h>

/* A stage is looked at so often; with what devices say lost and late it is full, or over, so long
 * and three heartbeats after it could be. */
#define LOOK_MS 60000
#define VACANT_MS 600000
/* Each document is looked at for each of its agents, which is nothing for a million. */
#define CHECKED_MAX 5000

/* What a gate let a node in for; and whether that was in its stage, and it has been in reach ever
 * since, and at work. Who is let in behind its stage takes none, as all do who joined after that
 * began. */
struct slot {
    uint32_t generation;
    bool taken;
    bool moved;       /* its labels are others, and there is no document for them yet */
    uint64_t since_s; /* when it was let in */
    uint32_t at;      /* the generation that it has worked at for so long … */
    uint32_t worked_s;
    bool works;     /* … as long as it is in touch; and did when it was looked at last */
    uint32_t comes; /* back, in reach and without a slot, it is at work on this one; 0: not */
};

void gate_open(struct flock *f)
{
    if (f->o->agents > CHECKED_MAX)
        return;
    f->slots = calloc(f->o->agents, sizeof f->slots[0]);
    if (!f->slots)
        abort();
}

void gate_close(struct flock *f)
{
    free(f->slots);
}

/* As far as the manager can know. */
static bool is_in_reach(const struct flock *f, const struct agent_row *row)
{
    uint64_t until_s =
        (uint64_t)row->last_seen_s + manager_deployment(f->core, 0)->plan.reachable_within_s;
    if (row->flags & AGENT_OUTSIDE)
        return false;
    return row->flags & AGENT_ONLINE || until_s > flock_wall_s(f);
}

static bool is_through(const struct flock *f, const struct node *d, uint32_t generation)
{
    bool aborted = manager_deployment(f->core, 0)->rollout.state == ROLLOUT_ABORTED;
    for (uint32_t i = 0; i < d->held_count; i++)
        if (d->held[i].wanted.generation >= generation)
            return d->held[i].phase == PHASE_SETTLED || check_has_failed(f, &d->held[i], aborted);
    return false;
}

/* It is of the stage that is rolled out now, since before that began. */
static bool is_of_stage(const struct flock *f, uint32_t n)
{
    const struct rollout *r = &manager_deployment(f->core, 0)->rollout;
    const struct node *d = &f->nodes[n];
    return d->stage == r->stage && !d->parked && d->number < r->enrolled_before[r->stage] &&
           !(manager_agent(f->core, d->number)->flags & AGENT_CORDONED);
}

/* It runs this bundle already: whoever has only to take a number takes no slot. */
static bool has_it(const struct node *d, const struct digest *bundle)
{
    for (uint32_t i = 0; i < d->held_count; i++)
        if (d->held[i].phase == PHASE_SETTLED && digest_equal(&d->held[i].running.bundle, bundle))
            return true;
    return false;
}

/* Nobody is let in to what was aborted, but for one that was given the labels of those who are. */
static void check_aborted(struct flock *f, const struct record *r, const struct node *d)
{
    if (r->flags & RECORD_ABORTED && !d->moved)
        flock_fault(f, "agent %u is let in to generation %u, which was aborted",
                    (unsigned)d->number, (unsigned)r->next.generation);
}

/* A span of the manager's begins with somebody who counts here as well or doesn't: so there are two
 * of its spans in one of these at most. */
static void count_let_in(struct flock *f)
{
    const struct deployment_row *row = manager_deployment(f->core, 0);
    const struct rate *rate = plan_rate(&row->plan, row->rollout.stage);
    uint64_t now_s = flock_wall_s(f);
    f->result->counts.let_in++;
    if (rate->span_s == 0 || row->rollout.back)
        return;
    if (now_s >= f->span_s + rate->span_s) {
        f->span_s = now_s;
        f->span_count = 0;
    }
    if (++f->span_count > 2 * rate->agents.value)
        flock_fault(f, "%u were let in within %u s, which are for %u", (unsigned)f->span_count,
                    (unsigned)rate->span_s, (unsigned)rate->agents.value);
}

void gate_pace(struct flock *f)
{
    f->span_s = f->span_count = 0;
    f->vacant_ms = 0;
}

void gate_note(struct flock *f, uint32_t cohort)
{
    const struct desired *doc = f->papers[f->newest[cohort]].desired;
    for (uint32_t n = 0; f->slots && doc->count > 0 && n < f->o->agents; n++) {
        const struct node *d = &f->nodes[n];
        struct slot *s = &f->slots[n];
        const struct agent_row *row = d->number ? &f->rows->agents[d->number - 1].row : NULL;
        if (!row || row->cohort != cohort || !agent_in_fleet(row))
            continue;
        const struct record *r = &doc->records[0];
        struct target t = record_target(r, d->number);
        if (t.generation == s->generation)
            continue;
        bool in = r->next.generation != 0 && t.generation == r->next.generation;
        if (in)
            check_aborted(f, r, d);
        bool known = !s->moved && !d->lapsed; /* to the manager, as what it is */
        bool rolls = in && is_of_stage(f, n) && known && !has_it(d, &t.bundle);
        bool taken = rolls && is_in_reach(f, manager_agent(f->core, d->number));
        s->generation = t.generation;
        s->taken = taken;
        s->since_s = flock_wall_s(f);
        s->moved = false;
        s->comes = taken ? 0 : s->comes;
        f->lets_in |= s->taken;
        if (taken)
            count_let_in(f);
    }
}

/* What it was let in for before it knew its number took no slot: it wasn't heard of until then. */
void gate_join(struct flock *f, uint32_t n)
{
    const struct node *d = &f->nodes[n];
    uint32_t paper = f->newest[f->rows->agents[d->number - 1].row.cohort];
    const struct desired *doc = f->papers ? f->papers[paper].desired : NULL;
    if (f->slots && doc && doc->count > 0)
        f->slots[n].generation = record_target(&doc->records[0], d->number).generation;
}

/* With other labels it stands where those stand who have them, and so without a slot; as it does
 * when it is cordoned. */
void gate_move(struct flock *f, uint32_t n)
{
    if (!f->slots)
        return;
    uint32_t paper = f->newest[f->rows->agents[f->nodes[n].number - 1].row.cohort];
    f->slots[n] = (struct slot){.moved = paper == 0};
    gate_join(f, n);
}

/* Who is out of reach for a moment only, between two moves, has lost its slot or its permit as
 * well.
 */
void gate_hear(struct flock *f, uint32_t number)
{
    uint32_t n = f->slots ? f->by_number[number - 1] : 0;
    if (n == 0 || is_in_reach(f, manager_agent(f->core, number)))
        return;
    f->slots[n - 1].taken = false;
    f->slots[n - 1].comes = 0;
}

/* It may have been at an end, and begins again what nobody can know of. */
void gate_lapse(struct flock *f, uint32_t n)
{
    if (!f->slots)
        return;
    f->slots[n].taken = false;
    f->slots[n].comes = 0;
}

/* The manager can't think so earlier, whatever it has heard. */
static bool may_be_overdue(const struct flock *f, const struct slot *s)
{
    uint32_t deadline_s = f->o->deadline_s;
    return deadline_s > 0 && flock_wall_s(f) + 1 >= s->since_s + deadline_s;
}

/* By now it must have heard of it. */
static bool is_overdue(const struct flock *f, const struct slot *s)
{
    uint32_t late_s = VACANT_MS / 1000 + 3 * f->o->policy.heartbeat_s;
    return f->o->deadline_s > 0 && s->at == s->generation && s->works &&
           s->worked_s > f->o->deadline_s + late_s;
}

/* Whoever is at its end, or came to run this under an earlier number, or was out of reach for so
 * long, gives its slot back for good; and who is at work in what was superseded has none of the
 * newer one's. What a device with a twin is at, its twin may have told the manager otherwise. Whose
 * time may be over has its slot for all that the manager knows, so it doesn't count here, and isn't
 * one that comes back. */
static bool is_taken(struct flock *f, uint32_t n)
{
    struct slot *s = &f->slots[n];
    const struct node *d = &f->nodes[n];
    uint32_t newest = manager_generation(f->core, 0);
    s->taken = s->taken && d->twin == NOBODY && s->generation == newest &&
               !is_through(f, d, s->generation) && !has_it(d, &f->signed_for[newest]) &&
               is_in_reach(f, manager_agent(f->core, d->number));
    return s->taken && !may_be_overdue(f, s);
}

static uint32_t count_taken(struct flock *f, uint32_t stage)
{
    uint32_t taken = 0;
    for (uint32_t n = 0; n < f->o->agents; n++)
        taken += is_taken(f, n) && f->nodes[n].stage == stage;
    return taken;
}

/* Its permit is for as long as a deadline is. */
static bool has_had_its_permit(const struct flock *f, const struct node *d)
{
    const struct slip *slip = &f->slips[d->number - 1];
    return f->o->deadline_s > 0 && flock_wall_s(f) + 1 >= slip->permit_s + f->o->deadline_s;
}

/* It has the bundle yet to fetch, or again to begin: without a permit it doesn't. */
static bool is_to_begin(const struct held *h)
{
    return h->phase == PHASE_DOWNLOADING || h->phase == PHASE_ROLLED_BACK ||
           h->phase == PHASE_FAILED;
}

static bool has_to_begin(const struct node *d)
{
    for (uint32_t i = 0; i < d->held_count; i++)
        if (is_to_begin(&d->held[i]))
            return true;
    return false;
}

/* Whose permit was taken back is at work no more, but with what it has begun. */
static bool is_coming(const struct flock *f, const struct node *d, uint32_t generation)
{
    return (d->permit == generation || !has_to_begin(d)) && !is_through(f, d, generation) &&
           !has_had_its_permit(f, d) && is_in_reach(f, manager_agent(f->core, d->number));
}

/* Between two tries, its permit may have been taken back, and nobody can tell it. */
static bool is_out_of_touch(const struct node *d)
{
    return has_to_begin(d) && !d->connected;
}

static bool comes(struct flock *f, uint32_t n)
{
    struct slot *s = &f->slots[n];
    if (s->comes && (s->comes != s->generation || !is_coming(f, &f->nodes[n], s->comes)))
        s->comes = 0;
    return s->comes != 0 && !is_out_of_touch(&f->nodes[n]);
}

/* With what it has begun to fetch it may lack a permit, since it lost its link. */
static bool is_at_work(const struct node *d)
{
    for (uint32_t i = 0; i < d->held_count; i++) {
        enum phase phase = d->held[i].phase;
        if (phase == PHASE_DOWNLOADING ? d->job.busy
                                       : phase < PHASE_SETTLED || phase == PHASE_UNDOING)
            return true;
    }
    return false;
}

/* Whoever is at work since a gate let it in, or a permit, is out of Ready, in whatever stage; the
 * manager counts others besides, who are about to be. */
static void check_budget(struct flock *f, const struct node *begins)
{
    uint32_t out = 0;
    for (uint32_t n = 0; n < f->o->agents && f->budget > 0; n++) {
        const struct node *d = &f->nodes[n];
        bool let_in = is_taken(f, n) || comes(f, n);
        out += let_in && (d == begins || is_at_work(d));
    }
    if (out > f->budget)
        flock_fault(f, "%u are out of Ready, %u may be", (unsigned)out, (unsigned)f->budget);
}

static void check_returning(struct flock *f)
{
    uint32_t coming = 0, most = f->o->returning;
    for (uint32_t n = 0; n < f->o->agents && most > 0; n++)
        coming += comes(f, n);
    if (coming > most)
        flock_fault(f, "%u that came back are at work, %u may be", (unsigned)coming,
                    (unsigned)most);
}

/* Who has a slot for a newer version already is at work in that, whichever it begins with; and who
 * is still at work in an older one than it should have takes no place from those of the newer. */
void gate_begin(struct flock *f, const struct node *d, uint32_t generation)
{
    struct slot *s = f->slots ? &f->slots[d - f->nodes] : NULL;
    if (!s || !f->core || d->twin != NOBODY || d->lapsed)
        return;
    if (d->permit == generation && !(s->taken && s->generation >= generation)) {
        s->comes = generation;
        check_returning(f);
    }
    check_budget(f, d);
}

static uint32_t width(const struct flock *f, uint8_t stage, uint32_t members)
{
    const struct plan *set = &manager_deployment(f->core, 0)->plan;
    return amount_of(f->paced ? set->stages[stage].concurrency : f->o->concurrency, members);
}

void gate_check(struct flock *f)
{
    struct stage_count counts[STAGES_MAX];
    if (!f->lets_in)
        return;
    f->lets_in = false;
    const struct deployment_row *row = manager_deployment(f->core, 0);
    uint8_t stage = row->rollout.stage;
    uint32_t taken = count_taken(f, stage);
    arena_reset(&f->scratch);
    manager_survey(f->core, 0, flock_wall_s(f), &f->scratch, counts);
    uint32_t members = counts[stage].members;
    uint32_t most = row->rollout.back ? members : width(f, stage, members);
    if (taken > most)
        flock_fault(f, "%u are at work in stage %s, which allows %u", (unsigned)taken,
                    row->plan.stages[stage].name, (unsigned)most);
}

/* In reach, of the stage, and not let in; or let in, and not at its end. */
static void count_members(struct flock *f, uint32_t *waiting, uint32_t *working)
{
    uint32_t newest = manager_generation(f->core, 0);
    for (uint32_t n = 0; n < f->o->agents; n++) {
        const struct node *d = &f->nodes[n];
        const struct agent_row *row = d->number ? manager_agent(f->core, d->number) : NULL;
        if (!row || !is_of_stage(f, n) || !is_in_reach(f, row))
            continue;
        if (f->slots[n].generation < newest)
            ++*waiting;
        else if (!is_overdue(f, &f->slots[n]) && (d->twin != NOBODY || !is_through(f, d, newest)))
            ++*working;
    }
}

/* It does something about this generation that is its own time, and can say so. */
static bool works_at(const struct flock *f, const struct node *d, uint32_t generation)
{
    const struct held *h = d->held_count ? &d->held[0] : NULL;
    bool tells = d->connected && d->way == WAY_BOTH && d->twin == NOBODY &&
                 manager_agent(f->core, d->number)->flags & AGENT_ONLINE;
    if (!tells || !h || h->wanted.generation != generation)
        return false;
    bool fetches = h->phase == PHASE_DOWNLOADING && d->job.busy && d->job.type == AGENT_FETCH;
    return fetches || (h->phase >= PHASE_PREPARING && h->phase <= PHASE_VERIFYING);
}

/* From one look to the next one. */
static void clock_work(struct flock *f)
{
    uint32_t newest = manager_generation(f->core, 0);
    for (uint32_t n = 0; f->o->deadline_s > 0 && n < f->o->agents; n++) {
        struct slot *s = &f->slots[n];
        bool works = f->nodes[n].number && works_at(f, &f->nodes[n], newest);
        bool was = is_overdue(f, s);
        s->worked_s = s->at == newest ? s->worked_s : 0;
        s->worked_s += works && s->works && s->at == newest ? LOOK_MS / 1000 : 0;
        s->at = newest;
        s->works = works;
        f->result->counts.overdue += is_overdue(f, s) && !was;
    }
}

/* Who was at it for longer than a deadline counts as failed. */
static void check_overdue(struct flock *f)
{
    struct stage_count counts[STAGES_MAX];
    const struct deployment_row *row = manager_deployment(f->core, 0);
    uint32_t overdue = 0;
    for (uint32_t n = 0; n < f->o->agents; n++)
        overdue += is_overdue(f, &f->slots[n]) && is_of_stage(f, n);
    if (overdue == 0 || row->rollout.state != ROLLOUT_RUNNING || row->flags & RECORD_PAUSED)
        return;
    arena_reset(&f->scratch);
    manager_survey(f->core, 0, flock_wall_s(f), &f->scratch, counts);
    if (counts[row->rollout.stage].overdue < overdue)
        flock_fault(f, "%u have had their time, and %u of them count as failed", (unsigned)overdue,
                    (unsigned)counts[row->rollout.stage].overdue);
}

static bool is_vacant(struct flock *f, uint32_t *waiting)
{
    struct stage_count counts[STAGES_MAX];
    const struct deployment_row *row = manager_deployment(f->core, 0);
    const struct rollout *r = &row->rollout;
    uint32_t working = 0;
    bool waits = row->flags & RECORD_PAUSED || f->budget > 0 ||
                 manager_rate_until_s(row, flock_wall_s(f)) > 0;
    if (r->state != ROLLOUT_RUNNING || r->step != ROLLOUT_ADMITTING || waits)
        return false;
    count_members(f, waiting, &working);
    if (*waiting == 0)
        return false;
    arena_reset(&f->scratch);
    manager_survey(f->core, 0, flock_wall_s(f), &f->scratch, counts);
    return working < width(f, r->stage, counts[r->stage].members);
}

void gate_look(struct flock *f)
{
    uint64_t now_ms = f->queue.now_ms, heartbeat_ms = (uint64_t)f->o->policy.heartbeat_s * 1000;
    uint32_t waiting = 0;
    if (!f->slots || now_ms % LOOK_MS >= f->o->tick_ms || manager_deployment_count(f->core) == 0)
        return;
    clock_work(f);
    check_overdue(f);
    if (!is_vacant(f, &waiting))
        f->vacant_ms = 0;
    else if (f->vacant_ms == 0)
        f->vacant_ms = now_ms;
    else if (now_ms - f->vacant_ms > VACANT_MS + 3 * heartbeat_ms)
        flock_fault(f, "%u wait, and their stage has had room for %u s", (unsigned)waiting,
                    (unsigned)((now_ms - f->vacant_ms) / 1000));
}
