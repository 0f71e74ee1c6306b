#include "manager/kit.h"

#include "base/file.h"
#include "manager/admission.h"
#include "manager/broker_config.h"

#include <stdio.h>
#include <stdlib.h>

static int check(const struct kit_options *o, struct errmsg *em);
static bool is_word(const char *text, size_t max);
static int write_fleet(const struct kit_options *o, struct ledger *l, uint64_t now_s,
                       struct errmsg *em);
static int write_config(const struct kit_options *o, struct errmsg *em);
static int write_server(const struct kit_options *o, const struct keyring *k, uint64_t now_s,
                        struct errmsg *em);
static int write_lists(const struct kit_options *o, const struct keyring *k, struct ledger *l,
                       uint64_t now_s, struct errmsg *em);

int kit_write(const struct kit_options *o, uint64_t now_s, struct errmsg *em)
{
    int rv = check(o, em);
    if (rv < 0)
        return rv;
    struct ledger *l = ledger_open_to_read(o->dir, em);
    if (!l)
        return ERR_IO;
    rv = file_make_folder(o->out, 0700, em);
    if (rv == 0)
        rv = write_fleet(o, l, now_s, em);
    ledger_close(l);
    return rv;
}

/* They become words of a configuration file, and names in a certificate. */
static int check(const struct kit_options *o, struct errmsg *em)
{
    for (size_t i = 0; i < o->host_count; i++)
        if (!is_word(o->hosts[i], KIT_HOST_MAX))
            return errmsg_set(em, ERR_USAGE,
                              "--host %s: give a host's name or address, of at most %d characters",
                              o->hosts[i], KIT_HOST_MAX);
    if (!is_word(o->user, KIT_HOST_MAX))
        return errmsg_set(em, ERR_USAGE, "--user %s: this is no user's name", o->user);
    if (o->listen && !is_word(o->listen, BROKER_HOST_MAX))
        return errmsg_set(em, ERR_USAGE, "--listen %s: this is no address", o->listen);
    if (o->port < 1 || o->port > UINT16_MAX)
        return errmsg_set(em, ERR_USAGE, "--listen: a port there is a number from 1 to 65535");
    return 0;
}

static bool is_word(const char *text, size_t max)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.:-_";
    size_t len = strlen(text);
    return len > 0 && len <= max && text[0] != '-' && strspn(text, allowed) == len;
}

static int write_fleet(const struct kit_options *o, struct ledger *l, uint64_t now_s,
                       struct errmsg *em)
{
    struct keyring k;
    int rv = keyring_init(&k, ledger_keys(l));
    if (rv < 0)
        return errmsg_set(em, rv, "%s: the fleet's keys are none", o->dir);
    bool fewer = certificates_drop(&k, now_s, o->out);
    int config = write_config(o, em);
    int server = config < 0 ? config : write_server(o, &k, now_s, em);
    int lists = server < 0 ? server : write_lists(o, &k, l, now_s, em);
    explicit_bzero(&k, sizeof k);
    if (lists < 0)
        return lists;
    return config || fewer ? KIT_START_ANEW : server || lists ? KIT_READ_AGAIN : KIT_SAME;
}

static int write_config(const struct kit_options *o, struct errmsg *em)
{
    char text[BROKER_CONFIG_MAX];
    struct buffer out = buffer_on(text, sizeof text);
    struct broker_options b = {.kind = BROKER_FOREIGN, .host = o->listen, .port = o->port};
    if (broker_config_write(&b, o->user, &out) < 0)
        return errmsg_set(em, ERR_RANGE, "the broker's configuration is too long");
    return certificates_put(o->out, BROKER_CONFIG_FILE, span_buffer(&out), em);
}

static int write_server(const struct kit_options *o, const struct keyring *k, uint64_t now_s,
                        struct errmsg *em)
{
    char name[CERTIFICATE_NAME_MAX + 1];
    struct site site = {.name = name, .hosts = o->hosts, .host_count = o->host_count};
    snprintf(name, sizeof name, "broker %.*s", KIT_HOST_MAX, o->hosts[0]);
    return certificates_put_server(k, &site, now_s, o->out, em);
}

static int write_lists(const struct kit_options *o, const struct keyring *k, struct ledger *l,
                       uint64_t now_s, struct errmsg *em)
{
    size_t count = 0;
    struct blocked_agent *blocked = calloc(BLOCKED_MAX, sizeof *blocked);
    struct admission *a = admission_new(BROKER_FOREIGN);
    int rv = blocked && a ? ledger_blocked(l, blocked, BLOCKED_MAX, &count, em)
                          : errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    if (rv == 0)
        rv = admission_set(a, k, blocked, count, now_s, em);
    if (rv == 0)
        rv = admission_file(a, o->out, em);
    admission_free(a);
    free(blocked);
    return rv;
}
