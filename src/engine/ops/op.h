/*
 * What an operator is to the engine: a row of a const table with shape inference and execution.
 *
 * Life of an operator's node:
 *   prepare  once per model after the passes: packs weights, checks attributes; shared by threads
 *   infer    once per plan (a set of concrete input shapes): dtypes and shapes of the outputs.
 *            Inputs whose elements are known have data, the others have data NULL. An operator
 *            whose result shape depends on elements that are not known says NND_E_AGAIN (without an
 *            error record) and is asked again at run time, when everything is known.
 *   plan     once per plan, optional: kernel plans, workspace sizes
 *   run      once per run: fills the outputs
 *
 * Constants are folded and shape computations are done ahead of time by simply running `run` when
 * every input is known; there is no second implementation of an operator for that.
 *
 * Sections: 1 descriptor · 2 context · 3 helpers for operators · 4 values that are no tensors ·
 *           5 table
 */
#ifndef NND_ENGINE_OPS_OP_H
#define NND_ENGINE_OPS_OP_H

#include "engine/graph/graph.h"
#include "engine/ops/choice.h"
#include "nndeploy/sched.h"

/* ---- 1 descriptor ---------------------------------------------------------------------- */

typedef struct nnd_op_ctx nnd_op_ctx;
typedef struct nnd_op nnd_op;

enum {
    NND_OP_VIEW = 1u << 0,    /* output 0 has the bytes of input 0, only the shape differs */
    NND_OP_INPLACE = 1u << 1, /* output 0 may be written over input 0 of the same shape and dtype */
    NND_OP_RANDOM = 1u << 2,  /* not a function of its inputs: never folded */
    NND_OP_SHAPE_ONLY = 1u << 3, /* reads shapes of its inputs, never elements */
    NND_OP_DYNAMIC = 1u << 4,    /* run makes its outputs itself by nnd_op_make_output */
    NND_OP_EPILOGUE = 1u << 5,   /* honours the node's epilogue */
    NND_OP_PLANNED = 1u << 6,    /* run needs what plan made: never folded */
    /* Forms that the layout pass chooses: input 0 / output 0 (and a residual) in NCHWc, that is, of
       the shape [N, ceil(C/c), H, W, c]. See blocked.h. */
    NND_OP_BLOCKED_IN = 1u << 7,
    NND_OP_BLOCKED_OUT = 1u << 8,
    NND_OP_BLOCKED = NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT,
    NND_OP_BOXES = 1u << 9,       /* DYNAMIC, and takes values that are no tensors */
    NND_OP_HANDS_ON = 1u << 10,   /* output 0 is input 0, also when that is no tensor */
    NND_OP_PICKS = 1u << 11,      /* reads only those elements of input 0 that it writes */
    NND_OP_BROUGHT = 1u << 12,    /* computed by a kernel that somebody brought: see brought.h */
    NND_OP_BRANCHES = 1u << 13,   /* If: a branch that is known ahead becomes a part of the plan */
    NND_OP_INPLACE_ANY = 1u << 14 /* as INPLACE, over any input of the same shape and dtype */
};

struct nnd_op {
    const char *domain, *name;
    int16_t since, until;             /* opset versions, both included; until 0 = no end */
    int16_t min_inputs, max_inputs;   /* max −1 = any number */
    int16_t min_outputs, max_outputs; /* max −1 = any number */
    uint32_t flags;
    nnd_status (*infer)(nnd_op_ctx *c);
    nnd_status (*run)(nnd_op_ctx *c);
    /* Optional. prepare fills node->state, release frees it (takes NULL). */
    nnd_status (*prepare)(nnd_graph *graph, nnd_graph_node *node);
    void (*release)(void *state);
    /* Optional. plan fills c->step, c->workspace_bytes and c->lane_bytes; unplan frees the step. */
    nnd_status (*plan)(nnd_op_ctx *c);
    void (*unplan)(void *step);
    /* Optional: operations of one run by the definition, a multiply-add counts as two. Families
       that memory decides about have none; bytes are counted for all. */
    double (*flops)(const nnd_op_ctx *c);
    int32_t variant; /* for families that share functions */
};

/* ---- 2 context ------------------------------------------------------------------------- */

struct nnd_exec;
struct nnd_op_ctx {
    const nnd_graph_node *node;
    const nnd_op *op;
    size_t in_count;
    const nnd_tensor *const *in; /* all dense; NULL = absent */
    size_t out_count;
    nnd_tensor *out; /* infer: dtype, rank, dims; run: with data (NULL = not wanted) */
    void *step;      /* of plan */
    size_t workspace_bytes, lane_bytes;
    void *workspace; /* 64-byte aligned */
    char *lanes;     /* lane i's scratch is at lanes + i·lane_stride */
    size_t lane_stride;
    nnd_gang *gang; /* NULL = the calling thread only */
    const nnd_cancel *cancel;
    struct nnd_exec *exec; /* for sub-graphs and dynamic outputs */
    const char *kernel;    /* set by plan for the profile; NULL = "reference" */
    /* Set by plan when the inputs, one after the other, have the bytes of output 0 (Concat). They
       may then be made where they belong: run leaves alone what is there. */
    bool joined;
    /* Set by plan when the outputs, one after the other, have the bytes of input 0 from this offset
       on (Split, Slice). They may then lie there, and run is not called. */
    bool apart;
    size_t apart_offset;
};

/* ---- 3 helpers for operators ----------------------------------------------------------- */

/* Error record with the node as its place. */
nnd_status nnd_op_fail(const nnd_op_ctx *c, nnd_status status, const char *format, ...)
    NND_PRINTF(3, 4);
/* Describes output i; NND_E_SHAPE for a bad dimension, NND_E_OVERFLOW when the size does not fit.
 */
nnd_status nnd_op_output(nnd_op_ctx *c, size_t i, nnd_dtype dtype, int rank, const int64_t *dims);
/* Output i like input k. */
nnd_status nnd_op_like(nnd_op_ctx *c, size_t i, size_t k);
/* DYNAMIC operators, in run: describes output i and gets its memory (zeroed bytes). */
nnd_status nnd_op_make_output(nnd_op_ctx *c, size_t i, nnd_dtype dtype, int rank,
                              const int64_t *dims);

static inline const nnd_tensor *nnd_op_in(const nnd_op_ctx *c, size_t i)
{
    return i < c->in_count ? c->in[i] : NULL;
}
/* Elements of input i; fails politely when the input is absent (infer and run both need that). */
nnd_status nnd_op_need(const nnd_op_ctx *c, size_t i, const nnd_tensor **out);
/* Input i with known elements: NND_E_AGAIN when they are not known yet. */
nnd_status nnd_op_known(const nnd_op_ctx *c, size_t i, const nnd_tensor **out);
/* NND_E_TYPE unless input i has one of the dtypes in the bit mask (1u << nnd_dtype). */
nnd_status nnd_op_expect(const nnd_op_ctx *c, size_t i, uint32_t dtypes);
#define NND_FLOATS   (1u << NND_F32 | 1u << NND_F64 | 1u << NND_F16 | 1u << NND_BF16)
#define NND_SIGNED   (1u << NND_I8 | 1u << NND_I16 | 1u << NND_I32 | 1u << NND_I64)
#define NND_UNSIGNED (1u << NND_U8 | 1u << NND_U16 | 1u << NND_U32 | 1u << NND_U64)
#define NND_INTS     (NND_SIGNED | NND_UNSIGNED)
#define NND_NUMBERS  (NND_FLOATS | NND_INTS)

/* Integers of an integer tensor with known elements. */
int64_t nnd_op_int_at(const nnd_tensor *t, size_t i);
/* A list that older opsets give as attribute and newer ones as input: input i when present, else
   the attribute. *count = SIZE_MAX when neither is there. At most `max` items, or NND_E_LIMIT. */
nnd_status nnd_op_list(const nnd_op_ctx *c, size_t i, const char *attr, int64_t *items, size_t max,
                       size_t *count);
/* Brings axis into [0, rank) or fails. */
nnd_status nnd_op_axis(const nnd_op_ctx *c, int64_t axis, int rank, int *out);
/* A set of axes as bits; NND_E_SHAPE for repeated or outlying ones. */
nnd_status nnd_op_axes(const nnd_op_ctx *c, const int64_t *axes, size_t count, int rank,
                       uint32_t *out);
/* NumPy broadcasting of the shapes of inputs first … first+count−1. */
nnd_status nnd_op_broadcast(const nnd_op_ctx *c, size_t first, size_t count, int *rank,
                            int64_t *dims);

/* Loops over tiles on the gang. */
nnd_status nnd_op_for(const nnd_op_ctx *c, size_t tiles, nnd_tile_fn fn, void *user);
/* The scratch of a lane; NULL when the plan asked for none. */
static inline void *nnd_op_lane(const nnd_op_ctx *c, int lane)
{
    return (void *)((uintptr_t)c->lanes + (size_t)lane * c->lane_stride);
}
/* For a run without a plan (folding ahead of time) that needs scratch all the same: one lane of
   `bytes`, and no gang. Free *memory with nnd_free_aligned; it is NULL when the plan brought lanes.
 */
nnd_status nnd_op_need_lane(nnd_op_ctx *c, size_t bytes, void **memory);
/* Elements that a tile of simple work should have. */
#define NND_OP_GRAIN 32768
static inline size_t nnd_op_tiles(size_t elements)
{
    return (elements + NND_OP_GRAIN - 1) / NND_OP_GRAIN;
}
/* Product of dims[from … to−1]. */
int64_t nnd_op_span(const nnd_tensor *t, int from, int to);
/* Bytes of one element; 0 for sub-byte types. */
size_t nnd_op_element(nnd_dtype dtype);

/* What a body gets and gives: a tensor, and the box when it lies in one or is something else. */
typedef struct nnd_body_input {
    const nnd_tensor *tensor; /* dtype INVALID when it is no tensor */
    nnd_value *box;           /* NULL = none; borrowed */
} nnd_body_input;
typedef nnd_status (*nnd_body_take)(void *user, size_t index, const nnd_body_input *output);
/* infer of DYNAMIC operators: nothing is known ahead. */
nnd_status nnd_op_not_ahead(nnd_op_ctx *c);

/* Runs a sub-graph on its formal inputs and hands its outputs to `take`, called in order; they are
   valid during the call. */
nnd_status nnd_op_run_body(nnd_op_ctx *c, nnd_graph *body, const nnd_body_input *inputs,
                           nnd_body_take take, void *user);

/* For random operators: how many of them ran before in this run of the model, sub-graphs included.
 */
uint64_t nnd_op_draw(nnd_op_ctx *c);

/* ---- 4 values that are no tensors ------------------------------------------------------ */

/* For BOXES operators, in run. A sequence is a list, a map a record of the vectors "keys" and
   "values", an empty optional a gap; an optional that is not empty is what it holds. */

/* What input i is when it is no tensor; NULL for tensors and absent inputs. Borrowed. */
nnd_value *nnd_op_box(const nnd_op_ctx *c, size_t i);
/* Input i, which must be a sequence. Borrowed. */
nnd_status nnd_op_list_in(const nnd_op_ctx *c, size_t i, nnd_value **out);
/* Input i as a value, whatever it is; the caller unrefs it. Tensors are copied once. */
nnd_status nnd_op_value_in(const nnd_op_ctx *c, size_t i, nnd_value **out);
/* A copy of a tensor as a value; texts stay where they are. */
nnd_status nnd_op_copy_value(const nnd_tensor *t, nnd_value **out);
/* Output i = the value, whose reference is taken over. */
nnd_status nnd_op_put(nnd_op_ctx *c, size_t i, nnd_value *take);
/* Output i = a sequence of these. NND_E_LIMIT when it is too large. */
nnd_status nnd_op_put_list(nnd_op_ctx *c, size_t i, nnd_value *const *items, size_t count);
/* Room for a text of `size` bytes, NUL-terminated, that lives as long as the run. */
nnd_status nnd_op_text(const nnd_op_ctx *c, size_t size, char **out);

/* ---- 5 table --------------------------------------------------------------------------- */

/* The operator of that name in that opset version, NULL = not supported. */
const nnd_op *nnd_op_find(const char *domain, const char *name, int64_t opset);
size_t nnd_op_count(void);
const nnd_op *nnd_op_at(size_t index);

/* Those that plug-ins brought (custom.c); part of the functions above. */
const nnd_op *nnd_op_custom_find(const char *domain, const char *name, int64_t opset);
size_t nnd_op_custom_count(void);
const nnd_op *nnd_op_custom_at(size_t index);
bool nnd_op_is_custom(const nnd_op *op);

typedef struct nnd_op_family {
    const nnd_op *ops;
    size_t count;
} nnd_op_family;
extern const nnd_op_family nnd_ops_binary, nnd_ops_unary, nnd_ops_logic, nnd_ops_cast, nnd_ops_conv,
    nnd_ops_conv_transpose, nnd_ops_pool, nnd_ops_norm, nnd_ops_matmul, nnd_ops_softmax,
    nnd_ops_reduce, nnd_ops_select, nnd_ops_shape, nnd_ops_move, nnd_ops_gather, nnd_ops_scatter,
    nnd_ops_pad, nnd_ops_resize, nnd_ops_generate, nnd_ops_quant, nnd_ops_nms, nnd_ops_control,
    nnd_ops_einsum, nnd_ops_rnn, nnd_ops_attention, nnd_ops_rotary, nnd_ops_fused,
    nnd_ops_attention_ms, nnd_ops_loss, nnd_ops_qlinear, nnd_ops_signal, nnd_ops_rearrange,
    nnd_ops_qlinear_simple, nnd_ops_sample, nnd_ops_roi, nnd_ops_deform, nnd_ops_fold,
    nnd_ops_linalg, nnd_ops_unique, nnd_ops_fourier, nnd_ops_random, nnd_ops_training,
    nnd_ops_state, nnd_ops_flex, nnd_ops_nbits, nnd_ops_qlinear_layers, nnd_ops_qgemm,
    nnd_ops_distance, nnd_ops_bias_softmax, nnd_ops_group_norm, nnd_ops_padding,
    nnd_ops_relative_bias, nnd_ops_hash, nnd_ops_decode, nnd_ops_crop, nnd_ops_sequence,
    nnd_ops_scan, nnd_ops_strings, nnd_ops_tokenizer, nnd_ops_tfidf, nnd_ops_ml_map,
    nnd_ops_ml_vector, nnd_ops_ml_linear, nnd_ops_ml_svm, nnd_ops_ml_tree, nnd_ops_moe,
    nnd_ops_moe_router, nnd_ops_bnb4, nnd_ops_mrotary, nnd_ops_gates, nnd_ops_word_conv,
    nnd_ops_pool_mask, nnd_ops_finite, nnd_ops_sparse, nnd_ops_decoder, nnd_ops_gated_delta,
    nnd_ops_varlen_conv, nnd_ops_attn_lstm;

#endif
