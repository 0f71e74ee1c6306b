#include "agent/values.h"

#include "agent/tree.h"

int values_find_tree(struct store *s, const struct target *t, struct digest *tree,
                     struct errmsg *em)
{
    static uint8_t memory[VARIABLES_BYTES_MAX];
    struct buffer list = buffer_on(memory, sizeof memory);
    int rv = store_values(s, t->variables, &list, em);
    *tree = tree_name(&t->bundle, span_buffer(&list));
    return rv;
}
