/* Writes what somebody with the fleet's stolen online key would say: a desired document of one
 * record, signed, or the head that leads to it. To standard output, as published. */
#include "sync/desired.h"
#include "sync/head.h"
#include "test/tree.h"

#include "base/hex.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: forge document KEY COHORT EPOCH.REVISION DEPLOYMENT NAME GENERATION BUNDLE NOT_AFTER\n"
    "       forge head EPOCH.REVISION TRUST_VERSION\n";

static struct revision revision(const char *text)
{
    struct revision r = {0};
    tree_must(sscanf(text, "%u.%u", &r.epoch, &r.number) == 2, text);
    return r;
}

static void print(const struct buffer *out)
{
    tree_must(fwrite(out->data, 1, out->len, stdout) == out->len, "standard output");
}

static void document(char **words)
{
    static struct desired d;
    static uint8_t body_memory[DOCUMENT_MAX], memory[DOCUMENT_MAX + ENVELOPE_OVERHEAD];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    struct buffer out = buffer_on(memory, sizeof memory);
    struct secret_key key;
    struct errmsg em = {0};
    tree_must(sign_key_read(words[0], &key, &em) == 0, em.text);
    d = (struct desired){
        .revision = revision(words[2]),
        .issued_s = strtoull(words[7], NULL, 10) - 86400,
        .not_after_s = strtoull(words[7], NULL, 10),
        .policy = POLICY_DEFAULT,
        .count = 1,
        .records = {{.deployment = (uint32_t)strtoul(words[3], NULL, 10),
                     .gate = GATE_OPEN,
                     .stable = {.generation = (uint32_t)strtoul(words[5], NULL, 10)}}},
    };
    tree_must(hex_read(words[1], d.cohort.bytes, sizeof d.cohort.bytes) == 0, words[1]);
    tree_must(digest_parse(words[6], &d.records[0].stable.bundle) == 0, words[6]);
    snprintf(d.records[0].name, sizeof d.records[0].name, "%s", words[4]);
    tree_must(desired_write(&d, &body) == 0, "a document");
    tree_must(envelope_seal(MESSAGE_DESIRED, span_buffer(&body), &key, &out) == 0, "a signature");
    print(&out);
}

static void head(char **words)
{
    uint8_t memory[HEAD_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct head h = {.revision = revision(words[0]),
                     .trust_version = (uint32_t)strtoul(words[1], NULL, 10)};
    tree_must(head_write(&h, &out) == 0, "a head");
    print(&out);
}

int main(int argc, char **argv)
{
    if (argc == 10 && strcmp(argv[1], "document") == 0) {
        document(argv + 2);
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "head") == 0) {
        head(argv + 2);
        return 0;
    }
    fputs(usage, stderr);
    return 2;
}
