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

static uint32_t follow(const uint32_t *stands_for, uint32_t id)
{
    return id == NND_NO_ID ? id : stands_for[id];
}

/* One sweep in order of execution: what a removed node made stands for what it got. */
static void sweep(nnd_graph *g, uint32_t *stands_for, size_t *changes)
{
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        for (size_t k = 0; k < n->input_count; k++)
            n->inputs[k] = follow(stands_for, n->inputs[k]);
        /* An output keeps its name and its own memory: an input or a constant that is handed out
           stays a copy. */
        if (!hands_on(g, n) || n->outputs[0] == NND_NO_ID || nnd_graph_is_output(g, n->outputs[0]))
            continue;
        stands_for[n->outputs[0]] = n->inputs[0];
        n->dead = true;
        (*changes)++;
    }
    for (nnd_graph *child = g->children; child; child = child->sibling)
        for (size_t i = 0; i < child->capture_count; i++)
            child->captures[i].outer = follow(stands_for, child->captures[i].outer);
}

nnd_status nnd_pass_identity(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    uint32_t *stands_for = nnd_calloc(g->value_count + 1, sizeof(*stands_for));
    if (!stands_for) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the identity pass");
    for (uint32_t i = 0; i < g->value_count; i++)
        stands_for[i] = i;
    sweep(g, stands_for, changes);
    nnd_free(stands_for);
    nnd_graph_index(g);
    return NND_OK;
}
