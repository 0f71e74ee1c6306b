#include "manager/admins.h"

#include "crypto/mac.h"
#include "sync/topic.h"

#include <stdlib.h>

struct admins {
    uint32_t count;
    struct admin_row rows[ADMINS_MAX];
};

static int find_name(const struct admins *a, const char *name);
static int place_for(const struct admins *a, uint64_t now_s);
static bool works(const struct admin_row *row, uint64_t now_s);

struct admins *admins_new(void)
{
    return calloc(1, sizeof(struct admins));
}

void admins_free(struct admins *a)
{
    free(a);
}

int admins_load(struct admins *a, struct ledger *l, struct errmsg *em)
{
    return ledger_load_admins(l, a->rows, &a->count, em);
}

int admins_create(struct admins *a, const struct admin_row *row, uint32_t *index, struct errmsg *em)
{
    if (!name_valid(span_text(row->name)))
        return errmsg_set(em, ERR_FORMAT,
                          "a name has 1 to %d lower-case letters, digits, '-', '_' or '.', and "
                          "begins with a letter or digit",
                          NAME_MAX_LEN);
    int same = find_name(a, row->name);
    if (same >= 0 && works(&a->rows[same], row->created_s))
        return errmsg_set(em, ERR_EXISTS,
                          "%s has a credential that works: revoke it first, or take another name",
                          row->name);
    int at = same >= 0 ? same : place_for(a, row->created_s);
    if (at < 0)
        return errmsg_set(em, ERR_RANGE, "at most %d credentials: revoke one first", ADMINS_MAX);
    a->rows[at] = *row;
    if ((uint32_t)at == a->count)
        a->count++;
    *index = (uint32_t)at;
    return 0;
}

int admins_revoke(struct admins *a, const char *name, uint32_t *index, struct errmsg *em)
{
    int at = find_name(a, name);
    if (at < 0)
        return errmsg_set(em, ERR_NOT_FOUND, "there is no admin %s: see `dunlin admin list`", name);
    int rv = a->rows[at].revoked;
    a->rows[at].revoked = true;
    *index = (uint32_t)at;
    return rv;
}

uint32_t admins_count(const struct admins *a)
{
    return a->count;
}

const struct admin_row *admins_row(const struct admins *a, uint32_t index)
{
    return &a->rows[index];
}

int admins_find(const struct admins *a, const struct admin_secret *secret, uint64_t now_s,
                const struct admin_row **out, struct errmsg *em)
{
    struct digest digest = admin_digest(secret);
    const struct admin_row *found = NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct admin_row *row = &a->rows[i];
        if (mac_equal(span_of(row->digest.bytes, DIGEST_LEN), span_of(digest.bytes, DIGEST_LEN)))
            found = row;
    }
    *out = found;
    if (!found)
        return errmsg_set(em, ERR_NOT_FOUND, "this manager knows no such admin token");
    if (found->revoked)
        return errmsg_set(em, ERR_REFUSED, "the credentials of %s were revoked", found->name);
    if (now_s >= found->expires_s)
        return errmsg_set(em, ERR_EXPIRED,
                          "the credentials of %s have expired: have new ones made with `dunlin "
                          "admin create`",
                          found->name);
    return 0;
}

static int find_name(const struct admins *a, const char *name)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (strcmp(a->rows[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Behind the last, or the oldest of those that are worth nothing; -1: there is none. */
static int place_for(const struct admins *a, uint64_t now_s)
{
    int best = -1;
    if (a->count < ADMINS_MAX)
        return (int)a->count;
    for (uint32_t i = 0; i < a->count; i++)
        if (!works(&a->rows[i], now_s) &&
            (best < 0 || a->rows[i].created_s < a->rows[best].created_s))
            best = (int)i;
    return best;
}

static bool works(const struct admin_row *row, uint64_t now_s)
{
    return !row->revoked && now_s < row->expires_s;
}
