/*
 * api_routes: the handlers of all routes; api.c has the table.
 */
#ifndef DUNLIN_MANAGER_API_ROUTES_H
#define DUNLIN_MANAGER_API_ROUTES_H

#include "manager/api_request.h"
#include "manager/naming.h"

request_handler api_status_show;
request_handler api_metrics_show;
request_handler api_audit_list;

request_handler api_admins_create;
request_handler api_admins_list;
request_handler api_admins_revoke;

/* The whole table; api.c has it. */
const struct route *api_routes(size_t *count);

request_handler api_agents_list;
request_handler api_agents_show;
request_handler api_agents_label;
request_handler api_labels_set;
request_handler api_taints_set;
request_handler api_agents_remove;
request_handler api_agents_approve;
request_handler api_agents_revoke;
request_handler api_agents_release;
request_handler api_agents_replace;
request_handler api_agents_cordon;
request_handler api_agents_uncordon;
request_handler api_agents_taint;
request_handler api_agents_why;

/* The number of the path's agent, also of one that was removed. 0: answered with 404 or 409. */
uint32_t api_find_any_agent(struct request *r);
/* The agents of the fleet that texts name. False: answered. */
bool api_find_named_agents(struct request *r, struct naming *list, size_t count);
/* The selector that a text is, with the groups that there are. False: answered. */
bool api_read_selector(struct request *r, const char *text, struct selector *out);

request_handler api_groups_set;
request_handler api_groups_list;
request_handler api_groups_show;
request_handler api_groups_remove;

request_handler api_budgets_set;
request_handler api_budgets_list;
request_handler api_budgets_show;
request_handler api_budgets_remove;

request_handler api_tokens_create;
request_handler api_tokens_list;
request_handler api_tokens_revoke;
request_handler api_tokens_bind;

request_handler api_trust_show;
request_handler api_trust_set;
request_handler api_trust_online;
request_handler api_trust_authority;

request_handler api_chunks_missing;
request_handler api_chunks_put;
request_handler api_chunks_get;

/* Whether devices would take that bundle: publishers may have been revoked since it was pushed.
 * False: answered. */
bool api_bundle_trusted(struct request *r, const struct bundle_row *row);
request_handler api_bundles_add;
request_handler api_bundles_list;
request_handler api_bundles_show;
request_handler api_bundles_remove;

request_handler api_variables_set;
request_handler api_variables_unset;
request_handler api_variables_list;

request_handler api_deployments_create;
request_handler api_deployments_list;
request_handler api_deployments_show;
request_handler api_deployments_pause;
request_handler api_deployments_resume;
request_handler api_deployments_rollback;
request_handler api_deployments_remove;
request_handler api_rollouts_show;
request_handler api_rollouts_approve;
request_handler api_rollouts_abort;
request_handler api_rollouts_retry;
request_handler api_rollouts_set;
request_handler api_rollouts_pause;
request_handler api_rollouts_resume;
request_handler api_rollouts_rollback;

#endif
