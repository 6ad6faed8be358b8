/* Nominal shapes: what a run at the declared inputs would see. */
#include <string.h>

#include "engine/passes/pass.h"
#include "engine/plan/plan.h"

/* Sizes to assume for pictures of any size: multiples of what networks usually want, and different
   from each other so that nothing fits by chance. */
enum { USUAL_HEIGHT = 224, USUAL_WIDTH = 320 };

static bool describe_input(const nnd_graph_value *v, nnd_tensor *t, bool *exact)
{
    int64_t dims[NND_MAX_RANK];
    if (v->rank < 0 || v->rank > NND_MAX_RANK || v->dtype == NND_DTYPE_INVALID) return false;
    for (int i = 0; i < v->rank; i++) {
        dims[i] = v->dims[i];
        if (dims[i] >= 0) continue;
        *exact = false;
        if (v->rank == 4 && i == 1) return false;
        dims[i] = v->rank == 4 && i == 2 ? USUAL_HEIGHT : v->rank == 4 && i == 3 ? USUAL_WIDTH : 1;
    }
    if (nnd_tensor_init(t, v->dtype, v->rank, dims, NULL) == NND_OK) return true;
    nnd_error_clear();
    return false;
}

/* Planning reads small constants in place. */
static nnd_status align_small_constants(nnd_graph *g)
{
    for (uint32_t i = 0; i < g->value_count; i++) {
        const nnd_graph_value *v = &g->values[i];
        const nnd_tensor *aligned;
        if (v->is_constant && v->uses && nnd_tensor_bytes(&v->constant) <= NND_NOMINAL_BYTES)
            NND_TRY(nnd_graph_constant(g, i, &aligned));
    }
    return NND_OK;
}

nnd_status nnd_passes_shapes(nnd_graph *g)
{
    bool known = !g->parent;
    g->nominal_exact = known;
    nnd_tensor *inputs = nnd_calloc(g->input_count + 1, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for nominal shapes");
    for (size_t i = 0; i < g->input_count && known; i++)
        known = describe_input(&g->values[g->inputs[i]], &inputs[i], &g->nominal_exact);
    nnd_status status = known ? align_small_constants(g) : NND_OK;
    if (known && status == NND_OK) status = nnd_plan_nominal(g, inputs);
    nnd_free(inputs);
    if (status == NND_OK && known) return NND_OK;
    g->nominal_exact = false;
    if (status == NND_E_OUT_OF_MEMORY) return status;
    nnd_error_clear(); /* a real plan will say it, with the real shapes */
    return NND_OK;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static bool nominal_tensor(const nnd_graph *g, uint32_t id, nnd_tensor *t)
{
    const nnd_graph_value *v = id == NND_NO_ID ? NULL : &g->values[id];
    if (!v || v->nominal_rank < 0 || v->nominal_dtype == NND_DTYPE_INVALID) return false;
    if (nnd_tensor_init(t, v->nominal_dtype, v->nominal_rank, v->nominal, NULL) == NND_OK)
        return true;
    nnd_error_clear();
    return false;
}

/* A slice of a scanned input. */
static bool drop_axis(nnd_tensor *t, int64_t axis)
{
    if (axis < 0) axis += t->rank;
    if (axis < 0 || axis >= t->rank) return false;
    int64_t dims[NND_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < t->rank; i++)
        if (i != axis) dims[rank++] = t->dims[i];
    return nnd_tensor_init(t, t->dtype, rank, dims, NULL) == NND_OK;
}

/* Input i of the body of a Loop or Scan in its first round. */
static bool first_round(const nnd_graph *g, const nnd_graph_node *n, const nnd_graph *body,
                        size_t i, nnd_tensor *t)
{
    bool loop = n->op && !n->op->domain[0] && strcmp(n->op->name, "Loop") == 0;
    bool scan = n->op && !n->op->domain[0] && strcmp(n->op->name, "Scan") == 0;
    if (loop && i < 2) return nnd_tensor_init(t, i ? NND_BOOL : NND_I64, 0, NULL, NULL) == NND_OK;
    bool known = (loop || (scan && n->op->since >= 9)) && i < n->formal_count &&
                 nominal_tensor(g, n->inputs[i], t);
    int64_t states = (int64_t)body->input_count - nnd_node_int(n, "num_scan_inputs", 0);
    if (!known || loop || (int64_t)i < states) return known;
    size_t count, k = (size_t)((int64_t)i - states);
    const int64_t *axes = nnd_node_ints(n, "scan_input_axes", &count);
    return drop_axis(t, axes && k < count ? axes[k] : 0);
}

static nnd_status shapes_of_body(const nnd_graph *g, const nnd_graph_node *n, nnd_graph *body)
{
    bool exact;
    nnd_tensor *inputs = nnd_calloc(body->input_count + body->capture_count + 1, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for nominal shapes");
    for (size_t i = 0; i < body->input_count; i++)
        if (!first_round(g, n, body, i, &inputs[i]) &&
            !describe_input(&body->values[body->inputs[i]], &inputs[i], &exact))
            inputs[i] = (nnd_tensor){0};
    for (size_t i = 0; i < body->capture_count; i++)
        (void)nominal_tensor(g, body->captures[i].outer, &inputs[body->input_count + i]);
    nnd_status status = align_small_constants(body);
    if (status == NND_OK) status = nnd_plan_nominal(body, inputs);
    nnd_free(inputs);
    body->nominal_exact = false;
    if (status == NND_OK || status == NND_E_OUT_OF_MEMORY) return status;
    nnd_error_clear();
    return NND_OK;
}

nnd_status nnd_passes_body_shapes(nnd_graph *g)
{
    for (size_t i = 0; i < g->node_count; i++) {
        const nnd_graph_node *n = &g->nodes[i];
        for (size_t k = 0; k < n->attr_count; k++) {
            if (n->attrs[k].kind != NND_ATTR_GRAPH) continue;
            NND_TRY(shapes_of_body(g, n, n->attrs[k].u.graph));
            NND_TRY(nnd_passes_body_shapes(n->attrs[k].u.graph));
        }
    }
    return NND_OK;
}
