/* bundle push, list, show, remove: what can run. */
#include "base/clock.h"
#include "base/file.h"
#include "bundles/pack.h"
#include "manager/cli/bundle_name.h"
#include "manager/cli/draft.h"
#include "manager/cli/publisher.h"
#include "manager/cli/suggest.h"
#include "manager/cli/verbs.h"

#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What devices run of a bundle by itself. */
#define HOOK_COUNT 4
static const char *const HOOKS[HOOK_COUNT] = {"pre-apply", "apply", "health", "remove"};

/* One push on its way. */
struct pushing {
    struct cli *cli;
    int error; /* the first, which `has` cannot return */
    uint64_t new_chunks, sent_bytes;
    uint64_t packed_bytes;
    uint32_t packed_files;
    const char *templates[PACK_TEMPLATES_MAX];
    size_t template_count;
    uint32_t key_count;
    struct secret_key keys[SIGNATURES_MAX];
    struct cli_progress progress;
};

/* An answer of at most one digest. */
struct missing {
    size_t len;
};

static int push(struct cli *cli);
static int describe(struct cli *cli, struct manifest *m);
static int declare(struct cli *cli, struct needs *needs);
static int list_templates(struct pushing *p);
static int check_content(const char *path, enum bundle_kind kind, struct errmsg *em);
static int check_hooks(const char *path, struct errmsg *em);
static int note_likely_hooks(const char *path, struct errmsg *em);
static const char *likely_hook(const char *name);
static int check_agents(const char *path, struct errmsg *em);
static int read_keys(struct pushing *p);
static int send_all(struct pushing *p, struct manifest *m);
static bool has(void *context, const struct digest *name);
static int take_missing(void *context, struct span bytes, struct errmsg *em);
static int put(void *context, const struct digest *name, struct span frame, struct errmsg *em);
static void progress(void *context, uint64_t bytes, uint32_t files);
static void show_progress(struct pushing *p);
static int seal(struct pushing *p, const struct manifest *m, struct envelope *e);
static int send_manifest(struct pushing *p, const struct envelope *e, json_t **answer);
static int keep_draft(struct pushing *p, const struct manifest *m, const struct envelope *e);
static int take_answer(void *context, struct span bytes, struct errmsg *em);
static int report(struct pushing *p, const struct manifest *m, json_t *answer);
static int list(struct cli *cli);
static int show(struct cli *cli);
static void needed(const json_t *variables, char *out, size_t cap);
static int remove_bundle(struct cli *cli);
static int call(struct cli *cli, const char *method, const char *query, json_t **answer);

static const struct flag push_flags[] = {
    {.name = "name",
     .value = "NAME",
     .kind = FLAG_TEXT,
     .help = "the bundle's name",
     .required = true},
    {.name = "version",
     .value = "V",
     .kind = FLAG_TEXT,
     .help = "its version; what was pushed under a version stays so",
     .required = true},
    {.name = "kind",
     .value = "KIND",
     .kind = FLAG_TEXT,
     .fallback = "files",
     .help =
         "files, or agent: the agent's own program, ARCH/dunlin-agent for each kind of machine"},
    {.name = "key",
     .value = "FILE",
     .kind = FLAG_TEXTS,
     .help = "a publisher key that signs it; may be repeated (default DIR/publisher.key, made "
             "when there is none)"},
    {.name = "output",
     .value = "DRAFT",
     .kind = FLAG_TEXT,
     .help = "send the content, and write a draft that others sign: see `dunlin key sign`; only "
             "the keys that are given sign it now"},
    {.name = "hook-timeout",
     .value = "TIME",
     .kind = FLAG_DURATION,
     .fallback = "60s",
     .min = 1,
     .max = HOOK_TIMEOUT_S_MAX,
     .help = "how long each of hooks/pre-apply, hooks/apply and hooks/remove may take"},
    {.name = "health-deadline",
     .value = "TIME",
     .kind = FLAG_DURATION,
     .fallback = "60s",
     .min = 1,
     .max = HOOK_TIMEOUT_S_MAX,
     .help = "until when hooks/health must have passed"},
    {.name = "health-interval",
     .value = "TIME",
     .kind = FLAG_DURATION,
     .fallback = "1s",
     .min = 1,
     .max = HOOK_TIMEOUT_S_MAX,
     .help = "time between two tries of hooks/health"},
    {.name = "template",
     .value = "FILE",
     .kind = FLAG_TEXTS,
     .help = "a file of the bundle, by its path in it, in which ${name} stands for a variable; may "
             "be repeated"},
    {.name = "variable",
     .value = "NAME",
     .kind = FLAG_TEXTS,
     .help = "a variable that its hooks need, as DUNLIN_VAR_NAME; may be repeated"},
};

static const struct flag remove_flags[] = {
    {.name = "force",
     .kind = FLAG_SWITCH,
     .help = "also when a deployment would go back to it: from then on it can't"},
};

const struct verb bundle_verbs[4] = {
    {
        .name = "bundle push",
        .operands = "PATH",
        .summary = "pack a folder, sign it, and give it to the manager",
        .text = "PATH is a folder with files, folders and links that stay inside it. Only what the "
                "manager hasn't got is sent, however large the folder is.\n"
                "Programs in its folder hooks/ run on the device, and must be executable:\n"
                "  hooks/pre-apply    before the new version is in place\n"
                "  hooks/apply        when it is in place\n"
                "  hooks/health       until it passes, or the version before comes back\n"
                "  hooks/remove       when the deployment goes\n"
                "What a bundle needs to know of a device it gets by variables (dunlin variable "
                "set), in files that are marked as templates and in the environment of its hooks. "
                "A template says ${name} for a value, and $${ for a plain ${.\n"
                "With --kind agent PATH holds a new agent for each kind of machine, named as the "
                "fact arch has it: aarch64/dunlin-agent, armv7l/dunlin-agent. A device asks it "
                "whether it can read what the old one keeps, tries it, and goes back by itself "
                "unless it has reported by the health deadline.\n",
        .examples = "  dunlin bundle push ./app --name app --version 2\n"
                    "  dunlin bundle push ./app --name app --version 3 --health-deadline 5m\n"
                    "  dunlin bundle push ./agents --name agent --version 2 --kind agent\n",
        .flags = FLAGS(push_flags),
        .words_min = 1,
        .words_max = 1,
        .run = push,
    },
    {
        .name = "bundle list",
        .summary = "list the bundles",
        .run = list,
    },
    {
        .name = "bundle show",
        .operands = "NAME@V",
        .summary = "show all about one bundle",
        .words_min = 1,
        .words_max = 1,
        .run = show,
    },
    {
        .name = "bundle remove",
        .operands = "NAME@V",
        .summary = "forget a bundle that no deployment uses, nor would go back to",
        .flags = FLAGS(remove_flags),
        .words_min = 1,
        .words_max = 1,
        .run = remove_bundle,
    },
};

static int push(struct cli *cli)
{
    static struct manifest m; /* 40 KiB */
    struct pushing p = {.cli = cli, .progress = cli_progress_begin()};
    struct envelope e;
    json_t *answer = NULL;
    int rv = describe(cli, &m);
    if (rv == 0)
        rv = check_content(cli_word(cli, 0), m.kind, &cli->em);
    if (rv == 0)
        rv = list_templates(&p);
    if (rv == 0)
        rv = read_keys(&p);
    if (rv == 0)
        rv = send_all(&p, &m);
    if (rv == 0)
        rv = seal(&p, &m, &e);
    explicit_bzero(p.keys, sizeof p.keys);
    if (rv == 0 && args_has(&cli->args, "output"))
        return keep_draft(&p, &m, &e);
    if (rv == 0)
        rv = send_manifest(&p, &e, &answer);
    return rv < 0 ? rv : report(&p, &m, answer);
}

/* A draft is signed by those who are named, and perhaps by nobody yet. */
static int read_keys(struct pushing *p)
{
    const struct args *a = &p->cli->args;
    const char *path;
    size_t at = 0;
    int rv = 0;
    while (rv == 0 && (path = args_next(a, "key", &at))) {
        if (p->key_count == SIGNATURES_MAX)
            return errmsg_set(&p->cli->em, ERR_USAGE, "more than %d keys", SIGNATURES_MAX);
        rv = publisher_key(p->cli, path, &p->keys[p->key_count++]);
    }
    if (rv == 0 && p->key_count == 0 && !args_has(a, "output"))
        rv = publisher_key(p->cli, NULL, &p->keys[p->key_count++]);
    return rv;
}

static int parse_kind(const char *text, enum bundle_kind *out, struct errmsg *em)
{
    for (int kind = 0; kind < BUNDLE_KIND_COUNT; kind++)
        if (strcmp(text, bundle_kind_name((enum bundle_kind)kind)) == 0) {
            *out = (enum bundle_kind)kind;
            return 0;
        }
    return errmsg_set(em, ERR_USAGE, "--kind %.40s: write files or agent", text);
}

/* What the flags say of it; packing fills the rest. */
static int describe(struct cli *cli, struct manifest *m)
{
    const struct args *a = &cli->args;
    const char *name = args_text(a, "name"), *version = args_text(a, "version");
    int rv = bundle_name_check("bundle", name, &cli->em);
    if (rv == 0)
        rv = bundle_name_check("version", version, &cli->em);
    if (rv < 0)
        return rv;
    *m = (struct manifest){
        .hook_timeout_s = (uint32_t)args_number(a, "hook-timeout"),
        .health_deadline_s = (uint32_t)args_number(a, "health-deadline"),
        .health_interval_s = (uint32_t)args_number(a, "health-interval"),
    };
    snprintf(m->name, sizeof m->name, "%s", name);
    snprintf(m->version, sizeof m->version, "%s", version);
    rv = parse_kind(args_text(a, "kind"), &m->kind, &cli->em);
    return rv < 0 ? rv : declare(cli, &m->needs);
}

/* What templates need besides is found when they are packed. */
static int declare(struct cli *cli, struct needs *needs)
{
    const char *name;
    size_t at = 0;
    while ((name = args_next(&cli->args, "variable", &at))) {
        int rv = needs_add(needs, name, false);
        if (rv == ERR_RANGE)
            return errmsg_set(&cli->em, ERR_USAGE, "a bundle needs at most %d variables",
                              VARIABLES_NEEDED_MAX);
        if (rv < 0)
            return errmsg_set(&cli->em, ERR_USAGE,
                              "--variable %.60s: a name has lower-case letters, digits and '_', "
                              "%d at most, a letter first",
                              name, VARIABLE_NAME_MAX);
    }
    return 0;
}

static int list_templates(struct pushing *p)
{
    const char *path;
    size_t at = 0;
    while ((path = args_next(&p->cli->args, "template", &at))) {
        if (p->template_count == PACK_TEMPLATES_MAX)
            return errmsg_set(&p->cli->em, ERR_USAGE, "more than %d templates", PACK_TEMPLATES_MAX);
        p->templates[p->template_count++] = path;
    }
    return 0;
}

/* What is forgotten here would fail on every device. */
static int check_content(const char *path, enum bundle_kind kind, struct errmsg *em)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errmsg_set(em, ERR_NOT_FOUND, "%s: there is no such folder", path);
    if (!S_ISDIR(st.st_mode))
        return errmsg_set(em, ERR_REFUSED, "%s: isn't a folder; a bundle is made from one", path);
    return kind == BUNDLE_AGENT ? check_agents(path, em) : check_hooks(path, em);
}

static int check_hooks(const char *path, struct errmsg *em)
{
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        char file[FILE_PATH_MAX];
        struct stat st;
        int rv = file_path(file, em, "%s/hooks/%s", path, HOOKS[i]);
        if (rv < 0)
            return rv;
        if (lstat(file, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & 0111))
            return errmsg_set(em, ERR_REFUSED,
                              "%s is not executable, so no agent could run it: chmod +x it", file);
    }
    return note_likely_hooks(path, em);
}

/* Other files may stand there, for hooks to call. */
static int note_likely_hooks(const char *path, struct errmsg *em)
{
    char pattern[FILE_PATH_MAX], file[FILE_PATH_MAX];
    glob_t found = {0};
    int rv = file_path(pattern, em, "%s/hooks/*", path);
    if (rv == 0)
        glob(pattern, 0, NULL, &found);
    for (size_t i = 0; rv == 0 && i < found.gl_pathc; i++) {
        const char *likely = likely_hook(strrchr(found.gl_pathv[i], '/') + 1);
        rv = file_path(file, em, "%s/hooks/%s", path, likely ? likely : "");
        if (rv == 0 && likely && access(file, F_OK) < 0)
            fprintf(stderr, "note: %s is no hook, so no agent runs it; did you mean hooks/%s?\n",
                    found.gl_pathv[i], likely);
    }
    globfree(&found);
    return rv;
}

/* The hook that a file's name was probably meant to be, as apply.sh is; NULL: none. */
static const char *likely_hook(const char *name)
{
    char stem[SUGGEST_WORD_MAX + 1];
    struct suggest s = {.word = stem};
    snprintf(stem, sizeof stem, "%.*s", (int)strcspn(name, "."), name);
    for (size_t i = 0; i < HOOK_COUNT; i++)
        suggest_offer(&s, HOOKS[i]);
    return s.best;
}

/* One at least, and each can be run. */
static int check_agents(const char *path, struct errmsg *em)
{
    char pattern[FILE_PATH_MAX];
    glob_t found = {0};
    int rv = file_path(pattern, em, "%s/*/dunlin-agent", path);
    if (rv == 0 && glob(pattern, 0, NULL, &found) != 0)
        rv = errmsg_set(em, ERR_REFUSED,
                        "%s has no agent in it: put it at ARCH/dunlin-agent, where ARCH is the "
                        "device's fact arch",
                        path);
    for (size_t i = 0; rv == 0 && i < found.gl_pathc; i++) {
        struct stat st;
        if (lstat(found.gl_pathv[i], &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0100))
            rv = errmsg_set(em, ERR_REFUSED, "%s is no program that can be run: chmod +x it",
                            found.gl_pathv[i]);
    }
    globfree(&found);
    return rv;
}

static int send_all(struct pushing *p, struct manifest *m)
{
    const struct pack_sink sink = {.context = p,
                                   .has = has,
                                   .put = put,
                                   .progress = progress,
                                   .templates = p->templates,
                                   .template_count = p->template_count};
    int rv = pack_tree(cli_word(p->cli, 0), &sink, m, &p->cli->em);
    cli_progress_end(&p->progress);
    return rv < 0 ? rv : p->error;
}

/* One round trip a chunk; on the manager's socket that is less than compressing it would take. */
static bool has(void *context, const struct digest *name)
{
    struct pushing *p = context;
    struct missing missing = {0};
    struct client_request rq = {.method = "POST",
                                .route = "/v1/chunks/missing",
                                .type = "application/octet-stream",
                                .body = span_of(name->bytes, DIGEST_LEN)};
    if (p->error < 0)
        return false;
    int rv = client_send(p->cli->client, &rq, take_missing, &missing, &p->cli->em);
    if (rv < 0)
        p->error = rv;
    return rv >= 0 && missing.len == 0;
}

static int take_missing(void *context, struct span bytes, struct errmsg *em)
{
    struct missing *m = context;
    m->len += bytes.len;
    if (m->len > DIGEST_LEN)
        return errmsg_set(em, ERR_FORMAT, "the manager misses more chunks than it was asked about");
    return 0;
}

static int put(void *context, const struct digest *name, struct span frame, struct errmsg *em)
{
    struct pushing *p = context;
    char route[CLIENT_ROUTE_MAX];
    if (p->error < 0)
        return p->error;
    int rv = client_route(route, "chunks", digest_hex(name).text, NULL, em);
    if (rv < 0)
        return rv;
    struct client_request rq = {
        .method = "PUT", .route = route, .type = "application/octet-stream", .body = frame};
    rv = client_send(p->cli->client, &rq, NULL, NULL, em);
    if (rv < 0)
        return rv;
    p->new_chunks++;
    p->sent_bytes += frame.len;
    show_progress(p);
    return 0;
}

static void progress(void *context, uint64_t bytes, uint32_t files)
{
    struct pushing *p = context;
    p->packed_bytes = bytes;
    p->packed_files = files;
    show_progress(p);
}

static void show_progress(struct pushing *p)
{
    if (cli_progress_is_due(&p->progress))
        fprintf(stderr, "packing: %s, %s; %s sent", units_count(p->packed_files, "file").text,
                units_bytes(p->packed_bytes).text, units_bytes(p->sent_bytes).text);
}

/* The same key given twice signs once. */
static int seal(struct pushing *p, const struct manifest *m, struct envelope *e)
{
    static uint8_t memory[MANIFEST_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    *e = (struct envelope){0};
    int rv = manifest_write(m, &body);
    e->body = span_buffer(&body);
    for (uint32_t i = 0; rv == 0 && i < p->key_count; i++) {
        rv = envelope_sign(MESSAGE_MANIFEST, e, &p->keys[i]);
        if (rv == ERR_EXISTS)
            rv = 0;
    }
    if (rv < 0)
        errmsg_set(&p->cli->em, rv, "the manifest of %s@%s can't be made (%s)", m->name, m->version,
                   err_name(rv));
    return rv;
}

static int keep_draft(struct pushing *p, const struct manifest *m, const struct envelope *e)
{
    struct cli *cli = p->cli;
    const char *path = args_text(&cli->args, "output");
    int rv = draft_write(path, MESSAGE_MANIFEST, e, &cli->em);
    if (rv < 0)
        return rv;
    if (cli->json)
        return cli_print_json(cli,
                              json_pack("{ss ss ss sI}", "name", m->name, "version", m->version,
                                        "draft", path, "signatures", (json_int_t)e->count));
    printf("the content of %s@%s is sent, and its draft in %s: `dunlin key sign %s --key FILE` "
           "signs it, `dunlin key submit %s` makes it count\n",
           m->name, m->version, path, path, path);
    return 0;
}

static int send_manifest(struct pushing *p, const struct envelope *e, json_t **answer)
{
    static uint8_t signed_memory[MANIFEST_MAX];
    struct errmsg *em = &p->cli->em;
    struct buffer sealed = buffer_on(signed_memory, sizeof signed_memory);
    int rv = envelope_write(MESSAGE_MANIFEST, e, &sealed);
    if (rv < 0)
        return errmsg_set(em, rv, "the signed manifest is too large");
    struct client_request rq = {.method = "POST",
                                .route = "/v1/bundles",
                                .type = "application/octet-stream",
                                .body = span_buffer(&sealed)};
    char memory[4096];
    struct buffer text = buffer_on(memory, sizeof memory);
    rv = client_send(p->cli->client, &rq, take_answer, &text, em);
    if (rv < 0)
        return rv;
    *answer = json_loadb(memory, text.len, 0, NULL);
    return *answer ? 0 : errmsg_set(em, ERR_FORMAT, "the manager's answer can't be read");
}

static int take_answer(void *context, struct span bytes, struct errmsg *em)
{
    struct buffer *b = context;
    if (bytes.len > b->cap - b->len)
        return errmsg_set(em, ERR_FORMAT, "the manager's answer can't be read");
    memcpy(b->data + b->len, bytes.data, bytes.len);
    b->len += bytes.len;
    return 0;
}

static int report(struct pushing *p, const struct manifest *m, json_t *answer)
{
    bool fresh = json_is_true(json_object_get(answer, "new"));
    if (p->cli->json) {
        json_t *json = json_pack("{ss ss ss sI sI sI sI sI sb}", "name", m->name, "version",
                                 m->version, "digest", field_text(answer, "digest"), "files",
                                 (json_int_t)m->files, "bytes", (json_int_t)m->bytes, "chunks",
                                 (json_int_t)m->chunks, "new_chunks", (json_int_t)p->new_chunks,
                                 "sent_bytes", (json_int_t)p->sent_bytes, "new", fresh);
        json_decref(answer);
        return cli_print_json(p->cli, json);
    }
    json_decref(answer);
    printf("%s %s@%s: %s, %s in %s and %s of them; %s, %s sent\n",
           fresh ? "pushed" : "was there already:", m->name, m->version,
           units_count(m->files, "file").text, units_bytes(m->bytes).text,
           units_count(m->chunks, "chunk").text, units_count(m->index_count, "list").text,
           units_count(p->new_chunks, "new chunk").text, units_bytes(p->sent_bytes).text);
    return 0;
}

static int list(struct cli *cli)
{
    static const char *const titles[] = {"BUNDLE", "KIND", "FILES", "SIZE", "PUSHED", "DIGEST"};
    json_t *answer = NULL, *bundle;
    size_t i;
    int rv = cli_call(cli, "GET", "/v1/bundles", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(6, titles);
    json_array_foreach(json_object_get(answer, "bundles"), i, bundle)
    {
        table_cell(t, PAINT_NONE, "%s@%s", field_text(bundle, "name"),
                   field_text(bundle, "version"));
        table_cell(t, PAINT_NONE, "%s", field_text(bundle, "kind"));
        table_cell(t, PAINT_NONE, "%" PRIu64, field_number(bundle, "files"));
        table_cell(t, PAINT_NONE, "%s", units_bytes(field_number(bundle, "bytes")).text);
        table_cell(t, PAINT_NONE, "%s", field_ago(bundle, "created", "").text);
        table_cell(t, PAINT_DIM, "%.12s", field_text(bundle, "digest"));
    }
    json_decref(answer);
    if (table_rows(t) > 0)
        return cli_print(cli, t);
    table_free(t);
    puts("no bundles yet: dunlin bundle push PATH --name NAME --version V");
    return 0;
}

static int show(struct cli *cli)
{
    json_t *answer = NULL, *value;
    char names[VARIABLES_NEEDED_MAX * (VARIABLE_NAME_MAX + 24)];
    const char *key;
    int rv = call(cli, "GET", "", &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(2, NULL);
    json_object_foreach(answer, key, value)
    {
        table_cell(t, PAINT_DIM, "%s", key);
        if (strcmp(key, "bytes") == 0)
            table_cell(t, PAINT_NONE, "%s", units_bytes(field_number(answer, key)).text);
        else if (strcmp(key, "created") == 0)
            table_cell(t, PAINT_NONE, "%s", field_ago(answer, key, "").text);
        else if (json_is_integer(value))
            table_cell(t, PAINT_NONE, "%" PRIu64, field_number(answer, key));
        else if (strcmp(key, "variables") == 0) {
            needed(value, names, sizeof names);
            table_cell(t, PAINT_NONE, "%s", names);
        } else if (json_is_array(value))
            table_cell(t, PAINT_NONE, "%s", json_string_value(json_array_get(value, 0)));
        else
            table_cell(t, PAINT_NONE, "%s", field_text(answer, key));
    }
    json_decref(answer);
    return cli_print(cli, t);
}

/* "port (in a template), token" */
static void needed(const json_t *variables, char *out, size_t cap)
{
    size_t i, used = 0;
    json_t *v = NULL;
    snprintf(out, cap, "none");
    json_array_foreach(variables, i, v)
    {
        bool template = json_is_true(json_object_get(v, "in_template"));
        int n = snprintf(out + used, cap - used, "%s%s%s", used ? ", " : "", field_text(v, "name"),
                         template ? " (in a template)" : "");
        used += n < 0 ? 0 : (size_t)n;
        if (used >= cap)
            return;
    }
}

static int remove_bundle(struct cli *cli)
{
    json_t *answer = NULL;
    int rv = call(cli, "DELETE", args_has(&cli->args, "force") ? "?force=1" : "", &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("%s is forgotten\n", cli_word(cli, 0));
    json_decref(answer);
    return 0;
}

/* On the bundle that the operand NAME@V names; `query` follows on its route. */
static int call(struct cli *cli, const char *method, const char *query, json_t **answer)
{
    struct bundle_name name;
    char route[CLIENT_ROUTE_MAX];
    int rv = bundle_name_parse(&name, cli_word(cli, 0), &cli->em);
    if (rv == 0)
        rv = client_route(route, "bundles", cli_word(cli, 0), NULL, &cli->em);
    if (rv < 0)
        return rv;
    size_t len = strlen(route);
    snprintf(route + len, sizeof route - len, "%s", query);
    return cli_call(cli, method, route, NULL, answer);
}
