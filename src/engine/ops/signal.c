/* HannWindow, HammingWindow, BlackmanWindow. */
#include <math.h>

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

static const nnd_op ops[] = {
    {"", "HannWindow", 17, 0, 1, 1, 1, 1, 0, window_infer, window_run, .variant = HANN},
    {"", "HammingWindow", 17, 0, 1, 1, 1, 1, 0, window_infer, window_run, .variant = HAMMING},
    {"", "BlackmanWindow", 17, 0, 1, 1, 1, 1, 0, window_infer, window_run, .variant = BLACKMAN},
};
const nnd_op_family nnd_ops_signal = {ops, NND_COUNT(ops)};
