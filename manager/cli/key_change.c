#include "manager/cli/key_change.h"

#include "base/clock.h"
#include "base/file.h"
#include "manager/cli/draft.h"
#include "manager/cli/trust_words.h"

static int write_body(struct key_change *c);
static int check_base(const struct key_change *c);
static int sign_all(struct key_change *c);
static int sign_at_hand(struct key_change *c);
static int sign_with_file(struct key_change *c, const char *path);
static bool is_enough(const struct key_change *c);
static int keep_draft(struct key_change *c, const char *path);

int key_change_begin(struct key_change *c, struct cli *cli)
{
    *c = (struct key_change){.cli = cli};
    int rv = fleet_trust_get(cli, &c->now, &c->by);
    c->next = c->now;
    c->next.version++;
    c->next.issued_s = clock_wall_s();
    return rv;
}

int key_change_end(struct key_change *c)
{
    const char *output = args_text(&c->cli->args, "output");
    char usual[64];
    int rv = sign_all(c);
    if (rv == 0)
        rv = check_base(c);
    if (rv < 0)
        return rv;
    if (output || !is_enough(c)) {
        snprintf(usual, sizeof usual, "trust-%u.draft", c->next.version);
        return keep_draft(c, output ? output : usual);
    }
    rv = key_change_submit(c);
    if (rv < 0)
        return rv;
    if (c->cli->json)
        return cli_print_json(c->cli, json_pack("{sI}", "version", (json_int_t)c->next.version));
    trust_words_changes(&c->now, &c->next, stdout);
    return 0;
}

/* Before the first signature. What the reader would refuse is a mistake of the operator's. */
static int write_body(struct key_change *c)
{
    struct buffer body = buffer_on(c->body, sizeof c->body);
    struct trust back;
    if (c->envelope.body.len > 0)
        return 0;
    int rv = trust_write(&c->next, &body);
    if (rv == 0)
        rv = trust_read(span_buffer(&body), &back);
    if (rv < 0)
        return errmsg_set(&c->cli->em, ERR_REFUSED,
                          "no such trust document can be: a key has one role, and a threshold is "
                          "at least 1 and at most the number of keys");
    c->envelope.body = span_buffer(&body);
    return 0;
}

int key_change_sign(struct key_change *c, const struct secret_key *root)
{
    struct public_key public;
    int rv = write_body(c);
    if (rv == 0)
        rv = sign_public(root, &public);
    if (rv < 0)
        return rv;
    if (!trust_has(&c->now, TRUST_ROOTS, &public) && !trust_has(&c->next, TRUST_ROOTS, &public)) {
        struct key_id id = key_id_of(&public);
        return errmsg_set(&c->cli->em, ERR_UNTRUSTED,
                          "key %s is no root key of this fleet: see `dunlin key list`",
                          key_id_hex(&id).text);
    }
    c->vouched |= fleet_signers_have(&c->by, &public);
    rv = envelope_sign(MESSAGE_TRUST, &c->envelope, root);
    if (rv == ERR_EXISTS)
        rv = 0;
    return rv < 0
               ? errmsg_set(&c->cli->em, rv, "the trust document can't be signed: %s", err_name(rv))
               : 0;
}

/* What is different is all that is shown, and the rest would be signed unseen. */
static int check_base(const struct key_change *c)
{
    if (c->vouched || c->envelope.count == 0)
        return 0;
    return errmsg_set(
        &c->cli->em, ERR_UNTRUSTED,
        "no root key that signs here has signed version %u of the trust document, so "
        "nobody knows whether the manager tells the truth of it: write a draft with "
        "--output and no --root, read all of it with `dunlin key show`, and sign that",
        c->now.version);
}

static int sign_all(struct key_change *c)
{
    size_t at = 0;
    int rv = write_body(c);
    if (rv == 0 && !args_has(&c->cli->args, "root"))
        return sign_at_hand(c);
    for (const char *path; rv == 0 && (path = args_next(&c->cli->args, "root", &at));)
        rv = sign_with_file(c, path);
    return rv;
}

/* As long as the root key lies where the manager made it, and knows what is changed. */
static int sign_at_hand(struct key_change *c)
{
    struct secret_key root;
    struct public_key public;
    int rv = fleet_trust_root(c->cli, &root);
    if (rv == 0)
        rv = sign_public(&root, &public);
    if (rv == 0 && fleet_signers_have(&c->by, &public))
        rv = key_change_sign(c, &root);
    explicit_bzero(&root, sizeof root);
    return rv == ERR_NOT_FOUND ? 0 : rv;
}

static int sign_with_file(struct key_change *c, const char *path)
{
    struct secret_key root;
    int rv = sign_key_read(path, &root, &c->cli->em);
    if (rv == 0)
        rv = key_change_sign(c, &root);
    explicit_bzero(&root, sizeof root);
    return rv;
}

static bool has_enough(const struct trust *t, const struct envelope *e)
{
    const struct trust_keys *k = &t->roles[TRUST_ROOTS];
    return envelope_count(MESSAGE_TRUST, e, k->list, k->count) >= (int)k->threshold;
}

static bool is_enough(const struct key_change *c)
{
    return has_enough(&c->now, &c->envelope) && has_enough(&c->next, &c->envelope);
}

static int keep_draft(struct key_change *c, const char *path)
{
    struct cli *cli = c->cli;
    int rv = draft_write(path, MESSAGE_TRUST, &c->envelope, &cli->em);
    if (rv < 0)
        return rv;
    if (cli->json)
        return cli_print_json(cli, json_pack("{sI ss sI}", "version", (json_int_t)c->next.version,
                                             "draft", path, "signatures",
                                             (json_int_t)c->envelope.count));
    trust_words_changes(&c->now, &c->next, stdout);
    printf("%s\n", trust_words_signed(&c->now, TRUST_ROOTS, MESSAGE_TRUST, &c->envelope).text);
    printf("the draft is in %s: `dunlin key sign %s --key FILE` signs it, `dunlin key submit %s` "
           "makes it count\n",
           path, path, path);
    return 0;
}

int key_change_submit(struct key_change *c)
{
    uint8_t bytes[TRUST_MAX + ENVELOPE_OVERHEAD_MAX];
    struct buffer out = buffer_on(bytes, sizeof bytes);
    int rv = check_base(c);
    if (rv < 0)
        return rv;
    rv = envelope_write(MESSAGE_TRUST, &c->envelope, &out);
    return rv < 0 ? errmsg_set(&c->cli->em, rv, "the trust document can't be written")
                  : fleet_trust_submit(c->cli, span_buffer(&out));
}

int key_role_parse(const char *text, enum trust_role *role, struct errmsg *em)
{
    for (int i = 0; i < TRUST_ROLE_COUNT; i++)
        if (strcmp(text, trust_role_name((enum trust_role)i)) == 0) {
            *role = (enum trust_role)i;
            return 0;
        }
    return errmsg_set(em, ERR_USAGE, "--as %.60s: write publisher, root or online", text);
}
