#include "crypto/token.h"

#include "base/endian.h"
#include "base/siphash.h"

#include <assert.h>
#include <mbedtls/platform_util.h>

#define PREFIX "dlt1-"
#define PREFIX_LEN (sizeof PREFIX - 1)

/* Where the parts stand in a token's bytes. */
enum {
    AT_BATCH = 0,
    AT_INDEX = 4,
    AT_SECRET = 8,
    AT_AUTHORITY = AT_SECRET + SEAL_SECRET_LEN,
    AT_ROOT = AT_AUTHORITY + TOKEN_PIN_LEN,
    AT_CHECK = AT_ROOT + TOKEN_PIN_LEN,
    RAW_LEN = AT_CHECK + 4,
};

/* Base64 makes 4 characters of 3 bytes. */
#define CODE_LEN (RAW_LEN / 3 * 4)

_Static_assert(RAW_LEN % 3 == 0, "encode() and decode() count on whole groups");
_Static_assert(PREFIX_LEN + CODE_LEN == TOKEN_TEXT_LEN, "a token's text is as long as it says");
_Static_assert(DIGEST_LEN == 2 * SEAL_SECRET_LEN, "a MAC makes two secrets");

/* RFC 4648, 5: "base64url". */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static struct digest secret_pair(const struct mac_base *batch_key, uint32_t index);
static struct seal_secret half_of(const struct digest *pair, uint32_t which);
static void write_text(const struct token *t, char out[static TOKEN_TEXT_LEN]);
static void encode(const uint8_t raw[static RAW_LEN], char out[static CODE_LEN]);
static int decode(const char *code, uint8_t raw[static RAW_LEN]);
static uint32_t check_sum(const uint8_t raw[static AT_CHECK]);

/* ---- secrets ---- */

struct seal_secret token_secret(const struct mac_base *batch_key, uint32_t index)
{
    struct digest pair = secret_pair(batch_key, index);
    return half_of(&pair, index % 2);
}

struct seal_secret token_bound_secret(const struct mac_base *batch_key, uint32_t index,
                                      struct span serial)
{
    static const char purpose[] = "dunlin bound token";
    uint8_t message[sizeof purpose + 8 + TOKEN_SERIAL_MAX];
    assert(serial.len <= TOKEN_SERIAL_MAX);
    memcpy(message, purpose, sizeof purpose);
    le64_write(message + sizeof purpose, index);
    if (serial.len > 0)
        memcpy(message + sizeof purpose + 8, serial.data, serial.len);
    struct digest mac = mac_from(batch_key, span_of(message, sizeof purpose + 8 + serial.len));
    return half_of(&mac, 0);
}

bool token_serial_valid(struct span serial)
{
    if (serial.len == 0 || serial.len > TOKEN_SERIAL_MAX || serial.data[0] == ' ' ||
        serial.data[serial.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < serial.len; i++)
        if (serial.data[i] < ' ' || serial.data[i] > '~')
            return false;
    return true;
}

static struct digest secret_pair(const struct mac_base *batch_key, uint32_t index)
{
    static const char purpose[] = "dunlin token";
    uint8_t message[sizeof purpose + 8];
    memcpy(message, purpose, sizeof purpose);
    le64_write(message + sizeof purpose, index / 2);
    return mac_from(batch_key, span_of(message, sizeof message));
}

static struct seal_secret half_of(const struct digest *pair, uint32_t which)
{
    struct seal_secret secret;
    memcpy(secret.bytes, pair->bytes + which * SEAL_SECRET_LEN, SEAL_SECRET_LEN);
    return secret;
}

/* ---- texts ---- */

struct token_text token_format(const struct token *t)
{
    struct token_text text;
    write_text(t, text.text);
    text.text[TOKEN_TEXT_LEN] = '\0';
    return text;
}

static struct token token_of(const struct token_batch *b)
{
    struct token t = {.batch = b->number};
    memcpy(t.authority, b->authority, TOKEN_PIN_LEN);
    memcpy(t.root, b->root, TOKEN_PIN_LEN);
    return t;
}

static void write_line(const struct token *t, char out[static TOKEN_TEXT_LEN + 1])
{
    write_text(t, out);
    out[TOKEN_TEXT_LEN] = '\n';
}

void token_bound_line(const struct token_batch *b, uint32_t index, struct span serial,
                      char out[static TOKEN_TEXT_LEN + 1])
{
    struct token t = token_of(b);
    t.index = index;
    t.secret = token_bound_secret(&b->key, index, serial);
    write_line(&t, out);
}

void token_lines(const struct token_batch *b, uint32_t first, uint32_t count, char *out)
{
    struct token t = token_of(b);
    struct digest pair = secret_pair(&b->key, first);
    for (uint32_t i = 0; i < count; i++) {
        t.index = first + i;
        if (t.index % 2 == 0)
            pair = secret_pair(&b->key, t.index);
        t.secret = half_of(&pair, t.index % 2);
        write_line(&t, out);
        out += TOKEN_TEXT_LEN + 1;
    }
    mbedtls_platform_zeroize(&pair, sizeof pair);
}

int token_parse(const char *text, struct token *out, struct errmsg *em)
{
    size_t len = strlen(text);
    if (strncmp(text, PREFIX, PREFIX_LEN) != 0)
        return errmsg_set(em, ERR_FORMAT, "not a Dunlin token (it begins with " PREFIX ")");
    if (len < TOKEN_TEXT_LEN)
        return errmsg_set(em, ERR_FORMAT, "token is truncated: %zu of %d characters", len,
                          TOKEN_TEXT_LEN);
    if (len > TOKEN_TEXT_LEN)
        return errmsg_set(em, ERR_FORMAT, "token is too long: %zu instead of %d characters", len,
                          TOKEN_TEXT_LEN);
    uint8_t raw[RAW_LEN];
    int bad = decode(text + PREFIX_LEN, raw);
    if (bad > 0)
        return errmsg_set(em, ERR_FORMAT, "token is mistyped: character %zu cannot stand there",
                          PREFIX_LEN + (size_t)bad);
    if (le32_read(raw + AT_CHECK) != check_sum(raw))
        return errmsg_set(em, ERR_FORMAT, "token is mistyped: its check sum differs");
    *out = (struct token){.batch = le32_read(raw + AT_BATCH), .index = le32_read(raw + AT_INDEX)};
    memcpy(out->secret.bytes, raw + AT_SECRET, SEAL_SECRET_LEN);
    memcpy(out->authority, raw + AT_AUTHORITY, TOKEN_PIN_LEN);
    memcpy(out->root, raw + AT_ROOT, TOKEN_PIN_LEN);
    return 0;
}

static void write_text(const struct token *t, char out[static TOKEN_TEXT_LEN])
{
    uint8_t raw[RAW_LEN];
    le32_write(raw + AT_BATCH, t->batch);
    le32_write(raw + AT_INDEX, t->index);
    memcpy(raw + AT_SECRET, t->secret.bytes, SEAL_SECRET_LEN);
    memcpy(raw + AT_AUTHORITY, t->authority, TOKEN_PIN_LEN);
    memcpy(raw + AT_ROOT, t->root, TOKEN_PIN_LEN);
    le32_write(raw + AT_CHECK, check_sum(raw));
    memcpy(out, PREFIX, PREFIX_LEN);
    encode(raw, out + PREFIX_LEN);
}

static void encode(const uint8_t raw[static RAW_LEN], char out[static CODE_LEN])
{
    for (size_t i = 0; i < RAW_LEN / 3; i++) {
        uint32_t group =
            (uint32_t)raw[3 * i] << 16 | (uint32_t)raw[3 * i + 1] << 8 | raw[3 * i + 2];
        out[4 * i] = alphabet[group >> 18];
        out[4 * i + 1] = alphabet[group >> 12 & 63];
        out[4 * i + 2] = alphabet[group >> 6 & 63];
        out[4 * i + 3] = alphabet[group & 63];
    }
}

/* 0, or the number (from 1) of the first character that cannot be. */
static int decode(const char *code, uint8_t raw[static RAW_LEN])
{
    uint32_t group = 0;
    for (int i = 0; i < CODE_LEN; i++) {
        const char *found = strchr(alphabet, code[i]);
        if (!found)
            return i + 1;
        group = group << 6 | (uint32_t)(found - alphabet);
        if (i % 4 < 3)
            continue;
        raw[i / 4 * 3] = (uint8_t)(group >> 16);
        raw[i / 4 * 3 + 1] = (uint8_t)(group >> 8);
        raw[i / 4 * 3 + 2] = (uint8_t)group;
    }
    return 0;
}

/* Against typing errors only, so its key is no secret. */
static uint32_t check_sum(const uint8_t raw[static AT_CHECK])
{
    static const uint8_t key[SIPHASH_KEY_LEN];
    return (uint32_t)siphash(key, span_of(raw, AT_CHECK));
}
