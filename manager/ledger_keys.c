/*
 * The ledger's part that keeps the fleet's keys, and knows by which key its secrets are sealed.
 */
#include "manager/ledger_parts.h"

#include "sync/secret.h"

#define HEIR_LEN (SECRET_KEY_LEN + 1) /* and `stolen` */
#define SEALED_WORD "dunlin"
#define SEAL_LEN (sizeof SEALED_WORD - 1 + VARIABLE_SEALED_MORE)

static int put_elders(struct ledger *l, const struct fleet_keys *keys);
static bool get_key(struct ledger *l, unsigned key, uint8_t *out, size_t len);
static bool get_heir(struct ledger *l, enum fleet_key which);
static int get_elders(struct ledger *l);
static int put_seal(struct ledger *l, struct errmsg *em);

const struct fleet_keys *ledger_keys(const struct ledger *l)
{
    return &l->keys;
}

int ledger_set_keys(struct ledger *l, const struct fleet_keys *keys, struct errmsg *em)
{
    int rv = ledger_begin(l, em);
    if (rv == 0 && (rv = ledger_put_keys(l, keys)) < 0) {
        l->spoilt = true;
        return ledger_fail(l, rv, "write its keys", em);
    }
    if (rv == 0) {
        l->keys = *keys;
        l->unwiped = true;
    }
    return rv;
}

int ledger_put_keys(struct ledger *l, const struct fleet_keys *keys)
{
    uint8_t heirs[FLEET_KEY_COUNT][HEIR_LEN];
    for (int i = 0; i < FLEET_KEY_COUNT; i++) {
        memcpy(heirs[i], keys->heirs[i].secret.bytes, SECRET_KEY_LEN);
        heirs[i][SECRET_KEY_LEN] = keys->heirs[i].stolen;
    }
    const struct {
        unsigned key;
        struct span value;
    } rows[] = {
        {META_FLEET, span_of(keys->fleet, FLEET_ID_LEN)},
        {META_SIGNING, span_of(keys->signing.bytes, SECRET_KEY_LEN)},
        {META_MASTER, span_of(keys->master.bytes, MAC_KEY_LEN)},
        {META_AUTHORITY, span_of(keys->authority.bytes, SECRET_KEY_LEN)},
        {META_HEIRS + FLEET_ONLINE, span_of(heirs[FLEET_ONLINE], HEIR_LEN)},
        {META_HEIRS + FLEET_AUTHORITY, span_of(heirs[FLEET_AUTHORITY], HEIR_LEN)},
    };
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < sizeof rows / sizeof rows[0]; i++) {
        struct query q = query_sql(l->db, ledger_statements[PUT_META]);
        query_put_int(&q, rows[i].key);
        query_put_blob(&q, rows[i].value);
        rv = query_run_sql(&q);
    }
    explicit_bzero(heirs, sizeof heirs);
    return rv < 0 ? rv : put_elders(l, keys);
}

static int put_elders(struct ledger *l, const struct fleet_keys *keys)
{
    struct query q = query_sql(l->db, ledger_statements[DROP_ELDERS]);
    int rv = query_run_sql(&q);
    for (uint32_t i = 0; rv == 0 && i < keys->elder_count; i++) {
        const struct elder *e = &keys->elders[i];
        q = query_sql(l->db, ledger_statements[PUT_ELDER]);
        query_put_int(&q, i);
        query_put_blob(&q, span_of(e->id.bytes, KEY_ID_LEN));
        query_put_int(&q, e->since_s);
        query_put_int(&q, e->until_s);
        query_put_int(&q, e->stolen);
        query_put_blob(&q, span_of(e->secret.bytes, SECRET_KEY_LEN));
        query_put_blob(&q, span_of(e->own, e->own_len));
        query_put_blob(&q, span_of(e->cross, e->cross_len));
        rv = query_run_sql(&q);
    }
    return rv;
}

int ledger_get_keys(struct ledger *l, struct errmsg *em)
{
    struct fleet_keys *k = &l->keys;
    if (get_key(l, META_FLEET, k->fleet, FLEET_ID_LEN) &&
        get_key(l, META_SIGNING, k->signing.bytes, SECRET_KEY_LEN) &&
        get_key(l, META_MASTER, k->master.bytes, MAC_KEY_LEN) &&
        get_key(l, META_AUTHORITY, k->authority.bytes, SECRET_KEY_LEN) &&
        get_heir(l, FLEET_ONLINE) && get_heir(l, FLEET_AUTHORITY) && get_elders(l) == 0)
        return 0;
    return ledger_fail(l, ERR_DAMAGED, "read the fleet's keys", em);
}

static bool get_key(struct ledger *l, unsigned key, uint8_t *out, size_t len)
{
    struct query q = query_on(l->db, l->statements[GET_META]);
    query_put_int(&q, key);
    if (!query_next(&q))
        q.odd = true;
    else
        query_get_bytes(&q, out, len);
    return query_end(&q) == 0;
}

static bool get_heir(struct ledger *l, enum fleet_key which)
{
    uint8_t bytes[HEIR_LEN] = {0};
    struct heir *h = &l->keys.heirs[which];
    bool found = get_key(l, META_HEIRS + which, bytes, HEIR_LEN);
    if (found) {
        memcpy(h->secret.bytes, bytes, SECRET_KEY_LEN);
        h->stolen = bytes[SECRET_KEY_LEN] != 0;
    }
    explicit_bzero(bytes, sizeof bytes);
    return found;
}

/* How many bytes there are. */
static size_t copy_blob(struct query *q, uint8_t *out, size_t max)
{
    struct span b = query_get_blob(q, max);
    if (b.len > 0)
        memcpy(out, b.data, b.len);
    return b.len;
}

static int get_elders(struct ledger *l)
{
    struct fleet_keys *k = &l->keys;
    struct query q = query_on(l->db, l->statements[GET_ELDERS]);
    for (k->elder_count = 0; k->elder_count < ELDERS_MAX && query_next(&q); k->elder_count++) {
        struct elder *e = &k->elders[k->elder_count];
        *e = (struct elder){0};
        query_get_bytes(&q, e->id.bytes, KEY_ID_LEN);
        e->since_s = query_get_int(&q, INT64_MAX);
        e->until_s = query_get_int(&q, INT64_MAX);
        e->stolen = query_get_int(&q, 1) == 1;
        query_get_bytes(&q, e->secret.bytes, SECRET_KEY_LEN);
        e->own_len = copy_blob(&q, e->own, sizeof e->own);
        e->cross_len = copy_blob(&q, e->cross, sizeof e->cross);
    }
    return query_end(&q);
}

int ledger_unlock(struct ledger *l, const struct mac_key *secrets, bool fresh, struct errmsg *em)
{
    uint8_t sealed[SEAL_LEN], memory[SEAL_LEN];
    struct buffer word = buffer_on(memory, sizeof memory);
    l->fleet = *secrets;
    l->secrets = secret_at_rest(secrets);
    if (fresh)
        return put_seal(l, em);
    if (!get_key(l, META_SEAL, sealed, sizeof sealed))
        return ledger_fail(l, ERR_DAMAGED, "read what its secrets' key sealed", em);
    return secret_open(&l->secrets, span_text(""), span_of(sealed, sizeof sealed), &word) < 0
               ? ledger_refuse_key(l, em)
               : 0;
}

/* A variable of no name. */
static int put_seal(struct ledger *l, struct errmsg *em)
{
    uint8_t memory[SEAL_LEN];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    int rv = secret_seal(&l->fleet, &l->secrets, span_text(""), span_text(SEALED_WORD), &sealed);
    if (rv == 0)
        rv = ledger_begin(l, em);
    if (rv < 0)
        return rv;
    struct query q = query_on(l->db, l->statements[PUT_META]);
    query_put_int(&q, META_SEAL);
    query_put_blob(&q, span_buffer(&sealed));
    return ledger_end_write(l, &q, em);
}

int ledger_refuse_key(struct ledger *l, struct errmsg *em)
{
    return errmsg_set(
        em, ERR_SIGNATURE,
        "%s: its secrets are under another key than the one in secrets.key beside it: "
        "put the right one back from where you keep it, or from a backup",
        l->path);
}
