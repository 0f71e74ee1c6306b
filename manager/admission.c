#include "manager/admission.h"

#include "manager/broker_config.h"

#include <stdlib.h>

struct admission {
    enum broker_kind kind;
    size_t count;
    struct blocked_agent *blocked; /* in the caller's order */
    struct blocked_agent *sorted;  /* the same, by their ids */
    struct buffer acl;
    struct buffer crl;
};

static int copy(struct admission *a, const struct blocked_agent *blocked, size_t count);
static int by_id(const void *a, const void *b);
static int compose(struct admission *a, const struct keyring *k, uint64_t now_s);
static int compose_acl(struct admission *a);
static int compose_crl(struct admission *a, const struct keyring *k, uint64_t now_s);
static void discard(struct admission *a);

struct admission *admission_new(enum broker_kind kind)
{
    struct admission *a = calloc(1, sizeof *a);
    if (a)
        a->kind = kind;
    return a;
}

void admission_free(struct admission *a)
{
    if (!a)
        return;
    discard(a);
    free(a);
}

int admission_set(struct admission *a, const struct keyring *k, const struct blocked_agent *blocked,
                  size_t count, uint64_t now_s, struct errmsg *em)
{
    struct admission next = {.kind = a->kind};
    int rv = copy(&next, blocked, count);
    if (rv == 0)
        rv = compose(&next, k, now_s);
    if (rv < 0) {
        discard(&next);
        return errmsg_set(em, rv, "cannot list %zu blocked agents: %s", count, err_name(rv));
    }
    discard(a);
    *a = next;
    return 0;
}

int admission_renew(struct admission *a, const struct keyring *k, uint64_t now_s, struct errmsg *em)
{
    return admission_set(a, k, a->blocked, a->count, now_s, em);
}

const struct blocked_agent *admission_find(const struct admission *a, const struct key_id *agent)
{
    const struct blocked_agent wanted = {.id = *agent};
    return a->count > 0 ? bsearch(&wanted, a->sorted, a->count, sizeof wanted, by_id) : NULL;
}

int admission_file(const struct admission *a, const char *folder, struct errmsg *em)
{
    int acl = certificates_put(folder, BROKER_ACL_FILE, span_buffer(&a->acl), em);
    int crl = acl < 0 ? acl : certificates_put(folder, BROKER_CRL_FILE, span_buffer(&a->crl), em);
    return crl < 0 ? crl : acl || crl;
}

static int copy(struct admission *a, const struct blocked_agent *blocked, size_t count)
{
    a->blocked = calloc(count + 1, sizeof *a->blocked);
    a->sorted = calloc(count + 1, sizeof *a->sorted);
    if (!a->blocked || !a->sorted)
        return ERR_NO_MEMORY;
    for (; a->count < count; a->count++)
        a->blocked[a->count] = a->sorted[a->count] = blocked[a->count];
    qsort(a->sorted, a->count, sizeof *a->sorted, by_id);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct blocked_agent *one = a, *other = b;
    return memcmp(one->id.bytes, other->id.bytes, KEY_ID_LEN);
}

static int compose(struct admission *a, const struct keyring *k, uint64_t now_s)
{
    int rv = compose_acl(a);
    return rv < 0 ? rv : compose_crl(a, k, now_s);
}

/* It names the last ones, in the caller's order. */
static int compose_acl(struct admission *a)
{
    struct key_id *ids = calloc(a->count + 1, sizeof *ids);
    a->acl.data = malloc(BROKER_ACL_MAX);
    a->acl.cap = BROKER_ACL_MAX;
    for (size_t i = 0; ids && i < a->count; i++)
        ids[i] = a->blocked[i].id;
    struct buffer acl = a->acl;
    int rv = ids && acl.data ? broker_config_acl(a->kind, ids, a->count, &acl) : ERR_NO_MEMORY;
    a->acl.len = acl.len;
    free(ids);
    return rv;
}

static int compose_crl(struct admission *a, const struct keyring *k, uint64_t now_s)
{
    a->crl.cap = CERTIFICATES_REVOKED_MAX(a->count);
    a->crl.data = malloc(a->crl.cap);
    struct buffer crl = a->crl;
    int rv = crl.data ? certificates_revoked(k, a->blocked, a->count, now_s, &crl) : ERR_NO_MEMORY;
    a->crl.len = crl.len;
    return rv;
}

static void discard(struct admission *a)
{
    free(a->blocked);
    free(a->sorted);
    free(a->acl.data);
    free(a->crl.data);
}
