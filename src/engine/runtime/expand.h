/*
 * Operators of com.microsoft that are operators of ai.onnx under another name, in another layout or
 * several of them in a row. A model's nodes of that kind are replaced by what they stand for before
 * anything else looks at them, so that passes and kernels need not know them.
 */
#ifndef NND_ENGINE_RUNTIME_EXPAND_H
#define NND_ENGINE_RUNTIME_EXPAND_H

#include "engine/graph/graph.h"

typedef struct nnd_expansion nnd_expansion;

/* The expansion of the node; NULL for nodes that are operators as they are, also because of their
   attributes or because a plug-in has an operator of that name. */
const nnd_expansion *nnd_expansion_of(const nnd_graph_node *node);
/* Whether there is an operator of that name at all. */
bool nnd_expansion_knows(const nnd_graph_node *node);
/* Replaces all of them, sub-graphs included, but those that are operators of the table too and for
   which the file does not tell enough. What cannot be replaced at all is left to nnd_graph_bind,
   which says why. */
nnd_status nnd_graph_expand(nnd_graph *graph);

/* For the list of operators: how many there are, their names, and the operator that takes their
   first operand. */
typedef struct nnd_expansion_info {
    const char *type, *core_domain, *core;
    int64_t core_opset;
} nnd_expansion_info;
size_t nnd_expansion_count(void);
nnd_expansion_info nnd_expansion_at(size_t index);

#endif
