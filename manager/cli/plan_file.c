#include "manager/cli/plan_file.h"

#include "manager/core/plan_words.h"

_Static_assert((int)PLAN_KEYS_MAX <= YAML_KEYS_MAX, "every part of a plan fits a mapping");

static int read_part(struct yaml_reading *r, enum plan_part part, const yaml_node_t *node,
                     void *into);
static yaml_pair read_key;
static int read_value(struct yaml_reading *r, const struct plan_key *k, void *into,
                      const yaml_node_t *key, const yaml_node_t *value);
static int read_stages(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                       struct plan *p);

/* What a mapping is read into. */
struct target {
    enum plan_part part;
    void *into;
};

int plan_file_read(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                   struct plan *p)
{
    struct errmsg why;
    *p = PLAN_DEFAULT;
    int rv = read_part(r, PLAN_WHOLE, value, p);
    if (rv == 0 && plan_complete(p, &why) < 0)
        rv = yaml_refuse(r, key->start_mark, "%s: %s", yaml_scalar(key), why.text);
    return rv;
}

static int read_part(struct yaml_reading *r, enum plan_part part, const yaml_node_t *node,
                     void *into)
{
    struct yaml_shape shape = {.what = plan_part_name(part), .read = read_key};
    if (part == PLAN_WHOLE)
        shape.none = "[] for everybody at once";
    const struct plan_key *keys = plan_keys(part, &shape.count);
    for (size_t i = 0; i < shape.count; i++) {
        shape.keys[i].name = keys[i].name;
        shape.keys[i].required = keys[i].required;
    }
    return yaml_mapping(r, &shape, node, &(struct target){.part = part, .into = into});
}

static int read_key(struct yaml_reading *r, void *context, size_t index, const yaml_node_t *key,
                    const yaml_node_t *value)
{
    const struct target *t = context;
    size_t count;
    const struct plan_key *k = &plan_keys(t->part, &count)[index];
    if (k->form == PLAN_LIST)
        return read_stages(r, key, value, t->into);
    if (k->form == PLAN_BOTH)
        return read_part(r, k->part, value, (char *)t->into + k->offset);
    return read_value(r, k, t->into, key, value);
}

static int read_value(struct yaml_reading *r, const struct plan_key *k, void *into,
                      const yaml_node_t *key, const yaml_node_t *value)
{
    const char *text = "";
    struct errmsg why;
    bool flag;
    int rv = k->form == PLAN_FLAG ? yaml_bool(r, key, value, &flag) : 0;
    if (rv == 0)
        rv = yaml_text(r, key, value, false, &text);
    if (rv == 0 && plan_set(k, into, text, &why) < 0)
        rv = yaml_refuse(r, value->start_mark, "%s%s", why.text, yaml_cut_short(value));
    return rv;
}

static int read_stages(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                       struct plan *p)
{
    if (value->type != YAML_SEQUENCE_NODE)
        return yaml_refuse(r, value->start_mark, "%s: must be a list; without any, write []",
                           yaml_scalar(key));
    for (const yaml_node_item_t *item = value->data.sequence.items.start;
         item < value->data.sequence.items.top; item++) {
        const yaml_node_t *node = yaml_document_get_node(&r->document, *item);
        if (p->count == STAGES_MAX)
            return yaml_refuse(r, node->start_mark, "%s: more than %d", yaml_scalar(key),
                               STAGES_MAX);
        int rv = read_part(r, PLAN_STAGE, node, &p->stages[p->count++]);
        if (rv < 0)
            return rv;
    }
    return 0;
}
