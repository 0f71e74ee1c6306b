/*
 * issue_certificate: a certificate for an agent's id with a fresh key, by the authority of the
 * fleet whose database is in DIR. For tests that play agents with other MQTT clients.
 *
 *   issue_certificate DIR ID JOINED_S NOW_S NAME    writes NAME.pem and NAME.key
 */
#include "base/file.h"
#include "manager/core/manager.h"
#include "manager/keyring.h"

#include <stdio.h>
#include <stdlib.h>

static void must(int rv, const char *what)
{
    if (rv >= 0)
        return;
    fprintf(stderr, "issue_certificate: %s: %s\n", what, err_name(rv));
    exit(1);
}

static struct keyring read_keys(const char *dir)
{
    struct errmsg em = {.text = ""};
    struct fleet_keys unused;
    struct keyring k;
    must(keyring_draw(&unused), "keys");
    struct ledger *ledger = ledger_open(dir, &unused, &em);
    must(ledger ? 0 : ERR_IO, em.text);
    must(keyring_init(&k, ledger_keys(ledger)), "the fleet's keys");
    ledger_close(ledger);
    return k;
}

/* As the manager makes it. */
static struct certificate describe(const struct key_id *id, uint64_t joined_s, uint64_t now_s)
{
    uint32_t period = now_s > joined_s ? (uint32_t)((now_s - joined_s) / CERTIFICATE_PERIOD_S) : 0;
    uint64_t begin_s = joined_s + (uint64_t)period * CERTIFICATE_PERIOD_S;
    struct certificate c = {
        .use = CERTIFICATE_CLIENT,
        .serial = certificate_agent_serial(id, period),
        .not_before_s = begin_s - CERTIFICATE_SLACK_S,
        .not_after_s = begin_s + CERTIFICATE_LIFE_S,
    };
    snprintf(c.name, sizeof c.name, "%s", key_id_hex(id).text);
    return c;
}

static void put(const char *name, const char *suffix, const struct buffer *content)
{
    char path[FILE_PATH_MAX];
    struct errmsg em = {.text = ""};
    must(file_path(path, &em, "%s.%s", name, suffix), em.text);
    must(file_write(path, span_buffer(content), 0600, &em), em.text);
}

int main(int argc, char **argv)
{
    struct key_id id;
    struct secret_key secret;
    uint8_t der_room[CERTIFICATE_MAX], pem_room[CERTIFICATE_PEM_MAX], key_room[CERTIFICATE_PEM_MAX];
    struct buffer der = buffer_on(der_room, sizeof der_room);
    struct buffer pem = buffer_on(pem_room, sizeof pem_room);
    struct buffer key = buffer_on(key_room, sizeof key_room);
    must(argc == 6 ? 0 : ERR_USAGE, "DIR ID JOINED_S NOW_S NAME");
    must(key_id_parse(argv[2], &id), "ID");
    struct keyring k = read_keys(argv[1]);
    struct certificate c = describe(&id, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    must(sign_generate(&secret, &c.key), "key");
    must(keyring_certificate(&k, &c, &der), "certificate");
    must(certificate_pem(span_buffer(&der), &pem), "PEM");
    must(certificate_key_pem(&secret, &key), "PEM");
    put(argv[5], "pem", &pem);
    put(argv[5], "key", &key);
    return 0;
}
