#include "sync/topic.h"

#include "base/hex.h"
#include "sync/limits.h"

#include <assert.h>
#include <stdio.h>

/* The longest name that is written in hexadecimal: a digest. */
#define HEX_MAX (2 * DIGEST_LEN + 1)

static struct topic format_name(const char *before, struct span bytes, const char *after)
{
    struct topic t;
    char hex[HEX_MAX];
    assert(bytes.len <= DIGEST_LEN);
    hex_write(bytes, hex);
    snprintf(t.text, sizeof t.text, "%s%s%s", before, hex, after);
    return t;
}

static struct topic format_lane(const struct cohort_key *cohort, uint32_t lane)
{
    char after[sizeof "/4294967295"];
    assert(lane < 1u << LANES_LOG2_MAX);
    snprintf(after, sizeof after, "/%u", (unsigned)lane);
    return format_name("dl1/cohort/", span_of(cohort->bytes, COHORT_KEY_LEN), after);
}

static struct topic format_trust(uint32_t version)
{
    struct topic t;
    snprintf(t.text, sizeof t.text, "dl1/trust/%u", (unsigned)version);
    return t;
}

struct topic topic_make(const struct topic_name *name)
{
    struct span join = span_of(name->join.bytes, JOIN_ID_LEN);
    struct span agent = span_of(name->agent.bytes, KEY_ID_LEN);
    struct span cohort = span_of(name->cohort.bytes, COHORT_KEY_LEN);
    switch (name->kind) {
    case TOPIC_JOIN:
        return format_name("dl1/join/", join, "");
    case TOPIC_JOINED:
        return format_name("dl1/joined/", join, "");
    case TOPIC_UP:
        return format_name("dl1/up/", agent, "");
    case TOPIC_COHORT_HEAD:
        return format_lane(&name->cohort, name->lane);
    case TOPIC_COHORT_DOC:
        return format_name("dl1/cohort/", cohort, "/doc");
    case TOPIC_AGENT_HEAD:
        return format_name("dl1/agent/", agent, "/head");
    case TOPIC_AGENT_DOC:
        return format_name("dl1/agent/", agent, "/doc");
    case TOPIC_AGENT_CERTIFICATE:
        return format_name("dl1/agent/", agent, "/certificate");
    case TOPIC_CHUNK:
        return format_name("dl1/chunk/", span_of(name->chunk.bytes, DIGEST_LEN), "");
    case TOPIC_TRUST:
        return format_trust(name->version);
    case TOPIC_ATLAS:
        return format_name("dl1/atlas", SPAN_NONE, "");
    case TOPIC_MARK:
        return format_name("dl1/cell/", SPAN_NONE, name->bulk ? "bulk" : "control");
    case TOPIC_OTHER:
        break;
    }
    assert(name->kind != TOPIC_OTHER); /* only topics of ours have a name to make */
    return (struct topic){.text = ""};
}

/* Steps over `word` when the text begins with it. */
static bool eat(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case only: one thing has one name. */
static bool eat_hex(const char **at, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++, *at += 2) {
        int high = digit_value((*at)[0]);
        int low = high < 0 ? -1 : digit_value((*at)[1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Decimal, without leading zeros, `max` at most. */
static bool eat_number(const char **at, uint32_t max, uint32_t *number)
{
    const char *start = *at;
    uint64_t value = 0;
    while (**at >= '0' && **at <= '9' && value <= max)
        value = value * 10 + (uint64_t)(*(*at)++ - '0');
    bool leading_zero = *start == '0' && *at - start > 1;
    *number = (uint32_t)value;
    return *at > start && !leading_zero && value <= max;
}

static bool read_cohort(const char **at, struct topic_name *n)
{
    if (!eat_hex(at, n->cohort.bytes, COHORT_KEY_LEN) || !eat(at, "/"))
        return false;
    n->kind = TOPIC_COHORT_DOC;
    if (eat(at, "doc"))
        return true;
    n->kind = TOPIC_COHORT_HEAD;
    return eat_number(at, (1u << LANES_LOG2_MAX) - 1, &n->lane);
}

static bool read_agent(const char **at, struct topic_name *n)
{
    if (!eat_hex(at, n->agent.bytes, KEY_ID_LEN))
        return false;
    n->kind = TOPIC_AGENT_HEAD;
    if (eat(at, "/head"))
        return true;
    n->kind = TOPIC_AGENT_DOC;
    if (eat(at, "/doc"))
        return true;
    n->kind = TOPIC_AGENT_CERTIFICATE;
    return eat(at, "/certificate");
}

static bool read_mark(const char **at, struct topic_name *n)
{
    n->kind = TOPIC_MARK;
    n->bulk = eat(at, "bulk");
    return n->bulk || eat(at, "control");
}

static bool read_name(const char **at, struct topic_name *n)
{
    if (!eat(at, "dl1/"))
        return false;
    if (eat(at, "up/")) {
        n->kind = TOPIC_UP;
        return eat_hex(at, n->agent.bytes, KEY_ID_LEN);
    }
    if (eat(at, "chunk/")) {
        n->kind = TOPIC_CHUNK;
        return eat_hex(at, n->chunk.bytes, DIGEST_LEN);
    }
    if (eat(at, "cohort/"))
        return read_cohort(at, n);
    if (eat(at, "agent/"))
        return read_agent(at, n);
    if (eat(at, "join/")) {
        n->kind = TOPIC_JOIN;
        return eat_hex(at, n->join.bytes, JOIN_ID_LEN);
    }
    if (eat(at, "joined/")) {
        n->kind = TOPIC_JOINED;
        return eat_hex(at, n->join.bytes, JOIN_ID_LEN);
    }
    if (eat(at, "cell/"))
        return read_mark(at, n);
    n->kind = TOPIC_ATLAS;
    if (eat(at, "atlas"))
        return true;
    n->kind = TOPIC_TRUST;
    return eat(at, "trust/") && eat_number(at, UINT32_MAX, &n->version) && n->version > 0;
}

struct topic_name topic_read(const char *text)
{
    struct topic_name name = {.kind = TOPIC_OTHER};
    if (!read_name(&text, &name) || *text != '\0')
        return (struct topic_name){.kind = TOPIC_OTHER};
    return name;
}

uint32_t topic_lane(const struct key_id *agent, unsigned lanes_log2)
{
    assert(lanes_log2 <= LANES_LOG2_MAX);
    uint32_t low = (uint32_t)agent->bytes[KEY_ID_LEN - 2] << 8 | agent->bytes[KEY_ID_LEN - 1];
    return low & ((1u << lanes_log2) - 1);
}

static bool name_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool name_valid(struct span name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN || name.data[0] == '.' || name.data[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!name_char(name.data[i]))
            return false;
    return true;
}
