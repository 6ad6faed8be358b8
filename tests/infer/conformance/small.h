/* Small models that the suite writes itself, and one bundle of model and request. */
#ifndef NND_TESTS_INFER_CONFORMANCE_SMALL_H
#define NND_TESTS_INFER_CONFORMANCE_SMALL_H

#include "conformance.h"
#include "engine/onnx_writer.h"

/* A loaded model of this suite with one request. */
typedef struct bench {
    nnd_str bytes;
    nnd_model *model;
    nnd_request *request;
} bench;

/* Ends the graph with an envelope and loads it. */
nnd_status bench_load(bench *b, const char *backend, nnd_str *graph, int64_t opset);
void bench_close(bench *b);

/* y = Op(x) with both of this type. dims < 0 are symbols "d0", "d1", … */
void graph_unary(nnd_str *graph, const char *op, int element, int rank, const int64_t *dims);
/* y[n,3] = x[n,3] + b with b = 1, 2, 3. */
void graph_add_bias(nnd_str *graph);

/* A dense f32 tensor with these values. */
nnd_value *tensor_f32(int rank, const int64_t *dims, const float *values);
/* Whether a value is an f32 tensor of exactly this shape and these values. */
bool is_f32(const nnd_value *value, int rank, const int64_t *dims, const float *values);
/* Binds "x", runs and gives "y". */
nnd_status run_xy(nnd_request *request, nnd_value *x, nnd_value **y);

/* Whether a call failed with this status and a text that names something. */
bool failed_with(nnd_status got, nnd_status wanted, const char *word);

#define DIMS(...)   ((const int64_t[]){__VA_ARGS__})
#define FLOATS(...) ((const float[]){__VA_ARGS__})

#endif
