/*
 * flooder: for how long an agent is cut off that said far more than it may, and when it is let in
 * again. It knows nothing of what was counted, nor of how brokers are told.
 *
 * It isn't kept on the disk: a manager that starts lets everybody in, and whoever still floods is
 * cut off within seconds.
 */
#include "manager/core/state.h"

/* Its place, or flooder_count. */
static uint32_t place_of(const struct manager *m, uint32_t number)
{
    uint32_t i = 0;
    while (i < m->flooder_count && m->flooders[i].number != number)
        i++;
    return i;
}

static struct flooder *find(struct manager *m, uint32_t number)
{
    uint32_t i = place_of(m, number);
    return i < m->flooder_count ? &m->flooders[i] : NULL;
}

static bool is_cut_off(const struct manager *m, const struct flooder *f)
{
    return (m->agents[f->number - 1].flags & AGENT_CUT_OFF) != 0;
}

/* When there are too many, in the place of the one that was let in longest ago; NULL when all are
 * cut off. */
static struct flooder *add(struct manager *m, uint32_t number)
{
    struct flooder *place = NULL;
    if (m->flooder_count < FLOODERS_MAX)
        place = &m->flooders[m->flooder_count++];
    else
        for (uint32_t i = 0; i < FLOODERS_MAX; i++) {
            struct flooder *f = &m->flooders[i];
            if (!is_cut_off(m, f) && (!place || f->until_s < place->until_s))
                place = f;
        }
    if (place)
        *place = (struct flooder){.number = number};
    return place;
}

/* A clock that is put back must not keep anybody out for longer than the longest time. */
static bool is_over(const struct flooder *f, uint64_t now_s)
{
    return now_s >= f->until_s || f->until_s - now_s > CUT_OFF_S_MAX;
}

static uint64_t span_s(uint32_t times)
{
    uint64_t s = CUT_OFF_S_MIN;
    for (uint32_t i = 0; i < times && s < CUT_OFF_S_MAX; i++)
        s *= 2;
    return s < CUT_OFF_S_MAX ? s : CUT_OFF_S_MAX;
}

/* Who isn't known, or out anyway, is none of these. */
void flooder_hears(struct turn *t)
{
    struct manager *m = t->m;
    uint64_t now_s = t->ev->now_s;
    uint32_t number = fleet_find(m, &t->ev->flood);
    if (!number || fleet_agent(m, number)->flags & AGENT_BLOCKED)
        return;
    struct flooder *f = find(m, number);
    if (!f)
        f = add(m, number);
    if (!f || (f->lifted && now_s < f->until_s + CUT_OFF_PEACE_S) ||
        membership_cut_off(t, number) < 0)
        return;
    if (now_s >= f->until_s + CUT_OFF_FORGET_S)
        f->times = 0;
    f->until_s = now_s + span_s(f->times++);
    f->lifted = false;
    raise_alarm(t, ALARM_FLOOD)->number = number;
}

void flooder_tick(struct turn *t)
{
    struct manager *m = t->m;
    for (uint32_t i = 0; i < m->flooder_count; i++) {
        const struct flooder *f = &m->flooders[i];
        if (is_cut_off(m, f) && is_over(f, t->ev->now_s))
            membership_let_in(t, f->number);
    }
}

void flooder_lift(struct turn *t, uint32_t number)
{
    struct flooder *f = find(t->m, number);
    if (!f)
        return;
    f->lifted = true;
    f->until_s = t->ev->now_s;
    membership_let_in(t, number);
}

void flooder_forget(struct manager *m, uint32_t number)
{
    struct flooder *f = find(m, number);
    if (f)
        *f = m->flooders[--m->flooder_count];
}

struct cut_off manager_cut_off(const struct manager *m, uint32_t number)
{
    uint32_t i = place_of(m, number);
    const struct flooder *f = &m->flooders[i];
    if (i == m->flooder_count || !is_cut_off(m, f))
        return (struct cut_off){0};
    return (struct cut_off){.until_s = f->until_s, .times = f->times};
}
