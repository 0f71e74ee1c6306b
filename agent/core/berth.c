/*
 * berth: [agent-9] which cell the agent is with, and whether it goes to another one: a newer atlas
 * may say that it belongs elsewhere. What an atlas says was checked, and turned into an order of
 * cells, before it comes here.
 */
#include "agent/core/turn.h"

#define NEVER UINT64_MAX

uint32_t berth_next(const struct turn *t)
{
    return t->a->link_failures % t->view->cell_count;
}

/* What is this agent's own isn't retained there. */
static bool is_abroad(const struct agent *a, const struct agent_view *view)
{
    return a->cell >= view->home_count;
}

void berth_link_up(struct turn *t)
{
    struct agent *a = t->a;
    a->late = false;
    a->move_due_ms = NEVER;
    if (is_abroad(a, t->view))
        a->move_due_ms = t->ev->now_ms + AGENT_ABROAD_MS + rng_below(&a->rng, AGENT_ABROAD_MS + 1);
}

/* Who was about to move does so now. Abroad a broker may hang up again and again. */
void berth_link_down(struct turn *t)
{
    struct agent *a = t->a;
    if (a->move_due_ms != NEVER && !is_abroad(a, t->view))
        a->link_failures = 0;
    a->move_due_ms = NEVER;
}

/* Its cell may be none of its homes any more: what is its own is kept on those of the last atlas
 * for so long only as agents that heard of the new one take to move. */
bool berth_is_late(const struct turn *t, uint32_t atlas)
{
    return atlas > t->view->atlas + 1 || t->ev->now_ms < t->a->link_up_ms + AGENT_KNOWN_MS;
}

bool berth_holds_up(const struct agent *a, const struct agent_view *view)
{
    const struct ask *atlas = &a->asks[AGENT_TOPIC_ATLAS];
    return is_abroad(a, view) || (a->late && atlas->wanted && !atlas->in_vain);
}

void berth_take(struct turn *t)
{
    struct agent *a = t->a;
    a->atlas_here = t->ev->cell;
    a->atlas_moved = t->ev->cell_moved;
    a->atlas_spread_s = t->ev->spread_s;
}

/* Who is at home where it was stays, though it prefers another home: that one may be down. */
void berth_stored(struct turn *t)
{
    struct agent *a = t->a;
    uint64_t spread_ms = (uint64_t)a->atlas_spread_s * 1000;
    bool late = a->late;
    a->late = false;
    a->move_due_ms = NEVER;
    a->cell = a->atlas_here;
    if (a->link != LINK_UP || a->cell == 0 || (!a->atlas_moved && !is_abroad(a, t->view)))
        return;
    if (late && is_abroad(a, t->view) && spread_ms > AGENT_NETWORK_MS)
        spread_ms = AGENT_NETWORK_MS;
    a->move_due_ms = t->ev->now_ms + rng_below(&a->rng, spread_ms + 1);
}

/* From the link that is up to the cell that comes first. */
bool berth_leaves(struct turn *t)
{
    struct agent *a = t->a;
    if (a->link != LINK_UP || t->ev->now_ms < a->move_due_ms)
        return false;
    a->move_due_ms = NEVER;
    a->link_failures = 0;
    return true;
}
