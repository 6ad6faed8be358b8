#include "engine/ops/op.h"

#include <string.h>

#include "base/size.h"
#include "data/dtype.h"

nnd_status nnd_op_output(nnd_op_ctx *c, size_t i, nnd_dtype dtype, int rank, const int64_t *dims)
{
    if (i >= c->out_count) return NND_OK;
    nnd_status status = nnd_tensor_init(&c->out[i], dtype, rank, dims, NULL);
    if (status == NND_OK) return NND_OK;
    return nnd_op_fail(c, status, "output %zu would have an impossible shape (rank %d)", i, rank);
}

nnd_status nnd_op_like(nnd_op_ctx *c, size_t i, size_t k)
{
    const nnd_tensor *t;
    NND_TRY(nnd_op_need(c, k, &t));
    return nnd_op_output(c, i, t->dtype, t->rank, t->dims);
}

nnd_status nnd_op_need(const nnd_op_ctx *c, size_t i, const nnd_tensor **out)
{
    *out = nnd_op_in(c, i);
    if (*out) return NND_OK;
    return nnd_op_fail(c, NND_E_FORMAT, "input %zu is missing", i);
}

nnd_status nnd_op_known(const nnd_op_ctx *c, size_t i, const nnd_tensor **out)
{
    NND_TRY(nnd_op_need(c, i, out));
    return (*out)->data || nnd_tensor_count(*out) == 0 ? NND_OK : NND_E_AGAIN;
}

nnd_status nnd_op_expect(const nnd_op_ctx *c, size_t i, uint32_t dtypes)
{
    const nnd_tensor *t;
    NND_TRY(nnd_op_need(c, i, &t));
    if (dtypes >> t->dtype & 1u) return NND_OK;
    return nnd_op_fail(c, NND_E_TYPE, "input %zu has type %s, which is not supported here", i,
                       nnd_dtype_name(t->dtype));
}

int64_t nnd_op_int_at(const nnd_tensor *t, size_t i)
{
    if (t->dtype == NND_I64) return ((const int64_t *)t->data)[i];
    if (t->dtype == NND_I32) return ((const int32_t *)t->data)[i];
    return nnd_dtype_get_int(t->dtype, t->data, i);
}

nnd_status nnd_op_list(const nnd_op_ctx *c, size_t i, const char *attr, int64_t *items, size_t max,
                       size_t *count)
{
    *count = SIZE_MAX;
    const nnd_tensor *t = nnd_op_in(c, i);
    size_t n;
    const int64_t *list = nnd_node_ints(c->node, attr, &n);
    if (t) {
        NND_TRY(nnd_op_known(c, i, &t));
        NND_TRY(nnd_op_expect(c, i, NND_INTS));
        n = (size_t)nnd_tensor_count(t);
    } else if (!list) {
        return NND_OK;
    }
    if (n > max)
        return nnd_op_fail(c, NND_E_LIMIT, "%s has %zu items, at most %zu fit", attr, n, max);
    for (size_t k = 0; k < n; k++)
        items[k] = t ? nnd_op_int_at(t, k) : list[k];
    *count = n;
    return NND_OK;
}

nnd_status nnd_op_axis(const nnd_op_ctx *c, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return nnd_op_fail(c, NND_E_SHAPE, "axis %lld is outside of a shape of rank %d",
                           (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return NND_OK;
}

nnd_status nnd_op_axes(const nnd_op_ctx *c, const int64_t *axes, size_t count, int rank,
                       uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        int axis;
        NND_TRY(nnd_op_axis(c, axes[i], rank, &axis));
        if (*out >> axis & 1u) return nnd_op_fail(c, NND_E_SHAPE, "axis %d is named twice", axis);
        *out |= 1u << axis;
    }
    return NND_OK;
}

nnd_status nnd_op_broadcast(const nnd_op_ctx *c, size_t first, size_t count, int *rank,
                            int64_t *dims)
{
    *rank = 0;
    for (size_t i = first; i < first + count; i++) {
        const nnd_tensor *t;
        NND_TRY(nnd_op_need(c, i, &t));
        if (t->rank > *rank) {
            int more = t->rank - *rank;
            memmove(dims + more, dims, (size_t)*rank * sizeof(*dims));
            for (int k = 0; k < more; k++)
                dims[k] = 1;
            *rank = t->rank;
        }
        for (int k = 0; k < t->rank; k++) {
            int64_t *d = &dims[*rank - t->rank + k];
            if (*d == 1)
                *d = t->dims[k];
            else if (t->dims[k] != 1 && t->dims[k] != *d)
                return nnd_op_fail(c, NND_E_SHAPE,
                                   "shapes do not broadcast: dimension %d is %lld in one input and "
                                   "%lld in input %zu",
                                   *rank - t->rank + k, (long long)*d, (long long)t->dims[k], i);
        }
    }
    return NND_OK;
}

nnd_status nnd_op_for(const nnd_op_ctx *c, size_t tiles, nnd_tile_fn fn, void *user)
{
    return nnd_gang_for(tiles > 1 ? c->gang : NULL, tiles, fn, user, c->cancel);
}

nnd_status nnd_op_need_lane(nnd_op_ctx *c, size_t bytes, void **memory)
{
    *memory = NULL;
    if (c->lanes) return NND_OK;
    *memory = bytes < SIZE_MAX - 64 ? nnd_alloc_aligned(bytes + 1, 64) : NULL;
    if (!*memory) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for scratch");
    c->lanes = *memory;
    c->lane_stride = 0;
    c->gang = NULL;
    return NND_OK;
}

int64_t nnd_op_span(const nnd_tensor *t, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= t->dims[i];
    return n;
}

size_t nnd_op_element(nnd_dtype dtype)
{
    return nnd_dtype_bits(dtype) / 8;
}

/* ---- the table ----------------------------------------------------------------------------- */

static const nnd_op_family *const families[] = {
    &nnd_ops_binary,         &nnd_ops_unary,         &nnd_ops_logic,
    &nnd_ops_cast,           &nnd_ops_conv,          &nnd_ops_conv_transpose,
    &nnd_ops_pool,           &nnd_ops_norm,          &nnd_ops_matmul,
    &nnd_ops_softmax,        &nnd_ops_reduce,        &nnd_ops_select,
    &nnd_ops_shape,          &nnd_ops_move,          &nnd_ops_gather,
    &nnd_ops_scatter,        &nnd_ops_pad,           &nnd_ops_resize,
    &nnd_ops_generate,       &nnd_ops_quant,         &nnd_ops_nms,
    &nnd_ops_control,        &nnd_ops_einsum,        &nnd_ops_rnn,
    &nnd_ops_attention,      &nnd_ops_rotary,        &nnd_ops_fused,
    &nnd_ops_attention_ms,   &nnd_ops_loss,          &nnd_ops_qlinear,
    &nnd_ops_signal,         &nnd_ops_rearrange,     &nnd_ops_qlinear_simple,
    &nnd_ops_sample,         &nnd_ops_roi,           &nnd_ops_deform,
    &nnd_ops_fold,           &nnd_ops_linalg,        &nnd_ops_unique,
    &nnd_ops_fourier,        &nnd_ops_random,        &nnd_ops_training,
    &nnd_ops_state,          &nnd_ops_flex,          &nnd_ops_nbits,
    &nnd_ops_qlinear_layers, &nnd_ops_qgemm,         &nnd_ops_distance,
    &nnd_ops_sequence,       &nnd_ops_scan,          &nnd_ops_strings,
    &nnd_ops_tokenizer,      &nnd_ops_tfidf,         &nnd_ops_ml_map,
    &nnd_ops_ml_vector,      &nnd_ops_ml_linear,     &nnd_ops_ml_svm,
    &nnd_ops_ml_tree,        &nnd_ops_bias_softmax,  &nnd_ops_group_norm,
    &nnd_ops_padding,        &nnd_ops_relative_bias, &nnd_ops_hash,
    &nnd_ops_decode,         &nnd_ops_crop,          &nnd_ops_moe,
    &nnd_ops_moe_router,     &nnd_ops_bnb4,          &nnd_ops_mrotary,
    &nnd_ops_gates,          &nnd_ops_word_conv,     &nnd_ops_pool_mask,
    &nnd_ops_finite,         &nnd_ops_sparse,        &nnd_ops_decoder,
    &nnd_ops_gated_delta,    &nnd_ops_varlen_conv,   &nnd_ops_attn_lstm};

size_t nnd_op_count(void)
{
    size_t n = 0;
    for (size_t i = 0; i < NND_COUNT(families); i++)
        n += families[i]->count;
    return n + nnd_op_custom_count();
}

const nnd_op *nnd_op_at(size_t index)
{
    for (size_t i = 0; i < NND_COUNT(families); i++) {
        if (index < families[i]->count) return &families[i]->ops[index];
        index -= families[i]->count;
    }
    return nnd_op_custom_at(index);
}

const nnd_op *nnd_op_find(const char *domain, const char *name, int64_t opset)
{
    for (size_t i = 0; i < NND_COUNT(families); i++) {
        for (size_t k = 0; k < families[i]->count; k++) {
            const nnd_op *op = &families[i]->ops[k];
            if (strcmp(op->name, name) == 0 && strcmp(op->domain, domain) == 0 &&
                opset >= op->since && (op->until == 0 || opset <= op->until))
                return op;
        }
    }
    return nnd_op_custom_find(domain, name, opset);
}
