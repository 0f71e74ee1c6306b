#include "manager/cli/publisher.h"

#include "base/clock.h"
#include "base/file.h"
#include "manager/cli/fleet_trust.h"

#include <stdlib.h>

static int usual_place(struct cli *cli, char out[static FILE_PATH_MAX]);
static int make(struct cli *cli, const char *path, struct secret_key *secret);
static int have_trusted(struct cli *cli, const char *path, const struct secret_key *secret);
static int trust_it(struct cli *cli, struct trust *t, const struct public_key *public,
                    const struct secret_key *root);

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

/* The root key is at hand in a young fleet; later its holder has to say so. */
static int have_trusted(struct cli *cli, const char *path, const struct secret_key *secret)
{
    struct trust t;
    struct public_key public;
    struct secret_key root;
    int rv = sign_public(secret, &public);
    if (rv < 0)
        return errmsg_set(&cli->em, rv, "%.200s: its public half can't be computed", path);
    rv = fleet_trust_get(cli, &t);
    if (rv < 0 || trust_has(&t, TRUST_PUBLISHERS, &public))
        return rv;
    struct key_id id = key_id_of(&public);
    rv = fleet_trust_root(cli, &root);
    if (rv == ERR_NOT_FOUND)
        return errmsg_set(&cli->em, ERR_UNTRUSTED,
                          "the fleet does not trust publisher key %s (%.200s), and no root key is "
                          "at hand: who holds one types `dunlin key trust`",
                          key_id_hex(&id).text, path);
    return rv < 0 ? rv : trust_it(cli, &t, &public, &root);
}

static int trust_it(struct cli *cli, struct trust *t, const struct public_key *public,
                    const struct secret_key *root)
{
    uint8_t body_memory[TRUST_MAX], memory[TRUST_MAX + ENVELOPE_OVERHEAD];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    struct buffer envelope = buffer_on(memory, sizeof memory);
    struct key_id id = key_id_of(public);
    t->version++;
    t->issued_s = clock_wall_s();
    int rv = trust_add(t, TRUST_PUBLISHERS, public);
    if (rv == 0)
        rv = trust_write(t, &body);
    if (rv == 0)
        rv = envelope_seal(MESSAGE_TRUST, span_buffer(&body), root, &envelope);
    if (rv < 0)
        return errmsg_set(&cli->em, rv, "publisher key %s can't be trusted: %s",
                          key_id_hex(&id).text, err_name(rv));
    rv = fleet_trust_submit(cli, span_buffer(&envelope));
    if (rv == 0)
        fprintf(stderr, "the fleet trusts publisher key %s from now on, by the root key in %s\n",
                key_id_hex(&id).text, cli->dir);
    return rv;
}
