/*
 * Moves an addition into a Conv, Gemm or MatMul with constant weights whose result only it reads:
 * the layer gets the other operand, of the shape of its result, as fourth input and takes the place
 * of the addition. The nominal shapes say whether the shapes are the same; at others the layer adds
 * in a step of its own, which may broadcast.
 */
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/pass.h"

static bool is_sum(const nnd_graph_node *n)
{
    bool sum = strcmp(n->type, "Add") == 0 || strcmp(n->type, "Sum") == 0;
    return sum && !n->domain[0] && n->formal_count == 2 && n->input_count == 2 && n->opset >= 7 &&
           n->inputs[0] != NND_NO_ID && n->inputs[1] != NND_NO_ID && n->outputs[0] != NND_NO_ID;
}

static bool same_shape(const nnd_graph *g, uint32_t a, uint32_t b)
{
    const nnd_graph_value *x = &g->values[a], *y = &g->values[b];
    return x->nominal_rank >= 2 && x->nominal_rank == y->nominal_rank &&
           memcmp(x->nominal, y->nominal, (size_t)x->nominal_rank * sizeof(*x->nominal)) == 0;
}

/* Gemm's C has to leave the kernel's other summand free. */
static bool product_takes_residual(const nnd_graph *g, const nnd_graph_node *n)
{
    if (strcmp(n->type, "MatMul") == 0) return g->values[n->inputs[1]].rank == 2;
    if (strcmp(n->type, "Gemm") != 0) return false;
    if (n->formal_count < 3 || n->inputs[2] == NND_NO_ID) return true;
    const nnd_graph_value *c = &g->values[n->inputs[2]];
    return c->is_constant && c->rank < 2 && nnd_node_float(n, "beta", 1.0f) == 1.0f;
}

/* The layer that makes `value` and can take `other` as a residual. */
static nnd_graph_node *host_of(nnd_graph *g, uint32_t value, uint32_t other)
{
    uint32_t id = g->values[value].producer;
    if (id == NND_NO_ID || nnd_graph_single_reader(g, value) == NND_NO_ID) return NULL;
    nnd_graph_node *n = &g->nodes[id];
    if (n->dead || n->domain[0] || n->epilogue) return NULL;
    if (n->formal_count < 2 || n->formal_count > 3 || n->input_count != n->formal_count ||
        n->inputs[1] == NND_NO_ID)
        return NULL;
    const nnd_graph_value *w = &g->values[n->inputs[1]];
    if (!w->is_constant || w->dtype != NND_F32) return NULL;
    /* A constant has one shape, the result of a Conv perhaps many: the step of its own would be the
       rule. */
    if (strcmp(n->type, "Conv") == 0)
        return g->nominal_exact || !g->values[other].is_constant ? n : NULL;
    return product_takes_residual(g, n) ? n : NULL;
}

static nnd_status fuse(nnd_graph *g, nnd_graph_node *sum, nnd_graph_node *host, uint32_t other)
{
    uint32_t *inputs = nnd_arena_calloc(&g->arena, 4, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the residual pass");
    inputs[0] = host->inputs[0];
    inputs[1] = host->inputs[1];
    inputs[2] = host->formal_count > 2 ? host->inputs[2] : NND_NO_ID;
    inputs[3] = other;
    uint32_t output = sum->outputs[0];
    /* In the place of the sum, where the other operand is there already. */
    *sum = *host;
    sum->inputs = inputs;
    sum->input_count = sum->formal_count = 4;
    sum->outputs = nnd_arena_calloc(&g->arena, 1, sizeof(*sum->outputs));
    if (!sum->outputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the residual pass");
    sum->outputs[0] = output;
    host->dead = true;
    return NND_OK;
}

nnd_status nnd_pass_residual(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *sum = &g->nodes[i];
        if (sum->dead || !is_sum(sum) || !same_shape(g, sum->inputs[0], sum->inputs[1])) continue;
        for (size_t k = 0; k < 2; k++) {
            nnd_graph_node *host = host_of(g, sum->inputs[k], sum->inputs[1 - k]);
            if (!host || sum->inputs[0] == sum->inputs[1]) continue;
            NND_TRY(fuse(g, sum, host, sum->inputs[1 - k]));
            g->values[g->nodes[i].outputs[0]].producer = (uint32_t)i;
            (*changes)++;
            break;
        }
    }
    nnd_graph_index(g);
    return NND_OK;
}
