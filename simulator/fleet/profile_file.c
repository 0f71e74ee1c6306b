#include "manager/cli/strict_yaml.h"
#include "simulator/fleet/profile.h"

#include <stdlib.h>

/* How a key's value is written. */
enum form { FORM_NAME, FORM_RANGE, FORM_SPAN, FORM_SIZE, FORM_COUNT, FORM_PHASE };

struct key {
    const char *name;
    enum form form;
    size_t offset;
    uint64_t max; /* of FORM_COUNT */
};

#define AT(field) offsetof(struct profile, field)

static const struct key keys[] = {
    {"profile", FORM_NAME, AT(name), 0},
    {"delay", FORM_RANGE, AT(delay_ms), 0},
    {"bandwidth", FORM_SIZE, AT(bandwidth), 0},
    {"up", FORM_RANGE, AT(up_ms), 0},
    {"down", FORM_RANGE, AT(down_ms), 0},
    {"every", FORM_SPAN, AT(every_ms), 0},
    {"for", FORM_SPAN, AT(window_ms), 0},
    {"phase", FORM_PHASE, AT(phase), 0},
    {"regions", FORM_COUNT, AT(regions), PROFILE_REGIONS_MAX},
    {"outage_every", FORM_SPAN, AT(outage_every_ms), 0},
    {"outage_for", FORM_RANGE, AT(outage_ms), 0},
    {"cuts", FORM_COUNT, AT(cuts_per_mille), 1000},
    {"half_open", FORM_COUNT, AT(half_per_mille), 1000},
};

#define KEY_COUNT (sizeof keys / sizeof keys[0])
_Static_assert(KEY_COUNT <= YAML_KEYS_MAX, "a profile fits a mapping");

/* ---- values ---- */

/* A number at `*at`, which moves behind it. */
static bool read_number(const char **at, uint64_t *n)
{
    const char *begin = *at;
    for (*n = 0; **at >= '0' && **at <= '9' && *n < UINT32_MAX; ++*at)
        *n = *n * 10 + (uint64_t)(**at - '0');
    return *at > begin;
}

/* "40ms", "5m": milliseconds. */
static bool read_span(const char **at, uint64_t *ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    if (!read_number(at, ms))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*at, units[i].name, len) != 0 || (*at)[len] >= 'a')
            continue;
        *ms *= units[i].ms;
        *at += len;
        return true;
    }
    return false;
}

static bool read_range(const char *text, struct range *r)
{
    if (!read_span(&text, &r->min))
        return false;
    r->max = r->min;
    if (*text == '-') {
        text++;
        if (!read_span(&text, &r->max))
            return false;
    }
    return *text == '\0' && r->min <= r->max;
}

static bool read_size(const char *text, uint64_t *bytes)
{
    if (!read_number(&text, bytes))
        return false;
    if (strcmp(text, "Ki") == 0)
        *bytes <<= 10;
    else if (strcmp(text, "Mi") == 0)
        *bytes <<= 20;
    else if (*text != '\0')
        return false;
    return *bytes > 0;
}

static bool read_phase(const char *text, uint8_t *phase)
{
    static const char *const names[PHASE_OF_COUNT] = {"agent", "region", "all"};
    for (*phase = 0; *phase < PHASE_OF_COUNT; ++*phase)
        if (strcmp(text, names[*phase]) == 0)
            return true;
    return false;
}

static bool read_value(const struct key *k, const char *text, void *into)
{
    uint64_t n;
    switch (k->form) {
    case FORM_NAME:
        return strlen(text) <= PROFILE_NAME_MAX && strcpy(into, text);
    case FORM_RANGE:
        return read_range(text, into);
    case FORM_SPAN:
        return read_span(&text, into) && *text == '\0' && *(uint64_t *)into > 0;
    case FORM_SIZE:
        return read_size(text, into);
    case FORM_COUNT:
        if (!read_number(&text, &n) || *text != '\0' || n > k->max)
            return false;
        *(uint32_t *)into = (uint32_t)n;
        return true;
    case FORM_PHASE:
        return read_phase(text, into);
    }
    return false;
}

/* ---- the file ---- */

static int read_key(struct yaml_reading *r, void *context, size_t index, const yaml_node_t *key,
                    const yaml_node_t *value)
{
    static const char *const wanted[] = {
        [FORM_NAME] = "a short name",
        [FORM_RANGE] = "a span such as 20ms, or a range such as 5m-2h",
        [FORM_SPAN] = "a span such as 90s or 12h",
        [FORM_SIZE] = "bytes a second, such as 64Ki",
        [FORM_COUNT] = "a number",
        [FORM_PHASE] = "agent, region or all",
    };
    const struct key *k = &keys[index];
    const char *text = "";
    int rv = yaml_text(r, key, value, false, &text);
    if (rv < 0)
        return rv;
    if (!read_value(k, text, (char *)context + k->offset))
        return yaml_refuse(r, value->start_mark, "%s: must be %s%s, not \"%.*s\"", k->name,
                           wanted[k->form],
                           k->form != FORM_COUNT ? ""
                           : k->max == 1000      ? " of a thousand"
                                                 : " up to 1000",
                           YAML_VALUE_SHOWN, text);
    return 0;
}

/* What belongs together is there together. */
static int check(struct yaml_reading *r, const yaml_node_t *root, const struct profile *p)
{
    if ((p->up_ms.max == 0) != (p->down_ms.max == 0))
        return yaml_refuse(r, root->start_mark, "up and down come together");
    if (p->up_ms.max > 0 && p->up_ms.min == 0)
        return yaml_refuse(r, root->start_mark, "up: must be longer than nothing");
    if ((p->every_ms == 0) != (p->window_ms == 0) || p->window_ms > p->every_ms)
        return yaml_refuse(r, root->start_mark, "for: must be there with every, and not be longer");
    if ((p->outage_every_ms == 0) != (p->outage_ms.max == 0))
        return yaml_refuse(r, root->start_mark, "outage_every and outage_for come together");
    return 0;
}

static int read_root(struct yaml_reading *r, const yaml_node_t *root)
{
    struct yaml_shape shape = {.what = "a profile of links", .count = KEY_COUNT, .read = read_key};
    struct profile *p = r->into;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        shape.keys[i].name = keys[i].name;
        shape.keys[i].required = i == 0;
    }
    *p = profile_plain;
    int rv = yaml_mapping(r, &shape, root, p);
    if (rv == 0)
        rv = check(r, root, p);
    if (p->regions == 0)
        p->regions = 1;
    return rv;
}

int profile_read(const char *path, struct span text, struct profile *p, struct errmsg *em)
{
    struct yaml_reading r = {.path = path, .em = em, .into = p};
    return yaml_read(&r, text, "empty; begin with \"profile: NAME\"", read_root);
}
