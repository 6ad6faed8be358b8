/*
 * Transpositions of the last two dimensions go into the Gemm or MatMul that reads the result: their
 * kernel packs both operands anyway and reads them either way. A MatMul becomes com.microsoft's
 * FusedMatMul. Waits for the nominal shapes, and so for the pass 'attention', which looks for a
 * MatMul as the exporter wrote it.
 */
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

/* What a transposition of the last two dimensions is made of, NND_NO_ID = something else. */
static uint32_t untransposed(nnd_graph *g, uint32_t value)
{
    int64_t perm[NND_MAX_RANK];
    int rank;
    const nnd_graph_node *n = nnd_match_maker(g, value, "Transpose");
    if (!n || !nnd_match_perm(g, n, perm, &rank) || rank < 2) return NND_NO_ID;
    for (int i = 0; i < rank - 2; i++)
        if (perm[i] != i) return NND_NO_ID;
    return perm[rank - 2] == rank - 1 ? n->inputs[0] : NND_NO_ID;
}

static nnd_status flip(nnd_graph *g, nnd_graph_node *n, const char *name)
{
    int64_t now = !nnd_node_int(n, name, 0);
    for (size_t i = 0; i < n->attr_count; i++) {
        if (strcmp(n->attrs[i].name, name) != 0) continue;
        n->attrs[i].u.i = now;
        return NND_OK;
    }
    return nnd_node_add_int(g, n, name, now);
}

static nnd_status absorb(nnd_graph *g, nnd_graph_node *n, size_t *changes)
{
    static const char *const names[2] = {"transA", "transB"};
    bool gemm = nnd_match_is(n, "Gemm");
    const nnd_op *op = gemm ? n->op : nnd_op_find("com.microsoft", "FusedMatMul", 1);
    for (size_t k = 0; k < 2; k++) {
        uint32_t source = untransposed(g, n->inputs[k]);
        if (source == NND_NO_ID) continue;
        n->inputs[k] = source;
        NND_TRY(flip(g, n, names[k]));
        if (!gemm) {
            n->domain = op->domain;
            n->type = op->name;
            n->op = op;
            n->opset = 1;
        }
        (*changes)++;
    }
    return NND_OK;
}

nnd_status nnd_pass_product(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        bool product = nnd_match_is(n, "MatMul") || nnd_match_is(n, "Gemm");
        if (!product || n->formal_count < 2 || n->inputs[1] == NND_NO_ID || !n->op) continue;
        if (g->values[n->outputs[0]].nominal_rank < 0) continue;
        NND_TRY(absorb(g, n, changes));
    }
    nnd_graph_index(g);
    return NND_OK;
}
