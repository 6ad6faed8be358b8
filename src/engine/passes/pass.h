/*
 * Passes: each looks at one graph (not into its sub-graphs, the driver does that) and says how many
 * changes it made. A pass leaves the graph indexed, and its time is bounded by the size of the
 * graph (times a logarithm), whatever the graph looks like.
 */
#ifndef NND_ENGINE_PASSES_PASS_H
#define NND_ENGINE_PASSES_PASS_H

#include "engine/engine.h"
#include "engine/graph/graph.h"

typedef nnd_status (*nnd_pass_fn)(nnd_graph *graph, size_t *changes);

nnd_status nnd_pass_half(nnd_graph *graph, size_t *changes); /* with all sub-graphs; first, once */
nnd_status nnd_pass_qdq(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_constant_folding(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_identity(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_common(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_batchnorm(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_activation(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_dead_code(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_control(nnd_graph *graph, size_t *changes); /* takes sub-graphs away */
nnd_status nnd_pass_sequence(nnd_graph *graph, size_t *changes);
/* These go by the nominal shapes. */
nnd_status nnd_pass_residual(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_layout(nnd_graph *graph,
                           size_t *changes); /* behind all rounds, once per graph */
nnd_status nnd_pass_elementwise(nnd_graph *graph, size_t *changes); /* behind the layout, once */
nnd_status nnd_pass_pad(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_scale(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_normalization(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_gelu(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_transpose(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_reshape(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_attention(nnd_graph *graph, size_t *changes);
nnd_status nnd_pass_product(nnd_graph *graph, size_t *changes);

/* Finds the nominal shapes of a model's main graph: those at the declared inputs, an open batch
   taken as 1 and an open picture size as a usual one. Nothing is known afterwards where that leads
   nowhere. NND_E_OUT_OF_MEMORY. */
nnd_status nnd_passes_shapes(nnd_graph *graph);
/* The same for all sub-graphs of a graph whose shapes are known, as a first round would see them:
   guesses, which are there for kernels that are asked ahead. The passes go without them. */
nnd_status nnd_passes_body_shapes(nnd_graph *graph);

/* ---- what the passes did ---------------------------------------------------------------- */

typedef struct nnd_pass_kind {
    const struct nnd_op *op;
    int64_t more; /* nodes of this operator after the pass, less those before it */
} nnd_pass_kind;

/* One pass, all its rounds and all graphs of the model together. */
typedef struct nnd_pass_stats {
    size_t changes;
    size_t nodes_before; /* when it ran first */
    int64_t removed;     /* nodes, net */
    int64_t ns;
    size_t kind_count;
    nnd_pass_kind *kinds;
} nnd_pass_stats;

typedef struct nnd_pass_report {
    nnd_pass_stats passes[NND_PASS_COUNT];
    int dump_after; /* nnd_engine_pass, −1 = none: keep the graph as text after this pass */
    char *dump; /* as it left the main graph when it last changed something; NULL = did not run */
} nnd_pass_report;
/* clang-format off */
#define NND_PASS_REPORT_INIT {.dump_after = -1}
/* clang-format on */
void nnd_pass_report_fini(nnd_pass_report *report);

/* How many nodes of each operator a graph has. */
typedef struct nnd_pass_census {
    size_t capacity; /* of the table, a power of two */
    nnd_pass_kind *kinds;
} nnd_pass_census;
nnd_status nnd_pass_census_take(nnd_pass_census *census, const nnd_graph *graph);
/* Adds after − before to the pass's kinds. */
nnd_status nnd_pass_census_compare(const nnd_pass_census *before, const nnd_pass_census *after,
                                   nnd_pass_stats *stats);

/* ---- running them ----------------------------------------------------------------------- */

/* Runs the passes of the bit set in their order, sub-graphs first, until nothing changes (at most
   a few rounds), and adds to the report. */
nnd_status nnd_passes_run(nnd_graph *graph, uint32_t passes, nnd_pass_report *report);

#endif
