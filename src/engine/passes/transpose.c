/*
 * Fewer transpositions: each goes behind the element-wise operator that alone reads it, when the
 * operator's other operand is a number or transposed alike, so that it meets the next one; two in a
 * row become one, or none when they cancel.
 */
#include <string.h>

#include "engine/passes/match.h"
#include "engine/passes/pass.h"

static bool is_natural(const int64_t *perm, int rank)
{
    for (int i = 0; i < rank; i++)
        if (perm[i] != i) return false;
    return true;
}

static nnd_status set_perm(nnd_graph *g, nnd_graph_node *n, const int64_t *perm, int rank)
{
    uint32_t input = n->inputs[0];
    NND_TRY(nnd_match_replace(g, n, "Transpose", 1, 1, &input));
    return nnd_node_add_ints(g, n, "perm", perm, (size_t)rank);
}

/* ---- two in a row -------------------------------------------------------------------------- */

/* Readers of a value read stands_for[value] instead; values made since then stay. */
typedef struct renaming {
    uint32_t *stands_for;
    size_t count;
} renaming;

static uint32_t stand_in(const renaming *r, uint32_t value)
{
    return value < r->count ? r->stands_for[value] : value; /* NND_NO_ID is beyond all */
}

static nnd_status merge(nnd_graph *g, nnd_graph_node *n, const renaming *r, size_t *changes)
{
    int64_t outer[NND_MAX_RANK], inner[NND_MAX_RANK], both[NND_MAX_RANK];
    int rank, inner_rank;
    if (!nnd_match_perm(g, n, outer, &rank)) return NND_OK;
    const nnd_graph_node *first = nnd_match_maker(g, n->inputs[0], "Transpose");
    uint32_t source = n->inputs[0];
    memcpy(both, outer, sizeof(both));
    if (first && nnd_match_perm(g, first, inner, &inner_rank) && inner_rank == rank) {
        for (int i = 0; i < rank; i++)
            both[i] = inner[outer[i]];
        source = first->inputs[0];
    }
    if (is_natural(both, rank) && !nnd_graph_is_output(g, n->outputs[0])) {
        r->stands_for[n->outputs[0]] = source;
        n->dead = true;
        (*changes)++;
    } else if (source != n->inputs[0]) {
        n->inputs[0] = source;
        NND_TRY(set_perm(g, n, both, rank));
        (*changes)++;
    }
    return NND_OK;
}

/* ---- behind element-wise operators --------------------------------------------------------- */

static bool is_elementwise(const nnd_graph_node *n, bool *two)
{
    static const char *const one[] = {"Relu",      "Sigmoid",     "Tanh",      "Gelu", "Swish",
                                      "LeakyRelu", "Clip",        "HardSwish", "Sqrt", "Exp",
                                      "Erf",       "HardSigmoid", "Neg",       "Abs"};
    static const char *const pair[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"};
    *two = false;
    for (size_t i = 0; i < NND_COUNT(one); i++)
        if (nnd_match_is(n, one[i])) return true;
    for (size_t i = 0; i < NND_COUNT(pair); i++)
        if (nnd_match_is_binary(n, pair[i])) return *two = true;
    return false;
}

/* An operand that is the same in any order of dimensions. */
static bool is_number(const nnd_graph *g, uint32_t value)
{
    const nnd_graph_value *v = &g->values[value];
    return v->is_constant && nnd_tensor_count(&v->constant) == 1 && v->rank <= 1;
}

/* What an element-wise operator reads, seen through the transpositions before it. */
typedef struct sinking {
    int64_t perm[NND_MAX_RANK];
    int rank;
    uint32_t slot; /* of the last of the transpositions, NND_NO_ID = none yet */
    size_t operands;
    uint32_t sources[2];
} sinking;

/* One operand: a number, or made by a transposition like the others that nobody else needs. */
static bool add_operand(nnd_graph *g, sinking *s, uint32_t value)
{
    int64_t perm[NND_MAX_RANK];
    int rank;
    s->sources[s->operands++] = value;
    if (is_number(g, value)) return true;
    const nnd_graph_node *n = nnd_match_maker(g, value, "Transpose");
    if (!n || !nnd_match_perm(g, n, perm, &rank) || nnd_graph_single_reader(g, value) == NND_NO_ID)
        return false;
    if (s->slot != NND_NO_ID &&
        (rank != s->rank || memcmp(perm, s->perm, sizeof(*perm) * (size_t)rank) != 0))
        return false;
    memcpy(s->perm, perm, sizeof(*perm) * (size_t)rank);
    s->rank = rank;
    s->sources[s->operands - 1] = n->inputs[0];
    uint32_t slot = g->values[value].producer;
    if (s->slot == NND_NO_ID || slot > s->slot) s->slot = slot;
    return true;
}

/* The operator's result before the transposition, with the nominal shape that belongs to it. */
static nnd_status add_moved(nnd_graph *g, const sinking *s, uint32_t result, uint32_t reader,
                            uint32_t *out)
{
    NND_TRY(nnd_graph_add_value(g, NULL, out));
    const nnd_graph_value *from = &g->values[result];
    nnd_graph_value *v = &g->values[*out];
    v->dtype = from->dtype;
    v->producer = s->slot;
    v->reader = reader;
    v->uses = 1;
    if (from->nominal_rank != s->rank) return NND_OK;
    v->nominal_rank = s->rank;
    v->nominal_dtype = from->nominal_dtype;
    for (int i = 0; i < s->rank; i++)
        v->nominal[s->perm[i]] = from->nominal[i];
    return NND_OK;
}

/* f(Transpose(x)) → Transpose(f(x)): f moves to the place of the transposition, where all that it
   reads is there already, and the transposition to the place of f. */
static nnd_status sink(nnd_graph *g, uint32_t id, size_t *changes)
{
    sinking s = {.slot = NND_NO_ID};
    nnd_graph_node *f = &g->nodes[id];
    bool two;
    if (!is_elementwise(f, &two) || f->output_count != 1) return NND_OK;
    for (size_t k = 0; k < (two ? 2u : 1u); k++)
        if (!add_operand(g, &s, f->inputs[k])) return NND_OK;
    if (s.slot == NND_NO_ID) return NND_OK;
    uint32_t moved, result = f->outputs[0];
    uint32_t *inputs = nnd_arena_calloc(&g->arena, f->input_count, sizeof(*inputs));
    uint32_t *outputs = nnd_arena_calloc(&g->arena, 1, sizeof(*outputs));
    if (!inputs || !outputs)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the pass 'transpose'");
    NND_TRY(add_moved(g, &s, result, id, &moved));
    memcpy(inputs, f->inputs, f->input_count * sizeof(*inputs));
    memcpy(inputs, s.sources, s.operands * sizeof(*inputs));
    outputs[0] = result;
    nnd_graph_node transpose = g->nodes[s.slot];
    for (size_t k = 0; k < s.operands; k++) { /* the other one of two */
        uint32_t other = g->values[f->inputs[k]].producer;
        if (other != NND_NO_ID && other != s.slot) g->nodes[other].dead = true;
    }
    g->nodes[s.slot] = *f;
    g->nodes[s.slot].inputs = inputs;
    g->nodes[s.slot].outputs[0] = moved;
    g->nodes[id] = transpose;
    g->nodes[id].inputs[0] = moved;
    g->nodes[id].outputs = outputs;
    (*changes)++;
    return NND_OK;
}

/* In order of execution, so that one sweep takes a transposition down a whole chain, and what an
   earlier one stands for is final. */
static nnd_status sweep(nnd_graph *g, const renaming *r, size_t *changes)
{
    for (uint32_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        for (size_t k = 0; k < n->input_count; k++)
            n->inputs[k] = stand_in(r, n->inputs[k]);
        if (nnd_match_is(n, "Transpose"))
            NND_TRY(merge(g, n, r, changes));
        else
            NND_TRY(sink(g, i, changes));
    }
    for (nnd_graph *child = g->children; child; child = child->sibling)
        for (size_t i = 0; i < child->capture_count; i++)
            child->captures[i].outer = stand_in(r, child->captures[i].outer);
    return NND_OK;
}

nnd_status nnd_pass_transpose(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    renaming r = {nnd_calloc(g->value_count + 1, sizeof(uint32_t)), g->value_count};
    if (!r.stands_for)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the pass 'transpose'");
    for (uint32_t i = 0; i < g->value_count; i++)
        r.stands_for[i] = i;
    nnd_status status = sweep(g, &r, changes);
    nnd_free(r.stands_for);
    nnd_graph_index(g);
    return status;
}
