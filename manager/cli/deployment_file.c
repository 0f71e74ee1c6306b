#include "manager/cli/deployment_file.h"

#include "manager/cli/suggest.h"

#include <stdio.h>
#include <yaml.h>

/* Keys in one mapping. */
#define KEYS_MAX 8
/* How much of a path and of a bad value a sentence shows. */
#define PATH_SHOWN 120
#define VALUE_SHOWN 60

struct reading {
    const char *path;
    yaml_document_t document;
    struct deployment_file *d;
    struct errmsg *em;
};

/* One key of a mapping and who reads its value. */
struct key {
    const char *name;
    int (*read)(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
    bool required;
};

static int load(struct reading *r, yaml_parser_t *p);
static int load_failed(struct reading *r, const yaml_parser_t *p);
static int read_root(struct reading *r);
static int read_mapping(struct reading *r, const char *what, const yaml_node_t *node,
                        const struct key *keys);
static int read_pair(struct reading *r, const yaml_node_pair_t *pair, const struct key *keys,
                     bool seen[static KEYS_MAX]);
static int unknown_key(struct reading *r, const yaml_node_t *node, const struct key *keys);
static int read_deployment(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_bundle(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_placement(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_select(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_all(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_pick(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_priority(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_paused(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_keep(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int read_rollout(struct reading *r, const yaml_node_t *key, const yaml_node_t *value);
static int get_text(struct reading *r, const yaml_node_t *key, const yaml_node_t *value,
                    const char **text);
static int get_bool(struct reading *r, const yaml_node_t *key, const yaml_node_t *value, bool *b);
static const char *scalar(const yaml_node_t *node);
static int refuse(struct reading *r, yaml_mark_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static const struct key file_keys[KEYS_MAX] = {
    {"deployment", read_deployment, true}, {"bundle", read_bundle, true},
    {"placement", read_placement, false},  {"priority", read_priority, false},
    {"paused", read_paused, false},        {"keep", read_keep, false},
    {"rollout", read_rollout, false},
};

static const struct key placement_keys[KEYS_MAX] = {
    {"select", read_select, false},
    {"all", read_all, false},
    {"pick", read_pick, false},
};

int deployment_file_read(struct deployment_file *d, const char *path, struct span text,
                         struct errmsg *em)
{
    *d = (struct deployment_file){0};
    struct reading r = {.path = path, .d = d, .em = em};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return errmsg_set(em, ERR_NO_MEMORY, "not enough memory to read %.*s", PATH_SHOWN, path);
    yaml_parser_set_input_string(&parser, text.data, text.len);
    int rv = load(&r, &parser);
    yaml_parser_delete(&parser);
    return rv;
}

/* The first document, read; and there is no second one. */
static int load(struct reading *r, yaml_parser_t *p)
{
    if (!yaml_parser_load(p, &r->document))
        return load_failed(r, p);
    int rv = read_root(r);
    yaml_document_delete(&r->document);
    if (rv < 0)
        return rv;
    if (!yaml_parser_load(p, &r->document))
        return load_failed(r, p);
    const yaml_node_t *second = yaml_document_get_root_node(&r->document);
    if (second)
        rv = refuse(r, second->start_mark, "a second document; write one deployment a file");
    yaml_document_delete(&r->document);
    return rv;
}

static int load_failed(struct reading *r, const yaml_parser_t *p)
{
    if (p->error == YAML_MEMORY_ERROR)
        return errmsg_set(r->em, ERR_NO_MEMORY, "not enough memory to read %.*s", PATH_SHOWN,
                          r->path);
    /* The reader, which looks at bytes, knows no line. */
    if (p->error == YAML_READER_ERROR)
        return refuse(r, p->mark, "not YAML: %s", p->problem);
    return refuse(r, p->problem_mark, "not YAML: %s%s%s", p->problem, p->context ? " " : "",
                  p->context ? p->context : "");
}

static int read_root(struct reading *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    if (!root)
        return refuse(r, (yaml_mark_t){0},
                      "empty; a deployment needs at least the keys "
                      "\"deployment\" and \"bundle\"");
    return read_mapping(r, "a deployment", root, file_keys);
}

static int read_mapping(struct reading *r, const char *what, const yaml_node_t *node,
                        const struct key *keys)
{
    bool seen[KEYS_MAX] = {false};
    if (node->type != YAML_MAPPING_NODE)
        return refuse(r, node->start_mark, "%s is a mapping: lines like \"%s: …\"", what,
                      keys[0].name);
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top; p++) {
        int rv = read_pair(r, p, keys, seen);
        if (rv < 0)
            return rv;
    }
    for (size_t i = 0; i < KEYS_MAX && keys[i].name; i++)
        if (keys[i].required && !seen[i])
            return refuse(r, node->start_mark, "the key \"%s\" is missing", keys[i].name);
    return 0;
}

static int read_pair(struct reading *r, const yaml_node_pair_t *pair, const struct key *keys,
                     bool seen[static KEYS_MAX])
{
    const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(&r->document, pair->value);
    if (key->type != YAML_SCALAR_NODE)
        return refuse(r, key->start_mark, "a key must be a word");
    size_t i = 0;
    while (i < KEYS_MAX && keys[i].name && strcmp(keys[i].name, scalar(key)) != 0)
        i++;
    if (i == KEYS_MAX || !keys[i].name)
        return unknown_key(r, key, keys);
    if (seen[i])
        return refuse(r, key->start_mark, "%s: is there twice", keys[i].name);
    seen[i] = true;
    return keys[i].read(r, key, value);
}

static int unknown_key(struct reading *r, const yaml_node_t *node, const struct key *keys)
{
    struct suggest s = {.word = scalar(node)};
    for (size_t i = 0; i < KEYS_MAX && keys[i].name; i++)
        suggest_offer(&s, keys[i].name);
    if (s.best)
        return refuse(r, node->start_mark, "unknown key \"%.*s\"; did you mean \"%s\"?",
                      VALUE_SHOWN, s.word, s.best);
    return refuse(r, node->start_mark, "unknown key \"%.*s\"", VALUE_SHOWN, s.word);
}

static int read_deployment(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    const char *text = "";
    struct errmsg why;
    int rv = get_text(r, key, value, &text);
    if (rv < 0)
        return rv;
    if (bundle_name_check("deployment", text, &why) < 0)
        return refuse(r, value->start_mark, "%s", why.text);
    snprintf(r->d->deployment, sizeof r->d->deployment, "%s", text);
    return 0;
}

static int read_bundle(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    const char *text = "";
    struct errmsg why;
    int rv = get_text(r, key, value, &text);
    if (rv == 0 && bundle_name_parse(&r->d->bundle, text, &why) < 0)
        rv = refuse(r, value->start_mark, "bundle: %s", why.text);
    return rv;
}

static int read_placement(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    r->d->placed = true;
    int rv = read_mapping(r, "a placement", value, placement_keys);
    if (rv < 0)
        return rv;
    if (r->d->all && r->d->select[0])
        return refuse(r, key->start_mark,
                      "placement: \"select\" and \"all: true\" exclude each other");
    if (!r->d->all && !r->d->select[0])
        return refuse(r, key->start_mark,
                      "placement: says no agents; write \"select: …\", or \"all: true\" for every "
                      "agent");
    return 0;
}

static int read_select(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    const char *text = "";
    struct errmsg why;
    struct selector selector;
    if (value->type == YAML_SEQUENCE_NODE)
        return refuse(r, value->start_mark,
                      "select: a list of selectors is not supported yet; write one selector, such "
                      "as \"env in (staging,prod)\"");
    int rv = get_text(r, key, value, &text);
    if (rv < 0)
        return rv;
    if (selector_parse(&selector, span_text(text), &why) < 0)
        return refuse(r, value->start_mark, "%s", why.text);
    if (selector.count == 0)
        return refuse(r, value->start_mark,
                      "select: is empty; for every agent write \"all: true\"");
    if (strlen(text) > SELECTOR_TEXT_MAX)
        return refuse(r, value->start_mark, "select: is longer than %d characters",
                      SELECTOR_TEXT_MAX);
    snprintf(r->d->select, sizeof r->d->select, "%s", text);
    return 0;
}

static int read_all(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    return get_bool(r, key, value, &r->d->all);
}

static int read_pick(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    (void)key;
    if (value->type == YAML_SCALAR_NODE && strcmp(scalar(value), "all") == 0)
        return 0;
    return refuse(r, value->start_mark,
                  "pick: anything but \"all\" is not supported yet; choose with \"select\"");
}

static int read_priority(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    const char *text = "";
    unsigned long n = 0;
    int rv = get_text(r, key, value, &text);
    if (rv < 0)
        return rv;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return refuse(r, value->start_mark, "priority: \"%.*s\" is not a whole number",
                          VALUE_SHOWN, text);
        n = 10 * n + (unsigned long)(*p - '0');
        if (n > PRIORITY_MAX)
            return refuse(r, value->start_mark, "priority: is from 0 to %d", PRIORITY_MAX);
    }
    r->d->priority = (uint32_t)n;
    return 0;
}

static int read_paused(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    return get_bool(r, key, value, &r->d->paused);
}

static int read_keep(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    return get_bool(r, key, value, &r->d->keep);
}

static int read_rollout(struct reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    (void)value;
    return refuse(r, key->start_mark,
                  "rollout: is not supported yet; without it all agents get the version at once");
}

/* A text that isn't empty and has no byte 0. It lives as long as the document. */
static int get_text(struct reading *r, const yaml_node_t *key, const yaml_node_t *value,
                    const char **text)
{
    if (value->type != YAML_SCALAR_NODE)
        return refuse(r, value->start_mark, "%s: must be a single value, not a %s", scalar(key),
                      value->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
    *text = scalar(value);
    if (strlen(*text) != value->data.scalar.length)
        return refuse(r, value->start_mark, "%s: has a zero byte", scalar(key));
    if (!**text && strcmp(scalar(key), "select") != 0)
        return refuse(r, value->start_mark, "%s: has no value", scalar(key));
    return 0;
}

static int get_bool(struct reading *r, const yaml_node_t *key, const yaml_node_t *value, bool *b)
{
    const char *text = "";
    int rv = get_text(r, key, value, &text);
    if (rv < 0)
        return rv;
    bool plain = value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    *b = strcmp(text, "true") == 0;
    if (plain && (*b || strcmp(text, "false") == 0))
        return 0;
    return refuse(r, value->start_mark, "%s: must be true or false, not %s%.*s%s", scalar(key),
                  plain ? "" : "\"", VALUE_SHOWN, text, plain ? "" : "\"");
}

static const char *scalar(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* Writes the sentence behind the place, which people count from 1. */
static int refuse(struct reading *r, yaml_mark_t at, const char *fmt, ...)
{
    char why[ERRMSG_MAX - PATH_SHOWN - 32];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return errmsg_set(r->em, ERR_USAGE, "%.*s:%zu:%zu: %s", PATH_SHOWN, r->path, at.line + 1,
                      at.column + 1, why);
}
