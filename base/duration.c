#include "base/duration.h"

#include "base/err.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

static const struct {
    char name;
    uint32_t seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

#define UNIT_COUNT (sizeof units / sizeof units[0])

static uint64_t unit_seconds(char name)
{
    for (size_t i = 0; i < UNIT_COUNT; i++)
        if (units[i].name == name)
            return units[i].seconds;
    return 0;
}

int duration_read(const char *text, uint64_t *seconds)
{
    *seconds = 0;
    do {
        uint64_t n = 0;
        const char *digits = text;
        for (; *text >= '0' && *text <= '9'; text++)
            if ((n = 10 * n + (uint64_t)(*text - '0')) > DURATION_MAX_S)
                return ERR_RANGE;
        uint64_t unit = unit_seconds(*text);
        if (text == digits || unit == 0)
            return ERR_FORMAT;
        *seconds += n * unit;
        if (*seconds > DURATION_MAX_S)
            return ERR_RANGE;
    } while (*++text);
    return 0;
}

struct duration_text duration_write(uint64_t seconds)
{
    struct duration_text t = {.text = ""};
    size_t used = 0;
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        uint64_t n = seconds / units[i].seconds;
        seconds %= units[i].seconds;
        if (n > 0)
            used += (size_t)snprintf(t.text + used, sizeof t.text - used, "%" PRIu64 "%c", n,
                                     units[i].name);
    }
    if (used == 0)
        snprintf(t.text, sizeof t.text, "0s");
    return t;
}
