/* printable_text: never longer than what came, nothing in it but what may be seen, and no second
 * cleaning finds anything. */
#include "test/fuzz/fuzz.h"

#include "base/printable.h"

#include <stdlib.h>

#define TEXT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char once[TEXT_MAX + 1], twice[TEXT_MAX + 1];
    if (size > TEXT_MAX)
        return 0;
    size_t len = printable_text(span_of(data, size), once);
    if (len > size || strlen(once) != len)
        abort();
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)once[i] < 0x20 && once[i] != '\n') || once[i] == 0x7f)
            abort();
    if (printable_text(span_of(once, len), twice) != len || memcmp(once, twice, len) != 0)
        abort();
    return 0;
}
