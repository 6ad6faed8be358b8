/*
 * Choices among kernels. Some operators have several algorithms for one shape, and a cost model
 * that picks one of them. What somebody has measured on a machine goes before it: a list of
 * choices, looked into when a node is prepared.
 */
#ifndef NND_ENGINE_OPS_CHOICE_H
#define NND_ENGINE_OPS_CHOICE_H

#include "engine/engine.h"
#include "engine/graph/graph.h"

/* What a prepared node could choose from. */
typedef struct nnd_op_choice {
    const char *shape;          /* the key of nnd_engine_kernel */
    const char *const *kernels; /* those that can do it */
    size_t count;
    const char *kernel; /* the one that it has taken */
    bool is_measured;   /* not the cost model's choice */
} nnd_op_choice;

typedef enum nnd_choice_fate {
    NND_CHOICE_UNSEEN = 0, /* no node had that shape */
    NND_CHOICE_TAKEN,
    NND_CHOICE_CANNOT /* its kernel cannot do the shape */
} nnd_choice_fate;

/* Those of a model, while it is being loaded. */
typedef struct nnd_choices {
    const nnd_engine_kernel *items;
    nnd_choice_fate *fates;
    size_t count;
} nnd_choices;

/* The name of the engine's own way, among the kernels that somebody has brought. */
extern const char nnd_choice_engine[];

/* The kernel that the choices of the model name for an operator of this shape; NULL = none that can
   do it. */
const char *nnd_choices_find(const nnd_graph *graph, const char *op, const nnd_op_choice *choice);
/* The same by what was measured for this very shape only. */
const char *nnd_choices_measured(const nnd_graph *graph, const char *op,
                                 const nnd_op_choice *choice);
/* One warning about all choices that were not taken. */
void nnd_choices_report(const nnd_choices *choices, const char *model);

#endif
