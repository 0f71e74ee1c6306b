#include "manager/core/state.h"

static struct agent_row *find_agent(struct turn *t, const struct key_id *id)
{
    uint32_t number = manager_find_agent(t->m, id);
    if (!number) {
        REFUSE(t, ERR_NOT_FOUND, "there is no agent %s: see `dunlin agent list`",
               key_id_hex(id).text);
        return NULL;
    }
    t->out->index = number;
    return fleet_agent(t->m, number);
}

int agent_relabel(const struct command *c, struct labels *labels, struct errmsg *em)
{
    struct labels set;
    struct label pair;
    int rv = labels_parse(&set, span_text(c->label.set), em);
    for (const char *key = c->label.unset; rv == 0 && *key;) {
        size_t len = strcspn(key, ",");
        labels_unset(labels, span_of(key, len));
        key += len + (key[len] == ',');
    }
    for (size_t at = 0; rv == 0 && labels_next(&set, &at, &pair);)
        rv = labels_set(labels, pair.key, pair.value, em);
    return rv;
}

/* A document that agents have is no fuller than they take; one that nobody has yet may come to be,
 * and who is on lists brings these along. */
static int check_crowd(struct turn *t, const struct agent_row *row, const struct labels *labels)
{
    uint32_t lists[RECORDS_MAX], count = 0;
    bool brings = manager_lists(t->m, t->out->index, lists) > 0;
    if (agent_in_fleet(row) && (brings || !cohort_is_lived_in(t->m, labels)))
        count = cohort_records(t->m, labels, t->out->index);
    if (count <= RECORDS_MAX)
        return 0;
    return REFUSE(t, ERR_RANGE,
                  "agents with labels \"%s\" would have %u deployments, and they take %d: remove "
                  "some, or change their selectors",
                  labels->text, count, RECORDS_MAX);
}

void agent_label(struct turn *t)
{
    struct manager *m = t->m;
    struct agent_row *row = find_agent(t, &t->ev->command->label.id);
    if (!row)
        return;
    struct labels labels = m->cohorts[row->cohort].labels;
    int rv = agent_relabel(t->ev->command, &labels, &t->out->error);
    if (rv < 0) {
        fail_with(t, rv);
        return;
    }
    if (check_crowd(t, row, &labels) < 0)
        return;
    int64_t cohort = cohort_find_or_add(t, &labels);
    if (cohort < 0) {
        REFUSE(t, ERR_RANGE, "there are %u different label sets, the most that are kept",
               m->cohort_count);
        return;
    }
    if ((uint32_t)cohort == row->cohort) {
        t->out->rv = 1;
        return;
    }
    if (row->flags & AGENT_WAITING) {
        row->cohort = (uint32_t)cohort;
        persist(t, PERSIST_AGENT, t->out->index);
        return;
    }
    cohort_leave(m, row->cohort);
    cohort_enter(m, (uint32_t)cohort);
    row->cohort = (uint32_t)cohort;
    budget_move(m, t->out->index);
    list_move(m, t->out->index, row->cohort);
    fleet_assign(t, t->out->index);
}

/* It asks again by itself, and is told then. Its membership begins now. */
void agent_approve(struct turn *t)
{
    struct agent_row *row = find_agent(t, &t->ev->command->agent);
    if (!row)
        return;
    t->out->rv = !(row->flags & AGENT_WAITING);
    if (t->out->rv == 1)
        return;
    row->flags &= (uint16_t)~AGENT_WAITING;
    row->joined_s = (uint32_t)t->ev->now_s;
    cohort_enter(t->m, row->cohort);
    t->m->counters.joins++;
    persist(t, PERSIST_AGENT, t->out->index);
}

void agent_remove(struct turn *t)
{
    struct agent_row *row = find_agent(t, &t->ev->command->agent);
    if (!row)
        return;
    if (row->flags & AGENT_WAITING) {
        row->flags = AGENT_REMOVED;
        persist(t, PERSIST_AGENT, t->out->index);
        return;
    }
    cohort_leave(t->m, row->cohort);
    fleet_set_exceptions(t->m, row, NULL, NULL, 0);
    taint_forget(t->m, t->out->index);
    row->flags = AGENT_REMOVED | (row->flags & AGENT_BLOCKED);
    fleet_assign(t, t->out->index);
}

/* What it has begun it brings to an end, but no rollout waits for that. */
void agent_cordon(struct turn *t)
{
    struct agent_row *row = find_agent(t, &t->ev->command->agent);
    if (!row)
        return;
    unsigned cordon = t->ev->command->type == COMMAND_AGENT_CORDON ? AGENT_CORDONED : 0;
    t->out->rv = (row->flags & AGENT_CORDONED) == cordon;
    if (t->out->rv == 1)
        return;
    row->flags ^= AGENT_CORDONED;
    t->m->stirred = true; /* who is cordoned isn't picked */
    flight_leave(t->m, t->out->index);
    if (row->flags & AGENT_WAITING)
        persist(t, PERSIST_AGENT, t->out->index);
    else
        fleet_tell(t, t->out->index);
}

void agent_taint(struct turn *t)
{
    if (find_agent(t, &t->ev->command->taint.agent))
        taint_set(t, t->out->index);
}
