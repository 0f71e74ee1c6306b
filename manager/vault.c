#include "manager/vault.h"

#include "base/file.h"
#include "crypto/sign.h"

_Static_assert(SECRET_KEY_LEN == MAC_KEY_LEN, "a key's file holds either");

int vault_open(const char *dir, bool make, struct mac_key *key, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    struct secret_key secret;
    struct public_key unused;
    int rv = file_path(path, em, "%s/" VAULT_FILE, dir);
    if (rv < 0)
        return rv;
    rv = sign_key_read(path, &secret, em);
    if (rv == ERR_NOT_FOUND && !make)
        return errmsg_set(
            em, rv,
            "%s is missing: nothing secret can be opened without it; put it back from "
            "where you keep it",
            path);
    if (rv == ERR_NOT_FOUND) {
        rv = sign_generate(&secret, &unused);
        if (rv == 0)
            rv = sign_key_write(path, &secret, em);
    }
    memcpy(key->bytes, secret.bytes, MAC_KEY_LEN);
    explicit_bzero(&secret, sizeof secret);
    return rv;
}

int vault_copy(const char *from, const char *to, struct errmsg *em)
{
    char path[FILE_PATH_MAX], copy[FILE_PATH_MAX];
    struct secret_key secret;
    int rv = file_path(path, em, "%s/" VAULT_FILE, from);
    if (rv == 0)
        rv = file_path(copy, em, "%s/" VAULT_FILE, to);
    if (rv < 0)
        return rv;
    rv = sign_key_read(path, &secret, em);
    if (rv == ERR_NOT_FOUND)
        return 0;
    if (rv == 0)
        rv = sign_key_write(copy, &secret, em);
    explicit_bzero(&secret, sizeof secret);
    return rv;
}
