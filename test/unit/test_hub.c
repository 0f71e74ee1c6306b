/* Against a real broker, with a client of the library's at the other end. */
#include "test/hub_fixture.h"

/* A line that writes down what it hears. */
struct heard_line {
    struct line line;
    int greeted, downs, messages, answers;
    uint8_t code;
    bool retained;
    size_t len;
    uint8_t last[PACKET_BODY_MAX];
};

static struct heard_line one;
static struct packet_connect greeting;

static struct heard_line *owner(struct line *l)
{
    return (struct heard_line *)((char *)l - offsetof(struct heard_line, line));
}

static void line_opened(void *context, struct line *l)
{
    (void)context;
    line_greet(hub, l, &greeting);
}

static void line_packet(void *context, struct line *l, const struct packet *p)
{
    struct heard_line *h = owner(l);
    (void)context;
    h->greeted += p->type == PACKET_CONNACK && p->code == 0;
    h->answers += p->type == PACKET_SUBACK || p->type == PACKET_PUBACK ||
                  p->type == PACKET_UNSUBACK || p->type == PACKET_PINGRESP;
    if (p->type == PACKET_SUBACK)
        h->code = p->code;
    if (p->type != PACKET_PUBLISH)
        return;
    h->messages++;
    h->retained = p->retained;
    h->len = p->payload.len;
    memcpy(h->last, p->payload.data, p->payload.len);
}

static void line_down(void *context, struct line *l, const char *reason)
{
    (void)context, (void)reason;
    owner(l)->downs++;
}

static void open_hub(void)
{
    const struct hub_handler handler = {
        .opened = line_opened, .packet = line_packet, .down = line_down};
    hub_begin(&handler);
    memset(&one, 0, sizeof one);
    greeting = (struct packet_connect){.client_id = "line", .keepalive_s = 60};
}

static void connect_to(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    line_open(hub, &one.line, &at, htonl(0x7f000207));
}

static void close_hub(void)
{
    line_cut(hub, &one.line);
    hub_end();
}

static void ask_for(const char *topic)
{
    int before = one.answers;
    line_subscribe(hub, &one.line, &topic, 1, 1);
    UNTIL(one.answers == before + 1);
    CU_ASSERT_EQUAL(one.code, 1);
}

static void test_it_talks_with_a_real_broker(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL);
    subscribe(c, "from-line");
    open_hub();
    connect_to(b.port);
    UNTIL(one.greeted == 1 && one.line.state == LINE_UP);
    ask_for("to-line");
    line_publish(hub, &one.line, "from-line", span_text("hello"), false);
    UNTIL(c->messages == 1 && one.line.open == 0);
    CU_ASSERT_TRUE(heard(c, "hello"));
    publish(c, "to-line", span_text("good evening"), false);
    UNTIL(one.messages == 1);
    CU_ASSERT_TRUE(span_equal(span_of(one.last, one.len), span_text("good evening")));
    int before = one.answers;
    line_ping(hub, &one.line);
    UNTIL(one.answers == before + 1);
    const char *topic = "to-line";
    line_unsubscribe(hub, &one.line, &topic, 1);
    UNTIL(one.answers == before + 2);
    CU_ASSERT_EQUAL(one.downs, 0);
    close_hub();
    end(&b);
}

static void test_the_longest_retained_message_comes_whole(void)
{
    static uint8_t payload[262145];
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31);
    publish(c, "chunk", span_of(payload, sizeof payload), true);
    open_hub();
    connect_to(b.port);
    UNTIL(one.line.state == LINE_UP);
    ask_for("chunk");
    UNTIL(one.messages == 1);
    CU_ASSERT_TRUE(one.retained);
    CU_ASSERT_TRUE(span_equal(span_of(one.last, one.len), span_of(payload, sizeof payload)));
    CU_ASSERT_PTR_NULL(one.line.in);
    close_hub();
    end(&b);
}

static void test_a_cut_line_leaves_its_will_and_a_polite_one_does_not(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL);
    subscribe(c, "will");
    open_hub();
    greeting.will_topic = "will";
    greeting.will = span_text("gone");
    connect_to(b.port);
    UNTIL(one.line.state == LINE_UP);
    line_leave(hub, &one.line);
    connect_to(b.port);
    UNTIL(one.line.state == LINE_UP);
    CU_ASSERT_EQUAL(c->messages, 0);
    line_cut(hub, &one.line);
    UNTIL(c->messages == 1);
    CU_ASSERT_TRUE(heard(c, "gone"));
    CU_ASSERT_EQUAL(one.downs, 0);
    close_hub();
    end(&b);
}

static void test_a_broker_that_dies_or_is_not_there_is_told(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    open_hub();
    connect_to(b.port);
    UNTIL(one.line.state == LINE_UP);
    real_broker_kill(&b);
    UNTIL(one.downs == 1);
    CU_ASSERT_EQUAL(one.line.fd_plus, 0);
    connect_to(b.port);
    UNTIL(one.downs == 2);
    b.pid = 0;
    close_hub();
}

static void test_what_is_said_to_a_slow_broker_is_kept_in_order(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true\nmax_inflight_messages 0\n"
                                             "max_queued_messages 0");
    struct client *c = client_up(0, &b, NULL);
    uint8_t payload[4000] = {0};
    subscribe(c, "many");
    open_hub();
    connect_to(b.port);
    UNTIL(one.line.state == LINE_UP);
    kill(b.pid, SIGSTOP);
    for (uint8_t i = 0; i < 200; i++) {
        payload[0] = i;
        line_publish(hub, &one.line, "many", span_of(payload, sizeof payload), false);
    }
    hub_flush(hub);
    kill(b.pid, SIGCONT);
    UNTIL(c->messages == 200 && one.line.open == 0);
    CU_ASSERT_EQUAL(c->payload[0], 199);
    CU_ASSERT_FALSE(one.line.stuck);
    close_hub();
    end(&b);
}

static const struct suite_test tests[] = {
    TEST(test_it_talks_with_a_real_broker),
    TEST(test_the_longest_retained_message_comes_whole),
    TEST(test_a_cut_line_leaves_its_will_and_a_polite_one_does_not),
    TEST(test_a_broker_that_dies_or_is_not_there_is_told),
    TEST(test_what_is_said_to_a_slow_broker_is_kept_in_order),
};

SUITE_MAIN("hub", tests)
