/*
 * selector: the Kubernetes label-selector syntax ("env=prod,region in (eu,us),!lab,ring>1"),
 * several of them joined by "|", and others behind "except"; "@NAME" stands for a selector that was
 * saved. It knows nothing of agents; it is matched against label sets.
 */
#ifndef DUNLIN_MANAGER_CORE_SELECTOR_H
#define DUNLIN_MANAGER_CORE_SELECTOR_H

#include "base/labels.h"

#define SELECTOR_TEXT_MAX 512
/* Terms of all alternatives together, alternatives, and values of all terms: with each goes a
 * character at least, so the text has no more. */
#define SELECTOR_TERMS_MAX 32
#define SELECTOR_ALTERNATIVES_MAX 16
#define SELECTOR_VALUES_MAX SELECTOR_TEXT_MAX

enum selector_operator {
    SELECTOR_EXISTS,     /* key */
    SELECTOR_NOT_EXISTS, /* !key */
    SELECTOR_IN,         /* key in (a,b), key=a, key==a */
    SELECTOR_NOT_IN,     /* key notin (a,b), key!=a: also true when the key is missing */
    SELECTOR_MORE,       /* key>1: the label is a whole number, and larger */
    SELECTOR_LESS,       /* key<1 */
    SELECTOR_GROUP,      /* @key: where the saved selector of this name matches */
    SELECTOR_NOT_GROUP,  /* !@key */
};

/* What is saved: the text of a name, or NULL. */
struct selector_book {
    const void *context;
    const char *(*find)(const void *context, struct span name);
};

/* Saved selectors may name others, so deep. */
#define SELECTOR_DEPTH_MAX 8

struct selector_term {
    enum selector_operator operator;
    struct span key;
    uint32_t first; /* of the selector's values, */
    uint32_t count; /* so many */
    int64_t number; /* of SELECTOR_MORE and SELECTOR_LESS */
};

/* It matches where all terms of one of the choosing alternatives hold (without any: everywhere),
 * and all terms of none of the excluding ones. Spans borrow the parsed text. */
struct selector {
    uint32_t count; /* of terms; 0: it matches everything */
    uint32_t alternatives;
    uint32_t choosing;                        /* of the alternatives, the first */
    uint32_t ends[SELECTOR_ALTERNATIVES_MAX]; /* the term behind the last of each */
    struct selector_term terms[SELECTOR_TERMS_MAX];
    uint32_t value_count;
    struct span values[SELECTOR_VALUES_MAX];
    const struct selector_book *book; /* NULL: no name means anything, and it matches nowhere */
    uint32_t depth;
};

/* ERR_FORMAT or ERR_RANGE with a sentence that says at which character and what was expected. */
int selector_parse(struct selector *s, struct span text, struct errmsg *em);

bool selector_matches(const struct selector *s, const struct labels *labels);

/* Where one of the excluding alternatives does. */
bool selector_excludes(const struct selector *s, const struct labels *labels);

/* The names that it says, each once or more; false at the end. `*at` begins at 0. */
bool selector_next_group(const struct selector *s, uint32_t *at, struct span *name);

/* Why a selector doesn't match. */
struct selector_miss {
    uint32_t
        alternative; /* an excluding one that matches; else the choosing one that comes nearest */
    uint32_t term;   /* its first, or its first that doesn't hold */
};

/* False where it matches. */
bool selector_misses(const struct selector *s, const struct labels *labels,
                     struct selector_miss *out);

#endif
