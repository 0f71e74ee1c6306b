/*
 * broker_config: what a Mosquitto is told in its files, ours or one that somebody else runs for us:
 * its configuration, and who may say and hear what. Pure text; it knows nothing of processes and
 * folders.
 */
#ifndef DUNLIN_MANAGER_BROKER_CONFIG_H
#define DUNLIN_MANAGER_BROKER_CONFIG_H

#include "base/span.h"
#include "crypto/sign.h"
#include "manager/broker.h"

/* In the broker's folder: what it is started with, and the files that this names. */
#define BROKER_CONFIG_FILE "mosquitto.conf"
#define BROKER_CA_FILE "ca.pem"
#define BROKER_CERTIFICATE_FILE "cert.pem"
#define BROKER_KEY_FILE "key.pem"
#define BROKER_CRL_FILE "crl.pem"
#define BROKER_ACL_FILE "acl"

#define BROKER_CONFIG_MAX 4096
/*
 * Agents that the access list names. What blocks an agent for good is the list of revoked
 * certificates; this one ends what its open connections may do, and reading it takes Mosquitto time
 * that grows with the square.
 */
#define BROKER_BLOCKED_MAX 4096
#define BROKER_ACL_MAX (1024 + 64 * BROKER_BLOCKED_MAX)

/* Appends mosquitto.conf. `user` is whom Mosquitto works as when it is started by root.
 * ERR_NO_MEMORY when it doesn't fit. */
int broker_config_write(const struct broker_options *options, const char *user, struct buffer *out);

/* Appends the access list. Of more than BROKER_BLOCKED_MAX blocked agents it names the last. */
int broker_config_acl(enum broker_kind kind, const struct key_id *blocked, size_t count,
                      struct buffer *out);

#endif
