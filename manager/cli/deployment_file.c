#include "manager/cli/deployment_file.h"

#include "manager/cli/plan_file.h"
#include "manager/core/manager.h"
#include "sync/variables.h"

#include <stdio.h>

/* Who reads the value of a key. */
typedef int reader(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value);

static yaml_root read_root;
static yaml_pair read_file_key;
static yaml_pair read_placement_key;
static yaml_pair read_pick_key;
static reader read_deployment;
static reader read_bundle;
static reader read_placement;
static int read_selectors(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                          char out[static SELECTOR_TEXT_MAX + 1]);
static int add_selector(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                        char out[static SELECTOR_TEXT_MAX + 1]);
static reader read_all;
static reader read_agents;
static reader read_tolerate;
static reader read_facts;
static reader read_pick;
static reader read_sort;
static int add_sort(struct yaml_reading *r, const yaml_node_t *value, const char *text);
static reader read_priority;
static int read_number(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                       unsigned long min, unsigned long max, uint32_t *out);
static reader read_history;
static reader read_paused;
static reader read_keep;
static reader read_after;
static int add_after(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value);
static reader read_rollout;
static reader read_variables;
static reader add_variable;

static const struct yaml_shape file_shape = {
    .what = "a deployment",
    .count = 10,
    .keys = {{"deployment", true},
             {"bundle", true},
             {"placement", false},
             {"priority", false},
             {"paused", false},
             {"keep", false},
             {"rollout", false},
             {"history", false},
             {"depends_on", false},
             {"variables", false}},
    .read = read_file_key,
};

static const struct yaml_shape placement_shape = {
    .what = "a placement",
    .count = 8,
    .keys = {{"select", false},
             {"exclude", false},
             {"all", false},
             {"agents", false},
             {"tolerate", false},
             {"facts", false},
             {"pick", false},
             {"sort", false}},
    .read = read_placement_key,
};

static const struct yaml_shape pick_shape = {
    .what = "a pick",
    .count = 5,
    .keys =
        {{"by", false}, {"each", false}, {"count", false}, {"max_skew", false}, {"sort", false}},
    .read = read_pick_key,
};

/* A placement while it is read. */
struct placing {
    char choose[SELECTOR_TEXT_MAX + 1];
    char except[SELECTOR_TEXT_MAX + 1];
};

/* The values of a pick's mapping; NULL: not there. */
struct picking {
    const char *by, *each, *count, *skew, *sort;
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
    static reader *const readers[] = {read_deployment, read_bundle,   read_placement, read_priority,
                                      read_paused,     read_keep,     read_rollout,   read_history,
                                      read_after,      read_variables};
    (void)context;
    return readers[index](r, key, value);
}

static int read_placement_key(struct yaml_reading *r, void *context, size_t index,
                              const yaml_node_t *key, const yaml_node_t *value)
{
    static reader *const readers[] = {NULL,          NULL,       read_all,  read_agents,
                                      read_tolerate, read_facts, read_pick, read_sort};
    struct placing *p = context;
    if (!readers[index])
        return read_selectors(r, key, value, index == 0 ? p->choose : p->except);
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
    struct placing p = {.choose = ""};
    d->placed = true;
    int rv = yaml_mapping(r, &placement_shape, value, &p);
    if (rv < 0)
        return rv;
    if (d->all && (p.choose[0] || p.except[0]))
        return yaml_refuse(r, key->start_mark,
                           "placement: \"%s\" and \"all: true\" exclude each other",
                           p.choose[0] ? "select" : "exclude");
    if (d->agents[0] && d->all)
        return yaml_refuse(r, key->start_mark,
                           "placement: \"agents\" and \"all: true\" exclude each other");
    if (!d->all && !p.choose[0] && !p.except[0] && !d->agents[0] && !d->facts[0])
        return yaml_refuse(
            r, key->start_mark,
            "placement: says no agents; write \"select: …\", or \"all: true\" for every "
            "agent");
    if (!d->pick[0])
        snprintf(d->pick, sizeof d->pick, "all");
    int len =
        snprintf(d->select, sizeof d->select, "%s%s%s%s", p.choose,
                 p.choose[0] && p.except[0] ? " " : "", p.except[0] ? "except " : "", p.except);
    if (len > SELECTOR_TEXT_MAX)
        return yaml_refuse(r, key->start_mark,
                           "placement: its selectors have %d characters, and "
                           "at most %d are allowed",
                           len, SELECTOR_TEXT_MAX);
    struct selector selector;
    struct errmsg why;
    if (selector_parse(&selector, span_text(d->select), &why) < 0)
        return yaml_refuse(r, key->start_mark, "placement: %s", why.text);
    return 0;
}

/* One, or a list of them of which any will do, joined in `out`. */
static int read_selectors(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                          char out[static SELECTOR_TEXT_MAX + 1])
{
    if (value->type != YAML_SEQUENCE_NODE)
        return add_selector(r, key, value, out);
    for (const yaml_node_item_t *i = value->data.sequence.items.start;
         i < value->data.sequence.items.top; i++) {
        int rv = add_selector(r, key, yaml_document_get_node(&r->document, *i), out);
        if (rv < 0)
            return rv;
    }
    if (!out[0])
        return yaml_refuse(r, value->start_mark, "%s: is an empty list", yaml_scalar(key));
    return 0;
}

static int add_selector(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                        char out[static SELECTOR_TEXT_MAX + 1])
{
    const char *text = "";
    struct errmsg why;
    struct selector selector;
    int rv = yaml_text(r, key, value, true, &text);
    if (rv < 0)
        return rv;
    if (selector_parse(&selector, span_text(text), &why) < 0)
        return yaml_refuse(r, value->start_mark, "%s%s", why.text, yaml_cut_short(value));
    if (selector.count == 0)
        return yaml_refuse(r, value->start_mark,
                           "%s: is empty; for every agent write \"all: true\"", yaml_scalar(key));
    if (selector.choosing < selector.alternatives &&
        (out[0] || strcmp(yaml_scalar(key), "exclude") == 0))
        return yaml_refuse(r, value->start_mark, "%s: write what is left out under \"exclude\"",
                           yaml_scalar(key));
    size_t len = strlen(out), more = strlen(text) + (len ? 3 : 0);
    if (len + more > SELECTOR_TEXT_MAX)
        return yaml_refuse(r, value->start_mark, "%s: is longer than %d characters",
                           yaml_scalar(key), SELECTOR_TEXT_MAX);
    snprintf(out + len, SELECTOR_TEXT_MAX + 1 - len, "%s%s", len ? " | " : "", text);
    return 0;
}

static int read_all(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    return yaml_bool(r, key, value, &d->all);
}

int deployment_file_name(struct deployment_file *d, struct span agent, struct errmsg *em)
{
    size_t len = strlen(d->agents);
    if (agent.len == 0 || agent.len > 2 * KEY_ID_LEN || !name_valid(agent))
        return errmsg_set(em, ERR_USAGE,
                          "agents: \"%.*s\" is no agent's id, beginning of one, or number",
                          (int)(agent.len < YAML_VALUE_SHOWN ? agent.len : YAML_VALUE_SHOWN),
                          (const char *)agent.data);
    if (len + agent.len + 2 > sizeof d->agents)
        return errmsg_set(em, ERR_USAGE, "agents: more than %d: choose by labels instead",
                          ROSTER_NAMED_MAX);
    snprintf(d->agents + len, sizeof d->agents - len, "%s%.*s", len ? "," : "", (int)agent.len,
             (const char *)agent.data);
    return 0;
}

static int read_facts(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    const char *text = "";
    struct errmsg why;
    int rv = yaml_text(r, key, value, false, &text);
    if (rv < 0)
        return rv;
    if (fact_filter_check(text, &why) < 0)
        return yaml_refuse(r, value->start_mark, "%s", why.text);
    snprintf(d->facts, sizeof d->facts, "%s", text);
    return 0;
}

/* A list of patterns, or one of them. */
static int read_tolerate(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    struct errmsg why;
    bool list = value->type == YAML_SEQUENCE_NODE;
    size_t count =
        list ? (size_t)(value->data.sequence.items.top - value->data.sequence.items.start) : 1;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *one = value;
        const char *text = "";
        if (list)
            one = yaml_document_get_node(&r->document, value->data.sequence.items.start[i]);
        int rv = yaml_text(r, key, one, false, &text);
        if (rv < 0)
            return rv;
        size_t len = strlen(d->tolerate);
        if (len + strlen(text) + 2 > sizeof d->tolerate)
            return yaml_refuse(r, one->start_mark, "tolerate: at most %d characters",
                               TOLERATE_TEXT_MAX);
        snprintf(d->tolerate + len, sizeof d->tolerate - len, "%s%s", len ? "," : "", text);
        if (tolerations_check(d->tolerate, &why) < 0)
            return yaml_refuse(r, one->start_mark, "%s", why.text);
    }
    return 0;
}

static int read_agents(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    struct errmsg why;
    if (value->type != YAML_SEQUENCE_NODE ||
        value->data.sequence.items.start == value->data.sequence.items.top)
        return yaml_refuse(r, value->start_mark, "agents: is a list of ids: [ID, …]");
    for (const yaml_node_item_t *i = value->data.sequence.items.start;
         i < value->data.sequence.items.top; i++) {
        const yaml_node_t *agent = yaml_document_get_node(&r->document, *i);
        const char *text = "";
        int rv = yaml_text(r, key, agent, false, &text);
        if (rv < 0)
            return rv;
        if (deployment_file_name(d, span_text(text), &why) < 0)
            return yaml_refuse(r, agent->start_mark, "%s", why.text);
    }
    return 0;
}

static int read_sort(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    const char *text = "";
    int rv = yaml_text(r, key, value, false, &text);
    return rv < 0 ? rv : add_sort(r, value, text);
}

static int add_sort(struct yaml_reading *r, const yaml_node_t *value, const char *text)
{
    struct deployment_file *d = r->into;
    struct errmsg why;
    if (d->sort[0])
        return yaml_refuse(r, value->start_mark, "sort: is there twice");
    if (fact_order_check(text, &why) < 0)
        return yaml_refuse(r, value->start_mark, "%s", why.text);
    snprintf(d->sort, sizeof d->sort, "%s", text);
    return 0;
}

/* What the mapping says as the text that says the same. */
static int write_pick(struct yaml_reading *r, const yaml_node_t *value, const struct picking *p,
                      char out[static 2 * PICK_TEXT_MAX])
{
    if ((p->each != NULL) == (p->count != NULL))
        return yaml_refuse(r, value->start_mark, "pick: say either \"each\" or \"count\"");
    if (!p->by && (p->each || p->skew))
        return yaml_refuse(r, value->start_mark, "pick: say \"by\" which label");
    if (p->each && p->skew)
        return yaml_refuse(r, value->start_mark, "pick: \"max_skew\" goes with \"count\"");
    if (p->by)
        snprintf(out, 2 * PICK_TEXT_MAX, "%.16s %s %.*s%s%.16s", p->each ? p->each : p->count,
                 p->each ? "of each" : "over", LABEL_KEY_MAX, p->by, p->skew ? " skew " : "",
                 p->skew ? p->skew : "");
    else
        snprintf(out, 2 * PICK_TEXT_MAX, "%.16s", p->count);
    return p->sort ? add_sort(r, value, p->sort) : 0;
}

/* A text, or {by: zone, each: 3}, {by: zone, count: 30, max_skew: 1}, {count: 3, sort: -disk_free}.
 */
static int read_pick(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    char written[2 * PICK_TEXT_MAX];
    const char *text = written;
    struct picking p = {0};
    struct pick pick;
    struct errmsg why;
    bool mapping = value->type == YAML_MAPPING_NODE;
    int rv =
        mapping ? yaml_mapping(r, &pick_shape, value, &p) : yaml_text(r, key, value, false, &text);
    if (rv == 0 && mapping)
        rv = write_pick(r, value, &p, written);
    if (rv < 0)
        return rv;
    if (pick_parse(text, &pick, &why) < 0)
        return yaml_refuse(r, value->start_mark, "%s", why.text);
    pick_text(&pick, d->pick);
    return 0;
}

static int read_pick_key(struct yaml_reading *r, void *context, size_t index,
                         const yaml_node_t *key, const yaml_node_t *value)
{
    struct picking *p = context;
    const char **const texts[] = {&p->by, &p->each, &p->count, &p->skew, &p->sort};
    return yaml_text(r, key, value, false, texts[index]);
}

static int read_priority(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    return read_number(r, key, value, 0, PRIORITY_MAX, &d->priority);
}

static int read_history(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    return read_number(r, key, value, 1, HISTORY_MAX, &d->history);
}

static int read_number(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                       unsigned long min, unsigned long max, uint32_t *out)
{
    const char *text = "", *name = yaml_scalar(key);
    unsigned long n = 0;
    int rv = yaml_text(r, key, value, false, &text);
    if (rv < 0)
        return rv;
    for (const char *p = text; *p && n <= max; p++) {
        if (*p < '0' || *p > '9')
            return yaml_refuse(r, value->start_mark, "%s: \"%.*s\" is not a whole number", name,
                               YAML_VALUE_SHOWN, text);
        n = 10 * n + (unsigned long)(*p - '0');
    }
    if (n < min || n > max)
        return yaml_refuse(r, value->start_mark, "%s: is from %lu to %lu", name, min, max);
    *out = (uint32_t)n;
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

/* A list of names, or one of them; [] for none. */
static int read_after(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    d->ordered = true;
    if (value->type != YAML_SEQUENCE_NODE)
        return add_after(r, key, value);
    for (const yaml_node_item_t *i = value->data.sequence.items.start;
         i < value->data.sequence.items.top; i++) {
        int rv = add_after(r, key, yaml_document_get_node(&r->document, *i));
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int read_variables(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    d->valued = true;
    if (value->type != YAML_MAPPING_NODE)
        return yaml_refuse(r, value->start_mark, "%s: is a mapping: lines like \"port: 8080\"",
                           yaml_scalar(key));
    for (const yaml_node_pair_t *p = value->data.mapping.pairs.start;
         p < value->data.mapping.pairs.top; p++) {
        int rv = add_variable(r, yaml_document_get_node(&r->document, p->key),
                              yaml_document_get_node(&r->document, p->value));
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int add_variable(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    struct file_variable *v = &d->variables[d->variable_count];
    const char *text = "", *name = key->type == YAML_SCALAR_NODE ? yaml_scalar(key) : "";
    if (!variable_name_valid(span_text(name)))
        return yaml_refuse(
            r, key->start_mark,
            "variables: a name has lower-case letters, digits and '_', %d at most, a "
            "letter first",
            VARIABLE_NAME_MAX);
    for (uint32_t i = 0; i < d->variable_count; i++)
        if (strcmp(d->variables[i].name, name) == 0)
            return yaml_refuse(r, key->start_mark, "%s: is there twice", name);
    if (d->variable_count == VARIABLES_NEEDED_MAX)
        return yaml_refuse(r, key->start_mark, "variables: are more than %d", VARIABLES_NEEDED_MAX);
    int rv = yaml_text(r, key, value, true, &text);
    if (rv == 0 && strlen(text) > VARIABLE_VALUE_MAX)
        rv = yaml_refuse(r, value->start_mark, "%s: is longer than %d bytes", name,
                         VARIABLE_VALUE_MAX);
    if (rv < 0)
        return rv;
    memcpy(v->name, name, strlen(name) + 1);
    memcpy(v->value, text, strlen(text) + 1);
    d->variable_count++;
    return 0;
}

static int add_after(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value)
{
    struct deployment_file *d = r->into;
    const char *text = "";
    struct errmsg why;
    int rv = yaml_text(r, key, value, false, &text);
    if (rv < 0)
        return rv;
    if (bundle_name_check("deployment", text, &why) < 0)
        return yaml_refuse(r, value->start_mark, "%s: %s", yaml_scalar(key), why.text);
    if (d->after_count == DEPENDENCIES_MAX)
        return yaml_refuse(r, value->start_mark, "%s: more than %d", yaml_scalar(key),
                           DEPENDENCIES_MAX);
    snprintf(d->after[d->after_count++], sizeof d->after[0], "%s", text);
    return 0;
}
