#include "manager/keyring.h"

#include "crypto/random.h"

#include <stdio.h>

/* Of the authority's key id, in its name: enough to tell fleets apart. */
#define NAME_DIGITS 16

int keyring_draw(struct fleet_keys *fresh)
{
    struct public_key public;
    *fresh = (struct fleet_keys){0};
    random_bytes(fresh->fleet, sizeof fresh->fleet);
    random_bytes(fresh->master.bytes, sizeof fresh->master.bytes);
    int rv = sign_generate(&fresh->authority, &public);
    return rv < 0 ? rv : sign_generate(&fresh->signing, &public);
}

int keyring_init(struct keyring *k, const struct fleet_keys *keys)
{
    *k = (struct keyring){
        .signing = keys->signing,
        .authority = keys->authority,
        .master = keys->master,
        .tokens = mac_derive(&keys->master, "dunlin tokens", 0),
        .cohorts = mac_derive(&keys->master, "dunlin cohort", 0),
    };
    int rv = sign_public(&k->authority, &k->authority_public);
    struct key_id id = key_id_of(&k->authority_public);
    snprintf(k->authority_name, sizeof k->authority_name, "Dunlin %.*s", NAME_DIGITS,
             key_id_hex(&id).text);
    k->has_next = sign_public(&keys->next, &k->next) == 0;
    return rv < 0 ? rv : sign_public(&k->signing, &k->online);
}

static struct mac_base batch_key(const struct keyring *k, uint32_t batch)
{
    struct mac_key key = mac_derive(&k->tokens, "dunlin batch", batch + 1);
    return mac_base_of(&key);
}

struct token_batch keyring_batch(const struct keyring *k, uint32_t batch)
{
    struct token_batch b = {.number = batch + 1, .key = batch_key(k, batch)};
    struct key_id authority = key_id_of(&k->authority_public);
    _Static_assert(TOKEN_PIN_LEN == KEY_ID_LEN, "a pin is a key's id");
    memcpy(b.authority, authority.bytes, TOKEN_PIN_LEN);
    return b;
}

struct seal_secret keyring_secret(const struct keyring *k, uint32_t batch, uint32_t index,
                                  const char *serial)
{
    struct mac_base key = batch_key(k, batch);
    return serial ? token_bound_secret(&key, index, span_text(serial)) : token_secret(&key, index);
}

int keyring_certificate(const struct keyring *k, const struct certificate *c, struct buffer *der)
{
    return certificate_make(c, &k->authority, k->authority_name, der);
}

struct mac_key keyring_status(const struct keyring *k, uint32_t number, const struct key_id *agent)
{
    return status_key(&k->master, number, agent);
}

int64_t keyring_lineage(void)
{
    int64_t lineage;
    random_bytes(&lineage, sizeof lineage);
    return lineage;
}

struct mac_key keyring_marks(const struct keyring *k, uint64_t lineage)
{
    return mac_derive(&k->master, "dunlin mark", lineage);
}
