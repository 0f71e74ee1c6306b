/*
 * dunlin: the operator's command line. This file finds the verb, makes the help from the verbs'
 * tables, and turns what a verb returns into an exit code: 0 done, 1 failed, 2 wrong use.
 */
#include "base/limits.h"
#include "manager/cli/suggest.h"
#include "manager/cli/verbs.h"

#include <stdlib.h>

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG_USE = 2 };

/* Verbs that stand together in the help. */
struct group {
    const char *title;
    const struct verb *verbs;
    size_t count;
};

#define GROUP(heading, array)                                                                      \
    {                                                                                              \
        .title = (heading), .verbs = (array), .count = sizeof(array) / sizeof((array)[0])          \
    }

/* A group without a title belongs to the one before. */
static const struct group groups[] = {
    GROUP("See what is going on", status_verbs),
    GROUP(NULL, why_verbs),
    GROUP(NULL, audit_verbs),
    GROUP("Let devices join", token_verbs),
    GROUP("Agents, the devices that joined", agent_verbs),
    GROUP(NULL, membership_verbs),
    GROUP(NULL, taint_verbs),
    GROUP(NULL, group_verbs),
    GROUP("Bundles, what can run", bundle_verbs),
    GROUP("Variables, what bundles need to know of devices", variable_verbs),
    GROUP("Keys, who may say what runs", key_verbs),
    GROUP("Deployments, what runs where", deploy_verbs),
    GROUP(NULL, deployment_verbs),
    GROUP(NULL, rollout_verbs),
    GROUP(NULL, budget_verbs),
    GROUP(NULL, wait_verbs),
    GROUP("People who ask from afar", admin_verbs),
};

#define GROUP_COUNT (sizeof groups / sizeof groups[0])

static const struct flag global_flags[] = {
    {.name = "dir",
     .value = "DIR",
     .kind = FLAG_TEXT,
     .help = "the manager's folder, or DUNLIN_DIR in the environment, or " CLIENT_DEFAULT_DIR},
    {.name = "manager",
     .value = "URL",
     .kind = FLAG_TEXT,
     .help = "the manager elsewhere: https://HOST:PORT or unix:///PATH/manager.sock"},
    {.name = "credentials",
     .value = "FILE",
     .kind = FLAG_TEXT,
     .help = "who asks, and where the manager is: made by `dunlin admin create`; or "
             "DUNLIN_CREDENTIALS in the environment"},
    {.name = "json", .kind = FLAG_SWITCH, .help = "print one JSON document instead of text"},
    {.name = "help", .kind = FLAG_SWITCH, .help = "say what a verb does and takes"},
};

static const struct flag_set global_set = FLAGS(global_flags);

static int run(int argc, char *argv[]);
static void skim(struct args *a, int argc, char *argv[]);
static int help(const struct args *a);
static void help_all(void);
static void help_verb(const struct verb *v);
static void help_line(const struct verb *v);
static void help_text(const char *text);
static int help_group(const char *word);
static void usage(const struct verb *v, FILE *out);
static const struct verb *find(const struct args *a, size_t at, size_t *words);
static int unknown(const struct args *a, size_t at);
static void suggest_verb(struct suggest *s);
static void list_group(const char *word, char *out, size_t cap);
static int run_verb(const struct verb *v, size_t words, int argc, char *argv[]);
static int check_words(struct cli *cli, const struct verb *v);
static int open_manager(struct cli *cli);
static bool is_near(const char *url);
static const char *environment(const char *name);
static int complain(const struct errmsg *em, const char *help_on);

int main(int argc, char *argv[])
{
    limits_leave_no_core();
    int code = run(argc - 1, argv + 1);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "dunlin: standard output can't be written\n");
    return EXIT_FAILED;
}

static int run(int argc, char *argv[])
{
    struct args a;
    size_t words;
    skim(&a, argc, argv);
    if (a.word_count == 0) {
        for (int i = 0; i < argc; i++)
            if (strcmp(argv[i], "--version") == 0) {
                printf("dunlin %s\n", DUNLIN_VERSION);
                return EXIT_DONE;
            }
        /* Flags alone do nothing, but a wrong one is worth a word. */
        struct errmsg em;
        if (args_parse(&a, &global_set, 1, argc, argv, &em) < 0)
            return complain(&em, NULL);
        help_all();
        return EXIT_DONE;
    }
    if (strcmp(a.words[0], "help") == 0)
        return help(&a);
    const struct verb *v = find(&a, 0, &words);
    if (v)
        return run_verb(v, words, argc, argv);
    return args_has(&a, "help") ? help_group(a.words[0]) : unknown(&a, 0);
}

/* The words, by the flags of all verbs: which verb it is isn't known yet. */
static void skim(struct args *a, int argc, char *argv[])
{
    static struct flag_set sets[64];
    size_t count = 0;
    sets[count++] = global_set;
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (size_t i = 0; i < groups[g].count; i++)
            sets[count++] = groups[g].verbs[i].flags;
    args_skim(a, sets, count, argc, argv);
}

/* "help", "help VERB" or "help" and the first word of several verbs. */
static int help(const struct args *a)
{
    size_t words;
    if (a->word_count == 1) {
        help_all();
        return EXIT_DONE;
    }
    const struct verb *v = find(a, 1, &words);
    if (!v)
        return a->word_count == 2 ? help_group(a->words[1]) : unknown(a, 1);
    help_verb(v);
    return EXIT_DONE;
}

static void help_all(void)
{
    printf("dunlin runs software on a fleet of edge devices, through its manager.\n\n"
           "usage: dunlin [--dir DIR | --credentials FILE | --manager URL] VERB ... [--json]\n");
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        if (groups[g].title)
            printf("\n%s\n", groups[g].title);
        for (size_t i = 0; i < groups[g].count; i++)
            help_line(&groups[g].verbs[i]);
    }
    printf("\nWith every verb\n");
    args_help(&global_set, stdout);
    printf("\nA first deployment, with a manager that runs (dunlin-manager run --dir DIR):\n"
           "  dunlin token create --label env=prod       # a token for: dunlin-agent join\n"
           "  dunlin bundle push ./app --name app --version 1\n"
           "  dunlin deploy app@1 --select env=prod\n"
           "  dunlin status\n\n"
           "`dunlin help VERB` says more about each. Exit codes: 0 done, 1 failed, 2 wrong use.\n");
}

static void help_verb(const struct verb *v)
{
    printf("dunlin %s: %s\n\n", v->name, v->summary);
    usage(v, stdout);
    help_text(v->text);
    if (v->flags.count > 0) {
        printf("\nFlags\n");
        args_help(&v->flags, stdout);
    }
    printf("\nWith every verb\n");
    args_help(&global_set, stdout);
    if (v->examples)
        printf("\nExamples\n%s", v->examples);
}

static void help_line(const struct verb *v)
{
    printf("  %-*s%s\n", ARGS_HELP_INDENT - 2, v->name, v->summary);
}

/* Paragraphs are broken into lines; what is indented stays as it is. */
static void help_text(const char *text)
{
    while (text && *text) {
        size_t len = strcspn(text, "\n");
        if (*text != ' ')
            putchar('\n');
        if (*text != ' ')
            args_wrap(text, len, 0, stdout);
        else
            printf("%.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static int help_group(const char *word)
{
    char names[256];
    list_group(word, names, sizeof names);
    if (!names[0]) {
        struct args a = {.words = {word}, .word_count = 1};
        return unknown(&a, 0);
    }
    size_t len = strlen(word);
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (size_t i = 0; i < groups[g].count; i++) {
            const struct verb *v = &groups[g].verbs[i];
            if (strncmp(v->name, word, len) == 0 && v->name[len] == ' ')
                help_line(v);
        }
    printf("\n`dunlin help %s VERB` says more about each.\n", word);
    return EXIT_DONE;
}

static void usage(const struct verb *v, FILE *out)
{
    int used = fprintf(out, "usage: dunlin %s%s%s", v->name, v->operands ? " " : "",
                       v->operands ? v->operands : "");
    args_usage(&v->flags, used > 0 ? (size_t)used : 0, out);
    fputc('\n', out);
}

/* The verb that the words from `at` on name, and how many of them do. */
static const struct verb *find(const struct args *a, size_t at, size_t *words)
{
    for (*words = 2; *words > 0; (*words)--) {
        char name[64];
        if (at + *words > a->word_count)
            continue;
        snprintf(name, sizeof name, "%.30s%s%.30s", a->words[at], *words == 2 ? " " : "",
                 *words == 2 ? a->words[at + 1] : "");
        for (size_t g = 0; g < GROUP_COUNT; g++)
            for (size_t i = 0; i < groups[g].count; i++)
                if (strcmp(groups[g].verbs[i].name, name) == 0)
                    return &groups[g].verbs[i];
    }
    return NULL;
}

static int unknown(const struct args *a, size_t at)
{
    struct errmsg em;
    char name[64], names[256];
    const char *first = a->words[at];
    const char *second = at + 1 < a->word_count ? a->words[at + 1] : "";
    list_group(first, names, sizeof names);
    if (names[0] && !*second) {
        errmsg_set(&em, ERR_USAGE, "%s what? There is: %s", first, names);
        return complain(&em, NULL);
    }
    snprintf(name, sizeof name, "%.30s%s%.30s", first, *second ? " " : "", second);
    struct suggest both = {.word = name};
    struct suggest alone = {.word = first};
    suggest_verb(&both);
    if (!names[0])
        suggest_verb(&alone);
    const char *best = both.best ? both.best : alone.best;
    if (best)
        errmsg_set(&em, ERR_USAGE, "unknown verb \"%s\"; did you mean \"%s\"?",
                   both.best || names[0] ? name : first, best);
    else if (names[0])
        errmsg_set(&em, ERR_USAGE, "unknown verb \"%s\"; there is: %s", name, names);
    else
        errmsg_set(&em, ERR_USAGE, "unknown verb \"%.60s\"; `dunlin help` lists them all", first);
    return complain(&em, NULL);
}

/* Offers every verb's name, and the first words alone. */
static void suggest_verb(struct suggest *s)
{
    static char first[SUGGEST_WORD_MAX + 1]; /* the closest of these */
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (size_t i = 0; i < groups[g].count; i++) {
            const char *name = groups[g].verbs[i].name;
            char word[sizeof first];
            snprintf(word, sizeof word, "%.*s", (int)strcspn(name, " "), name);
            suggest_offer(s, name);
            if (!strchr(s->word, ' '))
                suggest_offer(s, word);
            if (s->best == word)
                s->best = memcpy(first, word, sizeof first);
        }
}

/* "token create, token list": the verbs that begin with the word; "" when there are none. */
static void list_group(const char *word, char *out, size_t cap)
{
    size_t used = 0, len = strlen(word);
    out[0] = '\0';
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (size_t i = 0; i < groups[g].count; i++) {
            const char *name = groups[g].verbs[i].name;
            if (strncmp(name, word, len) != 0 || name[len] != ' ' || used >= cap)
                continue;
            used += (size_t)snprintf(out + used, cap - used, "%s%s", used ? ", " : "", name);
        }
}

static int run_verb(const struct verb *v, size_t words, int argc, char *argv[])
{
    struct cli cli = {0};
    const struct flag_set sets[] = {global_set, v->flags};
    if (args_parse(&cli.args, sets, 2, argc, argv, &cli.em) < 0)
        return complain(&cli.em, v->name);
    if (args_has(&cli.args, "help")) {
        help_verb(v);
        return EXIT_DONE;
    }
    cli.args.word_count -= words;
    memmove(cli.args.words, cli.args.words + words, cli.args.word_count * sizeof cli.args.words[0]);
    if (check_words(&cli, v) < 0 || args_complete(&cli.args, &cli.em) < 0)
        return complain(&cli.em, v->name);
    int rv = open_manager(&cli);
    if (rv == 0)
        rv = v->run(&cli);
    client_free(cli.client);
    if (rv == ERR_USAGE)
        return complain(&cli.em, NULL);
    if (rv < 0)
        complain(&cli.em, NULL);
    return rv < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int check_words(struct cli *cli, const struct verb *v)
{
    const struct args *a = &cli->args;
    if (a->word_count < v->words_min)
        return errmsg_set(&cli->em, ERR_USAGE, "%s: it takes %s", v->name, v->operands);
    if (a->word_count > v->words_max)
        return errmsg_set(&cli->em, ERR_USAGE, "%s: \"%.60s\" is too much", v->name,
                          a->words[v->words_max]);
    return 0;
}

/* What is said on the command line counts before what is in the environment, and there the
 * credentials before the folder. */
static int open_manager(struct cli *cli)
{
    const char *credentials = args_text(&cli->args, "credentials");
    cli->json = args_has(&cli->args, "json");
    cli->url = args_text(&cli->args, "manager");
    cli->dir = args_text(&cli->args, "dir");
    if (cli->dir && (cli->url || credentials))
        return errmsg_set(&cli->em, ERR_USAGE, "--dir and --%s exclude each other",
                          cli->url ? "manager" : "credentials");
    if (cli->dir && !*cli->dir)
        return errmsg_set(&cli->em, ERR_USAGE, "--dir needs a folder's name");
    if (!credentials && !cli->dir && !is_near(cli->url))
        credentials = environment("DUNLIN_CREDENTIALS");
    if (!cli->url && !cli->dir && !credentials)
        cli->dir = environment("DUNLIN_DIR");
    if (!cli->url && !cli->dir && !credentials)
        cli->dir = CLIENT_DEFAULT_DIR;
    const struct client_target target = {
        .dir = cli->dir, .url = cli->url, .credentials = credentials};
    return client_new(&cli->client, &target, &cli->em);
}

/* A URL that takes no credentials. */
static bool is_near(const char *url)
{
    return url && strncmp(url, "https://", 8) != 0;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* One line on standard error, whatever bytes the sentence carries. */
static int complain(const struct errmsg *em, const char *help_on)
{
    fputs("dunlin: ", stderr);
    table_clean(em->text, strlen(em->text), stderr);
    if (help_on)
        fprintf(stderr, " (see `dunlin help %s`)", help_on);
    fputc('\n', stderr);
    return EXIT_WRONG_USE;
}
