#include "agent/mend.h"

#include "agent/program.h"
#include "agent/tree.h"
#include "agent/values.h"
#include "base/log.h"

static void mend(const char *dir, struct store *s, const struct held *h);
static bool is_unfit_agent(const char *dir, const struct digest *tree);
static void put_link_back(const char *dir, const struct held *h, const struct digest *tree);
static void begin_anew(struct store *s, const struct held *h, const struct target *running);
static void go_back_anew(struct store *s, const struct held *h);
static void put_row(struct store *s, struct held *row);

void mend_deployments(const char *dir, struct store *s)
{
    for (uint32_t i = 0; i < s->held_count; i++)
        mend(dir, s, &s->held[i]);
}

/* What is under way is begun again anyway. */
static void mend(const char *dir, struct store *s, const struct held *h)
{
    const struct target none = {0};
    struct digest current, tree;
    char path[FILE_PATH_MAX];
    bool at_rest = h->phase == PHASE_SETTLED || h->phase == PHASE_ROLLED_BACK;
    if (!at_rest || h->running.generation == 0 ||
        values_find_tree(s, &h->running, &tree, NULL) < 0 || tree_path(dir, &tree, path, NULL) < 0)
        return;
    /* It has its trial once more, and only the packaged agent to go back to. */
    bool unfit = h->phase == PHASE_SETTLED && is_unfit_agent(dir, &tree);
    if (unfit || !tree_there(dir, &tree)) {
        log_event(LOG_WARN, "tree-missing", "name=%s bundle=%.12s", h->name,
                  digest_hex(&h->running.bundle).text);
        if (unfit)
            file_remove(path, NULL);
        if (h->phase == PHASE_SETTLED)
            begin_anew(s, h, unfit ? &none : &h->running);
        else
            go_back_anew(s, h);
        if (unfit)
            program_return(dir, &none.bundle, NULL);
        return;
    }
    if (!tree_current(dir, h->name, &current) || !digest_equal(&current, &tree))
        put_link_back(dir, h, &tree);
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

static void begin_anew(struct store *s, const struct held *h, const struct target *running)
{
    struct held row = *h;
    row.phase = PHASE_DOWNLOADING;
    row.attempts = 0;
    row.running = *running;
    put_row(s, &row);
}

/* From its chunks, or to nothing. */
static void go_back_anew(struct store *s, const struct held *h)
{
    struct held row = *h;
    row.phase = PHASE_UNDOING;
    row.moved = true;
    put_row(s, &row);
}

static void put_row(struct store *s, struct held *row)
{
    struct errmsg em = {0};
    struct agent_out out = {.stores = {{.type = AGENT_STORE_HELD, .held = row}}, .store_count = 1};
    if (store_apply(s, &out, NULL, &em) < 0)
        log_event(LOG_ERROR, "not-stored", "error=\"%s\"", em.text);
}
