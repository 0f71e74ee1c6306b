#include "agent/inspect.h"

#include "agent/content.h"
#include "agent/folder.h"
#include "agent/hook.h"
#include "agent/store.h"
#include "agent/tree.h"
#include "base/date.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The end of a log that its last lines are looked for in. */
#define TAIL_MAX 4096

/* One deployment, ready to be printed. */
struct shown {
    const struct held *held;
    const char *state;
    char version[NAME_MAX_LEN + 1]; /* of what is wanted; "?" when its manifest isn't here */
    char running[NAME_MAX_LEN + 1]; /* "-": nothing */
    char cause[96];                 /* empty: none */
    char tail[TAIL_MAX + 1];        /* the failed hook's last lines, or empty */
};

struct inspector {
    struct folder folder;
    struct store store;
    struct chunks chunks;
    struct content content;
};

static int open_all(struct inspector *i, const char *dir, struct errmsg *em);
static void describe(struct inspector *i, const struct held *h, struct shown *s);
static void name_version(struct inspector *i, const struct target *t, char *out);
static void read_tail(struct inspector *i, const struct held *h, char *out);
static void keep_last_lines(char *text);
static void print_people(struct inspector *i);
static void print_trust(const struct store *s);
static void print_deployment(const struct shown *s);
static void print_json(struct inspector *i);
static void json_trust(const struct store *s);
static void json_labels(const struct labels *l);
static void json_deployment(const struct shown *s);
static void json_text(struct span text);

int inspect_print(const char *dir, bool json, struct errmsg *em)
{
    static struct inspector i;
    memset(&i, 0, sizeof i);
    i.chunks.folder = -1;
    int rv = open_all(&i, dir, em);
    if (rv == 0 && json)
        print_json(&i);
    else if (rv == 0)
        print_people(&i);
    content_free(&i.content);
    chunks_close(&i.chunks);
    store_close(&i.store);
    return rv;
}

static int open_all(struct inspector *i, const char *dir, struct errmsg *em)
{
    int rv = folder_find(&i->folder, dir, em);
    if (rv == 0)
        rv = store_open(&i->store, i->folder.path, STORE_READ, em);
    if (rv == ERR_NOT_FOUND || (rv == 0 && !store_joined(&i->store)))
        return errmsg_set(em, ERR_NOT_FOUND,
                          "%s has not joined a fleet: run dunlin-agent join HOST TOKEN --dir %s",
                          dir, dir);
    if (rv == 0)
        rv = content_init(&i->content, &i->chunks, em);
    /* Without chunks there are no versions to name; that's no reason to be silent. */
    if (rv == 0)
        chunks_open_read(&i->chunks, i->folder.path, NULL);
    return rv;
}

/* ---- what there is to say ---- */

static void describe(struct inspector *i, const struct held *h, struct shown *s)
{
    *s = (struct shown){.held = h, .state = deployment_state_name(agent_state_of(h))};
    name_version(i, &h->wanted, s->version);
    name_version(i, &h->running, s->running);
    if (h->cause != CAUSE_NONE)
        snprintf(s->cause, sizeof s->cause, "%s", cause_text((enum cause)h->cause));
    read_tail(i, h, s->tail);
}

static void name_version(struct inspector *i, const struct target *t, char *out)
{
    const char *name = "-";
    if (t->generation > 0)
        name = content_peek(&i->content, &t->bundle) == 0 ? i->content.manifest.version : "?";
    snprintf(out, NAME_MAX_LEN + 1, "%s", name);
}

static void read_tail(struct inspector *i, const struct held *h, char *out)
{
    static const enum agent_hook hooks[CAUSE_COUNT] = {
        [CAUSE_PRE_APPLY] = HOOK_PRE_APPLY,
        [CAUSE_APPLY] = HOOK_APPLY,
        [CAUSE_HEALTH] = HOOK_HEALTH,
        [CAUSE_REMOVE] = HOOK_REMOVE,
    };
    char path[FILE_PATH_MAX];
    bool by_hook = h->cause >= CAUSE_PRE_APPLY && h->cause <= CAUSE_REMOVE;
    if (!by_hook || hook_failed_log(i->folder.path, h->name, hooks[h->cause], path, NULL) < 0)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t len = pread(fd, out, TAIL_MAX, size > TAIL_MAX ? size - TAIL_MAX : 0);
    close(fd);
    out[len > 0 ? len : 0] = '\0';
    keep_last_lines(out);
}

/* Control characters could play with a terminal. */
static void keep_last_lines(char *text)
{
    size_t len = strlen(text), lines = 0;
    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    size_t from = len;
    while (from > 0 && lines < INSPECT_LOG_LINES)
        if (text[--from] == '\n')
            lines++;
    if (lines == INSPECT_LOG_LINES)
        from++;
    memmove(text, text + from, len - from + 1);
    for (char *c = text; *c; c++)
        if (((unsigned char)*c < ' ' && *c != '\n') || *c == 0x7f)
            *c = '?';
}

/* ---- for people ---- */

static void print_people(struct inspector *i)
{
    const struct store *s = &i->store;
    const struct identity *id = &s->identity;
    const char *labels = s->assignment.labels.text;
    static struct shown shown;
    printf("agent      %u%s\n", id->number,
           s->assignment.removed    ? ", removed from its fleet"
           : s->assignment.cordoned ? ", cordoned: it takes nothing new"
                                    : "");
    if (s->shut_out_s)
        printf("           shut out of its fleet since %s: ask an operator why\n",
               date_text(s->shut_out_s).text);
    printf("id         %s\n", key_id_hex(&id->id).text);
    printf("labels     %s\n", labels[0] ? labels : "none");
    for (uint32_t c = 0; c < id->cell_count; c++)
        printf("%-10s %s\n", c == 0 ? "broker" : "", id->cells[c]);
    print_trust(s);
    if (s->document.revision.epoch == 0)
        printf("document   none yet\n");
    else
        printf("document   revision %u.%u\n", s->document.revision.epoch,
               s->document.revision.number);
    if (s->held_count == 0) {
        printf("\nno deployments\n");
        return;
    }
    printf("\n%-20s %-12s %-16s %-16s %s\n", "DEPLOYMENT", "STATE", "VERSION", "RUNNING", "CAUSE");
    for (uint32_t h = 0; h < s->held_count; h++) {
        describe(i, &s->held[h], &shown);
        print_deployment(&shown);
    }
}

static void print_trust(const struct store *s)
{
    const struct identity *id = &s->identity;
    printf("trust      document %u\n", s->trust.version);
    for (uint32_t i = 0; i < s->trust.authority_count; i++)
        printf("%-10s %s\n", i == 0 ? "authority" : "", key_id_hex(&s->trust.authorities[i]).text);
    if (id->certificate_len > 0)
        printf("certified  until %s%s\n", date_text(id->certificate_until_s).text,
               s->view.certificate_outdated ? ", by a former authority" : "");
}

static void print_deployment(const struct shown *s)
{
    printf("%-20s %-12s %-16s %-16s %s\n", s->held->name, s->state, s->version, s->running,
           s->cause[0] ? s->cause : "-");
    for (const char *line = s->tail; *line;) {
        int len = (int)strcspn(line, "\n");
        printf("    | %.*s\n", len, line);
        line += len + (line[len] == '\n');
    }
}

/* ---- as JSON ---- */

static void print_json(struct inspector *i)
{
    const struct store *s = &i->store;
    const struct identity *id = &s->identity;
    static struct shown shown;
    printf("{\"number\":%u,\"id\":\"%s\",\"removed\":%s,\"cordoned\":%s,\"shut_out\":", id->number,
           key_id_hex(&id->id).text, s->assignment.removed ? "true" : "false",
           s->assignment.cordoned ? "true" : "false");
    if (s->shut_out_s)
        json_text(span_text(date_text(s->shut_out_s).text));
    else
        printf("null");
    printf(",\"labels\":");
    json_labels(&s->assignment.labels);
    printf(",\"brokers\":[");
    for (uint32_t c = 0; c < id->cell_count; c++) {
        printf("%s", c ? "," : "");
        json_text(span_text(id->cells[c]));
    }
    printf("],\"atlas\":%u,", id->atlas);
    json_trust(s);
    printf("\"document\":{\"epoch\":%u,\"revision\":%u},\"deployments\":[",
           s->document.revision.epoch, s->document.revision.number);
    for (uint32_t h = 0; h < s->held_count; h++) {
        describe(i, &s->held[h], &shown);
        printf("%s", h ? "," : "");
        json_deployment(&shown);
    }
    printf("]}\n");
}

static void json_trust(const struct store *s)
{
    const struct identity *id = &s->identity;
    printf("\"trust\":{\"version\":%u,\"authorities\":[", s->trust.version);
    for (uint32_t i = 0; i < s->trust.authority_count; i++)
        printf("%s\"%s\"", i ? "," : "", key_id_hex(&s->trust.authorities[i]).text);
    printf("]},\"certificate\":");
    if (id->certificate_len > 0)
        printf("{\"until\":\"%s\",\"outdated\":%s},", date_text(id->certificate_until_s).text,
               s->view.certificate_outdated ? "true" : "false");
    else
        printf("null,");
}

static void json_labels(const struct labels *l)
{
    struct label pair;
    size_t at = 0;
    bool first = true;
    printf("{");
    while (labels_next(l, &at, &pair)) {
        printf("%s", first ? "" : ",");
        json_text(pair.key);
        printf(":");
        json_text(pair.value);
        first = false;
    }
    printf("}");
}

static void json_deployment(const struct shown *s)
{
    const struct held *h = s->held;
    printf("{\"name\":\"%s\",\"state\":\"%s\",\"version\":\"%s\",\"generation\":%u,", h->name,
           s->state, s->version, h->wanted.generation);
    printf("\"running\":\"%s\",\"running_generation\":%u,\"cause\":", s->running,
           h->running.generation);
    json_text(span_text(s->cause));
    printf(",\"log\":");
    json_text(span_text(s->tail));
    printf("}");
}

/* RFC 8259, section 7. A hook may have written anything: what is no ASCII becomes "?". */
static void json_text(struct span text)
{
    putchar('"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = text.data[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c == '\n')
            printf("\\n");
        else if (c < ' ' || c >= 0x7f)
            putchar('?');
        else
            putchar(c);
    }
    putchar('"');
}
