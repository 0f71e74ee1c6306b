#include "manager/cli/bundle_name.h"

#include "base/span.h"
#include "sync/topic.h"

#include <stdio.h>

int bundle_name_parse(struct bundle_name *b, const char *text, struct errmsg *em)
{
    char name[2 * NAME_MAX_LEN];
    const char *at = strchr(text, '@');
    if (!at || at == text || !at[1])
        return errmsg_set(em, ERR_USAGE, "%.80s: not a bundle; write NAME@VERSION, as in app@2",
                          text);
    snprintf(name, sizeof name, "%.*s", (int)(at - text), text);
    int rv = bundle_name_check("bundle", name, em);
    if (rv == 0)
        rv = bundle_name_check("version", at + 1, em);
    if (rv < 0)
        return rv;
    snprintf(b->name, sizeof b->name, "%.*s", NAME_MAX_LEN, name);
    snprintf(b->version, sizeof b->version, "%.*s", NAME_MAX_LEN, at + 1);
    return 0;
}

int bundle_name_check(const char *what, const char *text, struct errmsg *em)
{
    if (name_valid(span_text(text)))
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "%s \"%.80s\": a name has 1 to %d letters, digits, '.', '_' and '-', and "
                      "begins with none of '.' and '-'",
                      what, text, NAME_MAX_LEN);
}
