/* Removes nodes whose results nobody reads. */
#include "engine/passes/pass.h"

static bool is_read(const nnd_graph *g, const nnd_graph_node *n)
{
    for (size_t k = 0; k < n->output_count; k++)
        if (n->outputs[k] != NND_NO_ID && g->values[n->outputs[k]].uses) return true;
    return false;
}

nnd_status nnd_pass_dead_code(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    /* From the end, so that a whole dead chain goes in one sweep. */
    for (size_t i = g->node_count; i-- > 0;) {
        nnd_graph_node *n = &g->nodes[i];
        if (is_read(g, n)) continue;
        n->dead = true;
        (*changes)++;
        for (size_t k = 0; k < n->input_count; k++)
            if (n->inputs[k] != NND_NO_ID) g->values[n->inputs[k]].uses--;
    }
    nnd_graph_index(g);
    return NND_OK;
}
