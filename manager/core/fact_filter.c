#include "manager/core/fact_filter.h"

#include "sync/topic.h"

#include <string.h>

/* One term: a key, what is asked of it, and the text behind that. */
struct term {
    struct span key;
    char operator;     /* '=', '!', '<', '>', or 'i' for "in" */
    struct span value; /* of "in", what stands between the brackets */
};

static struct span trim(struct span s)
{
    while (s.len > 0 && s.data[0] == ' ')
        s = span_of(s.data + 1, s.len - 1);
    while (s.len > 0 && s.data[s.len - 1] == ' ')
        s.len--;
    return s;
}

/* Up to the next comma that is in no brackets. */
static struct span take_term(const char **text)
{
    size_t len = 0;
    for (int depth = 0; (*text)[len] && (depth > 0 || (*text)[len] != ','); len++)
        depth += (*text)[len] == '(' ? 1 : (*text)[len] == ')' ? -1 : 0;
    struct span term = trim(span_of(*text, len));
    *text += len + ((*text)[len] == ',');
    return term;
}

static struct span without_prefix(struct span key)
{
    static const char prefix[] = "fact.";
    size_t len = sizeof prefix - 1;
    bool has = key.len > len && memcmp(key.data, prefix, len) == 0;
    return has ? span_of(key.data + len, key.len - len) : key;
}

/* "KEY in (…)" has no other sign before its brackets. */
static bool split_in(struct span text, struct term *t)
{
    const uint8_t *open = memchr(text.data, '(', text.len);
    if (!open || text.data[text.len - 1] != ')')
        return false;
    struct span head = trim(span_of(text.data, (size_t)(open - text.data)));
    if (head.len < 4 || memcmp(head.data + head.len - 3, " in", 3) != 0)
        return false;
    size_t used = (size_t)(open - text.data) + 1;
    *t = (struct term){.key = trim(span_of(head.data, head.len - 3)),
                       .operator= 'i',
                       .value = span_of(open + 1, text.len - used - 1)};
    return true;
}

static bool split(struct span text, struct term *t)
{
    size_t at = 0;
    if (text.len == 0)
        return false;
    if (!split_in(text, t)) {
        while (at < text.len && !strchr("=!<>", (char)text.data[at]))
            at++;
        if (at == text.len)
            return false;
        size_t sign = text.data[at] == '!' ? 2 : 1;
        if (sign == 2 && (at + 1 >= text.len || text.data[at + 1] != '='))
            return false;
        *t = (struct term){.key = trim(span_of(text.data, at)),
                           .operator=(char) text.data[at],
                           .value = trim(span_of(text.data + at + sign, text.len - at - sign))};
    }
    t->key = without_prefix(t->key);
    return true;
}

bool fact_number(struct span text, uint64_t *out)
{
    static const char units[] = "KMGT";
    uint64_t n = 0;
    size_t at = 0;
    for (; at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
        if (n > UINT64_MAX / 10 - 1)
            return false;
        n = n * 10 + (uint64_t)(text.data[at] - '0');
    }
    *out = n;
    if (at == 0 || at == text.len)
        return at > 0;
    const char *unit = strchr(units, (char)text.data[at]);
    if (!unit || text.len - at != 2 || text.data[at + 1] != 'i')
        return false;
    unsigned shift = 10 * (unsigned)(unit - units + 1);
    *out = n << shift;
    return *out >> shift == n;
}

int fact_filter_check(const char *text, struct errmsg *em)
{
    if (strlen(text) > FACT_FILTER_TEXT_MAX)
        return errmsg_set(em, ERR_USAGE, "facts: at most %d characters", FACT_FILTER_TEXT_MAX);
    while (*text) {
        struct term t;
        uint64_t number;
        struct span one = take_term(&text);
        if (!split(one, &t) || !name_valid(t.key) || t.value.len == 0)
            return errmsg_set(em, ERR_USAGE,
                              "facts: \"%.*s\": write KEY=V, KEY!=V, KEY>N, KEY<N or KEY in (V,W)",
                              (int)one.len, (const char *)one.data);
        if ((t.operator== '<' || t.operator== '>') && !fact_number(t.value, &number))
            return errmsg_set(
                em, ERR_USAGE, "facts: \"%.*s\": \"%.*s\" is no number, like 4 or 512Mi",
                (int)one.len, (const char *)one.data, (int)t.value.len, (const char *)t.value.data);
    }
    return 0;
}

static const struct fact *find(const struct facts *facts, struct span key)
{
    for (uint32_t i = 0; i < facts->count; i++)
        if (span_equal(span_text(facts->list[i].key), key))
            return &facts->list[i];
    return NULL;
}

/* As numbers, where both are: 2Gi is 2048Mi. */
static bool equals(const struct fact *f, struct span value)
{
    uint64_t a, b;
    struct span text = span_text(f->value);
    bool numbers = fact_number(text, &a) && fact_number(value, &b);
    return numbers ? a == b : span_equal(text, value);
}

static bool is_one_of(const struct fact *f, struct span values)
{
    while (values.len > 0) {
        const uint8_t *comma = memchr(values.data, ',', values.len);
        size_t len = comma ? (size_t)(comma - values.data) : values.len;
        if (equals(f, trim(span_of(values.data, len))))
            return true;
        len += comma != NULL;
        values = span_of(values.data + len, values.len - len);
    }
    return false;
}

static bool holds(const struct term *t, const struct facts *facts)
{
    const struct fact *f = find(facts, t->key);
    uint64_t has, wanted;
    if (t->operator== '!')
        return !f || !equals(f, t->value);
    if (!f)
        return false;
    if (t->operator== 'i')
        return is_one_of(f, t->value);
    if (t->operator== '=')
        return equals(f, t->value);
    if (!fact_number(span_text(f->value), &has) || !fact_number(t->value, &wanted))
        return false;
    return t->operator== '<' ? has < wanted : has> wanted;
}

bool fact_filter_matches(const char *text, const struct facts *facts)
{
    struct term t;
    while (*text)
        if (!split(take_term(&text), &t) || !holds(&t, facts))
            return false;
    return true;
}
