/*
 * assignment: what concerns one agent alone: its labels, its cohort, whether it is still of the
 * fleet, and whether it may change what it runs. It comes with the join's answer and, when
 * something changes, retained on the agent's own topic.
 */
#ifndef DUNLIN_SYNC_ASSIGNMENT_H
#define DUNLIN_SYNC_ASSIGNMENT_H

#include "base/labels.h"
#include "sync/envelope.h"
#include "sync/limits.h"
#include "sync/revision.h"
#include "sync/secret.h"
#include "sync/topic.h"

/* With the longest labels, RECORDS_MAX lists, and as many variables as one takes. */
#define ASSIGNMENT_MAX 8192
/* An agent asks for no more at a time than a status names. */
#define PERMITS_MAX EXCEPTIONS_MAX
/* And signed. */
#define ASSIGNMENT_SIGNED_MAX (ASSIGNMENT_MAX + ENVELOPE_OVERHEAD_SHARED)

/* It came back behind an open gate, and may begin this generation of a deployment now. */
struct permit {
    uint32_t deployment; /* from 1 */
    uint32_t generation;
};

struct assignment {
    struct key_id agent;
    struct revision revision; /* the agent's own count */
    uint64_t issued_s;
    struct cohort_key cohort;
    bool removed; /* the operator took the agent out of the fleet: it stops syncing and keeps what
                     it has */
    struct labels labels;
    bool cordoned; /* it goes on with what it runs, and begins nothing new */
    bool reserved; /* of its cohort's records it takes those that are listed here, and no others */
    uint32_t listed_count;
    uint32_t listed[RECORDS_MAX];             /* deployments, rising: that it is on the lists of */
    uint8_t cohort_secret[SECRET_COHORT_LEN]; /* what opens the cohort's secrets, sealed */
    uint32_t variables_len;
    uint8_t variables[VARIABLES_OWN_MAX]; /* the agent's own: a list (sync/variables.h) */
    uint32_t permit_count;
    struct permit permits[PERMITS_MAX]; /* by rising deployment */
};

/* [gate-5] True when it may be for this agent as far as lists go; gates have their say besides. */
bool assignment_lists(const struct assignment *a, uint32_t deployment);

bool assignment_permits(const struct assignment *a, uint32_t deployment, uint32_t generation);

struct span assignment_variables(const struct assignment *a);
int assignment_write(const struct assignment *a, struct buffer *out);
int assignment_read(struct span body, struct assignment *a);

#endif
