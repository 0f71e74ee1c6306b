#include "simulator/load/packet.h"

#include <assert.h>

/* A length has at most four bytes behind the header's first (MQTT 3.1.1, 2.2.3). */
#define LENGTH_BYTES_MAX 4
#define CONNECT_CLEAN 0x02
#define CONNECT_WILL 0x04
#define CONNECT_WILL_QOS1 0x08
#define PUBLISH_RETAIN 0x01
#define PUBLISH_QOS1 0x02

static int read_length(struct span bytes, uint32_t *length);
static int read_body(uint8_t head, struct span body, struct packet *p);
static int read_publish(uint8_t flags, struct span body, struct packet *p);
static int read_suback(struct span body, struct packet *p);
static uint16_t number(const uint8_t *at);
static size_t header_len(size_t body);
static bool begin(struct buffer *out, uint8_t head, size_t body);
static void put_byte(struct buffer *out, uint8_t byte);
static void put_number(struct buffer *out, uint16_t value);
static void put_bytes(struct buffer *out, struct span bytes);
static void put_text(struct buffer *out, const char *text);
static int put_topics(struct buffer *out, uint8_t head, uint16_t id, const char *const *topics,
                      size_t count, int qos);

/* ---- reading ---- */

int packet_read(struct span bytes, struct packet *p)
{
    uint32_t length;
    *p = (struct packet){0};
    if (bytes.len < 2)
        return 0;
    int used = read_length(span_of(bytes.data + 1, bytes.len - 1), &length);
    if (used <= 0)
        return used;
    size_t start = 1 + (size_t)used;
    if (length > PACKET_BODY_MAX)
        return ERR_RANGE;
    if (bytes.len - start < length)
        return 0;
    int rv = read_body(bytes.data[0], span_of(bytes.data + start, length), p);
    return rv < 0 ? rv : (int)(start + length);
}

/* How many bytes it takes; 0: more have to come. */
static int read_length(struct span bytes, uint32_t *length)
{
    *length = 0;
    for (size_t i = 0; i < LENGTH_BYTES_MAX; i++) {
        if (i == bytes.len)
            return 0;
        *length |= (uint32_t)(bytes.data[i] & 0x7f) << (7 * i);
        if (!(bytes.data[i] & 0x80))
            return (int)i + 1;
    }
    return ERR_FORMAT;
}

static int read_body(uint8_t head, struct span body, struct packet *p)
{
    p->type = (enum packet_type)(head >> 4);
    if (p->type == PACKET_PUBLISH)
        return read_publish(head & 0x0f, body, p);
    if (head & 0x0f)
        return ERR_FORMAT;
    if (p->type == PACKET_SUBACK)
        return read_suback(body, p);
    if (p->type == PACKET_PINGRESP)
        return body.len == 0 ? 0 : ERR_FORMAT;
    bool known =
        p->type == PACKET_CONNACK || p->type == PACKET_PUBACK || p->type == PACKET_UNSUBACK;
    if (!known || body.len != 2)
        return ERR_FORMAT;
    if (p->type == PACKET_CONNACK)
        p->code = body.data[1];
    else
        p->id = number(body.data);
    return 0;
}

static int read_publish(uint8_t flags, struct span body, struct packet *p)
{
    p->qos = flags >> 1 & 3;
    p->retained = flags & PUBLISH_RETAIN;
    if (p->qos > 1 || body.len < 2)
        return ERR_FORMAT;
    size_t len = number(body.data), start = 2 + len + (p->qos ? 2 : 0);
    if (body.len < start)
        return ERR_FORMAT;
    p->topic = span_of(body.data + 2, len);
    if (p->qos)
        p->id = number(body.data + 2 + len);
    p->payload = span_of(body.data + start, body.len - start);
    return 0;
}

static int read_suback(struct span body, struct packet *p)
{
    if (body.len < 3)
        return ERR_FORMAT;
    p->id = number(body.data);
    for (size_t i = 2; i < body.len; i++)
        if (body.data[i] > p->code)
            p->code = body.data[i];
    return 0;
}

static uint16_t number(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* ---- writing ---- */

int packet_put_connect(struct buffer *out, const struct packet_connect *c)
{
    size_t body = 10 + 2 + strlen(c->client_id);
    uint8_t flags = CONNECT_CLEAN;
    if (c->will_topic) {
        body += 2 + strlen(c->will_topic) + 2 + c->will.len;
        flags |= CONNECT_WILL | CONNECT_WILL_QOS1;
    }
    if (!begin(out, PACKET_CONNECT << 4, body))
        return ERR_NO_MEMORY;
    put_text(out, "MQTT");
    put_byte(out, 4); /* 3.1.1 */
    put_byte(out, flags);
    put_number(out, c->keepalive_s);
    put_text(out, c->client_id);
    if (c->will_topic) {
        put_text(out, c->will_topic);
        put_number(out, (uint16_t)c->will.len);
        put_bytes(out, c->will);
    }
    return 0;
}

int packet_put_publish(struct buffer *out, uint16_t id, const char *topic, struct span payload,
                       bool retain)
{
    uint8_t flags = (uint8_t)((retain ? PUBLISH_RETAIN : 0) | (id ? PUBLISH_QOS1 : 0));
    size_t body = 2 + strlen(topic) + (id ? 2 : 0) + payload.len;
    if (!begin(out, (uint8_t)(PACKET_PUBLISH << 4 | flags), body))
        return ERR_NO_MEMORY;
    put_text(out, topic);
    if (id)
        put_number(out, id);
    put_bytes(out, payload);
    return 0;
}

int packet_put_puback(struct buffer *out, uint16_t id)
{
    if (!begin(out, PACKET_PUBACK << 4, 2))
        return ERR_NO_MEMORY;
    put_number(out, id);
    return 0;
}

int packet_put_subscribe(struct buffer *out, uint16_t id, const char *const *topics, size_t count,
                         uint8_t qos)
{
    return put_topics(out, PACKET_SUBSCRIBE << 4 | 2, id, topics, count, qos);
}

int packet_put_unsubscribe(struct buffer *out, uint16_t id, const char *const *topics, size_t count)
{
    return put_topics(out, PACKET_UNSUBSCRIBE << 4 | 2, id, topics, count, -1);
}

int packet_put_bare(struct buffer *out, enum packet_type type)
{
    return begin(out, (uint8_t)(type << 4), 0) ? 0 : ERR_NO_MEMORY;
}

/* With a QoS behind each topic, or none. */
static int put_topics(struct buffer *out, uint8_t head, uint16_t id, const char *const *topics,
                      size_t count, int qos)
{
    size_t body = 2;
    assert(count > 0 && count <= PACKET_TOPICS_MAX);
    for (size_t i = 0; i < count; i++)
        body += 2 + strlen(topics[i]) + (qos >= 0);
    if (!begin(out, head, body))
        return ERR_NO_MEMORY;
    put_number(out, id);
    for (size_t i = 0; i < count; i++) {
        put_text(out, topics[i]);
        if (qos >= 0)
            put_byte(out, (uint8_t)qos);
    }
    return 0;
}

static size_t header_len(size_t body)
{
    return body < 1u << 7 ? 2 : body < 1u << 14 ? 3 : body < 1u << 21 ? 4 : 5;
}

/* False when header and body don't fit. */
static bool begin(struct buffer *out, uint8_t head, size_t body)
{
    if (out->cap - out->len < header_len(body) + body)
        return false;
    put_byte(out, head);
    do {
        put_byte(out, (uint8_t)((body & 0x7f) | (body > 0x7f ? 0x80 : 0)));
        body >>= 7;
    } while (body > 0);
    return true;
}

static void put_byte(struct buffer *out, uint8_t byte)
{
    out->data[out->len++] = byte;
}

static void put_number(struct buffer *out, uint16_t value)
{
    put_byte(out, (uint8_t)(value >> 8));
    put_byte(out, (uint8_t)value);
}

static void put_bytes(struct buffer *out, struct span bytes)
{
    if (bytes.len > 0)
        memcpy(out->data + out->len, bytes.data, bytes.len);
    out->len += bytes.len;
}

static void put_text(struct buffer *out, const char *text)
{
    put_number(out, (uint16_t)strlen(text));
    put_bytes(out, span_text(text));
}
