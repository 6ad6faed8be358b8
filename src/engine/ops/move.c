/* Operators that copy elements to other places: any dtype of whole bytes. */
#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/blocks.h"

static nnd_status need_whole_bytes(const nnd_op_ctx *c, size_t i)
{
    const nnd_tensor *t;
    NND_TRY(nnd_op_need(c, i, &t));
    return nnd_op_element(t->dtype) ? NND_OK : nnd_op_expect(c, i, 0);
}

/* ---- strided copies: the common loop of Transpose, Slice, Expand, DepthToSpace -------------- */

/* The result element at index (i0, i1, …) is the source element at offset + Σ ik·stride[k]. */
typedef struct gather_job {
    const char *from;
    char *to;
    size_t size; /* of an element */
    int rank;
    int64_t dims[2 * NND_MAX_RANK], strides[2 * NND_MAX_RANK];
    int64_t offset;
    size_t total;
} gather_job;

static void copy_run_of(const gather_job *j, char *to, const char *from, size_t n, int64_t stride)
{
    if (stride == 1) {
        memcpy(to, from, n * j->size);
        return;
    }
    ptrdiff_t step = (ptrdiff_t)stride * (ptrdiff_t)j->size;
#define COPY(type)                                                                                 \
    for (size_t i = 0; i < n; i++, from += step, to += sizeof(type))                               \
    memcpy(to, from, sizeof(type))
    switch (j->size) {
    case 1:
        COPY(uint8_t);
        break;
    case 2:
        COPY(uint16_t);
        break;
    case 4:
        COPY(uint32_t);
        break;
    case 8:
        COPY(uint64_t);
        break;
    default:
        for (size_t i = 0; i < n; i++, from += step, to += j->size)
            memcpy(to, from, j->size);
        break;
    }
#undef COPY
}

static nnd_status gather_tile(void *user, size_t tile, int lane)
{
    const gather_job *j = user;
    size_t begin = tile * NND_OP_GRAIN, end = begin + NND_OP_GRAIN, left = begin;
    int64_t index[2 * NND_MAX_RANK], at = j->offset;
    int last = j->rank - 1;
    (void)lane;
    if (end > j->total) end = j->total;
    for (int d = last; d >= 0; d--) {
        index[d] = (int64_t)(left % (size_t)j->dims[d]);
        left /= (size_t)j->dims[d];
        at += index[d] * j->strides[d];
    }
    while (begin < end) {
        size_t n = (size_t)(j->dims[last] - index[last]);
        if (n > end - begin) n = end - begin;
        copy_run_of(j, j->to + begin * j->size, j->from + at * (int64_t)j->size, n,
                    j->strides[last]);
        begin += n;
        index[last] += (int64_t)n;
        at += (int64_t)n * j->strides[last];
        for (int d = last; d > 0 && index[d] == j->dims[d]; d--) {
            index[d] = 0;
            at += j->strides[d - 1] - j->dims[d] * j->strides[d];
            index[d - 1]++;
        }
    }
    return NND_OK;
}

/* Drops dimensions of extent 1 and merges those that continue each other. */
static void simplify(gather_job *j)
{
    int kept = 0;
    for (int d = 0; d < j->rank; d++) {
        if (j->dims[d] == 1) continue;
        if (kept && j->strides[kept - 1] == j->strides[d] * j->dims[d]) {
            j->dims[kept - 1] *= j->dims[d];
            j->strides[kept - 1] = j->strides[d];
            continue;
        }
        j->dims[kept] = j->dims[d];
        j->strides[kept++] = j->strides[d];
    }
    if (!kept) {
        j->dims[0] = 1;
        j->strides[0] = 1;
        kept = 1;
    }
    j->rank = kept;
}

static nnd_status gather_strided(nnd_op_ctx *c, gather_job *j)
{
    j->from = c->in[0]->data;
    j->to = c->out[0].data;
    j->size = nnd_op_element(c->out[0].dtype);
    j->total = (size_t)nnd_tensor_count(&c->out[0]);
    if (!j->total) return NND_OK;
    simplify(j);
    return nnd_op_for(c, nnd_op_tiles(j->total), gather_tile, j);
}

static void dense_strides(const nnd_tensor *t, int64_t *strides)
{
    int64_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= t->dims[i];
    }
}

/* ---- Transpose ------------------------------------------------------------------------------ */

static nnd_status read_perm(const nnd_op_ctx *c, int *perm)
{
    size_t count;
    const nnd_tensor *x = c->in[0];
    const int64_t *list = nnd_node_ints(c->node, "perm", &count);
    uint32_t set = 0;
    if (list && count != (size_t)x->rank)
        return nnd_op_fail(c, NND_E_SHAPE, "perm has %zu entries for rank %d", count, x->rank);
    if (list) NND_TRY(nnd_op_axes(c, list, count, x->rank, &set));
    for (int i = 0; i < x->rank; i++)
        perm[i] = list ? (int)(list[i] < 0 ? list[i] + x->rank : list[i]) : x->rank - 1 - i;
    return NND_OK;
}

static nnd_status transpose_infer(nnd_op_ctx *c)
{
    int perm[NND_MAX_RANK];
    int64_t dims[NND_MAX_RANK];
    NND_TRY(need_whole_bytes(c, 0));
    NND_TRY(read_perm(c, perm));
    for (int i = 0; i < c->in[0]->rank; i++)
        dims[i] = c->in[0]->dims[perm[i]];
    return nnd_op_output(c, 0, c->in[0]->dtype, c->in[0]->rank, dims);
}

/* A batch of f32 matrices has a kernel. */
typedef struct matrix_job {
    const float *from;
    float *to;
    size_t rows, cols, strips, strip;
} matrix_job;

static nnd_status matrix_tile(void *user, size_t tile, int lane)
{
    const matrix_job *j = user;
    size_t batch = tile / j->strips, first = tile % j->strips * j->strip;
    size_t count = j->cols - first < j->strip ? j->cols - first : j->strip;
    (void)lane;
    nnd_transpose_strip(j->from + batch * j->rows * j->cols, j->cols,
                        j->to + batch * j->rows * j->cols, j->rows, j->rows, first, count);
    return NND_OK;
}

static nnd_status transpose_run(nnd_op_ctx *c)
{
    int perm[NND_MAX_RANK];
    int64_t strides[NND_MAX_RANK];
    const nnd_tensor *x = c->in[0];
    NND_TRY(read_perm(c, perm));
    dense_strides(x, strides);
    gather_job j = {.rank = x->rank};
    for (int i = 0; i < x->rank; i++) {
        j.dims[i] = x->dims[perm[i]];
        j.strides[i] = strides[perm[i]];
    }
    simplify(&j);
    int r = j.rank;
    bool matrices = x->dtype == NND_F32 && (r == 2 || r == 3) && j.strides[r - 2] == 1 &&
                    j.strides[r - 1] == j.dims[r - 2] &&
                    (r == 2 || j.strides[0] == j.dims[1] * j.dims[2]);
    if (!matrices || nnd_tensor_count(x) == 0) return gather_strided(c, &j);
    matrix_job m = {.from = x->data, .to = c->out[0].data};
    m.cols = (size_t)j.dims[r - 2];
    m.rows = (size_t)j.dims[r - 1];
    m.strip = NND_OP_GRAIN / m.rows > 16 ? NND_OP_GRAIN / m.rows / 16 * 16 : 16;
    m.strips = (m.cols + m.strip - 1) / m.strip;
    return nnd_op_for(c, m.strips * (r == 3 ? (size_t)j.dims[0] : 1), matrix_tile, &m);
}

/* ---- Slice ---------------------------------------------------------------------------------- */

typedef struct slicing {
    int64_t start[NND_MAX_RANK], step[NND_MAX_RANK], count[NND_MAX_RANK];
} slicing;

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* First index and number of indices of one dimension, after NumPy's rules. */
static void slice_one(int64_t extent, int64_t start, int64_t end, int64_t step, int64_t *first,
                      int64_t *count)
{
    if (start < 0) start = start < -extent ? -1 - (step > 0 ? -1 : 0) : start + extent;
    if (end < 0) end = end < -extent ? -1 : end + extent;
    if (step > 0) {
        start = clamp(start, 0, extent);
        end = clamp(end, 0, extent);
        *count = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = clamp(start, -1, extent - 1);
        end = clamp(end, -1, extent - 1);
        uint64_t width = (uint64_t)0 - (uint64_t)step;
        *count = start > end ? (int64_t)(((uint64_t)(start - end) - 1) / width) + 1 : 0;
    }
    *first = start;
}

static nnd_status read_slicing(const nnd_op_ctx *c, slicing *s)
{
    int64_t starts[NND_MAX_RANK], ends[NND_MAX_RANK], axes[NND_MAX_RANK], steps[NND_MAX_RANK];
    size_t n, end_count, axis_count, step_count;
    const nnd_tensor *x = c->in[0];
    NND_TRY(nnd_op_list(c, 1, "starts", starts, NND_MAX_RANK, &n));
    NND_TRY(nnd_op_list(c, 2, "ends", ends, NND_MAX_RANK, &end_count));
    NND_TRY(nnd_op_list(c, 3, "axes", axes, NND_MAX_RANK, &axis_count));
    NND_TRY(nnd_op_list(c, 4, "steps", steps, NND_MAX_RANK, &step_count));
    if (n == SIZE_MAX || end_count != n || (axis_count != SIZE_MAX && axis_count != n) ||
        (step_count != SIZE_MAX && step_count != n) || n > (size_t)x->rank)
        return nnd_op_fail(c, NND_E_SHAPE, "starts, ends, axes and steps do not match");
    for (int i = 0; i < x->rank; i++) {
        s->start[i] = 0;
        s->step[i] = 1;
        s->count[i] = x->dims[i];
    }
    for (size_t k = 0; k < n; k++) {
        int axis;
        NND_TRY(nnd_op_axis(c, axis_count == SIZE_MAX ? (int64_t)k : axes[k], x->rank, &axis));
        int64_t step = step_count == SIZE_MAX ? 1 : steps[k];
        if (step == 0) return nnd_op_fail(c, NND_E_SHAPE, "a step is 0");
        slice_one(x->dims[axis], starts[k], ends[k], step, &s->start[axis], &s->count[axis]);
        s->step[axis] = s->count[axis] > 1 ? step : 1;
    }
    return NND_OK;
}

static nnd_status slice_infer(nnd_op_ctx *c)
{
    slicing s;
    NND_TRY(need_whole_bytes(c, 0));
    NND_TRY(read_slicing(c, &s));
    return nnd_op_output(c, 0, c->in[0]->dtype, c->in[0]->rank, s.count);
}

/* One piece of memory: behind dimensions of which a single index is taken, one has a range, and all
   others are whole. */
static bool is_one_piece(const nnd_tensor *x, const slicing *s)
{
    int i = 0;
    while (i < x->rank && s->count[i] == 1)
        i++;
    if (i < x->rank && s->step[i] != 1) return false;
    for (i++; i < x->rank; i++)
        if (s->count[i] != x->dims[i] || s->step[i] != 1) return false;
    return true;
}

static nnd_status slice_plan(nnd_op_ctx *c)
{
    slicing s;
    int64_t strides[NND_MAX_RANK];
    const nnd_tensor *x = c->in[0];
    NND_TRY(read_slicing(c, &s));
    dense_strides(x, strides);
    c->apart = nnd_tensor_count(&c->out[0]) > 0 && is_one_piece(x, &s);
    for (int i = 0; i < x->rank && c->apart; i++)
        c->apart_offset += (size_t)(s.start[i] * strides[i]) * nnd_op_element(x->dtype);
    return NND_OK;
}

static nnd_status slice_run(nnd_op_ctx *c)
{
    slicing s;
    int64_t strides[NND_MAX_RANK];
    const nnd_tensor *x = c->in[0];
    NND_TRY(read_slicing(c, &s));
    dense_strides(x, strides);
    gather_job j = {.rank = x->rank};
    for (int i = 0; i < x->rank; i++) {
        j.dims[i] = s.count[i];
        j.strides[i] = s.step[i] * strides[i];
        j.offset += s.start[i] * strides[i];
    }
    return gather_strided(c, &j);
}

/* ---- Expand, Tile --------------------------------------------------------------------------- */

static nnd_status expand_infer(nnd_op_ctx *c)
{
    int64_t want[NND_MAX_RANK];
    size_t count;
    const nnd_tensor *x;
    NND_TRY(need_whole_bytes(c, 0));
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_list(c, 1, "", want, NND_MAX_RANK, &count));
    int rank = (int)count > x->rank ? (int)count : x->rank;
    int64_t dims[NND_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        int own = i - (rank - x->rank), other = i - (rank - (int)count);
        int64_t a = own >= 0 ? x->dims[own] : 1, b = other >= 0 ? want[other] : 1;
        if (a != 1 && b != 1 && a != b)
            return nnd_op_fail(c, NND_E_SHAPE, "dimension %d: %lld does not expand to %lld", i,
                               (long long)a, (long long)b);
        dims[i] = a == 1 ? b : a;
    }
    return nnd_op_output(c, 0, x->dtype, rank, dims);
}

static nnd_status expand_run(nnd_op_ctx *c)
{
    int64_t strides[NND_MAX_RANK];
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    dense_strides(x, strides);
    gather_job j = {.rank = y->rank};
    for (int i = 0; i < y->rank; i++) {
        int own = i - (y->rank - x->rank);
        j.dims[i] = y->dims[i];
        j.strides[i] = own >= 0 && x->dims[own] != 1 ? strides[own] : 0;
    }
    return gather_strided(c, &j);
}

static nnd_status tile_infer(nnd_op_ctx *c)
{
    int64_t repeats[NND_MAX_RANK], dims[NND_MAX_RANK];
    size_t count;
    NND_TRY(need_whole_bytes(c, 0));
    const nnd_tensor *x = c->in[0];
    NND_TRY(nnd_op_list(c, 1, "", repeats, NND_MAX_RANK, &count));
    if (count != (size_t)x->rank)
        return nnd_op_fail(c, NND_E_SHAPE, "%zu repeats for rank %d", count, x->rank);
    for (int i = 0; i < x->rank; i++)
        if (repeats[i] < 0 || !nnd_i64_mul(x->dims[i], repeats[i], &dims[i]))
            return nnd_op_fail(c, NND_E_SHAPE, "repeat %d is %lld", i, (long long)repeats[i]);
    return nnd_op_output(c, 0, x->dtype, x->rank, dims);
}

/* A repeat is a dimension of stride 0 before the one that it repeats. */
static nnd_status tile_run(nnd_op_ctx *c)
{
    int64_t strides[NND_MAX_RANK];
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    dense_strides(x, strides);
    gather_job j = {.rank = 2 * x->rank};
    if (nnd_tensor_count(y) == 0) return NND_OK;
    for (int i = 0; i < x->rank; i++) {
        j.dims[2 * i] = y->dims[i] / x->dims[i];
        j.strides[2 * i] = 0;
        j.dims[2 * i + 1] = x->dims[i];
        j.strides[2 * i + 1] = strides[i];
    }
    return gather_strided(c, &j);
}

/* ---- DepthToSpace, SpaceToDepth ------------------------------------------------------------- */

static nnd_status block_infer(nnd_op_ctx *c)
{
    NND_TRY(need_whole_bytes(c, 0));
    const nnd_tensor *x = c->in[0];
    int64_t b = nnd_node_int(c->node, "blocksize", 0), area;
    bool to_space = c->op->variant == 0;
    if (x->rank != 4 || b < 1 || !nnd_i64_mul(b, b, &area) ||
        (to_space ? x->dims[1] % area : x->dims[2] % b + x->dims[3] % b))
        return nnd_op_fail(c, NND_E_SHAPE, "blocks of %lld do not fit the input", (long long)b);
    int64_t up[4] = {x->dims[0], x->dims[1] / area, x->dims[2] * b, x->dims[3] * b};
    int64_t down[4] = {x->dims[0], x->dims[1] * area, x->dims[2] / b, x->dims[3] / b};
    return nnd_op_output(c, 0, x->dtype, 4, to_space ? up : down);
}

static nnd_status block_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    int64_t b = nnd_node_int(c->node, "blocksize", 1), s[4] = {0};
    bool crd = strcmp(nnd_node_string(c->node, "mode", "DCR"), "CRD") == 0;
    dense_strides(x, s);
    gather_job j = {.rank = 6};
    if (c->op->variant == 0) {
        /* (n, c, h, bh, w, bw) from channels (bh, bw, c) or, column-row-depth, (c, bh, bw). */
        int64_t depth = y->dims[1];
        int64_t dims[6] = {x->dims[0], depth, x->dims[2], b, x->dims[3], b};
        int64_t strides[6] = {s[0], crd ? b * b * s[1] : s[1],
                              s[2], crd ? b * s[1] : b * depth * s[1],
                              s[3], crd ? s[1] : depth * s[1]};
        memcpy(j.dims, dims, sizeof(dims));
        memcpy(j.strides, strides, sizeof(strides));
    } else {
        /* (n, bh, bw, c, h, w) */
        int64_t dims[6] = {x->dims[0], b, b, x->dims[1], y->dims[2], y->dims[3]};
        int64_t strides[6] = {s[0], s[2], s[3], s[1], b * s[2], b * s[3]};
        memcpy(j.dims, dims, sizeof(dims));
        memcpy(j.strides, strides, sizeof(strides));
    }
    return gather_strided(c, &j);
}

/* ---- Concat, Split -------------------------------------------------------------------------- */

static nnd_status concat_infer(nnd_op_ctx *c)
{
    int axis;
    int64_t dims[NND_MAX_RANK];
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 1), x->rank, &axis));
    memcpy(dims, x->dims, sizeof(dims));
    for (size_t k = 1; k < c->in_count; k++) {
        const nnd_tensor *t;
        NND_TRY(nnd_op_need(c, k, &t));
        bool fits = t->rank == x->rank && t->dtype == x->dtype;
        for (int i = 0; fits && i < x->rank; i++)
            fits = i == axis || t->dims[i] == x->dims[i];
        if (!fits || !nnd_i64_add(dims[axis], t->dims[axis], &dims[axis]))
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the others", k);
    }
    NND_TRY(need_whole_bytes(c, 0));
    return nnd_op_output(c, 0, x->dtype, x->rank, dims);
}

static nnd_status concat_plan(nnd_op_ctx *c)
{
    int axis;
    const nnd_tensor *y = &c->out[0];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 1), y->rank, &axis));
    c->joined = nnd_op_span(y, 0, axis) == 1;
    return NND_OK;
}

/* n pieces, one behind the other, to places that lie `stride` bytes apart. Pieces of one element
   are many (indices that are put together): not a call for each. */
static void spread(char *to, size_t stride, const char *from, size_t piece, size_t n)
{
    for (size_t i = 0; i < n && piece == 4; i++)
        memcpy(to + i * stride, from + i * 4, 4);
    for (size_t i = 0; i < n && piece == 8; i++)
        memcpy(to + i * stride, from + i * 8, 8);
    for (size_t i = 0; i < n && piece != 4 && piece != 8; i++)
        memcpy(to + i * stride, from + i * piece, piece);
}

enum { CONCAT_TILE = 64 * 1024 };
typedef struct concat_job {
    const nnd_op_ctx *c;
    int axis;
    size_t outer, row, rows; /* bytes of a row; rows of a tile */
} concat_job;

static nnd_status concat_tile(void *user, size_t tile, int lane)
{
    const concat_job *j = user;
    const nnd_tensor *y = &j->c->out[0];
    size_t first = tile * j->rows, at = 0, size = nnd_op_element(y->dtype);
    size_t n = j->outer - first < j->rows ? j->outer - first : j->rows;
    (void)lane;
    for (size_t k = 0; k < j->c->in_count; k++) {
        const char *from = j->c->in[k]->data;
        size_t piece = (size_t)nnd_op_span(j->c->in[k], j->axis, y->rank) * size;
        bool there = from == (char *)y->data + at;
        if (piece && !there)
            spread((char *)y->data + first * j->row + at, j->row, from + first * piece, piece, n);
        at += piece;
    }
    return NND_OK;
}

static nnd_status concat_run(nnd_op_ctx *c)
{
    concat_job j = {.c = c};
    const nnd_tensor *y = &c->out[0];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 1), y->rank, &j.axis));
    j.outer = (size_t)nnd_op_span(y, 0, j.axis);
    j.row = (size_t)nnd_op_span(y, j.axis, y->rank) * nnd_op_element(y->dtype);
    if (!j.row || !j.outer) return NND_OK;
    j.rows = j.row < CONCAT_TILE ? CONCAT_TILE / j.row : 1;
    return nnd_op_for(c, (j.outer + j.rows - 1) / j.rows, concat_tile, &j);
}

static nnd_status split_infer(nnd_op_ctx *c)
{
    enum { MOST = 1024 };
    int axis;
    int64_t sizes[MOST], dims[NND_MAX_RANK], sum = 0;
    size_t count, n = c->out_count;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(need_whole_bytes(c, 0));
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    NND_TRY(nnd_op_list(c, 1, "split", sizes, MOST, &count));
    if (count != SIZE_MAX && count != n)
        return nnd_op_fail(c, NND_E_SHAPE, "%zu sizes for %zu outputs", count, n);
    int64_t each = (x->dims[axis] + (int64_t)n - 1) / (int64_t)n;
    memcpy(dims, x->dims, sizeof(dims));
    for (size_t k = 0; k < n; k++) {
        int64_t left = x->dims[axis] - sum;
        dims[axis] = count != SIZE_MAX ? sizes[k] : each < left ? each : left;
        if (dims[axis] < 0 || dims[axis] > left)
            return nnd_op_fail(c, NND_E_SHAPE, "the parts are larger than the whole");
        sum += dims[axis];
        NND_TRY(nnd_op_output(c, k, x->dtype, x->rank, dims));
    }
    return sum == x->dims[axis]
               ? NND_OK
               : nnd_op_fail(c, NND_E_SHAPE, "the parts are smaller than the whole");
}

static nnd_status split_plan(nnd_op_ctx *c)
{
    int axis;
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), c->in[0]->rank, &axis));
    c->apart = nnd_op_span(c->in[0], 0, axis) == 1;
    return NND_OK;
}

static nnd_status split_run(nnd_op_ctx *c)
{
    int axis;
    const nnd_tensor *x = c->in[0];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    size_t outer = (size_t)nnd_op_span(x, 0, axis), at = 0, size = nnd_op_element(x->dtype);
    size_t row = (size_t)nnd_op_span(x, axis, x->rank) * size;
    for (size_t k = 0; k < c->out_count; k++) {
        size_t piece = (size_t)nnd_op_span(&c->out[k], axis, x->rank) * size;
        for (size_t i = 0; i < outer && piece && c->out[k].data; i++)
            memcpy((char *)c->out[k].data + i * piece, (const char *)x->data + i * row + at, piece);
        at += piece;
    }
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "Transpose", 1, 0, 1, 1, 1, 1, 0, transpose_infer, transpose_run, .variant = 0},
    {"", "Slice", 1, 0, 1, 5, 1, 1, NND_OP_PICKS, slice_infer, slice_run, .plan = slice_plan},
    {"", "Expand", 8, 0, 2, 2, 1, 1, 0, expand_infer, expand_run, .variant = 0},
    {"", "Tile", 6, 0, 2, 2, 1, 1, 0, tile_infer, tile_run, .variant = 0},
    {"", "DepthToSpace", 1, 0, 1, 1, 1, 1, 0, block_infer, block_run, .variant = 0},
    {"", "SpaceToDepth", 1, 0, 1, 1, 1, 1, 0, block_infer, block_run, .variant = 1},
    {"", "Concat", 1, 0, 1, -1, 1, 1, 0, concat_infer, concat_run, .plan = concat_plan},
    {"", "Split", 1, 0, 1, 2, 1, -1, 0, split_infer, split_run, .plan = split_plan},
};
const nnd_op_family nnd_ops_move = {ops, NND_COUNT(ops)};
