#include "crypto/merkle.h"

#include <assert.h>

/* RFC 9162, 2.1.1: what comes first in whatever is digested. */
static const uint8_t LEAF[] = {0}, NODE[] = {1};

static struct digest digest_node(const struct digest *left, const struct digest *right);

struct digest merkle_leaf(struct span data)
{
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, span_of(LEAF, sizeof LEAF));
    digest_add(&s, data);
    return digest_end(&s);
}

struct digest merkle_climb(const struct digest *leaf, const struct merkle_path *path)
{
    struct digest at = *leaf;
    assert(path->count <= MERKLE_DEPTH_MAX);
    for (uint32_t i = 0; i < path->count; i++) {
        const struct digest *sibling = &path->siblings[i];
        at = path->left >> i & 1 ? digest_node(sibling, &at) : digest_node(&at, sibling);
    }
    return at;
}

/* A level's last node without a sibling goes up as it is. */
struct digest merkle_grow(struct merkle *m)
{
    assert(m->leaves > 0 && m->leaves <= MERKLE_LEAVES_MAX);
    struct digest *level = m->nodes;
    uint32_t count = m->leaves;
    while (count > 1) {
        struct digest *above = level + count;
        for (uint32_t i = 0; i < count / 2; i++)
            above[i] = digest_node(&level[2 * i], &level[2 * i + 1]);
        if (count % 2)
            above[count / 2] = level[count - 1];
        count = (count + 1) / 2;
        level = above;
    }
    return *level;
}

struct merkle_path merkle_path(const struct merkle *m, uint32_t index)
{
    struct merkle_path p = {0};
    const struct digest *level = m->nodes;
    assert(index < m->leaves);
    for (uint32_t count = m->leaves; count > 1; count = (count + 1) / 2, index /= 2) {
        if ((index ^ 1) < count) {
            p.left |= (index & 1) << p.count;
            p.siblings[p.count++] = level[index ^ 1];
        }
        level += count;
    }
    return p;
}

static struct digest digest_node(const struct digest *left, const struct digest *right)
{
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, span_of(NODE, sizeof NODE));
    digest_add(&s, span_of(left->bytes, DIGEST_LEN));
    digest_add(&s, span_of(right->bytes, DIGEST_LEN));
    return digest_end(&s);
}
