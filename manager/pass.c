#include "manager/pass.h"

static int make(struct pass *p, const struct keyring *k, const char *name,
                const struct certificate_serial *serial, const char *folder, uint64_t now_s);

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
    if (rv < 0)
        return rv;
    memcpy(p->certificate, der.data, der.len);
    p->key = key;
    p->authority = key_id_of(&k->authority_public);
    p->link = (struct mqtt_tls){.tls = {.authorities = &p->authority,
                                        .authority_count = 1,
                                        .certificate = span_of(p->certificate, der.len),
                                        .key = &p->key,
                                        .now_s = now_s},
                                .folder = folder};
    return 0;
}

int pass_renew(struct pass *p, const struct keyring *k, uint64_t now_s)
{
    uint64_t made_s = p->link.tls.now_s;
    if (made_s / CERTIFICATES_CLIENT_PERIOD_S != now_s / CERTIFICATES_CLIENT_PERIOD_S)
        return pass_make(p, k, p->link.folder, now_s);
    p->link.tls.now_s = now_s;
    return 0;
}
