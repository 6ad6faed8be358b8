/*
 * From a float ONNX model to one with integer or half-precision weights.
 *
 *     nnd_quantize_create → nnd_quantize_add for each sample → nnd_quantize_finish → results
 *
 * int8 writes pairs of QuantizeLinear and DequantizeLinear (QDQ), which every engine that reads
 * ONNX can run and engines with integer kernels merge into these: weights of Conv, ConvTranspose,
 * Gemm and MatMul as int8 with a scale per output channel, biases as int32, and the activations
 * that these layers, and what lies between them, read and write. BatchNormalization and additions
 * of constants behind a convolution go into its weights; nothing is rounded between a layer and an
 * activation that squashes; channels of a tensor that only convolutions read are brought together
 * by factors that go into weights, if that is wanted. Older operator sets become 13. f16 and
 * bf16 only store weights in half the bytes, with a Cast behind each; no samples are needed.
 *
 * One thread at a time.
 */
#ifndef NND_INFER_QUANTIZE_QUANTIZE_H
#define NND_INFER_QUANTIZE_QUANTIZE_H

#include "infer/quantize/range.h"
#include "nndeploy/infer.h"

typedef enum nnd_quantize_weights_as {
    NND_WEIGHTS_I8,
    NND_WEIGHTS_F16,
    NND_WEIGHTS_BF16
} nnd_quantize_weights_as;

typedef struct nnd_quantize_options {
    nnd_quantize_weights_as weights;
    nnd_range_method method;
    double percentile;          /* for its method */
    bool signed_activations;    /* int8 around zero instead of uint8 with a zero point */
    bool per_tensor;            /* one scale per weight tensor */
    bool equalise;              /* channels of a tensor that only convolutions read */
    bool correct_bias;          /* results keep their mean, measured on the samples that check */
    bool seven_bits;            /* weights in -63 … 63: no kernel's 16-bit sums saturate */
    bool keep_first;            /* layers that read the inputs stay float */
    bool keep_last;             /* layers without another one behind them stay float */
    const char *const *exclude; /* nodes by name, by operator or by the name of an output */
    size_t exclude_count;
    double least_sqnr;    /* in dB, that every f32 output shall keep; 0 = none: see finish */
    size_t check_samples; /* so many of the samples measure the errors */
    int threads;
    nnd_cancel *cancel;
} nnd_quantize_options;

typedef enum nnd_quantized_kind {
    NND_QUANTIZED_WEIGHT,
    NND_QUANTIZED_ACTIVATION,
    NND_QUANTIZED_OUTPUT /* of the model, after all errors before it */
} nnd_quantized_kind;

/* One tensor of the new model next to the same in the float model. Weights are compared as they
   are, activations and outputs as they come out when everything before them is quantised. */
typedef struct nnd_quantized_tensor {
    nnd_quantized_kind kind;
    const char *tensor;
    const char *node, *op; /* that makes it or uses the weight; "" for an input of the model */
    double low, high;      /* range that the integers stand for; of weights their own */
    double scale;          /* the largest of the channels */
    int32_t zero;
    size_t channels;  /* scales; 0 = not stored as integers */
    bool is_measured; /* the figures below hold */
    double sqnr;      /* signal to quantisation noise in dB; INFINITY = equal */
    double cosine;
} nnd_quantized_tensor;

/* A layer that stays float, and why. */
typedef struct nnd_quantize_kept {
    const char *node, *op, *tensor; /* the tensor is the node's first output */
    const char *reason;
} nnd_quantize_kept;

typedef struct nnd_quantize nnd_quantize;

/* Reads the file and decides what becomes integers. NND_E_FORMAT for what is no ONNX model,
   NND_E_UNSUPPORTED when nothing in it can be quantised, NND_E_NOT_FOUND for an excluded name that
   is not there. */
nnd_status nnd_quantize_create(const char *path, const nnd_quantize_options *options,
                               nnd_quantize **out);
void nnd_quantize_destroy(nnd_quantize *q); /* takes NULL */
/* The float model on the built-in engine; its inputs are those of the samples. */
const nnd_model *nnd_quantize_model(const nnd_quantize *q);
/* Runs the float model on a sample, values by input index, and counts. `name` is for messages.
   NND_E_FORMAT when an activation is not a finite number. */
nnd_status nnd_quantize_add(nnd_quantize *q, const char *name, nnd_value *const *inputs);
/* The new file, owned by q, after a trial run of it. With least_sqnr, layers stay float until the
   outputs keep it, those first that do the most harm each for itself. NND_E_STATE without a sample
   when samples are needed, NND_E_LIMIT beyond the 2 GiB of an ONNX file or when even a single
   integer layer is too much for least_sqnr. */
nnd_status nnd_quantize_finish(nnd_quantize *q, const void **bytes, size_t *size);

/* After finish; borrowed. Tensors come worst first, unmeasured ones last. */
size_t nnd_quantize_tensor_count(const nnd_quantize *q);
const nnd_quantized_tensor *nnd_quantize_tensor_at(const nnd_quantize *q, size_t index);
size_t nnd_quantize_kept_count(const nnd_quantize *q);
const nnd_quantize_kept *nnd_quantize_kept_at(const nnd_quantize *q, size_t index);
size_t nnd_quantize_sample_count(const nnd_quantize *q);
/* How ranges were chosen: not AUTO, but what that came to. */
nnd_range_method nnd_quantize_method(const nnd_quantize *q);
/* Of the new model, on the samples that check: the lowest of its f32 outputs' figures in dB, with
   integers INFINITY = equal; NAN when nothing was measured. */
double nnd_quantize_output_sqnr(const nnd_quantize *q);
uint64_t nnd_quantize_size_before(const nnd_quantize *q); /* with external data, bytes */
/* The file had an older operator set than 13; the new one has 13. */
bool nnd_quantize_is_upgraded(const nnd_quantize *q);

#endif
