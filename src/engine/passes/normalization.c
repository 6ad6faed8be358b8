/*
 * Recognises normalisation over the last dimension that was written out in small steps:
 *
 *     d = x − mean(x),  d/√(mean(d²) + ε)·γ (+ β)      LayerNormalization
 *     x/√(mean(x²) + ε)·γ                              RMSNormalization
 *
 * Squares are Pow(d, 2) or d·d; the quotient may be a product with Reciprocal or with 1/√.
 */
#include <string.h>

#include "engine/passes/match.h"
#include "engine/passes/pass.h"

/* The value whose mean over the last dimension, which is kept, `value` is. */
static nnd_status mean_of(nnd_graph *g, uint32_t value, uint32_t *out)
{
    const nnd_graph_node *n = nnd_match_maker(g, value, "ReduceMean");
    *out = NND_NO_ID;
    if (!n || !nnd_node_int(n, "keepdims", 1)) return NND_OK;
    size_t count;
    const int64_t *axes = nnd_node_ints(n, "axes", &count);
    if (n->opset >= 18) {
        const nnd_tensor *t = NULL;
        if (n->formal_count > 1) NND_TRY(nnd_graph_constant(g, n->inputs[1], &t));
        count = t && t->data && t->dtype == NND_I64 ? (size_t)nnd_tensor_count(t) : 0;
        axes = t ? t->data : NULL;
    }
    if (count != 1) return NND_OK;
    int rank = nnd_match_rank(g, n->inputs[0]);
    if (axes[0] == -1 || (rank > 0 && axes[0] == rank - 1)) *out = n->inputs[0];
    return NND_OK;
}

/* The value whose square `value` is. */
static nnd_status root_of(nnd_graph *g, uint32_t value, uint32_t *out)
{
    const nnd_graph_node *n = nnd_match_binary(g, value, "Mul");
    *out = NND_NO_ID;
    if (n) {
        if (n->inputs[0] == n->inputs[1]) *out = n->inputs[0];
        return NND_OK;
    }
    bool two = false;
    n = nnd_match_binary(g, value, "Pow");
    if (n) NND_TRY(nnd_match_near(g, n->inputs[1], 2.0, &two));
    if (two) *out = n->inputs[0];
    return NND_OK;
}

/* √(mean(v²) + ε) → v and ε; v = NND_NO_ID when it is something else. */
static nnd_status match_deviation(nnd_graph *g, uint32_t value, uint32_t *v, float *epsilon)
{
    *v = NND_NO_ID;
    const nnd_graph_node *root = nnd_match_maker(g, value, "Sqrt");
    const nnd_graph_node *sum = root ? nnd_match_binary(g, root->inputs[0], "Add") : NULL;
    for (size_t k = 0; sum && k < 2 && *v == NND_NO_ID; k++) {
        bool is;
        uint32_t square = NND_NO_ID;
        NND_TRY(nnd_match_number(g, sum->inputs[k], epsilon, &is));
        if (is && *epsilon >= 0.0f) NND_TRY(mean_of(g, sum->inputs[1 - k], &square));
        if (square != NND_NO_ID) NND_TRY(root_of(g, square, v));
    }
    return NND_OK;
}

/* v/√(mean(v²) + ε), however the quotient is written. */
static nnd_status match_quotient(nnd_graph *g, uint32_t value, uint32_t *v, float *epsilon)
{
    const nnd_graph_node *n = nnd_match_binary(g, value, "Div");
    *v = NND_NO_ID;
    if (n) {
        NND_TRY(match_deviation(g, n->inputs[1], v, epsilon));
        if (*v != n->inputs[0]) *v = NND_NO_ID;
        return NND_OK;
    }
    n = nnd_match_binary(g, value, "Mul");
    for (size_t k = 0; n && k < 2 && *v == NND_NO_ID; k++) {
        const nnd_graph_node *inverse = nnd_match_maker(g, n->inputs[k], "Reciprocal");
        bool one = inverse != NULL;
        uint32_t root = inverse ? inverse->inputs[0] : NND_NO_ID;
        if (!inverse && (inverse = nnd_match_binary(g, n->inputs[k], "Div"))) {
            NND_TRY(nnd_match_near(g, inverse->inputs[0], 1.0, &one));
            root = inverse->inputs[1];
        }
        if (one) NND_TRY(match_deviation(g, root, v, epsilon));
        if (*v != n->inputs[1 - k]) *v = NND_NO_ID;
    }
    return NND_OK;
}

/* One factor or summand per element of the last dimension of `like`, which the nominal shapes tell:
   it must not make the result larger. */
static nnd_status is_vector(nnd_graph *g, uint32_t value, uint32_t like, bool *yes)
{
    const nnd_tensor *t;
    const nnd_graph_value *x = &g->values[like];
    NND_TRY(nnd_match_floats(g, value, &t));
    *yes = t && t->rank == 1 && t->dims[0] > 1 && x->nominal_rank > 0 &&
           x->nominal[x->nominal_rank - 1] == t->dims[0];
    return NND_OK;
}

/* The x of d = x − mean(x). */
static nnd_status centred(nnd_graph *g, uint32_t d, uint32_t *x)
{
    const nnd_graph_node *n = nnd_match_binary(g, d, "Sub");
    uint32_t of = NND_NO_ID;
    *x = NND_NO_ID;
    if (n) NND_TRY(mean_of(g, n->inputs[1], &of));
    if (of != NND_NO_ID && of == n->inputs[0]) *x = of;
    return NND_OK;
}

static nnd_status try_norm(nnd_graph *g, nnd_graph_node *last, bool *done)
{
    for (size_t k = 0; k < 2 && !*done; k++) {
        uint32_t v, x;
        float epsilon = 0;
        bool fits;
        NND_TRY(match_quotient(g, last->inputs[k], &v, &epsilon));
        if (v == NND_NO_ID) continue;
        NND_TRY(is_vector(g, last->inputs[1 - k], v, &fits));
        if (!fits || !nnd_match_same_rank(g, v, last->outputs[0])) continue;
        NND_TRY(centred(g, v, &x));
        const uint32_t inputs[2] = {x == NND_NO_ID ? v : x, last->inputs[1 - k]};
        bool layer = x != NND_NO_ID;
        NND_TRY(nnd_match_replace(g, last, layer ? "LayerNormalization" : "RMSNormalization",
                                  layer ? 17 : 23, 2, inputs));
        NND_TRY(nnd_node_add_int(g, last, "axis", -1));
        NND_TRY(nnd_node_add_float(g, last, "epsilon", epsilon));
        *done = true;
    }
    return NND_OK;
}

/* LayerNormalization + β. */
static nnd_status try_shift(nnd_graph *g, nnd_graph_node *sum, bool *done)
{
    for (size_t k = 0; k < 2 && !*done; k++) {
        nnd_graph_node *n = nnd_match_binary(g, sum->inputs[k], "LayerNormalization");
        bool fits = false;
        if (!n || n->output_count != 1) continue;
        if (nnd_graph_single_reader(g, sum->inputs[k]) == NND_NO_ID) continue;
        NND_TRY(is_vector(g, sum->inputs[1 - k], n->inputs[0], &fits));
        if (!fits || nnd_node_int(n, "axis", -1) != -1) continue;
        const uint32_t inputs[3] = {n->inputs[0], n->inputs[1], sum->inputs[1 - k]};
        nnd_attr *attrs = n->attrs;
        size_t count = n->attr_count;
        NND_TRY(nnd_match_replace(g, sum, "LayerNormalization", 17, 3, inputs));
        sum->attrs = attrs;
        sum->attr_count = count;
        n->dead = *done = true;
    }
    return NND_OK;
}

nnd_status nnd_pass_normalization(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        bool done = false;
        if (nnd_match_is_binary(&g->nodes[i], "Mul")) NND_TRY(try_norm(g, &g->nodes[i], &done));
        if (!done && nnd_match_is_binary(&g->nodes[i], "Add"))
            NND_TRY(try_shift(g, &g->nodes[i], &done));
        *changes += done;
    }
    nnd_graph_index(g);
    return NND_OK;
}
