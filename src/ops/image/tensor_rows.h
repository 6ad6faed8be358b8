/*
 * A tensor that holds a picture, seen as rows of channels.
 */
#ifndef NND_OPS_TENSOR_ROWS_H
#define NND_OPS_TENSOR_ROWS_H

#include "ops/ops_common.h"

typedef struct nnd_tensor_rows {
    nnd_dtype dtype;
    bool interleaved; /* NHWC: the channels of a pixel lie side by side */
    int channels, width, height;
    int64_t row_stride;     /* elements */
    int64_t channel_stride; /* elements; 1 when interleaved */
    uint8_t *data;          /* the batch item's first element */
} nnd_tensor_rows;

/* Rank 3 or 4, layout NCHW (or ANY) or NHWC, rows dense, f32, f16 or u8, in host memory, sides in
   range. `channels` is what the caller's pixel order has. */
nnd_status nnd_tensor_rows_init(nnd_tensor_rows *rows, const nnd_tensor *tensor, int64_t batch,
                                int channels);

/* Element 0 of a row of one channel, or of the interleaved row. */
static inline uint8_t *nnd_tensor_rows_at(const nnd_tensor_rows *rows, int channel, int y, int x)
{
    const int64_t step = rows->interleaved ? rows->channels : 1;
    const int64_t index = channel * rows->channel_stride + y * rows->row_stride + x * step;
    return rows->data + index * nnd_ops_depth(rows->dtype == NND_F16 ? NND_U16 : rows->dtype);
}

#endif
