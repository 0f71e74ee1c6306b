#include "simulator/world/device.h"
#include "simulator/world/notary.h"

#include <assert.h>

static void connect_broker(struct device *d);
static void ask(struct device *d);
static void ask_again(void *context, uint64_t life, void *payload);
static void connect_again(void *context, uint64_t life, void *payload);
static int accept_answer(struct device *d, const struct joined *j);

/* The key is durable before anybody hears of it: every retry is by the same device. */
void device_join_start(struct device *d)
{
    d->state = DEVICE_JOINING;
    if (!d->disk.keyed) {
        if (device_point(d))
            return;
        d->disk.secret = notary_secret(1000 + d->index);
        d->disk.key = notary_public(&d->disk.secret);
        d->disk.id = key_id_of(&d->disk.key);
        d->disk.keyed = true;
    }
    if (!device_point(d))
        connect_broker(d);
}

/* The token says whom to believe. */
static void connect_broker(struct device *d)
{
    struct key_id authority;
    memcpy(authority.bytes, d->token.authority, sizeof authority.bytes);
    if (device_link_believes(d, &authority, 1))
        client_connect(d->client, 30, NULL, SPAN_NONE);
    else
        device_join_down(d);
}

void device_join_up(struct device *d)
{
    ask(d);
}

void device_join_down(struct device *d)
{
    stage_at(d->stage, d->stage->now_ms + DEVICE_JOIN_AGAIN_MS, connect_again, d, d->life, NULL);
}

static void connect_again(void *context, uint64_t life, void *payload)
{
    struct device *d = context;
    (void)payload;
    if (life == d->life && d->state == DEVICE_JOINING)
        connect_broker(d);
}

static void fill_random(struct device *d, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rng_next(&d->stage->rng);
}

/* Each request has a name of its own, to which the answer comes. */
static void ask(struct device *d)
{
    uint8_t memory[JOIN_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct seal_nonce nonce;
    struct join join = {.key = d->disk.key, .facts = d->disk.facts};
    struct topic_name name = {.kind = TOPIC_JOINED};
    fill_random(d, nonce.bytes, sizeof nonce.bytes);
    fill_random(d, d->attempt.bytes, sizeof d->attempt.bytes);
    fill_random(d, d->reply.bytes, sizeof d->reply.bytes);
    join.reply = d->reply;
    name.join = d->attempt;
    int rv = join_prove(&join, &d->disk.secret, &d->token, &d->attempt);
    if (rv == 0)
        rv = join_write(&join, &d->token, &d->attempt, &nonce, &out);
    assert(rv == 0);
    if (device_point(d))
        return;
    stage_trace(d->stage, "%s asks to join", device_name(d));
    client_subscribe(d->client, topic_make(&name).text);
    name.kind = TOPIC_JOIN;
    client_publish(d->client, topic_make(&name).text, span_buffer(&out), false);
    stage_at(d->stage, d->stage->now_ms + DEVICE_JOIN_AGAIN_MS, ask_again, d, d->life, NULL);
}

static void ask_again(void *context, uint64_t life, void *payload)
{
    struct device *d = context;
    (void)payload;
    bool waiting = d->state == DEVICE_JOINING && d->refused == JOINED_ACCEPTED;
    if (life == d->life && waiting && client_is_up(d->client))
        ask(d);
}

void device_join_message(struct device *d, const struct topic_name *name, struct span payload)
{
    uint8_t memory[JOINED_MAX];
    struct buffer plain = buffer_on(memory, sizeof memory);
    struct joined j;
    if (name->kind != TOPIC_JOINED || memcmp(&name->join, &d->attempt, sizeof d->attempt) != 0)
        return;
    struct seal_secret secret = join_secret(&d->token.secret, &d->reply);
    int rv = joined_read(payload, &secret, &d->attempt, &plain, &j);
    if (rv <= 0 || device_point(d))
        return; /* only what is sealed counts */
    if (j.code == JOINED_WAITING) {
        stage_trace(d->stage, "%s has to wait for an operator", device_name(d));
        return;
    }
    if (j.code != JOINED_ACCEPTED) {
        stage_trace(d->stage, "%s is refused: %s", device_name(d), joined_code_text(j.code));
        d->refused = j.code;
        return;
    }
    if (accept_answer(d, &j) < 0) {
        stage_fault(d->stage, "%s: the answer to its join doesn't hold", device_name(d));
        return;
    }
    stage_trace(d->stage, "%s joins as number %u", device_name(d), (unsigned)j.number);
    if (device_point(d))
        return;
    /* The join command ends, and the agent starts. */
    client_close(d->client);
    d->state = DEVICE_OFF;
    device_start(d);
}

static int accept_answer(struct device *d, const struct joined *j)
{
    struct span body;
    struct assignment assignment;
    struct trust trust;
    struct root_pin pin;
    memcpy(pin.bytes, d->token.root, sizeof pin.bytes);
    int rv = notary_walk(&pin, j->trust, j->trust_count, &trust);
    if (rv == 0)
        rv = notary_open(&trust, TRUST_ONLINE, MESSAGE_ASSIGNMENT, j->assignment, &body);
    if (rv == 0)
        rv = assignment_read(body, &assignment);
    if (rv == 0 && !key_id_equal(&assignment.agent, &d->disk.id))
        rv = ERR_FOREIGN;
    if (rv == 0)
        disk_join(&d->disk, j, &assignment, &trust);
    return rv;
}
