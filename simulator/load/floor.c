#include "simulator/load/floor.h"

#include "simulator/load/crowd.h"

#include <stdio.h>

#define TOPIC_LEN 96
/* Nothing is heard of a bare client until all others have come as far. */
#define KEEPALIVE_S UINT16_MAX

const struct floor_topics FLOOR_PLAIN = {.up = "floor/up/",
                                         .own = "floor/agent/",
                                         .head = "floor/head/",
                                         .document = "floor/doc/",
                                         .chunk = "floor/chunk/"};
const struct floor_topics FLOOR_TLS = {.up = "dl1/up/",
                                       .own = "dl1/agent/",
                                       .head = "dl1/cohort/floor-head-",
                                       .document = "dl1/cohort/floor-doc-",
                                       .chunk = "dl1/chunk/floor-"};

static const struct floor_topics *topics_of(const struct crowd *c);
static void say(struct crowd *c, struct member *m, const char *topic, size_t len);
static void say_up(struct crowd *c, struct member *m, size_t len);
static void ask_for_chunks(struct crowd *c, struct member *m);
static void hear(struct crowd *c, struct member *m, const struct packet *p);
static void hear_chunk(struct crowd *c, struct member *m, const struct packet *p);
static void group_topic(const struct crowd *c, const struct member *m, const char *begin,
                        char out[static TOPIC_LEN]);
static void own_topic(const struct member *m, const char *begin, const char *end,
                      char out[static TOPIC_LEN]);
static bool begins(struct span topic, const char *begin);

void floor_play(struct crowd *c, struct member *m, enum floor_type what)
{
    m->bare = BARE_BUSY;
    switch (what) {
    case FLOOR_JOIN:
        crowd_want(c, m, CROWD_DOOR);
        break;
    case FLOOR_CONNECT:
        crowd_want(c, m, m->cells[0]);
        break;
    case FLOOR_STATUS:
        say_up(c, m, FLOOR_STATUS_LEN);
        m->bare = BARE_DONE;
        break;
    case FLOOR_CONTENT:
        ask_for_chunks(c, m);
        break;
    case FLOOR_NOTICE:
    case FLOOR_DOCUMENT:
        break; /* it comes, or the head does */
    case FLOOR_RETURN:
        seat_cut(c, m);
        crowd_want(c, m, m->cells[0]);
        break;
    case FLOOR_OVER:
    case FLOOR_COUNT:
        seat_cut(c, m);
        m->bare = BARE_NOT;
        break;
    }
}

void floor_opened(struct crowd *c, struct member *m)
{
    static const uint8_t will[FLOOR_WILL_LEN];
    struct key_id_hex id = key_id_hex(&m->id);
    char topic[TOPIC_LEN];
    bool door = m->cell == CROWD_DOOR;
    own_topic(m, topics_of(c)->up, "", topic);
    line_greet(&c->hub, &m->line,
               &(struct packet_connect){.client_id = id.text,
                                        .keepalive_s = KEEPALIVE_S,
                                        .will_topic = door ? NULL : topic,
                                        .will = span_of(will, sizeof will)});
}

void floor_packet(struct crowd *c, struct member *m, const struct packet *p)
{
    char topics[2][TOPIC_LEN];
    const char *texts[] = {topics[0], topics[1]};
    bool door = m->cell == CROWD_DOOR;
    if (p->type == PACKET_CONNACK && door) {
        own_topic(m, FLOOR_TOPIC_JOINED, "", topics[0]);
        line_subscribe(&c->hub, &m->line, texts, 1, 1);
    } else if (p->type == PACKET_CONNACK) {
        group_topic(c, m, topics_of(c)->head, topics[0]);
        own_topic(m, topics_of(c)->own, "/head", topics[1]);
        if (m->trunk && c->floor == FLOOR_RETURN) /* as no broker does it */
            say_up(c, m, FLOOR_WILL_LEN);
        seat_subscribe(c, m, texts, 2);
        say_up(c, m, FLOOR_HELLO_LEN);
    } else if (p->type == PACKET_SUBACK && door) {
        own_topic(m, FLOOR_TOPIC_JOIN, "", topics[0]);
        say(c, m, topics[0], FLOOR_REQUEST_LEN);
    } else if (p->type == PACKET_PUBLISH) {
        hear(c, m, p);
    }
}

/* The porter may have no place for another one just then. */
void floor_down(struct crowd *c, struct member *m)
{
    if (m->cell == CROWD_DOOR && m->bare == BARE_BUSY)
        crowd_want(c, m, CROWD_DOOR);
    else if (m->cell != CROWD_DOOR)
        crowd_fault(c, m, "its bare client was cut off");
}

/* All that are few enough to be asked for at a time, as agents do. */
static void ask_for_chunks(struct crowd *c, struct member *m)
{
    char topics[FLOOR_CHUNKS][TOPIC_LEN];
    const char *texts[FLOOR_CHUNKS];
    if (!script_fetches(&c->options.script, crowd_agent(c, m))) {
        m->bare = BARE_DONE;
        return;
    }
    for (unsigned i = 0; i < FLOOR_CHUNKS; i++) {
        snprintf(topics[i], TOPIC_LEN, FLOOR_CHUNK_TOPIC, topics_of(c)->chunk, i);
        texts[i] = topics[i];
    }
    m->chunks = FLOOR_CHUNKS;
    seat_subscribe(c, m, texts, FLOOR_CHUNKS);
}

static void hear_chunk(struct crowd *c, struct member *m, const struct packet *p)
{
    char topic[TOPIC_LEN];
    snprintf(topic, sizeof topic, "%.*s", (int)p->topic.len, (const char *)p->topic.data);
    seat_unsubscribe(c, m, &(const char *){topic}, 1);
    if (--m->chunks == 0)
        m->bare = BARE_DONE;
}

static void hear(struct crowd *c, struct member *m, const struct packet *p)
{
    char topic[TOPIC_LEN];
    const char *text = topic;
    const struct floor_topics *t = topics_of(c);
    group_topic(c, m, t->document, topic);
    if (begins(p->topic, t->head) && (c->floor == FLOOR_RETURN || c->floor == FLOOR_NOTICE)) {
        m->bare = BARE_DONE;
    } else if (begins(p->topic, t->head)) {
        seat_subscribe(c, m, &text, 1);
    } else if (begins(p->topic, t->document)) {
        seat_unsubscribe(c, m, &text, 1);
        if (c->floor == FLOOR_DOCUMENT)
            say_up(c, m, FLOOR_STATUS_LEN);
        m->bare = BARE_DONE;
    } else if (begins(p->topic, t->chunk) && m->chunks > 0) {
        hear_chunk(c, m, p);
    } else if (begins(p->topic, FLOOR_TOPIC_JOINED)) {
        line_leave(&c->hub, &m->line);
        crowd_greeted(c, m);
        m->bare = BARE_DONE;
    }
}

static const struct floor_topics *topics_of(const struct crowd *c)
{
    return c->options.keys ? &FLOOR_TLS : &FLOOR_PLAIN;
}

static bool begins(struct span topic, const char *begin)
{
    size_t len = strlen(begin);
    return topic.len >= len && memcmp(topic.data, begin, len) == 0;
}

static void say_up(struct crowd *c, struct member *m, size_t len)
{
    char topic[TOPIC_LEN];
    own_topic(m, topics_of(c)->up, "", topic);
    say(c, m, topic, len);
}

static void say(struct crowd *c, struct member *m, const char *topic, size_t len)
{
    static const uint8_t payload[FLOOR_ANSWER_LEN];
    seat_publish(c, m, topic, span_of(payload, len));
}

static void group_topic(const struct crowd *c, const struct member *m, const char *begin,
                        char out[static TOPIC_LEN])
{
    snprintf(out, TOPIC_LEN, "%s%u/0", begin, script_group(crowd_agent(c, m)) % FLOOR_GROUPS);
}

static void own_topic(const struct member *m, const char *begin, const char *end,
                      char out[static TOPIC_LEN])
{
    snprintf(out, TOPIC_LEN, "%s%s%s", begin, key_id_hex(&m->id).text, end);
}
