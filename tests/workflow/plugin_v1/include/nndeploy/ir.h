/*
 * nndeploy/ir.h: models by hand. A graph of operators is built call by call, checked, printed,
 * saved, loaded, and made a model by nnd_model_from_ir (infer.h). Also: operators of one's own.
 *
 * Sections: 1 types · 2 building · 3 checking and printing · 4 files · 5 operators of your own ·
 *           6 kernels of your own
 *
 * Values (inputs, constants, results of nodes) have names, as in ONNX, whose operators these are:
 * "Conv", "Gemm", … of the version that the graph imports.
 *
 *     nnd_ir *ir;
 *     nnd_ir_create("net", 17, &ir);
 *     nnd_ir_graph *g = nnd_ir_main(ir);
 *     nnd_ir_type picture = {.dtype = NND_F32, .rank = 2, .dims = {{-1, "batch"}, {64, NULL}}};
 *     nnd_ir_add_input(g, "x", &picture);
 *     nnd_ir_add_constant(g, "w", &weights);
 *     const char *in[] = {"x", "w"}, *out[] = {"y"};
 *     nnd_ir_attribute attributes[] = {NND_IR_INT("transB", 1)};
 *     nnd_ir_add_node(g, &(nnd_ir_node){.op = "Gemm", .inputs = in, .input_count = 2,
 *                                       .outputs = out, .output_count = 1,
 *                                       .attributes = attributes, .attribute_count = 1});
 *     nnd_ir_add_output(g, "y", NULL);
 *     if (nnd_ir_check(ir) == NND_OK) …
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_IR_H
#define NNDEPLOY_IR_H

#include "nndeploy/data.h"
#include "nndeploy/sched.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 types --------------------------------------------------------------------------- */

typedef enum nnd_port_kind {
    NND_PORT_TENSOR = 0,
    NND_PORT_SEQUENCE = 1,
    NND_PORT_MAP = 2
} nnd_port_kind;
typedef struct nnd_dim {
    int64_t value;      /* −1 = symbolic */
    const char *symbol; /* "batch"; NULL when fixed or anonymous */
} nnd_dim;

/* What a value is. A tensor needs dtype, rank and dims only; those are copied. */
typedef struct nnd_ir_type {
    nnd_port_kind kind;
    bool optional;   /* may be empty */
    nnd_dtype dtype; /* of the tensor, of a sequence's elements or of a map's values */
    int32_t rank;    /* −1 = unknown; always so for sequences and maps */
    nnd_dim dims[NND_MAX_RANK];
    nnd_port_kind element; /* of a sequence: TENSOR or MAP */
    nnd_dtype key;         /* of a map or of a sequence's maps */
} nnd_ir_type;

/* ---- 2 building ------------------------------------------------------------------------ */

/* A model in the making: one main graph, imported operator versions, constants. One thread at a
   time. Everything handed to the functions below is copied.

   What does not fit (a name defined twice, an input that nothing computes, …) is an error of the
   call, NND_E_FORMAT, and is also remembered: building may go on without looking at each result,
   because nnd_ir_check, nnd_ir_save and nnd_model_from_ir report all of it together. */
typedef struct nnd_ir nnd_ir;
/* A graph of it: the main one, or the body of a node such as If or Loop. Belongs to its nnd_ir. */
typedef struct nnd_ir_graph nnd_ir_graph;

/* opset: version of ONNX's own operators, 1 or higher. */
NND_API nnd_status nnd_ir_create(const char *name, int64_t opset, nnd_ir **out);
NND_API void nnd_ir_destroy(nnd_ir *ir); /* takes NULL */
/* Imports version `version` of a further domain, "com.microsoft", before nodes that use it. */
NND_API nnd_status nnd_ir_import(nnd_ir *ir, const char *domain, int64_t version);
NND_API nnd_ir_graph *nnd_ir_main(nnd_ir *ir);
/* A graph to be used as an attribute of one node of `parent`. It sees the values that `parent` has
   by then; complete it, with its outputs, before the node is added. */
NND_API nnd_status nnd_ir_add_body(nnd_ir_graph *parent, const char *name, nnd_ir_graph **out);

NND_API nnd_status nnd_ir_add_input(nnd_ir_graph *graph, const char *name, const nnd_ir_type *type);
/* A weight. The tensor is dense and in host memory; strings are possible. */
NND_API nnd_status nnd_ir_add_constant(nnd_ir_graph *graph, const char *name, const nnd_tensor *t);

typedef enum nnd_ir_attribute_kind {
    NND_IR_ATTRIBUTE_INT = 1,
    NND_IR_ATTRIBUTE_FLOAT = 2,
    NND_IR_ATTRIBUTE_STRING = 3,
    NND_IR_ATTRIBUTE_TENSOR = 4,
    NND_IR_ATTRIBUTE_GRAPH = 5,
    NND_IR_ATTRIBUTE_INTS = 6,
    NND_IR_ATTRIBUTE_FLOATS = 7,
    NND_IR_ATTRIBUTE_STRINGS = 8
} nnd_ir_attribute_kind;
typedef struct nnd_ir_attribute {
    const char *name;
    nnd_ir_attribute_kind kind;
    int64_t i;
    float f;
    nnd_string s;
    const nnd_tensor *tensor;
    nnd_ir_graph *graph;
    size_t count; /* of the lists */
    const int64_t *ints;
    const float *floats;
    const nnd_string *strings;
} nnd_ir_attribute;
/* clang-format off */
#define NND_IR_INT(name_, value_) {.name = (name_), .kind = NND_IR_ATTRIBUTE_INT, .i = (value_)}
#define NND_IR_FLOAT(name_, value_) {.name = (name_), .kind = NND_IR_ATTRIBUTE_FLOAT, .f = (value_)}
#define NND_IR_TEXT(name_, text_) \
    {.name = (name_), .kind = NND_IR_ATTRIBUTE_STRING, .s = {(text_), sizeof(text_) - 1}}
#define NND_IR_INTS(name_, array_) \
    {.name = (name_), .kind = NND_IR_ATTRIBUTE_INTS, .count = NND_COUNT(array_), .ints = (array_)}
#define NND_IR_FLOATS(name_, array_) \
    {.name = (name_), .kind = NND_IR_ATTRIBUTE_FLOATS, .count = NND_COUNT(array_), .floats = (array_)}
#define NND_IR_TENSOR(name_, tensor_) \
    {.name = (name_), .kind = NND_IR_ATTRIBUTE_TENSOR, .tensor = (tensor_)}
#define NND_IR_GRAPH(name_, graph_) \
    {.name = (name_), .kind = NND_IR_ATTRIBUTE_GRAPH, .graph = (graph_)}
/* clang-format on */

typedef struct nnd_ir_node {
    const char *op;     /* "Conv" */
    const char *domain; /* NULL or "" = ONNX's own */
    const char *name;   /* for messages; NULL = made up */
    int64_t opset;      /* of the domain; 0 = as imported */
    const char *const *inputs;
    size_t input_count; /* NULL or "" among them: an optional input that is left out */
    const char *const *outputs;
    size_t output_count; /* NULL or "" among them: a result that nobody wants */
    const nnd_ir_attribute *attributes;
    size_t attribute_count;
} nnd_ir_node;
/* Nodes run in the order in which they are added: their inputs have to be there before. */
NND_API nnd_status nnd_ir_add_node(nnd_ir_graph *graph, const nnd_ir_node *node);
/* A value of the graph (or, in a body, of an enclosing graph) becomes its next output. type may be
   NULL: it is inferred. */
NND_API nnd_status nnd_ir_add_output(nnd_ir_graph *graph, const char *name,
                                     const nnd_ir_type *type);
/* Says what a value between the nodes is; needed only where inference has no chance. */
NND_API nnd_status nnd_ir_set_type(nnd_ir_graph *graph, const char *name, const nnd_ir_type *type);

/* ---- 3 checking and printing ----------------------------------------------------------- */

/* One error with everything that is wrong: what building remembered, operators that do not exist
   in the imported version, wrong numbers of inputs and outputs, graphs without outputs.
   NND_E_FORMAT, or NND_E_UNSUPPORTED when only the operators are the trouble. Shapes are checked
   when the model is made. */
NND_API nnd_status nnd_ir_check(nnd_ir *ir);
/* The main graph with its bodies as text for people, a line per node; nnd_free it. */
NND_API nnd_status nnd_ir_print(const nnd_ir *ir, char **text);

/* ---- 4 files --------------------------------------------------------------------------- */

/* Whether a path names a saved graph: it ends in ".nnd.json". */
NND_API bool nnd_ir_is_path(const char *path);
/* Writes PATH, which ends in ".nnd.json", and beside it the constants as ".safetensors" (none when
   there are no constants). Both files are replaced in one step each, and the same graph always
   gives the same bytes; they are not mapped by a graph that was loaded from PATH itself. Both hold
   an id made of the constants: loading refuses two files that were not saved together. Operators
   need not be known here. Errors: NND_E_FORMAT with what building remembered,
   NND_E_INVALID_ARGUMENT for another suffix, NND_E_UNSUPPORTED for attributes that have no form,
   NND_E_IO. */
NND_API nnd_status nnd_ir_save(const nnd_ir *ir, const char *path);
/* Reads what nnd_ir_save wrote, or an ONNX file as it is before optimisation (model-local functions
   are expanded). Files stay mapped as long as the graph, or the model made of it, lives; they must
   not change meanwhile. Errors: NND_E_FORMAT with every complaint and its line, NND_E_NOT_FOUND,
   NND_E_PERMISSION (constants outside of the file's folder), NND_E_LIMIT, NND_E_UNSUPPORTED. */
NND_API nnd_status nnd_ir_load(const char *path, nnd_ir **out);

/* ---- 5 operators of your own ----------------------------------------------------------- */

/* An operator that the built-in engine does not have, for nodes {domain, name} of graphs and ONNX
   files. A plug-in gives a const nnd_operator to the host as the extension "engine.operator/1"; a
   program calls nnd_operator_register. Its callbacks get everything through the call, so that a
   plug-in links nothing.

   infer  once per set of input shapes: describes every output. Inputs have data when their elements
          are known already. NND_E_AGAIN when they have to be known and are not: asked again then.
   run    fills the outputs. The result is a function of inputs and attributes (but for
          NND_OPERATOR_RANDOM): with constant inputs it is computed when the model is loaded.
   Callbacks of one operator run on several threads at once, for different calls. */
typedef struct nnd_operator_call nnd_operator_call;
typedef struct nnd_operator_tools {
    size_t struct_size; /* as the host was built; later hosts append */
    /* Attributes of the node, in the graph's memory: valid as long as the model. The fallback, or
       NULL and 0, when there is none of that name and kind. Texts end in NUL. */
    int64_t (*attribute_int)(const nnd_operator_call *call, const char *name, int64_t fallback);
    float (*attribute_float)(const nnd_operator_call *call, const char *name, float fallback);
    const char *(*attribute_string)(const nnd_operator_call *call, const char *name,
                                    const char *fallback);
    const int64_t *(*attribute_ints)(const nnd_operator_call *call, const char *name,
                                     size_t *count);
    const float *(*attribute_floats)(const nnd_operator_call *call, const char *name,
                                     size_t *count);
    const nnd_tensor *(*attribute_tensor)(const nnd_operator_call *call, const char *name);
    /* In infer: what output `index` is. NND_E_SHAPE, NND_E_OVERFLOW. */
    nnd_status (*describe_output)(nnd_operator_call *call, size_t index, nnd_dtype dtype, int rank,
                                  const int64_t *dims);
    /* In run: fn(user, tile, lane) for every tile on the threads that the run has; looks at the
       run's cancel token between tiles. Results must not depend on the order of tiles. */
    nnd_status (*parallel_for)(const nnd_operator_call *call, size_t tiles, nnd_tile_fn fn,
                               void *user);
    /* Sets the error, with the node as its place; returns status. */
    nnd_status (*error_set)(const nnd_operator_call *call, nnd_status status, const char *format,
                            ...) NND_PRINTF(3, 4);
} nnd_operator_tools;

/* Borrowed during the callback. */
struct nnd_operator_call {
    size_t struct_size;
    const nnd_operator_tools *tools;
    const char *node; /* its name */
    size_t input_count;
    const nnd_tensor *const *inputs; /* dense, in host memory; NULL = left out */
    size_t output_count;
    const nnd_tensor *outputs; /* in run: dense; data NULL = nobody wants it */
    void *state;               /* in plan and run: what prepare made */
    void *workspace;           /* in run: as plan asked for, 64-byte aligned */
    const nnd_cancel *cancel;  /* in run; may be NULL */
    void *host;                /* not for you */
};

enum {
    NND_OPERATOR_RANDOM = 1u << 0, /* not a function of its inputs */
    NND_OPERATOR_INPLACE = 1u << 1 /* output 0 may lie where input 0 of equal shape and dtype is */
};
/* Static and constant. */
typedef struct nnd_operator {
    size_t struct_size; /* = sizeof(nnd_operator) */
    const char *domain; /* not one of ONNX's own: "com.example" */
    const char *name;
    int32_t since, until; /* versions of the domain, both included; until 0 = no end */
    int32_t min_inputs, max_inputs;
    int32_t min_outputs, max_outputs; /* max −1 = any number */
    uint32_t flags;
    nnd_status (*infer)(nnd_operator_call *call);
    nnd_status (*run)(nnd_operator_call *call);
    /* Optional. prepare: once per node when a model is loaded; inputs are there where they are
       constants, else NULL. release frees what it made. */
    nnd_status (*prepare)(nnd_operator_call *call, void **state);
    void (*release)(void *state);
    /* Optional: after infer; bytes of workspace that run needs. */
    nnd_status (*plan)(nnd_operator_call *call, size_t *workspace_bytes);
} nnd_operator;

/* Makes an operator known to models that are loaded from now on. Any thread; it stays for ever.
   NND_E_EXISTS when the name is taken in one of these versions, NND_E_INVALID_ARGUMENT. The same
   table again is fine. */
NND_API nnd_status nnd_operator_register(const nnd_operator *op);

/* ---- 6 kernels of your own ------------------------------------------------------------- */

/* Another way to compute an operator that the built-in engine or a plug-in has. The engine takes it
   for the nodes that it says it can do, and computes all others itself. A plug-in gives a const
   nnd_kernel to the host as the extension "engine.kernel/1", behind the operators that it brings; a
   program calls nnd_kernel_register.

   The operator stays what it is: its types and shapes are found by the engine, which brings the
   memory of the outputs; describe_output is an error here. A node that a kernel takes is closed to
   the passes: nothing is fused into it. Nodes whose input shapes are not known when the model is
   loaded, and operators that compute nothing (Reshape, Shape, …) are not offered.

   supports  when a model is loaded, at its declared shapes (sizes that are open are guessed, those
             in the bodies of If, Loop and Scan are those of a first round), and again for each set
             of input shapes. Inputs have data when they are constants; outputs
             have types and shapes, and no data.
   run       fills the outputs. It fails the run when it fails.
   Callbacks of one kernel run on several threads at once, for different calls. */
typedef struct nnd_kernel {
    size_t struct_size;   /* = sizeof(nnd_kernel) */
    const char *domain;   /* of the operator; "" = ONNX's own */
    const char *op;       /* "Softmax" */
    const char *name;     /* in profile and inspect: "example.softmax" */
    int32_t since, until; /* versions of the domain, both included; until 0 = no end */
    uint64_t dtypes;      /* of input 0: UINT64_C(1) << NND_F32, joined by |; 0 = any */
    const char *isa;      /* instruction set that has to be in force, "avx2"; NULL = any */
    int32_t priority;     /* of those that can, the highest; of equals the one registered first */
    bool (*supports)(const nnd_operator_call *call);
    nnd_status (*run)(nnd_operator_call *call);
    /* Optional. prepare: once per node when a model is loaded; NND_E_UNSUPPORTED = not for me: the
       next kernel is asked, and then the engine. release frees what it made. */
    nnd_status (*prepare)(nnd_operator_call *call, void **state);
    void (*release)(void *state);
    /* Optional: bytes of workspace that run needs. NND_E_UNSUPPORTED = the engine computes it. */
    nnd_status (*plan)(nnd_operator_call *call, size_t *workspace_bytes);
} nnd_kernel;

/* Makes a kernel known to models that are loaded from now on. Any thread; it stays for ever.
   NND_E_NOT_FOUND when there is no such operator in one of these versions, NND_E_UNSUPPORTED when
   there is nothing to compute in it, NND_E_EXISTS when the name is taken, NND_E_INVALID_ARGUMENT.
   An instruction set that this build does not know is fine: the kernel is never offered anything.
   The same table again is fine. */
NND_API nnd_status nnd_kernel_register(const nnd_kernel *kernel);

#ifdef __cplusplus
}
#endif
#endif
