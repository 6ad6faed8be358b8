/*
 * Running a plan: one thread drives the steps, the gang helps inside of them.
 */
#ifndef NND_ENGINE_RUNTIME_EXEC_H
#define NND_ENGINE_RUNTIME_EXEC_H

#include "engine/plan/plan.h"

/* Plans of a request: of the main graph and of sub-graphs, those used last. A model with many
   sub-graphs gets a larger one, so that a run finds those of the run before. One thread. */
enum { NND_PLAN_CACHE_LEAST = 16, NND_PLAN_CACHE_MOST = 1024 };
typedef struct nnd_cached_plan {
    nnd_plan *plan;
    uint32_t pins; /* runs that use it now */
    uint64_t used;
} nnd_cached_plan;
typedef struct nnd_plan_cache {
    size_t count, capacity, limit; /* limit 0 = the least */
    nnd_cached_plan *entries;
    uint64_t clock;
    nnd_plan_options options;
} nnd_plan_cache;

/* How many plans a run of this graph and all below it may need, for `limit`. */
size_t nnd_plan_cache_limit(const nnd_graph *graph);
/* The plan for these inputs, made when it is not there, pinned until unpin. NND_E_LIMIT when all
   are pinned (sub-graphs nested too deep). */
nnd_status nnd_plan_cache_get(nnd_plan_cache *cache, nnd_graph *graph, const nnd_tensor *inputs,
                              nnd_plan **out);
void nnd_plan_cache_unpin(nnd_plan_cache *cache, const nnd_plan *plan);
void nnd_plan_cache_fini(nnd_plan_cache *cache);

/* Memory that grows and is kept between runs. */
typedef struct nnd_block {
    void *data;
    size_t bytes;
} nnd_block;
nnd_status nnd_block_reserve(nnd_block *block, size_t bytes); /* 64-byte aligned, contents lost */
void nnd_block_fini(nnd_block *block);

/* What a run needs beside its plan; shared by the main graph and its sub-graphs. */
typedef struct nnd_exec_env {
    nnd_plan_cache *cache;
    nnd_gang *gang;
    const nnd_cancel *cancel;
    nnd_arena text;   /* of strings that operators make; they live as long as the run */
    nnd_block lanes;  /* scratch of the gang's lanes; grown as plans ask */
    int depth;        /* of sub-graphs */
    uint64_t draws;   /* random operators that ran in this run */
    int64_t *step_ns; /* per step of the main plan; NULL = no profile */
} nnd_exec_env;

/* State of one run of one plan. What is not a plain tensor lies in a box: a list (sequence), a
   record (map), a gap (empty optional), or a tensor that a list shares with us. Boxes hold texts
   that belong to the run: they leave it as copies (nnd_box_export). */
typedef struct nnd_exec {
    const nnd_plan *plan;
    nnd_exec_env *env;
    size_t value_count;
    nnd_tensor *values; /* per value of the graph; data NULL = not there (yet) */
    void **owned;       /* per value: memory of dynamic ones */
    nnd_value **boxes;  /* per value, NULL = a plain tensor */
    bool boxed;         /* there is any */
    char *arena;
    uint32_t node; /* that runs now */
} nnd_exec;

/* Runs the plan. inputs: as in nnd_plan_create, with data. boxes: per input, NULL for tensors; the
   array may be NULL. outputs: memory for the graph outputs whose slot says OUTPUT (NULL entries are
   allowed for others). arena: plan->arena_bytes. After success x->values and x->boxes hold the
   outputs until nnd_exec_fini or nnd_exec_drop_boxes. */
nnd_status nnd_exec_run(nnd_exec *x, const nnd_plan *plan, nnd_exec_env *env,
                        const nnd_tensor *const *inputs, nnd_value *const *boxes,
                        void *const *outputs, void *arena);
/* Runs a branch that was planned with the graph around it: the step of an If. Its memory is the
   step's workspace. */
nnd_status nnd_exec_branch(nnd_op_ctx *c, const nnd_plan *plan);
void nnd_exec_drop_boxes(nnd_exec *x);
void nnd_exec_fini(nnd_exec *x);

/* A value with texts of its own in place of those of a run: what may leave the request. Shares what
   holds no texts. */
nnd_status nnd_box_export(nnd_value *box, nnd_value **out);
/* A value from outside for a run: every tensor in it is dense, aligned and in host memory. */
nnd_status nnd_box_import(nnd_value *value, nnd_value **out);

#endif
