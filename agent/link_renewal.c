/* The part of link.h that asks for the next certificate, on the link to a cell or at the door. */
#include "agent/link.h"

#include "base/log.h"
#include "crypto/random.h"
#include "sync/renewal.h"

static void ask(struct link *l, const struct topic_name *answer, const struct topic_name *question);
static void tell_shut_out(struct link *l);
static int accept_certificate(struct link *l, struct span der);

void link_renew(struct link *l)
{
    const struct key_id *id = &l->store->identity.id;
    if (l->up)
        ask(l, &(struct topic_name){.kind = TOPIC_AGENT_CERTIFICATE, .agent = *id},
            &(struct topic_name){.kind = TOPIC_UP, .agent = *id});
}

void link_renewal_begin(struct link *l)
{
    ask(l, &(struct topic_name){.kind = TOPIC_JOINED, .join = l->attempt},
        &(struct topic_name){.kind = TOPIC_JOIN, .join = l->attempt});
}

/* The broker takes both in turn: the subscription is there before anybody can answer. */
static void ask(struct link *l, const struct topic_name *answer, const struct topic_name *question)
{
    uint8_t room[RENEWAL_MAX];
    struct buffer out = buffer_on(room, sizeof room);
    const struct identity *id = &l->store->identity;
    struct topic heard = topic_make(answer), said = topic_make(question);
    random_bytes(&l->nonce, sizeof l->nonce);
    struct renewal r = {.number = id->number, .key = id->key, .nonce = l->nonce};
    int rv = renewal_write(&r, &id->mac, &out);
    if (rv == 0)
        rv = mqtt_subscribe(l->mqtt, &(const char *){heard.text}, 1, 0);
    if (rv >= 0)
        rv = mqtt_publish(l->mqtt, said.text, span_buffer(&out), 1, false);
    if (rv < 0)
        log_event(LOG_WARN, "renewal-not-sent", "error=%s", err_name(rv));
}

void link_renewal_take(struct link *l, struct span payload)
{
    struct renewed r;
    int rv = renewed_read(payload, l->nonce, &l->store->identity.mac, &r);
    if (rv < 0) {
        log_event(LOG_DEBUG, "renewal-ignored", "error=%s", err_name(rv));
        return;
    }
    if (r.code == JOINED_REVOKED)
        tell_shut_out(l);
    if (r.code == JOINED_ACCEPTED)
        rv = accept_certificate(l, r.certificate);
    else
        rv = ERR_REFUSED;
    if (rv < 0)
        log_event(LOG_WARN, "renewal-refused", "reason=\"%s\"",
                  rv == ERR_REFUSED ? renewed_code_text(r.code) : err_name(rv));
    l->answered = l->at_door;
    l->answer = rv;
}

static void tell_shut_out(struct link *l)
{
    struct agent_event ev = {.type = AGENT_SHUT_OUT};
    l->handler.event(l->handler.context, &ev, NULL);
}

/* The MAC says that the manager sent it; whether it can be of use is looked at here. */
static int accept_certificate(struct link *l, struct span der)
{
    struct certificate c;
    int rv = certificate_read(der, &c);
    if (rv == 0 &&
        (c.use != CERTIFICATE_CLIENT || memcmp(&c.key, &l->store->identity.key, sizeof c.key) != 0))
        rv = ERR_FOREIGN;
    if (rv < 0)
        return rv;
    struct agent_event ev = {
        .type = AGENT_CERTIFICATE,
        .certificate_until_s = c.not_after_s,
        .certificate_moved = strcmp(c.issuer, l->store->identity.certificate_issuer) != 0,
    };
    struct store_incoming in = {.certificate = der};
    l->handler.event(l->handler.context, &ev, &in);
    return 0;
}
