#include "manager/admin.h"

#include "base/hex.h"

#include <stdio.h>
#include <strings.h>

struct admin_token admin_token_format(const struct admin_secret *secret)
{
    struct admin_token token;
    snprintf(token.text, sizeof token.text, "%s", ADMIN_TOKEN_PREFIX);
    hex_write(span_of(secret->bytes, ADMIN_SECRET_LEN), token.text + sizeof ADMIN_TOKEN_PREFIX - 1);
    return token;
}

struct digest admin_digest(const struct admin_secret *secret)
{
    struct digest_stream s;
    static const char purpose[] = "dunlin admin"; /* and its NUL */
    digest_start(&s);
    digest_add(&s, span_of(purpose, sizeof purpose));
    digest_add(&s, span_of(secret->bytes, ADMIN_SECRET_LEN));
    return digest_end(&s);
}

/* The scheme's name is written any way; then come spaces, one or more. */
int admin_authorization_read(const char *header, struct admin_secret *out)
{
    static const char scheme[] = "Bearer ";
    if (strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return ERR_FORMAT;
    header += strcspn(header, " ");
    header += strspn(header, " ");
    if (strncmp(header, ADMIN_TOKEN_PREFIX, sizeof ADMIN_TOKEN_PREFIX - 1) != 0)
        return ERR_FORMAT;
    return hex_read(header + sizeof ADMIN_TOKEN_PREFIX - 1, out->bytes, ADMIN_SECRET_LEN);
}
