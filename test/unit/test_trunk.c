/* Against a real broker, with a client of the library's at the other end. */
#include "simulator/load/trunk.h"

#include "test/hub_fixture.h"

#define SEATS 300

static struct trunk trunk;
static int messages[SEATS], answered[SEATS], greeted, downs;
static char last[SEATS][32];

static void hand(void *context, uint32_t seat, const struct packet *p)
{
    (void)context;
    answered[seat] += p->type != PACKET_PUBLISH;
    if (p->type != PACKET_PUBLISH)
        return;
    messages[seat]++;
    snprintf(last[seat], sizeof last[seat], "%.*s", (int)p->payload.len,
             (const char *)p->payload.data);
}

static void line_opened(void *context, struct line *l)
{
    (void)context;
    line_greet(hub, l, &(struct packet_connect){.client_id = "trunk"});
}

static void line_packet(void *context, struct line *l, const struct packet *p)
{
    (void)context, (void)l;
    greeted += p->type == PACKET_CONNACK;
    trunk_take(&trunk, p, hand, NULL);
}

static void line_down(void *context, struct line *l, const char *reason)
{
    (void)context, (void)l, (void)reason;
    downs++;
}

static void open_trunk(const struct real_broker *b)
{
    const struct hub_handler handler = {
        .opened = line_opened, .packet = line_packet, .down = line_down};
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)b->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    hub_begin(&handler);
    memset(messages, 0, sizeof messages);
    memset(answered, 0, sizeof answered);
    greeted = downs = 0;
    line_open(hub, &trunk.line, &at, 0);
    UNTIL(greeted == 1 && trunk.line.state == LINE_UP);
}

static void close_trunk(struct real_broker *b)
{
    CU_ASSERT_EQUAL(downs, 0);
    line_cut(hub, &trunk.line);
    trunk_free(&trunk);
    hub_end();
    end(b);
}

static void ask(uint32_t seat, const char *topic)
{
    int before = answered[seat];
    trunk_subscribe(hub, &trunk, seat, &topic, 1);
    UNTIL(answered[seat] == before + 1);
}

static void test_each_seat_hears_what_it_asked_for_once(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL);
    publish(c, "head", span_text("old"), true);
    open_trunk(&b);
    ask(1, "head");
    UNTIL(messages[1] == 1);
    ask(2, "head");
    UNTIL(messages[2] == 1);
    publish(c, "head", span_text("new"), true);
    UNTIL(messages[1] == 2 && messages[2] == 2);
    CU_ASSERT_STRING_EQUAL(last[1], "new");
    ask(3, "other");
    ask(3, "head");
    UNTIL(messages[3] == 1);
    CU_ASSERT_EQUAL(messages[1] + messages[2], 4);
    CU_ASSERT_STRING_EQUAL(last[3], "new");
    close_trunk(&b);
}

static void test_who_leaves_hears_no_more_and_the_last_one_ends_it(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL);
    const char *topic = "doc";
    open_trunk(&b);
    ask(1, topic);
    ask(2, topic);
    CU_ASSERT_EQUAL(trunk_unsubscribe(hub, &trunk, 1, &topic, 1), 0);
    publish(c, topic, span_text("one"), false);
    UNTIL(messages[2] == 1);
    CU_ASSERT_EQUAL(messages[1], 0);
    CU_ASSERT_EQUAL(trunk_unsubscribe(hub, &trunk, 1, &topic, 1), 0);
    CU_ASSERT_EQUAL(trunk_unsubscribe(hub, &trunk, 2, &topic, 1), 1);
    UNTIL(answered[2] == 2);
    publish(c, topic, span_text("two"), false);
    ask(3, "after");
    publish(c, "after", span_text("three"), false);
    UNTIL(messages[3] == 1);
    CU_ASSERT_EQUAL(messages[2], 1);
    close_trunk(&b);
}

static void test_acknowledgements_go_to_whom_they_are_for(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    char topic[32];
    open_trunk(&b);
    for (uint32_t seat = 0; seat < SEATS; seat++) {
        const char *text = topic;
        snprintf(topic, sizeof topic, "own/%u", seat);
        trunk_subscribe(hub, &trunk, seat, &text, 1);
        for (uint32_t i = 0; i < seat % 3; i++)
            trunk_publish(hub, &trunk, seat, topic, span_text("hello"));
    }
    UNTIL(trunk.line.open == 0);
    CU_ASSERT_EQUAL(trunk.owed_count, 0);
    for (uint32_t seat = 0; seat < SEATS; seat++) {
        CU_ASSERT_EQUAL(answered[seat], 1 + (int)(seat % 3));
        UNTIL(messages[seat] == (int)(seat % 3));
    }
    close_trunk(&b);
}

static void test_a_lost_trunk_names_who_sat_there_and_forgets_all(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    open_trunk(&b);
    for (uint32_t seat = 0; seat < 70; seat++)
        trunk_sit(&trunk, seat);
    ask(7, "head");
    trunk_publish(hub, &trunk, 7, "up", span_text("not acknowledged"));
    line_cut(hub, &trunk.line);
    CU_ASSERT_EQUAL(trunk_clear(&trunk), 70);
    for (uint32_t seat = 0; seat < 70; seat++)
        CU_ASSERT_EQUAL(trunk.seats[seat], seat);
    CU_ASSERT_EQUAL(trunk.seat_count + trunk.owed_count + trunk.channel_count, 0);
    close_trunk(&b);
}

static const struct suite_test tests[] = {
    TEST(test_each_seat_hears_what_it_asked_for_once),
    TEST(test_who_leaves_hears_no_more_and_the_last_one_ends_it),
    TEST(test_acknowledgements_go_to_whom_they_are_for),
    TEST(test_a_lost_trunk_names_who_sat_there_and_forgets_all),
};

SUITE_MAIN("trunk", tests)
