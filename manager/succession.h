/*
 * succession: one certificate authority follows another: what the elder leaves behind, and for how
 * long that counts. It knows nothing of trust documents and of brokers.
 */
#ifndef DUNLIN_MANAGER_SUCCESSION_H
#define DUNLIN_MANAGER_SUCCESSION_H

#include "manager/certificates.h"

/*
 * The heir takes the authority's place; the authority, which becomes the newest elder, certifies it
 * before. The oldest elder beyond ELDERS_MAX is forgotten. The elder's secret stays as long as
 * certificates by it count, since revoking one needs its signature; after a theft none count any
 * more, and no elder's secret stays. ERR_CRYPTO.
 */
int succession_take(struct fleet_keys *keys, uint64_t now_s);

/* When the last certificate that an elder gave to an agent has run out. */
uint64_t succession_end_s(const struct elder *e);

/* The first elder whose time is over, though its secret is still here; NULL: none. */
const struct elder *succession_due(const struct keyring *k, uint64_t now_s);
/* That one's secret goes. */
void succession_close(struct fleet_keys *keys, const struct key_id *elder);

#endif
