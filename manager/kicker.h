/*
 * kicker: ends the sessions of agents on one broker of ours, by taking each over for a moment.
 * It knows nothing of why; that they don't come back is the broker's files' business.
 */
#ifndef DUNLIN_MANAGER_KICKER_H
#define DUNLIN_MANAGER_KICKER_H

#include "crypto/sign.h"
#include "sync/mqtt.h"

/* After a try that failed; the broker may be starting. */
#define KICKER_RETRY_MS 1000

struct kicker;

/* `url` is that of the broker's socket for the manager. NULL when there is no memory. The other
 * functions take NULL for a kicker that has nobody in line. */
struct kicker *kicker_new(const char *url);
void kicker_free(struct kicker *k);

/* Puts one more into the line, which has room for every agent there is. ERR_NO_MEMORY. */
int kicker_add(struct kicker *k, const struct key_id *agent);
/* How many are in line. */
size_t kicker_count(const struct kicker *k);

/* For the poll loop, as in sync/mqtt.h. */
void kicker_watch(const struct kicker *k, struct pollfd fds[static MQTT_FDS]);
void kicker_service(struct kicker *k, const struct pollfd *fds, uint64_t now_ms);
/* When kicker_service must be called at the latest; UINT64_MAX while nobody is in line. */
uint64_t kicker_deadline_ms(const struct kicker *k);

#endif
