/* Operators that change or read shapes and leave the elements alone. */
#include <string.h>

#include "engine/ops/blocks.h"

static nnd_status copy_run(nnd_op_ctx *c)
{
    size_t bytes = nnd_tensor_bytes(&c->out[0]);
    if (bytes && c->out[0].data != c->in[0]->data) memmove(c->out[0].data, c->in[0]->data, bytes);
    return NND_OK;
}

/* ---- Reshape, Flatten, Squeeze, Unsqueeze --------------------------------------------------- */

static nnd_status reshape_infer(nnd_op_ctx *c)
{
    int64_t dims[NND_MAX_RANK], known = 1;
    size_t count;
    int wildcard = -1;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_list(c, 1, "shape", dims, NND_MAX_RANK, &count));
    if (count == SIZE_MAX) return nnd_op_fail(c, NND_E_FORMAT, "there is no shape");
    bool keep_zero = nnd_node_int(c->node, "allowzero", 0) != 0;
    for (size_t i = 0; i < count; i++) {
        if (dims[i] == 0 && !keep_zero) {
            if ((int)i >= x->rank)
                return nnd_op_fail(c, NND_E_SHAPE,
                                   "dimension %zu is to be copied from an input of rank %d", i,
                                   x->rank);
            dims[i] = x->dims[i];
        }
        if (dims[i] < -1 || (dims[i] == -1 && wildcard >= 0))
            return nnd_op_fail(c, NND_E_SHAPE, "dimension %zu is %lld", i, (long long)dims[i]);
        if (dims[i] == -1)
            wildcard = (int)i;
        else if (dims[i] && known > INT64_MAX / dims[i])
            return nnd_op_fail(c, NND_E_OVERFLOW, "the new shape is too large");
        else
            known *= dims[i];
    }
    int64_t total = nnd_tensor_count(x);
    if (wildcard >= 0) {
        if (known == 0 || total % known)
            return nnd_op_fail(c, NND_E_SHAPE, "%lld elements do not divide by %lld",
                               (long long)total, (long long)known);
        dims[wildcard] = total / known;
    } else if (known != total) {
        return nnd_op_fail(c, NND_E_SHAPE, "%lld elements do not fill a shape of %lld",
                           (long long)total, (long long)known);
    }
    return nnd_op_output(c, 0, x->dtype, (int)count, dims);
}

static nnd_status flatten_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    int64_t axis = nnd_node_int(c->node, "axis", 1);
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis > x->rank) return nnd_op_fail(c, NND_E_SHAPE, "axis is out of range");
    int64_t dims[2] = {nnd_op_span(x, 0, (int)axis), nnd_op_span(x, (int)axis, x->rank)};
    return nnd_op_output(c, 0, x->dtype, 2, dims);
}

static nnd_status squeeze_infer(nnd_op_ctx *c)
{
    int64_t axes[NND_MAX_RANK], dims[NND_MAX_RANK];
    size_t count;
    uint32_t set = 0;
    int rank = 0;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_list(c, 1, "axes", axes, NND_MAX_RANK, &count));
    if (count != SIZE_MAX) NND_TRY(nnd_op_axes(c, axes, count, x->rank, &set));
    for (int i = 0; i < x->rank; i++) {
        bool drop = count == SIZE_MAX ? x->dims[i] == 1 : (set >> i & 1u) != 0;
        if (drop && x->dims[i] != 1)
            return nnd_op_fail(c, NND_E_SHAPE, "dimension %d is %lld, not 1", i,
                               (long long)x->dims[i]);
        if (!drop) dims[rank++] = x->dims[i];
    }
    return nnd_op_output(c, 0, x->dtype, rank, dims);
}

static nnd_status unsqueeze_infer(nnd_op_ctx *c)
{
    int64_t axes[NND_MAX_RANK], dims[NND_MAX_RANK];
    size_t count;
    uint32_t set;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_list(c, 1, "axes", axes, NND_MAX_RANK, &count));
    if (count == SIZE_MAX) return nnd_op_fail(c, NND_E_FORMAT, "there are no axes");
    int rank = x->rank + (int)count;
    if (rank > NND_MAX_RANK)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the result has rank %d", rank);
    NND_TRY(nnd_op_axes(c, axes, count, rank, &set));
    for (int i = 0, k = 0; i < rank; i++)
        dims[i] = set >> i & 1u ? 1 : x->dims[k++];
    return nnd_op_output(c, 0, x->dtype, rank, dims);
}

/* ---- Shape, Size ---------------------------------------------------------------------------- */

static void shape_range(const nnd_op_ctx *c, int *start, int *end)
{
    int rank = c->in[0]->rank;
    int64_t from = nnd_node_int(c->node, "start", 0), to = nnd_node_int(c->node, "end", rank);
    if (from < 0) from += rank;
    if (to < 0) to += rank;
    *start = (int)(from < 0 ? 0 : from > rank ? rank : from);
    *end = (int)(to < *start ? *start : to > rank ? rank : to);
}

static nnd_status shape_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    int start, end;
    NND_TRY(nnd_op_need(c, 0, &x));
    shape_range(c, &start, &end);
    int64_t n = end - start;
    return nnd_op_output(c, 0, NND_I64, 1, &n);
}

static nnd_status shape_run(nnd_op_ctx *c)
{
    int start, end;
    shape_range(c, &start, &end);
    memcpy(c->out[0].data, c->in[0]->dims + start, (size_t)(end - start) * sizeof(int64_t));
    return NND_OK;
}

static nnd_status size_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    return nnd_op_output(c, 0, NND_I64, 0, NULL);
}

static nnd_status size_run(nnd_op_ctx *c)
{
    *(int64_t *)c->out[0].data = nnd_tensor_count(c->in[0]);
    return NND_OK;
}

/* ---- Identity, Dropout ---------------------------------------------------------------------- */

static nnd_status identity_infer(nnd_op_ctx *c)
{
    return nnd_op_like(c, 0, 0);
}

static nnd_status dropout_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x, *training = nnd_op_in(c, 2);
    NND_TRY(nnd_op_need(c, 0, &x));
    if (training) {
        NND_TRY(nnd_op_known(c, 2, &training));
        const nnd_tensor *ratio = nnd_op_in(c, 1);
        if (ratio) NND_TRY(nnd_op_known(c, 1, &ratio));
        bool drops = *(const uint8_t *)training->data &&
                     (!ratio || nnd_dtype_get(ratio->dtype, ratio->data, 0) != 0);
        if (drops) return nnd_op_fail(c, NND_E_UNSUPPORTED, "training mode is not supported");
    }
    NND_TRY(nnd_op_like(c, 0, 0));
    nnd_dtype mask = c->node->opset >= 10 ? NND_BOOL : x->dtype;
    return nnd_op_output(c, 1, mask, x->rank, x->dims);
}

static nnd_status dropout_run(nnd_op_ctx *c)
{
    NND_TRY(copy_run(c));
    if (c->out_count < 2 || !c->out[1].data) return NND_OK;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(&c->out[1]); i++)
        nnd_dtype_set(c->out[1].dtype, c->out[1].data, i, 1.0);
    return NND_OK;
}

/* ---- Constant, ConstantOfShape -------------------------------------------------------------- */

static nnd_status constant_infer(nnd_op_ctx *c)
{
    for (size_t i = 0; i < c->node->attr_count; i++) {
        const nnd_attr *a = &c->node->attrs[i];
        int64_t n = (int64_t)a->count;
        switch (a->kind) {
        case NND_ATTR_TENSOR:
            return nnd_op_output(c, 0, a->u.tensor->dtype, a->u.tensor->rank, a->u.tensor->dims);
        case NND_ATTR_INT:
            return nnd_op_output(c, 0, NND_I64, 0, NULL);
        case NND_ATTR_FLOAT:
            return nnd_op_output(c, 0, NND_F32, 0, NULL);
        case NND_ATTR_STRING:
            return nnd_op_output(c, 0, NND_STRING, 0, NULL);
        case NND_ATTR_INTS:
            return nnd_op_output(c, 0, NND_I64, 1, &n);
        case NND_ATTR_FLOATS:
            return nnd_op_output(c, 0, NND_F32, 1, &n);
        case NND_ATTR_STRINGS:
            return nnd_op_output(c, 0, NND_STRING, 1, &n);
        default:
            break;
        }
    }
    return nnd_op_fail(c, NND_E_UNSUPPORTED, "the constant has no value that is supported");
}

static nnd_status constant_run(nnd_op_ctx *c)
{
    const nnd_attr *a = NULL;
    for (size_t i = 0; i < c->node->attr_count && !a; i++)
        if (c->node->attrs[i].kind != NND_ATTR_OTHER) a = &c->node->attrs[i];
    if (!a) return nnd_op_fail(c, NND_E_FORMAT, "the constant has no value");
    const void *from =
        a->kind == NND_ATTR_TENSOR ? a->u.tensor->data
        : a->kind == NND_ATTR_INT || a->kind == NND_ATTR_FLOAT || a->kind == NND_ATTR_STRING
            ? (const void *)&a->u
            : a->u.ints;
    size_t bytes = nnd_tensor_bytes(&c->out[0]);
    if (bytes) memcpy(c->out[0].data, from, bytes);
    return NND_OK;
}

static nnd_status fill_infer(nnd_op_ctx *c)
{
    int64_t dims[NND_MAX_RANK];
    size_t count;
    const nnd_attr *value = nnd_node_attr(c->node, "value");
    NND_TRY(nnd_op_list(c, 0, "", dims, NND_MAX_RANK, &count));
    if (value && (value->kind != NND_ATTR_TENSOR || nnd_tensor_count(value->u.tensor) != 1))
        return nnd_op_fail(c, NND_E_FORMAT, "value is not one element");
    return nnd_op_output(c, 0, value ? value->u.tensor->dtype : NND_F32, (int)count, dims);
}

enum { FILL_TILE = 1 << 18 }; /* bytes, a multiple of every element's size */

/* One element, then twice as many each time. */
static nnd_status fill_tile(void *user, size_t tile, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_attr *value = nnd_node_attr(c->node, "value");
    size_t size = nnd_op_element(c->out[0].dtype), from = tile * FILL_TILE;
    size_t left = nnd_tensor_bytes(&c->out[0]) - from, bytes = left < FILL_TILE ? left : FILL_TILE;
    char *to = (char *)c->out[0].data + from;
    (void)lane;
    if (!value) {
        memset(to, 0, bytes);
        return NND_OK;
    }
    memcpy(to, value->u.tensor->data, size);
    for (size_t done = size; done < bytes; done *= 2)
        memcpy(to + done, to, done < bytes - done ? done : bytes - done);
    return NND_OK;
}

static nnd_status fill_run(nnd_op_ctx *c)
{
    const nnd_attr *value = nnd_node_attr(c->node, "value");
    const nnd_tensor *y = &c->out[0];
    if (nnd_op_element(y->dtype))
        return nnd_op_for(c,
                          nnd_tensor_bytes(y) / FILL_TILE + (nnd_tensor_bytes(y) % FILL_TILE != 0),
                          fill_tile, c);
    double v = nnd_dtype_get(y->dtype, value->u.tensor->data, 0);
    for (size_t i = 0; i < (size_t)nnd_tensor_count(y); i++)
        nnd_dtype_set(y->dtype, y->data, i, v);
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "Reshape", 1, 0, 1, 2, 1, 1, NND_OP_VIEW, reshape_infer, copy_run, .variant = 0},
    {"", "Flatten", 1, 0, 1, 1, 1, 1, NND_OP_VIEW, flatten_infer, copy_run, .variant = 0},
    {"", "Squeeze", 1, 0, 1, 2, 1, 1, NND_OP_VIEW, squeeze_infer, copy_run, .variant = 0},
    {"", "Unsqueeze", 1, 0, 1, 2, 1, 1, NND_OP_VIEW, unsqueeze_infer, copy_run, .variant = 0},
    {"", "Identity", 1, 0, 1, 1, 1, 1, NND_OP_VIEW | NND_OP_HANDS_ON, identity_infer, copy_run,
     .variant = 0},
    {"", "Dropout", 1, 0, 1, 3, 1, 2, NND_OP_VIEW, dropout_infer, dropout_run, .variant = 0},
    {"", "Shape", 1, 0, 1, 1, 1, 1, NND_OP_SHAPE_ONLY, shape_infer, shape_run, .variant = 0},
    {"", "Size", 1, 0, 1, 1, 1, 1, NND_OP_SHAPE_ONLY, size_infer, size_run, .variant = 0},
    {"", "Constant", 1, 0, 0, 0, 1, 1, 0, constant_infer, constant_run, .variant = 0},
    {"", "ConstantOfShape", 9, 0, 1, 1, 1, 1, 0, fill_infer, fill_run, .variant = 0},
};
const nnd_op_family nnd_ops_shape = {ops, NND_COUNT(ops)};
