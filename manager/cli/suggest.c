#include "manager/cli/suggest.h"

#include <string.h>

static size_t least(size_t a, size_t b);

void suggest_offer(struct suggest *s, const char *candidate)
{
    size_t len = strlen(s->word);
    size_t distance = suggest_distance(s->word, candidate);
    /* One slip in a short word, two in a longer one: more would be another word. A word that was
     * only begun is meant as well. */
    size_t allowed = len < 5 ? 1 : 2;
    if (len >= 3 && strncmp(candidate, s->word, len) == 0)
        distance = 1;
    if (distance > allowed || (s->best && distance >= s->distance))
        return;
    s->best = candidate;
    s->distance = distance;
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t rows[3][SUGGEST_WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t width = strlen(b);
    if (strlen(a) > SUGGEST_WORD_MAX || width > SUGGEST_WORD_MAX)
        return SUGGEST_WORD_MAX + 1;
    for (size_t j = 0; j <= width; j++)
        before[j] = now[j] = last[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        now[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(change, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[width];
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}
