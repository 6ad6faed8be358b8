/* Computes at load what depends on constants only, with the operators' own `run`. */
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/pass.h"

/* A result much larger than what it is made from (Expand, ConstantOfShape) is left to the run. */
enum { MAX_GROWTH = 4, SMALL_BYTES = 1 << 20, MAX_OPERANDS = 32 };

static bool is_candidate(const nnd_graph *g, const nnd_graph_node *n)
{
    if (!n->op || n->op->flags & (NND_OP_RANDOM | NND_OP_DYNAMIC)) return false;
    if (n->formal_count != n->input_count || n->input_count > MAX_OPERANDS ||
        n->output_count > MAX_OPERANDS)
        return false;
    for (size_t k = 0; k < n->input_count; k++)
        if (n->inputs[k] != NND_NO_ID && !g->values[n->inputs[k]].is_constant) return false;
    for (size_t k = 0; k < n->output_count; k++)
        if (n->outputs[k] != NND_NO_ID && nnd_graph_is_output(g, n->outputs[k])) return false;
    return true;
}

static bool is_too_large(const nnd_op_ctx *c)
{
    uint64_t in = 0, out = 0;
    for (size_t k = 0; k < c->in_count; k++)
        if (c->in[k]) in += nnd_tensor_bytes(c->in[k]);
    for (size_t k = 0; k < c->out_count; k++)
        out += nnd_tensor_bytes(&c->out[k]);
    return out > SMALL_BYTES && out / MAX_GROWTH > in;
}

/* All results of a model together: a chain of operators that each double a constant is as cheap in
   the file as one of them. Weights that are stored in 8 bits and laid out anew stay within. */
enum { WEIGHTS_TIMES = 8 };
#define FOLD_BYTES_AT_LEAST (UINT64_C(64) << 20)
#define FOLD_FLOPS          4e9 /* a few seconds of plain loops */

static void choose_limit(const nnd_graph *g, nnd_folding *f)
{
    uint64_t weights = 0;
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i].is_constant) weights += nnd_tensor_bytes(&g->values[i].constant);
    f->limit = FOLD_BYTES_AT_LEAST + WEIGHTS_TIMES * weights;
}

/* Takes a node's share of the model's budget; false when there is not enough left. */
static bool can_afford(nnd_graph *g, const nnd_op_ctx *c)
{
    while (g->parent)
        g = g->parent;
    nnd_folding *f = &g->folding;
    if (!f->limit) choose_limit(g, f);
    double flops = c->op->flops ? c->op->flops(c) : 0;
    uint64_t bytes = 0;
    for (size_t k = 0; k < c->out_count; k++)
        bytes += nnd_tensor_bytes(&c->out[k]);
    if (bytes > f->limit - f->bytes || f->flops + flops > FOLD_FLOPS) return false;
    f->bytes += bytes;
    f->flops += flops;
    return true;
}

static nnd_status allocate(nnd_op_ctx *c, void **memory)
{
    for (size_t k = 0; k < c->out_count; k++) {
        if (c->node->outputs[k] == NND_NO_ID) continue;
        memory[k] = nnd_alloc_aligned(nnd_tensor_bytes(&c->out[k]) + 1, 64);
        if (!memory[k])
            return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a folded constant");
        c->out[k].data = memory[k];
    }
    return NND_OK;
}

static nnd_status fold_node(nnd_graph *g, nnd_graph_node *n, bool *done)
{
    const nnd_tensor *in[MAX_OPERANDS] = {0};
    nnd_tensor out[MAX_OPERANDS];
    void *memory[MAX_OPERANDS] = {0};
    memset(out, 0, sizeof(out));
    for (size_t k = 0; k < n->input_count; k++)
        NND_TRY(nnd_graph_constant(g, n->inputs[k], &in[k]));
    nnd_op_ctx c = {.node = n,
                    .op = n->op,
                    .in_count = n->input_count,
                    .in = in,
                    .out_count = n->output_count,
                    .out = out};
    nnd_status status = n->op->infer(&c);
    if (status == NND_E_AGAIN) return NND_OK;
    NND_TRY(status);
    for (size_t k = 0; k < n->output_count; k++)
        if (out[k].dtype == NND_STRING) return NND_OK;
    if (is_too_large(&c) || !can_afford(g, &c)) return NND_OK;
    status = allocate(&c, memory);
    if (status == NND_OK) status = n->op->run(&c);
    for (size_t k = 0; k < n->output_count; k++) {
        if (!memory[k]) continue;
        if (status == NND_OK)
            status = nnd_graph_set_constant(g, n->outputs[k], &out[k], memory[k]);
        else
            nnd_free_aligned(memory[k]);
    }
    *done = status == NND_OK;
    return status;
}

nnd_status nnd_pass_constant_folding(nnd_graph *g, size_t *changes)
{
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        if (n->dead || !is_candidate(g, n)) continue;
        bool done = false;
        NND_TRY(fold_node(g, n, &done));
        if (!done) continue;
        n->dead = true;
        (*changes)++;
    }
    nnd_graph_index(g);
    return NND_OK;
}
