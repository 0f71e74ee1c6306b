/* TLS against a real broker: each test starts its own mosquitto with certificates of its own. */
#include "crypto/certificate.h"
#include "sync/bridge.h"
#include "sync/limits.h"
#include "sync/probe.h"
#include "sync/resolve.h"
#include "test/mqtt_fixture.h"
#include "test/names.h"
#include "test/pki.h"
#include "test/proxy.h"
#include "test/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CA_NAME "Dunlin 0123456789abcdef"
/* A TLS record that greets: handshake, TLS 1.0 for whoever looks at that number. */
#define CLIENT_HELLO "\x16\x03"

static struct pki_entity ca, other_ca, server, agent;
static struct tree_path folder;
static struct key_id pinned[2];
static struct tls_memory memory;
static struct mqtt_tls tls;
static const char *version; /* that both sides should agree on */

/* ---- certificates and brokers ---- */

static void put_pem(const char *name, const struct pki_entity *const *chain, size_t count)
{
    uint8_t text[4 * CERTIFICATE_PEM_MAX];
    struct buffer b = buffer_on(text, sizeof text);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL_FATAL(certificate_pem(pki_der(chain[i]), &b), 0);
    tree_file(&folder, name, 0600, span_buffer(&b));
}

/* The broker shows `leaf` and, behind it, `authority`, and trusts `ca`. */
static void put_broker(const struct pki_entity *leaf, const struct pki_entity *authority)
{
    uint8_t text[CERTIFICATE_PEM_MAX];
    struct buffer b = buffer_on(text, sizeof text);
    put_pem("server.pem", (const struct pki_entity *[]){leaf, authority}, authority ? 2 : 1);
    CU_ASSERT_EQUAL_FATAL(certificate_key_pem(&leaf->secret, &b), 0);
    tree_file(&folder, "key.pem", 0600, span_buffer(&b));
}

static void put_crl(const struct pki_entity *revoked)
{
    uint8_t text[CERTIFICATE_CRL_MAX(1)];
    struct buffer b = buffer_on(text, sizeof text);
    const struct certificate_serial *serial = revoked ? &revoked->says.serial : NULL;
    CU_ASSERT_EQUAL_FATAL(certificate_crl(&ca.secret, CA_NAME, serial, revoked ? 1 : 0,
                                          pki_now_s - 60, pki_now_s + PKI_DAY_S, &b),
                          0);
    tree_file(&folder, "crl.pem", 0600, span_buffer(&b));
}

/* A fleet with one broker's and one agent's certificate, and what the agent's side needs. */
static void set_up(void)
{
    pki_now_s = (uint64_t)time(NULL);
    folder = tree_new();
    ca = pki_entity(CERTIFICATE_AUTHORITY, CA_NAME, 1, NULL);
    other_ca = pki_entity(CERTIFICATE_AUTHORITY, CA_NAME, 9, NULL);
    server = pki_entity(CERTIFICATE_SERVER, "cell 1", 2, &ca);
    agent = pki_entity(CERTIFICATE_CLIENT, NULL, 3, &ca);
    put_pem("ca.pem", (const struct pki_entity *[]){&ca}, 1);
    put_broker(&server, &ca);
    put_crl(NULL);
    pinned[0] = key_id_of(&ca.says.key);
    version = TLS_NEWEST;
    memset(&memory, 0, sizeof memory);
    tls = (struct mqtt_tls){
        .tls = {.authorities = pinned,
                .authority_count = 1,
                .certificate = pki_der(&agent),
                .key = &agent.secret,
                .now_s = pki_now_s,
                .memory = &memory},
        .folder = folder.text,
    };
}

static struct real_broker tls_broker_with(const char *more)
{
    char conf[6 * FILE_PATH_MAX];
    const char *f = folder.text;
    snprintf(conf, sizeof conf,
             "cafile %s/ca.pem\ncertfile %s/server.pem\nkeyfile %s/key.pem\ncrlfile %s/crl.pem\n"
             "require_certificate true\nuse_identity_as_username true\n%s",
             f, f, f, f, more);
    struct real_broker b = real_broker_start(conf);
    snprintf(b.url, sizeof b.url, "mqtts://127.0.0.1:%d", b.port);
    return b;
}

static struct real_broker tls_broker(void)
{
    return tls_broker_with("");
}

static void tear_down(struct real_broker *b)
{
    end(b);
    tree_free(&folder);
}

static struct client *tls_client_new(int slot)
{
    struct mqtt_options options = {
        .client_id = slot == 0 ? "zero" : "one", .keepalive_s = 60, .tls = &tls};
    return client_new(slot, &options);
}

static struct client *tls_client_to(int slot, int port)
{
    char url[64];
    struct client *c = tls_client_new(slot);
    snprintf(url, sizeof url, "mqtts://127.0.0.1:%d", port);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, url, NULL), 0);
    return c;
}

static struct client *tls_client_up(int slot, const struct real_broker *b)
{
    struct client *c = tls_client_to(slot, b->port);
    WAIT(c->ups == 1);
    return c;
}

/* ---- who is let in ---- */

static void test_both_sides_show_certificates_and_talk(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct proxy *p = proxy_start(b.port);
    struct client *c = tls_client_to(0, p->port);
    WAIT(c->ups == 1);
    subscribe(c, "t");
    publish(c, "t", span_text("a secret"), false);
    WAIT(c->messages == 1);
    CU_ASSERT_TRUE(heard(c, "a secret"));
    CU_ASSERT_EQUAL(memcmp(p->flows[PROXY_UP].kept, CLIENT_HELLO, 2), 0);
    for (int way = 0; way < PROXY_WAYS; way++)
        CU_ASSERT_PTR_NULL(memmem(p->flows[way].kept, p->flows[way].bytes, "a secret", 8));
    proxy_stop(p);
    tear_down(&b);
}

static void expect_refusal(const char *words)
{
    if (tls.tls.certificate.len > 0)
        tls.tls.certificate = pki_der(&agent);
    struct real_broker b = tls_broker();
    struct client *c = tls_client_to(0, b.port);
    WAIT(c->downs == 1);
    CU_ASSERT_EQUAL(c->ups, 0);
    if (!strstr(c->reason, words))
        printf("expected \"%s\", heard \"%s\"\n", words, c->reason);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, words));
    CU_ASSERT_EQUAL(memory.len, 0);
    tear_down(&b);
}

static void test_a_broker_of_another_fleet_is_refused(void)
{
    set_up();
    pinned[0] = key_id_of(&other_ca.says.key);
    expect_refusal("the broker's certificate is by another fleet");
}

static void test_a_broker_that_hides_behind_our_authority_is_refused(void)
{
    set_up();
    pki_issue(&server, &other_ca); /* of the same name */
    put_broker(&server, &ca);
    expect_refusal("not by the authority that it comes with");
}

static void test_a_broker_that_sends_no_authority_is_refused(void)
{
    set_up();
    put_broker(&server, NULL);
    put_pem("ca.pem", (const struct pki_entity *[]){&other_ca},
            1); /* OpenSSL would send it along */
    tree_file(&folder, "crl.pem", 0600, SPAN_NONE);
    put_crl(NULL);
    expect_refusal("the broker's certificate is by another fleet");
}

static void test_a_certificate_is_not_its_own_authority(void)
{
    set_up();
    struct pki_entity self = pki_entity(CERTIFICATE_SERVER, CA_NAME, 2, NULL);
    pinned[0] = key_id_of(&self.says.key);
    put_broker(&self, NULL);
    expect_refusal("the broker's certificate is by another fleet");
}

static void test_a_certificate_is_not_its_own_authority_when_sent_twice(void)
{
    set_up();
    struct pki_entity self = pki_entity(CERTIFICATE_SERVER, CA_NAME, 2, NULL);
    pinned[0] = key_id_of(&self.says.key);
    put_broker(&self, &self);
    expect_refusal("the broker's certificate is by another fleet");
}

/* OpenSSL shows it only when its key may sign more than certificates, so OpenSSL makes it. */
static void test_an_authority_is_no_broker(void)
{
    char command[4 * FILE_PATH_MAX];
    set_up();
    put_broker(&ca, &ca);
    snprintf(command, sizeof command,
             "cd %s && openssl req -x509 -new -key key.pem -subj '/CN=" CA_NAME
             "' -days 9 -set_serial 7 "
             "-addext keyUsage=critical,digitalSignature,keyCertSign >ca2.pem 2>/dev/null && "
             "cat ca2.pem ca.pem >server.pem",
             folder.text);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    expect_refusal("the certificate of \"" CA_NAME "\" is no broker's");
}

static void test_a_device_is_no_broker(void)
{
    set_up();
    put_broker(&agent, &ca);
    expect_refusal("is no broker's");
}

static void test_an_expired_broker_is_refused_with_the_date(void)
{
    set_up();
    server.says.not_after_s = 1700000000;
    server.says.not_before_s = 1600000000;
    pki_issue(&server, &ca);
    put_broker(&server, &ca);
    expect_refusal("the broker's certificate expired on 2023-11-14T22:13:20Z: is the device's");
}

static void test_an_expired_broker_is_refused_by_a_floor_as_well(void)
{
    set_up();
    tls.tls.clock_is_floor = true;
    tls.tls.now_s = server.says.not_after_s + 1;
    expect_refusal("'s certificate expired on ");
}

static void test_an_expired_authority_is_refused(void)
{
    set_up();
    ca.says.not_after_s = pki_now_s - 1;
    pki_issue(&ca, NULL);
    put_broker(&server, &ca);
    expect_refusal("the authority's certificate expired on ");
}

static void test_what_is_not_yet_valid_is_refused_by_a_clock_that_is_right(void)
{
    set_up();
    tls.tls.now_s = 1000;
    expect_refusal("certificate is valid from ");
}

static void test_what_is_not_yet_valid_is_accepted_by_a_clock_that_is_a_floor(void)
{
    set_up();
    tls.tls.now_s = 1000;
    tls.tls.clock_is_floor = true;
    struct real_broker b = tls_broker();
    tls_client_up(0, &b);
    tear_down(&b);
}

static void test_the_second_of_two_pinned_authorities_is_as_good_as_the_first(void)
{
    set_up();
    pinned[1] = pinned[0];
    pinned[0] = key_id_of(&other_ca.says.key);
    tls.tls.authority_count = 2;
    struct real_broker b = tls_broker();
    tls_client_up(0, &b);
    tear_down(&b);
}

/* ---- authorities that followed one another ---- */

#define AUTHORITIES (CERTIFICATE_STEPS_MAX + 2)

/* The fleet's authority and those that followed it: each as it certifies itself, and as the one
 * before certifies it. The broker is the last one's. */
static struct pki_entity own[AUTHORITIES], cross[AUTHORITIES];

static void set_up_followed(unsigned last)
{
    set_up();
    own[0] = ca;
    for (unsigned i = 1; i <= last; i++) {
        own[i] = pki_entity(CERTIFICATE_AUTHORITY, NULL, (uint8_t)(20 + i), NULL);
        cross[i] = own[i];
        pki_issue(&cross[i], &own[i - 1]);
    }
    pki_issue(&server, &own[last]);
}

/* Behind the broker's own. */
static void put_chain(const struct pki_entity *const *authorities, size_t count)
{
    const struct pki_entity *chain[2 + AUTHORITIES] = {&server};
    for (size_t i = 0; i < count; i++)
        chain[1 + i] = authorities[i];
    put_broker(&server, NULL);
    put_pem("server.pem", chain, 1 + count);
}

#define PUT_CHAIN(...)                                                                             \
    put_chain((const struct pki_entity *const[]){__VA_ARGS__},                                     \
              sizeof((const struct pki_entity *[]){__VA_ARGS__}) / sizeof(struct pki_entity *))

static void expect_welcome(void)
{
    struct real_broker b = tls_broker();
    tls_client_up(0, &b);
    tear_down(&b);
}

static void test_the_authority_that_followed_is_found_by_who_knows_the_old_one(void)
{
    set_up_followed(1);
    PUT_CHAIN(&cross[1], &own[0]);
    expect_welcome();
}

static void test_who_has_learned_of_the_new_authority_needs_no_old_one(void)
{
    set_up_followed(1);
    PUT_CHAIN(&cross[1], &own[0]);
    pinned[0] = key_id_of(&own[1].says.key);
    expect_welcome();
    set_up_followed(1);
    PUT_CHAIN(&own[1]);
    pinned[0] = key_id_of(&own[1].says.key);
    expect_welcome();
}

static void test_who_has_learned_of_the_new_authority_refuses_the_old_one(void)
{
    set_up_followed(1);
    pki_issue(&server, &own[0]);
    put_broker(&server, &own[0]);
    pinned[0] = key_id_of(&own[1].says.key);
    expect_refusal("the broker's certificate is by another fleet");
}

static void test_three_authorities_are_followed_and_a_fourth_is_not(void)
{
    set_up_followed(3);
    PUT_CHAIN(&cross[3], &cross[2], &cross[1], &own[0]);
    expect_welcome();
    set_up_followed(4);
    PUT_CHAIN(&cross[4], &cross[3], &cross[2], &cross[1], &own[0]);
    expect_refusal("the broker's certificate is by another fleet");
}

static void test_authorities_in_another_order_are_refused(void)
{
    set_up_followed(2);
    PUT_CHAIN(&cross[1], &cross[2], &own[0]);
    expect_refusal("the broker's certificate is by another fleet");
    set_up_followed(1);
    PUT_CHAIN(&own[0], &cross[1]);
    expect_refusal("not by the authority that it comes with");
}

static void test_a_new_authority_that_the_old_one_did_not_certify_is_refused(void)
{
    set_up_followed(1);
    PUT_CHAIN(&own[1], &own[0]);
    expect_refusal("not by the authority that it comes with");
    set_up_followed(1);
    PUT_CHAIN(&own[1]);
    expect_refusal("the broker's certificate is by another fleet");
    set_up_followed(2);
    PUT_CHAIN(&cross[2], &own[0]);
    expect_refusal("not by the authority that it comes with");
}

static void test_a_new_authority_that_somebody_else_certified_is_refused(void)
{
    set_up_followed(1);
    pki_issue(&cross[1], &other_ca);
    PUT_CHAIN(&cross[1], &other_ca);
    expect_refusal("the broker's certificate is by another fleet");
    set_up_followed(1);
    pki_issue(&cross[1], &other_ca); /* of the same name */
    PUT_CHAIN(&cross[1], &own[0]);
    expect_refusal("not by the authority that it comes with");
}

static void test_a_device_certifies_no_authority_and_no_broker(void)
{
    set_up_followed(1);
    pki_issue(&cross[1], &agent);
    PUT_CHAIN(&cross[1], &agent, &own[0]);
    expect_refusal("the broker's certificate is by another fleet");
    set_up();
    pki_issue(&server, &agent);
    PUT_CHAIN(&agent, &ca);
    expect_refusal("the broker's certificate is by another fleet");
}

static void test_an_expired_step_is_refused(void)
{
    set_up_followed(2);
    cross[1].says.not_after_s = pki_now_s - 1;
    pki_issue(&cross[1], &own[0]);
    PUT_CHAIN(&cross[2], &cross[1], &own[0]);
    expect_refusal("the authority's certificate expired on ");
}

static void test_dates_that_nobody_vouches_for_are_refused(void)
{
    set_up();
    pki_issue(&ca, &other_ca);
    put_broker(&server, &ca);
    expect_refusal("not by the authority that it comes with");
}

static void test_without_an_authority_nobody_is_trusted(void)
{
    set_up();
    tls.tls.authority_count = 0;
    expect_refusal("the broker's certificate is by another fleet");
}

static void test_the_broker_wants_a_certificate(void)
{
    set_up();
    tls.tls.certificate = SPAN_NONE;
    expect_refusal("the broker wants a certificate, and we have none");
}

static void test_the_broker_refuses_a_certificate_by_another_fleet(void)
{
    set_up();
    pki_issue(&agent, &other_ca); /* of the same name */
    expect_refusal("the broker refused our certificate: it is by another fleet");
    set_up();
    snprintf(other_ca.says.name, sizeof other_ca.says.name, "another");
    pki_issue(&agent, &other_ca);
    expect_refusal("the broker refused our certificate: it is by another fleet");
}

static void test_the_broker_refuses_a_certificate_that_is_revoked(void)
{
    set_up();
    put_crl(&agent);
    expect_refusal("the broker refused our certificate: it is revoked");
}

static void test_the_broker_refuses_a_certificate_that_is_expired(void)
{
    set_up();
    agent.says.not_before_s -= PKI_DAY_S;
    agent.says.not_after_s = pki_now_s - 1;
    pki_issue(&agent, &ca);
    expect_refusal("the broker refused our certificate: it is expired");
}

static void test_a_listener_may_do_without_our_certificate(void)
{
    char conf[4 * FILE_PATH_MAX];
    set_up();
    tls.tls.certificate = SPAN_NONE;
    snprintf(conf, sizeof conf,
             "certfile %s/server.pem\nkeyfile %s/key.pem\nallow_anonymous true\n", folder.text,
             folder.text);
    struct real_broker b = real_broker_start(conf);
    tls_client_up(0, &b);
    tear_down(&b);
}

/* ---- meddlers and brokers that don't behave ---- */

static void test_a_plain_broker_is_told_from_one_with_tls(void)
{
    set_up();
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = tls_client_to(0, b.port);
    WAIT(c->downs == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "speak TLS there?"));
    tear_down(&b);
}

/* Publishes until the connection is lost. A flipped bit in a length can make either side wait for
 * more, for as long as it may. */
static void talk_until_down(struct client *c)
{
    static const struct span words = {(const uint8_t *)"many of these", 13};
    for (uint64_t until = real_ms() + 500; !c->downs && real_ms() < until; turn())
        mqtt_publish(c->mqtt, "t", words, 1, false);
    if (!c->downs)
        ahead_ms += MQTT_CONNECT_MS_MAX;
    WAIT(c->downs == 1);
}

/* In the greeting, and in what follows it. */
static void test_a_flipped_bit_ends_the_connection(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct proxy *p = proxy_start(b.port);
    for (size_t at = 30; at < 2400; at += 177) {
        for (int way = 0; way < PROXY_WAYS; way++) {
            memset(&memory, 0, sizeof memory);
            proxy_clear(p);
            p->flows[way].flip_at = at;
            struct client *c = tls_client_to(0, p->port);
            talk_until_down(c);
            CU_ASSERT_NOT_EQUAL(c->reason[0], '\0');
            mqtt_free(c->mqtt);
            c->mqtt = NULL;
        }
    }
    proxy_stop(p);
    tear_down(&b);
}

static void test_a_broker_that_takes_the_connection_and_stalls_is_given_up(void)
{
    struct real_broker none = {0};
    set_up();
    int port, listener = bind_free(&port);
    CU_ASSERT_EQUAL(listen(listener, 1), 0);
    struct client *c = tls_client_to(0, port);
    for (int i = 0; i < 5; i++)
        turn();
    CU_ASSERT_EQUAL(c->downs, 0);
    ahead_ms += MQTT_CONNECT_MS_MAX;
    WAIT(c->downs == 1);
    CU_ASSERT_STRING_EQUAL(c->reason, "the broker does not answer");
    close(listener);
    tear_down(&none);
}

static void test_a_link_that_stalls_later_is_noticed_by_the_keep_alive(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct proxy *p = proxy_start(b.port);
    struct client *c = tls_client_to(0, p->port);
    WAIT(c->ups == 1);
    p->stalled = true;
    for (int i = 0; i < 10; i++)
        turn();
    CU_ASSERT_EQUAL(c->downs, 0);
    proxy_stop(p);
    WAIT(c->downs == 1);
    CU_ASSERT_NOT_EQUAL(c->reason[0], '\0');
    tear_down(&b);
}

static struct proxy *proxy_of_a_link(struct real_broker *b)
{
    set_up();
    *b = tls_broker();
    struct proxy *p = proxy_start(b->port);
    struct client *c = tls_client_to(0, p->port);
    WAIT(c->ups == 1);
    subscribe(c, "t");
    for (int i = 0; i < 10; i++)
        turn();
    proxy_clear(p);
    return p;
}

/* Nothing is asked of a link that nobody has doubts about; of one that is well once, and 40 bytes
 * and an answer are all that it takes. Another question so soon after waits. */
static void test_a_link_that_is_well_answers_a_probe(void)
{
    struct real_broker b;
    struct proxy *p = proxy_of_a_link(&b);
    struct client *c = &clients[0];
    ahead_ms += PROBE_SILENCE_MS;
    for (int i = 0; i < 10; i++)
        turn();
    CU_ASSERT_EQUAL(p->flows[PROXY_UP].bytes, 0);
    for (int i = 0; i < 3; i++)
        mqtt_probe(c->mqtt);
    WAIT(p->flows[PROXY_DOWN].bytes > 0);
    for (int i = 0; i < 10; i++)
        turn();
    size_t asked = p->flows[PROXY_UP].bytes, answered = p->flows[PROXY_DOWN].bytes;
    CU_ASSERT_TRUE(asked <= 40 && answered <= 40);
    ahead_ms += PROBE_SILENCE_MS;
    WAIT(p->flows[PROXY_DOWN].bytes == 2 * answered);
    ahead_ms += 2 * PROBE_SILENCE_MS;
    for (int i = 0; i < 10; i++)
        turn();
    CU_ASSERT_EQUAL(p->flows[PROXY_UP].bytes, 2 * asked);
    CU_ASSERT_EQUAL(c->downs, 0);
    proxy_stop(p);
    tear_down(&b);
}

static void test_a_link_that_owes_a_probe_its_answer_is_given_up(void)
{
    struct real_broker b;
    struct proxy *p = proxy_of_a_link(&b);
    struct client *c = &clients[0];
    p->stalled = true;
    mqtt_probe(c->mqtt);
    ahead_ms += PROBE_SILENCE_MS / 2;
    for (int i = 0; i < 10; i++)
        turn();
    CU_ASSERT_EQUAL(c->downs, 0);
    ahead_ms += PROBE_SILENCE_MS / 2;
    WAIT(c->downs == 1);
    CU_ASSERT_EQUAL(mqtt_loss(c->mqtt), ERR_TIMEOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "over this network"));
    mqtt_probe(c->mqtt); /* there is nothing to ask about any more */
    proxy_stop(p);
    tear_down(&b);
}

/* As by a router that knows nothing of the connection. */
static void test_a_link_that_ends_while_it_owes_an_answer_ends_by_its_network(void)
{
    struct real_broker b;
    struct proxy *p = proxy_of_a_link(&b);
    struct client *c = &clients[0];
    p->stalled = true;
    mqtt_probe(c->mqtt);
    for (int i = 0; i < 5; i++)
        turn();
    proxy_stop(p);
    WAIT(c->downs == 1);
    CU_ASSERT_EQUAL(mqtt_loss(c->mqtt), ERR_TIMEOUT);
    tear_down(&b);
}

/* A record of TLS that comes in pieces is no packet yet, and a sign of life. */
static void test_bytes_on_a_slow_link_put_the_end_of_a_probe_off(void)
{
    static uint8_t large[CHUNK_MAX];
    struct real_broker b;
    struct proxy *p = proxy_of_a_link(&b);
    struct client *c = &clients[0], *other = tls_client_up(1, &b);
    p->stalled = true;
    mqtt_probe(c->mqtt);
    CU_ASSERT_TRUE(mqtt_publish(other->mqtt, "t", span_of(large, sizeof large), 1, false) > 0);
    WAIT(other->acks == 1);
    p->trickles = true;
    p->stalled = false;
    size_t came = 0;
    for (int i = 0; i < 3; i++) {
        WAIT(p->flows[PROXY_DOWN].bytes > came);
        came = p->flows[PROXY_DOWN].bytes;
        turn();
        ahead_ms += PROBE_SILENCE_MS - 1000;
    }
    CU_ASSERT_EQUAL(c->messages + c->downs, 0);
    p->trickles = false;
    WAIT(c->messages == 1);
    CU_ASSERT_EQUAL(c->downs, 0);
    proxy_stop(p);
    tear_down(&b);
}

static void test_nobody_there_is_told(void)
{
    struct real_broker none = {0};
    set_up();
    int port;
    close(bind_free(&port));
    struct client *c = tls_client_to(0, port);
    WAIT(c->downs == 1);
    CU_ASSERT_STRING_EQUAL(c->reason, "Connection refused");
    tear_down(&none);
}

/* ---- short greetings ---- */

/* A second client of the same name makes the broker drop the first. */
static void take_over(int port)
{
    static struct mqtt_tls forgetful;
    char url[64];
    forgetful = tls;
    forgetful.tls.memory = NULL;
    struct mqtt_options options = {.client_id = "zero", .keepalive_s = 60, .tls = &forgetful};
    struct client *c = client_new(1, &options);
    snprintf(url, sizeof url, "mqtts://127.0.0.1:%d", port);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, url, NULL), 0);
    WAIT(c->ups == 1);
    mqtt_free(c->mqtt);
    c->mqtt = NULL;
}

enum leaving { POLITELY, WITHOUT_A_WORD, BY_THE_BROKER };

/* Bytes both ways of a connection with two subscriptions and one status. */
static size_t visit(struct proxy *p, bool resumed, enum leaving leaving)
{
    static const char *const topics[] = {"dl1/cohort/0123456789abcdef0123456789abcdef/0",
                                         "dl1/agent/0123456789abcdef0123456789abcdef/head"};
    static const uint8_t status[40];
    proxy_clear(p);
    struct client *c = tls_client_to(0, p->port);
    WAIT(c->ups == 1);
    CU_ASSERT_STRING_EQUAL(mqtt_tls_version(c->mqtt), version);
    CU_ASSERT_EQUAL(mqtt_resumed(c->mqtt), resumed);
    CU_ASSERT_TRUE(mqtt_subscribe(c->mqtt, topics, 2, 1) > 0);
    publish(c, "dl1/up/0123456789abcdef0123456789abcdef", span_of(status, sizeof status), false);
    WAIT(c->answers == 1);
    size_t bytes = p->flows[PROXY_UP].bytes + p->flows[PROXY_DOWN].bytes;
    if (leaving == BY_THE_BROKER) {
        take_over(p->server_port);
        WAIT(c->downs == 1);
    }
    if (leaving == WITHOUT_A_WORD)
        mqtt_drop(c->mqtt);
    mqtt_free(c->mqtt);
    c->mqtt = NULL;
    return bytes;
}

/* A full greeting takes 2,700 bytes with all that follows, 550 of them a ticket for the next one; a
 * short one 1,200. In TLS 1.3 it is two tickets, and one after each short greeting as well: 3,700
 * and 2,200. A ticket that the broker doesn't know comes on top. */
static void expect_visit(struct proxy *p, bool resumed, enum leaving leaving)
{
    size_t more = strcmp(version, "TLSv1.3") == 0 ? 1000 : 0;
    size_t bytes = visit(p, resumed, leaving);
    CU_ASSERT_TRUE(resumed ? bytes < 1300 + more : bytes > 2000 + more && bytes < 3500 + more);
}

static void test_a_second_greeting_is_short_however_the_first_connection_ended(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct proxy *p = proxy_start(b.port);
    expect_visit(p, false, POLITELY);
    expect_visit(p, true, POLITELY);
    expect_visit(p, true, WITHOUT_A_WORD);
    expect_visit(p, true, BY_THE_BROKER);
    expect_visit(p, true, POLITELY);
    proxy_stop(p);
    tear_down(&b);
}

/* The broker sees the end of the stream and no good-bye, as when a mast loses its power. */
static void test_a_link_that_was_cut_begins_anew_with_a_short_greeting(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct proxy *p = proxy_start(b.port);
    struct client *c = tls_client_to(0, p->port);
    WAIT(c->ups == 1);
    proxy_stop(p);
    WAIT(c->downs == 1);
    mqtt_free(c->mqtt);
    c->mqtt = NULL;
    p = proxy_start(b.port);
    expect_visit(p, true, POLITELY);
    proxy_stop(p);
    tear_down(&b);
}

static void test_a_broker_that_forgot_gets_a_full_greeting(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct proxy *p = proxy_start(b.port);
    expect_visit(p, false, POLITELY);
    real_broker_kill(&b);
    real_broker_run(&b);
    expect_visit(p, false, POLITELY);
    expect_visit(p, true, POLITELY);
    proxy_stop(p);
    tear_down(&b);
}

/* As one with an older OpenSSL. */
static void restart_with_tls_1_2_at_most(struct real_broker *b)
{
    char path[2 * FILE_PATH_MAX];
    tree_file(&folder, "openssl.cnf", 0600,
              span_text("openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\n"
                        "system_default = most\n[most]\nMaxProtocol = TLSv1.2\n"));
    snprintf(path, sizeof path, "%s/openssl.cnf", folder.text);
    setenv("OPENSSL_CONF", path, 1);
    real_broker_kill(b);
    real_broker_run(b);
    unsetenv("OPENSSL_CONF");
    version = "TLSv1.2";
}

static void test_a_broker_with_tls_1_2_is_spoken_to_in_that(void)
{
    set_up();
    struct real_broker b = tls_broker();
    restart_with_tls_1_2_at_most(&b);
    struct proxy *p = proxy_start(b.port);
    expect_visit(p, false, WITHOUT_A_WORD);
    expect_visit(p, true, WITHOUT_A_WORD);
    expect_visit(p, true, POLITELY);
    proxy_stop(p);
    tear_down(&b);
}

static void test_another_certificate_or_authority_needs_a_full_greeting(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct proxy *p = proxy_start(b.port);
    expect_visit(p, false, POLITELY);
    agent.says.not_after_s++;
    pki_issue(&agent, &ca);
    tls.tls.certificate = pki_der(&agent);
    expect_visit(p, false, POLITELY);
    pinned[1] = key_id_of(&other_ca.says.key);
    tls.tls.authority_count = 2;
    expect_visit(p, false, POLITELY);
    expect_visit(p, true, POLITELY);
    tls.tls.now_s = server.says.not_after_s + 1;
    struct client *c = tls_client_to(0, p->port);
    WAIT(c->downs == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "expired"));
    proxy_stop(p);
    tear_down(&b);
}

static void test_a_damaged_memory_is_none(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct proxy *p = proxy_start(b.port);
    expect_visit(p, false, POLITELY);
    memory.len /= 2;
    expect_visit(p, false, POLITELY);
    memset(memory.session, 0xff, sizeof memory.session);
    expect_visit(p, false, POLITELY);
    proxy_stop(p);
    tear_down(&b);
}

/* ---- much traffic ---- */

#define MESSAGES 300

/* Hears numbered messages, of which some may come twice. */
struct reader {
    struct mqtt *mqtt;
    bool up, heard[MESSAGES];
    unsigned different;
};

static void reader_up(void *context, bool session_present)
{
    static const char *const topics[] = {"n/+"};
    struct reader *r = context;
    (void)session_present;
    r->up = true;
    mqtt_subscribe(r->mqtt, topics, 1, 1);
}

static void reader_down(void *context, const char *reason)
{
    struct reader *r = context;
    (void)reason;
    r->up = false;
}

static void reader_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct reader *r = context;
    unsigned long n = strtoul(topic + 2, NULL, 10);
    (void)retained;
    CU_ASSERT_EQUAL(payload.len, 4096);
    CU_ASSERT_TRUE_FATAL(n < MESSAGES);
    r->different += !r->heard[n];
    r->heard[n] = true;
}

static void reader_turn(struct reader *r, const struct real_broker *b)
{
    struct pollfd fds[MQTT_FDS];
    mqtt_watch(r->mqtt, fds);
    poll(fds, MQTT_FDS, 1);
    mqtt_service(r->mqtt, fds);
    if (!r->up && fds[0].fd < 0 && b->pid > 0)
        mqtt_connect(r->mqtt, b->url, NULL);
    turn();
}

/* Publishes until each message is acknowledged, over as many connections as it takes. */
static void feed(struct client *c, const struct real_broker *b, int mids[static MESSAGES])
{
    static const uint8_t payload[4096];
    char topic[16];
    bool idle = c->downs == c->ups && c->reason[0];
    if (idle)
        memset(mids, 0, MESSAGES * sizeof *mids);
    if (idle && mqtt_connect(c->mqtt, b->url, NULL) == 0)
        c->reason[0] = '\0';
    for (int i = 0, burst = 0; i < MESSAGES && c->ups > c->downs && burst < 10; i++) {
        if (mids[i] > 0)
            continue;
        snprintf(topic, sizeof topic, "n/%d", i);
        mids[i] = mqtt_publish(c->mqtt, topic, span_of(payload, sizeof payload), 1, false);
        burst++;
    }
}

static void test_a_broker_stopped_in_mid_stream_loses_nothing(void)
{
    static struct reader r;
    static int mids[MESSAGES];
    char conf[2 * FILE_PATH_MAX];
    set_up();
    tls.tls.memory = NULL; /* two clients */
    snprintf(conf, sizeof conf,
             "persistence true\npersistence_location %s/\nmax_queued_messages 0\n", folder.text);
    struct real_broker b = tls_broker_with(conf);
    const struct mqtt_options options = {
        .client_id = "reader", .keepalive_s = 60, .persistent = true, .tls = &tls};
    const struct mqtt_handler handler = {
        .context = &r, .up = reader_up, .down = reader_down, .message = reader_message};
    r = (struct reader){.mqtt = mqtt_new(&options, &handler)};
    struct client *c = tls_client_up(0, &b);
    bool stopped = false;
    uint64_t until = real_ms() + 3 * PATIENCE_MS;
    while (r.different < MESSAGES && real_ms() < until) {
        reader_turn(&r, &b);
        if (r.up)
            feed(c, &b, mids);
        if (!stopped && r.different > MESSAGES / 3) {
            kill(b.pid, SIGTERM); /* it writes down what it holds */
            waitpid(b.pid, NULL, 0);
            real_broker_run(&b);
            stopped = true;
        }
    }
    CU_ASSERT_TRUE(stopped);
    CU_ASSERT_EQUAL(r.different, MESSAGES);
    mqtt_free(r.mqtt);
    tear_down(&b);
}

/* ---- the bridge by itself ---- */

/* Connects like the library. */
static int reach(void *context, const char *name)
{
    int *out = context;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    struct stat st;
    CU_ASSERT_EQUAL(stat(name, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
    *out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return connect(*out, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : ERR_IO;
}

/* As another process of this user would, which found the socket first. */
static int reach_second(void *context, const char *name)
{
    int status, fd;
    pid_t pid = fork();
    if (pid == 0)
        _exit(reach(&fd, name) == 0 ? 0 : 1);
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    return reach(context, name);
}

static struct bridge *bridge_to(const char *host, int port, const char *where)
{
    const struct bridge_options options = {
        .host = host, .port = port, .tls = &tls.tls, .folder = where, .packet_max = 100000};
    struct bridge *b = bridge_new(&options, real_ms());
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    return b;
}

/* One turn of a loop in which `socket` is not read. */
static void bridge_turn(struct bridge *b)
{
    struct pollfd fds[BRIDGE_FDS];
    bridge_watch(b, fds);
    poll(fds, BRIDGE_FDS, 20);
    bridge_service(b, real_ms());
}

#define BRIDGE_WAIT(bridge, condition)                                                             \
    do {                                                                                           \
        uint64_t bridge_until_ms = real_ms() + PATIENCE_MS;                                        \
        while (!(condition) && real_ms() < bridge_until_ms)                                        \
            bridge_turn(bridge);                                                                   \
        CU_ASSERT_TRUE(condition);                                                                 \
    } while (0)

/* MQTT's CONNECT, clean session; and SUBSCRIBE to "n/+", QoS 0. */
static const char hello[] = "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01r"
                            "\x82\x08\x00\x01\x00\x03n/+\x00";

static ssize_t drain(int fd)
{
    static uint8_t rubbish[65536];
    ssize_t n, all = 0;
    while ((n = recv(fd, rubbish, sizeof rubbish, 0)) > 0)
        all += n;
    return all;
}

static size_t resident_pages(void)
{
    size_t all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CU_ASSERT_EQUAL(fscanf(f, "%zu %zu", &all, &resident), 2);
    fclose(f);
    return resident;
}

static void test_a_reader_that_pauses_makes_the_broker_wait(void)
{
    static const uint8_t payload[65536];
    enum { COUNT = 288, ALL = COUNT * sizeof payload }; /* 18 MB */
    int fd;
    set_up();
    struct real_broker b = tls_broker_with("max_queued_messages 0\n");
    struct proxy *p = proxy_start(b.port);
    struct bridge *bridge = bridge_to("127.0.0.1", p->port, folder.text);
    CU_ASSERT_EQUAL(bridge_join(bridge, reach, &fd, NULL), 0);
    CU_ASSERT_EQUAL(send(fd, hello, sizeof hello - 1, 0), (ssize_t)sizeof hello - 1);
    ssize_t greeting = 0;
    BRIDGE_WAIT(bridge, (greeting += drain(fd)) >= 9); /* CONNACK and SUBACK */
    tls.tls.memory = NULL;
    struct client *feeder = tls_client_up(0, &b);
    for (int i = 0; i < COUNT; i++)
        mqtt_publish(feeder->mqtt, "n/1", span_of(payload, sizeof payload), 1, false);
    size_t before = resident_pages(), passed = 0;
    /* Until nothing moves any more. */
    for (int still = 0; still < 10;) {
        turn();
        bridge_turn(bridge);
        still = p->flows[PROXY_DOWN].bytes == passed && feeder->acks == COUNT ? still + 1 : 0;
        passed = p->flows[PROXY_DOWN].bytes;
    }
    CU_ASSERT_TRUE(passed < ALL);
    CU_ASSERT_TRUE(resident_pages() < before + 256);
    ssize_t all = 0;
    BRIDGE_WAIT(bridge, (all += drain(fd)) >= ALL);
    bridge_free(bridge);
    close(fd);
    proxy_stop(p);
    tear_down(&b);
}

/* MQTT lets a packet announce 256 MiB, and the library would make room for it. */
static void test_a_packet_that_nobody_would_take_ends_the_connection(void)
{
    static const uint8_t payload[100001];
    int fd;
    set_up();
    struct real_broker b = tls_broker();
    struct bridge *bridge = bridge_to("127.0.0.1", b.port, folder.text);
    CU_ASSERT_EQUAL(bridge_join(bridge, reach, &fd, NULL), 0);
    CU_ASSERT_EQUAL(send(fd, hello, sizeof hello - 1, 0), (ssize_t)sizeof hello - 1);
    ssize_t heard_bytes = 0;
    BRIDGE_WAIT(bridge, (heard_bytes += drain(fd)) >= 9);
    tls.tls.memory = NULL;
    struct client *feeder = tls_client_up(0, &b);
    publish(feeder, "n/1", span_of(payload, 100000 - 5), false); /* 5: the topic and its length */
    BRIDGE_WAIT(bridge, (heard_bytes += drain(fd)) >= 9 + 4 + 100000);
    CU_ASSERT_PTR_NULL(bridge_reason(bridge));
    publish(feeder, "n/1", span_of(payload, 100000 - 4), false);
    BRIDGE_WAIT(bridge, bridge_reason(bridge) != NULL);
    CU_ASSERT_STRING_EQUAL(bridge_reason(bridge),
                           "the broker sent a packet of 100001 bytes or more");
    char byte;
    CU_ASSERT_EQUAL(recv(fd, &byte, 1, 0), 0); /* the library hears nothing of it but the end */
    bridge_free(bridge);
    close(fd);
    tear_down(&b);
}

/* A server of our fleet that sends what is written to `in`. */
static pid_t start_hostile(int port, int *in)
{
    int ends[2];
    char address[32];
    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[0], STDIN_FILENO);
        if (chdir(folder.text) < 0 || !freopen("/dev/null", "w", stdout) ||
            !freopen("/dev/null", "w", stderr))
            _exit(126);
        execlp("openssl", "openssl", "s_server", "-quiet", "-accept", address, "-cert",
               "server.pem", "-cert_chain", "ca.pem", "-key", "key.pem", (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    *in = ends[1];
    return pid;
}

/* TLS has greeted: the library's side is listened to. */
static bool flows(const struct bridge *b)
{
    struct pollfd fds[BRIDGE_FDS];
    bridge_watch(b, fds);
    return fds[1].fd >= 0 && fds[1].events & POLLIN;
}

static void test_lengths_that_come_in_pieces_or_never_end_are_seen_through(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *reason;
    } cases[] = {
        {"\x20\x02\x00\x00\xd0\x00\x30\xa1\x8d\x06", 10, "a packet of 100001 bytes or more"},
        {"\x30\xff\xff\xff\x7f", 5, "a packet of 2097151 bytes or more"},
        {"\x30\x80\x80\x80\x80\x80", 6, "a packet without an end to its length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct real_broker none = {0};
        int fd, in, port;
        set_up();
        close(bind_free(&port));
        pid_t pid = start_hostile(port, &in);
        while (!answers(port))
            poll(NULL, 0, 10);
        struct bridge *bridge = bridge_to("127.0.0.1", port, folder.text);
        CU_ASSERT_EQUAL(bridge_join(bridge, reach, &fd, NULL), 0);
        BRIDGE_WAIT(bridge, flows(bridge));
        for (size_t at = 0; at < cases[i].len; at++) {
            CU_ASSERT_EQUAL(write(in, cases[i].bytes + at, 1), 1);
            bridge_turn(bridge);
        }
        BRIDGE_WAIT(bridge, bridge_reason(bridge) != NULL);
        CU_ASSERT_PTR_NOT_NULL(strstr(bridge_reason(bridge), cases[i].reason));
        bridge_free(bridge);
        close(fd);
        close(in);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        tear_down(&none);
    }
}

static void test_a_folder_may_have_a_long_path(void)
{
    char path[FILE_PATH_MAX], step[102], before[FILE_PATH_MAX], after[FILE_PATH_MAX];
    int fd;
    set_up();
    struct real_broker b = tls_broker();
    snprintf(path, sizeof path, "%s", folder.text);
    memset(step, 'd', sizeof step - 1);
    step[0] = '/';
    step[sizeof step - 1] = '\0';
    while (strlen(path) < 950) {
        strcat(path, step);
        CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    }
    CU_ASSERT_PTR_NOT_NULL(getcwd(before, sizeof before));
    struct bridge *bridge = bridge_to("127.0.0.1", b.port, path);
    CU_ASSERT_EQUAL(bridge_join(bridge, reach, &fd, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL(getcwd(after, sizeof after));
    CU_ASSERT_STRING_EQUAL(before, after);
    CU_ASSERT_EQUAL(send(fd, hello, sizeof hello - 1, 0), (ssize_t)sizeof hello - 1);
    ssize_t all = 0;
    BRIDGE_WAIT(bridge, (all += drain(fd)) >= 9);
    CU_ASSERT_EQUAL(rmdir(path), 0); /* the socket is gone already */
    bridge_free(bridge);
    close(fd);
    tear_down(&b);
}

static void test_another_process_is_not_let_in(void)
{
    int fd;
    set_up();
    struct real_broker b = tls_broker();
    struct bridge *bridge = bridge_to("127.0.0.1", b.port, folder.text);
    CU_ASSERT_EQUAL(bridge_join(bridge, reach_second, &fd, NULL), 0);
    CU_ASSERT_EQUAL(send(fd, hello, sizeof hello - 1, 0), (ssize_t)sizeof hello - 1);
    ssize_t all = 0;
    BRIDGE_WAIT(bridge, (all += drain(fd)) >= 9);
    bridge_free(bridge);
    close(fd);
    tear_down(&b);
}

static void test_a_folder_that_is_not_there_is_told(void)
{
    struct real_broker none = {0};
    set_up();
    tls.folder = "/nowhere";
    struct client *c = tls_client_to(0, 1);
    WAIT(c->downs == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "/nowhere: cannot work in"));
    tear_down(&none);
}

/* ---- names ---- */

static void connect_by_name(struct client *c, const char *scheme, const char *host, int port)
{
    char url[128];
    snprintf(url, sizeof url, "%s://%s:%d", scheme, host, port);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, url, NULL), 0);
}

static void test_the_second_address_of_a_name_is_tried_when_the_first_refuses(void)
{
    set_up();
    struct real_broker b = tls_broker();
    struct client *c = tls_client_new(0);
    connect_by_name(c, "mqtts", "both.test", b.port);
    WAIT(c->ups == 1);
    tear_down(&b);
}

static void test_a_name_that_takes_forever_stops_nobody_else(void)
{
    static const char *const schemes[] = {"mqtt", "mqtts"};
    for (int i = 0; i < 2; i++) {
        set_up();
        struct real_broker b = tls_broker();
        struct client *slow = tls_client_new(0);
        uint64_t start_ms = real_ms();
        connect_by_name(slow, schemes[i], "slow.test", b.port);
        tls_client_up(1, &b);
        CU_ASSERT_TRUE(real_ms() - start_ms < RESOLVE_MS_MAX / 2);
        CU_ASSERT_EQUAL(slow->downs, 0);
        ahead_ms += RESOLVE_MS_MAX;
        WAIT(slow->downs == 1);
        CU_ASSERT_STRING_EQUAL(slow->reason, "the host name can't be found in time");
        CU_ASSERT_TRUE(waitpid(-1, NULL, WNOHANG) == 0); /* the broker is the only child */
        tear_down(&b);
    }
}

static void test_a_look_up_ends_with_the_connection(void)
{
    struct real_broker none = {0};
    set_up();
    struct client *c = tls_client_new(0);
    connect_by_name(c, "mqtts", "slow.test", 1);
    turn();
    mqtt_disconnect(c->mqtt);
    CU_ASSERT_TRUE(waitpid(-1, NULL, WNOHANG) < 0);
    connect_by_name(c, "mqtt", "none.test", 1);
    WAIT(c->downs == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "the host name can't be found"));
    tear_down(&none);
}

static void test_tls_needs_to_be_set_up(void)
{
    struct real_broker none = {0};
    struct errmsg em;
    struct client *c = client_new(0, NULL);
    set_up();
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, "mqtts://127.0.0.1", &em), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, "mqtts://127.0.0.1: TLS is not set up here");
    tear_down(&none);
}

static const struct suite_test tests[] = {
    TEST(test_both_sides_show_certificates_and_talk),
    TEST(test_a_broker_of_another_fleet_is_refused),
    TEST(test_a_broker_that_hides_behind_our_authority_is_refused),
    TEST(test_a_broker_that_sends_no_authority_is_refused),
    TEST(test_a_certificate_is_not_its_own_authority),
    TEST(test_a_certificate_is_not_its_own_authority_when_sent_twice),
    TEST(test_an_authority_is_no_broker),
    TEST(test_a_device_is_no_broker),
    TEST(test_an_expired_broker_is_refused_with_the_date),
    TEST(test_an_expired_broker_is_refused_by_a_floor_as_well),
    TEST(test_an_expired_authority_is_refused),
    TEST(test_what_is_not_yet_valid_is_refused_by_a_clock_that_is_right),
    TEST(test_what_is_not_yet_valid_is_accepted_by_a_clock_that_is_a_floor),
    TEST(test_the_second_of_two_pinned_authorities_is_as_good_as_the_first),
    TEST(test_without_an_authority_nobody_is_trusted),
    TEST(test_the_broker_wants_a_certificate),
    TEST(test_the_broker_refuses_a_certificate_by_another_fleet),
    TEST(test_the_broker_refuses_a_certificate_that_is_revoked),
    TEST(test_the_broker_refuses_a_certificate_that_is_expired),
    TEST(test_a_listener_may_do_without_our_certificate),
    TEST(test_a_plain_broker_is_told_from_one_with_tls),
    TEST(test_a_flipped_bit_ends_the_connection),
    TEST(test_a_broker_that_takes_the_connection_and_stalls_is_given_up),
    TEST(test_a_link_that_stalls_later_is_noticed_by_the_keep_alive),
    TEST(test_a_link_that_is_well_answers_a_probe),
    TEST(test_a_link_that_owes_a_probe_its_answer_is_given_up),
    TEST(test_a_link_that_ends_while_it_owes_an_answer_ends_by_its_network),
    TEST(test_bytes_on_a_slow_link_put_the_end_of_a_probe_off),
    TEST(test_nobody_there_is_told),
    TEST(test_a_second_greeting_is_short_however_the_first_connection_ended),
    TEST(test_a_link_that_was_cut_begins_anew_with_a_short_greeting),
    TEST(test_a_broker_that_forgot_gets_a_full_greeting),
    TEST(test_a_broker_with_tls_1_2_is_spoken_to_in_that),
    TEST(test_another_certificate_or_authority_needs_a_full_greeting),
    TEST(test_a_damaged_memory_is_none),
    TEST(test_a_broker_stopped_in_mid_stream_loses_nothing),
    TEST(test_a_reader_that_pauses_makes_the_broker_wait),
    TEST(test_a_packet_that_nobody_would_take_ends_the_connection),
    TEST(test_lengths_that_come_in_pieces_or_never_end_are_seen_through),
    TEST(test_a_folder_may_have_a_long_path),
    TEST(test_another_process_is_not_let_in),
    TEST(test_a_folder_that_is_not_there_is_told),
    TEST(test_the_second_address_of_a_name_is_tried_when_the_first_refuses),
    TEST(test_a_name_that_takes_forever_stops_nobody_else),
    TEST(test_a_look_up_ends_with_the_connection),
    TEST(test_tls_needs_to_be_set_up),
    TEST(test_the_authority_that_followed_is_found_by_who_knows_the_old_one),
    TEST(test_who_has_learned_of_the_new_authority_needs_no_old_one),
    TEST(test_who_has_learned_of_the_new_authority_refuses_the_old_one),
    TEST(test_three_authorities_are_followed_and_a_fourth_is_not),
    TEST(test_authorities_in_another_order_are_refused),
    TEST(test_a_new_authority_that_the_old_one_did_not_certify_is_refused),
    TEST(test_a_new_authority_that_somebody_else_certified_is_refused),
    TEST(test_a_device_certifies_no_authority_and_no_broker),
    TEST(test_an_expired_step_is_refused),
    TEST(test_dates_that_nobody_vouches_for_are_refused),
};

SUITE_MAIN("mqtt_tls", tests)
