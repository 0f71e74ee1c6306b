/* key create, list, trust, revoke, threshold, renew, show, sign, submit: who may say what runs. */
#include "base/file.h"
#include "base/hex.h"
#include "manager/cli/draft.h"
#include "manager/cli/fleet_trust.h"
#include "manager/cli/key_change.h"
#include "manager/cli/trust_words.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>
#include <unistd.h>

static int create(struct cli *cli);
static int list(struct cli *cli);
static void list_keys(struct table *t, const json_t *answer, const char *name, const char *role);
static void list_elders(struct table *t, const json_t *elders);
static int trust(struct cli *cli);
static int revoke_key(struct cli *cli);
static int find_key(struct cli *cli, const struct trust *t, struct key_id *id,
                    enum trust_role *role);
static int set_threshold(struct key_change *c, enum trust_role role);
static int threshold(struct cli *cli);
static int renew(struct cli *cli);
static int draw_heir(struct cli *cli, const char *role, struct public_key *key);
static void put_heir(struct trust *t, const char *role, const struct public_key *key);
static int show(struct cli *cli);
static int sign(struct cli *cli);
static int submit(struct cli *cli);
static void describe(struct cli *cli, const struct draft *d);
static void describe_trust(struct cli *cli, const struct draft *d);
static void describe_manifest(const struct draft *d);
static int refuse_strangers(struct cli *cli, const struct draft *d, const struct public_key *key);

static const struct flag trust_flags[] = {
    {.name = "as",
     .value = "ROLE",
     .kind = FLAG_TEXT,
     .fallback = "publisher",
     .help = "publisher, root or online"},
    {.name = "threshold",
     .value = "K",
     .kind = FLAG_NUMBER,
     .min = 1,
     .max = PUBLISHERS_MAX,
     .help = "how many keys of this role must sign from now on"},
    KEY_CHANGE_FLAGS,
};

static const struct flag revoke_flags[] = {
    {.name = "threshold",
     .value = "K",
     .kind = FLAG_NUMBER,
     .min = 1,
     .max = PUBLISHERS_MAX,
     .help = "how many of the keys that are left must sign from now on"},
    KEY_CHANGE_FLAGS,
};

static const struct flag threshold_flags[] = {
    {.name = "as",
     .value = "ROLE",
     .kind = FLAG_TEXT,
     .fallback = "publisher",
     .help = "publisher or root"},
    KEY_CHANGE_FLAGS,
};

static const struct flag renew_flags[] = {
    {.name = "stolen",
     .kind = FLAG_SWITCH,
     .help = "the old one may be in other hands: nothing by it counts from then on"},
    KEY_CHANGE_FLAGS,
};

static const struct flag sign_flags[] = {
    {.name = "key",
     .value = "FILE",
     .kind = FLAG_TEXTS,
     .help = "the secret key that signs; may be repeated",
     .required = true},
};

const struct verb key_verbs[9] = {
    {
        .name = "key create",
        .operands = "FILE",
        .summary = "make a key: FILE keeps it, FILE.pub is for others",
        .text = "It needs no manager: make root and publisher keys where they are to be used, "
                "best on a machine without a network. FILE is only for you to read. A hardware "
                "token (PKCS#11) would take its place wherever a FILE is read to sign with.\n",
        .examples = "  dunlin key create alice.key\n",
        .words_min = 1,
        .words_max = 1,
        .run = create,
    },
    {
        .name = "key list",
        .summary = "show whose signatures count for what",
        .text = "Root keys say whom the fleet trusts, publishers sign bundles, the manager's "
                "online key signs what shall run where, authorities sign certificates. Former "
                "authorities, the last three, lead devices that know only them to the one of "
                "today.\n",
        .run = list,
    },
    {
        .name = "key trust",
        .operands = "FILE.pub",
        .summary = "trust one more key",
        .text = "Makes the next version of the fleet's trust document. It counts when as many "
                "root keys as the old and the new version want have signed it: with --root, with "
                "DIR/root.key as long as that is there, or as a draft that goes around. Root keys "
                "sign at once only on top of a version that one of them has signed; of another "
                "one the manager might not tell the truth, so make a draft and read all of it.\n",
        .examples = "  dunlin key trust alice.key.pub\n"
                    "  dunlin key trust bob.key.pub --threshold 2 --root /media/usb/root.key\n"
                    "  dunlin key trust carol.key.pub --as root --output next.draft\n",
        .flags = FLAGS(trust_flags),
        .words_min = 1,
        .words_max = 1,
        .run = trust,
    },
    {
        .name = "key revoke",
        .operands = "ID|FILE.pub",
        .summary = "trust a key no more",
        .text = "What a revoked publisher has signed runs on where it runs, and starts nowhere "
                "else. Signed like `dunlin key trust`.\n",
        .examples = "  dunlin key revoke 0f90d5cbc1c0c0a1eef29c70a9f9e5c7\n",
        .flags = FLAGS(revoke_flags),
        .words_min = 1,
        .words_max = 1,
        .run = revoke_key,
    },
    {
        .name = "key threshold",
        .operands = "K",
        .summary = "set how many publishers, or roots, must sign",
        .examples = "  dunlin key threshold 2 --as publisher\n",
        .flags = FLAGS(threshold_flags),
        .words_min = 1,
        .words_max = 1,
        .run = threshold,
    },
    {
        .name = "key renew",
        .operands = "[online|authority]",
        .summary = "give the manager a new online key, or certificate authority",
        .text =
            "The manager draws it, and works with it from the moment on at which the trust "
            "document that names it counts. Signed like `dunlin key trust`.\n"
            "online (this is meant when nothing is said): what stands is signed anew.\n"
            "authority: the old one certifies the new one, so devices that were away and old "
            "tokens still find in. Agents' certificates by the old one count for 60 days more "
            "and are renewed at once. With --stolen they count no more: the brokers end all "
            "connections, agents get their certificates at the door, and credentials for the "
            "API must be made anew.\n"
            "Brokers that others run need a new kit at once (dunlin-manager broker-kit): agents "
            "that have heard of the new authority refuse them until then.\n"
            "Make a backup afterwards: a manager that is put back from an older one has the "
            "old key.\n",
        .examples = "  dunlin key renew --root /media/usb/root.key\n"
                    "  dunlin key renew authority --stolen --root /media/usb/root.key\n",
        .flags = FLAGS(renew_flags),
        .words_max = 1,
        .run = renew,
    },
    {
        .name = "key show",
        .operands = "DRAFT",
        .summary = "say in words what a draft would do, and who has signed it",
        .words_min = 1,
        .words_max = 1,
        .run = show,
    },
    {
        .name = "key sign",
        .operands = "DRAFT",
        .summary = "add a signature to a draft",
        .text =
            "Shows what is signed: the whole of it, and what is different from the fleet's trust "
            "document when its manager can be asked. Read all of it: a manager that was taken "
            "over could tell of another document than the fleet's. It needs no manager.\n",
        .examples = "  dunlin key sign next.draft --key /media/usb/root.key\n",
        .flags = FLAGS(sign_flags),
        .words_min = 1,
        .words_max = 1,
        .run = sign,
    },
    {
        .name = "key submit",
        .operands = "DRAFT",
        .summary = "give a draft that enough have signed to the manager",
        .words_min = 1,
        .words_max = 1,
        .run = submit,
    },
};

/* ---- keys as files ---- */

static int create(struct cli *cli)
{
    const char *path = cli_word(cli, 0);
    char public_path[FILE_PATH_MAX], hex[2 * PUBLIC_KEY_LEN + 1];
    struct secret_key secret;
    struct public_key public;
    int rv = file_path(public_path, &cli->em, "%s.pub", path);
    if (rv < 0)
        return rv;
    if (access(path, F_OK) == 0 || access(public_path, F_OK) == 0)
        return errmsg_set(&cli->em, ERR_EXISTS,
                          "%.200s or %.200s is there already, and stays as it is", path,
                          public_path);
    rv = sign_generate(&secret, &public);
    if (rv < 0)
        return errmsg_set(&cli->em, rv, "no key can be made: the crypto library failed");
    rv = sign_key_write(path, &secret, &cli->em);
    explicit_bzero(&secret, sizeof secret);
    if (rv == 0)
        rv = sign_public_write(public_path, &public, &cli->em);
    if (rv < 0)
        return rv;
    struct key_id id = key_id_of(&public);
    hex_write(span_of(public.bytes, PUBLIC_KEY_LEN), hex);
    if (cli->json)
        return cli_print_json(cli, json_pack("{ss ss ss ss}", "id", key_id_hex(&id).text, "key",
                                             hex, "file", path, "public_file", public_path));
    printf("key %s: keep %s secret, give %s away\n", key_id_hex(&id).text, path, public_path);
    return 0;
}

/* ---- what is trusted ---- */

static int list(struct cli *cli)
{
    static const char *const titles[] = {"ROLE", "KEY", "MUST SIGN"};
    json_t *answer = NULL, *id;
    size_t i;
    int rv = cli_call(cli, "GET", "/v1/trust", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("trust document %" PRIu64 ", %s\n\n", field_number(answer, "version"),
           field_ago(answer, "issued", "").text);
    struct table *t = table_new(3, titles);
    list_keys(t, answer, "roots", "root");
    list_keys(t, answer, "publishers", "publisher");
    list_keys(t, answer, "online", "online");
    json_array_foreach(json_object_get(answer, "authorities"), i, id)
    {
        table_cell(t, PAINT_NONE, "authority");
        table_cell(t, PAINT_NONE, "%s", json_string_value(id));
        table_cell(t, PAINT_NONE, "%s", "");
    }
    list_elders(t, json_object_get(answer, "elders"));
    json_decref(answer);
    return cli_print(cli, t);
}

static void list_keys(struct table *t, const json_t *answer, const char *name, const char *role)
{
    const json_t *part = json_object_get(answer, name), *keys = json_object_get(part, "keys"), *key;
    size_t i;
    json_array_foreach(keys, i, key)
    {
        table_cell(t, PAINT_NONE, "%s", role);
        table_cell(t, PAINT_NONE, "%s", field_text(key, "id"));
        if (i == 0)
            table_cell(t, PAINT_NONE, "%" PRIu64 " of %zu", field_number(part, "threshold"),
                       json_array_size(keys));
        else
            table_cell(t, PAINT_NONE, "%s", "");
    }
}

static void list_elders(struct table *t, const json_t *elders)
{
    const json_t *elder;
    size_t i;
    json_array_foreach(elders, i, elder)
    {
        const char *until = json_string_value(json_object_get(elder, "admits_until"));
        bool stolen = json_is_true(json_object_get(elder, "stolen"));
        table_cell(t, PAINT_NONE, "%s", stolen ? "stolen" : "former");
        table_cell(t, PAINT_NONE, "%s", field_text(elder, "id"));
        table_cell(t, PAINT_NONE, "%s%.10s", until ? "admits until " : "", until ? until : "");
    }
}

/* ---- the next document ---- */

static int trust(struct cli *cli)
{
    struct key_change c;
    enum trust_role role = TRUST_PUBLISHERS;
    struct public_key key;
    int rv = key_role_parse(args_text(&cli->args, "as"), &role, &cli->em);
    if (rv == 0)
        rv = sign_public_read(cli_word(cli, 0), &key, &cli->em);
    if (rv == 0)
        rv = key_change_begin(&c, cli);
    if (rv < 0)
        return rv;
    struct key_id id = key_id_of(&key);
    rv = trust_add(&c.next, role, &key);
    if (rv == ERR_EXISTS)
        return errmsg_set(&cli->em, rv, "%s is a trusted %s key already", key_id_hex(&id).text,
                          trust_role_name(role));
    if (rv < 0)
        return errmsg_set(&cli->em, rv, "%u %s keys are trusted already, the most that a fleet has",
                          trust_role_max(role), trust_role_name(role));
    rv = set_threshold(&c, role);
    return rv < 0 ? rv : key_change_end(&c);
}

static int set_threshold(struct key_change *c, enum trust_role role)
{
    struct trust_keys *k = &c->next.roles[role];
    if (args_has(&c->cli->args, "threshold"))
        k->threshold = (uint32_t)args_number(&c->cli->args, "threshold");
    if (trust_keys_can_sign(k, k->threshold))
        return 0;
    return errmsg_set(&c->cli->em, ERR_REFUSED,
                      "%u of %u %s keys can't sign: choose another --threshold", k->threshold,
                      k->count, trust_role_name(role));
}

static int revoke_key(struct cli *cli)
{
    struct key_change c;
    struct key_id id;
    enum trust_role role = TRUST_PUBLISHERS;
    int rv = key_change_begin(&c, cli);
    if (rv == 0)
        rv = find_key(cli, &c.now, &id, &role);
    if (rv < 0)
        return rv;
    trust_remove(&c.next, role, &id);
    if (c.next.roles[role].count == 0 && role != TRUST_PUBLISHERS)
        return errmsg_set(&cli->em, ERR_REFUSED, "%s is the only %s key: trust another one first",
                          key_id_hex(&id).text, trust_role_name(role));
    rv = set_threshold(&c, role);
    return rv < 0 ? rv : key_change_end(&c);
}

/* By its id, or by its public half. */
static int find_key(struct cli *cli, const struct trust *t, struct key_id *id,
                    enum trust_role *role)
{
    const char *word = cli_word(cli, 0);
    struct public_key key;
    if (key_id_parse(word, id) < 0) {
        int rv = sign_public_read(word, &key, &cli->em);
        if (rv < 0)
            return rv;
        *id = key_id_of(&key);
    }
    for (int i = 0; i < TRUST_ROLE_COUNT; i++)
        if (trust_knows(t, (enum trust_role)i, id)) {
            *role = (enum trust_role)i;
            return 0;
        }
    return errmsg_set(&cli->em, ERR_NOT_FOUND, "key %s is not trusted: see `dunlin key list`",
                      key_id_hex(id).text);
}

static int threshold(struct cli *cli)
{
    struct key_change c;
    enum trust_role role = TRUST_PUBLISHERS;
    const char *word = cli_word(cli, 0);
    unsigned k = 0;
    if (sscanf(word, "%2u", &k) != 1 || k == 0 || strspn(word, "0123456789") != strlen(word))
        return errmsg_set(&cli->em, ERR_USAGE, "%.60s: not a number of keys", word);
    int rv = key_role_parse(args_text(&cli->args, "as"), &role, &cli->em);
    if (rv == 0)
        rv = key_change_begin(&c, cli);
    if (rv < 0)
        return rv;
    if (role == TRUST_ONLINE)
        return errmsg_set(&cli->em, ERR_USAGE, "one online key is always enough");
    struct trust_keys *keys = &c.next.roles[role];
    if (!trust_keys_can_sign(keys, k))
        return errmsg_set(&cli->em, ERR_REFUSED, "%u of %u %s keys can't sign", k, keys->count,
                          trust_role_name(role));
    keys->threshold = k;
    return key_change_end(&c);
}

static int renew(struct cli *cli)
{
    struct key_change c;
    struct public_key key;
    const char *role = cli->args.word_count > 0 ? cli_word(cli, 0) : "online";
    if (strcmp(role, "online") != 0 && strcmp(role, "authority") != 0)
        return errmsg_set(&cli->em, ERR_USAGE, "%.60s: write online or authority", role);
    int rv = key_change_begin(&c, cli);
    if (rv == 0)
        rv = draw_heir(cli, role, &key);
    if (rv < 0)
        return rv;
    put_heir(&c.next, role, &key);
    return key_change_end(&c);
}

static int draw_heir(struct cli *cli, const char *role, struct public_key *key)
{
    char route[64];
    json_t *answer = NULL;
    json_t *body = json_pack("{sb}", "stolen", args_has(&cli->args, "stolen"));
    snprintf(route, sizeof route, "/v1/trust/%s", role);
    int rv = cli_ask(cli, "POST", route, body, &answer);
    if (rv < 0)
        return rv;
    rv = hex_read(field_text(answer, "key"), key->bytes, PUBLIC_KEY_LEN);
    json_decref(answer);
    return rv < 0 ? errmsg_set(&cli->em, ERR_FORMAT, "the manager's answer can't be read") : 0;
}

/* In place of all of its role: the manager has one of each, and the brokers lead on from the old
 * authority to the new one. */
static void put_heir(struct trust *t, const char *role, const struct public_key *key)
{
    if (strcmp(role, "authority") == 0) {
        t->authority_count = 1;
        t->authorities[0] = key_id_of(key);
        return;
    }
    t->roles[TRUST_ONLINE] = (struct trust_keys){.threshold = 1};
    trust_add(t, TRUST_ONLINE, key);
}

/* ---- drafts ---- */

static struct draft the_draft;

static int show(struct cli *cli)
{
    struct draft *d = &the_draft;
    int rv = draft_read(cli_word(cli, 0), d, &cli->em);
    if (rv < 0)
        return rv;
    if (cli->json)
        return cli_print_json(cli, json_pack("{ss sI}", "type",
                                             d->type == MESSAGE_TRUST ? "trust" : "manifest",
                                             "signatures", (json_int_t)d->envelope.count));
    describe(cli, d);
    return 0;
}

static int sign(struct cli *cli)
{
    struct draft *d = &the_draft;
    const char *path = cli_word(cli, 0), *key;
    size_t at = 0;
    int rv = draft_read(path, d, &cli->em);
    while (rv == 0 && (key = args_next(&cli->args, "key", &at))) {
        struct secret_key secret;
        struct public_key public;
        rv = sign_key_read(key, &secret, &cli->em);
        if (rv == 0)
            rv = sign_public(&secret, &public);
        if (rv == 0)
            rv = refuse_strangers(cli, d, &public);
        if (rv == 0 && (rv = envelope_sign(d->type, &d->envelope, &secret)) < 0)
            errmsg_set(&cli->em, rv,
                       rv == ERR_EXISTS ? "%.200s: %.200s has signed it already"
                                        : "%.200s: %.200s can't sign it",
                       path, key);
        explicit_bzero(&secret, sizeof secret);
    }
    if (rv == 0)
        rv = draft_write(path, d->type, &d->envelope, &cli->em);
    if (rv < 0)
        return rv;
    if (cli->json)
        return cli_print_json(cli, json_pack("{sI}", "signatures", (json_int_t)d->envelope.count));
    describe(cli, d);
    printf("signed; `dunlin key submit %s` makes it count\n", path);
    return 0;
}

/* A trust document's roots are known to itself; publishers only to a manager that can be asked. */
static int refuse_strangers(struct cli *cli, const struct draft *d, const struct public_key *key)
{
    struct trust now;
    struct fleet_signers by;
    struct key_id id = key_id_of(key);
    bool online = fleet_trust_get(cli, &now, &by) == 0;
    enum trust_role role = d->type == MESSAGE_TRUST ? TRUST_ROOTS : TRUST_PUBLISHERS;
    if (d->type == MESSAGE_TRUST && trust_has(&d->trust, role, key))
        return 0;
    if (!online || trust_has(&now, role, key))
        return 0;
    return errmsg_set(&cli->em, ERR_UNTRUSTED,
                      "key %s is no %s key of this fleet, and its signature would count for "
                      "nothing: see `dunlin key list`",
                      key_id_hex(&id).text, trust_role_name(role));
}

static void describe(struct cli *cli, const struct draft *d)
{
    if (d->type == MESSAGE_TRUST)
        describe_trust(cli, d);
    else
        describe_manifest(d);
    for (uint32_t i = 0; i < d->envelope.count; i++)
        printf("  signed by %s\n", key_id_hex(&d->envelope.list[i].signer).text);
}

/* The whole of it, since the manager may lie about what it is made from. */
static void describe_trust(struct cli *cli, const struct draft *d)
{
    struct trust now;
    struct fleet_signers by;
    trust_words_whole(&d->trust, stdout);
    if (fleet_trust_get(cli, &now, &by) < 0)
        return;
    puts("as the manager tells it, this is different:");
    trust_words_changes(&now, &d->trust, stdout);
    if (d->trust.version != now.version + 1)
        printf("  it can't count: the fleet has version %u by now\n", now.version);
    printf("  %s\n", trust_words_signed(&now, TRUST_ROOTS, d->type, &d->envelope).text);
}

static void describe_manifest(const struct draft *d)
{
    const struct manifest *m = &d->manifest;
    struct digest body = digest_of(d->envelope.body);
    printf("bundle %s@%s, %s: %s, %s in %s\n  content %s\n", m->name, m->version,
           bundle_kind_name(m->kind), units_count(m->files, "file").text,
           units_bytes(m->bytes).text, units_count(m->chunks, "chunk").text,
           digest_hex(&body).text);
}

static int submit(struct cli *cli)
{
    static uint8_t bytes[DRAFT_MAX];
    struct draft *d = &the_draft;
    struct buffer out = buffer_on(bytes, sizeof bytes);
    int rv = draft_read(cli_word(cli, 0), d, &cli->em);
    if (rv == 0 && (rv = draft_seal(d, &out)) < 0)
        errmsg_set(&cli->em, rv, "the draft can't be written");
    if (rv < 0)
        return rv;
    bool is_trust = d->type == MESSAGE_TRUST;
    struct client_request rq = {.method = "POST",
                                .route = is_trust ? "/v1/trust" : "/v1/bundles",
                                .type = "application/octet-stream",
                                .body = span_buffer(&out)};
    rv = client_send(cli->client, &rq, NULL, NULL, &cli->em);
    if (rv < 0)
        return rv;
    if (cli->json)
        return cli_print_json(cli, json_pack("{ss}", "submitted", cli_word(cli, 0)));
    if (is_trust)
        printf("trust document %u counts from now on\n", d->trust.version);
    else
        printf("pushed %s@%s\n", d->manifest.name, d->manifest.version);
    return 0;
}
