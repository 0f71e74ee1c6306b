#include "manager/pass.h"

static int make(struct pass *p, const struct keyring *k, const char *name,
                const struct certificate_serial *serial, const char *folder, uint64_t now_s);
static size_t pin(struct pass *p, const struct keyring *k);

int pass_make(struct pass *p, const struct keyring *k, const char *folder, uint64_t now_s)
{
    return make(p, k, PASS_MANAGER, NULL, folder, now_s);
}

int pass_make_as(struct pass *p, const struct keyring *k, const struct blocked_agent *agent,
                 bool listed, const char *folder, uint64_t now_s)
{
    struct certificate_serial serial = certificates_serial(agent, now_s);
    return make(p, k, key_id_hex(&agent->id).text, listed ? &serial : NULL, folder, now_s);
}

/* No session is resumed: each link is judged by what its broker knows by then. */
static int make(struct pass *p, const struct keyring *k, const char *name,
                const struct certificate_serial *serial, const char *folder, uint64_t now_s)
{
    struct secret_key key;
    uint8_t room[CERTIFICATE_MAX];
    struct buffer der = buffer_on(room, sizeof room);
    int rv = certificates_client(k, name, serial, now_s, &key, &der);
    if (rv == 0)
        p->key = key;
    explicit_bzero(&key, sizeof key);
    if (rv < 0)
        return rv;
    memcpy(p->certificate, der.data, der.len);
    p->version = certificates_version(k, now_s);
    p->link = (struct mqtt_tls){.tls = {.authorities = p->authorities,
                                        .authority_count = pin(p, k),
                                        .certificate = span_of(p->certificate, der.len),
                                        .key = &p->key,
                                        .now_s = now_s},
                                .folder = folder};
    return 0;
}

/* Those whose certificates count: not every broker has the newest kit. */
static size_t pin(struct pass *p, const struct keyring *k)
{
    size_t count = 0;
    p->authorities[count++] = k->authority_id;
    for (uint32_t i = 0; i < k->elder_count; i++)
        if (keyring_counts(&k->elders[i]))
            p->authorities[count++] = k->elders[i].id;
    return count;
}

int pass_renew(struct pass *p, const struct keyring *k, uint64_t now_s)
{
    uint64_t made_s = p->link.tls.now_s;
    if (made_s / CERTIFICATES_CLIENT_PERIOD_S != now_s / CERTIFICATES_CLIENT_PERIOD_S ||
        p->version != certificates_version(k, now_s))
        return pass_make(p, k, p->link.folder, now_s);
    p->link.tls.now_s = now_s;
    return 0;
}
