/*
 * kicker: ends the sessions of blocked agents on one broker, by taking each over for a moment.
 * It knows nothing of why they are blocked.
 *
 * That they don't come back is the business of the lists that the broker reads. A broker of ours
 * reads them within a tenth of a second, in which an agent may slip in once more: so each is kicked
 * twice. When others' brokers read them nobody tells us, so we look: under the serial of a revoked
 * certificate we are let in as long as the agent is, too, and have kicked it thereby; once we are
 * refused, one last session under another serial ends what may have slipped in before.
 */
#ifndef DUNLIN_MANAGER_KICKER_H
#define DUNLIN_MANAGER_KICKER_H

#include "manager/pass.h"

/* After a try that failed; the broker may be starting. */
#define KICKER_RETRY_MS 1000
/* From the first kick to the second, on a broker of ours. */
#define KICKER_AGAIN_MS 1000
/* From a kick to the next while others' broker lets the agent in; and from one agent to another, a
 * greeting of TLS for each. */
#define KICKER_LOOK_MS 10000
#define KICKER_PACE_MS 20

struct kicker_options {
    const char *url;
    /* Others' brokers only, over TLS: the manager's own pass, whose time is kept, and the keys to
     * make others. Both must outlive the kicker. */
    const struct pass *pass;
    const struct keyring *keys;
    /* Who isn't blocked any more when its turn comes is left in peace. */
    void *context;
    bool (*blocked)(void *context, const struct key_id *agent);
};

struct kicker;

/* NULL when there is no memory. */
struct kicker *kicker_new(const struct kicker_options *options);
void kicker_free(struct kicker *k);

/* Puts one more into the line, which has room for every agent there is. ERR_NO_MEMORY. */
int kicker_add(struct kicker *k, const struct blocked_agent *agent);
/* How many are in line, for the first time or for another. */
size_t kicker_count(const struct kicker *k);
/* The broker can't be reached: nobody is tried until it can. */
void kicker_hold(struct kicker *k, bool hold);

/* For the poll loop, as in sync/mqtt.h. */
void kicker_watch(const struct kicker *k, struct pollfd fds[static MQTT_FDS]);
void kicker_service(struct kicker *k, const struct pollfd *fds, uint64_t now_ms);
/* When kicker_service must be called at the latest; UINT64_MAX while nobody is in line. */
uint64_t kicker_deadline_ms(const struct kicker *k);

#endif
