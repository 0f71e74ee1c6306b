/* packets_follow: the same answer however the stream is cut; a stream that passes holds only whole
 * packets of ours and the beginning of one. */
#include "test/fuzz/fuzz.h"

#include "sync/packets.h"

#include <stdlib.h>

#define BODY_MAX 300

/* Takes the stream apart in one piece, the simple way; false when it isn't ours. */
static bool passes(const uint8_t *data, size_t size)
{
    const unsigned known = 1u << 2 | 1u << 3 | 1u << 4 | 1u << 9 | 1u << 11 | 1u << 13;
    for (size_t at = 0; at < size;) {
        uint8_t head = data[at++];
        size_t length = 0, max = head >> 4 == 3   ? BODY_MAX
                                 : head >> 4 == 9 ? PACKETS_SUBACK_MAX
                                                  : 2;
        bool more = true;
        if (head >> 4 == 13)
            max = 0;
        if (!(known >> (head >> 4) & 1) || (head >> 4 == 3 && head & 4))
            return false;
        for (int i = 0; more && at < size; i++) {
            length |= (size_t)(data[at] & 127) << (7 * i);
            more = data[at++] & 128;
            if (length > max || (more && i == 3))
                return false;
        }
        if (!more)
            at += length;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool whole = passes(data, size);
    for (size_t piece = 1; piece < 20; piece += 6) {
        struct packets p = {0};
        int rv = 0;
        for (size_t at = 0; at < size && rv == 0; at += piece)
            rv = packets_follow(&p, span_of(data + at, size - at < piece ? size - at : piece),
                                BODY_MAX, NULL);
        if ((rv == 0) != whole)
            abort();
    }
    return 0;
}
