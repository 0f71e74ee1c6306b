/* A template is refused, or gives the same whole and byte by byte; and then what it gives is at
 * most as long. */
#include "bundles/template.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

struct text {
    uint8_t *bytes;
    size_t len;
    uint32_t variables;
};

static int add_text(void *context, struct span text, struct errmsg *em)
{
    (void)em;
    struct text *t = context;
    memcpy(t->bytes + t->len, text.data, text.len);
    t->len += text.len;
    return 0;
}

static int add_variable(void *context, const char *name, struct errmsg *em)
{
    struct text *t = context;
    assert(variable_name_valid(span_text(name)));
    t->variables++;
    return add_text(context, span_text(name), em);
}

static int fill_in(struct span source, size_t piece, struct text *out)
{
    struct template t = {0};
    const struct template_sink sink = {.context = out, .text = add_text, .variable = add_variable};
    int rv = 0;
    for (size_t at = 0; rv == 0 && at < source.len; at += piece) {
        size_t n = source.len - at < piece ? source.len - at : piece;
        rv = template_add(&t, span_of(source.data + at, n), &sink, NULL);
    }
    return rv < 0 ? rv : template_end(&t, &sink, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text whole = {.bytes = malloc(size + 1)}, bytes = {.bytes = malloc(size + 1)};
    int rv = fill_in(span_of(data, size), size + 1, &whole);
    int again = fill_in(span_of(data, size), 1, &bytes);
    assert(rv == again && (rv == 0 || rv == ERR_REFUSED));
    assert(whole.len <= size && whole.variables == bytes.variables);
    assert(whole.len == bytes.len && memcmp(whole.bytes, bytes.bytes, whole.len) == 0);
    free(whole.bytes);
    free(bytes.bytes);
    return 0;
}
