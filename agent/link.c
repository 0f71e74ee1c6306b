#include "agent/link.h"

#include "agent/address.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/random.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>

/* libmosquitto's own lower limit. */
#define KEEPALIVE_S_MIN 5
#define LINK_SERVICE_MS 1000
/* Keep-alive of a short visit. */
#define LINK_DOOR_S 30
/* How long the broker may take to acknowledge the good-bye. */
#define LINK_GOODBYE_MS 1000
/* Refused messages of one connection that are told of. */
#define LINK_REFUSED_LOGGED 8

static void hang_up(struct link *l);
static void leave_door(struct link *l);
static void say_goodbye(struct link *l);
static void connect_now(struct link *l);
static const char *broker(const struct link *l);
static void prepare_tls(struct link *l, struct agent_time time);
static struct mqtt *client_for_cell(struct link *l);
static struct mqtt *client_for_door(struct link *l);
static struct mqtt *new_client(struct link *l, const struct mqtt_options *options);
static void on_up(void *context, bool session_present);
static void on_down(void *context, const char *reason);
static void on_message(void *context, const char *topic, struct span payload, bool retained);
static void take_head(struct link *l, const struct topic_name *name, struct span payload);
static void take_signed(struct link *l, enum message type, struct span payload);
static void take_trust(struct link *l, uint32_t version, struct span payload);
static void take_atlas(struct link *l, struct span payload);
static int open_signed(struct link *l, enum message type, struct span payload,
                       struct agent_event *ev, struct store_incoming *in);
static void refuse(struct link *l, const char *topic, int rv);
static void tell(struct link *l, struct agent_event *ev);
static struct topic topic_of(const struct link *l, enum link_topic which, uint8_t lanes_log2);
static struct topic up_topic(const struct link *l);
static void subscribe_to(struct link *l, const enum link_topic *which, size_t count,
                         uint8_t lanes_log2);
static void unsubscribe_from(struct link *l, enum link_topic which);

void link_init(struct link *l, const struct store *store, const char *folder,
               const struct link_handler *handler)
{
    memset(l, 0, sizeof *l);
    l->store = store;
    l->tls.folder = folder;
    l->handler = *handler;
}

void link_close(struct link *l)
{
    l->closing = true;
    if (l->up && !l->at_door)
        say_goodbye(l);
    link_part(l);
}

void link_part(struct link *l)
{
    l->closing = true;
    hang_up(l);
    l->connecting = false;
    l->leaving = false;
}

static void hang_up(struct link *l)
{
    mqtt_free(l->mqtt);
    l->mqtt = NULL;
    l->up = false;
}

void link_leave(struct link *l)
{
    l->leaving = true;
}

/* Only noted: this may be called from inside a handler of the connection that is just ending. */
void link_connect(struct link *l, uint32_t cell, uint32_t session, struct agent_time time)
{
    assert(cell < l->store->identity.cell_count);
    l->at_door = false;
    prepare_tls(l, time);
    snprintf(l->broker, sizeof l->broker, "%s", l->store->identity.cells[cell]);
    l->session = session;
    l->connecting = true;
}

void link_knock(struct link *l, struct agent_time time)
{
    l->at_door = true;
    prepare_tls(l, time);
    l->connecting = true;
}

void link_subscribe(struct link *l, enum agent_topic topic, uint8_t lanes_log2)
{
    static const enum link_topic heads[] = {LINK_COHORT_HEAD, LINK_AGENT_HEAD};
    static const enum link_topic single[AGENT_TOPIC_COUNT] = {
        [AGENT_TOPIC_DOCUMENT] = LINK_DOCUMENT,
        [AGENT_TOPIC_ASSIGNMENT] = LINK_ASSIGNMENT,
        [AGENT_TOPIC_TRUST] = LINK_TRUST,
        [AGENT_TOPIC_ATLAS] = LINK_ATLAS,
    };
    if (topic == AGENT_TOPIC_HEADS)
        subscribe_to(l, heads, 2, lanes_log2);
    else
        subscribe_to(l, &single[topic], 1, 0);
}

void link_unsubscribe(struct link *l, enum agent_topic topic)
{
    switch (topic) {
    case AGENT_TOPIC_HEADS:
        unsubscribe_from(l, LINK_COHORT_HEAD);
        unsubscribe_from(l, LINK_AGENT_HEAD);
        break;
    case AGENT_TOPIC_DOCUMENT:
        unsubscribe_from(l, LINK_DOCUMENT);
        break;
    case AGENT_TOPIC_ASSIGNMENT:
        unsubscribe_from(l, LINK_ASSIGNMENT);
        break;
    case AGENT_TOPIC_TRUST:
        unsubscribe_from(l, LINK_TRUST);
        break;
    case AGENT_TOPIC_ATLAS:
    case AGENT_TOPIC_COUNT:
        unsubscribe_from(l, LINK_ATLAS);
        break;
    }
}

void link_send(struct link *l, const struct status *status)
{
    uint8_t room[STATUS_MAX];
    struct buffer out = buffer_on(room, sizeof room);
    int rv = status_write(status, &l->store->identity.mac, &out);
    if (rv == 0 && l->up)
        rv = mqtt_publish(l->mqtt, up_topic(l).text, span_buffer(&out), 1, false);
    if (rv < 0)
        log_event(LOG_WARN, "status-not-sent", "seq=%u error=%s", status->seq, err_name(rv));
}

int link_note(struct link *l, struct span bytes)
{
    return l->up ? mqtt_publish(l->mqtt, up_topic(l).text, bytes, 1, false) : ERR_BUSY;
}

int link_ask(struct link *l, const struct digest *names, size_t count)
{
    struct topic topics[FETCH_WINDOW];
    const char *texts[FETCH_WINDOW];
    assert(count <= FETCH_WINDOW);
    if (!l->up)
        return ERR_BUSY;
    for (size_t i = 0; i < count; i++) {
        topics[i] = topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = names[i]});
        texts[i] = topics[i].text;
    }
    return mqtt_subscribe(l->mqtt, texts, count, 0);
}

void link_drop(struct link *l, const struct digest *names, size_t count)
{
    struct topic topics[FETCH_WINDOW];
    const char *texts[FETCH_WINDOW];
    assert(count <= FETCH_WINDOW);
    for (size_t i = 0; i < count; i++) {
        topics[i] = topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = names[i]});
        texts[i] = topics[i].text;
    }
    if (l->up)
        mqtt_unsubscribe(l->mqtt, texts, count);
}

void link_break(struct link *l)
{
    hang_up(l);
    l->unreachable = true;
}

void link_probe(struct link *l)
{
    if (l->mqtt)
        mqtt_probe(l->mqtt);
}

void link_watch(const struct link *l, struct pollfd fds[static MQTT_FDS])
{
    if (l->mqtt)
        mqtt_watch(l->mqtt, fds);
    for (int i = 0; i < MQTT_FDS && !l->mqtt; i++)
        fds[i] = (struct pollfd){.fd = -1};
}

/* A connection that could not even be started has no descriptor, and its end is still to be told.
 */
int link_wait_ms(const struct link *l)
{
    if (l->connecting || l->unreachable || l->leaving)
        return 0;
    return l->mqtt ? LINK_SERVICE_MS : -1;
}

void link_service(struct link *l, const struct pollfd *fds)
{
    if (l->connecting)
        connect_now(l);
    if (l->mqtt)
        mqtt_service(l->mqtt, fds);
    if (l->at_door && l->up && clock_monotonic_ms() >= l->knock_until_ms) {
        l->answered = true;
        l->answer = ERR_TIMEOUT;
    }
    if (l->answered)
        leave_door(l);
    if (l->unreachable) {
        l->unreachable = false;
        tell(l, &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = ERR_IO});
    }
    if (l->leaving)
        link_close(l);
}

/* Without certificates and words for good-bye. */
static void leave_door(struct link *l)
{
    const char *outcome = l->answer == 0             ? "renewed"
                          : l->answer == ERR_REFUSED ? "refused"
                                                     : "not answered";
    hang_up(l);
    l->answered = false;
    l->nonce = 0;
    log_event(l->answer == 0 ? LOG_INFO : LOG_WARN, "door", "broker=%s certificate=\"%s\"",
              l->store->identity.door, outcome);
    tell(l, &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = l->answer});
}

/* ---- connecting ---- */

/* A clean disconnect keeps the broker from sending the last will, so the agent sends it itself. A
 * socket closed before the answer is read would be reset, and the good-bye perhaps lost. */
static void say_goodbye(struct link *l)
{
    uint8_t room[STATUS_MAX];
    struct buffer will = buffer_on(room, sizeof room);
    struct will w = {.number = l->store->identity.number, .session = l->session};
    uint64_t until_ms = clock_monotonic_ms() + LINK_GOODBYE_MS;
    if (will_write(&w, &l->store->identity.mac, &will) < 0)
        return;
    l->goodbye = mqtt_publish(l->mqtt, up_topic(l).text, span_buffer(&will), 1, false);
    while (l->up && l->goodbye > 0 && clock_monotonic_ms() < until_ms) {
        struct pollfd fds[MQTT_FDS];
        mqtt_watch(l->mqtt, fds);
        poll(fds, MQTT_FDS, LINK_GOODBYE_MS / 10);
        mqtt_service(l->mqtt, fds);
    }
}

static void on_published(void *context, int mid)
{
    struct link *l = context;
    if (mid == l->goodbye)
        l->goodbye = 0;
    else if (l->handler.published && !l->closing)
        l->handler.published(l->handler.context, mid);
}

/* A handle of its own for each connection, because the keep-alive comes with the document. */
static void connect_now(struct link *l)
{
    struct errmsg em = {.text = "no memory"};
    l->connecting = false;
    hang_up(l);
    l->mqtt = l->at_door ? client_for_door(l) : client_for_cell(l);
    bool allowed = l->mqtt && address_check(broker(l), &em) == 0;
    if (allowed && mqtt_connect(l->mqtt, broker(l), &em) == 0)
        return;
    mqtt_free(l->mqtt);
    l->mqtt = NULL;
    log_event(LOG_ERROR, "link-impossible", "broker=%s error=\"%s\"", broker(l), em.text);
    l->unreachable = true;
}

static const char *broker(const struct link *l)
{
    const struct identity *id = &l->store->identity;
    return l->at_door ? id->door : l->broker;
}

/* A cell knows us by our certificate; the door lets everybody in. */
static void prepare_tls(struct link *l, struct agent_time time)
{
    const struct identity *id = &l->store->identity;
    const struct trust *trust = &l->store->trust;
    l->tls.tls = (struct tls_options){
        .authorities = trust->authorities,
        .authority_count = trust->authority_count,
        .now_s = time.wall_s,
        .clock_is_floor = time.is_floor,
    };
    if (l->at_door)
        return;
    l->tls.tls.certificate = span_of(id->certificate, id->certificate_len);
    l->tls.tls.key = &id->secret;
    l->tls.tls.memory = &l->memory;
}

static struct mqtt *client_for_cell(struct link *l)
{
    uint8_t room[STATUS_MAX];
    struct buffer will = buffer_on(room, sizeof room);
    const struct identity *id = &l->store->identity;
    struct key_id_hex name = key_id_hex(&id->id);
    struct topic topic = up_topic(l);
    uint32_t keepalive_s = l->store->document.policy.keepalive_s;
    int rv =
        will_write(&(struct will){.number = id->number, .session = l->session}, &id->mac, &will);
    if (rv < 0)
        return NULL;
    return new_client(
        l, &(struct mqtt_options){
               .client_id = name.text,
               .keepalive_s = keepalive_s < KEEPALIVE_S_MIN ? KEEPALIVE_S_MIN : keepalive_s,
               .will_topic = topic.text,
               .will = span_buffer(&will),
           });
}

/* Under a name that nobody can guess, and so take over: everybody may connect there. */
static struct mqtt *client_for_door(struct link *l)
{
    char name[2 * JOIN_ID_LEN + 1];
    random_bytes(l->attempt.bytes, sizeof l->attempt.bytes);
    hex_write(span_of(l->attempt.bytes, sizeof l->attempt.bytes), name);
    return new_client(l, &(struct mqtt_options){.client_id = name, .keepalive_s = LINK_DOOR_S});
}

static struct mqtt *new_client(struct link *l, const struct mqtt_options *options)
{
    const struct mqtt_handler handler = {
        .context = l,
        .up = on_up,
        .down = on_down,
        .message = on_message,
        .published = on_published,
    };
    struct mqtt_options over_tls = *options;
    over_tls.tls = &l->tls;
    return mqtt_new(&over_tls, &handler);
}

static void on_up(void *context, bool session_present)
{
    struct link *l = context;
    (void)session_present;
    l->up = true;
    l->refused = 0;
    if (l->at_door) {
        l->knock_until_ms = clock_monotonic_ms() + LINK_KNOCK_MS;
        link_renewal_begin(l);
        return;
    }
    l->reason[0] = '\0';
    memset(l->topics, 0, sizeof l->topics);
    log_event(LOG_INFO, "link-up", "broker=%s session=%u tls=%s resumed=%s", broker(l), l->session,
              mqtt_tls_version(l->mqtt), mqtt_resumed(l->mqtt) ? "yes" : "no");
    tell(l, &(struct agent_event){.type = AGENT_LINK_UP});
}

/* Said once for each reason: an agent may be without its broker for months. */
static void on_down(void *context, const char *reason)
{
    struct link *l = context;
    enum log_level level = strncmp(l->reason, reason, sizeof l->reason - 1) ? LOG_INFO : LOG_DEBUG;
    l->up = false;
    log_event(level, "link-down", "broker=%s reason=\"%s\"", broker(l), reason);
    snprintf(l->reason, sizeof l->reason, "%s", reason);
    /* A door that closes behind its answer is left, and told of, by link_service. */
    if (!l->answered)
        tell(l, &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = mqtt_loss(l->mqtt)});
}

static void tell(struct link *l, struct agent_event *ev)
{
    if (!l->closing)
        l->handler.event(l->handler.context, ev, NULL);
}

/* ---- messages ---- */

static void on_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct link *l = context;
    struct topic_name name = topic_read(topic);
    (void)retained;
    if (payload.len == 0 || l->closing)
        return; /* empty: what was retained there was taken back */
    if (name.kind == TOPIC_CHUNK)
        l->handler.chunk(l->handler.context, &name.chunk, payload);
    else if (name.kind == TOPIC_JOINED || name.kind == TOPIC_AGENT_CERTIFICATE)
        link_renewal_take(l, payload);
    else if (payload.len > MESSAGE_MAX)
        refuse(l, topic, ERR_RANGE);
    else if (name.kind == TOPIC_COHORT_HEAD || name.kind == TOPIC_AGENT_HEAD)
        take_head(l, &name, payload);
    else if (name.kind == TOPIC_COHORT_DOC)
        take_signed(l, MESSAGE_DESIRED, payload);
    else if (name.kind == TOPIC_AGENT_DOC)
        take_signed(l, MESSAGE_ASSIGNMENT, payload);
    else if (name.kind == TOPIC_TRUST)
        take_trust(l, name.version, payload);
    else if (name.kind == TOPIC_ATLAS)
        take_atlas(l, payload);
    else
        refuse(l, topic, ERR_FORMAT);
}

/* A head of a cohort that we just left may still be on its way. */
static void take_head(struct link *l, const struct topic_name *name, struct span payload)
{
    struct head head;
    bool cohort = name->kind == TOPIC_COHORT_HEAD;
    if (cohort && memcmp(&name->cohort, &l->store->assignment.cohort, sizeof name->cohort) != 0)
        return;
    int rv = head_read(payload, &head);
    if (rv < 0) {
        refuse(l, "head", rv);
        return;
    }
    struct agent_event ev = {
        .type = AGENT_HEAD,
        .topic = cohort ? AGENT_TOPIC_DOCUMENT : AGENT_TOPIC_ASSIGNMENT,
        .head = &head,
    };
    l->handler.event(l->handler.context, &ev, NULL);
}

static void take_signed(struct link *l, enum message type, struct span payload)
{
    struct agent_event ev = {0};
    struct store_incoming in = {.envelope = payload};
    int rv = open_signed(l, type, payload, &ev, &in);
    if (rv < 0)
        refuse(l, "signed message", rv);
    else
        l->handler.event(l->handler.context, &ev, &in);
}

static int open_signed(struct link *l, enum message type, struct span payload,
                       struct agent_event *ev, struct store_incoming *in)
{
    struct span body = SPAN_NONE;
    int rv = trust_open(&l->store->trust, TRUST_ONLINE, type, payload, &body);
    if (rv < 0)
        return rv;
    in->signer = trust_signer(&l->store->trust, TRUST_ONLINE, type, payload);
    if (type == MESSAGE_DESIRED) {
        ev->type = AGENT_DOCUMENT;
        ev->document = in->document = &l->message.document;
        return desired_read(body, &l->message.document);
    }
    ev->type = AGENT_ASSIGNMENT;
    ev->assignment = in->assignment = &l->message.assignment;
    return assignment_read(body, &l->message.assignment);
}

/* Of those that we have passed one may still be on its way. */
static void take_trust(struct link *l, uint32_t version, struct span payload)
{
    struct agent_event ev = {.type = AGENT_TRUST, .trust_version = version};
    struct store_incoming in = {.envelope = payload, .trust = &l->message.trust};
    if (version > l->store->trust.version) {
        int rv = trust_follows(&l->store->trust, payload, &l->message.trust);
        if (rv < 0) {
            refuse(l, "trust document", rv);
            return;
        }
        ev.trust_version = l->message.trust.version;
    }
    l->handler.event(l->handler.context, &ev, &in);
}

static bool is_at(const char *url, struct span cell)
{
    return span_equal(cell, span_text(url));
}

/* What it says is what it means for this agent: the rest isn't kept. */
static void take_atlas(struct link *l, struct span payload)
{
    const struct identity *id = &l->store->identity;
    struct atlas *a = &l->message.atlas;
    struct store_incoming in = {.atlas = a};
    uint32_t order[STORE_ATLAS_CELLS], here = 0;
    struct span body = SPAN_NONE;
    int rv = trust_open(&l->store->trust, TRUST_ONLINE, MESSAGE_ATLAS, payload, &body);
    if (rv == 0)
        rv = atlas_read(body, a);
    if (rv < 0) {
        refuse(l, "atlas", rv);
        return;
    }
    in.signer = trust_signer(&l->store->trust, TRUST_ONLINE, MESSAGE_ATLAS, payload);
    uint32_t count = atlas_order(a, &id->id, STORE_ATLAS_CELLS, order);
    while (here < count && !is_at(l->broker, a->cells[order[here]].url))
        here++;
    struct agent_event ev = {.type = AGENT_ATLAS,
                             .atlas = a->number,
                             .spread_s = a->spread_s,
                             .cell = (uint8_t)(here < count ? here : CELLS_MAX),
                             .cell_moved = !is_at(id->cells[0], a->cells[order[0]].url)};
    l->handler.event(l->handler.context, &ev, &in);
}

/* Anybody may send rubbish, and must not fill the log with it. */
static void refuse(struct link *l, const char *topic, int rv)
{
    enum log_level level = l->refused++ < LINK_REFUSED_LOGGED ? LOG_WARN : LOG_DEBUG;
    log_event(level, "message-refused", "topic=%s error=%s", topic, err_name(rv));
    tell(l, &(struct agent_event){.type = AGENT_REFUSED});
}

/* ---- topics ---- */

static struct topic topic_of(const struct link *l, enum link_topic which, uint8_t lanes_log2)
{
    static const enum topic_kind kinds[LINK_TOPIC_COUNT] = {
        [LINK_COHORT_HEAD] = TOPIC_COHORT_HEAD,
        [LINK_AGENT_HEAD] = TOPIC_AGENT_HEAD,
        [LINK_DOCUMENT] = TOPIC_COHORT_DOC,
        [LINK_ASSIGNMENT] = TOPIC_AGENT_DOC,
        [LINK_TRUST] = TOPIC_TRUST,
        [LINK_ATLAS] = TOPIC_ATLAS,
    };
    const struct key_id *id = &l->store->identity.id;
    return topic_make(&(struct topic_name){
        .kind = kinds[which],
        .agent = *id,
        .cohort = l->store->assignment.cohort,
        .lane = topic_lane(id, lanes_log2),
        .version = l->store->trust.version + 1,
    });
}

static struct topic up_topic(const struct link *l)
{
    return topic_make(&(struct topic_name){.kind = TOPIC_UP, .agent = l->store->identity.id});
}

/* Subscribing again to the same topic brings its retained message again. */
static void subscribe_to(struct link *l, const enum link_topic *which, size_t count,
                         uint8_t lanes_log2)
{
    const char *texts[LINK_TOPIC_COUNT];
    if (!l->up)
        return;
    for (size_t i = 0; i < count; i++) {
        struct topic topic = topic_of(l, which[i], lanes_log2);
        struct topic *now = &l->topics[which[i]];
        if (strcmp(now->text, topic.text) != 0)
            unsubscribe_from(l, which[i]);
        *now = topic;
        texts[i] = now->text;
    }
    int rv = mqtt_subscribe(l->mqtt, texts, count, 0);
    if (rv < 0)
        log_event(LOG_WARN, "subscribe-failed", "topic=%s error=%s", texts[0], err_name(rv));
}

static void unsubscribe_from(struct link *l, enum link_topic which)
{
    const char *text = l->topics[which].text;
    if (l->up && text[0] != '\0')
        mqtt_unsubscribe(l->mqtt, &text, 1);
    l->topics[which].text[0] = '\0';
}
