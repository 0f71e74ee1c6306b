#include "manager/admission.h"

#include "manager/broker_config.h"

#include <stdlib.h>

struct admission {
    enum broker_kind kind;
    size_t count;
    struct blocked_agent *blocked; /* in the caller's order */
    struct key_id *ids;            /* in their own */
    struct buffer acl;
    struct buffer crl;
};

static int copy(struct admission *a, const struct blocked_agent *blocked, size_t count);
static int by_bytes(const void *a, const void *b);
static int compose(struct admission *a, const struct keyring *k, uint64_t now_s);
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

bool admission_blocks(const struct admission *a, const struct key_id *agent)
{
    return a->count > 0 && bsearch(agent, a->ids, a->count, sizeof *agent, by_bytes);
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
    a->ids = calloc(count + 1, sizeof *a->ids);
    if (!a->blocked || !a->ids)
        return ERR_NO_MEMORY;
    for (; a->count < count; a->count++) {
        a->blocked[a->count] = blocked[a->count];
        a->ids[a->count] = blocked[a->count].id;
    }
    return 0;
}

/* The access list names the last ones, as long as they are in the caller's order. */
static int compose(struct admission *a, const struct keyring *k, uint64_t now_s)
{
    a->acl.data = malloc(BROKER_ACL_MAX);
    a->acl.cap = BROKER_ACL_MAX;
    if (!a->acl.data)
        return ERR_NO_MEMORY;
    struct buffer acl = a->acl;
    int rv = broker_config_acl(a->kind, a->ids, a->count, &acl);
    a->acl.len = acl.len;
    qsort(a->ids, a->count, sizeof *a->ids, by_bytes);
    return rv < 0 ? rv : compose_crl(a, k, now_s);
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct key_id));
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
    free(a->ids);
    free(a->acl.data);
    free(a->crl.data);
}
