/* atlas_read: what it accepts comes back the same, and gives every agent an order. */
#include "test/fuzz/fuzz.h"

#include "test/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct atlas a;
    uint32_t order[CELLS_MAX];
    struct key_id agent = sample_agent();
    if (!rewrite_is_stable(rewrite_atlas, span_of(data, size)))
        abort();
    if (atlas_read(span_of(data, size), &a) < 0)
        return 0;
    uint32_t count = atlas_order(&a, &agent, CELLS_MAX, order);
    for (uint32_t i = 1; i < count; i++)
        if (atlas_weight(a.cells[order[i - 1]].number, &agent) <
            atlas_weight(a.cells[order[i]].number, &agent))
            abort();
    return 0;
}
