#include "simulator/world/device.h"
#include "sync/renewal.h"

#include <assert.h>

static void turned_back(void *context, uint64_t life, void *payload);
static void give_up(void *context, uint64_t attempt, void *payload);
static void leave_door(struct device *d, int rv);
static void send_request(struct device *d, const struct topic_name *ask,
                         const struct topic_name *answer);

/* Over the link to its cell. */
void device_renewal_ask(struct device *d)
{
    send_request(d, &(struct topic_name){.kind = TOPIC_UP, .agent = d->disk.id},
                 &(struct topic_name){.kind = TOPIC_AGENT_CERTIFICATE, .agent = d->disk.id});
}

void device_renewal_knock(struct device *d)
{
    d->knocking = true;
    stage_trace(d->stage, "%s knocks at the door", device_name(d));
    if (device_link_believes(d, d->disk.trust.authorities, d->disk.trust.authority_count))
        client_connect(d->client, 30, NULL, SPAN_NONE);
    else
        stage_at(d->stage, d->stage->now_ms + BROKER_REFUSED_MS, turned_back, d, d->life, NULL);
}

void device_renewal_up(struct device *d)
{
    for (size_t i = 0; i < sizeof d->attempt.bytes; i++)
        d->attempt.bytes[i] = (uint8_t)rng_next(&d->stage->rng);
    send_request(d, &(struct topic_name){.kind = TOPIC_JOIN, .join = d->attempt},
                 &(struct topic_name){.kind = TOPIC_JOINED, .join = d->attempt});
    stage_at(d->stage, d->stage->now_ms + DEVICE_KNOCK_MS, give_up, d, d->renewal_nonce, NULL);
}

void device_renewal_down(struct device *d)
{
    d->knocking = false;
    device_feed(d, &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = ERR_IO}, NULL);
}

static void turned_back(void *context, uint64_t life, void *payload)
{
    struct device *d = context;
    (void)payload;
    if (life == d->life && d->knocking)
        device_renewal_down(d);
}

static void give_up(void *context, uint64_t attempt, void *payload)
{
    struct device *d = context;
    (void)payload;
    if (d->knocking && d->renewal_nonce == attempt)
        leave_door(d, ERR_TIMEOUT);
}

static void leave_door(struct device *d, int rv)
{
    client_close(d->client);
    d->knocking = false;
    device_feed(d, &(struct agent_event){.type = AGENT_LINK_DOWN, .rv = rv}, NULL);
}

static void send_request(struct device *d, const struct topic_name *ask,
                         const struct topic_name *answer)
{
    uint8_t memory[RENEWAL_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    d->renewal_nonce = rng_next(&d->stage->rng);
    struct renewal r = {.number = d->disk.number, .key = d->disk.key, .nonce = d->renewal_nonce};
    int rv = renewal_write(&r, &d->disk.mac, &out);
    assert(rv == 0);
    (void)rv;
    stage_trace(d->stage, "%s asks for a certificate", device_name(d));
    client_subscribe(d->client, topic_make(answer).text);
    client_publish(d->client, topic_make(ask).text, span_buffer(&out), false);
}

/* What is no answer to the newest request is ignored. */
void device_renewal_take(struct device *d, struct span payload)
{
    struct renewed r;
    struct certificate c;
    if (renewed_read(payload, d->renewal_nonce, &d->disk.mac, &r) < 0)
        return;
    if (r.code == JOINED_REVOKED)
        device_feed(d, &(struct agent_event){.type = AGENT_SHUT_OUT}, NULL);
    if (r.code == JOINED_ACCEPTED && certificate_read(r.certificate, &c) == 0) {
        struct incoming in = {.certificate = r.certificate};
        struct agent_event ev = {.type = AGENT_CERTIFICATE,
                                 .certificate_until_s = c.not_after_s,
                                 .certificate_moved =
                                     strcmp(c.issuer, d->disk.certificate_issuer) != 0};
        device_feed(d, &ev, &in);
    }
    if (d->knocking)
        leave_door(d, r.code == JOINED_ACCEPTED ? 0 : ERR_REFUSED);
}
