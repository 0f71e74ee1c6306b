#include "manager/core/state.h"

/* Rollouts looked at in one step: each may persist one row and mark cohorts. */
#define ROLLOUTS_PER_STEP 4

void lookout_tick(struct turn *t)
{
    t->m->looks_left = t->m->deployment_count;
    t->m->walked = 0;
    lookout_tend(t);
}

bool lookout_waits(const struct manager *m)
{
    return m->looks_left > 0;
}

void lookout_hear(struct manager *m)
{
    m->news++;
}

static bool is_due(const struct turn *t, uint32_t deployment)
{
    const struct deployment_row *d = &t->m->deployments[deployment];
    const struct look *look = &t->m->looks[deployment];
    if (d->removed || d->rollout.state != ROLLOUT_RUNNING || d->flags & RECORD_PAUSED)
        return false;
    /* A stage without members would be over at once. */
    if (list_is_unready(t->m, deployment))
        return false;
    return look->news != t->m->news || t->ev->now_s >= look->again_s;
}

static void look_at(struct turn *t, uint32_t deployment)
{
    struct look look = {.news = t->m->news};
    uint32_t walks = rollout_tend(t, deployment, &look);
    t->m->walked += (uint64_t)walks * t->m->agent_count;
    t->m->looks[deployment] = look;
    arena_reset(t->scratch);
}

void lookout_tend(struct turn *t)
{
    struct manager *m = t->m;
    for (int looked_at = 0; m->looks_left > 0 && looked_at < ROLLOUTS_PER_STEP; m->looks_left--) {
        uint32_t deployment = m->look_cursor % m->deployment_count;
        if (is_due(t, deployment)) {
            if (m->walked >= WALKED_PER_TICK) {
                m->looks_left = 0;
                return;
            }
            look_at(t, deployment);
            looked_at++;
        }
        m->look_cursor = deployment + 1;
    }
}
