/*
 * curve: P-256 as mbedTLS has it: what one operation on the curve needs, and the curve itself, once
 * for all threads. Only crypto/ includes it.
 */
#ifndef DUNLIN_CRYPTO_CURVE_H
#define DUNLIN_CRYPTO_CURVE_H

#include "crypto/mac.h"
#include "crypto/sign.h"

#include <mbedtls/ecp.h>

/* SEC 1, 2.3.3: this byte comes before an uncompressed point's X and Y. */
#define POINT_UNCOMPRESSED 0x04
#define POINT_LEN (1 + PUBLIC_KEY_LEN)

/*
 * Numbers that hide a computation with a secret from whoever measures its time or power; they don't
 * show in its result. They are made of the secret itself, as mbedtls_ecdsa_sign_det() did, so that
 * signing asks nothing of the system.
 */
struct blinding {
    struct mac_key key;
    uint64_t drawn;
};

/* The library's values for one operation: the curve, a secret scalar, a point, and r and s. */
struct curve {
    mbedtls_ecp_group *group;
    mbedtls_ecp_group own_group; /* when the shared one is being made */
    mbedtls_mpi secret;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;
    struct blinding blinding;
};

/* 0 or the library's error; must be ended whatever this returns. */
int curve_start(struct curve *c);
/* Wipes what was secret. */
void curve_end(struct curve *c);
/* The library's source of randomness: the next of the blinding's numbers. */
int curve_draw(void *blinding, unsigned char *out, size_t len);

#endif
