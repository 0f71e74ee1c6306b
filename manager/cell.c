#include "manager/cell.h"

#include "base/log.h"
#include "crypto/random.h"
#include "manager/pass.h"
#include "sync/limits.h"
#include "sync/mark.h"
#include "sync/topic.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Long: a broker reads one packet of each connection a turn, and a turn in which it writes to each
 * of 20,000 devices, on a machine that has fifty such brokers, takes seconds. A process that dies
 * is noticed by its socket. */
#define KEEPALIVE_S 240
/* Comes back when everything retained that was asked for before it has come. */
#define TOPIC_PROBE "dl1/cell/probe"
#define PROBE_LEN 16
/* On our own inbox, with QoS 1: comes back when everything that had waited there has come. Nobody
 * else may write to it, and no agent has such an id. */
#define TOPIC_FENCE "dl1/up/fence"
#define NOTHING (-1)
/* Rows of a lane that one cell_feed looks at. Where an atlas changes, all of the log is gone
 * through, of which a broker is told little: the loop has others to serve meanwhile. */
#define LOOKS_MAX 128

static const unsigned WINDOWS[CELL_LANES] = {CELL_CONTROL_WINDOW, CELL_BULK_WINDOW};

enum phase {
    PHASE_DOWN,
    PHASE_ASKING,  /* subscribed, waiting for the broker's answer */
    PHASE_PROBING, /* the probe is out */
    PHASE_FEEDING,
};

/* What was logged last: each change once, however often it is tried. */
enum told { TOLD_NOTHING, TOLD_UP, TOLD_DOWN };

/* A publication that is not acknowledged, or waits for an older one that isn't. */
struct flight {
    uint64_t serial;
    int mid; /* NOTHING: acknowledged */
};

struct lane {
    uint64_t mark;   /* all up to this serial are acknowledged, and the broker retains the mark */
    bool outdated;   /* it is one of the stage before */
    uint64_t behind; /* up to this serial the broker has what it had in the stage before */
    uint64_t acked;  /* all up to this serial are acknowledged */
    uint64_t sent;   /* the newest serial that was published */
    int mark_mid;    /* a mark under way, or NOTHING */
    uint64_t mark_sent;
    bool at_end;     /* the log held nothing more */
    unsigned window; /* of the ring; at most CELL_CONTROL_WINDOW */
    unsigned first;
    unsigned count;
    struct flight flights[CELL_CONTROL_WINDOW];
};

struct cell {
    struct mqtt *mqtt;
    struct cell_handler handler;
    char url[CELL_URL_MAX + 1];
    struct mac_key marks;
    uint64_t stage;
    bool differs; /* from the stage before */
    enum phase phase;
    enum told told;
    char reason[ERRMSG_MAX]; /* of TOLD_DOWN */
    bool stirred;            /* something was acknowledged, a connection is new, or there is more */
    uint64_t now_ms;
    uint64_t retry_at_ms; /* 0: connecting or connected */
    uint64_t retry_ms;
    uint64_t probe_by_ms;
    uint64_t probe_ms;
    int marks_mid; /* of the subscription to marks and probe */
    uint8_t probe[PROBE_LEN];
    uint8_t fence[PROBE_LEN];
    bool abreast;
    unsigned sends;
    struct lane lanes[CELL_LANES];
};

static void on_up(void *context, bool session_present);
static void on_down(void *context, const char *reason);
static void on_message(void *context, const char *topic, struct span payload, bool retained);
static void on_published(void *context, int mid);
static void on_subscribed(void *context, int mid);
static void connect_now(struct cell *c);
static void wait_for_retry(struct cell *c);
static void put_fence(struct cell *c);
static void ask_for_marks(struct cell *c);
static void read_mark(struct cell *c, enum cell_lane lane, struct span payload);
static struct mac_key mark_key(const struct cell *c, enum cell_lane lane, uint64_t stage);
static bool log_reaches(const struct cell *c, enum cell_lane lane, uint64_t serial);
static void start_feeding(struct cell *c);
static bool feed_one(struct cell *c, enum cell_lane which);
static bool acknowledge(struct lane *lane, int mid);
static void retire(struct lane *lane);
static void put_mark(struct cell *c, enum cell_lane which);
static struct topic mark_topic(enum cell_lane lane);

/* ---- making and freeing ---- */

struct cell *cell_new(const char *url, const struct mac_key *marks, const struct mqtt_tls *tls,
                      const struct cell_handler *handler)
{
    struct cell *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    struct mqtt_options options = {
        .client_id = PASS_MANAGER, .persistent = true, .keepalive_s = KEEPALIVE_S, .tls = tls};
    struct mqtt_handler heard = {.context = c,
                                 .up = on_up,
                                 .down = on_down,
                                 .message = on_message,
                                 .published = on_published,
                                 .subscribed = on_subscribed};
    c->mqtt = mqtt_new(&options, &heard);
    if (!c->mqtt) {
        free(c);
        return NULL;
    }
    c->handler = *handler;
    c->retry_ms = CELL_RETRY_MS_MIN;
    c->retry_at_ms = 1;
    snprintf(c->url, sizeof c->url, "%s", url);
    c->marks = *marks;
    return c;
}

void cell_free(struct cell *c)
{
    if (!c)
        return;
    mqtt_free(c->mqtt);
    free(c);
}

/* The marks say how far the broker is. */
void cell_set_stage(struct cell *c, uint64_t stage, bool differs)
{
    c->stage = stage;
    c->differs = differs;
    if (c->phase != PHASE_DOWN)
        ask_for_marks(c);
}

bool cell_up(const struct cell *c)
{
    return c->phase != PHASE_DOWN;
}

bool cell_abreast(const struct cell *c)
{
    return c->abreast;
}

bool cell_settled(const struct cell *c)
{
    for (int i = 0; i < CELL_LANES; i++)
        if (!c->lanes[i].at_end || c->lanes[i].count > 0 || c->lanes[i].mark != c->lanes[i].acked)
            return false;
    return c->phase == PHASE_FEEDING;
}

/* ---- the poll loop ---- */

void cell_watch(const struct cell *c, struct pollfd fds[static MQTT_FDS])
{
    mqtt_watch(c->mqtt, fds);
}

uint64_t cell_deadline_ms(const struct cell *c)
{
    return c->retry_at_ms == 0 ? UINT64_MAX : c->retry_at_ms;
}

void cell_service(struct cell *c, const struct pollfd *fds, uint64_t now_ms)
{
    c->now_ms = now_ms;
    if (now_ms >= cell_deadline_ms(c))
        connect_now(c);
    mqtt_service(c->mqtt, fds);
    bool looking = c->phase == PHASE_ASKING || c->phase == PHASE_PROBING;
    if (looking && now_ms >= c->probe_by_ms)
        ask_for_marks(c);
}

static void connect_now(struct cell *c)
{
    struct errmsg em;
    c->retry_at_ms = 0;
    if (mqtt_connect(c->mqtt, c->url, &em) < 0)
        on_down(c, em.text);
}

static void on_up(void *context, bool session_present)
{
    struct cell *c = context;
    static const char *const inbox[] = {TOPIC_ALL_UP};
    (void)session_present;
    if (c->told != TOLD_UP)
        log_event(LOG_INFO, "cell-up", "url=%s", c->url);
    c->told = TOLD_UP;
    c->probe_ms = CELL_PROBE_MS_MIN;
    ask_for_marks(c);
    mqtt_subscribe(c->mqtt, inbox, sizeof inbox / sizeof inbox[0], 1);
    put_fence(c);
}

/* The broker takes it after the subscription. One of an older link is another one. */
static void put_fence(struct cell *c)
{
    random_bytes(c->fence, sizeof c->fence);
    c->abreast = false;
    mqtt_publish(c->mqtt, TOPIC_FENCE, span_of(c->fence, sizeof c->fence), 1, false);
}

static void on_down(void *context, const char *reason)
{
    struct cell *c = context;
    if (c->told != TOLD_DOWN || strcmp(c->reason, reason) != 0)
        log_event(LOG_WARN, "cell-down", "url=%s reason=\"%s\"", c->url, reason);
    c->told = TOLD_DOWN;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    wait_for_retry(c);
}

static uint64_t doubled(uint64_t ms, uint64_t max_ms)
{
    return ms * 2 > max_ms ? max_ms : ms * 2;
}

/* A connection that came as far as feeding starts the waits anew. */
static void wait_for_retry(struct cell *c)
{
    if (c->phase == PHASE_FEEDING)
        c->retry_ms = CELL_RETRY_MS_MIN;
    c->phase = PHASE_DOWN;
    c->abreast = false;
    c->sends = 0;
    c->retry_at_ms = c->now_ms + c->retry_ms;
    c->retry_ms = doubled(c->retry_ms, CELL_RETRY_MS_MAX);
}

void cell_hurry(struct cell *c)
{
    c->retry_ms = CELL_RETRY_MS_MIN;
    if (c->retry_at_ms > 0)
        c->retry_at_ms = 1;
}

void cell_drop(struct cell *c, uint64_t now_ms)
{
    if (c->phase == PHASE_DOWN)
        return;
    c->now_ms = now_ms;
    mqtt_drop(c->mqtt);
    wait_for_retry(c);
    c->retry_at_ms = now_ms + CELL_RETRY_MS_MAX; /* what failed will hardly work at once */
}

void cell_send(struct cell *c, const char *topic, struct span payload)
{
    if (c->phase == PHASE_DOWN || c->sends >= CELL_SENDS_MAX)
        return;
    if (mqtt_publish(c->mqtt, topic, payload, 1, false) >= 0)
        c->sends++;
}

/* ---- where to continue ---- */

/*
 * Marks and probe come with QoS 0: nothing old of them waits in the session, and they don't stand
 * in line behind what agents sent while the manager was away.
 */
static void ask_for_marks(struct cell *c)
{
    struct topic control = mark_topic(CELL_CONTROL), bulk = mark_topic(CELL_BULK);
    const char *topics[] = {control.text, bulk.text, TOPIC_PROBE};
    memset(c->lanes, 0, sizeof c->lanes);
    c->phase = PHASE_ASKING;
    c->probe_by_ms = c->now_ms + c->probe_ms;
    c->probe_ms = doubled(c->probe_ms, CELL_PROBE_MS_MAX);
    c->marks_mid = mqtt_subscribe(c->mqtt, topics, sizeof topics / sizeof topics[0], 0);
}

static void on_subscribed(void *context, int mid)
{
    struct cell *c = context;
    if (c->phase != PHASE_ASKING || mid != c->marks_mid)
        return;
    random_bytes(c->probe, sizeof c->probe);
    c->phase = PHASE_PROBING;
    mqtt_publish(c->mqtt, TOPIC_PROBE, span_of(c->probe, sizeof c->probe), 0, false);
}

static void on_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct cell *c = context;
    struct topic_name name = topic_read(topic);
    bool looking = c->phase == PHASE_ASKING || c->phase == PHASE_PROBING;
    if (name.kind == TOPIC_UP)
        c->handler.message(c->handler.context, topic, payload);
    else if (strcmp(topic, TOPIC_FENCE) == 0)
        c->abreast |= span_equal(payload, span_of(c->fence, sizeof c->fence));
    else if (name.kind == TOPIC_MARK && retained && looking)
        read_mark(c, name.bulk ? CELL_BULK : CELL_CONTROL, payload);
    else if (strcmp(topic, TOPIC_PROBE) == 0 && c->phase == PHASE_PROBING &&
             span_equal(payload, span_of(c->probe, sizeof c->probe)))
        start_feeding(c);
}

/* [mark-1]. Whatever else is there counts as no mark. */
static void read_mark(struct cell *c, enum cell_lane lane, struct span payload)
{
    struct mac_key now = mark_key(c, lane, c->stage), then = mark_key(c, lane, c->stage - 1);
    uint64_t serial = 0;
    bool ours = mark_read(payload, &now, &serial) == 0;
    bool older = !ours && mark_read(payload, &then, &serial) == 0;
    if (!ours && !older)
        log_event(LOG_WARN, "mark-refused", "url=%s topic=%s", c->url, mark_topic(lane).text);
    c->lanes[lane].mark = ours || older ? serial : 0;
    c->lanes[lane].outdated = older;
}

/* Bound to the broker and the lane, so that a mark is good for nothing where it wasn't put; and for
 * control to the stage. */
static struct mac_key mark_key(const struct cell *c, enum cell_lane lane, uint64_t stage)
{
    struct mac_key here = mac_derive(&c->marks, c->url, lane);
    return lane == CELL_CONTROL ? mac_derive(&here, "stage", stage) : here;
}

/* Not so when the database was put back to an older state. */
static bool log_reaches(const struct cell *c, enum cell_lane lane, uint64_t serial)
{
    struct cell_publication p;
    return serial == 0 || c->handler.next(c->handler.context, lane, serial - 1, 0, &p) == 1;
}

static void start_feeding(struct cell *c)
{
    for (int i = 0; i < CELL_LANES; i++) {
        uint64_t found = c->lanes[i].mark;
        if (!log_reaches(c, (enum cell_lane)i, found))
            found = 0;
        /* One of the stage before is put anew, where that isn't the same behind the difference. */
        uint64_t mark = c->lanes[i].outdated ? 0 : found;
        uint64_t from = c->lanes[i].outdated && c->differs ? 0 : found;
        c->lanes[i] = (struct lane){.window = WINDOWS[i],
                                    .mark = mark,
                                    .behind = found - from,
                                    .acked = from,
                                    .sent = from,
                                    .mark_sent = mark,
                                    .mark_mid = NOTHING};
    }
    c->phase = PHASE_FEEDING;
    c->stirred = true;
    log_event(LOG_DEBUG, "cell-feeding", "url=%s control=%llu bulk=%llu", c->url,
              (unsigned long long)c->lanes[CELL_CONTROL].mark,
              (unsigned long long)c->lanes[CELL_BULK].mark);
}

/* ---- feeding ---- */

bool cell_feed(struct cell *c, bool news)
{
    if (!news && !c->stirred)
        return false;
    c->stirred = false;
    for (int i = 0; i < CELL_LANES && c->phase == PHASE_FEEDING; i++) {
        struct lane *lane = &c->lanes[i];
        bool more = news || !lane->at_end;
        for (unsigned looks = 0; more && lane->count < lane->window && looks < LOOKS_MAX; looks++)
            more = feed_one(c, (enum cell_lane)i);
        c->stirred |= more && lane->count < lane->window;
        put_mark(c, (enum cell_lane)i);
    }
    return c->stirred;
}

/* False when there is nothing to publish, or no way to. */
static bool feed_one(struct cell *c, enum cell_lane which)
{
    struct lane *lane = &c->lanes[which];
    struct cell_publication p;
    int mid = NOTHING;
    int rv = c->handler.next(c->handler.context, which, lane->sent, lane->behind, &p);
    lane->at_end = rv == 0;
    if (rv <= 0)
        return false;
    assert(p.serial > lane->sent);
    if (p.topic)
        mid = mqtt_publish(c->mqtt, p.topic, p.payload, 1, true);
    if (mid == ERR_BUSY || mid == ERR_NO_MEMORY)
        return false;
    if (p.topic && mid < 0)
        log_event(LOG_ERROR, "publication-refused", "topic=%s bytes=%zu", p.topic, p.payload.len);
    lane->flights[(lane->first + lane->count++) % lane->window] =
        (struct flight){.serial = p.serial, .mid = mid < 0 ? NOTHING : mid};
    lane->sent = p.serial;
    retire(lane);
    return true;
}

static void on_published(void *context, int mid)
{
    struct cell *c = context;
    c->stirred = true;
    for (int i = 0; i < CELL_LANES; i++)
        if (c->phase == PHASE_FEEDING && acknowledge(&c->lanes[i], mid))
            return;
    if (c->sends > 0)
        c->sends--;
}

/* True when the message was one of this lane. */
static bool acknowledge(struct lane *lane, int mid)
{
    if (mid == lane->mark_mid) {
        lane->mark = lane->mark_sent;
        lane->mark_mid = NOTHING;
        return true;
    }
    for (unsigned i = 0; i < lane->count; i++) {
        struct flight *f = &lane->flights[(lane->first + i) % lane->window];
        if (f->mid != mid)
            continue;
        f->mid = NOTHING;
        retire(lane);
        return true;
    }
    return false;
}

/* Acknowledgements may come in any order; what has nothing open before it moves `acked`. */
static void retire(struct lane *lane)
{
    while (lane->count > 0 && lane->flights[lane->first].mid == NOTHING) {
        lane->acked = lane->flights[lane->first].serial;
        lane->first = (lane->first + 1) % lane->window;
        lane->count--;
    }
}

static void put_mark(struct cell *c, enum cell_lane which)
{
    struct lane *lane = &c->lanes[which];
    uint8_t bytes[MARK_MAX];
    struct buffer out = buffer_on(bytes, sizeof bytes);
    bool due = lane->count == 0 || lane->acked - lane->mark_sent >= lane->window;
    if (lane->mark_mid != NOTHING || lane->acked == lane->mark_sent || !due ||
        lane->acked < lane->behind)
        return;
    struct mac_key here = mark_key(c, which, c->stage);
    int rv = mark_write(lane->acked, &here, &out);
    assert(rv == 0);
    (void)rv;
    int mid = mqtt_publish(c->mqtt, mark_topic(which).text, span_buffer(&out), 1, true);
    if (mid < 0)
        return;
    lane->mark_mid = mid;
    lane->mark_sent = lane->acked;
}

static struct topic mark_topic(enum cell_lane lane)
{
    return topic_make(&(struct topic_name){.kind = TOPIC_MARK, .bulk = lane == CELL_BULK});
}
