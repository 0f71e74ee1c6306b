#include "simulator/world/disk.h"

#include <assert.h>
#include <stdio.h>

static void adopt(struct disk *d, const struct agent_store *s, const struct incoming *in);
static void refresh_view(struct disk *d);

/* ---- sets ---- */

bool digests_has(const struct digests *s, const struct digest *d)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (digest_equal(&s->list[i], d))
            return true;
    return false;
}

void digests_add(struct digests *s, const struct digest *d)
{
    if (digests_has(s, d))
        return;
    assert(s->count < DISK_DIGESTS_MAX);
    s->list[s->count++] = *d;
}

void digests_remove_at(struct digests *s, uint32_t i)
{
    s->list[i] = s->list[--s->count];
}

/* ---- rows ---- */

int disk_write(struct disk *d)
{
    uint64_t write = ++d->writes;
    bool full = d->full_from && write >= d->full_from && write < d->full_from + d->full_for;
    d->was_full |= full;
    return full ? ERR_NO_SPACE : 0;
}

int disk_store(struct disk *d, const struct agent_out *out, const struct incoming *in)
{
    int rv = disk_write(d);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < out->store_count; i++)
        adopt(d, &out->stores[i], in);
    refresh_view(d);
    return 0;
}

/* Where the row is, or where it belongs. */
static uint32_t held_at(const struct disk *d, uint32_t deployment)
{
    uint32_t at = 0;
    while (at < d->held_count && d->held[at].deployment < deployment)
        at++;
    return at;
}

const struct held *disk_held(const struct disk *d, uint32_t deployment)
{
    uint32_t at = held_at(d, deployment);
    return at < d->held_count && d->held[at].deployment == deployment ? &d->held[at] : NULL;
}

static void adopt_held(struct disk *d, const struct held *h)
{
    uint32_t at = held_at(d, h->deployment);
    if (!disk_held(d, h->deployment)) {
        assert(d->held_count < HELD_MAX);
        memmove(&d->held[at + 1], &d->held[at], (d->held_count - at) * sizeof d->held[0]);
        d->held_count++;
    }
    d->held[at] = *h;
}

static void adopt_drop(struct disk *d, uint32_t deployment)
{
    uint32_t at = held_at(d, deployment);
    if (!disk_held(d, deployment))
        return;
    d->held_count--;
    memmove(&d->held[at], &d->held[at + 1], (d->held_count - at) * sizeof d->held[0]);
}

static void adopt_certificate(struct disk *d, struct span der)
{
    struct certificate c;
    int rv = certificate_read(der, &c);
    assert(rv == 0); /* who took it in has looked */
    (void)rv;
    d->certificate_from_s = c.not_before_s;
    d->certificate_until_s = c.not_after_s;
    memcpy(d->certificate_issuer, c.issuer, sizeof d->certificate_issuer);
}

static void adopt(struct disk *d, const struct agent_store *s, const struct incoming *in)
{
    switch (s->type) {
    case AGENT_STORE_HELD:
        adopt_held(d, s->held);
        break;
    case AGENT_STORE_DROP:
        adopt_drop(d, s->deployment);
        break;
    case AGENT_STORE_DOCUMENT:
        d->document = *in->document;
        d->document_signer = in->signer;
        break;
    case AGENT_STORE_ASSIGNMENT:
        d->assignment = *in->assignment;
        d->assignment_signer = in->signer;
        break;
    case AGENT_STORE_TRUST:
        d->trust = *in->trust;
        break;
    case AGENT_STORE_ATLAS: /* the world has one broker */
        break;
    case AGENT_STORE_CERTIFICATE:
        adopt_certificate(d, in->certificate);
        break;
    case AGENT_STORE_SEQ:
        d->seq_ceiling = s->seq;
        d->floor_s = s->floor_s;
        break;
    case AGENT_STORE_SHUT_OUT:
        d->shut_out_s = s->shut_out_s;
        break;
    }
}

static uint64_t newest_s(const struct disk *d)
{
    const uint64_t times[] = {d->document.issued_s, d->assignment.issued_s, d->certificate_from_s};
    uint64_t newest = 0;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (times[i] > newest)
            newest = times[i];
    return newest;
}

static void refresh_view(struct disk *d)
{
    d->view = (struct agent_view){
        .document = &d->document,
        .assignment = &d->assignment,
        .trust = &d->trust,
        .document_signer = d->document_signer,
        .assignment_signer = d->assignment_signer,
        .cell_count = 1,
        .home_count = 1,
        .rooted_s = d->trust.issued_s,
        .signed_s = newest_s(d),
        .certificate_from_s = d->certificate_from_s,
        .certificate_until_s = d->certificate_until_s,
        .shut_out_s = d->shut_out_s,
        .certificate_outdated =
            d->certificate_until_s != 0 && !trust_has_issuer(&d->trust, d->certificate_issuer),
        .held = d->held,
        .held_count = d->held_count,
    };
}

void disk_copy(struct disk *d, const struct disk *from)
{
    *d = *from;
    refresh_view(d);
}

void disk_join(struct disk *d, const struct joined *j, const struct assignment *assignment,
               const struct trust *trust)
{
    d->number = j->number;
    d->mac = j->mac;
    d->assignment = *assignment;
    d->trust = *trust;
    d->assignment_signer = trust_signer(trust, TRUST_ONLINE, MESSAGE_ASSIGNMENT, j->assignment);
    d->document = (struct desired){.policy = j->policy};
    if (j->certificate.len > 0)
        adopt_certificate(d, j->certificate);
    refresh_view(d);
}

/* ---- folders ---- */

const struct digest *disk_current(const struct disk *d, const char *name)
{
    for (uint32_t i = 0; i < d->current_count; i++)
        if (strcmp(d->currents[i].name, name) == 0)
            return &d->currents[i].bundle;
    return NULL;
}

void disk_switch(struct disk *d, const char *name, const struct digest *bundle)
{
    uint32_t i = 0;
    while (i < d->current_count && strcmp(d->currents[i].name, name) != 0)
        i++;
    if (digest_is_zero(bundle)) {
        if (i < d->current_count)
            d->currents[i] = d->currents[--d->current_count];
        return;
    }
    assert(i < DISK_NAMES_MAX);
    if (i == d->current_count)
        d->current_count++;
    snprintf(d->currents[i].name, sizeof d->currents[i].name, "%s", name);
    d->currents[i].bundle = *bundle;
}
