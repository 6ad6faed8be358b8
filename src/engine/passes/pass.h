/*
 * Passes: each looks at one graph (not into its sub-graphs, the driver does that) and says how many
 * changes it made. A pass leaves the graph indexed.
 */
#ifndef NND_ENGINE_PASSES_PASS_H
#define NND_ENGINE_PASSES_PASS_H

#include "engine/engine.h"
#include "engine/graph/graph.h"

typedef nnd_status (*nnd_pass_fn)(nnd_graph *graph, size_t *changes);

nnd_status nnd_pass_qdq(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_constant_folding(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_identity(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_batchnorm(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_activation(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_dead_code(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_pad(nnd_graph *graph, size_t *changes);
/* These two go by the nominal shapes. */
nnd_status nnd_pass_residual(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_layout(nnd_graph *graph, size_t *changes); /* the last one; once per graph */

/* Finds the nominal shapes of a model's main graph: those at the declared inputs, an open batch
   taken as 1 and an open picture size as a usual one. Nothing is known afterwards where that leads
   nowhere. NND_E_OUT_OF_MEMORY. */
nnd_status nnd_passes_shapes(nnd_graph *graph);

/* Runs the passes of the bit set in their order, sub-graphs first, until nothing changes (at most
   a few rounds). changes[NND_PASS_COUNT] is added to. */
nnd_status nnd_passes_run(nnd_graph *graph, uint32_t passes, size_t *changes);

#endif
