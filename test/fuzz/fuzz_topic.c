/* topic_read and name_valid: a text that is a topic is the only text of that topic. */
#include "test/fuzz/fuzz.h"

#include "sync/topic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2 * TOPIC_MAX];
    size_t len = size < sizeof text - 1 ? size : sizeof text - 1;
    if (len > 0)
        memcpy(text, data, len);
    text[len] = '\0';
    struct topic_name name = topic_read(text);
    if (name.kind != TOPIC_OTHER && strcmp(topic_make(&name).text, text) != 0)
        abort();
    if (name_valid(span_of(data, size)) && memchr(data, '/', size))
        abort();
    return 0;
}
