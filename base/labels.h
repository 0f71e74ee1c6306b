/*
 * labels: a sorted set of key=value pairs with the syntax of Kubernetes labels.
 * It knows nothing of cohorts; it only keeps label sets well-formed and in one canonical order.
 */
#ifndef DUNLIN_BASE_LABELS_H
#define DUNLIN_BASE_LABELS_H

#include "base/err.h"
#include "base/span.h"

/* Kubernetes: a name of at most 63 characters, optionally after a DNS prefix of at most 253 and a
 * slash. */
#define LABEL_KEY_MAX 317
#define LABEL_VALUE_MAX 63
/* An agent carries a handful; the limit keeps documents and cohort rows small. */
#define LABELS_MAX 32
/* The whole set as canonical text, "a=1,b=2". */
#define LABELS_TEXT_MAX 1024

/* The set is its canonical text: keys sorted, no key twice, "k=v" joined by commas. All-zero is the
 * empty set. */
struct labels {
    char text[LABELS_TEXT_MAX];
};

/* One pair inside a set: spans into its text. */
struct label {
    struct span key;
    struct span value;
};

bool label_key_valid(struct span key);
bool label_value_valid(struct span value);

/* Adds the pair or replaces the key's value. ERR_FORMAT for a bad key or value, ERR_RANGE when the
 * set is full. */
int labels_set(struct labels *l, struct span key, struct span value, struct errmsg *em);

/* Removes the key when it is there. */
void labels_unset(struct labels *l, struct span key);

/* Reads "k=v,k2=v2" in any order ("" is the empty set). `*l` is undefined on error. */
int labels_parse(struct labels *l, struct span text, struct errmsg *em);

/* Steps through the pairs in order: start with `*at` = 0; false at the end. */
bool labels_next(const struct labels *l, size_t *at, struct label *pair);

/* The key's value, or false. */
bool labels_get(const struct labels *l, struct span key, struct span *value);

size_t labels_count(const struct labels *l);

#endif
