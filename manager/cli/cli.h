/*
 * cli: what every verb gets: its words and flags, the manager at the other end, and ways to print.
 * It knows no verb.
 */
#ifndef DUNLIN_MANAGER_CLI_CLI_H
#define DUNLIN_MANAGER_CLI_CLI_H

#include "manager/cli/args.h"
#include "manager/cli/client.h"
#include "manager/cli/table.h"
#include "manager/cli/units.h"

#include <jansson.h>

struct cli {
    struct args args; /* without the verb's own words */
    const char *dir;  /* NULL with --manager */
    const char *url;
    bool json;
    struct client *client;
    struct errmsg em; /* why a verb failed */
};

/* One verb: its row in the help, its flags, and who does it. */
struct verb {
    const char *name;     /* "token create" */
    const char *operands; /* "NAME@V", as usage shows them */
    const char *summary;  /* one line */
    const char *text;     /* more to know, in lines; NULL: nothing */
    const char *examples; /* lines; NULL: none */
    struct flag_set flags;
    size_t words_min, words_max; /* operands */
    /* 0, or a negative code with its sentence in `em`: ERR_USAGE is exit code 2, the rest is 1. */
    int (*run)(struct cli *cli);
};

#define FLAGS(array)                                                                               \
    {                                                                                              \
        .flags = (array), .count = sizeof(array) / sizeof((array)[0])                              \
    }

/*
 * One request with a JSON body (taken over; NULL where the method has none). With --json the answer
 * goes to standard output as it is, and `*answer` is NULL; otherwise `*answer` is the caller's to
 * release.
 */
int cli_call(struct cli *cli, const char *method, const char *route, json_t *body, json_t **answer);

/* The same on "/v1/COLLECTION/NAME/ACTION"; the action may be NULL. */
int cli_call_on(struct cli *cli, const char *method, const char *collection, const char *name,
                const char *action, json_t *body, json_t **answer);

/* Like cli_call, but never prints: for what a verb needs to know by itself. */
int cli_ask(struct cli *cli, const char *method, const char *route, json_t *body, json_t **answer);
/* Posts the body (taken over) page by page, each one going on after the one before, and adds up how
 * many agents they have changed. */
int cli_ask_pages(struct cli *cli, const char *route, json_t *body, json_int_t *changed);

/* How far long work is: a line of standard error that is written over, where that is a terminal. */
struct cli_progress {
    bool terminal;
    uint64_t shown_ms;
};
struct cli_progress cli_progress_begin(void);
/* True ten times a second at most: then the line is empty, for the caller to write. */
bool cli_progress_is_due(struct cli_progress *p);
void cli_progress_end(const struct cli_progress *p);

/* The n-th operand, which must be there. */
/* What takes --confirm: far-reaching commands, which are refused without it. */
#define CONFIRM_FLAG                                                                               \
    {                                                                                              \
        .name = "confirm", .kind = FLAG_SWITCH,                                                    \
        .help = "yes, it may touch more than half of the fleet, or leave a deployment nobody"      \
    }
/* The body, with what --confirm says. */
json_t *cli_confirm(struct cli *cli, json_t *body);

const char *cli_word(const struct cli *cli, size_t n);

/* Prints the table to standard output, in colour on a terminal. */
int cli_print(struct cli *cli, struct table *t);

/* Prints what the device said of it, if the object has such an `output`. */
void cli_print_output(const json_t *object);

/* Prints one JSON document (taken over). */
int cli_print_json(struct cli *cli, json_t *json);

/* A member of a JSON object; "" and 0 when it isn't there. */
const char *field_text(const json_t *object, const char *name);
uint64_t field_number(const json_t *object, const char *name);

/* "3 min ago" of a time in ISO 8601; `otherwise` when there is none. */
struct units_text field_ago(const json_t *object, const char *name, const char *otherwise);

/* As many names in one line as fit: of all variables that a bundle needs, or deployments that one
 * depends on. */
struct names_text {
    char text[1100];
};

/* "a, b" of a list of texts. */
struct names_text field_names(const json_t *object, const char *name);

/* "a=1,b=2" of an object of texts, into `out`, which cuts it off when it is too long. */
void field_pairs(const json_t *object, const char *name, char *out, size_t cap);

#endif
