/*
 * selector: the Kubernetes label-selector syntax ("env=prod,region in (eu,us),!lab"), parsed and
 * matched. It knows nothing of agents; it is matched against label sets.
 */
#ifndef DUNLIN_MANAGER_CORE_SELECTOR_H
#define DUNLIN_MANAGER_CORE_SELECTOR_H

#include "base/labels.h"

#define SELECTOR_TEXT_MAX 512
/* Terms joined by commas, and values in one "in (…)". */
#define SELECTOR_TERMS_MAX 16
#define SELECTOR_VALUES_MAX 16

enum selector_operator {
    SELECTOR_EXISTS,     /* key */
    SELECTOR_NOT_EXISTS, /* !key */
    SELECTOR_IN,         /* key in (a,b), key=a, key==a */
    SELECTOR_NOT_IN,     /* key notin (a,b), key!=a: also true when the key is missing */
};

struct selector_term {
    enum selector_operator operator;
    struct span key;
    uint32_t count;
    struct span values[SELECTOR_VALUES_MAX];
};

/* All terms must hold; no terms match everything. Spans borrow the parsed text. */
struct selector {
    uint32_t count;
    struct selector_term terms[SELECTOR_TERMS_MAX];
};

/* ERR_FORMAT or ERR_RANGE with a sentence that says at which character and what was expected. */
int selector_parse(struct selector *s, struct span text, struct errmsg *em);

bool selector_matches(const struct selector *s, const struct labels *labels);

#endif
