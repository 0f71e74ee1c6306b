#include "agent/core/turn.h"

#include "base/endian.h"

/* [renewal-1] Two thirds of its life, and this agent's own part of the jitter: devices that joined
 * in one batch don't ask in one hour. */
static uint64_t renew_at_s(const struct turn *t)
{
    const struct agent_view *view = t->view;
    uint64_t life_s = view->certificate_until_s - view->certificate_from_s;
    uint64_t own = le64_read(t->a->id.bytes) % AGENT_RENEW_JITTER_S;
    return view->certificate_from_s + life_s / 3 * 2 + AGENT_RENEW_SLACK_S + own;
}

static bool has_certificate(const struct turn *t)
{
    return t->view->certificate_until_s != 0;
}

/* Door and cells take turns: a wrong clock, or a broker that refused by mistake, must not keep this
 * agent away for good. */
bool renewal_by_door(const struct turn *t)
{
    bool expired = turn_wall_s(t) > t->view->certificate_until_s;
    return has_certificate(t) && !t->a->knocked && (expired || t->a->certificate_refused);
}

/* [renewal-6] A fleet that hears of another authority at once doesn't ask at once. */
void renewal_reconsider(struct turn *t)
{
    uint64_t spread_ms = (uint64_t)t->view->document->policy.reconnect_spread_s * 1000;
    if (t->view->certificate_outdated)
        t->a->renew_due_ms = t->ev->now_ms + rng_below(&t->a->rng, spread_ms + 1);
}

void renewal_tend(struct turn *t)
{
    struct agent *a = t->a;
    if (a->link != LINK_UP || !has_certificate(t) || t->ev->now_ms < a->renew_due_ms ||
        (!t->view->certificate_outdated && turn_wall_s(t) < renew_at_s(t)))
        return;
    turn_act(t, AGENT_RENEW);
    a->renew_due_ms =
        t->ev->now_ms + AGENT_RENEW_AGAIN_MS + rng_below(&a->rng, AGENT_RENEW_AGAIN_MS);
}

uint64_t renewal_due_ms(const struct turn *t)
{
    return t->a->link == LINK_UP && t->view->certificate_outdated ? t->a->renew_due_ms : UINT64_MAX;
}

/* What the manager sends again is what this agent has, unless it has another authority by now. */
void renewal_take(struct turn *t)
{
    if (!t->ev->certificate_moved && t->ev->certificate_until_s <= t->view->certificate_until_s)
        return;
    turn_store(t, AGENT_STORE_CERTIFICATE);
    t->a->link_failures = 0;
}

/* Kept for people alone: whom the manager takes for revoked may be released, and goes on asking. */
void renewal_shut_out(struct turn *t)
{
    if (t->view->shut_out_s == 0)
        turn_store(t, AGENT_STORE_SHUT_OUT)->shut_out_s = turn_wall_s(t);
}

void renewal_let_in(struct turn *t)
{
    if (t->view->shut_out_s != 0)
        turn_store(t, AGENT_STORE_SHUT_OUT)->shut_out_s = 0;
}
