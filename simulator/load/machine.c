#include "simulator/load/machine.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int check_settings(const char *proc, const struct machine_needs *n, struct errmsg *em);
static int check_ports(const char *proc, const struct machine_needs *n, struct errmsg *em);
static int check_buffers(const char *proc, const struct machine_needs *n, struct errmsg *em);
static int check_memory(const char *proc, const struct machine_needs *n, struct errmsg *em);
static uint64_t read_number(const char *proc, const char *file);
static bool read_text(const char *proc, const char *file, char text[static 4096]);

int machine_check(const char *proc, const struct machine_needs *n, struct errmsg *em)
{
    int rv = check_settings(proc, n, em);
    if (rv == 0)
        rv = check_ports(proc, n, em);
    if (rv == 0)
        rv = check_buffers(proc, n, em);
    return rv < 0 ? rv : check_memory(proc, n, em);
}

/* So many for each agent, and for all else. Where connections aren't tracked, none is counted. */
static const struct {
    const char *file, *name, *counted;
    uint64_t each, base;
} SETTINGS[] = {
    {"sys/fs/file-max", "fs.file-max", "sys/fs/file-nr", 2, 20000},
    {"sys/net/netfilter/nf_conntrack_max", "net.netfilter.nf_conntrack_max",
     "sys/net/netfilter/nf_conntrack_count", 1, 10000},
};

static int check_settings(const char *proc, const struct machine_needs *n, struct errmsg *em)
{
    for (size_t i = 0; i < sizeof SETTINGS / sizeof SETTINGS[0]; i++) {
        uint64_t needed = n->connections * SETTINGS[i].each + SETTINGS[i].base;
        uint64_t allowed = read_number(proc, SETTINGS[i].file);
        if (allowed == 0 || allowed >= needed || read_number(proc, SETTINGS[i].counted) == 0)
            continue;
        return errmsg_set(em, ERR_REFUSED,
                          "%u agents need %s of %" PRIu64 ", and it is %" PRIu64
                          ": run `sysctl -w %s=%" PRIu64 "` first",
                          n->agents, SETTINGS[i].name, needed, allowed, SETTINGS[i].name, needed);
    }
    return 0;
}

/* Each process has an address of its own, so that ports are taken anew with each broker. */
static int check_ports(const char *proc, const struct machine_needs *n, struct errmsg *em)
{
    char text[4096];
    uint32_t first, last, pairs = n->processes * n->processes;
    uint32_t needed = (n->connections + pairs - 1) / pairs + 1000;
    if (!read_text(proc, "sys/net/ipv4/ip_local_port_range", text) ||
        sscanf(text, "%" SCNu32 " %" SCNu32, &first, &last) != 2 || last - first >= needed)
        return 0;
    return errmsg_set(em, ERR_REFUSED,
                      "%u agents need %u ports from each address, and there are %u: run `sysctl -w "
                      "net.ipv4.ip_local_port_range=\"32768 60999\"` first",
                      n->agents, needed, last - first + 1);
}

/* Linux counts a page for each end of a connection that has carried anything, used or not. Beyond
 * the second number of three it makes windows small and drops what comes, and beyond the third one
 * nothing gets through: agents time out, come back, and make it worse. */
static int check_buffers(const char *proc, const struct machine_needs *n, struct errmsg *em)
{
    char text[4096];
    uint64_t pressure, needed = (uint64_t)n->connections * 2 + 20000;
    if (!read_text(proc, "sys/net/ipv4/tcp_mem", text) ||
        sscanf(text, "%*u %" SCNu64, &pressure) != 1 || pressure >= needed)
        return 0;
    return errmsg_set(
        em, ERR_REFUSED,
        "%u agents need %" PRIu64 " pages for TCP, and there is pressure from %" PRIu64
        ": run `sysctl -w net.ipv4.tcp_mem=\"%" PRIu64 " %" PRIu64 " %" PRIu64 "\"` first",
        n->agents, needed, pressure, needed, needed, needed * 3 / 2);
}

static int check_memory(const char *proc, const struct machine_needs *n, struct errmsg *em)
{
    char text[4096];
    uint64_t available = 0;
    uint64_t each = n->tls                       ? MACHINE_AGENT_TLS_KIB
                    : n->connections < n->agents ? MACHINE_AGENT_SHARED_KIB
                                                 : MACHINE_AGENT_KIB;
    uint64_t needed = n->agents * each + MACHINE_BASE_KIB;
    const char *line = read_text(proc, "meminfo", text) ? strstr(text, "MemAvailable:") : NULL;
    if (!line || sscanf(line, "MemAvailable: %" SCNu64, &available) != 1 || available >= needed)
        return 0;
    return errmsg_set(em, ERR_REFUSED,
                      "%u agents need about %" PRIu64 " MiB of memory, and %" PRIu64
                      " are available: take fewer",
                      n->agents, needed / 1024, available / 1024);
}

/* 0: there is none. */
static uint64_t read_number(const char *proc, const char *file)
{
    char text[4096];
    uint64_t number = 0;
    return read_text(proc, file, text) && sscanf(text, "%" SCNu64, &number) == 1 ? number : 0;
}

static bool read_text(const char *proc, const char *file, char text[static 4096])
{
    char path[FILE_PATH_MAX];
    FILE *f = file_path(path, NULL, "%s/%s", proc, file) < 0 ? NULL : fopen(path, "re");
    size_t len = f ? fread(text, 1, 4095, f) : 0;
    if (f)
        fclose(f);
    text[len] = '\0';
    return len > 0;
}
