#include "manager/cli/args.h"

#include "base/duration.h"
#include "manager/cli/suggest.h"
#include "manager/cli/table.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* Where the reading is. */
struct cursor {
    int argc;
    char *const *argv;
    int at;
    struct errmsg *em;
};

static int take(struct args *a, struct cursor *c);
static int take_word(struct args *a, const char *word, struct errmsg *em);
static int take_flag(struct args *a, struct cursor *c, const char *word);
static int take_value(struct args *a, struct cursor *c, const struct flag *f, const char *text);
static int take_pairs(struct args *a, struct cursor *c, const struct flag *f, const char *first);
static int add(struct args *a, const struct arg *arg, struct errmsg *em);
static int read_number(const struct flag *f, const char *text, uint64_t *n, struct errmsg *em);
static int read_digits(const char *text, uint64_t *n);
static const struct flag *find(const struct args *a, const char *name, size_t len);
static int unknown(const struct args *a, const char *word, struct errmsg *em);
static const struct arg *given(const struct args *a, const char *name);

int args_parse(struct args *a, const struct flag_set *sets, size_t set_count, int argc,
               char *const argv[], struct errmsg *em)
{
    *a = (struct args){.sets = sets, .set_count = set_count};
    struct cursor c = {.argc = argc, .argv = argv, .em = em};
    int rv = 0;
    while (rv == 0 && c.at < argc)
        rv = take(a, &c);
    return rv;
}

void args_skim(struct args *a, const struct flag_set *sets, size_t set_count, int argc,
               char *const argv[])
{
    *a = (struct args){.sets = sets, .set_count = set_count};
    struct cursor c = {.argc = argc, .argv = argv};
    while (c.at < argc)
        (void)take(a, &c);
}

int args_complete(const struct args *a, struct errmsg *em)
{
    for (size_t s = 0; s < a->set_count; s++)
        for (size_t i = 0; i < a->sets[s].count; i++) {
            const struct flag *f = &a->sets[s].flags[i];
            if (f->required && !args_has(a, f->name))
                return errmsg_set(em, ERR_USAGE, "--%s %s is missing", f->name, f->value);
        }
    return 0;
}

bool args_has(const struct args *a, const char *name)
{
    return given(a, name) != NULL;
}

const char *args_text(const struct args *a, const char *name)
{
    const struct arg *arg = given(a, name);
    return arg ? arg->text : find(a, name, strlen(name))->fallback;
}

uint64_t args_number(const struct args *a, const char *name)
{
    const struct arg *arg = given(a, name);
    const struct flag *f = find(a, name, strlen(name));
    uint64_t n = 0;
    if (arg)
        return arg->number;
    if (f->fallback) {
        int rv = read_number(f, f->fallback, &n, NULL);
        assert(rv == 0);
    }
    return n;
}

const char *args_next(const struct args *a, const char *name, size_t *at)
{
    const struct flag *f = find(a, name, strlen(name));
    while (*at < a->given_count) {
        const struct arg *arg = &a->given[(*at)++];
        if (arg->flag == f)
            return arg->text;
    }
    return NULL;
}

void args_usage(const struct flag_set *set, size_t used, FILE *out)
{
    for (int optional = 0; optional < 2; optional++)
        for (size_t i = 0; i < set->count; i++) {
            const struct flag *f = &set->flags[i];
            char text[128];
            if (f->required == (optional == 1))
                continue;
            snprintf(text, sizeof text, "%s--%s%s%s%s", optional ? "[" : "", f->name,
                     f->value ? " " : "", f->value ? f->value : "", optional ? "]" : "");
            size_t width = table_width(text, strlen(text));
            bool fits = used + 1 + width <= ARGS_HELP_WIDTH;
            fprintf(out, "%s%s", fits ? " " : "\n        ", text);
            used = (fits ? used + 1 : 8) + width;
        }
}

void args_wrap(const char *text, size_t len, size_t column, FILE *out)
{
    size_t used = column;
    for (size_t at = 0; at < len;) {
        size_t word = at;
        while (word < len && text[word] != ' ')
            word++;
        size_t width = table_width(text + at, word - at);
        if (used > column && used + 1 + width > ARGS_HELP_WIDTH) {
            fprintf(out, "\n%*s", (int)column, "");
            used = column;
        } else if (used > column) {
            fputc(' ', out);
            used++;
        }
        fwrite(text + at, 1, word - at, out);
        used += width;
        at = word + 1;
    }
    fputc('\n', out);
}

void args_help(const struct flag_set *set, FILE *out)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct flag *f = &set->flags[i];
        char text[256];
        int len = snprintf(text, sizeof text, "  --%s%s%s", f->name, f->value ? " " : "",
                           f->value ? f->value : "");
        size_t width = table_width(text, (size_t)len);
        bool fits = width < ARGS_HELP_INDENT;
        fprintf(out, "%s%s%*s", text, fits ? "" : "\n", ARGS_HELP_INDENT - (fits ? (int)width : 0),
                "");
        len = snprintf(text, sizeof text, "%s%s%s%s", f->help, f->fallback ? " (default " : "",
                       f->fallback ? f->fallback : "", f->fallback ? ")" : "");
        args_wrap(text, (size_t)len, ARGS_HELP_INDENT, out);
    }
}

/* One word of the command line, with the value that belongs to it. */
static int take(struct args *a, struct cursor *c)
{
    const char *word = c->argv[c->at++];
    if (strcmp(word, "--") == 0) {
        int rv = 0;
        while (rv == 0 && c->at < c->argc)
            rv = take_word(a, c->argv[c->at++], c->em);
        return rv;
    }
    if (strcmp(word, "-h") == 0)
        return take_flag(a, c, "--help");
    if (word[0] == '-' && word[1] != '\0')
        return take_flag(a, c, word);
    return take_word(a, word, c->em);
}

static int take_word(struct args *a, const char *word, struct errmsg *em)
{
    if (a->word_count == ARGS_MAX)
        return errmsg_set(em, ERR_USAGE, "more than %d words; give fewer at a time", ARGS_MAX);
    a->words[a->word_count++] = word;
    return 0;
}

static int take_flag(struct args *a, struct cursor *c, const char *word)
{
    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    const struct flag *f = strncmp(word, "--", 2) == 0 ? find(a, name, len) : NULL;
    if (!f)
        return unknown(a, word, c->em);
    const char *text = name[len] ? name + len + 1 : NULL;
    if (f->kind == FLAG_PAIRS)
        return take_pairs(a, c, f, text);
    if (given(a, f->name) && f->kind != FLAG_SWITCH && f->kind != FLAG_TEXTS)
        return errmsg_set(c->em, ERR_USAGE, "--%s is given twice", f->name);
    if (f->kind != FLAG_SWITCH)
        return take_value(a, c, f, text);
    if (text)
        return errmsg_set(c->em, ERR_USAGE, "--%s takes no value; \"=%.60s\" is too much", f->name,
                          text);
    return add(a, &(struct arg){.flag = f}, c->em);
}

/* `text` is what stood behind "=", or NULL: then the next word is the value. */
static int take_value(struct args *a, struct cursor *c, const struct flag *f, const char *text)
{
    if (!text && (c->at == c->argc || strncmp(c->argv[c->at], "--", 2) == 0))
        return errmsg_set(c->em, ERR_USAGE, "--%s needs a value: --%s %s", f->name, f->name,
                          f->value);
    struct arg arg = {.flag = f, .text = text ? text : c->argv[c->at++]};
    bool number = f->kind == FLAG_NUMBER || f->kind == FLAG_DURATION;
    int rv = !number ? 0 : read_number(f, arg.text, &arg.number, c->em);
    return rv < 0 ? rv : add(a, &arg, c->em);
}

static int take_pairs(struct args *a, struct cursor *c, const struct flag *f, const char *first)
{
    int rv = 0;
    size_t before = a->given_count;
    if (first)
        rv = add(a, &(struct arg){.flag = f, .text = first}, c->em);
    while (rv == 0 && c->at < c->argc && c->argv[c->at][0] != '-' && strchr(c->argv[c->at], '='))
        rv = add(a, &(struct arg){.flag = f, .text = c->argv[c->at++]}, c->em);
    if (rv == 0 && a->given_count == before)
        return errmsg_set(c->em, ERR_USAGE, "--%s needs a value: --%s %s", f->name, f->name,
                          f->value);
    return rv;
}

static int add(struct args *a, const struct arg *arg, struct errmsg *em)
{
    if (a->given_count == ARGS_MAX)
        return errmsg_set(em, ERR_USAGE, "more than %d flags", ARGS_MAX);
    a->given[a->given_count++] = *arg;
    return 0;
}

static int read_number(const struct flag *f, const char *text, uint64_t *n, struct errmsg *em)
{
    bool duration = f->kind == FLAG_DURATION;
    int rv = duration ? duration_read(text, n) : read_digits(text, n);
    if (rv == ERR_FORMAT && duration)
        return errmsg_set(em, ERR_USAGE,
                          "--%s %.60s: not a duration; write it like 90s, 5m, 24h or 7d", f->name,
                          text);
    if (rv == ERR_FORMAT)
        return errmsg_set(em, ERR_USAGE, "--%s %.60s: not a whole number", f->name, text);
    if (rv == 0 && (f->max == 0 || (*n >= f->min && *n <= f->max)))
        return 0;
    const char *unit = duration ? " seconds" : "";
    return errmsg_set(em, ERR_USAGE,
                      "--%s %.60s: out of range; from %" PRIu64 " to %" PRIu64 "%s will do",
                      f->name, text, f->min, f->max, unit);
}

static int read_digits(const char *text, uint64_t *n)
{
    *n = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return ERR_FORMAT;
        if (*n > (UINT64_MAX - 9) / 10)
            return ERR_RANGE;
        *n = 10 * *n + (uint64_t)(*p - '0');
    }
    return *text ? 0 : ERR_FORMAT;
}

static const struct flag *find(const struct args *a, const char *name, size_t len)
{
    for (size_t s = 0; s < a->set_count; s++)
        for (size_t i = 0; i < a->sets[s].count; i++) {
            const struct flag *f = &a->sets[s].flags[i];
            if (strncmp(f->name, name, len) == 0 && f->name[len] == '\0')
                return f;
        }
    return NULL;
}

static int unknown(const struct args *a, const char *word, struct errmsg *em)
{
    char name[SUGGEST_WORD_MAX + 1];
    size_t dashes = strspn(word, "-");
    size_t len = strcspn(word + dashes, "=");
    int shown = (int)(dashes + (len < 60 ? len : 60));
    if (len > SUGGEST_WORD_MAX)
        return errmsg_set(em, ERR_USAGE, "unknown flag %.*s", shown, word);
    memcpy(name, word + dashes, len);
    name[len] = '\0';
    struct suggest s = {.word = name};
    for (size_t i = 0; i < a->set_count; i++)
        for (size_t k = 0; k < a->sets[i].count; k++)
            suggest_offer(&s, a->sets[i].flags[k].name);
    if (s.best)
        return errmsg_set(em, ERR_USAGE, "unknown flag %.*s; did you mean --%s?", shown, word,
                          s.best);
    return errmsg_set(em, ERR_USAGE, "unknown flag %.*s", shown, word);
}

static const struct arg *given(const struct args *a, const char *name)
{
    const struct flag *f = find(a, name, strlen(name));
    assert(f);
    for (size_t i = 0; i < a->given_count; i++)
        if (a->given[i].flag == f)
            return &a->given[i];
    return NULL;
}
