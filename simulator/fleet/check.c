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

static void look_at_generations(struct flock *f, struct node *d, const struct held *h)
{
    if (!is_signed(f, &h->wanted) || !is_signed(f, &h->running))
        flock_fault(f, "agent %u: nobody has signed what it has of %s", (unsigned)d->number,
                    h->name);
    if (h->wanted.generation < d->begun)
        flock_fault(f, "agent %u goes back to an older generation of %s", (unsigned)d->number,
                    h->name);
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
    if (!digest_equal(digest, &h->running.bundle) && !digest_equal(digest, &h->wanted.bundle))
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

static bool has_failed(const struct node *d)
{
    for (uint32_t i = 0; i < d->held_count; i++)
        if (d->held[i].phase == PHASE_ROLLED_BACK || d->held[i].phase == PHASE_FAILED)
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
    if (f->asked_ms && f->reached_s[n] == UINT32_MAX && runs(d, &f->bundles[1]))
        f->reached_s[n] = (uint32_t)((f->queue.now_ms - f->asked_ms) / 1000);
}

/* ---- at rest ---- */

/* A clone, which is taken away at last, or one that may not take part. */
static bool is_outside(const struct flock *f, const struct node *d)
{
    if (d - f->nodes >= f->o->agents)
        return true;
    return d->number && f->rows->agents[d->number - 1].row.flags & AGENT_OUTSIDE;
}

/* It runs what each record asks of it, or went back from it. */
static bool is_satisfied(const struct flock *f, const struct node *d)
{
    const struct desired *doc = f->papers[d->document].desired;
    for (uint32_t i = 0; i < doc->count; i++) {
        const struct record *r = &doc->records[i];
        struct target t = record_target(r, d->number);
        bool done = t.generation == 0;
        for (uint32_t k = 0; k < d->held_count; k++) {
            const struct held *h = &d->held[k];
            if (h->deployment == r->deployment && h->wanted.generation == t.generation)
                done = h->phase == PHASE_SETTLED || h->phase == PHASE_ROLLED_BACK ||
                       h->phase == PHASE_FAILED;
        }
        if (!done)
            return false;
    }
    return true;
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
    if (!is_satisfied(f, d))
        return "does not run what it should";
    if (d->core.dirty)
        return "has something to tell";
    return NULL;
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
        ready += runs(d, &f->bundles[f->asked_ms ? 1 : 0]);
        failed += has_failed(d);
    }
    f->result->ready = ready;
    f->result->failed = failed;
    manager_count_deployments(f->core, counts);
    return told[STATE_READY] == ready && told[STATE_ROLLED_BACK] + told[STATE_FAILED] == failed;
}

const char *check_rest(struct flock *f, uint32_t *whom)
{
    if (!f->core) {
        *whom = NOBODY;
        return "the manager is down";
    }
    /* A stage where nobody is Ready, since all have failed, waits for an operator. */
    for (uint32_t i = 0; f->o->failing_per_mille == 0 && i < manager_deployment_count(f->core); i++)
        if (deployment_rolls(manager_deployment(f->core, i)))
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
