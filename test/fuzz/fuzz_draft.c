/* draft_parse: what it accepts is an envelope that can be written, and whose content reads again.
 */
#include "manager/cli/draft.h"
#include "test/fuzz/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct draft d;
    static uint8_t memory[DRAFT_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct envelope e;
    if (draft_parse(span_of(data, size), &d) < 0)
        return 0;
    if (draft_seal(&d, &out) < 0 || envelope_read(d.type, span_buffer(&out), &e) < 0 ||
        !span_equal(e.body, d.envelope.body))
        abort();
    return 0;
}
