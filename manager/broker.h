/*
 * broker: one Mosquitto of our own, started, watched, restarted, and found again by the next
 * manager when this one dies. It knows nothing of what is published on it, nor of what is in the
 * files that its folder must hold.
 */
#ifndef DUNLIN_MANAGER_BROKER_H
#define DUNLIN_MANAGER_BROKER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Room for a host's name or address. */
#define BROKER_HOST_MAX 255
/* Waits between a death and the next start; they double, and begin anew after a long life. */
#define BROKER_RETRY_MS_MIN 250
#define BROKER_RETRY_MS_MAX 10000
/* A start is waited for this long: reading a large persisted store takes a while. It then goes on
 * by itself. */
#define BROKER_READY_MS 5000
/* From the request to end until the kill: it writes its store in between. */
#define BROKER_STOP_MS 10000

/* Sockets in its folder: for the manager, who may do everything; and a door's for the public. */
#define BROKER_SOCKET "sock"
#define BROKER_GATE_SOCKET "public"

enum broker_kind {
    BROKER_CELL,    /* for agents: on a port, with their certificates; it remembers over restarts */
    BROKER_DOOR,    /* for devices that want to join: on a socket, behind the porter */
    BROKER_FOREIGN, /* a cell that somebody else runs: the manager comes as agents do */
};

struct broker_options {
    const char *dir; /* its own folder; made when missing */
    enum broker_kind kind;
    bool plain;       /* no TLS, and a cell's port without identities: for loopback only */
    const char *host; /* to listen on, an address or a name; a door has none; NULL: everywhere */
    int port;
    uint64_t memory_max; /* of its heap; OpenSSL's, 23 KB a link, comes on top; 0: any */
    /* A port that others have is no error, but waited for like the end of the wait after a death.
     * So a cell that devices know comes back when its killed Mosquitto, which gives the lock back
     * a little before the port, is gone for good. */
    bool patient;
};

struct broker;

/*
 * Brings it up: adopts the Mosquitto that already runs in this folder when it was started
 * with these options, stops it when it was started with others, and else starts one. Waits until
 * it listens, at most BROKER_READY_MS. NULL with a sentence when Mosquitto isn't installed, the
 * port is taken (unless it is patient), or it ends at once. Unless it is plain, the files that
 * broker_config.h names must be in the folder.
 */
struct broker *broker_start(const struct broker_options *options, struct errmsg *em);

/* Readable when the Mosquitto has ended; -1 while there is none. Changes with each start. */
int broker_descriptor(const struct broker *b);

/* Notices a death, and starts anew when it is time. Call it when the descriptor is readable and at
 * the deadline. */
void broker_service(struct broker *b, uint64_t now_ms);

/* When broker_service must be called at the latest; UINT64_MAX while all is well. */
uint64_t broker_deadline_ms(const struct broker *b);

/* 0 while none runs. */
pid_t broker_pid(const struct broker *b);
bool broker_running(const struct broker *b);

/* Bytes that it has of the machine's memory now; 0 while none runs. */
uint64_t broker_memory(const struct broker *b);

/* It ran before this manager, and may not have read what its folder holds by now. */
bool broker_adopted(const struct broker *b);

/* Makes the Mosquitto read its folder's files anew: certificates, revoked ones, access list.
 * Connections stay; what the certificates decided before is not resumed. A connection that is made
 * after this call meets the new rules. */
void broker_reload(const struct broker *b);

/* The same, and ends all connections: the Mosquitto saves and ends, and the next one starts as soon
 * as it is gone. Doesn't wait; what the files in its folder say after the call is what the next one
 * reads. */
void broker_renew(struct broker *b, uint64_t now_ms);

/* Asks the Mosquitto to save and end, waits up to BROKER_STOP_MS, then kills it. */
void broker_stop(struct broker *b);

/* The same for the Mosquitto that may run in this folder, whatever its options. */
void broker_stop_in(const char *dir);

/* Lets go of the Mosquitto, which runs on, and frees `b`. */
void broker_free(struct broker *b);

/* The first port from `first` on that nobody listens on at `host`; with 0 the system chooses.
 * Negative when there is none. */
int broker_free_port(const char *host, int first);
/* Says why there was none, right after that. */
int broker_no_port(const char *host, struct errmsg *em);

#endif
