#include "manager/core/taint.h"

#include <stdio.h>

static const char *const effects[TAINT_EFFECT_COUNT] = {
    [TAINT_NO_SCHEDULE] = "NoSchedule", [TAINT_NO_EXECUTE] = "NoExecute"};

/* A pattern's parts; what it doesn't say has no data. */
struct pattern {
    struct span key, value, effect;
};

static size_t find(struct span text, char c)
{
    const void *at = text.len ? memchr(text.data, c, text.len) : NULL;
    return at ? (size_t)((const uint8_t *)at - (const uint8_t *)text.data) : text.len;
}

static struct pattern split(struct span text)
{
    struct pattern p = {0};
    size_t colon = find(text, ':'), equals = find(span_of(text.data, colon), '=');
    p.key = span_of(text.data, equals);
    if (equals < colon)
        p.value = span_of((const uint8_t *)text.data + equals + 1, colon - equals - 1);
    if (colon < text.len)
        p.effect = span_of((const uint8_t *)text.data + colon + 1, text.len - colon - 1);
    return p;
}

static int effect_of(struct span text)
{
    for (int i = 0; i < TAINT_EFFECT_COUNT; i++)
        if (span_equal(text, span_text(effects[i])))
            return i;
    return -1;
}

static bool is_sound(const struct pattern *p)
{
    return label_key_valid(p->key) && (!p->value.data || label_value_valid(p->value)) &&
           (!p->effect.data || effect_of(p->effect) >= 0);
}

int taint_parse(struct span text, struct taint *t, struct errmsg *em)
{
    struct pattern p = split(text);
    *t = (struct taint){0};
    if (!is_sound(&p) || !p.effect.data)
        return errmsg_set(em, ERR_USAGE,
                          "\"%.*s\" is no taint: write KEY=VALUE:NoSchedule or "
                          "KEY=VALUE:NoExecute",
                          (int)(text.len < TAINT_TEXT_MAX ? text.len : TAINT_TEXT_MAX),
                          (const char *)text.data);
    memcpy(t->key, p.key.data, p.key.len);
    if (p.value.len)
        memcpy(t->value, p.value.data, p.value.len);
    t->effect = (uint8_t)effect_of(p.effect);
    return 0;
}

void taint_text(const struct taint *t, char out[static TAINT_TEXT_MAX])
{
    snprintf(out, TAINT_TEXT_MAX, "%s%s%s:%s", t->key, t->value[0] ? "=" : "", t->value,
             effects[t->effect]);
}

bool taint_equal(const struct taint *a, const struct taint *b)
{
    return a->effect == b->effect && strcmp(a->key, b->key) == 0 && strcmp(a->value, b->value) == 0;
}

/* The next of a list; false at its end. */
static bool next(const char **text, struct span *one)
{
    if (!**text)
        return false;
    size_t len = strcspn(*text, ",");
    *one = span_of(*text, len);
    *text += len + ((*text)[len] == ',');
    return true;
}

int tolerations_check(const char *text, struct errmsg *em)
{
    struct span one;
    if (strlen(text) > TOLERATE_TEXT_MAX)
        return errmsg_set(em, ERR_USAGE, "tolerate: at most %d characters", TOLERATE_TEXT_MAX);
    while (next(&text, &one)) {
        struct pattern p = split(one);
        if (!is_sound(&p) && !span_equal(one, span_text("*")))
            return errmsg_set(em, ERR_USAGE,
                              "tolerate: \"%.*s\": write KEY, KEY=VALUE, either with :NoSchedule "
                              "or :NoExecute, or * for all taints",
                              (int)one.len, (const char *)one.data);
    }
    return 0;
}

bool tolerations_cover(const char *text, const struct taint *t)
{
    struct span one;
    while (next(&text, &one)) {
        struct pattern p = split(one);
        if (span_equal(one, span_text("*")))
            return true;
        if (span_equal(p.key, span_text(t->key)) &&
            (!p.value.data || span_equal(p.value, span_text(t->value))) &&
            (!p.effect.data || effect_of(p.effect) == t->effect))
            return true;
    }
    return false;
}
