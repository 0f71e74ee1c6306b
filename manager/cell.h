/*
 * cell: the manager's connection to one broker, and the feed that makes the broker retain exactly
 * what the publication log says. It knows nothing of what publications mean.
 *
 * The feed follows two lanes of the log, so that small control messages never wait behind content.
 * In each, when everything up to a serial is acknowledged, that serial is retained as a mark. A new
 * connection first reads the marks: what lies behind them is published again. So a broker that lost
 * its memory gets what it lacks, and a restart of the manager costs nothing. A mark whose MAC does
 * not hold, or that is beyond the log's end, is no mark: with it anybody could make the manager
 * skip publications for good.
 */
#ifndef DUNLIN_MANAGER_CELL_H
#define DUNLIN_MANAGER_CELL_H

#include "base/err.h"
#include "crypto/mac.h"
#include "sync/mqtt.h"

/* Publications that a lane has under way; of content, each up to CHUNK_MAX bytes, fewer. */
#define CELL_CONTROL_WINDOW 64
#define CELL_BULK_WINDOW 16
/* Answers under way to devices; beyond it they are dropped, and the devices ask again. */
#define CELL_SENDS_MAX 4096
/* Between two tries to connect; doubles from the first to the second. */
#define CELL_RETRY_MS_MIN 20
#define CELL_RETRY_MS_MAX 5000
/* A broker that doesn't echo the probe by then is asked again; doubles from the first to the
 * second, for one whose answers take longer than that would otherwise be asked for ever. */
#define CELL_PROBE_MS_MIN 3000
#define CELL_PROBE_MS_MAX 192000

enum cell_lane { CELL_CONTROL, CELL_BULK, CELL_LANES };

struct cell_publication {
    uint64_t serial;
    const char *topic;   /* NULL: nothing to publish under this serial */
    struct span payload; /* empty: erase */
};

struct cell_handler {
    void *context;
    /* A message on dl1/up/+. It is acknowledged by the cell_service after this one:
     * what the caller commits in between is durable first. */
    void (*message)(void *context, const char *topic, struct span payload);
    /* The first publication of the lane behind serial `after`, borrowed until the next call. Up to
     * serial `behind` the broker has what it was to have in the stage before: only the difference
     * is wanted. 1, 0 at the end, or a negative code. */
    int (*next)(void *context, enum cell_lane lane, uint64_t after, uint64_t behind,
                struct cell_publication *out);
};

struct cell;

/* Connects with the first cell_service. NULL when there is no memory. `url` and `marks`, the key
 * that proves marks to be ours, are copied; `tls`, which only "mqtts://" needs, is not. */
struct cell *cell_new(const char *url, const struct mac_key *marks, const struct mqtt_tls *tls,
                      const struct cell_handler *handler);
void cell_free(struct cell *c);

/* What of control this broker is to retain changes in stages; `differs` says that it is not the
 * same as in the stage before. A mark of that one leads to the difference, older ones to nothing.
 */
void cell_set_stage(struct cell *c, uint64_t stage, bool differs);

/* For the poll loop, as in sync/mqtt.h. */
void cell_watch(const struct cell *c, struct pollfd fds[static MQTT_FDS]);
void cell_service(struct cell *c, const struct pollfd *fds, uint64_t now_ms);
/* The broker has just been started: what agents tell it before we have subscribed is lost. */
void cell_hurry(struct cell *c);
/* When the next try to connect is due; UINT64_MAX while there is a connection. */
uint64_t cell_deadline_ms(const struct cell *c);

/* Publishes what the log holds, as far as the windows allow; `news` says that it has grown, or may
 * have. Call it after each cell_service, never from inside a handler, and only while everything in
 * the log is committed. True: it has stopped for the caller's sake, and goes on when it is called
 * again. */
bool cell_feed(struct cell *c, bool news);
/* One message, QoS 1, not retained. Dropped without a link. */
void cell_send(struct cell *c, const char *topic, struct span payload);
/* Cuts the link without acknowledging what `message` was given since the last cell_service: it
 * comes again. */
void cell_drop(struct cell *c, uint64_t now_ms);

bool cell_up(const struct cell *c);
/* Whether all that the broker had kept for us before this link was made has come: what comes now
 * was said while we listened. */
bool cell_abreast(const struct cell *c);
/* All that the log held when last looked at is acknowledged by the broker. */
bool cell_settled(const struct cell *c);

#endif
