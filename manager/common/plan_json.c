#include "manager/common/plan_json.h"

#include "manager/core/plan_words.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* How much of an unknown key a sentence shows. */
#define KEY_SHOWN 60
/* "stage ", a name, ": before: ", a key. */
#define PATH_MAX_LEN (NAME_MAX_LEN + 48)
/* A whole number. */
#define DIGITS_MAX 32
#define NO_SCALAR "%s: must be a text or a whole number"

static int read_part(enum plan_part part, const json_t *json, void *into, struct errmsg *em);
static int read_key(const struct plan_key *k, const json_t *value, void *into, struct errmsg *em);
static int read_value(const struct plan_key *k, const json_t *value, void *into, struct errmsg *em);
static int read_stages(const json_t *list, struct plan *p, struct errmsg *em);
static json_t *write_part(enum plan_part part, const void *from);
static json_t *write_key(enum plan_part part, const struct plan_key *k, const void *from);
static json_t *write_stages(const struct plan *p);
static void add_lines(json_t *lines, const char *path, const json_t *object);
static json_t *stage_names(const struct plan *p);

int plan_from_json(const json_t *json, struct plan *p, struct errmsg *em)
{
    *p = PLAN_DEFAULT;
    int rv = read_part(PLAN_WHOLE, json, p, em);
    if (rv == 0)
        rv = plan_complete(p, em);
    return rv < 0 ? errmsg_wrap(em, rv, "rollout") : 0;
}

static int read_part(enum plan_part part, const json_t *json, void *into, struct errmsg *em)
{
    size_t count;
    const struct plan_key *keys = plan_keys(part, &count);
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return errmsg_set(em, ERR_USAGE, "%s must be an object: {…}", plan_part_name(part));
    json_object_foreach((json_t *)json, name, value)
    {
        size_t i = 0;
        while (i < count && strcmp(keys[i].name, name) != 0)
            i++;
        if (i == count)
            return errmsg_set(em, ERR_USAGE, "there is no field '%.*s' in %s", KEY_SHOWN, name,
                              plan_part_name(part));
        int rv = read_key(&keys[i], value, into, em);
        if (rv < 0)
            return rv;
    }
    for (size_t i = 0; i < count; i++)
        if (keys[i].required && !json_object_get(json, keys[i].name))
            return errmsg_set(em, ERR_USAGE, "the field '%s' is missing in %s", keys[i].name,
                              plan_part_name(part));
    return 0;
}

static int read_key(const struct plan_key *k, const json_t *value, void *into, struct errmsg *em)
{
    if (k->form == PLAN_LIST)
        return read_stages(value, into, em);
    if (k->form != PLAN_BOTH)
        return read_value(k, value, into, em);
    int rv = read_part(k->part, value, (char *)into + k->offset, em);
    return rv < 0 ? errmsg_wrap(em, rv, "%s", k->name) : 0;
}

/* A number stands for its digits. NULL: it is neither that nor a text. */
static const char *scalar_text(const json_t *value, char digits[static DIGITS_MAX])
{
    if (json_is_integer(value))
        snprintf(digits, DIGITS_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return json_is_integer(value) ? digits : json_string_value(value);
}

static int read_value(const struct plan_key *k, const json_t *value, void *into, struct errmsg *em)
{
    char digits[DIGITS_MAX];
    const char *text = scalar_text(value, digits);
    if (k->form == PLAN_FLAG && !json_is_boolean(value))
        return errmsg_set(em, ERR_USAGE, "%s: must be true or false", k->name);
    if (k->form == PLAN_FLAG)
        return plan_set(k, into, json_is_true(value) ? "true" : "false", em);
    return text ? plan_set(k, into, text, em) : errmsg_set(em, ERR_USAGE, NO_SCALAR, k->name);
}

static int read_stages(const json_t *list, struct plan *p, struct errmsg *em)
{
    if (!json_is_array(list))
        return errmsg_set(em, ERR_USAGE, "stages: must be a list");
    if (json_array_size(list) > STAGES_MAX)
        return errmsg_set(em, ERR_USAGE, "stages: more than %d", STAGES_MAX);
    p->count = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; i < p->count; i++) {
        int rv = read_part(PLAN_STAGE, json_array_get(list, i), &p->stages[i], em);
        if (rv < 0)
            return errmsg_wrap(em, rv, "stage %" PRIu32, i + 1);
    }
    return 0;
}

/* ---- writing ---- */

json_t *plan_to_json(const struct plan *p)
{
    return write_part(PLAN_WHOLE, p);
}

static json_t *write_part(enum plan_part part, const void *from)
{
    size_t count;
    const struct plan_key *keys = plan_keys(part, &count);
    json_t *json = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *value = write_key(part, &keys[i], from);
        if (value)
            json_object_set_new(json, keys[i].name, value);
    }
    return json;
}

/* NULL: it need not be said. */
static json_t *write_key(enum plan_part part, const struct plan_key *k, const void *from)
{
    char text[PLAN_VALUE_MAX];
    const void *own = (const char *)from + k->offset;
    if (k->form == PLAN_LIST)
        return write_stages(from);
    if (k->form == PLAN_BOTH)
        return plan_part_is_default(k, from) ? NULL : write_part(k->part, own);
    if (plan_is_default(part, k, from))
        return NULL;
    plan_get(k, from, text);
    if (k->form == PLAN_FLAG)
        return json_boolean(strcmp(text, "true") == 0);
    return json_string(text);
}

static json_t *write_stages(const struct plan *p)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < p->count; i++)
        json_array_append_new(list, write_part(PLAN_STAGE, &p->stages[i]));
    return list;
}

json_t *plan_to_lines(const struct plan *p)
{
    json_t *json = plan_to_json(p), *lines = json_object(), *stage;
    size_t i;
    json_array_foreach(json_object_get(json, "stages"), i, stage)
    {
        char path[PATH_MAX_LEN];
        snprintf(path, sizeof path, "stage %s: ", p->stages[i].name);
        json_object_del(stage, "name");
        add_lines(lines, path, stage);
    }
    json_object_set_new(json, "stages", stage_names(p));
    add_lines(lines, "", json);
    json_decref(json);
    return lines;
}

static void add_lines(json_t *lines, const char *path, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        char longer[PATH_MAX_LEN];
        snprintf(longer, sizeof longer, "%s%s%s", path, name, json_is_object(value) ? ": " : "");
        if (json_is_object(value))
            add_lines(lines, longer, value);
        else if (json_is_boolean(value))
            json_object_set_new(lines, longer, json_string(json_is_true(value) ? "true" : "false"));
        else
            json_object_set(lines, longer, value);
    }
}

/* "staging, prod"; "none" where everybody gets a version at once. */
static json_t *stage_names(const struct plan *p)
{
    char text[STAGES_MAX * (NAME_MAX_LEN + 3)] = "none";
    for (uint32_t i = 0, used = 0; i < p->count; i++)
        used += (uint32_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "",
                                   p->stages[i].name);
    return json_string(text);
}

/* ---- what is set on the way ---- */

int pace_from_json(const json_t *json, struct pace *pace, struct errmsg *em)
{
    size_t count;
    const struct plan_key *keys = plan_keys(PLAN_PACE, &count);
    char digits[DIGITS_MAX];
    *pace = (struct pace){0};
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(json, keys[i].name);
        if (!value || json_is_null(value))
            continue;
        const char *text = scalar_text(value, digits);
        int rv =
            text ? pace_set(pace, i, text, em) : errmsg_set(em, ERR_USAGE, NO_SCALAR, keys[i].name);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static void add_pace(json_t *list, const struct plan *p, uint32_t stage)
{
    struct pace pace = plan_pace(p, stage);
    const char *name = stage == STAGES_MAX ? NULL : p->stages[stage].name;
    char value[PLAN_VALUE_MAX];
    size_t count;
    const struct plan_key *keys = plan_keys(PLAN_PACE, &count);
    json_t *json = json_pack("{s:s?}", "stage", name);
    for (size_t i = 0; i < count; i++)
        if (pace_get(&pace, i, value))
            json_object_set_new(json, keys[i].name, json_string(value));
    if (pace.says)
        json_array_append(list, json);
    json_decref(json);
}

json_t *paces_to_json(const struct plan *p)
{
    json_t *list = json_array();
    add_pace(list, p, STAGES_MAX);
    for (uint32_t i = 0; i < p->count; i++)
        add_pace(list, p, i);
    return list;
}
