/* From the nodes of a graph to the operators that run them. */
#ifndef NND_ENGINE_RUNTIME_BIND_H
#define NND_ENGINE_RUNTIME_BIND_H

#include "engine/graph/graph.h"

/* Finds the operator of every node, sub-graphs included, but for nodes that nnd_graph_expand
   replaces: it comes first where the graph is to run. NND_E_UNSUPPORTED with one message that lists
   every node without an operator and why. */
nnd_status nnd_graph_bind(nnd_graph *graph);
/* Calls every operator's prepare / release, sub-graphs included. Packed weights go to `packed`,
   which has to live as long as the graph; `after` is called after each operator. */
nnd_status nnd_graph_prepare(nnd_graph *graph, struct nnd_packed *packed, void (*after)(void *user),
                             void *user);
void nnd_graph_release(nnd_graph *graph);

#endif
