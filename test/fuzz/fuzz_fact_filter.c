/* fact_filter_check and fact_order_check: what they accept can be matched, and ranked. */
#include "test/fuzz/fuzz.h"

#include "manager/core/fact_filter.h"
#include "manager/core/fact_order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct facts facts = {.count = 2, .list = {{"arch", "arm64"}, {"memory_mib", "512"}}};
    char text[FACT_FILTER_TEXT_MAX + 2];
    struct errmsg em;
    size_t len = size < sizeof text - 1 ? size : sizeof text - 1;
    if (len > 0)
        memcpy(text, data, len);
    text[len] = '\0';
    if (fact_filter_check(text, &em) == 0)
        fact_filter_matches(text, &facts);
    if (fact_order_check(text, &em) == 0)
        fact_order_place(text, fact_order_number(fact_order_key(text), &facts));
    return 0;
}
