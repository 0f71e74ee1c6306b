/*
 * audit: one entry of the audit log: who did what to which thing, in words, and the digest that
 * binds it to every entry before it. It knows nothing of where entries are kept, nor who reads
 * them.
 */
#ifndef DUNLIN_MANAGER_CORE_AUDIT_H
#define DUNLIN_MANAGER_CORE_AUDIT_H

#include "manager/core/manager.h"

/* "local:" and a user's name and number, or "admin:" and a name. */
#define AUDIT_ACTOR_MAX 96
#define AUDIT_ACTION_MAX 32
/* "deployment " and a name; two agents. */
#define AUDIT_OBJECT_MAX 144
/* A selector or a set of labels is cut when it is longer: the fleet's own rows have all of it. */
#define AUDIT_DETAIL_MAX 400

/* Texts are printable ASCII, whatever they were made from. */
struct audit_entry {
    uint64_t number; /* from 1, without gaps */
    uint64_t time_s; /* by the manager's clock, which may have been set back */
    char actor[AUDIT_ACTOR_MAX];
    char action[AUDIT_ACTION_MAX];
    char object[AUDIT_OBJECT_MAX];
    char detail[AUDIT_DETAIL_MAX];
    struct digest chain;
};

/* New devices that one batch of tokens let in within a second. */
struct audit_joins {
    uint32_t batch; /* index */
    uint32_t count;
    uint32_t first, last; /* numbers; between them may be others' */
    struct key_id id;     /* of the first */
    bool waiting;         /* they have only asked */
};

/*
 * SHA-256 over the chain of the entry before (zeros for the first), number and time as 8 bytes
 * little-endian, and the four texts, each after its length in 4 bytes.
 */
struct digest audit_chain(const struct digest *before, const struct audit_entry *e);

/* Sets one of the texts, cut to its room, with '?' for what isn't printable ASCII. */
void audit_text(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Action, object and detail of a command that was just done, and of what the core raised or let in.
 * The actor of a command is the caller's to say. */
void audit_command(struct audit_entry *e, const struct manager *m, const struct command *c,
                   const struct manager_out *out);
void audit_alarm(struct audit_entry *e, const struct manager *m, const struct alarm *alarm);
void audit_join(struct audit_entry *e, const struct audit_joins *joins);

#endif
