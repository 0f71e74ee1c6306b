#include "manager/succession.h"

#include "manager/core/manager.h"

static int leave(const struct keyring *k, const struct keyring_heir *heir, uint64_t now_s,
                 struct elder *e);
static void add(struct fleet_keys *keys, const struct elder *e);

int succession_take(struct fleet_keys *keys, uint64_t now_s)
{
    struct heir *heir = &keys->heirs[FLEET_AUTHORITY];
    struct keyring before;
    struct elder e = {.since_s = now_s, .stolen = heir->stolen};
    int rv = keyring_init(&before, keys);
    if (rv == 0)
        rv = leave(&before, &before.heirs[FLEET_AUTHORITY], now_s, &e);
    if (rv == 0) {
        add(keys, &e);
        keys->authority = heir->secret;
        *heir = (struct heir){.stolen = false};
    }
    explicit_bzero(&before, sizeof before);
    explicit_bzero(&e, sizeof e);
    return rv;
}

static int leave(const struct keyring *k, const struct keyring_heir *heir, uint64_t now_s,
                 struct elder *e)
{
    struct certificate c = {.name = ""};
    struct buffer own = buffer_on(e->own, sizeof e->own);
    struct buffer cross = buffer_on(e->cross, sizeof e->cross);
    int rv = heir->drawn ? certificates_authority(k, now_s, &own) : ERR_CRYPTO;
    if (rv == 0)
        rv = certificates_cross(k, &heir->key, now_s, &cross);
    if (rv == 0)
        rv = certificate_read(span_buffer(&own), &c);
    if (rv < 0)
        return rv;
    e->id = k->authority_id;
    e->until_s = c.not_after_s;
    e->secret = k->authority;
    e->own_len = own.len;
    e->cross_len = cross.len;
    return 0;
}

static void add(struct fleet_keys *keys, const struct elder *e)
{
    uint32_t kept = keys->elder_count < ELDERS_MAX ? keys->elder_count : ELDERS_MAX - 1;
    memmove(&keys->elders[1], &keys->elders[0], kept * sizeof keys->elders[0]);
    keys->elders[0] = *e;
    keys->elder_count = kept + 1;
    for (uint32_t i = 0; e->stolen && i < keys->elder_count; i++)
        keys->elders[i].secret = (struct secret_key){0};
}

uint64_t succession_end_s(const struct elder *e)
{
    return e->since_s + CERTIFICATE_LIFE_S;
}

const struct elder *succession_due(const struct keyring *k, uint64_t now_s)
{
    for (uint32_t i = 0; i < k->elder_count; i++)
        if (keyring_counts(&k->elders[i]) && now_s >= succession_end_s(&k->elders[i]))
            return &k->elders[i];
    return NULL;
}

void succession_close(struct fleet_keys *keys, const struct key_id *elder)
{
    for (uint32_t i = 0; i < keys->elder_count; i++)
        if (key_id_equal(&keys->elders[i].id, elder))
            keys->elders[i].secret = (struct secret_key){0};
}
