#include "manager/core/fact_filter.h"

#include "sync/topic.h"

#include <string.h>

enum condition {
    CONDITION_IS,
    CONDITION_IS_NOT,
    CONDITION_LESS,
    CONDITION_MORE,
    CONDITION_AT_MOST,
    CONDITION_AT_LEAST,
    CONDITION_IN,
    CONDITION_NOT_IN,
    CONDITION_TOLD, /* with any value */
    CONDITION_NOT_TOLD,
};

struct term {
    struct span key;
    enum condition condition;
    struct span value; /* of lists, what stands between the brackets; of the last two, none */
};

/* Of two that begin alike, the longer one comes first. */
static const struct {
    const char *sign;
    enum condition condition;
} signs[] = {
    {"!=", CONDITION_IS_NOT}, {">=", CONDITION_AT_LEAST}, {"<=", CONDITION_AT_MOST},
    {"==", CONDITION_IS},     {"=", CONDITION_IS},        {">", CONDITION_MORE},
    {"<", CONDITION_LESS},
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

struct span fact_key(struct span key)
{
    static const char prefix[] = "fact.";
    size_t len = sizeof prefix - 1;
    bool has = key.len > len && memcmp(key.data, prefix, len) == 0;
    return has ? span_of(key.data + len, key.len - len) : key;
}

bool fact_key_valid(struct span key)
{
    return name_valid(key) && key.len <= FACT_KEY_MAX;
}

static bool ends_with(struct span text, const char *word)
{
    size_t len = strlen(word);
    return text.len > len && memcmp(text.data + text.len - len, word, len) == 0;
}

/* "KEY in (…)", "KEY notin (…)" */
static bool split_list(struct span text, struct term *t)
{
    const uint8_t *open = memchr(text.data, '(', text.len);
    if (!open || text.data[text.len - 1] != ')')
        return false;
    struct span head = trim(span_of(text.data, (size_t)(open - text.data)));
    size_t used = (size_t)(open - text.data) + 1;
    bool not = ends_with(head, " notin");
    if (!not &&!ends_with(head, " in"))
        return false;
    *t = (struct term){.key = trim(span_of(head.data, head.len - (not ? 6 : 3))),
                       .condition = not ? CONDITION_NOT_IN : CONDITION_IN,
                       .value = span_of(open + 1, text.len - used - 1)};
    return true;
}

/* "KEY=V", "KEY>=N", … */
static bool split_comparison(struct span text, struct term *t)
{
    size_t at = 1; /* a key has a character */
    while (at < text.len && !strchr("=!<>", (char)text.data[at]))
        at++;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        size_t len = strlen(signs[i].sign);
        if (text.len < at + len || memcmp(text.data + at, signs[i].sign, len) != 0)
            continue;
        *t = (struct term){.key = trim(span_of(text.data, at)),
                           .condition = signs[i].condition,
                           .value = trim(span_of(text.data + at + len, text.len - at - len))};
        return true;
    }
    return false;
}

static bool split(struct span text, struct term *t)
{
    if (text.len == 0)
        return false;
    if (!split_list(text, t) && !split_comparison(text, t)) {
        bool not = text.data[0] == '!';
        *t = (struct term){.key = trim(span_of(text.data + not, text.len - not )),
                           .condition = not ? CONDITION_NOT_TOLD : CONDITION_TOLD};
    }
    t->key = fact_key(t->key);
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

static bool is_compared(const struct term *t)
{
    return t->condition >= CONDITION_LESS && t->condition <= CONDITION_AT_LEAST;
}

/* A second sign behind the first is a mistake, such as "=>". */
static bool is_sound(const struct term *t)
{
    if (!fact_key_valid(t->key))
        return false;
    return t->condition >= CONDITION_TOLD ||
           (t->value.len > 0 && !strchr("=!<>", (char)t->value.data[0]));
}

int fact_filter_check(const char *text, struct errmsg *em)
{
    if (strlen(text) > FACT_FILTER_TEXT_MAX)
        return errmsg_set(em, ERR_USAGE, "facts: at most %d characters", FACT_FILTER_TEXT_MAX);
    while (*text) {
        struct term t;
        uint64_t number;
        struct span one = take_term(&text);
        if (!split(one, &t) || !is_sound(&t))
            return errmsg_set(em, ERR_USAGE,
                              "facts: \"%.*s\": write KEY=V, KEY!=V, KEY>N, KEY>=N, KEY<N, "
                              "KEY<=N, KEY in (V,W), KEY notin (V,W), KEY or !KEY",
                              (int)one.len, (const char *)one.data);
        if (is_compared(&t) && !fact_number(t.value, &number))
            return errmsg_set(
                em, ERR_USAGE, "facts: \"%.*s\": \"%.*s\" is no number, like 4 or 512Mi",
                (int)one.len, (const char *)one.data, (int)t.value.len, (const char *)t.value.data);
    }
    return 0;
}

const struct fact *fact_find(const struct facts *facts, struct span key)
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

static bool compares(const struct term *t, const struct fact *f)
{
    uint64_t has, wanted;
    if (!fact_number(span_text(f->value), &has) || !fact_number(t->value, &wanted))
        return false;
    bool less = t->condition == CONDITION_LESS || t->condition == CONDITION_AT_MOST;
    bool or_equal = t->condition == CONDITION_AT_MOST || t->condition == CONDITION_AT_LEAST;
    return has == wanted ? or_equal : (has < wanted) == less;
}

/* As with labels, what was never told is not in a list, and is not equal. */
static bool holds(const struct term *t, const struct facts *facts)
{
    const struct fact *f = fact_find(facts, t->key);
    switch (t->condition) {
    case CONDITION_IS:
        return f && equals(f, t->value);
    case CONDITION_IS_NOT:
        return !f || !equals(f, t->value);
    case CONDITION_IN:
        return f && is_one_of(f, t->value);
    case CONDITION_NOT_IN:
        return !f || !is_one_of(f, t->value);
    case CONDITION_TOLD:
        return f != NULL;
    case CONDITION_NOT_TOLD:
        return !f;
    case CONDITION_LESS:
    case CONDITION_MORE:
    case CONDITION_AT_MOST:
    case CONDITION_AT_LEAST:
        return f && compares(t, f);
    }
    return false;
}

bool fact_filter_misses(const char *text, const struct facts *facts, struct span *out)
{
    struct term t;
    while (*text) {
        *out = take_term(&text);
        if (!split(*out, &t) || !holds(&t, facts))
            return true;
    }
    return false;
}

bool fact_filter_matches(const char *text, const struct facts *facts)
{
    struct span first;
    return !fact_filter_misses(text, facts, &first);
}

struct span fact_filter_key(struct span term)
{
    struct term t;
    return split(term, &t) ? t.key : SPAN_NONE;
}
