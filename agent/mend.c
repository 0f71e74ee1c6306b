#include "agent/mend.h"

#include "agent/program.h"
#include "agent/tree.h"
#include "agent/values.h"
#include "base/log.h"

static void mend(const char *dir, struct store *s, const struct held *h);
static bool is_unfit_agent(const char *dir, const struct digest *tree);
static void put_link_back(const char *dir, const struct held *h, const struct digest *tree);
static void begin_anew(struct store *s, const struct held *h, bool unfit);

void mend_deployments(const char *dir, struct store *s)
{
    for (uint32_t i = 0; i < s->held_count; i++)
        mend(dir, s, &s->held[i]);
}

static void mend(const char *dir, struct store *s, const struct held *h)
{
    struct digest current, tree;
    char path[FILE_PATH_MAX];
    if (!held_leads(h) || values_find_tree(s, &h->running, &tree, NULL) < 0 ||
        tree_path(dir, &tree, path, NULL) < 0)
        return;
    bool unfit = h->phase == PHASE_SETTLED && is_unfit_agent(dir, &tree);
    if (unfit)
        file_remove(path, NULL);
    if (unfit || !tree_there(dir, &tree))
        begin_anew(s, h, unfit);
    else if (!tree_current(dir, h->name, &current) || !digest_equal(&current, &tree))
        put_link_back(dir, h, &tree);
    if (unfit)
        program_return(dir, &(struct digest){0}, NULL);
}

/* The packaged agent runs, since the one in this tree is not whole, or can't be run any more. */
static bool is_unfit_agent(const char *dir, const struct digest *tree)
{
    struct digest proven;
    return program_proven(dir, &proven) && digest_equal(&proven, tree) && !program_runs(dir, tree);
}

static void put_link_back(const char *dir, const struct held *h, const struct digest *tree)
{
    struct errmsg em = {.text = "it is back"};
    tree_switch(dir, h->name, tree, &em);
    log_event(LOG_WARN, "current-missing", "name=%s bundle=%.12s what=\"%s\"", h->name,
              digest_hex(&h->running.bundle).text, em.text);
}

/* An agent that is unfit has its trial once more, and only the packaged one to go back to. */
static void begin_anew(struct store *s, const struct held *h, bool unfit)
{
    struct errmsg em = {0};
    struct held row = *h;
    struct agent_out out = {.stores = {{.type = AGENT_STORE_HELD, .held = &row}}, .store_count = 1};
    log_event(LOG_WARN, "tree-missing", "name=%s bundle=%.12s", h->name,
              digest_hex(&h->running.bundle).text);
    held_begin_anew(&row);
    if (unfit) {
        row.running = (struct target){0};
        row.moved = false;
    }
    if (store_apply(s, &out, NULL, &em) < 0)
        log_event(LOG_ERROR, "not-stored", "error=\"%s\"", em.text);
}
