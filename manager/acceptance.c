#include "manager/acceptance.h"

#include "crypto/random.h"

#include <stdlib.h>

static int sign(struct acceptance *a, struct buffer *assignment, struct buffer *certificate);
static struct span copy(uint8_t **at, struct span bytes);
static int keep(struct acceptance *a, struct span written);

struct acceptance *acceptance_new(const struct keyring *k, const struct span *trust,
                                  uint32_t trust_count, struct span assignment)
{
    size_t len = assignment.len;
    for (uint32_t i = 0; i < trust_count; i++)
        len += trust[i].len;
    struct acceptance *a = calloc(1, sizeof *a + len);
    if (!a)
        return NULL;
    a->authority = k->authority;
    a->issuer = certificate_authority_name(&k->authority_id);
    uint8_t *at = a->kept;
    for (uint32_t i = 0; i < trust_count; i++)
        a->joined.trust[i] = copy(&at, trust[i]);
    a->joined.trust_count = trust_count;
    a->assignment = copy(&at, assignment);
    return a;
}

static struct span copy(uint8_t **at, struct span bytes)
{
    struct span copied = span_of(*at, bytes.len);
    memcpy(*at, bytes.data, bytes.len);
    *at += bytes.len;
    return copied;
}

void acceptance_free(struct acceptance *a)
{
    if (!a)
        return;
    free(a->bytes);
    explicit_bzero(a, sizeof *a);
    free(a);
}

void acceptance_write(void *job)
{
    struct acceptance *a = job;
    uint8_t assignment[ASSIGNMENT_SIGNED_MAX], certificate[CERTIFICATE_MAX];
    uint8_t written[JOINED_MAX + ENVELOPE_OVERHEAD];
    struct buffer parts[] = {buffer_on(assignment, sizeof assignment),
                             buffer_on(certificate, sizeof certificate)};
    struct buffer out = buffer_on(written, sizeof written);
    struct seal_nonce nonce;
    a->rv = sign(a, &parts[0], &parts[1]);
    if (a->rv < 0)
        return;
    a->joined.assignment = span_buffer(&parts[0]);
    a->joined.certificate = span_buffer(&parts[1]);
    random_bytes(nonce.bytes, sizeof nonce.bytes);
    a->rv = joined_write(&a->joined, &a->secret, &a->id, &nonce, &out);
    if (a->rv == 0)
        a->rv = keep(a, span_buffer(&out));
}

static int sign(struct acceptance *a, struct buffer *assignment, struct buffer *certificate)
{
    int rv = pile_write(a->pile, MESSAGE_ASSIGNMENT, a->place, a->assignment, assignment);
    return rv < 0 ? rv
                  : certificate_make(&a->certificate, &a->authority, a->issuer.text, certificate);
}

static int keep(struct acceptance *a, struct span written)
{
    a->bytes = malloc(written.len);
    if (!a->bytes)
        return ERR_NO_MEMORY;
    memcpy(a->bytes, written.data, written.len);
    a->len = written.len;
    return 0;
}
