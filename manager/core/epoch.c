/*
 * epoch: what a manager learns from agents that know more than it does, having been put back from a
 * backup. It knows nothing of backups but when one was put back.
 *
 * Agents never go back. One that holds a newer document than this manager ever made would refuse
 * all that it makes, unless its epoch moves past that document's. Any device can claim anything, so
 * the epoch moves only for a while after a restore, and not far.
 */
#include "manager/core/state.h"

/* Agents that were away for longer are put right by an operator. */
#define LEARN_S (30u * 86400)
/* So far beyond the epoch of the restore: as often may the fleet have been put back since the
 * backup was made. */
#define LEARN_EPOCHS 64
/* Without that, operators are told at most this often. */
#define TELL_AGAIN_S 3600

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

struct revision epoch_next(const struct manager *m, struct revision r)
{
    const struct manager_options *o = &m->options;
    uint32_t number = r.epoch == o->epoch ? r.number : larger(r.number, o->restored_base);
    return (struct revision){.epoch = o->epoch, .number = number + 1};
}

/* The epoch of what this agent holds and this manager never made, or 0. Its document is one of its
 * cohort's when it holds the assignment to that cohort. */
static uint32_t unknown_epoch(const struct manager *m, const struct agent_row *row,
                              const struct status *s)
{
    int order = revision_compare(s->assignment, row->assigned);
    uint32_t epoch = order > 0 ? s->assignment.epoch : 0;
    bool newer = order == 0 && revision_compare(s->document, m->cohorts[row->cohort].revision) > 0;
    return newer || s->document.epoch > m->options.epoch ? larger(epoch, s->document.epoch) : epoch;
}

static bool may_learn(const struct turn *t, uint32_t epoch)
{
    const struct manager_options *o = &t->m->options;
    return o->restored_s > 0 && t->ev->now_s < o->restored_s + LEARN_S &&
           epoch - o->restored_epoch < LEARN_EPOCHS && epoch < EPOCH_MAX;
}

/* What was asked for when the epoch began has its first generations: the newest, or, where a
 * rollout is on its way, what ran before and the newest. */
void epoch_renumber(struct manager *m, uint32_t deployment)
{
    struct deployment_row *d = &m->deployments[deployment];
    uint32_t first = (m->options.epoch - 1) * GENERATIONS_PER_EPOCH + 1;
    bool two = deployment_rolls(d) && d->rollout.stable != 0;
    if (d->history[0].generation >= first)
        return;
    d->history[0].generation = first + two;
    d->rollout.first = first + two;
    if (two)
        d->rollout.stable = first;
}

static void move_past(struct turn *t, uint32_t number, uint32_t epoch)
{
    t->m->options.epoch = epoch + 1;
    persist(t, PERSIST_EPOCH, epoch + 1);
    for (uint32_t i = 0; i < t->m->deployment_count; i++)
        epoch_renumber(t->m, i);
    cohort_mark_all(t->m);
    raise_alarm(t, ALARM_EPOCH_MOVED)->number = number;
}

static void tell(struct turn *t, uint32_t number)
{
    struct manager *m = t->m;
    if (m->newer_told_s > 0 && t->ev->now_s < m->newer_told_s + TELL_AGAIN_S)
        return;
    m->newer_told_s = t->ev->now_s;
    raise_alarm(t, ALARM_NEWER_DOCUMENT)->number = number;
}

void epoch_hears(struct turn *t, const struct status *s)
{
    struct manager *m = t->m;
    const struct agent_row *row = fleet_agent(m, s->number);
    uint32_t epoch = unknown_epoch(m, row, s);
    if (epoch == 0)
        return;
    if (epoch >= m->options.epoch) {
        if (!may_learn(t, epoch)) {
            tell(t, s->number);
            return;
        }
        move_past(t, s->number, epoch);
    }
    /* It was given other labels since the backup: this manager knows better now. */
    if (revision_compare(s->assignment, row->assigned) > 0)
        fleet_assign(t, s->number);
}
