/*
 * Recognises activations that were written out in small steps and that no layer has taken as its
 * epilogue:
 *
 *     x·½·(1 + erf(x/√2))                              Gelu
 *     x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³)))         Gelu, the approximation
 *     x·sigmoid(x), x·sigmoid(α·x)                     Swish
 *     x·HardSigmoid(x), x·Clip(x + 3, 0, 6)/6          HardSwish
 *
 * The products stand in any order.
 */
#include <math.h>
#include <string.h>

#include "engine/passes/match.h"
#include "engine/passes/pass.h"

static const double SQRT_HALF = 0.70710678118654752, SQRT_TWO_OVER_PI = 0.79788456080286536;

/* The value that `value` is `factor` times of, as a product or as a quotient. */
static nnd_status part_of(nnd_graph *g, uint32_t value, double factor, uint32_t *out)
{
    const nnd_graph_node *n = nnd_match_binary(g, value, "Mul");
    bool is = false;
    *out = NND_NO_ID;
    if (n) return nnd_match_beside(g, n, factor, out);
    n = nnd_match_binary(g, value, "Div");
    if (n) NND_TRY(nnd_match_near(g, n->inputs[1], 1.0 / factor, &is));
    if (is) *out = n->inputs[0];
    return NND_OK;
}

/* ---- Gelu ---------------------------------------------------------------------------------- */

static nnd_status is_cube(nnd_graph *g, uint32_t value, uint32_t x, bool *is)
{
    const nnd_graph_node *n = nnd_match_binary(g, value, "Pow");
    *is = false;
    if (n && n->inputs[0] == x) return nnd_match_near(g, n->inputs[1], 3.0, is);
    n = nnd_match_binary(g, value, "Mul");
    for (size_t k = 0; n && k < 2 && !*is; k++) {
        const nnd_graph_node *square = nnd_match_binary(g, n->inputs[k], "Mul");
        *is = square && n->inputs[1 - k] == x && square->inputs[0] == x && square->inputs[1] == x;
    }
    return NND_OK;
}

/* √(2/π)·(x + 0.044715·x³) */
static nnd_status is_tanh_argument(nnd_graph *g, uint32_t value, uint32_t x, bool *is)
{
    uint32_t polynomial, cube;
    *is = false;
    NND_TRY(part_of(g, value, SQRT_TWO_OVER_PI, &polynomial));
    const nnd_graph_node *sum = nnd_match_binary(g, polynomial, "Add");
    for (size_t k = 0; sum && k < 2 && !*is; k++) {
        if (sum->inputs[k] != x) continue;
        NND_TRY(part_of(g, sum->inputs[1 - k], 0.044715, &cube));
        if (cube != NND_NO_ID) NND_TRY(is_cube(g, cube, x, is));
    }
    return NND_OK;
}

typedef enum form { NOT_GELU, WITH_ERF, WITH_TANH } form;

/* 1 + erf(x/√2), or 1 + tanh(…). */
static nnd_status match_step(nnd_graph *g, uint32_t value, uint32_t x, form *out)
{
    const nnd_graph_node *sum = nnd_match_binary(g, value, "Add");
    uint32_t step = NND_NO_ID, argument;
    bool is = false;
    *out = NOT_GELU;
    if (sum) NND_TRY(nnd_match_beside(g, sum, 1.0, &step));
    const nnd_graph_node *erf = nnd_match_maker(g, step, "Erf");
    const nnd_graph_node *tanh = nnd_match_maker(g, step, "Tanh");
    if (erf) {
        NND_TRY(part_of(g, erf->inputs[0], SQRT_HALF, &argument));
        if (argument == x) *out = WITH_ERF;
    } else if (tanh) {
        NND_TRY(is_tanh_argument(g, tanh->inputs[0], x, &is));
        if (is) *out = WITH_TANH;
    }
    return NND_OK;
}

/* Three factors in any order: x, ½ and the step. */
static nnd_status match_factors(nnd_graph *g, const uint32_t *factors, uint32_t *x, form *out)
{
    *out = NOT_GELU;
    for (size_t half = 0; half < 3; half++) {
        bool is;
        NND_TRY(nnd_match_near(g, factors[half], 0.5, &is));
        if (!is) continue;
        for (size_t k = 1; k < 3 && *out == NOT_GELU; k++) {
            *x = factors[(half + k) % 3];
            NND_TRY(match_step(g, factors[(half + 3 - k) % 3], *x, out));
        }
        return NND_OK;
    }
    return NND_OK;
}

static nnd_status try_gelu(nnd_graph *g, nnd_graph_node *last, bool *done)
{
    for (size_t k = 0; k < 2 && !*done; k++) {
        const nnd_graph_node *inner = nnd_match_binary(g, last->inputs[k], "Mul");
        uint32_t x = NND_NO_ID, half = NND_NO_ID;
        form found = NOT_GELU;
        if (inner) {
            const uint32_t factors[3] = {inner->inputs[0], inner->inputs[1], last->inputs[1 - k]};
            NND_TRY(match_factors(g, factors, &x, &found));
        } else if (nnd_match_binary(g, last->inputs[k], "Div")) { /* x/2 */
            NND_TRY(part_of(g, last->inputs[k], 0.5, &half));
            x = half;
            if (x != NND_NO_ID) NND_TRY(match_step(g, last->inputs[1 - k], x, &found));
        }
        if (found == NOT_GELU || !nnd_match_same_rank(g, x, last->outputs[0])) continue;
        NND_TRY(nnd_match_replace(g, last, "Gelu", 20, 1, &x));
        if (found == WITH_TANH) NND_TRY(nnd_node_add_string(g, last, "approximate", "tanh"));
        *done = true;
    }
    return NND_OK;
}

/* ---- Swish and HardSwish ------------------------------------------------------------------- */

static nnd_status try_swish(nnd_graph *g, nnd_graph_node *last, bool *done)
{
    for (size_t k = 0; k < 2 && !*done; k++) {
        const nnd_graph_node *gate = nnd_match_maker(g, last->inputs[1 - k], "Sigmoid");
        uint32_t x = last->inputs[k];
        float alpha = 1.0f;
        if (!gate) continue;
        bool is = gate->inputs[0] == x;
        const nnd_graph_node *scaled = is ? NULL : nnd_match_binary(g, gate->inputs[0], "Mul");
        for (size_t i = 0; scaled && i < 2 && !is; i++)
            if (scaled->inputs[1 - i] == x)
                NND_TRY(nnd_match_number(g, scaled->inputs[i], &alpha, &is));
        if (!is || !nnd_match_same_rank(g, x, last->outputs[0])) continue;
        NND_TRY(nnd_match_replace(g, last, "Swish", 24, 1, &x));
        if (alpha != 1.0f) NND_TRY(nnd_node_add_float(g, last, "alpha", alpha));
        *done = true;
    }
    return NND_OK;
}

/* Clip(x + 3, 0, 6) */
static nnd_status is_gate(nnd_graph *g, uint32_t value, uint32_t x, bool *is)
{
    const nnd_graph_node *clip = nnd_match_maker(g, value, "Clip");
    float low = -1.0f, high = -1.0f;
    *is = false;
    if (!clip) return NND_OK;
    if (clip->opset < 11) {
        low = nnd_node_float(clip, "min", -1.0f);
        high = nnd_node_float(clip, "max", -1.0f);
    } else if (clip->formal_count == 3) {
        NND_TRY(nnd_match_number(g, clip->inputs[1], &low, is));
        if (*is) NND_TRY(nnd_match_number(g, clip->inputs[2], &high, is));
    }
    *is = false;
    const nnd_graph_node *sum = nnd_match_binary(g, clip->inputs[0], "Add");
    uint32_t other = NND_NO_ID;
    if (low != 0.0f || high != 6.0f || !sum) return NND_OK;
    NND_TRY(nnd_match_beside(g, sum, 3.0, &other));
    *is = other == x;
    return NND_OK;
}

/* The hard sigmoid of x. */
static nnd_status is_hard_sigmoid(nnd_graph *g, uint32_t value, uint32_t x, bool *is)
{
    const nnd_graph_node *n = nnd_match_maker(g, value, "HardSigmoid");
    uint32_t clip;
    *is = false;
    if (n) {
        *is = n->inputs[0] == x && nnd_node_float(n, "beta", 0.5f) == 0.5f &&
              fabs((double)nnd_node_float(n, "alpha", 0.2f) - 1.0 / 6.0) < 1e-6;
        return NND_OK;
    }
    NND_TRY(part_of(g, value, 1.0 / 6.0, &clip));
    return clip == NND_NO_ID ? NND_OK : is_gate(g, clip, x, is);
}

/* x·hardsigmoid(x), or (x·Clip(x + 3, 0, 6))·⅙. */
static nnd_status try_hard_swish(nnd_graph *g, nnd_graph_node *last, bool *done)
{
    uint32_t product, x = NND_NO_ID;
    bool is = false;
    for (size_t k = 0; nnd_match_is(last, "Mul") && k < 2 && !is; k++) {
        x = last->inputs[k];
        NND_TRY(is_hard_sigmoid(g, last->inputs[1 - k], x, &is));
    }
    if (!is) NND_TRY(part_of(g, last->outputs[0], 1.0 / 6.0, &product));
    const nnd_graph_node *inner = is ? NULL : nnd_match_binary(g, product, "Mul");
    for (size_t k = 0; inner && k < 2 && !is; k++) {
        x = inner->inputs[k];
        NND_TRY(is_gate(g, inner->inputs[1 - k], x, &is));
    }
    if (!is || !nnd_match_same_rank(g, x, last->outputs[0])) return NND_OK;
    *done = true;
    return nnd_match_replace(g, last, "HardSwish", 14, 1, &x);
}

static nnd_status try_node(nnd_graph *g, nnd_graph_node *n, bool *done)
{
    bool product = nnd_match_is_binary(n, "Mul");
    if (n->opset < 7 || (!product && !nnd_match_is_binary(n, "Div"))) return NND_OK;
    if (product) NND_TRY(try_gelu(g, n, done));
    if (product && !*done) NND_TRY(try_swish(g, n, done));
    return *done ? NND_OK : try_hard_swish(g, n, done);
}

nnd_status nnd_pass_gelu(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        bool done = false;
        NND_TRY(try_node(g, &g->nodes[i], &done));
        *changes += done;
    }
    nnd_graph_index(g);
    return NND_OK;
}
