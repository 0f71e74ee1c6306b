/* mqtt_parse_url: a URL that is taken has a host and a port that a socket can have. */
#include "test/fuzz/fuzz.h"

#include "sync/mqtt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[1024];
    struct mqtt_url url;
    struct errmsg em = {0};
    size_t len = size < sizeof text - 1 ? size : sizeof text - 1;
    if (len > 0)
        memcpy(text, data, len);
    text[len] = '\0';
    int rv = mqtt_parse_url(text, &url, &em);
    if ((rv < 0) != (em.text[0] != '\0'))
        abort();
    if (rv == 0 && (url.host[0] == '\0' || !memchr(url.host, '\0', sizeof url.host)))
        abort();
    if (rv == 0 && url.scheme != MQTT_UNIX && (url.port < 1 || url.port > 65535))
        abort();
    return 0;
}
