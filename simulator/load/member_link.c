#include "simulator/load/crowd.h"
#include "sync/head.h"

#include <assert.h>
#include <stdlib.h>

static void write_will(const struct member *m, uint32_t session, struct buffer *out);
static void say_will(struct crowd *c, struct member *m);
static void take_head(struct crowd *c, struct member *m, const struct topic_name *name,
                      struct span payload);
static void take_document(struct crowd *c, struct member *m, struct span payload);
static void take_assignment(struct crowd *c, struct member *m, struct span payload);
static void take_trust(struct crowd *c, struct member *m, uint32_t version, struct span payload);
static void refuse(struct crowd *c, struct member *m, const char *what);
static void send_status(struct crowd *c, struct member *m, const struct status *s);
static void subscribe(struct crowd *c, struct member *m, const struct agent_action *a);
static void unsubscribe(struct crowd *c, struct member *m, enum agent_topic topic);
static size_t topics_of(const struct member *m, enum agent_topic topic, struct topic out[2]);

void member_link_greet(struct crowd *c, struct member *m)
{
    uint8_t room[STATUS_MAX];
    struct buffer will = buffer_on(room, sizeof room);
    struct key_id_hex name = key_id_hex(&m->id);
    struct topic up = topic_make(&(struct topic_name){.kind = TOPIC_UP, .agent = m->id});
    struct policy none = POLICY_DEFAULT;
    const struct policy *policy = m->document ? &m->document->document.policy : &none;
    write_will(m, m->session, &will);
    line_greet(&c->hub, &m->line,
               &(struct packet_connect){.client_id = name.text,
                                        .keepalive_s = (uint16_t)policy->keepalive_s,
                                        .will_topic = up.text,
                                        .will = span_buffer(&will)});
}

static void write_will(const struct member *m, uint32_t session, struct buffer *out)
{
    int rv = will_write(&(struct will){.number = m->number, .session = session}, &m->mac, out);
    assert(rv == 0);
    (void)rv;
}

/* On a trunk, where no broker says it: that of the connection before, and this one's the next time.
 */
static void say_will(struct crowd *c, struct member *m)
{
    uint8_t room[STATUS_MAX];
    struct buffer will = buffer_on(room, sizeof room);
    struct topic up = topic_make(&(struct topic_name){.kind = TOPIC_UP, .agent = m->id});
    if (!m->trunk)
        return;
    if (m->will != 0) {
        write_will(m, m->will, &will);
        seat_publish(c, m, up.text, span_buffer(&will));
    }
    m->will = m->session;
}

/* ---- what it hears ---- */

void member_link_packet(struct crowd *c, struct member *m, const struct packet *p)
{
    char text[TOPIC_MAX] = "";
    if (p->type == PACKET_CONNACK) {
        say_will(c, m);
        memset(m->subscribed, 0, sizeof m->subscribed);
        member_feed(c, m, &(struct agent_event){.type = AGENT_LINK_UP}, NULL);
        fetch_again(c, m);
    }
    if (p->type == PACKET_SUBACK && p->code > 1)
        crowd_fault(c, m, "its broker refused a subscription");
    if (p->type != PACKET_PUBLISH || p->topic.len >= sizeof text || p->payload.len == 0)
        return;
    memcpy(text, p->topic.data, p->topic.len);
    struct topic_name name = topic_read(text);
    if (name.kind == TOPIC_CHUNK)
        fetch_take(c, m, &name.chunk, p->payload);
    else if (name.kind == TOPIC_COHORT_HEAD || name.kind == TOPIC_AGENT_HEAD)
        take_head(c, m, &name, p->payload);
    else if (name.kind == TOPIC_COHORT_DOC)
        take_document(c, m, p->payload);
    else if (name.kind == TOPIC_AGENT_DOC)
        take_assignment(c, m, p->payload);
    else if (name.kind == TOPIC_TRUST)
        take_trust(c, m, name.version, p->payload);
    else
        refuse(c, m, text);
}

/* A head of a cohort that it just left may still be on its way. */
static void take_head(struct crowd *c, struct member *m, const struct topic_name *name,
                      struct span payload)
{
    struct head head;
    bool cohort = name->kind == TOPIC_COHORT_HEAD;
    if (cohort && memcmp(&name->cohort, &m->place->assignment.cohort, sizeof name->cohort) != 0)
        return;
    if (head_read(payload, &head) < 0) {
        refuse(c, m, "a head");
        return;
    }
    member_feed(
        c, m,
        &(struct agent_event){.type = AGENT_HEAD,
                              .topic = cohort ? AGENT_TOPIC_DOCUMENT : AGENT_TOPIC_ASSIGNMENT,
                              .head = &head},
        NULL);
}

static void take_document(struct crowd *c, struct member *m, struct span payload)
{
    struct incoming in = {.document = lore_document(&c->lore, m->trust, payload)};
    if (!in.document) {
        refuse(c, m, "a document");
        return;
    }
    c->options.board->documents++;
    member_feed(c, m,
                &(struct agent_event){.type = AGENT_DOCUMENT, .document = &in.document->document},
                &in);
    lore_release(in.document);
}

static void take_assignment(struct crowd *c, struct member *m, struct span payload)
{
    static struct assignment a;
    struct incoming in = {.assignment = &a};
    in.place = lore_assignment(&c->lore, m->trust, payload, m->checks, &a);
    if (!in.place) {
        refuse(c, m, "an assignment");
        return;
    }
    in.signer = trust_signer(&m->trust->trust, TRUST_ONLINE, MESSAGE_ASSIGNMENT, payload);
    c->options.board->documents++;
    member_feed(c, m, &(struct agent_event){.type = AGENT_ASSIGNMENT, .assignment = &a}, &in);
}

/* Of those that it has passed one may still be on its way. */
static void take_trust(struct crowd *c, struct member *m, uint32_t version, struct span payload)
{
    struct agent_event ev = {.type = AGENT_TRUST, .trust_version = version};
    struct incoming in = {.trust = NULL};
    if (version > m->trust->trust.version)
        in.trust = lore_follow(&c->lore, m->trust, payload);
    if (version > m->trust->trust.version && !in.trust) {
        refuse(c, m, "a trust document");
        return;
    }
    member_feed(c, m, &ev, &in);
}

static void refuse(struct crowd *c, struct member *m, const char *what)
{
    crowd_fault(c, m, "it refuses %s", what);
    member_feed(c, m, &(struct agent_event){.type = AGENT_REFUSED}, NULL);
}

/* ---- what it says ---- */

void member_link_perform(struct crowd *c, struct member *m, const struct agent_action *a)
{
    if (!seat_is_up(m))
        return;
    m->spoke_ms = c->now_ms;
    if (a->type == AGENT_SEND)
        send_status(c, m, a->status);
    else if (a->type == AGENT_UNSUBSCRIBE)
        unsubscribe(c, m, a->topic);
    else
        subscribe(c, m, a);
}

static void send_status(struct crowd *c, struct member *m, const struct status *s)
{
    uint8_t room[STATUS_MAX];
    struct buffer out = buffer_on(room, sizeof room);
    struct topic up = topic_make(&(struct topic_name){.kind = TOPIC_UP, .agent = m->id});
    if (status_write(s, &m->mac, &out) < 0)
        crowd_fault(c, m, "its status can't be written");
    seat_publish(c, m, up.text, span_buffer(&out));
    c->options.board->statuses++;
    m->told++;
}

/* Subscribing again to the same topic brings its retained message again. */
static void subscribe(struct crowd *c, struct member *m, const struct agent_action *a)
{
    struct topic topics[2];
    struct topic_mark *mark = &m->marks[a->topic], was = *mark;
    *mark = (struct topic_mark){.cohort = m->place->assignment.cohort,
                                .number = a->topic == AGENT_TOPIC_HEADS
                                              ? topic_lane(&m->id, a->lanes_log2)
                                              : m->trust->trust.version + 1};
    if (m->subscribed[a->topic] && memcmp(&was, mark, sizeof was) != 0) {
        struct topic_mark now = *mark;
        *mark = was;
        topics_of(m, a->topic, topics);
        seat_unsubscribe(c, m, &(const char *){topics[0].text}, 1);
        *mark = now;
    }
    size_t count = topics_of(m, a->topic, topics);
    const char *texts[] = {topics[0].text, topics[1].text};
    seat_subscribe(c, m, texts, count);
    m->subscribed[a->topic] = true;
}

static void unsubscribe(struct crowd *c, struct member *m, enum agent_topic topic)
{
    struct topic topics[2];
    size_t count = topics_of(m, topic, topics);
    const char *texts[] = {topics[0].text, topics[1].text};
    if (m->subscribed[topic])
        seat_unsubscribe(c, m, texts, count);
    m->subscribed[topic] = false;
}

/* The heads are two: the cohort's comes first, its own last. */
static size_t topics_of(const struct member *m, enum agent_topic topic, struct topic out[2])
{
    static const enum topic_kind kinds[AGENT_TOPIC_COUNT] = {
        [AGENT_TOPIC_HEADS] = TOPIC_COHORT_HEAD,    [AGENT_TOPIC_DOCUMENT] = TOPIC_COHORT_DOC,
        [AGENT_TOPIC_ASSIGNMENT] = TOPIC_AGENT_DOC, [AGENT_TOPIC_TRUST] = TOPIC_TRUST,
        [AGENT_TOPIC_ATLAS] = TOPIC_ATLAS,
    };
    const struct topic_mark *mark = &m->marks[topic];
    out[0] = topic_make(&(struct topic_name){.kind = kinds[topic],
                                             .agent = m->id,
                                             .cohort = mark->cohort,
                                             .lane = mark->number,
                                             .version = mark->number});
    out[1] = topic_make(&(struct topic_name){.kind = TOPIC_AGENT_HEAD, .agent = m->id});
    return topic == AGENT_TOPIC_HEADS ? 2 : 1;
}
