#include "manager/cli/fleet_trust.h"

#include "base/file.h"
#include "base/hex.h"

#define ENVELOPE_MAX (TRUST_MAX + ENVELOPE_OVERHEAD_MAX)

static int read_document(const char *hex, struct trust *t, struct fleet_signers *by);

int fleet_trust_get(struct cli *cli, struct trust *t, struct fleet_signers *by)
{
    json_t *answer = NULL;
    int rv = cli_ask(cli, "GET", "/v1/trust", NULL, &answer);
    if (rv < 0)
        return rv;
    rv = read_document(field_text(answer, "document"), t, by);
    json_decref(answer);
    return rv < 0 ? errmsg_set(&cli->em, rv,
                               "the manager's trust document is not signed by its roots (%s): "
                               "nothing is made from it",
                               err_name(rv))
                  : 0;
}

static int read_document(const char *hex, struct trust *t, struct fleet_signers *by)
{
    uint8_t bytes[ENVELOPE_MAX];
    size_t len = strlen(hex) / 2;
    if (len > sizeof bytes || hex_read(hex, bytes, len) < 0)
        return ERR_FORMAT;
    return fleet_signers_read(span_of(bytes, len), t, by);
}

int fleet_trust_submit(struct cli *cli, struct span envelope)
{
    struct client_request rq = {.method = "POST",
                                .route = "/v1/trust",
                                .type = "application/octet-stream",
                                .body = envelope};
    int rv = client_send(cli->client, &rq, NULL, NULL, &cli->em);
    return rv < 0 ? rv : 0;
}

int fleet_trust_root(struct cli *cli, struct secret_key *secret)
{
    char path[FILE_PATH_MAX];
    if (!cli->dir)
        return errmsg_set(&cli->em, ERR_NOT_FOUND, "there is no root key at hand");
    int rv = file_path(path, &cli->em, "%s/root.key", cli->dir);
    return rv < 0 ? rv : sign_key_read(path, secret, &cli->em);
}
