/*
 * The engine's intermediate representation: a graph of operators and the values between them.
 *
 * Values and nodes are named by 32-bit ids, the indices into the graph's tables; everything small
 * (names, attributes, lists) lives in the graph's arena and dies with it. Constant tensors either
 * point into the model file or belong to their value. Sub-graphs (bodies of If, Loop, Scan) are
 * graphs of their own; what they read from outside becomes a capture, and the node that owns the
 * body gets the captured values as additional inputs, so that lifetimes need no special case.
 *
 * Sections: 1 attributes · 2 values and nodes · 3 graphs · 4 building · 5 reading attributes ·
 *           6 rewriting · 7 printing
 */
#ifndef NND_ENGINE_GRAPH_GRAPH_H
#define NND_ENGINE_GRAPH_GRAPH_H

#include "base/arena.h"
#include "engine/kind.h"

#define NND_NO_ID UINT32_MAX

typedef struct nnd_graph nnd_graph;

/* ---- 1 attributes ---------------------------------------------------------------------- */

typedef enum nnd_attr_kind {
    NND_ATTR_NONE = 0,
    NND_ATTR_INT,
    NND_ATTR_FLOAT,
    NND_ATTR_STRING,
    NND_ATTR_TENSOR,
    NND_ATTR_GRAPH,
    NND_ATTR_INTS,
    NND_ATTR_FLOATS,
    NND_ATTR_STRINGS,
    NND_ATTR_OTHER
} nnd_attr_kind;

typedef struct nnd_attr {
    const char *name;
    const char *reference; /* inside a function: name of the function's attribute, else NULL */
    nnd_attr_kind kind;
    size_t count;    /* of the list kinds */
    nnd_graph *home; /* TENSOR: the graph of the value `holder`; around the node's, in functions */
    uint32_t holder; /* TENSOR: the unnamed value that owns the elements */
    union {
        int64_t i;
        float f;
        nnd_string s;
        nnd_tensor *tensor;
        nnd_graph *graph;
        int64_t *ints;
        float *floats;
        nnd_string *strings;
    } u;
} nnd_attr;

/* ---- 2 values and nodes ---------------------------------------------------------------- */

typedef struct nnd_graph_value {
    const char *name;
    nnd_engine_type type;              /* of graph inputs and outputs, as declared */
    nnd_dtype dtype;                   /* INVALID = not known (yet) */
    int32_t rank;                      /* −1 = not known */
    int64_t dims[NND_MAX_RANK];        /* −1 = not known */
    const char *symbols[NND_MAX_RANK]; /* names of the unknown ones, NULL = none */
    bool is_constant;
    nnd_tensor constant; /* its data may be unaligned: see nnd_graph_constant */
    void *owned;         /* aligned memory of `constant`, NULL = borrowed */
    /* Shape at the declared inputs, by nnd_plan_nominal; −1 = not known. Exact when all of the
       graph's inputs are fixed, else a guess that may only guide choices of speed. */
    int32_t nominal_rank;
    int64_t nominal[NND_MAX_RANK];
    nnd_dtype nominal_dtype;
    uint32_t producer; /* node, NND_NO_ID = input, constant or capture */
    bool held;         /* an attribute points to its elements */
    uint32_t uses;     /* node inputs and graph outputs; by nnd_graph_index, as the next two */
    uint32_t reader;   /* the last node that reads it */
    bool is_output;    /* of the graph */
} nnd_graph_value;

/* What a Conv, Gemm or MatMul does to each element before it is stored. */
typedef enum nnd_epilogue {
    NND_EPILOGUE_NONE = 0,
    NND_EPILOGUE_RELU,
    NND_EPILOGUE_CLIP,
    NND_EPILOGUE_LEAKY_RELU,
    NND_EPILOGUE_SIGMOID,
    NND_EPILOGUE_SILU,
    NND_EPILOGUE_HARD_SWISH,
    NND_EPILOGUE_HARD_SIGMOID,
    NND_EPILOGUE_TANH,
    NND_EPILOGUE_GELU,
    NND_EPILOGUE_GELU_TANH /* its approximation */
} nnd_epilogue;

struct nnd_op;
struct nnd_op_choice;
struct nnd_choices;
typedef struct nnd_graph_node nnd_graph_node;
struct nnd_graph_node {
    const char *name;
    const char *domain; /* "" = ai.onnx */
    const char *type;
    int64_t opset;           /* version of the domain that the model imports */
    const struct nnd_op *op; /* NULL until bound */
    size_t input_count;      /* captures of the sub-graphs included */
    size_t formal_count;     /* inputs of the operator itself */
    uint32_t *inputs;        /* NND_NO_ID = an optional input that is absent */
    size_t output_count;
    uint32_t *outputs; /* NND_NO_ID = an output that nobody asked for */
    size_t attr_count;
    nnd_attr *attrs;
    nnd_epilogue epilogue;
    float epilogue_a,
        epilogue_b; /* CLIP: low, high; LEAKY_RELU: slope; HARD_SIGMOID: alpha, beta */
    void *state;    /* what the operator's prepare made */
    int32_t packed; /* of products: nnd_gemm_precision of the weights in state */
    const struct nnd_op_choice *choice; /* what it could choose from, in `state`; NULL = nothing */
    size_t part_count; /* Elementwise: the nodes that it computes in one go, see elementwise.h */
    const nnd_graph_node *parts;
    bool dead; /* removed by a pass, gone at the next nnd_graph_index */
};

/* ---- 3 graphs -------------------------------------------------------------------------- */

typedef struct nnd_capture {
    uint32_t outer, inner; /* value of the enclosing graph → value of this one */
} nnd_capture;

typedef struct nnd_names nnd_names;
/* What computing constants ahead has cost; a model of any kind loads in bounded memory and time. */
typedef struct nnd_folding {
    uint64_t limit; /* of bytes; 0 = not chosen yet */
    uint64_t bytes;
    double flops;
} nnd_folding;

struct nnd_graph {
    const char *name;
    nnd_graph *parent; /* of a sub-graph */
    nnd_arena arena;
    size_t value_count, value_capacity;
    nnd_graph_value *values;
    size_t node_count, node_capacity;
    nnd_graph_node *nodes; /* in an order of execution */
    size_t input_count, output_count, capture_count;
    size_t input_capacity, output_capacity, capture_capacity;
    uint32_t *inputs, *outputs;
    nnd_capture *captures;
    nnd_graph *children; /* sub-graphs, linked by `sibling` */
    nnd_graph *sibling;
    nnd_graph *retired; /* linked likewise: no sub-graphs any more, but names and lists lie there */
    nnd_names *names;   /* name → value */
    struct nnd_packed *packed;   /* of the operators' prepared weights; by nnd_graph_prepare */
    struct nnd_choices *choices; /* of the main graph, while it is prepared; NULL = none */
    nnd_folding folding;         /* of the main graph, for its sub-graphs as well */
    bool nominal_exact;          /* the nominal shapes are the only ones possible */
    bool bf16;                   /* of the main graph: products may round their operands to bf16 */
};

nnd_status nnd_graph_create(nnd_graph *parent, const char *name, nnd_graph **out);
void nnd_graph_destroy(nnd_graph *graph); /* with its sub-graphs; takes NULL */

/* ---- 4 building ------------------------------------------------------------------------ */

/* A new value. `name` may be NULL or "" (no name); NND_E_EXISTS when the graph has that name. */
nnd_status nnd_graph_add_value(nnd_graph *graph, const char *name, uint32_t *out);
/* The value of that name, NND_NO_ID when there is none. Looks in this graph only. */
uint32_t nnd_graph_find_value(const nnd_graph *graph, const char *name);
/* The value of that name here or, through captures, in an enclosing graph; NND_E_NOT_FOUND. */
nnd_status nnd_graph_resolve(nnd_graph *graph, const char *name, uint32_t *out);
nnd_status nnd_graph_add_input(nnd_graph *graph, const char *name, nnd_dtype dtype, int rank,
                               const int64_t *dims, uint32_t *out);
nnd_status nnd_graph_add_output(nnd_graph *graph, uint32_t value);
/* A constant with its own copy of the elements. */
nnd_status nnd_graph_add_constant(nnd_graph *graph, const char *name, const nnd_tensor *t,
                                  uint32_t *out);
/* Makes `value` a constant. take_data: memory of nnd_alloc_aligned that the value takes over
   (freed also on failure), or NULL: t->data stays valid as long as the graph. */
nnd_status nnd_graph_set_constant(nnd_graph *graph, uint32_t value, const nnd_tensor *t,
                                  void *take_data);
/* A node with one new value per output (names "" or NULL = unnamed; the NULL array = all unnamed).
   The returned pointer is valid until the next node is added. opset: of the node's domain. */
nnd_status nnd_graph_add_node(nnd_graph *graph, const char *domain, const char *type, int64_t opset,
                              const char *name, size_t input_count, const uint32_t *inputs,
                              size_t output_count, const char *const *output_names,
                              nnd_graph_node **out);
/* A node that exists already, as it is, behind the others. */
nnd_status nnd_graph_append(nnd_graph *graph, const nnd_graph_node *node);
nnd_status nnd_node_add_int(nnd_graph *graph, nnd_graph_node *node, const char *name, int64_t v);
nnd_status nnd_node_add_float(nnd_graph *graph, nnd_graph_node *node, const char *name, float v);
nnd_status nnd_node_add_string(nnd_graph *graph, nnd_graph_node *node, const char *name,
                               const char *v);
nnd_status nnd_node_add_ints(nnd_graph *graph, nnd_graph_node *node, const char *name,
                             const int64_t *v, size_t count);
nnd_status nnd_node_add_graph(nnd_graph *graph, nnd_graph_node *node, const char *name,
                              nnd_graph *body);
/* Appends the captures of the node's sub-graphs to its inputs; after the bodies are complete. */
nnd_status nnd_graph_close_node(nnd_graph *graph, nnd_graph_node *node);

/* ---- 5 reading attributes -------------------------------------------------------------- */

const nnd_attr *nnd_node_attr(const nnd_graph_node *node, const char *name); /* NULL = absent */
int64_t nnd_node_int(const nnd_graph_node *node, const char *name, int64_t fallback);
float nnd_node_float(const nnd_graph_node *node, const char *name, float fallback);
/* NUL-terminated; fallback when absent. */
const char *nnd_node_string(const nnd_graph_node *node, const char *name, const char *fallback);
/* The list and its length; NULL and 0 when absent. */
const int64_t *nnd_node_ints(const nnd_graph_node *node, const char *name, size_t *count);
const float *nnd_node_floats(const nnd_graph_node *node, const char *name, size_t *count);
nnd_graph *nnd_node_graph(const nnd_graph_node *node, const char *name);
/* Where the captures of a body begin in the node's inputs: bodies come in the order of the
   attributes. */
size_t nnd_node_captures(const nnd_graph_node *node, const nnd_graph *body);

/* ---- 6 rewriting ----------------------------------------------------------------------- */

/* Drops dead nodes and recomputes producers and use counts. */
void nnd_graph_index(nnd_graph *graph);
/* The one node that reads `value`, NND_NO_ID when there are several readers, none, or the value is
   an output of the graph. Needs an index. */
uint32_t nnd_graph_single_reader(const nnd_graph *graph, uint32_t value);
/* The main graph's `bf16`. */
bool nnd_graph_allows_bf16(const nnd_graph *graph);
bool nnd_graph_is_output(const nnd_graph *graph, uint32_t value); /* needs no index */
bool nnd_graph_is_input(const nnd_graph *graph, uint32_t value);
/* The constant behind a value with aligned data (copied on first need), or NULL when the value is
   none. NND_E_OUT_OF_MEMORY. */
nnd_status nnd_graph_constant(nnd_graph *graph, uint32_t value, const nnd_tensor **out);
/* Gives the value's own copy of its elements back; the value must not be read any more. */
void nnd_graph_release_constant(nnd_graph *graph, uint32_t value);

/* ---- 7 printing ------------------------------------------------------------------------ */

/* The graph as text, one line per node, sub-graphs indented; nnd_free it. NULL without memory. */
char *nnd_graph_print(const nnd_graph *graph);

#endif
