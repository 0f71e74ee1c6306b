/*
 * disk: what one simulated device keeps when its power goes: who it is, the rows of its database,
 * chunks, unpacked trees, and where `current` points. It can be full. It decides nothing.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_DISK_H
#define DUNLIN_SIMULATOR_WORLD_DISK_H

#include "agent/core/agent.h"
#include "crypto/certificate.h"
#include "sync/join.h"

#define DISK_DIGESTS_MAX 512
#define DISK_NAMES_MAX 160

/* A set of digests, in no order. */
struct digests {
    uint32_t count;
    struct digest list[DISK_DIGESTS_MAX];
};

bool digests_has(const struct digests *s, const struct digest *d);
void digests_add(struct digests *s, const struct digest *d);
void digests_remove_at(struct digests *s, uint32_t i);

/* The folder of a deployment: `current` names this bundle's tree. */
struct current {
    char name[NAME_MAX_LEN + 1];
    struct digest bundle;
};

struct disk {
    bool keyed;
    struct secret_key secret;
    struct public_key key;
    struct key_id id;

    uint32_t number; /* 0: not joined */
    struct mac_key mac;
    struct facts facts;

    struct trust trust;
    struct assignment assignment;
    struct desired document;
    struct key_id document_signer, assignment_signer;
    struct held held[HELD_MAX];
    uint32_t held_count;
    uint32_t seq_ceiling;
    uint64_t floor_s;
    uint64_t certificate_from_s; /* both 0: links are plain */
    uint64_t certificate_until_s;
    uint64_t shut_out_s;
    char certificate_issuer[CERTIFICATE_NAME_MAX + 1];
    struct agent_view view; /* of the above */

    struct digests chunks; /* manifests too */
    struct digests trees;  /* complete ones */
    struct current currents[DISK_NAMES_MAX];
    uint32_t current_count;
    struct digest proven; /* the agent that runs; zero: the packaged one … */
    struct digest trial;  /* … or, when it is not zero, this one */
    uint32_t starts_left; /* as often */

    uint64_t writes;    /* that were tried */
    uint64_t full_from; /* the disk is full from this write (1, 2, …; 0: never) … */
    uint64_t full_for;  /* … for so many writes */
    bool was_full;
};

/* The message of an event, to be kept when the core says so. */
struct incoming {
    const struct desired *document;
    const struct assignment *assignment;
    const struct trust *trust;
    struct key_id signer; /* of a document and an assignment */
    struct span certificate;
};

/* 0, or ERR_NO_SPACE: every change of the disk asks first. */
int disk_write(struct disk *d);

/* Makes all stores of a step durable, or none. */
int disk_store(struct disk *d, const struct agent_out *out, const struct incoming *in);

/* Every byte of another one. */
void disk_copy(struct disk *d, const struct disk *from);
/* What a join gave. */
void disk_join(struct disk *d, const struct joined *j, const struct assignment *assignment,
               const struct trust *trust);

/* Where `current` of a name points, or NULL. */
const struct digest *disk_current(const struct disk *d, const char *name);
/* Zero removes it. */
void disk_switch(struct disk *d, const char *name, const struct digest *bundle);
const struct held *disk_held(const struct disk *d, uint32_t deployment);

#endif
