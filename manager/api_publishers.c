#include "base/hex.h"
#include "manager/api_json.h"
#include "manager/api_routes.h"

static request_finish finish_add;
static request_item next_publisher;

void api_publishers_add(struct request *r)
{
    const char *text = "";
    struct command command = {.type = COMMAND_PUBLISHER_ADD};
    const struct field field = {
        .name = "key", .type = FIELD_TEXT, .required = true, .out.text = &text};
    if (!request_fields(r, &field, 1))
        return;
    if (hex_read(text, command.publisher.bytes, PUBLIC_KEY_LEN) < 0)
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the field 'key' must be a public key: %d hexadecimal digits",
                            2 * PUBLIC_KEY_LEN);
    else
        request_command(r, &command, finish_add);
}

void api_publishers_list(struct request *r)
{
    request_stream_list(r, "publishers", next_publisher);
}

static void finish_add(struct request *r, const struct manager_out *out)
{
    struct key_id id = key_id_of(manager_publisher(daemon_core(r->daemon), out->index));
    request_reply(r, MHD_HTTP_OK, json_pack("{s:s}", "id", key_id_hex(&id).text));
}

static json_t *next_publisher(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    if (r->at >= manager_publisher_count(m))
        return NULL;
    const struct public_key *key = manager_publisher(m, r->at++);
    struct key_id id = key_id_of(key);
    char text[2 * PUBLIC_KEY_LEN + 1];
    hex_write(span_of(key->bytes, PUBLIC_KEY_LEN), text);
    return json_pack("{s:s, s:s}", "id", key_id_hex(&id).text, "key", text);
}
