/* A list is refused, or every walk through it finds names that rise, twice at most, and its parts
 * in range. */
#include "sync/variables.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

static uint32_t walk(struct span list)
{
    struct variable_cursor c = variables_on(list);
    struct variable v, found, before = {.name = SPAN_NONE};
    uint32_t count = 0;
    while (variables_next(&c, &v)) {
        size_t more = v.uses & VARIABLE_SECRET ? VARIABLE_SEALED_MORE : 0;
        assert(variable_name_valid(v.name) && v.value.len <= VARIABLE_VALUE_MAX + more);
        assert(!v.given || v.value.len >= more);
        bool twin = span_equal(before.name, v.name);
        const struct variable *first = twin ? &before : &v;
        assert(variables_find(list, v.name, &found) == first->given);
        assert(found.name.data == first->name.data);
        before = v;
        count++;
    }
    return count;
}

static void resolve(struct span list, enum variable_use version)
{
    static uint8_t memory[2 * VARIABLES_BYTES_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    int rv = variables_resolve(list, version, list, NULL, NULL, &out);
    assert(rv == 0);
    struct wire_reader r = wire_reader_on(span_buffer(&out));
    struct span again = variables_get(&r, sizeof memory);
    assert(wire_done(&r) == 0);
    assert(variables_whole(list, version, list, NULL) ==
           variables_whole(again, VARIABLE_STABLE, SPAN_NONE, NULL));
    assert(variables_digest(list, version, list) ==
           variables_digest(again, VARIABLE_STABLE, SPAN_NONE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r = wire_reader_on(span_of(data, size));
    struct span list = variables_get(&r, VARIABLES_BYTES_MAX);
    if (r.error)
        return 0;
    assert(list.len <= size && walk(list) <= VARIABLES_MAX);
    resolve(list, VARIABLE_STABLE);
    resolve(list, VARIABLE_NEXT);
    return 0;
}
