/*
 * acceptance: the answer to a join that was accepted, from what it says to its sealed bytes. Its
 * certificate takes a signature, so any thread may make it: it holds all that this takes. It knows
 * nothing of the fleet.
 */
#ifndef DUNLIN_MANAGER_ACCEPTANCE_H
#define DUNLIN_MANAGER_ACCEPTANCE_H

#include "manager/keyring.h"
#include "manager/pile.h"
#include "sync/join.h"

struct acceptance {
    struct join_id id; /* of the request, and what it was sealed with */
    struct seal_secret secret;
    struct joined joined;    /* but for what is signed */
    struct span assignment;  /* its body, which has this place in … */
    const struct pile *pile; /* … this, signed by then */
    uint32_t place;
    struct certificate certificate; /* to be issued by … */
    struct secret_key authority;    /* … this, … */
    struct certificate_name issuer; /* … which is called so */
    int rv;                         /* after acceptance_write: 0, or why there is none */
    size_t len;                     /* what it wrote */
    uint8_t *bytes;
    uint8_t kept[]; /* the trust documents, which `joined` borrows, and the assignment */
};

/* With copies of the keys, of these trust documents and of the assignment's body; the caller fills
 * in id, secret, joined, pile, place and certificate. NULL when there is no memory. */
struct acceptance *acceptance_new(const struct keyring *k, const struct span *trust,
                                  uint32_t trust_count, struct span assignment);
/* Erases and frees it. */
void acceptance_free(struct acceptance *a);
/* Signs, seals and writes: work for a bench, whose job is the acceptance. */
void acceptance_write(void *job);

#endif
