#include "manager/api_json.h"
#include "manager/api_rollout.h"
#include "manager/api_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void write_all(struct daemon *d, const struct deployment_counts *counts, FILE *out);
static void write_fleet(const struct manager *m, FILE *out);
static void write_deployments(const struct manager *m, const struct deployment_counts *counts,
                              FILE *out);
static void write_rollouts(const struct daemon *d, const struct deployment_counts *counts,
                           FILE *out);
static void write_counters(const struct manager *m, FILE *out);
static void write_alarms(const struct manager *m, FILE *out);
static void write_cells(const struct daemon *d, FILE *out);
static void write_joins(const struct daemon *d, FILE *out);

/* Prometheus's text format, version 0.0.4. No series per agent: a million of them would drown it.
 */
void api_metrics_show(struct request *r)
{
    char *text = NULL;
    size_t len;
    const struct deployment_counts *counts = daemon_counts(r->daemon);
    FILE *out = counts ? open_memstream(&text, &len) : NULL;
    if (out) {
        write_all(r->daemon, counts, out);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    if (text)
        request_reply_text(r, "text/plain; version=0.0.4", text);
    else
        request_reply(r, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL);
    free(text);
}

static void write_all(struct daemon *d, const struct deployment_counts *counts, FILE *out)
{
    const struct manager *m = daemon_core(d);
    fprintf(out,
            "# TYPE dunlin_build_info gauge\n"
            "dunlin_build_info{version=\"%s\"} 1\n"
            "# TYPE dunlin_epoch gauge\n"
            "dunlin_epoch %" PRIu32 "\n"
            "# TYPE dunlin_cohorts gauge\n"
            "dunlin_cohorts %" PRIu32 "\n",
            DUNLIN_VERSION, daemon_epoch(d), manager_cohort_count(m));
    write_fleet(m, out);
    write_deployments(m, counts, out);
    write_rollouts(d, counts, out);
    write_counters(m, out);
    write_alarms(m, out);
    write_cells(d, out);
    write_joins(d, out);
}

static void write_fleet(const struct manager *m, FILE *out)
{
    struct fleet_counts c;
    manager_count_agents(m, &c);
    fprintf(out,
            "# HELP dunlin_agents Agents by state; each is counted once.\n"
            "# TYPE dunlin_agents gauge\n"
            "dunlin_agents{state=\"Online\"} %" PRIu32 "\n"
            "dunlin_agents{state=\"Offline\"} %" PRIu32 "\n"
            "dunlin_agents{state=\"Stale\"} %" PRIu32 "\n"
            "dunlin_agents{state=\"Waiting\"} %" PRIu32 "\n",
            c.online - c.stale, c.offline, c.stale, c.waiting);
}

/* Names of deployments need no escaping: they are letters, digits, '.', '_' and '-'. */
static void write_deployments(const struct manager *m, const struct deployment_counts *counts,
                              FILE *out)
{
    fputs("# HELP dunlin_deployment_agents Agents that a deployment is meant for, by state.\n"
          "# TYPE dunlin_deployment_agents gauge\n",
          out);
    for (uint32_t i = 0; i < manager_deployment_count(m); i++)
        for (int s = 0; s < STATE_COUNT && !manager_deployment(m, i)->removed; s++)
            fprintf(out, "dunlin_deployment_agents{deployment=\"%s\",state=\"%s\"} %" PRIu32 "\n",
                    manager_deployment(m, i)->name, deployment_state_name((enum deployment_state)s),
                    counts[i].states[s]);
}

/* The states as `dunlin rollout show` names them; a deployment without stages has none. */
static void write_rollouts(const struct daemon *d, const struct deployment_counts *counts,
                           FILE *out)
{
    static const char *const states[] = {"running", "waiting", "paused",
                                         "stopped", "aborted", "done"};
    const struct manager *m = daemon_core(d);
    uint32_t totals[sizeof states / sizeof states[0]] = {0};
    uint64_t until_s;
    fputs("# HELP dunlin_deployment_held_agents Agents that a rollout has not let in yet.\n"
          "# TYPE dunlin_deployment_held_agents gauge\n",
          out);
    for (uint32_t i = 0; i < manager_deployment_count(m); i++) {
        const struct deployment_row *row = manager_deployment(m, i);
        if (row->removed || row->plan.count == 0)
            continue;
        enum rollout_hold hold = manager_rollout_hold(m, i, daemon_now_s(d), NULL, &until_s);
        for (size_t k = 0; k < sizeof states / sizeof states[0]; k++)
            totals[k] += strcmp(states[k], api_rollout_state(row, hold)) == 0;
        fprintf(out, "dunlin_deployment_held_agents{deployment=\"%s\"} %" PRIu32 "\n", row->name,
                counts[i].held);
    }
    fputs("# HELP dunlin_rollouts Rollouts by state.\n# TYPE dunlin_rollouts gauge\n", out);
    for (size_t k = 0; k < sizeof states / sizeof states[0]; k++)
        fprintf(out, "dunlin_rollouts{state=\"%s\"} %" PRIu32 "\n", states[k], totals[k]);
}

static void write_counters(const struct manager *m, FILE *out)
{
    struct api_counter counters[API_COUNTERS];
    api_counters(m, counters);
    for (size_t i = 0; i < API_COUNTERS; i++)
        fprintf(out,
                "# TYPE dunlin_%s_total counter\n"
                "dunlin_%s_total %" PRIu64 "\n",
                counters[i].name, counters[i].name, counters[i].value);
}

static void write_alarms(const struct manager *m, FILE *out)
{
    fputs("# TYPE dunlin_alarms_total counter\n", out);
    for (int type = 0; type < ALARM_TYPE_COUNT; type++)
        fprintf(out, "dunlin_alarms_total{alarm=\"%s\"} %" PRIu64 "\n",
                alarm_name((enum alarm_type)type),
                manager_counters((struct manager *)m)->alarms[type]);
}

static void write_cells(const struct daemon *d, FILE *out)
{
    fputs("# HELP dunlin_cell_up 1: the manager is connected to this broker.\n"
          "# TYPE dunlin_cell_up gauge\n",
          out);
    for (size_t i = 0; i < daemon_cell_count(d); i++)
        fprintf(out, "dunlin_cell_up{cell=\"%zu\"} %d\n", i,
                daemon_cell_info(d, i).state == CELL_UP);
}

static void write_joins(const struct daemon *d, FILE *out)
{
    struct porter_counters c = daemon_porter(d);
    fprintf(out,
            "# HELP dunlin_join_connections_total Connections to the join port, by what came of "
            "them.\n"
            "# TYPE dunlin_join_connections_total counter\n"
            "dunlin_join_connections_total{result=\"accepted\"} %" PRIu64 "\n"
            "dunlin_join_connections_total{result=\"refused_by_source\"} %" PRIu64 "\n"
            "dunlin_join_connections_total{result=\"refused_full\"} %" PRIu64 "\n"
            "dunlin_join_connections_total{result=\"cut\"} %" PRIu64 "\n"
            "# TYPE dunlin_join_connections gauge\n"
            "dunlin_join_connections %" PRIu64 "\n",
            c.accepted, c.refused_source, c.refused_full, c.cut, c.open);
}
