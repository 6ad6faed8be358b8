/*
 * The compiler's passes, in their order. A pass reports what is wrong through the diagnostics and
 * goes on as far as it can; the status is only for what ends compiling at once (no memory,
 * cancelled). nnd_plan_compile looks at the error count between passes.
 */
#ifndef NND_WORKFLOW_COMPILE_H
#define NND_WORKFLOW_COMPILE_H

#include "workflow/compile/plan.h"

/* The graph that a document node (or the root) holds, while it is flattened. */
typedef struct wf_scope {
    const wf_graph *graph;
    struct wf_scope *parent; /* NULL at the root */
    const wf_node *node;     /* in the parent's graph */
    wf_actor_kind kind;      /* NODE: plain sub-graph or root; SPLIT: flow.map; LOOP: flow.loop */
    const char *prefix;      /* "" or "sub/" */
    const char *file;
    uint32_t entry; /* root: actor of input 0; SPLIT; LOOP */
    uint32_t exit;  /* JOIN; LOOP */
    struct wf_child {
        uint32_t actor;         /* leaf node, else WF_NONE */
        struct wf_scope *scope; /* sub-graph, else NULL */
    } * children;               /* per graph->nodes */
} wf_scope;

/* A parameter value on its way from where it was written to the node that has the parameter. */
typedef struct wf_given {
    wf_field field;        /* borrowed strings; field.name is the node's own parameter */
    const wf_scope *scope; /* where it was written: {"$input": x} means x there */
} wf_given;
typedef struct wf_givens {
    wf_given *items;
    size_t count, capacity;
} wf_givens;

/* An object that a callback wants to last until compiling ends. */
typedef struct wf_kept {
    void *object;
    void (*destroy)(void *object);
} wf_kept;

typedef struct wf_compiler {
    nnd_plan *plan;
    const nnd_workflow *wf;
    const nnd_compile_options *options;
    nnd_diagnostics *diags;
    nnd_arena arena; /* scopes and scratch, gone after compiling */
    wf_scope *root;
    NND_VEC(wf_scope *) scopes;
    NND_VEC(wf_kept) kept;
} wf_compiler;

/* One node while it is prepared (nnd_prepare of the public header). */
struct nnd_prepare {
    wf_compiler *compiler;
    nnd_plan *plan;
    const wf_plan_actor *actor;
    const nnd_params *params;
    nnd_cancel *cancel;
    const nnd_workflow *wf; /* for pinned models */
};

/* flatten.c: scopes and actors with their ports. */
nnd_status wf_compile_flatten(wf_compiler *c);
/* connect.c: edges, fallbacks, loop wiring. */
nnd_status wf_compile_connect(wf_compiler *c);
/* givens.c: what the document, promotions and overrides say about one node's parameters. */
nnd_status wf_collect_givens(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                             wf_givens *out);
nnd_status wf_check_overrides(wf_compiler *c);
/* types.c: unifies port types over all edges. */
nnd_status wf_compile_types(wf_compiler *c);
/* order.c: required inputs, cycles, constants, pruning, topological order, ranks, credits. */
nnd_status wf_compile_order(wf_compiler *c);
/* The last part of it, again after transfers were inserted. */
nnd_status wf_compile_rank(wf_compiler *c);
/* prepare.c: devices and the prepare callbacks. */
nnd_status wf_compile_prepare(wf_compiler *c);
/* negotiate.c: specs along the edges, memory, transfers. */
nnd_status wf_compile_negotiate(wf_compiler *c);
/* plan.c: hash. */
void wf_plan_compute_hash(nnd_plan *plan);

/* Helpers. */
#define wf_report_actor(c, actor, severity, status, code, port, suggestion, ...)                   \
    wf_report((c)->diags, severity, status, code, (actor)->file, (actor)->place, (actor)->path,    \
              port, suggestion, __VA_ARGS__)
/* Reports this thread's error record as a diagnostic of the actor and clears it. */
nnd_status wf_report_record(wf_compiler *c, const wf_plan_actor *actor, const char *code,
                            nnd_status status, const char *doing);
nnd_status wf_add_edge(wf_compiler *c, const wf_plan_edge *edge);
/* Fills the port's edge lists from plan->edges. */
nnd_status wf_link_edges(nnd_plan *plan);
void *wf_arena_or_error(nnd_arena *arena, size_t count, size_t size, nnd_status *status);

#endif
