#include "base/labels.h"

#include <stdio.h>

#define PREFIX_MAX 253
#define NAME_MAX_LEN 63
/* Enough of a bad label to recognise it by. */
#define SHOWN_MAX 80

#define SHOWN(s) (int)((s).len < SHOWN_MAX ? (s).len : SHOWN_MAX), (const char *)(s).data

static bool name_valid(struct span name);
static bool prefix_valid(struct span prefix);
static int pair_check(struct span key, struct span value, struct errmsg *em);
static int append(struct labels *l, size_t *used, struct label pair);
static int parse_pair(struct labels *l, struct span text, struct errmsg *em);
static int compare(struct span a, struct span b);
static struct span cut(struct span *rest, char separator, bool *found);

bool label_key_valid(struct span key)
{
    bool slash;
    struct span rest = key;
    struct span prefix = cut(&rest, '/', &slash);
    return slash ? prefix_valid(prefix) && name_valid(rest) : name_valid(key);
}

bool label_value_valid(struct span value)
{
    return value.len == 0 || name_valid(value);
}

int labels_set(struct labels *l, struct span key, struct span value, struct errmsg *em)
{
    int rv = pair_check(key, value, em);
    if (rv < 0)
        return rv;
    /* The pairs are copied into a second text, the new one on its way past its place. */
    struct labels out = {0};
    size_t at = 0, used = 0, count = 0;
    struct label new = {.key = key, .value = value}, old;
    bool more = labels_next(l, &at, &old), placed = false;
    while (rv == 0 && (more || !placed)) {
        int order = !more ? 1 : placed ? -1 : compare(old.key, key);
        placed = placed || order >= 0;
        rv = append(&out, &used, order < 0 ? old : new);
        count++;
        if (order <= 0)
            more = labels_next(l, &at, &old);
    }
    if (rv < 0 || count > LABELS_MAX)
        return errmsg_set(em, ERR_RANGE,
                          "no room for label %.*s: a set holds at most %d labels and %d characters",
                          SHOWN(key), LABELS_MAX, LABELS_TEXT_MAX - 1);
    *l = out;
    return 0;
}

void labels_unset(struct labels *l, struct span key)
{
    struct labels out = {0};
    struct label pair;
    size_t used = 0;
    for (size_t at = 0; labels_next(l, &at, &pair);)
        if (!span_equal(pair.key, key))
            (void)append(&out, &used, pair); /* a part of what fitted fits */
    *l = out;
}

int labels_parse(struct labels *l, struct span text, struct errmsg *em)
{
    *l = (struct labels){0};
    bool more = text.len > 0;
    while (more) {
        int rv = parse_pair(l, cut(&text, ',', &more), em);
        if (rv < 0)
            return rv;
    }
    return 0;
}

bool labels_next(const struct labels *l, size_t *at, struct label *pair)
{
    struct span rest = span_of(l->text + *at, strnlen(l->text, LABELS_TEXT_MAX) - *at);
    if (rest.len == 0)
        return false;
    bool found;
    pair->value = cut(&rest, ',', &found);
    *at = (size_t)((const char *)rest.data - l->text);
    pair->key = cut(&pair->value, '=', &found);
    return true;
}

bool labels_get(const struct labels *l, struct span key, struct span *value)
{
    struct label pair;
    for (size_t at = 0; labels_next(l, &at, &pair);)
        if (span_equal(pair.key, key)) {
            *value = pair.value;
            return true;
        }
    return false;
}

size_t labels_count(const struct labels *l)
{
    size_t count = 0;
    struct label pair;
    for (size_t at = 0; labels_next(l, &at, &pair);)
        count++;
    return count;
}

static bool is_lower_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_letter_or_digit(uint8_t c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

/* [A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?, at most 63 characters. */
static bool name_valid(struct span name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return false;
    if (!is_letter_or_digit(name.data[0]) || !is_letter_or_digit(name.data[name.len - 1]))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_letter_or_digit(name.data[i]) && !(name.data[i] && strchr("-_.", name.data[i])))
            return false;
    return true;
}

/* Parts of lower-case letters, digits and inner hyphens, joined by dots, at most 253 characters. */
static bool prefix_valid(struct span prefix)
{
    if (prefix.len > PREFIX_MAX)
        return false;
    for (bool more = true; more;) {
        struct span part = cut(&prefix, '.', &more);
        if (part.len == 0 || part.data[0] == '-' || part.data[part.len - 1] == '-')
            return false;
        for (size_t i = 0; i < part.len; i++)
            if (!is_lower_or_digit(part.data[i]) && part.data[i] != '-')
                return false;
    }
    return true;
}

static int pair_check(struct span key, struct span value, struct errmsg *em)
{
    if (!label_key_valid(key))
        return errmsg_set(em, ERR_FORMAT,
                          "label key \"%.*s\" is not valid: use letters, digits and inner - _ . "
                          "(at most %d), after an optional DNS name and /",
                          SHOWN(key), NAME_MAX_LEN);
    if (!label_value_valid(value))
        return errmsg_set(em, ERR_FORMAT,
                          "label %.*s: value \"%.*s\" is not valid: use letters, digits and inner "
                          "- _ . (at most %d)",
                          SHOWN(key), SHOWN(value), LABEL_VALUE_MAX);
    return 0;
}

static int append(struct labels *l, size_t *used, struct label pair)
{
    size_t comma = *used > 0 ? 1 : 0;
    size_t need = comma + pair.key.len + 1 + pair.value.len;
    if (need >= LABELS_TEXT_MAX - *used)
        return ERR_RANGE;
    *used += (size_t)snprintf(l->text + *used, LABELS_TEXT_MAX - *used, "%s%.*s=%.*s",
                              comma ? "," : "", (int)pair.key.len, (const char *)pair.key.data,
                              (int)pair.value.len, (const char *)pair.value.data);
    return 0;
}

static int parse_pair(struct labels *l, struct span text, struct errmsg *em)
{
    bool found;
    struct span value = text;
    struct span key = cut(&value, '=', &found);
    struct span old;
    if (!found)
        return errmsg_set(em, ERR_FORMAT, "label \"%.*s\" has no =: write key=value", SHOWN(text));
    if (labels_get(l, key, &old))
        return errmsg_set(em, ERR_FORMAT, "label %.*s is there twice: keep one of them",
                          SHOWN(key));
    return labels_set(l, key, value, em);
}

/* Bytewise, and a key before those that it begins. */
static int compare(struct span a, struct span b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Takes what stands before the separator off the front of `rest`; all of it when there is none. */
static struct span cut(struct span *rest, char separator, bool *found)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    size_t skip = end ? len + 1 : len;
    struct span front = span_of(rest->data, len);
    *found = end != NULL;
    *rest = span_of(rest->data ? rest->data + skip : NULL, rest->len - skip);
    return front;
}
