#include "simulator/fleet/parts.h"

#include <stdlib.h>

/* A disk that says too early that it has kept something lacks, when the power goes, all that came
 * after one of its last commits: so many on average. */
#define LAPSE_COMMITS 8

static void remember(struct flock *f, struct node *d);

/* ---- rows ---- */

static uint32_t row_at(const struct node *d, uint32_t deployment)
{
    uint32_t i = 0;
    while (i < d->held_count && d->held[i].deployment < deployment)
        i++;
    return i;
}

/* Rows, and behind them for each the bundle that `current` names. */
static void resize(struct node *d, uint32_t count)
{
    size_t size = count * (sizeof d->held[0] + 1);
    uint8_t currents[HELD_MAX];
    uint32_t had = d->held_count < count ? d->held_count : count;
    memcpy(currents, d->currents ? d->currents : currents, d->currents ? d->held_count : 0);
    d->held = realloc(d->held, size ? size : 1);
    if (!d->held)
        abort();
    d->currents = (uint8_t *)(d->held + count);
    memcpy(d->currents, currents, had);
    d->held_count = (uint8_t)count;
}

static void keep_row(struct node *d, const struct held *row)
{
    uint32_t at = row_at(d, row->deployment);
    if (at == d->held_count || d->held[at].deployment != row->deployment) {
        uint32_t had = d->held_count;
        resize(d, had + 1);
        memmove(&d->held[at + 1], &d->held[at], (had - at) * sizeof d->held[0]);
        memmove(&d->currents[at + 1], &d->currents[at], had - at);
        d->currents[at] = UINT8_MAX;
    }
    d->held[at] = *row;
}

static void drop_row(struct node *d, uint32_t deployment)
{
    uint32_t at = row_at(d, deployment);
    if (at == d->held_count || d->held[at].deployment != deployment)
        return;
    d->begun = d->tried = 0;
    memmove(&d->held[at], &d->held[at + 1], (d->held_count - at - 1u) * sizeof d->held[0]);
    memmove(&d->currents[at], &d->currents[at + 1], d->held_count - at - 1u);
    resize(d, d->held_count - 1u);
}

static void keep_document(struct flock *f, struct node *d, uint32_t paper)
{
    const struct paper *before = &f->papers[d->document], *now = &f->papers[paper];
    if (d->document && before->cohort == now->cohort &&
        revision_compare(now->desired->revision, before->desired->revision) < 0)
        flock_fault(f, "agent %u goes back to an older document", (unsigned)d->number);
    paper_hold(f, paper);
    paper_drop(f, d->document);
    d->document = paper;
}

void disk_keep(struct flock *f, struct node *d, const struct agent_event *ev,
               const struct agent_out *out)
{
    for (uint32_t i = 0; i < out->store_count; i++) {
        const struct agent_store *s = &out->stores[i];
        if (s->type == AGENT_STORE_HELD) {
            check_try(f, d, s->held);
            keep_row(d, s->held);
            d->lapsed &= s->held->phase != PHASE_SETTLED;
            if (s->held->phase == PHASE_DOWNLOADING)
                gate_begin(f, d, s->held->wanted.generation);
        } else if (s->type == AGENT_STORE_DROP) {
            drop_row(d, s->deployment);
        } else if (s->type == AGENT_STORE_DOCUMENT) {
            keep_document(f, d, paper_of(f, ev->document));
        } else if (s->type == AGENT_STORE_ASSIGNMENT) {
            d->assigned = ev->assignment->revision;
            d->removed = ev->assignment->removed;
            d->cordoned = ev->assignment->cordoned;
            d->permit = ev->assignment->permit_count ? ev->assignment->permits[0].generation : 0;
            d->cohort = cohort_of(f, &ev->assignment->cohort);
        } else if (s->type == AGENT_STORE_SEQ) {
            d->seq_ceiling = s->seq;
            d->floor_s = s->floor_s;
        }
    }
    if (f->o->faults.lying_disks > 0 && rng_below(&f->fate, LAPSE_COMMITS) == 0)
        remember(f, d);
}

/* ---- disks that lie ---- */

void disk_copy(struct flock *f, struct node *to, const struct node *from)
{
    size_t size = from->held_count * (sizeof from->held[0] + 1);
    struct held *held = malloc(size + 1);
    if (!held)
        abort();
    free(to->held);
    if (from->document)
        paper_hold(f, from->document);
    paper_drop(f, to->document);
    to->held = held;
    to->held_count = from->held_count;
    to->currents = (uint8_t *)(held + from->held_count);
    if (from->held_count) {
        memcpy(held, from->held, from->held_count * sizeof held[0]);
        memcpy(to->currents, from->currents, from->held_count);
    }
    to->trees = from->trees;
    to->content = from->content;
    to->removed = from->removed;
    to->cordoned = from->cordoned;
    to->permit = from->permit;
    to->tried = from->tried;
    to->failures = from->failures;
    to->failed_s = from->failed_s;
    to->begun = from->begun;
    to->number = from->number;
    to->cohort = from->cohort;
    to->assigned = from->assigned;
    to->document = from->document;
    to->seq_ceiling = from->seq_ceiling;
    to->floor_s = from->floor_s;
}

/* The trees and `current` of one disk, the rows of another. */
static void take_files(struct node *d, const struct node *from)
{
    d->trees = from->trees;
    d->content = from->content;
    for (uint32_t i = 0; i < d->held_count; i++) {
        uint32_t at = row_at(from, d->held[i].deployment);
        bool same = at < from->held_count && from->held[at].deployment == d->held[i].deployment;
        d->currents[i] = same ? from->currents[at] : UINT8_MAX;
    }
}

/* What the real agent looks after when it starts (agent/mend.h). */
static void mend(const struct flock *f, struct node *d)
{
    for (uint32_t i = 0; i < d->held_count; i++) {
        struct held *h = &d->held[i];
        uint8_t bundle = scene_bundle(f, &h->running.bundle);
        if (!held_leads(h))
            continue;
        if (d->trees >> bundle & 1)
            d->currents[i] = bundle;
        else
            held_begin_anew(h);
    }
}

static void remember(struct flock *f, struct node *d)
{
    if (!d->past)
        d->past = calloc(1, sizeof *d->past);
    if (!d->past)
        abort();
    disk_copy(f, d->past, d);
}

void disk_lapse(struct flock *f, uint32_t n)
{
    struct node now = {0}, *d = &f->nodes[n];
    if (!d->past || d->twin != NOBODY || !flock_strikes(f, f->o->faults.lying_disks))
        return;
    disk_copy(f, &now, d);
    uint64_t what = rng_below(&f->fate, 3);
    if (what > 0)
        disk_copy(f, d, d->past);
    if (what != 1)
        take_files(d, what == 0 ? d->past : &now);
    mend(f, d);
    disk_free(f, &now);
    d->lapsed = true;
    gate_lapse(f, n);
    f->result->counts.lapses++;
}

void disk_free(struct flock *f, struct node *d)
{
    if (d->past)
        disk_free(f, d->past);
    free(d->past);
    free(d->held);
    paper_drop(f, d->document);
}
