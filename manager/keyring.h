/*
 * keyring: the fleet's secrets as they are used, all derived from the few that the ledger keeps.
 * It knows nothing of who asks.
 */
#ifndef DUNLIN_MANAGER_KEYRING_H
#define DUNLIN_MANAGER_KEYRING_H

#include "crypto/certificate.h"
#include "crypto/token.h"
#include "manager/ledger.h"

struct keyring {
    struct secret_key signing; /* the online key */
    struct public_key online;  /* its public half */
    struct secret_key authority;
    struct public_key authority_public; /* its public half */
    struct key_id authority_id;
    struct keyring_heir {
        bool drawn; /* and waits to be trusted */
        bool stolen;
        struct public_key key;
    } heirs[FLEET_KEY_COUNT];
    uint32_t elder_count;
    struct elder elders[ELDERS_MAX]; /* the newest first */
    struct mac_key master;
    struct mac_base master_base;
    struct mac_key tokens;
    struct mac_key cohorts; /* names cohorts */
};

/* Draws a new fleet's keys. ERR_CRYPTO. */
int keyring_draw(struct fleet_keys *fresh);
/* ERR_CRYPTO when the signing key is none. */
int keyring_init(struct keyring *k, const struct fleet_keys *keys);

/*
 * Draws the key that shall follow, in place of one that waits. 1 when one waits that will do: after
 * a theft, only one that was drawn after it. ERR_CRYPTO.
 */
int keyring_draw_heir(struct fleet_keys *keys, enum fleet_key which, bool stolen);
/* Whether certificates by this elder still let agents in. */
bool keyring_counts(const struct elder *e);

/* `batch` is the index of its row; in a token's text it counts from 1. The pin of the
 * roots is the caller's. */
struct token_batch keyring_batch(const struct keyring *k, uint32_t batch);
/* Appends the certificate, issued by the fleet's authority. The same again is the same bytes. */
int keyring_certificate(const struct keyring *k, const struct certificate *c, struct buffer *der);
/* The same by the oldest elder whose certificates still count, if there is one: for who comes to a
 * broker that may not have heard of a newer authority. */
int keyring_certificate_old(const struct keyring *k, const struct certificate *c,
                            struct buffer *der);
/* The secret of one token: what a request to join is sealed with. `serial` is NULL unless the batch
 * is bound. */
struct seal_secret keyring_secret(const struct keyring *k, uint32_t batch, uint32_t index,
                                  const char *serial);
/* What an agent's statuses are MACed with. */
struct mac_key keyring_status(const struct keyring *k, uint32_t number, const struct key_id *agent);
/* Names one life of a database, from its making or its restore to the next one. */
int64_t keyring_lineage(void);
/* What brokers' marks are MACed with: those of another lineage don't count. */
struct mac_key keyring_marks(const struct keyring *k, uint64_t lineage);

#endif
