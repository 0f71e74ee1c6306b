/*
 * A picture is written at once and leaves the cursor below it, at the beginning of a line, and
 * nothing of the terminal changed: whoever is interrupted leaves it clean.
 */
#include "base/clock.h"
#include "manager/cli/rollout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80
#define BAR_MAX 40
#define BAR_MIN 8
/* What stands beside a bar, at least. */
#define BESIDE 34
#define MINUTE_MS 60000

/* One picture being made. */
struct picture {
    FILE *out;
    unsigned columns;
    unsigned rows;
    bool colour;
};

static unsigned columns(void);
static void sample(struct rollout_live *live, uint64_t ready);
static double a_minute(const struct rollout_live *live);
static void draw_line(struct picture *p, enum paint paint, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void draw_stage(struct picture *p, int names, const json_t *stage);
static void draw_bar(struct picture *p, unsigned width, const json_t *stage);
static void draw_rate(struct picture *p, const struct rollout_live *live,
                      const struct rollout_sum *sum, const json_t *rollout);
static const char *code(const struct picture *p, enum paint paint);
static int longest_name(const json_t *stages);
static void say(const char *text, size_t len);

bool rollout_live_can(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

void rollout_live_draw(struct rollout_live *live, const struct rollout_sum *sum,
                       const json_t *rollout)
{
    char *text = NULL;
    size_t len, i;
    json_t *stage;
    const json_t *stages = json_object_get(rollout, "stages");
    struct picture p = {
        .out = open_memstream(&text, &len), .columns = columns(), .colour = table_colour(stdout)};
    if (!p.out)
        return;
    sample(live, sum->ready);
    if (live->rows > 0)
        fprintf(p.out, "\033[%uA\r\033[J", live->rows);
    draw_line(&p, PAINT_BOLD, "%s version %s: %s", field_text(rollout, "name"), sum->version,
              rollout_text(sum).text);
    int names = longest_name(stages);
    json_array_foreach((json_t *)stages, i, stage)
    {
        if (rollout_shows(stage))
            draw_stage(&p, names, stage);
    }
    draw_rate(&p, live, sum, rollout);
    if (*field_text(rollout, "next"))
        draw_line(&p, PAINT_NONE, "%s", field_text(rollout, "next"));
    live->rows = p.rows;
    if (fclose(p.out) == 0)
        say(text, len);
    free(text);
}

static unsigned columns(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

/* ---- how fast it goes ---- */

/* One a second is kept, for a minute. */
static void sample(struct rollout_live *live, uint64_t ready)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t newest = (live->samples + ROLLOUT_SAMPLES - 1) % ROLLOUT_SAMPLES;
    if (live->samples > 0 && now_ms < live->sampled_ms[newest] + MINUTE_MS / ROLLOUT_SAMPLES)
        return;
    live->sampled_ms[live->samples % ROLLOUT_SAMPLES] = now_ms;
    live->sampled_ready[live->samples % ROLLOUT_SAMPLES] = ready;
    live->samples++;
}

/* Agents that became ready in the last minute, as far as it was watched. */
static double a_minute(const struct rollout_live *live)
{
    uint64_t oldest = live->samples > ROLLOUT_SAMPLES ? live->samples % ROLLOUT_SAMPLES : 0;
    uint64_t newest = (live->samples - 1) % ROLLOUT_SAMPLES;
    uint64_t ms = live->sampled_ms[newest] - live->sampled_ms[oldest];
    if (ms == 0 || live->sampled_ready[newest] <= live->sampled_ready[oldest])
        return 0;
    return (double)(live->sampled_ready[newest] - live->sampled_ready[oldest]) * MINUTE_MS /
           (double)ms;
}

/* ---- lines ---- */

/* A longer text than the terminal is wide goes on in the next row. */
static void draw_line(struct picture *p, enum paint paint, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    unsigned len = n < 0 ? 0 : (unsigned)strlen(text);
    fputs(code(p, paint), p->out);
    table_clean(text, len, p->out);
    fprintf(p->out, "%s\n", code(p, PAINT_NONE));
    p->rows += len == 0 ? 1 : (len + p->columns - 1) / p->columns;
}

static void draw_stage(struct picture *p, int names, const json_t *stage)
{
    unsigned taken = (unsigned)names + BESIDE;
    unsigned width = p->columns > taken ? p->columns - taken : 0;
    const char *state = field_text(stage, "state");
    uint64_t failed = field_number(stage, "failed");
    uint64_t at_work = field_number(stage, "in_flight") + field_number(stage, "returning");
    char beside[96];
    size_t used = (size_t)snprintf(
        beside, sizeof beside, "%" PRIu64 "/%" PRIu64 "%s %s", field_number(stage, "ready"),
        field_number(stage, "members"),
        json_is_true(json_object_get(stage, "expected")) ? " expected," : "", state);
    if (at_work > 0)
        used +=
            (size_t)snprintf(beside + used, sizeof beside - used, ", %" PRIu64 " at work", at_work);
    if (failed > 0)
        snprintf(beside + used, sizeof beside - used, ", %" PRIu64 " failed", failed);
    width = width < BAR_MIN ? BAR_MIN : width > BAR_MAX ? BAR_MAX : width;
    int room = (int)p->columns - names - (int)width - 6;
    fprintf(p->out, "%-*s  [", names, field_text(stage, "name"));
    draw_bar(p, width, stage);
    fprintf(p->out, "]  %s%.*s%s\n", code(p, table_state_paint(state)), room > 0 ? room : 0, beside,
            code(p, PAINT_NONE));
    p->rows++;
}

/* Ready ones, failed ones, those at work, and the rest. */
static void draw_bar(struct picture *p, unsigned width, const json_t *stage)
{
    const struct {
        uint64_t count;
        char sign;
        enum paint paint;
    } parts[] = {
        {field_number(stage, "ready"), '#', PAINT_GOOD},
        {field_number(stage, "failed"), 'x', PAINT_BAD},
        {field_number(stage, "in_flight") + field_number(stage, "returning"), '>', PAINT_BUSY},
    };
    uint64_t members = field_number(stage, "members"), passed = 0;
    unsigned drawn = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && members > 0; i++) {
        passed += parts[i].count;
        unsigned end = (unsigned)(passed * width / members);
        fputs(code(p, parts[i].paint), p->out);
        for (; drawn < end && drawn < width; drawn++)
            fputc(parts[i].sign, p->out);
        fputs(code(p, PAINT_NONE), p->out);
    }
    for (; drawn < width; drawn++)
        fputc('.', p->out);
}

/* The rate, and what it means for the stage. */
static void draw_rate(struct picture *p, const struct rollout_live *live,
                      const struct rollout_sum *sum, const json_t *rollout)
{
    double rate = a_minute(live);
    uint64_t left = 0;
    size_t i;
    json_t *stage;
    json_array_foreach(json_object_get(rollout, "stages"), i, stage)
    {
        if (!sum->stage[0] || strcmp(field_text(stage, "name"), sum->stage) == 0)
            left += field_number(stage, "pending") - field_number(stage, "away");
    }
    if (rate <= 0)
        return;
    char eta[128] = "";
    if (left > 0)
        snprintf(eta, sizeof eta, "; about %s for the %" PRIu64 " to come%s",
                 units_span((uint64_t)((double)left * 60 / rate) + 1).text, left,
                 sum->stage[0] ? " in this stage" : "");
    draw_line(p, PAINT_DIM, "%.*f agents a minute%s", rate < 9.95 ? 1 : 0, rate, eta);
}

static const char *code(const struct picture *p, enum paint paint)
{
    return p->colour ? table_paint_code(paint) : "";
}

static int longest_name(const json_t *stages)
{
    int longest = 0;
    size_t i;
    json_t *stage;
    json_array_foreach((json_t *)stages, i, stage)
    {
        int len = (int)strlen(field_text(stage, "name"));
        longest = len > longest ? len : longest;
    }
    return longest;
}

/* All at once, past the buffer, so that nobody is interrupted within. */
static void say(const char *text, size_t len)
{
    fflush(stdout);
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}
