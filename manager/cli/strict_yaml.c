#include "manager/cli/strict_yaml.h"

#include "manager/cli/suggest.h"

#include <assert.h>
#include <stdio.h>

/* How much of a path a sentence shows. */
#define PATH_SHOWN 120
/* How tags begin that a text has unless it says another. */
#define YAML_CORE_TAGS "tag:yaml.org,2002:"

static int load(struct yaml_reading *r, yaml_parser_t *p, const char *empty, yaml_root *root);
static int load_failed(struct yaml_reading *r, const yaml_parser_t *p);
static int read_pair(struct yaml_reading *r, const yaml_node_pair_t *pair,
                     const struct yaml_shape *shape, void *context, bool seen[]);
static int unknown_key(struct yaml_reading *r, const yaml_node_t *node,
                       const struct yaml_shape *shape);

int yaml_read(struct yaml_reading *r, struct span text, const char *empty, yaml_root *root)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return errmsg_set(r->em, ERR_NO_MEMORY, "not enough memory to read %.*s", PATH_SHOWN,
                          r->path);
    yaml_parser_set_input_string(&parser, text.data, text.len);
    int rv = load(r, &parser, empty, root);
    yaml_parser_delete(&parser);
    return rv;
}

/* The first document, read; and there is no second one. */
static int load(struct yaml_reading *r, yaml_parser_t *p, const char *empty, yaml_root *root)
{
    if (!yaml_parser_load(p, &r->document))
        return load_failed(r, p);
    const yaml_node_t *node = yaml_document_get_root_node(&r->document);
    int rv = node ? root(r, node) : yaml_refuse(r, (yaml_mark_t){0}, "%s", empty);
    yaml_document_delete(&r->document);
    if (rv < 0)
        return rv;
    if (!yaml_parser_load(p, &r->document))
        return load_failed(r, p);
    const yaml_node_t *second = yaml_document_get_root_node(&r->document);
    if (second)
        rv = yaml_refuse(r, second->start_mark, "a second document; write one deployment a file");
    yaml_document_delete(&r->document);
    return rv;
}

/* What stands where nothing can begin is mostly one of these, and libyaml says no more than that.
 */
static const char *stray_mark(const yaml_parser_t *p)
{
    bool in_tag = p->context && strcmp(p->context, "while scanning a tag") == 0;
    bool stray = p->problem && strstr(p->problem, "cannot start any token");
    if (p->error != YAML_SCANNER_ERROR || (!in_tag && !stray))
        return NULL;
    if (in_tag)
        return "a value that begins with '!' has to be in quotes";
    return *p->buffer.pointer == '\t'  ? "a tab, where there may only be spaces"
           : *p->buffer.pointer == '@' ? "a value that begins with '@' has to be in quotes"
                                       : NULL;
}

static int load_failed(struct yaml_reading *r, const yaml_parser_t *p)
{
    const char *mark = stray_mark(p);
    if (mark)
        return yaml_refuse(r, p->problem_mark, "not YAML: %s", mark);

    if (p->error == YAML_MEMORY_ERROR)
        return errmsg_set(r->em, ERR_NO_MEMORY, "not enough memory to read %.*s", PATH_SHOWN,
                          r->path);
    /* The reader, which looks at bytes, knows no line. */
    if (p->error == YAML_READER_ERROR)
        return yaml_refuse(r, p->mark, "not YAML: %s", p->problem);
    return yaml_refuse(r, p->problem_mark, "not YAML: %s%s%s", p->problem, p->context ? " " : "",
                       p->context ? p->context : "");
}

int yaml_mapping(struct yaml_reading *r, const struct yaml_shape *shape, const yaml_node_t *node,
                 void *context)
{
    bool seen[YAML_KEYS_MAX] = {false};
    if (node->type != YAML_MAPPING_NODE)
        return yaml_refuse(r, node->start_mark, "%s is a mapping: lines like \"%s: …\"",
                           shape->what, shape->keys[0].name);
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top; p++) {
        int rv = read_pair(r, p, shape, context, seen);
        if (rv < 0)
            return rv;
    }
    for (size_t i = 0; i < shape->count; i++)
        if (shape->keys[i].required && !seen[i])
            return yaml_refuse(r, node->start_mark, "the key \"%s\" is missing%s%s",
                               shape->keys[i].name, shape->none ? "; write " : "",
                               shape->none ? shape->none : "");
    return 0;
}

static int read_pair(struct yaml_reading *r, const yaml_node_pair_t *pair,
                     const struct yaml_shape *shape, void *context, bool seen[])
{
    const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(&r->document, pair->value);
    if (key->type != YAML_SCALAR_NODE)
        return yaml_refuse(r, key->start_mark, "a key must be a word");
    size_t i = 0;
    while (i < shape->count && strcmp(shape->keys[i].name, yaml_scalar(key)) != 0)
        i++;
    if (i == shape->count)
        return unknown_key(r, key, shape);
    if (seen[i])
        return yaml_refuse(r, key->start_mark, "%s: is there twice", shape->keys[i].name);
    seen[i] = true;
    return shape->read(r, context, i, key, value);
}

static int unknown_key(struct yaml_reading *r, const yaml_node_t *node,
                       const struct yaml_shape *shape)
{
    struct suggest s = {.word = yaml_scalar(node)};
    for (size_t i = 0; i < shape->count; i++)
        suggest_offer(&s, shape->keys[i].name);
    if (s.best)
        return yaml_refuse(r, node->start_mark, "unknown key \"%.*s\"; did you mean \"%s\"?",
                           YAML_VALUE_SHOWN, s.word, s.best);
    return yaml_refuse(r, node->start_mark, "unknown key \"%.*s\"", YAML_VALUE_SHOWN, s.word);
}

int yaml_text(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value, bool empty,
              const char **text)
{
    if (value->type != YAML_SCALAR_NODE)
        return yaml_refuse(r, value->start_mark, "%s: must be a single value, not a %s",
                           yaml_scalar(key),
                           value->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
    *text = yaml_scalar(value);
    /* Without quotes "!lab" is a tag with nothing behind it. */
    if (strncmp((const char *)value->tag, YAML_CORE_TAGS, sizeof YAML_CORE_TAGS - 1) != 0)
        return yaml_refuse(r, value->start_mark,
                           "%s: a value that begins with '!' has to be in quotes",
                           yaml_scalar(key));
    if (strlen(*text) != value->data.scalar.length)
        return yaml_refuse(r, value->start_mark, "%s: has a zero byte", yaml_scalar(key));
    if (!**text && !empty)
        return yaml_refuse(r, value->start_mark, "%s: has no value", yaml_scalar(key));
    return 0;
}

int yaml_bool(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value, bool *b)
{
    const char *text = "";
    int rv = yaml_text(r, key, value, false, &text);
    if (rv < 0)
        return rv;
    bool plain = value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    *b = strcmp(text, "true") == 0;
    if (plain && (*b || strcmp(text, "false") == 0))
        return 0;
    return yaml_refuse(r, value->start_mark, "%s: must be true or false, not %s%.*s%s",
                       yaml_scalar(key), plain ? "" : "\"", YAML_VALUE_SHOWN, text,
                       plain ? "" : "\"");
}

/* As in {select: env in (a, b)}. */
const char *yaml_cut_short(const yaml_node_t *value)
{
    bool plain = value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool open = strchr(yaml_scalar(value), '(') && !strchr(yaml_scalar(value), ')');
    return plain && open ? "; between [ ] and { } what has a comma has to be in quotes" : "";
}

const char *yaml_scalar(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

int yaml_refuse(struct yaml_reading *r, yaml_mark_t at, const char *fmt, ...)
{
    char why[ERRMSG_MAX - PATH_SHOWN - 32];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return errmsg_set(r->em, ERR_USAGE, "%.*s:%zu:%zu: %s", PATH_SHOWN, r->path, at.line + 1,
                      at.column + 1, why);
}
