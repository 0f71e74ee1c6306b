#include "agent/mend.h"

#include "agent/tree.h"
#include "agent/values.h"
#include "base/log.h"

static void mend(const char *dir, struct store *s, const struct held *h);
static void put_link_back(const char *dir, const struct held *h, const struct digest *tree);
static void begin_anew(struct store *s, const struct held *h);

void mend_deployments(const char *dir, struct store *s)
{
    for (uint32_t i = 0; i < s->held_count; i++)
        mend(dir, s, &s->held[i]);
}

/* What is under way is begun again anyway. */
static void mend(const char *dir, struct store *s, const struct held *h)
{
    struct digest current, tree;
    bool at_rest = h->phase == PHASE_SETTLED || h->phase == PHASE_ROLLED_BACK;
    if (!at_rest || h->running.generation == 0 || values_find_tree(s, &h->running, &tree, NULL) < 0)
        return;
    if (!tree_there(dir, &tree)) {
        log_event(LOG_WARN, "tree-missing", "name=%s bundle=%.12s", h->name,
                  digest_hex(&h->running.bundle).text);
        if (h->phase == PHASE_SETTLED)
            begin_anew(s, h);
        return;
    }
    if (!tree_current(dir, h->name, &current) || !digest_equal(&current, &tree))
        put_link_back(dir, h, &tree);
}

static void put_link_back(const char *dir, const struct held *h, const struct digest *tree)
{
    struct errmsg em = {.text = "it is back"};
    tree_switch(dir, h->name, tree, &em);
    log_event(LOG_WARN, "current-missing", "name=%s bundle=%.12s what=\"%s\"", h->name,
              digest_hex(&h->running.bundle).text, em.text);
}

static void begin_anew(struct store *s, const struct held *h)
{
    struct errmsg em = {0};
    struct held row = *h;
    row.phase = PHASE_DOWNLOADING;
    row.attempts = 0;
    struct agent_out out = {.stores = {{.type = AGENT_STORE_HELD, .held = &row}}, .store_count = 1};
    if (store_apply(s, &out, NULL, &em) < 0)
        log_event(LOG_ERROR, "not-stored", "error=\"%s\"", em.text);
}
