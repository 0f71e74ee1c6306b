#include "agent/address.h"

#include "sync/mqtt.h"
#include "sync/resolve.h"

#include <stdio.h>
#include <string.h>

int address_check(const char *url, struct errmsg *em)
{
    struct mqtt_url parsed;
    int rv = mqtt_parse_url(url, &parsed, em);
    if (rv < 0)
        return rv;
    if (parsed.scheme == MQTT_TLS ||
        (parsed.scheme == MQTT_PLAIN && resolve_is_loopback(parsed.host)))
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "%.200s: without TLS an agent connects to this machine alone, like "
                      "mqtt://127.0.0.1; write HOST[:PORT] or mqtts://HOST[:PORT]",
                      url);
}

/* True when the port is missing behind the host's name or bracketed address. */
static bool lacks_port(const char *host)
{
    const char *bracket = strchr(host, ']');
    return strchr(bracket ? bracket : host, ':') == NULL;
}

int address_of_door(const char *text, struct address *out, struct errmsg *em)
{
    static const char tls[] = "mqtts://";
    const char *scheme = strstr(text, "://");
    const char *host = scheme ? scheme + 3 : text;
    char port[16] = "";
    if (host[0] == '\0')
        return errmsg_set(em, ERR_USAGE, "the fleet's address is missing: HOST[:PORT], or its URL");
    bool secure = !scheme || strncmp(text, tls, sizeof tls - 1) == 0;
    if (secure && lacks_port(host))
        snprintf(port, sizeof port, ":%d", ADDRESS_DOOR_PORT);
    int len = snprintf(out->url, sizeof out->url, "%s%s%s", scheme ? "" : tls, text, port);
    if (len < 0 || (size_t)len >= sizeof out->url)
        return errmsg_set(em, ERR_USAGE, "the fleet's address is longer than %d characters",
                          CELL_URL_MAX);
    return address_check(out->url, em);
}
