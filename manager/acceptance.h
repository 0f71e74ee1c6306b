/*
 * acceptance: the answer to a join that was accepted, from what it says to its sealed bytes. Two
 * signatures take a millisecond, so any thread may make it: it holds all that this takes. It knows
 * nothing of the fleet.
 */
#ifndef DUNLIN_MANAGER_ACCEPTANCE_H
#define DUNLIN_MANAGER_ACCEPTANCE_H

#include "manager/keyring.h"
#include "sync/join.h"

struct acceptance {
    struct join_id id; /* of the request, and what it was sealed with */
    struct seal_secret secret;
    struct joined joined;           /* but for what is signed below */
    struct assignment assignment;   /* to be signed by … */
    struct secret_key online;       /* … this */
    struct certificate certificate; /* to be issued by … */
    struct secret_key authority;    /* … this, … */
    struct certificate_name issuer; /* … which is called so */
    int rv;                         /* after acceptance_write: 0, or why there is none */
    size_t len;                     /* what it wrote */
    uint8_t *bytes;
    size_t kept_len; /* the trust documents, which `joined` borrows */
    uint8_t kept[];
};

/* With copies of the keys and of these trust documents; the caller fills in id, secret, joined,
 * assignment and certificate. NULL when there is no memory. */
struct acceptance *acceptance_new(const struct keyring *k, const struct span *trust,
                                  uint32_t trust_count);
/* Erases and frees it. */
void acceptance_free(struct acceptance *a);
/* Signs, seals and writes: work for a bench, whose job is the acceptance. */
void acceptance_write(void *job);

#endif
