#include "manager/arrears.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64
/* Grown by so many words: those of 65,536 agents. */
#define WORDS_STEP 1024

static bool grow(struct arrears *a, uint32_t word)
{
    uint32_t words = (word / WORDS_STEP + 1) * WORDS_STEP;
    uint64_t *more = realloc(a->bits, words * sizeof *more);
    if (!more)
        return false;
    memset(more + a->words, 0, (words - a->words) * sizeof *more);
    a->bits = more;
    a->words = words;
    return true;
}

void arrears_free(struct arrears *a)
{
    free(a->bits);
    *a = (struct arrears){.count = 0};
}

bool arrears_add(struct arrears *a, uint32_t number)
{
    uint32_t word = number / WORD_BITS;
    uint64_t bit = (uint64_t)1 << number % WORD_BITS;
    if (word >= a->words && !grow(a, word))
        return false;
    a->count += (a->bits[word] & bit) == 0;
    a->bits[word] |= bit;
    return true;
}

void arrears_remove(struct arrears *a, uint32_t number)
{
    uint32_t word = number / WORD_BITS;
    uint64_t bit = (uint64_t)1 << number % WORD_BITS;
    if (word >= a->words)
        return;
    a->count -= (a->bits[word] & bit) != 0;
    a->bits[word] &= ~bit;
}

uint32_t arrears_take(struct arrears *a)
{
    if (a->count == 0)
        return 0;
    while (a->bits[a->cursor] == 0)
        a->cursor = (a->cursor + 1) % a->words;
    uint32_t number = a->cursor * WORD_BITS + (uint32_t)__builtin_ctzll(a->bits[a->cursor]);
    arrears_remove(a, number);
    return number;
}

void arrears_forgive(struct arrears *a)
{
    if (a->count > 0)
        memset(a->bits, 0, a->words * sizeof *a->bits);
    a->count = 0;
}
