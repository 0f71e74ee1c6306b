/*
 * credentials: what `dunlin admin create` gave somebody: where the manager is, what proves who
 * asks, and the certificate that the manager is checked by. It connects to nothing.
 */
#ifndef DUNLIN_MANAGER_CLI_CREDENTIALS_H
#define DUNLIN_MANAGER_CLI_CREDENTIALS_H

#include "base/err.h"

#define CREDENTIALS_URL_MAX 512
#define CREDENTIALS_TOKEN_MAX 128
/* PEM, of one certificate. */
#define CREDENTIALS_CA_MAX 2048
/* The file, with what later versions may add. */
#define CREDENTIALS_FILE_MAX 16384

struct credentials {
    char url[CREDENTIALS_URL_MAX];
    char token[CREDENTIALS_TOKEN_MAX];
    char ca[CREDENTIALS_CA_MAX];
};

/* ERR_NOT_FOUND, ERR_REFUSED when others may read it, ERR_FORMAT, with a sentence. */
int credentials_read(const char *path, struct credentials *out, struct errmsg *em);

#endif
