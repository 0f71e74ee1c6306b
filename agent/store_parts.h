/*
 * store_parts: what the store's files share: how values are kept, and what loading does for a
 * change. Nobody else includes it.
 */
#ifndef DUNLIN_AGENT_STORE_PARTS_H
#define DUNLIN_AGENT_STORE_PARTS_H

#include "agent/store.h"
#include "base/query.h"

/* The keys of the table meta. The numbers are on disks; rows are loaded in this order. */
enum meta {
    META_SECRET = 1,
    META_NUMBER = 2,
    META_TRUST = 3, /* before what is signed by those whom it names */
    META_MAC = 4,
    META_FACTS = 5,
    META_POLICY = 6,
    META_CELLS = 7,
    META_TOKEN = 8,
    META_SEQ = 9,
    META_ASSIGNMENT = 10,
    META_DOCUMENT = 11,
    META_DOOR = 13,
    META_CERTIFICATE = 14,
    META_SHUT_OUT = 15,
    META_SEALED_TO = 16,
    META_ATLAS = 17, /* after the cells that the join told, and replaces them as the first */
};

#define POLICY_LEN 16
/* The deployments that one depends on. */
#define AFTER_LEN_MAX (4 * (size_t)DEPENDENCIES_MAX)
/* In front of an envelope: the digest of what follows, and who signed it. */
#define SIGNED_HEAD_LEN (DIGEST_LEN + KEY_ID_LEN)
/* A number and a time: they are kept together, so that the time costs no write of its own. */
#define SEQ_LEN 12
/* In front of an atlas' cells: the digest of what follows, who signed it, and its number. */
#define ATLAS_HEAD_LEN (SIGNED_HEAD_LEN + 4)
#define ATLAS_LEN_MAX (ATLAS_HEAD_LEN + STORE_ATLAS_CELLS * (CELL_URL_MAX + 1))

/* ---- store.c ---- */

/* Says what went wrong with which file, and gives `rv`. */
int store_fail(struct store *s, int rv, const char *what, struct errmsg *em);

/* ---- store_load.c ---- */

/* All of it anew. */
int store_load(struct store *s, struct errmsg *em);
/* What the core sees, after a change. */
void store_refresh(struct store *s);

/* A value of the table meta, as it is kept: ERR_DAMAGED when it isn't well-formed. */
int identity_take_secret(struct identity *id, struct span value);
int identity_take_cells(struct identity *id, struct span value);
int identity_take_atlas(struct identity *id, struct span value);
int identity_take_certificate(struct identity *id, struct span value);

#endif
