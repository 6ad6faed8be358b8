/* HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix. */
#include <math.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ops/op.h"

enum { HANN, HAMMING, BLACKMAN };

static nnd_status window_infer(nnd_op_ctx *c)
{
    const nnd_tensor *size;
    NND_TRY(nnd_op_known(c, 0, &size));
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_I32 | 1u << NND_I64));
    nnd_dtype type = nnd_onnx_dtype((uint64_t)nnd_node_int(c->node, "output_datatype", 1));
    int64_t n = nnd_tensor_count(size) == 1 ? nnd_op_int_at(size, 0) : -1;
    if (n < 0) return nnd_op_fail(c, NND_E_SHAPE, "the size is impossible");
    if (!(NND_NUMBERS >> type & 1u))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "to %s", nnd_dtype_name(type));
    return nnd_op_output(c, 0, type, 1, &n);
}

static nnd_status window_run(nnd_op_ctx *c)
{
    static const double terms[][3] = {
        [HANN] = {0.5, -0.5, 0},
        [HAMMING] = {25.0 / 46, 25.0 / 46 - 1, 0},
        [BLACKMAN] = {0.42, -0.5, 0.08},
    };
    const double *k = terms[c->op->variant], pi = 3.14159265358979323846;
    const nnd_tensor *y = &c->out[0];
    int64_t n = y->dims[0];
    int64_t period = nnd_node_int(c->node, "periodic", 1) || n < 2 ? n : n - 1;
    for (int64_t i = 0; i < n; i++) {
        double angle = 2 * pi * (double)i / (double)period;
        nnd_dtype_set(y->dtype, y->data, (size_t)i,
                      k[0] + k[1] * cos(angle) + k[2] * cos(2 * angle));
    }
    return NND_OK;
}

/* ---- MelWeightMatrix ------------------------------------------------------------------------ */

enum { BINS, LENGTH, RATE, LOW, HIGH, MEL_INPUTS };

typedef struct mel {
    int64_t bins, length;
    double rate, low, high;
} mel;

static nnd_status read_mel(const nnd_op_ctx *c, mel *m)
{
    double values[MEL_INPUTS];
    for (size_t i = 0; i < MEL_INPUTS; i++) {
        const nnd_tensor *t;
        NND_TRY(nnd_op_expect(c, i, i < LOW ? 1u << NND_I32 | 1u << NND_I64 : NND_FLOATS));
        NND_TRY(nnd_op_known(c, i, &t));
        if (nnd_tensor_count(t) != 1)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu is no scalar", i);
        values[i] = nnd_dtype_get(t->dtype, t->data, 0);
    }
    bool sane = values[BINS] >= 1 && values[BINS] < 1e9 && values[LENGTH] >= 1 &&
                values[LENGTH] < 1e9 && values[RATE] >= 1 && values[LOW] >= 0 &&
                values[HIGH] >= values[LOW] && values[HIGH] <= values[RATE] / 2;
    if (!sane)
        return nnd_op_fail(c, NND_E_FORMAT,
                           "%g bands from %g to %g Hz of %g samples at %g Hz are impossible",
                           values[BINS], values[LOW], values[HIGH], values[LENGTH], values[RATE]);
    *m = (mel){(int64_t)values[BINS], (int64_t)values[LENGTH], values[RATE], values[LOW],
               values[HIGH]};
    return NND_OK;
}

static nnd_status mel_infer(nnd_op_ctx *c)
{
    mel m;
    NND_TRY(read_mel(c, &m));
    nnd_dtype type = nnd_onnx_dtype((uint64_t)nnd_node_int(c->node, "output_datatype", 1));
    if (!(NND_NUMBERS >> type & 1u))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "to %s", nnd_dtype_name(type));
    int64_t dims[2] = {m.length / 2 + 1, m.bins};
    return nnd_op_output(c, 0, type, 2, dims);
}

/* The spectrum's bin at edge i of the bands, which are equally wide in mel. */
static int64_t mel_edge(const mel *m, int64_t i)
{
    double low = 2595 * log10(1 + m->low / 700), high = 2595 * log10(1 + m->high / 700);
    double step = (high - low) / (double)(m->bins + 2);
    double hertz = 700 * (pow(10.0, ((double)i * step + low) / 2595) - 1);
    return (int64_t)floor((double)(m->length + 1) * hertz / m->rate);
}

static void put_weight(const nnd_tensor *y, int64_t bin, int64_t band, double weight)
{
    if (bin < y->dims[0])
        nnd_dtype_set(y->dtype, y->data, (size_t)(bin * y->dims[1] + band), weight);
}

static nnd_status mel_run(nnd_op_ctx *c)
{
    const nnd_tensor *y = &c->out[0];
    mel m;
    NND_TRY(read_mel(c, &m));
    memset(y->data, 0, nnd_tensor_bytes(y));
    for (int64_t i = 0; i < m.bins; i++) {
        int64_t left = mel_edge(&m, i), top = mel_edge(&m, i + 1), right = mel_edge(&m, i + 2);
        if (left == top) put_weight(y, top, i, 1.0);
        for (int64_t k = left; k <= top && left < top; k++)
            put_weight(y, k, i, (double)(k - left) / (double)(top - left));
        for (int64_t k = top; k < right; k++)
            put_weight(y, k, i, (double)(right - k) / (double)(right - top));
    }
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "MelWeightMatrix", 17, 0, MEL_INPUTS, MEL_INPUTS, 1, 1, 0, mel_infer, mel_run,
     .variant = 0},
    {"", "HannWindow", 17, 0, 1, 1, 1, 1, 0, window_infer, window_run, .variant = HANN},
    {"", "HammingWindow", 17, 0, 1, 1, 1, 1, 0, window_infer, window_run, .variant = HAMMING},
    {"", "BlackmanWindow", 17, 0, 1, 1, 1, 1, 0, window_infer, window_run, .variant = BLACKMAN},
};
const nnd_op_family nnd_ops_signal = {ops, NND_COUNT(ops)};
