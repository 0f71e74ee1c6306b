#include "base/hex.h"
#include "manager/api_json.h"
#include "manager/api_routes.h"
#include "manager/succession.h"

static int check(const struct trust *now, struct span envelope, struct trust *next,
                 struct errmsg *em);
static int count_roots(const struct trust *by, const struct envelope *e, struct errmsg *em);
static request_finish finish_set;
static void draw(struct request *r, enum fleet_key which, request_finish *finish);
static request_finish finish_online;
static request_finish finish_authority;
static void show_heir(struct request *r, enum fleet_key which, bool new);
static json_t *trust_json(struct request *r);
static json_t *keys_json(const struct trust_keys *k);
static json_t *ids_json(const struct trust *t);
static json_t *elders_json(const struct daemon *d);

void api_trust_show(struct request *r)
{
    request_reply(r, MHD_HTTP_OK, trust_json(r));
}

void api_trust_set(struct request *r)
{
    static struct trust next;
    struct errmsg em = {0};
    struct span envelope = span_buffer(&r->body);
    int rv = check(manager_trust(daemon_core(r->daemon)), envelope, &next, &em);
    if (rv < 0) {
        request_reply_failure(r, rv, &em);
        return;
    }
    struct command command = {.type = COMMAND_TRUST,
                              .trust = {.next = &next, .envelope = envelope}};
    request_command(r, &command, finish_set);
}

/* The rule is trust_follows'; the rest is to say what is wrong. */
static int check(const struct trust *now, struct span envelope, struct trust *next,
                 struct errmsg *em)
{
    struct envelope e;
    int rv = envelope_read(MESSAGE_TRUST, envelope, &e);
    if (rv == 0)
        rv = trust_read(e.body, next);
    if (rv < 0)
        return errmsg_set(em, ERR_FORMAT, "the body is no signed trust document");
    if (next->version != now->version + 1)
        return errmsg_set(em, ERR_REFUSED,
                          "this is version %u of the trust document, and the fleet has version %u: "
                          "make the next one from that",
                          next->version, now->version);
    rv = count_roots(now, &e, em);
    if (rv == 0)
        rv = count_roots(next, &e, em);
    if (rv < 0)
        return rv;
    rv = trust_follows(now, envelope, next);
    return rv < 0 ? errmsg_set(em, rv, "the trust document is refused: %s", err_name(rv)) : 0;
}

static int count_roots(const struct trust *by, const struct envelope *e, struct errmsg *em)
{
    const struct trust_keys *roots = &by->roles[TRUST_ROOTS];
    int rv = envelope_count(MESSAGE_TRUST, e, roots->list, roots->count);
    if (rv < 0)
        return errmsg_set(em, rv, "a root key's signature on the trust document does not hold");
    if ((uint32_t)rv >= roots->threshold)
        return 0;
    return errmsg_set(em, ERR_UNTRUSTED,
                      "the trust document needs the signatures of %u of version %u's %u root keys, "
                      "and has %d: sign it with `dunlin key sign`",
                      roots->threshold, by->version, roots->count, rv);
}

static void finish_set(struct request *r, const struct manager_out *out)
{
    request_reply(r, MHD_HTTP_OK, json_pack("{s:I}", "version", (json_int_t)out->index));
}

/* The key that shall follow, ready to be trusted: the public half of it. */
void api_trust_online(struct request *r)
{
    draw(r, FLEET_ONLINE, finish_online);
}

void api_trust_authority(struct request *r)
{
    draw(r, FLEET_AUTHORITY, finish_authority);
}

static void draw(struct request *r, enum fleet_key which, request_finish *finish)
{
    bool stolen = false;
    const struct field fields[] = {
        {.name = "stolen", .type = FIELD_FLAG, .out.flag = &stolen},
    };
    if (request_fields(r, fields, 1))
        daemon_draw_key(r->daemon, request_actor(r), which, stolen, request_wait(r, finish), r);
}

static void finish_online(struct request *r, const struct manager_out *out)
{
    show_heir(r, FLEET_ONLINE, out->rv == 0);
}

static void finish_authority(struct request *r, const struct manager_out *out)
{
    show_heir(r, FLEET_AUTHORITY, out->rv == 0);
}

static void show_heir(struct request *r, enum fleet_key which, bool new)
{
    char hex[2 * PUBLIC_KEY_LEN + 1];
    const struct public_key *key = &daemon_keys(r->daemon)->heirs[which].key;
    struct key_id id = key_id_of(key);
    hex_write(span_of(key->bytes, PUBLIC_KEY_LEN), hex);
    request_reply(r, MHD_HTTP_OK,
                  json_pack("{s:s, s:s, s:b}", "id", key_id_hex(&id).text, "key", hex, "new", new));
}

static json_t *trust_json(struct request *r)
{
    const struct trust *t = manager_trust(daemon_core(r->daemon));
    struct buffer out = buffer_on(r->tools->plain, sizeof r->tools->plain);
    char *hex = (char *)r->tools->frame;
    if (ledger_get_trust(daemon_ledger(r->daemon), t->version, &out, NULL) < 0)
        return NULL;
    hex_write(span_buffer(&out), hex);
    return json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "version", (json_int_t)t->version, "issued",
        api_json_time(t->issued_s), "roots", keys_json(&t->roles[TRUST_ROOTS]), "publishers",
        keys_json(&t->roles[TRUST_PUBLISHERS]), "online", keys_json(&t->roles[TRUST_ONLINE]),
        "authorities", ids_json(t), "elders", elders_json(r->daemon), "document", hex);
}

static json_t *keys_json(const struct trust_keys *k)
{
    char hex[2 * PUBLIC_KEY_LEN + 1];
    json_t *list = json_array();
    for (uint32_t i = 0; i < k->count; i++) {
        struct key_id id = key_id_of(&k->list[i]);
        hex_write(span_of(k->list[i].bytes, PUBLIC_KEY_LEN), hex);
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "id", key_id_hex(&id).text, "key", hex));
    }
    return json_pack("{s:I, s:o}", "threshold", (json_int_t)k->threshold, "keys", list);
}

static json_t *ids_json(const struct trust *t)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < t->authority_count; i++)
        json_array_append_new(list, json_string(key_id_hex(&t->authorities[i]).text));
    return list;
}

/* Authorities that others have followed: since when, whether by theft, until when agents'
 * certificates by them let in, and until when they lead devices on that know no other. */
static json_t *elders_json(const struct daemon *d)
{
    const struct keyring *k = daemon_keys(d);
    json_t *list = json_array();
    for (uint32_t i = 0; i < k->elder_count; i++) {
        const struct elder *e = &k->elders[i];
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:b, s:o, s:o}", "id", key_id_hex(&e->id).text, "since",
                            api_json_time(e->since_s), "stolen", e->stolen, "admits_until",
                            keyring_counts(e) ? api_json_time(succession_end_s(e)) : json_null(),
                            "leads_until", api_json_time(e->until_s)));
    }
    return list;
}
