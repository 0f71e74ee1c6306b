/*
 * admin: who may ask the manager for what from afar, and the secrets that prove it.
 * It keeps nothing and knows no routes.
 */
#ifndef DUNLIN_MANAGER_ADMIN_H
#define DUNLIN_MANAGER_ADMIN_H

#include "bundles/manifest.h"
#include "crypto/digest.h"
#include "manager/common/role.h"

/* One credential. Of its secret only a digest is kept: with 256 random bits nobody finds it from
 * that. */
struct admin_row {
    char name[NAME_MAX_LEN + 1];
    enum role role;
    bool revoked;
    uint64_t created_s;
    uint64_t expires_s;
    struct digest digest;
};

#define ADMIN_SECRET_LEN 32
#define ADMIN_TOKEN_PREFIX "dla1-"

struct admin_secret {
    uint8_t bytes[ADMIN_SECRET_LEN];
};

/* "dla1-" and 64 hexadecimal digits. */
struct admin_token {
    char text[sizeof ADMIN_TOKEN_PREFIX + (size_t)2 * ADMIN_SECRET_LEN];
};

struct admin_token admin_token_format(const struct admin_secret *secret);
struct digest admin_digest(const struct admin_secret *secret);

/* The secret of "Bearer dla1-…", as an HTTP header has it (RFC 6750); ERR_FORMAT for anything else.
 */
int admin_authorization_read(const char *header, struct admin_secret *out);

#endif
