/* Reduce* over any set of axes, axes by attribute or input. */
#include <math.h>
#include <string.h>

#include "data/dtype.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/blocks.h"

/* So many neighbouring results are worth a kernel; a tile has at least so many of them. */
enum { COLUMNS = 8, COLUMNS_PER_TILE = 64 };
enum { SUM, MEAN, MAX, MIN, PROD, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE };

typedef struct reduction {
    uint32_t axes; /* bits */
    bool nothing;  /* no axes and noop_with_empty_axes: element by element */
    int rank;      /* of the result */
    int64_t dims[NND_MAX_RANK];
} reduction;

static nnd_status read_reduction(const nnd_op_ctx *c, reduction *r)
{
    int64_t axes[NND_MAX_RANK];
    size_t count;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_list(c, 1, "axes", axes, NND_MAX_RANK, &count));
    *r = (reduction){0};
    bool none = count == SIZE_MAX || count == 0;
    if (none && nnd_node_int(c->node, "noop_with_empty_axes", 0))
        r->nothing = true;
    else if (none)
        r->axes = (1u << x->rank) - 1u;
    else
        NND_TRY(nnd_op_axes(c, axes, count, x->rank, &r->axes));
    bool keep = nnd_node_int(c->node, "keepdims", 1) != 0;
    for (int i = 0; i < x->rank; i++) {
        bool gone = (r->axes >> i & 1u) != 0;
        if (!gone || keep) r->dims[r->rank++] = gone ? 1 : x->dims[i];
    }
    return NND_OK;
}

static nnd_status reduce_infer(nnd_op_ctx *c)
{
    reduction r;
    bool any = c->op->variant == MAX || c->op->variant == MIN;
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS | (any ? 1u << NND_BOOL : 0)));
    NND_TRY(read_reduction(c, &r));
    return nnd_op_output(c, 0, c->in[0]->dtype, r.rank, r.dims);
}

/* The input as kept dimensions around reduced ones, in their order; neighbours are merged. */
typedef struct job {
    const nnd_tensor *x, *y;
    int variant, kept, gone;
    size_t kept_dims[NND_MAX_RANK], kept_strides[NND_MAX_RANK];
    size_t gone_dims[NND_MAX_RANK], gone_strides[NND_MAX_RANK];
    size_t total, count, per_tile; /* results, elements of each */
    bool rows;                     /* f32 rows of consecutive elements: a kernel */
    bool columns; /* f32, results side by side: whole rows are added up or compared */
} job;

static void cut(job *j, uint32_t axes)
{
    size_t stride = 1;
    for (int i = j->x->rank - 1; i >= 0; i--) {
        size_t n = (size_t)j->x->dims[i];
        bool gone = (axes >> i & 1u) != 0;
        int *count = gone ? &j->gone : &j->kept;
        size_t *dims = gone ? j->gone_dims : j->kept_dims,
               *strides = gone ? j->gone_strides : j->kept_strides;
        if (*count && strides[*count - 1] * dims[*count - 1] == stride) {
            dims[*count - 1] *= n;
        } else {
            dims[*count] = n;
            strides[(*count)++] = stride;
        }
        stride *= n;
    }
    j->total = j->count = 1;
    for (int i = 0; i < j->kept; i++)
        j->total *= j->kept_dims[i];
    for (int i = 0; i < j->gone; i++)
        j->count *= j->gone_dims[i];
}

static size_t locate(size_t index, int rank, const size_t *dims, const size_t *strides)
{
    size_t at = 0;
    for (int i = 0; i < rank; i++) {
        at += index % dims[i] * strides[i];
        index /= dims[i];
    }
    return at;
}

static double begin_value(int variant)
{
    return variant == MAX ? -INFINITY : variant == MIN ? INFINITY : variant == PROD ? 1.0 : 0.0;
}

static double add_value(int variant, double sum, double v)
{
    switch (variant) {
    case MAX:
        return isnan(v) || v > sum ? v : sum;
    case MIN:
        return isnan(v) || v < sum ? v : sum;
    case PROD:
        return sum * v;
    case L1:
        return sum + fabs(v);
    case L2:
    case SUM_SQUARE:
        return sum + v * v;
    default:
        return sum + v;
    }
}

static double reduce_real(const job *j, size_t base)
{
    double sum = begin_value(j->variant), top = 0;
    if (j->variant == LOG_SUM_EXP) {
        top = -INFINITY;
        for (size_t i = 0; i < j->count; i++) {
            double v = nnd_dtype_get(j->x->dtype, j->x->data,
                                     base + locate(i, j->gone, j->gone_dims, j->gone_strides));
            top = v > top ? v : top;
        }
        if (isinf(top)) top = 0;
    }
    for (size_t i = 0; i < j->count; i++) {
        double v = nnd_dtype_get(j->x->dtype, j->x->data,
                                 base + locate(i, j->gone, j->gone_dims, j->gone_strides));
        if (j->variant == LOG_SUM_EXP)
            sum += exp(v - top);
        else
            sum = add_value(j->variant, sum, v);
    }
    if (j->variant == MEAN) return sum / (double)j->count;
    if (j->variant == L2) return sqrt(sum);
    if (j->variant == LOG_SUM) return log(sum);
    return j->variant == LOG_SUM_EXP ? log(sum) + top : sum;
}

/* Whole sums of integers, all 64 bits; extremes compare as the type does. */
static uint64_t reduce_int(const job *j, size_t base)
{
    bool natural = nnd_class_of(j->x->dtype) == NND_IN_U64;
    uint64_t sum = j->variant == PROD ? 1 : 0;
    for (size_t i = 0; i < j->count; i++) {
        int64_t v = nnd_op_int_at(j->x, base + locate(i, j->gone, j->gone_dims, j->gone_strides));
        uint64_t u = (uint64_t)v;
        if (j->variant == MAX || j->variant == MIN) {
            bool less = natural ? u < sum : v < (int64_t)sum;
            bool more = natural ? u > sum : v > (int64_t)sum;
            if (i == 0 || (j->variant == MAX ? more : less)) sum = u;
        } else if (j->variant == PROD) {
            sum *= u;
        } else if (j->variant == L1) {
            sum += !natural && v < 0 ? 0 - u : u;
        } else {
            sum += j->variant == SUM_SQUARE ? u * u : u;
        }
    }
    if (j->variant == MEAN && j->count)
        sum = natural ? sum / j->count : (uint64_t)((int64_t)sum / (int64_t)j->count);
    return sum;
}

static void add_squares(const float *x, float *sum, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += x[i] * x[i];
}

static void roots(float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = sqrtf(y[i]);
}

static bool is_square_sum(int variant)
{
    return variant == L2 || variant == SUM_SQUARE;
}

/* One row; the partial sums are joined in a fixed order. */
static float sum_squares(const float *x, size_t n)
{
    float part[16] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        add_squares(x + i, part, 16);
    add_squares(x + i, part, n - i);
    for (size_t k = 0; k < 16; k++)
        sum += part[k];
    return sum;
}

/* Results [begin, begin + n) of one run of neighbours: row after row of the input joins them. */
static void join_rows(const job *j, size_t begin, size_t n)
{
    nnd_binary_op op = j->variant == MAX   ? NND_BINARY_MAX
                       : j->variant == MIN ? NND_BINARY_MIN
                                           : NND_BINARY_ADD;
    const float *x =
        (const float *)j->x->data + locate(begin, j->kept, j->kept_dims, j->kept_strides);
    float *y = (float *)j->y->data + begin;
    if (is_square_sum(j->variant)) {
        memset(y, 0, n * sizeof(*y));
        for (size_t i = 0; i < j->count; i++)
            add_squares(x + locate(i, j->gone, j->gone_dims, j->gone_strides), y, n);
        if (j->variant == L2) roots(y, n);
        return;
    }
    memcpy(y, x, n * sizeof(*y));
    for (size_t i = 1; i < j->count; i++)
        nnd_binary_apply(op, NND_BINARY_BOTH, y,
                         x + locate(i, j->gone, j->gone_dims, j->gone_strides), y, n, NULL);
    const float share = 1.0f / (float)j->count;
    if (j->variant == MEAN)
        nnd_binary_apply(NND_BINARY_MUL, NND_BINARY_SCALAR_B, y, &share, y, n, NULL);
}

static void columns_tile(const job *j, size_t begin, size_t end)
{
    size_t run = j->kept_dims[0];
    while (begin < end) {
        size_t left = run - begin % run, n = end - begin < left ? end - begin : left;
        join_rows(j, begin, n);
        begin += n;
    }
}

static nnd_status tile(void *user, size_t index, int lane)
{
    const job *j = user;
    size_t begin = index * j->per_tile, end = begin + j->per_tile;
    bool exact = j->variant <= L1 || j->variant == SUM_SQUARE;
    nnd_class in = nnd_class_of(j->x->dtype);
    (void)lane;
    if (end > j->total) end = j->total;
    if (j->rows && is_square_sum(j->variant)) {
        for (size_t i = begin; i < end; i++) {
            float sum = sum_squares((const float *)j->x->data + i * j->count, j->count);
            ((float *)j->y->data)[i] = j->variant == L2 ? sqrtf(sum) : sum;
        }
        return NND_OK;
    }
    if (j->rows) {
        nnd_row_op op = j->variant == SUM   ? NND_ROW_SUM
                        : j->variant == MAX ? NND_ROW_MAX
                                            : NND_ROW_MEAN;
        nnd_reduce_rows(op, (const float *)j->x->data + begin * j->count,
                        (float *)j->y->data + begin, end - begin, j->count);
        return NND_OK;
    }
    if (j->columns) {
        columns_tile(j, begin, end);
        return NND_OK;
    }
    for (size_t i = begin; i < end; i++) {
        size_t base = locate(i, j->kept, j->kept_dims, j->kept_strides);
        if (in > NND_IN_F64 && exact) {
            nnd_block_memory m;
            m.u64[0] = reduce_int(j, base);
            nnd_block_store(in, j->y->dtype, j->y->data, i, 1, &m);
        } else {
            double v = reduce_real(j, base);
            nnd_dtype_set(j->y->dtype, j->y->data, i, in > NND_IN_F64 ? trunc(v) : v);
        }
    }
    return NND_OK;
}

static nnd_status reduce_run(nnd_op_ctx *c)
{
    reduction r;
    NND_TRY(read_reduction(c, &r));
    job j = {.x = c->in[0], .y = &c->out[0], .variant = c->op->variant};
    cut(&j, r.axes);
    if (nnd_tensor_count(j.y) == 0) return NND_OK;
    if (r.nothing && c->op->variant <= PROD) {
        memcpy(j.y->data, j.x->data, nnd_tensor_bytes(j.x));
        return NND_OK;
    }
    bool simple =
        j.variant == SUM || j.variant == MAX || j.variant == MEAN || is_square_sum(j.variant);
    j.rows = simple && j.x->dtype == NND_F32 && j.gone == 1 && j.gone_strides[0] == 1 &&
             j.count > 1 && j.kept <= 1;
    j.columns = (simple || j.variant == MIN) && j.x->dtype == NND_F32 && j.count > 0 && j.kept &&
                j.kept_strides[0] == 1 && j.kept_dims[0] >= COLUMNS;
    j.per_tile = j.count < NND_OP_GRAIN ? NND_OP_GRAIN / (j.count ? j.count : 1) : 1;
    if (j.columns && j.per_tile < COLUMNS_PER_TILE) j.per_tile = COLUMNS_PER_TILE;
    return nnd_op_for(c, (j.total + j.per_tile - 1) / j.per_tile, tile, &j);
}

#define ROW(name, v)                                                                               \
    {                                                                                              \
        "", name, 1, 0, 1, 2, 1, 1, 0, reduce_infer, reduce_run, .variant = v                      \
    }
static const nnd_op ops[] = {
    ROW("ReduceSum", SUM),
    ROW("ReduceMean", MEAN),
    ROW("ReduceMax", MAX),
    ROW("ReduceMin", MIN),
    ROW("ReduceProd", PROD),
    ROW("ReduceL1", L1),
    ROW("ReduceL2", L2),
    ROW("ReduceLogSum", LOG_SUM),
    ROW("ReduceLogSumExp", LOG_SUM_EXP),
    ROW("ReduceSumSquare", SUM_SQUARE),
};
const nnd_op_family nnd_ops_reduce = {ops, NND_COUNT(ops)};
