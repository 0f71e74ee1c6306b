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
    m->heard = ++m->news;
}

void lookout_hear_of(struct manager *m, uint32_t cohort)
{
    m->heard_of[cohort] = ++m->news;
}

/* Who is under the budget that holds it may make room. */
static bool is_budget_heard_of(const struct manager *m, const struct look *look)
{
    for (uint32_t i = 0; i < m->cohort_count && look->budget; i++)
        if (m->heard_of[i] > look->news && m->cohort_budgets[i] >> (look->budget - 1) & 1)
            return true;
    return false;
}

/* What was heard of others than those of its stage needs no second thought. */
static bool has_news(struct manager *m, uint32_t deployment)
{
    struct look *look = &m->looks[deployment];
    const struct deployment_row *d = &m->deployments[deployment];
    const char *stage = d->plan.stages[d->rollout.stage].selector;
    if (look->news == m->news)
        return false;
    if (look->news < m->heard || cohort_is_heard_of(m, deployment, stage, look->news) ||
        is_budget_heard_of(m, look))
        return true;
    look->news = m->news;
    return false;
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
    return t->ev->now_s >= look->again_s || has_news(t->m, deployment);
}

static void look_at(struct turn *t, uint32_t deployment)
{
    struct look look = {.news = t->m->news};
    t->m->walked += rollout_tend(t, deployment, &look);
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
