#include "engine/passes/match.h"

#include <math.h>
#include <string.h>

#include "engine/ops/op.h"

bool nnd_match_is(const nnd_graph_node *n, const char *type)
{
    return !n->dead && !n->domain[0] && strcmp(n->type, type) == 0 && n->formal_count > 0 &&
           n->inputs[0] != NND_NO_ID && n->outputs[0] != NND_NO_ID;
}

bool nnd_match_is_binary(const nnd_graph_node *n, const char *type)
{
    return nnd_match_is(n, type) && n->formal_count == 2 && n->input_count == 2 &&
           n->inputs[1] != NND_NO_ID;
}

nnd_graph_node *nnd_match_maker(nnd_graph *g, uint32_t value, const char *type)
{
    uint32_t id = value == NND_NO_ID ? NND_NO_ID : g->values[value].producer;
    if (id == NND_NO_ID || !nnd_match_is(&g->nodes[id], type)) return NULL;
    return g->nodes[id].outputs[0] == value ? &g->nodes[id] : NULL;
}

nnd_graph_node *nnd_match_binary(nnd_graph *g, uint32_t value, const char *type)
{
    nnd_graph_node *n = nnd_match_maker(g, value, type);
    return n && nnd_match_is_binary(n, type) ? n : NULL;
}

nnd_status nnd_match_floats(nnd_graph *g, uint32_t value, const nnd_tensor **out)
{
    *out = NULL;
    if (value == NND_NO_ID || g->values[value].dtype != NND_F32) return NND_OK;
    NND_TRY(nnd_graph_constant(g, value, out));
    if (*out && !(*out)->data) *out = NULL;
    return NND_OK;
}

nnd_status nnd_match_number(nnd_graph *g, uint32_t value, float *out, bool *is)
{
    const nnd_tensor *t;
    NND_TRY(nnd_match_floats(g, value, &t));
    *is = t && nnd_tensor_count(t) == 1;
    if (*is) *out = *(const float *)t->data;
    return NND_OK;
}

nnd_status nnd_match_near(nnd_graph *g, uint32_t value, double number, bool *is)
{
    float there;
    NND_TRY(nnd_match_number(g, value, &there, is));
    *is = *is && fabs((double)there - number) <= 1e-6 * fabs(number);
    return NND_OK;
}

nnd_status nnd_match_beside(nnd_graph *g, const nnd_graph_node *n, double number, uint32_t *out)
{
    *out = NND_NO_ID;
    for (size_t k = 0; k < 2 && *out == NND_NO_ID; k++) {
        bool is;
        NND_TRY(nnd_match_near(g, n->inputs[k], number, &is));
        if (is) *out = n->inputs[1 - k];
    }
    return NND_OK;
}

int nnd_match_rank(const nnd_graph *g, uint32_t value)
{
    const nnd_graph_value *v = &g->values[value];
    return v->is_constant || v->nominal_rank < 0 ? v->rank : v->nominal_rank;
}

bool nnd_match_same_rank(const nnd_graph *g, uint32_t a, uint32_t b)
{
    int rank = nnd_match_rank(g, a);
    return rank >= 0 && rank == nnd_match_rank(g, b);
}

nnd_status nnd_match_replace(nnd_graph *g, nnd_graph_node *n, const char *type, int64_t opset,
                             size_t count, const uint32_t *inputs)
{
    if (opset < n->opset) opset = n->opset;
    const nnd_op *op = nnd_op_find("", type, opset);
    if (!op) return nnd_error_set(NND_E_INTERNAL, "there is no operator '%s'", type);
    n->opset = opset;
    return nnd_match_become(g, n, op, count, inputs);
}

nnd_status nnd_match_become(nnd_graph *g, nnd_graph_node *n, const nnd_op *op, size_t count,
                            const uint32_t *inputs)
{
    uint32_t *copy = nnd_arena_calloc(&g->arena, count, sizeof(*copy));
    if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    memcpy(copy, inputs, count * sizeof(*copy));
    n->type = op->name;
    n->op = op;
    n->inputs = copy;
    n->input_count = n->formal_count = count;
    n->output_count = 1;
    n->attr_count = 0;
    return NND_OK;
}

bool nnd_match_perm(const nnd_graph *g, const nnd_graph_node *n, int64_t *perm, int *rank)
{
    size_t count;
    if (!nnd_match_is(n, "Transpose")) return false;
    const int64_t *list = nnd_node_ints(n, "perm", &count);
    *rank = list ? (int)count : nnd_match_rank(g, n->inputs[0]);
    if (*rank < 1 || *rank > NND_MAX_RANK || (list && count > NND_MAX_RANK)) return false;
    uint32_t seen = 0;
    for (int i = 0; i < *rank; i++) {
        perm[i] = list ? list[i] : *rank - 1 - i;
        if (perm[i] < 0 || perm[i] >= *rank) return false;
        seen |= 1u << perm[i];
    }
    return seen == (1u << *rank) - 1u;
}
