/*
 * permit: [rule-7], [rule-8] whether this agent has to ask before it begins, since it was out of
 * touch when it was let in. It remembers so of the records of the document that it holds, and no
 * longer than the process lives: who doesn't know, asks.
 */
#include "agent/core/turn.h"
#include "base/bits.h"

void permit_forget(struct agent *a)
{
    memset(a->present, 0, sizeof a->present);
}

/* Who was silent for longer counts as gone by now, and may have lost its place. What was said last
 * may not have been heard. */
void permit_link_up(struct turn *t)
{
    struct agent *a = t->a;
    const struct desired *d = t->view->document;
    uint64_t silent_s = (t->ev->now_ms - a->status_sent_ms + AGENT_KNOWN_MS) / 1000;
    bool known = a->status_sent_ms != 0 && silent_s < UINT32_MAX;
    a->silent_s = known ? (uint32_t)silent_s : UINT32_MAX;
    a->head_came = a->own_came = a->in_step = a->known = false;
    a->own_head = (struct revision){0};
    for (uint32_t i = 0; i < d->count; i++)
        if (a->silent_s >= d->records[i].rules.asks_after_s)
            bits_set(a->present, i, false);
}

void permit_move(struct agent *a)
{
    a->silent_s = UINT32_MAX;
    a->head_came = a->in_step = false;
    permit_forget(a);
}

/* A gate that moves from now on, moves while the manager knows that this agent is here. */
void permit_head(struct turn *t)
{
    struct agent *a = t->a;
    a->in_step |= a->known && a->head_came && !a->asks[AGENT_TOPIC_DOCUMENT].wanted;
    a->head_came = true;
}

/* [rule-8] It stood before a gate of `next`, in the order that it is in now, and that gate has
 * moved past it. A gate that lets in whoever comes says nothing of single agents. */
static bool was_next_in_line(const struct turn *t, const struct agent_view *next,
                             const struct record *old, const struct record *r)
{
    const struct agent *a = t->a;
    if (!old || old->rules.order != r->rules.order || t->view->assignment->cordoned ||
        !view_admits(a, t->view, old))
        return false;
    uint32_t before = old->next_gate.enrolled_before ? old->next_gate.enrolled_before
                                                     : r->next_gate.enrolled_before;
    return r->next.generation > 0 && r->next.generation == old->next.generation &&
           r->next.generation == view_target(a, next, r).generation && before != UINT32_MAX &&
           a->number < before;
}

/* Nothing was said in between that this agent has not heard. */
static bool follows(struct revision held, struct revision now)
{
    return now.epoch == held.epoch && now.number == held.number + 1;
}

/* What is asked for as before, it was in touch for if it was then. */
static bool was_present(const struct turn *t, const struct agent_view *next, const struct record *r)
{
    const struct agent *a = t->a;
    const struct agent_view *view = t->view;
    const struct record *old = view_has_document(view) ? view_record(view, r->deployment) : NULL;
    if (old && old->rules.asks_after_s > 0) {
        struct target before = view_target(a, view, old), now = view_target(a, next, r);
        if (before.generation == now.generation && before.variables == now.variables)
            return bits_have(a->present, (uint32_t)(old - view->document->records));
    }
    if (r->rules.order > 0 && !was_next_in_line(t, next, old, r))
        return false;
    return a->in_step || a->silent_s < r->rules.asks_after_s;
}

/* Another assignment brings something else to run: that is no gate's doing. What gates did while it
 * was in another place, on other lists or cordoned, they didn't do for it. */
void permit_assignment(struct turn *t)
{
    struct agent *a = t->a;
    const struct agent_view *view = t->view;
    struct agent_view next = *view;
    next.assignment = t->ev->assignment;
    bool kept = !view->assignment->cordoned && !next.assignment->cordoned &&
                follows(view->assignment->revision, next.assignment->revision);
    bool stays = true;
    for (uint32_t i = 0; i < view->document->count; i++) {
        const struct record *r = &view->document->records[i];
        if (r->rules.order == 0)
            continue;
        struct target before = view_target(a, view, r), now = view_target(a, &next, r);
        bool same = kept && before.generation == now.generation &&
                    before.variables == now.variables &&
                    view_admits(a, view, r) == view_admits(a, &next, r);
        stays &= same;
        if (!same)
            bits_set(a->present, i, false);
    }
    if (stays)
        return;
    a->in_step = false;
    a->silent_s = UINT32_MAX;
}

void permit_document(struct turn *t)
{
    uint8_t present[sizeof t->a->present] = {0};
    struct agent_view next = *t->view;
    next.document = t->ev->document;
    bool hears_all = follows(view_revision(t->view), next.document->revision);
    for (uint32_t i = 0; i < next.document->count; i++) {
        const struct record *r = &next.document->records[i];
        if (r->rules.asks_after_s > 0 && (hears_all || r->rules.order == 0))
            bits_set(present, i, was_present(t, &next, r));
    }
    memcpy(t->a->present, present, sizeof present);
}

/* An old one may have been taken back: it counts when this connection has said that it is the
 * newest. What another broker said may have been forged, and counts until this one was asked. And
 * where it would be taken back since its agent was gone for so long, when the manager
 * knows that it is here. */
static bool has_permit(const struct agent *a, const struct agent_view *view, const struct record *r,
                       const struct target *target)
{
    const struct ask *own = &a->asks[AGENT_TOPIC_ASSIGNMENT];
    bool newest = a->link == LINK_UP && a->own_head.epoch > 0 && (!own->wanted || own->in_vain) &&
                  revision_compare(a->own_head, view_assignment_floor(view)) <= 0;
    bool stays = a->own_came || a->known || a->silent_s < r->rules.asks_after_s;
    return newest && stays &&
           assignment_permits(view->assignment, r->deployment, target->generation);
}

/* It had begun with something newer, which was withdrawn: it begins with nothing before it is asked
 * for more, and a permit would only be kept from others. */
static bool is_past(const struct agent_view *view, const struct record *r,
                    const struct target *target)
{
    const struct held *row = view_held(view, r->deployment);
    return row && row->wanted.generation > target->generation && row->phase != PHASE_REMOVING &&
           !view_unbinds(view, row);
}

bool permit_lacks(const struct agent *a, const struct agent_view *view, const struct record *r)
{
    uint32_t index = (uint32_t)(r - view->document->records);
    if (r->rules.asks_after_s == 0 || bits_have(a->present, index))
        return false;
    struct target target = view_target(a, view, r);
    return !view_lacks(view, r, &target) && !is_past(view, r, &target) &&
           !has_permit(a, view, r, &target);
}
