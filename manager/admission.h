/*
 * admission: whom the cells keep out, in the two forms that Mosquitto reads: the list of revoked
 * certificates, which refuses new connections, and the access list, which leaves those that are
 * there no rights. It knows nothing of why.
 */
#ifndef DUNLIN_MANAGER_ADMISSION_H
#define DUNLIN_MANAGER_ADMISSION_H

#include "manager/broker.h"
#include "manager/certificates.h"

struct admission;

/* For brokers of that kind. Nobody is kept out, and nothing composed. NULL when there is no memory.
 */
struct admission *admission_new(enum broker_kind kind);
void admission_free(struct admission *a);

/* Composes both for this list, which is copied. On error all stays as it was. */
int admission_set(struct admission *a, const struct keyring *k, const struct blocked_agent *blocked,
                  size_t count, uint64_t now_s, struct errmsg *em);
/* Composes both for the same list, as of now. */
int admission_renew(struct admission *a, const struct keyring *k, uint64_t now_s,
                    struct errmsg *em);
/* As it stands in the list; NULL: it is let in. */
const struct blocked_agent *admission_find(const struct admission *a, const struct key_id *agent);

/* Writes what was composed into a cell's folder. 1: something is new there, 0, or a code. */
int admission_file(const struct admission *a, const char *folder, struct errmsg *em);

#endif
