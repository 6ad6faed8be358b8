/* ocr.ctc: the text that a line reader's scores spell. */
#include "nodes/nodes_internal.h"

#include "ops/text/text.h"

static nnd_status ctc_process(nnd_ctx *ctx)
{
    const nnd_node_labels *labels = nnd_ctx_prepared(ctx);
    const nnd_tensor *logits = nnd_node_tensor(ctx, 0);
    nnd_value *value = NULL;
    if (!logits) return NND_E_TYPE;
    NND_TRY(nnd_ctc_greedy(logits, (int)nnd_params_int(nnd_ctx_params(ctx), "blank"),
                           (const char *const *)labels->names, labels->count, &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port ctc_in[] = {
    NND_PORT("logits", "tensor", "f32[1,T,C]: C scores for each of T places along the line"),
};
static const nnd_port ctc_out[] = {
    NND_PORT("classes", "classes", "one class: its label is the text, its score how sure it is"),
};
static const nnd_param ctc_params[] = {
    {"labels", NND_PARAM_KIND_FILE, NND_PARAM_STATIC, 0, "", 0, 0, NULL, "",
     "text file with the character of each class per line", NULL},
    NND_PARAM_INT("blank", 0, 0, 1000000, "", "the class that means no character"),
};
const nnd_node_type nnd_node_ocr_ctc = {
    .struct_size = sizeof(nnd_node_type),
    .type = "ocr.ctc",
    .version = 1,
    .category = "text",
    .title = "Spell a line",
    .text = "Makes a text of a line reader's scores: the best class per place, repeats once.",
    .inputs = NND_ARRAY(ctc_in),
    .outputs = NND_ARRAY(ctc_out),
    .params = NND_ARRAY(ctc_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .prepare = nnd_node_labels_prepare,
    .release = nnd_node_labels_release,
    .process = ctc_process,
};
