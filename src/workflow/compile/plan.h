/*
 * A compiled plan: actors and edges after sub-graphs were flattened, types resolved, memory chosen,
 * transfers inserted and nodes prepared. Immutable once nnd_plan_compile returned it; runs hold a
 * reference and keep everything that changes to themselves.
 *
 * Words. An actor is what the executor schedules: a node, a workflow input or output, a transfer,
 * or the entry and exit of a flow.map or flow.loop. An edge carries packets (a value or a GAP, with
 * a sequence number) from one output port of one actor to one input port or parameter of another.
 */
#ifndef NND_WORKFLOW_PLAN_H
#define NND_WORKFLOW_PLAN_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/vec.h"
#include "workflow/format/document.h"
#include "workflow/format/params.h"
#include "workflow/type_expr.h"

#define WF_NONE          UINT32_MAX
#define WF_QUEUE_DEFAULT 8u    /* packets per edge when the file says nothing */
#define WF_QUEUE_MAX     65536 /* larger numbers in files are errors */
#define WF_DEPTH_MAX     32    /* nested sub-graphs */

typedef enum wf_actor_kind {
    WF_ACTOR_NODE = 0,
    WF_ACTOR_INPUT,    /* takes what nnd_run_push gives */
    WF_ACTOR_OUTPUT,   /* keeps values for nnd_run_pop */
    WF_ACTOR_TRANSFER, /* copies to another memory space */
    WF_ACTOR_SPLIT,    /* flow.map: lists → elements */
    WF_ACTOR_JOIN,     /* flow.map: elements → lists */
    WF_ACTOR_LOOP      /* flow.loop: entry and exit in one */
} wf_actor_kind;
const char *wf_actor_kind_name(wf_actor_kind kind);

typedef enum wf_on_error_kind {
    WF_ON_ERROR_FAIL = 0, /* fail_graph */
    WF_ON_ERROR_SKIP,     /* the packet becomes a GAP */
    WF_ON_ERROR_RETRY,
    WF_ON_ERROR_FALLBACK,
    WF_ON_ERROR_ISOLATE, /* in one stream the same as SKIP */
    WF_ON_ERROR_RESTART  /* close, open again, the packet becomes a GAP */
} wf_on_error_kind;
const char *wf_on_error_name(wf_on_error_kind kind);

/* Where values lie. */
typedef struct wf_memory {
    nnd_memory_kind kind;
    nnd_device *device; /* never NULL */
    size_t alignment, padding;
} wf_memory;

typedef struct wf_plan_port {
    const char *name;
    const char *expr; /* as declared: may have variables */
    const char *type; /* actual type */
    const char *text;
    uint32_t flags;              /* NND_PORT_… */
    const nnd_value_type *exact; /* for type checks: a plain value type, NULL = by `type` */
    uint32_t *edges;             /* plan edge indices, in file order */
    uint32_t edge_count;
    nnd_spec spec;    /* outputs: what comes; inputs: what is wanted */
    wf_memory memory; /* outputs: where nnd_ctx_alloc puts values */
} wf_plan_port;

typedef struct wf_plan_edge {
    uint32_t from, from_port;
    uint32_t to, to_port; /* to_port is WF_NONE for parameter edges */
    const char *param;    /* name of the parameter that is fed, NULL for data */
    bool dead;            /* between pruned actors */
    bool check;           /* the types do not promise it: check each value */
    bool sticky;          /* from a constant: the one value stands for every sequence */
    bool hold;            /* inside a cycle behind flow.delay: matched by order, drives nothing */
    bool feedback;        /* from a flow.loop's body back to its loop */
    uint32_t capacity;
    uint64_t max_bytes; /* 0 = no limit */
    int64_t max_age;    /* ns, 0 = no limit */
    wf_policy policy;
    wf_memory memory;
    wf_place place;
} wf_plan_edge;

typedef struct wf_plan_actor {
    wf_actor_kind kind;
    const char *path; /* "sub/node"; for inputs and outputs the name */
    const char *file; /* of the document part, NULL = the document itself */
    wf_place place;
    const nnd_node_type *type; /* NULL for kinds that are not from a document node */
    uint32_t flags;            /* of the type */
    nnd_params *params;        /* NULL when type is NULL */
    void *prepared;
    bool has_prepared;       /* prepare succeeded: release is due */
    const char *device_name; /* as the file has it, NULL = the cpu */
    nnd_device *device;
    bool ports_known; /* false: the type, a parameter or the model is wrong, which was reported */
    wf_plan_port *in;
    wf_plan_port *out;
    uint32_t in_count, out_count;
    uint32_t *param_edges; /* plan edge indices */
    uint32_t param_edge_count;
    wf_on_error_kind on_error;
    uint32_t retries;
    uint32_t fallback;   /* actor index, WF_NONE */
    bool standby;        /* somebody's fallback: has no edges of its own */
    int64_t deadline_ns; /* 0 = none */
    bool bypass, mute;
    bool dead;     /* pruned */
    bool constant; /* nothing drives it: called once per run */
    bool in_cycle;
    uint32_t rank;  /* longest way to a sink: smaller runs first */
    uint32_t order; /* position in topological order */
    /* flow.map: which inputs are taken apart; flow.loop: where things are. */
    bool *over;
    uint32_t partner;      /* SPLIT ↔ JOIN */
    uint32_t body_inputs;  /* LOOP: inputs of the body (in ports 0…, out ports 0…) */
    uint32_t body_outputs; /* LOOP: in ports behind the inputs, out ports behind body_inputs */
    uint32_t *carry;       /* LOOP: per body input the body output that feeds it, WF_NONE */
    uint32_t until;        /* LOOP: body output, WF_NONE */
    uint32_t count_port;   /* LOOP: in port with the number of turns, WF_NONE */
    int64_t count;         /* LOOP: −1 = only until */
    int64_t max_turns;
} wf_plan_actor;

/* "sub", "score" of a promoted parameter → the node that has it, for nnd_run_set_param. */
typedef struct wf_plan_promoted {
    const char *path, *name;
    uint32_t actor;
    const char *param;
} wf_plan_promoted;

struct nnd_plan {
    atomic_uint refs;
    nnd_arena arena; /* strings and arrays of the plan */
    nnd_registry *registry;
    nnd_io *io;
    nnd_services services;
    bool has_services;
    const char *name;
    const char *file;
    nnd_run_mode mode;
    NND_VEC(wf_plan_actor) actors;
    NND_VEC(wf_plan_edge) edges;
    NND_VEC(wf_plan_promoted) promoted;
    uint32_t *inputs; /* actors of the workflow's inputs, in file order */
    uint32_t *outputs;
    uint32_t input_count, output_count;
    uint32_t *by_rank; /* live actors, nearest to the sink first */
    uint32_t live_count;
    size_t transfer_count;
    size_t pool_bytes; /* soft limit of a run's pool */
    nnd_key128 hash;
};

/* Node by path; WF_NONE. */
uint32_t wf_plan_find(const nnd_plan *plan, const char *path);
/* The input that a bypassed actor hands on to an output: the first one of equal type; WF_NONE. */
uint32_t wf_bypass_input(const wf_plan_actor *actor, uint32_t output);
/* Whether a value may be put on (or taken from) a port; GAPs never come here. */
bool wf_port_accepts(const wf_plan_port *port, const nnd_value *value);

#endif
