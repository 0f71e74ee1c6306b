#include "manager/cli/draft.h"

#include "base/file.h"
#include "base/hex.h"

#include <stdio.h>
#include <stdlib.h>

#define TRUST_HEAD "dunlin-draft-1 trust "
#define MANIFEST_HEAD "dunlin-draft-1 manifest "
#define TEXT_MAX (sizeof MANIFEST_HEAD + 2 * (size_t)DRAFT_MAX + 1)

static int parse_bytes(struct draft *d);
static int format(enum message type, const struct envelope *e, struct buffer *text);

int draft_read(const char *path, struct draft *d, struct errmsg *em)
{
    uint8_t *memory = malloc(TEXT_MAX);
    if (!memory)
        return errmsg_set(em, ERR_NO_MEMORY, "no memory");
    struct buffer text = buffer_on(memory, TEXT_MAX);
    int rv = file_read(path, &text, em);
    if (rv == ERR_RANGE || rv == 0) {
        rv = rv < 0 ? rv : draft_parse(span_buffer(&text), d);
        if (rv < 0)
            rv = errmsg_set(em, ERR_FORMAT,
                            "%s: is no draft: those are written by `dunlin key trust --output` and "
                            "`dunlin bundle push --output`",
                            path);
    }
    free(memory);
    return rv;
}

int draft_parse(struct span text, struct draft *d)
{
    static const struct {
        const char *head;
        enum message type;
    } kinds[] = {{TRUST_HEAD, MESSAGE_TRUST}, {MANIFEST_HEAD, MESSAGE_MANIFEST}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t head = strlen(kinds[i].head);
        if (text.len <= head || memcmp(text.data, kinds[i].head, head) != 0)
            continue;
        if (text.data[text.len - 1] != '\n' || (text.len - head - 1) % 2 != 0)
            return ERR_FORMAT;
        char *hex = strndup((const char *)text.data + head, text.len - head - 1);
        d->type = kinds[i].type;
        d->len = (text.len - head - 1) / 2;
        int rv = !hex                 ? ERR_NO_MEMORY
                 : d->len > DRAFT_MAX ? ERR_RANGE
                                      : hex_read(hex, d->bytes, d->len);
        free(hex);
        return rv < 0 ? rv : parse_bytes(d);
    }
    return ERR_FORMAT;
}

static int parse_bytes(struct draft *d)
{
    int rv = envelope_read(d->type, span_of(d->bytes, d->len), &d->envelope);
    if (rv < 0)
        return rv;
    return d->type == MESSAGE_TRUST ? trust_read(d->envelope.body, &d->trust)
                                    : manifest_read(d->envelope.body, &d->manifest);
}

int draft_write(const char *path, enum message type, const struct envelope *e, struct errmsg *em)
{
    uint8_t *memory = malloc(TEXT_MAX);
    struct buffer text = buffer_on(memory, TEXT_MAX);
    int rv = memory ? format(type, e, &text) : ERR_NO_MEMORY;
    if (rv < 0)
        errmsg_set(em, rv, "%s: the draft can't be written: %s", path, err_name(rv));
    else
        rv = file_write(path, span_buffer(&text), 0644, em);
    free(memory);
    return rv;
}

static int format(enum message type, const struct envelope *e, struct buffer *text)
{
    static uint8_t bytes[DRAFT_MAX];
    struct buffer out = buffer_on(bytes, sizeof bytes);
    const char *head = type == MESSAGE_TRUST ? TRUST_HEAD : MANIFEST_HEAD;
    int rv = envelope_write(type, e, &out);
    if (rv < 0)
        return rv;
    size_t len = strlen(head);
    memcpy(text->data, head, len);
    hex_write(span_buffer(&out), (char *)text->data + len);
    text->len = len + 2 * out.len;
    text->data[text->len++] = '\n';
    return 0;
}

int draft_seal(const struct draft *d, struct buffer *out)
{
    return envelope_write(d->type, &d->envelope, out);
}
