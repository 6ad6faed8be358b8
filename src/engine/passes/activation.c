/*
 * Moves an activation into the Conv, Gemm or MatMul whose result only it reads: Relu, LeakyRelu,
 * Clip with constant limits, Sigmoid, Tanh, Gelu, HardSigmoid, HardSwish, SiLU written as
 * x·Sigmoid(x), and the two hard ones written as Clip(x + 3, 0, 6)/6.
 */
#include <math.h>
#include <string.h>

#include "data/dtype.h"
#include "engine/ops/op.h"
#include "engine/passes/pass.h"

typedef struct activation {
    nnd_epilogue kind;
    float a, b;
} activation;

static bool is(const nnd_graph_node *n, const char *type)
{
    return !n->domain[0] && strcmp(n->type, type) == 0;
}

/* Gelu of either domain, its approximation or not. */
static bool is_gelu(const nnd_graph_node *n, nnd_epilogue *kind)
{
    bool onnx = is(n, "Gelu");
    *kind = onnx && strcmp(nnd_node_string(n, "approximate", "none"), "tanh") == 0
                ? NND_EPILOGUE_GELU_TANH
                : NND_EPILOGUE_GELU;
    return onnx || (strcmp(n->domain, "com.microsoft") == 0 && strcmp(n->type, "Gelu") == 0);
}

/* A limit of Clip: attribute before opset 11, constant input since. */
static nnd_status clip_limit(nnd_graph *g, const nnd_graph_node *n, size_t input, const char *attr,
                             float fallback, float *out, bool *ok)
{
    *out = fallback;
    if (n->opset < 11) {
        *out = nnd_node_float(n, attr, fallback);
        return NND_OK;
    }
    if (input >= n->formal_count || n->inputs[input] == NND_NO_ID) return NND_OK;
    const nnd_tensor *t;
    NND_TRY(nnd_graph_constant(g, n->inputs[input], &t));
    *ok = *ok && t && t->dtype == NND_F32 && t->data && nnd_tensor_count(t) == 1;
    if (*ok) *out = *(const float *)t->data;
    return NND_OK;
}

static nnd_status match_activation(nnd_graph *g, const nnd_graph_node *n, activation *a, bool *ok)
{
    *ok = true;
    *a = (activation){0};
    if (is(n, "Relu")) {
        a->kind = NND_EPILOGUE_RELU;
    } else if (is(n, "Sigmoid")) {
        a->kind = NND_EPILOGUE_SIGMOID;
    } else if (is(n, "Tanh")) {
        a->kind = NND_EPILOGUE_TANH;
    } else if (is_gelu(n, &a->kind)) {
        a->a = a->b = 0;
    } else if (is(n, "HardSwish")) {
        a->kind = NND_EPILOGUE_HARD_SWISH;
    } else if (is(n, "Swish")) {
        *a = (activation){NND_EPILOGUE_SILU, nnd_node_float(n, "alpha", 1.0f), 0};
    } else if (is(n, "LeakyRelu")) {
        *a = (activation){NND_EPILOGUE_LEAKY_RELU, nnd_node_float(n, "alpha", 0.01f), 0};
    } else if (is(n, "HardSigmoid")) {
        *a = (activation){NND_EPILOGUE_HARD_SIGMOID, nnd_node_float(n, "alpha", 0.2f),
                          nnd_node_float(n, "beta", 0.5f)};
    } else if (is(n, "Clip")) {
        a->kind = NND_EPILOGUE_CLIP;
        NND_TRY(clip_limit(g, n, 1, "min", -INFINITY, &a->a, ok));
        NND_TRY(clip_limit(g, n, 2, "max", INFINITY, &a->b, ok));
    } else {
        *ok = false;
    }
    return NND_OK;
}

/* The node that computes `value` when an epilogue can be put on it: constant f32 weights say that
   its result is f32. */
static nnd_graph_node *host_of(nnd_graph *g, uint32_t value)
{
    uint32_t id = value == NND_NO_ID ? NND_NO_ID : g->values[value].producer;
    if (id == NND_NO_ID) return NULL;
    nnd_graph_node *n = &g->nodes[id];
    if (n->dead || !n->op || !(n->op->flags & NND_OP_EPILOGUE) || n->epilogue) return NULL;
    if (n->formal_count < 2 || n->inputs[1] == NND_NO_ID) return NULL;
    const nnd_graph_value *w = &g->values[n->inputs[1]];
    return w->is_constant && w->dtype == NND_F32 ? n : NULL;
}

static bool try_single(nnd_graph *g, nnd_graph_node *n, const activation *a)
{
    nnd_graph_node *host = host_of(g, n->inputs[0]);
    if (!host || nnd_graph_single_reader(g, n->inputs[0]) == NND_NO_ID) return false;
    host->epilogue = a->kind;
    host->epilogue_a = a->a;
    host->epilogue_b = a->b;
    host->outputs[0] = n->outputs[0];
    n->dead = true;
    return true;
}

/* x·Sigmoid(x): the convolution's result has exactly these two readers. */
static bool try_silu(nnd_graph *g, nnd_graph_node *mul)
{
    for (size_t k = 0; k < 2; k++) {
        uint32_t x = mul->inputs[k], gate = mul->inputs[1 - k];
        if (x == NND_NO_ID || gate == NND_NO_ID || g->values[gate].producer == NND_NO_ID) continue;
        nnd_graph_node *sigmoid = &g->nodes[g->values[gate].producer];
        nnd_graph_node *host = host_of(g, x);
        if (!host || sigmoid->dead || !is(sigmoid, "Sigmoid") || sigmoid->inputs[0] != x) continue;
        if (g->values[x].uses != 2 || nnd_graph_is_output(g, x) ||
            nnd_graph_single_reader(g, gate) == NND_NO_ID)
            continue;
        host->epilogue = NND_EPILOGUE_SILU;
        host->epilogue_a = 1;
        host->outputs[0] = mul->outputs[0];
        sigmoid->dead = mul->dead = true;
        return true;
    }
    return false;
}

/* ---- Clip(x + 3, 0, 6)/6 ----------------------------------------------------------------------
 */

static nnd_status is_number(nnd_graph *g, uint32_t value, float number, bool *yes)
{
    const nnd_tensor *t;
    *yes = false;
    if (value == NND_NO_ID || !g->values[value].is_constant) return NND_OK;
    NND_TRY(nnd_graph_constant(g, value, &t));
    if (t->dtype == NND_F32 && t->data && nnd_tensor_count(t) == 1)
        *yes = fabsf(*(const float *)t->data - number) <= 1e-6f;
    return NND_OK;
}

/* The node of that type that makes `value` for one reader only. */
static nnd_graph_node *maker(nnd_graph *g, uint32_t value, const char *type)
{
    uint32_t id = value == NND_NO_ID ? NND_NO_ID : g->values[value].producer;
    if (id == NND_NO_ID || nnd_graph_single_reader(g, value) == NND_NO_ID) return NULL;
    nnd_graph_node *n = &g->nodes[id];
    return !n->dead && is(n, type) && n->formal_count ? n : NULL;
}

/* Nodes from x to the hard sigmoid of x; parts[0] makes the result. */
typedef struct hard_sigmoid {
    uint32_t x;
    nnd_graph_node *parts[3];
} hard_sigmoid;

static nnd_status match_hard_sigmoid(nnd_graph *g, nnd_graph_node *last, hard_sigmoid *h, bool *ok)
{
    bool divides = is(last, "Div"), yes;
    activation a;
    *ok = false;
    *h = (hard_sigmoid){.parts = {last}};
    if (is(last, "HardSigmoid")) {
        h->x = last->inputs[0];
        *ok = fabsf(nnd_node_float(last, "alpha", 0.2f) - 1.0f / 6.0f) < 1e-6f &&
              nnd_node_float(last, "beta", 0.5f) == 0.5f;
        return NND_OK;
    }
    if ((!divides && !is(last, "Mul")) || last->formal_count != 2) return NND_OK;
    NND_TRY(is_number(g, last->inputs[1], divides ? 6.0f : 1.0f / 6.0f, &yes));
    nnd_graph_node *clip = yes ? maker(g, last->inputs[0], "Clip") : NULL;
    if (!clip) return NND_OK;
    NND_TRY(match_activation(g, clip, &a, &yes));
    nnd_graph_node *sum =
        yes && a.a == 0.0f && a.b == 6.0f ? maker(g, clip->inputs[0], "Add") : NULL;
    for (size_t k = 0; sum && sum->formal_count == 2 && k < 2 && !*ok; k++) {
        NND_TRY(is_number(g, sum->inputs[k], 3.0f, ok));
        h->x = sum->inputs[1 - k];
    }
    h->parts[1] = clip;
    h->parts[2] = sum;
    return NND_OK;
}

static void absorb(nnd_graph_node *host, nnd_epilogue kind, const hard_sigmoid *h, uint32_t result)
{
    host->epilogue = kind;
    host->epilogue_a = 1.0f / 6.0f;
    host->epilogue_b = 0.5f;
    for (size_t i = 0; i < NND_COUNT(h->parts); i++)
        if (h->parts[i]) h->parts[i]->dead = true;
    host->outputs[0] = result;
}

/* The hard sigmoid of a host's result, alone or times that result. */
static nnd_status try_hard(nnd_graph *g, nnd_graph_node *n, bool *done)
{
    hard_sigmoid h;
    bool ok;
    *done = false;
    if (is(n, "Div") || is(n, "Mul")) {
        NND_TRY(match_hard_sigmoid(g, n, &h, &ok));
        nnd_graph_node *host = ok ? host_of(g, h.x) : NULL;
        if (host && nnd_graph_single_reader(g, h.x) != NND_NO_ID) {
            absorb(host, NND_EPILOGUE_HARD_SIGMOID, &h, n->outputs[0]);
            *done = true;
        }
    }
    for (size_t k = 0; k < 2 && !*done && is(n, "Mul") && n->formal_count == 2; k++) {
        uint32_t x = n->inputs[k], gate = n->inputs[1 - k];
        uint32_t made = gate == NND_NO_ID ? NND_NO_ID : g->values[gate].producer;
        if (x == NND_NO_ID || made == NND_NO_ID || g->nodes[made].dead) continue;
        if (nnd_graph_single_reader(g, gate) == NND_NO_ID) continue;
        NND_TRY(match_hard_sigmoid(g, &g->nodes[made], &h, &ok));
        nnd_graph_node *host = ok && h.x == x ? host_of(g, x) : NULL;
        if (!host || g->values[x].uses != 2 || nnd_graph_is_output(g, x)) continue;
        absorb(host, NND_EPILOGUE_HARD_SWISH, &h, n->outputs[0]);
        n->dead = *done = true;
    }
    return NND_OK;
}

nnd_status nnd_pass_activation(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        if (n->dead || !n->formal_count || n->inputs[0] == NND_NO_ID || n->outputs[0] == NND_NO_ID)
            continue;
        activation a;
        bool ok;
        NND_TRY(match_activation(g, n, &a, &ok));
        bool done = ok && try_single(g, n, &a);
        if (!ok) NND_TRY(try_hard(g, n, &done));
        if (done || (!ok && is(n, "Mul") && n->formal_count == 2 && try_silu(g, n))) {
            (*changes)++;
            /* The host's result has moved: readers are looked up in a fresh index. */
            g->values[n->outputs[0]].producer = NND_NO_ID;
        }
    }
    nnd_graph_index(g);
    return NND_OK;
}
