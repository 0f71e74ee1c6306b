#include "manager/broker_config.h"

#include "bundles/chunk.h"
#include "manager/pass.h"
#include "sync/join.h"

#include <stdio.h>

/* Topic and header around the largest payload. */
#define CELL_PACKET_MAX (CHUNK_FRAME_MAX + 1024)
/* So much for a request or an answer, its seal, its topic and its header. */
#define DOOR_PACKET_MAX (JOINED_MAX + 4096)
/*
 * What waits for an absent session (only the manager's persists) is limited in payload bytes: a
 * million and a half reports, about a gigabyte of the broker's memory. Reports say how things
 * are, so the next ones heal what is dropped beyond that.
 */
#define QUEUED_BYTES_MAX (64 << 20)
/* What strangers may leave unread, each; who asks to join asks again. */
#define DOOR_INFLIGHT_MAX 200
#define DOOR_QUEUED_MAX 2000

/* Both ends have certificates on P-256: nothing else is offered. TLS 1.3 has its own list. */
static const char TLS[] = "certfile " BROKER_CERTIFICATE_FILE "\n"
                          "keyfile " BROKER_KEY_FILE "\n"
                          "tls_version tlsv1.2\n" /* and above */
                          "ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
                          "ECDHE-ECDSA-CHACHA20-POLY1305\n";

/* Who an agent is stands in its certificate, and nowhere else. */
static const char MUTUAL[] = "cafile " BROKER_CA_FILE "\n"
                             "crlfile " BROKER_CRL_FILE "\n"
                             "require_certificate true\n"
                             "use_identity_as_username true\n"
                             "use_username_as_clientid true\n"
                             "acl_file " BROKER_ACL_FILE "\n"
                             "max_qos 1\n";

static const char STRANGERS[] = "allow_anonymous true\n"
                                "acl_file " BROKER_ACL_FILE "\n"
                                "max_qos 1\n";

/*
 * Patterns for agents: of `topic` lines below `user` Mosquitto looks at the denials first, and
 * those above hold for a client without a user's name: at a cell that is the manager on its Unix
 * socket, since a certificate always has one. Reading is refused when a message would be delivered;
 * anybody may subscribe to anything. Agents write to one topic without a wildcard, since Mosquitto
 * retains what anybody may write, on as many topics as there are.
 */
#define RIGHTS_OF_AGENTS                                                                           \
    "pattern write dl1/up/%u\n"                                                                    \
    "pattern read dl1/agent/%u/#\n"                                                                \
    "pattern read dl1/cohort/+/+\n"                                                                \
    "pattern read dl1/chunk/+\n"                                                                   \
    "pattern read dl1/trust/#\n"                                                                   \
    "pattern read dl1/atlas\n"

static const char *const RIGHTS[] = {
    [BROKER_CELL] = RIGHTS_OF_AGENTS "topic readwrite #\n"
                                     "topic readwrite $SYS/#\n",
    [BROKER_FOREIGN] = RIGHTS_OF_AGENTS "user " PASS_MANAGER "\n"
                                        "topic readwrite dl1/#\n",
    [BROKER_DOOR] = "pattern write dl1/join/+\n"
                    "pattern read dl1/joined/+\n",
};

/* Ours have their logs set aside when these grow; the one of somebody else goes where he looks. */
static const char *const LOGS[] = {
    [BROKER_CELL] = "file mosquitto.log",
    [BROKER_DOOR] = "file mosquitto.log",
    [BROKER_FOREIGN] = "stderr",
};

/* Appends as printf does; what doesn't fit shows as a full buffer. */
#define PUT(out, ...)                                                                              \
    advance(out, snprintf((char *)(out)->data + (out)->len, (out)->cap - (out)->len, __VA_ARGS__))

static void advance(struct buffer *out, int len);
static void put_limits(const struct broker_options *o, struct buffer *out);
static void put_public(const struct broker_options *o, struct buffer *out);
static int fits(const struct buffer *out);

/*
 * A retained message is the manager's, or of no use; Mosquitto would look whether who wrote it may
 * still write, and forgets over a restart what it knows of clients on Unix sockets.
 *
 * Settings per listener would keep manager and agents apart better. But from 2.0.12 on Mosquitto
 * then forgets with a connection what its listener allows, and drops what it should keep for a
 * manager that is away (its issue 2618). At the door nothing has to wait.
 */
int broker_config_write(const struct broker_options *o, const char *user, struct buffer *out)
{
    PUT(out,
        "# Written by dunlin-manager: edits do not last.\n"
        "per_listener_settings %s\n"
        "check_retain_source false\n"
        "pid_file pid\n"
        "user %s\n"
        "log_dest %s\n"
        "log_type error\n"
        "log_type notice\n"
        "connection_messages false\n"
        "allow_duplicate_messages true\n",
        o->kind == BROKER_DOOR ? "true" : "false", user, LOGS[o->kind]);
    put_limits(o, out);
    put_public(o, out);
    if (o->kind != BROKER_FOREIGN)
        PUT(out, "listener 0 ./" BROKER_SOCKET "\n"
                 "allow_anonymous true\n");
    return fits(out);
}

int broker_config_acl(enum broker_kind kind, const struct key_id *blocked, size_t count,
                      struct buffer *out)
{
    size_t first = count > BROKER_BLOCKED_MAX ? count - BROKER_BLOCKED_MAX : 0;
    PUT(out, "%s", RIGHTS[kind]);
    for (size_t i = first; i < count; i++)
        PUT(out, "user %s\ntopic deny #\n", key_id_hex(&blocked[i]).text);
    return fits(out);
}

static void put_limits(const struct broker_options *o, struct buffer *out)
{
    if (o->kind != BROKER_DOOR)
        PUT(out,
            "set_tcp_nodelay true\n"
            "persistence true\n"
            "persistence_location ./\n"
            "autosave_interval 60\n"
            "max_inflight_messages 0\n"
            "max_queued_messages 0\n"
            "max_queued_bytes %d\n"
            "max_packet_size %d\n",
            QUEUED_BYTES_MAX, CELL_PACKET_MAX);
    else
        PUT(out,
            "persistence false\n"
            "retain_available false\n"
            "max_inflight_messages %d\n"
            "max_queued_messages %d\n"
            "max_packet_size %d\n",
            DOOR_INFLIGHT_MAX, DOOR_QUEUED_MAX, DOOR_PACKET_MAX);
    if (o->memory_max > 0)
        PUT(out, "memory_limit %llu\n", (unsigned long long)o->memory_max);
}

static void put_public(const struct broker_options *o, struct buffer *out)
{
    if (o->kind != BROKER_DOOR)
        PUT(out, "listener %d%s%s\n", o->port, o->host ? " " : "", o->host ? o->host : "");
    else
        PUT(out, "listener 0 ./" BROKER_GATE_SOCKET "\n");
    if (!o->plain)
        PUT(out, "%s", TLS);
    if (o->kind == BROKER_DOOR)
        PUT(out, "%s", STRANGERS);
    else
        PUT(out, "%s%s", o->plain ? "" : MUTUAL,
            o->kind == BROKER_FOREIGN ? "allow_anonymous false\n" : "");
}

static void advance(struct buffer *out, int len)
{
    size_t room = out->cap - out->len;
    out->len = len < 0 || (size_t)len >= room ? out->cap : out->len + (size_t)len;
}

static int fits(const struct buffer *out)
{
    return out->len < out->cap ? 0 : ERR_NO_MEMORY;
}
