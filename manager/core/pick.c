#include "manager/core/pick.h"

#include "base/endian.h"
#include "base/siphash.h"
#include "sync/wire.h"

#include <assert.h>
#include <stdio.h>

#define PICK_FIELDS 6 /* version, amount, by, skew, groups, left out */
#define GROUP_FIELDS 3
#define PICK_VERSION 1

int pick_check(const struct pick *p, struct errmsg *em)
{
    if (p->amount.percent && p->amount.value > 100)
        return errmsg_set(em, ERR_USAGE, "pick: %u%% of the agents are more than all",
                          p->amount.value);
    if (p->by[0] && !label_key_valid(span_text(p->by)))
        return errmsg_set(em, ERR_USAGE, "pick: '%.80s' is no label's key", p->by);
    if (p->by[0] && p->amount.value == 0)
        return errmsg_set(em, ERR_USAGE, "pick: say how many of each value of %.80s", p->by);
    if (p->max_skew && !p->by[0])
        return errmsg_set(em, ERR_USAGE, "pick: say over which label they are to be spread");
    return 0;
}

/* ---- as operators write it ---- */

#define WORDS_MAX 5

/* The words of a text, copied one behind the other; WORDS_MAX + 1 for too many or too long ones. */
static size_t split(const char *text, char words[static WORDS_MAX][LABEL_KEY_MAX + 1])
{
    size_t count = 0;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t len = strcspn(text, " ");
        if (count == WORDS_MAX || len > LABEL_KEY_MAX)
            return WORDS_MAX + 1;
        memcpy(words[count], text, len);
        words[count++][len] = '\0';
        text += len;
    }
    return count;
}

static bool read_words(char words[static WORDS_MAX][LABEL_KEY_MAX + 1], size_t count,
                       struct pick *p)
{
    struct amount skew = {1, false};
    if (count == 1 && strcmp(words[0], "all") == 0)
        return true;
    if (count == 0 || !amount_read(words[0], &p->amount) || p->amount.value == 0)
        return false;
    if (count == 4 && strcmp(words[1], "of") == 0 && strcmp(words[2], "each") == 0) {
        memcpy(p->by, words[3], strlen(words[3]));
        return true;
    }
    bool over = count > 1 && strcmp(words[1], "over") == 0;
    if (count == 5 && over && strcmp(words[3], "skew") == 0 && amount_read(words[4], &skew) &&
        !skew.percent && skew.value > 0)
        count = 3;
    if (count == 3 && over) {
        memcpy(p->by, words[2], strlen(words[2]));
        p->max_skew = skew.value;
    }
    return count == 1 || (count == 3 && over);
}

int pick_parse(const char *text, struct pick *p, struct errmsg *em)
{
    char words[WORDS_MAX][LABEL_KEY_MAX + 1];
    size_t count = split(text, words);
    memset(p, 0, sizeof *p);
    if (count <= WORDS_MAX && read_words(words, count, p))
        return pick_check(p, em);
    return errmsg_set(em, ERR_USAGE,
                      "pick: \"%.60s\" is none of: all, 3, 10%%, 3 of each LABEL, 30 over LABEL, "
                      "30 over LABEL skew 2",
                      text);
}

void pick_text(const struct pick *p, char out[static PICK_TEXT_MAX])
{
    const char *unit = p->amount.percent ? "%" : "";
    if (pick_is_all(p))
        snprintf(out, PICK_TEXT_MAX, "all");
    else if (!p->by[0])
        snprintf(out, PICK_TEXT_MAX, "%u%s", p->amount.value, unit);
    else if (p->max_skew == 0)
        snprintf(out, PICK_TEXT_MAX, "%u%s of each %s", p->amount.value, unit, p->by);
    else
        snprintf(out, PICK_TEXT_MAX, "%u%s over %s skew %u", p->amount.value, unit, p->by,
                 p->max_skew);
}

/* ---- values ---- */

uint64_t pick_value(uint64_t salt, struct span value)
{
    uint8_t key[SIPHASH_KEY_LEN] = {0};
    le64_write(key, salt);
    return siphash(key, value);
}

uint32_t pick_place(const struct pick_group *groups, uint32_t count, uint64_t value)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (groups[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct pick_group *pick_group_of(const struct picked *g, uint64_t value)
{
    uint32_t place = pick_place(g->groups, g->count, value);
    return place < g->count && g->groups[place].value == value ? &g->groups[place] : NULL;
}

/* ---- sharing out ---- */

static uint64_t filled_to(const struct pick_share *shares, uint32_t count, uint32_t level)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += shares[i].size < level ? shares[i].size : level;
    return sum;
}

/* One more than the level for each of so many groups that have room: of those that have it already,
 * or of the others. */
static uint64_t give_more(struct pick_share *shares, uint32_t count, uint32_t level, bool have,
                          uint64_t left)
{
    for (uint32_t i = 0; i < count && left > 0; i++) {
        struct pick_share *s = &shares[i];
        if (s->size <= level || (s->in > level) != have)
            continue;
        s->wanted++;
        left--;
    }
    return left;
}

/* Water in connected vessels: up to a level that all reach or are full at. */
static void spread(struct pick_share *shares, uint32_t count, uint32_t total, uint32_t most)
{
    uint32_t low = 0, high = most;
    while (low < high) {
        uint32_t level = low + (high - low + 1) / 2;
        if (filled_to(shares, count, level) <= total)
            low = level;
        else
            high = level - 1;
    }
    uint64_t left = total - filled_to(shares, count, low);
    for (uint32_t i = 0; i < count; i++)
        shares[i].wanted = shares[i].size < low ? shares[i].size : low;
    if (low < most)
        give_more(shares, count, low, false, give_more(shares, count, low, true, left));
}

void pick_share_out(const struct pick *p, struct pick_share *shares, uint32_t count)
{
    uint32_t total = 0, least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = shares[i].size;
        total += size;
        least = size > 0 && size < least ? size : least;
        most = size > most ? size : most;
        shares[i].wanted = amount_of(p->amount, size);
    }
    if (total == 0 || p->max_skew == 0)
        return;
    if (most - least > p->max_skew)
        most = least + p->max_skew;
    spread(shares, count, amount_of(p->amount, total), most);
}

/* ---- as bytes ---- */

int pick_write(const struct pick *p, const struct picked *g, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    assert(g->count <= GROUPS_MAX);
    wire_put_array(&w, PICK_FIELDS);
    wire_put_u64(&w, PICK_VERSION);
    wire_put_u64(&w, (uint64_t)p->amount.value << 1 | p->amount.percent);
    wire_put_text(&w, span_text(p->by));
    wire_put_u64(&w, p->max_skew);
    wire_put_array(&w, g->count);
    for (uint32_t i = 0; i < g->count; i++) {
        wire_put_array(&w, GROUP_FIELDS);
        wire_put_u64(&w, g->groups[i].value);
        wire_put_u64(&w, g->groups[i].gate.threshold);
        wire_put_u64(&w, g->groups[i].gate.enrolled_before);
    }
    wire_put_u64(&w, g->left_out);
    return wire_end(&w);
}

static void get_groups(struct wire_reader *r, struct picked *g,
                       struct pick_group groups[static GROUPS_MAX])
{
    g->count = wire_get_array(r, 0, GROUPS_MAX);
    g->groups = groups;
    for (uint32_t i = 0; i < g->count && !r->error; i++) {
        wire_get_array(r, GROUP_FIELDS, GROUP_FIELDS);
        groups[i].value = wire_get_u64(r, UINT64_MAX);
        groups[i].gate.threshold = wire_get_u64(r, UINT64_MAX);
        groups[i].gate.enrolled_before = (uint32_t)wire_get_u64(r, UINT32_MAX);
        if (i > 0 && groups[i].value <= groups[i - 1].value)
            wire_fail(r, ERR_FORMAT);
    }
}

int pick_read(struct span bytes, struct pick *p, struct picked *g,
              struct pick_group groups[static GROUPS_MAX])
{
    struct wire_reader r = wire_reader_on(bytes);
    memset(p, 0, sizeof *p);
    memset(g, 0, sizeof *g);
    wire_get_array(&r, PICK_FIELDS, PICK_FIELDS);
    if (wire_get_u64(&r, UINT32_MAX) != PICK_VERSION)
        wire_fail(&r, ERR_FORMAT);
    uint64_t amount = wire_get_u64(&r, (uint64_t)UINT32_MAX << 1 | 1);
    p->amount.value = (uint32_t)(amount >> 1);
    p->amount.percent = amount & 1;
    wire_get_text_into(&r, p->by, sizeof p->by);
    p->max_skew = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    get_groups(&r, g, groups);
    g->left_out = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    return wire_done(&r);
}
