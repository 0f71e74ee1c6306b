/*
 * suggest: the known word that somebody who mistyped a word probably meant.
 * It knows nothing of verbs and flags.
 */
#ifndef DUNLIN_MANAGER_CLI_SUGGEST_H
#define DUNLIN_MANAGER_CLI_SUGGEST_H

#include <stddef.h>

/* Longer words get no suggestion. */
#define SUGGEST_WORD_MAX 31

/* Takes candidates one by one and keeps the closest. All-zero but for `word` is a fresh one. */
struct suggest {
    const char *word;
    const char *best; /* NULL while nothing is close enough */
    size_t distance;  /* of `best` */
};

void suggest_offer(struct suggest *s, const char *candidate);

/* Letters to insert, drop, change or swap with their neighbour, to make `a` from `b`
 * (Damerau 1964, in its restricted form). SUGGEST_WORD_MAX + 1 when a word is too long. */
size_t suggest_distance(const char *a, const char *b);

#endif
