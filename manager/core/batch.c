#include "manager/core/state.h"

#include <assert.h>

static int check_create(struct turn *t, struct labels *labels)
{
    const struct command *c = t->ev->command;
    struct manager *m = t->m;
    int rv = labels_parse(labels, span_text(c->token.labels), &t->out->error);
    if (rv < 0)
        return fail_with(t, rv);
    if (c->token.count == 0 || c->token.count > TOKENS_MAX - m->token_count)
        return REFUSE(t, ERR_RANGE, "%u tokens: between 1 and %u more can be made", c->token.count,
                      TOKENS_MAX - m->token_count);
    if (c->token.uses == 0 || c->token.uses > TOKEN_USES_MAX)
        return REFUSE(t, ERR_RANGE, "%u uses: a token has between 1 and %u", c->token.uses,
                      TOKEN_USES_MAX);
    if (m->batch_count == m->options.limits.batches)
        return REFUSE(t, ERR_RANGE, "there are %u token batches, the most that are kept",
                      m->batch_count);
    return 0;
}

void batch_create(struct turn *t)
{
    const struct command *c = t->ev->command;
    struct batch_row row = {
        .count = c->token.count,
        .uses = c->token.uses,
        .created_s = t->ev->now_s,
        .expires_s = c->token.expires_s,
        .bound = c->token.bound,
        .approve = c->token.approve,
    };
    if (check_create(t, &row.labels) < 0)
        return;
    t->out->index = t->m->batch_count;
    int rv = manager_load_batch(t->m, &row);
    assert(rv == 0);
    persist(t, PERSIST_BATCH, t->out->index);
}

void batch_revoke(struct turn *t)
{
    uint32_t index = t->ev->command->batch;
    if (index >= t->m->batch_count) {
        REFUSE(t, ERR_NOT_FOUND, "there is no token batch %u: see `dunlin token list`", index + 1);
        return;
    }
    t->out->index = index;
    t->out->rv = t->m->batches[index].revoked;
    t->m->batches[index].revoked = true;
    persist(t, PERSIST_BATCH, index);
}
