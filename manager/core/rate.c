/*
 * rate: how many agents a rollout lets in within a span of time. A span begins when somebody is let
 * in and none is on; from then to its end no more come in than the present stage's rate says, and
 * the next one begins with whoever comes first behind it. When it began, and how many have come in
 * since, is of the deployment's row: so a manager that is killed counts on, and so do retries,
 * newer versions and other plans.
 */
#include "manager/core/state.h"

static const struct rate *rate_of(const struct deployment_row *d)
{
    return plan_rate(&d->plan, d->rollout.stage);
}

/* What goes back is held up by nothing but budgets. */
static bool is_limited(const struct deployment_row *d)
{
    return rate_of(d)->span_s > 0 && !d->rollout.back;
}

static uint64_t end_s(const struct deployment_row *d)
{
    return d->rollout.span_s + rate_of(d)->span_s;
}

uint32_t rate_room(const struct deployment_row *d, uint64_t now_s)
{
    const struct rollout *r = &d->rollout;
    if (!is_limited(d))
        return UINT32_MAX;
    uint32_t most = rate_agents(rate_of(d), r->most);
    if (now_s >= end_s(d))
        return most;
    return most > r->let_in ? most - r->let_in : 0;
}

void rate_charge(struct deployment_row *d, uint64_t now_s, uint32_t agents)
{
    struct rollout *r = &d->rollout;
    if (!is_limited(d) || agents == 0)
        return;
    if (now_s >= end_s(d)) {
        r->span_s = now_s;
        r->let_in = 0;
    }
    r->let_in += agents;
}

uint64_t manager_rate_until_s(const struct deployment_row *d, uint64_t now_s)
{
    const struct rollout *r = &d->rollout;
    bool waits = r->state == ROLLOUT_RUNNING && r->step == ROLLOUT_ADMITTING &&
                 r->reached[r->stage] < r->end;
    return waits && rate_room(d, now_s) == 0 ? end_s(d) : 0;
}
