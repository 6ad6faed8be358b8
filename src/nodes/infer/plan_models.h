/* The models that a compiled workflow runs: what `nndeploy tune` measures. */
#ifndef NND_NODES_INFER_PLAN_MODELS_H
#define NND_NODES_INFER_PLAN_MODELS_H

#include "nndeploy/infer.h"
#include "nndeploy/workflow.h"

typedef struct nnd_plan_model {
    const char *node;    /* path in the workflow */
    const char *path;    /* real path of the model's main file */
    const char *backend; /* as the node asks for it; "auto" when it leaves the choice */
    nnd_model *model;
    /* Per input of the model: what arrives there as far as it is known before a run. */
    const nnd_spec *inputs;
    size_t input_count;
} nnd_plan_model;

/* Calls fn for every infer.model node that takes part in a run, in the order of the plan; what it
   is given is borrowed for the call. Ends with the first status that is not NND_OK. */
nnd_status nnd_plan_each_model(const nnd_plan *plan,
                               nnd_status (*fn)(void *user, const nnd_plan_model *model),
                               void *user);

#endif
