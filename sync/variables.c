#include "sync/variables.h"

#include "base/endian.h"
#include "base/siphash.h"

#define VARIABLE_FIELDS 3 /* name, uses, value */
#define USES_MAX 31
/* Of a sealed value, what stands for the rest. */
#define NONCE_LEN 12

static void get_variable(struct wire_reader *r, struct variable *v);
static bool follows(const struct variable *before, const struct variable *v);
static struct variable effective(const struct variable *v, enum variable_use version,
                                 struct span own, bool *is_own);
static uint64_t mix(uint64_t so_far, struct span bytes);

bool variable_name_valid(struct span name)
{
    if (name.len == 0 || name.len > VARIABLE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool letter = c >= 'a' && c <= 'z';
        bool later = (c >= '0' && c <= '9') || c == '_';
        if (!letter && (i == 0 || !later))
            return false;
    }
    return true;
}

bool variable_value_valid(struct span value)
{
    return value.len <= VARIABLE_VALUE_MAX && (value.len == 0 || !memchr(value.data, 0, value.len));
}

/* ---- as an element of a message ---- */

void variables_begin(struct wire_writer *w, uint32_t count)
{
    wire_put_array(w, count);
}

void variables_put(struct wire_writer *w, const struct variable *v)
{
    wire_put_array(w, VARIABLE_FIELDS);
    wire_put_text(w, v->name);
    wire_put_u64(w, v->uses);
    if (v->given)
        wire_put_bytes(w, v->value);
    else
        wire_put_nil(w);
}

struct span variables_get(struct wire_reader *r, size_t max)
{
    struct span from = r->rest;
    struct variable v, before = {.name = SPAN_NONE};
    uint32_t count = wire_get_array(r, 0, VARIABLES_MAX);
    for (uint32_t i = 0; i < count && !r->error; i++) {
        get_variable(r, &v);
        if (!variable_name_valid(v.name) || !follows(&before, &v))
            wire_fail(r, ERR_FORMAT);
        before = v;
    }
    struct span list = span_of(from.data, from.len - r->rest.len);
    if (list.len > max)
        wire_fail(r, ERR_RANGE);
    return r->error || count == 0 ? SPAN_NONE : list;
}

#define OF_STABLE (VARIABLE_STABLE | VARIABLE_TEMPLATE)
#define OF_NEXT (VARIABLE_NEXT | VARIABLE_NEXT_TEMPLATE)

/* By rising name; of one name that has another value in each version, the stable one's first. */
static bool follows(const struct variable *before, const struct variable *v)
{
    size_t shorter = before->name.len < v->name.len ? before->name.len : v->name.len;
    int order = shorter ? memcmp(before->name.data, v->name.data, shorter) : 0;
    if (order != 0 || before->name.len != v->name.len)
        return order < 0 || (order == 0 && before->name.len < v->name.len);
    return before->uses & VARIABLE_STABLE && !(before->uses & OF_NEXT) && v->uses & VARIABLE_NEXT &&
           !(v->uses & OF_STABLE);
}

static void get_variable(struct wire_reader *r, struct variable *v)
{
    *v = (struct variable){0};
    wire_get_array(r, VARIABLE_FIELDS, VARIABLE_FIELDS);
    v->name = wire_get_text(r, VARIABLE_NAME_MAX);
    v->uses = (uint32_t)wire_get_u64(r, USES_MAX);
    v->given = !wire_get_nil(r);
    bool secret = v->uses & VARIABLE_SECRET;
    size_t more = secret ? VARIABLE_SEALED_MORE : 0;
    if (v->given)
        v->value = wire_get_bytes(r, more, VARIABLE_VALUE_MAX + more);
    if (!secret && !variable_value_valid(v->value))
        wire_fail(r, ERR_FORMAT);
}

void variables_copy(struct wire_writer *w, struct span list)
{
    if (list.len > 0)
        wire_put_raw(w, list);
    else
        wire_put_array(w, 0);
}

/* ---- reading one that was checked ---- */

struct variable_cursor variables_on(struct span list)
{
    struct variable_cursor c = {.r = wire_reader_on(list)};
    if (list.len > 0)
        c.left = wire_get_array(&c.r, 0, VARIABLES_MAX);
    return c;
}

bool variables_next(struct variable_cursor *c, struct variable *out)
{
    if (c->left == 0)
        return false;
    c->left--;
    get_variable(&c->r, out);
    return c->r.error == 0;
}

bool variables_find(struct span list, struct span name, struct variable *out)
{
    struct variable_cursor c = variables_on(list);
    while (variables_next(&c, out))
        if (span_equal(out->name, name))
            return out->given;
    return false;
}

/* ---- what one version gets ---- */

bool variables_whole(struct span list, enum variable_use version, struct span own,
                     struct variable *missing)
{
    struct variable_cursor c = variables_on(list);
    struct variable v;
    bool is_own;
    while (variables_next(&c, &v)) {
        if (!(v.uses & version) || effective(&v, version, own, &is_own).given)
            continue;
        if (missing)
            *missing = v;
        return false;
    }
    return true;
}

uint64_t variables_digest(struct span list, enum variable_use version, struct span own)
{
    struct variable_cursor c = variables_on(list);
    struct variable v;
    uint64_t digest = 0;
    bool is_own;
    while (variables_next(&c, &v)) {
        if (!(v.uses & version))
            continue;
        struct variable e = effective(&v, version, own, &is_own);
        uint8_t uses = (uint8_t)(e.uses | (e.given ? VARIABLE_NEXT : 0));
        if (e.uses & VARIABLE_SECRET && e.given)
            e.value.len = NONCE_LEN;
        digest = mix(digest, e.name);
        digest = mix(digest, span_of(&uses, 1));
        digest = mix(digest, e.value);
        digest |= digest == 0; /* 0 is for none at all */
    }
    return digest;
}

int variables_resolve(struct span list, enum variable_use version, struct span own,
                      variable_change *change, void *context, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    struct variable v;
    uint32_t count = 0;
    int rv = 0;
    for (struct variable_cursor c = variables_on(list); variables_next(&c, &v);)
        count += (v.uses & version) != 0;
    variables_begin(&w, count);
    for (struct variable_cursor c = variables_on(list); rv == 0 && variables_next(&c, &v);) {
        bool is_own;
        if (!(v.uses & version))
            continue;
        struct variable e = effective(&v, version, own, &is_own);
        rv = change ? change(context, &e, is_own) : 0;
        variables_put(&w, &e);
    }
    return rv < 0 ? rv : wire_end(&w);
}

/* The uses of either version look the same then. */
static struct variable effective(const struct variable *v, enum variable_use version,
                                 struct span own, bool *is_own)
{
    struct variable e = *v, mine;
    uint32_t uses = version == VARIABLE_NEXT ? v->uses >> 2 : v->uses;
    *is_own = variables_find(own, v->name, &mine);
    if (*is_own)
        e = mine;
    e.uses &= VARIABLE_SECRET;
    e.uses |= uses & (VARIABLE_STABLE | VARIABLE_TEMPLATE);
    return e;
}

/* A chain: each link's key is the one before. */
static uint64_t mix(uint64_t so_far, struct span bytes)
{
    uint8_t key[SIPHASH_KEY_LEN] = "variable";
    le64_write(key + 8, so_far);
    return siphash(key, bytes);
}
