/*
 * reception: opens what devices send and closes what they are answered: seals, MACs and limits are
 * checked here, so that the core sees only values. It decides nothing about them.
 */
#ifndef DUNLIN_MANAGER_RECEPTION_H
#define DUNLIN_MANAGER_RECEPTION_H

#include "manager/keyring.h"
#include "sync/note.h"
#include "sync/renewal.h"
#include "sync/telling.h"

/* One request to join, from its arrival to its answer. */
struct visit {
    struct join_id id;
    struct seal_secret secret; /* the answer's */
    bool sealed;               /* its token's secret is known, and opened the request */
    enum joined_code hint;     /* what to answer otherwise */
    struct join join;
};

/*
 * Opens a request. 1: `ev` is a MANAGER_JOIN, whose spans borrow from `v`. 0: no such token, or not
 * its secret; answer the visit's hint. Negative: no request at all, to be dropped. Counts in `m`.
 */
int reception_join(const struct keyring *k, struct manager *m, const struct join_id *id,
                   struct span payload, struct visit *v, struct manager_event *ev);

/* [join-7] The request names the key of an agent that there is, or may be where the manager was put
 * back from a backup. Nobody gains anything by a key that is of no agent, so all others cost no
 * signature. */
bool reception_wants_proof(const struct manager *m, const struct manager_event *ev);
/* False, and counted in `m`, for one that wants proof, and whose sender doesn't have that key. */
bool reception_is_owner(struct manager *m, const struct visit *v, const struct manager_event *ev);

/* 1: `ev` is a MANAGER_REPORT that borrows `r`. Negative: dropped, and counted in `m`. */
int reception_report(const struct keyring *k, struct manager *m, const struct key_id *topic,
                     struct span payload, struct report *r, struct manager_event *ev);

/* 1: `n` is by that agent, which is of the fleet, about a generation that it may know. It borrows
 * from the payload. Negative: dropped, and counted in `m`. */
int reception_telling(const struct keyring *k, struct manager *m, const struct key_id *topic,
                      struct span payload, struct telling *t);
int reception_note(const struct keyring *k, struct manager *m, const struct key_id *topic,
                   struct span payload, struct note *n);

/* 1: `r` asks for its next certificate, and its MAC holds. Negative: dropped, and counted in `m`.
 */
int reception_renewal(const struct keyring *k, struct manager *m, struct span payload,
                      struct renewal *r);

/* Appends the answer; it is sealed when the visitor proved to know the token's secret. */
int reception_answer(const struct visit *v, const struct joined *answer, struct buffer *out);

#endif
