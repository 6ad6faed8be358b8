/*
 * com.microsoft's operators between the layers of recent language models: GatedRMSNorm,
 * BranchwiseRMSNorm, ScaledSiLU, GatedAdd and LinearAttentionGate. Each makes rows of an input's
 * shape; all arithmetic is in f32, rounded once at the end.
 */
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/real.h"

enum { MAX_INPUTS = 4, MAX_OUTPUTS = 2, GRAIN = NND_OP_GRAIN };
enum { GATED_NORM, BRANCH_NORM, SCALED_SILU, GATED_ADD, ATTENTION_GATE };
#define FLOATS (1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16)

typedef struct job {
    const nnd_op_ctx *c;
    size_t rows, n;  /* of input 0 */
    size_t branches; /* BRANCH_NORM: rows that a scale lies in front of another one for */
    size_t features; /* GATED_ADD: what a gate is projected from; 0 = gates as they are */
    float epsilon, scale;
    nnd_act gate;
    nnd_real in[MAX_INPUTS], out[MAX_OUTPUTS];
    float *y[MAX_OUTPUTS];
} job;

/* ---- shapes ---------------------------------------------------------------------------------- */

/* Rows along the last dimension; NND_E_SHAPE for a scalar, or when they do not consist of parts. */
static nnd_status read_rows(const nnd_op_ctx *c, job *j, int64_t part)
{
    const nnd_tensor *x = c->in[0];
    if (x->rank < 1 || part < 1 || x->dims[x->rank - 1] % part)
        return nnd_op_fail(c, NND_E_SHAPE, "the input's rows do not consist of parts of %lld",
                           (long long)part);
    j->n = (size_t)part;
    j->rows = (size_t)(nnd_op_span(x, 0, x->rank - 1) * (x->dims[x->rank - 1] / part));
    return NND_OK;
}

/* Input i has the shape of input 0, but for `last` elements in its rows. */
static nnd_status check_like(const nnd_op_ctx *c, size_t i, int64_t last)
{
    const nnd_tensor *x = c->in[0], *t;
    NND_TRY(nnd_op_expect(c, i, 1u << x->dtype));
    t = c->in[i];
    bool same = t->rank == x->rank && t->dims[t->rank - 1] == last;
    for (int d = 0; same && d + 1 < x->rank; d++)
        same = t->dims[d] == x->dims[d];
    return same ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the first one", i);
}

static nnd_status check_vector(const nnd_op_ctx *c, size_t i, uint32_t types, int64_t n)
{
    NND_TRY(nnd_op_expect(c, i, types));
    if (c->in[i]->rank == 1 && c->in[i]->dims[0] == n) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not have %lld values", i, (long long)n);
}

static int64_t last_of(const nnd_tensor *t)
{
    return t && t->rank ? t->dims[t->rank - 1] : 0;
}

static nnd_status read_gated_norm(const nnd_op_ctx *c, job *j)
{
    const nnd_tensor *x = c->in[0];
    const char *gate = nnd_node_string(c->node, "activation", "silu");
    bool silu = strcmp(gate, "silu") == 0 || strcmp(gate, "swish") == 0;
    if (!silu && strcmp(gate, "sigmoid") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the activation '%s' is not known", gate);
    j->gate = (nnd_act){.kind = silu ? NND_ACT_SILU : NND_ACT_SIGMOID, .alpha = 1.0f};
    NND_TRY(check_vector(c, 1, 1u << x->dtype, last_of(nnd_op_in(c, 1))));
    NND_TRY(read_rows(c, j, c->in[1]->dims[0]));
    return check_like(c, 2, last_of(x));
}

static nnd_status read_branch_norm(const nnd_op_ctx *c, job *j)
{
    const nnd_tensor *x = c->in[0], *scale = nnd_op_in(c, 1);
    int64_t branches = nnd_node_int(c->node, "num_branches", 0), n = last_of(x);
    if (branches < 0 || (branches && n % branches) || (!branches && x->rank < 2))
        return nnd_op_fail(c, NND_E_SHAPE, "the input does not have %lld branches",
                           (long long)branches);
    if (branches)
        n /= branches;
    else
        branches = x->dims[x->rank - 2];
    NND_TRY(read_rows(c, j, n));
    j->branches = 1;
    if (!scale) return NND_OK;
    NND_TRY(nnd_op_expect(c, 1, FLOATS));
    bool all = scale->rank == 1 && scale->dims[0] == branches * n;
    bool grid = scale->rank == 2 && scale->dims[0] == branches && scale->dims[1] == n;
    if (all || grid)
        j->branches = (size_t)branches;
    else if (scale->rank != 1 || scale->dims[0] != n)
        return nnd_op_fail(c, NND_E_SHAPE, "the scale does not fit the branches");
    return NND_OK;
}

static nnd_status read_scaled_silu(const nnd_op_ctx *c, job *j)
{
    j->rows = (size_t)nnd_tensor_count(c->in[0]);
    j->n = 1;
    j->gate = (nnd_act){.kind = NND_ACT_SILU, .alpha = 1.0f};
    if (!nnd_op_in(c, 1)) return NND_OK;
    NND_TRY(nnd_op_expect(c, 1, FLOATS));
    if (nnd_tensor_count(c->in[1]) == 1) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "the scale is no scalar");
}

static nnd_status read_gated_add(const nnd_op_ctx *c, job *j)
{
    const nnd_tensor *weight = nnd_op_in(c, 3);
    NND_TRY(read_rows(c, j, last_of(c->in[0])));
    NND_TRY(check_like(c, 1, (int64_t)j->n));
    NND_TRY(check_like(c, 2, weight ? last_of(nnd_op_in(c, 2)) : 1));
    if (!weight) return NND_OK;
    NND_TRY(nnd_op_expect(c, 3, 1u << c->in[0]->dtype));
    j->features = (size_t)last_of(c->in[2]);
    if (weight->rank == 2 && weight->dims[0] == last_of(c->in[2]) && weight->dims[1] == 1 &&
        j->features)
        return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "gate_weight does not fit the gate");
}

static nnd_status read_attention_gate(const nnd_op_ctx *c, job *j)
{
    int64_t heads = last_of(c->in[0]);
    NND_TRY(read_rows(c, j, heads));
    NND_TRY(check_vector(c, 1, 1u << NND_F32, heads));
    NND_TRY(check_vector(c, 2, 1u << NND_F32, heads));
    j->gate = (nnd_act){.kind = NND_ACT_SOFTPLUS};
    if (nnd_op_in(c, 3)) return check_like(c, 3, heads);
    bool wanted = c->node->output_count > 1 && c->node->outputs[1] != NND_NO_ID;
    return wanted ? nnd_op_fail(c, NND_E_FORMAT, "beta is wanted without b") : NND_OK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* `scratch` has room for a row. */
static void gated_norm_row(const job *j, size_t row, float *scratch)
{
    float *y = j->y[0] + row * j->n;
    nnd_rms_norm_rows(j->in[0].data + row * j->n, j->in[1].data, j->epsilon, y, 1, j->n);
    nnd_act_apply(&j->gate, j->in[2].data + row * j->n, scratch, j->n);
    nnd_binary_apply(NND_BINARY_MUL, NND_BINARY_BOTH, y, scratch, y, j->n, NULL);
}

static void branch_norm_row(const job *j, size_t row, float *scratch)
{
    const float *scale = j->in[1].data;
    (void)scratch;
    if (scale) scale += row % j->branches * j->n;
    nnd_rms_norm_rows(j->in[0].data + row * j->n, scale, j->epsilon, j->y[0] + row * j->n, 1, j->n);
}

static void gated_add_row(const job *j, size_t row, float *scratch)
{
    const float *x = j->in[0].data + row * j->n, *y = j->in[1].data + row * j->n;
    const float *features = j->in[2].data + row * j->features;
    float gate = j->features ? 0.0f : j->in[2].data[row], *to = j->y[0] + row * j->n;
    (void)scratch;
    for (size_t i = 0; i < j->features; i++)
        gate += features[i] * j->in[3].data[i];
    if (j->features) nnd_act_apply(&(nnd_act){.kind = NND_ACT_SIGMOID}, &gate, &gate, 1);
    nnd_binary_apply(NND_BINARY_MUL, NND_BINARY_SCALAR_B, y, &gate, to, j->n, NULL);
    nnd_binary_apply(NND_BINARY_ADD, NND_BINARY_BOTH, x, to, to, j->n, NULL);
}

static void attention_gate_row(const job *j, size_t row, float *scratch)
{
    const nnd_act sigmoid = {.kind = NND_ACT_SIGMOID};
    float *decay = j->y[0] ? j->y[0] + row * j->n : NULL;
    (void)scratch;
    if (decay) {
        nnd_binary_apply(NND_BINARY_ADD, NND_BINARY_BOTH, j->in[0].data + row * j->n, j->in[1].data,
                         decay, j->n, &j->gate);
        nnd_binary_apply(NND_BINARY_MUL, NND_BINARY_BOTH, decay, j->in[2].data, decay, j->n, NULL);
    }
    if (j->y[1]) nnd_act_apply(&sigmoid, j->in[3].data + row * j->n, j->y[1] + row * j->n, j->n);
}

/* Its rows have one element; a tile takes them together. */
static void scaled_silu_rows(const job *j, size_t first, size_t count)
{
    nnd_binary_apply(NND_BINARY_MUL, NND_BINARY_SCALAR_B, j->in[0].data + first, &j->scale,
                     j->y[0] + first, count, &j->gate);
}

/* ---- the operators --------------------------------------------------------------------------- */

static const struct rule {
    nnd_status (*read)(const nnd_op_ctx *c, job *j);
    void (*row)(const job *j, size_t row, float *scratch);
} rules[] = {[GATED_NORM] = {read_gated_norm, gated_norm_row},
             [BRANCH_NORM] = {read_branch_norm, branch_norm_row},
             [SCALED_SILU] = {read_scaled_silu, NULL},
             [GATED_ADD] = {read_gated_add, gated_add_row},
             [ATTENTION_GATE] = {read_attention_gate, attention_gate_row}};

static nnd_status read_job(const nnd_op_ctx *c, job *j)
{
    *j = (job){.c = c,
               .epsilon = nnd_node_float(c->node, "epsilon", 1e-5f),
               .scale = nnd_node_float(c->node, "alpha", 1.0f)};
    NND_TRY(nnd_op_expect(c, 0, FLOATS));
    return rules[c->op->variant].read(c, j);
}

static nnd_status gate_infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_job(c, &j));
    for (size_t i = 0; i < c->out_count; i++)
        NND_TRY(nnd_op_like(c, i, 0));
    return NND_OK;
}

static nnd_status gate_plan(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_job(c, &j));
    c->lane_bytes = j.n * sizeof(float);
    return NND_OK;
}

static size_t rows_of_tile(const job *j)
{
    size_t rows = GRAIN / (j->n ? j->n : 1);
    return rows ? rows : 1;
}

static nnd_status gate_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    size_t step = rows_of_tile(j), first = tile * step;
    size_t until = first + step < j->rows ? first + step : j->rows;
    const struct rule *rule = &rules[j->c->op->variant];
    if (!rule->row) scaled_silu_rows(j, first, until - first);
    for (size_t row = first; rule->row && row < until; row++)
        rule->row(j, row, nnd_op_lane(j->c, lane));
    return NND_OK;
}

static nnd_status compute(nnd_op_ctx *c, job *j)
{
    void *memory;
    for (size_t i = 0; i < MAX_INPUTS; i++)
        NND_TRY(nnd_real_read(nnd_op_in(c, i), &j->in[i]));
    for (size_t i = 0; i < c->out_count; i++)
        NND_TRY(nnd_real_result(&c->out[i], false, &j->out[i], &j->y[i]));
    if (c->op->variant == SCALED_SILU && j->in[1].data) j->scale = j->in[1].data[0];
    NND_TRY(nnd_op_need_lane(c, j->n * sizeof(float), &memory));
    size_t step = rows_of_tile(j);
    nnd_status status = nnd_op_for(c, (j->rows + step - 1) / step, gate_tile, j);
    nnd_free_aligned(memory);
    NND_TRY(status);
    for (size_t i = 0; i < c->out_count; i++)
        NND_TRY(nnd_real_write(&c->out[i], &j->out[i]));
    return NND_OK;
}

static nnd_status gate_run(nnd_op_ctx *c)
{
    job j;
    nnd_op_ctx own = *c; /* its scratch may be this call's */
    NND_TRY(read_job(&own, &j));
    if (nnd_tensor_count(c->in[0]) == 0) return NND_OK;
    nnd_status status = compute(&own, &j);
    for (size_t i = 0; i < MAX_INPUTS; i++)
        nnd_real_free(&j.in[i]);
    for (size_t i = 0; i < MAX_OUTPUTS; i++)
        nnd_real_free(&j.out[i]);
    return status;
}

#define GATE(name, least, most, outputs, variant_)                                                 \
    {                                                                                              \
        "com.microsoft", name, 1, 0, least, most, 1, outputs, 0, gate_infer, gate_run,             \
            .plan = gate_plan, .variant = variant_                                                 \
    }
static const nnd_op ops[] = {
    GATE("GatedRMSNorm", 3, 3, 1, GATED_NORM),
    GATE("BranchwiseRMSNorm", 1, 2, 1, BRANCH_NORM),
    GATE("ScaledSiLU", 1, 2, 1, SCALED_SILU),
    GATE("GatedAdd", 3, 4, 1, GATED_ADD),
    GATE("LinearAttentionGate", 3, 4, 2, ATTENTION_GATE),
};
const nnd_op_family nnd_ops_gates = {ops, NND_COUNT(ops)};
