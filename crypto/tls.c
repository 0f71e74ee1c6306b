#include "crypto/tls.h"

#include "base/date.h"
#include "crypto/random.h"
#include "crypto/x509.h"

#include <assert.h>
#include <errno.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

/* In TLS 1.3 a broker may send tickets as long as the connection lives; ours send two. */
#define TICKETS_MAX 64

struct tls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_x509_crt own;
    mbedtls_pk_context key;
    int socket;
    int errno_; /* of the socket's last failure */

    struct key_id authorities[TLS_AUTHORITIES_MAX];
    size_t authority_count;
    uint64_t now_s;
    bool clock_is_floor;
    struct tls_memory *memory;
    struct digest bound;

    bool certified;       /* we have a certificate to show */
    bool offered;         /* a session of before */
    bool trusted;         /* the broker's certificate was checked and holds */
    bool greeted;         /* the handshake is done */
    bool wants_write;     /* what the library waits for */
    int tickets;          /* that came after the handshake */
    size_t unfinished;    /* bytes of a tls_write that has to be made again */
    int refusal;          /* why the broker's certificate does not hold, and the sentence */
    struct errmsg reason; /* of it */
    uint64_t not_after_s; /* of the broker's certificate */
};

static int set_up(struct tls *t, const struct tls_options *o, struct errmsg *em);
static int configure(mbedtls_ssl_config *config);
static int configure_library(mbedtls_ssl_config *config);
static int set_certificate(struct tls *t, const struct tls_options *o);
static int set_key(struct tls *t, const struct secret_key *key);
static struct digest bound_to(const struct tls_options *o);
static void recall(struct tls *t);
static bool has_ticket(const struct tls *t);
static void remember(struct tls *t);
static void forget(struct tls *t);

static int draw(void *context, unsigned char *out, size_t len);
static int on_send(void *context, const unsigned char *data, size_t len);
static int on_receive(void *context, unsigned char *out, size_t cap);

static int on_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
static int judge(struct tls *t, const mbedtls_x509_crt *leaf);
static int go_along(struct tls *t, const mbedtls_x509_crt *leaf);
static bool is_vouched(const mbedtls_x509_crt *crt, const struct certificate *says);
static struct span der_of(const mbedtls_x509_crt *crt);
static bool is_pinned(const struct tls *t, const struct public_key *key);
static int check_dates(struct tls *t, const char *whose, const struct certificate *c);

static void cork(const struct tls *t, int on);
static bool is_ticket(struct tls *t, int rv);
static bool waits(struct tls *t, int rv);
static int fail(struct tls *t, int rv, struct errmsg *em);
static int explain_alert(const struct tls *t, int alert, struct errmsg *em);

/* ---- making and freeing ---- */

struct tls *tls_new(const struct tls_options *options, int socket, struct errmsg *em)
{
    struct tls *t = calloc(1, sizeof *t);
    if (!t) {
        errmsg_set(em, ERR_NO_MEMORY, "no memory");
        return NULL;
    }
    mbedtls_ssl_init(&t->ssl);
    mbedtls_ssl_config_init(&t->config);
    mbedtls_x509_crt_init(&t->own);
    mbedtls_pk_init(&t->key);
    t->socket = socket;
    if (set_up(t, options, em) == 0)
        return t;
    tls_free(t);
    return NULL;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    mbedtls_ssl_free(&t->ssl);
    mbedtls_ssl_config_free(&t->config);
    mbedtls_x509_crt_free(&t->own);
    mbedtls_pk_free(&t->key);
    free(t);
}

static int set_up(struct tls *t, const struct tls_options *o, struct errmsg *em)
{
    assert(o->authority_count <= TLS_AUTHORITIES_MAX);
    memcpy(t->authorities, o->authorities, o->authority_count * sizeof *o->authorities);
    t->authority_count = o->authority_count;
    t->now_s = o->now_s;
    t->clock_is_floor = o->clock_is_floor;
    t->memory = o->memory;
    t->bound = bound_to(o);
    if (mbedtls_ssl_config_defaults(&t->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        configure(&t->config) < 0)
        return errmsg_set(em, ERR_CRYPTO, "TLS cannot be set up");
    /* The library insists on a list of authorities. Ours vouches for nobody: on_verify decides. */
    mbedtls_ssl_conf_ca_chain(&t->config, &t->own, NULL);
    mbedtls_ssl_conf_verify(&t->config, on_verify, t);
    int rv = o->certificate.len > 0 ? set_certificate(t, o) : 0;
    if (rv < 0)
        return errmsg_set(em, rv, "our own certificate or its key cannot be used");
    /* A host name that is NULL says that we mean not to check one. */
    if (mbedtls_ssl_setup(&t->ssl, &t->config) != 0 || mbedtls_ssl_set_hostname(&t->ssl, NULL) != 0)
        return errmsg_set(em, ERR_NO_MEMORY, "no memory for TLS");
    mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_receive, NULL);
    recall(t);
    return 0;
}

/* Few choices make a short greeting. */
static int configure(mbedtls_ssl_config *config)
{
    static const int ciphers[] = {
#ifdef MBEDTLS_TLS1_3_AES_128_GCM_SHA256
        MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
        MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        0,
    };
    mbedtls_ssl_conf_rng(config, draw, NULL);
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ciphersuites(config, ciphers);
    return configure_library(config);
}

#if MBEDTLS_VERSION_MAJOR < 3

static int configure_library(mbedtls_ssl_config *config)
{
    static const mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE};
    static const int hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_NONE};
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(config, groups);
    mbedtls_ssl_conf_sig_hashes(config, hashes);
    /* It serves ciphers that we don't offer. */
    mbedtls_ssl_conf_encrypt_then_mac(config, MBEDTLS_SSL_ETM_DISABLED);
    /* A session that is named by its id would cost 900 bytes less. But OpenSSL forgets it when a
     * link is lost without a word, and lost links are what resuming is for; its ticket, which holds
     * our certificate and so 500 bytes, is good for two hours whatever happens. */
    mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
    return 0;
}

#else

/* TLS 1.3 knows tickets only, and they come when the handshake is over. A resumed session has
 * secrets of its own as well (EPHEMERAL_ALL), so that whoever steals the broker's ticket key reads
 * nothing. */
static int configure_library(mbedtls_ssl_config *config)
{
    static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                      MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
    static const uint16_t algorithms[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
                                          MBEDTLS_TLS1_3_SIG_NONE};
    mbedtls_ssl_conf_groups(config, groups);
    mbedtls_ssl_conf_sig_algs(config, algorithms);
    mbedtls_ssl_conf_tls13_key_exchange_modes(config,
                                              MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
    mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    return psa_crypto_init() == PSA_SUCCESS ? 0 : ERR_CRYPTO;
}

#endif

static int set_certificate(struct tls *t, const struct tls_options *o)
{
    if (mbedtls_x509_crt_parse_der(&t->own, o->certificate.data, o->certificate.len) != 0)
        return ERR_FORMAT;
    int rv = set_key(t, o->key);
    if (rv < 0)
        return rv;
    t->certified = true;
    return mbedtls_ssl_conf_own_cert(&t->config, &t->own, &t->key) == 0 ? 0 : ERR_NO_MEMORY;
}

static int set_key(struct tls *t, const struct secret_key *key)
{
    uint8_t memory[X509_KEY_DER_MAX];
    struct der d = der_on(memory, sizeof memory);
    int rv = x509_put_key(&d, key);
    struct span der = der_written(&d);
    if (rv == 0)
#if MBEDTLS_VERSION_MAJOR < 3
        rv = mbedtls_pk_parse_key(&t->key, der.data, der.len, NULL, 0);
#else
        rv = mbedtls_pk_parse_key(&t->key, der.data, der.len, NULL, 0, draw, NULL);
#endif
    mbedtls_platform_zeroize(memory, sizeof memory);
    return rv == 0 ? 0 : ERR_CRYPTO;
}

static int draw(void *context, unsigned char *out, size_t len)
{
    (void)context;
    random_bytes(out, len);
    return 0;
}

/* ---- sessions of before ---- */

/* [link-4]: a session saves checking the broker's certificate, so it must not outlive what that was
 * checked against, nor our certificate, which the broker checked. */
static struct digest bound_to(const struct tls_options *o)
{
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, span_of(o->authorities, o->authority_count * sizeof *o->authorities));
    digest_add(&s, o->certificate);
    return digest_end(&s);
}

static void recall(struct tls *t)
{
    const struct tls_memory *m = t->memory;
    mbedtls_ssl_session session;
    if (!m || m->len == 0 || !digest_equal(&m->bound, &t->bound) || t->now_s > m->not_after_s)
        return;
    mbedtls_ssl_session_init(&session);
    t->offered = mbedtls_ssl_session_load(&session, m->session, m->len) == 0 &&
                 mbedtls_ssl_set_session(&t->ssl, &session) == 0;
    t->not_after_s = m->not_after_s;
    mbedtls_ssl_session_free(&session);
}

/* When the handshake is over. In TLS 1.3 the broker has then not seen our certificate yet, and
 * sends its ticket once it agrees. */
static bool has_ticket(const struct tls *t)
{
#if MBEDTLS_VERSION_MAJOR < 3
    (void)t;
    return true;
#else
    return mbedtls_ssl_get_version_number(&t->ssl) < MBEDTLS_SSL_VERSION_TLS1_3;
#endif
}

static void remember(struct tls *t)
{
    struct tls_memory *m = t->memory;
    mbedtls_ssl_session session;
    if (!m)
        return;
    mbedtls_ssl_session_init(&session);
    m->bound = t->bound;
    m->not_after_s = t->not_after_s;
    if (mbedtls_ssl_get_session(&t->ssl, &session) != 0 ||
        mbedtls_ssl_session_save(&session, m->session, sizeof m->session, &m->len) != 0)
        forget(t);
    mbedtls_ssl_session_free(&session);
}

static void forget(struct tls *t)
{
    if (t->memory)
        mbedtls_platform_zeroize(t->memory, sizeof *t->memory);
}

/* ---- the broker's certificate ---- */

/* The library asks about each certificate of the chain, the broker's own last. What it thinks of
 * them doesn't count; what is said here of the last does. */
static int on_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct tls *t = context;
    *flags = 0;
    if (depth > 0)
        return 0;
    t->refusal = judge(t, crt);
    t->trusted = t->refusal == 0;
    return t->trusted ? 0 : MBEDTLS_ERR_X509_FATAL_ERROR;
}

/* [link-3] of sync/PROTOCOL.md. */
static int judge(struct tls *t, const mbedtls_x509_crt *leaf)
{
    struct certificate broker;
    if (certificate_read(der_of(leaf), &broker) < 0)
        return errmsg_set(&t->reason, ERR_UNTRUSTED, "the broker's certificate is no Dunlin's");
    int rv = go_along(t, leaf);
    if (rv < 0)
        return rv;
    if (broker.use != CERTIFICATE_SERVER)
        return errmsg_set(&t->reason, ERR_UNTRUSTED, "the certificate of \"%s\" is no broker's",
                          broker.name);
    t->not_after_s = broker.not_after_s;
    return check_dates(t, "broker's", &broker);
}

/* Up from the broker's certificate, each by the key of the one behind it, to an authority that is
 * pinned: the one of today, or one that others have followed since. */
static int go_along(struct tls *t, const mbedtls_x509_crt *leaf)
{
    const mbedtls_x509_crt *below = leaf, *at = leaf->next;
    for (int steps = 0; at && steps <= CERTIFICATE_STEPS_MAX; steps++, below = at, at = at->next) {
        struct certificate authority;
        if (certificate_read(der_of(at), &authority) < 0 || authority.use != CERTIFICATE_AUTHORITY)
            break;
        bool pinned = is_pinned(t, &authority.key);
        bool by = certificate_check(der_of(below), &authority.key) == 0;
        if (pinned && !(by && is_vouched(at, &authority)))
            return errmsg_set(
                &t->reason, ERR_UNTRUSTED,
                "the broker's certificate is not by the authority that it comes with");
        if (!by)
            break;
        int rv = check_dates(t, "authority's", &authority);
        if (rv < 0 || pinned)
            return rv;
    }
    return errmsg_set(&t->reason, ERR_UNTRUSTED, "the broker's certificate is by another fleet");
}

/* By itself, or by the next one: else anybody could have written its dates. */
static bool is_vouched(const mbedtls_x509_crt *crt, const struct certificate *says)
{
    struct certificate above;
    return certificate_check(der_of(crt), &says->key) == 0 ||
           (crt->next && certificate_read(der_of(crt->next), &above) == 0 &&
            above.use == CERTIFICATE_AUTHORITY && certificate_check(der_of(crt), &above.key) == 0);
}

static struct span der_of(const mbedtls_x509_crt *crt)
{
    return span_of(crt->raw.p, crt->raw.len);
}

static bool is_pinned(const struct tls *t, const struct public_key *key)
{
    struct key_id id = key_id_of(key);
    for (size_t i = 0; i < t->authority_count; i++)
        if (key_id_equal(&id, &t->authorities[i]))
            return true;
    return false;
}

static int check_dates(struct tls *t, const char *whose, const struct certificate *c)
{
    if (t->now_s > c->not_after_s)
        return errmsg_set(&t->reason, ERR_EXPIRED,
                          "the %s certificate expired on %s: is the device's clock right?", whose,
                          date_text(c->not_after_s).text);
    if (t->now_s < c->not_before_s && !t->clock_is_floor)
        return errmsg_set(&t->reason, ERR_EXPIRED,
                          "the %s certificate is valid from %s on: is the device's clock right?",
                          whose, date_text(c->not_before_s).text);
    return 0;
}

/* ---- talking ---- */

int tls_handshake(struct tls *t, struct errmsg *em)
{
    cork(t, 1);
    int rv = mbedtls_ssl_handshake(&t->ssl);
    cork(t, 0);
    if (waits(t, rv))
        return 0;
    if (rv == 0 && !t->trusted && !t->offered)
        rv = MBEDTLS_ERR_X509_FATAL_ERROR;
    if (rv != 0) {
        forget(t);
        return fail(t, rv, em);
    }
    t->greeted = true;
    if (has_ticket(t))
        remember(t);
    return 1;
}

/* The messages of one turn leave together: fewer packets, and a broker that refuses the first does
 * not close the connection while we still write the others, which would cost us its reason. */
static void cork(const struct tls *t, int on)
{
    setsockopt(t->socket, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

int tls_read(struct tls *t, uint8_t *out, size_t cap, struct errmsg *em)
{
    int rv = mbedtls_ssl_read(&t->ssl, out, cap);
    while (is_ticket(t, rv))
        rv = mbedtls_ssl_read(&t->ssl, out, cap);
    if (rv > 0)
        return rv;
    return waits(t, rv) ? 0 : fail(t, rv, em);
}

/* The library tells of a ticket twice: when it sees one, as if it had to wait for the rest, and
 * when it has taken it. Were it left at the first, the next writing would hear of the second. */
static bool is_ticket(struct tls *t, int rv)
{
#if MBEDTLS_VERSION_MAJOR < 3
    (void)t, (void)rv;
    return false;
#else
    if (rv != MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
        return rv == MBEDTLS_ERR_SSL_WANT_READ && mbedtls_ssl_check_pending(&t->ssl);
    remember(t);
    return t->tickets++ < TICKETS_MAX;
#endif
}

int tls_write(struct tls *t, struct span data, struct errmsg *em)
{
    /* What the library could not send at once it wants to be given again, no more and no less. */
    assert(data.len > 0 && data.len >= t->unfinished);
    size_t len = t->unfinished > 0 ? t->unfinished : data.len;
    int rv = mbedtls_ssl_write(&t->ssl, data.data, len);
    bool again = waits(t, rv);
    t->unfinished = again ? len : 0;
    if (rv > 0)
        return rv;
    return again ? 0 : fail(t, rv, em);
}

void tls_say_goodbye(struct tls *t)
{
    if (t->greeted && t->unfinished == 0)
        mbedtls_ssl_close_notify(&t->ssl);
}

short tls_events(const struct tls *t)
{
    return t->wants_write ? POLLIN | POLLOUT : POLLIN;
}

bool tls_resumed(const struct tls *t)
{
    return t->greeted && t->offered && !t->trusted;
}

const char *tls_version(const struct tls *t)
{
    return mbedtls_ssl_get_version(&t->ssl);
}

static int on_send(void *context, const unsigned char *data, size_t len)
{
    struct tls *t = context;
    ssize_t n = send(t->socket, data, len, MSG_NOSIGNAL);
    if (n >= 0)
        return (int)n;
    t->errno_ = errno;
    bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return again ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_NET_SEND_FAILED;
}

static int on_receive(void *context, unsigned char *out, size_t cap)
{
    struct tls *t = context;
    ssize_t n = recv(t->socket, out, cap, 0);
    if (n >= 0)
        return (int)n;
    t->errno_ = errno;
    bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return again ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

/* ---- what went wrong ---- */

static bool waits(struct tls *t, int rv)
{
    t->wants_write = rv == MBEDTLS_ERR_SSL_WANT_WRITE;
    return rv == MBEDTLS_ERR_SSL_WANT_WRITE || rv == MBEDTLS_ERR_SSL_WANT_READ;
}

static int fail(struct tls *t, int rv, struct errmsg *em)
{
    switch (rv) {
    case MBEDTLS_ERR_NET_SEND_FAILED:
    case MBEDTLS_ERR_NET_RECV_FAILED:
        return errmsg_set(em, ERR_IO, t->greeted ? "%s" : "%s: does the broker speak TLS there?",
                          strerror(t->errno_));
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return explain_alert(t, t->ssl.MBEDTLS_PRIVATE(in_msg)[1], em);
    case 0:
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return errmsg_set(em, ERR_IO,
                          t->greeted
                              ? "the broker closed the connection"
                              : "the broker closed the connection: does it speak TLS there?");
    default:
        if (t->refusal < 0)
            return errmsg_set(em, t->refusal, "%s", t->reason.text);
        return errmsg_set(em, ERR_CRYPTO, "TLS failed (-0x%04x): does the broker speak it there?",
                          (unsigned)-rv);
    }
}

/* RFC 5246, 7.2 and RFC 8446, 6.2. */
static int explain_alert(const struct tls *t, int alert, struct errmsg *em)
{
    static const struct {
        uint8_t alert;
        char reason[28];
    } refusals[] = {
        {42, ""},
        {43, ": it is not a device's"},
        {44, ": it is revoked"},
        {45, ": it is expired"},
        {46, ""},
        {48, ": it is by another fleet"},
        {49, ": access denied"},
        {51, ": it is by another fleet"},
    };
    if (alert == 116 || (alert == 40 && !t->certified)) /* 40 is OpenSSL's word for it in TLS 1.2 */
        return errmsg_set(em, ERR_REFUSED, "the broker wants a certificate, and we have none");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusals[i].alert == alert)
            return errmsg_set(em, ERR_REFUSED, "the broker refused our certificate%s",
                              refusals[i].reason);
    return errmsg_set(em, ERR_REFUSED, "the broker ended TLS with alert %d", alert);
}
