#include "engine/ops/moe.h"

#include <math.h>
#include <string.h>

#include "base/isa.h"
#include "base/size.h"
#include "engine/ops/panels.h"
#include "engine/ops/product.h"
#include "engine/packed/packed.h"

enum { X, PROBS };
enum { PLAIN, QUANTISED }; /* variants */
enum { SHARES = 14, Q_INPUTS = 15 };
enum { SLOT_BYTES = 64 << 20 }; /* memory of the slots of a turn */

/* Where the matrices, their biases, scales and zero points are among the inputs; 0 = nowhere. */
static const struct places {
    uint8_t weights[NND_MOE_MATRICES], bias[NND_MOE_MATRICES], scales[NND_MOE_MATRICES],
        zeros[NND_MOE_MATRICES];
} places[] = {{{2, 4, 6}, {3, 5, 7}, {0}, {0}}, {{2, 5, 8}, {4, 7, 10}, {3, 6, 9}, {11, 12, 13}}};

/* ---- reading -------------------------------------------------------------------------------- */

static const struct places *places_of(const nnd_op_ctx *c)
{
    return &places[c->op->variant];
}

/* Input i, when there is one. Place 0 says that the operator has no such input. */
static const nnd_tensor *optional(const nnd_op_ctx *c, size_t i)
{
    return i ? nnd_op_in(c, i) : NULL;
}

static nnd_status check_dims(const nnd_op_ctx *c, const nnd_tensor *t, const char *what, int rank,
                             const size_t *dims)
{
    bool fits = !t || t->rank == rank;
    for (int i = 0; t && fits && i < rank; i++)
        fits = t->dims[i] == (int64_t)dims[i];
    return fits ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "the %s have a wrong shape", what);
}

static nnd_status read_act(const nnd_op_ctx *c, nnd_moe *m)
{
    static const char *const names[] = {"relu", "gelu", "silu", "swiglu", "identity"};
    const char *name = nnd_node_string(c->node, "activation_type", "relu");
    size_t i = 0;
    while (i < NND_COUNT(names) && strcmp(name, names[i]) != 0)
        i++;
    if (i == NND_COUNT(names))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "activation_type '%s' is not supported", name);
    m->act = (nnd_moe_act)i;
    m->fusion = m->act == NND_MOE_SWIGLU ? nnd_node_int(c->node, "swiglu_fusion", 0) : 0;
    m->alpha = nnd_node_float(c->node, "activation_alpha", 1.0f);
    m->beta = nnd_node_float(c->node, "activation_beta", 0.0f);
    m->limit = nnd_node_float(c->node, "swiglu_limit", INFINITY);
    if (m->fusion < 0 || m->fusion > 2)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "swiglu_fusion is %lld", (long long)m->fusion);
    if (nnd_node_int(c->node, "swiglu_limit_after_activation", 0))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "swiglu_limit_after_activation is not supported");
    return NND_OK;
}

static nnd_status read_routing(const nnd_op_ctx *c, nnd_moe *m)
{
    const nnd_tensor *x = c->in[X], *probs = c->in[PROBS];
    int64_t top = nnd_node_int(c->node, "k", 1);
    if ((x->rank != 2 && x->rank != 3) || probs->rank != 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the input is not 2-D or 3-D, or router_probs not 2-D");
    int64_t experts = probs->dims[1];
    m->x = x;
    m->logits = probs;
    m->tokens = (size_t)nnd_op_span(x, 0, x->rank - 1);
    m->hidden = (size_t)x->dims[x->rank - 1];
    if (experts < 1 || experts > NND_MOST_EXPERTS || top < 1 || top > experts)
        return nnd_op_fail(c, NND_E_SHAPE, "%lld of %lld experts cannot be chosen", (long long)top,
                           (long long)experts);
    m->routing =
        (nnd_routing){.experts = (size_t)experts,
                      .top = (size_t)top,
                      .normalise = nnd_node_int(c->node, "normalize_routing_weights", 0) != 0,
                      .sparse_mixer = nnd_node_int(c->node, "use_sparse_mixer", 0) != 0};
    size_t dims[2] = {m->tokens, m->routing.experts};
    if (m->routing.sparse_mixer && top != 2)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the sparse mixer chooses 2 experts");
    NND_TRY(check_dims(c, probs, "router_probs", 2, dims));
    if (c->op->variant != QUANTISED) return NND_OK;
    if (!nnd_op_in(c, SHARES)) {
        m->routing.normalise = true; /* whatever the attribute says, as in ONNX Runtime on CPUs */
        return NND_OK;
    }
    NND_TRY(nnd_op_expect(c, SHARES, 1u << x->dtype));
    m->shares = c->in[SHARES];
    return check_dims(c, m->shares, "router_weights", 2, dims);
}

/* The sizes of a matrix follow from those of the inputs. */
static nnd_status read_codes(const nnd_op_ctx *c, nnd_moe *m, size_t which)
{
    static const char *const widths[] = {"fc1_expert_weight_bits", "fc2_expert_weight_bits",
                                         "fc3_expert_weight_bits"};
    const struct places *at = places_of(c);
    nnd_moe_matrix *w = &m->fc[which];
    int64_t bits =
        nnd_node_int(c->node, widths[which], nnd_node_int(c->node, "expert_weight_bits", 4));
    int64_t block = nnd_node_int(c->node, "block_size", 0);
    if (bits != 2 && bits != 4 && bits != 8)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "weights of %lld bits", (long long)bits);
    if (block > 0 && (block < 16 || (block & (block - 1)) || w->k % (size_t)block))
        return nnd_op_fail(c, NND_E_SHAPE, "block_size %lld does not divide %zu columns",
                           (long long)block, w->k);
    w->bits = (size_t)bits;
    w->blocked = block > 0;
    w->block = w->blocked ? (size_t)block : w->k;
    if (w->k % (8 / w->bits))
        return nnd_op_fail(c, NND_E_SHAPE, "rows of %zu codes do not end with a byte", w->k);
    w->blocks = w->k / w->block;
    w->bytes = w->block / (8 / w->bits);
    NND_TRY(nnd_op_expect(c, at->weights[which], 1u << NND_U8));
    NND_TRY(nnd_op_expect(c, at->scales[which], 1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16));
    w->scales = c->in[at->scales[which]];
    w->zeros = nnd_op_in(c, at->zeros[which]);
    if (w->zeros) NND_TRY(nnd_op_expect(c, at->zeros[which], 1u << NND_U8));
    size_t codes = w->blocked ? w->blocks : w->n;
    w->zero_row = (codes + 8 / w->bits - 1) / (8 / w->bits);
    size_t scales[3] = {m->routing.experts, w->n, w->blocks};
    size_t zeros[3] = {m->routing.experts, w->blocked ? w->n : w->zero_row, w->zero_row};
    NND_TRY(check_dims(c, w->scales, "scales", w->blocked ? 3 : 2, scales));
    return check_dims(c, w->zeros, "zero points", w->blocked ? 3 : 2, zeros);
}

/* Matrix `which` is [experts, n, k]. */
static nnd_status read_matrix(const nnd_op_ctx *c, nnd_moe *m, size_t which, size_t n, size_t k)
{
    const struct places *at = places_of(c);
    nnd_moe_matrix *w = &m->fc[which];
    uint32_t real = 1u << c->in[X]->dtype;
    *w = (nnd_moe_matrix){
        .weights = c->in[at->weights[which]], .bias = optional(c, at->bias[which]), .n = n, .k = k};
    if (w->bias) NND_TRY(nnd_op_expect(c, at->bias[which], real));
    if (c->op->variant == QUANTISED)
        NND_TRY(read_codes(c, m, which));
    else
        NND_TRY(nnd_op_expect(c, at->weights[which], real));
    size_t stored = w->bits ? w->blocks * w->bytes : k;
    size_t weights[3] = {m->routing.experts, n, stored}, bias[2] = {m->routing.experts, n};
    NND_TRY(check_dims(c, w->bias, "biases", 2, bias));
    return check_dims(c, w->weights, "weights", 3, weights);
}

static nnd_status check_quantisation(const nnd_op_ctx *c)
{
    const char *type = nnd_node_string(c->node, "quant_type", "int");
    if (c->op->variant != QUANTISED) return NND_OK;
    if (strcmp(type, "int") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "quant_type '%s' is not supported", type);
    if (nnd_node_int(c->node, "weights_prepacked", -1) == 1)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "weights that another runtime packed");
    for (size_t i = Q_INPUTS; i < c->in_count; i++)
        if (c->in[i]) return nnd_op_fail(c, NND_E_UNSUPPORTED, "input %zu is not supported", i);
    return NND_OK;
}

static nnd_status read_moe(const nnd_op_ctx *c, nnd_moe *m)
{
    const struct places *at = places_of(c);
    const nnd_tensor *fc1, *fc2;
    *m = (nnd_moe){.c = c};
    NND_TRY(nnd_op_expect(c, X, 1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16));
    NND_TRY(nnd_op_expect(c, PROBS, 1u << c->in[X]->dtype));
    NND_TRY(check_quantisation(c));
    NND_TRY(read_act(c, m));
    NND_TRY(read_routing(c, m));
    NND_TRY(nnd_op_need(c, at->weights[NND_FC1], &fc1));
    NND_TRY(nnd_op_need(c, at->weights[NND_FC2], &fc2));
    if (fc1->rank != 3 || fc2->rank != 3 || fc1->dims[1] < 1 || m->hidden < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the experts' weights are not 3-D, or empty");
    size_t n = (size_t)fc1->dims[1];
    bool fused = m->fusion != 0, third = nnd_op_in(c, at->weights[NND_FC3]) != NULL;
    if (fused && n % 2)
        return nnd_op_fail(c, NND_E_SHAPE, "FC1 has %zu rows, which are no pairs", n);
    if (m->act == NND_MOE_SWIGLU && fused == third)
        return nnd_op_fail(c, NND_E_FORMAT, "FC3 and swiglu_fusion do not fit each other");
    m->inner = fused ? n / 2 : n;
    NND_TRY(read_matrix(c, m, NND_FC1, n, m->hidden));
    NND_TRY(read_matrix(c, m, NND_FC2, m->hidden, m->inner));
    return third ? read_matrix(c, m, NND_FC3, m->inner, m->hidden) : NND_OK;
}

static nnd_status moe_infer(nnd_op_ctx *c)
{
    nnd_moe m;
    NND_TRY(read_moe(c, &m));
    return nnd_op_like(c, 0, X);
}

static double moe_flops(const nnd_op_ctx *c)
{
    nnd_moe m;
    double products = 0;
    if (read_moe(c, &m) != NND_OK) return 0;
    for (size_t i = 0; i < NND_MOE_MATRICES; i++)
        products += (double)m.fc[i].n * (double)m.fc[i].k;
    return 2.0 * (double)m.tokens * (double)m.routing.top * products;
}

/* ---- packed weights ------------------------------------------------------------------------- */

nnd_status nnd_moe_gemm(const nnd_moe_matrix *w, size_t rows, int32_t precision, nnd_gemm *out)
{
    nnd_gemm_desc d = {.m = (int64_t)rows,
                       .n = (int64_t)w->n,
                       .k = (int64_t)w->k,
                       .trans_b = true,
                       .alpha = 1.0f,
                       .bias = NND_GEMM_BIAS_COLUMN,
                       .precision = (nnd_gemm_precision)precision};
    return nnd_gemm_plan(&d, out);
}

/* Bytes of an expert's packed matrix. */
nnd_status nnd_moe_packed_bytes(const nnd_moe_matrix *w, int32_t precision, size_t *out)
{
    nnd_gemm gemm;
    NND_TRY(nnd_moe_gemm(w, 1, precision, &gemm));
    if (nnd_size_align(nnd_gemm_packed_bytes(&gemm), NND_KERNEL_ALIGN, out)) return NND_OK;
    return nnd_error_set(NND_E_OVERFLOW, "an expert is too large to be packed");
}

/* The constant behind an input of the node, where it can be packed; NULL where it cannot. Vector
   ISAs read it where it lies: a copy of the experts, only to pack it, would be the peak of memory.
 */
static nnd_status constant_of(nnd_graph *g, const nnd_graph_node *n, size_t i,
                              const nnd_tensor **out)
{
    *out = NULL;
    if (i >= n->input_count || n->inputs[i] == NND_NO_ID) return NND_OK;
    const nnd_graph_value *value = &g->values[n->inputs[i]];
    const nnd_tensor *t = value->is_constant ? &value->constant : NULL;
    if (t && nnd_isa_current() == NND_ISA_REFERENCE)
        NND_TRY(nnd_graph_constant(g, n->inputs[i], &t));
    bool good = t && t->data && t->dtype == NND_F32 && t->rank == 3 && nnd_tensor_count(t) > 0;
    if (good) *out = t;
    return NND_OK;
}

static nnd_status pack(nnd_graph *g, nnd_graph_node *n, const nnd_tensor *const *constants,
                       int32_t precision)
{
    size_t total = 0, bytes[NND_MOE_MATRICES] = {0};
    nnd_moe_matrix w[NND_MOE_MATRICES] = {{0}};
    for (size_t i = 0; i < NND_MOE_MATRICES; i++) {
        const nnd_tensor *t = constants[i];
        size_t all;
        if (!t) continue;
        w[i] = (nnd_moe_matrix){.n = (size_t)t->dims[1], .k = (size_t)t->dims[2]};
        NND_TRY(nnd_moe_packed_bytes(&w[i], precision, &bytes[i]));
        if (!nnd_size_mul(bytes[i], (size_t)t->dims[0], &all) || !nnd_size_add(total, all, &total))
            return nnd_error_set(NND_E_OVERFLOW, "the experts are too large to be packed");
    }
    nnd_packed_blob *packed;
    void *fill;
    NND_TRY(nnd_packed_take(g, n, precision == NND_GEMM_F32 ? "experts" : "experts bf16", total,
                            &packed, &fill));
    for (size_t i = 0, at = 0; i < NND_MOE_MATRICES && fill; i++) {
        nnd_gemm gemm;
        if (!constants[i]) continue;
        NND_TRY(nnd_moe_gemm(&w[i], 1, precision, &gemm));
        const float *from = constants[i]->data;
        for (int64_t e = 0; e < constants[i]->dims[0]; e++, at += bytes[i])
            nnd_gemm_pack_b(&gemm, from + (size_t)e * w[i].n * w[i].k,
                            (float *)(void *)((char *)fill + at));
    }
    n->state = packed;
    n->packed = precision;
    return NND_OK;
}

/* All of the matrices, or none. */
static nnd_status moe_prepare(nnd_graph *g, nnd_graph_node *n)
{
    const struct places *at = &places[PLAIN];
    const nnd_tensor *constants[NND_MOE_MATRICES];
    for (size_t i = 0; i < NND_MOE_MATRICES; i++) {
        NND_TRY(constant_of(g, n, at->weights[i], &constants[i]));
        bool given = at->weights[i] < n->input_count && n->inputs[at->weights[i]] != NND_NO_ID;
        if (given && !constants[i]) return NND_OK;
    }
    nnd_gemm_precision precision = nnd_product_precision(g, constants[NND_FC1]);
    for (size_t i = NND_FC2; i < NND_MOE_MATRICES && precision != NND_GEMM_F32; i++)
        if (constants[i]) precision = nnd_product_precision(g, constants[i]);
    NND_TRY(pack(g, n, constants, (int32_t)precision));
    for (size_t i = 0; i < NND_MOE_MATRICES; i++)
        if (constants[i] && g->values[n->inputs[at->weights[i]]].uses == 1)
            nnd_graph_release_constant(g, n->inputs[at->weights[i]]);
    return NND_OK;
}

/* ---- plan ----------------------------------------------------------------------------------- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static nnd_status make_step(const nnd_moe *m, nnd_moe_step *s, size_t *workspace)
{
    const nnd_moe_matrix *fc = m->fc;
    size_t slot, slots, most = larger(m->tokens, 1);
    *s = (nnd_moe_step){.operand = larger(m->hidden, m->inner),
                        .sums = larger(fc[NND_FC1].blocks, fc[NND_FC2].blocks),
                        .result = larger(fc[NND_FC1].n + fc[NND_FC3].n, m->hidden)};
    if (!nnd_size_mul(s->operand + s->sums + s->result, sizeof(float), &slot) ||
        !nnd_size_mul(slot, m->routing.top, &slots))
        return nnd_op_fail(m->c, NND_E_OVERFLOW, "the experts are too large");
    s->turn = smaller(most, larger(SLOT_BYTES / slots, 1));
    if (!nnd_size_mul(slots, s->turn, workspace))
        return nnd_op_fail(m->c, NND_E_OVERFLOW, "the experts are too large");
    return NND_OK;
}

size_t nnd_moe_scaling_bytes(const nnd_moe_matrix *w)
{
    size_t bytes = 2 * w->blocks * sizeof(float);
    return (bytes + NND_KERNEL_ALIGN - 1) & ~(size_t)(NND_KERNEL_ALIGN - 1);
}

/* Scratch for any number of an expert's rows. */
static nnd_status most_lane_bytes(const nnd_moe *m, const nnd_moe_matrix *w, size_t *out)
{
    size_t rows = smaller(m->tokens, NND_PANEL_ROWS), panels = 0;
    *out = 0;
    if (!m->c->node->state) {
        NND_TRY(nnd_panels_most_lane_bytes(rows, w->n, w->k, &panels));
        *out = nnd_moe_scaling_bytes(w) + panels;
        return NND_OK;
    }
    for (size_t i = 1; i <= rows; i++) {
        nnd_gemm gemm;
        NND_TRY(nnd_moe_gemm(w, i, m->c->node->packed, &gemm));
        *out = larger(*out, nnd_gemm_lane_bytes(&gemm));
    }
    return NND_OK;
}

static nnd_status plan_moe(nnd_op_ctx *c, nnd_moe_step *s)
{
    nnd_moe m;
    NND_TRY(read_moe(c, &m));
    NND_TRY(make_step(&m, s, &c->workspace_bytes));
    for (size_t i = 0; i < NND_MOE_MATRICES; i++) {
        size_t bytes = 0;
        if (m.fc[i].weights) NND_TRY(most_lane_bytes(&m, &m.fc[i], &bytes));
        c->lane_bytes = larger(c->lane_bytes, bytes);
    }
    c->kernel = c->node->state ? "experts_gemm" : m.fc[NND_FC1].bits ? "experts_nbits" : "experts";
    return NND_OK;
}

static nnd_status moe_plan(nnd_op_ctx *c)
{
    nnd_moe_step *s = nnd_calloc(1, sizeof(*s));
    if (!s) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a plan");
    nnd_status status = plan_moe(c, s);
    if (status == NND_OK)
        c->step = s;
    else
        nnd_free(s);
    return status;
}

static void moe_unplan(void *s)
{
    nnd_free(s);
}

/* ---- the operator --------------------------------------------------------------------------- */

static nnd_status moe_run(nnd_op_ctx *c)
{
    nnd_moe m;
    NND_TRY(read_moe(c, &m));
    return nnd_tensor_count(&c->out[0]) ? nnd_moe_compute(c, &m) : NND_OK;
}

static const nnd_op ops[] = {
    {"com.microsoft", "MoE", 1, 0, 3, 8, 1, 1, NND_OP_PLANNED, moe_infer, moe_run,
     .prepare = moe_prepare, .plan = moe_plan, .unplan = moe_unplan, .flops = moe_flops,
     .variant = PLAIN},
    {"com.microsoft", "QMoE", 1, 0, 3, 21, 1, 1, NND_OP_PLANNED, moe_infer, moe_run,
     .plan = moe_plan, .unplan = moe_unplan, .flops = moe_flops, .variant = QUANTISED},
};
const nnd_op_family nnd_ops_moe = {ops, NND_COUNT(ops)};
