#include "manager/naming.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

/* Shorter beginnings of an id name too many agents. */
#define PREFIX_MIN 4
/* Digits of an agent's number. */
#define NUMBER_DIGITS_MAX 9
/* The first four digits of an id: its first two bytes. */
#define BEGINNINGS 65536

static uint32_t find_number(const struct manager *m, const char *text, bool removed);
static bool is_prefix(const char *text);
static void find_prefixes(const struct manager *m, bool removed, struct naming *list, size_t count);
static bool has_prefix(const struct key_id *id, const char *prefix);
static void weigh(struct naming *n, uint32_t by_number);

void naming_find(const struct manager *m, bool removed, struct naming *list, size_t count)
{
    struct key_id id;
    bool prefixes = false;
    for (size_t i = 0; i < count; i++) {
        struct naming *n = &list[i];
        *n = (struct naming){.text = n->text};
        if (key_id_parse(n->text, &id) == 0)
            n->number = removed ? manager_find_any_agent(m, &id) : manager_find_agent(m, &id);
        n->result = n->number ? NAMES_ONE : NAMES_NONE;
        prefixes |= is_prefix(n->text);
    }
    if (prefixes)
        find_prefixes(m, removed, list, count);
    for (size_t i = 0; i < count; i++)
        weigh(&list[i], find_number(m, list[i].text + (list[i].text[0] == 'n'), removed));
}

/* What it means as an id is known. */
static void weigh(struct naming *n, uint32_t by_number)
{
    bool other = n->result == NAMES_SEVERAL || (n->result == NAMES_ONE && n->number != by_number);
    if (by_number && other)
        *n = (struct naming){.text = n->text, .result = NAMES_EITHER};
    else if (by_number)
        *n = (struct naming){.text = n->text, .result = NAMES_ONE, .number = by_number};
}

static uint32_t find_number(const struct manager *m, const char *text, bool removed)
{
    size_t len = strlen(text);
    if (len > NUMBER_DIGITS_MAX || strspn(text, "0123456789") != len)
        return 0;
    uint32_t number = (uint32_t)strtoul(text, NULL, 10);
    bool there = number >= 1 && number <= manager_agent_count(m) &&
                 (removed || !(manager_agent(m, number)->flags & AGENT_REMOVED));
    return there ? number : 0;
}

static bool is_prefix(const char *text)
{
    size_t len = strspn(text, "0123456789abcdefABCDEF");
    return len >= PREFIX_MIN && len < (size_t)2 * KEY_ID_LEN && text[len] == '\0';
}

static uint32_t beginning_of(const char *text)
{
    char first[PREFIX_MIN + 1] = {text[0], text[1], text[2], text[3]};
    return (uint32_t)strtoul(first, NULL, 16);
}

/* Of most agents a bit says that nobody means them. */
static void find_prefixes(const struct manager *m, bool removed, struct naming *list, size_t count)
{
    uint8_t meant[BEGINNINGS / 8] = {0};
    for (size_t i = 0; i < count; i++)
        if (is_prefix(list[i].text))
            bits_set(meant, beginning_of(list[i].text), true);
    for (uint32_t n = 1; n <= manager_agent_count(m); n++) {
        const struct agent_row *row = manager_agent(m, n);
        uint32_t first = (uint32_t)row->id.bytes[0] << 8 | row->id.bytes[1];
        if (!bits_have(meant, first) || (row->flags & AGENT_REMOVED && !removed))
            continue;
        for (size_t i = 0; i < count; i++)
            if (has_prefix(&row->id, list[i].text) && is_prefix(list[i].text)) {
                list[i].result = list[i].result == NAMES_NONE ? NAMES_ONE : NAMES_SEVERAL;
                list[i].number = list[i].result == NAMES_ONE ? n : 0;
            }
    }
}

static bool has_prefix(const struct key_id *id, const char *prefix)
{
    for (size_t i = 0; prefix[i]; i++) {
        uint8_t digit = (uint8_t)(i % 2 ? id->bytes[i / 2] & 0xf : id->bytes[i / 2] >> 4);
        char lower = (char)(prefix[i] >= 'A' && prefix[i] <= 'F' ? prefix[i] | 0x20 : prefix[i]);
        if (lower != "0123456789abcdef"[digit])
            return false;
    }
    return true;
}
