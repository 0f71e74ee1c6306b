/*
 * key_change: the next version of the fleet's trust document on its way: made from the manager's,
 * changed, signed with the root keys that are at hand, and then submitted or written as a draft.
 */
#ifndef DUNLIN_MANAGER_CLI_KEY_CHANGE_H
#define DUNLIN_MANAGER_CLI_KEY_CHANGE_H

#include "manager/cli/fleet_trust.h"
#include "sync/trust.h"

struct key_change {
    struct cli *cli;
    struct trust now, next;
    struct fleet_signers by; /* of `now` */
    bool vouched;            /* one of them signs `next` as well */
    uint8_t body[TRUST_MAX];
    struct envelope envelope;
};

/* Flags of every verb that changes trust: --root FILE ..., --output DRAFT. */
#define KEY_CHANGE_FLAGS                                                                           \
    {.name = "root",                                                                               \
     .value = "FILE",                                                                              \
     .kind = FLAG_TEXTS,                                                                           \
     .help =                                                                                       \
         "sign with this root key; may be repeated (default DIR/root.key, while it is there)"},    \
    {                                                                                              \
        .name = "output", .value = "DRAFT", .kind = FLAG_TEXT,                                     \
        .help = "write a draft for others to sign, and submit nothing"                             \
    }

/* Gets the newest document; `next` is the same, one version on. */
int key_change_begin(struct key_change *c, struct cli *cli);
/* Has it signed as the flags say; then submits it, or writes the draft. Says what it did. */
int key_change_end(struct key_change *c);
/* The same with one root key, submitted, without looking at flags or saying anything. */
int key_change_sign(struct key_change *c, const struct secret_key *root);
int key_change_submit(struct key_change *c);

/* "publisher", "root" or "online". ERR_USAGE. */
int key_role_parse(const char *text, enum trust_role *role, struct errmsg *em);

#endif
