#include "manager/cli/publisher.h"

#include "base/file.h"
#include "base/hex.h"

#include <stdlib.h>

static int usual_place(struct cli *cli, char out[static FILE_PATH_MAX]);
static int make(struct cli *cli, const char *path, struct secret_key *secret);
static int have_trusted(struct cli *cli, const char *path, const struct secret_key *secret);
static int is_trusted(struct cli *cli, const char *id);

int publisher_key(struct cli *cli, const char *path, struct secret_key *secret)
{
    char usual[FILE_PATH_MAX];
    int rv = path ? 0 : usual_place(cli, usual);
    if (rv < 0)
        return rv;
    path = path ? path : usual;
    rv = sign_key_read(path, secret, &cli->em);
    if (rv == ERR_NOT_FOUND)
        rv = make(cli, path, secret);
    return rv < 0 ? rv : have_trusted(cli, path, secret);
}

static int usual_place(struct cli *cli, char out[static FILE_PATH_MAX])
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    bool own = config && config[0] == '/';
    char folder[FILE_PATH_MAX];
    if (cli->dir)
        return file_path(out, &cli->em, "%s/publisher.key", cli->dir);
    if (!own && !(home && home[0] == '/'))
        return errmsg_set(&cli->em, ERR_USAGE,
                          "there is no home folder for the publisher key; name it with --key FILE");
    int rv = file_path(folder, &cli->em, "%s%s/dunlin", own ? config : home, own ? "" : "/.config");
    if (rv == 0)
        rv = file_make_folder(folder, 0700, &cli->em);
    return rv < 0 ? rv : file_path(out, &cli->em, "%s/publisher.key", folder);
}

static int make(struct cli *cli, const char *path, struct secret_key *secret)
{
    struct public_key public;
    int rv = sign_generate(secret, &public);
    if (rv < 0)
        return errmsg_set(&cli->em, rv, "no publisher key can be made: the crypto library failed");
    rv = sign_key_write(path, secret, &cli->em);
    if (rv == 0)
        fprintf(stderr, "made the publisher key %s: keep it safe, it signs all your bundles\n",
                path);
    return rv;
}

static int have_trusted(struct cli *cli, const char *path, const struct secret_key *secret)
{
    struct public_key public;
    char hex[2 * PUBLIC_KEY_LEN + 1];
    json_t *answer = NULL;
    int rv = sign_public(secret, &public);
    if (rv < 0)
        return errmsg_set(&cli->em, rv, "%.200s: its public half can't be computed", path);
    struct key_id id = key_id_of(&public);
    rv = is_trusted(cli, key_id_hex(&id).text);
    if (rv != 0)
        return rv < 0 ? rv : 0;
    hex_write(span_of(public.bytes, PUBLIC_KEY_LEN), hex);
    rv = cli_ask(cli, "POST", "/v1/publishers", json_pack("{ss}", "key", hex), &answer);
    if (rv < 0)
        return rv;
    json_decref(answer);
    fprintf(stderr, "the fleet trusts publisher key %s from now on\n", key_id_hex(&id).text);
    return 0;
}

/* 1 when it is, 0 when not. */
static int is_trusted(struct cli *cli, const char *id)
{
    json_t *answer = NULL, *publisher;
    size_t i;
    int rv = cli_ask(cli, "GET", "/v1/publishers", NULL, &answer);
    if (rv < 0)
        return rv;
    json_array_foreach(json_object_get(answer, "publishers"), i, publisher)
    {
        if (strcmp(field_text(publisher, "id"), id) == 0)
            rv = 1;
    }
    json_decref(answer);
    return rv;
}
