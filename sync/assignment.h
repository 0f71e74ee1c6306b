/*
 * assignment: what concerns one agent alone: its labels, its cohort, whether it is still of the
 * fleet, and whether it may change what it runs. It comes with the join's answer and, when
 * something changes, retained on the agent's own topic.
 */
#ifndef DUNLIN_SYNC_ASSIGNMENT_H
#define DUNLIN_SYNC_ASSIGNMENT_H

#include "base/labels.h"
#include "sync/envelope.h"
#include "sync/revision.h"
#include "sync/topic.h"

#define ASSIGNMENT_MAX 2048

struct assignment {
    struct key_id agent;
    struct revision revision; /* the agent's own count */
    uint64_t issued_s;
    struct cohort_key cohort;
    uint8_t lanes_log2;
    bool removed; /* the operator took the agent out of the fleet: it stops syncing and keeps what
                     it has */
    struct labels labels;
    bool cordoned; /* it goes on with what it runs, and begins nothing new */
};

int assignment_write(const struct assignment *a, struct buffer *out);
int assignment_read(struct span body, struct assignment *a);

#endif
