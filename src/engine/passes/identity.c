/* Removes nodes that hand their input on: Identity, Dropout in inference, Cast to the type that is
   there already. */
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/passes/pass.h"

static bool is_unused(const nnd_graph *g, const nnd_graph_node *n, size_t output)
{
    return output >= n->output_count || n->outputs[output] == NND_NO_ID ||
           g->values[n->outputs[output]].uses == 0;
}

static bool dropout_is_identity(const nnd_graph *g, const nnd_graph_node *n)
{
    if (!is_unused(g, n, 1)) return false;
    if (n->opset < 7) return nnd_node_int(n, "is_test", 0) != 0;
    return n->formal_count < 3 || n->inputs[2] == NND_NO_ID; /* no training_mode */
}

static bool hands_on(const nnd_graph *g, const nnd_graph_node *n)
{
    if (n->domain[0] || n->formal_count == 0 || n->inputs[0] == NND_NO_ID) return false;
    if (strcmp(n->type, "Identity") == 0) return true;
    if (strcmp(n->type, "Dropout") == 0) return dropout_is_identity(g, n);
    if (strcmp(n->type, "Cast") == 0) {
        nnd_dtype from = g->values[n->inputs[0]].dtype;
        return from != NND_DTYPE_INVALID &&
               nnd_onnx_dtype((uint64_t)nnd_node_int(n, "to", 0)) == from;
    }
    return false;
}

nnd_status nnd_pass_identity(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        if (!hands_on(g, n) || n->outputs[0] == NND_NO_ID) continue;
        /* An output keeps its name and its own memory: an input or a constant that is handed out
           stays a copy. */
        uint32_t from = n->inputs[0], to = n->outputs[0];
        if (nnd_graph_is_output(g, to)) continue;
        nnd_graph_replace_uses(g, to, from);
        n->dead = true;
        (*changes)++;
    }
    nnd_graph_index(g);
    return NND_OK;
}
