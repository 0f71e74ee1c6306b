#include "manager/cli/serials.h"

#include "base/file.h"
#include "crypto/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int read_line(struct serials *s, FILE *f, char **line, size_t *cap, struct errmsg *em);
static struct span trim(const char *text, size_t len);
static int grow(struct serials *s, struct errmsg *em);

int serials_add(struct serials *s, struct span text, struct errmsg *em)
{
    if (!token_serial_valid(text))
        return errmsg_set(
            em, ERR_FORMAT,
            "\"%.*s\": a serial number has 1 to %d characters of ASCII, and no spaces "
            "at its ends",
            text.len < 80 ? (int)text.len : 80, (const char *)text.data, TOKEN_SERIAL_MAX);
    if (s->cap - s->len <= TOKEN_SERIAL_MAX && grow(s, em) < 0)
        return ERR_NO_MEMORY;
    memcpy(s->lines + s->len, text.data, text.len);
    s->len += text.len;
    s->lines[s->len++] = '\n';
    s->count++;
    return 0;
}

int serials_read(struct serials *s, const char *path, struct errmsg *em)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return errmsg_set(em, errno == ENOENT ? ERR_NOT_FOUND : file_error(errno),
                          "%.200s: can't be read: %s", path, strerror(errno));
    char *line = NULL;
    size_t cap = 0, number = 0;
    int rv = 1;
    s->len = s->count = 0;
    while (rv == 1) {
        number++;
        rv = read_line(s, f, &line, &cap, em);
    }
    if (rv == 0 && ferror(f))
        rv = errmsg_set(em, ERR_IO, "it can't be read to its end");
    free(line);
    fclose(f);
    return rv < 0 ? errmsg_wrap(em, rv, "%.200s: line %zu", path, number) : 0;
}

void serials_free(struct serials *s)
{
    free(s->lines);
    *s = (struct serials){.lines = NULL};
}

struct span serials_next(const struct serials *s, size_t *at, size_t max)
{
    size_t begin = *at;
    if (begin == s->len)
        return SPAN_NONE;
    for (size_t i = 0; i < max && *at < s->len; i++) {
        const char *end = memchr(s->lines + *at, '\n', s->len - *at);
        *at = (size_t)(end - s->lines) + 1;
    }
    return span_of(s->lines + begin, *at - begin);
}

/* 1, or 0 at the end. */
static int read_line(struct serials *s, FILE *f, char **line, size_t *cap, struct errmsg *em)
{
    ssize_t len = getline(line, cap, f);
    if (len < 0)
        return 0;
    struct span text = trim(*line, (size_t)len);
    int rv = text.len > 0 ? serials_add(s, text, em) : 0;
    return rv < 0 ? rv : 1;
}

/* Without the end of line, also a DOS one. */
static struct span trim(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1])
        len--;
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    return span_of(text, len);
}

static int grow(struct serials *s, struct errmsg *em)
{
    size_t cap = s->cap ? 2 * s->cap : 4096;
    char *more = realloc(s->lines, cap);
    if (!more)
        return errmsg_set(em, ERR_NO_MEMORY, "not enough memory for so many serial numbers");
    s->lines = more;
    s->cap = cap;
    return 0;
}
