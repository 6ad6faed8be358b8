/*
 * A plan: one graph at one set of concrete input shapes. It says in which order nodes run, with
 * which kernel plans, and where every value lies. What depends on shapes and constants only has
 * been computed already and is a constant of the plan; what depends on computed elements in its
 * shape is dynamic and gets memory when it is its turn.
 *
 * Immutable after creation; borrowed graph; any thread may run it.
 */
#ifndef NND_ENGINE_PLAN_PLAN_H
#define NND_ENGINE_PLAN_PLAN_H

#include "engine/graph/graph.h"
#include "engine/ops/op.h"

typedef enum nnd_slot_kind {
    NND_SLOT_NONE = 0, /* nobody reads it */
    NND_SLOT_CONSTANT, /* tensor.data is the memory */
    NND_SLOT_INPUT,    /* index: of the graph's inputs, then captures */
    NND_SLOT_OUTPUT,   /* index: written directly to the memory of that output */
    NND_SLOT_ARENA,    /* offset */
    NND_SLOT_DYNAMIC   /* allocated when its node runs, freed after its last reader */
} nnd_slot_kind;

typedef struct nnd_slot {
    nnd_slot_kind kind;
    bool known;        /* dtype and shape are known */
    nnd_tensor tensor; /* dtype, shape; data for constants */
    uint32_t root;     /* value whose memory this one shares; itself when it shares none */
    size_t shift;      /* where in it */
    uint32_t index;
    size_t offset;
    uint32_t first, last; /* steps of its life (of the root: of all that share) */
} nnd_slot;

typedef struct nnd_plan_step {
    uint32_t node;
    bool dynamic; /* infer and plan again at run time */
    bool joined;  /* as in nnd_op_ctx */
    bool apart;   /* likewise; in a finished plan: the results lie in input 0, nothing runs */
    size_t apart_offset;
    void *op_step;
    struct nnd_plan *branch; /* of an If whose condition is known: runs in the workspace */
    const char *kernel;
    size_t workspace_bytes, workspace_offset, lane_bytes;
    uint64_t flops, bytes_read, bytes_written; /* of one run */
    uint32_t free_begin, free_count; /* into frees: dynamic values that die after this step */
} nnd_plan_step;

typedef struct nnd_plan {
    nnd_graph *graph;
    nnd_slot *slots; /* one per value of the graph */
    size_t step_count;
    nnd_plan_step *steps;
    size_t free_count;
    uint32_t *frees;
    size_t arena_bytes; /* activations and workspaces */
    size_t lane_bytes;  /* the largest of all steps */
    size_t input_count; /* graph inputs and captures: the signature */
    nnd_tensor *inputs;
    size_t folded_bytes;
    nnd_arena folded; /* memory of the plan's own constants */
    uint64_t flops;
} nnd_plan;

typedef struct nnd_plan_options {
    bool separate_tensors;
    uint64_t max_arena_bytes;
} nnd_plan_options;

/* Writes the shapes that all values have for these inputs (as in nnd_plan_create), and the types
   that are not known yet, into the graph.
   Comes before the operators are prepared. Constants up to NND_NOMINAL_BYTES must be aligned. */
enum { NND_NOMINAL_BYTES = 16 * 1024 };
nnd_status nnd_plan_nominal(nnd_graph *graph, const nnd_tensor *inputs);

/* The arena of a run at the shapes that nnd_plan_nominal has found, kernels' workspaces apart;
   SIZE_MAX when they are not known. */
nnd_status nnd_plan_nominal_arena(nnd_graph *graph, size_t *bytes);

/* inputs: dtype and shape of every graph input, then of every capture; a capture that is constant
   in the graph is ignored. */
nnd_status nnd_plan_create(nnd_graph *graph, const nnd_tensor *inputs,
                           const nnd_plan_options *options, nnd_plan **out);
void nnd_plan_destroy(nnd_plan *plan); /* takes NULL */
/* The value whose memory `id` lies in, by way of all that share it; shift: where in it. */
uint32_t nnd_plan_root(const nnd_plan *plan, uint32_t id, size_t *shift);
bool nnd_plan_matches(const nnd_plan *plan, const nnd_graph *graph, const nnd_tensor *inputs);
/* The plan as one JSON object: size, peak, one entry per value in memory. */
void nnd_plan_write(const nnd_plan *plan, nnd_json_writer *w);

#endif
