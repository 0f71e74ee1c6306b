/*
 * pick: how many of the agents that a deployment's selector matches are to run it: all, so many, a
 * share, so many of each value of a label, or so many spread over its values. It knows no agents.
 */
#ifndef DUNLIN_MANAGER_CORE_PICK_H
#define DUNLIN_MANAGER_CORE_PICK_H

#include "base/labels.h"
#include "manager/core/plan.h"
#include "sync/gate.h"

/* Values of one label that a pick tells apart; agents with further ones are not picked. */
#define GROUPS_MAX 64
/* A pick with its groups as bytes. */
#define PICK_BYTES_MAX 8192

struct pick {
    struct amount amount;       /* 0: all */
    char by[LABEL_KEY_MAX + 1]; /* of each value of this label; "": of all together */
    /* Not 0: the amount is of all together, and no value has so many more than another. */
    uint32_t max_skew;
};

/* Agents with one value of the label, and which of them are in. */
struct pick_group {
    char value[LABEL_VALUE_MAX + 1];
    struct gate gate;
};

struct picked {
    uint32_t count;
    struct pick_group groups[GROUPS_MAX];
};

static inline bool pick_is_all(const struct pick *p)
{
    return p->amount.value == 0;
}

/* A pick as operators write it: "all", "3", "10%", "3 of each zone", "30 over zone", "30 over zone
 * skew 2"; without a skew it is 1. ERR_USAGE with a sentence; `*p` is checked then. */
int pick_parse(const char *text, struct pick *p, struct errmsg *em);
/* The text that is read as this pick. */
#define PICK_TEXT_MAX (LABEL_KEY_MAX + 40)
void pick_text(const struct pick *p, char out[static PICK_TEXT_MAX]);

/* ERR_USAGE with a sentence for what can't be followed. */
int pick_check(const struct pick *p, struct errmsg *em);

/* So many of each of `count` groups, where `sizes` says how many there are: what the pick asks for,
 * or as near to it as its skew allows. */
void pick_share_out(const struct pick *p, const uint32_t *sizes, uint32_t count, uint32_t *wanted);

/* As bytes to keep, as plan_write and plan_read. */
int pick_write(const struct pick *p, const struct picked *g, struct buffer *out);
int pick_read(struct span bytes, struct pick *p, struct picked *g);

#endif
