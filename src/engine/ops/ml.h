/* What the operators of ai.onnx.ml share. */
#ifndef NND_ENGINE_OPS_ML_H
#define NND_ENGINE_OPS_ML_H

#include "engine/ops/op.h"

#define NND_ML "ai.onnx.ml"
/* Types of most operators' input; the sums are made in f64. */
#define NND_ML_NUMBERS (1u << NND_F32 | 1u << NND_F64 | 1u << NND_I64 | 1u << NND_I32)

/* A list attribute as a vector that reads it in place; rank −1 when it is not there. A tensor
   attribute is taken as it is. */
nnd_status nnd_ml_vector(const nnd_graph_node *n, const char *name, nnd_tensor *out);

/* What happens to the scores of one row. */
typedef enum nnd_ml_post {
    NND_ML_NONE,
    NND_ML_SOFTMAX,
    NND_ML_LOGISTIC,
    NND_ML_SOFTMAX_ZERO,
    NND_ML_PROBIT
} nnd_ml_post;
nnd_status nnd_ml_read_post(const nnd_op_ctx *c, nnd_ml_post *out);
void nnd_ml_apply(nnd_ml_post post, double *scores, size_t count);

/* Rows and features of an input [N,C] or [C] of numbers. */
nnd_status nnd_ml_rows(const nnd_op_ctx *c, size_t *rows, size_t *features);

/* The features of a row as f32: where they are, or converted into `room`. */
nnd_status nnd_ml_row(const nnd_tensor *x, size_t row, float *room, const float **out);
/* Σ a·b in f64. */
double nnd_ml_dot(const float *a, const float *b, size_t count);

/* The labels of a classifier and its two outputs: Y (labels) and Z (scores, f32). */
typedef struct nnd_ml_labels {
    nnd_tensor labels; /* vector of i64 or string */
    size_t count;
} nnd_ml_labels;
/* strings, ints: names of the attributes. */
nnd_status nnd_ml_read_labels(const nnd_op_ctx *c, const char *strings, const char *ints,
                              nnd_ml_labels *out);
nnd_status nnd_ml_infer_classes(nnd_op_ctx *c, const nnd_ml_labels *labels, size_t columns);
void nnd_ml_put_label(nnd_op_ctx *c, const nnd_ml_labels *labels, size_t row, size_t label);
void nnd_ml_put_scores(nnd_op_ctx *c, size_t output, size_t row, const double *scores,
                       size_t count);
size_t nnd_ml_argmax(const double *scores, size_t count);

#endif
