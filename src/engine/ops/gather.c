/* Reading elements by index: Gather, GatherElements, GatherND. */
#include <string.h>

#include "engine/ops/blocks.h"
#include "engine/ops/element_rows.h"

static nnd_status check_types(const nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    if (!nnd_op_element(x->dtype)) return nnd_op_expect(c, 0, 0);
    return nnd_op_expect(c, 1, 1u << NND_I32 | 1u << NND_I64);
}

static nnd_status bad_index(const nnd_op_ctx *c, int64_t index, int64_t extent)
{
    return nnd_op_fail(c, NND_E_SHAPE, "index %lld is outside of a dimension of %lld",
                       (long long)index, (long long)extent);
}

/* ---- Gather --------------------------------------------------------------------------------- */

static nnd_status gather_infer(nnd_op_ctx *c)
{
    int axis, rank = 0;
    int64_t dims[2 * NND_MAX_RANK];
    NND_TRY(check_types(c));
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    for (int i = 0; i < axis; i++)
        dims[rank++] = x->dims[i];
    for (int i = 0; i < index->rank; i++)
        dims[rank++] = index->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    if (rank > NND_MAX_RANK)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the result has rank %d", rank);
    return nnd_op_output(c, 0, x->dtype, rank, dims);
}

/* A single index that is known is a piece of the input when nothing stands before the axis. */
static nnd_status gather_plan(nnd_op_ctx *c)
{
    int axis;
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    if (!index->data || nnd_tensor_count(index) != 1 || nnd_op_span(x, 0, axis) != 1) return NND_OK;
    int64_t k = nnd_op_int_at(index, 0), extent = x->dims[axis];
    if (k < -extent || k >= extent) return NND_OK; /* run says so */
    size_t piece = (size_t)nnd_op_span(x, axis + 1, x->rank) * nnd_op_element(x->dtype);
    c->apart = true;
    c->apart_offset = (size_t)(k < 0 ? k + extent : k) * piece;
    return NND_OK;
}

static nnd_status gather_run(nnd_op_ctx *c)
{
    int axis;
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    size_t outer = (size_t)nnd_op_span(x, 0, axis), n = (size_t)nnd_tensor_count(index);
    size_t piece = (size_t)nnd_op_span(x, axis + 1, x->rank) * nnd_op_element(x->dtype);
    int64_t extent = x->dims[axis];
    char *to = c->out[0].data;
    for (size_t o = 0; o < outer; o++) {
        const char *from = (const char *)x->data + o * (size_t)extent * piece;
        for (size_t i = 0; i < n; i++, to += piece) {
            int64_t k = nnd_op_int_at(index, i);
            if (k < -extent || k >= extent) return bad_index(c, k, extent);
            const char *element = from + (size_t)(k < 0 ? k + extent : k) * piece;
            if (piece == 4) /* a constant size is a single move */
                memcpy(to, element, 4);
            else if (piece)
                memcpy(to, element, piece);
        }
    }
    return NND_OK;
}

/* ---- GatherElements ------------------------------------------------------------------------- */

static nnd_status elements_infer(nnd_op_ctx *c)
{
    int axis;
    NND_TRY(check_types(c));
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    bool fits = index->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == axis || index->dims[i] <= x->dims[i];
    if (!fits) return nnd_op_fail(c, NND_E_SHAPE, "the indices do not fit the input");
    return nnd_op_output(c, 0, x->dtype, index->rank, index->dims);
}

static nnd_status elements_run(nnd_op_ctx *c)
{
    nnd_element_rows r;
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    NND_TRY(nnd_element_rows_begin(c, &r));
    size_t size = nnd_op_element(x->dtype);
    char *to = c->out[0].data;
    for (size_t row = 0; row < r.rows; row++) {
        const char *from = (const char *)x->data + nnd_element_rows_next(&r) * size;
        for (size_t i = 0; i < r.length; i++, to += size) {
            int64_t k = nnd_op_int_at(index, row * r.length + i);
            if (k < -r.extent || k >= r.extent) return bad_index(c, k, r.extent);
            size_t at = (size_t)(k < 0 ? k + r.extent : k) * r.stride + i * r.step;
            if (size == 4)
                memcpy(to, from + at * 4, 4);
            else
                memcpy(to, from + at * size, size);
        }
    }
    return NND_OK;
}

/* ---- GatherND ------------------------------------------------------------------------------- */

static nnd_status nd_infer(nnd_op_ctx *c)
{
    int64_t dims[2 * NND_MAX_RANK];
    int rank = 0;
    NND_TRY(check_types(c));
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    int64_t batch = nnd_node_int(c->node, "batch_dims", 0);
    if (!index->rank || batch < 0 || batch >= index->rank || batch >= x->rank)
        return nnd_op_fail(c, NND_E_SHAPE, "the indices do not fit the input");
    int64_t depth = index->dims[index->rank - 1];
    if (depth < 1 || batch + depth > x->rank)
        return nnd_op_fail(c, NND_E_SHAPE, "an index has %lld parts", (long long)depth);
    for (int i = 0; i < batch; i++)
        if (x->dims[i] != index->dims[i])
            return nnd_op_fail(c, NND_E_SHAPE, "batch dimension %d differs", i);
    for (int i = 0; i < index->rank - 1; i++)
        dims[rank++] = index->dims[i];
    for (int i = (int)(batch + depth); i < x->rank; i++)
        dims[rank++] = x->dims[i];
    if (rank > NND_MAX_RANK)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the result has rank %d", rank);
    return nnd_op_output(c, 0, x->dtype, rank, dims);
}

static nnd_status nd_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    int batch = (int)nnd_node_int(c->node, "batch_dims", 0);
    int depth = (int)index->dims[index->rank - 1];
    size_t piece = (size_t)nnd_op_span(x, batch + depth, x->rank) * nnd_op_element(x->dtype);
    size_t n = (size_t)nnd_op_span(index, 0, index->rank - 1);
    size_t batches = (size_t)nnd_op_span(index, 0, batch), per_batch = batches ? n / batches : 0;
    for (size_t i = 0; i < n; i++) {
        size_t from = per_batch ? i / per_batch : 0;
        for (int d = 0; d < depth; d++) {
            int64_t k = nnd_op_int_at(index, i * (size_t)depth + (size_t)d),
                    extent = x->dims[batch + d];
            if (k < -extent || k >= extent) return bad_index(c, k, extent);
            from = from * (size_t)extent + (size_t)(k < 0 ? k + extent : k);
        }
        if (piece)
            memcpy((char *)c->out[0].data + i * piece, (const char *)x->data + from * piece, piece);
    }
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "Gather", 1, 0, 2, 2, 1, 1, NND_OP_PICKS, gather_infer, gather_run, .plan = gather_plan},
    {"", "GatherElements", 11, 0, 2, 2, 1, 1, NND_OP_PICKS, elements_infer, elements_run,
     .variant = 0},
    {"", "GatherND", 11, 0, 2, 2, 1, 1, NND_OP_PICKS, nd_infer, nd_run, .variant = 0},
};
const nnd_op_family nnd_ops_gather = {ops, NND_COUNT(ops)};
