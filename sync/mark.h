/*
 * mark: how far a manager's publications came on a broker, retained there for the manager itself.
 * It knows nothing of brokers: the key is bound to one, and to a lane of publications.
 */
#ifndef DUNLIN_SYNC_MARK_H
#define DUNLIN_SYNC_MARK_H

#include "base/span.h"
#include "crypto/mac.h"

/* No mark is longer. */
#define MARK_MAX 32

/* Appends the mark: everything up to `serial`, at most INT64_MAX, has been acknowledged. */
int mark_write(uint64_t serial, const struct mac_key *key, struct buffer *out);
/* ERR_FORMAT, or ERR_SIGNATURE when the MAC doesn't hold. */
int mark_read(struct span bytes, const struct mac_key *key, uint64_t *serial);

#endif
