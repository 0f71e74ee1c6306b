/*
 * template: a text in which ${name} stands for a variable, taken apart while it streams by.
 * It knows neither files nor values: what it finds it hands to the caller, in order.
 */
#ifndef DUNLIN_BUNDLES_TEMPLATE_H
#define DUNLIN_BUNDLES_TEMPLATE_H

#include "sync/variables.h"

/* A template is a file that people write. */
#define TEMPLATE_BYTES_MAX (256u * 1024)
/* What values may add to all templates of one bundle: it is not in what the manifest promises. */
#define TEMPLATE_GROWTH_MAX (4u * 1024 * 1024)

/* Where one stands between two pieces. All-zero is the beginning. */
struct template
{
    uint8_t dollars; /* of a run, not handed on yet: at most 2 */
    bool naming;     /* behind "${" */
    uint8_t len;     /* of the name so far */
    char name[VARIABLE_NAME_MAX + 1];
};

struct template_sink {
    void *context;
    /* As it is; a negative code ends it all. */
    int (*text)(void *context, struct span text, struct errmsg *em);
    /* The place of a value; the name is valid. */
    int (*variable)(void *context, const char *name, struct errmsg *em);
};

/* The next piece. "$${" is a plain "${". ERR_REFUSED for "${" without a name and "}" behind it. */
int template_add(struct template *t, struct span piece, const struct template_sink *sink,
                 struct errmsg *em);
/* The end: ERR_REFUSED inside a "${". */
int template_end(struct template *t, const struct template_sink *sink, struct errmsg *em);

#endif
