/* The best classes of a score vector, soft-max. */
#include "nodes/nodes_internal.h"

static nnd_status top_k_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_node_labels *labels = nnd_ctx_prepared(ctx);
    const nnd_tensor *scores = nnd_node_tensor(ctx, 0);
    nnd_value *value = NULL;
    if (!scores) return NND_E_TYPE;
    NND_TRY(nnd_top_k(scores, (int)nnd_params_int(p, "k"), nnd_params_bool(p, "softmax"),
                      (const char *const *)labels->names, labels->count, &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port scores_in[] = {NND_PORT("scores", "tensor", "f32[N] or f32[1,N]")};
static const nnd_port classes_out[] = {NND_PORT("classes", "classes", "best first")};
static const nnd_param top_k_params[] = {
    NND_PARAM_INT("k", 5, 1, 10000, "", "how many"),
    NND_PARAM_BOOL("softmax", 1, "the scores are logits: make probabilities of them"),
    {"labels", NND_PARAM_KIND_FILE, NND_PARAM_STATIC, 0, "", 0, 0, NULL, "",
     "text file with a class name per line", NULL},
};
const nnd_node_type nnd_node_classify_top_k = {
    .struct_size = sizeof(nnd_node_type),
    .type = "classify.top_k",
    .version = 1,
    .category = "classify",
    .title = "Best classes",
    .text = "Names the classes with the highest scores.",
    .inputs = NND_ARRAY(scores_in),
    .outputs = NND_ARRAY(classes_out),
    .params = NND_ARRAY(top_k_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .prepare = nnd_node_labels_prepare,
    .release = nnd_node_labels_release,
    .process = top_k_process,
};

static nnd_status softmax_process(nnd_ctx *ctx)
{
    const nnd_tensor *src = nnd_node_tensor(ctx, 0);
    nnd_value *value = NULL;
    if (!src) return NND_E_TYPE;
    NND_TRY(nnd_ctx_alloc_tensor(ctx, 0, NND_F32, src->rank, src->dims, &value));
    nnd_status status = nnd_softmax(nnd_value_edit(value), src);
    if (status == NND_OK) return nnd_ctx_emit(ctx, 0, value);
    nnd_value_unref(value);
    return status;
}

static const nnd_port softmax_in[] = {NND_PORT("tensor", "tensor", "f32, any shape")};
static const nnd_port softmax_out[] = {NND_PORT("tensor", "tensor", "the same shape")};
const nnd_node_type nnd_node_tensor_softmax = {
    .struct_size = sizeof(nnd_node_type),
    .type = "tensor.softmax",
    .version = 1,
    .category = "tensor",
    .title = "Soft-max",
    .text = "Makes probabilities of logits, over the last dimension.",
    .inputs = NND_ARRAY(softmax_in),
    .outputs = NND_ARRAY(softmax_out),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = softmax_process,
};
