/*
 * trust_words: trust documents in words: what one says, what is different in the next one, and who
 * has signed. It decides nothing.
 */
#ifndef DUNLIN_MANAGER_CLI_TRUST_WORDS_H
#define DUNLIN_MANAGER_CLI_TRUST_WORDS_H

#include "sync/trust.h"

#include <stdio.h>

/* One line a key. */
void trust_words_whole(const struct trust *t, FILE *out);
/* One line for each difference. */
void trust_words_changes(const struct trust *from, const struct trust *to, FILE *out);

/* "root 89ab…", "2 of 3 roots": for sentences. */
struct trust_words {
    char text[160];
};

/* How many of a role's keys have signed, and how many must. */
struct trust_words trust_words_signed(const struct trust *t, enum trust_role role,
                                      enum message type, const struct envelope *e);

#endif
