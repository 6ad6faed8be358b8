/* Nominal shapes: what a run at the declared inputs would see. */
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
