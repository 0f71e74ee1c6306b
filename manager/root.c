#include "manager/root.h"

#include "base/file.h"
#include "base/log.h"

#include <unistd.h>

static int get_key(const char *dir, struct secret_key *secret, struct errmsg *em);
static int make_key(const char *path, struct secret_key *secret, struct errmsg *em);

int root_found(const char *dir, const struct keyring *keys, uint64_t now_s, struct buffer *envelope,
               struct errmsg *em)
{
    struct secret_key secret;
    struct public_key root;
    uint8_t memory[TRUST_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    struct trust t = {.version = 1,
                      .issued_s = now_s,
                      .roles[TRUST_PUBLISHERS].threshold = 1,
                      .authority_count = 1,
                      .authorities = {key_id_of(&keys->authority_public)}};
    int rv = get_key(dir, &secret, em);
    if (rv < 0)
        return rv;
    rv = sign_public(&secret, &root);
    if (rv == 0)
        rv = trust_add(&t, TRUST_ROOTS, &root);
    if (rv == 0)
        rv = trust_add(&t, TRUST_ONLINE, &keys->online);
    if (rv == 0)
        rv = trust_write(&t, &body);
    if (rv == 0)
        rv = envelope_seal(MESSAGE_TRUST, span_buffer(&body), &secret, envelope);
    explicit_bzero(&secret, sizeof secret);
    return rv < 0 ? errmsg_set(em, rv, "cannot make the fleet's trust document: %s", err_name(rv))
                  : 0;
}

/* Power may have gone between the key and the document. */
static int get_key(const char *dir, struct secret_key *secret, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/" ROOT_FILE, dir);
    if (rv < 0)
        return rv;
    rv = sign_key_read(path, secret, em);
    return rv == ERR_NOT_FOUND ? make_key(path, secret, em) : rv;
}

static int make_key(const char *path, struct secret_key *secret, struct errmsg *em)
{
    struct public_key public;
    int rv = sign_generate(secret, &public);
    if (rv < 0)
        return errmsg_set(em, rv, "cannot make the fleet's root key");
    rv = sign_key_write(path, secret, em);
    if (rv == 0)
        log_event(LOG_WARN, "root-key-made",
                  "file=%s what=\"it says whom the fleet trusts: move it to a safe place offline\"",
                  path);
    return rv;
}

bool root_is_here(const char *dir)
{
    char path[FILE_PATH_MAX];
    return file_path(path, NULL, "%s/" ROOT_FILE, dir) == 0 && access(path, F_OK) == 0;
}
