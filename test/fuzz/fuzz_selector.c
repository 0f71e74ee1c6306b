/* selector_parse and selector_matches: what is read is within its limits and matches something or
 * nothing, never beyond. */
#include "test/fuzz/fuzz.h"

#include "manager/core/selector.h"

#include <stdlib.h>

static bool inside(struct span part, struct span text)
{
    return part.len == 0 ||
           (part.data >= text.data && part.data + part.len <= text.data + text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sets[] = {"", "env=prod", "a=1,env=lab,zone.example.com/rack=r7"};
    struct selector s;
    struct errmsg em = {0};
    struct span text = span_of(data, size);
    int rv = selector_parse(&s, text, &em);
    if ((rv < 0) != (em.text[0] != '\0') || (rv == 0 && s.count > SELECTOR_TERMS_MAX))
        abort();
    for (uint32_t i = 0; rv == 0 && i < s.count; i++) {
        if (!label_key_valid(s.terms[i].key) || !inside(s.terms[i].key, text))
            abort();
        for (uint32_t k = 0; k < s.terms[i].count; k++)
            if (!label_value_valid(s.values[s.terms[i].first + k]) ||
                !inside(s.values[s.terms[i].first + k], text))
                abort();
    }
    for (size_t i = 0; rv == 0 && i < sizeof sets / sizeof sets[0]; i++) {
        struct labels labels;
        if (labels_parse(&labels, span_text(sets[i]), NULL) < 0)
            abort();
        selector_matches(&s, &labels);
    }
    return 0;
}
