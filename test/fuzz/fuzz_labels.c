/* A text is refused with a sentence, or becomes a set of valid, sorted pairs that reads as itself.
 */
#include "base/labels.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

static bool sorted(struct span a, struct span b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order < 0 || (order == 0 && a.len < b.len);
}

static void check_pairs(const struct labels *l)
{
    struct label pair, last = {0};
    struct span value;
    size_t count = 0;
    for (size_t at = 0; labels_next(l, &at, &pair); count++) {
        assert(label_key_valid(pair.key) && label_value_valid(pair.value));
        assert(count == 0 || sorted(last.key, pair.key));
        assert(labels_get(l, pair.key, &value) && span_equal(value, pair.value));
        last = pair;
    }
    assert(count <= LABELS_MAX && count == labels_count(l));
}

/* Taking every pair out and putting it back, and the text read again, give the same bytes. */
static void check_round_trips(const struct labels *l)
{
    struct labels again, changed = *l;
    struct label pair;
    int rv = labels_parse(&again, span_text(l->text), NULL);
    assert(rv == 0 && memcmp(l, &again, sizeof again) == 0);
    for (size_t at = 0; labels_next(l, &at, &pair);) {
        labels_unset(&changed, pair.key);
        assert(labels_count(&changed) + 1 == labels_count(l));
        rv = labels_set(&changed, pair.key, pair.value, NULL);
        assert(rv == 0 && memcmp(l, &changed, sizeof changed) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct labels l;
    struct errmsg em = {0};
    int rv = labels_parse(&l, span_of(data, size), &em);
    assert(rv == 0 || ((rv == ERR_FORMAT || rv == ERR_RANGE) && em.text[0]));
    if (rv < 0)
        return 0;
    check_pairs(&l);
    check_round_trips(&l);
    return 0;
}
