/*
 * pilot: tells agents where to go: when the cells are others than they were, it numbers and signs
 * their list, the atlas, has it published, and says how long agents may be on their way. It knows
 * nothing of connections.
 */
#ifndef DUNLIN_MANAGER_PILOT_H
#define DUNLIN_MANAGER_PILOT_H

#include "manager/homes.h"
#include "manager/keyring.h"
#include "manager/ledger.h"

/* Until an agent has moved, beyond what its policy gives it: to connect, and to be heard. */
#define PILOT_SLACK_S 60

struct pilot {
    const struct keyring *keys;
    struct policy policy; /* of the agents */
    uint32_t epoch;       /* of the manager: numbers of a later one are higher than all before */
    uint64_t now_s;
};

/* A cell's own number: the manager's own brokers count from 1; another's follows from its address.
 */
uint32_t pilot_own(size_t index);
uint32_t pilot_foreign(const char *url);

/*
 * `h` has the cells in `now`, in any order and without a number; their URLs are borrowed. Brings in
 * what the ledger knows, and issues an atlas when it knows other cells; its transaction is left
 * open. ERR_RANGE when two cells have one number or their addresses are too long together, with a
 * sentence.
 */
int pilot_open(const struct pilot *p, struct homes *h, struct ledger *ledger, struct errmsg *em);
/* Ends the time in which agents move, and issues the atlas anew in a new epoch. 1: another stage
 * has begun. */
int pilot_tend(const struct pilot *p, struct homes *h, struct ledger *ledger, struct errmsg *em);

#endif
