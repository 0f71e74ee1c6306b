#include "simulator/world/device.h"
#include "simulator/world/notary.h"

#include <assert.h>
#include <stdio.h>

/* The heads are two topics: the cohort's comes first, our own last. */
#define OWN_HEAD AGENT_TOPIC_COUNT

static void on_up(void *context);
static void on_down(void *context);
static void on_message(void *context, const char *topic, struct span payload);
static void connect_broker(struct device *d, uint32_t session);
static void send_status(struct device *d, const struct status *s);
static void subscribe(struct device *d, int slot, const char *topic);
static void unsubscribe(struct device *d, int slot);
static struct topic topic_of(const struct device *d, enum topic_kind kind, uint8_t lanes_log2);

void device_link_attach(struct device *d, struct broker *broker)
{
    const struct client_handler handler = {
        .context = d, .up = on_up, .down = on_down, .message = on_message};
    d->broker = broker;
    d->client = broker_client(broker, device_name(d), false, &handler);
}

void device_link_perform(struct device *d, const struct agent_action *a)
{
    static const enum topic_kind kinds[AGENT_TOPIC_COUNT] = {
        [AGENT_TOPIC_HEADS] = TOPIC_COHORT_HEAD,    [AGENT_TOPIC_DOCUMENT] = TOPIC_COHORT_DOC,
        [AGENT_TOPIC_ASSIGNMENT] = TOPIC_AGENT_DOC, [AGENT_TOPIC_TRUST] = TOPIC_TRUST,
        [AGENT_TOPIC_ATLAS] = TOPIC_ATLAS,
    };
    if (a->type == AGENT_CONNECT) {
        connect_broker(d, a->session);
    } else if (a->type == AGENT_KNOCK) {
        device_renewal_knock(d);
    } else if (a->type == AGENT_RENEW) {
        device_renewal_ask(d);
    } else if (a->type == AGENT_SEND) {
        send_status(d, a->status);
    } else if (a->type == AGENT_LEAVE) {
        stage_trace(d->stage, "%s leaves the fleet", device_name(d));
        d->left = true;
        client_close(d->client);
    } else if (a->type == AGENT_UNSUBSCRIBE) {
        unsubscribe(d, (int)a->topic);
    } else {
        subscribe(d, (int)a->topic, topic_of(d, kinds[a->topic], a->lanes_log2).text);
        if (a->topic == AGENT_TOPIC_HEADS)
            subscribe(d, OWN_HEAD, topic_of(d, TOPIC_AGENT_HEAD, 0).text);
    }
}

static struct topic topic_of(const struct device *d, enum topic_kind kind, uint8_t lanes_log2)
{
    return topic_make(&(struct topic_name){
        .kind = kind,
        .agent = d->disk.id,
        .cohort = d->disk.assignment.cohort,
        .lane = topic_lane(&d->disk.id, lanes_log2),
        .version = d->disk.trust.version + 1,
    });
}

/* Subscribing again to the same topic brings its retained message again. */
static void subscribe(struct device *d, int slot, const char *topic)
{
    char *now = d->topics[slot];
    if (now[0] != '\0' && strcmp(now, topic) != 0)
        unsubscribe(d, slot);
    snprintf(now, sizeof d->topics[slot], "%s", topic);
    client_subscribe(d->client, now);
}

static void unsubscribe(struct device *d, int slot)
{
    if (d->topics[slot][0] != '\0')
        client_unsubscribe(d->client, d->topics[slot]);
    d->topics[slot][0] = '\0';
}

/* ---- what it says ---- */

bool device_link_believes(struct device *d, const struct key_id *authorities, size_t count)
{
    bool believes = broker_leads(d->broker, authorities, count);
    if (!believes)
        stage_trace(d->stage, "%s refuses the broker", device_name(d));
    return believes;
}

static void turned_back(void *context, uint64_t life, void *payload)
{
    struct device *d = context;
    (void)payload;
    if (life == d->life)
        device_feed(d, &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = ERR_UNTRUSTED}, NULL);
}

/* As TLS does with an expired certificate. */
static void turned_away(void *context, uint64_t life, void *payload)
{
    struct device *d = context;
    (void)payload;
    if (life == d->life)
        device_feed(d, &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = ERR_REFUSED}, NULL);
}

static void connect_broker(struct device *d, uint32_t session)
{
    uint8_t memory[STATUS_MAX];
    struct buffer will = buffer_on(memory, sizeof memory);
    int rv = will_write(&(struct will){.number = d->disk.number, .session = session}, &d->disk.mac,
                        &will);
    assert(rv == 0);
    if (session <= d->past.session_used && d->past.session_used != 0)
        stage_fault(d->stage, "%s uses session %u again", device_name(d), (unsigned)session);
    d->past.session_used = session;
    if (!device_link_believes(d, d->disk.trust.authorities, d->disk.trust.authority_count) ||
        device_program_mute(d)) {
        stage_at(d->stage, d->stage->now_ms + BROKER_REFUSED_MS, turned_back, d, d->life, NULL);
        return;
    }
    const char *reason = stage_wall_s(d->stage) > d->disk.certificate_until_s
                             ? "its certificate has expired"
                         : !broker_takes(d->broker, d->disk.certificate_issuer)
                             ? "its certificate is by an authority of before"
                             : NULL;
    if (reason) {
        stage_trace(d->stage, "%s is turned away: %s", device_name(d), reason);
        stage_at(d->stage, d->stage->now_ms + BROKER_REFUSED_MS, turned_away, d, d->life, NULL);
        return;
    }
    client_connect(d->client, d->disk.document.policy.keepalive_s, topic_of(d, TOPIC_UP, 0).text,
                   span_buffer(&will));
}

static void trace_status(struct device *d, const struct status *s, size_t len)
{
    char text[200] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < s->count && at < sizeof text - 40; i++)
        at += (size_t)snprintf(
            text + at, sizeof text - at, " %u:%s", (unsigned)s->exceptions[i].deployment,
            deployment_state_name((enum deployment_state)s->exceptions[i].state));
    stage_trace(d->stage, "%s status %u%s%s document %u.%u%s", device_name(d), (unsigned)s->seq,
                s->flags & STATUS_HELLO ? " hello" : "", s->flags & STATUS_STALE ? " stale" : "",
                (unsigned)s->document.epoch, (unsigned)s->document.number, text);
    if (s->count == 0 && len > STATUS_CONVERGED_MAX)
        stage_fault(d->stage, "%s: a converged status has %zu bytes", device_name(d), len);
}

static void send_status(struct device *d, const struct status *s)
{
    uint8_t memory[STATUS_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    int rv = status_write(s, &d->disk.mac, &out);
    assert(rv == 0);
    if (s->seq <= d->past.seq_sent && d->past.seq_sent != 0)
        stage_fault(d->stage, "%s uses sequence number %u again", device_name(d), (unsigned)s->seq);
    d->past.seq_sent = s->seq;
    trace_status(d, s, out.len);
    client_publish(d->client, topic_of(d, TOPIC_UP, 0).text, span_buffer(&out), false);
}

/* ---- what it hears ---- */

static void on_up(void *context)
{
    struct device *d = context;
    if (d->state == DEVICE_JOINING) {
        device_join_up(d);
        return;
    }
    if (d->knocking) {
        device_renewal_up(d);
        return;
    }
    memset(d->topics, 0, sizeof d->topics);
    device_feed(d, &(struct agent_event){.type = AGENT_LINK_UP}, NULL);
    device_work_link_up(d);
    if (d->state == DEVICE_RUNNING && !digest_equal(&d->program, &d->disk.proven))
        subscribe(d, AGENT_TOPIC_DOCUMENT, topic_of(d, TOPIC_COHORT_DOC, 0).text);
}

static void on_down(void *context)
{
    struct device *d = context;
    d->asked.count = 0;
    if (d->state == DEVICE_JOINING)
        device_join_down(d);
    else if (d->knocking)
        device_renewal_down(d);
    else
        device_feed(d, &(struct agent_event){.type = AGENT_LINK_DOWN}, NULL);
}

/* A head of a cohort that we just left may still be on its way. */
static void take_head(struct device *d, const struct topic_name *name, struct span payload)
{
    struct head head;
    bool cohort = name->kind == TOPIC_COHORT_HEAD;
    if (cohort && memcmp(&name->cohort, &d->disk.assignment.cohort, sizeof name->cohort) != 0)
        return;
    struct agent_event ev = {
        .type = AGENT_HEAD,
        .topic = cohort ? AGENT_TOPIC_DOCUMENT : AGENT_TOPIC_ASSIGNMENT,
        .head = &head,
    };
    if (head_read(payload, &head) < 0)
        ev = (struct agent_event){.type = AGENT_REFUSED};
    device_feed(d, &ev, NULL);
}

/* What a signed message says; its values must live as long as the event. */
struct opened {
    struct desired document;
    struct assignment assignment;
};

static int open_signed(const struct device *d, enum message type, struct span payload,
                       struct agent_event *ev, struct incoming *in, struct opened *o)
{
    struct span body;
    int rv = notary_open(&d->disk.trust, TRUST_ONLINE, type, payload, &body);
    if (rv < 0)
        return rv;
    in->signer = trust_signer(&d->disk.trust, TRUST_ONLINE, type, payload);
    if (type == MESSAGE_DESIRED) {
        ev->type = AGENT_DOCUMENT;
        ev->document = in->document = &o->document;
        return desired_read(body, &o->document);
    }
    ev->type = AGENT_ASSIGNMENT;
    ev->assignment = in->assignment = &o->assignment;
    return assignment_read(body, &o->assignment);
}

static void take_trust(struct device *d, uint32_t version, struct span payload)
{
    static struct trust trust;
    struct agent_event ev = {.type = AGENT_TRUST, .trust_version = version};
    struct incoming in = {.trust = &trust};
    if (version > d->disk.trust.version) {
        if (notary_follows(&d->disk.trust, payload, &trust) < 0)
            ev.type = AGENT_REFUSED;
        ev.trust_version = trust.version;
    }
    device_feed(d, &ev, &in);
}

static void take_signed(struct device *d, enum message type, struct span payload)
{
    static struct opened opened;
    struct agent_event ev = {0};
    struct incoming in = {0};
    if (open_signed(d, type, payload, &ev, &in, &opened) < 0)
        ev = (struct agent_event){.type = AGENT_REFUSED};
    d->proof |= ev.type != AGENT_REFUSED;
    device_feed(d, &ev, &in);
}

static void on_message(void *context, const char *topic, struct span payload)
{
    struct device *d = context;
    struct topic_name name = topic_read(topic);
    if (payload.len == 0 || device_point(d))
        return;
    if (d->state == DEVICE_JOINING)
        device_join_message(d, &name, payload);
    else if (name.kind == TOPIC_JOINED || name.kind == TOPIC_AGENT_CERTIFICATE)
        device_renewal_take(d, payload);
    else if (name.kind == TOPIC_CHUNK)
        device_work_chunk(d, &name.chunk, payload);
    else if (name.kind == TOPIC_COHORT_HEAD || name.kind == TOPIC_AGENT_HEAD)
        take_head(d, &name, payload);
    else if (name.kind == TOPIC_COHORT_DOC)
        take_signed(d, MESSAGE_DESIRED, payload);
    else if (name.kind == TOPIC_AGENT_DOC)
        take_signed(d, MESSAGE_ASSIGNMENT, payload);
    else if (name.kind == TOPIC_TRUST)
        take_trust(d, name.version, payload);
    else
        device_feed(d, &(struct agent_event){.type = AGENT_REFUSED}, NULL);
}
