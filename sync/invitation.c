#include "sync/invitation.h"

#include <stdio.h>

#define PREFIX "dunlin:"
#define PREFIX_LEN (sizeof PREFIX - 1)

struct invitation_text invitation_write(const struct invitation *i)
{
    struct invitation_text out;
    snprintf(out.text, sizeof out.text, PREFIX "%s/%s", i->host, i->token.text);
    return out;
}

bool invitation_begins(const char *text)
{
    return strncmp(text, PREFIX, PREFIX_LEN) == 0;
}

/* No token has a slash in it, so the last one stands before it. */
int invitation_read(const char *text, struct invitation *out, struct errmsg *em)
{
    struct token token;
    const char *host = text + PREFIX_LEN;
    const char *slash = invitation_begins(text) ? strrchr(host, '/') : NULL;
    if (!slash || slash == host)
        return errmsg_set(em, ERR_FORMAT, "no invitation (" PREFIX "HOST:PORT/TOKEN)");
    size_t len = (size_t)(slash - host);
    if (len > CELL_URL_MAX)
        return errmsg_set(em, ERR_FORMAT, "the invitation's host is longer than %d characters",
                          CELL_URL_MAX);
    int rv = token_parse(slash + 1, &token, em);
    if (rv < 0)
        return rv;
    *out = (struct invitation){.token = token_format(&token)};
    memcpy(out->host, host, len);
    return 0;
}
