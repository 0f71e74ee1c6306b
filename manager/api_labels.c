/* Labels, or taints, of many agents: those that a selector matches, a page of them at a time. A
 * page's changes share one commit and the signatures of their assignments; between pages others get
 * their turn. */
#include "manager/api_json.h"
#include "manager/api_routes.h"

/* Of one page: agents that are changed, as many as share a signature; and that are looked at. */
#define PAGE_CHANGES_MAX MERKLE_LEAVES_MAX
#define PAGE_LOOKS_MAX 100000

static void set_many(struct request *r, struct command *c, const char **set, const char **unset);
static void change_page(struct request *r, const struct selector *s, struct command *c);
static bool is_within_bounds(struct request *r, const struct selector *s, const struct command *c);
static daemon_reply count_change;
static request_finish finish_page;

void api_labels_set(struct request *r)
{
    struct command c = {.type = COMMAND_LABEL, .label = {.set = "", .unset = ""}};
    set_many(r, &c, &c.label.set, &c.label.unset);
}

void api_taints_set(struct request *r)
{
    struct command c = {.type = COMMAND_AGENT_TAINT, .taint = {.set = "", .unset = ""}};
    set_many(r, &c, &c.taint.set, &c.taint.unset);
}

static void set_many(struct request *r, struct command *c, const char **set, const char **unset)
{
    const char *select = NULL;
    uint64_t after = 0;
    struct selector parsed;
    const struct field fields[] = {
        {.name = "select", .type = FIELD_TEXT, .required = true, .out.text = &select},
        {.name = "set", .type = FIELD_TEXT, .out.text = set},
        {.name = "unset", .type = FIELD_TEXT, .out.text = unset},
        {.name = "after", .type = FIELD_NUMBER, .max = UINT32_MAX - 1, .out.number = &after},
        {.name = "confirm", .type = FIELD_FLAG, .out.flag = &c->confirmed},
    };
    if (!request_fields(r, fields, sizeof fields / sizeof fields[0]) ||
        !api_read_selector(r, select, &parsed))
        return;
    if (after == 0 && !c->confirmed && !is_within_bounds(r, &parsed, c))
        return;
    r->at = (uint32_t)after + 1;
    r->end = manager_agent_count(daemon_core(r->daemon));
    change_page(r, &parsed, c);
}

/* What all pages come to is asked for with the first one. False: answered. */
static bool is_within_bounds(struct request *r, const struct selector *s, const struct command *c)
{
    struct arena scratch = arena_on(r->tools->scratch, sizeof r->tools->scratch);
    struct errmsg why, em;
    const struct manager *m = daemon_core(r->daemon);
    bool demands = c->type == COMMAND_LABEL ? manager_relabel_demands(m, s, c, &scratch, &why)
                                            : manager_taint_demands(m, s, c, &scratch, &why);
    if (!demands)
        return true;
    request_reply_failure(
        r, errmsg_set(&em, ERR_REFUSED, "%s: if this is meant, say --confirm", why.text), &em);
    return false;
}

/* Each agent is met once, whatever labels it has afterwards: pages go by number. The page itself
 * owes a reply until all its commands are given. */
static void change_page(struct request *r, const struct selector *s, struct command *c)
{
    const struct manager *m = daemon_core(r->daemon);
    r->page = (struct request_page){.done = request_wait(r, finish_page), .owed = 1};
    bool labels = c->type == COMMAND_LABEL;
    unsigned without = AGENT_REMOVED | (labels ? 0u : AGENT_WAITING); /* that has no taints yet */
    uint32_t changes = 0;
    for (uint32_t looks = 0; r->at <= r->end && looks < PAGE_LOOKS_MAX; looks++, r->at++) {
        const struct agent_row *row = manager_agent(m, r->at);
        if (row->flags & without || !selector_matches(s, &manager_cohort(m, row->cohort)->labels))
            continue;
        if (changes++ == PAGE_CHANGES_MAX)
            break;
        *(labels ? &c->label.id : &c->taint.agent) = row->id;
        r->page.owed++;
        daemon_command(r->daemon, request_actor(r), c, count_change, r);
    }
    if (--r->page.owed > 0)
        return;
    r->waiting = false;
    if (r->page.out.rv < 0)
        request_reply_failure(r, r->page.out.rv, &r->page.out.error);
    else
        finish_page(r, NULL);
}

/* The first refusal is told when all of the page are known; it is the same for all, mostly. */
static void count_change(void *context, const struct manager_out *out, int commit_rv,
                         const struct errmsg *em)
{
    struct request *r = context;
    struct request_page *p = &r->page;
    p->changed += out->rv == 0;
    if (out->rv < 0 && p->out.rv == 0) {
        p->out.rv = out->rv;
        p->out.error = out->error;
    }
    if (--p->owed == 0)
        p->done(r, &p->out, commit_rv, em);
}

static void finish_page(struct request *r, const struct manager_out *out)
{
    (void)out;
    json_t *next = r->at > r->end ? json_null() : json_integer((json_int_t)r->at - 1);
    request_reply(r, MHD_HTTP_OK,
                  json_pack("{s:I, s:o}", "changed", (json_int_t)r->page.changed, "next", next));
}
