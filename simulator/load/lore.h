/*
 * lore: what many agents of one process hold the same copy of: desired documents, trust documents
 * and label sets. Each device would check the same bytes by itself; here they are checked once and
 * known by their digest, and what that would have cost the others is counted.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_LORE_H
#define DUNLIN_SIMULATOR_LOAD_LORE_H

#include "simulator/load/spare.h"
#include "sync/assignment.h"
#include "sync/desired.h"
#include "sync/trust.h"

/* Versions of trust documents, and label sets, in one run. */
#define LORE_TRUSTS_MAX 8
#define LORE_PLACES_MAX 512
/* Documents known at a time: cohorts, each with the versions of a rollout. One that nobody holds is
 * still known, as others may be behind: the one that was asked for longest ago makes room. */
#define LORE_DOCUMENTS_MAX 1024

struct lore_trust {
    struct digest name; /* of the pin or the version before, and the envelopes that lead there */
    bool good;          /* its signatures hold */
    struct trust trust;
};

struct lore_document {
    struct digest name; /* of the envelope; zero: this place is free */
    uint32_t holders;
    uint64_t asked; /* the newest question that it answered */
    struct key_id signer;
    uint32_t spare_count;
    struct held *spares; /* what a device has of it that needs nothing done */
    struct desired document;
};

/* The labels of an assignment and what follows from them; the rest is each agent's own. */
struct lore_place {
    struct assignment assignment;
};

struct lore {
    struct lore_trust *trusts[LORE_TRUSTS_MAX];
    struct lore_place *places[LORE_PLACES_MAX];
    struct lore_document *documents[LORE_DOCUMENTS_MAX];
    uint64_t questions;  /* for documents */
    uint64_t checked;    /* signatures that were really checked here */
    uint64_t remembered; /* such that another device of this process had checked */
    uint64_t checked_us;
};

void lore_free(struct lore *l);

/* trust_walk; NULL: it doesn't hold, or there are too many. */
const struct lore_trust *lore_walk(struct lore *l, const struct root_pin *pin,
                                   const struct span *envelopes, size_t count);
/* trust_follows; NULL: it doesn't follow. */
const struct lore_trust *lore_follow(struct lore *l, const struct lore_trust *t,
                                     struct span envelope);
/* Opens a desired document and holds it until lore_release. NULL: its signature doesn't hold. */
struct lore_document *lore_document(struct lore *l, const struct lore_trust *t,
                                    struct span envelope);
void lore_release(struct lore_document *d);
/*
 * Opens an assignment, which is one agent's own: nobody else could have checked it. `really` says
 * whether it is, or only read. NULL: it doesn't hold.
 */
struct lore_place *lore_assignment(struct lore *l, const struct lore_trust *t, struct span envelope,
                                   bool really, struct assignment *a);

#endif
