/*
 * replay: runs a fuzz target over a folder of seeds, then over their neighbours: every truncated
 * prefix and every flipped bit. The same seeds give the same inputs in the same order; when they
 * are more than RUNS_MAX, every n-th is taken, and in PASSES, so that who runs out of time has seen
 * something of everything.
 */
#include "test/fuzz/fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Enough for every neighbour of a few messages, and seconds under sanitizers. */
#define RUNS_MAX 100000u
/* For targets that check signatures, at a millisecond an input. */
#define SECONDS_MAX 20
/* No multiple of a byte's bits, so that each pass takes others of them. */
#define PASSES 61

struct seed {
    uint8_t *bytes;
    size_t len;
};

static struct seed *read_seeds(const char *folder, int *count);
static struct seed read_seed(const char *folder, const char *name);
static bool try_neighbours(const struct seed *s, size_t from, size_t stride, time_t deadline);
static void try_neighbour(const struct seed *s, size_t n);
static void try_input(const uint8_t *bytes, size_t len);

static size_t runs;

int main(int argc, char **argv)
{
    int count = 0;
    struct seed *seeds = argc == 2 ? read_seeds(argv[1], &count) : NULL;
    if (!seeds || count == 0) {
        fprintf(stderr, "usage: %s FOLDER, which holds one seed or more\n", argv[0]);
        free(seeds);
        return 2;
    }

    size_t neighbours = 0;
    try_input(NULL, 0);
    for (int i = 0; i < count; i++) {
        try_input(seeds[i].bytes, seeds[i].len);
        neighbours += 9 * seeds[i].len;
    }

    size_t stride = neighbours / RUNS_MAX + 1;
    time_t deadline = time(NULL) + SECONDS_MAX;
    bool in_time = true;
    for (size_t pass = 0; in_time && pass < PASSES; pass++)
        for (int i = 0; in_time && i < count; i++)
            in_time = try_neighbours(&seeds[i], pass * stride, PASSES * stride, deadline);
    for (int i = 0; i < count; i++)
        free(seeds[i].bytes);
    free(seeds);
    printf("%zu inputs from %d seeds, every %zu. of their neighbours%s\n", runs, count, stride,
           in_time ? "" : ", as far as there was time");
    return 0;
}

/* Sorted by name; the caller frees them and their bytes. NULL when there is no such folder. */
static struct seed *read_seeds(const char *folder, int *count)
{
    struct dirent **names;
    int found = scandir(folder, &names, NULL, alphasort);
    if (found < 0)
        return NULL;

    struct seed *seeds = calloc((size_t)found + 1, sizeof(*seeds));
    for (int i = 0; i < found; i++) {
        if (seeds && names[i]->d_name[0] != '.')
            seeds[(*count)++] = read_seed(folder, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return seeds;
}

static struct seed read_seed(const char *folder, const char *name)
{
    char path[4096];
    struct stat about;
    struct seed s = {0};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f && fstat(fileno(f), &about) == 0 && (s.bytes = malloc((size_t)about.st_size + 1)))
        s.len = fread(s.bytes, 1, (size_t)about.st_size, f);
    if (!s.bytes || s.len != (size_t)about.st_size) {
        perror(path);
        exit(2);
    }
    fclose(f);
    return s;
}

/* False when there was no time for all. */
static bool try_neighbours(const struct seed *s, size_t from, size_t stride, time_t deadline)
{
    for (size_t n = from; n < 9 * s->len; n += stride) {
        if (time(NULL) > deadline)
            return false;
        try_neighbour(s, n);
    }
    return true;
}

/* Numbers below the length are prefixes, then come the bits. */
static void try_neighbour(const struct seed *s, size_t n)
{
    if (n < s->len) {
        try_input(s->bytes, n);
        return;
    }
    uint8_t *byte = &s->bytes[(n - s->len) / 8];
    uint8_t bit = (uint8_t)(1u << (n - s->len) % 8);
    *byte ^= bit;
    try_input(s->bytes, s->len);
    *byte ^= bit;
}

/* From memory of exactly that length, so that the sanitizer sees a step beyond it. */
static void try_input(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));
    if (!copy)
        abort();
    if (len > 0)
        memcpy(copy, bytes, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    runs++;
}
