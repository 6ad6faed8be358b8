/*
 * Chains of Reshape, Flatten, Squeeze and Unsqueeze become their last one: each only gives the same
 * elements another shape. The last one has to name its shape whole, as a Reshape to constant sizes
 * does; one that copies a dimension of its input (0) does so from another input afterwards.
 */
#include <string.h>

#include "engine/passes/match.h"
#include "engine/passes/pass.h"

static bool is_view(const nnd_graph_node *n)
{
    return nnd_match_is(n, "Reshape") || nnd_match_is(n, "Flatten") || nnd_match_is(n, "Squeeze") ||
           nnd_match_is(n, "Unsqueeze");
}

/* A Reshape whose result does not depend on the shape of its input beyond the number of elements.
 */
static nnd_status is_whole(nnd_graph *g, const nnd_graph_node *n, bool *yes)
{
    const nnd_tensor *t = NULL;
    size_t count = 0;
    *yes = false;
    if (!nnd_match_is(n, "Reshape") || nnd_node_int(n, "allowzero", 0)) return NND_OK;
    const int64_t *dims = nnd_node_ints(n, "shape", &count);
    if (n->opset >= 5) {
        if (n->formal_count < 2 || n->inputs[1] == NND_NO_ID) return NND_OK;
        NND_TRY(nnd_graph_constant(g, n->inputs[1], &t));
        if (!t || !t->data || t->dtype != NND_I64) return NND_OK;
        dims = t->data;
        count = (size_t)nnd_tensor_count(t);
    }
    *yes = true;
    for (size_t i = 0; i < count && *yes; i++)
        *yes = dims[i] != 0;
    return NND_OK;
}

/* Each value's elements come from sources[value], through views only. */
static nnd_status sweep(nnd_graph *g, uint32_t *sources, size_t *changes)
{
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        bool whole;
        if (!is_view(n)) continue;
        uint32_t source = sources[n->inputs[0]];
        sources[n->outputs[0]] = source;
        if (source == n->inputs[0]) continue;
        NND_TRY(is_whole(g, n, &whole));
        if (!whole) continue;
        n->inputs[0] = source;
        (*changes)++;
    }
    return NND_OK;
}

nnd_status nnd_pass_reshape(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    uint32_t *sources = nnd_calloc(g->value_count + 1, sizeof(*sources));
    if (!sources) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the pass 'reshape'");
    for (uint32_t i = 0; i < g->value_count; i++)
        sources[i] = i;
    nnd_status status = sweep(g, sources, changes);
    nnd_free(sources);
    nnd_graph_index(g);
    return status;
}
