#include "manager/core/fact_order.h"

#include "manager/core/fact_filter.h"

#include <string.h>

int fact_order_check(const char *text, struct errmsg *em)
{
    if (!*text || (strlen(text) <= FACT_ORDER_TEXT_MAX && fact_key_valid(fact_order_key(text))))
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "sort: \"%.60s\" is no fact: write KEY for the smallest first, or -KEY for "
                      "the largest",
                      text);
}

static bool falls(const char *text)
{
    return text[0] == '-';
}

struct span fact_order_key(const char *text)
{
    return fact_key(span_text(text + falls(text)));
}

uint64_t fact_order_number(struct span key, const struct facts *facts)
{
    uint64_t number;
    const struct fact *f = facts ? fact_find(facts, key) : NULL;
    if (!f || !fact_number(span_text(f->value), &number))
        return 0;
    return number < UINT64_MAX - 1 ? number + 1 : UINT64_MAX - 1;
}

uint64_t fact_order_place(const char *text, uint64_t number)
{
    if (number == 0)
        return UINT64_MAX;
    return falls(text) ? UINT64_MAX - 1 - number : number;
}
