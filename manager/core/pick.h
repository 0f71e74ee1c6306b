/*
 * pick: how many of the agents that a deployment's selector matches are to run it: all, so many, a
 * share, so many of each value of a label, or so many spread over its values. It knows no agents.
 */
#ifndef DUNLIN_MANAGER_CORE_PICK_H
#define DUNLIN_MANAGER_CORE_PICK_H

#include "base/labels.h"
#include "manager/core/plan.h"
#include "sync/gate.h"

/* Values of one label that a pick tells apart: a look at who is in keeps account of each of them
 * within a step's scratch. With more it is refused; where they come later, an alarm says so. */
#define GROUPS_MAX 4096
/* Of all picks together: 1.5 MiB. */
#define GROUPS_ALL_MAX 65536
/* A pick with its groups as bytes, of which each is an array of three numbers. */
#define PICK_BYTES_MAX (GROUPS_MAX * 24 + 512)

struct pick {
    struct amount amount;       /* 0: all */
    char by[LABEL_KEY_MAX + 1]; /* of each value of this label; "": of all together */
    /* Not 0: the amount is of all together, and no value has so many more than another. */
    uint32_t max_skew;
};

/* Agents with one value of the label, and which of them are in. */
struct pick_group {
    uint64_t value; /* as pick_value has it */
    struct gate gate;
};

struct picked {
    uint32_t count;
    uint32_t left_out;               /* agents with values beyond those that are told apart */
    const struct pick_group *groups; /* by rising value */
};

/* A group's agents, how many of them are in, and how many are to be. */
struct pick_share {
    uint32_t size;
    uint32_t in;
    uint32_t wanted;
};

static inline bool pick_is_all(const struct pick *p)
{
    return p->amount.value == 0;
}

/* A value of a label, as a number that differs for all values that a fleet may have: it is hashed
 * under the deployment's salt, of which nobody who gives labels knows anything. */
uint64_t pick_value(uint64_t salt, struct span value);
/* Where a value is among groups by rising value, or would be. */
uint32_t pick_place(const struct pick_group *groups, uint32_t count, uint64_t value);
/* The group of a value, or NULL. */
const struct pick_group *pick_group_of(const struct picked *g, uint64_t value);

/* A pick as operators write it: "all", "3", "10%", "3 of each zone", "30 over zone", "30 over zone
 * skew 2"; without a skew it is 1. ERR_USAGE with a sentence; `*p` is checked then. */
int pick_parse(const char *text, struct pick *p, struct errmsg *em);
/* The text that is read as this pick. */
#define PICK_TEXT_MAX (LABEL_KEY_MAX + 40)
void pick_text(const struct pick *p, char out[static PICK_TEXT_MAX]);

/* ERR_USAGE with a sentence for what can't be followed. */
int pick_check(const struct pick *p, struct errmsg *em);

/* Says how many are wanted of each of `count` groups: what the pick asks for, or as near to it as
 * its skew allows. A group without agents takes no part; what can't be shared evenly stays where
 * it is. */
void pick_share_out(const struct pick *p, struct pick_share *shares, uint32_t count);

/* As bytes to keep, as plan_write and plan_read. The groups that are read are put into `groups`,
 * and `g` borrows them. */
int pick_write(const struct pick *p, const struct picked *g, struct buffer *out);
int pick_read(struct span bytes, struct pick *p, struct picked *g,
              struct pick_group groups[static GROUPS_MAX]);

#endif
