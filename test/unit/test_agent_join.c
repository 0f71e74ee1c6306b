/* Joining against a real broker and a manager that misbehaves: each join is a process of its own.
 */
#include "agent/join.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "sync/mqtt.h"
#include "test/agent_fixture.h"
#include "test/pki.h"
#include "test/suite.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* How long anything may take before the test has failed. */
#define PATIENCE_MS 60000
/* Five requests and the waits between them must fit into that, whatever is drawn. */
#define BACKOFF_MS 100
/* The broker's certificate is valid so long after it was started. */
#define VALID_AFTER_S 3

/* What the manager does with a request. */
enum manner {
    ANSWER,
    STAY_SILENT,
    HINT,         /* says in clear that it doesn't know the token */
    REFUSE,       /* under the seal */
    LET_WAIT,     /* so does this */
    GARBAGE,      /* random bytes */
    OTHER_FLEET,  /* roots that the token doesn't pin */
    OTHER_AGENT,  /* somebody else's assignment */
    OTHER_SIGNER, /* an assignment that the online key hasn't signed */
    OTHER_TRUST,  /* a trust document that its root hasn't signed */
    NO_NUMBER,
    NO_CELLS,
};

static struct fixture_fleet fleet, stranger;
static struct token token;
static struct tree_path dir;
static struct mqtt *manager;
static bool manager_up;
static char url[64], tls_url[64];
static pid_t broker;
static enum manner manners[64];
static int requests;
static struct public_key keys[64]; /* of the requests, in order */
static struct facts told;          /* by the last one */
static struct seal_secret reply;
static char told_serial[TOKEN_SERIAL_MAX + 1];

/* ---- the broker ---- */

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tree_must(bind(fd, (struct sockaddr *)&address, len) == 0, "bind");
    tree_must(getsockname(fd, (struct sockaddr *)&address, &len) == 0, "getsockname");
    close(fd);
    return ntohs(address.sin_port);
}

/* The token pins its authority. */
static void certify_broker(void)
{
    uint8_t room[2 * CERTIFICATE_PEM_MAX];
    struct buffer pem = buffer_on(room, sizeof room);
    pki_now_s = clock_wall_s();
    struct pki_entity ca = pki_entity(CERTIFICATE_AUTHORITY, "Dunlin 0123456789abcdef", 1, NULL);
    struct pki_entity server = pki_entity(CERTIFICATE_SERVER, "door", 2, &ca);
    struct key_id authority = key_id_of(&ca.says.key);
    memcpy(token.authority, authority.bytes, sizeof token.authority);
    server.says.not_before_s = pki_now_s + VALID_AFTER_S;
    pki_issue(&server, &ca);
    tree_must(certificate_pem(pki_der(&server), &pem) == 0 &&
                  certificate_pem(pki_der(&ca), &pem) == 0,
              "certificates");
    tree_file(&dir, "server.pem", 0600, span_buffer(&pem));
    pem.len = 0;
    tree_must(certificate_key_pem(&server.secret, &pem) == 0, "key");
    tree_file(&dir, "key.pem", 0600, span_buffer(&pem));
}

static void start_broker(void)
{
    char text[3 * FILE_PATH_MAX];
    int port = free_port(), tls_port = free_port();
    struct tree_path conf = tree_join(&dir, "broker.conf");
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", port);
    snprintf(tls_url, sizeof tls_url, "mqtts://127.0.0.1:%d", tls_port);
    certify_broker();
    /* Staying root keeps the death signal, which a change of user would clear. */
    snprintf(text, sizeof text,
             "user root\nallow_anonymous true\nlistener %d 127.0.0.1\nlistener %d 127.0.0.1\n"
             "certfile %s/server.pem\nkeyfile %s/key.pem\n",
             port, tls_port, dir.text, dir.text);
    tree_file(&dir, "broker.conf", 0644, span_text(text));
    broker = fork();
    if (broker > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))
        _exit(126);
    execlp("mosquitto", "mosquitto", "-c", conf.text, (char *)NULL);
    execl("/usr/sbin/mosquitto", "mosquitto", "-c", conf.text, (char *)NULL);
    _exit(127);
}

/* ---- the manager ---- */

static void answer(const struct join_id *id, enum manner manner)
{
    static struct fixture_message assignment_message, trust_message;
    static struct joined j;
    static uint8_t room[JOINED_MAX];
    const struct fixture_fleet *signer = manner == OTHER_SIGNER ? &stranger : &fleet;
    struct buffer out = buffer_on(room, sizeof room);
    struct seal_nonce nonce;
    struct seal_secret secret = join_secret(&token.secret, &reply);
    struct assignment assignment = fixture_first_assignment(&fleet);
    assignment.agent = key_id_of(&keys[requests - 1]);
    if (manner == OTHER_AGENT)
        assignment.agent.bytes[0] ^= 1;
    fixture_assignment(signer, &assignment, &assignment_message);
    fixture_trust(manner == OTHER_TRUST ? &stranger : &fleet,
                  manner == OTHER_FLEET ? &stranger.trust : &fleet.trust, &trust_message);
    j = (struct joined){
        .code = manner == REFUSE     ? JOINED_USED
                : manner == LET_WAIT ? JOINED_WAITING
                : manner == HINT     ? JOINED_UNKNOWN
                                     : JOINED_ACCEPTED,
        .number = manner == NO_NUMBER ? 0 : 7,
        .mac = {.bytes = {1}},
        .policy = POLICY_DEFAULT,
        .cell_count = manner == NO_CELLS ? 0 : 1,
        .cells = {"mqtt://127.0.0.1:1"},
        .assignment = span_buffer(&assignment_message.bytes),
        .trust_count = 1,
        .trust = {span_buffer(&trust_message.bytes)},
    };
    random_bytes(nonce.bytes, sizeof nonce.bytes);
    int rv = joined_write(&j, manner == HINT ? NULL : &secret, id, &nonce, &out);
    if (rv < 0 || manner == GARBAGE) {
        random_bytes(room, 300);
        out.len = 300;
    }
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_JOINED, .join = *id});
    mqtt_publish(manager, topic.text, span_buffer(&out), 1, false);
}

static void on_request(void *context, const char *text, struct span payload, bool retained)
{
    static struct join request;
    struct join_outer outer;
    struct topic_name name = topic_read(text);
    (void)context, (void)retained;
    CU_ASSERT_EQUAL_FATAL(join_read_outer(payload, &outer), 0);
    CU_ASSERT_EQUAL_FATAL(join_open(&outer, &token.secret, &name.join, &request), 0);
    enum manner manner = manners[requests];
    keys[requests++] = request.key;
    told = request.facts;
    reply = request.reply;
    CU_ASSERT_EQUAL(join_check(&request, outer.batch, outer.index, &name.join), 0);
    memcpy(told_serial, request.serial, sizeof told_serial);
    if (manner != STAY_SILENT)
        answer(&name.join, manner);
}

static void on_subscribed(void *context, int mid)
{
    (void)context, (void)mid;
    manager_up = true;
}

static void on_up(void *context, bool present)
{
    (void)context, (void)present;
    mqtt_subscribe(manager, &(const char *){TOPIC_ALL_JOINS}, 1, 1);
}

static void on_down(void *context, const char *reason)
{
    (void)context, (void)reason;
    manager_up = false;
}

static void serve(int wait_ms)
{
    struct pollfd fds[MQTT_FDS];
    mqtt_watch(manager, fds);
    poll(fds, MQTT_FDS, wait_ms);
    mqtt_service(manager, fds);
    if (fds[0].fd < 0)
        mqtt_connect(manager, url, NULL);
}

static void set_up(void)
{
    const struct mqtt_handler handler = {
        .up = on_up, .down = on_down, .message = on_request, .subscribed = on_subscribed};
    dir = tree_new();
    fixture_fleet(&fleet);
    fixture_fleet(&stranger);
    struct root_pin pin = trust_pin(&fleet.trust);
    token = (struct token){.batch = 3, .index = 4};
    random_bytes(&token.secret, sizeof token.secret);
    memcpy(token.root, pin.bytes, sizeof token.root);
    memset(manners, 0, sizeof manners);
    requests = 0;
    start_broker();
    manager_up = false;
    manager = mqtt_new(&(struct mqtt_options){.client_id = "manager", .keepalive_s = 60}, &handler);
    uint64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (!manager_up && clock_monotonic_ms() < until)
        serve(5);
    CU_ASSERT_TRUE_FATAL(manager_up);
}

static void tear_down(void)
{
    mqtt_free(manager);
    kill(broker, SIGKILL);
    waitpid(broker, NULL, 0);
    tree_free(&dir);
}

/* ---- the device ---- */

static pid_t start_device(const char *to, const char *token_text, uint32_t timeout_s)
{
    static struct join_options options;
    struct tree_path output = tree_join(&dir, "said"), device = tree_join(&dir, "device");
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen(output.text, "w", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        _exit(126);
    struct errmsg em = {0};
    options = (struct join_options){
        .address = to,
        .token = token_text,
        .serial = "SN-0042",
        .timeout_s = timeout_s,
        .backoff_ms = BACKOFF_MS,
    };
    options.dir = device.text;
    options.facts = (struct facts){.count = 1, .list = {{.key = "site", .value = "roof"}}};
    int rv = join_fleet(&options, &em);
    printf("%s\n", em.text);
    fflush(stdout);
    _exit(-rv);
}

/* Serves until the device has ended; its error code. */
static int end_device(pid_t pid)
{
    int status = 0;
    uint64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > until)
            kill(pid, SIGKILL);
        serve(5);
    }
    CU_ASSERT_TRUE(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static int join_with(const struct token *t)
{
    struct token_text text = token_format(t);
    return end_device(start_device(url, text.text, 40));
}

static bool said(const char *words)
{
    static char text[4096];
    struct tree_path file = tree_join(&dir, "said");
    struct buffer b = buffer_on(text, sizeof text - 1);
    file_read(file.text, &b, NULL);
    text[b.len] = '\0';
    return strstr(text, words) != NULL;
}

static bool joined_now(void)
{
    static struct store store;
    struct tree_path device = tree_join(&dir, "device");
    int rv = store_open(&store, device.text, STORE_READ, NULL);
    bool joined = rv == 0 && store_joined(&store);
    store_close(&store);
    return joined;
}

/* ---- the tests ---- */

static void test_device_joins_and_says_who_it_is(void)
{
    set_up();
    CU_ASSERT_EQUAL(join_with(&token), 0);
    CU_ASSERT_TRUE(said("joined as agent 7 (id "));
    CU_ASSERT_TRUE(said("labels env=prod"));
    CU_ASSERT_TRUE(joined_now());
    CU_ASSERT_EQUAL(requests, 1);
    CU_ASSERT_STRING_EQUAL(told.list[0].value, "roof");
    tear_down();
}

static void test_second_join_with_the_same_token_asks_nobody(void)
{
    set_up();
    CU_ASSERT_EQUAL(join_with(&token), 0);
    CU_ASSERT_EQUAL(join_with(&token), 0);
    CU_ASSERT_TRUE(said("already joined as agent 7"));
    token.index++;
    CU_ASSERT_EQUAL(join_with(&token), ERR_EXISTS);
    CU_ASSERT_TRUE(said("with another token"));
    CU_ASSERT_EQUAL(requests, 1);
    tear_down();
}

static void test_lost_answers_are_asked_for_again_with_the_same_key(void)
{
    set_up();
    manners[0] = manners[1] = STAY_SILENT;
    CU_ASSERT_EQUAL(join_with(&token), 0);
    CU_ASSERT_EQUAL(requests, 3);
    CU_ASSERT_EQUAL(memcmp(&keys[0], &keys[2], sizeof keys[0]), 0);
    CU_ASSERT_TRUE(said("no answer from the manager yet"));
    tear_down();
}

static void test_killed_device_goes_on_with_the_same_key(void)
{
    set_up();
    manners[0] = STAY_SILENT;
    struct token_text text = token_format(&token);
    pid_t pid = start_device(url, text.text, 20);
    uint64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (requests == 0 && clock_monotonic_ms() < until)
        serve(5);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CU_ASSERT_FALSE(joined_now());
    CU_ASSERT_EQUAL(join_with(&token), 0);
    CU_ASSERT_EQUAL(requests, 2);
    CU_ASSERT_EQUAL(memcmp(&keys[0], &keys[1], sizeof keys[0]), 0);
    tear_down();
}

static void test_sealed_refusal_ends_it(void)
{
    set_up();
    manners[0] = REFUSE;
    CU_ASSERT_EQUAL(join_with(&token), ERR_REFUSED);
    CU_ASSERT_TRUE(said(joined_code_text(JOINED_USED)));
    CU_ASSERT_FALSE(joined_now());
    tear_down();
}

static void test_unknown_token_is_believed_when_said_three_times(void)
{
    set_up();
    for (int i = 0; i < JOIN_HINTS; i++)
        manners[i] = HINT;
    CU_ASSERT_EQUAL(join_with(&token), ERR_REFUSED);
    CU_ASSERT_EQUAL(requests, JOIN_HINTS);
    CU_ASSERT_TRUE(said(joined_code_text(JOINED_UNKNOWN)));
    tear_down();
}

static void test_forged_hints_and_garbage_do_not_keep_a_device_out(void)
{
    set_up();
    manners[0] = HINT;
    manners[1] = GARBAGE;
    manners[2] = HINT;
    CU_ASSERT_EQUAL(join_with(&token), 0);
    CU_ASSERT_EQUAL(requests, 4);
    CU_ASSERT_TRUE(joined_now());
    tear_down();
}

static void test_device_that_waits_for_approval_heeds_no_hints(void)
{
    set_up();
    manners[0] = LET_WAIT;
    for (int i = 1; i <= JOIN_HINTS; i++)
        manners[i] = HINT;
    CU_ASSERT_EQUAL(join_with(&token), 0);
    CU_ASSERT_EQUAL(requests, JOIN_HINTS + 2);
    CU_ASSERT_EQUAL(memcmp(&keys[0], &keys[requests - 1], sizeof keys[0]), 0);
    CU_ASSERT_TRUE(said("an operator has to approve this device: `dunlin agent approve "));
    tear_down();
}

static void test_serial_number_is_said_with_each_request(void)
{
    set_up();
    CU_ASSERT_EQUAL(join_with(&token), 0);
    CU_ASSERT_STRING_EQUAL(told_serial, "SN-0042");
    tear_down();
}

static void test_answer_that_does_not_hold_is_refused(void)
{
    static const struct {
        enum manner manner;
        int code;
    } cases[] = {
        {OTHER_FLEET, ERR_UNTRUSTED},
        {OTHER_AGENT, ERR_FOREIGN},
        {OTHER_SIGNER, ERR_UNTRUSTED},
        {OTHER_TRUST, ERR_UNTRUSTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_up();
        manners[0] = cases[i].manner;
        CU_ASSERT_EQUAL(join_with(&token), cases[i].code);
        CU_ASSERT_FALSE(joined_now());
        tear_down();
    }
}

static void test_fleet_without_cells_is_reached_where_it_was_joined(void)
{
    static struct store store;
    set_up();
    manners[0] = NO_CELLS;
    CU_ASSERT_EQUAL(join_with(&token), 0);
    struct tree_path device = tree_join(&dir, "device");
    CU_ASSERT_EQUAL(store_open(&store, device.text, STORE_READ, NULL), 0);
    CU_ASSERT_EQUAL(store.identity.cell_count, 1);
    CU_ASSERT_STRING_EQUAL(store.identity.cells[0], url);
    store_close(&store);
    tear_down();
}

/* A device waits for weeks, and its calendar is put right while it does. */
static void test_each_try_goes_by_the_calendar_of_then(void)
{
    set_up();
    struct token_text text = token_format(&token);
    CU_ASSERT_EQUAL(end_device(start_device(tls_url, text.text, 40)), 0);
    CU_ASSERT_TRUE(said("the broker's certificate is valid from"));
    CU_ASSERT_TRUE(said("joined as agent 7"));
    tear_down();
}

static void test_unreachable_broker_is_named_and_the_time_limit_holds(void)
{
    set_up();
    struct token_text text = token_format(&token);
    char nowhere[64];
    snprintf(nowhere, sizeof nowhere, "mqtt://127.0.0.1:%d", free_port());
    CU_ASSERT_EQUAL(end_device(start_device(nowhere, text.text, 3)), ERR_TIMEOUT);
    CU_ASSERT_TRUE(said("Connection refused"));
    CU_ASSERT_TRUE(said(nowhere));
    CU_ASSERT_TRUE(said("not joined within 3 s"));
    tear_down();
}

static void test_signal_ends_it_cleanly(void)
{
    set_up();
    manners[0] = STAY_SILENT;
    struct token_text text = token_format(&token);
    pid_t pid = start_device(url, text.text, 0);
    uint64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (requests == 0 && clock_monotonic_ms() < until)
        serve(5);
    kill(pid, SIGTERM);
    CU_ASSERT_EQUAL(end_device(pid), ERR_BUSY);
    CU_ASSERT_TRUE(said("stopped"));
    tear_down();
}

static void test_bad_words_are_refused_before_anything_is_made(void)
{
    set_up();
    struct token_text text = token_format(&token);
    CU_ASSERT_EQUAL(end_device(start_device("http://x", text.text, 1)), ERR_USAGE);
    text.text[20] ^= 1;
    CU_ASSERT_EQUAL(end_device(start_device(url, text.text, 1)), ERR_FORMAT);
    text.text[20] = '\0';
    CU_ASSERT_EQUAL(end_device(start_device(url, text.text, 1)), ERR_FORMAT);
    struct tree_path device = tree_join(&dir, "device");
    CU_ASSERT_NOT_EQUAL(access(device.text, F_OK), 0);
    CU_ASSERT_EQUAL(requests, 0);
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_device_joins_and_says_who_it_is),
    TEST(test_second_join_with_the_same_token_asks_nobody),
    TEST(test_lost_answers_are_asked_for_again_with_the_same_key),
    TEST(test_killed_device_goes_on_with_the_same_key),
    TEST(test_sealed_refusal_ends_it),
    TEST(test_unknown_token_is_believed_when_said_three_times),
    TEST(test_forged_hints_and_garbage_do_not_keep_a_device_out),
    TEST(test_device_that_waits_for_approval_heeds_no_hints),
    TEST(test_serial_number_is_said_with_each_request),
    TEST(test_answer_that_does_not_hold_is_refused),
    TEST(test_fleet_without_cells_is_reached_where_it_was_joined),
    TEST(test_each_try_goes_by_the_calendar_of_then),
    TEST(test_unreachable_broker_is_named_and_the_time_limit_holds),
    TEST(test_signal_ends_it_cleanly),
    TEST(test_bad_words_are_refused_before_anything_is_made),
};

SUITE_MAIN("agent join", tests)
