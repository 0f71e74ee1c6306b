#include "simulator/world/world.h"

#include "simulator/world/notary.h"

static void check_current(struct world *w, const struct device *d, const struct current *c);
static void check_rows(struct world *w, struct device *d);
static void check_floor(struct world *w, const struct device *d);
static void check_counts(struct world *w);

void world_check(struct world *w)
{
    if (w->stage.fault[0] != '\0')
        return;
    for (uint32_t i = 0; i < w->device_count; i++) {
        struct device *d = w->devices[i];
        for (uint32_t k = 0; k < d->disk.current_count; k++)
            check_current(w, d, &d->disk.currents[k]);
        check_rows(w, d);
        check_floor(w, d);
    }
    if (w->control->running)
        check_counts(w);
}

static bool is_signed(const struct trust *t, const struct bundle *b)
{
    const unsigned publishers[] = {b->script.publisher, b->script.publisher_too};
    uint32_t signers = 0;
    for (int i = 0; i < 2 && publishers[i] > 0; i++) {
        struct secret_key secret = notary_secret(publishers[i]);
        struct public_key public = notary_public(&secret);
        signers += trust_has(t, TRUST_PUBLISHERS, &public);
    }
    return signers >= t->roles[TRUST_PUBLISHERS].threshold;
}

/* By now, or by an older trust document: what runs may go on. */
static bool is_trusted(const struct world *w, const struct bundle *b)
{
    struct trust then = w->control->rows->trust;
    while (!is_signed(&then, b))
        if (then.version == 1 || !control_trust_of(w->control, then.version - 1, &then))
            return false;
    return !b->script.malformed;
}

/* `current` names a complete tree of a version that was asked for, signed by a trusted publisher.
 */
static void check_current(struct world *w, const struct device *d, const struct current *c)
{
    const struct bundle *b = shelf_find(&w->shelf, &c->bundle);
    const char *title = shelf_title(&w->shelf, &c->bundle);
    if (!digests_has(&d->disk.trees, &c->bundle))
        stage_fault(&w->stage, "%s: current of %s names a tree that isn't there: %s",
                    device_name(d), c->name, title);
    else if (!b || !is_trusted(w, b))
        stage_fault(&w->stage, "%s: %s runs what nobody signed: %s", device_name(d), c->name,
                    title);
    else if (!control_asked(w->control, c->name, &c->bundle))
        stage_fault(&w->stage, "%s: %s runs what nobody asked for: %s", device_name(d), c->name,
                    title);
}

/* What is verified or tried never gets older, as long as the row is there and the key that the
 * manager signs with stays: what an older key wanted may be above all. */
static void check_row(struct world *w, struct device *d, const struct held *before)
{
    const struct held *now = disk_held(&d->disk, before->deployment);
    bool was_above = before->running.generation > before->wanted.generation;
    if (!now || !key_id_equal(&now->signer, &before->signer))
        return;
    if (now->wanted.generation < before->wanted.generation ||
        (now->running.generation < before->running.generation && !was_above))
        stage_fault(&w->stage, "%s: %s goes back to an older generation", device_name(d),
                    now->name);
    if (now->running.generation > now->wanted.generation && !was_above)
        stage_fault(&w->stage, "%s: %s runs above what it wanted", device_name(d), now->name);
}

/* Rows change only in stores, and those are counted by the disk's writes. */
static void check_rows(struct world *w, struct device *d)
{
    struct device_past *past = &d->past;
    for (uint32_t i = 0; i < past->floor_count; i++)
        check_row(w, d, &past->floor[i]);
    past->floor_count = d->disk.held_count;
    memcpy(past->floor, d->disk.held, d->disk.held_count * sizeof d->disk.held[0]);
}

/* Whatever its calendar says, no device may think for sure that it's later than it is. */
static void check_floor(struct world *w, const struct device *d)
{
    if (d->disk.floor_s > stage_wall_s(&w->stage))
        stage_fault(&w->stage, "%s kept a time that is yet to come: %llu", device_name(d),
                    (unsigned long long)d->disk.floor_s);
}

static void check_deployment(struct world *w, uint32_t index,
                             const struct deployment_counts *counts)
{
    uint32_t sum = 0;
    for (int s = 0; s < STATE_COUNT; s++)
        sum += counts->states[s];
    if (sum != counts->targets)
        stage_fault(&w->stage, "deployment %u: %u states of %u agents", (unsigned)index,
                    (unsigned)sum, (unsigned)counts->targets);
}

static bool is_for_all(const struct manager *m, const struct placement *p)
{
    bool listed = manager_deployment(m, p->deployment - 1)->flags & RECORD_LISTED;
    for (uint32_t n = 1; n <= manager_agent_count(m); n++)
        listed |= (manager_agent(m, n)->flags & AGENT_TAINTED) != 0; /* it takes what it may */
    return !listed && gate_is_open(&p->gate);
}

/* Each agent that is there is in one cohort, and counts once in each deployment of it. */
static void check_counts(struct world *w)
{
    struct deployment_counts counts[160];
    struct fleet_counts fleet;
    const struct manager *m = w->control->core;
    uint32_t agents = 0, targets = 0, placed = 0, picked = 0;
    manager_count_agents(m, &fleet);
    manager_count_deployments(m, counts);
    for (uint32_t i = 0; i < manager_deployment_count(m); i++) {
        check_deployment(w, i, &counts[i]);
        targets += counts[i].targets;
    }
    for (uint32_t i = 0; i < manager_cohort_count(m); i++) {
        const struct cohort *c = manager_cohort(m, i);
        agents += c->agents;
        for (uint32_t k = 0; k < c->placement_count; k++)
            if (is_for_all(m, &c->placements[k]))
                placed += c->agents;
            else
                picked += c->agents;
    }
    if (fleet.online + fleet.offline != fleet.total || fleet.stale > fleet.online ||
        agents != fleet.total || targets < placed || targets > placed + picked)
        stage_fault(&w->stage,
                    "the manager's counts don't add up: %u agents, %u in cohorts, "
                    "%u targets, %u placed",
                    (unsigned)fleet.total, (unsigned)agents, (unsigned)targets, (unsigned)placed);
}
