/*
 * com.microsoft's operators on weights of few bits in blocks, as language models are exported:
 * MatMulNBits and GatherBlockQuantized.
 *
 * MatMulNBits has two forms. Few rows (a token at a time) read the packed weights straight from the
 * model, column by column. Many rows unpack a panel of columns into the lane's scratch and multiply
 * it by the packed GEMM. Which one it is depends on the shape only.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/element.h"
#include "engine/ops/real.h"

enum { A, B, SCALES, ZEROS, GROUPS, BIAS, INPUTS };
enum { DOT_COLUMNS = 32 };          /* of a tile of few rows */
enum { COLUMNS = 128, ROWS = 256 }; /* of a tile of many rows */
enum { FEW_ROWS = 16 };             /* up to so many rows the weights are not unpacked */

/* ---- the matrix ----------------------------------------------------------------------------- */

typedef struct matrix {
    const nnd_op_ctx *c;
    int bits;
    size_t m, n, k, block, blocks, bytes; /* bytes: of a block's codes */
    bool packed_zeros;
} matrix;

static nnd_status check_count(const nnd_op_ctx *c, size_t i, size_t want)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    if (!t || (size_t)nnd_tensor_count(t) == want) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu has %lld values, %zu are wanted", i,
                       (long long)nnd_tensor_count(t), want);
}

static nnd_status read_attributes(const nnd_op_ctx *c, matrix *p)
{
    const int64_t limit = (int64_t)1 << 31;
    int64_t n = nnd_node_int(c->node, "N", 0), k = nnd_node_int(c->node, "K", 0);
    int64_t block = nnd_node_int(c->node, "block_size", 0);
    int64_t bits = nnd_node_int(c->node, "bits", 4);
    if (nnd_node_int(c->node, "weight_prepacked", 0))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "weights that another runtime packed");
    if (bits != 2 && bits != 4 && bits != 8)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "weights of %lld bits", (long long)bits);
    if (n < 1 || k < 1 || n > limit || k > limit || block < 16 || block > limit ||
        (block & (block - 1)))
        return nnd_op_fail(c, NND_E_SHAPE, "N %lld, K %lld and block_size %lld are impossible",
                           (long long)n, (long long)k, (long long)block);
    *p = (matrix){.c = c,
                  .bits = (int)bits,
                  .n = (size_t)n,
                  .k = (size_t)k,
                  .block = (size_t)block,
                  .blocks = (size_t)((k + block - 1) / block),
                  .bytes = (size_t)(block * bits / 8)};
    return NND_OK;
}

static nnd_status read_matrix(const nnd_op_ctx *c, matrix *p)
{
    const uint32_t floats = 1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16;
    const nnd_tensor *zeros = nnd_op_in(c, ZEROS);
    NND_TRY(nnd_op_expect(c, A, floats));
    NND_TRY(nnd_op_expect(c, B, 1u << NND_U8));
    NND_TRY(nnd_op_expect(c, SCALES, floats));
    NND_TRY(read_attributes(c, p));
    const nnd_tensor *a = c->in[A];
    if (a->rank < 1 || a->dims[a->rank - 1] != (int64_t)p->k)
        return nnd_op_fail(c, NND_E_SHAPE, "the input does not have %zu columns", p->k);
    p->m = (size_t)nnd_op_span(a, 0, a->rank - 1);
    NND_TRY(check_count(c, B, p->n * p->blocks * p->bytes));
    NND_TRY(check_count(c, SCALES, p->n * p->blocks));
    NND_TRY(check_count(c, BIAS, p->n));
    if (nnd_op_in(c, BIAS)) NND_TRY(nnd_op_expect(c, BIAS, floats));
    if (nnd_op_in(c, GROUPS)) {
        NND_TRY(nnd_op_expect(c, GROUPS, 1u << NND_I32));
        /* Exporters pad the list to whole blocks. */
        if (nnd_tensor_count(c->in[GROUPS]) < (int64_t)p->k)
            return nnd_op_fail(c, NND_E_SHAPE, "g_idx has fewer than %zu values", p->k);
    }
    if (!zeros) return NND_OK;
    NND_TRY(nnd_op_expect(c, ZEROS, floats | 1u << NND_U8));
    p->packed_zeros = zeros->dtype == NND_U8;
    size_t row = p->packed_zeros ? (p->blocks * (size_t)p->bits + 7) / 8 : p->blocks;
    return check_count(c, ZEROS, p->n * row);
}

static nnd_status product_infer(nnd_op_ctx *c)
{
    matrix p;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_matrix(c, &p));
    memcpy(dims, c->in[A]->dims, sizeof(dims));
    dims[c->in[A]->rank - 1] = (int64_t)p.n;
    return nnd_op_output(c, 0, c->in[A]->dtype, c->in[A]->rank, dims);
}

/* Zero points of one column. */
static void read_zeros(const matrix *p, size_t column, float *zero)
{
    const nnd_tensor *zeros = nnd_op_in(p->c, ZEROS);
    size_t row = (p->blocks * (size_t)p->bits + 7) / 8, per_byte = 8 / (size_t)p->bits;
    const float middle = (float)(1 << (p->bits - 1));
    const unsigned mask = (1u << p->bits) - 1u;
    for (size_t b = 0; b < p->blocks; b++) {
        unsigned shift = (unsigned)(b % per_byte) * (unsigned)p->bits;
        if (!zeros)
            zero[b] = middle;
        else if (p->packed_zeros)
            zero[b] =
                (float)((unsigned)((const uint8_t *)zeros->data)[column * row + b / per_byte] >>
                            shift &
                        mask);
        else
            zero[b] = (float)nnd_get(zeros, column * p->blocks + b);
    }
}

/* A column with its scaling, in `scratch` (2·blocks values) unless it is where it can be read. */
static nnd_nbits_column column_at(const matrix *p, size_t column, float *scratch)
{
    const nnd_tensor *scales = p->c->in[SCALES];
    const uint8_t *codes = p->c->in[B]->data;
    nnd_nbits_column c = {.bits = p->bits,
                          .blocks = p->blocks,
                          .bytes = p->bytes,
                          .q = codes + column * p->blocks * p->bytes,
                          .scale = scratch,
                          .zero = scratch + p->blocks};
    read_zeros(p, column, scratch + p->blocks);
    if (scales->dtype == NND_F32) {
        c.scale = (const float *)scales->data + column * p->blocks;
        return c;
    }
    for (size_t b = 0; b < p->blocks; b++)
        scratch[b] = (float)nnd_get(scales, column * p->blocks + b);
    return c;
}

/* ---- few rows ------------------------------------------------------------------------------- */

typedef struct job {
    matrix p;
    nnd_real a, bias, result;
    float *y, *arranged, *sums; /* arranged: NULL where A stays as it is */
    const struct step *step;
} job;

static nnd_status dot_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const matrix *p = &j->p;
    size_t first = tile * DOT_COLUMNS;
    size_t until = first + DOT_COLUMNS < p->n ? first + DOT_COLUMNS : p->n;
    float *scratch = nnd_op_lane(p->c, lane);
    for (size_t i = first; i < until; i++) {
        nnd_nbits_column column = column_at(p, i, scratch);
        float y[FEW_ROWS];
        column.a = j->arranged;
        column.sums = j->sums;
        column.rows = p->m;
        column.a_row = p->blocks * p->block;
        nnd_nbits_dot(&column, y);
        for (size_t row = 0; row < p->m; row++)
            j->y[row * p->n + i] = y[row] + (j->bias.data ? j->bias.data[i] : 0.0f);
    }
    return NND_OK;
}

/* The rows of A in the order in which the weights' codes lie; g_idx wants them as they are. */
static nnd_status arrange(const nnd_op_ctx *c, job *j)
{
    const matrix *p = &j->p;
    size_t row = p->blocks * p->block, elements, bytes;
    if (nnd_op_in(c, GROUPS)) return NND_OK;
    if (!nnd_size_mul(p->m, row + p->blocks, &elements) ||
        !nnd_size_mul(elements + 1, sizeof(float), &bytes))
        return nnd_op_fail(c, NND_E_OVERFLOW, "the operand is too large");
    j->arranged = nnd_alloc_aligned(bytes, 64);
    if (!j->arranged) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the operand");
    j->sums = j->arranged + p->m * row;
    for (size_t i = 0; i < p->m; i++)
        nnd_nbits_arrange(p->bits, p->block, j->a.data + i * p->k, p->k, j->arranged + i * row,
                          j->sums + i * p->blocks);
    return NND_OK;
}

/* ---- many rows ------------------------------------------------------------------------------ */

/* A tile is `rows` × `columns` of the result; the last ones in either direction are smaller. */
typedef struct step {
    nnd_gemm gemm[2][2]; /* [last rows][last columns] */
    size_t row_tiles, column_tiles;
    size_t depth;                  /* elements of a row of A and of a column */
    size_t panel, packed, scratch; /* where the lane's parts begin */
    bool few;
} step;

static size_t extent(size_t n, size_t part, bool last)
{
    if (!last) return n < part ? n : part;
    return n % part ? n % part : part < n ? part : n;
}

/* g_idx says which block's scaling belongs to which element. */
static void unpack_grouped(const matrix *p, const nnd_nbits_column *column, float *y)
{
    const int32_t *groups = p->c->in[GROUPS]->data;
    unsigned bits = (unsigned)p->bits, per_byte = 8 / bits, mask = (1u << bits) - 1u;
    for (size_t i = 0; i < p->k; i++) {
        unsigned code = (unsigned)column->q[i / per_byte] >> (i % per_byte * bits) & mask;
        y[i] = ((float)code - column->zero[groups[i]]) * column->scale[groups[i]];
    }
}

static nnd_status panel_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const matrix *p = &j->p;
    const step *s = j->step;
    size_t column = tile / s->row_tiles, row = tile % s->row_tiles;
    const nnd_gemm *gemm = &s->gemm[row + 1 == s->row_tiles][column + 1 == s->column_tiles];
    char *memory = nnd_op_lane(p->c, lane);
    const float *a = j->arranged ? j->arranged : j->a.data;
    float *panel = (float *)(void *)(memory + s->panel);
    float *packed = (float *)(void *)(memory + s->packed);
    for (size_t i = 0; i < (size_t)gemm->desc.n; i++) {
        nnd_nbits_column q = column_at(p, column * COLUMNS + i, (float *)(void *)memory);
        if (j->arranged)
            nnd_nbits_spread(&q, panel + i * s->depth);
        else
            unpack_grouped(p, &q, panel + i * s->depth);
    }
    nnd_gemm_pack_b(gemm, panel, packed);
    nnd_gemm_args args = {.a = a + row * ROWS * s->depth,
                          .packed_b = packed,
                          .bias = j->bias.data ? j->bias.data + column * COLUMNS : NULL,
                          .c = j->y + row * ROWS * p->n + column * COLUMNS};
    for (size_t i = 0; i < nnd_gemm_tiles(gemm); i++) {
        NND_TRY(nnd_cancel_check(p->c->cancel));
        nnd_gemm_run_tile(gemm, &args, i, memory + s->scratch);
    }
    return NND_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static nnd_status make_step(const nnd_op_ctx *c, const matrix *p, step *s, size_t *lane_bytes)
{
    size_t packed = 0, scratch = 0;
    *s = (step){.few = p->m <= FEW_ROWS && !nnd_op_in(c, GROUPS),
                .row_tiles = (p->m + ROWS - 1) / ROWS,
                .column_tiles = (p->n + COLUMNS - 1) / COLUMNS,
                .depth = nnd_op_in(c, GROUPS) ? p->k : p->blocks * p->block};
    *lane_bytes = 2 * p->blocks * sizeof(float);
    if (s->few || p->m == 0) return NND_OK;
    for (size_t i = 0; i < 4; i++) {
        nnd_gemm *gemm = &s->gemm[i / 2][i % 2];
        nnd_gemm_desc d = {.m = (int64_t)extent(p->m, ROWS, i / 2),
                           .n = (int64_t)extent(p->n, COLUMNS, i % 2),
                           .k = (int64_t)s->depth,
                           .trans_b = true,
                           .ldc = (int64_t)p->n,
                           .alpha = 1.0f,
                           .bias = NND_GEMM_BIAS_COLUMN,
                           .one_tile = true};
        NND_TRY(nnd_gemm_plan(&d, gemm));
        packed = larger(packed, nnd_gemm_packed_bytes(gemm));
        scratch = larger(scratch, nnd_gemm_lane_bytes(gemm));
    }
    size_t panel = s->depth * COLUMNS * sizeof(float); /* K and the block are at most 2^31 */
    s->panel = (*lane_bytes + 63) & ~(size_t)63;
    s->packed = s->panel + ((panel + 63) & ~(size_t)63);
    s->scratch = s->packed + ((packed + 63) & ~(size_t)63);
    *lane_bytes = s->scratch + scratch;
    return NND_OK;
}

/* ---- the operator --------------------------------------------------------------------------- */

static nnd_status product_plan(nnd_op_ctx *c)
{
    matrix p;
    step *s = nnd_calloc(1, sizeof(*s));
    if (!s) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a plan");
    nnd_status status = read_matrix(c, &p);
    if (status == NND_OK) status = make_step(c, &p, s, &c->lane_bytes);
    if (status != NND_OK) {
        nnd_free(s);
        return status;
    }
    c->step = s;
    c->kernel = s->few ? "nbits_dot" : "nbits_gemm";
    return NND_OK;
}

static void product_unplan(void *s)
{
    nnd_free(s);
}

static nnd_status check_groups(const nnd_op_ctx *c, const matrix *p)
{
    const nnd_tensor *t = nnd_op_in(c, GROUPS);
    for (size_t i = 0; t && i < p->k; i++) {
        int32_t group = ((const int32_t *)t->data)[i];
        if (group < 0 || (size_t)group >= p->blocks)
            return nnd_op_fail(c, NND_E_FORMAT, "g_idx holds %d of %zu groups", (int)group,
                               p->blocks);
    }
    return NND_OK;
}

static nnd_status multiply(nnd_op_ctx *c, job *j)
{
    step own;
    size_t bytes = 0;
    void *memory;
    NND_TRY(check_groups(c, &j->p));
    NND_TRY(nnd_real_read(c->in[A], &j->a));
    NND_TRY(nnd_real_read(nnd_op_in(c, BIAS), &j->bias));
    NND_TRY(nnd_real_result(&c->out[0], true, &j->result, &j->y));
    j->step = c->step;
    if (!j->step) {
        NND_TRY(make_step(c, &j->p, &own, &bytes));
        j->step = &own;
    }
    nnd_status status = nnd_op_need_lane(c, bytes, &memory);
    if (status == NND_OK) {
        status = arrange(c, j);
        const step *s = j->step;
        if (status == NND_OK)
            status = s->few ? nnd_op_for(c, (j->p.n + DOT_COLUMNS - 1) / DOT_COLUMNS, dot_tile, j)
                            : nnd_op_for(c, s->row_tiles * s->column_tiles, panel_tile, j);
        nnd_free_aligned(memory);
    }
    nnd_free_aligned(j->arranged);
    j->step = NULL;
    NND_TRY(status);
    return nnd_real_write(&c->out[0], &j->result);
}

static nnd_status product_run(nnd_op_ctx *c)
{
    job j = {0};
    nnd_op_ctx own = *c; /* its scratch may be this call's */
    NND_TRY(read_matrix(&own, &j.p));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    nnd_status status = multiply(&own, &j);
    nnd_real_free(&j.a);
    nnd_real_free(&j.bias);
    nnd_real_free(&j.result);
    return status;
}

static double product_flops(const nnd_op_ctx *c)
{
    matrix p;
    return read_matrix(c, &p) == NND_OK ? 2.0 * (double)p.m * (double)p.n * (double)p.k : 0;
}

/* ---- GatherBlockQuantized ------------------------------------------------------------------- */

enum { DATA, INDICES, SCALE, ZERO };

typedef struct gather {
    const nnd_op_ctx *c;
    int bits, axis, along; /* along: the axis that blocks lie on */
    int rank;
    int64_t shape[NND_MAX_RANK];  /* of the codes, unpacked */
    int64_t scales[NND_MAX_RANK]; /* of the scales */
    int64_t block;
    size_t rows, row; /* before the gathered axis; behind it, in elements */
} gather;

static nnd_status read_gather_axes(const nnd_op_ctx *c, gather *g)
{
    const nnd_tensor *x = c->in[DATA];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "gather_axis", 0), x->rank, &g->axis));
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "quantize_axis", 1), x->rank, &g->along));
    bool bytes = x->dtype == NND_U8;
    g->bits = bytes ? (int)nnd_node_int(c->node, "bits", 4) : 4;
    if (g->bits != 2 && g->bits != 4 && g->bits != 8)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "codes of %d bits", g->bits);
    g->block = nnd_node_int(c->node, "block_size", 128);
    if (g->block < 16 || (g->block & (g->block - 1)) || g->block > INT32_MAX)
        return nnd_op_fail(c, NND_E_SHAPE, "block_size %lld is impossible", (long long)g->block);
    g->rank = x->rank;
    memcpy(g->shape, x->dims, sizeof(g->shape));
    if (!bytes || g->bits == 8) return NND_OK;
    if (g->axis == g->rank - 1)
        return nnd_op_fail(c, NND_E_SHAPE, "packed codes cannot be gathered one by one");
    if (g->shape[g->rank - 1] > INT64_MAX / 8)
        return nnd_op_fail(c, NND_E_OVERFLOW, "the table is too large");
    g->shape[g->rank - 1] *= 8 / g->bits;
    return NND_OK;
}

static nnd_status read_gather(const nnd_op_ctx *c, gather *g)
{
    NND_TRY(nnd_op_expect(c, DATA, 1u << NND_U8 | 1u << NND_U4 | 1u << NND_I4));
    NND_TRY(nnd_op_expect(c, INDICES, 1u << NND_I32 | 1u << NND_I64));
    NND_TRY(nnd_op_expect(c, SCALE, 1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16));
    *g = (gather){.c = c};
    NND_TRY(read_gather_axes(c, g));
    const nnd_tensor *scale = c->in[SCALE], *zero = nnd_op_in(c, ZERO);
    if (g->rank + c->in[INDICES]->rank - 1 > NND_MAX_RANK)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the result has too many dimensions");
    int64_t codes = 1;
    for (int d = 0; d < g->rank; d++) {
        int64_t blocks = (g->shape[d] + g->block - 1) / g->block;
        g->scales[d] = d == g->along ? blocks : g->shape[d];
        if (scale->rank != g->rank || scale->dims[d] != g->scales[d])
            return nnd_op_fail(c, NND_E_SHAPE, "the scales do not fit the table");
        codes *= d + 1 < g->rank ? g->scales[d] : 1;
    }
    g->rows = (size_t)nnd_op_span(c->in[DATA], 0, g->axis);
    g->row = 1;
    for (int d = g->axis + 1; d < g->rank; d++)
        g->row *= (size_t)g->shape[d];
    if (!zero) return NND_OK;
    NND_TRY(nnd_op_expect(c, ZERO, 1u << c->in[DATA]->dtype));
    int64_t last = g->scales[g->rank - 1];
    if (zero->dtype == NND_U8) last = (last * g->bits + 7) / 8;
    if (nnd_tensor_count(zero) != codes * last)
        return nnd_op_fail(c, NND_E_SHAPE, "the zero points do not fit the scales");
    return NND_OK;
}

static nnd_status gather_infer(nnd_op_ctx *c)
{
    gather g;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_gather(c, &g));
    const nnd_tensor *indices = c->in[INDICES];
    int rank = 0;
    for (int d = 0; d < g.axis; d++)
        dims[rank++] = g.shape[d];
    for (int d = 0; d < indices->rank; d++)
        dims[rank++] = indices->dims[d];
    for (int d = g.axis + 1; d < g.rank; d++)
        dims[rank++] = g.shape[d];
    return nnd_op_output(c, 0, c->in[SCALE]->dtype, rank, dims);
}

/* The code at `i` of a tensor whose rows of `width` codes begin at whole bytes. */
static double code_at(const nnd_tensor *t, int bits, size_t width, size_t i)
{
    if (t->dtype != NND_U8) return nnd_get(t, i);
    size_t per_byte = 8 / (size_t)bits, row = (width + per_byte - 1) / per_byte;
    unsigned byte = ((const uint8_t *)t->data)[i / width * row + i % width / per_byte];
    return (double)(byte >> (i % width % per_byte * (size_t)bits) & ((1u << bits) - 1u));
}

static double gather_element(const gather *g, size_t at)
{
    const nnd_tensor *zero = nnd_op_in(g->c, ZERO);
    size_t left = at, scale = 0, size = 1;
    for (int d = g->rank - 1; d >= 0; d--) {
        size_t i = left % (size_t)g->shape[d];
        left /= (size_t)g->shape[d];
        scale += (d == g->along ? i / (size_t)g->block : i) * size;
        size *= (size_t)g->scales[d];
    }
    double middle = g->c->in[DATA]->dtype == NND_U8 ? (double)(1 << (g->bits - 1)) : 0.0;
    if (zero) middle = code_at(zero, g->bits, (size_t)g->scales[g->rank - 1], scale);
    double code = code_at(g->c->in[DATA], g->bits, (size_t)g->shape[g->rank - 1], at);
    return (code - middle) * nnd_get(g->c->in[SCALE], scale);
}

/* One gathered slice; an index that is outside gives zeros. */
static nnd_status gather_tile(void *user, size_t tile, int lane)
{
    const gather *g = user;
    const nnd_tensor *indices = g->c->in[INDICES];
    size_t count = (size_t)nnd_tensor_count(indices), row = tile / count;
    int64_t n = g->shape[g->axis], index = nnd_op_int_at(indices, tile % count);
    if (index < 0) index += n;
    bool inside = index >= 0 && index < n;
    (void)lane;
    for (size_t i = 0; i < g->row; i++) {
        size_t from = inside ? (row * (size_t)n + (size_t)index) * g->row + i : 0;
        nnd_set(&g->c->out[0], tile * g->row + i, inside ? gather_element(g, from) : 0.0);
    }
    return NND_OK;
}

static nnd_status gather_run(nnd_op_ctx *c)
{
    gather g;
    NND_TRY(read_gather(c, &g));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    return nnd_op_for(c, g.rows * (size_t)nnd_tensor_count(c->in[INDICES]), gather_tile, &g);
}

static const nnd_op ops[] = {
    {"com.microsoft", "MatMulNBits", 1, 0, 3, INPUTS, 1, 1, 0, product_infer, product_run,
     .plan = product_plan, .unplan = product_unplan, .flops = product_flops},
    {"com.microsoft", "GatherBlockQuantized", 1, 0, 3, 4, 1, 1, 0, gather_infer, gather_run,
     .variant = 0},
};
const nnd_op_family nnd_ops_nbits = {ops, NND_COUNT(ops)};
