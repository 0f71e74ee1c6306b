#include "base/hex.h"
#include "crypto/certificate.h"
#include "simulator/load/crowd.h"
#include "sync/join.h"

#include <stdlib.h>

static void ask(struct crowd *c, struct member *m);
static void take_answer(struct crowd *c, struct member *m, struct span payload);
static const char *accept_answer(struct crowd *c, struct member *m, const struct joined *j);
static const char *take_certificate(struct crowd *c, struct member *m, struct span der);
static bool take_cells(struct crowd *c, struct member *m, const struct joined *j);

static void fill_random(struct crowd *c, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rng_next(&c->rng);
}

static struct topic topic_for(const struct member *m, enum topic_kind kind)
{
    return topic_make(&(struct topic_name){.kind = kind, .join = m->attempt});
}

void member_join(struct crowd *c, struct member *m)
{
    m->state = MEMBER_JOINING;
    crowd_want(c, m, CROWD_DOOR);
}

void member_join_opened(struct crowd *c, struct member *m)
{
    char name[2 * JOIN_ID_LEN + 1];
    fill_random(c, m->attempt.bytes, sizeof m->attempt.bytes);
    hex_write(span_of(m->attempt.bytes, sizeof m->attempt.bytes), name);
    m->asked = false;
    line_greet(&c->hub, &m->line, &(struct packet_connect){.client_id = name, .keepalive_s = 60});
    crowd_arm(c, m, c->now_ms + MEMBER_JOIN_AGAIN_MS);
}

void member_join_packet(struct crowd *c, struct member *m, const struct packet *p)
{
    struct topic answer = topic_for(m, TOPIC_JOINED);
    if (p->type == PACKET_CONNACK)
        line_subscribe(&c->hub, &m->line, &(const char *){answer.text}, 1, 1);
    else if (p->type == PACKET_SUBACK && !m->asked)
        ask(c, m);
    else if (p->type == PACKET_PUBLISH && span_equal(p->topic, span_text(answer.text)))
        take_answer(c, m, p->payload);
}

void member_join_down(struct crowd *c, struct member *m)
{
    c->options.board->retries++;
    crowd_arm(c, m, c->now_ms + MEMBER_KNOCK_AGAIN_MS);
}

/* No answer came, or it wasn't let in. */
void member_join_wake(struct crowd *c, struct member *m)
{
    if (m->line.fd_plus > 0)
        member_cut(c, m);
    else
        crowd_want(c, m, CROWD_DOOR);
}

/* Nobody listens to a simulated device, and a million remember nothing for it. */
static struct seal_secret reply_of(const struct member *m)
{
    struct seal_secret reply = {{0}};
    memcpy(reply.bytes, m->attempt.bytes, sizeof m->attempt.bytes);
    return reply;
}

static void ask(struct crowd *c, struct member *m)
{
    static struct join request;
    uint8_t room[JOIN_MAX];
    struct buffer out = buffer_on(room, sizeof room);
    struct seal_nonce nonce;
    const struct device_seed *seed = crowd_seed(c, m);
    fill_random(c, nonce.bytes, sizeof nonce.bytes);
    request = (struct join){
        .key = seed->key.public,
        .reply = reply_of(m),
        .facts = {.count = 2, .list = {{"arch", "aarch64"}, {"model", "Edge Box 3"}}}};
    m->asked = true;
    if (join_prove(&request, &seed->key.secret, &seed->token, &m->attempt) < 0 ||
        join_write(&request, &seed->token, &m->attempt, &nonce, &out) < 0)
        crowd_fault(c, m, "its request to join can't be written");
    line_publish(&c->hub, &m->line, topic_for(m, TOPIC_JOIN).text, span_buffer(&out), false);
}

static void take_answer(struct crowd *c, struct member *m, struct span payload)
{
    static struct joined answer;
    static uint8_t room[JOINED_MAX];
    struct buffer plain = buffer_on(room, sizeof room);
    struct seal_secret reply = reply_of(m);
    struct seal_secret secret = join_secret(&crowd_seed(c, m)->token.secret, &reply);
    int rv = joined_read(payload, &secret, &m->attempt, &plain, &answer);
    const char *wrong = rv < 1                           ? "the answer to its join doesn't open"
                        : answer.code != JOINED_ACCEPTED ? joined_code_text(answer.code)
                                                         : accept_answer(c, m, &answer);
    if (wrong) {
        crowd_fault(c, m, "%s", wrong);
        return;
    }
    m->state = MEMBER_JOINED;
    c->options.board->joined++;
    crowd_arm(c, m, UINT64_MAX);
    line_leave(&c->hub, &m->line);
    crowd_greeted(c, m);
}

/* NULL, or what is wrong with it. */
static const char *accept_answer(struct crowd *c, struct member *m, const struct joined *j)
{
    const struct device_seed *seed = crowd_seed(c, m);
    static struct assignment a;
    struct root_pin pin;
    memcpy(pin.bytes, seed->token.root, sizeof pin.bytes);
    m->trust = lore_walk(&c->lore, &pin, j->trust, j->trust_count);
    if (!m->trust)
        return "the answer's trust documents don't hold";
    m->place = lore_assignment(&c->lore, m->trust, j->assignment, m->checks, &a);
    if (!m->place || !key_id_equal(&a.agent, &m->id) || j->number == 0)
        return "the answer's assignment doesn't hold";
    if (!take_cells(c, m, j))
        return "the answer names no broker that can be reached";
    m->number = j->number;
    m->atlas = j->atlas;
    m->mac = j->mac;
    m->assigned = a.revision;
    m->assigned_s = a.issued_s;
    m->assignment_signer =
        trust_signer(&m->trust->trust, TRUST_ONLINE, MESSAGE_ASSIGNMENT, j->assignment);
    return take_certificate(c, m, j->certificate);
}

/* The certificate is the authority's whose name stands in it as far as anybody here looks: plain
 * links don't need it. */
static const char *take_certificate(struct crowd *c, struct member *m, struct span der)
{
    struct certificate cert;
    const struct public_key *key = &crowd_seed(c, m)->key.public;
    if (der.len == 0)
        return "the answer has no certificate";
    if (certificate_read(der, &cert) < 0 || memcmp(&cert.key, key, sizeof *key) != 0)
        return "its certificate is not for its key";
    m->certificate = c->options.keys ? malloc(der.len) : NULL;
    if (m->certificate)
        memcpy(m->certificate, der.data, m->certificate_len = der.len);
    m->certificate_from_s = cert.not_before_s;
    m->certificate_until_s = cert.not_after_s;
    return NULL;
}

static bool take_cells(struct crowd *c, struct member *m, const struct joined *j)
{
    m->cell_count = 0;
    for (uint32_t i = 0; i < j->cell_count; i++) {
        int cell = crowd_cell(c, j->cells[i]);
        if (cell < 0)
            return false;
        m->cells[m->cell_count++] = (uint8_t)cell;
    }
    return m->cell_count > 0;
}
