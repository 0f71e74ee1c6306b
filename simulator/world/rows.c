#include "simulator/world/rows.h"

#include <assert.h>
#include <stdlib.h>

/* One more row at the table's end, or the one that is there. */
static uint32_t place(uint32_t index, uint32_t *count, uint32_t room)
{
    assert(index <= *count && index < room);
    if (index == *count)
        ++*count;
    return index;
}

/* Memory that nobody touches costs nothing. */
static void *table_of(uint32_t count, size_t size)
{
    void *table = calloc(count, size);
    if (!table)
        abort();
    return table;
}

/* Few are on any, and they are many. */
static void keep_lists(struct agent_copy *copy, const uint32_t *lists, uint32_t count)
{
    free(copy->lists);
    copy->lists = count ? table_of(count, sizeof lists[0]) : NULL;
    copy->list_count = count;
    if (count)
        memcpy(copy->lists, lists, count * sizeof lists[0]);
}

/* Whom a pick takes is the core's, which dies. */
static const struct pick_group *copy_groups(const struct picked *p)
{
    struct pick_group *groups = p->count ? table_of(p->count, sizeof *groups) : NULL;
    if (groups)
        memcpy(groups, p->groups, p->count * sizeof *groups);
    return groups;
}

static void keep_deployment(struct rows *r, uint32_t index, const struct deployment_row *row)
{
    struct deployment_row *copy =
        &r->deployments[place(index, &r->deployment_count, r->limits.deployments)];
    free((void *)copy->picked.groups);
    *copy = *row;
    copy->picked.groups = copy_groups(&row->picked);
}

struct rows *rows_new(const struct manager_limits *limits)
{
    struct rows *r = table_of(1, sizeof *r);
    r->limits = *limits;
    r->agents = table_of(limits->agents, sizeof r->agents[0]);
    r->cohorts = table_of(limits->cohorts, sizeof r->cohorts[0]);
    r->deployments = table_of(limits->deployments, sizeof r->deployments[0]);
    r->bundles = table_of(limits->bundles, sizeof r->bundles[0]);
    r->batches = table_of(limits->batches, sizeof r->batches[0]);
    return r;
}

void rows_free(struct rows *r)
{
    for (uint32_t i = 0; i < r->log_count; i++)
        free(r->log[i].bytes);
    free(r->log);
    for (uint32_t i = 0; i < r->agent_count; i++)
        free(r->agents[i].lists);
    free(r->agents);
    free(r->cohorts);
    for (uint32_t i = 0; i < r->deployment_count; i++)
        free((void *)r->deployments[i].picked.groups);
    free(r->deployments);
    free(r->bundles);
    free(r->batches);
    free(r);
}

struct rows *rows_clone(const struct rows *r)
{
    struct rows *copy = rows_new(&r->limits), empty = *copy;
    memcpy(empty.agents, r->agents, r->agent_count * sizeof r->agents[0]);
    memcpy(empty.cohorts, r->cohorts, r->cohort_count * sizeof r->cohorts[0]);
    memcpy(empty.deployments, r->deployments, r->deployment_count * sizeof r->deployments[0]);
    memcpy(empty.bundles, r->bundles, r->bundle_count * sizeof r->bundles[0]);
    memcpy(empty.batches, r->batches, r->batch_count * sizeof r->batches[0]);
    *copy = *r;
    copy->agents = empty.agents;
    for (uint32_t i = 0; i < r->agent_count; i++) {
        copy->agents[i].lists = NULL;
        keep_lists(&copy->agents[i], r->agents[i].lists, r->agents[i].list_count);
    }
    copy->cohorts = empty.cohorts;
    copy->deployments = empty.deployments;
    for (uint32_t i = 0; i < r->deployment_count; i++)
        copy->deployments[i].picked.groups = copy_groups(&r->deployments[i].picked);
    copy->bundles = empty.bundles;
    copy->batches = empty.batches;
    copy->log = NULL;
    copy->log_count = 0;
    for (uint32_t i = 0; i < r->log_count; i++) {
        const struct publication *p = &r->log[i];
        copy->serial = p->serial - 1; /* it counts on to the same one */
        rows_publish(copy, &p->topic, span_of(p->bytes, p->len));
    }
    copy->serial = r->serial;
    return copy;
}

void rows_restored(struct rows *r, uint64_t now_s, uint32_t lineage, uint32_t base)
{
    r->epoch++;
    r->restored_s = now_s;
    r->restored_epoch = r->epoch;
    r->restored_base = base;
    r->lineage = lineage;
    for (uint32_t i = 0; i < r->batch_count; i++)
        r->batches[i].revoked = true;
}

static void copy_agent(struct rows *r, const struct manager *m, uint32_t number)
{
    struct agent_copy *copy = &r->agents[place(number - 1, &r->agent_count, r->limits.agents)];
    copy->row = *manager_agent(m, number);
    copy->exception_count = (uint32_t)manager_exceptions(m, number, copy->exceptions);
    manager_stints(m, number, copy->stints);
    copy->taints = manager_agent_taints(m, number);
    uint32_t lists[RECORDS_MAX];
    keep_lists(copy, lists, manager_lists(m, number, lists));
    copy->permit_count = manager_permits(m, number, copy->permits);
    copy->slot_permits = manager_slot_permits(m, number);
}

static void copy_variable(struct rows *r, const struct manager *m, uint32_t index)
{
    const struct variable_text *text;
    uint32_t at = place(index, &r->variable_count, ROWS_VARIABLES_MAX);
    r->variables[at] = *manager_variable(m, index, &text);
    r->variable_texts[at] = *text;
}

void rows_copy(struct rows *r, const struct manager *m, const struct persist *p)
{
    switch (p->type) {
    case PERSIST_AGENT:
    case PERSIST_STATUS:
    case PERSIST_ASSIGNMENT:
        copy_agent(r, m, p->index);
        break;
    case PERSIST_HEARTBEAT: /* a manager that dies loses it: here always, not to be lucky */
        break;
    case PERSIST_COHORT:
    case PERSIST_DOCUMENT:
    case PERSIST_HEAD:
        r->cohorts[place(p->index, &r->cohort_count, r->limits.cohorts)] =
            *manager_cohort(m, p->index);
        break;
    case PERSIST_TRUST:
        r->trust = *manager_trust(m);
        break;
    case PERSIST_BATCH:
        r->batches[place(p->index, &r->batch_count, r->limits.batches)] =
            *manager_batch(m, p->index);
        break;
    case PERSIST_BUNDLE:
    case PERSIST_BUNDLE_GONE:
        r->bundles[place(p->index, &r->bundle_count, r->limits.bundles)] =
            *manager_bundle(m, p->index);
        break;
    case PERSIST_DEPLOYMENT:
        keep_deployment(r, p->index, manager_deployment(m, p->index));
        break;
    case PERSIST_EPOCH:
        r->epoch = p->index;
        break;
    case PERSIST_REPLACED:
        r->replaced[place(p->index, &r->replaced_count, ROWS_FEW)] = *manager_replaced(m, p->index);
        break;
    case PERSIST_TAINT:
        r->taints[p->index] = *manager_taint(m, p->index);
        break;
    case PERSIST_GROUP:
        r->groups[place(p->index, &r->group_count, ROWS_FEW)] = *manager_group(m, p->index);
        break;
    case PERSIST_BUDGET:
        r->budgets[place(p->index, &r->budget_count, ROWS_FEW)] = *manager_budget(m, p->index);
        break;
    case PERSIST_SUCCESSOR:
        r->successors[place(p->index, &r->successor_count, ROWS_FEW)] =
            *manager_successor(m, p->index);
        break;
    case PERSIST_VARIABLE:
        copy_variable(r, m, p->index);
        break;
    }
}

void rows_load(const struct rows *r, struct manager *m, struct stage *stage)
{
    int rv = 0;
    for (uint32_t i = 0; i < r->group_count; i++)
        rv |= manager_load_group(m, &r->groups[i]);
    for (uint32_t i = 0; i < r->budget_count; i++)
        rv |= manager_load_budget(m, &r->budgets[i]);
    for (uint32_t i = 0; i < r->batch_count; i++)
        rv |= manager_load_batch(m, &r->batches[i]);
    for (uint32_t i = 0; i < r->bundle_count; i++)
        rv |= manager_load_bundle(m, &r->bundles[i]);
    for (uint32_t i = 0; i < r->deployment_count; i++)
        rv |= manager_load_deployment(m, &r->deployments[i]);
    for (uint32_t i = 0; i < r->cohort_count; i++)
        rv |= manager_load_cohort(m, &r->cohorts[i]);
    manager_load_trust(m, &r->trust);
    for (uint32_t i = 0; i < r->agent_count; i++) {
        const struct agent_copy *a = &r->agents[i];
        rv |= manager_load_agent(m, i + 1, &a->row, a->exceptions, a->exception_count);
        manager_load_stints(m, i + 1, a->stints);
    }
    for (uint32_t i = 0; i < TAINTS_MAX; i++)
        rv |= manager_load_taint(m, i, &r->taints[i]);
    for (uint32_t i = 0; i < r->agent_count; i++) {
        const struct agent_copy *a = &r->agents[i];
        rv |= manager_load_lists(m, i + 1, a->taints, a->lists, a->list_count);
        rv |= manager_load_permits(m, i + 1, a->permits, a->permit_count, a->slot_permits);
    }
    for (uint32_t i = 0; i < r->replaced_count; i++)
        rv |= manager_load_replaced(m, &r->replaced[i]);
    for (uint32_t i = 0; i < r->successor_count; i++)
        rv |= manager_load_successor(m, &r->successors[i]);
    for (uint32_t i = 0; i < r->variable_count; i++)
        rv |= manager_load_variable(m, &r->variables[i], &r->variable_texts[i]);
    if (rv != 0)
        stage_fault(stage, "the manager's rows can't be loaded again");
}

/* ---- the log ---- */

struct span rows_published(const struct rows *r, const struct topic *topic)
{
    for (uint32_t i = 0; i < r->log_count; i++)
        if (strcmp(r->log[i].topic.text, topic->text) == 0)
            return span_of(r->log[i].bytes, r->log[i].len);
    return SPAN_NONE;
}

void rows_publish(struct rows *r, const struct topic *topic, struct span payload)
{
    uint32_t i = 0;
    while (i < r->log_count && strcmp(r->log[i].topic.text, topic->text) != 0)
        i++;
    if (i < r->log_count) {
        free(r->log[i].bytes);
        memmove(&r->log[i], &r->log[i + 1], (--r->log_count - i) * sizeof r->log[0]);
    }
    r->log = realloc(r->log, (r->log_count + 1) * sizeof r->log[0]);
    uint8_t *bytes = malloc(payload.len + 1);
    if (!r->log || !bytes)
        abort();
    if (payload.len)
        memcpy(bytes, payload.data, payload.len);
    r->log[r->log_count++] = (struct publication){
        .serial = ++r->serial, .topic = *topic, .len = (uint32_t)payload.len, .bytes = bytes};
}

const struct publication *rows_next(const struct rows *r, uint64_t serial)
{
    for (uint32_t i = 0; i < r->log_count; i++)
        if (r->log[i].serial > serial)
            return &r->log[i];
    return NULL;
}
