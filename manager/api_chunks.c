#include "manager/api_routes.h"

static bool read_name(struct request *r, struct digest *name);

void api_chunks_missing(struct request *r)
{
    if (r->body.len % DIGEST_LEN != 0) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the body has %zu bytes: it must be digests of %d bytes each",
                            r->body.len, DIGEST_LEN);
        return;
    }
    /* What is there is closed up, in the request's own body. */
    size_t kept = 0;
    for (size_t at = 0; at < r->body.len; at += DIGEST_LEN) {
        struct digest name;
        memcpy(name.bytes, r->body.data + at, DIGEST_LEN);
        if (depot_has(daemon_depot(r->daemon), &name))
            continue;
        memcpy(r->body.data + kept, name.bytes, DIGEST_LEN);
        kept += DIGEST_LEN;
    }
    request_reply_bytes(r, span_of(r->body.data, kept));
}

void api_chunks_put(struct request *r)
{
    struct digest name;
    struct errmsg em = {0};
    struct buffer plain = buffer_on(r->tools->plain, sizeof r->tools->plain);
    if (!read_name(r, &name))
        return;
    int rv = chunk_open(r->tools->opener, span_buffer(&r->body), &name, &plain);
    if (rv < 0) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST, "chunk %s: %s", r->name,
                            rv == ERR_DIGEST ? "the content has another digest"
                                             : "the body is no frame of a chunk");
        return;
    }
    rv = daemon_put_chunk(r->daemon, &name, span_buffer(&r->body), &em);
    if (rv < 0)
        request_reply_failure(r, rv, &em);
    else
        request_reply(r, rv == 1 ? MHD_HTTP_OK : MHD_HTTP_CREATED, json_object());
}

void api_chunks_get(struct request *r)
{
    struct digest name;
    struct errmsg em = {0};
    struct buffer frame = buffer_on(r->tools->frame, sizeof r->tools->frame);
    if (!read_name(r, &name))
        return;
    int rv = depot_get(daemon_depot(r->daemon), &name, &frame, &em);
    if (rv < 0)
        request_reply_failure(r, rv, &em);
    else
        request_reply_bytes(r, span_buffer(&frame));
}

static bool read_name(struct request *r, struct digest *name)
{
    if (digest_parse(r->name, name) == 0)
        return true;
    request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                        "'%s' is no digest: a chunk is named by %d hexadecimal digits", r->name,
                        2 * DIGEST_LEN);
    return false;
}
