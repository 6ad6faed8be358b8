/* From the nodes of a graph to the operators that run them. */
#ifndef NND_ENGINE_RUNTIME_BIND_H
#define NND_ENGINE_RUNTIME_BIND_H

#include "engine/graph/graph.h"

/* Finds the operator of every node, sub-graphs included. NND_E_UNSUPPORTED with one message that
   lists every node without one and why. */
nnd_status nnd_graph_bind(nnd_graph *graph);
/* Calls every operator's prepare / release, sub-graphs included. packed: called after each
   operator with the bytes that weights have been packed into so far. */
nnd_status nnd_graph_prepare(nnd_graph *graph, void (*packed)(void *user, uint64_t bytes),
                             void *user);
void nnd_graph_release(nnd_graph *graph);

#endif
