#include "crypto/merkle.h"

#include "base/hex.h"
#include "test/suite.h"

static struct merkle tree;

/* A tree of so many leaves, each the number that it has. */
static struct digest grow(uint32_t count)
{
    tree.leaves = count;
    for (uint32_t i = 0; i < count; i++)
        tree.nodes[i] = merkle_leaf(span_of(&i, sizeof i));
    return merkle_grow(&tree);
}

static void test_roots_are_those_of_others(void)
{
    /* The leaves and roots that implementations of RFC 6962 are tested with. */
    static const struct {
        const char *leaf, *root;
    } known[] = {
        {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
        {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
        {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
        {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
        {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
        {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
        {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
        {"606162636465666768696a6b6c6d6e6f",
         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
    };
    struct digest leaves[8];
    for (uint32_t i = 0; i < 8; i++) {
        uint8_t data[16];
        size_t len = strlen(known[i].leaf) / 2;
        CU_ASSERT_EQUAL(hex_read(known[i].leaf, data, len), 0);
        leaves[i] = merkle_leaf(span_of(data, len));
        memcpy(tree.nodes, leaves, sizeof leaves);
        tree.leaves = i + 1;
        struct digest root = merkle_grow(&tree);
        CU_ASSERT_STRING_EQUAL(digest_hex(&root).text, known[i].root);
    }
}

static void check_paths(uint32_t count)
{
    struct digest root = grow(count);
    for (uint32_t i = 0; i < count; i++) {
        struct merkle_path p = merkle_path(&tree, i);
        struct digest top = merkle_climb(&tree.nodes[i], &p);
        if (!digest_equal(&top, &root) || p.left >> p.count != 0 || 1u << p.count >= 2 * count)
            CU_FAIL("a path leads elsewhere, or is too long");
    }
}

static void test_every_path_leads_to_the_root(void)
{
    for (uint32_t count = 1; count <= 130; count++)
        check_paths(count);
    check_paths(MERKLE_LEAVES_MAX - 1);
    check_paths(MERKLE_LEAVES_MAX);
}

static void test_one_leaf_is_its_own_root(void)
{
    struct digest root = grow(1);
    struct merkle_path p = merkle_path(&tree, 0);
    CU_ASSERT_TRUE(digest_equal(&root, &tree.nodes[0]));
    CU_ASSERT_EQUAL(p.count, 0);
}

/* Bit by bit: the sides, then all that the siblings are. */
static void flip(struct merkle_path *p, uint32_t bit)
{
    uint32_t in = bit - p->count;
    if (bit < p->count)
        p->left ^= 1u << bit;
    else
        p->siblings[in / (8 * DIGEST_LEN)].bytes[in / 8 % DIGEST_LEN] ^= (uint8_t)(1u << in % 8);
}

static void test_another_path_leads_elsewhere(void)
{
    struct digest root = grow(11);
    for (uint32_t i = 0; i < 11; i++) {
        struct merkle_path good = merkle_path(&tree, i);
        for (uint32_t bit = 0; bit < good.count * (1 + 8 * DIGEST_LEN); bit++) {
            struct merkle_path p = good;
            flip(&p, bit);
            struct digest top = merkle_climb(&tree.nodes[i], &p);
            if (digest_equal(&top, &root))
                CU_FAIL("a changed path leads to the root");
        }
        struct digest top = merkle_climb(&tree.nodes[(i + 1) % 11], &good);
        CU_ASSERT_FALSE(digest_equal(&top, &root));
    }
}

static void test_a_node_is_no_leaf(void)
{
    struct digest root = grow(2);
    struct digest forged = merkle_leaf(span_of(tree.nodes, 2 * sizeof tree.nodes[0]));
    struct digest bare = digest_of(span_of(tree.nodes, 2 * sizeof tree.nodes[0]));
    CU_ASSERT_FALSE(digest_equal(&forged, &root));
    CU_ASSERT_FALSE(digest_equal(&bare, &root));
}

static const struct suite_test tests[] = {
    TEST(test_roots_are_those_of_others), TEST(test_every_path_leads_to_the_root),
    TEST(test_one_leaf_is_its_own_root),  TEST(test_another_path_leads_elsewhere),
    TEST(test_a_node_is_no_leaf),
};

SUITE_MAIN("merkle", tests)
