/*
 * pass: what the manager shows to a broker that it doesn't run itself, so that it is let in: a
 * client certificate of a few days, in its own name or in a blocked agent's. It opens nothing.
 */
#ifndef DUNLIN_MANAGER_PASS_H
#define DUNLIN_MANAGER_PASS_H

#include "manager/certificates.h"
#include "sync/mqtt.h"

/* [broker-6]: the manager's name to such brokers. No agent has it: their names are ids. */
#define PASS_MANAGER "dunlin-manager"

/* Doesn't move once it is made: it points into itself. */
struct pass {
    struct mqtt_tls link;                      /* for mqtt.h */
    uint64_t version;                          /* certificates_version */
    struct key_id authorities[1 + ELDERS_MAX]; /* whose brokers are believed */
    struct secret_key key;
    uint8_t certificate[CERTIFICATE_MAX];
};

/* Made for links from `now_s` on and for a day. `folder`, of this user alone, is borrowed.
 * ERR_CRYPTO. */
int pass_make(struct pass *p, const struct keyring *k, const char *folder, uint64_t now_s);
/* [broker-7]: in the name of an agent. `listed`: under the serial of the certificate that this one
 * may hold, so that whoever knows that it is revoked refuses us, too; else under one that isn't
 * revoked. */
int pass_make_as(struct pass *p, const struct keyring *k, const struct blocked_agent *agent,
                 bool listed, const char *folder, uint64_t now_s);

/* The manager's own one, for a later time. Cheap unless a new one is due. On error it stays. */
int pass_renew(struct pass *p, const struct keyring *k, uint64_t now_s);

#endif
