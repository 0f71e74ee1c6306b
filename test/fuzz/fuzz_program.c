/* program_record_read: what says which program an agent is has one text, or is refused. */
#include "test/fuzz/fuzz.h"

#include "agent/program.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char again[PROGRAM_RECORD_MAX + 1];
    struct program_record r;
    int rv = program_record_read(span_of(data, size), &r);
    if (rv != 0 && rv != ERR_FORMAT)
        abort();
    if (rv == 0 && !span_equal(program_record_write(&r, again), span_of(data, size)))
        abort();
    return 0;
}
