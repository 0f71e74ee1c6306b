#include "manager/address.h"

#include "crypto/random.h"
#include "sync/limits.h"
#include "sync/mqtt.h"
#include "sync/resolve.h"

#include <stdio.h>
#include <string.h>

/* Below those that systems give to outgoing connections, since one of these could take the port of
 * a broker that is being restarted. */
#define ANY_PORT_MIN 10000
#define ANY_PORTS 20000

static int check_plain(const char *option, const char *host, struct errmsg *em);
static int check_public(const char *option, const char *host, const struct daemon_options *o,
                        struct errmsg *em);
static int check_broker(const struct daemon_options *o, size_t i, struct errmsg *em);

int address_check_options(const struct daemon_options *o, struct errmsg *em)
{
    int rv = o->plain ? check_plain("--listen", o->host, em) : 0;
    if (rv == 0 && o->plain && o->advertise)
        rv = check_plain("--advertise", o->advertise, em);
    if (rv == 0)
        rv = check_public("--listen", o->host, o, em);
    if (rv == 0)
        rv = check_public("--api", o->api_host, o, em);
    if (rv == 0 && o->cells + o->broker_count > DAEMON_CELLS_MAX)
        rv = errmsg_set(em, ERR_USAGE, "--cells and --broker: at most %d brokers together",
                        DAEMON_CELLS_MAX);
    if (rv == 0 && o->no_cells && o->broker_count == 0)
        rv = errmsg_set(em, ERR_USAGE, "--cells 0: name others' brokers with --broker");
    for (size_t i = 0; rv == 0 && i < o->broker_count; i++)
        rv = check_broker(o, i, em);
    return rv;
}

/* Devices are told it, and refuse plain links to anything else. */
static int check_plain(const char *option, const char *host, struct errmsg *em)
{
    if (resolve_is_loopback(host))
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "--plain %s %s: without TLS only a loopback address in digits will do, such "
                      "as 127.0.0.1; leave --plain away to use another",
                      option, host);
}

/* An address that stands for all of them is none that anybody can connect to. */
static int check_public(const char *option, const char *host, const struct daemon_options *o,
                        struct errmsg *em)
{
    if (!address_is_any(host) || o->advertise)
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "%s %s: others need a name to connect to: say --advertise HOST", option,
                      host);
}

/* One broker can't be two cells: our connections would throw each other off. */
static int check_broker(const struct daemon_options *o, size_t i, struct errmsg *em)
{
    struct mqtt_url url;
    const char *text = o->brokers[i];
    if (strlen(text) > CELL_URL_MAX)
        return errmsg_set(em, ERR_USAGE, "--broker: the URL is longer than %d characters",
                          CELL_URL_MAX);
    int rv = mqtt_parse_url(text, &url, em);
    if (rv < 0)
        return errmsg_wrap(em, rv, "--broker");
    for (size_t k = 0; k < i; k++)
        if (strcmp(o->brokers[k], text) == 0)
            return errmsg_set(em, ERR_USAGE, "--broker %s: it is named twice", text);
    if (o->plain && (url.scheme != MQTT_PLAIN || !resolve_is_loopback(url.host)))
        return errmsg_set(em, ERR_USAGE,
                          "--broker %s: with --plain only a broker on a loopback address will do, "
                          "as mqtt://127.0.0.1:1883",
                          text);
    if (!o->plain && url.scheme != MQTT_TLS)
        return errmsg_set(
            em, ERR_USAGE,
            "--broker %s: links to brokers are TLS: write mqtts://HOST[:PORT], or say "
            "--plain for tests on one machine",
            text);
    return 0;
}

bool address_is_any(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

bool address_is_local(const char *host)
{
    return strcmp(host, "localhost") == 0 || resolve_is_loopback(host);
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
