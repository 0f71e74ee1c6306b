#include "bundles/entry.h"

#include "bundles/manifest.h"
#include "sync/wire.h"

#define MODE_MAX 0777u

static void get_tail(struct wire_reader *r, struct entry *e);
static bool control(unsigned char c);
static bool mode_fits(const struct entry *e);
static bool text_clean(const char *text);
static bool is_part(const char *part, size_t len, const char *text);

int entry_write(const struct entry *e, struct buffer *out)
{
    size_t start = out->len;
    if (out->cap - start < 2)
        return ERR_NO_MEMORY;
    out->len += 2;
    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, e->type == ENTRY_FOLDER ? 3 : 4);
    wire_put_u64(&w, e->type);
    wire_put_text(&w, span_text(e->path));
    wire_put_u64(&w, e->mode);
    if (e->type == ENTRY_FILE || e->type == ENTRY_TEMPLATE)
        wire_put_u64(&w, e->size);
    if (e->type == ENTRY_LINK)
        wire_put_text(&w, span_text(e->target));
    if (w.error)
        return w.error;
    size_t len = out->len - start - 2;
    if (len > ENTRY_HEADER_MAX)
        return ERR_RANGE;
    out->data[start] = (uint8_t)len;
    out->data[start + 1] = (uint8_t)(len >> 8);
    return 0;
}

int entry_read(struct span header, struct entry *e)
{
    *e = (struct entry){0};
    struct wire_reader r = wire_reader_on(header);
    uint32_t count = wire_get_array(&r, 3, 4);
    e->type = (enum entry_type)wire_get_u64(&r, ENTRY_TEMPLATE);
    wire_get_text_into(&r, e->path, sizeof e->path);
    e->mode = (uint32_t)wire_get_u64(&r, MODE_MAX);
    if (count != (e->type == ENTRY_FOLDER ? 3 : 4))
        wire_fail(&r, ERR_FORMAT);
    get_tail(&r, e);
    int rv = wire_done(&r);
    if (rv < 0)
        return ERR_FORMAT;
    if (!entry_path_safe(e->path) || !mode_fits(e))
        return ERR_REFUSED;
    if (e->type == ENTRY_LINK && !entry_target_safe(e->path, e->target))
        return ERR_REFUSED;
    return 0;
}

bool entry_path_safe(const char *path)
{
    if (!text_clean(path))
        return false;
    size_t depth = 0;
    for (const char *part = path;; depth++) {
        size_t len = strcspn(part, "/");
        if (len == 0 || len > ENTRY_NAME_MAX || depth == ENTRY_DEPTH_MAX)
            return false;
        if (is_part(part, len, ".") || is_part(part, len, ".."))
            return false;
        if (!part[len])
            return true;
        part += len + 1;
    }
}

bool entry_target_safe(const char *path, const char *target)
{
    if (!text_clean(target) || target[0] == '/')
        return false;
    size_t ups_left = 0;
    for (const char *p = path; *p; p++)
        ups_left += *p == '/';
    bool named = false;
    for (const char *part = target; *part;) {
        size_t len = strcspn(part, "/");
        if (is_part(part, len, "..")) {
            if (named || ups_left-- == 0)
                return false;
        } else if (len > 0 && !is_part(part, len, ".")) {
            named = true;
        }
        part += part[len] ? len + 1 : len;
    }
    return true;
}

int entry_path_compare(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    /* The end comes before a slash and a slash before every other byte. */
    int x = *a == '/' ? 1 : (unsigned char)*a;
    int y = *b == '/' ? 1 : (unsigned char)*b;
    return (x > y) - (x < y);
}

/* What a file, a template or a link has beyond path and mode. */
static void get_tail(struct wire_reader *r, struct entry *e)
{
    switch (e->type) {
    case ENTRY_FOLDER:
        break;
    case ENTRY_FILE:
        e->size = wire_get_u64(r, BUNDLE_BYTES_MAX);
        break;
    case ENTRY_TEMPLATE:
        e->size = wire_get_u64(r, TEMPLATE_BYTES_MAX);
        break;
    case ENTRY_LINK:
        wire_get_text_into(r, e->target, sizeof e->target);
        break;
    default:
        wire_fail(r, ERR_FORMAT);
    }
}

/* Folders must let their owner in, or nothing could be put into them; a link's mode is fixed. */
static bool mode_fits(const struct entry *e)
{
    if (e->type == ENTRY_FOLDER)
        return (e->mode & ENTRY_FOLDER_MODE) == ENTRY_FOLDER_MODE;
    return e->type != ENTRY_LINK || e->mode == ENTRY_LINK_MODE;
}

/* Neither empty nor too long, and without control characters. */
static bool text_clean(const char *text)
{
    size_t len = strnlen(text, ENTRY_PATH_MAX + 1);
    if (len == 0 || len > ENTRY_PATH_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (control((unsigned char)text[i]))
            return false;
    return true;
}

static bool control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

static bool is_part(const char *part, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(part, text, len) == 0;
}
