#include "bundles/index.h"
#include "manager/api_json.h"
#include "manager/api_routes.h"

/* What a bundle's index leads to. */
struct census {
    uint64_t bytes;
    uint64_t chunks;
    uint64_t missing; /* chunks of either kind */
};

static int open_manifest(struct request *r, struct errmsg *em);
static int say_who_is_missing(const struct trust *trust, const struct envelope *e,
                              struct errmsg *em);
static uint32_t count_publishers(const struct trust_keys *k, const struct envelope *e);
static bool is_publisher(const struct trust_keys *k, const struct key_id *id);
static int check_content(struct request *r, struct errmsg *em);
static int count_index_chunk(struct request *r, const struct chunk_ref *ref, struct census *c,
                             struct errmsg *em);
static int keep_manifest(struct request *r, const struct digest *name, struct errmsg *em);
static request_finish finish_add;
static request_item next_bundle;
static json_t *bundle_json(struct request *r, const struct bundle_row *row, bool full);
static int load_manifest(struct request *r, const struct digest *name, struct envelope *e);
static json_t *needs_json(const struct needs *n);
static json_t *signers_json(const struct envelope *e);
static bool split_name(struct request *r, const char **name, const char **version);

void api_bundles_add(struct request *r)
{
    struct errmsg em = {0};
    struct digest name = digest_of(span_buffer(&r->body));
    int rv = open_manifest(r, &em);
    if (rv == 0)
        rv = check_content(r, &em);
    if (rv == 0)
        rv = keep_manifest(r, &name, &em);
    if (rv < 0) {
        request_reply_failure(r, rv, &em);
        return;
    }
    const struct manifest *m = &r->tools->manifest;
    struct command command = {.type = COMMAND_BUNDLE_ADD,
                              .bundle = {.digest = name,
                                         .bytes = m->bytes,
                                         .files = m->files,
                                         .chunks = m->chunks,
                                         .needs = m->needs}};
    memcpy(command.bundle.name, m->name, sizeof m->name);
    memcpy(command.bundle.version, m->version, sizeof m->version);
    request_command(r, &command, finish_add);
}

void api_bundles_list(struct request *r)
{
    request_stream_list(r, "bundles", next_bundle);
}

void api_bundles_show(struct request *r)
{
    const char *name, *version;
    const struct manager *m = daemon_core(r->daemon);
    if (!split_name(r, &name, &version))
        return;
    int64_t index = manager_find_bundle(m, name, version);
    if (index >= 0)
        request_reply(r, MHD_HTTP_OK, bundle_json(r, manager_bundle(m, (uint32_t)index), true));
    else
        request_reply_error(r, MHD_HTTP_NOT_FOUND,
                            "there is no bundle %s@%s: see `dunlin bundle list`", name, version);
}

void api_bundles_remove(struct request *r)
{
    struct command command = {
        .type = COMMAND_BUNDLE_REMOVE,
        .bundle_name = {.force = request_argument(r, "force") != NULL},
    };
    if (split_name(r, &command.bundle_name.name, &command.bundle_name.version))
        request_command(r, &command, request_finish_empty);
}

/* The signatures held when it was pushed, and its digest names it: who signed it is enough. */
bool api_bundle_trusted(struct request *r, const struct bundle_row *row)
{
    const struct trust *trust = manager_trust(daemon_core(r->daemon));
    const struct trust_keys *publishers = &trust->roles[TRUST_PUBLISHERS];
    struct envelope e;
    struct errmsg em;
    if (load_manifest(r, &row->digest, &e) < 0 ||
        count_publishers(publishers, &e) >= publishers->threshold)
        return true;
    int rv = say_who_is_missing(trust, &e, &em);
    errmsg_wrap(&em, rv, "devices would refuse %s@%s", row->name, row->version);
    request_reply_failure(r, rv, &em);
    return false;
}

/* Into the tools' manifest. */
static int open_manifest(struct request *r, struct errmsg *em)
{
    const struct trust *trust = manager_trust(daemon_core(r->daemon));
    struct span bytes = span_buffer(&r->body);
    struct envelope e;
    int rv = envelope_read(MESSAGE_MANIFEST, bytes, &e);
    if (rv < 0)
        return errmsg_set(em, rv, "the body is no signed manifest");
    rv = manifest_open(bytes, trust, &r->tools->manifest);
    if (rv == ERR_UNTRUSTED)
        return say_who_is_missing(trust, &e, em);
    if (rv == ERR_SIGNATURE)
        return errmsg_set(em, rv, "a publisher's signature on the manifest does not hold");
    return rv < 0 ? errmsg_set(em, ERR_FORMAT, "the manifest is not well-formed") : 0;
}

static int say_who_is_missing(const struct trust *trust, const struct envelope *e,
                              struct errmsg *em)
{
    const struct trust_keys *k = &trust->roles[TRUST_PUBLISHERS];
    char strangers[SIGNATURES_MAX * (2 * KEY_ID_LEN + 2) + 1] = "";
    size_t len = 0;
    uint32_t known = count_publishers(k, e);
    for (uint32_t i = 0; i < e->count; i++)
        if (!is_publisher(k, &e->list[i].signer))
            len += (size_t)snprintf(strangers + len, sizeof strangers - len, "%s%s",
                                    len ? ", " : "", key_id_hex(&e->list[i].signer).text);
    if (known == 0 && e->count > 0)
        return errmsg_set(em, ERR_UNTRUSTED,
                          "the manifest is signed by key %s, which this fleet does not trust: see "
                          "`dunlin key trust`",
                          strangers);
    return errmsg_set(em, ERR_UNTRUSTED,
                      "the manifest needs the signatures of %u of the fleet's %u publishers, and "
                      "has %u: %u more must sign it%s%s: see `dunlin help key sign`",
                      k->threshold, k->count, known, k->threshold - known,
                      len ? "; not trusted: " : "", strangers);
}

static uint32_t count_publishers(const struct trust_keys *k, const struct envelope *e)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->count; i++)
        count += is_publisher(k, &e->list[i].signer);
    return count;
}

static bool is_publisher(const struct trust_keys *k, const struct key_id *id)
{
    for (uint32_t i = 0; i < k->count; i++) {
        struct key_id known = key_id_of(&k->list[i]);
        if (key_id_equal(&known, id))
            return true;
    }
    return false;
}

static int check_content(struct request *r, struct errmsg *em)
{
    const struct manifest *m = &r->tools->manifest;
    struct census c = {0};
    int rv = 0;
    for (uint32_t i = 0; i < m->index_count && rv == 0; i++)
        rv = count_index_chunk(r, &m->index[i], &c, em);
    if (rv < 0)
        return rv;
    if (c.missing > 0)
        return errmsg_set(em, ERR_REFUSED,
                          "%llu of the chunks of %s@%s are missing: push them before the manifest",
                          (unsigned long long)c.missing, m->name, m->version);
    if (c.bytes != m->bytes || c.chunks != m->chunks)
        return errmsg_set(em, ERR_FORMAT,
                          "%s@%s: the index has %llu bytes in %llu chunks, the manifest says %llu "
                          "in %u",
                          m->name, m->version, (unsigned long long)c.bytes,
                          (unsigned long long)c.chunks, (unsigned long long)m->bytes, m->chunks);
    return 0;
}

static int count_index_chunk(struct request *r, const struct chunk_ref *ref, struct census *c,
                             struct errmsg *em)
{
    struct depot *depot = daemon_depot(r->daemon);
    struct buffer plain = buffer_on(r->tools->plain, sizeof r->tools->plain);
    int rv = depot_get_plain(depot, &ref->digest, &plain, em);
    if (rv == ERR_NOT_FOUND) {
        c->missing++;
        return 0;
    }
    if (rv < 0)
        return rv;
    int count = plain.len == ref->len ? index_count(span_buffer(&plain)) : ERR_FORMAT;
    for (int i = 0; i < count && rv == 0; i++) {
        struct chunk_ref content;
        rv = index_get(span_buffer(&plain), (size_t)i, &content);
        c->bytes += content.len;
        c->chunks++;
        c->missing += !depot_has(depot, &content.digest);
    }
    if (count < 0 || rv < 0)
        return errmsg_set(em, ERR_FORMAT, "index chunk %s is not well-formed",
                          digest_hex(&ref->digest).text);
    return 0;
}

/* Manifests travel as chunks do; this one is framed as it is. */
static int keep_manifest(struct request *r, const struct digest *name, struct errmsg *em)
{
    uint8_t *frame = r->tools->frame;
    frame[0] = 0;
    memcpy(frame + 1, r->body.data, r->body.len);
    int rv = daemon_put_chunk(r->daemon, name, span_of(frame, r->body.len + 1), em);
    return rv < 0 ? rv : 0;
}

static void finish_add(struct request *r, const struct manager_out *out)
{
    json_t *json = bundle_json(r, manager_bundle(daemon_core(r->daemon), out->index), false);
    json_object_set_new(json, "new", json_boolean(out->rv == 0));
    request_reply(r, MHD_HTTP_OK, json);
}

static json_t *next_bundle(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    while (r->at < manager_bundle_count(m)) {
        const struct bundle_row *row = manager_bundle(m, r->at++);
        if (!row->removed)
            return bundle_json(r, row, false);
    }
    return NULL;
}

static json_t *bundle_json(struct request *r, const struct bundle_row *row, bool full)
{
    const struct manifest *m = &r->tools->manifest;
    struct envelope e;
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "name", row->name, "version",
                             row->version, "digest", digest_hex(&row->digest).text, "bytes",
                             (json_int_t)row->bytes, "files", (json_int_t)row->files, "chunks",
                             (json_int_t)row->chunks, "created", api_json_time(row->created_s));
    if (load_manifest(r, &row->digest, &e) < 0)
        return json;
    json_object_set_new(json, "kind", json_string(bundle_kind_name(m->kind)));
    if (!full)
        return json;
    json_object_set_new(json, "hook_timeout_s", json_integer(m->hook_timeout_s));
    json_object_set_new(json, "health_deadline_s", json_integer(m->health_deadline_s));
    json_object_set_new(json, "health_interval_s", json_integer(m->health_interval_s));
    json_object_set_new(json, "variables", needs_json(&m->needs));
    json_object_set_new(json, "publishers", signers_json(&e));
    return json;
}

static json_t *needs_json(const struct needs *n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:b}", "name", n->list[i].name, "in_template",
                                              n->list[i].in_template));
    return list;
}

static json_t *signers_json(const struct envelope *e)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < e->count; i++)
        json_array_append_new(list, json_string(key_id_hex(&e->list[i].signer).text));
    return list;
}

/* From the depot, where only manifests that held were put. */
static int load_manifest(struct request *r, const struct digest *name, struct envelope *e)
{
    struct buffer plain = buffer_on(r->tools->plain, sizeof r->tools->plain);
    int rv = depot_get_plain(daemon_depot(r->daemon), name, &plain, NULL);
    if (rv == 0)
        rv = envelope_read(MESSAGE_MANIFEST, span_buffer(&plain), e);
    return rv < 0 ? rv : manifest_read(e->body, &r->tools->manifest);
}

/* The path's NAME@VERSION, cut in place. */
static bool split_name(struct request *r, const char **name, const char **version)
{
    char *at = strchr(r->name, '@');
    if (!at) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST, "'%s' names no bundle: write NAME@VERSION",
                            r->name);
        return false;
    }
    *at = '\0';
    *name = r->name;
    *version = at + 1;
    return true;
}
