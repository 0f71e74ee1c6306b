#include "agent/facts.h"

#include "agent/arch.h"
#include "base/file.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

/* /proc/cpuinfo of a board with many processors. */
#define SERIAL_FILE_MAX 65536

static void tell(struct facts *f, const char *key, const char *value);
static void tell_number(struct facts *f, const char *key, unsigned long long value);
static void tell_system(struct facts *f);
static void tell_model(struct facts *f);
static void take_serial(const char *line, char out[static TOKEN_SERIAL_MAX + 1]);
static size_t read_text(const char *path, char *text, size_t cap);

int facts_set(struct facts *f, const char *key, const char *value, struct errmsg *em)
{
    uint32_t at = 0;
    if (!name_valid(span_text(key)))
        return errmsg_set(em, ERR_FORMAT, "fact %.40s: a key is letters, digits, '.', '_', '-'",
                          key);
    if (strlen(key) > FACT_KEY_MAX || strlen(value) > FACT_VALUE_MAX)
        return errmsg_set(em, ERR_RANGE, "fact %.40s: at most %d characters, the value %d", key,
                          FACT_KEY_MAX, FACT_VALUE_MAX);
    while (at < f->count && strcmp(f->list[at].key, key) < 0)
        at++;
    bool known = at < f->count && strcmp(f->list[at].key, key) == 0;
    if (!known && f->count == FACTS_MAX)
        return errmsg_set(em, ERR_RANGE, "fact %s: there are %d already", key, FACTS_MAX);
    if (!known) {
        memmove(&f->list[at + 1], &f->list[at], (f->count - at) * sizeof f->list[0]);
        f->count++;
    }
    f->list[at] = (struct fact){0};
    memcpy(f->list[at].key, key, strlen(key));
    for (size_t i = 0; value[i] != '\0'; i++) {
        bool control = (unsigned char)value[i] < ' ' || value[i] == 0x7f;
        f->list[at].value[i] = control ? '?' : value[i];
    }
    return 0;
}

int facts_add(struct facts *f, const char *pair, struct errmsg *em)
{
    char key[FACT_KEY_MAX + 1];
    const char *equals = strchr(pair, '=');
    if (!equals || equals - pair > FACT_KEY_MAX)
        return errmsg_set(em, ERR_USAGE, "fact %.60s: write KEY=VALUE, the key at most %d long",
                          pair, FACT_KEY_MAX);
    snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
    return facts_set(f, key, equals + 1, em);
}

void facts_gather(struct facts *f)
{
    struct utsname u;
    struct sysinfo info;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    tell(f, "agent", DUNLIN_VERSION);
    tell(f, "arch", arch_name());
    if (uname(&u) == 0) {
        tell(f, "hostname", u.nodename);
        tell(f, "kernel", u.release);
    }
    if (cpus > 0)
        tell_number(f, "cpus", (unsigned long long)cpus);
    if (sysinfo(&info) == 0)
        tell_number(f, "memory_mib", (unsigned long long)info.totalram * info.mem_unit >> 20);
    tell_system(f);
    tell_model(f);
}

/* Coarse, so that it is seldom told anew. */
void facts_disk(struct facts *f, const char *dir)
{
    struct statvfs v;
    char text[24];
    if (statvfs(dir, &v) < 0)
        return;
    unsigned long long mib = (unsigned long long)v.f_bavail * v.f_frsize >> 20, step = 1;
    while (mib / step >= 4)
        step *= 2;
    snprintf(text, sizeof text, "%lluMi", mib / step * step);
    tell(f, "disk_free", text);
}

/* What is too long is cut: it's for people. */
static void tell(struct facts *f, const char *key, const char *value)
{
    char text[FACT_VALUE_MAX + 1];
    snprintf(text, sizeof text, "%s", value);
    facts_set(f, key, text, NULL);
}

static void tell_number(struct facts *f, const char *key, unsigned long long value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", value);
    tell(f, key, text);
}

/* os-release(5): PRETTY_NAME="Debian GNU/Linux 12 (bookworm)" */
static void tell_system(struct facts *f)
{
    static const char wanted[] = "PRETTY_NAME=";
    char text[4096];
    if (read_text("/etc/os-release", text, sizeof text) == 0)
        return;
    char *at = strstr(text, wanted);
    if (!at || (at != text && at[-1] != '\n'))
        return;
    at += sizeof wanted - 1;
    at += *at == '"';
    at[strcspn(at, "\"\n")] = '\0';
    tell(f, "os", at);
}

/* The name that the board's device tree carries; PCs have none. */
static void tell_model(struct facts *f)
{
    char text[4096];
    if (read_text("/proc/device-tree/model", text, sizeof text) > 0)
        tell(f, "model", text);
}

void facts_serial(char out[static TOKEN_SERIAL_MAX + 1])
{
    /* PCs and servers; boards with a device tree; older ones. */
    static const struct {
        char path[36];
        char before[16]; /* stands before it in the file */
    } places[] = {
        {"/sys/class/dmi/id/product_serial", ""},
        {"/proc/device-tree/serial-number", ""},
        {"/proc/cpuinfo", "\nSerial\t\t: "},
    };
    static char text[SERIAL_FILE_MAX];
    out[0] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0] && out[0] == '\0'; i++) {
        if (read_text(places[i].path, text, sizeof text) == 0)
            continue;
        const char *at = strstr(text, places[i].before);
        if (at)
            take_serial(at + strlen(places[i].before), out);
    }
}

/* The line without spaces around it, if it can be a serial number. */
static void take_serial(const char *line, char out[static TOKEN_SERIAL_MAX + 1])
{
    line += strspn(line, " \t");
    size_t len = strcspn(line, "\n");
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    if (!token_serial_valid(span_of(line, len)))
        return;
    memcpy(out, line, len);
    out[len] = '\0';
}

static size_t read_text(const char *path, char *text, size_t cap)
{
    struct buffer b = buffer_on(text, cap - 1);
    int rv = file_read(path, &b, NULL);
    text[b.len] = '\0';
    return rv == 0 ? b.len : 0;
}
