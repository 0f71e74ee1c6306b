/*
 * variables: named values that bundles need, as records and assignments carry them: lists by rising
 * name, kept as the bytes of the message; where a name has another value in each of a record's
 * versions, it stands there twice. It knows nothing of who sets them, nor of what is done with
 * them.
 */
#ifndef DUNLIN_SYNC_VARIABLES_H
#define DUNLIN_SYNC_VARIABLES_H

#include "sync/limits.h"
#include "sync/wire.h"

/* What is in front of and behind a secret's cipher text: nonce and tag. */
#define VARIABLE_SEALED_MORE 28
/* In one list: what two versions of a bundle need. */
#define VARIABLES_MAX (2 * VARIABLES_NEEDED_MAX)

enum variable_use {
    VARIABLE_SECRET = 1,   /* the value is sealed (sync/secret.h) */
    VARIABLE_STABLE = 2,   /* the record's stable version needs it, … */
    VARIABLE_TEMPLATE = 4, /* … and one of its templates names it */
    VARIABLE_NEXT = 8,     /* the same of the next version: two bits further */
    VARIABLE_NEXT_TEMPLATE = 16,
};

struct variable {
    struct span name; /* borrowed from the list, as the value is */
    struct span value;
    uint32_t uses; /* enum variable_use */
    bool given;    /* false: it is the agent's own, or missing */
};

/* No variable's name: a list of this alone says that the document had no room for the values. */
#define VARIABLE_NO_ROOM "no_room_in_the_document"

/* A lower-case letter, then those, digits and '_'; at most VARIABLE_NAME_MAX. Hooks get it in upper
 * case. */
bool variable_name_valid(struct span name);
/* Clear values are any bytes that an environment can hold. */
bool variable_value_valid(struct span value);

/* Writes a list: its length, then as many of these, by rising name; of two with one name the one
 * that is of the stable version alone, then the one that is of the next alone. */
void variables_begin(struct wire_writer *w, uint32_t count);
void variables_put(struct wire_writer *w, const struct variable *v);
/* The list as an element of a message, borrowed; SPAN_NONE when it is empty. */
struct span variables_get(struct wire_reader *r, size_t max);
/* A list that was checked, as an element. */
void variables_copy(struct wire_writer *w, struct span list);

/* Steps through a list that was checked. */
struct variable_cursor {
    struct wire_reader r;
    uint32_t left;
};

struct variable_cursor variables_on(struct span list);
bool variables_next(struct variable_cursor *c, struct variable *out);
/* The first with this name; false when it isn't there, or has no value. */
bool variables_find(struct span list, struct span name, struct variable *out);

/*
 * What one version (VARIABLE_STABLE or VARIABLE_NEXT) of a record really gets: the agent's `own`
 * values come before the record's. False: `missing` (which may be NULL) has none.
 */
bool variables_whole(struct span list, enum variable_use version, struct span own,
                     struct variable *missing);
/* Names those values: another one when any of them changes; 0 when there are none. Secrets count by
 * their nonces, which follow from what they hide. */
uint64_t variables_digest(struct span list, enum variable_use version, struct span own);
/* The same values as a list, with VARIABLE_STABLE and VARIABLE_TEMPLATE saying what for. `own` says
 * for each whether it comes from there. ERR_NO_MEMORY when they don't fit. */
typedef int variable_change(void *context, struct variable *v, bool own);
int variables_resolve(struct span list, enum variable_use version, struct span own,
                      variable_change *change, void *context, struct buffer *out);

#endif
