#include "manager/core/selector.h"

#include <assert.h>

/* Where the parser stands, for the sentence that says what it expected there. */
struct cursor {
    struct span text;
    size_t at;
    struct errmsg *em;
    struct selector *s; /* whose values it reads */
};

static int expected(struct cursor *c, const char *what)
{
    if (c->at >= c->text.len)
        return errmsg_set(c->em, ERR_FORMAT, "selector ends after character %zu: expected %s",
                          c->at, what);
    unsigned char found = c->text.data[c->at];
    if (found < ' ' || found > '~')
        return errmsg_set(c->em, ERR_FORMAT,
                          "selector: at character %zu: expected %s, not byte 0x%02x", c->at + 1,
                          what, found);
    return errmsg_set(c->em, ERR_FORMAT, "selector: at character %zu: expected %s, not '%c'",
                      c->at + 1, what, found);
}

static char peek(const struct cursor *c)
{
    return c->at < c->text.len ? (char)c->text.data[c->at] : '\0';
}

static void skip_blanks(struct cursor *c)
{
    while (peek(c) == ' ' || peek(c) == '\t')
        c->at++;
}

static bool take(struct cursor *c, char wanted)
{
    skip_blanks(c);
    if (peek(c) != wanted)
        return false;
    c->at++;
    return true;
}

/* A run of characters that keys and values are made of; whether it is well-formed is checked by the
 * caller. */
static struct span take_word(struct cursor *c)
{
    skip_blanks(c);
    size_t start = c->at;
    while (peek(c) && !strchr(" \t,=!()|<>", peek(c)))
        c->at++;
    return span_of(c->text.data + start, c->at - start);
}

static int parse_key(struct cursor *c, struct span *key)
{
    skip_blanks(c);
    size_t start = c->at;
    *key = take_word(c);
    if (label_key_valid(*key))
        return 0;
    c->at = start;
    return expected(c, "a label key");
}

static int parse_value(struct cursor *c, struct selector_term *term)
{
    skip_blanks(c);
    size_t start = c->at;
    struct span value = take_word(c);
    if (!label_value_valid(value)) {
        c->at = start;
        return expected(c, "a label value");
    }
    assert(c->s->value_count < SELECTOR_VALUES_MAX);
    c->s->values[c->s->value_count++] = value;
    term->count++;
    return 0;
}

/* As many digits as there are; a label's value has no sign. */
static bool read_number(struct span text, int64_t *out)
{
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || n > (INT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return text.len > 0;
}

static int parse_number(struct cursor *c, struct selector_term *term)
{
    skip_blanks(c);
    size_t start = c->at;
    if (!read_number(take_word(c), &term->number)) {
        c->at = start;
        return expected(c, "a whole number");
    }
    return 0;
}

static int parse_list(struct cursor *c, struct selector_term *term)
{
    if (!take(c, '('))
        return expected(c, "'('");
    skip_blanks(c);
    if (peek(c) == ')')
        return expected(c, "a label value");
    do {
        int rv = parse_value(c, term);
        if (rv < 0)
            return rv;
    } while (take(c, ','));
    return take(c, ')') ? 0 : expected(c, "',' or ')'");
}

static bool word_is(struct span word, const char *text)
{
    return span_equal(word, span_text(text));
}

/* The word, with another key behind it; a label may have that name, too. Where it ends, or 0. */
static size_t end_of_except(const struct cursor *c)
{
    struct cursor ahead = *c;
    if (!word_is(take_word(&ahead), "except"))
        return 0;
    size_t end = ahead.at;
    skip_blanks(&ahead);
    bool negated = peek(&ahead) == '!' && ahead.at + 1 < ahead.text.len &&
                   ahead.text.data[ahead.at + 1] != '=';
    struct span word = take_word(&ahead);
    bool key = word.len > 0 && !word_is(word, "in") && !word_is(word, "notin");
    return key || negated ? end : 0;
}

static bool take_except(struct cursor *c)
{
    size_t end = end_of_except(c);
    c->at = end ? end : c->at;
    return end != 0;
}

/* What stands behind a key: nothing, "= value", "!= value", "in (…)", "notin (…)", "> number" or
 * "< number". */
static int parse_operator(struct cursor *c, struct selector_term *term)
{
    if (take(c, '=')) {
        take(c, '=');
        term->operator= SELECTOR_IN;
        return parse_value(c, term);
    }
    if (take(c, '!')) {
        if (!take(c, '='))
            return expected(c, "'=' after '!'");
        term->operator= SELECTOR_NOT_IN;
        return parse_value(c, term);
    }
    if (take(c, '>') || take(c, '<')) {
        term->operator= c->text.data[c->at - 1] == '>' ? SELECTOR_MORE : SELECTOR_LESS;
        return parse_number(c, term);
    }
    size_t start = c->at;
    bool ends = end_of_except(c) != 0;
    struct span word = ends ? SPAN_NONE : take_word(c);
    if (word.len == 0) {
        term->operator= SELECTOR_EXISTS;
        return 0;
    }
    if (!word_is(word, "in") && !word_is(word, "notin")) {
        c->at = start;
        return expected(c, "'=', '!=', '<', '>', 'in', 'notin' or ','");
    }
    term->operator= word_is(word, "in") ? SELECTOR_IN : SELECTOR_NOT_IN;
    return parse_list(c, term);
}

static int parse_group(struct cursor *c, struct selector_term *term)
{
    size_t start = c->at;
    term->key = take_word(c);
    if (label_key_valid(term->key))
        return 0;
    c->at = start;
    return expected(c, "a group's name");
}

static int parse_term(struct cursor *c, struct selector_term *term)
{
    bool negated = take(c, '!');
    *term = (struct selector_term){.operator= negated ? SELECTOR_NOT_GROUP : SELECTOR_GROUP,
                                   .first = c->s->value_count};
    if (take(c, '@'))
        return parse_group(c, term);
    term->operator= SELECTOR_NOT_EXISTS;
    if (negated)
        return parse_key(c, &term->key);
    int rv = parse_key(c, &term->key);
    return rv < 0 ? rv : parse_operator(c, term);
}

/* Terms joined by commas. */
static int parse_alternative(struct cursor *c, struct selector *s)
{
    skip_blanks(c);
    if (s->alternatives == SELECTOR_ALTERNATIVES_MAX)
        return errmsg_set(c->em, ERR_RANGE, "selector: at character %zu: more than %d alternatives",
                          c->at + 1, SELECTOR_ALTERNATIVES_MAX);
    do {
        if (s->count == SELECTOR_TERMS_MAX)
            return errmsg_set(c->em, ERR_RANGE, "selector: at character %zu: more than %d terms",
                              c->at + 1, SELECTOR_TERMS_MAX);
        int rv = parse_term(c, &s->terms[s->count++]);
        if (rv < 0)
            return rv;
    } while (take(c, ','));
    s->ends[s->alternatives++] = s->count;
    return 0;
}

static int parse_alternatives(struct cursor *c, struct selector *s)
{
    do {
        int rv = parse_alternative(c, s);
        if (rv < 0)
            return rv;
    } while (take(c, '|'));
    return 0;
}

int selector_parse(struct selector *s, struct span text, struct errmsg *em)
{
    struct cursor c = {.text = text, .em = em, .s = s};
    s->count = s->alternatives = s->choosing = s->depth = s->value_count = 0;
    s->book = NULL;
    if (text.len > SELECTOR_TEXT_MAX)
        return errmsg_set(em, ERR_RANGE, "selector is %zu characters long: at most %d are allowed",
                          text.len, SELECTOR_TEXT_MAX);
    skip_blanks(&c);
    if (c.at == text.len)
        return 0;
    bool excepts = take_except(&c);
    int rv = excepts ? 0 : parse_alternatives(&c, s);
    s->choosing = s->alternatives;
    if (rv == 0 && (excepts || take_except(&c)))
        rv = parse_alternatives(&c, s);
    skip_blanks(&c);
    if (rv < 0 || c.at == text.len)
        return rv;
    return expected(&c, "',', '|', 'except' or the end");
}

static bool term_has(const struct selector *s, const struct selector_term *term, struct span value)
{
    for (uint32_t i = 0; i < term->count; i++)
        if (span_equal(s->values[term->first + i], value))
            return true;
    return false;
}

/* What is no whole number is neither more nor less, as in Kubernetes. */
static bool term_compares(const struct selector_term *term, struct span value)
{
    int64_t number;
    if (!read_number(value, &number))
        return false;
    return term->operator== SELECTOR_MORE ? number > term->number : number<term->number;
}

static bool is_in_group(const struct selector *s, struct span name, const struct labels *labels)
{
    struct selector saved;
    const char *text = s->book ? s->book->find(s->book->context, name) : NULL;
    if (!text || s->depth == SELECTOR_DEPTH_MAX ||
        selector_parse(&saved, span_text(text), NULL) < 0)
        return false;
    saved.book = s->book;
    saved.depth = s->depth + 1;
    return selector_matches(&saved, labels);
}

static bool term_matches(const struct selector *s, const struct selector_term *term,
                         const struct labels *labels)
{
    struct span value;
    bool present = labels_get(labels, term->key, &value);
    switch (term->operator) {
    case SELECTOR_EXISTS:
        return present;
    case SELECTOR_NOT_EXISTS:
        return !present;
    case SELECTOR_IN:
        return present && term_has(s, term, value);
    case SELECTOR_NOT_IN:
        return !present || !term_has(s, term, value);
    case SELECTOR_MORE:
    case SELECTOR_LESS:
        return present && term_compares(term, value);
    case SELECTOR_GROUP:
        return is_in_group(s, term->key, labels);
    case SELECTOR_NOT_GROUP:
        return !is_in_group(s, term->key, labels);
    }
    return false;
}

/* The first term of an alternative that doesn't hold; the one behind its last when all do. */
static uint32_t first_failing(const struct selector *s, uint32_t index, const struct labels *labels)
{
    uint32_t i = index ? s->ends[index - 1] : 0;
    while (i < s->ends[index] && term_matches(s, &s->terms[i], labels))
        i++;
    return i;
}

static bool alternative_matches(const struct selector *s, uint32_t index,
                                const struct labels *labels)
{
    return first_failing(s, index, labels) == s->ends[index];
}

bool selector_matches(const struct selector *s, const struct labels *labels)
{
    bool chosen = s->choosing == 0;
    for (uint32_t i = 0; i < s->choosing && !chosen; i++)
        chosen = alternative_matches(s, i, labels);
    return chosen && !selector_excludes(s, labels);
}

bool selector_excludes(const struct selector *s, const struct labels *labels)
{
    bool excluded = false;
    for (uint32_t i = s->choosing; i < s->alternatives && !excluded; i++)
        excluded = alternative_matches(s, i, labels);
    return excluded;
}

bool selector_next_group(const struct selector *s, uint32_t *at, struct span *name)
{
    while (*at < s->count) {
        const struct selector_term *term = &s->terms[(*at)++];
        *name = term->key;
        if (term->operator== SELECTOR_GROUP || term->operator== SELECTOR_NOT_GROUP)
            return true;
    }
    return false;
}

static struct selector_miss nearest(const struct selector *s, const struct labels *labels)
{
    struct selector_miss near = {0};
    uint32_t most = 0;
    for (uint32_t i = 0; i < s->choosing; i++) {
        uint32_t term = first_failing(s, i, labels);
        uint32_t held = term - (i ? s->ends[i - 1] : 0);
        if (i == 0 || held > most) {
            near = (struct selector_miss){.alternative = i, .term = term};
            most = held;
        }
    }
    return near;
}

bool selector_misses(const struct selector *s, const struct labels *labels,
                     struct selector_miss *out)
{
    if (selector_matches(s, labels))
        return false;
    for (uint32_t i = s->choosing; i < s->alternatives; i++) {
        *out = (struct selector_miss){.alternative = i, .term = i ? s->ends[i - 1] : 0};
        if (alternative_matches(s, i, labels))
            return true;
    }
    *out = nearest(s, labels);
    return true;
}
