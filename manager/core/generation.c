/*
 * generation: the versions that a deployment has had, the newest first. Each change of what agents
 * are to run is another generation, and none comes back.
 */
#include "manager/core/state.h"

/* The number behind the newest one, or a code with the reply set. */
static int64_t next_generation(struct turn *t, uint32_t deployment)
{
    const struct deployment_row *d = &t->m->deployments[deployment];
    uint32_t epoch = t->m->options.epoch;
    uint32_t generation = (epoch - 1) * GENERATIONS_PER_EPOCH + 1;
    if (d->history_count)
        generation = manager_generation(t->m, deployment) + 1;
    if (generation > epoch * GENERATIONS_PER_EPOCH)
        return REFUSE(t, ERR_RANGE,
                      "%s has been changed %u times, as often as may be: deploy under "
                      "another name",
                      d->name, GENERATIONS_PER_EPOCH);
    return generation;
}

void generation_trim(struct deployment_row *d)
{
    uint32_t kept = deployment_history_kept(d);
    if (d->history_count > kept)
        d->history_count = kept;
}

int generation_push(struct turn *t, uint32_t deployment, const struct version *v)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    int64_t generation = next_generation(t, deployment);
    bool newest = v->values_at == VALUES_NEWEST;
    if (generation < 0)
        return (int)generation;
    memmove(&d->history[1], &d->history[0], (HISTORY_MAX - 1) * sizeof d->history[0]);
    d->history[0] =
        (struct generation_row){.generation = (uint32_t)generation,
                                .bundle = v->bundle,
                                .values_at = newest ? t->m->variable_order : v->values_at,
                                .since_s = t->ev->now_s};
    if (newest)
        d->values_seen = t->m->variable_order;
    if (d->history_count < HISTORY_MAX)
        d->history_count++;
    generation_trim(d);
    moment_stir(t->m);
    return 0;
}

int generation_renew(struct turn *t, uint32_t deployment)
{
    int64_t generation = next_generation(t, deployment);
    if (generation < 0)
        return (int)generation;
    t->m->deployments[deployment].history[0].generation = (uint32_t)generation;
    return 0;
}

int generation_change(struct turn *t, uint32_t index, uint32_t bundle)
{
    struct deployment_row *d = &t->m->deployments[index];
    struct generation_row stable = deployment_rolls(d) ? deployment_stable(d) : d->history[0];
    struct version version = {.bundle = bundle, .values_at = VALUES_NEWEST};
    if (generation_push(t, index, &version) < 0)
        return t->out->rv;
    if (d->plan.count > 0)
        rollout_begin(t, index, &stable);
    else
        rollout_end(t->m, index, ROLLOUT_NONE);
    return 0;
}

/* Also the same bundle with values of another moment. */
static bool is_other(const struct deployment_row *d, const struct generation_row *g)
{
    return g->bundle != d->history[0].bundle || g->values_at != d->history[0].values_at;
}

bool generation_back(const struct manager *m, const struct deployment_row *d, const char *version,
                     struct version *out)
{
    struct generation_row stable = deployment_stable(d);
    const struct generation_row *to = NULL;
    if (!version && stable.generation && is_other(d, &stable)) /* else all are asked again */
        to = &stable;
    for (uint32_t i = 1; i < d->history_count && !to; i++) {
        const struct generation_row *g = &d->history[i];
        const struct bundle_row *b = &m->bundles[g->bundle];
        if (!b->removed && (version ? strcmp(b->version, version) == 0 : is_other(d, g)))
            to = g;
    }
    if (to)
        *out = (struct version){.bundle = to->bundle, .values_at = to->values_at};
    return to != NULL;
}
