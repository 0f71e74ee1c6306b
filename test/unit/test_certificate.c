#include "crypto/certificate.h"

#include "base/date.h"
#include "base/hex.h"
#include "test/pki.h"
#include "test/suite.h"
#include "test/tree.h"

#include <sys/wait.h>

#define CA_NAME "Dunlin 0123456789abcdef"

static struct pki_entity ca, server, agent;
static struct tree_path folder;

static void make_all(void)
{
    static const char *const hosts[] = {"broker.example", "192.0.2.7", "2001:db8::7"};
    ca = pki_entity(CERTIFICATE_AUTHORITY, CA_NAME, 1, NULL);
    server = pki_entity(CERTIFICATE_SERVER, "cell 1", 2, &ca);
    server.says.hosts = hosts;
    server.says.host_count = 3;
    pki_issue(&server, &ca);
    agent = pki_entity(CERTIFICATE_CLIENT, NULL, 3, &ca);
}

/* ---- what we read is what we wrote ---- */

static void check_reads_back(const struct pki_entity *e)
{
    struct certificate back;
    CU_ASSERT_EQUAL_FATAL(certificate_read(pki_der(e), &back), 0);
    CU_ASSERT_EQUAL(back.use, e->says.use);
    CU_ASSERT_STRING_EQUAL(back.name, e->says.name);
    CU_ASSERT_EQUAL(memcmp(&back.serial, &e->says.serial, sizeof back.serial), 0);
    CU_ASSERT_EQUAL(back.not_before_s, e->says.not_before_s);
    CU_ASSERT_EQUAL(back.not_after_s, e->says.not_after_s);
    CU_ASSERT_EQUAL(memcmp(&back.key, &e->says.key, sizeof back.key), 0);
    CU_ASSERT_EQUAL(back.host_count, 0);
    CU_ASSERT_EQUAL(certificate_check(pki_der(e), &ca.says.key), 0);
    CU_ASSERT_EQUAL(certificate_check(pki_der(e), &agent.says.key), ERR_SIGNATURE);
}

static void test_a_certificate_reads_back_and_is_its_issuers(void)
{
    make_all();
    check_reads_back(&ca);
    check_reads_back(&server);
    check_reads_back(&agent);
}

static void test_certificates_are_short(void)
{
    make_all();
    CU_ASSERT_TRUE(agent.der_len <= 380);
    CU_ASSERT_TRUE(ca.der_len <= 380);
    CU_ASSERT_TRUE(server.der_len <= 400);
}

static void test_the_same_values_give_the_same_bytes(void)
{
    make_all();
    struct pki_entity again = agent;
    memset(again.der, 0, sizeof again.der);
    pki_issue(&again, &ca);
    CU_ASSERT_TRUE(span_equal(pki_der(&again), pki_der(&agent)));
    again.says.not_after_s++;
    pki_issue(&again, &ca);
    CU_ASSERT_FALSE(span_equal(pki_der(&again), pki_der(&agent)));
}

static void test_dates_up_to_the_last_one_and_serials_with_leading_zeroes_read_back(void)
{
    static const uint64_t dates[] = {
        0, 1, 2524607999, 2524608000, DATE_MAX_S /* from 2050 on the year is written in full */
    };
    make_all();
    for (size_t i = 0; i + 1 < sizeof dates / sizeof dates[0]; i++) {
        agent.says.not_before_s = dates[i];
        agent.says.not_after_s = dates[i + 1];
        memset(agent.says.serial.bytes, 0, i * 5);
        agent.says.serial.bytes[CERTIFICATE_SERIAL_LEN - 1] = 0x80;
        pki_issue(&agent, &ca);
        check_reads_back(&agent);
    }
}

static int make_changed(const struct certificate *c)
{
    uint8_t der[CERTIFICATE_MAX];
    struct buffer b = buffer_on(der, sizeof der);
    int rv = certificate_make(c, &ca.secret, CA_NAME, &b);
    CU_ASSERT_EQUAL(b.len > 0, rv == 0);
    return rv;
}

static void test_what_no_certificate_can_say_is_not_made(void)
{
    static const char *const hosts[] = {"a"};
    make_all();
    struct certificate c = agent.says;
    CU_ASSERT_EQUAL(make_changed(&c), 0);
    c.name[0] = '\0';
    CU_ASSERT_EQUAL(make_changed(&c), ERR_RANGE);
    c.name[0] = '\n';
    CU_ASSERT_EQUAL(make_changed(&c), ERR_RANGE);
    c = agent.says;
    c.serial.bytes[0] |= 0x80;
    CU_ASSERT_EQUAL(make_changed(&c), ERR_RANGE);
    c.serial = (struct certificate_serial){{0}};
    CU_ASSERT_EQUAL(make_changed(&c), ERR_RANGE);
    c = agent.says;
    c.not_before_s = c.not_after_s + 1;
    CU_ASSERT_EQUAL(make_changed(&c), ERR_RANGE);
    c = agent.says;
    c.not_after_s = DATE_MAX_S + 1;
    CU_ASSERT_EQUAL(make_changed(&c), ERR_RANGE);
    c = agent.says;
    c.hosts = hosts;
    c.host_count = 1;
    CU_ASSERT_EQUAL(make_changed(&c), ERR_RANGE);
}

static void test_hosts_that_do_not_fit_are_refused(void)
{
    char name[64];
    const char *hosts[32];
    make_all();
    memset(name, 'h', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < 32; i++)
        hosts[i] = name;
    server.says.hosts = hosts;
    server.says.host_count = 8;
    CU_ASSERT_EQUAL(make_changed(&server.says), 0);
    server.says.host_count = 32;
    CU_ASSERT_EQUAL(make_changed(&server.says), ERR_RANGE);
}

static void test_a_buffer_that_is_too_small_stays_as_it_was(void)
{
    uint8_t memory[CERTIFICATE_PEM_MAX];
    make_all();
    for (size_t cap = 0; cap < agent.der_len; cap++) {
        struct buffer b = buffer_on(memory, cap);
        CU_ASSERT_EQUAL(certificate_make(&agent.says, &ca.secret, CA_NAME, &b), ERR_NO_MEMORY);
        CU_ASSERT_EQUAL(certificate_pem(pki_der(&agent), &b), ERR_NO_MEMORY);
        CU_ASSERT_EQUAL(certificate_crl(&ca.secret, CA_NAME, NULL, 0, 1, 2,
                                        &(struct buffer){.data = memory, .cap = cap % 200}),
                        ERR_NO_MEMORY);
        CU_ASSERT_EQUAL(b.len, 0);
    }
}

static void test_a_serial_is_that_of_agent_and_period(void)
{
    struct key_id id;
    char hex[2 * CERTIFICATE_SERIAL_LEN + 1];
    memset(id.bytes, 0xab, KEY_ID_LEN);
    /* printf 'dunlin certificate\0' … | sha256sum, the top bit cleared */
    struct certificate_serial s = certificate_agent_serial(&id, 0x01020304);
    hex_write(span_of(s.bytes, CERTIFICATE_SERIAL_LEN), hex);
    CU_ASSERT_STRING_EQUAL(hex, "05b5bd866559f4fe99c3a5353ecb76e3");
    for (uint32_t period = 0; period < 100; period++)
        CU_ASSERT_EQUAL(certificate_agent_serial(&id, period).bytes[0] & 0x80, 0);
}

/* ---- hostile bytes ---- */

static void check_every_cut_and_flip(const struct pki_entity *e)
{
    struct certificate c;
    for (size_t len = 0; len < e->der_len; len++) {
        CU_ASSERT_EQUAL(certificate_read(span_of(e->der, len), &c), ERR_FORMAT);
        CU_ASSERT_EQUAL(certificate_check(span_of(e->der, len), &ca.says.key), ERR_FORMAT);
    }
    struct pki_entity bad = *e;
    for (size_t i = 0; i < e->der_len; i++) {
        bad.der[i] ^= (uint8_t)(1 << i % 8);
        int rv = certificate_check(pki_der(&bad), &ca.says.key);
        CU_ASSERT_TRUE(rv == ERR_SIGNATURE || rv == ERR_FORMAT);
        rv = certificate_read(pki_der(&bad), &c);
        CU_ASSERT_TRUE(rv == 0 || rv == ERR_FORMAT);
        bad.der[i] = e->der[i];
    }
}

static void test_every_prefix_and_every_flipped_byte_is_refused(void)
{
    make_all();
    check_every_cut_and_flip(&ca);
    check_every_cut_and_flip(&server);
    check_every_cut_and_flip(&agent);
}

static void test_nothing_may_follow_a_certificate(void)
{
    struct certificate c;
    make_all();
    agent.der[agent.der_len++] = 0;
    CU_ASSERT_EQUAL(certificate_read(pki_der(&agent), &c), ERR_FORMAT);
    CU_ASSERT_EQUAL(certificate_check(pki_der(&agent), &ca.says.key), ERR_FORMAT);
}

/* ---- OpenSSL's opinion ---- */

static void put_file(const char *name, const uint8_t *text, size_t len)
{
    tree_file(&folder, name, 0600, span_of(text, len));
}

static void put_pem(const char *name, const struct pki_entity *e)
{
    uint8_t text[CERTIFICATE_PEM_MAX];
    struct buffer b = buffer_on(text, sizeof text);
    CU_ASSERT_EQUAL_FATAL(certificate_pem(pki_der(e), &b), 0);
    put_file(name, b.data, b.len);
}

static void put_crl(const struct certificate_serial *revoked, size_t count)
{
    static uint8_t text[CERTIFICATE_CRL_MAX(1000)];
    struct buffer b = buffer_on(text, sizeof text);
    CU_ASSERT_TRUE_FATAL(CERTIFICATE_CRL_MAX(count) <= sizeof text);
    b.cap = CERTIFICATE_CRL_MAX(count);
    CU_ASSERT_EQUAL_FATAL(certificate_crl(&ca.secret, CA_NAME, revoked, count, pki_now_s - 60,
                                          pki_now_s + PKI_DAY_S, &b),
                          0);
    put_file("crl.pem", b.data, b.len);
}

/* Runs a command in the folder and gives back its exit code. */
static int run(const char *command)
{
    char line[FILE_PATH_MAX + 512];
    snprintf(line, sizeof line, "cd %s && { %s; } >out 2>&1", folder.text, command);
    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool said(const char *words)
{
    char line[256];
    snprintf(line, sizeof line, "grep -qF '%s' out", words);
    char command[FILE_PATH_MAX + 512];
    snprintf(command, sizeof command, "cd %s && %s", folder.text, line);
    return system(command) == 0;
}

static void write_all(void)
{
    folder = tree_new();
    make_all();
    put_pem("ca.pem", &ca);
    put_pem("server.pem", &server);
    put_pem("agent.pem", &agent);
}

#define VERIFY "openssl verify -attime 1900000000 -CAfile ca.pem "

static void test_openssl_accepts_the_chain_for_its_use_alone(void)
{
    write_all();
    CU_ASSERT_EQUAL(run(VERIFY "-purpose sslserver server.pem"), 0);
    CU_ASSERT_EQUAL(run(VERIFY "-purpose sslclient agent.pem"), 0);
    CU_ASSERT_NOT_EQUAL(run(VERIFY "-purpose sslserver agent.pem"), 0);
    CU_ASSERT_NOT_EQUAL(run(VERIFY "-purpose sslclient server.pem"), 0);
    CU_ASSERT_EQUAL(run(VERIFY "-verify_hostname broker.example server.pem"), 0);
    CU_ASSERT_EQUAL(run(VERIFY "-verify_ip 192.0.2.7 server.pem"), 0);
    CU_ASSERT_EQUAL(run(VERIFY "-verify_ip 2001:db8::7 server.pem"), 0);
    CU_ASSERT_NOT_EQUAL(run(VERIFY "-verify_ip 192.0.2.8 server.pem"), 0);
    CU_ASSERT_NOT_EQUAL(run("openssl verify -attime 1900000000 -CAfile server.pem agent.pem"), 0);
    tree_free(&folder);
}

static void test_openssl_refuses_what_the_list_revokes_and_nothing_else(void)
{
    static const char command[] = VERIFY "-crl_check -CRLfile crl.pem agent.pem";
    struct certificate_serial revoked[1000];
    write_all();
    for (uint32_t i = 0; i < 1000; i++)
        revoked[i] = certificate_agent_serial(&(struct key_id){{9}}, i);
    put_crl(NULL, 0);
    CU_ASSERT_EQUAL(run(command), 0);
    put_crl(revoked, 1000);
    CU_ASSERT_EQUAL(run(command), 0);
    revoked[500] = agent.says.serial;
    put_crl(revoked, 1000);
    CU_ASSERT_NOT_EQUAL(run(command), 0);
    CU_ASSERT_TRUE(said("certificate revoked"));
    CU_ASSERT_EQUAL(run(VERIFY "-crl_check -CRLfile crl.pem server.pem"), 0);
    CU_ASSERT_EQUAL(run("openssl crl -in crl.pem -noout -CAfile ca.pem"), 0);
    CU_ASSERT_TRUE(said("verify OK"));
    CU_ASSERT_EQUAL(run("openssl crl -in crl.pem -noout -crlnumber"), 0);
    CU_ASSERT_TRUE(said("crlNumber=0x713FB2C4")); /* pki_now_s - 60 */
    tree_free(&folder);
}

static void test_openssl_reads_the_key_and_it_is_the_certificates(void)
{
    uint8_t text[CERTIFICATE_PEM_MAX];
    struct buffer b = buffer_on(text, sizeof text);
    write_all();
    CU_ASSERT_EQUAL_FATAL(certificate_key_pem(&server.secret, &b), 0);
    put_file("key.pem", b.data, b.len);
    CU_ASSERT_EQUAL(run("openssl ec -check -in key.pem -pubout -out a.pem"), 0);
    CU_ASSERT_EQUAL(run("openssl x509 -in server.pem -noout -pubkey >b.pem && cmp a.pem b.pem"), 0);
    tree_free(&folder);
}

static const struct suite_test tests[] = {
    TEST(test_a_certificate_reads_back_and_is_its_issuers),
    TEST(test_certificates_are_short),
    TEST(test_the_same_values_give_the_same_bytes),
    TEST(test_dates_up_to_the_last_one_and_serials_with_leading_zeroes_read_back),
    TEST(test_what_no_certificate_can_say_is_not_made),
    TEST(test_hosts_that_do_not_fit_are_refused),
    TEST(test_a_buffer_that_is_too_small_stays_as_it_was),
    TEST(test_a_serial_is_that_of_agent_and_period),
    TEST(test_every_prefix_and_every_flipped_byte_is_refused),
    TEST(test_nothing_may_follow_a_certificate),
    TEST(test_openssl_accepts_the_chain_for_its_use_alone),
    TEST(test_openssl_refuses_what_the_list_revokes_and_nothing_else),
    TEST(test_openssl_reads_the_key_and_it_is_the_certificates),
};

SUITE_MAIN("certificate", tests)
