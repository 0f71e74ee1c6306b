#include "manager/cli/client.h"

#include "base/file.h"
#include "manager/cli/credentials.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#define CONNECT_SECONDS_MAX 10
/* A manager that sends nothing for so long is stuck. */
#define SILENCE_SECONDS_MAX 120
#define REFUSAL_MAX 4096
/* A million tokens come in fewer reads than in blocks of the usual 16 KiB. */
#define RECEIVE_BUFFER (256 * 1024)
/* Percent-encoding triples a name at most. */
#define NAME_SHOWN_MAX 256
/* What libcurl's TLS, OpenSSL, says of certificates (X509_V_ERR_…). */
#define X509_NOT_YET_VALID 9
#define X509_EXPIRED 10
#define SOCKET_PATH_MAX (sizeof((struct sockaddr_un *)0)->sun_path - 1)

struct client {
    CURL *curl;
    char base[FILE_PATH_MAX];       /* of every URL */
    char socket[FILE_PATH_MAX];     /* "" for TCP */
    char hint[FILE_PATH_MAX];       /* what to do when nobody answers */
    struct credentials credentials; /* token "": none */
};

/* What happens to one answer. */
struct answer {
    struct client *client;
    client_take *take;
    void *context;
    int rv;
    struct errmsg *em;
    char refusal[REFUSAL_MAX]; /* the body of an answer that is no success */
    size_t refusal_len;
};

static int set_folder(struct client *c, const char *dir, struct errmsg *em);
static int set_target(struct client *c, const struct client_target *target, struct errmsg *em);
static int set_url(struct client *c, const char *url, struct errmsg *em);
static int check_url(const struct client *c, const char *url, struct errmsg *em);
static bool is_loopback(const char *host);
static int check_socket(const struct client *c, struct errmsg *em);
static CURLcode prepare(struct client *c, const struct client_request *rq,
                        const struct curl_slist *headers, struct answer *a, const char *url);
static CURLcode prepare_tls(struct client *c);
static size_t on_bytes(char *data, size_t size, size_t count, void *context);
static long status_of(const struct client *c);
static int failed(const struct client *c, CURLcode code, struct errmsg *em);
static int not_ours(const struct client *c, struct errmsg *em);
static int refused(const struct answer *a, long status, struct errmsg *em);

int client_new(struct client **out, const struct client_target *target, struct errmsg *em)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(c->curl = curl_easy_init())) {
        free(c);
        return errmsg_set(em, ERR_NO_MEMORY, "not enough memory to talk to the manager");
    }
    int rv = set_target(c, target, em);
    if (rv == 0)
        rv = check_socket(c, em);
    if (rv < 0) {
        client_free(c);
        return rv;
    }
    *out = c;
    return 0;
}

void client_free(struct client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    curl_global_cleanup();
    explicit_bzero(&c->credentials, sizeof c->credentials);
    free(c);
}

int client_send(struct client *c, const struct client_request *rq, client_take *take, void *context,
                struct errmsg *em)
{
    char url[FILE_PATH_MAX], type[128], bearer[CREDENTIALS_TOKEN_MAX + 32];
    int rv = file_path(url, em, "%s%s", c->base, rq->route);
    if (rv < 0)
        return rv;
    snprintf(type, sizeof type, "Content-Type: %s", rq->type ? rq->type : "application/json");
    /* Without "Expect: 100-continue" a body goes out at once. */
    struct curl_slist last = {.data = (char *)"Expect:"};
    struct curl_slist authorization = {.data = bearer, .next = &last};
    struct curl_slist headers = {.data = type,
                                 .next = c->credentials.token[0] ? &authorization : &last};
    snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", c->credentials.token);
    struct answer a = {.client = c, .take = take, .context = context, .em = em};
    CURLcode code = prepare(c, rq, &headers, &a, url);
    if (code == CURLE_OK)
        code = curl_easy_perform(c->curl);
    if (a.rv < 0)
        return a.rv;
    if (code != CURLE_OK)
        return failed(c, code, em);
    long status = status_of(c);
    return status >= 200 && status < 300 ? (int)status : refused(&a, status, em);
}

const char *client_header(struct client *c, const char *name)
{
    struct curl_header *h;
    return curl_easy_header(c->curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

int client_route(char out[static CLIENT_ROUTE_MAX], const char *collection, const char *name,
                 const char *action, struct errmsg *em)
{
    /* What has a slash or begins with a dot would name another route, or a folder above. */
    if (!*name || *name == '.' || strchr(name, '/') || strlen(name) > NAME_SHOWN_MAX)
        return errmsg_set(em, ERR_USAGE, "\"%.60s\": no name that anything here can have", name);
    char before[64];
    snprintf(before, sizeof before, "/v1/%s/", collection);
    int rv = client_query(out, CLIENT_ROUTE_MAX, before, name, em);
    size_t len = rv == 0 ? strlen(out) : 0;
    if (rv == 0 && action)
        snprintf(out + len, CLIENT_ROUTE_MAX - len, "/%s", action);
    return rv;
}

int client_query(char *out, size_t cap, const char *before, const char *text, struct errmsg *em)
{
    char *encoded = curl_easy_escape(NULL, text, 0);
    if (!encoded)
        return errmsg_set(em, ERR_NO_MEMORY, "not enough memory for \"%.60s\"", text);
    int n = snprintf(out, cap, "%s%s", before, encoded);
    curl_free(encoded);
    if (n >= 0 && (size_t)n < cap)
        return 0;
    return errmsg_set(em, ERR_USAGE, "\"%.60s…\" is too long", text);
}

static int set_target(struct client *c, const struct client_target *target, struct errmsg *em)
{
    int rv = target->credentials ? credentials_read(target->credentials, &c->credentials, em) : 0;
    if (rv < 0)
        return rv;
    if (target->url)
        return set_url(c, target->url, em);
    return target->credentials ? set_url(c, c->credentials.url, em)
                               : set_folder(c, target->dir, em);
}

static int set_folder(struct client *c, const char *dir, struct errmsg *em)
{
    snprintf(c->base, sizeof c->base, "http://manager");
    int rv = file_path(c->socket, em, "%s/manager.sock", dir);
    const char * or = strcmp(dir, CLIENT_DEFAULT_DIR) == 0 ? ", or name its folder with --dir" : "";
    if (rv == 0)
        rv = file_path(c->hint, em, "start it with `dunlin-manager run --dir %s`%s", dir, or);
    return rv;
}

static int set_url(struct client *c, const char *url, struct errmsg *em)
{
    snprintf(c->hint, sizeof c->hint, "is the manager running, and is the URL right?");
    if (strncmp(url, "unix://", 7) == 0 && url[7] == '/') {
        snprintf(c->base, sizeof c->base, "http://manager");
        return file_path(c->socket, em, "%s", url + 7);
    }
    int checked = check_url(c, url, em);
    if (checked < 0)
        return checked;
    int rv = file_path(c->base, em, "%s", url);
    size_t len = strlen(c->base);
    while (rv == 0 && len > 0 && c->base[len - 1] == '/')
        c->base[--len] = '\0';
    return rv;
}

/* A token is a secret, and so is what it is good for: neither goes over a network in the open. */
static int check_url(const struct client *c, const char *url, struct errmsg *em)
{
    bool secure = strncmp(url, "https://", 8) == 0;
    if ((!secure && strncmp(url, "http://", 7) != 0) || strchr(url, '@'))
        return errmsg_set(em, ERR_USAGE,
                          "--manager %.100s: write https://HOST:PORT or unix:///PATH/manager.sock",
                          url);
    if (!secure && !is_loopback(url + 7))
        return errmsg_set(em, ERR_USAGE, "--manager %.100s: from afar only https:// is safe", url);
    if (secure && !c->credentials.token[0])
        return errmsg_set(em, ERR_USAGE,
                          "--manager %.100s: say who asks with --credentials FILE, made by `dunlin "
                          "admin create` at the manager",
                          url);
    return 0;
}

/* "localhost", "[::1]" or an address that begins with 127; then the URL's port or path. */
static bool is_loopback(const char *host)
{
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    bool address = strspn(host, "0123456789.") == len && strncmp(host, "127.", 4) == 0;
    return address || (len == 9 && strncmp(host, "localhost", len) == 0) ||
           strncmp(host, "[::1]", 5) == 0;
}

static int check_socket(const struct client *c, struct errmsg *em)
{
    if (strlen(c->socket) <= SOCKET_PATH_MAX)
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "%.200s…: a socket's path has at most %zu bytes; use a shorter folder",
                      c->socket, SOCKET_PATH_MAX);
}

static CURLcode prepare(struct client *c, const struct client_request *rq,
                        const struct curl_slist *headers, struct answer *a, const char *url)
{
    CURL *h = c->curl;
    curl_easy_reset(h); /* the connection stays open */
    bool body = rq->type != NULL;
    CURLcode code = curl_easy_setopt(h, CURLOPT_URL, url);
    if (code == CURLE_OK && c->socket[0])
        code = curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    if (code == CURLE_OK)
        code = curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, rq->method);
    if (code == CURLE_OK && body)
        code = curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body.len);
    if (code == CURLE_OK && body)
        code = curl_easy_setopt(h, CURLOPT_POSTFIELDS,
                                rq->body.len ? (const char *)rq->body.data : "");
    if (code == CURLE_OK && c->credentials.ca[0])
        code = prepare_tls(c);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(h, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS_MAX);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SECONDS_MAX);
    /* A proxy from the environment is for the world outside. */
    if (c->socket[0] || c->credentials.token[0])
        curl_easy_setopt(h, CURLOPT_PROXY, "");
    return code;
}

/* Only the fleet's own authority counts, whatever the system trusts. */
static CURLcode prepare_tls(struct client *c)
{
    struct curl_blob ca = {
        .data = c->credentials.ca, .len = strlen(c->credentials.ca), .flags = CURL_BLOB_COPY};
    CURLcode code = curl_easy_setopt(c->curl, CURLOPT_CAINFO_BLOB, &ca);
    if (code == CURLE_OK)
        code = curl_easy_setopt(c->curl, CURLOPT_CAINFO, NULL);
    if (code == CURLE_OK)
        code = curl_easy_setopt(c->curl, CURLOPT_CAPATH, NULL);
    if (code == CURLE_OK)
        code = curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYPEER, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(c->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    return code;
}

static size_t on_bytes(char *data, size_t size, size_t count, void *context)
{
    struct answer *a = context;
    size_t len = size * count;
    long status = status_of(a->client);
    if (status >= 200 && status < 300) {
        if (a->take)
            a->rv = a->take(a->context, span_of(data, len), a->em);
        return a->rv < 0 ? CURL_WRITEFUNC_ERROR : len;
    }
    size_t room = sizeof a->refusal - a->refusal_len;
    memcpy(a->refusal + a->refusal_len, data, len < room ? len : room);
    a->refusal_len += len < room ? len : room;
    return len;
}

static long status_of(const struct client *c)
{
    long status = 0;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static int failed(const struct client *c, CURLcode code, struct errmsg *em)
{
    const char *where = c->socket[0] ? c->socket : c->base;
    long system_errno = 0;
    curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &system_errno);
    switch ((int)code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        if (system_errno == EACCES)
            return errmsg_set(em, ERR_REFUSED,
                              "%.200s: permission denied; run as the user that runs the manager",
                              where);
        return errmsg_set(em, ERR_BUSY, "no manager answers at %.200s: %.250s", where, c->hint);
    case CURLE_OPERATION_TIMEDOUT:
        return errmsg_set(em, ERR_TIMEOUT, "the manager at %.200s doesn't answer in time", where);
    case CURLE_PEER_FAILED_VERIFICATION:
        return not_ours(c, em);
    case CURLE_SSL_CONNECT_ERROR:
        return errmsg_set(em, ERR_REFUSED, "what answers at %.200s speaks no TLS 1.2 or newer",
                          where);
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return errmsg_set(em, ERR_BUSY, "the manager at %.200s went away before it had answered",
                          where);
    default:
        return errmsg_set(em, ERR_IO, "%.200s: %s", where, curl_easy_strerror(code));
    }
}

/* OpenSSL's codes: the names differ, the dates, or who signed it. */
static int not_ours(const struct client *c, struct errmsg *em)
{
    long verdict = 0;
    curl_easy_getinfo(c->curl, CURLINFO_SSL_VERIFYRESULT, &verdict);
    if (verdict == 0)
        return errmsg_set(em, ERR_UNTRUSTED,
                          "the manager's certificate is for another name than %.200s: run it with "
                          "--advertise and that name",
                          c->base);
    if (verdict == X509_NOT_YET_VALID || verdict == X509_EXPIRED)
        return errmsg_set(em, ERR_EXPIRED,
                          "the certificate of %.200s isn't good at this time: are both clocks "
                          "right?",
                          c->base);
    return errmsg_set(em, ERR_UNTRUSTED,
                      "%.200s: this is not the manager that the credentials are for", c->base);
}

/* The manager's own sentence when it sent one. */
static int refused(const struct answer *a, long status, struct errmsg *em)
{
    static const struct {
        long status;
        int rv;
    } codes[] = {{400, ERR_USAGE}, {404, ERR_NOT_FOUND}, {409, ERR_EXISTS}, {507, ERR_NO_SPACE}};
    int rv = ERR_REFUSED;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            rv = codes[i].rv;
    json_t *json = json_loadb(a->refusal, a->refusal_len, 0, NULL);
    const char *sentence = json_string_value(json_object_get(json, "error"));
    if (sentence)
        errmsg_set(em, rv, "%s", sentence);
    else
        errmsg_set(em, rv, "the manager answered with status %ld and no reason", status);
    json_decref(json);
    return rv;
}
