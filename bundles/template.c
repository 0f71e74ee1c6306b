#include "bundles/template.h"

static const uint8_t plain_dollars[] = "$$";
static const uint8_t plain_open[] = "${";

static int add_byte(struct template *t, struct span one, const struct template_sink *sink,
                    struct errmsg *em);
static int add_to_name(struct template *t, uint8_t c, const struct template_sink *sink,
                       struct errmsg *em);
static int flush(struct template *t, const struct template_sink *sink, struct errmsg *em);
static int refuse(const struct template *t, struct errmsg *em);

int template_add(struct template *t, struct span piece, const struct template_sink *sink,
                 struct errmsg *em)
{
    int rv = 0;
    for (size_t at = 0; rv == 0 && at < piece.len;) {
        const uint8_t *from = piece.data + at;
        const uint8_t *dollar = memchr(from, '$', piece.len - at);
        size_t plain = dollar ? (size_t)(dollar - from) : piece.len - at;
        bool between = t->dollars == 0 && !t->naming;
        if (between && plain > 0)
            rv = sink->text(sink->context, span_of(from, plain), em);
        else
            rv = add_byte(t, span_of(from, 1), sink, em);
        at += between && plain > 0 ? plain : 1;
    }
    return rv;
}

int template_end(struct template *t, const struct template_sink *sink, struct errmsg *em)
{
    return t->naming ? refuse(t, em) : flush(t, sink, em);
}

static int add_byte(struct template *t, struct span one, const struct template_sink *sink,
                    struct errmsg *em)
{
    uint8_t c = one.data[0];
    int rv = 0;
    if (t->naming)
        return add_to_name(t, c, sink, em);
    if (c == '$' && t->dollars < 2) {
        t->dollars++;
        return 0;
    }
    if (c == '$')
        return sink->text(sink->context, span_of(plain_dollars, 1), em);
    if (c == '{' && t->dollars > 0) {
        t->naming = t->dollars == 1;
        if (t->dollars == 2)
            rv = sink->text(sink->context, span_of(plain_open, 2), em);
        t->dollars = 0;
        return rv;
    }
    rv = flush(t, sink, em);
    return rv < 0 ? rv : sink->text(sink->context, one, em);
}

static int add_to_name(struct template *t, uint8_t c, const struct template_sink *sink,
                       struct errmsg *em)
{
    if (c != '}') {
        if (t->len == VARIABLE_NAME_MAX)
            return refuse(t, em);
        t->name[t->len++] = (char)c;
        return variable_name_valid(span_of(t->name, t->len)) ? 0 : refuse(t, em);
    }
    if (t->len == 0)
        return refuse(t, em);
    t->name[t->len] = '\0';
    t->naming = false;
    t->len = 0;
    return sink->variable(sink->context, t->name, em);
}

static int flush(struct template *t, const struct template_sink *sink, struct errmsg *em)
{
    size_t dollars = t->dollars;
    t->dollars = 0;
    return dollars ? sink->text(sink->context, span_of(plain_dollars, dollars), em) : 0;
}

/* What was read of the name may be anything. */
static int refuse(const struct template *t, struct errmsg *em)
{
    size_t len = t->len;
    while (len > 0 && !variable_name_valid(span_of(t->name, len)))
        len--;
    return errmsg_set(em, ERR_REFUSED,
                      "\"${%.*s\" names no variable: write ${name} in lower case, and $${ for a "
                      "plain ${",
                      (int)len, t->name);
}
