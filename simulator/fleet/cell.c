#include "simulator/fleet/parts.h"

#include <assert.h>
#include <stdlib.h>

/* A broker that died comes back after so long, and the manager meets it again after … */
#define CELL_OFF_MS 15000
#define CELL_FILL_MS 1500

static void *table_of(size_t count, size_t size)
{
    void *table = calloc(count, size);
    if (!table)
        abort();
    return table;
}

void cell_open(struct flock *f)
{
    uint32_t cohorts = f->rows->limits.cohorts;
    f->atlas.count = f->cell_count;
    for (uint32_t i = 0; i < f->cell_count; i++) {
        struct cell *c = &f->cells[i];
        f->atlas.cells[i].number = i + 1;
        c->current = true;
        c->papers = table_of(cohorts, sizeof c->papers[0]);
        c->hearers = table_of(cohorts, sizeof c->hearers[0]);
        memset(c->hearers, 0xff, cohorts * sizeof c->hearers[0]);
    }
    f->slips = table_of(f->rows->limits.agents, sizeof f->slips[0]);
}

void cell_close(struct flock *f)
{
    for (uint32_t i = 0; i < f->cell_count; i++) {
        free(f->cells[i].papers);
        free(f->cells[i].hearers);
    }
    for (uint32_t i = 0; i < f->paper_count; i++)
        free(f->papers[i].desired);
    free(f->papers);
    free(f->slips);
}

/* ---- papers ---- */

void paper_hold(struct flock *f, uint32_t paper)
{
    if (paper)
        f->papers[paper].holds++;
}

void paper_drop(struct flock *f, uint32_t paper)
{
    struct paper *p = &f->papers[paper];
    if (!paper || --p->holds > 0)
        return;
    free(p->desired);
    *p = (struct paper){.size = f->paper_free};
    f->paper_free = paper;
}

uint32_t paper_of(const struct flock *f, const struct desired *desired)
{
    return f->paper_read && f->papers[f->paper_read].desired == desired ? f->paper_read : 0;
}

/* ---- who hears of a cohort ---- */

static void leave(struct flock *f, struct node *d)
{
    struct cell *c = &f->cells[d->cell];
    if (d->before != NOBODY)
        f->nodes[d->before].behind = d->behind;
    else
        c->hearers[d->listed] = d->behind;
    if (d->behind != NOBODY)
        f->nodes[d->behind].before = d->before;
    d->listed = NOBODY;
}

void cell_hear(struct flock *f, uint32_t n, uint32_t cohort)
{
    struct node *d = &f->nodes[n];
    if (d->listed == cohort)
        return;
    if (d->listed != NOBODY)
        leave(f, d);
    if (cohort == NOBODY)
        return;
    uint32_t *first = &f->cells[d->cell].hearers[cohort];
    d->listed = cohort;
    d->before = NOBODY;
    d->behind = *first;
    if (*first != NOBODY)
        f->nodes[*first].before = n;
    *first = n;
}

/* ---- what the manager says ---- */

static void retain(struct flock *f, struct cell *c, uint32_t cohort)
{
    uint32_t paper = f->newest[cohort];
    if (c->papers[cohort] == paper)
        return;
    paper_hold(f, paper);
    paper_drop(f, c->papers[cohort]);
    c->papers[cohort] = paper;
    for (uint32_t n = c->hearers[cohort], next; n != NOBODY; n = next) {
        next = f->nodes[n].behind;
        f->result->counts.heads++;
        link_hear(f, n, NODE_HEAD, revision_pack(f->papers[paper].desired->revision), HEAD_BYTES);
    }
}

void cell_publish(struct flock *f, uint32_t cohort)
{
    for (uint32_t i = 0; i < f->cell_count; i++)
        if (f->cells[i].current && !f->cells[i].dead)
            retain(f, &f->cells[i], cohort);
        else
            f->cells[i].current = false;
}

static void tell_slip(struct flock *f, uint32_t n)
{
    const struct node *d = &f->nodes[n];
    struct revision slip = f->slips[d->number - 1].revision;
    if (!d->connected || d->abroad || !f->cells[d->cell].current || slip.number == 0)
        return;
    f->result->counts.heads++;
    link_hear(f, n, NODE_SLIP_HEAD, revision_pack(slip), SLIP_HEAD_BYTES);
}

void cell_publish_slip(struct flock *f, uint32_t number)
{
    const struct agent_copy *copy = &f->rows->agents[number - 1];
    const struct agent_row *row = &copy->row;
    const struct slip before = f->slips[number - 1];
    uint32_t permit = copy->permit_count ? copy->permits[0].generation : 0;
    bool given = permit != 0 && permit != before.permit;
    f->slips[number - 1] = (struct slip){.revision = row->assigned,
                                         .cohort = row->cohort,
                                         .removed = !agent_in_fleet(row),
                                         .cordoned = (row->flags & AGENT_CORDONED) != 0,
                                         .permit = permit,
                                         .permit_s = given ? flock_wall_s(f) : before.permit_s};
    for (uint32_t i = 0; i < f->cell_count; i++)
        if (f->cells[i].dead)
            f->cells[i].current = false;
    uint32_t n = f->by_number[number - 1];
    if (n == 0)
        return;
    tell_slip(f, n - 1);
    if (f->nodes[n - 1].twin != NOBODY)
        tell_slip(f, f->nodes[n - 1].twin);
}

/* Mosquitto's rule (max_queued_bytes, src/database.c, db__ready_for_queue): what comes is kept as
 * long as what waits is less than the limit; what isn't is acknowledged all the same. */
bool cell_queues(struct flock *f, uint32_t cell, uint32_t bytes)
{
    struct cell *c = &f->cells[cell];
    uint32_t max = f->o->faults.queue_max;
    if (max > 0 && c->queued >= max && !f->calm) {
        f->result->counts.overflown++;
        return false;
    }
    c->queued += bytes;
    return true;
}

/* ---- death, and what comes after it ---- */

void cell_kill(struct flock *f, uint32_t cell)
{
    struct cell *c = &f->cells[cell];
    if (c->dead)
        return;
    f->result->counts.cell_kills++;
    c->dead = true;
    c->deaths++;
    for (uint32_t n = 0; n < f->node_count; n++)
        if (f->nodes[n].cell == cell && f->nodes[n].connected)
            link_lose(f, n);
    bool forgets = f->result->counts.cell_kills % 2 == 0;
    if (forgets) {
        c->current = false;
        for (uint32_t i = 0; i < f->rows->limits.cohorts; i++) {
            paper_drop(f, c->papers[i]);
            c->papers[i] = 0;
        }
        office_forget(f, cell);
    }
    flock_at(f, f->queue.now_ms + CELL_OFF_MS, CELL_START, cell, 0, 0);
}

void cell_start(struct flock *f, uint32_t cell)
{
    f->cells[cell].dead = false;
    flock_at(f, f->queue.now_ms + CELL_FILL_MS, CELL_FILL, cell, 0, 0);
}

void cell_fill(struct flock *f, uint32_t cell)
{
    struct cell *c = &f->cells[cell];
    if (!f->core || c->dead || c->current)
        return;
    c->current = true;
    for (uint32_t i = 0; i < f->rows->cohort_count; i++)
        retain(f, c, i);
    for (uint32_t n = 0; n < f->node_count; n++)
        if (f->nodes[n].cell == cell && f->nodes[n].connected)
            tell_slip(f, n);
}
