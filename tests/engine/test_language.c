/* Operators that exports of language models use, against their definitions, which are written here
   once more in the plainest way. */
#include "language_support.h"

/* ---- MatMulBnb4 ------------------------------------------------------------------------------ */

/* FP4: a sign, two bits of an exponent, one of a mantissa; the largest is 12, and 0 has a subnormal
   neighbour of its own. */
static double fp4(unsigned code)
{
    static const double magnitudes[8] = {0, 0.0625, 8, 12, 4, 6, 2, 3};
    return (code & 8 ? -1 : 1) * magnitudes[code & 7] / 12;
}

/* NF4: the quantiles of a normal distribution, as printed in the paper. */
static double nf4(unsigned code)
{
    static const double quantiles[16] = {-1.0,
                                         -0.6961928009986877,
                                         -0.5250730514526367,
                                         -0.39491748809814453,
                                         -0.28444138169288635,
                                         -0.18477343022823334,
                                         -0.09105003625154495,
                                         0.0,
                                         0.07958029955625534,
                                         0.16093020141124725,
                                         0.24611230194568634,
                                         0.33791524171829224,
                                         0.44070982933044434,
                                         0.5626170039176941,
                                         0.7229568362236023,
                                         1.0};
    return quantiles[code];
}

static void bnb4_of(size_t m, size_t n, size_t k, size_t block, int type, bool transposed)
{
    static net net;
    float a[ROOM], largest[ROOM];
    uint8_t codes[ROOM];
    double want[ROOM];
    size_t from = transposed ? k : n, to = transposed ? n : k, blocks = (n * k + block - 1) / block;
    net = (struct net){0};
    numbers(a, m * from, 1);
    numbers(largest, blocks, 2);
    for (size_t i = 0; i < (n * k + 1) / 2; i++)
        codes[i] = (uint8_t)(i * 37 + i / 7);
    for (size_t i = 0; i < m * to; i++) {
        want[i] = 0;
        for (size_t j = 0; j < from; j++) {
            size_t at = transposed ? i % to * k + j : j * k + i % to;
            unsigned code = (unsigned)codes[at / 2] >> (at % 2 ? 0 : 4) & 15u;
            double w = (type ? nf4(code) : fp4(code)) * (double)largest[at / block];
            want[i] += w * (double)a[i / to * from + j];
        }
    }
    ow_attr_int(&net.attrs, "N", (int64_t)n);
    ow_attr_int(&net.attrs, "K", (int64_t)k);
    ow_attr_int(&net.attrs, "block_size", (int64_t)block);
    ow_attr_int(&net.attrs, "quant_type", type);
    ow_attr_int(&net.attrs, "transB", transposed);
    input(&net, NND_F32, DIMS((int64_t)m, (int64_t)from), a);
    input(&net, NND_U8, DIMS((int64_t)((n * k + 1) / 2)), codes);
    input(&net, NND_F32, DIMS((int64_t)blocks), largest);
    run_well(&net, "MatMulBnb4", "y");
    same(net.out[0], want, m * to, 1e-5);
}

static void four_bits_that_mean_numbers(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        for (int transposed = 0; transposed < 2; transposed++) {
            bnb4_of(1, 16, 64, 16, type, transposed);
            bnb4_of(3, 40, 48, 64, type, transposed);
            bnb4_of(20, 33, 35, 16, type, transposed); /* blocks and bytes end inside of rows */
            bnb4_of(2, 5, 3, 32, type, transposed);
        }
    }
}

/* ---- MRotaryEmbedding ------------------------------------------------------------------------ */

enum { BATCH = 2, HEADS = 3, ROWS = 4, POSITIONS = 9 };

static void turned_by_three(const int64_t *sections, int64_t order, bool planar, bool pairs,
                            size_t size, float scale)
{
    static net net;
    float x[ROOM], cosine[POSITIONS * 8], sine[POSITIONS * 8];
    int64_t ids[3 * BATCH * ROWS];
    double want[ROOM];
    size_t half = (size_t)(sections[0] + sections[1] + sections[2]);
    net = (struct net){0};
    numbers(x, BATCH * HEADS * ROWS * size, 5);
    numbers(cosine, POSITIONS * half, 6);
    numbers(sine, POSITIONS * half, 7);
    for (size_t i = 0; i < NND_COUNT(ids); i++)
        ids[i] = (int64_t)(i * 5 % POSITIONS);
    for (size_t i = 0; i < BATCH * HEADS * ROWS * size; i++) {
        size_t e = i % size, row = i / size % (planar ? ROWS : HEADS * ROWS) / (planar ? 1 : HEADS);
        size_t pair = pairs ? e / 2 : e % half, stream = 0, batch = i / (HEADS * ROWS * size);
        bool second = pairs ? e % 2 : e >= half;
        want[i] = x[i];
        if (e >= 2 * half) continue;
        if (order == 0)
            stream = (pair >= (size_t)sections[0]) + (pair >= (size_t)(sections[0] + sections[1]));
        else if (pair % 3 && pair < 3 * (size_t)sections[pair % 3])
            stream = pair % 3;
        size_t at = (size_t)ids[(stream * BATCH + batch) * ROWS + row] * half + pair;
        size_t other = pairs ? (second ? i - 1 : i + 1) : second ? i - half : i + half;
        want[i] = (double)scale * ((double)cosine[at] * (double)x[i] +
                                   (second ? 1 : -1) * (double)sine[at] * (double)x[other]);
    }
    ow_attr_ints(&net.attrs, "mrope_section", sections, 3);
    ow_attr_int(&net.attrs, "mrope_layout", order);
    ow_attr_int(&net.attrs, "interleaved", pairs);
    ow_attr_int(&net.attrs, "num_heads", HEADS);
    ow_attr_int(&net.attrs, "rotary_embedding_dim", (int64_t)(2 * half));
    ow_attr_float(&net.attrs, "scale", scale);
    if (planar)
        input(&net, NND_F32, DIMS(BATCH, HEADS, ROWS, (int64_t)size), x);
    else
        input(&net, NND_F32, DIMS(BATCH, ROWS, HEADS * (int64_t)size), x);
    input(&net, NND_I64, DIMS(3, BATCH, ROWS), ids);
    input(&net, NND_F32, DIMS(POSITIONS, (int64_t)half), cosine);
    input(&net, NND_F32, DIMS(POSITIONS, (int64_t)half), sine);
    run_well(&net, "MRotaryEmbedding", "y");
    same(net.out[0], want, BATCH * HEADS * ROWS * size, 1e-6);
}

static void three_positions_turn_a_token(void **state)
{
    static const int64_t sections[][3] = {{2, 3, 3}, {4, 0, 0}, {0, 2, 1}, {1, 1, 6}};
    (void)state;
    for (size_t i = 0; i < 8 * NND_COUNT(sections); i++)
        turned_by_three(sections[i / 8], i & 1, i & 2, i & 4, i % 3 ? 16 : 18, i % 3 ? 1.0f : 0.5f);
}

static void positions_outside_are_refused(void **state)
{
    static net net;
    float x[16] = {0}, angles[8] = {0};
    int64_t ids[3] = {0, -1, 1};
    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        net = (struct net){0};
        ids[1] = wrong ? 2 : -1;
        ow_attr_ints(&net.attrs, "mrope_section", (int64_t[]){1, 2, 1}, 3);
        input(&net, NND_F32, DIMS(1, 2, 1, 8), x);
        input(&net, NND_I64, DIMS(3, 1, 1), ids);
        input(&net, NND_F32, DIMS(2, 4), angles);
        input(&net, NND_F32, DIMS(2, 4), angles);
        assert_int_equal(run(&net, "MRotaryEmbedding", "y"), NND_E_FORMAT);
        nnd_error_clear();
    }
}

/* ---- MoEGroupRouter -------------------------------------------------------------------------- */

enum { TOKENS = 6, EXPERTS = 12, WIDTH = 5 };

/* Whether item i is among the `top` best of n, the first of equal ones being better. */
static bool is_best(const double *x, size_t n, size_t i, size_t top)
{
    size_t better = 0;
    for (size_t k = 0; k < n; k++)
        better += x[k] > x[i] || (x[k] == x[i] && k < i);
    return better < top;
}

static void routed(size_t groups, size_t chosen, size_t of_group, size_t top, const float *bias)
{
    static net net;
    float logits[TOKENS * EXPERTS];
    double want[TOKENS * EXPERTS];
    size_t extent = EXPERTS / groups;
    net = (struct net){0};
    numbers(logits, TOKENS * EXPERTS, 9);
    for (size_t t = 0; t < TOKENS; t++) {
        double score[EXPERTS], group[EXPERTS] = {0};
        for (size_t e = 0; e < EXPERTS; e++)
            score[e] = sigmoid((double)logits[t * EXPERTS + e]) + (double)bias[e];
        for (size_t e = 0; e < EXPERTS; e++)
            if (is_best(score + e / extent * extent, extent, e % extent, of_group))
                group[e / extent] += score[e];
        for (size_t e = 0; e < EXPERTS; e++)
            if (!is_best(group, groups, e / extent, chosen)) score[e] = -INFINITY;
        for (size_t e = 0; e < EXPERTS; e++) {
            bool hit = isfinite(score[e]) && is_best(score, EXPERTS, e, top);
            want[t * EXPERTS + e] = hit ? log(sigmoid((double)logits[t * EXPERTS + e])) : -77;
        }
    }
    ow_attr_int(&net.attrs, "n_group", (int64_t)groups);
    ow_attr_int(&net.attrs, "topk_group", (int64_t)chosen);
    ow_attr_int(&net.attrs, "group_topk", (int64_t)of_group);
    ow_attr_int(&net.attrs, "top_k", (int64_t)top);
    ow_attr_float(&net.attrs, "router_sentinel", -77.0f);
    input(&net, NND_F32, DIMS(2, TOKENS / 2, EXPERTS), logits);
    input(&net, NND_F32, DIMS(EXPERTS), bias);
    run_well(&net, "MoEGroupRouter", "y");
    assert_int_equal(net.dims[0][0], TOKENS);
    same(net.out[0], want, TOKENS * EXPERTS, 1e-5);
}

static void experts_are_chosen_by_groups(void **state)
{
    float bias[EXPERTS];
    (void)state;
    numbers(bias, EXPERTS, 3);
    routed(1, 1, 2, 3, bias);
    routed(4, 2, 2, 3, bias);
    routed(4, 2, 9, 6, bias);
    routed(3, 1, 1, 6, bias); /* more than the group has */
    routed(12, 5, 1, 2, bias);
}

static void all_scores_are_given(void **state)
{
    static net net;
    float x[TOKENS * WIDTH], w[EXPERTS * WIDTH], bias[EXPERTS];
    double scores[TOKENS * EXPERTS], shares[TOKENS * EXPERTS];
    (void)state;
    net = (struct net){0};
    numbers(x, TOKENS * WIDTH, 1);
    numbers(w, EXPERTS * WIDTH, 2);
    numbers(bias, EXPERTS, 3);
    for (size_t i = 0; i < TOKENS * EXPERTS; i++) {
        double sum = 0;
        for (size_t k = 0; k < WIDTH; k++)
            sum += (double)x[i / EXPERTS * WIDTH + k] * (double)w[i % EXPERTS * WIDTH + k];
        shares[i] = sigmoid(sum);
        scores[i] = shares[i] + (double)bias[i % EXPERTS];
    }
    ow_attr_int(&net.attrs, "top_k", 2);
    input(&net, NND_F32, DIMS(TOKENS, WIDTH), x);
    input(&net, NND_F32, DIMS(EXPERTS), bias);
    input(&net, NND_F32, DIMS(EXPERTS, WIDTH), w);
    run_well(&net, "MoEGroupRouter", ",scores,shares");
    same(net.out[0], scores, TOKENS * EXPERTS, 1e-6);
    same(net.out[1], shares, TOKENS * EXPERTS, 1e-6);
}

/* ---- gates ----------------------------------------------------------------------------------- */

static double rms(const float *x, size_t n, double epsilon)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return 1.0 / sqrt(sum / (double)n + epsilon);
}

static void norms_with_gates(void **state)
{
    enum { LINES = 7, PARTS = 3, N = 11 };
    static const char *const gates[] = {"silu", "swish", "sigmoid"};
    static net net;
    float x[LINES * PARTS * N], gate[LINES * PARTS * N], scale[N];
    double want[LINES * PARTS * N];
    (void)state;
    numbers(x, NND_COUNT(x), 1);
    numbers(gate, NND_COUNT(gate), 2);
    numbers(scale, N, 3);
    for (size_t g = 0; g < NND_COUNT(gates); g++) {
        net = (struct net){0};
        for (size_t i = 0; i < NND_COUNT(x); i++) {
            double z = (double)gate[i];
            want[i] = (double)x[i] * rms(x + i / N * N, N, 0.25) * (double)scale[i % N] *
                      sigmoid(z) * (g == 2 ? 1 : z);
        }
        ow_attr_text(&net.attrs, "activation", gates[g]);
        ow_attr_float(&net.attrs, "epsilon", 0.25f);
        input(&net, NND_F32, DIMS(LINES, PARTS * N), x);
        input(&net, NND_F32, DIMS(N), scale);
        input(&net, NND_F32, DIMS(LINES, PARTS * N), gate);
        run_well(&net, "GatedRMSNorm", "y");
        same(net.out[0], want, NND_COUNT(x), 1e-5);
    }
}

/* scales: 0 none, 1 one for all branches, 2 one for each, 3 the same flat. */
static void branches_of(bool flat, int scales)
{
    enum { LINES = 5, BRANCHES = 4, N = 6 };
    static net net;
    float x[LINES * BRANCHES * N], scale[BRANCHES * N];
    double want[LINES * BRANCHES * N];
    numbers(x, NND_COUNT(x), 1);
    numbers(scale, NND_COUNT(scale), 2);
    net = (struct net){0};
    for (size_t i = 0; i < NND_COUNT(x); i++) {
        double factor = scales ? (double)scale[scales == 1 ? i % N : i % (BRANCHES * N)] : 1;
        want[i] = (double)x[i] * rms(x + i / N * N, N, 1e-5) * factor;
    }
    if (flat) ow_attr_int(&net.attrs, "num_branches", BRANCHES);
    if (flat)
        input(&net, NND_F32, DIMS(LINES, BRANCHES * N), x);
    else
        input(&net, NND_F32, DIMS(LINES, BRANCHES, N), x);
    if (scales == 1) input(&net, NND_F32, DIMS(N), scale);
    if (scales == 2) input(&net, NND_F32, DIMS(BRANCHES, N), scale);
    if (scales == 3) input(&net, NND_F32, DIMS(BRANCHES * N), scale);
    run_well(&net, "BranchwiseRMSNorm", "y");
    same(net.out[0], want, NND_COUNT(x), 1e-5);
}

static void norms_of_branches(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        branches_of(i & 1, i >> 1);
}

static void scaled_silu(void **state)
{
    static net net;
    float x[100], scale = -0.7f;
    double want[100];
    (void)state;
    numbers(x, NND_COUNT(x), 1);
    for (int given = 0; given < 2; given++) {
        net = (struct net){0};
        for (size_t i = 0; i < NND_COUNT(x); i++) {
            double z = (double)x[i] * (given ? (double)scale : 3.0);
            want[i] = z * sigmoid(z);
        }
        ow_attr_float(&net.attrs, "alpha", 3.0f);
        input(&net, NND_F32, DIMS(4, 25), x);
        if (given) input(&net, NND_F32, 0, NULL, &scale);
        run_well(&net, "ScaledSiLU", "y");
        same(net.out[0], want, NND_COUNT(x), 1e-6);
    }
}

static void additions_with_gates(void **state)
{
    enum { LINES = 6, N = 5, FEATURES = 3 };
    static net net;
    float x[LINES * N], y[LINES * N], gate[LINES * FEATURES], weight[FEATURES];
    double want[LINES * N];
    (void)state;
    numbers(x, NND_COUNT(x), 1);
    numbers(y, NND_COUNT(y), 2);
    numbers(gate, NND_COUNT(gate), 3);
    numbers(weight, FEATURES, 4);
    for (int projected = 0; projected < 2; projected++) {
        net = (struct net){0};
        for (size_t i = 0; i < NND_COUNT(x); i++) {
            double g = projected ? 0 : (double)gate[i / N];
            for (size_t k = 0; k < FEATURES && projected; k++)
                g += (double)gate[i / N * FEATURES + k] * (double)weight[k];
            want[i] = (double)x[i] + (double)y[i] * (projected ? sigmoid(g) : g);
        }
        input(&net, NND_F32, DIMS(2, LINES / 2, N), x);
        input(&net, NND_F32, DIMS(2, LINES / 2, N), y);
        input(&net, NND_F32, DIMS(2, LINES / 2, projected ? FEATURES : 1), gate);
        if (projected) input(&net, NND_F32, DIMS(FEATURES, 1), weight);
        run_well(&net, "GatedAdd", "y");
        same(net.out[0], want, NND_COUNT(x), 1e-6);
    }
}

static void gates_of_linear_attention(void **state)
{
    enum { LINES = 6, N = 5 };
    static net net;
    float a[LINES * N], b[LINES * N], bias[N], scale[N];
    double decay[LINES * N], beta[LINES * N];
    (void)state;
    numbers(a, NND_COUNT(a), 1);
    numbers(b, NND_COUNT(b), 2);
    numbers(bias, N, 3);
    numbers(scale, N, 4);
    for (size_t i = 0; i < NND_COUNT(a); i++) {
        a[i] *= 40.0f;
        double x = (double)a[i] + (double)bias[i % N];
        decay[i] = (double)scale[i % N] * (x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)));
        beta[i] = sigmoid((double)b[i]);
    }
    for (int both = 0; both < 2; both++) {
        net = (struct net){0};
        input(&net, NND_F32, DIMS(2, LINES / 2, N), a);
        input(&net, NND_F32, DIMS(N), bias);
        input(&net, NND_F32, DIMS(N), scale);
        if (both) input(&net, NND_F32, DIMS(2, LINES / 2, N), b);
        run_well(&net, "LinearAttentionGate", both ? "decay,beta" : "decay");
        same(net.out[0], decay, NND_COUNT(a), 1e-5);
        if (both) same(net.out[1], beta, NND_COUNT(a), 1e-6);
    }
}

static void wrong_gates_are_refused(void **state)
{
    static net net;
    float x[64] = {0};
    (void)state;
    net = (struct net){0};
    input(&net, NND_F32, DIMS(2, 7), x);
    input(&net, NND_F32, DIMS(3), x);
    input(&net, NND_F32, DIMS(2, 7), x);
    assert_int_equal(run(&net, "GatedRMSNorm", "y"), NND_E_SHAPE);
    net = (struct net){0};
    input(&net, NND_F32, DIMS(8), x);
    assert_int_equal(run(&net, "BranchwiseRMSNorm", "y"), NND_E_SHAPE);
    net = (struct net){0};
    input(&net, NND_F32, DIMS(2, 4), x);
    input(&net, NND_F32, DIMS(2), x);
    assert_int_equal(run(&net, "ScaledSiLU", "y"), NND_E_SHAPE);
    net = (struct net){0};
    input(&net, NND_F32, DIMS(2, 4), x);
    input(&net, NND_F32, DIMS(2, 4), x);
    input(&net, NND_F32, DIMS(1, 1), x);
    assert_int_equal(run(&net, "GatedAdd", "y"), NND_E_SHAPE);
    net = (struct net){0};
    input(&net, NND_F32, DIMS(1, 2, 4), x);
    input(&net, NND_F32, DIMS(4), x);
    input(&net, NND_F32, DIMS(4), x);
    assert_int_equal(run(&net, "LinearAttentionGate", "decay,beta"), NND_E_FORMAT);
    nnd_error_clear();
}

/* ---- VarlenCausalConvWithState --------------------------------------------------------------- */

enum { CHANNELS = 3, LENGTH = 9, SEQUENCES = 3, CAPTURES = 2, MOST_BEFORE = 8 };

typedef struct varlen {
    size_t kernel, dilation, before;
    int32_t starts[SEQUENCES + 1], counts[SEQUENCES];
    float x[LENGTH * CHANNELS], w[CHANNELS * 5], bias[CHANNELS];
    float state[SEQUENCES * CHANNELS * MOST_BEFORE];
} varlen;

/* What a channel was `at` tokens after its sequence's first one; negative: of the state. */
static double sample(const varlen *s, size_t sequence, size_t channel, int64_t at)
{
    if (at >= 0) return s->x[((size_t)s->starts[sequence] + (size_t)at) * CHANNELS + channel];
    size_t old = (size_t)((int64_t)s->before + at);
    return s->state[(sequence * CHANNELS + channel) * s->before + old];
}

static void convolve(const varlen *s, bool silu, double *y, double *last, double *captured)
{
    for (size_t b = 0; b < SEQUENCES; b++) {
        int64_t length = s->starts[b + 1] - s->starts[b];
        for (size_t i = 0; i < (size_t)length * CHANNELS; i++) {
            double sum = (double)s->bias[i % CHANNELS];
            for (size_t k = 0; k < s->kernel; k++) {
                int64_t back = (int64_t)((s->kernel - 1 - k) * s->dilation);
                sum += (double)s->w[i % CHANNELS * s->kernel + k] *
                       sample(s, b, i % CHANNELS, (int64_t)(i / CHANNELS) - back);
            }
            y[(size_t)s->starts[b] * CHANNELS + i] = silu ? sum * sigmoid(sum) : sum;
        }
        for (size_t i = 0; i < CHANNELS * s->before; i++) {
            int64_t back = (int64_t)(s->before - i % s->before);
            last[b * CHANNELS * s->before + i] = sample(s, b, i / s->before, length - back);
        }
        for (size_t i = 0; i < CAPTURES * CHANNELS; i++) {
            int64_t at = (int64_t)(i / CHANNELS);
            bool hit = at < length && at < s->counts[b];
            captured[b * CAPTURES * CHANNELS + i] = hit ? sample(s, b, i % CHANNELS, at) : 0;
        }
    }
}

static void feed_varlen(net *n, const varlen *s, bool silu)
{
    input(n, NND_F32, DIMS(LENGTH, CHANNELS), s->x);
    input(n, NND_F32, DIMS(CHANNELS, 1, (int64_t)s->kernel), s->w);
    input(n, NND_I32, DIMS(SEQUENCES + 1), s->starts);
    input(n, NND_F32, DIMS(CHANNELS), s->bias);
    input(n, NND_F32, DIMS(SEQUENCES, CHANNELS, (int64_t)s->before), s->state);
    input(n, NND_I32, DIMS(SEQUENCES), s->counts);
    ow_attr_int(&n->attrs, "dilation", (int64_t)s->dilation);
    ow_attr_int(&n->attrs, "state_update_capacity", CAPTURES);
    ow_attr_text(&n->attrs, "activation", silu ? "silu" : "none");
}

static void sequences_of_any_length_are_convolved(void **state)
{
    static const size_t kernels[] = {4, 1, 3, 2}, dilations[] = {1, 1, 2, 5};
    static const int32_t starts[][SEQUENCES + 1] = {{0, 2, 3, 9}, {0, 0, 9, 9}, {0, 4, 8, 9}};
    static net net;
    varlen s = {.counts = {1, -1, 7}};
    double y[LENGTH * CHANNELS], last[SEQUENCES * CHANNELS * MOST_BEFORE];
    double captured[SEQUENCES * CAPTURES * CHANNELS];
    (void)state;
    numbers(s.x, NND_COUNT(s.x), 1);
    numbers(s.w, NND_COUNT(s.w), 2);
    numbers(s.bias, NND_COUNT(s.bias), 3);
    numbers(s.state, NND_COUNT(s.state), 4);
    for (size_t i = 0; i < NND_COUNT(kernels) * NND_COUNT(starts); i++) {
        s.kernel = kernels[i % 4];
        s.dilation = dilations[i % 4];
        s.before = (s.kernel - 1) * s.dilation;
        memcpy(s.starts, starts[i / 4], sizeof s.starts);
        convolve(&s, i & 1, y, last, captured);
        net = (struct net){0};
        feed_varlen(&net, &s, i & 1);
        run_well(&net, "VarlenCausalConvWithState", "y,last,captured");
        same(net.out[0], y, NND_COUNT(y), 1e-6);
        same(net.out[1], last, SEQUENCES * CHANNELS * s.before, 1e-6);
        same(net.out[2], captured, NND_COUNT(captured), 1e-6);
    }
}

static void wrong_sequences_are_refused(void **state)
{
    static const int32_t starts[][SEQUENCES + 1] = {
        {1, 2, 3, 9}, {0, 2, 3, 8}, {0, 5, 3, 9}, {0, -1, 3, 9}};
    static net net;
    varlen s = {.kernel = 3, .dilation = 2, .before = 4};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(starts); i++) {
        memcpy(s.starts, starts[i], sizeof s.starts);
        net = (struct net){0};
        feed_varlen(&net, &s, false);
        assert_int_equal(run(&net, "VarlenCausalConvWithState", "y,l,c"), NND_E_FORMAT);
    }
    s.dilation = 3;
    net = (struct net){0};
    feed_varlen(&net, &s, false);
    assert_int_equal(run(&net, "VarlenCausalConvWithState", "y,l,c"), NND_E_SHAPE);
    nnd_error_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_bits_that_mean_numbers),
        cmocka_unit_test(three_positions_turn_a_token),
        cmocka_unit_test(positions_outside_are_refused),
        cmocka_unit_test(experts_are_chosen_by_groups),
        cmocka_unit_test(all_scores_are_given),
        cmocka_unit_test(norms_with_gates),
        cmocka_unit_test(norms_of_branches),
        cmocka_unit_test(scaled_silu),
        cmocka_unit_test(additions_with_gates),
        cmocka_unit_test(gates_of_linear_attention),
        cmocka_unit_test(wrong_gates_are_refused),
        cmocka_unit_test(sequences_of_any_length_are_convolved),
        cmocka_unit_test(wrong_sequences_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
