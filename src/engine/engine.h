/*
 * The built-in inference engine as the rest of the library sees it (only infer's builtin backend
 * does): an immutable model that many threads share, and requests, one per thread, that hold the
 * activations of one run at a time.
 *
 * Sections: 1 loading · 2 ports · 3 what a model is · 4 requests · 5 profile
 */
#ifndef NND_ENGINE_ENGINE_H
#define NND_ENGINE_ENGINE_H

#include "engine/kind.h"
#include "nndeploy/ir.h"

/* ---- 1 loading ------------------------------------------------------------------------- */

typedef struct nnd_engine_model nnd_engine_model;
typedef struct nnd_engine_request nnd_engine_request;

/* Opens a file of external weights. `relative` has been checked: a relative path of plain
   components, no "..", no absolute path, no drive, no backslash. Whoever opens must not follow a
   symbolic link out of the model's folder. The caller takes over the returned reference and keeps
   it as long as the model lives, so a mapped file is best. */
typedef nnd_status (*nnd_engine_open_fn)(void *user, const char *relative, nnd_buffer **out);

/* Optimisation passes. The numbers are bits of sets that people write down, so they stay; the order
   in which passes run is that of nnd_engine_pass_at. */
typedef enum nnd_engine_pass {
    NND_PASS_QDQ = 0,              /* dequantise → Conv → quantise to integer operators */
    NND_PASS_CONSTANT_FOLDING = 1, /* what depends on constants only is computed at load */
    NND_PASS_IDENTITY = 2,         /* Identity, Dropout in inference, Cast to the same type, … */
    NND_PASS_BATCHNORM = 3,        /* BatchNormalization into the Conv before it */
    NND_PASS_ACTIVATION = 4, /* Relu, Clip, Sigmoid, SiLU, … into the Conv or Gemm before it */
    NND_PASS_DEAD_CODE = 5,  /* nodes whose results nobody reads */
    NND_PASS_RESIDUAL = 6,   /* Add of a tensor of the same shape into the layer before it */
    NND_PASS_LAYOUT = 7,     /* channels in blocks (NCHWc) between convolutions; only once */
    NND_PASS_PAD =
        8, /* borders into the padding of the Conv or pooling behind; before the layout */
    NND_PASS_COMMON = 9,         /* what is computed twice from the same inputs is computed once */
    NND_PASS_SCALE = 10,         /* constants times or plus a Conv, Gemm or MatMul into it */
    NND_PASS_NORMALIZATION = 11, /* LayerNormalization and RMSNormalization written out */
    NND_PASS_GELU = 12,          /* Gelu, Swish and HardSwish written out */
    NND_PASS_TRANSPOSE = 13,     /* transpositions that cancel, also across what is in between */
    NND_PASS_RESHAPE = 14,       /* chains of Reshape, Flatten, Squeeze, Unsqueeze */
    NND_PASS_ATTENTION = 15,     /* attention written out as products and a softmax */
    NND_PASS_HALF = 16,          /* f16 and bf16 models compute in f32; first, and only once */
    NND_PASS_PRODUCT = 17,       /* transpositions into the Gemm or MatMul behind them */
    NND_PASS_CONTROL = 18,       /* constant If and short Loop into the graph around them */
    NND_PASS_SEQUENCE = 19,      /* tensors that only pass through a sequence */
    NND_PASS_ELEMENTWISE = 20,   /* element-wise operators in one go; behind the layout, once */
    NND_PASS_COUNT = 21
} nnd_engine_pass;
#define NND_PASSES_ALL     ((1u << NND_PASS_COUNT) - 1u)
#define NND_PASSES_DEFAULT NND_PASSES_ALL
const char *nnd_engine_pass_name(nnd_engine_pass pass); /* "constant-folding", … */
nnd_engine_pass nnd_engine_pass_at(size_t position);    /* in the order of running */
/* NND_E_INVALID_ARGUMENT names the pass that was probably meant. */
nnd_status nnd_engine_pass_find(const char *name, nnd_engine_pass *out);
/* A bit set as people write it: a number, or words joined by '+' that are applied from left to
   right: all, default, none, a pass's name to switch it on, no-NAME to switch it off. A list that
   begins with no-NAME starts from the default. NND_E_INVALID_ARGUMENT. */
nnd_status nnd_engine_passes_parse(const char *text, uint32_t *out);

/* A kernel for operators of one shape, instead of the cost model's choice. */
typedef struct nnd_engine_kernel {
    const char *op;     /* "Conv"; "*" = any */
    const char *shape;  /* as profile and describe tell it; "*" = wherever the kernel can */
    const char *kernel; /* "winograd"; one that a plug-in brings; "engine" = none of those */
} nnd_engine_kernel;
/* NND_E_INVALID_ARGUMENT, with the kernels that there are, for an operator or kernel that does not
   exist. */
nnd_status nnd_engine_kernel_check(const nnd_engine_kernel *kernel);

typedef struct nnd_engine_options {
    size_t size;             /* = sizeof(nnd_engine_options) */
    const char *name;        /* of the model in messages; NULL = "model" */
    nnd_engine_open_fn open; /* NULL = external data is refused */
    void *open_user;
    uint32_t passes;           /* bit set (1u << nnd_engine_pass) */
    uint64_t max_weight_bytes; /* external and inline weights together; 0 = 64 GiB */
    uint64_t max_arena_bytes;  /* activations of one plan; 0 = 16 GiB */
    bool separate_tensors;     /* debug: every activation in its own allocation, none shared */
    const char *dump_after;    /* name of a pass: describe shows the graph as it left it; or NULL */
    bool shared_arena;         /* runs borrow their activations from one pool of the process */
    /* Borrowed while loading. One that does not exist is NND_E_INVALID_ARGUMENT; those that no node
       can take are named in one warning. */
    const nnd_engine_kernel *kernels;
    size_t kernel_count;
    /* A folder where packed weights are kept in files that all processes map and share, at most
       max_cache_bytes of them (0 = 4 GiB); made when it is not there. NULL or "" = every model
       packs its own. Not for graphs built by hand, models with operators of plug-ins, nor while
       kernels are there that somebody brought. Whoever may write to the folder decides what the
       models that use it compute. */
    const char *cache;
    uint64_t max_cache_bytes;
    bool bf16;             /* Gemm and MatMul with constant weights round their operands to
                              bfloat16, sums stay f32; weights take half the memory. Convolutions
                              too, where the processor multiplies pairs in bfloat16 */
    bool only_own_kernels; /* those of plug-ins and programs are not asked */
} nnd_engine_options;
#define NND_ENGINE_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(nnd_engine_options), NULL, NULL, NULL, NND_PASSES_DEFAULT, 0, 0, false, NULL,       \
            false, NULL, 0, NULL, 0, false, false                                                  \
    }

/* Loads an ONNX model (ModelProto bytes) or a saved graph (nndeploy/ir.h). Takes its own reference
   on `bytes` and keeps it: weights are read in place. options may be NULL. Errors: NND_E_FORMAT
   (malformed), NND_E_UNSUPPORTED with one message that lists every node which cannot run,
   NND_E_SHAPE/NND_E_TYPE with the node's name as the place, NND_E_LIMIT, NND_E_PERMISSION (external
   data outside of the folder). Any thread. */
nnd_status nnd_engine_model_load(nnd_buffer *bytes, const nnd_engine_options *options,
                                 nnd_engine_model **out);
/* The same from `size` bytes that must stay valid and unchanged as long as the model lives. */
nnd_status nnd_engine_model_load_memory(const void *bytes, size_t size,
                                        const nnd_engine_options *options, nnd_engine_model **out);
/* Maps the file at `path`; external data is looked for in the same folder unless options bring
   their own `open`. For command line and tests; nodes go through nnd_io instead. */
nnd_status nnd_engine_model_load_file(const char *path, const nnd_engine_options *options,
                                      nnd_engine_model **out);
/* A graph that was built by hand. Takes it over, also on failure. */
nnd_status nnd_engine_model_load_ir(nnd_ir *take_ir, const nnd_engine_options *options,
                                    nnd_engine_model **out);
nnd_engine_model *nnd_engine_model_ref(nnd_engine_model *model);
void nnd_engine_model_unref(nnd_engine_model *model); /* takes NULL */

/* ---- 2 ports --------------------------------------------------------------------------- */

typedef struct nnd_engine_dim {
    int64_t value;      /* −1 = known at run time only */
    const char *symbol; /* name of an unknown dimension, "batch"; NULL = none */
} nnd_engine_dim;

/* Borrowed from the model, as all strings are. */
typedef struct nnd_engine_port {
    const char *name;
    nnd_engine_type type;
    nnd_dtype dtype; /* of the tensor, of a sequence's tensors, of a map's values */
    int32_t rank;    /* −1 = known at run time only */
    nnd_engine_dim dims[NND_MAX_RANK];
} nnd_engine_port;
size_t nnd_engine_model_input_count(const nnd_engine_model *model);
size_t nnd_engine_model_output_count(const nnd_engine_model *model);
const nnd_engine_port *nnd_engine_model_input(const nnd_engine_model *model, size_t index);
const nnd_engine_port *nnd_engine_model_output(const nnd_engine_model *model, size_t index);

/* ---- 3 what a model is ----------------------------------------------------------------- */

typedef struct nnd_engine_opset {
    const char *domain; /* "" = ai.onnx */
    int64_t version;
} nnd_engine_opset;

typedef struct nnd_engine_model_info {
    const char *producer, *producer_version, *graph_name, *doc; /* "" when absent */
    int64_t ir_version, model_version;
    size_t opset_count;
    const nnd_engine_opset *opsets;
    size_t metadata_count;       /* pairs of the file's metadata_props */
    const char *const *metadata; /* key, value, key, value, … */
    size_t nodes_in_file;        /* main graph, before the passes */
    size_t nodes;                /* after them */
    uint64_t parameters;         /* elements of the file's weights */
    uint64_t weight_bytes;       /* in the file */
    uint64_t packed_bytes;       /* weights rearranged for the kernels */
    uint64_t mapped_bytes;       /* of these, what lies in a mapped file of the cache folder: memory
                                    that all processes with that model share */
    uint64_t flops;              /* of one run at the declared shapes (multiply and add count
                                    as two); 0 when a declared shape is open */
    uint64_t arena_bytes;        /* activations at the declared shapes; 0 as above */
    uint64_t resident_bytes;     /* constants that runs read as they are: from the file, or made by
                                    the passes. What was packed is not among them */
    uint64_t predicted_bytes;    /* of the model and one request at the declared shapes: resident,
                                    packed, arena, scratch of one lane, inputs, outputs; 0 as above */
} nnd_engine_model_info;
void nnd_engine_model_get_info(const nnd_engine_model *model, nnd_engine_model_info *out);

/* Writes one JSON object for `inspect`: the fields above, inputs, outputs, operator counts, passes
   with what they changed, the graph after the pass of dump_after as text, nodes (name, op, inputs,
   outputs, shapes, kernel) and the memory plan. shapes: dtype and shape of every input (dtype
   INVALID = an optional one that is not there), for which the model is planned; NULL = as declared.
   NND_E_SHAPE and NND_E_TYPE when they do not fit. */
nnd_status nnd_engine_model_describe(const nnd_engine_model *model, const nnd_tensor *shapes,
                                     nnd_json_writer *w);

/* ---- 4 requests ------------------------------------------------------------------------ */

/* Owned by one thread at a time. Keeps the model alive. */
nnd_status nnd_engine_request_create(nnd_engine_model *model, nnd_engine_request **out);
void nnd_engine_request_destroy(nnd_engine_request *request); /* takes NULL */

/* The tensor that the next runs read. A dense one is read in place: its memory must stay valid
   and unchanged during runs (a reference on t->buffer is taken when there is one); a strided one
   is copied now. Dtype, rank and fixed dimensions are checked. NULL unbinds. */
nnd_status nnd_engine_request_bind_input(nnd_engine_request *request, size_t index,
                                         const nnd_tensor *t);
/* The same with a value: what kind.h says for the port's type; an optional input that is not bound
   is empty. A reference is taken. Tensors inside that are strided are copied now. */
nnd_status nnd_engine_request_bind_value(nnd_engine_request *request, size_t index,
                                         nnd_value *value);
/* Dense memory that the next runs write output `index` to; a result of another shape or dtype is
   NND_E_SHAPE / NND_E_TYPE. NULL: the request brings the memory itself. */
nnd_status nnd_engine_request_bind_output(nnd_engine_request *request, size_t index,
                                          const nnd_tensor *t);
/* Runs with at most `threads` threads, the calling one included (0 = the whole budget). The result
   has the same bits for any number. Cancel is checked between operators and between tiles:
   NND_E_CANCELLED or NND_E_TIMEOUT; the request may then run again. */
nnd_status nnd_engine_request_run(nnd_engine_request *request, int threads,
                                  const nnd_cancel *cancel);
/* The result of the last successful run: a dense view that stays valid until the next run or
   bind_output. Somebody who takes a reference on its buffer keeps it longer: the next run then
   writes elsewhere. NND_E_STATE before the first run, NND_E_TYPE when it is no tensor. */
nnd_status nnd_engine_request_output(const nnd_engine_request *request, size_t index,
                                     nnd_tensor *out);
/* The same as a value, whatever kind it is; the caller unrefs it. */
nnd_status nnd_engine_request_output_value(const nnd_engine_request *request, size_t index,
                                           nnd_value **out);
/* Bytes that the request holds for activations now: none between runs of a model that shares. */
size_t nnd_engine_request_bytes(const nnd_engine_request *request);

/* ---- 5 profile ------------------------------------------------------------------------- */

typedef struct nnd_engine_step_profile {
    const char *name; /* of the node */
    const char *op;
    const char *kernel; /* the algorithm: "winograd", "gemm", …, "reference" where there is one */
    /* Where the operator had a choice among kernels: its key, and their names; else NULL and 0. */
    const char *shape;
    const char *const *kernels;
    size_t kernel_count;
    nnd_dtype dtype; /* of its first input; INVALID when the plan does not know it */
    uint64_t runs;
    int64_t ns; /* all runs together */
    /* Of one run, by the definition of the operator; 0 when shapes are known at run time only.
       Tensors that an operator hands on in place are neither read nor written. */
    uint64_t flops;
    uint64_t bytes_read, bytes_written;
} nnd_engine_step_profile;
/* Off by default; switching on starts at zero. */
void nnd_engine_request_set_profile(nnd_engine_request *request, bool on);
/* Steps of the plan that ran last, in order of execution; strings borrowed from the model. */
size_t nnd_engine_request_profile_count(const nnd_engine_request *request);
nnd_status nnd_engine_request_profile_step(const nnd_engine_request *request, size_t index,
                                           nnd_engine_step_profile *out);

#endif
