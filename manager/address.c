#include "manager/address.h"

#include "crypto/random.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Below those that systems give to outgoing connections, since one of these could take the port of
 * a broker that is being restarted. */
#define ANY_PORT_MIN 10000
#define ANY_PORTS 20000

bool address_is_any(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* A name that only begins like one is none: 127.0.0.1.example.org is anywhere. */
bool address_is_loopback(const char *host)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

void address_write(const char *scheme, const char *host, int port, char *out, size_t cap)
{
    bool v6 = strchr(host, ':') != NULL;
    snprintf(out, cap, "%s%s%s%s%s:%d", scheme, scheme[0] ? "://" : "", v6 ? "[" : "", host,
             v6 ? "]" : "", port);
}

const char *address_public(const struct daemon_options *o)
{
    return o->advertise ? o->advertise : o->host;
}

size_t address_names(const char *const *all, size_t count, const char **out)
{
    size_t names = 0;
    for (size_t i = 0; i < count; i++) {
        bool skip = address_is_any(all[i]);
        for (size_t k = 0; k < names; k++)
            skip |= strcmp(out[k], all[i]) == 0;
        if (!skip)
            out[names++] = all[i];
    }
    return names;
}

size_t address_hosts(const struct daemon_options *o, const char *out[static ADDRESS_HOSTS_MAX])
{
    const char *const all[ADDRESS_HOSTS_MAX] = {address_public(o), o->host, "localhost",
                                                "127.0.0.1"};
    return address_names(all, ADDRESS_HOSTS_MAX, out);
}

int address_any_port(void)
{
    uint32_t chance;
    random_bytes(&chance, sizeof chance);
    return ANY_PORT_MIN + (int)(chance % ANY_PORTS);
}
