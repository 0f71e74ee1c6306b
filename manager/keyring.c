#include "manager/keyring.h"

#include "crypto/random.h"

static const struct secret_key none;

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
        .master_base = mac_base_of(&keys->master),
        .elder_count = keys->elder_count,
        .tokens = mac_derive(&keys->master, "dunlin tokens", 0),
        .cohorts = mac_derive(&keys->master, "dunlin cohort", 0),
    };
    int rv = sign_public(&k->authority, &k->authority_public);
    k->authority_id = key_id_of(&k->authority_public);
    memcpy(k->elders, keys->elders, sizeof k->elders);
    for (int i = 0; i < FLEET_KEY_COUNT; i++) {
        k->heirs[i].drawn = sign_public(&keys->heirs[i].secret, &k->heirs[i].key) == 0;
        k->heirs[i].stolen = keys->heirs[i].stolen;
    }
    return rv < 0 ? rv : sign_public(&k->signing, &k->online);
}

int keyring_draw_heir(struct fleet_keys *keys, enum fleet_key which, bool stolen)
{
    struct heir *h = &keys->heirs[which];
    struct public_key public;
    if (memcmp(&h->secret, &none, sizeof none) != 0 && (h->stolen || !stolen))
        return 1;
    h->stolen = stolen;
    return sign_generate(&h->secret, &public);
}

bool keyring_counts(const struct elder *e)
{
    return memcmp(&e->secret, &none, sizeof none) != 0;
}

static struct mac_base batch_key(const struct keyring *k, uint32_t batch)
{
    struct mac_key key = mac_derive(&k->tokens, "dunlin batch", batch + 1);
    struct mac_base base = mac_base_of(&key);
    explicit_bzero(&key, sizeof key);
    return base;
}

struct token_batch keyring_batch(const struct keyring *k, uint32_t batch)
{
    struct token_batch b = {.number = batch + 1, .key = batch_key(k, batch)};
    _Static_assert(TOKEN_PIN_LEN == KEY_ID_LEN, "a pin is a key's id");
    memcpy(b.authority, k->authority_id.bytes, TOKEN_PIN_LEN);
    return b;
}

struct seal_secret keyring_secret(const struct keyring *k, uint32_t batch, uint32_t index,
                                  const char *serial)
{
    struct mac_base key = batch_key(k, batch);
    struct seal_secret secret =
        serial ? token_bound_secret(&key, index, span_text(serial)) : token_secret(&key, index);
    explicit_bzero(&key, sizeof key);
    return secret;
}

int keyring_certificate(const struct keyring *k, const struct certificate *c, struct buffer *der)
{
    return certificate_make(c, &k->authority, certificate_authority_name(&k->authority_id).text,
                            der);
}

int keyring_certificate_old(const struct keyring *k, const struct certificate *c,
                            struct buffer *der)
{
    for (uint32_t i = k->elder_count; i-- > 0;) {
        const struct elder *e = &k->elders[i];
        if (keyring_counts(e))
            return certificate_make(c, &e->secret, certificate_authority_name(&e->id).text, der);
    }
    return keyring_certificate(k, c, der);
}

struct mac_key keyring_status(const struct keyring *k, uint32_t number, const struct key_id *agent)
{
    return status_key_from(&k->master_base, number, agent);
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
