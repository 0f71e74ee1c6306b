#include "manager/cli/publisher.h"

#include "base/file.h"
#include "manager/cli/fleet_trust.h"
#include "manager/cli/key_change.h"

#include <stdlib.h>

static int usual_place(struct cli *cli, char out[static FILE_PATH_MAX]);
static int make(struct cli *cli, const char *path, struct secret_key *secret);
static int have_trusted(struct cli *cli, const char *path, const struct secret_key *secret);
static int trust_it(struct key_change *c, const struct public_key *public,
                    const struct secret_key *root);
static int say_how(struct cli *cli, const char *path, const struct public_key *public);

int publisher_key(struct cli *cli, const char *path, struct secret_key *secret)
{
    char usual[FILE_PATH_MAX];
    bool named = path != NULL;
    int rv = named ? 0 : usual_place(cli, usual);
    if (rv < 0)
        return rv;
    path = named ? path : usual;
    rv = sign_key_read(path, secret, &cli->em);
    if (rv == ERR_NOT_FOUND && !named)
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

/* A young fleet's first publisher; later ones are made on purpose. */
static int make(struct cli *cli, const char *path, struct secret_key *secret)
{
    struct key_change c;
    struct public_key public;
    int rv = key_change_begin(&c, cli);
    if (rv < 0)
        return rv;
    if (c.now.roles[TRUST_PUBLISHERS].count > 0)
        return errmsg_set(&cli->em, ERR_NOT_FOUND,
                          "%.200s: there is no publisher key, and the fleet trusts some already: "
                          "name yours with --key FILE",
                          path);
    rv = sign_generate(secret, &public);
    if (rv < 0)
        return errmsg_set(&cli->em, rv, "no publisher key can be made: the crypto library failed");
    rv = sign_key_write(path, secret, &cli->em);
    if (rv == 0)
        fprintf(stderr, "made the publisher key %s: keep it safe, it signs all your bundles\n",
                path);
    return rv;
}

/*
 * The first publisher is trusted by the root key that is at hand in a young fleet. Any other one
 * has to be named: it may have been revoked.
 */
static int have_trusted(struct cli *cli, const char *path, const struct secret_key *secret)
{
    struct key_change c;
    struct public_key public;
    struct secret_key root;
    int rv = sign_public(secret, &public);
    if (rv < 0)
        return errmsg_set(&cli->em, rv, "%.200s: its public half can't be computed", path);
    rv = key_change_begin(&c, cli);
    if (rv < 0 || trust_has(&c.now, TRUST_PUBLISHERS, &public))
        return rv;
    struct key_id id = key_id_of(&public);
    rv = c.now.roles[TRUST_PUBLISHERS].count > 0 ? ERR_NOT_FOUND : fleet_trust_root(cli, &root);
    if (rv == ERR_NOT_FOUND)
        return say_how(cli, path, &public);
    if (rv == 0)
        rv = trust_it(&c, &public, &root);
    explicit_bzero(&root, sizeof root);
    if (rv == 0)
        fprintf(stderr, "the fleet trusts publisher key %s from now on, by the root key in %s\n",
                key_id_hex(&id).text, cli->dir);
    return rv;
}

static int trust_it(struct key_change *c, const struct public_key *public,
                    const struct secret_key *root)
{
    int rv = trust_add(&c->next, TRUST_PUBLISHERS, public);
    if (rv < 0)
        return errmsg_set(&c->cli->em, rv,
                          "%d publisher keys are trusted already, the most that a fleet has",
                          PUBLISHERS_MAX);
    rv = key_change_sign(c, root);
    return rv < 0 ? rv : key_change_submit(c);
}

/* Whoever holds a root key needs the public half. */
static int say_how(struct cli *cli, const char *path, const struct public_key *public)
{
    char public_path[FILE_PATH_MAX];
    struct key_id id = key_id_of(public);
    int rv = file_path(public_path, &cli->em, "%s.pub", path);
    if (rv == 0)
        rv = sign_public_write(public_path, public, &cli->em);
    if (rv < 0)
        return rv;
    return errmsg_set(&cli->em, ERR_UNTRUSTED,
                      "the fleet does not trust publisher key %s: who holds a root key types "
                      "`dunlin key trust %.200s --root FILE`",
                      key_id_hex(&id).text, public_path);
}
