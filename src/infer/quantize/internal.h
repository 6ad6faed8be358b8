/* What the files of the quantiser share. */
#ifndef NND_INFER_QUANTIZE_INTERNAL_H
#define NND_INFER_QUANTIZE_INTERNAL_H

#include "engine/onnx/outline.h"
#include "engine/onnx/write.h"
#include "infer/infer.h"
#include "infer/quantize/quantize.h"

enum { QUANT_NONE = -1 };

/* An activation that is stored as integers in the new model. */
typedef struct quant_tensor {
    const char *name;
    int64_t node;   /* that makes it, NONE = an input of the model */
    size_t like;    /* tensor whose scale it has; its own index = itself */
    bool is_output; /* of the model */
    nnd_observer observer;
    nnd_range range;
    nnd_scale scale;
    const char *float_name; /* in the new model: before, as integers, and after */
    const char *integer_name, *after_name;
    const char *scale_name, *zero_name;

    bool is_stored;     /* in the plan at hand: layers that stay float leave some of them out */
    bool is_of_layer;   /* a layer of integers makes it */
    size_t reads;       /* that are no layers' */
    size_t float_reads; /* of layers that stay float */
    /* What is equalised: values are divided by these before they are integers, and multiplied back
       in the weights of all that read them. channels 0 = not. */
    size_t channels;
    size_t room; /* channels that lows, highs and factors have; 0 = it has not been observed */
    int spatial; /* dimensions behind the channels */
    float *lows, *highs, *factors;
    bool is_folded; /* the layer that makes it divides */
    const char *divided_name, *factors_name;
} quant_tensor;

/* A node with weights that become integers. */
typedef struct quant_layer {
    size_t node;
    size_t folded[2]; /* nodes behind it that its weights take over, in order */
    size_t folded_count;
    const char *made; /* tensor that the node gives in the new model */
    size_t input;     /* tensor that it reads, and the one behind its activation */
    size_t output;
    bool is_homogeneous; /* a Relu at most between the two */
    const nnd_onnx_constant *weight;
    float *w, *bias;               /* after folding; bias NULL = none, or one that stays as it is */
    size_t outer, channels, inner; /* of w; channels 1 = one scale */
    int axis;
    size_t bias_count;
    const char *bias_name; /* after which a bias is called */
    bool bias_stays_float;
    float *scales;
    int8_t *integers;
} quant_layer;

/* What becomes of a node. */
typedef enum quant_role {
    QUANT_FLOAT, /* it stays as it is, but reads what is quantised */
    QUANT_LAYER,
    QUANT_MERGED, /* as FLOAT, with a quantised layer or sum before it: no integers between */
    QUANT_FOLDED  /* it goes away */
} quant_role;

typedef struct quant_sums { /* of a tensor and its copy */
    double aa, bb, ab, dd;
} quant_sums;

struct nnd_quantize {
    nnd_quantize_options options;
    nnd_arena arena;
    nnd_arena naming; /* of names in the new model */
    nnd_port_map file;
    void *upgraded; /* the file in operator set 13; NULL = as it is */
    nnd_pb_bytes model_bytes;
    char *folder;
    nnd_onnx_outline outline;
    quant_role *roles; /* per node */
    const char **why;  /* per node: the reason why it stays float; NULL = it need not */
    float **shifts;    /* per node: what is added to a layer's bias, by channel; NULL = nothing */
    nnd_map made_by;   /* tensor → its node, as a pointer into outline.nodes */
    nnd_map uses;      /* tensor → node that reads it; &many when it is no single one */
    nnd_map names;     /* every name in the old model */
    nnd_map new_names; /* and those that the new one has besides */
    nnd_map tensor_at; /* name → index + 1 */
    NND_VEC(quant_tensor) tensors;
    NND_VEC(quant_layer) layers;
    NND_VEC(nnd_quantize_kept) kept;
    void *exposed; /* the float model with its activations visible */
    nnd_model *model;
    nnd_request *request;
    NND_VEC(nnd_value **) checks; /* samples that measure errors, by input */
    NND_VEC(nnd_value **) wanted; /* what the float model makes of them, by output */
    bool gives_biases;            /* to convolutions without one, for the shifts */
    bool hide_outputs;            /* the new file has none: others will be made visible */
    size_t samples;
    nnd_str result;
    NND_VEC(nnd_quantized_tensor) report;
};

nnd_status quant_no_memory(void);
bool quant_is_op(const nnd_onnx_outline_node *node, const char *op);

/* plan.c: names, makers and readers of all tensors. */
nnd_status quant_note_names(nnd_quantize *q);
/* Fills roles, tensors and layers. */
nnd_status quant_plan(nnd_quantize *q);
/* The same again from what `why` says now: tensors stay in the list with all that was observed. */
nnd_status quant_plan_again(nnd_quantize *q);
bool quant_is_layer(const nnd_onnx_outline_node *node);
int64_t quant_tensor_find(const nnd_quantize *q, const char *name); /* NONE = stays float */

/* layer.c: the weights of a node; false with *reason when they cannot become integers. */
nnd_status quant_layer_read(nnd_quantize *q, size_t node, quant_layer *layer, const char **reason);
/* Takes over the node behind, when it is a BatchNormalization or an addition of constants that
   fits. */
nnd_status quant_layer_fold(const nnd_quantize *q, quant_layer *layer, size_t node, bool *done);
/* Scales and integers, once the input's scale is known. */
nnd_status quant_layer_settle(const nnd_quantize *q, quant_layer *layer);
/* Zeros where a convolution has no bias. */
nnd_status quant_layer_ensure_bias(nnd_quantize *q, quant_layer *layer);
void quant_layer_fini(quant_layer *layer);

/* equalise.c: which tensors can be; what a sample says about one; factors, and weights with them,
   before scales are chosen. */
nnd_status quant_equalise_plan(nnd_quantize *q);
void quant_equalise_observe(quant_tensor *t, const nnd_tensor *values);
nnd_status quant_equalise(nnd_quantize *q);

/* emit.c: the new file into q->result, as the plan says. */
nnd_status quant_emit(nnd_quantize *q);
/* What a tensor is called in it before it becomes integers. */
const char *quant_name_made(const nnd_quantize *q, const char *name);

/* bias.c: fills q->shifts, unless that does not help. */
nnd_status quant_correct_bias(nnd_quantize *q);
/* budget.c: plan and file with as many layers in float as options.least_sqnr needs. */
nnd_status quant_hold_budget(nnd_quantize *q);
/* trial.c: plan, scales and file anew. */
nnd_status quant_build(nnd_quantize *q);
/* The lowest SQNR of an f32 output of the file, in dB; INFINITY also without any. */
nnd_status quant_score(nnd_quantize *q, double *sqnr);
/* A model run on each sample that checks; `see` is told these outputs of it. */
typedef nnd_status (*quant_see)(void *user, size_t sample, size_t output, const nnd_value *value);
nnd_status quant_watch(const nnd_quantize *q, const void *bytes, size_t size,
                       const char *const *outputs, size_t count, quant_see see, void *user);
/* half.c: the same for 16-bit weights; also fills the report. */
nnd_status quant_emit_half(nnd_quantize *q);

/* file.c: parts of a new file. */
typedef struct quant_file {
    nnd_quantize *q;
    nnd_str nodes, constants;
    nnd_map used;    /* names that nodes read */
    nnd_map written; /* names that stand for something in the new file */
} quant_file;
/* A name that nothing in the new file has yet, "conv1.weight.scale". */
nnd_status quant_name(nnd_quantize *q, const char *base, const char *suffix, const char **out);
nnd_status quant_put_node(quant_file *f, const nnd_onnx_new_node *node);
nnd_status quant_put_constant(quant_file *f, const char *name, nnd_dtype dtype, int rank,
                              const int64_t *dims, const void *data);
/* Whether a node of the new file, a sub-graph or an output of the model reads it. */
bool quant_is_read(const quant_file *f, const char *name);
/* Constants of the old file that are read still; then all of it into q->result. */
nnd_status quant_file_finish(quant_file *f);
void quant_file_fini(quant_file *f);

/* measure.c: fills q->report, worst first, after a trial run of the new model. */
nnd_status quant_measure(nnd_quantize *q);
void quant_sums_add(quant_sums *sums, double a, double b);
double quant_sums_sqnr(const quant_sums *sums);
bool quant_is_plain_f32(const nnd_value *value);
nnd_status quant_add_row(nnd_quantize *q, nnd_quantized_tensor row, const quant_sums *sums);

/* A model in memory on the built-in engine, and a request of it. */
nnd_status quant_load(const nnd_quantize *q, const void *bytes, size_t size, nnd_model **model,
                      nnd_request **request);
nnd_status quant_run(const nnd_quantize *q, const nnd_model *model, nnd_request *request,
                     nnd_value *const *inputs);

#endif
