/*
 * args: a command line taken apart by a table of flags: switches, texts, numbers, durations and
 * lists, before, after and between the other words. It knows no verbs and prints nothing but help.
 */
#ifndef DUNLIN_MANAGER_CLI_ARGS_H
#define DUNLIN_MANAGER_CLI_ARGS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Flags, and words that are no flags, on one command line. */
#define ARGS_MAX 128

enum flag_kind {
    FLAG_SWITCH,
    FLAG_TEXT,
    FLAG_TEXTS, /* may come often, with one value each */
    FLAG_NUMBER,
    FLAG_DURATION, /* "24h"; its number is in seconds */
    FLAG_PAIRS,    /* may come often, and takes every KEY=VALUE that follows */
};

struct flag {
    const char *name;  /* without its dashes */
    const char *value; /* what stands for its value in help; NULL for a switch */
    enum flag_kind kind;
    const char *fallback; /* the value when it isn't given; NULL: none */
    uint64_t min, max;    /* of numbers and durations; max 0: no limits */
    const char *help;
    bool required;
};

/* Tables of flags that hold together: those of every verb, and those of one. */
struct flag_set {
    const struct flag *flags;
    size_t count;
};

struct arg {
    const struct flag *flag;
    const char *text;
    uint64_t number;
};

struct args {
    const struct flag_set *sets;
    size_t set_count;
    struct arg given[ARGS_MAX];
    size_t given_count;
    const char *words[ARGS_MAX];
    size_t word_count;
};

/*
 * Reads the words after the program's name. "--flag value" and "--flag=value" are the same, "-h" is
 * "--help", and after "--" everything is a word. `sets` and `argv` are borrowed. ERR_USAGE, with
 * the flag that was probably meant.
 */
int args_parse(struct args *a, const struct flag_set *sets, size_t set_count, int argc,
               char *const argv[], struct errmsg *em);

/* The words alone, for finding out which verb it is: unknown flags and bad values are passed over.
 */
void args_skim(struct args *a, const struct flag_set *sets, size_t set_count, int argc,
               char *const argv[]);

/* ERR_USAGE when a required flag is missing. */
int args_complete(const struct args *a, struct errmsg *em);

/* What was given, or else the fallback (NULL, 0, false). The flag must be in the table. */
bool args_has(const struct args *a, const char *name);
const char *args_text(const struct args *a, const char *name);
uint64_t args_number(const struct args *a, const char *name);
/* The values of a list one by one: start with `*at` = 0; NULL at the end. */
const char *args_next(const struct args *a, const char *name, size_t *at);

/* Columns that help takes at most. */
#define ARGS_HELP_WIDTH 78
/* Where the explanation of a flag, or of a verb in a list, begins. */
#define ARGS_HELP_INDENT 26

/* "--name NAME [--key FILE]", the required ones first, each after a space; `used` columns are
 * taken. */
void args_usage(const struct flag_set *set, size_t used, FILE *out);
/* Breaks a text into lines that all begin at `column`, where the first begins already. */
void args_wrap(const char *text, size_t len, size_t column, FILE *out);
/* What each flag means, aligned. */
void args_help(const struct flag_set *set, FILE *out);

#endif
