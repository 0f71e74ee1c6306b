/*
 * door: where devices without a certificate ask to be let into the fleet: a broker of its own,
 * which keeps nothing, the porter in front of it, and the manager's connection behind it. It knows
 * nothing of what is asked and answered.
 */
#ifndef DUNLIN_MANAGER_DOOR_H
#define DUNLIN_MANAGER_DOOR_H

#include "manager/daemon.h"
#include "manager/keyring.h"
#include "manager/porter.h"
#include "sync/mqtt.h"

/* Its connection's, its process, and the porter. */
#define DOOR_FDS (MQTT_FDS + 2)
/* Answers under way; beyond it they are dropped, and the devices ask again. */
#define DOOR_SENDS_MAX 4096
/* Between two tries to connect. */
#define DOOR_RETRY_MS 100
/*
 * Of its broker's heap: anybody may subscribe to anything there, and have it kept, and Mosquitto
 * takes 70 bytes for one of a topic with many levels. From so much of the machine's memory on it is
 * started anew, which is looked at so often: it keeps nothing that anybody would miss. Devices that
 * join need a tenth of that.
 */
#define DOOR_MEMORY_MAX (UINT64_C(256) << 20)
#define DOOR_MEMORY_FULL (UINT64_C(192) << 20)
#define DOOR_LOOK_MS 1000

struct door_options {
    const char *dir;
    const struct daemon_options *daemon; /* must outlive the door, as the keys must */
    const struct keyring *keys;
    uint64_t now_s;
};

struct door_handler {
    void *context;
    /* A device's message on dl1/join/+. When what it leads to can't be kept, it is forgotten: the
     * device asks again. */
    void (*message)(void *context, const char *topic, struct span payload);
};

struct door;

/* Listens on the join port, which is kept in the ledger, whose transaction is left open; adopts or
 * starts the broker in DIR/door. NULL with a sentence. */
struct door *door_open(const struct door_options *options, struct ledger *ledger,
                       const struct door_handler *handler, struct errmsg *em);
/* Stops listening, and its broker. */
void door_close(struct door *d);

/* What `dunlin-agent join` takes: HOST:PORT, in plain mode mqtt://HOST:PORT. */
const char *door_url(const struct door *d);
struct porter_counters door_counters(const struct door *d);

/* Fills in DOOR_FDS. */
void door_watch(const struct door *d, struct pollfd *fds);
/* After poll, with the same descriptors; `all`: also those that showed nothing. */
void door_service(struct door *d, const struct pollfd *fds, bool all, uint64_t now_ms);
uint64_t door_deadline_ms(const struct door *d);

/* One message to a device, QoS 1. Dropped without a link. */
void door_send(struct door *d, const char *topic, struct span payload);
/* Makes its certificate anew when it is time. Cheap when it isn't. */
void door_renew(struct door *d, uint64_t now_s);

#endif
