/* Credentials are refused with a sentence, or say the same when they are written and read again. */
#include "test/fuzz/fuzz.h"

#include "manager/cli/credentials.h"
#include "test/fuzz/file.h"

#include <jansson.h>
#include <string.h>

static void check_text(const char *text, size_t cap, const char *beginning)
{
    if (!memchr(text, '\0', cap) || strncmp(text, beginning, strlen(beginning)) != 0)
        abort();
}

static void check_again(const struct credentials *c)
{
    struct credentials back;
    json_t *json = json_pack("{s:s, s:s, s:s}", "url", c->url, "token", c->token, "ca", c->ca);
    char *text = json_dumps(json, 0);
    json_decref(json);
    if (!text)
        abort();
    int rv = credentials_read(fuzz_file((const uint8_t *)text, strlen(text)), &back, NULL);
    free(text);
    if (rv != 0 || strcmp(c->url, back.url) != 0 || strcmp(c->token, back.token) != 0 ||
        strcmp(c->ca, back.ca) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct credentials c;
    struct errmsg em = {0};
    int rv = credentials_read(fuzz_file(data, size), &c, &em);
    if (rv != 0 && !((rv == ERR_FORMAT || rv == ERR_RANGE) && em.text[0]))
        abort();
    if (rv < 0)
        return 0;
    check_text(c.url, sizeof c.url, "https://");
    check_text(c.token, sizeof c.token, "dla1-");
    check_text(c.ca, sizeof c.ca, "-----BEGIN CERTIFICATE-----");
    check_again(&c);
    return 0;
}
