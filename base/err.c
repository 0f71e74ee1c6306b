#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* In place: a pointer to each, relocated at every start, would take more than most of them do. */
static const char names[][12] = {
    [0] = "ok",
    [-ERR_IO] = "io",
    [-ERR_NO_MEMORY] = "no-memory",
    [-ERR_NO_SPACE] = "no-space",
    [-ERR_NOT_FOUND] = "not-found",
    [-ERR_EXISTS] = "exists",
    [-ERR_FORMAT] = "format",
    [-ERR_RANGE] = "range",
    [-ERR_SIGNATURE] = "signature",
    [-ERR_DIGEST] = "digest",
    [-ERR_OLD] = "old",
    [-ERR_FOREIGN] = "foreign",
    [-ERR_UNTRUSTED] = "untrusted",
    [-ERR_EXPIRED] = "expired",
    [-ERR_REFUSED] = "refused",
    [-ERR_BUSY] = "busy",
    [-ERR_USAGE] = "usage",
    [-ERR_TIMEOUT] = "timeout",
    [-ERR_CRYPTO] = "crypto",
    [-ERR_DAMAGED] = "damaged",
};

const char *err_name(int rv)
{
    size_t i = rv >= 0 ? 0 : (size_t)-rv;
    return i < sizeof names / sizeof names[0] && names[i][0] ? names[i] : "unknown";
}

/* The names that a sentence quotes are anybody's: on a terminal and in a log it stays one line. */
static void keep_to_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

int errmsg_set(struct errmsg *em, int rv, const char *fmt, ...)
{
    if (!em)
        return rv;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(em->text, sizeof em->text, fmt, ap);
    va_end(ap);
    keep_to_one_line(em->text);
    return rv;
}

int errmsg_wrap(struct errmsg *em, int rv, const char *fmt, ...)
{
    if (!em)
        return rv;
    struct errmsg old = *em;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(em->text, sizeof em->text, fmt, ap);
    va_end(ap);
    size_t used = strlen(em->text);
    if (old.text[0])
        snprintf(em->text + used, sizeof em->text - used, ": %s", old.text);
    keep_to_one_line(em->text);
    return rv;
}
