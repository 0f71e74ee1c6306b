#include "manager/core/roster.h"

#include "sync/wire.h"

#include <string.h>

#define ROSTER_FIELDS 6 /* version, named, tolerate, facts, sort, alone */
#define ROSTER_VERSION 1

int roster_name(struct roster *r, uint32_t number)
{
    uint32_t at = r->named_count;
    while (at > 0 && r->named[at - 1] >= number)
        at--;
    if (at < r->named_count && r->named[at] == number)
        return 0;
    if (r->named_count == ROSTER_NAMED_MAX)
        return ERR_RANGE;
    memmove(&r->named[at + 1], &r->named[at], (r->named_count - at) * sizeof r->named[0]);
    r->named[at] = number;
    r->named_count++;
    return 0;
}

bool roster_names(const struct roster *r, uint32_t number)
{
    uint32_t from = 0, to = r->named_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (r->named[middle] == number)
            return true;
        if (r->named[middle] < number)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

bool roster_equal(const struct roster *a, const struct roster *b)
{
    return a->named_count == b->named_count && strcmp(a->tolerate, b->tolerate) == 0 &&
           strcmp(a->facts, b->facts) == 0 && strcmp(a->sort, b->sort) == 0 &&
           memcmp(a->named, b->named, a->named_count * sizeof a->named[0]) == 0;
}

int roster_write(const struct roster *r, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, ROSTER_FIELDS);
    wire_put_u64(&w, ROSTER_VERSION);
    wire_put_array(&w, r->named_count);
    for (uint32_t i = 0; i < r->named_count; i++)
        wire_put_u64(&w, r->named[i]);
    wire_put_text(&w, span_text(r->tolerate));
    wire_put_text(&w, span_text(r->facts));
    wire_put_text(&w, span_text(r->sort));
    wire_put_u64(&w, r->alone);
    return wire_end(&w);
}

int roster_read(struct span bytes, struct roster *r)
{
    struct wire_reader w = wire_reader_on(bytes);
    *r = (struct roster){0};
    wire_get_array(&w, ROSTER_FIELDS, ROSTER_FIELDS);
    if (wire_get_u64(&w, UINT64_MAX) != ROSTER_VERSION)
        wire_fail(&w, ERR_FORMAT);
    r->named_count = wire_get_array(&w, 0, ROSTER_NAMED_MAX);
    for (uint32_t i = 0; i < r->named_count && !w.error; i++) {
        r->named[i] = (uint32_t)wire_get_u64(&w, UINT32_MAX);
        if (r->named[i] <= (i ? r->named[i - 1] : 0))
            wire_fail(&w, ERR_FORMAT);
    }
    wire_get_text_into(&w, r->tolerate, sizeof r->tolerate);
    wire_get_text_into(&w, r->facts, sizeof r->facts);
    wire_get_text_into(&w, r->sort, sizeof r->sort);
    r->alone = wire_get_u64(&w, 1) != 0;
    if (!w.error && (tolerations_check(r->tolerate, NULL) < 0 ||
                     fact_filter_check(r->facts, NULL) < 0 || fact_order_check(r->sort, NULL) < 0))
        wire_fail(&w, ERR_FORMAT);
    return wire_done(&w);
}
