#include "sync/rules.h"

#include "sync/message.h"

#include <assert.h>

/* After, window, retries, back-off; and, where agents ask: after what, and in which order. */
#define RULES_FIELDS 4

bool dependencies_equal(const struct dependencies *a, const struct dependencies *b)
{
    return a->count == b->count &&
           memcmp(a->numbers, b->numbers, a->count * sizeof a->numbers[0]) == 0;
}

bool dependencies_have(const struct dependencies *d, uint32_t deployment)
{
    for (uint32_t i = 0; i < d->count; i++)
        if (d->numbers[i] == deployment)
            return true;
    return false;
}

static bool are_none(const struct rules *rules)
{
    return rules->after.count == 0 && rules->window.length_s == 0 && rules->retries == 0 &&
           rules->asks_after_s == 0;
}

/* There is no order where nobody asks. */
static uint32_t fields_of(const struct rules *rules)
{
    assert(rules->order == 0 || rules->asks_after_s > 0);
    return RULES_FIELDS + (uint32_t)(rules->asks_after_s > 0) + (uint32_t)(rules->order > 0);
}

static void put_dependencies(struct wire_writer *w, const struct dependencies *d)
{
    assert(d->count <= DEPENDENCIES_MAX);
    wire_put_array(w, d->count);
    for (uint32_t i = 0; i < d->count; i++)
        wire_put_u64(w, d->numbers[i]);
}

static void get_dependencies(struct wire_reader *r, uint32_t deployment, struct dependencies *d)
{
    uint32_t before = 0;
    d->count = wire_get_array(r, 0, DEPENDENCIES_MAX);
    for (uint32_t i = 0; i < d->count; i++) {
        uint32_t number = (uint32_t)wire_get_u64(r, UINT32_MAX);
        if (number <= before || number == deployment)
            wire_fail(r, ERR_FORMAT);
        d->numbers[i] = before = number;
    }
}

void rules_put(struct wire_writer *w, const struct rules *rules)
{
    if (are_none(rules)) {
        wire_put_nil(w);
        return;
    }
    wire_put_array(w, fields_of(rules));
    put_dependencies(w, &rules->after);
    window_put(w, &rules->window);
    wire_put_u64(w, rules->retries);
    wire_put_u64(w, rules->back_off_s);
    if (rules->asks_after_s > 0)
        wire_put_u64(w, rules->asks_after_s);
    if (rules->order > 0)
        wire_put_u64(w, rules->order);
}

/* From 1 on, where there is one. */
static uint32_t get_extra(struct wire_reader *r, uint32_t *extra, uint32_t max)
{
    if (*extra == 0)
        return 0;
    --*extra;
    uint32_t value = (uint32_t)wire_get_u64(r, max);
    if (value == 0)
        wire_fail(r, ERR_FORMAT);
    return value;
}

void rules_get(struct wire_reader *r, uint32_t deployment, struct rules *rules)
{
    *rules = (struct rules){0};
    if (wire_get_nil(r))
        return;
    uint32_t extra = message_enter_array(r, RULES_FIELDS);
    get_dependencies(r, deployment, &rules->after);
    window_get(r, &rules->window);
    rules->retries = (uint32_t)wire_get_u64(r, RETRIES_MAX);
    rules->back_off_s = (uint32_t)wire_get_u64(r, BACK_OFF_S_MAX);
    rules->asks_after_s = get_extra(r, &extra, ASKS_AFTER_S_MAX);
    rules->order = get_extra(r, &extra, ORDER_MAX);
    wire_skip(r, extra);
}
