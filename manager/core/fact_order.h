/*
 * fact_order: which devices come first by a number that they have told of themselves: the largest
 * ("-disk_free") or the smallest ("load"). It knows no agents; it is asked about facts.
 */
#ifndef DUNLIN_MANAGER_CORE_FACT_ORDER_H
#define DUNLIN_MANAGER_CORE_FACT_ORDER_H

#include "base/err.h"
#include "sync/join.h"

/* With "-fact." before the key. */
#define FACT_ORDER_TEXT_MAX (FACT_KEY_MAX + 6)

/* ERR_USAGE with a sentence; "" is sound, and orders nothing. */
int fact_order_check(const char *text, struct errmsg *em);

/* The fact that it looks at. The text has been checked, here and below. */
struct span fact_order_key(const char *text);

/* A device's number as it is kept: 0 where it has told none. `facts` may be NULL. */
uint64_t fact_order_number(struct span key, const struct facts *facts);

/* The lower, the sooner; who has told no number comes last. */
uint64_t fact_order_place(const char *text, uint64_t number);

#endif
