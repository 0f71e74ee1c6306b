#include "sync/packets.h"

/* What a server sends to a client that asks for QoS 0 and 1 only (MQTT 3.1.1, 2.2.1). */
enum packet { CONNACK = 2, PUBLISH = 3, PUBACK = 4, SUBACK = 9, UNSUBACK = 11, PINGRESP = 13 };

/* A length has at most four bytes behind the header's first. */
#define HEADER_MAX 5

struct packet_rule {
    bool known;
    uint32_t body_max; /* 0xffffffff: the caller's */
};

#define CALLERS UINT32_MAX

static const struct packet_rule rules[16] = {
    [CONNACK] = {.known = true, .body_max = 2},
    [PUBLISH] = {.known = true, .body_max = CALLERS},
    [PUBACK] = {.known = true, .body_max = 2},
    [SUBACK] = {.known = true, .body_max = PACKETS_SUBACK_MAX},
    [UNSUBACK] = {.known = true, .body_max = 2},
    [PINGRESP] = {.known = true, .body_max = 0},
};

static size_t skip_body(struct packets *p, size_t len);
static int take_header(struct packets *p, uint8_t byte, uint32_t body_max, struct errmsg *em);
static int check_kind(uint8_t head, struct errmsg *em);
static int check_length(const struct packets *p, uint32_t body_max, struct errmsg *em);

int packets_follow(struct packets *p, struct span bytes, uint32_t body_max, struct errmsg *em)
{
    int rv = 0;
    for (size_t i = 0; i < bytes.len && rv == 0;) {
        if (p->body_left > 0)
            i += skip_body(p, bytes.len - i);
        else
            rv = take_header(p, bytes.data[i++], body_max, em);
    }
    return rv;
}

static size_t skip_body(struct packets *p, size_t len)
{
    size_t n = len < p->body_left ? len : p->body_left;
    p->body_left -= (uint32_t)n;
    return n;
}

static int take_header(struct packets *p, uint8_t byte, uint32_t body_max, struct errmsg *em)
{
    if (p->header_bytes == 0) {
        *p = (struct packets){.head = byte, .header_bytes = 1};
        return check_kind(byte, em);
    }
    p->length |= (uint32_t)(byte & 0x7f) << (7 * (p->header_bytes - 1));
    p->header_bytes++;
    bool more = byte & 0x80;
    int rv = check_length(p, body_max, em);
    if (rv == 0 && more && p->header_bytes == HEADER_MAX)
        rv = errmsg_set(em, ERR_FORMAT, "the broker sent a packet without an end to its length");
    if (rv == 0 && !more)
        *p = (struct packets){.body_left = p->length};
    return rv;
}

static int check_kind(uint8_t head, struct errmsg *em)
{
    bool twice = head >> 4 == PUBLISH && (head & 0x04);
    if (rules[head >> 4].known && !twice)
        return 0;
    return errmsg_set(em, ERR_FORMAT, "the broker sent a packet that nobody asked for (0x%02x)",
                      head);
}

/* Already while the length is coming: the rest can only make it more. */
static int check_length(const struct packets *p, uint32_t body_max, struct errmsg *em)
{
    uint32_t max = rules[p->head >> 4].body_max;
    if (p->length <= (max == CALLERS ? body_max : max))
        return 0;
    return errmsg_set(em, ERR_RANGE, "the broker sent a packet of %u bytes or more", p->length);
}
