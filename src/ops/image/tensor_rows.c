#include "ops/image/tensor_rows.h"

static nnd_status check_dtype(const nnd_tensor *tensor)
{
    if (tensor->dtype != NND_F32 && tensor->dtype != NND_F16 && tensor->dtype != NND_U8)
        return nnd_error_set(NND_E_TYPE, "picture tensors are f32, f16 or u8, not %s",
                             nnd_dtype_name(tensor->dtype));
    const uintptr_t depth = nnd_dtype_bits(tensor->dtype) / 8;
    if (!tensor->data || (uintptr_t)tensor->data % depth)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "the tensor's elements are %s",
                             tensor->data ? "not aligned" : "not in host memory");
    return NND_OK;
}

nnd_status nnd_tensor_rows_init(nnd_tensor_rows *rows, const nnd_tensor *tensor, int64_t batch,
                                int channels)
{
    char text[128];
    if (!tensor) return nnd_error_set(NND_E_INVALID_ARGUMENT, "no tensor");
    NND_TRY(check_dtype(tensor));
    const int lead = tensor->rank - 3;
    if (lead != 0 && lead != 1)
        return nnd_error_set(NND_E_SHAPE, "a picture tensor has rank 3 or 4, not %d",
                             (int)tensor->rank);
    if (tensor->layout != NND_LAYOUT_ANY && tensor->layout != NND_LAYOUT_NCHW &&
        tensor->layout != NND_LAYOUT_NHWC)
        return nnd_error_set(NND_E_UNSUPPORTED, "a picture tensor is NCHW or NHWC, not %s",
                             nnd_layout_name(tensor->layout));
    if (batch < 0 || batch >= (lead ? tensor->dims[0] : 1))
        return nnd_error_set(NND_E_SHAPE, "no item %lld in a tensor of %s", (long long)batch,
                             nnd_tensor_describe(tensor, text, sizeof(text)));
    rows->interleaved = tensor->layout == NND_LAYOUT_NHWC;
    const int c = rows->interleaved ? lead + 2 : lead, h = rows->interleaved ? lead : lead + 1;
    const int w = h + 1;
    const int64_t *dims = tensor->dims, *strides = tensor->strides;
    if (dims[c] != channels)
        return nnd_error_set(NND_E_SHAPE, "%s as %s has %lld channels, the pixel order has %d",
                             nnd_tensor_describe(tensor, text, sizeof(text)),
                             rows->interleaved ? "NHWC" : "NCHW", (long long)dims[c], channels);
    if (dims[h] < 1 || dims[w] < 1)
        return nnd_error_set(NND_E_SHAPE, "%s holds no pixel",
                             nnd_tensor_describe(tensor, text, sizeof(text)));
    if (dims[h] > NND_IMAGE_MAX_SIDE || dims[w] > NND_IMAGE_MAX_SIDE)
        return nnd_error_set(NND_E_LIMIT, "%s: the sides of a picture may have %d pixels",
                             nnd_tensor_describe(tensor, text, sizeof(text)), NND_IMAGE_MAX_SIDE);
    const bool dense = rows->interleaved ? (channels == 1 || strides[c] == 1) &&
                                               (dims[w] == 1 || strides[w] == channels)
                                         : dims[w] == 1 || strides[w] == 1;
    if (!dense)
        return nnd_error_set(NND_E_SHAPE, "%s: the rows are not dense, copy it first",
                             nnd_tensor_describe(tensor, text, sizeof(text)));
    rows->dtype = tensor->dtype;
    rows->channels = channels;
    rows->width = (int)dims[w];
    rows->height = (int)dims[h];
    rows->row_stride = strides[h];
    rows->channel_stride = rows->interleaved ? 1 : strides[c];
    rows->data = (uint8_t *)tensor->data +
                 (lead ? batch * strides[0] : 0) * (int64_t)(nnd_dtype_bits(tensor->dtype) / 8);
    return NND_OK;
}
