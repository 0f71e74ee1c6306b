#include "manager/cli/deployment_file.h"

#include "manager/cli/plan_file.h"

#include <stdio.h>

/* Who reads the value of a key. */
typedef int reader(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value);

static yaml_root read_root;
static yaml_pair read_file_key;
static yaml_pair read_placement_key;
static reader read_deployment;
static reader read_bundle;
static reader read_placement;
static reader read_select;
static reader read_all;
static reader read_pick;
static reader read_priority;
static reader read_paused;
static reader read_keep;
static reader read_rollout;

static const struct yaml_shape file_shape = {
    .what = "a deployment",
    .count = 7,
    .keys = {{"deployment", true},
             {"bundle", true},
             {"placement", false},
             {"priority", false},
             {"paused", false},
             {"keep", false},
             {"rollout", false}},
    .read = read_file_key,
};

static const struct yaml_shape placement_shape = {
    .what = "a placement",
    .count = 3,
    .keys = {{"select", false}, {"all", false}, {"pick", false}},
    .read = read_placement_key,
};

int deployment_file_read(struct deployment_file *d, const char *path, struct span text,
                         struct errmsg *em)
{
    *d = (struct deployment_file){0};
    struct yaml_reading r = {.path = path, .into = d, .em = em};
    return yaml_read(&r, text,
                     "empty; a deployment needs at least the keys \"deployment\" and \"bundle\"",
                     read_root);
}

static int read_root(struct yaml_reading *r, const yaml_node_t *root)
{
    return yaml_mapping(r, &file_shape, root, NULL);
}

static int read_file_key(struct yaml_reading *r, void *context, size_t index,
                         const yaml_node_t *key, const yaml_node_t *value)
{
    static reader *const readers[] = {read_deployment, read_bundle, read_placement, read_priority,
                                      read_paused,     read_keep,   read_rollout};
    (void)context;
    return readers[index](r, key, value);
}

static int read_placement_key(struct yaml_reading *r, void *context, size_t index,
                              const yaml_node_t *key, const yaml_node_t *value)
{
    static reader *const readers[] = {read_select, read_all, read_pick};
    (void)context;
    return readers[index](r, key, value);
}

static int read_deployment(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    const char *text = "";
    struct errmsg why;
    int rv = yaml_text(r, key, value, false, &text);
    if (rv < 0)
        return rv;
    if (bundle_name_check("deployment", text, &why) < 0)
        return yaml_refuse(r, value->start_mark, "%s", why.text);
    snprintf(d->deployment, sizeof d->deployment, "%s", text);
    return 0;
}

static int read_bundle(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    const char *text = "";
    struct errmsg why;
    int rv = yaml_text(r, key, value, false, &text);
    if (rv == 0 && bundle_name_parse(&d->bundle, text, &why) < 0)
        rv = yaml_refuse(r, value->start_mark, "bundle: %s", why.text);
    return rv;
}

static int read_placement(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    d->placed = true;
    int rv = yaml_mapping(r, &placement_shape, value, NULL);
    if (rv < 0)
        return rv;
    if (d->all && d->select[0])
        return yaml_refuse(r, key->start_mark,
                           "placement: \"select\" and \"all: true\" exclude each other");
    if (!d->all && !d->select[0])
        return yaml_refuse(
            r, key->start_mark,
            "placement: says no agents; write \"select: …\", or \"all: true\" for every "
            "agent");
    return 0;
}

static int read_select(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    const char *text = "";
    struct errmsg why;
    struct selector selector;
    if (value->type == YAML_SEQUENCE_NODE)
        return yaml_refuse(
            r, value->start_mark,
            "select: a list of selectors is not supported yet; write one selector, such "
            "as \"env in (staging,prod)\"");
    int rv = yaml_text(r, key, value, true, &text);
    if (rv < 0)
        return rv;
    if (selector_parse(&selector, span_text(text), &why) < 0)
        return yaml_refuse(r, value->start_mark, "%s", why.text);
    if (selector.count == 0)
        return yaml_refuse(r, value->start_mark,
                           "select: is empty; for every agent write \"all: true\"");
    if (strlen(text) > SELECTOR_TEXT_MAX)
        return yaml_refuse(r, value->start_mark, "select: is longer than %d characters",
                           SELECTOR_TEXT_MAX);
    snprintf(d->select, sizeof d->select, "%s", text);
    return 0;
}

static int read_all(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    return yaml_bool(r, key, value, &d->all);
}

static int read_pick(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    (void)key;
    if (value->type == YAML_SCALAR_NODE && strcmp(yaml_scalar(value), "all") == 0)
        return 0;
    return yaml_refuse(r, value->start_mark,
                       "pick: anything but \"all\" is not supported yet; choose with \"select\"");
}

static int read_priority(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    const char *text = "";
    unsigned long n = 0;
    int rv = yaml_text(r, key, value, false, &text);
    if (rv < 0)
        return rv;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return yaml_refuse(r, value->start_mark, "priority: \"%.*s\" is not a whole number",
                               YAML_VALUE_SHOWN, text);
        n = 10 * n + (unsigned long)(*p - '0');
        if (n > PRIORITY_MAX)
            return yaml_refuse(r, value->start_mark, "priority: is from 0 to %d", PRIORITY_MAX);
    }
    d->priority = (uint32_t)n;
    return 0;
}

static int read_paused(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    return yaml_bool(r, key, value, &d->paused);
}

static int read_keep(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    return yaml_bool(r, key, value, &d->keep);
}

static int read_rollout(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    d->planned = true;
    return plan_file_read(r, key, value, &d->plan);
}
