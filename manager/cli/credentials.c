#include "manager/cli/credentials.h"

#include "base/file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int check_mode(const char *path, struct errmsg *em);
static int take(const json_t *json, const char *name, const char *beginning, char *out, size_t cap);

int credentials_read(const char *path, struct credentials *out, struct errmsg *em)
{
    uint8_t room[CREDENTIALS_FILE_MAX];
    struct buffer text = buffer_on(room, sizeof room);
    int rv = check_mode(path, em);
    if (rv == 0)
        rv = file_read(path, &text, em);
    if (rv < 0)
        return rv;
    json_t *json = json_loadb((const char *)text.data, text.len, 0, NULL);
    rv = take(json, "url", "https://", out->url, sizeof out->url);
    if (rv == 0)
        rv = take(json, "token", "dla1-", out->token, sizeof out->token);
    if (rv == 0)
        rv = take(json, "ca", "-----BEGIN CERTIFICATE-----", out->ca, sizeof out->ca);
    json_decref(json);
    explicit_bzero(room, sizeof room);
    if (rv == 0)
        return 0;
    return errmsg_set(em, ERR_FORMAT,
                      "%.200s: these are no credentials, as `dunlin admin create` writes them",
                      path);
}

/* Whoever reads it can do all that its owner can. */
static int check_mode(const char *path, struct errmsg *em)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errmsg_set(em, file_error(errno), "%.200s: the credentials can't be read: %s", path,
                          strerror(errno));
    if ((st.st_mode & 077) == 0)
        return 0;
    return errmsg_set(em, ERR_REFUSED,
                      "%.200s: others may read these credentials; say: chmod 600 %.200s", path,
                      path);
}

static int take(const json_t *json, const char *name, const char *beginning, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(json, name));
    if (!text || strlen(text) >= cap || strncmp(text, beginning, strlen(beginning)) != 0)
        return ERR_FORMAT;
    snprintf(out, cap, "%s", text);
    return 0;
}
