/*
 * roster: which agents a deployment is for beyond what labels say: those that an operator has
 * named, or whose facts fit or are the best, and which taints it tolerates. It knows agents by
 * number only, so who takes another's place takes its place here as well.
 */
#ifndef DUNLIN_MANAGER_CORE_ROSTER_H
#define DUNLIN_MANAGER_CORE_ROSTER_H

#include "base/err.h"
#include "base/span.h"
#include "manager/core/fact_filter.h"
#include "manager/core/fact_order.h"
#include "manager/core/taint.h"

#include <stdbool.h>
#include <stdint.h>

/* More than anybody names one by one: for more there are labels. */
#define ROSTER_NAMED_MAX 1000
/* As bytes, with all of them. */
#define ROSTER_BYTES_MAX 8192

struct roster {
    uint32_t named_count;
    uint32_t named[ROSTER_NAMED_MAX];     /* numbers, rising */
    bool alone;                           /* it is for these, and for no others */
    char facts[FACT_FILTER_TEXT_MAX + 1]; /* as fact_filter_check takes it */
    char tolerate[TOLERATE_TEXT_MAX + 1]; /* as tolerations_check takes it */
    char sort[FACT_ORDER_TEXT_MAX + 1];   /* as fact_order_check takes it: who is picked; none with
                                             names */
};

/* It says by itself whom it is for: no selector has to. */
static inline bool roster_finds(const struct roster *r)
{
    return r->named_count > 0 || r->facts[0];
}

/* True for one that says which agents, be it of those that something else finds: then only those
 * agents run it that are on its list. */
static inline bool roster_chooses(const struct roster *r)
{
    return roster_finds(r) || r->sort[0];
}

/* Keeps numbers in order, each once. ERR_RANGE when there are ROSTER_NAMED_MAX. */
int roster_name(struct roster *r, uint32_t number);

/* It asks for what devices tell of themselves. */
static inline bool roster_asks(const struct roster *r)
{
    return r->facts[0] || r->sort[0];
}

bool roster_names(const struct roster *r, uint32_t number);
bool roster_equal(const struct roster *a, const struct roster *b);

/* As bytes to keep: ERR_NO_MEMORY when they don't fit; ERR_FORMAT or ERR_RANGE for bytes that
 * roster_write never made. */
int roster_write(const struct roster *r, struct buffer *out);
int roster_read(struct span bytes, struct roster *r);

#endif
