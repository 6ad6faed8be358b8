/* The built-in control-flow node types; nnd_registry_create adds them. */
#ifndef NND_WORKFLOW_FLOW_H
#define NND_WORKFLOW_FLOW_H

#include "nndeploy/workflow.h"

/* Internal flag of flow.delay: process is called for GAP packets too. */
#define WF_NODE_SEES_GAPS (1u << 31)

extern const nnd_node_type *const wf_flow_types[];
extern const size_t wf_flow_type_count;

#endif
