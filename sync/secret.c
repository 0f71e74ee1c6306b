#include "sync/secret.h"

#include <assert.h>

#define PURPOSE "dunlin secret"

static struct seal_secret half(struct mac_key key);
static struct seal_nonce nonce_of(const struct mac_key *fleet, struct span name, struct span value);
static int close_under(const struct seal_secret *to, const struct seal_nonce *nonce,
                       struct span name, struct span value, struct buffer *out);

struct seal_secret secret_of_agent(const struct mac_key *fleet, uint32_t number,
                                   const struct key_id *agent)
{
    return half(
        mac_derive_for(fleet, "dunlin agent secret", number, span_of(agent->bytes, KEY_ID_LEN)));
}

struct seal_secret secret_of_cohort(const struct mac_key *fleet, const struct cohort_key *cohort)
{
    return half(
        mac_derive_for(fleet, "dunlin cohort secret", 0, span_of(cohort->bytes, COHORT_KEY_LEN)));
}

struct seal_secret secret_at_rest(const struct mac_key *fleet)
{
    return half(mac_derive(fleet, "dunlin secret at rest", 0));
}

int secret_seal(const struct mac_key *fleet, const struct seal_secret *to, struct span name,
                struct span value, struct buffer *out)
{
    struct seal_nonce nonce = nonce_of(fleet, name, value);
    return close_under(to, &nonce, name, value, out);
}

int secret_open(const struct seal_secret *with, struct span name, struct span sealed,
                struct buffer *out)
{
    struct seal_nonce nonce;
    if (sealed.len < VARIABLE_SEALED_MORE)
        return ERR_SIGNATURE;
    memcpy(nonce.bytes, sealed.data, SEAL_NONCE_LEN);
    return seal_open(with, PURPOSE, &nonce, name,
                     span_of(sealed.data + SEAL_NONCE_LEN, sealed.len - SEAL_NONCE_LEN), out);
}

int secret_reseal(const struct seal_secret *from, const struct seal_secret *to, struct span name,
                  struct span sealed, struct buffer *out)
{
    uint8_t memory[VARIABLE_VALUE_MAX];
    struct buffer value = buffer_on(memory, sizeof memory);
    struct seal_nonce nonce;
    int rv = secret_open(from, name, sealed, &value);
    if (rv == 0) {
        memcpy(nonce.bytes, sealed.data, SEAL_NONCE_LEN);
        rv = close_under(to, &nonce, name, span_buffer(&value), out);
    }
    explicit_bzero(memory, sizeof memory);
    return rv;
}

void secret_cohort_seal(const struct mac_key *fleet, const struct cohort_key *cohort,
                        uint32_t number, const struct key_id *agent,
                        uint8_t out[static SECRET_COHORT_LEN])
{
    struct seal_secret to = secret_of_agent(fleet, number, agent);
    struct seal_secret key = secret_of_cohort(fleet, cohort);
    struct buffer sealed = buffer_on(out, SECRET_COHORT_LEN);
    int rv = secret_seal(fleet, &to, span_of(cohort->bytes, COHORT_KEY_LEN),
                         span_of(key.bytes, SEAL_SECRET_LEN), &sealed);
    assert(rv == 0 && sealed.len == SECRET_COHORT_LEN);
    (void)rv;
}

int secret_cohort_open(const struct seal_secret *agent, const struct cohort_key *cohort,
                       const uint8_t sealed[static SECRET_COHORT_LEN], struct seal_secret *out)
{
    struct buffer key = buffer_on(out->bytes, SEAL_SECRET_LEN);
    return secret_open(agent, span_of(cohort->bytes, COHORT_KEY_LEN),
                       span_of(sealed, SECRET_COHORT_LEN), &key);
}

static struct seal_secret half(struct mac_key key)
{
    struct seal_secret secret;
    memcpy(secret.bytes, key.bytes, SEAL_SECRET_LEN);
    return secret;
}

/* A text has one nonce, and a nonce one text: no seal is made of two texts under one of them. */
static struct seal_nonce nonce_of(const struct mac_key *fleet, struct span name, struct span value)
{
    struct mac_key key = mac_derive_for(fleet, "dunlin secret nonce", name.len, name);
    struct digest mac = mac_of(&key, value);
    struct seal_nonce nonce;
    memcpy(nonce.bytes, mac.bytes, SEAL_NONCE_LEN);
    return nonce;
}

static int close_under(const struct seal_secret *to, const struct seal_nonce *nonce,
                       struct span name, struct span value, struct buffer *out)
{
    size_t start = out->len;
    if (out->cap - start < VARIABLE_SEALED_MORE + value.len)
        return ERR_NO_MEMORY;
    memcpy(out->data + start, nonce->bytes, SEAL_NONCE_LEN);
    out->len += SEAL_NONCE_LEN;
    int rv = seal_close(to, PURPOSE, nonce, name, value, out);
    if (rv < 0)
        out->len = start;
    return rv;
}
