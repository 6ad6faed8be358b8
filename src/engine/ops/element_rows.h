/*
 * GatherElements and ScatterElements walk over rows of indices: along the last dimension, all but
 * one coordinate of an element is that of its index.
 *
 *     for (size_t row = 0; row < r.rows; row++) {
 *         size_t base = nnd_element_rows_next(&r);
 *         … element i of the row with index k is base + k·r.stride + i·r.step
 */
#ifndef NND_ENGINE_OPS_ELEMENT_ROWS_H
#define NND_ENGINE_OPS_ELEMENT_ROWS_H

#include "engine/ops/op.h"

typedef struct nnd_element_rows {
    size_t rows, length; /* of the indices */
    int64_t extent;      /* of the axis in the input, which indices are compared with */
    size_t stride, step;
    int last; /* private: dimensions in front of the last one */
    int64_t at[NND_MAX_RANK], dims[NND_MAX_RANK];
    size_t strides[NND_MAX_RANK]; /* of the input, 0 for the axis */
} nnd_element_rows;

/* For input 0, the indices in input 1 and the attribute axis. */
static inline nnd_status nnd_element_rows_begin(const nnd_op_ctx *c, nnd_element_rows *r)
{
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    int axis;
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    *r = (nnd_element_rows){.last = x->rank - 1, .extent = x->dims[axis], .stride = 1};
    size_t stride = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        if (d == axis) r->stride = stride;
        r->strides[d] = d == axis ? 0 : stride;
        r->dims[d] = index->dims[d];
        stride *= (size_t)x->dims[d];
    }
    r->length = (size_t)index->dims[r->last];
    r->step = r->strides[r->last];
    r->rows = r->length ? (size_t)nnd_tensor_count(index) / r->length : 0;
    return NND_OK;
}

/* Where the next row begins in the input. */
static inline size_t nnd_element_rows_next(nnd_element_rows *r)
{
    size_t base = 0;
    for (int d = 0; d < r->last; d++)
        base += (size_t)r->at[d] * r->strides[d];
    for (int d = r->last - 1; d >= 0; d--) {
        if (++r->at[d] < r->dims[d]) break;
        r->at[d] = 0;
    }
    return base;
}

#endif
