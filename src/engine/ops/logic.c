/* Comparisons, boolean logic, Where, IsNaN, IsInf. */
#include <math.h>
#include <string.h>

#include "engine/ops/rows.h"

enum { EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, AND, OR, XOR };

/* ---- two operands -------------------------------------------------------------------------- */

typedef struct job {
    nnd_broadcast broadcast;
    const nnd_tensor *a, *b, *y;
    nnd_class in;
    int variant;
} job;

#define COMPARE(type)                                                                              \
    do {                                                                                           \
        const type *x = va, *z = vb;                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            switch (variant) {                                                                     \
            case EQUAL:                                                                            \
                to[i] = x[i] == z[i];                                                              \
                break;                                                                             \
            case LESS:                                                                             \
                to[i] = x[i] < z[i];                                                               \
                break;                                                                             \
            case LESS_EQUAL:                                                                       \
                to[i] = x[i] <= z[i];                                                              \
                break;                                                                             \
            case GREATER:                                                                          \
                to[i] = x[i] > z[i];                                                               \
                break;                                                                             \
            case GREATER_EQUAL:                                                                    \
                to[i] = x[i] >= z[i];                                                              \
                break;                                                                             \
            case AND:                                                                              \
                to[i] = x[i] != 0 && z[i] != 0;                                                    \
                break;                                                                             \
            case OR:                                                                               \
                to[i] = x[i] != 0 || z[i] != 0;                                                    \
                break;                                                                             \
            default:                                                                               \
                to[i] = (x[i] != 0) != (z[i] != 0);                                                \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static void compare(nnd_class in, int variant, const void *va, const void *vb, uint8_t *to,
                    size_t n)
{
    if (in == NND_IN_F32)
        COMPARE(float);
    else if (in == NND_IN_F64)
        COMPARE(double);
    else if (in == NND_IN_I64)
        COMPARE(int64_t);
    else
        COMPARE(uint64_t);
}

static void equal_strings(const job *j, size_t out, const size_t *at, size_t n, size_t sa,
                          size_t sb)
{
    const nnd_string *a = j->a->data, *b = j->b->data;
    for (size_t i = 0; i < n; i++) {
        const nnd_string *x = &a[at[0] + i * sa], *y = &b[at[1] + i * sb];
        ((uint8_t *)j->y->data)[out + i] =
            x->size == y->size && memcmp(x->text, y->text, x->size) == 0;
    }
}

static void compare_run(void *user, size_t out, const size_t *at, size_t n)
{
    const job *j = user;
    int last = j->broadcast.rank - 1;
    size_t sa = j->broadcast.strides[0][last], sb = j->broadcast.strides[1][last];
    if (j->a->dtype == NND_STRING) {
        equal_strings(j, out, at, n, sa, sb);
        return;
    }
    nnd_block_memory ma, mb;
    for (size_t i = 0; i < n; i += NND_BLOCK) {
        size_t m = n - i < NND_BLOCK ? n - i : NND_BLOCK;
        const void *a = nnd_block_load(j->in, j->a->dtype, j->a->data, at[0] + i * sa, sa, m, &ma);
        const void *b = nnd_block_load(j->in, j->b->dtype, j->b->data, at[1] + i * sb, sb, m, &mb);
        compare(j->in, j->variant, a, b, (uint8_t *)j->y->data + out + i, m);
    }
}

static nnd_status compare_tile(void *user, size_t index, int lane)
{
    job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->broadcast.total) end = j->broadcast.total;
    nnd_broadcast_runs(&j->broadcast, begin, end, compare_run, j);
    return NND_OK;
}

static nnd_status compare_run_op(nnd_op_ctx *c)
{
    job j = {.a = c->in[0],
             .b = c->in[1],
             .y = &c->out[0],
             .in = nnd_class_of(c->in[0]->dtype),
             .variant = c->op->variant};
    nnd_broadcast_init(&j.broadcast, &c->out[0], c->in, 2);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), compare_tile, &j);
}

static nnd_status compare_infer(nnd_op_ctx *c)
{
    int64_t dims[NND_MAX_RANK];
    int rank;
    bool logic = c->op->variant >= AND;
    NND_TRY(nnd_op_broadcast(c, 0, 2, &rank, dims));
    uint32_t text = c->op->variant == EQUAL ? 1u << NND_STRING : 0;
    NND_TRY(nnd_op_expect(c, 0, logic ? 1u << NND_BOOL : NND_NUMBERS | 1u << NND_BOOL | text));
    NND_TRY(nnd_op_expect(c, 1, 1u << c->in[0]->dtype));
    return nnd_op_output(c, 0, NND_BOOL, rank, dims);
}

/* ---- one operand --------------------------------------------------------------------------- */

enum { NOT, IS_NAN, IS_INF };

static nnd_status test_infer(nnd_op_ctx *c)
{
    uint32_t types =
        c->op->variant == NOT ? 1u << NND_BOOL : NND_FLOATS | 0x1e0u; /* f8e4m3fn … f8e5m2fnuz */
    NND_TRY(nnd_op_expect(c, 0, types));
    return nnd_op_output(c, 0, NND_BOOL, c->in[0]->rank, c->in[0]->dims);
}

static nnd_status test_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    uint8_t *y = c->out[0].data;
    bool positive = nnd_node_int(c->node, "detect_positive", 1) != 0;
    bool negative = nnd_node_int(c->node, "detect_negative", 1) != 0;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(x); i++) {
        if (c->op->variant == NOT) {
            y[i] = !((const uint8_t *)x->data)[i];
            continue;
        }
        double v = nnd_dtype_get(x->dtype, x->data, i);
        bool infinite = isinf(v) && ((v > 0 && positive) || (v < 0 && negative));
        y[i] = (uint8_t)(c->op->variant == IS_NAN ? isnan(v) != 0 : infinite);
    }
    return NND_OK;
}

/* ---- Where --------------------------------------------------------------------------------- */

static nnd_status where_infer(nnd_op_ctx *c)
{
    int64_t dims[NND_MAX_RANK];
    int rank;
    NND_TRY(nnd_op_broadcast(c, 0, 3, &rank, dims));
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_BOOL));
    NND_TRY(nnd_op_expect(c, 2, 1u << c->in[1]->dtype));
    if (!nnd_op_element(c->in[1]->dtype)) return nnd_op_expect(c, 1, 0);
    return nnd_op_output(c, 0, c->in[1]->dtype, rank, dims);
}

void nnd_where_row_apply(const uint8_t *which, size_t which_step, const float *a, size_t a_step,
                         const float *b, size_t b_step, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = which[i * which_step] ? a[i * a_step] : b[i * b_step];
}

typedef struct where_job {
    nnd_broadcast broadcast;
    const nnd_op_ctx *c;
    size_t size;
} where_job;

static void where_copy(void *user, size_t out, const size_t *at, size_t n)
{
    const where_job *j = user;
    int last = j->broadcast.rank - 1;
    const size_t *s[3] = {j->broadcast.strides[0], j->broadcast.strides[1],
                          j->broadcast.strides[2]};
    char *to = (char *)j->c->out[0].data + out * j->size;
    if (j->c->out[0].dtype == NND_F32) {
        nnd_where_row_apply((const uint8_t *)j->c->in[0]->data + at[0], s[0][last],
                            (const float *)j->c->in[1]->data + at[1], s[1][last],
                            (const float *)j->c->in[2]->data + at[2], s[2][last],
                            (float *)j->c->out[0].data + out, n);
        return;
    }
    for (size_t i = 0; i < n; i++, to += j->size) {
        bool first = ((const uint8_t *)j->c->in[0]->data)[at[0] + i * s[0][last]] != 0;
        size_t k = first ? 1 : 2;
        const char *from = (const char *)j->c->in[k]->data + (at[k] + i * s[k][last]) * j->size;
        memcpy(to, from, j->size);
    }
}

static nnd_status where_tile(void *user, size_t index, int lane)
{
    where_job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->broadcast.total) end = j->broadcast.total;
    nnd_broadcast_runs(&j->broadcast, begin, end, where_copy, j);
    return NND_OK;
}

static nnd_status where_run(nnd_op_ctx *c)
{
    where_job j = {.c = c, .size = nnd_op_element(c->out[0].dtype)};
    nnd_broadcast_init(&j.broadcast, &c->out[0], c->in, 3);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), where_tile, &j);
}

#define TWO(name, since, v)                                                                        \
    {                                                                                              \
        "", name, since, 0, 2, 2, 1, 1, 0, compare_infer, compare_run_op, .variant = v             \
    }
#define ONE(name, since, v)                                                                        \
    {                                                                                              \
        "", name, since, 0, 1, 1, 1, 1, 0, test_infer, test_run, .variant = v                      \
    }
static const nnd_op ops[] = {
    TWO("Equal", 1, EQUAL),
    TWO("Less", 1, LESS),
    TWO("LessOrEqual", 12, LESS_EQUAL),
    TWO("Greater", 1, GREATER),
    TWO("GreaterOrEqual", 12, GREATER_EQUAL),
    TWO("And", 1, AND),
    TWO("Or", 1, OR),
    TWO("Xor", 1, XOR),
    ONE("Not", 1, NOT),
    ONE("IsNaN", 9, IS_NAN),
    ONE("IsInf", 10, IS_INF),
    {"", "Where", 9, 0, 3, 3, 1, 1, 0, where_infer, where_run, .variant = 0},
};
const nnd_op_family nnd_ops_logic = {ops, NND_COUNT(ops)};
