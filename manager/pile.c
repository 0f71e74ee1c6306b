#include "manager/pile.h"

#include <assert.h>

uint32_t pile_count(const struct pile *p)
{
    return p->tree.leaves;
}

uint32_t pile_add(struct pile *p, struct span body)
{
    assert(p->tree.leaves < PILE_MAX);
    p->tree.nodes[p->tree.leaves] = merkle_leaf(body);
    return p->tree.leaves++;
}

int pile_sign(struct pile *p, enum message type, const struct secret_key *key,
              const struct public_key *public)
{
    struct digest root = merkle_grow(&p->tree);
    p->by.signer = key_id_of(public);
    return envelope_endorse(type, &root, key, &p->by.signature);
}

int pile_write(const struct pile *p, enum message type, uint32_t place, struct span body,
               struct buffer *out)
{
    struct envelope e = {
        .body = body, .count = 1, .list = {p->by}, .path = merkle_path(&p->tree, place)};
    return envelope_write(type, &e, out);
}

void pile_clear(struct pile *p)
{
    p->tree.leaves = 0;
}
