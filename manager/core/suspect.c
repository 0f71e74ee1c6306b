/*
 * suspect: tells two devices that are one agent from one device whose old reports come again. It
 * knows nothing of what is done about it.
 *
 * A report whose MAC holds, with a number that is used up and of a boot that isn't the newest: a
 * copy of the storage may have sent it, or a device whose old image was put back, or a broker that
 * repeats what it kept. A broker can't answer questions, so the agent is asked some. A question is
 * an assignment that says what the last one said; who names it in a report has just seen it.
 *
 *   asked     Another boot than the newest names the first question: it lives.
 *   answered  The boot that was the newest before the first question names the second one: it
 *             lives as well, and later. The boots of one device don't come back: there are two.
 *
 * A broker alone gets no further than "asked", and one device alone no further than "answered".
 */
#include "manager/core/state.h"

/* What comes at once is a broker's backlog: it counts once in this time, … */
#define HEARD_AGAIN_S 10
/* … and so many are no accident. */
#define HEARD_ENOUGH 3
/* After this time without a proof the operator is told, … */
#define TELL_AFTER_S 60
/* … though not more often of one agent. */
#define TELL_AGAIN_S 3600
/* After this time without a proof the agent is asked anew. */
#define ASK_AGAIN_S 300
/* What is as long ago has nothing to do with what comes now. */
#define FORGET_S 86400

static struct suspect *find(struct manager *m, uint32_t number)
{
    for (uint32_t i = 0; i < m->suspect_count; i++)
        if (m->suspects[i].number == number)
            return &m->suspects[i];
    return NULL;
}

/* When there are too many, in the place of the one that was heard longest ago. */
static struct suspect *add(struct manager *m, uint32_t number)
{
    struct suspect *place = &m->suspects[0];
    if (m->suspect_count < SUSPECTS_MAX)
        place = &m->suspects[m->suspect_count++];
    else
        for (uint32_t i = 1; i < SUSPECTS_MAX; i++)
            if (m->suspects[i].heard_s < place->heard_s)
                place = &m->suspects[i];
    *place = (struct suspect){.number = number};
    return place;
}

static void ask(struct turn *t, struct suspect *s, enum suspect_stage stage)
{
    s->stage = (uint8_t)stage;
    s->asked_s = t->ev->now_s;
    fleet_assign(t, s->number);
    s->question = fleet_agent(t->m, s->number)->assigned;
}

static void tell(struct turn *t, struct suspect *s)
{
    struct alarm *alarm = raise_alarm(t, ALARM_OLD_NUMBERS);
    alarm->number = s->number;
    alarm->answers = s->answers;
    s->told_s = t->ev->now_s;
}

bool suspect_hears(struct turn *t, const struct status *status)
{
    struct suspect *s = find(t->m, status->number);
    if (!s || s->stage == SUSPECT_HEARD || revision_compare(status->assignment, s->question) < 0)
        return false;
    if (s->stage == SUSPECT_ANSWERED)
        return status->boot == s->boot;
    if (status->boot != s->boot) {
        s->answers = status->seq <= fleet_agent(t->m, s->number)->seq;
        ask(t, s, SUSPECT_ANSWERED);
    }
    return false;
}

/* One more old report; false for the rest of a burst. */
static bool count(struct suspect *s, uint64_t now_s)
{
    if (s->heard > 0 && now_s < s->heard_s + HEARD_AGAIN_S)
        return false;
    if (now_s >= s->heard_s + FORGET_S)
        *s = (struct suspect){.number = s->number};
    s->heard_s = now_s;
    if (s->heard < HEARD_ENOUGH)
        s->heard++;
    return s->heard == HEARD_ENOUGH;
}

void suspect_counts(struct turn *t, const struct status *status)
{
    const struct agent_row *row = fleet_agent(t->m, status->number);
    struct suspect *s = find(t->m, status->number);
    uint64_t now_s = t->ev->now_s;
    if (status->boot == row->boot) /* it is only late, or comes twice */
        return;
    if (!s)
        s = add(t->m, status->number);
    if (!count(s, now_s))
        return;
    bool asked = s->stage != SUSPECT_HEARD;
    if (asked && now_s >= s->asked_s + TELL_AFTER_S &&
        (s->told_s == 0 || now_s >= s->told_s + TELL_AGAIN_S))
        tell(t, s);
    if (asked && now_s < s->asked_s + ASK_AGAIN_S)
        return;
    s->boot = row->boot;
    ask(t, s, SUSPECT_ASKED);
}

void suspect_forget(struct manager *m, uint32_t number)
{
    struct suspect *s = find(m, number);
    if (s)
        *s = m->suspects[--m->suspect_count];
}
