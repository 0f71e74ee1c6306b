#include "crypto/curve.h"

#include <mbedtls/platform_util.h>
#include <stdatomic.h>

static mbedtls_ecp_group *shared_group(void);
static int group_make(mbedtls_ecp_group *group);

int curve_start(struct curve *c)
{
    mbedtls_ecp_group_init(&c->own_group);
    mbedtls_mpi_init(&c->secret);
    mbedtls_ecp_point_init(&c->point);
    mbedtls_mpi_init(&c->r);
    mbedtls_mpi_init(&c->s);
    c->group = shared_group();
    if (c->group)
        return 0;
    c->group = &c->own_group;
    return mbedtls_ecp_group_load(c->group, MBEDTLS_ECP_DP_SECP256R1);
}

void curve_end(struct curve *c)
{
    mbedtls_platform_zeroize(&c->blinding, sizeof c->blinding);
    mbedtls_mpi_free(&c->s);
    mbedtls_mpi_free(&c->r);
    mbedtls_ecp_point_free(&c->point);
    mbedtls_mpi_free(&c->secret);
    mbedtls_ecp_group_free(&c->own_group);
}

/*
 * The curve for all threads, with the library's table of multiples of its base point, which nobody
 * writes to once it is there. Making the table anew costs more than half of a signature's time. The
 * first caller makes it; whoever comes meanwhile gets NULL and works with a curve of his own.
 */
static mbedtls_ecp_group *shared_group(void)
{
    enum { NONE, BEING_MADE, READY };
    static mbedtls_ecp_group group;
    static atomic_int state = NONE;
    if (atomic_load(&state) == READY)
        return &group;
    int none = NONE;
    if (!atomic_compare_exchange_strong(&state, &none, BEING_MADE))
        return none == READY ? &group : NULL;
    int rv = group_make(&group);
    atomic_store(&state, rv == 0 ? READY : NONE);
    return rv == 0 ? &group : NULL;
}

/* The library makes the table when it first multiplies the base point. */
static int group_make(mbedtls_ecp_group *group)
{
    struct blinding nothing_to_hide = {0};
    mbedtls_ecp_point result;
    mbedtls_mpi one;
    mbedtls_ecp_group_init(group);
    mbedtls_ecp_point_init(&result);
    mbedtls_mpi_init(&one);
    int rv = mbedtls_ecp_group_load(group, MBEDTLS_ECP_DP_SECP256R1);
    if (rv == 0)
        rv = mbedtls_mpi_lset(&one, 1);
    if (rv == 0)
        rv = mbedtls_ecp_mul(group, &result, &one, &group->G, curve_draw, &nothing_to_hide);
    if (rv != 0)
        mbedtls_ecp_group_free(group);
    mbedtls_mpi_free(&one);
    mbedtls_ecp_point_free(&result);
    return rv;
}

int curve_draw(void *blinding, unsigned char *out, size_t len)
{
    struct blinding *b = blinding;
    for (size_t at = 0; at < len; at += MAC_KEY_LEN) {
        struct mac_key block = mac_derive(&b->key, "dunlin blinding", b->drawn++);
        memcpy(out + at, block.bytes, len - at < MAC_KEY_LEN ? len - at : MAC_KEY_LEN);
    }
    return 0;
}
