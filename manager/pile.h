/*
 * pile: bodies of one type that wait for a signature which they share: what is added before it is
 * signed lies under one root. It keeps digests, not the bodies, and doesn't know who wants them.
 */
#ifndef DUNLIN_MANAGER_PILE_H
#define DUNLIN_MANAGER_PILE_H

#include "sync/envelope.h"

#define PILE_MAX MERKLE_LEAVES_MAX

/* All zero: an empty one. */
struct pile {
    struct merkle tree;
    struct endorsement by;
};

uint32_t pile_count(const struct pile *p);
/* Gives the body's place. There must be less than PILE_MAX. */
uint32_t pile_add(struct pile *p, struct span body);
/* With one signature for all of them: one at least. Then nothing may be added before pile_clear. */
int pile_sign(struct pile *p, enum message type, const struct secret_key *key,
              const struct public_key *public);
/* Appends the envelope of the body that was given this place. Any thread may, once it is signed. */
int pile_write(const struct pile *p, enum message type, uint32_t place, struct span body,
               struct buffer *out);
void pile_clear(struct pile *p);

#endif
