/* BitCast, Compress, ReverseSequence: elements in another reading, choice or order. */
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ops/op.h"

/* ---- BitCast --------------------------------------------------------------------------------- */

static nnd_status bitcast_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    nnd_dtype to = nnd_onnx_dtype((uint64_t)nnd_node_int(c->node, "to", 0));
    if (x->dtype == NND_STRING || to == NND_STRING || to == NND_DTYPE_INVALID ||
        nnd_dtype_bits(to) != nnd_dtype_bits(x->dtype))
        return nnd_op_fail(c, NND_E_TYPE, "%s has no bits of %s", nnd_dtype_name(x->dtype),
                           nnd_dtype_name(to));
    return nnd_op_output(c, 0, to, x->rank, x->dims);
}

static nnd_status bitcast_run(nnd_op_ctx *c)
{
    size_t bytes = nnd_tensor_bytes(&c->out[0]);
    if (bytes) memcpy(c->out[0].data, c->in[0]->data, bytes);
    return NND_OK;
}

/* ---- Compress -------------------------------------------------------------------------------- */

/* Without an axis the input is one long row. */
static nnd_status read_rows(const nnd_op_ctx *c, int *axis, int64_t *extent)
{
    const nnd_tensor *x = c->in[0];
    *axis = -1;
    *extent = nnd_tensor_count(x);
    if (!nnd_node_attr(c->node, "axis")) return NND_OK;
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, axis));
    *extent = x->dims[*axis];
    return NND_OK;
}

static nnd_status compress_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x, *keep;
    int axis;
    int64_t extent, dims[NND_MAX_RANK], kept = 0;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_BOOL));
    if (!nnd_op_element(x->dtype) || x->dtype == NND_STRING) return nnd_op_expect(c, 0, 0);
    NND_TRY(read_rows(c, &axis, &extent));
    NND_TRY(nnd_op_known(c, 1, &keep));
    if (keep->rank != 1 || keep->dims[0] > extent)
        return nnd_op_fail(c, NND_E_SHAPE, "the condition is longer than the axis");
    for (int64_t i = 0; i < keep->dims[0]; i++)
        kept += ((const uint8_t *)keep->data)[i] != 0;
    memcpy(dims, x->dims, sizeof(dims));
    if (axis < 0) return nnd_op_output(c, 0, x->dtype, 1, &kept);
    dims[axis] = kept;
    return nnd_op_output(c, 0, x->dtype, x->rank, dims);
}

static nnd_status compress_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0], *keep = c->in[1];
    int axis;
    int64_t extent;
    NND_TRY(read_rows(c, &axis, &extent));
    size_t outer = axis < 0 ? 1 : (size_t)nnd_op_span(x, 0, axis);
    size_t inner = axis < 0 ? 1 : (size_t)nnd_op_span(x, axis + 1, x->rank);
    size_t bytes = inner * nnd_op_element(x->dtype);
    const char *from = x->data;
    char *to = c->out[0].data;
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    for (size_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < keep->dims[0]; i++) {
            if (!((const uint8_t *)keep->data)[i]) continue;
            memcpy(to, from + (o * (size_t)extent + (size_t)i) * bytes, bytes);
            to += bytes;
        }
    return NND_OK;
}

/* ---- ReverseSequence ------------------------------------------------------------------------- */

static nnd_status reverse_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I64));
    int64_t batch = nnd_node_int(c->node, "batch_axis", 1);
    int64_t time = nnd_node_int(c->node, "time_axis", 0);
    if (!nnd_op_element(x->dtype) || x->dtype == NND_STRING) return nnd_op_expect(c, 0, 0);
    if (x->rank < 2 || batch < 0 || batch > 1 || time != 1 - batch)
        return nnd_op_fail(c, NND_E_SHAPE, "batch_axis and time_axis are not 0 and 1");
    if (c->in[1]->rank != 1 || c->in[1]->dims[0] != x->dims[batch])
        return nnd_op_fail(c, NND_E_SHAPE, "there is not one length per batch");
    return nnd_op_like(c, 0, 0);
}

static nnd_status reverse_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    const int64_t *lengths = c->in[1]->data;
    int time = (int)nnd_node_int(c->node, "time_axis", 0);
    size_t bytes = (size_t)nnd_op_span(x, 2, x->rank) * nnd_op_element(x->dtype);
    for (int64_t i = 0; i < x->dims[0]; i++) {
        for (int64_t k = 0; k < x->dims[1]; k++) {
            int64_t step = time == 0 ? i : k, batch = time == 0 ? k : i, length = lengths[batch];
            if (length < 0 || length > x->dims[time])
                return nnd_op_fail(c, NND_E_FORMAT, "length %lld is outside of %lld steps",
                                   (long long)length, (long long)x->dims[time]);
            int64_t from = step < length ? length - 1 - step : step;
            int64_t row = time == 0 ? from * x->dims[1] + batch : batch * x->dims[1] + from;
            if (bytes)
                memcpy((char *)c->out[0].data + (size_t)(i * x->dims[1] + k) * bytes,
                       (const char *)x->data + (size_t)row * bytes, bytes);
        }
    }
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "BitCast", 26, 0, 1, 1, 1, 1, 0, bitcast_infer, bitcast_run, .variant = 0},
    {"", "Compress", 9, 0, 2, 2, 1, 1, 0, compress_infer, compress_run, .variant = 0},
    {"", "ReverseSequence", 10, 0, 2, 2, 1, 1, 0, reverse_infer, reverse_run, .variant = 0},
};
const nnd_op_family nnd_ops_rearrange = {ops, NND_COUNT(ops)};
