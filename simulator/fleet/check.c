#include "simulator/fleet/parts.h"

/* The manager has said so in a signed document. */
static bool is_signed(const struct flock *f, const struct target *t)
{
    return t->generation == 0 || (t->generation < GENERATIONS_MAX &&
                                  digest_equal(&f->signed_for[t->generation], &t->bundle));
}

static void note(struct flock *f, const struct target *t)
{
    static const struct digest none;
    if (t->generation >= GENERATIONS_MAX)
        flock_fault(f, "the manager counts up to generation %u", (unsigned)t->generation);
    else if (!is_signed(f, t) && !digest_equal(&f->signed_for[t->generation], &none))
        flock_fault(f, "generation %u is two versions", (unsigned)t->generation);
    else
        f->signed_for[t->generation] = t->bundle;
}

void check_document(struct flock *f, const struct desired *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        note(f, &d->records[i].stable);
        note(f, &d->records[i].next);
    }
}

/* It has begun with another version, which is more than to take another number for what it runs. */
static void look_at_beginning(struct flock *f, const struct node *d, const struct held *h)
{
    const struct desired *doc = f->papers[d->document].desired;
    if (d->cordoned)
        flock_fault(f, "agent %u is cordoned and begins generation %u of %s", (unsigned)d->number,
                    (unsigned)h->wanted.generation, h->name);
    for (uint32_t i = 0; doc && i < doc->count; i++)
        if (doc->records[i].flags & RECORD_ABORTED &&
            doc->records[i].next.generation == h->wanted.generation)
            flock_fault(f, "agent %u begins generation %u of %s, and holds that it was aborted",
                        (unsigned)d->number, (unsigned)h->wanted.generation, h->name);
}

static void look_at_generations(struct flock *f, struct node *d, const struct held *h)
{
    if (!is_signed(f, &h->wanted) || !is_signed(f, &h->running))
        flock_fault(f, "agent %u: nobody has signed what it has of %s", (unsigned)d->number,
                    h->name);
    if (h->wanted.generation < d->begun)
        flock_fault(f, "agent %u goes back to an older generation of %s", (unsigned)d->number,
                    h->name);
    if (h->wanted.generation > d->begun && h->phase != PHASE_SETTLED)
        look_at_beginning(f, d, h);
    d->begun = h->wanted.generation;
}

static void look_at_row(struct flock *f, const struct node *d, uint32_t i)
{
    const struct held *h = &d->held[i];
    uint8_t current = d->currents[i];
    if (current == UINT8_MAX) {
        if (h->phase == PHASE_SETTLED)
            flock_fault(f, "agent %u: %s is settled and nothing is there", (unsigned)d->number,
                        h->name);
        return;
    }
    const struct digest *digest = &f->bundles[current];
    if (!(d->trees >> current & 1))
        flock_fault(f, "agent %u: current of %s names a tree that isn't there", (unsigned)d->number,
                    h->name);
    if (!d->lapsed && !digest_equal(digest, &h->running.bundle) &&
        !digest_equal(digest, &h->wanted.bundle))
        flock_fault(f, "agent %u runs what nobody asked for", (unsigned)d->number);
    bool rests = h->phase == PHASE_SETTLED || h->phase == PHASE_ROLLED_BACK;
    if (rests && !digest_equal(digest, &h->running.bundle))
        flock_fault(f, "agent %u: %s rests on something else than what is there",
                    (unsigned)d->number, h->name);
}

static bool runs(const struct node *d, const struct digest *bundle)
{
    for (uint32_t i = 0; i < d->held_count; i++)
        if (d->held[i].phase == PHASE_SETTLED && digest_equal(&d->held[i].running.bundle, bundle))
            return true;
    return false;
}

void check_node(struct flock *f, uint32_t n)
{
    struct node *d = &f->nodes[n];
    for (uint32_t i = 0; i < d->held_count; i++) {
        look_at_generations(f, d, &d->held[i]);
        look_at_row(f, d, i);
    }
    if (f->asked_ms && f->reached_s[n] == REACHED_NEVER && runs(d, &f->bundles[1]))
        f->reached_s[n] =
            f->calm ? REACHED_LATER : (uint32_t)((f->queue.now_ms - f->asked_ms) / 1000);
}

/* ---- tries ---- */

static const struct held *row_of(const struct node *d, uint32_t deployment)
{
    for (uint32_t i = 0; i < d->held_count; i++)
        if (d->held[i].deployment == deployment)
            return &d->held[i];
    return NULL;
}

static bool has_stopped(const struct held *h)
{
    return h->phase == PHASE_ROLLED_BACK || h->phase == PHASE_FAILED;
}

/* Hooks and disks may do better another time. */
bool check_has_failed(const struct flock *f, const struct held *h, bool aborted)
{
    bool by_chance = h->cause == CAUSE_PRE_APPLY || h->cause == CAUSE_APPLY ||
                     h->cause == CAUSE_HEALTH || h->cause == CAUSE_DISK;
    return has_stopped(h) && (aborted || !by_chance || h->failures > f->o->retries);
}

static void note_failure(struct flock *f, struct node *d, uint32_t generation)
{
    d->failures = d->tried == generation ? d->failures + 1 : 1;
    d->tried = generation;
    d->failed_s = node_calendar_s(f, d);
}

/* No more often than it may, and not before it has waited, as far as one can tell where no calendar
 * jumps. */
static void look_at_retry(struct flock *f, const struct node *d)
{
    uint64_t wait_s = (uint64_t)f->o->back_off_s << (d->failures - 1);
    uint64_t now_s = node_calendar_s(f, d);
    wait_s = wait_s < BACK_OFF_S_MAX ? wait_s : BACK_OFF_S_MAX;
    f->result->counts.retries++;
    if (d->failures > f->o->retries)
        flock_fault(f, "agent %u begins generation %u again, %u failures behind it",
                    (unsigned)d->number, (unsigned)d->tried, (unsigned)d->failures);
    if (f->o->faults.clock_jumps == 0 && now_s + 1 < d->failed_s + wait_s)
        flock_fault(f, "agent %u begins generation %u again, and should wait for %u s more",
                    (unsigned)d->number, (unsigned)d->tried,
                    (unsigned)(d->failed_s + wait_s - now_s));
}

void check_try(struct flock *f, struct node *d, const struct held *row)
{
    const struct held *before = row_of(d, row->deployment);
    uint32_t generation = row->wanted.generation;
    if (!before || before->wanted.generation != generation)
        return;
    if (has_stopped(row) && !has_stopped(before))
        note_failure(f, d, generation);
    else if (row->phase == PHASE_DOWNLOADING && has_stopped(before) && d->tried == generation)
        look_at_retry(f, d);
}

/* ---- at rest ---- */

/* A clone, which is taken away at last, or one that may not take part. */
static bool is_outside(const struct flock *f, const struct node *d)
{
    if (d - f->nodes >= f->o->agents)
        return true;
    return d->number && f->rows->agents[d->number - 1].row.flags & AGENT_OUTSIDE;
}

static bool is_at_end(const struct flock *f, const struct held *h, const struct record *r)
{
    return h->phase == PHASE_SETTLED || check_has_failed(f, h, r->flags & RECORD_ABORTED);
}

/* What a record is for one node. Who has not begun with what was aborted stays with what was. */
static struct target target_of(const struct record *r, const struct node *d)
{
    const struct held *h = row_of(d, r->deployment);
    struct target t = record_target(r, d->number);
    bool next = r->next.generation != 0 && t.generation == r->next.generation;
    bool begun = h && h->wanted.generation >= t.generation && h->phase != PHASE_DOWNLOADING;
    return next && r->flags & RECORD_ABORTED && !begun ? r->stable : t;
}

/* What was withdrawn, and it is to do nothing more about it. */
static bool is_out_of_work(const struct held *h)
{
    return h->phase == PHASE_SETTLED || h->phase == PHASE_DOWNLOADING || has_stopped(h);
}

/* It runs what each record asks of it, or went back from it. Who had begun with something newer
 * when that was withdrawn keeps it, unless it was only about to. */
static bool is_satisfied(const struct flock *f, const struct node *d)
{
    const struct desired *doc = f->papers[d->document].desired;
    for (uint32_t i = 0; i < doc->count; i++) {
        const struct held *h = row_of(d, doc->records[i].deployment);
        struct target t = target_of(&doc->records[i], d);
        if (t.generation == 0)
            continue;
        bool newer = h && h->wanted.generation > t.generation;
        bool same = h && h->wanted.generation == t.generation;
        if (newer ? !is_out_of_work(h) : !same || !is_at_end(f, h, &doc->records[i]))
            return false;
    }
    return true;
}

/* Whom an operator has given other labels, those of its own books select. */
static bool is_labelled(const struct flock *f, const struct node *d)
{
    char labels[SCENE_LABELS_MAX];
    scene_labels(d, labels);
    return strcmp(f->rows->cohorts[d->cohort].labels.text, labels) == 0;
}

static const char *why_not(const struct flock *f, const struct node *d)
{
    if (d->number == 0)
        return "has not joined";
    if (!d->on)
        return "is off";
    if (!d->connected)
        return "is not connected";
    const struct agent_row *row = &f->rows->agents[d->number - 1].row;
    if (d->cohort != row->cohort || revision_compare(d->assigned, row->assigned) < 0)
        return "has not heard of its newest labels";
    if (d->document == 0 || d->document != f->newest[d->cohort])
        return "does not hold the newest document";
    if (d->moved && !is_labelled(f, d))
        return "does not have the labels that it was given";
    if (d->parked ? d->held_count > 0 : d->held_count == 0)
        return d->parked ? "keeps what is not for it" : "has nothing of what is for it";
    if (!is_satisfied(f, d))
        return "does not run what it should";
    if (d->core.dirty)
        return "has something to tell";
    return NULL;
}

/* It is through with what is for it, or failed; and Ready with what came before is not Ready with
 * what is asked for. */
static bool is_at(const struct flock *f, const struct node *d, bool failed)
{
    const struct desired *doc = f->papers[d->document].desired;
    for (uint32_t i = 0; i < doc->count; i++) {
        const struct held *h = row_of(d, doc->records[i].deployment);
        struct target t = target_of(&doc->records[i], d);
        if (h && h->wanted.generation == t.generation && is_at_end(f, h, &doc->records[i]))
            return failed ? h->phase != PHASE_SETTLED
                          : h->phase == PHASE_SETTLED &&
                                t.generation == manager_generation(f->core, 0);
    }
    return false;
}

/* What the manager counts is what is there. */
static bool counts_right(struct flock *f)
{
    uint32_t ready = 0, failed = 0;
    struct deployment_counts counts[16];
    const uint32_t *told = counts[0].states;
    for (uint32_t n = 0; n < f->node_count; n++) {
        const struct node *d = &f->nodes[n];
        if (is_outside(f, d))
            continue;
        ready += is_at(f, d, false);
        failed += is_at(f, d, true);
    }
    f->result->ready = ready;
    f->result->failed = failed;
    manager_count_deployments(f->core, counts);
    return told[STATE_READY] == ready && told[STATE_ROLLED_BACK] + told[STATE_FAILED] == failed;
}

/* A stage where nobody is Ready, since all have failed, waits for an operator. Most have somebody,
 * and so need no walk through the fleet. */
static bool all_failed(struct flock *f, uint32_t deployment)
{
    struct stage_count counts[STAGES_MAX];
    const struct rollout *r = &manager_deployment(f->core, deployment)->rollout;
    if (r->ready > 0)
        return false;
    arena_reset(&f->scratch);
    manager_survey(f->core, deployment, flock_wall_s(f), &f->scratch, counts);
    const struct stage_count *c = &counts[r->stage];
    return c->failed > 0 && c->failed == c->members;
}

const char *check_rest(struct flock *f, uint32_t *whom)
{
    if (!f->core) {
        *whom = NOBODY;
        return "the manager is down";
    }
    for (uint32_t i = 0; i < manager_deployment_count(f->core); i++)
        if (manager_deployment(f->core, i)->rollout.state == ROLLOUT_RUNNING && !all_failed(f, i))
            return *whom = NOBODY, "the rollout is not over";
    for (uint32_t n = 0; n < f->node_count; n++) {
        const struct node *d = &f->nodes[n];
        const char *why = is_outside(f, d) ? NULL : why_not(f, d);
        if (why)
            return *whom = n, why;
    }
    *whom = NOBODY;
    return counts_right(f) ? NULL : "the manager counts wrong";
}

/* ---- at the end ---- */

void check_registrations(struct flock *f)
{
    for (uint32_t n = 0; n < f->node_count; n++) {
        const struct node *d = &f->nodes[n];
        if (d->number > f->rows->agent_count ||
            (d->number && !key_id_equal(&manager_agent(f->core, d->number)->id, &d->id)))
            flock_fault(f, "the manager forgot agent %u", (unsigned)d->number);
    }
}

void check_end(struct flock *f)
{
    uint32_t whom = NOBODY;
    for (uint32_t n = 0; n < f->node_count; n++)
        check_node(f, n);
    if (f->core)
        check_registrations(f);
    const char *why = check_rest(f, &whom);
    if (why && whom == NOBODY)
        flock_fault(f, "at the end %s", why);
    else if (why)
        flock_fault(f, "at the end agent %u (device %u) %s", (unsigned)f->nodes[whom].number,
                    (unsigned)whom, why);
}
