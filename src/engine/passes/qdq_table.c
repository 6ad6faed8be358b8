/*
 * Dequantise → operators that work element by element → quantise is a function of one byte: a table
 * of 256, made by running the operators themselves on all codes, so that it gives what they give.
 * That includes x·Sigmoid(x), whose two branches begin with the same byte, another scale (nothing
 * between the two), and functions of functions: tables of tables become one.
 */
#include <string.h>

#include "engine/ops/qlinear.h"
#include "engine/passes/qdq.h"

enum { CODES = NND_TABLE_CODES, MAX_CELLS = 16 };

/* A value of the pattern for each code. */
typedef struct cell {
    uint32_t value;
    nnd_tensor t;
} cell;

typedef struct walk {
    nnd_graph *g;
    uint32_t root;       /* the bytes that everything is a function of */
    nnd_dtype root_type; /* INVALID when a table stands between it and the codes */
    bool may_widen;      /* a constant with dimensions of its own takes part */
    char *memory;        /* CODES floats per cell */
    size_t count;
    cell cells[MAX_CELLS];
} walk;

static bool works_by_element(const nnd_graph_node *n, bool *broadcasts)
{
    static const char *const unary[] = {
        "Relu", "LeakyRelu", "Sigmoid",  "HardSigmoid", "HardSwish",  "Swish",
        "Tanh", "Clip",      "Elu",      "Selu",        "Celu",       "ThresholdedRelu",
        "Gelu", "Mish",      "Softplus", "Softsign",    "Erf",        "Abs",
        "Neg",  "Exp",       "Log",      "Sqrt",        "Reciprocal", "Identity"};
    static const char *const more[] = {"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "PRelu"};
    *broadcasts = false;
    for (size_t i = 0; i < NND_COUNT(unary); i++)
        if (nnd_match_is(n, unary[i])) return true;
    *broadcasts = true;
    for (size_t i = 0; i < NND_COUNT(more); i++)
        if (nnd_match_is(n, more[i])) return true;
    return false;
}

/* Runs a node on what is known about its inputs; a result per code in a new cell. */
static nnd_status run_node(walk *w, const nnd_graph_node *n, const nnd_tensor *const *in,
                           uint32_t value, const nnd_tensor **out)
{
    nnd_tensor t = {0};
    nnd_op_ctx c = {
        .node = n, .op = n->op, .in_count = n->formal_count, .in = in, .out_count = 1, .out = &t};
    *out = NULL;
    if (w->count == MAX_CELLS) return NND_OK;
    if (n->op->infer(&c) != NND_OK) { /* the run will say what is wrong */
        nnd_error_clear();
        return NND_OK;
    }
    if (t.rank != 1 || t.dims[0] != CODES || nnd_op_element(t.dtype) > sizeof(float)) return NND_OK;
    t.data = w->memory + w->count * CODES * sizeof(float);
    NND_TRY(n->op->run(&c));
    w->cells[w->count] = (cell){value, t};
    *out = &w->cells[w->count++].t;
    return NND_OK;
}

/* Dequantised bytes: the root's, or those that a table makes of it. */
static nnd_status read_leaf(walk *w, const nnd_graph_node *n, uint32_t value,
                            const nnd_tensor **out)
{
    static const int64_t dims[1] = {CODES};
    uint8_t all[CODES];
    nnd_qdq_operand x;
    nnd_tensor codes;
    const nnd_tensor *in[3] = {&codes};
    bool is;
    NND_TRY(nnd_qdq_read(w->g, value, &x, &is));
    if (!is) return NND_OK;
    for (size_t i = 0; i < CODES; i++)
        all[i] = (uint8_t)i;
    NND_TRY(nnd_tensor_init(&codes, x.type, 1, dims, all));
    uint32_t made = w->g->values[x.codes].producer, root = x.codes;
    if (made != NND_NO_ID && w->g->nodes[made].op == &nnd_op_byte_table) {
        const nnd_tensor *table;
        NND_TRY(nnd_graph_constant(w->g, w->g->nodes[made].inputs[1], &table));
        codes.data = table->data;
        root = w->g->nodes[made].inputs[0];
        x.type = NND_DTYPE_INVALID;
    }
    if (w->root != NND_NO_ID && w->root != root) return NND_OK;
    if (w->root == NND_NO_ID) w->root_type = x.type;
    w->root = root;
    NND_TRY(nnd_graph_constant(w->g, x.scale, &in[1]));
    NND_TRY(nnd_graph_constant(w->g, x.zero, &in[2]));
    return run_node(w, n, in, value, out);
}

/* A number that takes part; NULL for anything else. */
static nnd_status read_number(walk *w, uint32_t value, bool broadcasts, nnd_tensor *number,
                              const nnd_tensor **out)
{
    const nnd_tensor *t;
    NND_TRY(nnd_match_floats(w->g, nnd_qdq_constant(w->g, value), &t));
    if (!t || nnd_tensor_count(t) != 1) return NND_OK;
    w->may_widen = w->may_widen || (broadcasts && t->rank > 0);
    *number = *t;
    number->rank = 0;
    *out = number;
    return NND_OK;
}

/* The floats that `value` has for each code; *out NULL when it is no function of one byte. */
static nnd_status evaluate(walk *w, uint32_t value, int depth, const nnd_tensor **out)
{
    enum { MAX_INPUTS = 3 };
    nnd_tensor numbers[MAX_INPUTS];
    const nnd_tensor *in[MAX_INPUTS] = {NULL};
    bool broadcasts;
    *out = NULL;
    for (size_t i = 0; i < w->count; i++)
        if (w->cells[i].value == value) *out = &w->cells[i].t;
    if (*out || depth == MAX_CELLS || w->count == MAX_CELLS) return NND_OK;
    uint32_t id = w->g->values[value].producer;
    const nnd_graph_node *n = id == NND_NO_ID ? NULL : &w->g->nodes[id];
    if (!n || n->dead || !n->op || n->epilogue || n->op->flags & NND_OP_PLANNED) return NND_OK;
    if (nnd_match_is(n, "DequantizeLinear")) return read_leaf(w, n, value, out);
    if (!works_by_element(n, &broadcasts) || n->formal_count > MAX_INPUTS ||
        n->formal_count != n->input_count)
        return NND_OK;
    for (size_t i = 0; i < n->formal_count; i++) {
        if (n->inputs[i] == NND_NO_ID) continue;
        NND_TRY(read_number(w, n->inputs[i], broadcasts, &numbers[i], &in[i]));
        if (!in[i]) NND_TRY(evaluate(w, n->inputs[i], depth + 1, &in[i]));
        if (!in[i]) return NND_OK;
    }
    return run_node(w, n, in, value, out);
}

/* The Quantize becomes the table, or nothing at all when it changes no byte. */
static nnd_status put_table(nnd_graph *g, nnd_graph_node *quantize, uint32_t root, nnd_dtype from,
                            const nnd_tensor *codes)
{
    bool plain = codes->dtype == from;
    uint32_t inputs[2] = {root, NND_NO_ID};
    for (size_t i = 0; plain && i < CODES; i++)
        plain = ((const uint8_t *)codes->data)[i] == i;
    if (plain) return nnd_qdq_replace(g, quantize, nnd_op_find("", "Identity", 1), 1, inputs);
    NND_TRY(nnd_graph_add_constant(g, NULL, codes, &inputs[1]));
    return nnd_qdq_replace(g, quantize, &nnd_op_byte_table, 2, inputs);
}

static nnd_status tabulate(walk *w, const nnd_qdq_result *r, bool *done)
{
    nnd_graph *g = w->g;
    nnd_graph_node *n = r->quantize;
    const nnd_tensor *in[3], *codes;
    NND_TRY(evaluate(w, n->inputs[0], 0, &in[0]));
    if (!in[0] || (w->may_widen && !nnd_match_same_rank(g, w->root, n->outputs[0]))) return NND_OK;
    NND_TRY(nnd_graph_constant(g, r->to.scale, &in[1]));
    NND_TRY(nnd_graph_constant(g, r->to.zero, &in[2]));
    NND_TRY(run_node(w, n, in, NND_NO_ID, &codes));
    if (!codes) return NND_OK;
    *done = true;
    return put_table(g, n, w->root, w->root_type, codes);
}

nnd_status nnd_qdq_table(nnd_graph *g, const nnd_qdq_result *r, bool *done)
{
    walk w = {.g = g, .root = NND_NO_ID};
    *done = false;
    w.memory = nnd_alloc_aligned(MAX_CELLS * CODES * sizeof(float), 64);
    if (!w.memory) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a table of bytes");
    nnd_status status = tabulate(&w, r, done);
    nnd_free_aligned(w.memory);
    return status;
}
